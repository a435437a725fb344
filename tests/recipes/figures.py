"""The figures of every recipe, by plain loops over what was done and the visits. Figures are not rounded.

Decides what each query must answer. It must not know SQL, the worker's code or its output. The invariant: one
function for each file in docs/recipes/queries, with its name.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.recipes.visits import Deed, Person, Site, Visit

RECIPES_DIRECTORY = Path(__file__).parents[2] / "docs" / "recipes"
PAGE = RECIPES_DIRECTORY.parent / "analysts.md"
QUERIES = RECIPES_DIRECTORY / "queries"
"""For DuckDB and PostgreSQL alike."""

Row = dict[str, Any]

ROUNDED = 0.0501
"""How far a figure that was rounded to one digit, or two, may be from the exact one."""

TRAFFICS = ("by hand", "demo", "load", "hostile", "no duplicates")
"""The names of those that every recipe is tried on."""

VISITS = "select * from visits order by start_ms, device_id, session_id"
SESSIONS = """
select
    device_id, session_id, session_source, session_number, status,
    case when status <> 'merged' then user_id end as user_id, merged_into
from sessions
order by device_id, session_id
"""
"""What the tests ask besides the recipes."""

FUNNEL = ("product_view", "add_to_cart", "purchase")
MINUTE_MS = 60_000


def assert_same(rows: list[Row], expected: list[Row]) -> None:
    """The rows are the expected ones, in that order."""
    assert [list(row) for row in rows] == [list(row) for row in expected], "columns and number of rows"
    for row, expected_row in zip(rows, expected, strict=True):
        for column, figure in expected_row.items():
            near = pytest.approx(figure, abs=ROUNDED) if isinstance(figure, float) else figure
            assert row[column] == near, f"{column} of {expected_row}"


def sessions_a_day(site: Site) -> list[Row]:
    return [
        {
            "day": day,
            "sessions": len(visits),
            "devices": len({visit.session.device for visit in visits}),
            "users": len({visit.user for visit in visits if visit.user is not None}),
            "still_open": 0,  # a replay closes all
            "events_a_session": mean(visit.session.count for visit in visits),
            "minutes_a_session": mean(visit.duration_ms / MINUTE_MS for visit in visits),
        }
        for day, visits in by_day(site)
    ]


def bounce_rate(site: Site) -> list[Row]:
    sessions: Counter[str] = Counter()
    bounces: Counter[str] = Counter()
    for visit in site.visits:
        sessions[visit.session.entry.type] += 1
        bounces[visit.session.entry.type] += visit.is_bounce
    return [
        {
            "entry_type": entry_type,
            "sessions": number,
            "bounces": bounces[entry_type],
            "bounce_percent": 100 * bounces[entry_type] / number,
        }
        for entry_type, number in sorted(sessions.items(), key=lambda item: (-item[1], item[0]))
    ]


def conversion(site: Site) -> list[Row]:
    purchases: Counter[Visit] = Counter()
    outside: Counter[str] = Counter()
    for deed in site.deeds:
        if deed.type == "purchase":
            if deed.visit is None:
                outside[site.day(deed.t)] += 1
            else:
                purchases[deed.visit] += 1
    inside = [
        {
            "counted_in": "closed sessions",
            "day": day,
            "sessions": len(visits),
            "with_purchase": (bought := sum(purchases[visit] > 0 for visit in visits)),
            "conversion_percent": 100 * bought / len(visits),
            "purchases": sum(purchases[visit] for visit in visits),
        }
        for day, visits in by_day(site)
    ]
    return inside + [
        {
            "counted_in": "no session",
            "day": day,
            "sessions": 0,
            "with_purchase": 0,
            "conversion_percent": None,
            "purchases": number,
        }
        for day, number in sorted(outside.items())
    ]


def funnel(site: Site) -> list[Row]:
    reached: list[list[str]] = [[] for _ in FUNNEL]
    for (kind, _), deeds in by_person(site).items():
        after_ms = 0
        for step, event_type in enumerate(FUNNEL):
            later = [deed.t for deed in deeds if deed.type == event_type and deed.t >= after_ms]
            if not later:
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
        if kinds
    ]


def whose_events(site: Site) -> list[Row]:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for deed in site.deeds:
        groups[deed.seen.source, "nobody" if deed.user is None else "somebody"].append(deed.device)
    return [
        {"as_delivered": before, "as_known_now": now, "events": len(devices), "devices": len(set(devices))}
        for (before, now), devices in sorted(groups.items())
    ]


def active_users_a_day(site: Site) -> list[Row]:
    days: dict[str, list[Deed]] = defaultdict(list)
    for deed in site.deeds:
        days[site.day(deed.t)].append(deed)
    return [
        {
            "day": day,
            "people": len({deed.person for deed in deeds}),
            "users": len({deed.user for deed in deeds if deed.user is not None}),
            "devices": len({deed.device for deed in deeds}),
            "events": len(deeds),
        }
        for day, deeds in sorted(days.items())
    ]


def sessions_per_user(site: Site) -> list[Row]:
    visits: Counter[Person] = Counter(visit.person for visit in site.visits)
    rows = []
    for kind in ("device", "user"):
        numbers = [number for (of_kind, _), number in visits.items() if of_kind == kind]
        if numbers:
            rows.append(
                {
                    "kind": kind,
                    "people": len(numbers),
                    "visits": sum(numbers),
                    "visits_a_person": mean(numbers),
                    "median_visits": float(median(numbers)),
                    "most_visits": max(numbers),
                }
            )
    return rows


def new_and_returning(site: Site) -> list[Row]:
    return [
        {
            "day": day,
            "visits": len(visits),
            "new_visitors": sum(visit.number == 1 for visit in visits),
            "returning_visits": sum(visit.number > 1 for visit in visits),
            "people": len({visit.person for visit in visits}),
        }
        for day, visits in by_day(site)
    ]


def first_touch(site: Site) -> list[Row]:
    buyers = {deed.person for deed in site.deeds if deed.type == "purchase"}
    groups: dict[tuple[str, str], list[Person]] = defaultdict(list)
    for visit in site.visits:
        if visit.number == 1:
            row = visit.row()
            groups[row["landing_page"] or "(none)", row["referrer"] or "(none)"].append(visit.person)
    rows = [
        {
            "landing_page": page,
            "referrer": referrer,
            "people": len(people),
            "known_users": sum(kind == "user" for kind, _ in people),
            "buyers": sum(person in buyers for person in people),
        }
        for (page, referrer), people in sorted(groups.items())
    ]
    return sorted(rows, key=lambda row: -int(str(row["people"])))


def login_to_purchase(site: Site) -> list[Row]:
    minutes, elsewhere, logged_in = [], 0, 0
    for (kind, _), deeds in by_person(site).items():
        in_time = sorted(deeds, key=lambda deed: (deed.t, deed.device))
        login = next((deed for deed in in_time if deed.type == "login"), None)
        if kind != "user" or login is None:
            continue
        logged_in += 1
        bought = next((deed for deed in in_time if deed.type == "purchase" and deed.t >= login.t), None)
        if bought is not None:
            minutes.append((bought.t - login.t) / MINUTE_MS)
            elsewhere += bought.device != login.device
    return [
        {
            "logged_in": logged_in,
            "bought": len(minutes),
            "on_another_device": elsewhere,
            "median_minutes": float(median(minutes)) if minutes else None,
            "mean_minutes": mean(minutes) if minutes else None,
        }
    ]


def time_to_login(site: Site) -> list[Row]:
    minutes = []
    for (kind, _), deeds in by_person(site).items():
        logins = [deed.t for deed in deeds if deed.type == "login"]
        if kind == "user" and logins:
            minutes.append((min(logins) - min(deed.t for deed in deeds)) / MINUTE_MS)
    return [
        {
            "users": len(minutes),
            "at_once": minutes.count(0),
            "median_minutes": float(median(minutes)) if minutes else None,
            "mean_minutes": mean(minutes) if minutes else None,
        }
    ]


def visit_length(site: Site) -> list[Row]:
    rows = []
    for day, visits in by_day(site):
        minutes = [visit.duration_ms / MINUTE_MS for visit in visits if not visit.is_bounce]
        rows.append(
            {
                "day": day,
                "visits": len(minutes),
                "bounces": len(visits) - len(minutes),
                "median_minutes": float(median(minutes)) if minutes else None,
                "mean_minutes": mean(minutes) if minutes else None,
            }
        )
    return rows


RECIPES: dict[str, Callable[[Site], list[Row]]] = {
    recipe.__name__: recipe
    for recipe in (
        *(sessions_a_day, bounce_rate, conversion, funnel, whose_events, active_users_a_day),
        *(sessions_per_user, new_and_returning, first_touch, login_to_purchase, time_to_login, visit_length),
    )
}
"""Name of a query -> what it must answer."""


def by_day(site: Site) -> list[tuple[str, list[Visit]]]:
    """The visits by the day they began on."""
    days: dict[str, list[Visit]] = defaultdict(list)
    for visit in site.visits:
        days[site.day(visit.session.start)].append(visit)
    return sorted(days.items())


def by_person(site: Site) -> dict[Person, list[Deed]]:
    people: dict[Person, list[Deed]] = defaultdict(list)
    for deed in site.deeds:
        people[deed.person].append(deed)
    return people


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
