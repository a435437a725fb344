"""The examples of docs/collect.md that run in a page, in a real browser, from another origin.

What is stored is asked for from another thread, since the browser's driver has an event loop in this one.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import pytest
from playwright.sync_api import Page

from testing.wait import wait_until
from tests.conftest import Kafka
from tests.integration.collect_place import CollectPlace, collecting
from tests.integration.test_collect_examples import EXAMPLES, here, listening


class EmptyPage(BaseHTTPRequestHandler):
    """A page of another origin than the collector's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the library's own name
        pass


@pytest.fixture(scope="module")
def place(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectPlace]:
    directory = tmp_path_factory.mktemp("collect-browser")
    with collecting(kafka.bootstrap_servers, directory) as place:
        yield place


def stored(place: CollectPlace) -> int:
    with ThreadPoolExecutor(1) as other:
        return len(other.submit(place.events).result())


def printed(page: Page, runs_in: str, place: CollectPlace, more: str = "") -> list[str]:
    """What the example, and ``more`` after it, printed when the one request that it makes has ended."""
    (example,) = [example for example in EXAMPLES if example.runs_in == runs_in]
    lines: list[str] = []
    page.on("console", lambda message: lines.append(message.text))
    with listening(EmptyPage) as address:
        page.goto(address)
        with page.expect_event("requestfinished"):
            page.evaluate(f"async () => {{{here(example.code, place)}{more}}}")
    return lines


def test_a_request_of_a_page_stores_its_event_and_its_answer_can_be_read(
    place: CollectPlace, page: Page
) -> None:
    before = stored(place)
    assert printed(page, "fetch", place) == ["200 1 []"]
    assert stored(place) == before + 1


def test_a_beacon_stores_its_event(place: CollectPlace, page: Page) -> None:
    before = stored(place)
    assert printed(page, "beacon", place, "console.log(queued);") == ["true"]
    wait_until(lambda: stored(place) == before + 1, what="the event of the beacon is stored")
