"""Which user an event belongs to, rule by rule (docs/semantics.md, Identity)."""

from tests.builders import click, ms, record
from tests.enriching import enriched, step
from worker.core.identity import MAX_LINKS, linked, user_at
from worker.model.outputs import EnrichedEvent
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


def test_a_full_timeline_still_lets_its_first_link_move_back() -> None:
    links = links_after(*((n, f"user{n}") for n in range(10, 18)))
    assert linked(links, 5, "user10")[0] == Link(5, "user10")


def links_after(*sightings: tuple[int, str]) -> tuple[Link, ...]:
    """The timeline after these (time, user), in order of arrival."""
    links: tuple[Link, ...] = ()
    for t_ms, user_id in sightings:
        links = linked(links, t_ms, user_id)
    return links


def timeline(*sightings: tuple[int, str]) -> list[tuple[int, str | None]]:
    """The same as (since, user)."""
    return [(link.since_ms, link.user_id) for link in links_after(*sightings)]


def flags(event: EnrichedEvent) -> set[str]:
    """What happened at the event."""
    return set(event.flags)
