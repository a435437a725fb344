"""What a state store is: said once, and held against memory, RocksDB and the simulation's own."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.driven_store import Driven, MakeStore, in_memory, on_rocksdb, simulated
from tests.contract.dying_writer import checkpoint_of
from worker.model.state import StateRecord


@pytest.fixture(params=[in_memory, on_rocksdb, simulated])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    made: MakeStore = request.param(tmp_path)
    return made


@pytest.fixture(params=[on_rocksdb, simulated])
def make_lasting_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Those that outlive their process."""
    made: MakeStore = request.param(tmp_path)
    return made


@pytest.fixture
def store(make_store: MakeStore) -> Iterator[Driven]:
    """A new store, open."""
    opened = make_store().open()
    yield opened
    opened.close()


# --- what every store is ---


def test_a_new_store_is_empty_and_has_no_checkpoint(store: Driven) -> None:
    assert store.checkpoint() is None
    assert store.get(b"key") is None


def test_what_was_written_is_there_at_once_with_its_checkpoint(store: Driven) -> None:
    store.write([(b"a", b"1"), (b"b", b"2")], at=7)
    assert (store.get(b"a"), store.get(b"b")) == (b"1", b"2")
    assert store.checkpoint() == checkpoint_of(7)


def test_the_last_write_of_a_key_counts_also_within_one_write(store: Driven) -> None:
    store.write([(b"a", b"1"), (b"b", b"1"), (b"b", None)], at=1)
    store.write([(b"a", b"2"), (b"a", b"3")], at=2)
    assert (store.get(b"a"), store.get(b"b")) == (b"3", None)


def test_none_deletes_a_key_and_an_empty_value_does_not(store: Driven) -> None:
    store.write([(b"deleted", b"1"), (b"emptied", b"1")], at=1)
    store.write([(b"deleted", None), (b"emptied", b""), (b"never there", None)], at=2)
    assert store.get(b"deleted") is None
    assert store.get(b"emptied") == b""
    assert store.get(b"never there") is None


def test_keys_and_values_may_be_any_bytes(store: Driven) -> None:
    records = [(bytes([byte]) * 3, bytes([255 - byte]) * byte) for byte in range(256)]
    store.write(records, at=1)
    assert [(key, store.get(key)) for key, _ in records] == records


def test_keys_are_those_from_the_first_on_and_below_the_end_in_order(store: Driven) -> None:
    store.write([(key, b"") for key in (b"tc", b"tb\xff", b"tb", b"td", b"tb\x00", b"ta", b"te")], at=1)
    assert store.keys(b"tb", b"td", 10) == [b"tb", b"tb\x00", b"tb\xff", b"tc"]
    assert store.keys(b"ta\x00", b"tb\x00", 10) == [b"tb"], "neither bound need be there"
    assert store.keys(b"td", b"td", 10) == []
    assert store.keys(b"td", b"ta", 10) == []
    assert store.keys(b"u", b"v", 10) == []


def test_keys_are_at_most_as_many_as_asked_for_and_the_first_ones(store: Driven) -> None:
    store.write([(b"t%d" % number, b"") for number in (3, 1, 2)], at=1)
    assert store.keys(b"t", b"u", 2) == [b"t1", b"t2"]
    assert store.keys(b"t", b"u", 3) == [b"t1", b"t2", b"t3"]
    assert store.keys(b"t", b"u", 0) == []


def test_a_deleted_key_is_no_longer_among_the_keys_nor_counted_by_the_limit(store: Driven) -> None:
    store.write([(b"t%d" % number, b"") for number in range(5)], at=1)
    assert len(store.keys(b"t", b"u", 10)) == 5
    store.write([(b"t0", None), (b"t2", None)], at=2)
    assert store.keys(b"t", b"u", 2) == [b"t1", b"t3"]
    store.write([(b"t1", b"again"), (b"t2", b"again"), (b"t4", b""), (b"t4", None)], at=3)
    assert store.keys(b"t", b"u", 10) == [b"t1", b"t2", b"t3"]


def test_a_wiped_store_has_no_keys(store: Driven) -> None:
    store.write([(b"t1", b""), (b"t2", b"")], at=1)
    assert store.keys(b"t", b"u", 10) == [b"t1", b"t2"]
    store.write([(b"t0", b"")], at=2)
    store.wipe()
    assert store.keys(b"t", b"u", 10) == []
    store.write([(b"t2", b"")], at=3)
    assert store.keys(b"t", b"u", 10) == [b"t2"]


def test_keys_are_the_same_in_whatever_order_they_came_and_went(store: Driven) -> None:
    chance = random.Random(1)
    there: set[bytes] = set()
    for write in range(1, 60):
        records: list[StateRecord] = []
        for _ in range(chance.randrange(6)):
            key = b"t" + bytes([chance.randrange(24)])
            records.append((key, None if chance.random() < 0.4 else b""))
            (there.discard if records[-1][1] is None else there.add)(key)
        store.write(records, at=write)
        if chance.random() < 0.2:
            store.flush()
        first, end = (b"t" + bytes([chance.randrange(25)]) for _ in range(2))
        limit = chance.randrange(8)
        assert store.keys(first, end, limit) == sorted(key for key in there if first <= key < end)[:limit]


def test_a_write_without_records_moves_the_checkpoint_alone(store: Driven) -> None:
    store.write([(b"a", b"1")], at=1)
    store.write([], at=2)
    assert store.get(b"a") == b"1"
    assert store.checkpoint() == checkpoint_of(2)


def test_a_wiped_store_is_empty_and_usable(store: Driven) -> None:
    store.write([(b"a", b"1"), (b"b", b"1")], at=1)
    store.flush()
    store.wipe()
    assert (store.get(b"a"), store.checkpoint()) == (None, None)
    store.write([(b"b", b"2")], at=2)
    store.flush()
    assert (store.get(b"a"), store.get(b"b"), store.checkpoint()) == (None, b"2", checkpoint_of(2))


def test_closing_twice_and_flushing_nothing_are_allowed(make_store: MakeStore) -> None:
    store = make_store().open()
    store.flush()
    store.close()
    store.close()


# --- what every store on a disk is ---


def test_data_and_checkpoint_survive_a_reopening_together(make_lasting_store: MakeStore) -> None:
    first = make_lasting_store().open()
    first.write([(b"a", b"1"), (b"b", b"1")], at=1)
    first.flush()
    first.write([(b"a", None), (b"b", b"2")], at=2)
    first.close()

    second = make_lasting_store().open()
    assert (second.get(b"a"), second.get(b"b"), second.checkpoint()) == (None, b"2", checkpoint_of(2))
    second.close()


def test_keys_survive_a_reopening(make_lasting_store: MakeStore) -> None:
    first = make_lasting_store().open()
    first.write([(b"t3", b""), (b"t1", b""), (b"t2", b"")], at=1)
    first.flush()
    first.write([(b"t2", None), (b"t0", b"")], at=2)
    first.close()

    second = make_lasting_store().open()
    assert second.keys(b"t", b"u", 10) == [b"t0", b"t1", b"t3"]
    second.write([(b"t1", None), (b"t4", b"")], at=3)
    assert second.keys(b"t0\x00", b"u", 10) == [b"t3", b"t4"]
    second.close()


def test_a_wipe_survives_a_reopening(make_lasting_store: MakeStore) -> None:
    first = make_lasting_store().open()
    first.write([(b"a", b"1")], at=1)
    first.wipe()
    first.close()

    second = make_lasting_store().open()
    assert (second.get(b"a"), second.checkpoint()) == (None, None)
    second.close()
