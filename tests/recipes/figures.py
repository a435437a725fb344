"""The figures of every recipe, once more: by plain loops over the output files.

It knows docs/outputs.md and docs/sessions.md and no SQL. Figures are not rounded.
"""

import datetime
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.recipes.traffic import Lines, read

RECIPES_DIRECTORY = Path(__file__).parents[2] / "docs" / "recipes"
QUERIES = RECIPES_DIRECTORY / "queries"
"""For DuckDB and PostgreSQL alike."""

Row = dict[str, Any]

ROUNDED = 0.0501
"""How far a figure that was rounded to one digit, or two, may be from the exact one."""

HELD_MS = 5 * 60 * 1000
FUNNEL = ("product_view", "add_to_cart", "purchase")


def assert_same(rows: list[Row], expected: list[Row]) -> None:
    """The rows are the expected ones, in that order."""
    assert [list(row) for row in rows] == [list(row) for row in expected], "columns and number of rows"
    for row, expected_row in zip(rows, expected, strict=True):
        assert row == pytest.approx(expected_row, abs=ROUNDED)


def sessions_a_day(output: Path) -> list[Row]:
    days: dict[str, Lines] = defaultdict(list)
    for session in read(output, "sessions"):
        if session["status"] != "merged":
            days[day_of(session["start"])].append(session)
    return [
        {
            "day": day,
            "sessions": len(sessions),
            "devices": len({session["device_id"] for session in sessions}),
            "users": len({session["user_id"] for session in sessions if "user_id" in session}),
            "still_open": 0,  # a replay closes all
            "events_a_session": mean(session["event_count"] for session in sessions),
            "minutes_a_session": mean(session["duration_ms"] / 60_000 for session in sessions),
        }
        for day, sessions in sorted(days.items())
    ]


def bounce_rate(output: Path) -> list[Row]:
    sessions: Counter[str] = Counter()
    bounces: Counter[str] = Counter()
    for session in read(output, "sessions"):
        if session["status"] == "closed":
            sessions[session["entry_event"]["type"]] += 1
            bounces[session["entry_event"]["type"]] += session["event_count"] == 1
    return [
        {
            "entry_type": entry_type,
            "sessions": number,
            "bounces": bounces[entry_type],
            "bounce_percent": 100 * bounces[entry_type] / number,
        }
        for entry_type, number in sorted(sessions.items(), key=lambda item: (-item[1], item[0]))
    ]


def conversion(output: Path) -> list[Row]:
    sessions = {(line["device_id"], line["session_id"]): line for line in read(output, "sessions")}
    converted = set()
    for event in read(output, "enriched"):
        if event["type"] == "purchase" and "session_id" in event:
            device_id, session_id = event["device_id"], event["session_id"]
            while (session := sessions[device_id, session_id])["status"] == "merged":
                session_id = session["merged_into"]
            converted.add((device_id, session_id))
    days: dict[str, list[bool]] = defaultdict(list)
    for key, session in sessions.items():
        if session["status"] == "closed":
            days[day_of(session["start"])].append(key in converted)
    return [
        {
            "day": day,
            "sessions": len(purchases),
            "with_purchase": sum(purchases),
            "conversion_percent": 100 * sum(purchases) / len(purchases),
        }
        for day, purchases in sorted(days.items())
    ]


def funnel(output: Path) -> list[Row]:
    people: dict[tuple[str, str], Lines] = defaultdict(list)
    for event, user in owned(output):
        people[("user", user) if user is not None else ("device", event["device_id"])].append(event)
    reached: list[list[str]] = [[] for _ in FUNNEL]
    for (kind, _), events in people.items():
        after_ms = 0
        for step, event_type in enumerate(FUNNEL):
            times = [held_ms(event) for event in events if event["type"] == event_type]
            if not (later := [time for time in times if time >= after_ms]):
                break
            after_ms = min(later)
            reached[step].append(kind)
    return [
        {
            "step": step + 1,
            "type": FUNNEL[step],
            "people": len(kinds),
            "known_users": kinds.count("user"),
            "percent_of_first": 100 * len(kinds) / len(reached[0]),
        }
        for step, kinds in enumerate(reached)
    ]


def whose_events(output: Path) -> list[Row]:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event, user in owned(output):
        now = "nobody" if user is None else "somebody"
        groups[event.get("user_source", "nobody"), now].append(event["device_id"])
    return [
        {"as_delivered": before, "as_known_now": now, "events": len(devices), "devices": len(set(devices))}
        for (before, now), devices in sorted(groups.items())
    ]


RECIPES: dict[str, Callable[[Path], list[Row]]] = {
    recipe.__name__: recipe for recipe in (sessions_a_day, bounce_rate, conversion, funnel, whose_events)
}
"""Name of a query -> what it must answer."""


def owned(output: Path) -> Iterable[tuple[dict[str, Any], str | None]]:
    """Every event with the user that it belongs to, as is known after all of them."""
    timelines = {line["device_id"]: line for line in read(output, "identities")}
    for event in read(output, "enriched"):
        user = event.get("user_id")
        timeline = timelines.get(event["device_id"])
        t_ms = held_ms(event)
        if event.get("user_source") != "event" and timeline and t_ms >= timeline["first_seen"]:
            links = timeline["links"]
            before = {} if "links_since" in timeline else links[0]
            user = next((link for link in reversed(links) if link["since"] <= t_ms), before).get("user_id")
        yield event, user


def held_ms(event: dict[str, Any]) -> int:
    """The time that the rules use."""
    received_at: int | None = event.get("received_at")
    timestamp: int = event["timestamp"]
    return timestamp if received_at is None else min(timestamp, received_at + HELD_MS)


def day_of(time_ms: int) -> str:
    return datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC).date().isoformat()


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
