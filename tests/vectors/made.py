"""Which files of this folder are made, and by what."""

from collections.abc import Callable, Mapping

from tests.vectors.characters import characters
from tests.vectors.files import Vectors
from tests.vectors.held_times import held_times
from tests.vectors.names import names
from tests.vectors.outputs import outputs
from tests.vectors.readings import readings
from tests.vectors.states import states
from tests.vectors.tables import tables

MADE: Mapping[str, Callable[[], Vectors]] = {
    "characters": characters,
    "held_times": held_times,
    "names": names,
    "outputs": outputs,
    "readings": readings,
    "states": states,
    "tables": tables,
}
"""Name of a file, without its ending -> what makes its vectors."""
