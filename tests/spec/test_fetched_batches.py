"""Batches that are unpacked in pieces hold the records that the client's own parser finds in them.

They do so whatever they are packed with, and take little memory, whatever they hold.
"""

import hashlib
import random
import struct
import tracemalloc
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from tests.native_parts import READERS, Reader
from worker.adapters.kafka.fetched_batches import PIECE_BYTES, CompressedBatch, FetchedBatches
from worker.adapters.kafka.read_budget import ReadBudget
from worker.adapters.kafka.records import FetchedRecords, UnreadableError
from worker.core.decode import KEPT_OF_TOO_LARGE_BYTES
from worker.model.events import CutValue

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
CODECS = [0, GZIP, SNAPPY, LZ4, ZSTD]
MIB = 1024 * 1024


class Chosen:
    """Who reads: every test here runs with each."""

    reader: Reader = FetchedRecords


@pytest.fixture(autouse=True, params=READERS)
def _reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chosen, "reader", READERS[request.param])


def batch_of(values: Sequence[bytes | None], codec: int, first_offset: int = 0, key: bytes = b"k") -> bytes:
    """A batch of these values as a producer makes it and a broker numbers it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**31 - 1)
    for number, value in enumerate(values):
        assert builder.append(number, 1_000 + number, key, value, [("h", b"%d" % number)]) is not None
    batch = bytearray(builder.build())
    struct.pack_into(">q", batch, 0, first_offset)
    return bytes(batch)


def plain(records: Iterable[Any]) -> list[tuple[object, ...]]:
    return [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]


def packed(values: Sequence[bytes | None], codec: int, **more: Any) -> CompressedBatch:
    batch = FetchedBatches(batch_of(values, codec, **more)).next_batch()
    assert isinstance(batch, CompressedBatch)
    return batch


def pieces(batch: CompressedBatch, most_value_bytes: int = 2**40) -> list[list[tuple[object, ...]]]:
    return [plain(piece.records) for piece in batch.pieces(batch.stream(), most_value_bytes)]


def joined(parts: list[list[tuple[object, ...]]]) -> list[tuple[object, ...]]:
    return list(chain.from_iterable(parts))


def reading(answer: bytes, budget: ReadBudget, partition: int = 0) -> FetchedRecords:
    """What the client makes of an answer for one partition."""
    return Chosen.reader(
        TopicPartition("t", partition),
        FetchedBatches(answer),
        [],
        0,
        None,
        budget,
        True,
        fetcher.READ_COMMITTED,
    )


def read_on(answer: bytes, budget: ReadBudget) -> None:
    """To the end of the answer, which is fetched again as often as that takes, or to an error."""
    position = 0
    for _ in range(100):
        records = reading(answer, budget)
        records._check_crcs, records.next_fetch_offset = False, position
        try:
            taken, _ = records.next_records(10**9)
        finally:
            records.close()
        if not taken:
            return
        position = records.next_fetch_offset


SMALL: dict[str, list[bytes | None]] = {
    "few": [b"v%d" % number for number in range(5)],
    "empty and without value": [b"", None, b""],
    "one": [b"x" * 1_000],
}
LARGE: dict[str, list[bytes | None]] = {
    "many small ones": [b"z" * 40] * 30_000,
    "larger than a piece": [b"a" * 3_000_000, b"b", b"c" * 2_000_000, b"d"] * 2,
    "that hardly pack": [random.Random(7).randbytes(900) for _ in range(3_000)],
    "none, behind large ones": [b"a" * PIECE_BYTES, None, None],
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_the_records_are_those_that_the_client_finds(codec: int, name: str) -> None:
    values = (SMALL | LARGE)[name]
    batch = batch_of(values, codec, first_offset=70)
    own = plain(DefaultRecordBatch(batch))
    assert [offset for offset, *_ in own] == list(range(70, 70 + len(values)))
    answer = FetchedBatches(batch + batch_of(values, codec) + batch[:40])
    for wanted in (own, plain(DefaultRecordBatch(batch_of(values, codec)))):
        found = answer.next_batch()
        assert found.validate_crc()
        if isinstance(found, CompressedBatch):
            assert joined(pieces(found)) == wanted
            whole = found.whole_piece()
            assert (whole is None) == (name in LARGE)
            assert whole is None or plain(whole.records) == wanted
        else:
            assert plain(found) == wanted
    assert not answer.has_next()  # the last one is not all there


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
@pytest.mark.parametrize("cut_off", [True, False])
def test_a_damaged_batch_is_corrupt_and_what_came_before_it_is_not_lost(codec: int, cut_off: bool) -> None:
    whole = batch_of([b"lost" * 1_000] * 1_000, codec, first_offset=3)
    broken = bytearray(whole[: len(whole) // 2] if cut_off else whole[:61] + b"\0nothing that is packed")
    struct.pack_into(">i", broken, 8, len(broken) - 12)
    budget = ReadBudget()
    records = reading(batch_of([b"a", b"b", b"c"], codec) + bytes(broken), budget)
    records._check_crcs = False
    taken, _ = records.next_records(3)
    assert [record.value for record in taken] == [b"a", b"b", b"c"]
    assert records.next_fetch_offset == 3
    with pytest.raises(UnreadableError, match="at offset"):
        read_on(bytes(broken), budget)
    assert not budget.unfinished_bytes


def test_what_was_read_before_damage_is_handed_out_first() -> None:
    broken = bytearray(batch_of([b"x"] * 3, ZSTD, first_offset=3))
    broken[-3] ^= 0xFF
    records = reading(batch_of([b"a", b"b", b"c"], ZSTD) + bytes(broken), ReadBudget())
    taken, was_all = records.next_records(100)
    assert [record.value for record in taken] == [b"a", b"b", b"c"]
    assert was_all
    assert records.next_fetch_offset == 3


def test_a_value_over_the_limit_that_is_larger_than_a_piece_is_cut_and_bears_its_size_and_hash() -> None:
    values = [b"x", b"y" * (9 * MIB), b"z" * (3 * MIB)]
    small, cut, whole = joined(pieces(packed(values, ZSTD), 8 * MIB))
    assert (small[3], whole[3]) == (b"x", values[2])
    offset, timestamp, key, value, headers = cut
    assert (offset, timestamp, key, headers) == (1, 1_001, b"k", ())
    assert isinstance(value, CutValue)
    assert bytes(value) == values[1][:KEPT_OF_TOO_LARGE_BYTES]
    assert (value.size_bytes, value.sha256) == (9 * MIB, hashlib.sha256(values[1]).hexdigest())


def test_of_a_record_with_a_huge_key_the_value_is_kept() -> None:
    ((_, _, key, value, headers),) = joined(pieces(packed([b"v" * 100], ZSTD, key=b"k" * 9 * MIB), 8 * MIB))
    assert (key, value, headers) == (None, b"v" * 100, ())


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD])
def test_memory_is_that_of_a_piece_however_large_the_batch(codec: int) -> None:
    batch = packed([b"a" * 100_000] * 640 + [b"b" * 64 * MIB], codec)  # 125 MiB
    tracemalloc.start()
    try:
        for piece in batch.pieces(batch.stream(), MIB):
            for _ in piece.records:
                pass
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8 * MIB


def test_a_poll_ends_when_it_has_brought_enough() -> None:
    budget = ReadBudget(poll_records=1_000)
    records = reading(batch_of([b"a" * 100_000] * 50, ZSTD), budget)
    offsets: list[int] = []
    was_all = False
    while not was_all:
        budget.begin_poll(MIB)
        taken, was_all = records.next_records(10**9)
        assert sum(len(record.value or b"") for record in taken) <= 2 * MIB
        offsets += [record.offset for record in taken]
        assert records.next_fetch_offset == len(offsets)
    assert offsets == list(range(50))


def test_polls_end_while_a_huge_value_is_skipped_so_that_heartbeats_go_on() -> None:
    budget = ReadBudget(most_value_bytes=MIB)
    records = reading(batch_of([b"a", b"b" * 64 * MIB, b"c"], ZSTD), budget)
    values: list[bytes | None] = []
    polls, was_all = 0, False
    while not was_all:
        budget.begin_poll(MIB)
        taken, was_all = records.next_records(10**9)
        values += [record.value for record in taken]
        polls += 1
    assert values == [b"a", b"b" * KEPT_OF_TOO_LARGE_BYTES, b"c"]
    assert polls >= 8


def test_half_unpacked_batches_wait_for_one_another_and_all_of_them_are_read() -> None:
    budget = ReadBudget(unfinished_bytes=12 * MIB)
    answer = batch_of([b"a" * 100_000] * 50, ZSTD)  # its window is 5 MB
    waiting = {number: reading(answer, budget, number) for number in range(6)}
    read = dict.fromkeys(waiting, 0)
    somebody_waited = False
    while waiting:
        for number, records in list(waiting.items()):
            budget.begin_poll(MIB)
            taken, was_all = records.next_records(10**9)
            read[number] += len(taken)
            assert budget.unfinished_bytes <= 12 * MIB
            somebody_waited |= budget.has_waiting
            if was_all:
                del waiting[number]
    assert somebody_waited
    assert set(read.values()) == {50}
    assert not budget.unfinished_bytes


def test_a_batch_that_is_given_up_half_read_leaves_its_place_to_others() -> None:
    budget = ReadBudget(unfinished_bytes=1)
    answer = batch_of([b"a" * 100_000] * 50, ZSTD)
    first, second = reading(answer, budget), reading(answer, budget, 1)
    budget.begin_poll(MIB)
    assert first.next_records(10**9)[0]
    budget.begin_poll(MIB)
    assert second.next_records(10**9) == ([], False)
    first.close()
    assert second.next_records(10**9)[0]
