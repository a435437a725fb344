"""Batches are read and written by the native library as by the worker's own Python, whatever is in them."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from tests.native_parts import IMPLEMENTATIONS, READERS, Reader
from tests.properties.fetched_answers import Answer, answers
from worker.adapters.kafka.batches import Packing, filled_batches, native_batches
from worker.adapters.kafka.fetched_batches import FetchedBatches
from worker.adapters.kafka.read_budget import ReadBudget
from worker.adapters.kafka.records import UnreadableError

PLACE = TopicPartition("t", 0)
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def read_all(reader: Reader, answer: Answer, most: int, *, crcs: bool, isolation: int) -> list[Any]:
    """What a poller sees in the end: the records in order, how it ended, and where.

    How they are spread over polls is not the same: the library reads several batches at once.
    """
    budget = ReadBudget(poll_records=3)
    batches = FetchedBatches(answer.content)
    records = reader(PLACE, batches, list(answer.aborted), answer.position, None, budget, crcs, isolation)
    seen: list[Any] = []
    for _ in range(200):
        budget.begin_poll(150)
        try:
            found, was_all = records.next_records(most)
        except UnreadableError as error:
            return [*seen, "unreadable", error.offset, records.next_fetch_offset]
        seen += found
        assert len(found) <= most
        if was_all:
            return [*seen, "all", records.next_fetch_offset]
    raise AssertionError("it does not end")


@given(answers(), st.sampled_from([1, 2, 10**9]), st.booleans(), st.sampled_from([0, 1]))
def test_both_read_the_same(answer: Answer, most: int, crcs: bool, isolation: int) -> None:
    python, *others = [
        read_all(reader, answer, most, crcs=crcs, isolation=isolation) for reader in READERS.values()
    ]
    assert others == [python] * len(others)


def without_time(built: bytes, compression: str) -> bytes:
    """Without the time at which gzip packed it, and the checksum over that."""
    if compression != "gzip":
        return built
    return built[:17] + bytes(4) + built[21:65] + bytes(4) + built[69:]


outputs = st.tuples(
    st.one_of(st.none(), st.binary(max_size=6)),
    st.one_of(st.none(), st.binary(max_size=60), st.just(b"v" * 300)),
    st.sampled_from([0, 1, 1_783_000_000_000, 2**63 - 1, -(2**62)]),
)
some_headers = st.lists(st.tuples(st.sampled_from(["a", "", "é"]), st.binary(max_size=3)), max_size=2)


@given(
    st.lists(st.tuples(outputs, some_headers), min_size=1, max_size=30),
    st.booleans(),
    st.sampled_from(list(CODECS)),
    st.sampled_from([100, 400, 10_000]),
)
def test_both_write_the_same_batches(
    written: list[tuple[Any, Any]], with_headers: bool, compression: str, most_bytes: int
) -> None:
    records = [record for record, _ in written]
    headers = [own for _, own in written] if with_headers else None

    def built(batches: Iterable[Any]) -> list[tuple[int, bytes]]:
        made = []
        for sequence, batch in enumerate(batches):
            assert not batch.closed() or batch.size()
            count = batch.record_count()
            batch._set_producer_state(7, 3, sequence)
            made.append((count, without_time(bytes(batch._build()), compression)))
            assert (batch.record_count(), batch.size()) == (count, len(made[-1][1]))
        return made

    def create_batch() -> BatchBuilder:
        return BatchBuilder(most_bytes, CODECS[compression], is_transactional=True)

    client = built(filled_batches(create_batch, records, headers))
    for native in IMPLEMENTATIONS.values():
        if native.library is not None:
            packing = Packing(most_bytes, compression)
            assert built(native_batches(native, packing, records, headers)) == client


@pytest.mark.parametrize("with_headers", [False, True])
def test_many_records_are_packed_some_batches_at_a_time(with_headers: bool) -> None:
    """A draft is held beside them."""
    records = [(b"k%d" % number, b"v" * (number % 700), number) for number in range(20_000)]
    headers: Any = [[("h", b"%d" % number)] for number in range(20_000)] if with_headers else None
    most_bytes = 64 * 1024
    for native in IMPLEMENTATIONS.values():
        if native.library is None:
            continue
        taken = 0

        def counted() -> Iterator[Any]:
            nonlocal taken
            for record in records:
                taken += 1
                yield record

        class Lazy(list[Any]):
            def __iter__(self) -> Iterator[Any]:
                return counted()

        sent, sizes, ahead = 0, [], 0
        for batch in native_batches(native, Packing(most_bytes, "none"), Lazy(records), headers):
            ahead = max(ahead, taken - sent)
            sizes.append(batch.size())
            sent += batch.record_count()
        assert sent == taken == len(records)
        assert ahead < 2_000
        assert len(sizes) < 1.4 * sum(sizes) / most_bytes
