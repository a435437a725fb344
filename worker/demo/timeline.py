"""One device's timeline as a picture in plain text: its sessions, the gaps between them, and its users.

Decides which device is shown and how. Knows only its enriched events. The invariant: the picture can be read
without colour and fits 80 columns.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from msgspec import Struct
from rich.text import Text

from worker.model.outputs import EnrichedEvent

BAR_WIDTH = 36
STEPS_S = (5, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""How many seconds one character of a bar may stand for."""


class Marks(Struct, frozen=True):
    """The characters of the picture. All are drawn one column wide."""

    unknown: str = "○"
    known: str = "●"
    login: str = "◆"
    line: str = "─"
    gap: str = "┊"


PLAIN_MARKS = Marks(unknown="o", known="*", login="#", line="-", gap=":")
"""For terminals that are not UTF-8."""


class _Session(Struct):
    """Events of one session by event time; ``number`` is the session's among the device's."""

    number: int
    events: list[EnrichedEvent]

    @property
    def start_ms(self) -> int:
        return self.events[0].timestamp

    @property
    def end_ms(self) -> int:
        return self.events[-1].timestamp


def by_device(events: Iterable[EnrichedEvent]) -> dict[str, list[EnrichedEvent]]:
    """The events of each device, in the order given."""
    devices: dict[str, list[EnrichedEvent]] = {}
    for event in events:
        devices.setdefault(event.device_id, []).append(event)
    return devices


def choose(devices: Mapping[str, Sequence[EnrichedEvent]]) -> str | None:
    """The device that shows most: anonymous sessions, then a login in the middle of one, then more.

    None when no device has both a login and a session before it.
    """
    scores = {device_id: _score(events) for device_id, events in devices.items()}
    best = max(scores, key=scores.__getitem__, default=None)
    return best if best is not None and scores[best] > 0 else None


def _score(events: Sequence[EnrichedEvent]) -> int:
    links = [event for event in events if "linked" in event.flags]
    sessions = _sessions(events)
    if len(links) != 1 or len(sessions) < 2 or any("out_of_order" in event.flags for event in events):
        return 0
    link = links[0]
    before = [session for session in sessions if session.end_ms < link.timestamp]
    around = next(session for session in sessions if link in session.events)
    place = around.events.index(link)
    if not before or place < 3 or len(around.events) - place < 4:
        return 0
    longest_ms = max(session.end_ms - session.start_ms for session in sessions)
    known_by_event_again = sum(event.user_source == "event" for event in events) > 1
    return (
        1
        + 4 * (3 <= len(sessions) <= 4)
        + 2 * (sessions[-1] is not around)
        + 2 * (longest_ms < 20 * 60_000)
        + 2 * all(len(session.events) >= 5 for session in sessions)
        + known_by_event_again
    )


def _sessions(events: Iterable[EnrichedEvent]) -> list[_Session]:
    sessions: dict[str, _Session] = {}
    for event in events:
        if event.session_id is not None:
            session = sessions.setdefault(event.session_id, _Session(event.session_number or 0, []))
            session.events.append(event)
    for session in sessions.values():
        session.events.sort(key=lambda event: event.timestamp)
    return sorted(sessions.values(), key=lambda session: session.start_ms)


def draw(events: Sequence[EnrichedEvent], marks: Marks) -> Text:
    """The timeline of one device, from all its events in order of arrival. It must have a session."""
    sessions = _sessions(events)
    link = next((event for event in events if "linked" in event.flags), None)
    step_ms = _step_ms(max(session.end_ms - session.start_ms for session in sessions))
    picture = Text()
    for number, session in enumerate(sessions):
        if number:
            _draw_gap(picture, sessions[number - 1], session, marks)
        else:
            picture.append(f"  {_day(session.start_ms)}\n", "bold")
        _draw_session(picture, session, step_ms, marks)
        _describe_users(picture, session, link, marks)
    picture.append(
        f"\n  {marks.unknown} user not known yet   {marks.known} user known   {marks.login} login   "
        f"{marks.line} {step_ms // 1000} s   (times in UTC)\n",
        "dim",
    )
    return picture


def _step_ms(longest_ms: int) -> int:
    return next((s for s in STEPS_S if longest_ms // (s * 1000) < BAR_WIDTH), 24 * 3600) * 1000


def _draw_session(picture: Text, session: _Session, step_ms: int, marks: Marks) -> None:
    cells = [marks.line] * ((session.end_ms - session.start_ms) // step_ms + 1)
    for event in session.events:
        place = (event.timestamp - session.start_ms) // step_ms
        if cells[place] != marks.login:
            cells[place] = _mark(event, marks)
    picture.append(f"  {_clock(session.start_ms)}  ")
    for cell in cells:
        picture.append(cell, _style(cell, marks))
    picture.append(" " * (BAR_WIDTH - len(cells)))
    length = _duration(session.end_ms - session.start_ms)
    picture.append(f"  session {session.number}: {len(session.events)} events, {length}\n", "bold")


def _mark(event: EnrichedEvent, marks: Marks) -> str:
    if "linked" in event.flags:
        return marks.login
    return marks.unknown if event.user_id is None else marks.known


def _style(mark: str, marks: Marks) -> str:
    return {marks.login: "bold magenta", marks.known: "green", marks.unknown: "yellow"}.get(mark, "dim")


def _describe_users(picture: Text, session: _Session, link: EnrichedEvent | None, marks: Marks) -> None:
    """One line for each run of events of the same user, and one for the login."""

    def owner(event: EnrichedEvent) -> tuple[str, str | None]:
        return _mark(event, marks), event.user_id

    for (mark, user), run in groupby(session.events, key=owner):
        events = list(run)
        if mark == marks.login:
            at = _clock(events[0].timestamp)
            line = f"{at} {events[0].type}: the device is {user}'s, and its earlier events too"
        elif mark == marks.unknown:
            line = f"{len(events)} anonymous"
            if link is not None and events[-1].timestamp < link.timestamp:
                line += f", claimed for {link.user_id} by the login"
        else:
            sources = Counter(event.user_source for event in events)
            named = ", ".join(f"{count} by the {source}" for source, count in sources.most_common())
            line = f"{len(events)} of {user}, known {named}"
        picture.append(f"         {mark}", _style(mark, marks))
        picture.append(f" {line}\n")


def _draw_gap(picture: Text, before: _Session, after: _Session, marks: Marks) -> None:
    gap_ms = after.start_ms - before.end_ms
    if gap_ms > 0:
        picture.append(f"         {marks.gap} {_duration(gap_ms)} without an event\n", "dim")
    if _day(before.start_ms) != _day(after.start_ms):
        picture.append(f"  {_day(after.start_ms)}\n", "bold")


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%a %d %b")


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M")


def _duration(length_ms: int) -> str:
    """In one or two units: 3 h 04 min, 12 min, 45 s."""
    seconds = length_ms // 1000
    if seconds < 90:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
