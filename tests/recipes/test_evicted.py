"""What the figures lose because a device is remembered up to a number of sessions and links, counted.

The recipes answer what plain loops count that remember as much as docs/sessions.md says (the other tests
here). These are the same loops with no limit: what differs is on devices that reached one.
"""

from collections import defaultdict

import pytest

from tests.recipes import figures
from tests.recipes.figures import TRAFFICS
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
    known, true = sites["hostile"], unlimited["hostile"]
    visits, true_visits = members(known), members(true)
    rows = [(visit.session.delivered_user(), visit.user) for visit in known.visits]
    assert {
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
    } == {
        "events": 3505,
        "sessions merged away": 21,
        "devices that evicted sessions": 78,
        "devices that gave up links": 17,
        "visits": 885,
        "visits, had nothing been evicted": 865,
        "visits with the same events in both": 836,
        "events that are nobody's, and would be somebody's": 88,
        "visits whose row lacks the user": 37,
        "visits whose row has a user that is nobody's to claim": 6,
        "visits whose row has another user": 0,
    }


def lifetimes(site: Site) -> set[Lifetime]:
    return {deed.seen.lifetime for deed in site.deeds}
