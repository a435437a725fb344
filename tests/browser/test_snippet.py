"""The snippet in a real browser, against a collector whose answers the test decides."""

import itertools
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.scripted_collector import Answer, ScriptedCollector, scripted_collector

IN_TIME_MS = 20_000

_numbers = itertools.count()


@pytest.fixture
def collector() -> Iterator[ScriptedCollector]:
    with scripted_collector() as running:
        yield running


def wait_until(page: Page, condition: Callable[[], object], what: str) -> None:
    """Let the browser work until the condition holds."""
    waited_ms = 0
    while not condition():
        if waited_ms > IN_TIME_MS:
            raise TimeoutError(f"waited in vain until {what}")
        page.wait_for_timeout(20)
        waited_ms += 20


def opened(page: Page, collector: ScriptedCollector, attributes: str = "") -> Page:
    collector.attributes = f'data-key="wk_test" {attributes}'
    # Another address each time: the same one with a fragment would be no new page.
    page.goto(f"{collector.site}/shop?secret={next(_numbers)}#part")
    return page


def queued(page: Page) -> int:
    return int(page.evaluate("JSON.parse(sessionStorage['sz.queue'] || '[[]]')[0].length"))


def test_a_page_view_has_all_fields_and_needs_no_preflight(page: Page, collector: ScriptedCollector) -> None:
    opened(page, collector, "data-page")
    wait_until(page, lambda: collector.requests, "the page view came")
    (request,) = collector.requests
    (event,) = request.events
    assert set(event) == {"id", "type", "device_id", "timestamp", "view_id", "data"}
    assert event["type"] == "page_view"
    assert event["data"] == {"url": f"{collector.site}/shop", "title": "A shop"}, "no query, no fragment"
    assert re.fullmatch("[0-9a-f]{32}", event["device_id"])
    assert request.query["write_key"] == ["wk_test"]
    assert request.headers["content-type"] == "text/plain;charset=UTF-8"
    assert request.headers["sec-fetch-mode"] == "cors"
    assert "cookie" not in request.headers
    assert collector.methods == ["POST"]


def test_events_wait_for_each_other_and_go_50_at_a_time(page: Page, collector: ScriptedCollector) -> None:
    opened(page, collector).evaluate("for (let i = 0; i < 120; i++) sz.track('click', {i})")
    wait_until(page, lambda: len(collector.types) == 120, "all came")
    assert [len(request.events) for request in collector.requests] == [50, 50, 20]
    places = [event["data"]["i"] for request in collector.requests for event in request.events]
    assert places == list(range(120))
    assert len({request.key for request in collector.requests}) == 3
    wait_until(page, lambda: queued(page) == 0, "the last answer came")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_be_sent_again_is_the_same_batch(
    page: Page, collector: ScriptedCollector, status: int
) -> None:
    collector.answers = [Answer(status, {"error": "busy"}, retry_after=1)]
    opened(page, collector).evaluate("sz.track('first')")
    wait_until(page, lambda: collector.requests, "the first attempt came")
    page.evaluate("sz.track('second')")
    wait_until(page, lambda: len(collector.requests) == 3, "all was sent")
    first, again, second = collector.requests
    assert (first.key, first.body) == (again.key, again.body), "else the collector stores it twice"
    assert second.types == ["second"]


def test_retry_after_is_waited_for(page: Page, collector: ScriptedCollector) -> None:
    collector.answers = [Answer(503, {"error": "busy"}, retry_after=3)]
    page.add_init_script(
        "window.waits = []; const set = window.setTimeout;"
        "window.setTimeout = (what, ms) => { window.waits.push(ms); return set(what, ms) }"
    )
    opened(page, collector).evaluate("sz.track('click')")
    wait_until(page, lambda: len(page.evaluate("waits")) == 2, "the next attempt is planned")
    assert 3_000 <= page.evaluate("waits[1]") <= 4_500


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_what_may_not_be_sent_again_is_dropped(page: Page, collector: ScriptedCollector, status: int) -> None:
    collector.answers = [Answer(status, {"error": "no"})]
    opened(page, collector).evaluate(
        "window.seen = []; addEventListener('sz', e => seen.push(e.detail)); sz.track('bad')"
    )
    wait_until(page, lambda: page.evaluate("seen.length"), "the answer came")
    page.evaluate("sz.track('good')")
    wait_until(page, lambda: len(collector.requests) == 2, "the next event came")
    assert collector.types == ["bad", "good"]
    assert page.evaluate("seen[0]") == {"status": status, "answer": {"error": "no"}}


def test_of_a_batch_stored_in_part_the_rest_is_sent(page: Page, collector: ScriptedCollector) -> None:
    collector.answers = [
        Answer(503, {"error": "partly_stored", "stored": [0, 2], "retry": [1, 3], "refused": []})
    ]
    opened(page, collector).evaluate("for (const name of 'abcd') sz.track(name)")
    wait_until(page, lambda: len(collector.requests) == 2, "the rest came")
    first, rest = collector.requests
    assert (first.types, rest.types) == (["a", "b", "c", "d"], ["b", "d"])
    assert first.key != rest.key


def test_leaving_sends_a_beacon(page: Page, collector: ScriptedCollector) -> None:
    page.add_init_script("window.setTimeout = () => 1")  # so that 200 ms are never over before
    opened(page, collector).evaluate("sz.track('leave')")
    page.goto("about:blank")
    wait_until(page, lambda: collector.requests, "the beacon came")
    (request,) = collector.requests
    assert request.types == ["leave"]
    assert request.headers["sec-fetch-mode"] == "no-cors"
    assert request.headers["content-type"] == "text/plain;charset=UTF-8"


def test_a_beacon_that_was_not_taken_leaves_its_events(page: Page, collector: ScriptedCollector) -> None:
    opened(page, collector).evaluate(
        "navigator.sendBeacon = () => false; window.fetch = () => new Promise(() => {}); sz.track('kept')"
    )
    opened(page, collector)
    wait_until(page, lambda: collector.requests, "the next page sent it")
    assert collector.types == ["kept"]


def test_no_beacon_is_sent_while_attempts_fail(page: Page, collector: ScriptedCollector) -> None:
    collector.answers = [Answer(503, {"error": "busy"}, retry_after=3_600)]
    opened(page, collector).evaluate("addEventListener('sz', e => window.seen = 1); sz.track('kept')")
    wait_until(page, lambda: page.evaluate("window.seen"), "an attempt failed")
    page.evaluate("sz.track('later')")
    opened(page, collector)
    wait_until(page, lambda: len(collector.types) >= 3, "the next page sent them")
    first, again, rest = collector.requests
    assert (again.key, again.types) == (first.key, ["kept"]), "the same batch, not a beacon under another key"
    assert rest.types == ["later"]
    assert {request.headers["sec-fetch-mode"] for request in collector.requests} == {"cors"}


def test_offline_events_outlive_the_page_and_come_in_order(
    context: BrowserContext, page: Page, collector: ScriptedCollector
) -> None:
    opened(page, collector).evaluate("addEventListener('sz', e => window.status_ = e.detail.status)")
    context.set_offline(True)
    page.evaluate("sz.track('one'); sz.track('two')")
    wait_until(page, lambda: page.evaluate("window.status_ === 0"), "an attempt failed")
    assert queued(page) == 2
    page.goto("about:blank")  # a beacon would be lost now, without a sign
    context.set_offline(False)
    opened(page, collector)
    wait_until(page, lambda: len(collector.types) == 2, "the next page sent them")
    assert collector.types == ["one", "two"]


def test_coming_back_online_sends_at_once(
    context: BrowserContext, page: Page, collector: ScriptedCollector
) -> None:
    collector.answers = [Answer(503, {}, retry_after=3_600)]
    opened(page, collector).evaluate("addEventListener('sz', e => window.seen = 1); sz.track('click')")
    wait_until(page, lambda: page.evaluate("window.seen"), "an attempt failed")
    context.set_offline(True)
    context.set_offline(False)
    wait_until(page, lambda: len(collector.requests) == 2, "it was sent again, an hour too early")


def test_the_newest_500_wait(page: Page, collector: ScriptedCollector) -> None:
    collector.answers = [Answer(503, {}, retry_after=3_600)]
    opened(page, collector).evaluate(
        "addEventListener('sz', e => window.seen = 1); for (let i = 0; i < 600; i++) sz.track('' + i)"
    )
    wait_until(page, lambda: page.evaluate("window.seen"), "an attempt failed")
    page.evaluate("for (let i = 600; i < 700; i++) sz.track('' + i)")
    assert queued(page) == 500
    collector.requests.clear()
    page.evaluate("dispatchEvent(new Event('online'))")
    wait_until(page, lambda: len(collector.types) == 500, "all were sent")
    # The batch that was sent once stays as it is, else its key would mean something else.
    assert collector.types == [*map(str, range(100, 150)), *map(str, range(250, 700))]


def test_a_user_stays_from_login_to_logout_also_over_pages(page: Page, collector: ScriptedCollector) -> None:
    opened(page, collector).evaluate("sz.track('before'); sz.identify('ada'); sz.identify('ada')")
    wait_until(page, lambda: len(collector.types) == 2, "both came")
    opened(page, collector).evaluate("sz.track('after'); sz.logout(); sz.track('alone')")
    wait_until(page, lambda: len(collector.types) == 5, "all came")
    events = [event for request in collector.requests for event in request.events]
    assert [(event["type"], event.get("user_id") or None) for event in events] == [
        ("before", None),
        ("login", "ada"),
        ("after", "ada"),
        ("logout", "ada"),
        ("alone", None),
    ]
    assert len({event["device_id"] for event in events}) == 1


def test_tabs_share_the_device_and_the_user(
    context: BrowserContext, page: Page, collector: ScriptedCollector
) -> None:
    opened(page, collector)
    other = opened(context.new_page(), collector)
    page.evaluate("sz.identify('ada')")
    other.evaluate("sz.track('click')")
    wait_until(page, lambda: len(collector.types) == 2, "both came")
    events = [event for request in collector.requests for event in request.events]
    assert len({(event["device_id"], event["user_id"]) for event in events}) == 1


def test_sessions_have_names_only_where_asked_for(page: Page, collector: ScriptedCollector) -> None:
    opened(page, collector, "data-session").evaluate("sz.track('a'); sz.track('b')")
    page.evaluate("localStorage['sz.seen'] -= 29 * 60000; sz.track('c')")
    page.evaluate("localStorage['sz.seen'] -= 31 * 60000; sz.track('d')")
    wait_until(page, lambda: len(collector.types) == 4, "all came")
    names = [event["session_id"] for request in collector.requests for event in request.events]
    assert names[0] == names[1] == names[2] != names[3]


def test_a_page_without_storage_sends_all_the_same(page: Page, collector: ScriptedCollector) -> None:
    page.add_init_script(
        "for (const name of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(window, name, {get() { throw new DOMException('no', 'SecurityError') }})"
    )
    opened(page, collector).evaluate("sz.track('a'); sz.track('b')")
    wait_until(page, lambda: len(collector.types) == 2, "both came")
    events = [event for request in collector.requests for event in request.events]
    assert len({event["device_id"] for event in events}) == 1


def test_small_requests_outlive_the_page(page: Page, collector: ScriptedCollector) -> None:
    collector.answers = [Answer(200), Answer(200), Answer(503)]
    page.add_init_script(
        "window.kept = []; const real = window.fetch;"
        "window.fetch = (url, options) => { window.kept.push(options.keepalive); return real(url, options) }"
    )
    opened(page, collector).evaluate("sz.track('one')")
    wait_until(page, lambda: len(collector.requests) == 1, "one came")
    page.evaluate("for (let i = 0; i < 25; i++) sz.track('many')")
    wait_until(page, lambda: len(collector.requests) == 2, "many came")
    page.evaluate("sz.track('failed')")
    wait_until(page, lambda: len(collector.requests) == 4, "it was sent again")
    assert page.evaluate("kept") == [True, False, True, False]
