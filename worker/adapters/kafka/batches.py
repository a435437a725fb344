"""How records come into the client's batches: by the thousand, so past what the client only wraps.

Knows one batch (aiokafka 0.14, ``create_batch``) and nothing of topics or transactions. Invariant: what is in
the batch is what the client's own ``append`` would have put there; the contract of a transaction holds it to
that on a real broker.
"""

from collections.abc import Iterable
from typing import Any

from worker.model.outputs import OutputRecord
from worker.model.repartition import Headers

NO_HEADERS: Headers = []


def fill(batch: Any, records: Iterable[OutputRecord], headers: Iterable[Headers]) -> int:
    """Append records with their headers, as many as fit; how many. The first may have any size.

    Past the client's own ``append``: of its 0.33 us a record 0.2 are wrapping (2026-11-24).
    """
    append = batch._builder.append
    count = 0
    for (key, value, timestamp_ms), own_headers in zip(records, headers, strict=False):
        if append(count, timestamp_ms, key, value, own_headers) is None:
            break
        count += 1
    batch._relative_offset = count
    return count
