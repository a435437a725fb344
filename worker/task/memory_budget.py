"""How much memory one task may hold: its share of what the whole process may, however many partitions it has.

Counts devices and events, not bytes: a count is exact and costs nothing; the sizes behind it are measured.
"""

BYTES_A_DEVICE = 2_000
"""A live state with its dict entry: 1.1 KB with one session, 2.6 KB with four remembered (2026-11-24)."""

BYTES_A_DRAFTED_EVENT = 700
"""An encoded output with its tuple and its share of a drafted state (2026-11-24)."""

_FEWEST_BYTES = 1024 * 1024
_FEWEST_DEVICES = 1_000
_FEWEST_EVENTS = 500


class MemoryBudget:
    """The process's memory for live states and for drafts, in bytes, shared fairly by its tasks."""

    def __init__(self, live_states_bytes: int, drafts_bytes: int) -> None:
        self._devices = max(_FEWEST_DEVICES, live_states_bytes // BYTES_A_DEVICE)
        self._drafts_bytes = drafts_bytes
        self._events = max(_FEWEST_EVENTS, drafts_bytes // BYTES_A_DRAFTED_EVENT)
        self._tasks = 1

    def share_between(self, tasks: int) -> None:
        """Tell how many tasks share the budget from now on."""
        self._tasks = max(1, tasks)

    @property
    def devices_per_task(self) -> int:
        """How many devices one task may keep in memory."""
        return self._devices // self._tasks

    @property
    def events_per_draft(self) -> int:
        """At how many events a draft must be committed, whatever the commit policy would like."""
        return max(_FEWEST_EVENTS, self._events // self._tasks)

    @property
    def bytes_per_draft(self) -> int:
        """At how many bytes of output a draft must be committed: few events may be large ones."""
        return max(_FEWEST_BYTES, self._drafts_bytes // self._tasks)
