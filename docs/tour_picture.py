"""Draws the day of the tour's device: its sessions, its events, and whose they are. Plain SVG, no library.

Knows rows of the output topics; decides how they look. Every figure in the picture comes from a row.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from msgspec import Struct

Row = Mapping[str, Any]
HOUR_MS = 3_600_000
WIDTH, LEFT, RIGHT = 1000, 90, 30
SESSIONS_Y, USERS_Y, ARRIVALS_Y, AXIS_Y, LEGEND_Y, HEIGHT = 95, 150, 205, 240, 282, 300
INK, PALE, ANONYMOUS, KNOWN, REFUSED = "#334155", "#e2e8f0", "#b45309", "#15803d", "#b91c1c"
FONT = f'font-family="system-ui, sans-serif" font-size="12" fill="{INK}"'


class Scale(Struct, frozen=True):
    """Times in ms from ``start_ms`` to ``end_ms`` as places from left to right."""

    start_ms: int
    end_ms: int

    def x(self, at_ms: int) -> float:
        return round(
            LEFT + (WIDTH - LEFT - RIGHT) * (at_ms - self.start_ms) / (self.end_ms - self.start_ms), 1
        )


def draw(enriched: Sequence[Row], sessions: Sequence[Row], identity: Row, dead_letters: Sequence[Row]) -> str:
    """The picture as SVG text: ``sessions`` in order of time, ``identity`` with one link to a user."""
    first, last = sessions[0]["start"], sessions[-1]["end"]
    scale = Scale(first // HOUR_MS * HOUR_MS, -(-last // HOUR_MS) * HOUR_MS)
    title = f"{sessions[0]['device_id']} on {day(first)}, by event time (UTC)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 24, title, 'font-size="15" font-weight="600"'),
        *_axis(scale),
        *_sessions(sessions, scale),
        *_users(identity, scale),
        *_arrivals(enriched, dead_letters, scale),
        *_events(enriched, scale),
        *_legend(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%-d %B %Y")


def clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M")


def duration(length_ms: int) -> str:
    minutes = length_ms // 60_000
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}"{" " + more if more else ""}>{text}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, more: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {more}/>'


def _axis(scale: Scale) -> Iterator[str]:
    for at_ms in range(scale.start_ms, scale.end_ms + 1, HOUR_MS):
        x = scale.x(at_ms)
        yield _line(x, SESSIONS_Y - 12, x, AXIS_Y, f'stroke="{PALE}"')
        yield _text(x, AXIS_Y + 15, clock(at_ms), 'text-anchor="middle"')


def _sessions(sessions: Sequence[Row], scale: Scale) -> Iterator[str]:
    yield _text(10, SESSIONS_Y + 4, "sessions", 'font-weight="600"')
    for session in sessions:
        x, end = scale.x(session["start"]), scale.x(session["end"])
        yield (
            f'<rect x="{x - 8}" y="{SESSIONS_Y - 12}" width="{round(end - x + 16, 1)}" height="24" rx="12" '
            'fill="#dbeafe" stroke="#3b82f6"/>'
        )
        anchor = "" if session is not sessions[-1] else 'text-anchor="end"'
        label_x = x - 8 if session is not sessions[-1] else end + 8
        yield _text(
            label_x, SESSIONS_Y - 34, f"session {session['session_number']}", f'{anchor} font-weight="600"'
        )
        times = f"{clock(session['start'])} to {clock(session['end'])}, {session['event_count']} events"
        yield _text(label_x, SESSIONS_Y - 19, times, anchor)
    for before, after in pairwise(sessions):
        x, end = scale.x(before["end"]) + 8, scale.x(after["start"]) - 8
        yield _line(x, SESSIONS_Y, end, SESSIONS_Y, f'stroke="{INK}" stroke-dasharray="3 4"')
        gap = duration(after["start"] - before["end"])
        yield _text((x + end) / 2, SESSIONS_Y + 16, f"no event for {gap}", 'text-anchor="middle"')


def _users(identity: Row, scale: Scale) -> Iterator[str]:
    (link,) = identity["links"]
    yield _text(10, USERS_Y + 4, "user", 'font-weight="600"')
    start, login, end = scale.x(identity["first_seen"]), scale.x(link["since"]), WIDTH - RIGHT
    for x, until, opacity in ((start, login, 0.15), (login, end, 0.45)):
        yield (
            f'<rect x="{x}" y="{USERS_Y - 10}" width="{round(until - x, 1)}" height="20" fill="{KNOWN}" '
            f'fill-opacity="{opacity}"/>'
        )
    user = link["user_id"]
    yield _text(start + 8, USERS_Y + 4, f"{user}, claimed by the login at {clock(link['since'])}")
    yield _text(login + 8, USERS_Y + 4, f"{user}, linked since {clock(link['since'])}")


def _arrivals(enriched: Sequence[Row], dead_letters: Sequence[Row], scale: Scale) -> Iterator[str]:
    yield _text(10, ARRIVALS_Y + 4, "received", 'font-weight="600"')
    for received_ms in sorted({row["received_at"] for row in (*enriched, *dead_letters)}):
        x = scale.x(received_ms)
        yield _line(x, ARRIVALS_Y - 7, x, ARRIVALS_Y + 7, f'stroke="{INK}" stroke-width="2"')
    for row in enriched:
        if "late" in row.get("flags", ()):
            x, arrived = scale.x(row["timestamp"]), scale.x(row["received_at"])
            yield (
                f'<path d="M {arrived} {ARRIVALS_Y - 8} C {arrived} {USERS_Y + 12}, {x} {ARRIVALS_Y}, '
                f'{x} {SESSIONS_Y + 14}" fill="none" stroke="{INK}" stroke-dasharray="2 2"/>'
            )
            yield _text(
                arrived + 6, ARRIVALS_Y - 6, f"{row['id']} is late: received {clock(row['received_at'])}"
            )
    for row in dead_letters:
        words = f"✕ one event refused: {row['reason']}"
        yield _text(scale.x(row["received_at"]) - 4, ARRIVALS_Y + 20, words, f'fill="{REFUSED}"')


def _events(enriched: Sequence[Row], scale: Scale) -> Iterator[str]:
    for row in enriched:
        x = scale.x(row["timestamp"])
        if "linked" in row.get("flags", ()):
            yield f'<path d="{_diamond(x, SESSIONS_Y)}" fill="{KNOWN}"/>'
        else:
            yield _circle(x, SESSIONS_Y, known="user_id" in row)


def _diamond(x: float, y: float) -> str:
    return f"M {x} {y - 8} l 8 8 l -8 8 l -8 -8 z"


def _circle(x: float, y: float, *, known: bool) -> str:
    fill, edge = (KNOWN, KNOWN) if known else ("#ffffff", ANONYMOUS)
    return f'<circle cx="{x}" cy="{y}" r="5" fill="{fill}" stroke="{edge}" stroke-width="2"/>'


def _legend() -> Iterator[str]:
    marks = (
        (_circle(LEFT + 6, LEGEND_Y - 4, known=False), "went out without a user"),
        (_circle(LEFT + 206, LEGEND_Y - 4, known=True), "went out with its user"),
        (f'<path d="{_diamond(LEFT + 406, LEGEND_Y - 4)}" fill="{KNOWN}"/>', "the login"),
    )
    for place, (mark, words) in enumerate(marks):
        yield mark
        yield _text(LEFT + 200 * place + 20, LEGEND_Y, words)
