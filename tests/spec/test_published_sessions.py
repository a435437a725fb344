"""What is published of sessions and of a device's users when events change them.

docs/outputs.md, Sessions and Identities.
"""

from copy import copy

import pytest

from tests.builders import RawEvent, click, ms, stored_session
from tests.core_step import published
from worker.core.closing import run_timers
from worker.core.session_changes import SessionChanges, close
from worker.core.session_records import found_users, owners_of, session_user
from worker.model.outputs import CloseReason, LinkRecord, SessionRecord
from worker.model.rules import Rules, SessionRules
from worker.model.state import DeviceState, Link, Timeline

RULES = Rules()


def after(*raw: RawEvent, rules: Rules = RULES) -> dict[str, DeviceState]:
    """The states that events leave."""
    return published(*raw, rules=rules).states


def at_the_end(*raw: RawEvent, rules: Rules = RULES) -> list[SessionRecord]:
    """The last records of the one device's sessions, when all are closed."""
    return run_timers(after(*raw, rules=rules), 0, ms("47:00:00"), rules).sessions


# --- a session merges ---


def test_a_session_that_flowed_into_another_says_into_which() -> None:
    *_, gone, survivor = published(
        click("d", "10:00:00"), click("d", "10:50:00"), click("d", "10:25:00")
    ).sessions

    assert (gone.session_number, gone.status, gone.close_reason) == (2, "merged", None)
    assert gone.merged_into == survivor.session_id
    assert (survivor.session_number, survivor.status, survivor.merged_into) == (1, "open", None)
    assert survivor.event_count == 3


# --- what it counts ---


def test_the_active_events_are_those_whose_type_is_not_passive_however_they_joined() -> None:
    rules = Rules(session=SessionRules(event_types={"ping": "passive"}))
    ping = click("d", "10:01:00", type="ping")
    for name in (None, "s1"):
        events = [click("d", "10:00:00", session="s1"), {**ping, "session_id": name} if name else ping]
        [row] = at_the_end(*events, rules=rules)
        assert (row.event_count, row.active_count) == (2, 1)


def test_a_session_of_one_active_event_is_a_bounce_whatever_passive_ones_come() -> None:
    rules = Rules(session=SessionRules(event_types={"ping": "passive"}))
    visit = [click("d", "10:00:00"), click("d", "10:20:00", type="ping")]
    assert [row.is_bounce for row in at_the_end(*visit, rules=rules)] == [True]
    assert [row.is_bounce for row in at_the_end(*visit, click("d", "10:21:00"), rules=rules)] == [False]


def test_a_session_without_an_active_event_is_a_bounce() -> None:
    rules = Rules(session=SessionRules(event_types={"ping": "passive"}))
    [row] = at_the_end(click("d", "10:00:00", session="s1", type="ping"), rules=rules)
    assert (row.active_count, row.is_bounce) == (0, True)


def test_a_session_shorter_than_the_option_is_a_bounce_too_and_one_exactly_as_long_is_none() -> None:
    rules = Rules(session=SessionRules(bounce_ms=10_000))
    for last, is_bounce in (("10:00:09.999", True), ("10:00:10.000", False)):
        [row] = at_the_end(click("d", "10:00:00"), click("d", last), rules=rules)
        assert row.is_bounce is is_bounce
    [row] = at_the_end(click("d", "10:00:00"), click("d", "10:00:00", id="e2"))
    assert not row.is_bounce, "without the option two events are none, however near"


# --- whose a session is ---


def test_a_session_that_a_late_login_reaches_is_published_with_its_user() -> None:
    anonymous = after(click("d", "10:00:00"), click("d", "11:00:00"))

    result = published(click("d", "12:00:00", user="ann"), states=anonymous)

    assert [(one.session_number, one.user_id, one.revision) for one in result.sessions] == [
        (3, "ann", 1),
        (1, "ann", 2),
        (2, "ann", 2),
    ]
    [(_, identity)] = result.identities
    assert identity is not None
    assert identity.sessions == tuple(one.session_id for one in result.sessions[1:])
    assert identity.links == (LinkRecord(ms("12:00:00"), "ann"),)
    assert (identity.user_id, identity.event_id) == ("ann", "d@12:00:00")
    assert (identity.linked_at, identity.first_seen) == (ms("12:00:00"), ms("10:00:00"))


def test_sessions_that_a_login_reaches_are_named_in_order_of_their_opening() -> None:
    states = after(click("d", "12:00:00"), click("d", "10:00:00"), click("d", "11:00:00"))
    ids = [one.session_id for one in published(click("d", "12:00:00"), click("d", "10:00:00")).sessions]

    [(_, identity)] = published(click("d", "12:10:00", user="ann"), states=states).identities

    assert identity is not None
    assert list(identity.sessions[:2]) == ids
    assert len(identity.sessions) == 3


def test_a_login_changes_no_session_that_was_given() -> None:
    visit = [click("d", "10:00:00"), click("d", "11:00:00")]
    states = after(*visit)

    published(click("d", "12:00:00", user="ann"), states=states)

    assert states == after(*visit)


def test_a_session_that_a_login_makes_the_device_evict_is_published_a_last_time() -> None:
    rules = Rules(session=SessionRules(remembered=1))
    states = after(click("d", "10:00:00"), rules=rules)

    result = published(click("d", "12:00:00", user="ann"), states=states, rules=rules)

    assert [(one.session_number, one.user_id) for one in result.sessions] == [(2, "ann"), (1, "ann")]
    assert result.states["d"].older == ()


def test_a_session_that_merges_with_a_login_is_not_published_again() -> None:
    states = after(click("d", "10:00:00"), click("d", "10:50:00"))

    result = published(click("d", "10:25:00", user="ann"), states=states)

    assert [(one.session_number, one.status) for one in result.sessions] == [(2, "merged"), (1, "open")]
    assert [one.user_id for one in result.sessions if one.status == "open"] == ["ann"]


def test_sessions_of_another_user_are_not_published_for_a_login() -> None:
    theirs = after(click("d", "10:00:00", user="ann"))

    result = published(click("d", "12:00:00", user="bob"), states=theirs)

    assert [(one.session_number, one.user_id) for one in result.sessions] == [(2, "bob")]


def test_after_a_logout_a_session_is_whose_it_was_at_its_end_else_at_its_start() -> None:
    rules = Rules(session=SessionRules(event_types={"logout": "unlink"}))
    login, logout = click("d", "10:00:00", user="ann"), click("d", "12:00:00", type="logout")

    result = published(login, click("d", "11:50:00"), logout, click("d", "12:10:00"), rules=rules)
    later = published(click("d", "14:00:00"), states=result.states, rules=rules)
    [closed] = run_timers(result.states, 0, ms("20:00:00"), rules).sessions[-1:]

    assert (closed.session_number, closed.user_id) == (2, "ann")
    assert [one.user_id for one in later.sessions] == [None]


def test_an_identity_names_the_user_of_its_newest_link() -> None:
    identities = published(click("d", "10:00:00", user="ann"), click("d", "12:00:00", user="bob")).identities
    assert [record.user_id for _, record in identities if record is not None] == ["ann", "bob"]


def test_a_closed_session_that_merges_has_no_reason_of_closing() -> None:
    states = after(click("d", "10:00:00"), click("d", "10:50:00"))
    closed = run_timers(states, 0, ms("20:00:00"), RULES).states

    for at in ("10:24:00", "10:25:00", "10:26:00"):  # it joins the one or the other
        [gone] = [
            one for one in published(click("d", at), states=closed).sessions if one.merged_into is not None
        ]
        assert (gone.session_number, gone.status, gone.close_reason) == (2, "merged", None)


def test_a_session_belongs_to_its_own_user_else_to_the_devices_at_its_end_else_at_its_start() -> None:
    session = stored_session()
    assert session_user(session, Timeline((Link(10, "ann"), Link(20, "bob")))) == "bob"
    assert session_user(session, Timeline((Link(10, "ann"), Link(20, None)))) == "ann"
    assert session_user(session, Timeline()) is None
    session.user_id = "eve"
    assert session_user(session, Timeline((Link(10, "ann"),))) == "eve"


# --- the sessions that a user change reaches ---


@pytest.fixture
def fork() -> DeviceState:
    """A device with sessions 1 and 2, of nobody, about to learn whose it is."""
    return after(click("d", "10:00:00"), click("d", "11:00:00"))["d"].fork()


def test_a_found_older_session_is_copied_and_written(fork: DeviceState) -> None:
    before, changes, (shared,) = owners_of(fork), SessionChanges(), fork.older
    fork.timeline, fork.cold_changed = Timeline((Link(ms("11:00:00"), "ann"),)), False

    found = found_users(fork, before, changes)

    assert fork.current is not None
    assert found == (shared.id, fork.current.id)
    assert changes.sessions[1] is fork.older[0] is not shared
    assert changes.sessions[2] is fork.current
    assert fork.cold_changed


def test_a_found_session_that_is_the_forks_own_already_is_not_copied(fork: DeviceState) -> None:
    before, changes = owners_of(fork), SessionChanges()
    own = copy(fork.older[0])
    own.event_count = 99
    fork.older, fork.timeline = (own,), Timeline((Link(ms("11:00:00"), "ann"),))
    changes.add(own)

    found_users(fork, before, changes)

    assert changes.sessions[1] is own is fork.older[0]


def test_a_session_is_found_as_it_is_now_not_as_it_was_before(fork: DeviceState) -> None:
    before, changes = owners_of(fork), SessionChanges()
    assert fork.current is not None
    fork.current = copy(fork.current)
    now = copy(fork.older[0])
    now.event_count = 99
    fork.older, fork.timeline = (now,), Timeline((Link(ms("11:00:00"), "ann"),))

    found_users(fork, before, changes)

    assert changes.sessions[1].event_count == 99
    assert changes.sessions[2] is fork.current


def test_a_found_session_that_is_remembered_no_longer_writes_nothing_cold(fork: DeviceState) -> None:
    before, changes = owners_of(fork), SessionChanges()
    fork.older, fork.timeline, fork.cold_changed = (), Timeline((Link(ms("11:00:00"), "ann"),)), False

    assert len(found_users(fork, before, changes)) == 2

    assert sorted(changes.sessions) == [1, 2]
    assert (fork.older, fork.cold_changed) == ((), False)


def test_a_session_that_merged_away_is_not_found(fork: DeviceState) -> None:
    before, changes = owners_of(fork), SessionChanges()
    assert fork.current is not None
    changes.merged(fork.older[0], fork.current)
    fork.older, fork.timeline = (), Timeline((Link(ms("11:00:00"), "ann"),))

    assert found_users(fork, before, changes) == (fork.current.id,)


# --- when a close is published ---


@pytest.mark.parametrize(
    ("closed", "ended", "reason", "says"),
    [
        (None, False, "inactivity", True),
        ("inactivity", False, "inactivity", False),
        ("inactivity", False, "superseded", True),
        ("end_event", True, "inactivity", False),
        ("end_event", True, "end_event", False),
        ("inactivity", True, "end_event", True),
    ],
)
def test_a_close_is_published_unless_nothing_is_new_or_an_event_has_ended_the_session(
    closed: CloseReason | None, ended: bool, reason: CloseReason, says: bool
) -> None:
    session = stored_session(ended=ended, closed=closed)
    changes = SessionChanges()

    close(session, reason, changes)

    assert list(changes.sessions) == ([1] if says else [])
    assert session.closed == (reason if says else closed)
    assert changes.closed == (closed is None)


def test_what_was_published_is_dropped_and_the_count_of_the_closed_goes_on() -> None:
    session, changes = stored_session(), SessionChanges()
    close(session, "inactivity", changes)
    changes.merged(session, copy(session))

    changes.clear()

    assert (changes.sessions, changes.merged_into, changes.closed) == ({}, {}, 1)
