"""Who gets which partitions of the group (docs/operations.md, Membership)."""

from tests.reference.assignment import moves
from worker.core.assignment import Claim, Member, assign


def runs(*partitions: int, generation: int = 1, state: int = 100) -> Member:
    """A member that owns these partitions, each with state up to the same offset."""
    return Member({p: Claim(offset=state, generation=generation) for p in partitions})


def holds(state: dict[int, int]) -> Member:
    """A member that owns nothing and has the state of these partitions up to these offsets."""
    return Member({p: Claim(offset=offset) for p, offset in state.items()})


NOTHING = Member()


# --- everybody gets a share ---


def test_a_group_in_which_nobody_has_anything_shares_evenly() -> None:
    assert assign(5, {"a": NOTHING, "b": NOTHING}) == {"a": [0, 2, 4], "b": [1, 3]}
    assert assign(5, {"a": NOTHING, "b": NOTHING, "c": NOTHING}) == {"a": [0, 3], "b": [1, 4], "c": [2]}


def test_one_alone_gets_everything() -> None:
    assert assign(3, {"a": NOTHING}) == {"a": [0, 1, 2]}


def test_members_beyond_the_partitions_stand_by() -> None:
    assert assign(1, {"b": NOTHING, "a": NOTHING}) == {"a": [0], "b": []}


def test_nobody_gets_anything_where_there_is_nobody_or_nothing() -> None:
    assert assign(3, {}) == {}
    assert assign(0, {"a": runs(0)}) == {"a": []}


# --- what runs stays ---


def test_partitions_stay_with_their_owners() -> None:
    assert assign(4, {"a": runs(1, 2), "b": runs(0, 3)}) == {"a": [1, 2], "b": [0, 3]}


def test_an_owner_by_the_very_first_assignment_needs_no_state_to_be_one() -> None:
    assert assign(2, {"a": NOTHING, "b": runs(0, generation=0, state=0)}) == {"a": [1], "b": [0]}


def test_further_state_elsewhere_takes_no_partition_from_its_owner() -> None:
    assert assign(2, {"a": runs(0, state=5), "b": Member({1: Claim(9, 1), 0: Claim(9)})}) == {
        "a": [0],
        "b": [1],
    }


def test_one_that_joins_gets_its_share_and_nothing_else_moves() -> None:
    shares = assign(6, {"a": runs(0, 1, 2), "b": runs(3, 4, 5), "c": NOTHING})
    assert {member: len(own) for member, own in shares.items()} == {"a": 2, "b": 2, "c": 2}
    assert set(shares["a"]) < {0, 1, 2}
    assert set(shares["b"]) < {3, 4, 5}


def test_the_one_partition_more_stays_with_who_has_it() -> None:
    assert assign(5, {"a": runs(0, 1), "b": runs(2, 3, 4)}) == {"a": [0, 1], "b": [2, 3, 4]}


def test_what_its_owner_has_not_restored_yet_is_given_away_first() -> None:
    restoring = Member({0: Claim(0, 1), 1: Claim(700, 1), 2: Claim(900, 1)})
    assert assign(3, {"a": restoring, "b": NOTHING}) == {"a": [1, 2], "b": [0]}
    begun = Member({0: Claim(0, 1), 1: Claim(1, 1)})
    assert assign(2, {"a": begun, "b": NOTHING}) == {"a": [1], "b": [0]}


def test_of_equally_loaded_owners_the_first_gives_whatever_the_order_in_which_they_are_given() -> None:
    members = {"c": NOTHING, "b": runs(2, 3), "a": runs(0, 1)}
    assert assign(4, members) == {"a": [0], "b": [2, 3], "c": [1]}


def test_what_nobody_has_is_shared_in_order_of_its_number_to_the_smallest_load() -> None:
    members = {"a": runs(0, 2, 3, 4), "b": runs(5, 6, 7)}
    assert assign(9, members) == {"a": [0, 2, 3, 4, 8], "b": [1, 5, 6, 7]}


# --- what moves goes to its state ---


def test_a_partition_without_an_owner_goes_to_the_furthest_state() -> None:
    members = {"a": holds({0: 10, 1: 10}), "b": holds({0: 30, 1: 5}), "c": holds({1: 9})}
    assert assign(2, members) == {"a": [1], "b": [0], "c": []}


def test_equally_far_state_is_settled_by_the_member_id() -> None:
    assert assign(1, {"b": holds({0: 7}), "a": holds({0: 7})}) == {"a": [0], "b": []}


def test_one_that_has_room_for_one_takes_that_which_it_holds_furthest() -> None:
    members = {"a": runs(0, 1), "b": Member({2: Claim(50, 1), 3: Claim(10), 4: Claim(20)})}
    assert assign(5, members | {"c": NOTHING}) == {"a": [0, 1], "b": [2, 4], "c": [3]}


def test_one_that_comes_back_gets_what_it_had() -> None:
    members = {"a": runs(0, 1, 4), "b": runs(2, 3, 5), "c": holds({4: 60, 5: 60})}
    assert assign(6, members) == {"a": [0, 1], "b": [2, 3], "c": [4, 5]}


def test_an_owner_gives_what_another_holds_and_not_more_than_it_has_too_many() -> None:
    members = {"a": runs(0, 1, 4), "b": runs(2, 3, 5), "c": holds({0: 50, 1: 50, 2: 60})}
    assert assign(6, members) == {"a": [1, 4], "b": [3, 5], "c": [0, 2]}
    members["c"] = holds({0: 60, 1: 50})
    assert assign(6, members) == {"a": [1, 4], "b": [2, 3], "c": [0, 5]}


def test_partitions_more_than_even_go_to_the_furthest_state_one_to_each_member() -> None:
    assert assign(3, {"a": NOTHING, "b": holds({0: 9, 1: 8})}) == {"a": [2], "b": [0, 1]}
    members = {"a": holds({0: 9, 1: 8}), "b": holds({2: 7, 3: 6}), "c": NOTHING}
    assert assign(4, members) == {"a": [0, 1], "b": [2], "c": [3]}
    assert assign(5, members) == {"a": [0, 1], "b": [2, 3], "c": [4]}
    members = {"a": holds({0: 9, 1: 8, 2: 7}), "b": NOTHING, "c": NOTHING}
    assert assign(5, members) == {"a": [0, 1], "b": [2, 4], "c": [3]}


def test_no_state_brings_a_partition_more_where_owners_have_them_all() -> None:
    members = {"a": holds({3: 9, 4: 8, 5: 7}), "b": runs(0, 1, 2), "c": NOTHING}
    assert assign(7, members) == {"a": [3, 4], "b": [0, 1, 2], "c": [5, 6]}


def test_room_counts_for_more_than_state() -> None:
    shares = assign(4, {"a": holds({0: 9, 1: 9, 2: 9, 3: 9}), "b": NOTHING})
    assert shares == {"a": [0, 1], "b": [2, 3]}


def test_a_member_without_claims_is_one_that_holds_nothing() -> None:
    assert assign(2, {"a": NOTHING, "b": holds({0: 1})}) == {"a": [1], "b": [0]}


def test_a_claim_of_no_state_gets_nothing_for_it() -> None:
    assert assign(1, {"a": NOTHING, "b": holds({0: 0})}) == {"a": [0], "b": []}


# --- claims that cannot both be true ---


def test_of_two_owners_the_later_generation_counts() -> None:
    stale = runs(0, 1, generation=3, state=900)
    assert assign(2, {"a": stale, "b": runs(0, generation=4)}) == {"a": [1], "b": [0]}


def test_of_two_owners_of_one_generation_the_further_state_counts_then_the_id() -> None:
    assert assign(1, {"a": runs(0, state=1), "b": runs(0, state=2)}) == {"a": [], "b": [0]}
    assert assign(1, {"b": runs(0), "a": runs(0)}) == {"a": [0], "b": []}


def test_claims_of_partitions_that_do_not_exist_count_for_nothing() -> None:
    assert assign(2, {"a": runs(-1, 2, 7), "b": holds({-3: 9, 2: 9})}) == {"a": [0], "b": [1]}


# --- many ---


def test_two_hundred_joins_one_after_another_move_no_more_than_each_ones_share() -> None:
    owners: list[str | None] = [None] * 1_000
    members: dict[str, Member] = {}
    for generation in range(200):
        newcomer = f"worker-{generation:03d}"
        shares = assign(1_000, {**members, newcomer: NOTHING})
        assert moves(owners, shares) == (len(shares[newcomer]) if generation else 0)
        members = {member: runs(*own, generation=generation) for member, own in shares.items()}
        for member, own in shares.items():
            for partition in own:
                owners[partition] = member
    assert {len(member.claims) for member in members.values()} == {5}
