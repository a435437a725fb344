"""The demo's audit: passed when each event has one outcome, naming each that has none or too many."""

from typing import Any

from tests.builders import click, record
from worker.demo.audit import Audit, audit
from worker.model.outputs import DeadLetter, EnrichedEvent


def enriched(*ids: str) -> list[EnrichedEvent]:
    return [EnrichedEvent(id=id_, type="page_view", device_id="d1", timestamp=0) for id_ in ids]


def dead_letter(offset: int, index: int | None) -> DeadLetter:
    return DeadLetter(
        reason="missing_field", detail="", topic="events.raw", partition=0, offset=offset, index=index
    )


def audited(
    *contents: Any, out: list[EnrichedEvent], dead: tuple[DeadLetter, ...] = (), sent: int | None = None
) -> Audit:
    raw = [record(offset, content, received_at="10:00:00") for offset, content in enumerate(contents)]
    counted = audit(0, raw, out, dead).events_in
    return audit(counted if sent is None else sent, raw, out, dead)


def test_one_outcome_each_passes() -> None:
    batch = [click("d1", id="a"), {"id": "b"}, click("d1", id="c")]
    result = audited(batch, out=enriched("a", "c"), dead=(dead_letter(0, 1),))
    assert result.passed
    assert (result.events_in, result.enriched, result.dead_letters) == (3, 2, 1)


def test_an_event_that_did_not_come_out_is_named() -> None:
    result = audited([click("d1", id="a"), click("d1", id="b")], out=enriched("a"))
    assert not result.passed
    assert result.missing == ["b"]


def test_an_event_without_an_id_is_named_by_its_place() -> None:
    result = audited([{"type": "click"}], out=[])
    assert result.missing == ["event 0 of offset 0 in partition 0"]


def test_an_event_that_came_out_twice_is_unexpected() -> None:
    result = audited([click("d1", id="a")], out=enriched("a", "a"))
    assert not result.passed
    assert result.unexpected == ["a"]


def test_an_event_both_enriched_and_dead_lettered_is_unexpected() -> None:
    result = audited([click("d1", id="a")], out=enriched("a"), dead=(dead_letter(0, 0),))
    assert not result.passed
    assert result.unexpected == ["a"]


def test_a_dead_letter_of_no_event_is_unexpected() -> None:
    result = audited([click("d1", id="a")], out=enriched("a"), dead=(dead_letter(7, 0),))
    assert result.unexpected == ["event 0 of offset 7 in partition 0"]


def test_the_same_id_sent_twice_must_come_out_twice() -> None:
    twice = [click("d1", id="a"), click("d1", id="a")]
    assert audited(twice, out=enriched("a", "a")).passed
    assert audited(twice, out=enriched("a")).missing == ["a"]


def test_a_value_that_is_no_json_is_one_event() -> None:
    result = audited(b"<html>", out=[], dead=(dead_letter(0, None),))
    assert result.passed
    assert result.events_in == 1


def test_a_value_refused_as_a_whole_is_one_event_whatever_it_holds() -> None:
    result = audited([click("d1"), click("d1")], out=[], dead=(dead_letter(0, None),))
    assert result.passed
    assert result.events_in == 1


def test_json_that_is_no_batch_is_one_event() -> None:
    assert audited(b"42", out=[], dead=(dead_letter(0, None),)).passed
    assert audited(b"42", out=[]).missing == ["the value at offset 0 in partition 0"]


def test_an_empty_batch_holds_no_events() -> None:
    result = audited([], out=[])
    assert result.passed
    assert result.events_in == 0


def test_what_was_lost_before_the_raw_topic_counts_too() -> None:
    assert not audited([click("d1", id="a")], out=enriched("a"), sent=2).passed
