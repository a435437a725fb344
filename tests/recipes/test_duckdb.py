"""The DuckDB recipes, on the files of a replay: the figures that one counts by hand, or with plain loops."""

import datetime
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import duckdb
import pytest

from tests.builders import click, ms
from tests.recipes import figures, worked_example
from tests.recipes.figures import QUERIES, RECIPES_DIRECTORY, SESSIONS, TRAFFICS, VISITS, Row, assert_same
from tests.recipes.raw_input import events_of, without_duplicates
from tests.recipes.traffic import Traffic, replayed
from tests.recipes.visits import Site, session_row

TABLES = RECIPES_DIRECTORY / "duckdb" / "tables.sql"
UTC = "time zone 'UTC'"


def answer(output: Path, query: str, tables: str = "") -> list[Row]:
    """The rows of a query, run in the directory of the output files."""
    with duckdb.connect() as connection:
        connection.execute(f"set file_search_path = '{output}'")
        connection.execute(tables or TABLES.read_text())
        found = connection.execute(query)
        columns = [column[0] for column in found.description or ()]
        return [dict(zip(columns, map(plain, row), strict=True)) for row in found.fetchall()]


def plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, datetime.date) else value


def recipe_text(recipe: str) -> str:
    return (QUERIES / f"{recipe}.sql").read_text()


def test_every_query_is_held_against_figures() -> None:
    queries = {path.stem for path in QUERIES.glob("*.sql")}
    assert queries == figures.RECIPES.keys() == worked_example.FIGURES.keys()


@pytest.mark.parametrize("recipe", figures.RECIPES)
def test_plain_loops_count_what_one_counts_by_hand(recipe: str, sites: dict[str, Site]) -> None:
    assert_same(figures.RECIPES[recipe](sites["by hand"]), worked_example.FIGURES[recipe])


@pytest.mark.parametrize("recipe", figures.RECIPES)
def test_a_recipe_answers_what_one_counts_by_hand(recipe: str, outputs: dict[str, Path]) -> None:
    assert_same(answer(outputs["by hand"], recipe_text(recipe)), worked_example.FIGURES[recipe])


@pytest.mark.parametrize("name", TRAFFICS)
@pytest.mark.parametrize("recipe", figures.RECIPES)
def test_a_recipe_answers_what_plain_loops_count(
    recipe: str, name: str, outputs: dict[str, Path], sites: dict[str, Site]
) -> None:
    assert_same(answer(outputs[name], recipe_text(recipe)), figures.RECIPES[recipe](sites[name]))


@pytest.mark.parametrize("name", TRAFFICS)
def test_every_row_of_a_session_is_the_one_that_plain_loops_find(
    name: str, outputs: dict[str, Path], sites: dict[str, Site]
) -> None:
    assert_same(answer(outputs[name], SESSIONS), [session_row(session) for session in sites[name].sessions])


@pytest.mark.parametrize("name", TRAFFICS)
def test_every_visit_is_the_one_that_plain_loops_find(
    name: str, outputs: dict[str, Path], sites: dict[str, Site]
) -> None:
    rows = answer(outputs[name], VISITS)
    assert_same(rows, [visit.row() for visit in sites[name].visits])


@pytest.mark.parametrize("recipe", ["sessions_a_day", "conversion", "active_users_a_day", "visit_length"])
def test_days_are_those_of_the_time_zone_that_one_place_names(
    recipe: str, traffic: dict[str, Traffic], outputs: dict[str, Path]
) -> None:
    tables = TABLES.read_text()
    assert tables.count(UTC) == 1
    zone = "America/New_York"
    there = traffic["demo"].site(zone=ZoneInfo(zone))
    rows = answer(outputs["demo"], recipe_text(recipe), tables.replace(UTC, f"time zone '{zone}'"))
    assert_same(rows, figures.RECIPES[recipe](there))
    assert rows != answer(outputs["demo"], recipe_text(recipe))


def test_an_event_received_at_the_end_of_time_fails_no_query(tmp_path: Path) -> None:
    output = replayed(Traffic([{"received_at": 2**63 - 1, "value": [click("d1", "10:00:00")]}]), tmp_path)
    for recipe in figures.RECIPES:
        answer(output, recipe_text(recipe))
    assert answer(output, "select held_ms from events") == [{"held_ms": ms("10:00:00")}]


def test_the_visits_of_evicted_sessions_are_those_of_the_user_who_signed_in_at_last(tmp_path: Path) -> None:
    visits = [click("d1", f"{hour}:00:00") for hour in range(8, 14)]
    lines = [{"received_at": event["timestamp"], "value": [event]} for event in visits]
    login = click("d1", "13:05:00", user="ann", type="login")
    lines.append({"received_at": login["timestamp"], "value": [login]})
    output = replayed(Traffic(lines), tmp_path)
    rows = answer(output, "select user_id from sessions order by session_number")
    assert [row["user_id"] for row in rows] == [None, None, "ann", "ann", "ann", "ann"]
    rows = answer(output, "select user_id, visit_number, visitor from visits order by start_ms")
    assert [row["user_id"] for row in rows] == ["ann"] * 6
    assert [row["visit_number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["visitor"] for row in rows] == ["new", *["returning"] * 5]


def test_a_visit_has_its_own_user_though_he_signed_out_and_his_session_merged_away(tmp_path: Path) -> None:
    events = [
        click("d1", "06:00:00", user="dora", type="login"),
        click("d1", "06:01:00", type="logout"),
        click("d1", "10:00:00"),
        click("d1", "10:50:00", user="ann", type="login"),
        click("d1", "10:52:00", type="logout"),
        click("d1", "10:53:00"),
        click("d1", "10:25:00"),  # late: the session of 10:50 merges into that of 10:00
    ]
    lines = [{"received_at": ms("11:00:00"), "value": [event]} for event in events]
    rows = answer(
        replayed(Traffic(lines), tmp_path), "select user_id, event_count from visits order by start_ms"
    )
    assert rows == [{"user_id": "dora", "event_count": 2}, {"user_id": "ann", "event_count": 5}]


def test_two_devices_that_give_their_events_the_same_ids_have_landing_pages_of_their_own(
    tmp_path: Path,
) -> None:
    events = [click(device, "10:00:00", id="1", data={"url": f"/{device}"}) for device in ("d1", "d2")]
    lines = [{"received_at": event["timestamp"], "value": [event]} for event in events]
    rows = answer(replayed(Traffic(lines), tmp_path), "select device_id, landing_page, exit_page from visits")
    assert sorted(tuple(row.values()) for row in rows) == [("d1", "/d1", "/d1"), ("d2", "/d2", "/d2")]


@pytest.mark.parametrize("duplicates", ["flag", "drop"])
def test_duplicates_are_those_that_plain_loops_find(
    duplicates: Literal["flag", "drop"], traffic: dict[str, Traffic], tmp_path: Path
) -> None:
    repeated = replace(traffic["no duplicates"], duplicates=duplicates)
    events = events_of(repeated.lines)
    (row,) = answer(
        replayed(repeated, tmp_path),
        "select count(*) as events, count_if(list_contains(flags, 'duplicate')) as flagged from events",
    )
    found = len(events) - len(without_duplicates(events))
    assert found > 0
    assert (
        row
        == {
            "flag": {"events": len(events), "flagged": found},
            "drop": {"events": len(events) - found, "flagged": 0},
        }[duplicates]
    )


def test_an_event_id_that_is_sent_again_makes_no_second_visit_and_no_other_landing_page(
    tmp_path: Path,
) -> None:
    first = click("d1", "10:00:00", id="e1", data={"url": "/landing"})
    again = click("d1", "12:00:00", id="e1", data={"url": "/later"})
    batches = [[first], [first], [again]]
    lines = [{"received_at": batch[-1]["timestamp"], "value": batch} for batch in batches]
    rows = answer(replayed(Traffic(lines), tmp_path), "select landing_page from visits order by start_ms")
    assert [row["landing_page"] for row in rows] == ["/landing", "/later"]
