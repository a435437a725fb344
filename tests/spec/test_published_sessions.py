"""What is published of sessions and of a device's users when events change them (docs/semantics.md)."""

from collections.abc import Mapping

from tests.builders import RawEvent, click, ms, record
from tests.enriching import DECODER
from worker.core.closing import tend
from worker.core.pipeline import StepResult, decode_records, process
from worker.model.outputs import LinkRecord
from worker.model.rules import Rules, SessionRules
from worker.model.state import DeviceState

RULES = Rules()


def published(
    *raw: RawEvent, states: Mapping[str, DeviceState] | None = None, rules: Rules = RULES
) -> StepResult:
    records = [record(offset, event) for offset, event in enumerate(raw)]
    return process(decode_records(records, DECODER), states or {}, 0, rules)


def after(*raw: RawEvent, rules: Rules = RULES) -> dict[str, DeviceState]:
    """The states that events leave."""
    return published(*raw, rules=rules).states


# --- a session merges ---


def test_a_session_that_flowed_into_another_says_into_which() -> None:
    *_, gone, survivor = published(
        click("d", "10:00:00"), click("d", "10:50:00"), click("d", "10:25:00")
    ).sessions

    assert (gone.session_number, gone.status, gone.close_reason) == (2, "merged", None)
    assert gone.merged_into == survivor.session_id
    assert (survivor.session_number, survivor.status, survivor.merged_into) == (1, "open", None)
    assert survivor.event_count == 3


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


def test_a_session_that_a_login_makes_the_device_forget_is_published_a_last_time() -> None:
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
    [closed] = tend(result.states, 0, ms("20:00:00"), rules).sessions[-1:]

    assert (closed.session_number, closed.user_id) == (2, "ann")
    assert [one.user_id for one in later.sessions] == [None]
