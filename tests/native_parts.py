"""What of the worker has two implementations, for tests that hold both to the same rules.

Where the native library is not installed, there is one: ``.ci/run`` fails there, ``make test`` does not.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from worker.adapters.kafka.native_records import NativeFetchedRecords
from worker.adapters.kafka.records import FetchedRecords
from worker.native.library import native_library

if TYPE_CHECKING:
    from sessionizer_native import BatchWriter

Reader = Callable[..., FetchedRecords]

LIBRARY = native_library().module

READERS: dict[str, Reader] = {"python": FetchedRecords}
"""What makes records of an answer to a fetch."""

BATCH_WRITERS: dict[str, "type[BatchWriter] | None"] = {"python": None}
"""What puts batches together; None: the client's own builder."""

if LIBRARY is not None:
    READERS["native"] = partial(NativeFetchedRecords, LIBRARY.Fetch)
    BATCH_WRITERS["native"] = LIBRARY.BatchWriter
