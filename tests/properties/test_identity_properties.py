"""A device's timeline of users equals the slow reference and keeps its shape, whatever comes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.reference import identity as reference
from worker.core.identity import MAX_LINKS, linked, unlinked, user_at
from worker.model.state import Timeline

Sighting = tuple[int, str | None]
"""(time, user); None is a logout."""

times = st.integers(1, 30)
users = st.sampled_from(["ann", "bob", "eve"])
sightings = st.lists(st.tuples(times, users | st.none()), max_size=40)
"""In order of arrival; few times and users, so that they meet."""

many_users = st.sampled_from([f"user{n}" for n in range(12)])
many_sightings = st.lists(st.tuples(st.integers(1, 60), many_users | st.none()), min_size=12, max_size=60)
"""So many that links are given up."""


def after(timeline: Timeline, sighting: Sighting) -> Timeline:
    """The timeline after one more sighting; what is said to have changed must have."""
    t_ms, user_id = sighting
    changed = unlinked(timeline, t_ms) if user_id is None else linked(timeline, t_ms, user_id)
    assert changed != timeline
    return changed or timeline


def timeline_after(sightings: list[Sighting]) -> Timeline:
    """The timeline after these sightings."""
    timeline = Timeline()
    for sighting in sightings:
        timeline = after(timeline, sighting)
    return timeline


@given(sightings | many_sightings, st.integers(-1, 62))
def test_the_core_equals_the_slow_reference(sightings: list[Sighting], t_ms: int) -> None:
    expected = reference.NO_LINKS
    for since, user_id in sightings:
        if user_id is None:
            expected = reference.logged_out(expected, since)
        else:
            expected = reference.linked(expected, since, user_id)
    timeline = timeline_after(sightings)
    assert [(link.since_ms, link.user_id) for link in timeline.links] == expected.links
    assert timeline.since_ms == (reference.known_since(expected) or 0)
    assert user_at(timeline, t_ms) == reference.user_of_event_without_one(expected, t_ms)


@given(sightings | many_sightings)
def test_the_timeline_is_bounded_in_order_of_time_and_its_neighbours_differ(
    sightings: list[Sighting],
) -> None:
    links = timeline_after(sightings).links
    assert len(links) <= MAX_LINKS == 8
    for before, later in pairwise(links):
        assert before.since_ms < later.since_ms
        assert before.user_id != later.user_id


@given(sightings | many_sightings)
def test_what_the_timeline_is_known_since_begins_with_the_first_link_that_is_given_up_and_only_grows(
    sightings: list[Sighting],
) -> None:
    timeline = Timeline()
    for sighting in sightings:
        before, timeline = timeline, after(timeline, sighting)
        assert timeline.since_ms >= before.since_ms
        if timeline.since_ms:
            assert timeline.since_ms == timeline.links[0].since_ms
            assert before.since_ms or len(before.links) == MAX_LINKS
        elif timeline.links:
            assert timeline.links[0].user_id is not None


@given(many_sightings, st.integers(1, 60), many_users)
def test_an_event_is_its_own_users_until_newer_links_have_pushed_its_time_out(
    sightings: list[Sighting], t_ms: int, user_id: str
) -> None:
    timeline = after(timeline_after(sightings), (t_ms, user_id))
    assert user_at(timeline, t_ms) == (user_id if t_ms >= timeline.since_ms else None)


@given(many_sightings, st.integers(1, 60), many_users | st.none(), st.integers(MAX_LINKS + 1, 12))
def test_what_lies_before_the_links_that_are_kept_is_nobodys_and_nothing_there_changes_the_timeline(
    sightings: list[Sighting], before_ms: int, user_id: str | None, logins: int
) -> None:
    timeline = timeline_after([*sightings, *((70 + n, f"later{n}") for n in range(logins))])
    t_ms = timeline.since_ms - before_ms
    assert user_at(timeline, t_ms) is None
    assert after(timeline, (t_ms, user_id)) == timeline


@given(sightings | many_sightings, st.integers(1, 60))
def test_after_a_logout_nobody_is_there_in_the_next_millisecond_but_who_is_known_to_have_come_then(
    sightings: list[Sighting], t_ms: int
) -> None:
    before = timeline_after(sightings)
    timeline = after(before, (t_ms, None))
    known_to_have_come = [link.user_id for link in before.links if link.since_ms == t_ms + 1]
    somebody_was_there = any(link.since_ms <= t_ms for link in before.links)
    if somebody_was_there and not known_to_have_come:
        assert user_at(timeline, t_ms + 1) is None
    else:
        assert timeline == before


@given(sightings | many_sightings)
def test_the_same_sighting_twice_changes_nothing_the_second_time(sightings: list[Sighting]) -> None:
    timeline = Timeline()
    for sighting in sightings:
        timeline = after(timeline, sighting)
        assert after(timeline, sighting) is timeline
