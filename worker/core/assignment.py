"""Which member of the group gets which partitions, from what each says it runs and has on its disk.

Knows partition numbers, member ids and claims; nothing of topics, Kafka or the way claims travel. Invariants,
for any claims: every partition has exactly one member; loads differ by at most one; the fewest partitions
that balance allows leave their present owner; what moves, or has no owner, goes to the member with room that
holds its state furthest; the order in which members are given changes nothing; nothing raises.

Owner and balance come before state, as in Kafka's sticky assignor: moving a partition costs its owner's live
states as well. Offsets of different partitions are compared where two want the same room: the greater one
stands for more that need not be restored.
"""

import heapq
from collections.abc import Mapping, Sequence

from msgspec import Struct, field


class Claim(Struct, frozen=True, gc=False):
    """What a member says of one partition.

    ``offset``: its local state holds what the changelog holds below it; 0 or less for no state.
    ``generation``: the assignment by which it owns the partition now; None where it does not.
    """

    offset: int = 0
    generation: int | None = None


class Member(Struct, frozen=True):
    """One member of the group: its claims by partition. One that could not be understood has none."""

    claims: Mapping[int, Claim] = field(default_factory=dict)


def assign(partitions: int, members: Mapping[str, Member]) -> dict[str, list[int]]:
    """Share out the partitions 0 to ``partitions - 1``: member id -> its partitions, ascending.

    Every member is in the answer, also one that gets nothing; claims to other partitions are ignored.
    """
    if not members:
        return {}
    sharing = _Sharing(_owners(partitions, members), sorted(members))
    claimed = [
        (-claim.offset, partition, member)
        for member in sharing.takers
        for partition, claim in members[member].claims.items()
        if claim.offset > 0 and sharing.is_movable(partition)
    ]
    for _, partition, member in sorted(claimed):
        sharing.move(partition, member)
    sharing.share_the_rest(members)
    return sharing.partitions_of


def _owners(partitions: int, members: Mapping[str, Member]) -> list[str | None]:
    """The present owner of each partition; None for nobody.

    Of two that claim it (one of them missed an assignment) it is the one with the later generation, then
    with the further state, then with the smaller id.
    """
    found: list[str | None] = [None] * max(0, partitions)
    best: list[tuple[int, int]] = [(0, 0)] * len(found)
    for member in sorted(members):
        for partition, claim in members[member].claims.items():
            if claim.generation is not None and 0 <= partition < len(found):
                rank = (claim.generation, claim.offset)
                if found[partition] is None or rank > best[partition]:
                    found[partition], best[partition] = member, rank
    return found


class _Sharing:
    """An assignment in the making: who has what, who has to give and who may take.

    A fair load is ``floor``, or one more for ``extra`` members. Whoever has more than ``floor`` gives and
    never takes, all others take and never give: so no partition moves that need not. Givers are the first to
    get the extra ones, and what all givers together have to give is exactly what the takers have room for.
    """

    def __init__(self, owner: Sequence[str | None], members: Sequence[str]) -> None:
        self._owner = owner
        self._free = {partition for partition, member in enumerate(owner) if member is None}
        self._moved: set[int] = set()
        self.partitions_of: dict[str, list[int]] = {member: [] for member in members}
        for partition, member in enumerate(owner):
            if member is not None:
                self.partitions_of[member].append(partition)
        self._load = {member: len(own) for member, own in self.partitions_of.items()}
        self._floor, extra = divmod(len(owner), len(members))
        self._givers = [member for member in members if self._load[member] > self._floor]
        self.takers = [member for member in members if self._load[member] <= self._floor]
        self._givers_to_floor = max(0, len(self._givers) - extra)
        self._takers_above_floor = max(0, extra - len(self._givers))

    def is_movable(self, partition: int) -> bool:
        """Whether it exists and has no owner, or one that has too many."""
        if not 0 <= partition < len(self._owner):
            return False
        owner = self._owner[partition]
        return owner is None or self._load[owner] > self._floor

    def move(self, partition: int, taker: str) -> None:
        """Give it to ``taker``, if it has not moved yet, its owner may still give and the taker has room."""
        owner = self._owner[partition]
        if partition in self._moved or not self._has_room(taker):
            return
        if owner is None:
            self._free.remove(partition)
        elif self._may_give(owner):
            self._give(owner, partition)
        else:
            return
        self._moved.add(partition)
        if self._load[taker] == self._floor:
            self._takers_above_floor -= 1
        self._take(taker, partition)

    def share_the_rest(self, members: Mapping[str, Member]) -> None:
        """What nobody with room has state of, to the members with the smallest load.

        A giver parts first with partitions that it has no state of itself: it was only about to restore them.
        """
        for giver in self._givers:
            claims = members[giver].claims
            own = sorted(self.partitions_of[giver], key=lambda p: (claims[p].offset <= 0, p))
            while self._may_give(giver):
                partition = own.pop()
                self._give(giver, partition)
                self._free.add(partition)
        room = [(self._load[taker], taker) for taker in self.takers if self._load[taker] <= self._floor]
        heapq.heapify(room)
        for partition in sorted(self._free):
            load, taker = room[0]
            self._take(taker, partition)
            if load < self._floor:
                heapq.heapreplace(room, (load + 1, taker))
            else:
                heapq.heappop(room)
        for own in self.partitions_of.values():
            own.sort()

    def _has_room(self, taker: str) -> bool:
        load = self._load[taker]
        return load < self._floor or (load == self._floor and self._takers_above_floor > 0)

    def _may_give(self, giver: str) -> bool:
        load = self._load[giver]
        return load > self._floor + 1 or (load == self._floor + 1 and self._givers_to_floor > 0)

    def _give(self, giver: str, partition: int) -> None:
        if self._load[giver] == self._floor + 1:
            self._givers_to_floor -= 1
        self._load[giver] -= 1
        self.partitions_of[giver].remove(partition)

    def _take(self, taker: str, partition: int) -> None:
        self._load[taker] += 1
        self.partitions_of[taker].append(partition)
