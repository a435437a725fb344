"""Fetched records are processed in slices, so that heartbeats are never late."""

from tests.builders import Record
from worker.task.input_stage import from_offset, slices


def test_records_are_cut_where_the_next_would_exceed_the_size() -> None:
    assert offsets([40, 40, 20, 1, 100, 100], max_bytes=100) == [[0, 1, 2], [3], [4], [5]]


def test_a_record_larger_than_the_size_is_a_slice_of_its_own() -> None:
    assert offsets([10, 5_000, 10], max_bytes=100) == [[0], [1], [2]]
    assert offsets([5_000, 5_000], max_bytes=100) == [[0], [1]]


def test_a_later_slice_holds_as_much_as_the_first() -> None:
    assert offsets([60, 60, 40], max_bytes=100) == [[0], [1, 2]]


def test_a_tombstone_has_no_size() -> None:
    assert offsets([100, None, None], max_bytes=100) == [[0, 1, 2]]
    assert offsets([100, None, 1], max_bytes=100) == [[0, 1], [2]]


def test_no_records_are_no_slices() -> None:
    assert slices([], 100) == []


def test_what_was_already_processed_is_left_out() -> None:
    records = [raw(offset, 1) for offset in (3, 4, 7)]
    assert [record.offset for record in from_offset(records, 4)] == [4, 7]
    assert from_offset(records, 8) == []
    for nothing_known in (2, 3):
        assert from_offset(records, nothing_known) is records


def raw(offset: int, size: int | None) -> Record:
    """A record of that size."""
    return Record("events.raw", 0, offset, -1, None, None if size is None else b"x" * size)


def offsets(sizes: list[int | None], max_bytes: int) -> list[list[int]]:
    """The slices as offsets."""
    records = [raw(offset, size) for offset, size in enumerate(sizes)]
    return [[record.offset for record in piece] for piece in slices(records, max_bytes)]
