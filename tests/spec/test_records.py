"""Records are processed some at a time, so that heartbeats are never late; what was processed is left out."""

from tests.builders import Record
from worker.model.events import Rejection
from worker.model.records import ListedRecords


def test_records_are_cut_where_the_next_would_exceed_the_size() -> None:
    assert pieces([40, 40, 20, 1, 100, 100], most_bytes=100) == [[0, 1, 2], [3], [4], [5]]


def test_a_record_larger_than_the_size_is_a_piece_of_its_own() -> None:
    assert pieces([10, 5_000, 10], most_bytes=100) == [[0], [1], [2]]
    assert pieces([5_000, 5_000], most_bytes=100) == [[0], [1]]


def test_a_later_piece_holds_as_much_as_the_first() -> None:
    assert pieces([60, 60, 40], most_bytes=100) == [[0], [1, 2]]


def test_a_tombstone_has_no_size() -> None:
    assert pieces([100, None, None], most_bytes=100) == [[0, 1, 2]]
    assert pieces([100, None, 1], most_bytes=100) == [[0, 1], [2]]


def test_what_was_already_processed_has_the_places_before() -> None:
    records = ListedRecords([raw(offset, 1) for offset in (3, 4, 7)])
    assert [records.place_of(offset) for offset in (2, 3, 4, 5, 7, 8)] == [0, 0, 1, 2, 2, 3]


def test_a_part_has_its_own_places_and_what_was_refused_among_them() -> None:
    refused = Rejection("not_utf8", "", None, b"")
    records = ListedRecords([raw(offset, 1) for offset in (3, 4, 7, 9)], {0: refused, 2: refused})
    part = records.part(1, 3)
    assert ([record.offset for record in part], len(part)) == ([4, 7], 2)
    assert (part.topic, part.first_offset, part.last_offset) == ("events.raw", 4, 7)
    assert part.refusals == {1: refused}


def raw(offset: int, size: int | None) -> Record:
    """A record of that size."""
    return Record("events.raw", 0, offset, -1, None, None if size is None else b"x" * size)


def pieces(sizes: list[int | None], most_bytes: int) -> list[list[int]]:
    """The pieces as offsets."""
    records = ListedRecords([raw(offset, size) for offset, size in enumerate(sizes)])
    found: list[list[int]] = []
    place = 0
    while place < len(records):
        end = records.end_of(place, most_bytes)
        found.append([record.offset for record in records.between(place, end)])
        place = end
    return found
