"""What the figures lose because a device is remembered up to a number of sessions and links, counted.

The recipes answer what plain loops count that remember as much as docs/sessions.md says (the other tests
here). These are the same loops with no limit: what differs is on devices that reached one.
"""

import re
from collections import defaultdict

import pytest

from tests.recipes import figures
from tests.recipes.figures import PAGE, TRAFFICS
from tests.recipes.history import EVERYTHING, Lifetime
from tests.recipes.traffic import Traffic
from tests.recipes.visits import Site, Visit


@pytest.fixture(scope="module")
def unlimited(traffic: dict[str, Traffic]) -> dict[str, Site]:
    """What really was, had nothing been evicted or given up."""
    return {name: one.site(EVERYTHING) for name, one in traffic.items()}


def members(site: Site) -> dict[frozenset[int], Visit]:
    """Every visit by its events."""
    places: dict[Visit, list[int]] = defaultdict(list)
    for deed in site.deeds:
        if deed.visit is not None:
            places[deed.visit].append(deed.seen.event.place)
    return {frozenset(events): visit for visit, events in places.items()}


@pytest.mark.parametrize("name", ["demo", "load"])
@pytest.mark.parametrize("recipe", figures.RECIPES)
def test_where_nothing_comes_too_late_no_figure_is_lost(
    recipe: str, name: str, sites: dict[str, Site], unlimited: dict[str, Site]
) -> None:
    assert figures.RECIPES[recipe](sites[name]) == figures.RECIPES[recipe](unlimited[name])


@pytest.mark.parametrize("name", TRAFFICS)
def test_only_devices_that_evicted_sessions_have_others(
    name: str, sites: dict[str, Site], unlimited: dict[str, Site]
) -> None:
    known, true = members(sites[name]), members(unlimited[name])
    differing = [known[events] for events in known.keys() - true.keys()]
    assert all(visit.session.lifetime.evicted for visit in differing)


@pytest.mark.parametrize("name", TRAFFICS)
def test_only_devices_that_gave_up_links_have_events_of_other_users(
    name: str, sites: dict[str, Site], unlimited: dict[str, Site]
) -> None:
    for known, true in zip(sites[name].deeds, unlimited[name].deeds, strict=True):
        assert known.user == true.user or known.seen.lifetime.given_up
        assert known.user in (true.user, None) or known.seen.source == "event"


def test_only_the_rows_of_evicted_sessions_have_other_users_than_the_visits(sites: dict[str, Site]) -> None:
    for site in sites.values():
        differing = [visit for visit in site.visits if visit.session.delivered_user() != visit.user]
        assert all(visit.session.is_evicted for visit in differing)


def test_how_much_a_hostile_stream_loses(sites: dict[str, Site], unlimited: dict[str, Site]) -> None:
    assert losses(sites["hostile"], unlimited["hostile"]) == {
        "events": 3586,
        "sessions merged away": 33,
        "devices that evicted sessions": 73,
        "devices that gave up links": 19,
        "visits": 817,
        "visits, had nothing been evicted": 805,
        "visits with the same events in both": 790,
        "events that are nobody's, and would be somebody's": 115,
        "visits whose row lacks the user": 31,
        "visits whose row has a user that is nobody's to claim": 4,
        "visits whose row has another user": 2,
    }


def test_how_many_rows_of_a_recipe_a_hostile_stream_changes(
    sites: dict[str, Site], unlimited: dict[str, Site]
) -> None:
    answers = {
        name: (recipe(sites["hostile"]), recipe(unlimited["hostile"]))
        for name, recipe in figures.RECIPES.items()
    }
    assert {
        name: (sum(row not in true_rows for row in rows), len(rows))
        for name, (rows, true_rows) in answers.items()
    } == {
        "sessions_a_day": (1, 3),
        "bounce_rate": (5, 7),
        "conversion": (2, 5),
        "funnel": (3, 3),
        "whose_events": (4, 5),
        "active_users_a_day": (2, 3),
        "sessions_per_user": (2, 2),
        "new_and_returning": (2, 3),
        "first_touch": (8, 15),
        "login_to_purchase": (1, 1),
        "time_to_login": (1, 1),
        "visit_length": (1, 3),
    }


def test_the_page_for_analysts_says_so(sites: dict[str, Site], unlimited: dict[str, Site]) -> None:
    lost = losses(sites["hostile"], unlimited["hostile"])
    pattern = r"there are (\d+) visits where (\d+) would be right, and (\d+) of (\S+) events are nobody's"
    found = re.search(pattern, " ".join(PAGE.read_text().split()))
    assert found is not None
    assert [int(number.replace(",", "")) for number in found.groups()] == [
        lost["visits"],
        lost["visits, had nothing been evicted"],
        lost["events that are nobody's, and would be somebody's"],
        lost["events"],
    ]


def losses(known: Site, true: Site) -> dict[str, int]:
    """What a site loses, counted."""
    visits, true_visits = members(known), members(true)
    rows = [(visit.session.delivered_user(), visit.user) for visit in known.visits]
    return {
        "events": len(known.deeds),
        "sessions merged away": sum(session.merged_into is not None for session in known.sessions),
        "devices that evicted sessions": sum(bool(lifetime.evicted) for lifetime in lifetimes(known)),
        "devices that gave up links": sum(lifetime.given_up for lifetime in lifetimes(known)),
        "visits": len(visits),
        "visits, had nothing been evicted": len(true_visits),
        "visits with the same events in both": len(visits.keys() & true_visits.keys()),
        "events that are nobody's, and would be somebody's": sum(
            deed.user is None and true_deed.user is not None
            for deed, true_deed in zip(known.deeds, true.deeds, strict=True)
        ),
        "visits whose row lacks the user": sum(row is None and user is not None for row, user in rows),
        "visits whose row has a user that is nobody's to claim": sum(
            row is not None and user is None for row, user in rows
        ),
        "visits whose row has another user": sum(
            row is not None and user is not None and row != user for row, user in rows
        ),
    }


def lifetimes(site: Site) -> set[Lifetime]:
    return {deed.seen.lifetime for deed in site.deeds}
