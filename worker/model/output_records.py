"""The records that a transaction sends to one partition of one topic.

Must not know how they travel, nor what is in them. Invariant: they are sent in the order in which they are
given, and whoever sends them need not make an object of each.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from worker.model.outputs import OutputRecord
from worker.model.topics import Role


class Outgoing(Protocol):
    """Records for one partition of the topic with that role, in order; there may be none."""

    @property
    def role(self) -> Role:
        """The role of their topic."""
        ...

    @property
    def partition(self) -> int:
        """Their partition of it."""
        ...

    def __len__(self) -> int:
        """How many they are."""
        ...

    def __iter__(self) -> Iterator[OutputRecord]:
        """Each of them."""
        ...


class ListedOutgoing(Struct, frozen=True):
    """``Outgoing`` that are tuples already."""

    role: Role
    partition: int
    records: Sequence[OutputRecord]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[OutputRecord]:
        return iter(self.records)
