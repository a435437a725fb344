"""``sessionizer replay``: records from files, in every form that a line may have, through the same core."""

import gzip
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.builders import click, ms
from tests.commands import Ended, Sessionizer
from tests.waiting import wait_until
from worker.adapters.file_lines import LineFile
from worker.demo.traffic import make_traffic
from worker.replay import OUTPUTS

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Lines = list[dict[str, Any]]


def text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def wrapped(value: object, received_at: object) -> bytes:
    return text({"received_at": received_at, "value": value})


class Replaying:
    """A directory with an input file, and what came of it."""

    def __init__(self, sessionizer: Sessionizer, directory: Path) -> None:
        self._sessionizer = sessionizer
        self.directory = directory
        self.input = directory / "raw.ndjson"
        self.output = directory / "out"

    def lines(self, *lines: bytes) -> "Replaying":
        self.input.write_bytes(b"".join(line + b"\n" for line in lines))
        return self

    def run(self, *arguments: object, **variables: str) -> Ended:
        return self._sessionizer(
            "replay", *(arguments or (self.input,)), "--output", self.output, **variables
        )

    def enriched(self, *arguments: object, **variables: str) -> Lines:
        ended = self.run(*arguments, **variables)
        assert ended.code == 0, ended.err
        return self.read("enriched.ndjson")

    def dead_letters(self, *arguments: object, **variables: str) -> Lines:
        ended = self.run(*arguments, **variables)
        assert ended.code == 0, ended.err
        return self.read("dead-letters.ndjson")

    def read(self, name: str) -> Lines:
        return [json.loads(line) for line in (self.output / name).read_bytes().splitlines()]

    def left_behind(self) -> list[str]:
        return sorted(path.name for path in self.output.iterdir()) if self.output.exists() else []


@pytest.fixture
def replaying(sessionizer: Sessionizer, tmp_path: Path) -> Replaying:
    return Replaying(sessionizer, tmp_path)


# --- The forms of a line ---


def test_a_line_is_an_event_or_an_array_of_events(replaying: Replaying) -> None:
    replaying.lines(text(click("d1", id="a")), text([click("d1", id="b"), click("d2", id="c")]))
    enriched = replaying.enriched()
    assert [event["id"] for event in enriched] == ["a", "b", "c"]
    assert [event["event_number"] for event in enriched] == [1, 2, 1]
    assert all("received_at" not in event for event in enriched)


@pytest.mark.parametrize("as_value", [lambda batch: batch, lambda batch: json.dumps(batch)])
def test_a_wrapper_tells_when_the_record_came_in(
    replaying: Replaying, as_value: Callable[[object], object]
) -> None:
    batch = [click("d1", "20:00:00")]
    (event,) = replaying.lines(wrapped(as_value(batch), ms("10:00:00"))).enriched()
    assert event["received_at"] == ms("10:00:00")
    assert event["flags"] == ["new_device", "session_start", "clock_skew"]


def test_what_is_inside_a_wrapper_is_taken_byte_for_byte(replaying: Replaying) -> None:
    data = rb'{"n": 12345678901234567890, "f":1.0,  "s":"\u00e9"}'
    event = text(click("d1"))[:-1] + b', "data": ' + data + b"}"
    for line in (
        b'{"received_at": 1772445600000, "value": [' + event + b"]}",
        b'{"value":' + event + b',"received_at":1772445600000}',
        wrapped(f"[{event.decode()}]", 1772445600000),
    ):
        replaying.lines(line).run(replaying.input, "--overwrite")
        assert data in (replaying.output / "enriched.ndjson").read_bytes()


def test_a_wrapper_may_say_that_the_time_or_the_value_is_missing(replaying: Replaying) -> None:
    replaying.lines(wrapped(click("d1"), None), wrapped(click("d1"), -1), wrapped(None, ms("10:00:00")))
    enriched = replaying.enriched()
    assert ["received_at" in event for event in enriched] == [False, False]
    (letter,) = replaying.read("dead-letters.ndjson")
    assert (letter["reason"], letter["received_at"]) == ("tombstone", ms("10:00:00"))


def test_only_exactly_received_at_and_value_make_a_wrapper(replaying: Replaying) -> None:
    event = click("d1", received_at=5, value=[1])
    (enriched,) = replaying.lines(text(event), text({"value": [click("d2")]})).enriched()
    assert enriched["extra"] == {"received_at": 5, "value": [1]}
    (letter,) = replaying.read("dead-letters.ndjson")
    assert (letter["reason"], letter["offset"]) == ("missing_field", 1)


@pytest.mark.parametrize(
    ("received_at", "reason"),
    [("2026-03-02", "wrong_type"), (1.5, "wrong_type"), (1_772_445_600_000_000, "timestamp_out_of_range")],
)
def test_a_wrapper_with_a_wrong_time_is_refused_and_not_guessed_at(
    replaying: Replaying, received_at: object, reason: str
) -> None:
    line = wrapped([click("d1")], received_at)
    (letter,) = replaying.lines(line, text(click("d2"))).dead_letters()
    assert (letter["reason"], letter["payload"]) == (reason, line.decode())
    assert letter["detail"].startswith("received_at: expected")
    assert [event["device_id"] for event in replaying.read("enriched.ndjson")] == ["d2"]


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
def test_a_bad_line_costs_one_line(replaying: Replaying, line: bytes, reason: str) -> None:
    (letter,) = replaying.lines(text(click("d1")), line, text(click("d2"))).dead_letters()
    assert (letter["reason"], letter["offset"]) == (reason, 1)
    assert [event["device_id"] for event in replaying.read("enriched.ndjson")] == ["d1", "d2"]


def test_a_line_may_end_as_on_windows_and_the_last_one_not_at_all(replaying: Replaying) -> None:
    replaying.input.write_bytes(
        b"\xef\xbb\xbf" + wrapped([click("d1")], ms("10:00:00")) + b"\r\n" + text(click("d2"))
    )
    assert [event.get("received_at") for event in replaying.enriched()] == [ms("10:00:00"), None]


def test_white_space_inside_a_value_does_not_break_the_output_s_lines(replaying: Replaying) -> None:
    value = json.dumps([click("d1", data={"a": 1, "b": "x"}, note=[1, 2])], indent=2)
    (event,) = replaying.lines(wrapped(value, ms("10:00:00"))).enriched()
    assert event["data"] == {"a": 1, "b": "x"}
    assert event["extra"] == {"note": [1, 2]}


def test_an_empty_file_has_no_records(replaying: Replaying) -> None:
    assert replaying.lines().enriched() == []
    assert replaying.read("dead-letters.ndjson") == []


# --- Where a record stands ---


def test_records_are_numbered_by_file_and_line_in_the_order_given(replaying: Replaying) -> None:
    first, second = replaying.directory / "b.ndjson", replaying.directory / "a.ndjson"
    first.write_bytes(text(click("d1", id="1")) + b"\n[]\nbad\n")
    second.write_bytes(text(click("d1", id="2")) + b"\nbad\n")
    assert [event["id"] for event in replaying.enriched(first, second)] == ["1", "2"]
    letters = replaying.read("dead-letters.ndjson")
    places = [(letter["topic"], letter["partition"], letter["offset"]) for letter in letters]
    assert places == [("b.ndjson", 0, 2), ("a.ndjson", 0, 1)]


def test_files_of_one_name_are_told_apart_by_their_paths(replaying: Replaying) -> None:
    files = [replaying.directory / day / "raw.ndjson" for day in ("monday", "tuesday")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(b"bad\n")
    assert [letter["topic"] for letter in replaying.dead_letters(*files)] == [str(file) for file in files]


# --- Packed files ---


def packed(directory: Path, content: bytes, packing: str) -> Path:
    half = len(content) // 2
    path = directory / f"raw.ndjson.{packing}"
    pack = gzip.compress if packing == "gz" else zstd.compress
    path.write_bytes(pack(content[:half]) + pack(content[half:]))  # as `cat a.gz b.gz` makes it
    return path


@pytest.fixture(scope="module")
def traffic() -> bytes:
    """5,000 events of the demo, one wrapper a line."""
    records = make_traffic(5_000, seed=3, now_ms=1_772_409_600_000).records
    return b"".join(wrapped(record.value.decode(), record.timestamp_ms) + b"\n" for record in records)


@pytest.mark.parametrize("packing", ["gz", "zst"])
@pytest.mark.parametrize("renamed", [False, True])
def test_a_packed_file_gives_the_same_whatever_its_name(
    replaying: Replaying, traffic: bytes, packing: str, renamed: bool
) -> None:
    replaying.lines(traffic[:-1]).run()
    plain = (replaying.output / "enriched.ndjson").read_bytes()
    path = packed(replaying.directory, traffic, packing)
    if renamed:
        path = path.rename(replaying.directory / "raw")
    assert replaying.run(path, "--overwrite").code == 0
    assert (replaying.output / "enriched.ndjson").read_bytes() == plain


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_packed_file_that_was_cut_off_is_told_with_its_place(
    replaying: Replaying, traffic: bytes, packing: str
) -> None:
    path = packed(replaying.directory, traffic * 4, packing)
    size = path.stat().st_size
    os.truncate(path, size - 30)
    ended = replaying.run(path)
    assert ended.code == 1
    assert ended.out == ""
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"{path}: after line ")
    assert f"near byte {size - 30:,} of {size - 30:,}: " in line
    assert "cut off" in line
    assert replaying.left_behind() == []


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_damaged_packed_file_is_told_in_one_line(
    replaying: Replaying, traffic: bytes, packing: str
) -> None:
    path = packed(replaying.directory, traffic, packing)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 400] = bytes(400)
    path.write_bytes(content)
    ended = replaying.run(path)
    assert ended.code == 1
    assert "data is damaged: " in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    assert replaying.left_behind() == []


def test_a_file_whose_name_promises_a_packing_that_it_has_not_is_damaged(replaying: Replaying) -> None:
    path = replaying.directory / "raw.gz"
    path.write_bytes(text(click("d1")))
    ended = replaying.run(path)
    assert ended.code == 1
    assert f"{path}: after line 0" in ended.err


# --- Files that cannot be used ---


def test_all_unfit_files_are_told_at_once_before_anything_is_done(replaying: Replaying) -> None:
    replaying.output.mkdir()
    (replaying.output / "enriched.ndjson").write_text("mine")
    missing = replaying.directory / "missing.ndjson"
    ended = replaying.run(missing, replaying.directory)
    assert ended.code == 2
    assert ended.err.splitlines() == [
        f"{missing}: cannot be read: No such file or directory",
        f"{replaying.directory}: cannot be read: Is a directory",
        f"{replaying.output / 'enriched.ndjson'}: exists already: name another directory, or say --overwrite",
    ]
    assert (replaying.output / "enriched.ndjson").read_text() == "mine"


def test_an_output_directory_that_cannot_be_made_ends_with_2(replaying: Replaying) -> None:
    replaying.output = replaying.lines(text(click("d1"))).input / "out"
    ended = replaying.run()
    assert ended.code == 2
    assert ended.err == f"{replaying.output}: cannot be written into: Not a directory\n"


def test_earlier_output_is_replaced_only_at_the_end_of_a_whole_replay(replaying: Replaying) -> None:
    replaying.lines(text(click("d1", id="old"))).run()
    cut_off = packed(replaying.directory, text(click("d1", id="new")) * 100, "gz")
    os.truncate(cut_off, cut_off.stat().st_size - 5)
    assert replaying.run(cut_off, "--overwrite").code == 1
    assert [event["id"] for event in replaying.read("enriched.ndjson")] == ["old"]
    replaying.lines(text(click("d1", id="new"))).run(replaying.input, "--overwrite")
    assert [event["id"] for event in replaying.read("enriched.ndjson")] == ["new"]


def test_output_never_replaces_its_own_input(replaying: Replaying) -> None:
    replaying.lines(text(click("d1"))).run()
    file = replaying.output / "enriched.ndjson"
    ended = replaying.run(file, "--overwrite")
    assert ended.code == 2
    assert ended.err == f"{file}: is input too: name another output directory\n"


def test_a_disk_that_is_full_is_told_in_one_line(replaying: Replaying, traffic: bytes) -> None:
    """Here files may not grow beyond 1 MiB, which is told as a full disk is."""
    replaying.lines(traffic[:-1])
    most = (1024 * 1024, 1024 * 1024)
    done = subprocess.run(
        [sys.executable, "-m", "worker", "replay", replaying.input, "--output", replaying.output],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, most),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"{replaying.output / 'enriched.ndjson'}: cannot be written: File too large"
    )
    assert replaying.left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_replay_leaves_nothing_behind(replaying: Replaying, number: signal.Signals) -> None:
    os.mkfifo(replaying.input)
    process = subprocess.Popen(
        [sys.executable, "-m", "worker", "replay", replaying.input, "--output", replaying.output],
        stderr=subprocess.PIPE,
        text=True,
    )
    with replaying.input.open("wb") as pipe, process:
        pipe.write(text(click("d1")) + b"\n")
        pipe.flush()
        wait_until(lambda: len(replaying.left_behind()) == 5, what="it writes and has a state directory")
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.read() == "stopped before the end: no output was written\n"
    assert process.returncode == 1
    assert replaying.left_behind() == []


# --- Long lines ---


def test_a_line_that_is_too_long_is_refused_by_its_beginning_and_its_hash(replaying: Replaying) -> None:
    long = b'{"received_at": 1772445600000, "value": "' + b"x" * 1_000_000 + b'"}'
    replaying.lines(text(click("d1")), long, text(click("d2")))
    (letter,) = replaying.dead_letters(INPUT_MAX_VALUE_BYTES="65536")
    assert (letter["reason"], letter["offset"]) == ("too_large", 1)
    assert letter["payload"] == long[: 64 * 1024].decode()
    assert letter["detail"] == (
        f"the line has {len(long)} bytes, at most 394240 are allowed; "
        f"the sha256 of all of it is {hashlib.sha256(long).hexdigest()}"
    )
    assert [event["device_id"] for event in replaying.read("enriched.ndjson")] == ["d1", "d2"]


def test_a_value_within_the_limit_is_accepted_however_it_is_spelt(replaying: Replaying) -> None:
    value = json.dumps([click("d1", data={"a": "é" * 400})], ensure_ascii=False)
    line = json.dumps({"received_at": 1772445600000, "value": value}).encode()
    limits = {"INPUT_MAX_VALUE_BYTES": "1024", "INPUT_MAX_OBJECT_BYTES": "1024"}
    assert len(value.encode()) <= 1024 < len(line)
    assert len(replaying.lines(line).enriched(**limits)) == 1
    over = json.dumps([click("d1", data={"a": "é" * 500})], ensure_ascii=False)
    (letter,) = replaying.lines(wrapped(over, 1)).dead_letters(replaying.input, "--overwrite", **limits)
    assert letter["detail"].startswith(f"the value has {len(over.encode())} bytes")


def test_a_long_line_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)  # one line of NUL bytes
        file.seek(0, os.SEEK_END)
        file.write(b"\nnext\n")
    tracemalloc.start()
    try:
        with LineFile(path, most_bytes=100_000, kept_bytes=10) as lines:
            first, second = lines
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (first.text, first.size_bytes) == (bytes(10), 100 * 1024 * 1024)
    assert (second.text, second.sha256) == (b"next", None)
    assert peak_bytes < 2 * 1024 * 1024


@pytest.mark.parametrize("length", [9, 10, 11])
@pytest.mark.parametrize("end", [b"", b"\n", b"\nrest"])
def test_the_longest_line_is_exactly_as_long_as_allowed(tmp_path: Path, length: int, end: bytes) -> None:
    path = tmp_path / "raw"
    path.write_bytes(b"x" * length + end)
    with LineFile(path, most_bytes=10, kept_bytes=4) as file:
        first, *others = file
    assert (first.size_bytes, first.sha256 is None) == (length, length <= 10)
    assert [line.text for line in others] == ([b"rest"] if end == b"\nrest" else [])


# --- The same core ---


def test_the_same_input_gives_the_same_output_byte_for_byte(replaying: Replaying, traffic: bytes) -> None:
    replaying.lines(traffic[:-1])
    outputs = []
    for name in ("first", "second"):
        replaying.output = replaying.directory / name
        assert replaying.run().code == 0
        assert replaying.left_behind() == sorted(OUTPUTS)
        outputs.append([(replaying.output / file).read_bytes() for file in replaying.left_behind()])
    assert outputs[0] == outputs[1]
    assert len(replaying.read("enriched.ndjson")) + len(replaying.read("dead-letters.ndjson")) == 5_000


def test_the_end_of_the_input_closes_every_session_and_each_has_one_line(replaying: Replaying) -> None:
    visit = [click("d1", at) for at in ("10:00:00", "10:50:00", "10:25:00")]
    replaying.lines(
        *map(text, visit), text(click("d2", "12:00:00")), text(click("d2", "12:01:00", user="ann"))
    )
    assert replaying.run().code == 0
    rows = {(row["device_id"], row["status"]): row for row in replaying.read("sessions.ndjson")}
    assert rows.keys() == {("d1", "merged"), ("d1", "closed"), ("d2", "closed")}
    assert rows["d1", "merged"]["merged_into"] == rows["d1", "closed"]["session_id"]
    assert rows["d1", "closed"]["event_count"] == 3
    assert rows["d2", "closed"]["close_reason"] == "inactivity"
    assert rows["d2", "closed"]["user_id"] == "ann"
    (identity,) = replaying.read("identities.ndjson")
    assert (identity["device_id"], identity["user_id"]) == ("d2", "ann")


def test_how_the_input_is_cut_into_files_changes_no_event(replaying: Replaying, traffic: bytes) -> None:
    replaying.lines(traffic[:-1]).run()
    whole = (replaying.output / "enriched.ndjson").read_bytes()
    lines = traffic.splitlines(keepends=True)
    files = [replaying.directory / name for name in ("one", "two", "three")]
    for number, file in enumerate(files):
        file.write_bytes(b"".join(lines[number * 500 : (number + 1) * 500 if number < 2 else None]))
    replaying.run(*files, "--overwrite")
    assert (replaying.output / "enriched.ndjson").read_bytes() == whole


@pytest.mark.parametrize("store", ["rocksdb", "memory"])
def test_devices_that_do_not_fit_in_memory_are_found_again(replaying: Replaying, store: str) -> None:
    """16 MiB keep 4,000 devices at most; each of 6,000 comes twice."""
    devices = [f"d{number}" for number in range(6_000)]
    batches = [[click(device, at) for device in devices] for at in ("10:00:00", "10:20:00")]
    enriched = replaying.lines(*map(text, batches)).enriched(STATE_MEMORY_MB="16", STATE_STORE=store)
    assert [event["event_number"] for event in enriched] == [1] * 6_000 + [2] * 6_000


def test_the_configuration_s_rules_apply(replaying: Replaying) -> None:
    config = replaying.directory / "my.toml"
    config.write_text('[session]\ngap_ms = 60000\nevent_types = { "ping" = "passive" }\n', encoding="utf-8")
    replaying.lines(
        text(click("d1", "10:00:00")), text(click("d1", "10:02:00")), text(click("d2", type="ping"))
    )
    enriched = replaying.enriched(replaying.input, "--config", config)
    assert [event.get("session_number") for event in enriched] == [1, 2, None]


# --- What is told ---


def test_the_summary_tells_what_became_of_the_input(replaying: Replaying) -> None:
    replaying.lines(
        text([click("d1", "10:00:00", user="ann"), click("d1", "10:01:00", user="bob"), {}]),
        text([click("d2", "10:00:00"), click("d2", "14:00:00"), 7]),
        b"bad",
        text([]),
    )
    told = [line.split() for line in replaying.run().out.splitlines()]
    assert ["records", "4"] in told
    assert [words[:2] for words in told if words[0] == "events"] == [["events", "7"]]
    assert ["enriched", "4", "on", "2", "devices"] in told
    assert ["dead-lettered", "3", "each", "with", "its", "reason:"] in told
    assert told[4:7] == [["1", "malformed_json"], ["1", "missing_field"], ["1", "not_an_object"]]
    assert ["sessions", "3", "opened,", "0", "merged", "into", "another"] in told
    assert ["devices", "linked", "1", "to", "a", "user"] in told


def test_progress_is_told_in_bytes_on_standard_error(replaying: Replaying) -> None:
    replaying.lines(*[text(click("d1"))] * 10_000)
    size = replaying.input.stat().st_size
    lines = replaying.run().err.splitlines()
    assert lines == [f"read {part} % of {size:,} bytes" for part in (25, 50, 75, 100)]
