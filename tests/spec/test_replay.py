"""``sessionizer replay``: records from files, in every form that a line may have."""

import json
from collections.abc import Callable

import pytest

from tests.builders import click, ms
from tests.record_times import RECORD_TIMES_MS
from tests.replay_directory import ReplayDirectory, text, wrapped

# --- The forms of a line ---


def test_a_line_is_an_event_or_an_array_of_events(replay: ReplayDirectory) -> None:
    replay.lines(text(click("d1", id="a")), text([click("d1", id="b"), click("d2", id="c")]))
    enriched = replay.enriched()
    assert [event["id"] for event in enriched] == ["a", "b", "c"]
    assert [event["event_number"] for event in enriched] == [1, 2, 1]
    assert all("received_at" not in event for event in enriched)


@pytest.mark.parametrize("as_value", [lambda batch: batch, lambda batch: json.dumps(batch)])
def test_a_wrapper_says_when_the_record_came_in(
    replay: ReplayDirectory, as_value: Callable[[object], object]
) -> None:
    batch = [click("d1", "20:00:00")]
    (event,) = replay.lines(wrapped(as_value(batch), ms("10:00:00"))).enriched()
    assert event["received_at"] == ms("10:00:00")
    assert event["flags"] == ["new_device", "session_start", "clock_skew"]


def test_what_is_inside_a_wrapper_is_taken_byte_for_byte(replay: ReplayDirectory) -> None:
    data = rb'{"n": 12345678901234567890, "f":1.0,  "s":"\u00e9"}'
    event = text(click("d1"))[:-1] + b', "data": ' + data + b"}"
    for line in (
        b'{"received_at": 1772445600000, "value": [' + event + b"]}",
        b'{"value":' + event + b',"received_at":1772445600000}',
        wrapped(f"[{event.decode()}]", 1772445600000),
    ):
        replay.lines(line).run(replay.input, "--overwrite")
        assert data in (replay.output / "enriched.ndjson").read_bytes()


def test_a_wrapper_may_say_that_the_time_or_the_value_is_missing(replay: ReplayDirectory) -> None:
    replay.lines(wrapped(click("d1"), None), wrapped(click("d1"), -1), wrapped(None, ms("10:00:00")))
    enriched = replay.enriched()
    assert ["received_at" in event for event in enriched] == [False, False]
    (letter,) = replay.read("dead-letters.ndjson")
    assert (letter["reason"], letter["received_at"]) == ("tombstone", ms("10:00:00"))


def test_only_exactly_received_at_and_value_make_a_wrapper(replay: ReplayDirectory) -> None:
    event = click("d1", received_at=5, value=[1])
    (enriched,) = replay.lines(text(event), text({"value": [click("d2")]})).enriched()
    assert enriched["extra"] == {"received_at": 5, "value": [1]}
    (letter,) = replay.read("dead-letters.ndjson")
    assert (letter["reason"], letter["offset"]) == ("missing_field", 1)


def test_every_time_that_a_raw_record_may_have_is_taken_and_one_below_1e11_counts_as_none(
    replay: ReplayDirectory,
) -> None:
    lines = [wrapped([click("d1", at=10**14 - 1), {}], time_ms) for time_ms in RECORD_TIMES_MS]
    known = [time_ms if time_ms >= 10**11 else None for time_ms in RECORD_TIMES_MS]
    enriched = replay.lines(*lines).enriched()
    assert [event.get("received_at") for event in enriched] == known
    assert [letter.get("received_at") for letter in replay.read("dead-letters.ndjson")] == known
    held = [time_ms is not None and time_ms + 300_000 < 10**14 - 1 for time_ms in known]
    assert ["clock_skew" in event.get("flags", ()) for event in enriched] == held


@pytest.mark.parametrize("levels", [600, 601, 2_000])
def test_what_nests_deeper_than_600_levels_is_no_wrapper_whatever_the_stack(
    replay: ReplayDirectory, levels: int
) -> None:
    deep = b"[" * (levels - 2) + b"]" * (levels - 2)
    replay.lines(b'{"received_at":null,"value":[%b,%b]}' % (text(click("d1")), deep))
    assert len(replay.enriched()) == (levels <= 600)
    (letter,) = replay.read("dead-letters.ndjson")
    assert (letter["reason"], letter.get("index")) == ("too_deep", 1 if levels <= 600 else 0)


@pytest.mark.parametrize(
    ("received_at", "reason"),
    [("2026-03-02", "wrong_type"), (1.5, "wrong_type"), (2**63, "timestamp_out_of_range")],
)
def test_a_wrapper_with_a_wrong_time_is_refused_and_not_guessed_at(
    replay: ReplayDirectory, received_at: object, reason: str
) -> None:
    line = wrapped([click("d1")], received_at)
    (letter,) = replay.lines(line, text(click("d2"))).dead_letters()
    assert (letter["reason"], letter["payload"]) == (reason, line.decode())
    assert letter["detail"].startswith("received_at: expected")
    assert [event["device_id"] for event in replay.read("enriched.ndjson")] == ["d2"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "empty_value"),
        (b"<html>", "malformed_json"),
        (wrapped("<html>", 1772445600000), "malformed_json"),
        (wrapped("", 1772445600000), "empty_value"),
        (wrapped(7, 1772445600000), "not_an_event_array"),
        (rb'{"received_at":1772445600000,"value":"\ud800"}', "malformed_json"),
        (b'{"received_at":1772445600000,"value":"\xff"}', "not_utf8"),
        (b'{"received_at":1772445600000,"value":[1,}', "malformed_json"),
    ],
)
def test_a_bad_line_costs_one_line(replay: ReplayDirectory, line: bytes, reason: str) -> None:
    (letter,) = replay.lines(text(click("d1")), line, text(click("d2"))).dead_letters()
    assert (letter["reason"], letter["offset"]) == (reason, 1)
    assert [event["device_id"] for event in replay.read("enriched.ndjson")] == ["d1", "d2"]


def test_a_line_may_end_as_on_windows_and_the_last_one_not_at_all(replay: ReplayDirectory) -> None:
    replay.input.write_bytes(
        b"\xef\xbb\xbf" + wrapped([click("d1")], ms("10:00:00")) + b"\r\n" + text(click("d2"))
    )
    assert [event.get("received_at") for event in replay.enriched()] == [ms("10:00:00"), None]


def test_white_space_inside_a_value_does_not_break_the_output_s_lines(replay: ReplayDirectory) -> None:
    value = json.dumps([click("d1", data={"a": 1, "b": "x"}, note=[1, 2])], indent=2)
    (event,) = replay.lines(wrapped(value, ms("10:00:00"))).enriched()
    assert event["data"] == {"a": 1, "b": "x"}
    assert event["extra"] == {"note": [1, 2]}


def test_an_empty_file_has_no_records(replay: ReplayDirectory) -> None:
    assert replay.lines().enriched() == []
    assert replay.read("dead-letters.ndjson") == []


# --- Where a record stands ---


def test_records_are_numbered_by_file_and_line_in_the_order_given(replay: ReplayDirectory) -> None:
    first, second = replay.directory / "b.ndjson", replay.directory / "a.ndjson"
    first.write_bytes(text(click("d1", id="1")) + b"\n[]\nbad\n")
    second.write_bytes(text(click("d1", id="2")) + b"\nbad\n")
    assert [event["id"] for event in replay.enriched(first, second)] == ["1", "2"]
    letters = replay.read("dead-letters.ndjson")
    places = [(letter["topic"], letter["partition"], letter["offset"]) for letter in letters]
    assert places == [("b.ndjson", 0, 2), ("a.ndjson", 0, 1)]


def test_files_of_one_name_are_kept_apart_by_their_paths(replay: ReplayDirectory) -> None:
    files = [replay.directory / day / "raw.ndjson" for day in ("monday", "tuesday")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(b"bad\n")
    assert [letter["topic"] for letter in replay.dead_letters(*files)] == [str(file) for file in files]
