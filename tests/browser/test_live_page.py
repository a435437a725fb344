"""The live page in a real browser, with collector, worker and page as processes on a real broker."""

import os
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, expect

from testing.scratch import scratch_directory
from tests.browser.scene import OTHER_KEY, PAGE_KEY, Scene, running_scene
from tests.conftest import Kafka

PICTURE = Path(__file__).parent.parent.parent / "docs" / "live.png"
MOST_PICTURE_BYTES = 150_000

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def scene(kafka: Kafka) -> Iterator[Scene]:
    prefix = f"browser-{uuid.uuid4().hex[:8]}."
    with (
        scratch_directory("browser") as directory,
        running_scene(kafka.bootstrap_servers, prefix, directory) as running,
    ):
        yield running


@pytest.fixture
def live(scene: Scene, page: Page) -> Page:
    """The live page, opened, with its first page view shown."""
    opened(scene, page)
    return page


def opened(scene: Scene, page: Page) -> None:
    page.goto(scene.live.url)
    expect(events(page).first).to_be_visible()


def events(page: Page, kind: str = "") -> Locator:
    """The rows of all events, or of those of one type, the newest first."""
    rows = page.locator("#events tr[data-id]")
    return rows.filter(has=page.get_by_role("cell", name=kind, exact=True)) if kind else rows


def sessions(page: Page) -> Locator:
    return page.locator("#sessions tr[data-session]")


def click(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def send(page: Page, scene: Scene, key: str = PAGE_KEY, **fields: Any) -> tuple[int, dict[str, Any]]:
    """Send one event of the page's device by the page's own fetch; status and answer."""
    event = {"id": str(uuid.uuid4()), "type": "sent", **fields}
    status, answer = page.evaluate(
        """async ([url, event]) => {
            event.device_id ??= sz.device; event.timestamp = Date.now() + (event.timestamp ?? 0)
            const body = JSON.stringify(event)
            const answer = await fetch(url, {method: "POST", body, credentials: "omit"})
            return [answer.status, await answer.json()]
        }""",
        [f"{scene.collector.url}/v1/events?write_key={key}", event],
    )
    return status, answer


def test_a_click_becomes_a_row_and_a_session(scene: Scene, context: BrowserContext, page: Page) -> None:
    requests: list[Request] = []
    context.on("request", lambda request: requests.append(request))
    opened(scene, page)
    expect(page.locator("#stream-state")).to_have_text("connected")
    first = events(page, "page_view")
    expect(first).to_contain_text("new_device")
    click(page, "Click")
    row = events(page, "click")
    expect(row.locator(".session")).to_have_text("1 event 2")
    expect(row.locator(".number")).to_have_text(re.compile(r"^\d+(\.\d)? m?s$"))
    expect(sessions(page)).to_have_count(1)
    expect(sessions(page)).to_contain_text("open")
    expect(page.locator("#session-count")).to_have_text("1")
    expect(page.locator("#timeline svg circle.unknown")).to_have_count(3)  # two events, and one sign beside
    expect(page.locator("#timeline svg")).to_have_attribute(
        "aria-label", re.compile("Session 1 at .*: 2 events")
    )
    expect(page.locator("#announcement")).to_contain_text("click, session 1")

    posts = [request for request in requests if request.method == "POST"]
    assert posts
    assert all(request.url.startswith(scene.collector.url) for request in posts), "another origin"
    assert not [request for request in requests if request.method == "OPTIONS"], "no preflight"
    assert not [request for request in posts if "cookie" in request.all_headers()]


def test_a_login_names_the_user_and_claims_the_session(scene: Scene, live: Page) -> None:
    live.get_by_label("User").fill("grace")
    live.get_by_label("User").press("Enter")
    row = events(live, "login")
    expect(row).to_contain_text("grace by the event")
    expect(row).to_contain_text("linked")
    expect(sessions(live)).to_contain_text("grace")
    expect(live.locator("#user-now")).to_have_text("grace")
    expect(live.locator("#timeline")).to_contain_text("1 anonymous, claimed for grace by the login")
    click(live, "Log out")
    expect(events(live, "logout")).to_contain_text("grace")
    expect(live.locator("#user-now")).to_have_text("nobody")
    expect(live.locator("#timeline")).to_contain_text("1 of grace, known 1 by the event")
    expect(live.locator("#no-logout")).to_be_hidden()
    click(live, "Click")
    expect(events(live, "click")).to_contain_text("nobody yet")


def test_what_is_sent_while_leaving_arrives(scene: Scene, live: Page) -> None:
    device = live.evaluate("sz.device")
    live.evaluate("sz.track('left')")
    live.goto("about:blank")
    opened(scene, live)
    assert live.evaluate("sz.device") == device
    expect(events(live, "left")).to_have_count(1)


def test_what_is_clicked_offline_comes_afterwards_in_order(scene: Scene, live: Page) -> None:
    click(live, "Go offline")
    expect(live.locator("#stream-state")).to_have_text("offline")
    for _ in range(3):
        click(live, "Click")
    expect(live.locator("#collector-state")).to_contain_text("no answer")
    expect(events(live, "click")).to_have_count(0)
    click(live, "Go online")
    expect(events(live, "click")).to_have_count(3)
    expect(events(live, "click").locator(".session")).to_have_text(["1 event 4", "1 event 3", "1 event 2"])


def test_a_second_tab_is_the_same_device(scene: Scene, live: Page, context: BrowserContext) -> None:
    other = context.new_page()
    opened(scene, other)
    click(other, "Click")
    for page in (live, other):
        expect(events(page, "click").locator(".session")).to_have_text("1 event 3")
        expect(sessions(page)).to_have_count(1)


def test_a_collector_that_is_restarted_loses_no_click(scene: Scene, live: Page) -> None:
    scene.collector.stop_and_wait(30)
    click(live, "Click")
    expect(live.locator("#collector-state")).to_contain_text("tries again")
    scene.collector.start_and_wait()
    expect(events(live, "click")).to_have_count(1)
    expect(live.locator("#collector-state")).to_contain_text("1 event stored")


def test_a_worker_killed_between_two_clicks_changes_nothing(scene: Scene, live: Page) -> None:
    click(live, "Click")
    expect(events(live, "click")).to_have_count(1)
    scene.worker.kill()
    click(live, "Click")
    expect(live.locator("#collector-state")).to_contain_text("stored")
    scene.worker.start()
    expect(events(live, "click").locator(".session")).to_have_text(["1 event 3", "1 event 2"])
    expect(sessions(live)).to_have_count(1)


def test_a_page_that_is_not_listed_can_read_why(scene: Scene, live: Page) -> None:
    assert send(live, scene, OTHER_KEY) == (403, {"error": "origin_not_allowed"})

    live.add_init_script(
        """new MutationObserver(() => {
            const snippet = document.getElementById("snippet")
            if (snippet) snippet.dataset.key = "KEY"
        }).observe(document, {childList: true, subtree: true})""".replace("KEY", OTHER_KEY)
    )
    live.reload()
    click(live, "Click")
    expect(live.locator("#collector-state")).to_have_text("403 origin_not_allowed")


def test_a_wrong_key_of_the_page_says_what_to_do(scene: Scene, page: Page) -> None:
    allowed = {"access-control-allow-origin": "*"}
    page.route(
        "**/v1/events?*", lambda r: r.fulfill(status=401, headers=allowed, json={"error": "unauthorized"})
    )
    page.goto(scene.live.url)
    click(page, "Click")
    expect(page.locator("#refusals li")).to_have_count(1)
    expect(page.locator("#refusals")).to_contain_text("unauthorized The collector accepts nothing")
    expect(page.locator("#refusals")).to_contain_text(f"collect keys add live --origin {scene.live.url},")


def test_hostile_types_stay_text(scene: Scene, live: Page) -> None:
    title = live.title()
    dialogs: list[object] = []
    live.on("dialog", lambda dialog: dialogs.append(dialog))
    hostile = [
        "</td></table><script>alert(1)</script>",
        "<svg onload=alert(1)>",
        "javascript:alert(1)",
        '"><iframe srcdoc="<script>alert(1)</script>">',
        "\u202eevil\u0085",
    ]
    click(live, "Hostile event")
    for kind in hostile:
        send(live, scene, type=kind, user_id="<b>bold</b>")
    expect(live.locator("#events")).to_contain_text('<img src=x onerror="document.title=1">')
    for kind in hostile[:4]:
        expect(live.locator("#events")).to_contain_text(kind)
    expect(live.locator("#sessions")).to_contain_text("<b>bold</b>")
    assert live.locator("#events img, #events script, #events svg, #events iframe, #events b").count() == 0
    assert live.title() == title
    assert not dialogs


def test_a_refused_event_has_its_reason_and_a_dead_letter(scene: Scene, live: Page) -> None:
    click(live, "Refused event")
    expect(live.locator("#refusals")).to_contain_text("data_nested data: a property holds an object")
    expect(live.locator("#announcement")).to_have_text("Refused: data_nested")
    live.get_by_role("button", name="Show the dead letters").click()
    expect(live.locator("#dead-letters")).to_contain_text("refused_click")
    click(live, "Refused event")
    expect(live.locator("#dead-letters li")).to_have_count(2)
    expect(events(live, "refused_click")).to_have_count(0)


def test_a_stream_that_was_cut_off_goes_on_where_it_was(scene: Scene, live: Page) -> None:
    first = events(live).first.get_attribute("data-id")
    click(live, "Go offline")
    page_device = live.evaluate("sz.device")
    other = live.context.new_page()
    opened(scene, other)
    send(other, scene, type="meanwhile", device_id=page_device)
    expect(events(other, "meanwhile")).to_have_count(1)
    expect(events(live, "meanwhile")).to_have_count(0)
    click(live, "Go online")
    expect(events(live, "meanwhile")).to_have_count(1)
    ids = [row.get_attribute("data-id") for row in events(live).all()]
    assert ids.count(first) == 1, "nothing came twice"


def test_the_page_finds_its_server_again(scene: Scene, live: Page) -> None:
    scene.live.kill()
    expect(live.locator("#stream-state")).to_have_text("reconnecting")
    scene.live.start_and_wait()
    expect(live.locator("#stream-state")).to_have_text("connected")
    click(live, "Click")
    expect(events(live, "click")).to_have_count(1)


def test_sessions_that_a_late_event_joins_are_struck_through(scene: Scene, live: Page) -> None:
    send(live, scene, type="earlier", timestamp=-50 * 60_000)
    expect(sessions(live)).to_have_count(2)
    click(live, "Late event")
    expect(events(live, "late_click")).to_contain_text("out_of_order")
    merged = live.locator("#sessions tr.merged")
    expect(merged).to_have_count(1)
    assert "line-through" in merged.locator("td").first.evaluate("e => getComputedStyle(e).textDecoration")
    expect(live.locator("#session-count")).to_have_text("1")


def test_the_page_can_be_used_by_keyboard_and_on_a_phone(scene: Scene, browser: Browser) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, reduced_motion="reduce", color_scheme="dark", has_touch=True
    )
    page = context.new_page()
    opened(scene, page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the events"
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(events(page, "click")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "nothing to scroll sideways"
    assert page.evaluate("getComputedStyle(document.querySelector('tr.new td')).animationName") == "none"
    small = page.evaluate(
        "[...document.querySelectorAll('button, input')].filter(e => e.offsetHeight < 44).length"
    )
    assert small == 0, "everything can be hit with a thumb"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(scene: Scene, browser: Browser, scheme: Any) -> None:
    page = browser.new_page(color_scheme=scheme)
    opened(scene, page)
    colours = page.evaluate(
        """() => Object.fromEntries(
            ["ground", "card", "text", "soft", "accent", "on-accent", "known", "unknown", "login", "bad",
             "bad-ground", "new"].map(name => {
                const probe = document.body.appendChild(document.createElement("i"))
                probe.className = "probe"; probe.style.color = `var(--${name})`
                const found = getComputedStyle(probe).color.match(/\\d+/g).map(Number)
                probe.remove()
                return [name, found]
            }))"""
    )
    pairs = [
        *((text, ground) for text in ("text", "soft") for ground in ("ground", "card", "new")),
        *((text, "card") for text in ("accent", "known", "unknown", "login", "bad")),
        *(("on-accent", "accent"), ("text", "bad-ground"), ("bad", "bad-ground"), ("soft", "bad-ground")),
    ]
    weak = {pair: ratio for pair in pairs if (ratio := _contrast(*(colours[name] for name in pair))) < 4.5}
    assert not weak
    page.close()


def _contrast(one: list[int], other: list[int]) -> float:
    """The contrast of two colours, as WCAG 2 defines it."""

    def luminance(colour: list[int]) -> float:
        linear = [
            value / 255 / 12.92 if value / 255 <= 0.04045 else ((value / 255 + 0.055) / 1.055) ** 2.4
            for value in colour
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_pages_picture_is_small(scene: Scene, browser: Browser, tmp_path: Path) -> None:
    """With SESSIONIZER_TEST_PICTURE=1 it replaces the one that the README shows."""
    page = browser.new_page(viewport={"width": 1040, "height": 1060}, reduced_motion="reduce")
    now_s = time.time()
    story = ["Click", "Page view", "Click", "Click", "Page view", "Click", "Log in", "Click", "Hostile event"]
    minutes = [-72, -70, -69, -62, -18, -15, -11, -10, 0]
    page.clock.set_system_time(now_s - 74 * 60)
    opened(scene, page)
    for shown, (name, minute) in enumerate(zip(story, minutes, strict=True), 2):
        page.clock.set_system_time(now_s + minute * 60)
        click(page, name)
        expect(events(page)).to_have_count(shown)
    click(page, "Refused event")
    expect(page.locator("#refusals")).to_contain_text("data_nested")
    expect(sessions(page).filter(has_text="ada")).to_have_count(2)
    page.mouse.move(0, 0)
    written = PICTURE if os.environ.get("SESSIONIZER_TEST_PICTURE") else tmp_path / "live.png"
    page.screenshot(path=written)
    assert written.stat().st_size < MOST_PICTURE_BYTES
    page.close()
