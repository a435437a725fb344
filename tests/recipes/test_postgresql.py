"""The PostgreSQL recipe on a real server: DuckDB's figures, and what loading promises.

Where no PostgreSQL is installed this file is not collected; the head of the test run says so.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.recipes import figures, worked_example
from tests.recipes.figures import QUERIES, RECIPES_DIRECTORY, SESSIONS, TRAFFICS, VISITS, Row, assert_same
from tests.recipes.postgresql import Database, described, programs, running_server
from tests.recipes.traffic import Traffic
from tests.recipes.visits import Site, session_row

POSTGRESQL = RECIPES_DIRECTORY / "postgresql"


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    found = programs()
    assert found is not None, described()
    with running_server(found) as server:
        yield server


@pytest.fixture(scope="module")
def loaded(server: Database, outputs: dict[str, Path]) -> dict[str, Database]:
    """A database a traffic, loaded from its files."""
    databases = {}
    for number, (name, output) in enumerate(outputs.items()):
        database = databases[name] = server.created(f"loaded_{number}")
        database.run_file(POSTGRESQL / "tables.sql")
        database.run_file(POSTGRESQL / "load_files.sql", directory=output)
    return databases


_numbers = itertools.count()


@pytest.fixture
def database(server: Database) -> Database:
    """One with the recipe's tables, empty."""
    database = server.created(f"empty_{next(_numbers)}")
    database.run_file(POSTGRESQL / "tables.sql")
    return database


def answer(database: Database, recipe: str) -> list[Row]:
    """The rows of a recipe's query, numbers as numbers."""
    return rows_of(database, (QUERIES / f"{recipe}.sql").read_text())


def rows_of(database: Database, query: str) -> list[Row]:
    return [{column: plain(text) for column, text in row.items()} for row in database.rows(query)]


def plain(text: str) -> object:
    if text in ("", "t", "f"):
        return {"": None, "t": True, "f": False}[text]
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def test_every_query_is_held_against_figures() -> None:
    queries = {path.stem for path in QUERIES.glob("*.sql")}
    assert queries == figures.RECIPES.keys()


@pytest.mark.parametrize("recipe", figures.RECIPES)
def test_a_recipe_answers_what_one_counts_by_hand(recipe: str, loaded: dict[str, Database]) -> None:
    assert_same(answer(loaded["by hand"], recipe), worked_example.FIGURES[recipe])


@pytest.mark.parametrize("name", TRAFFICS)
@pytest.mark.parametrize("recipe", figures.RECIPES)
def test_a_recipe_answers_what_plain_loops_count(
    recipe: str, name: str, loaded: dict[str, Database], sites: dict[str, Site]
) -> None:
    assert_same(answer(loaded[name], recipe), figures.RECIPES[recipe](sites[name]))


@pytest.mark.parametrize("name", TRAFFICS)
def test_every_row_of_a_session_is_the_one_that_plain_loops_find(
    name: str, loaded: dict[str, Database], sites: dict[str, Site]
) -> None:
    assert_same(rows_of(loaded[name], SESSIONS), [session_row(session) for session in sites[name].sessions])


@pytest.mark.parametrize("name", TRAFFICS)
def test_every_visit_is_the_one_that_plain_loops_find(
    name: str, loaded: dict[str, Database], sites: dict[str, Site]
) -> None:
    rows = rows_of(loaded[name], VISITS)
    assert_same(rows, [visit.row() for visit in sites[name].visits])


def test_days_are_those_of_the_time_zone_that_one_place_names(
    server: Database, traffic: dict[str, Traffic], outputs: dict[str, Path], tmp_path: Path
) -> None:
    zone = "America/New_York"
    tables = (POSTGRESQL / "tables.sql").read_text()
    assert tables.count("time zone 'UTC'") == 1
    there = tmp_path / "tables.sql"
    there.write_text(tables.replace("time zone 'UTC'", f"time zone '{zone}'"))
    database = server.created("elsewhere")
    database.run_file(there)
    database.run_file(POSTGRESQL / "load_files.sql", directory=outputs["demo"])
    site = traffic["demo"].site(zone=ZoneInfo(zone))
    assert_same(answer(database, "sessions_a_day"), figures.sessions_a_day(site))


def test_loading_the_files_again_changes_nothing(
    loaded: dict[str, Database], outputs: dict[str, Path]
) -> None:
    loaded["by hand"].run_file(POSTGRESQL / "load_files.sql", directory=outputs["by hand"])
    assert_same(answer(loaded["by hand"], "whose_events"), worked_example.FIGURES["whose_events"])


# --- what arrives from Kafka: records with their offsets ---


def upsert(database: Database, topic: str, *records: tuple[int, str, dict[str, Any] | None]) -> None:
    """Have records (offset, key, value) arrive and take them in."""
    for offset, key, value in records:
        text = "null" if value is None else "'" + json.dumps(value).replace("'", "''") + "'"
        database.run(f"insert into arrived_{topic} (place, key, value) values ({offset}, '{key}', {text})")
    database.run_file(POSTGRESQL / "upsert.sql")


def session(session_id: str = "s1", **fields: Any) -> dict[str, Any]:
    """A record of the sessions topic."""
    first = {"id": "e1", "type": "page_view"}
    whole = {
        "session_id": session_id,
        "device_id": "d1",
        "session_source": "client",
        "session_number": 1,
        "session_cause": "client",
        "start": 1_772_445_600_000,
        "end": 1_772_445_600_000,
        "duration_ms": 0,
        "event_count": 1,
        "active_count": 1,
        "view_count": 0,
        "is_bounce": True,
        "entry_event": first,
        "exit_event": first,
        "status": "open",
        "revision": 1,
    }
    return {**whole, **fields}


def identity(user: str) -> dict[str, Any]:
    """A record of the identities topic."""
    return {
        "device_id": "d1",
        "links": [{"since": 1_772_445_600_000, "user_id": user}],
        "first_seen": 1_772_445_600_000,
        "linked_at": 1_772_445_600_000,
        "event_id": "e1",
        "user_id": user,
    }


def test_of_one_session_the_last_record_counts_within_a_load_and_over_loads(database: Database) -> None:
    opened, closed = session(), session(status="closed", event_count=5, revision=2)
    upsert(database, "sessions", (7, "d1/s1", opened), (9, "d1/s1", closed))
    assert database.rows("select status, event_count, revision from sessions") == [
        {"status": "closed", "event_count": "5", "revision": "2"}
    ]
    upsert(database, "sessions", (12, "d1/s1", session(event_count=5, revision=3)))
    assert database.rows("select status from sessions") == [{"status": "open"}]


def test_records_that_are_read_again_change_nothing(database: Database) -> None:
    opened, closed = session(), session(status="closed", revision=2)
    upsert(database, "sessions", (7, "d1/s1", opened), (9, "d1/s1", closed))
    upsert(database, "sessions", (7, "d1/s1", opened))
    assert database.rows("select status from sessions") == [{"status": "closed"}]


def test_a_clients_session_that_begins_again_counts_though_its_revision_is_less(database: Database) -> None:
    upsert(database, "sessions", (7, "d1/s1", session(status="closed", revision=6)))
    upsert(database, "sessions", (90, "d1/s1", session(session_number=7, revision=1)))
    assert database.rows("select session_number, status from sessions") == [
        {"session_number": "7", "status": "open"}
    ]


def test_the_same_session_id_on_two_devices_is_two_sessions(database: Database) -> None:
    upsert(database, "sessions", (1, "d1/s1", session()), (2, "d2/s1", session(device_id="d2")))
    assert database.rows("select count(*) as sessions from sessions") == [{"sessions": "2"}]


def test_a_tombstone_takes_a_timeline_away_and_a_later_record_brings_it_back(database: Database) -> None:
    upsert(database, "identities", (1, "d1", identity("ann")), (2, "d1", identity("bob")))
    upsert(database, "identities", (1, "d1", identity("ann")))
    assert database.rows("select user_id from identities") == [{"user_id": "bob"}]
    upsert(database, "identities", (3, "d1", None))
    assert database.rows("select user_id from identities") == []
    upsert(database, "identities", (4, "d1", None), (5, "d1", identity("cid")))
    assert database.rows("select user_id from identities") == [{"user_id": "cid"}]
    upsert(database, "identities", (3, "d1", None))
    assert database.rows("select user_id from identities") == [{"user_id": "cid"}], "an old tombstone"


def test_an_event_that_is_read_again_is_no_second_event(database: Database) -> None:
    event = {"id": "e1", "type": "page_view", "device_id": "d1", "timestamp": 1_772_445_600_000}
    upsert(database, "events", (1, "d1", event), (2, "d1", event))
    upsert(database, "events", (2, "d1", event), (3, "d1", event))
    assert database.rows("select place from events order by place") == [
        {"place": "1"},
        {"place": "2"},
        {"place": "3"},
    ], "sent twice is two events, read twice is one"


def test_purchases_of_open_sessions_and_outside_any_have_rows_of_their_own(database: Database) -> None:
    upsert(database, "sessions", (1, "d1/s1", session()), (2, "d1/s2", session("s2", status="closed")))
    bought = {"id": "e", "type": "purchase", "device_id": "d1", "timestamp": 1_772_445_600_000}
    events = [{**bought, "session_id": "s1"}, bought, bought, {**bought, "session_id": "s2"}]
    upsert(database, "events", *((place, "d1", event) for place, event in enumerate(events)))
    rows = [
        (row["counted_in"], row["sessions"], row["conversion_percent"], row["purchases"])
        for row in answer(database, "conversion")
    ]
    assert rows == [
        ("closed sessions", 1, 100.0, 1),
        ("no session", 0, None, 2),
        ("open sessions", 1, None, 1),
    ]


def test_an_event_whose_data_jsonb_refuses_is_taken_in_with_a_substitute(database: Database) -> None:
    event = '{"id":"e1","type":"t","device_id":"d1","timestamp":1772445600000,"data":'
    values = [r'{"a":"x\u0000\u0000","b":"\\u0000"}', '{"n":1e200000,"m":1e400}']
    for data in values:
        database.run(f"insert into arrived_events (value) values ('{event}{data}}}')")
    database.run_file(POSTGRESQL / "upsert.sql")
    substituted = database.rows(
        "select data - 'm' as data, data -> 'm' = '1e400' as kept from events order by place"
    )
    assert [json.loads(row["data"]) for row in substituted] == [
        {"a": "x\ufffd\ufffd", "b": r"\u0000"},
        {"n": None},
    ]
    assert substituted[1]["kept"] == "t"
