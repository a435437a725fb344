"""What a device's identity record says and when one is published (docs/outputs.md, Identities)."""

from itertools import permutations

from tests.builders import RawEvent, Record, click, ms, record, stored_session
from tests.core_step import step
from worker.core.device_step import StepResult
from worker.core.session_records import session_user
from worker.model.outputs import IdentityRecord
from worker.model.state import DeviceState, Link, Timeline

LOGINS = [click("d1", at=f"{hour:02}:00:00", user=f"u{hour}", session="s1") for hour in range(10, 18)]
"""Eight links, all in a session that a client named."""


def test_an_earlier_event_that_comes_late_publishes_the_identity_with_the_new_first_seen() -> None:
    login, early = click("d1", at="10:00:00", user="ann"), click("d1", at="09:00:00", id="early")
    result = step(early, states=step(login).states)
    (identity,) = identities(result)
    assert (identity.first_seen, identity.linked_at, identity.event_id) == (
        ms("09:00:00"),
        ms("09:00:00"),
        "early",
    )
    assert identity.links[0].since == ms("10:00:00")
    assert identity.sessions == ()
    assert "linked" not in result.enriched[0].flags
    assert result.devices_linked == 0


def test_first_seen_is_in_the_end_the_earliest_held_time_in_any_order_of_arrival() -> None:
    held = record(0, click("d1", at="20:00:00"), received_at="08:00:00")
    events: list[RawEvent | Record] = [
        click("d1", at="10:00:00", user="ann"),
        click("d1", at="09:00:00"),
        held,
    ]
    for arrival in permutations(events):
        states: dict[str, DeviceState] = {}
        published: list[IdentityRecord] = []
        for event in arrival:
            result = step(event, states=states)
            states |= result.states
            published += identities(result)
        assert published[-1].first_seen == ms("08:05:00")


def test_no_identity_is_published_for_a_late_event_that_is_not_the_earliest() -> None:
    before = step(click("d1", at="09:00:00"), click("d1", at="10:00:00", user="ann")).states
    assert identities(step(click("d1", at="09:00:00"), click("d1", at="09:30:00"), states=before)) == []


def test_a_device_without_links_has_no_identity_to_publish() -> None:
    assert identities(step(click("d1", at="10:00:00"), click("d1", at="09:00:00"))) == []


def test_an_event_that_changes_links_and_first_seen_publishes_one_record() -> None:
    result = step(click("d1", at="09:00:00", user="ann"), states=step(click("d1", user="bob")).states)
    (identity,) = identities(result)
    assert (identity.first_seen, len(identity.links)) == (ms("09:00:00"), 2)


def test_the_record_says_since_when_its_links_are_all_that_there_were() -> None:
    eight = step(*LOGINS)
    (*_, whole), (*_, cut) = (
        identities(eight),
        identities(step(click("d1", at="18:00:00", user="u18"), states=eight.states)),
    )
    assert (len(whole.links), whole.links_since) == (8, None)
    assert (len(cut.links), cut.links_since, cut.links[0].since) == (8, ms("11:00:00"), ms("11:00:00"))


def test_a_session_loses_the_user_that_the_timeline_gave_it_when_the_link_is_given_up() -> None:
    """Its record then says what a late event says; a user of its own it keeps."""
    own, page = click("d1", at="07:00:00", user="u10"), click("d1", at="10:00:00.001")
    before = step(own, page, *LOGINS[1:]).states
    result = step(click("d1", at="18:00:00", user="u18", session="s1"), states=before)
    (identity,), (lost, _) = identities(result), result.sessions
    assert users_of(result.states["d1"]) == {1: "u10", 2: None, 3: "u18"}
    assert (lost.session_number, lost.user_id) == (2, None)
    assert identity.sessions == (lost.session_id, "s1")


def test_the_start_of_a_session_claims_nobody_when_it_lies_before_the_links_that_are_kept() -> None:
    """After a logout a session is whose it was at its start; here that is not known any more."""
    session = stored_session()
    links = (Link(15, None), Link(30, "ann"))
    assert session_user(session, Timeline(links, since_ms=15)) is None


def identities(result: StepResult) -> list[IdentityRecord]:
    """The records of the identities topic, tombstones left out."""
    return [one for _, one in result.identities if one is not None]


def users_of(state: DeviceState) -> dict[int, str | None]:
    """Whose each remembered session is, by its number."""
    sessions = state.older if state.current is None else (*state.older, state.current)
    return {session.number: session_user(session, state.timeline) for session in sessions}
