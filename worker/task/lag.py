"""What a partition has not read yet, as it is reported: a number only where one is known.

Decides when that is: a task that runs, and whose brokers have answered lately. A pure reading of the source,
without waiting. Invariant: unknown is None and never 0; None has a reason.
"""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from worker.ports import Source
from worker.task.life_cycle import TaskState


class Lag(Struct, frozen=True):
    """``records`` that could be read and are not yet returned to the task; None for the reason in
    ``unknown_because``. ``in_open_transactions``: offsets behind the first open transaction of some producer,
    which nobody may read yet.
    """

    records: int | None
    in_open_transactions: int = 0
    unknown_because: str = ""


def lag_of(state: TaskState, source: Source) -> Lag:
    """That of a task in this state."""
    if state is not TaskState.RUNNING:
        return Lag(None, 0, state.name.lower())
    records = source.lag()
    return Lag(records, source.in_open_transactions(), source.unknown_because() if records is None else "")


def unknown_by_reason(lags: Mapping[str, Lag]) -> dict[str, int]:
    """How many partitions have no known lag, by the reason."""
    return dict(Counter(lag.unknown_because for lag in lags.values() if lag.records is None))
