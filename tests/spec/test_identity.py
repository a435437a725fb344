"""Which user an event belongs to, rule by rule (docs/sessions.md, Users)."""

from tests.builders import click, ms, record
from tests.core_step import enriched, step
from worker.core.identity import MAX_LINKS, linked, unlinked, user_at
from worker.model.outputs import EnrichedEvent
from worker.model.rules import SessionRules
from worker.model.state import Link


def test_an_event_with_a_user_belongs_to_that_user() -> None:
    (event,) = enriched(click("d1", user="ann"))
    assert (event.user_id, event.user_source) == ("ann", "event")


def test_an_event_without_takes_the_user_that_the_device_is_linked_to() -> None:
    _, event = enriched(click("d1", at="10:00:00", user="ann"), click("d1", at="10:01:00"))
    assert (event.user_id, event.user_source) == ("ann", "device")


def test_a_device_that_nobody_used_has_no_user() -> None:
    (event,) = enriched(click("d1"))
    assert (event.user_id, event.user_source) == (None, None)


def test_a_link_outlives_the_session_and_the_day() -> None:
    _, event = enriched(click("d1", at="10:00:00", user="ann"), click("d1", at="72:00:00"))
    assert event.user_id == "ann"


def test_a_link_does_not_reach_another_device() -> None:
    _, event = enriched(click("d1", at="10:00:00", user="ann"), click("d2", at="10:01:00"))
    assert event.user_id is None


def test_a_blocked_user_id_links_nobody() -> None:
    events = enriched(click("d1", at="10:00:00", user="undefined"), click("d1", at="10:01:00", user="NULL"))
    assert [(event.user_id, flags(event)) for event in events] == [
        (None, {"new_device", "session_start"}),
        (None, set()),
    ]


# --- as of the event's time ---


def test_a_link_is_in_force_from_its_own_millisecond_on() -> None:
    ann, bob = click("d1", at="10:00:00.000", user="ann"), click("d1", at="10:10:00.000", user="bob")
    assert enriched(ann, bob, click("d1", at="10:09:59.999"))[-1].user_id == "ann"
    assert enriched(ann, bob, click("d1", at="10:10:00.000"))[-1].user_id == "bob"
    assert enriched(ann, bob, click("d1", at="10:10:00.001"))[-1].user_id == "bob"


def test_what_the_device_did_before_its_first_link_belongs_to_that_user() -> None:
    *_, early = enriched(click("d1", at="10:00:00", user="ann"), click("d1", at="07:00:00"))
    assert (early.user_id, early.user_source) == ("ann", "device")


def test_an_event_that_has_already_gone_out_is_not_sent_again_when_its_user_is_found() -> None:
    before, login = enriched(click("d1", at="10:00:00"), click("d1", at="10:01:00", user="ann"))
    assert (before.user_id, login.user_id) == (None, "ann")


def test_links_are_made_at_the_held_time() -> None:
    """A clock that runs ahead by a year must not give the device away for a year."""
    states = step(record(0, click("d1", at="8760:00:00", user="ann"), received_at="10:00:00")).states
    assert states["d1"].links == (Link(ms("10:05:00"), "ann"),)


# --- what changes the timeline ---


def test_the_same_user_again_is_the_same_link() -> None:
    first, again = enriched(click("d1", at="10:00:00", user="ann"), click("d1", at="10:01:00", user="ann"))
    assert flags(first) == {"new_device", "session_start", "linked"}
    assert flags(again) == set()


def test_another_user_takes_over_from_its_event_on() -> None:
    assert timeline((10, "ann"), (20, "bob")) == [(10, "ann"), (20, "bob")]


def test_another_user_at_the_very_same_time_replaces_the_link() -> None:
    assert timeline((10, "ann"), (20, "bob"), (20, "eve")) == [(10, "ann"), (20, "eve")]


def test_neighbours_of_one_user_are_one_link() -> None:
    assert timeline((10, "ann"), (20, "bob"), (20, "ann")) == [(10, "ann")]
    assert timeline((10, "ann"), (20, "bob"), (30, "ann"), (20, "ann")) == [(10, "ann")]


def test_a_change_of_neighbours_leaves_the_links_behind_them_alone() -> None:
    assert timeline((10, "ann"), (20, "bob"), (30, "ann"), (40, "eve"), (20, "ann")) == [
        (10, "ann"),
        (40, "eve"),
    ]
    assert timeline((10, "ann"), (30, "bob"), (40, "eve"), (20, "bob")) == [
        (10, "ann"),
        (20, "bob"),
        (40, "eve"),
    ]


def test_the_first_users_earlier_event_moves_the_first_link_back() -> None:
    assert timeline((10, "ann"), (5, "ann")) == [(5, "ann")]


def test_a_link_of_the_next_user_moves_back_to_an_earlier_sighting() -> None:
    assert timeline((10, "ann"), (30, "bob"), (20, "bob")) == [(10, "ann"), (20, "bob")]


def test_a_late_link_cuts_a_stretch_in_which_the_other_user_was_seen_again() -> None:
    """Ann was seen at 10 and 30; a sighting at 30 leaves no link of its own, so bob's late one takes it."""
    links = links_after((10, "ann"), (30, "ann"), (20, "bob"))
    assert user_at(links, 30) == "bob"
    in_order = links_after((10, "ann"), (20, "bob"), (30, "ann"))
    assert user_at(in_order, 30) == "ann"


def test_only_a_change_of_the_timeline_raises_the_flag() -> None:
    events = enriched(
        click("d1", at="10:00:00", user="ann"),
        click("d1", at="10:01:00"),
        click("d1", at="10:02:00", user="bob"),
        click("d1", at="10:03:00", user="bob"),
        click("d1", at="10:01:00", user="ann"),
    )
    assert ["linked" in event.flags for event in events] == [True, False, True, False, False]


# --- logout ---


LOGOUT = SessionRules(event_types={"logout": "unlink"})


def test_nobody_is_there_from_the_millisecond_after_a_logout_on() -> None:
    visit = [click("d1", at="10:00:00", user="ann"), click("d1", at="10:10:00.000", type="logout")]
    for at, user, source in (
        ("10:09:59.999", "ann", "device"),
        ("10:10:00.000", "ann", "device"),
        ("10:10:00.001", None, None),
        ("11:00:00", None, None),
    ):
        *_, logout, after = enriched(*visit, click("d1", at=at), rules=LOGOUT)
        assert (logout.user_id, logout.flags) == ("ann", ("linked",))
        assert (after.user_id, after.user_source) == (user, source)


def test_a_logout_changes_nothing_of_sessions() -> None:
    visit = [
        click("d1", at="10:00:00"),
        click("d1", at="10:10:00", type="logout"),
        click("d1", at="10:40:00"),
    ]
    assert [event.session_number for event in enriched(*visit, rules=LOGOUT)] == [1, 1, 1]


def test_a_logout_that_names_its_user_is_a_sighting_first() -> None:
    _, logout, after = enriched(
        click("d1", at="10:00:00", user="ann"),
        click("d1", at="10:10:00", user="bob", type="logout"),
        click("d1", at="10:10:00.001"),
        rules=LOGOUT,
    )
    assert (logout.user_id, logout.user_source, after.user_id) == ("bob", "event", None)
    assert timeline((10, "ann"), (20, "bob"), (20, None)) == [(10, "ann"), (20, "bob"), (21, None)]


def test_where_nobody_is_in_force_a_logout_changes_nothing() -> None:
    (alone,) = enriched(click("d1", type="logout"), rules=LOGOUT)
    assert alone.flags == ("new_device", "session_start")
    once = links_after((10, "ann"), (20, None))
    assert unlinked(once, 21) is once
    assert unlinked(once, 30) is once


def test_before_the_first_link_nobody_is_in_force_though_the_past_is_claimed() -> None:
    links = links_after((10, "ann"))
    assert user_at(links, 5) == "ann"
    assert unlinked(links, 9) is links
    assert unlinked(links, 10) == (Link(10, "ann"), Link(11, None))


def test_a_login_at_the_very_millisecond_after_a_logout_stands_whichever_comes_first() -> None:
    assert timeline((10, "ann"), (21, "bob"), (20, None)) == [(10, "ann"), (21, "bob")]
    assert timeline((10, "ann"), (20, None), (21, "bob")) == [(10, "ann"), (21, "bob")]


def test_a_login_two_milliseconds_after_a_logout_leaves_one_for_nobody() -> None:
    expected = [(10, "ann"), (21, None), (22, "bob")]
    assert timeline((10, "ann"), (22, "bob"), (20, None)) == expected
    assert timeline((10, "ann"), (20, None), (22, "bob")) == expected


def test_the_same_user_back_in_the_next_millisecond_was_never_away() -> None:
    assert timeline((10, "ann"), (20, None), (21, "ann")) == [(10, "ann")]


def test_an_earlier_logout_of_the_same_stretch_moves_it_back_and_a_later_one_changes_nothing() -> None:
    assert timeline((10, "ann"), (30, None), (20, None)) == [(10, "ann"), (21, None)]
    assert timeline((10, "ann"), (20, None), (30, None)) == [(10, "ann"), (21, None)]
    assert timeline((10, "ann"), (30, None), (40, "bob"), (20, None)) == [
        (10, "ann"),
        (21, None),
        (40, "bob"),
    ]


def test_a_logout_does_not_move_one_of_another_user() -> None:
    expected = [(10, "ann"), (21, None), (30, "bob"), (41, None)]
    assert timeline((10, "ann"), (30, "bob"), (40, None), (20, None)) == expected


def test_a_late_logout_cuts_a_stretch_in_which_the_user_was_seen_again() -> None:
    assert timeline((10, "ann"), (30, "ann"), (20, None)) == [(10, "ann"), (21, None)]
    assert timeline((10, "ann"), (20, None), (30, "ann")) == [(10, "ann"), (21, None), (30, "ann")]


def test_what_is_before_a_first_link_that_names_nobody_belongs_to_nobody() -> None:
    """Seven users after a logout push out the link before it."""
    links = links_after((1, "ann"), (2, None), *((n, f"user{n}") for n in range(10, 17)))
    assert (len(links), links[0]) == (MAX_LINKS, Link(3, None))
    assert user_at(links, 0) is None


def test_a_logout_counts_among_the_eight_links() -> None:
    eight = links_after(*((n, f"user{n}") for n in range(10, 18)))
    assert unlinked(eight, 20)[0] == Link(11, "user11")
    assert len(unlinked(eight, 20)) == MAX_LINKS


# --- how much is kept ---


def test_the_newest_eight_links_are_kept() -> None:
    eleven = [(n, f"user{n}") for n in range(11)]
    assert timeline(*eleven) == eleven[3:]


def test_an_event_older_than_eight_links_changes_nothing_and_still_has_its_own_user() -> None:
    eight = [(n, f"user{n}") for n in range(10, 18)]
    links = links_after(*eight)
    assert len(links) == MAX_LINKS
    assert linked(links, 5, "ann") is links
    visit = [click("d1", at=f"10:{n}:00", user=user) for n, user in eight]
    *_, old = enriched(*visit, click("d1", at="10:05:00", user="ann"))
    assert (old.user_id, old.user_source) == ("ann", "event")
    assert "linked" not in old.flags


def test_an_event_of_the_oldest_links_own_user_that_is_older_than_eight_links_changes_nothing() -> None:
    """Links between the two may have been given up: that it was hers all the time is not known."""
    links = links_after(*((n, "ann" if n % 2 else "bob") for n in range(11, 19)))
    assert (len(links), links[0]) == (MAX_LINKS, Link(11, "ann"))
    assert linked(links, 5, "ann") is links
    assert linked(links, 10, "ann") is links
    assert links_after(*((n, "ann" if n % 2 else "bob") for n in range(9, 20)), (5, "ann"))[0].since_ms == 12
    *_, old = enriched(
        *(click("d1", at=f"10:{n}:00", user="ann" if n % 2 else "bob") for n in range(11, 19)),
        click("d1", at="10:05:00", user="ann"),
    )
    assert (old.user_id, old.user_source, "linked" in old.flags) == ("ann", "event", False)


def test_the_first_of_seven_links_still_moves_back() -> None:
    links = links_after(*((n, f"user{n}") for n in range(11, 18)))
    assert linked(links, 5, "user11")[0] == Link(5, "user11")


def test_a_logout_older_than_eight_links_changes_nothing_even_one_that_names_its_user() -> None:
    eight = [(n, f"user{n}") for n in range(10, 18)]
    links = links_after(*eight)
    assert unlinked(links, 5) is links
    visit = [click("d1", at=f"10:{n}:00", user=user) for n, user in eight]
    late = click("d1", at="10:05:00", user="user10", type="logout")
    *_, old, after = enriched(*visit, late, click("d1", at="10:05:01"), rules=LOGOUT)
    assert (old.user_id, "linked" in old.flags) == ("user10", False)
    assert (after.user_id, after.user_source) == ("user10", "device")


def test_at_the_very_time_of_the_oldest_of_eight_links_another_user_takes_its_place() -> None:
    eight = [(n, f"user{n}") for n in range(10, 18)]
    assert timeline(*eight, (10, "ann")) == [(10, "ann"), *eight[1:]]


def test_a_late_link_within_eight_pushes_out_the_oldest_and_what_is_before_it_then_changes_nothing() -> None:
    eight = [(10 * n, f"user{n}") for n in range(10, 18)]
    pushed = [(105, "ann"), *eight[1:]]
    assert timeline(*eight, (105, "ann")) == pushed
    assert timeline(*eight, (105, "ann"), (104, "ann")) == pushed
    assert timeline(*eight, (105, "ann"), (100, "user10")) == pushed


def links_after(*sightings: tuple[int, str | None]) -> tuple[Link, ...]:
    """The timeline after these (time, user; None: a logout), in order of arrival."""
    links: tuple[Link, ...] = ()
    for t_ms, user_id in sightings:
        links = unlinked(links, t_ms) if user_id is None else linked(links, t_ms, user_id)
    return links


def timeline(*sightings: tuple[int, str | None]) -> list[tuple[int, str | None]]:
    """The same as (since, user)."""
    return [(link.since_ms, link.user_id) for link in links_after(*sightings)]


def flags(event: EnrichedEvent) -> set[str]:
    """What happened at the event."""
    return set(event.flags)
