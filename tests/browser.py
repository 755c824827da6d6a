"""Debian's Chromium for tests of web pages, driven by Playwright.

    def test_a_page(web_page: Page) -> None:
        web_page.goto(address)
        assert web_page.problems == []      # errors of the console and of the page, violations of its policy

`chromium` is started once for the tests of a process, `web_page` is a page of its own, without cookies, for each test.
While a module uses it, `asyncio.run` does not work in the tests' thread: servers run in a process or a thread of
their own. Tests skip where Chromium or Playwright cannot be had, unless TALLYBOOK_TEST_SERVERS=required."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests import servers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
TIMEOUT_MILLISECONDS = 15_000


@pytest.fixture(scope="module")
def chromium(started_chromium: tuple[Browser, asyncio.AbstractEventLoop]) -> Iterator[Browser]:
    """A Chromium without a window."""
    browser, loop = started_chromium
    with running(loop):
        yield browser


@pytest.fixture(scope="session")
def started_chromium() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
    """The browser, and the event loop of Playwright, which runs in this thread only for modules that use it."""
    try:
        from playwright.sync_api import sync_playwright

        program = servers.tool("chromium")
    except (ImportError, servers.Missing) as why:
        if os.environ.get("TALLYBOOK_TEST_SERVERS") == "required":
            raise
        pytest.skip(str(why))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=list(OPTIONS))
        loop = asyncio.get_running_loop()
        with running(None):
            yield browser, loop
        browser.close()


@contextmanager
def running(loop: asyncio.AbstractEventLoop | None) -> Iterator[None]:
    """This loop, or none, is the one that runs in this thread."""
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(before)


@pytest.fixture
def web_context(chromium: Browser) -> Iterator[BrowserContext]:
    """A profile of its own: its pages share cookies and localStorage with each other and with no other test."""
    context = chromium.new_context()
    context.set_default_timeout(TIMEOUT_MILLISECONDS)
    yield context
    context.close()


@pytest.fixture
def web_page(web_context: BrowserContext) -> Page:
    """A page that notes what goes wrong in it."""
    return watched(web_context.new_page())


def watched(page: Page) -> Page:
    """The page, with a list `problems` of errors of its console, exceptions of its scripts, and what its
    Content-Security-Policy blocked (Chromium reports that to the console)."""
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.problems = problems  # type: ignore[attr-defined]
    return page
