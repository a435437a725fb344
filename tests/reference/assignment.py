"""What an assignment has to be, slow and obvious: every balanced one tried, and the moves counted."""

from collections.abc import Iterator, Mapping
from itertools import product

from worker.core.assignment import Member


def present_owners(partitions: int, members: Mapping[str, Member]) -> list[str | None]:
    """Who has each partition now: the latest generation, then the furthest state, then the smallest id."""
    found: list[str | None] = []
    for partition in range(partitions):
        claims = [
            (-claim.generation, -claim.offset, member)
            for member, said in members.items()
            if (claim := said.claims.get(partition)) is not None and claim.generation is not None
        ]
        found.append(min(claims)[2] if claims else None)
    return found


def is_balanced(partitions_of: Mapping[str, list[int]]) -> bool:
    """Whether no member has two partitions more than another."""
    loads = [len(own) for own in partitions_of.values()]
    return max(loads) - min(loads) <= 1


def moves(owners: list[str | None], partitions_of: Mapping[str, list[int]]) -> int:
    """How many partitions leave an owner that is still a member."""
    return sum(
        owners[partition] not in (None, member) for member, own in partitions_of.items() for partition in own
    )


def fewest_moves(partitions: int, members: Mapping[str, Member]) -> int:
    """The least that any balanced assignment needs."""
    owners = present_owners(partitions, members)
    return min(moves(owners, tried) for tried in _all_assignments(partitions, list(members)))


def _all_assignments(partitions: int, members: list[str]) -> Iterator[dict[str, list[int]]]:
    for takers in product(members, repeat=partitions):
        tried: dict[str, list[int]] = {member: [] for member in members}
        for partition, member in enumerate(takers):
            tried[member].append(partition)
        if is_balanced(tried):
            yield tried
