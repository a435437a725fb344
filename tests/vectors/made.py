"""Which files of this folder are made, and by what."""

from collections.abc import Callable, Mapping

from tests.vectors.files import Vectors
from tests.vectors.held_times import held_times
from tests.vectors.names import names
from tests.vectors.outputs import outputs
from tests.vectors.states import states

MADE: Mapping[str, Callable[[], Vectors]] = {
    "held_times": held_times,
    "names": names,
    "outputs": outputs,
    "states": states,
}
"""Name of a file, without its ending -> what makes its vectors."""
