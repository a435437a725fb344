"""A device's timeline of users equals the slow reference and keeps its shape, whatever comes."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import identity as reference
from worker.core.identity import MAX_LINKS, linked, user_at
from worker.model.state import Link

sightings = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["ann", "bob", "eve"])), max_size=40)
"""(time, user) in order of arrival; few times and users, so that they meet."""


def timeline_after(sightings: list[tuple[int, str]]) -> tuple[Link, ...]:
    """The links after these sightings."""
    links: tuple[Link, ...] = ()
    for t_ms, user_id in sightings:
        links = linked(links, t_ms, user_id)
    return links


@given(sightings, st.integers(-1, 31))
@settings(max_examples=400)
def test_the_core_equals_the_slow_reference(sightings: list[tuple[int, str]], t_ms: int) -> None:
    expected: reference.Timeline = []
    for since, user_id in sightings:
        expected = reference.linked(expected, since, user_id)
    links = timeline_after(sightings)
    assert [(link.since_ms, link.user_id) for link in links] == expected
    assert user_at(links, t_ms) == reference.user_of_event_without_one(expected, t_ms)


@given(sightings)
def test_the_timeline_is_bounded_in_order_of_time_and_its_neighbours_differ(
    sightings: list[tuple[int, str]],
) -> None:
    links = timeline_after(sightings)
    assert len(links) <= MAX_LINKS == 8
    for before, after in pairwise(links):
        assert before.since_ms < after.since_ms
        assert before.user_id != after.user_id


@given(sightings, st.tuples(st.integers(0, 30), st.sampled_from(["ann", "bob", "eve"])))
def test_an_event_is_its_own_users_until_eight_newer_links_have_pushed_its_time_out(
    sightings: list[tuple[int, str]], newest: tuple[int, str]
) -> None:
    t_ms, user_id = newest
    links = linked(timeline_after(sightings), t_ms, user_id)
    assert user_at(links, t_ms) == user_id or (len(links) == MAX_LINKS and t_ms < links[0].since_ms)


@given(sightings)
def test_the_same_sighting_twice_changes_nothing_the_second_time(sightings: list[tuple[int, str]]) -> None:
    links: tuple[Link, ...] = ()
    for t_ms, user_id in sightings:
        links = linked(links, t_ms, user_id)
        assert linked(links, t_ms, user_id) is links
