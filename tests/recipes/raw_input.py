"""Which events raw batches hold: docs/input.md once more, for the traffic that the recipes are tried on.

Decides what is refused, which ids are missing, and the held time. It must not know the worker's code or
output, and nothing of sessions. It is no full reader: what none of the traffic sends (templates that nobody
filled in, values that are cut off) it does not check. The invariant: events come in order of arrival.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

Lines = list[dict[str, Any]]
"""Raw records: ``{"received_at": ms, "value": a batch, or its text}``, in order of arrival."""

MAX_FUTURE_MS = 5 * 60 * 1000
EARLIEST_MS, TOO_LATE_MS = 10**11, 10**14
LONGEST_TEXT = 512
MOST_PROPERTIES = 50

DAY_MS = 24 * 60 * 60 * 1000
MOST_REMEMBERED = 500
"""How long and how many event ids are remembered of a device, to find duplicates."""

MISSING = {"", "null", "undefined", "none", "nan"}
_OPTIONS = tomllib.loads((Path(__file__).parents[2] / "config" / "worker.toml").read_text())
NOBODY = {word.casefold() for word in _OPTIONS["identity"]["blocked_user_ids"]}
NO_DEVICE = {word.casefold() for word in _OPTIONS["identity"]["blocked_device_ids"]}

_AROUND = " \t\r\n\"'`()[]{}<>\u200b\u200c\u200d\ufeff"
_ZEROS = re.compile(r"[0\W_]*|0x0+")
_NO_VALUES = re.compile(r"(?:(?:null|undefined|none|nan|nil)[\W_]*)+")
_TEMPLATE = re.compile(r"\{\{|\{%|[$#%]\{|[$%]\(|<%|%\w+%|__\w+__|\[object")


class Event(NamedTuple):
    """One event that was not refused. ``t`` is its held time (ms), ``place`` counts in order of arrival."""

    place: int
    id: str
    type: str
    device: str
    t: int
    user: str | None
    session: str | None
    view: str | None
    data: dict[str, Any]


class _RefusedError(Exception):
    """The event goes to the dead letters."""


def events_of(lines: Lines) -> list[Event]:
    """The events of raw records that are not refused."""
    events: list[Event] = []
    for line in lines:
        for element in _elements(line["value"]):
            try:
                events.append(_event(element, line.get("received_at"), len(events)))
            except _RefusedError:
                continue
    return events


def without_duplicates(events: list[Event]) -> list[Event]:
    """What ``input.duplicates = "drop"`` leaves: no event whose id its device has sent within a day."""
    remembered: dict[str, list[Event]] = {}
    remaining = []
    for event in events:
        recent = remembered.setdefault(event.device, [])
        if any(one.id == event.id and abs(one.t - event.t) <= DAY_MS for one in recent):
            continue
        recent.append(event)
        while len(recent) > MOST_REMEMBERED or recent[0].t < event.t - DAY_MS:
            del recent[0]
        remaining.append(event)
    return remaining


def _elements(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            assert not value.startswith("["), "a batch that is cut off: nobody sends one here"
            return
    yield from value if isinstance(value, list) else [value]


def _event(element: Any, received_at: int | None, place: int) -> Event:
    if not isinstance(element, dict):
        raise _RefusedError
    time = element.get("timestamp")
    if isinstance(time, bool) or not isinstance(time, int | float) or time != int(time):
        raise _RefusedError
    if not EARLIEST_MS <= time < TOO_LATE_MS:
        raise _RefusedError
    device = _required(element, "device_id")
    if _names_nobody(device, NO_DEVICE):
        raise _RefusedError
    user = _text(element.get("user_id"))
    held = received_at is not None and received_at >= EARLIEST_MS
    return Event(
        place=place,
        id=_required(element, "id", "event_id"),
        type=_required(element, "type", "event"),
        device=device,
        t=min(int(time), received_at + MAX_FUTURE_MS) if held and received_at else int(time),
        user=None if user is None or _names_nobody(user, NOBODY) else user,
        session=_given(element.get("session_id")),
        view=_given(element.get("view_id")),
        data=_data(element.get("data")),
    )


def _required(element: dict[str, Any], *names: str) -> str:
    found = {_text(element[name]) for name in names if element.get(name) is not None}
    if len(found) != 1 or (text := found.pop()) is None or not text.strip():
        raise _RefusedError
    return text


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _RefusedError
    text = str(value)
    if len(text.encode()) > LONGEST_TEXT or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise _RefusedError
    return text


def _given(value: Any) -> str | None:
    text = _text(value)
    return None if text is None or _bare(text) in MISSING else text


def _names_nobody(text: str, words: set[str]) -> bool:
    assert not _TEMPLATE.search(text), f"{text}: a template, which nobody sends here"
    bare = _bare(text)
    return bare in words or any(form.fullmatch(bare) is not None for form in (_ZEROS, _NO_VALUES))


def _bare(text: str) -> str:
    return text.strip(_AROUND).casefold()


def _data(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MOST_PROPERTIES:
        raise _RefusedError
    if any(name.startswith("_") or isinstance(one, dict | list) for name, one in value.items()):
        raise _RefusedError
    return value
