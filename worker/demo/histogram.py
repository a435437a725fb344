"""Histograms of the sessions' durations and numbers of events, drawn as bars of text.

Decides the classes and how they look. Knows no topic: it is given the sessions as they are at the end. The
invariant: every session is counted once in each histogram.
"""

from collections.abc import Iterable, Sequence

from rich.text import Text

from worker.demo.final_sessions import FinalSession

LENGTHS = (
    ("one moment", 0),
    ("to 1 minute", 60_000),
    ("to 5 minutes", 300_000),
    ("to 15 minutes", 900_000),
    ("to 30 minutes", 1_800_000),
    ("to 1 hour", 3_600_000),
    ("longer", None),
)
"""Classes of duration, each with the greatest that belongs to it, in ms."""

COUNTS = (
    ("1 event", 1),
    ("2 to 5", 5),
    ("6 to 10", 10),
    ("11 to 20", 20),
    ("21 to 50", 50),
    ("more", None),
)
"""Classes of the number of events, each with the greatest that belongs to it."""

WIDTH = 40

Classes = Sequence[tuple[str, int | None]]


def draw(sessions: Sequence[FinalSession], bar: str) -> Text:
    """Both histograms, at most 80 columns wide. ``bar`` is the character that bars are made of."""
    text = Text()
    for title, classes, values in (
        ("how long they last", LENGTHS, [session.duration_ms for session in sessions]),
        ("how many events they have", COUNTS, [session.event_count for session in sessions]),
    ):
        text.append(f"  {title}\n", "dim")
        numbers = _numbers(classes, values)
        most = max([*numbers, 1])
        for (name, _), number in zip(classes, numbers, strict=True):
            length = -(-number * WIDTH // most)  # rounded up: one session is a bar already
            text.append(f"    {name:<15}{number:>8,}  ")
            text.append(f"{bar * length}\n", "cyan")
    return text


def _numbers(classes: Classes, values: Iterable[int]) -> list[int]:
    """How many values belong to each class."""
    numbers = [0] * len(classes)
    for value in values:
        numbers[next(i for i, (_, most) in enumerate(classes) if most is None or value <= most)] += 1
    return numbers
