"""``sessionizer replay``: packed files, files that cannot be used, and lines too long to hold."""

import gzip
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from testing.wait import wait_until
from tests.builders import click
from tests.replay_directory import ReplayDirectory, text, wrapped
from worker.adapters.file_lines import LineFile
from worker.replay import OUTPUT_FILES
from worker.signals import DUMP, IGNORED, STOP

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# --- Packed files ---


def packed(directory: Path, content: bytes, packing: str) -> Path:
    half = len(content) // 2
    path = directory / f"raw.ndjson.{packing}"
    pack = gzip.compress if packing == "gz" else zstd.compress
    path.write_bytes(pack(content[:half]) + pack(content[half:]))  # as `cat a.gz b.gz` makes it
    return path


@pytest.mark.parametrize("packing", ["gz", "zst"])
@pytest.mark.parametrize("renamed", [False, True])
def test_a_packed_file_gives_the_same_whatever_its_name(
    replay: ReplayDirectory, traffic: bytes, packing: str, renamed: bool
) -> None:
    replay.lines(traffic[:-1]).run()
    plain = (replay.output / "enriched.ndjson").read_bytes()
    path = packed(replay.directory, traffic, packing)
    if renamed:
        path = path.rename(replay.directory / "raw")
    assert replay.run(path, "--overwrite").code == 0
    assert (replay.output / "enriched.ndjson").read_bytes() == plain


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_packed_file_that_was_cut_off_is_reported_with_its_place(
    replay: ReplayDirectory, traffic: bytes, packing: str
) -> None:
    path = packed(replay.directory, traffic * 4, packing)
    size = path.stat().st_size
    os.truncate(path, size - 30)
    ended = replay.run(path)
    assert ended.code == 1
    assert ended.out == ""
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"{path}: after line ")
    assert f"near byte {size - 30:,} of {size - 30:,}: " in line
    assert "cut off" in line
    assert replay.left_behind() == []


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_damaged_packed_file_is_reported_in_one_line(
    replay: ReplayDirectory, traffic: bytes, packing: str
) -> None:
    path = packed(replay.directory, traffic, packing)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 400] = bytes(400)
    path.write_bytes(content)
    ended = replay.run(path)
    assert ended.code == 1
    assert "data is damaged: " in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    assert replay.left_behind() == []


def test_a_file_whose_name_promises_a_packing_that_it_has_not_is_damaged(replay: ReplayDirectory) -> None:
    path = replay.directory / "raw.gz"
    path.write_bytes(text(click("d1")))
    ended = replay.run(path)
    assert ended.code == 1
    assert f"{path}: after line 0" in ended.err


# --- Files that cannot be used ---


def test_all_unfit_files_are_reported_at_once_before_anything_is_done(replay: ReplayDirectory) -> None:
    replay.output.mkdir()
    (replay.output / "enriched.ndjson").write_text("mine")
    missing = replay.directory / "missing.ndjson"
    ended = replay.run(missing, replay.directory)
    assert ended.code == 2
    assert ended.err.splitlines() == [
        f"{missing}: cannot be read: No such file or directory",
        f"{replay.directory}: cannot be read: Is a directory",
        f"{replay.output / 'enriched.ndjson'}: exists already: name another directory, or use --overwrite",
    ]
    assert (replay.output / "enriched.ndjson").read_text() == "mine"


def test_an_output_directory_that_cannot_be_made_ends_with_2(replay: ReplayDirectory) -> None:
    replay.output = replay.lines(text(click("d1"))).input / "out"
    ended = replay.run()
    assert ended.code == 2
    assert ended.err == f"{replay.output}: cannot be written into: Not a directory\n"


def test_earlier_output_is_replaced_only_at_the_end_of_a_whole_replay(replay: ReplayDirectory) -> None:
    replay.lines(text(click("d1", id="old"))).run()
    cut_off = packed(replay.directory, text(click("d1", id="new")) * 100, "gz")
    os.truncate(cut_off, cut_off.stat().st_size - 5)
    assert replay.run(cut_off, "--overwrite").code == 1
    assert [event["id"] for event in replay.read("enriched.ndjson")] == ["old"]
    replay.lines(text(click("d1", id="new"))).run(replay.input, "--overwrite")
    assert [event["id"] for event in replay.read("enriched.ndjson")] == ["new"]


def test_output_never_replaces_its_own_input(replay: ReplayDirectory) -> None:
    replay.lines(text(click("d1"))).run()
    file = replay.output / "enriched.ndjson"
    ended = replay.run(file, "--overwrite")
    assert ended.code == 2
    assert ended.err == f"{file}: is input too: name another output directory\n"


def test_a_disk_that_is_full_is_reported_in_one_line(replay: ReplayDirectory, traffic: bytes) -> None:
    """Here files may not grow beyond 1 MiB, which is reported as a full disk is."""
    replay.lines(traffic[:-1])
    most = (1024 * 1024, 1024 * 1024)
    done = subprocess.run(
        [sys.executable, "-m", "worker", "replay", replay.input, "--output", replay.output],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, most),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"{replay.output / 'enriched.ndjson'}: cannot be written: File too large"
    )
    assert replay.left_behind() == []


@pytest.mark.parametrize("number", [*STOP, *DUMP, *IGNORED])
def test_a_stopped_replay_leaves_nothing_behind(replay: ReplayDirectory, number: signal.Signals) -> None:
    os.mkfifo(replay.input)
    process = subprocess.Popen(
        [sys.executable, "-m", "worker", "replay", replay.input, "--output", replay.output],
        stderr=subprocess.PIPE,
        text=True,
    )
    with process, replay.input.open("wb") as pipe:
        pipe.write(text(click("d1")) + b"\n")
        pipe.flush()
        everything = len(OUTPUT_FILES) + 1  # the outputs and the state directory
        wait_until(lambda: len(replay.left_behind()) == everything, what="it writes")
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.read() == "stopped before the end: no output was written\n"
    assert process.returncode == 1
    assert replay.left_behind() == []


# --- Long lines ---


def test_a_line_that_is_too_long_is_refused_by_its_beginning_and_its_hash(replay: ReplayDirectory) -> None:
    long = b'{"received_at": 1772445600000, "value": "' + b"x" * 1_000_000 + b'"}'
    replay.lines(text(click("d1")), long, text(click("d2")))
    (letter,) = replay.dead_letters(INPUT_MAX_VALUE_BYTES="65536")
    assert (letter["reason"], letter["offset"]) == ("too_large", 1)
    assert letter["payload"] == long[: 64 * 1024].decode()
    assert letter["detail"] == (
        f"the line has {len(long)} bytes, at most 394240 are allowed; "
        f"the sha256 of all of it is {hashlib.sha256(long).hexdigest()}"
    )
    assert [event["device_id"] for event in replay.read("enriched.ndjson")] == ["d1", "d2"]


def test_a_value_within_the_limit_is_accepted_however_it_is_spelt(replay: ReplayDirectory) -> None:
    value = json.dumps([click("d1", data={"a": "é" * 400})], ensure_ascii=False)
    line = json.dumps({"received_at": 1772445600000, "value": value}).encode()
    limits = {"INPUT_MAX_VALUE_BYTES": "1024", "INPUT_MAX_OBJECT_BYTES": "1024"}
    assert len(value.encode()) <= 1024 < len(line)
    assert len(replay.lines(line).enriched(**limits)) == 1
    over = json.dumps([click("d1", data={"a": "é" * 500})], ensure_ascii=False)
    (letter,) = replay.lines(wrapped(over, 1)).dead_letters(replay.input, "--overwrite", **limits)
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
