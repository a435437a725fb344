"""Which user an event belongs to, rule by rule (docs/sessions.md, Users)."""

from tests.builders import click, ms, record
from tests.core_step import enriched, step
from worker.core.identity import MAX_LINKS, linked, unlinked, user_at
from worker.model.outputs import EnrichedEvent
from worker.model.rules import SessionRules
from worker.model.state import Link, Timeline


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
    assert states["d1"].timeline.links == (Link(ms("10:05:00"), "ann"),)


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
    cut = timeline_after((10, "ann"), (30, "ann"), (20, "bob"))
    assert user_at(cut, 30) == "bob"
    in_order = timeline_after((10, "ann"), (20, "bob"), (30, "ann"))
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
    once = timeline_after((10, "ann"), (20, None))
    assert unlinked(once, 21) is None
    assert unlinked(once, 30) is None


def test_before_the_first_link_nobody_is_in_force_though_the_past_is_claimed() -> None:
    timeline = timeline_after((10, "ann"))
    assert user_at(timeline, 5) == "ann"
    assert unlinked(timeline, 9) is None
    assert unlinked(timeline, 10) == Timeline((Link(10, "ann"), Link(11, None)))


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


def test_a_logout_counts_among_the_eight_links() -> None:
    eight = timeline_after(*EIGHT)
    after = unlinked(eight, 200) or eight
    assert (after.links[0], len(after.links)) == (Link(110, "user11"), MAX_LINKS)
    assert user_at(after, 109) is None


# --- how much is kept ---


EIGHT = [(10 * n, f"user{n}") for n in range(10, 18)]
"""At 100, 110, ..., 170."""


def test_the_newest_eight_links_are_kept() -> None:
    eleven = [(n, f"user{n}") for n in range(1, 12)]
    assert timeline(*eleven) == eleven[3:]


def test_what_lies_before_the_links_that_are_kept_is_nobodys_once_one_was_given_up() -> None:
    logins = [click("d1", at=f"{9 + n:02}:00:00", user=f"u{n}") for n in range(10)]
    first = [click("d1", at="08:00:00", user="u0"), click("d1", at="08:10:00")]
    _, page, *_ = enriched(*first)
    *_, late = enriched(*first, *logins[1:], click("d1", at="08:05:00"))
    assert (page.user_id, page.user_source) == ("u0", "device")
    assert (late.user_id, late.user_source) == (None, None)


def test_eight_links_give_nothing_up_and_the_past_is_the_first_ones() -> None:
    eight = timeline_after(*EIGHT)
    assert (len(eight.links), eight.since_ms, user_at(eight, 1)) == (MAX_LINKS, 0, "user10")


def test_with_the_ninth_link_the_oldest_that_is_kept_is_where_the_timeline_begins() -> None:
    nine = timeline_after(*EIGHT, (180, "user18"))
    assert (nine.since_ms, nine.links[0]) == (110, Link(110, "user11"))
    assert [user_at(nine, t_ms) for t_ms in (1, 100, 109, 110)] == [None, None, None, "user11"]


def test_an_older_event_of_the_first_links_own_user_moves_it_back_though_there_are_eight() -> None:
    assert timeline(*EIGHT, (50, "user10")) == [(50, "user10"), *EIGHT[1:]]
    assert timeline_after(*EIGHT, (50, "user10")).since_ms == 0


def test_an_older_event_of_another_user_is_a_ninth_link_and_is_given_up_with_the_claim() -> None:
    """It was not the first link's user all the time, so that one claims the past no more."""
    timeline = timeline_after(*EIGHT, (50, "ann"))
    assert (timeline.links, timeline.since_ms) == (timeline_after(*EIGHT).links, 100)
    assert user_at(timeline, 70) is None
    visit = [click("d1", at=f"{n}:00:00", user=user) for n, (_, user) in enumerate(EIGHT, 10)]
    *_, old, page = enriched(*visit, click("d1", at="09:00:00", user="ann"), click("d1", at="09:30:00"))
    assert (old.user_id, old.user_source, "linked" in old.flags) == ("ann", "event", True)
    assert page.user_id is None


def test_once_links_were_given_up_nothing_older_changes_the_timeline_and_it_still_has_its_own_user() -> None:
    """Not of the oldest kept link's own user either: that it was theirs all the time is not known."""
    nine = timeline_after(*EIGHT, (180, "user18"))
    for user in ("ann", "user11"):
        assert linked(nine, 109, user) is None
    assert unlinked(nine, 109) is None
    visit = [click("d1", at=f"{n}:00:00", user=f"user{n}") for n in range(10, 19)]
    late = click("d1", at="10:30:00", user="user11", type="logout")
    *_, old, after = enriched(*visit, late, click("d1", at="10:30:01"), rules=LOGOUT)
    assert (old.user_id, old.user_source, "linked" in old.flags) == ("user11", "event", False)
    assert (after.user_id, after.user_source) == (None, None)


def test_what_was_given_up_stays_so_when_links_become_fewer() -> None:
    """A correction at the very time of a link may make one of two."""
    nine = timeline_after(*EIGHT, (180, "user18"))
    fewer = linked(nine, 120, "user11") or nine
    assert (len(fewer.links), fewer.since_ms) == (MAX_LINKS - 1, 110)
    assert user_at(fewer, 105) is None
    assert linked(fewer, 105, "user10") is None


def test_the_first_of_seven_links_moves_back() -> None:
    assert timeline(*EIGHT[:7], (50, "user10"))[0] == (50, "user10")


def test_at_the_very_time_of_the_oldest_of_eight_links_another_user_takes_its_place() -> None:
    assert timeline(*EIGHT, (100, "ann")) == [(100, "ann"), *EIGHT[1:]]
    assert timeline_after(*EIGHT, (100, "ann")).since_ms == 0


def test_a_late_link_within_eight_pushes_out_the_oldest_and_what_is_before_it_then_changes_nothing() -> None:
    pushed = [(105, "ann"), *EIGHT[1:]]
    assert timeline(*EIGHT, (105, "ann")) == pushed
    assert timeline(*EIGHT, (105, "ann"), (104, "ann")) == pushed
    assert timeline(*EIGHT, (105, "ann"), (100, "user10")) == pushed


def timeline_after(*sightings: tuple[int, str | None]) -> Timeline:
    """The timeline after these (time, user; None: a logout), in order of arrival."""
    timeline = Timeline()
    for t_ms, user_id in sightings:
        changed = unlinked(timeline, t_ms) if user_id is None else linked(timeline, t_ms, user_id)
        timeline = changed or timeline
    return timeline


def timeline(*sightings: tuple[int, str | None]) -> list[tuple[int, str | None]]:
    """Its links as (since, user)."""
    return [(link.since_ms, link.user_id) for link in timeline_after(*sightings).links]


def flags(event: EnrichedEvent) -> set[str]:
    """What happened at the event."""
    return set(event.flags)
