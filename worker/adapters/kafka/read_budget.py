"""How much memory one consumer may fill with records that it decompresses.

Decides when a poll is full, and which partitions may have a batch partly decompressed. Knows nothing of
codecs and records. Invariants: partly decompressed batches hold at most ``unfinished_bytes`` together, or
there is only one; a poll that has no record yet always gets a piece.
"""

import sys

UNFINISHED_BYTES = 32 * 1024 * 1024


class ReadBudget:
    """The budget of one consumer. Without arguments nothing is limited."""

    def __init__(
        self,
        *,
        most_value_bytes: int = sys.maxsize,
        unfinished_bytes: int = sys.maxsize,
        poll_records: int = 0,
    ) -> None:
        """``most_value_bytes``: of a larger value only the beginning is wanted, if its size is known in time.

        ``poll_records``: the most for a poll, or by a piece more; 0 = any number.
        """
        self.most_value_bytes = most_value_bytes
        self._unfinished_bytes = unfinished_bytes
        self._poll_records = poll_records or sys.maxsize
        self._holders: dict[object, int] = {}
        self._waiting = False
        self._bytes_left = sys.maxsize
        self._records_left = self._poll_records

    # --- one poll ---

    def begin_poll(self, most_bytes: int) -> None:
        """Start to count for the next poll."""
        self._bytes_left, self._records_left = most_bytes, self._poll_records
        self._waiting = False

    @property
    def left(self) -> tuple[int, int]:
        """(records, bytes) that may still be decompressed for this poll, but at least one of each."""
        return max(1, self._records_left), max(1, self._bytes_left)

    @property
    def poll_is_full(self) -> bool:
        """Whether no more should be decompressed for this poll."""
        return self._bytes_left <= 0 or self._records_left <= 0

    def count(self, records: int, size_bytes: int) -> None:
        """Count a piece of this poll."""
        self._records_left -= records
        self._bytes_left -= size_bytes

    # --- batches that are decompressed in several pieces ---

    def admit(self, holder: object, held_bytes: int) -> bool:
        """Whether ``holder`` may keep a batch of so many bytes partly decompressed, until ``release``."""
        held = sum(self._holders.values())
        if self._holders and held + held_bytes > self._unfinished_bytes:
            self._waiting = True
            return False
        self._holders[holder] = held_bytes
        return True

    def release(self, holder: object) -> None:
        """The holder's batch is finished, or dropped."""
        self._holders.pop(holder, None)

    @property
    def unfinished_bytes(self) -> int:
        """What partly decompressed batches hold at the moment."""
        return sum(self._holders.values())

    @property
    def has_waiting(self) -> bool:
        """Whether in this poll a batch had to wait for memory that others hold."""
        return self._waiting
