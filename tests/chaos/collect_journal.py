"""What a sender writes down of each request: before its first byte goes out, and when it knows the outcome.

Decides the form of the lines. Invariants: a line is with the operating system when ``note`` returns; a
request without a second line has no known outcome.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct, json

from tests.chaos.collect_bodies import Origin


class Sent(Struct, tag="sent", frozen=True):
    """A request is about to go out; ``send`` counts those with the same origin, from 1.

    ``again``: on the same connection the same request was answered 200 just before.
    """

    origin: Origin
    send: int
    way: str
    at_s: float
    again: bool = False


class Answered(Struct, tag="answered", frozen=True):
    """Its answer, whole. ``seconds`` from the last byte of the request."""

    origin: Origin
    send: int
    status: int
    body: str
    at_s: float
    seconds: float


class Lost(Struct, tag="lost", frozen=True):
    """No answer will come.

    ``because``: ``not connected`` (nothing was written), ``left`` (by the sender itself), ``cut`` (by the
    server), ``no answer`` (in a very long time).
    """

    origin: Origin
    send: int
    because: Literal["not connected", "left", "cut", "no answer"]
    at_s: float
    seconds: float = 0.0


Line = Sent | Answered | Lost
_read_line = json.Decoder(Line).decode


class SenderJournal:
    """The file of one sender."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def note(self, line: Line) -> None:
        self._file.write(json.encode(line) + b"\n")

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> Iterator[Line]:
    """The lines of one journal; half a line at the end, of a sender that was killed, is none."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield _read_line(line)
