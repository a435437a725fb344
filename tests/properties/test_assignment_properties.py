"""What every assignment keeps, whatever the members say; and what joining, leaving, coming back may move."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.reference.assignment import fewest_moves, is_balanced, moves, present_owners
from worker.core.assignment import Claim, Member, assign

Assignment = dict[str, list[int]]

ids = st.sampled_from("abcdefgh")
claims = st.builds(Claim, offset=st.integers(-1, 6), generation=st.none() | st.integers(0, 3))


def groups(partitions: int, most_members: int) -> st.SearchStrategy[dict[str, Member]]:
    """Members that say anything at all, also of partitions that do not exist."""
    members = st.builds(Member, st.dictionaries(st.integers(-1, partitions + 1), claims))
    return st.dictionaries(ids, members, min_size=1, max_size=most_members)


@given(st.integers(0, 24), groups(24, 8))
def test_every_partition_has_exactly_one_member_and_loads_differ_by_at_most_one(
    partitions: int, members: dict[str, Member]
) -> None:
    shares = assign(partitions, members)
    assert shares.keys() == members.keys()
    assert sorted(p for own in shares.values() for p in own) == list(range(partitions))
    assert is_balanced(shares)
    assert all(own == sorted(own) for own in shares.values())


@given(st.integers(0, 5), groups(5, 3))
def test_no_balanced_assignment_moves_fewer_partitions(partitions: int, members: dict[str, Member]) -> None:
    shares = assign(partitions, members)
    assert moves(present_owners(partitions, members), shares) == fewest_moves(partitions, members)


@given(st.integers(0, 16), groups(16, 6), st.randoms(use_true_random=False))
def test_the_order_in_which_members_and_their_claims_are_given_changes_nothing(
    partitions: int, members: dict[str, Member], chance: random.Random
) -> None:
    order = list(members)
    chance.shuffle(order)
    again = {}
    for member in order:
        said = list(members[member].claims.items())
        chance.shuffle(said)
        again[member] = Member(dict(said))
    assert assign(partitions, again) == assign(partitions, members)


@given(st.integers(1, 16), groups(16, 6))
def test_what_moves_goes_to_the_furthest_state_unless_that_members_room_is_taken_by_state_as_far(
    partitions: int, members: dict[str, Member]
) -> None:
    shares = assign(partitions, members)
    owners = present_owners(partitions, members)
    floor = partitions // len(members)

    def state(member: str, partition: int) -> int:
        claim = members[member].claims.get(partition)
        return 0 if claim is None else max(0, claim.offset)

    taken = {member: [p for p in own if owners[p] != member] for member, own in shares.items()}
    may_take = [member for member in members if owners.count(member) <= floor]
    for taker, partition in [(taker, p) for taker, moved in taken.items() for p in moved]:
        for further in may_take:
            wanted = state(further, partition)
            if wanted > state(taker, partition):
                full = [further] if len(shares[further]) > floor else []
                one_more = [member for member in may_take if len(shares[member]) > floor]
                assert len(shares[further]) >= floor
                for rival in full or [further, *one_more]:
                    assert all(state(rival, p) >= wanted for p in taken[rival])


class Group:
    """A group over time: what it was assigned last, and the state that every machine has on its disk."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.shares: Assignment = {}
        self._state: dict[str, dict[int, int]] = {}
        self._generation = 0

    def rebalance(self, members: set[str]) -> int:
        """Assign to these members, and let each work a while; how many partitions moved between them."""
        said = {member: self._says(member) for member in members}
        owners = present_owners(self.partitions, said)
        self.shares = assign(self.partitions, said)
        self._generation += 1
        for member, own in self.shares.items():
            for partition in own:
                self._state.setdefault(member, {})[partition] = self._generation * 100 + partition
        return moves(owners, self.shares)

    def _says(self, member: str) -> Member:
        own = self.shares.get(member, [])
        state = self._state.get(member, {})
        return Member(
            {
                partition: Claim(state.get(partition, 0), self._generation if partition in own else None)
                for partition in {*own, *state}
            }
        )


changes = st.lists(ids, min_size=1, max_size=12)
"""Who joins, or leaves if it is a member, in order."""


@given(st.integers(1, 40), changes)
def test_one_that_joins_moves_at_most_its_share_and_one_that_leaves_only_what_it_had(
    partitions: int, changing: list[str]
) -> None:
    group, members = Group(partitions), {"z"}
    group.rebalance(members)
    for member in changing:
        before = {p: owner for owner, own in group.shares.items() for p in own}
        members = members ^ {member}
        moved = group.rebalance(members)
        after = {p: owner for owner, own in group.shares.items() for p in own}
        changed = {p for p in after if after[p] != before[p]}
        assert is_balanced(group.shares)
        if member in members:
            assert moved == len(changed) == len(group.shares[member]) <= -(-partitions // len(members))
        else:
            assert moved == 0
            assert changed == {p for p, owner in before.items() if owner == member}


@given(st.integers(1, 40), st.sets(ids, min_size=2), st.data())
def test_one_that_comes_back_with_its_state_gets_partitions_that_it_had(
    partitions: int, members: set[str], data: st.DataObject
) -> None:
    group = Group(partitions)
    group.rebalance(members)
    had = {member: set(own) for member, own in group.shares.items()}
    gone = data.draw(st.sampled_from(sorted(members)))
    group.rebalance(members - {gone})
    group.rebalance(members)
    assert set(group.shares[gone]) <= had[gone]
    assert len(group.shares[gone]) >= partitions // len(members)


@given(st.integers(1, 40), st.sets(ids, min_size=1))
def test_a_group_that_starts_again_with_its_state_is_as_it_was(partitions: int, members: set[str]) -> None:
    group = Group(partitions)
    group.rebalance(members)
    before, group.shares = group.shares, {}
    group.rebalance(members)
    assert group.shares == before


@given(st.integers(0, 24), groups(24, 8))
def test_an_assignment_that_everybody_accepted_is_kept(partitions: int, members: dict[str, Member]) -> None:
    shares = assign(partitions, members)
    accepted = {
        member: Member({**said.claims, **{p: Claim(0, 9) for p in shares[member]}})
        for member, said in members.items()
    }
    assert assign(partitions, accepted) == shares
