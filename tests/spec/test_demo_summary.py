"""The demo's summary: what is lost is on the screen by name, and the files hold what was counted."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.builders import click, record
from worker.demo.audit import Audit
from worker.demo.summary import Figures, describe, write_raw, write_values


def summary(*, missing: Sequence[str] = (), unexpected: Sequence[str] = (), sent: int = 12) -> str:
    audit = Audit(
        events_sent=sent, events_in=12, enriched=10, dead_letters=2, missing=missing, unexpected=unexpected
    )
    figures = Figures(
        audit=audit,
        batches=5,
        reasons=Counter({"missing_field": 1, "data_nested": 1}),
        devices=3,
        sessions=1_206,
        sessions_closed=1_203,
        sessions_merged=1,
        sessions_open=2,
        devices_linked=1,
        out_of_order=0,
        late=0,
        events_per_s=None,
    )
    return describe(figures).plain


def test_says_that_every_event_has_one_outcome_only_where_it_is_so() -> None:
    assert "every event has exactly one outcome" in summary()
    assert "every event has exactly one outcome" not in summary(missing=["e7"])
    assert "every event has exactly one outcome" not in summary(unexpected=["e7"])
    assert "every event has exactly one outcome" not in summary(sent=13)


def test_names_the_events_that_are_lost_or_too_many() -> None:
    text = summary(missing=["lost-1", "lost-2"], unexpected=["twice-1"])
    assert "missing                   2" in text
    assert "unexpected                1" in text
    assert all(id_ in text for id_ in ("lost-1", "lost-2", "twice-1"))


def test_says_how_many_more_are_lost_than_it_names() -> None:
    assert "and 90 more" in summary(missing=[f"lost-{number}" for number in range(100)])


def test_says_what_never_arrived_in_the_raw_topic() -> None:
    assert "but 13 were sent" in summary(sent=13)


def test_says_what_became_of_every_session_that_was_opened() -> None:
    assert "sessions              1,206   opened; 1,203 closed, 2 open, 1 merged\n" in summary()


def test_gives_no_rate_where_the_run_was_too_short() -> None:
    assert "events a second" not in summary()


def test_writes_values_as_they_are(tmp_path: Path) -> None:
    write_values(tmp_path / "out", [record(0, b'{"id":"a"}'), record(1, b'{"id":"b"}')])
    assert (tmp_path / "out").read_bytes() == b'{"id":"a"}\n{"id":"b"}\n'


def test_writes_raw_records_in_order_of_arrival_with_what_cannot_be_read(tmp_path: Path) -> None:
    batch = [click("d1", "10:00:00")]
    later = record(0, batch, received_at="10:00:02", partition=0)
    earlier = record(0, b"<html>", received_at="10:00:01", partition=1)
    write_raw(tmp_path / "raw", [later, earlier])
    lines = [msgspec.json.decode(line) for line in (tmp_path / "raw").read_bytes().splitlines()]
    assert [line["value"] for line in lines] == ["<html>", msgspec.json.encode(batch).decode()]
    assert [line["received_at"] for line in lines] == [earlier.timestamp, later.timestamp]
