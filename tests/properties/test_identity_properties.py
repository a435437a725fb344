"""A device's timeline of users equals the slow reference and keeps its shape, whatever comes."""

from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.reference import identity as reference
from worker.core.identity import MAX_LINKS, linked, unlinked, user_at
from worker.model.state import Link

Sighting = tuple[int, str | None]
"""(time, user); None is a logout."""

times = st.integers(0, 30)
users = st.sampled_from(["ann", "bob", "eve"])
sightings = st.lists(st.tuples(times, users | st.none()), max_size=40)
"""In order of arrival; few times and users, so that they meet."""


def after(links: tuple[Link, ...], sighting: Sighting) -> tuple[Link, ...]:
    """The links after one more sighting."""
    t_ms, user_id = sighting
    return unlinked(links, t_ms) if user_id is None else linked(links, t_ms, user_id)


def timeline_after(sightings: list[Sighting]) -> tuple[Link, ...]:
    """The links after these sightings."""
    links: tuple[Link, ...] = ()
    for sighting in sightings:
        links = after(links, sighting)
    return links


@given(sightings, st.integers(-1, 32))
def test_the_core_equals_the_slow_reference(sightings: list[Sighting], t_ms: int) -> None:
    expected: reference.Timeline = []
    for since, user_id in sightings:
        if user_id is None:
            expected = reference.logged_out(expected, since)
        else:
            expected = reference.linked(expected, since, user_id)
    links = timeline_after(sightings)
    assert [(link.since_ms, link.user_id) for link in links] == expected
    assert user_at(links, t_ms) == reference.user_of_event_without_one(expected, t_ms)


@given(sightings)
def test_the_timeline_is_bounded_in_order_of_time_and_its_neighbours_differ(
    sightings: list[Sighting],
) -> None:
    links = timeline_after(sightings)
    assert len(links) <= MAX_LINKS == 8
    for before, later in pairwise(links):
        assert before.since_ms < later.since_ms
        assert before.user_id != later.user_id


@given(sightings, times, users)
def test_an_event_is_its_own_users_until_eight_newer_links_have_pushed_its_time_out(
    sightings: list[Sighting], t_ms: int, user_id: str
) -> None:
    links = linked(timeline_after(sightings), t_ms, user_id)
    assert user_at(links, t_ms) == user_id or (len(links) == MAX_LINKS and t_ms < links[0].since_ms)


@given(sightings, times, users | st.none())
def test_nothing_older_than_eight_kept_links_changes_the_timeline(
    sightings: list[Sighting], t_ms: int, user_id: str | None
) -> None:
    links = timeline_after([*sightings, *((40 + n, f"user{n}") for n in range(MAX_LINKS - 1))])
    assume(len(links) == MAX_LINKS and t_ms < links[0].since_ms)
    assert after(links, (t_ms, user_id)) is links


@given(sightings, times)
def test_after_a_logout_nobody_is_there_in_the_next_millisecond_but_who_is_known_to_have_come_then(
    sightings: list[Sighting], t_ms: int
) -> None:
    before = timeline_after(sightings)
    links = unlinked(before, t_ms)
    known_to_have_come = [link.user_id for link in before if link.since_ms == t_ms + 1]
    somebody_was_there = any(link.since_ms <= t_ms for link in before)
    if somebody_was_there and not known_to_have_come:
        assert user_at(links, t_ms + 1) is None
    else:
        assert links is before


@given(sightings)
def test_the_same_sighting_twice_changes_nothing_the_second_time(sightings: list[Sighting]) -> None:
    links: tuple[Link, ...] = ()
    for sighting in sightings:
        links = after(links, sighting)
        assert after(links, sighting) is links
