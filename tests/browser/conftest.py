"""What the tests in a real browser share: Chromium, driven by Playwright.

Playwright's event loop runs in the thread of the tests until it is stopped, so that nothing else there may
run one meanwhile: it is started for one module at a time.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium, found by the PATH. Without one the test fails."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail("no Chromium on the PATH: apt-get install chromium (docs/testing.md)", pytrace=False)
    # The kernel does not let root have Chromium's sandbox.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=arguments)
        yield running
        running.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile of this test alone: nothing in its storage, nothing cached."""
    made = browser.new_context()
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab. The test fails where a script of the page failed."""
    errors: list[Error] = []
    made = context.new_page()
    made.on("pageerror", lambda error: errors.append(error))
    yield made
    assert not errors, errors
