"""Which bytes of a file are its lines: every legal form of gzip and Zstandard, and byte order marks."""

import gzip
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.replay_directory import ReplayDirectory, text, wrapped
from worker.adapters.file_lines import LineFile
from worker.errors import Fatal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BOM = b"\xef\xbb\xbf"
LINES = [b"one", b"two"]
ONE, TWO = b"one\n", b"two\n"


def skippable(kind: int = 0, content: bytes = b"for other readers") -> bytes:
    """A Zstandard frame that holds nothing for us, one of sixteen kinds."""
    return (0x184D2A50 + kind).to_bytes(4, "little") + len(content).to_bytes(4, "little") + content


def long_frame(content: bytes, window_log: int) -> bytes:
    """A frame as ``zstd --long`` makes it from a pipe: it asks for the window and has no size."""
    parameter = zstd.CompressionParameter
    options: dict[int, int] = {parameter.window_log: window_log, parameter.content_size_flag: 0}
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(content) + compressor.flush()


def lines_of(path: Path, most_bytes: int = 100) -> list[bytes]:
    with LineFile(path, most_bytes, kept_bytes=4) as file:
        return [line.text for line in file]


def written(directory: Path, content: bytes, name: str = "raw") -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


# --- Zstandard ---


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(zstd.compress(ONE) + zstd.compress(TWO), id="two frames"),
        pytest.param(zstd.compress(b"on") + zstd.compress(b"e\ntwo"), id="a line over two frames"),
        pytest.param(skippable() + zstd.compress(ONE + TWO), id="skippable first"),
        pytest.param(skippable(15) + skippable(1, b"") + zstd.compress(ONE + TWO), id="two skippable first"),
        pytest.param(zstd.compress(ONE) + skippable(7) + zstd.compress(TWO), id="skippable between"),
        pytest.param(zstd.compress(ONE + TWO) + skippable(14), id="skippable last"),
        pytest.param(zstd.compress(b"") + zstd.compress(ONE + TWO) + zstd.compress(b""), id="empty frames"),
        pytest.param(long_frame(ONE + TWO, 27), id="long 27"),
        pytest.param(long_frame(ONE + TWO, 28), id="long 28"),
        pytest.param(long_frame(ONE, 31) + long_frame(TWO, 30), id="long 31 and 30"),
        pytest.param(
            zstd.compress(ONE + TWO, options={zstd.CompressionParameter.checksum_flag: 1}), id="checksum"
        ),
    ],
)
@pytest.mark.parametrize("name", ["raw", "raw.zst"])
def test_every_form_of_a_zstandard_file_is_read(tmp_path: Path, content: bytes, name: str) -> None:
    assert lines_of(written(tmp_path, content, name)) == LINES


def test_a_zstandard_file_of_skippable_and_empty_frames_has_no_lines(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path, skippable() + zstd.compress(b"") + skippable())) == []


def with_window_over_2_gib() -> bytes:
    frame = bytearray(long_frame(ONE, 31))
    frame[5] = (32 - 10) << 3  # the window descriptor
    return bytes(frame)


DICTIONARY = zstd.train_dict([b"page %d of the shop " % number * 20 for number in range(200)], 1000)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            with_window_over_2_gib(),
            "the Zstandard data cannot be decompressed: its window is over 2^31 bytes, the most that can be",
        ),
        (
            zstd.compress(b"page 7 of the shop", zstd_dict=DICTIONARY),
            "the Zstandard data cannot be decompressed: it was compressed with a dictionary: decompress it",
        ),
        (zstd.compress(ONE) + b"more text", "the Zstandard data is damaged: "),
        (zstd.compress(ONE) + skippable()[:20], "the Zstandard data ends too early: the file was cut off"),
    ],
    ids=["window", "dictionary", "text behind", "cut off in a skippable frame"],
)
def test_why_a_zstandard_file_cannot_be_read_is_reported_as_it_is(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(Fatal) as failed:
        lines_of(written(tmp_path, content))
    assert f": {reason}" in str(failed.value)
    assert ("damaged" in str(failed.value)) == ("damaged" in reason)


def test_too_little_memory_for_the_window_is_reported_as_that(replay: ReplayDirectory) -> None:
    """Here the process may have 1 GiB of addresses, and the file asks for a window of 2 GiB."""
    path = written(replay.directory, long_frame(ONE, 31))
    most = (1024**3, 1024**3)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; from pathlib import Path; {READ_ALL}", path],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, most),
    )
    assert "cannot be decompressed: there is not enough memory for the window" in done.stderr.splitlines()[-1]


READ_ALL = (
    "from worker.adapters.file_lines import LineFile; print(len(list(LineFile(Path(sys.argv[1]), 100, 10))))"
)


# --- gzip ---


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(ONE) + gzip.compress(TWO), id="two members"),
        pytest.param(gzip.compress(b"on") + gzip.compress(b"e\ntwo"), id="a line over two members"),
        pytest.param(gzip.compress(b"") + gzip.compress(ONE + TWO) + gzip.compress(b""), id="empty members"),
        pytest.param(gzip.compress(ONE + TWO) + bytes(512), id="zeros behind"),
        pytest.param(gzip.compress(ONE) + bytes(512) + gzip.compress(TWO), id="zeros between"),
        pytest.param(gzip.compress(ONE + TWO, 0), id="stored"),
    ],
)
@pytest.mark.parametrize("name", ["raw", "raw.gz"])
def test_every_form_of_a_gzip_file_is_read(tmp_path: Path, content: bytes, name: str) -> None:
    assert lines_of(written(tmp_path, content, name)) == LINES


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_pipe_that_brings_a_packed_file_byte_by_byte_is_read_as_one(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "raw"
    os.mkfifo(path)
    assert callable(pack)
    content = pack(ONE + TWO)
    first_read = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            for place in range(len(content)):
                pipe.write(content[place : place + 1])
                first_read.wait(0.01 if place < 4 else 0)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert lines_of(path) == LINES
    finally:
        writer.join()


# --- Byte order marks ---


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_byte_order_mark_at_the_front_of_any_line_is_no_part_of_it(
    replay: ReplayDirectory, count: int, end: bytes
) -> None:
    """Each file that an editor wrote with a mark brings one, and an empty file brings nothing else."""
    marks = BOM * count
    event = {"id": "e", "type": "page", "device_id": "d", "timestamp": 1_780_000_000_000}
    lines = [marks + wrapped([event], 1_780_000_000_000), wrapped([event], 1_780_000_000_001)]
    lines += [text([event]), marks + text([event]), marks + wrapped(json_text(event), 1_780_000_000_002)]
    replay.input.write_bytes(end.join(lines) + end + BOM)
    enriched = replay.enriched()
    assert [event.get("received_at", 0) - 1_780_000_000_000 for event in enriched] == [
        0,
        1,
        -1_780_000_000_000,
        -1_780_000_000_000,
        2,
    ]
    assert replay.read("dead-letters.ndjson") == []


def json_text(value: object) -> str:
    return text(value).decode()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_marks_do_not_count_towards_the_longest_line(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    content = BOM + b"x" * 10 + b"\n" + BOM + BOM + b"y" * 11 + b"\n" + BOM + b"\n" + BOM + b"z" * 10
    with LineFile(written(tmp_path, pack(content)), most_bytes=10, kept_bytes=4) as file:
        found = [(line.text, line.size_bytes, line.sha256 is None) for line in file]
    assert found == [
        (b"x" * 10, 10, True),
        (b"yyyy", 11, False),
        (b"", 0, True),
        (b"z" * 10, 10, True),
    ]


def test_a_file_of_nothing_but_marks_has_no_lines(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path, BOM * 3)) == []
