"""What of the worker has two implementations, for tests that hold both to the same rules.

Where the native library is not installed, there is one: ``.ci/run`` fails there, ``make test`` does not.
"""

from collections.abc import Callable

from worker.adapters.kafka.native_records import records_by
from worker.adapters.kafka.records import FetchedRecords
from worker.native.library import native_library
from worker.native.parts import NativeParts

Reader = Callable[..., FetchedRecords]

WITHOUT = NativeParts(None)
IMPLEMENTATIONS: dict[str, NativeParts] = {"python": WITHOUT}

if (_library := native_library().module) is not None:
    IMPLEMENTATIONS["native"] = NativeParts(_library, must=True)

READERS: dict[str, Reader] = {name: records_by(native) for name, native in IMPLEMENTATIONS.items()}
"""What makes records of an answer to a fetch."""
