"""How the demo draws how long sessions last and how many events they have."""

import pytest

from worker.demo.final_sessions import FinalSession
from worker.demo.histogram import COUNTS, LENGTHS, WIDTH, draw

MINUTE_MS = 60_000


def session(duration_ms: int = 0, events: int = 1) -> FinalSession:
    return FinalSession(0, duration_ms, events, is_open=False)


def drawn(*sessions: FinalSession) -> dict[str, tuple[int, str]]:
    """Class -> its number and its bar, of those that have any."""
    found = {}
    for line in draw(sessions, "#").plain.splitlines():
        fields = line.rsplit("  ", 1)
        name, number, bar = fields[0][4:19].strip(), fields[0][19:].strip(), fields[1].strip()
        if number and number != "0":
            found[name] = int(number.replace(",", "")), bar
    return found


@pytest.mark.parametrize(
    ("duration_ms", "name"),
    [
        (0, "one moment"),
        (1, "to 1 minute"),
        (MINUTE_MS, "to 1 minute"),
        (MINUTE_MS + 1, "to 5 minutes"),
        (30 * MINUTE_MS, "to 30 minutes"),
        (60 * MINUTE_MS, "to 1 hour"),
        (60 * MINUTE_MS + 1, "longer"),
    ],
)
def test_a_duration_belongs_to_the_first_class_that_is_not_shorter(duration_ms: int, name: str) -> None:
    assert drawn(session(duration_ms)).keys() == {name, "1 event"}


@pytest.mark.parametrize(
    ("events", "name"),
    [(1, "1 event"), (2, "2 to 5"), (5, "2 to 5"), (6, "6 to 10"), (50, "21 to 50"), (51, "more")],
)
def test_a_number_of_events_belongs_to_its_class(events: int, name: str) -> None:
    assert drawn(session(events=events)).keys() == {"one moment", name}


def test_every_session_is_counted_once_in_each_histogram() -> None:
    found = drawn(*[session(minutes * MINUTE_MS, minutes + 1) for minutes in range(100)])
    for classes in (LENGTHS, COUNTS):
        assert sum(found[name][0] for name, _ in classes if name in found) == 100


def test_the_most_frequent_class_has_the_whole_width_and_a_rare_one_still_a_bar() -> None:
    found = drawn(*[session() for _ in range(1_000)], session(1))
    assert found["one moment"] == (1_000, "#" * WIDTH)
    assert found["to 1 minute"] == (1, "#")


def test_without_sessions_all_classes_are_there_and_empty() -> None:
    assert drawn() == {}
    assert len(draw([], "#").plain.splitlines()) == 2 + len(LENGTHS) + len(COUNTS)


def test_no_line_is_wider_than_80_columns() -> None:
    lines = draw([session() for _ in range(1_200)], "#").plain.splitlines()
    assert max(map(len, lines)) <= 80
