"""Which session an event belongs to, rule by rule (docs/sessions.md)."""

from uuid import RFC_4122, UUID

import pytest

from tests.builders import RawEvent, click, ms
from tests.core_step import enriched, remembered
from worker.core.sessions import session_id
from worker.model.rules import SessionRules

# --- Gap ---


def test_gap_of_exactly_thirty_minutes_continues_the_session() -> None:
    first, second = enriched(click("d1", at="10:00:00"), click("d1", at="10:30:00.000"))
    assert second.session_id == first.session_id
    assert second.event_number == 2


def test_gap_of_one_millisecond_more_opens_a_session() -> None:
    first, second = enriched(click("d1", at="10:00:00"), click("d1", at="10:30:00.001"))
    assert second.session_id != first.session_id
    assert (second.session_number, second.event_number) == (2, 1)


def test_the_gap_counts_from_the_last_event_not_from_the_start() -> None:
    events = enriched(*(click("d1", at=at) for at in ("10:00:00", "10:30:00", "11:00:00", "11:30:00")))
    assert {event.session_number for event in events} == {1}


def test_an_event_exactly_a_gap_before_the_start_joins_and_moves_the_start_back() -> None:
    first, earlier = enriched(click("d1", at="10:30:00.000"), click("d1", at="10:00:00"))
    assert earlier.session_id == first.session_id
    assert earlier.session_start == ms("10:00:00")


def test_an_event_one_millisecond_more_before_the_start_opens_a_session() -> None:
    first, earlier = enriched(click("d1", at="10:30:00.001"), click("d1", at="10:00:00"))
    assert earlier.session_id != first.session_id
    assert earlier.session_number == 2


def test_the_gap_is_an_option() -> None:
    visit = [click("d1", at="10:00:00"), click("d1", at="10:00:05.000"), click("d1", at="10:00:10.001")]
    numbers = [event.session_number for event in enriched(*visit, rules=SessionRules(gap_ms=5_000))]
    assert numbers == [1, 1, 2]


def test_of_two_sessions_in_reach_the_nearest_is_joined() -> None:
    sessions = [click("d1", at="10:00:00", session="a"), click("d1", at="10:40:00", session="b")]
    assert joined(*sessions, click("d1", at="10:19:59.999")) == "a"
    assert joined(*sessions, click("d1", at="10:20:00.001")) == "b"


def test_of_two_equally_near_the_one_that_starts_later_is_joined() -> None:
    a, b = click("d1", at="10:00:00", session="a"), click("d1", at="10:40:00", session="b")
    assert joined(a, b, click("d1", at="10:20:00.000")) == "b"
    assert joined(b, a, click("d1", at="10:20:00.000")) == "b"


def test_of_two_that_also_start_together_the_one_opened_later_is_joined() -> None:
    a, b = click("d1", at="10:00:00", session="a"), click("d1", at="10:00:00", session="b")
    assert joined(a, b, click("d1", at="10:05:00")) == "b"
    assert joined(b, a, click("d1", at="10:05:00")) == "a"
    assert joined(a, b, click("d1", at="09:55:00")) == "b"
    assert joined(b, a, click("d1", at="09:55:00")) == "a"


def test_a_session_that_contains_the_event_is_nearer_than_any_other() -> None:
    around = [click("d1", at="10:00:00", session="around"), click("d1", at="11:00:00", session="around")]
    assert (
        joined(*around, click("d1", at="10:29:59", session="close"), click("d1", at="10:30:00")) == "around"
    )


def test_of_two_that_contain_the_event_the_one_that_starts_later_is_joined() -> None:
    outer = [click("d1", at="10:00:00", session="outer"), click("d1", at="11:00:00", session="outer")]
    inner = [click("d1", at="10:20:00", session="inner"), click("d1", at="10:40:00", session="inner")]
    assert joined(*outer, *inner, click("d1", at="10:30:00")) == "inner"
    assert joined(*inner, *outer, click("d1", at="10:30:00")) == "inner"


# --- New ---


def test_an_assigned_id_is_a_uuid_of_version_8_that_begins_with_the_opening_time() -> None:
    (event,) = enriched(click("d1", at="10:00:00.123"))
    assert event.session_source == "assigned"
    uuid = UUID(event.session_id)
    assert str(uuid) == event.session_id
    assert uuid.version == 8
    assert uuid.variant == RFC_4122
    assert uuid.int >> 80 == ms("10:00:00.123")


@pytest.mark.parametrize(
    ("device_id", "t_ms", "number", "expected"),
    [
        ("d1", 1_772_445_600_000, 1, "019cadfd-8900-8009-b523-6ef48df15fd0"),
        ("d1", 1_772_445_600_000, 2, "019cadfd-8900-8824-a0d1-005f4adb9f97"),
        ("d1", 1_772_445_600_001, 1, "019cadfd-8901-8391-b589-1f80d17711e7"),
        ("d2", 1_772_445_600_000, 1, "019cadfd-8900-8847-9e52-33bc195b0bd9"),
        ("gerät-7", 99_999_999_999_999, 12_345, "5af3107a-3fff-8267-9753-811b36c03d76"),
    ],
)
def test_an_assigned_id_never_changes_from_one_release_to_the_next(
    device_id: str, t_ms: int, number: int, expected: str
) -> None:
    assert session_id(device_id, t_ms, number) == expected


def test_assigned_ids_sort_by_opening_time() -> None:
    opened_at = [ms("10:00:00") + later for later in (0, 1, 255, 256, 60_000, 10**9, 10**12)]
    ids = [session_id("d1", t_ms, 1) for t_ms in opened_at]
    assert ids == sorted(ids)
    assert session_id("d2", opened_at[0], 9) < session_id("d1", opened_at[1], 1)


def test_an_id_stays_when_the_start_moves() -> None:
    first, _, last = enriched(
        click("d1", at="10:30:00"), click("d1", at="10:10:00"), click("d1", at="10:31:00")
    )
    assert last.session_id == first.session_id
    assert (first.session_start, last.session_start) == (ms("10:30:00"), ms("10:10:00"))


def test_a_device_does_not_change_the_ids_of_another() -> None:
    alone = enriched(click("d1", at="10:00:00"), click("d1", at="11:00:00"))
    beside = enriched(
        click("d1", at="10:00:00"),
        click("d2", at="10:10:00"),
        click("d2", at="23:00:00"),
        click("d1", at="11:00:00"),
    )
    assert [event for event in beside if event.device_id == "d1"] == alone


# --- Client sessions ---


def test_a_session_that_the_client_names_keeps_its_name_whatever_the_gap() -> None:
    first, second = enriched(
        click("d1", at="08:00:00", session="s1"), click("d1", at="20:00:00", session="s1")
    )
    assert (first.session_id, second.session_id) == ("s1", "s1")
    assert first.session_source == "client"
    assert second.event_number == 2


def test_another_name_opens_another_session_within_the_gap() -> None:
    _, second = enriched(click("d1", at="10:00:00", session="s1"), click("d1", at="10:00:01", session="s2"))
    assert (second.session_id, second.session_number) == ("s2", 2)


def test_an_older_session_is_found_by_its_name() -> None:
    *_, last = enriched(
        click("d1", at="08:00:00", session="s1"),
        click("d1", at="12:00:00", session="s2"),
        click("d1", at="12:01:00", session="s1"),
    )
    assert (last.session_number, last.event_number, last.session_start) == (1, 2, ms("08:00:00"))


def test_an_event_without_a_name_joins_a_client_session_by_the_gap() -> None:
    _, within, beyond = enriched(
        click("d1", at="10:00:00", session="s1"), click("d1", at="10:30:00"), click("d1", at="11:00:00.001")
    )
    assert (within.session_id, within.session_source) == ("s1", "client")
    assert (beyond.session_number, beyond.session_source) == (2, "assigned")


def test_an_assigned_session_that_a_client_names_becomes_a_client_session() -> None:
    (first,) = enriched(click("d1", at="10:00:00"))
    _, named, after = enriched(
        click("d1", at="10:00:00"),
        click("d1", at="15:00:00", session=first.session_id),
        click("d1", at="15:10:00"),
    )
    assert {named.session_id, after.session_id} == {first.session_id}
    assert (first.session_source, named.session_source, after.session_source) == (
        "assigned",
        "client",
        "client",
    )


def test_any_other_name_opens_a_session_beside_an_assigned_one() -> None:
    first, named, after = enriched(
        click("d1", at="10:00:00"), click("d1", at="10:01:00", session="s1"), click("d1", at="10:02:00")
    )
    assert (first.session_number, first.session_source) == (1, "assigned")
    assert (named.session_id, named.session_number, named.session_cause) == ("s1", 2, "client")
    assert after.session_id == "s1", "the nearer of the two"


def test_an_evicted_name_starts_over_as_a_new_session() -> None:
    names = ["s1", "s2", "s3", "s4", "s5", "s1"]
    *_, last = enriched(*(click("d1", at=f"1{hour}:00:00", session=name) for hour, name in enumerate(names)))
    assert (last.session_id, last.session_number, last.event_number) == ("s1", 6, 1)
    assert last.session_start == ms("15:00:00")


def test_a_client_session_never_merges() -> None:
    *_, between = enriched(
        click("d1", at="10:00:00", session="a"),
        click("d1", at="10:50:00"),
        click("d1", at="10:25:00"),
    )
    assert between.session_number == 2
    sessions = remembered(
        click("d1", at="10:00:00", session="a"), click("d1", at="10:50:00"), click("d1", at="10:25:00")
    )
    assert [(session.id, session.event_count) for session in sessions] == [("a", 1), (between.session_id, 2)]


def test_a_client_session_between_two_assigned_ones_keeps_them_apart() -> None:
    two = [click("d1", at="10:00:00"), click("d1", at="10:50:00")]
    bridge = click("d1", at="10:25:00")
    assert len(remembered(*two, bridge)) == 1
    apart = remembered(*two, click("d1", at="10:24:00", session="s1"), bridge)
    assert [(session.number, session.event_count) for session in apart] == [(1, 1), (3, 2), (2, 1)]


# --- Causes ---


def test_the_devices_first_session_has_the_cause_first_also_when_the_client_named_it() -> None:
    assert causes(click("d1")) == ["first"]
    assert causes(click("d1", session="s1")) == ["first"]


def test_a_later_session_that_the_client_named_has_the_cause_client_also_when_late() -> None:
    assert causes(click("d1", at="10:00:00"), click("d1", at="01:00:00", session="s1")) == ["first", "client"]


def test_a_session_after_the_gap_has_the_cause_gap() -> None:
    assert causes(click("d1", at="10:00:00"), click("d1", at="11:00:00")) == ["first", "gap"]


def test_an_older_session_has_the_cause_late_only_beyond_gap_and_grace() -> None:
    assert causes(click("d1", at="10:35:00.000"), click("d1", at="10:00:00")) == ["first", "gap"]
    assert causes(click("d1", at="10:35:00.001"), click("d1", at="10:00:00")) == ["first", "late"]


def test_an_event_that_joins_has_no_cause() -> None:
    assert causes(click("d1", at="10:00:00"), click("d1", at="10:01:00"), click("d1", at="09:59:00")) == [
        "first",
        None,
        None,
    ]


def joined(*events: RawEvent) -> str | None:
    """The session of the last event."""
    return enriched(*events)[-1].session_id


def causes(*events: RawEvent) -> list[str | None]:
    """The cause that each event carries."""
    return [event.session_cause for event in enriched(*events)]
