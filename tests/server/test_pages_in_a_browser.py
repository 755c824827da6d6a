"""The pages in Debian's Chromium: wide and narrow, light and dark, with the keyboard only, without JavaScript.

`TALLYBOOK_SCREENSHOTS=folder` keeps a picture of every page that is visited."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.browser import watched
from tests.conftest import sampled
from tests.server.paged import company, with_people
from tests.server.served import Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SEED = "/q?metrics=apiCalls&scope=week&show=average&by=apiType&last=8+weeks"
TRAP = "/q?metrics=mrr&scope=week&show=total"
PAGES = {
    "overview": ("/", 200),
    "metric": ("/m/signups?scope=week&last=10+weeks&day=2024-03-01", 200),
    "query": (SEED, 200),
    "trap": (TRAP, 422),
    "formula": ("/q?metrics=signups&where=plan%3Dpro&metrics_b=signups&where_b=plan%3Dteam&formula=A%2FB", 200),
    "wrong": ("/q?metrics=apiCalls&by=apitype", 400),
    "boards": ("/boards", 200),
    "board": ("/boards/weekly", 200),
    "accounts": ("/accounts", 200),
    "account": ("/accounts/a1?metric=requests", 200),
    "users": ("/users?where=role", 400),
    "user": ("/users/u3", 200),
    "health": ("/health", 200),
    "login": ("/login?failed=key", 400),
    "nothing": ("/m/nothing", 404),
}


class Site:
    """The pages of a company on a port of this machine, served from a thread, with the company's clock."""

    def __init__(self, served: Served) -> None:
        import uvicorn

        self.served = served
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(served.app, lifespan="off", log_config=None, access_log=False, ws="none")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.served.close()


def site_of(folder: Path, *, collected: bool = True) -> Site:
    project = company(folder, collected=collected)
    if collected:
        with_people(project)
    return Site(Served(project))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = site_of(tmp_path_factory.mktemp("site") / "book")
    yield made
    made.close()


def opened(chromium: Browser, site: Site, *, size: dict[str, int], dark: bool = False, script: bool = True) -> Page:
    """A page of a profile of its own that notes problems, and requests to other hosts."""
    scheme: Any = "dark" if dark else "light"
    context = chromium.new_context(
        base_url=site.address,
        viewport=size,
        color_scheme=scheme,
        java_script_enabled=script,  # type: ignore[arg-type]
    )
    context.set_default_timeout(15_000)
    page = watched(context.new_page())
    page.on("request", lambda one: _note_host(page, one.url, site))
    return page


def _note_host(page: Page, url: str, site: Site) -> None:
    if urlsplit(url).scheme in ("http", "https") and not url.startswith(site.address):
        page.problems.append(f"request to {url}")  # type: ignore[attr-defined]


def problems_of(page: Page) -> list[str]:
    """What went wrong. The console names answers that are no 200, which some pages are on purpose."""
    problems: list[str] = page.problems  # type: ignore[attr-defined]
    return [one for one in problems if "the server responded with a status of 4" not in one]


def findings(page: Page) -> list[str]:
    """What axe finds: WCAG 2.2 A and AA, and best practices."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"][:3]]


def kept(page: Page, name: str) -> None:
    if folder := os.environ.get("TALLYBOOK_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def visited(page: Page, name: str, how: str) -> None:
    """Look at a page with axe, at its console, and whether it fits its window."""
    path, status = PAGES[name]
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == status, name
    kept(page, f"{name}-{how}")
    assert findings(page) == [], name
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, f"{name} is wider than its window"
    assert problems_of(page) == [], name


WIDE_PAGES = sampled(list(PAGES), len(PAGES) // 2, "wide pages")
"""The other pages are visited on a phone. The long run visits every page in every size and theme."""


def test_pages_are_accessible_and_ask_no_other_host_wide_and_light(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=WIDE)
    for name in WIDE_PAGES:
        visited(page, name, "wide-light")
    page.context.close()


def test_pages_are_accessible_on_a_phone_in_the_dark(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=PHONE, dark=True)
    for name in (name for name in PAGES if name not in WIDE_PAGES):
        visited(page, name, "phone-dark")
    page.context.close()


@pytest.mark.soak
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_page_is_accessible_in_every_size_and_theme(
    chromium: Browser, site: Site, size: dict[str, int], dark: bool
) -> None:
    page = opened(chromium, site, size=size, dark=dark)
    for name in PAGES:
        visited(page, name, f"{size['width']}-{'dark' if dark else 'light'}")
    page.context.close()


def test_the_weekly_average_by_type_is_asked_without_javascript(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=WIDE, script=False)
    page.goto("/")
    page.get_by_role("link", name="Query", exact=True).click()
    page.get_by_label("Metric or event").select_option("apiCalls")
    page.get_by_role("button", name="Run query").click()
    page.get_by_role("radio", name=re.compile("Daily average")).check()
    page.get_by_label("Split by").select_option("apiType")
    page.get_by_role("button", name="Run query").click()
    assert page.locator("h1").inner_text() == "API calls a day: daily average by week and apiType"
    assert page.url.endswith("#answer")
    assert page.locator("#numbers thead th").all_inner_texts()[1:-1] == [
        "Events",
        "Search",
        "Accounts",
        "Reports",
        "Machine Learning",
        "All",
    ]
    assert page.locator("figure svg.wide").is_visible()
    page.context.close()


def test_pages_work_without_a_script_and_lists_lead_to_one_account(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=WIDE, script=False)
    for name in ("account", "users", "health", "board", "boards", "metric"):
        path, status = PAGES[name]
        answer = page.goto(path)
        assert answer is not None
        assert (answer.status, page.locator("h1").count()) == (status, 1), name
    page.goto("/accounts")
    page.get_by_label("Accounts where").fill("size >= 10")
    page.get_by_role("button", name="Apply").click()
    assert page.locator("#list").inner_text() == "2 accounts"
    page.get_by_role("link", name="Size").click()
    page.get_by_role("link", name="Size").click()
    assert page.locator("tbody th a").all_inner_texts() == ["Acme <2>", "Acme <1>"]
    page.get_by_role("link", name="Acme <1>").click()
    page.get_by_role("link", name="Requests").click()
    page.get_by_role("link", name="Week").click()
    assert page.locator("figure svg.wide").is_visible()
    page.get_by_role("link", name="user3@acme.com").click()
    assert page.locator("h1").inner_text() == "user3@acme.com"
    page.goto("/q?metrics=mrr&scope=week&last=6+weeks")
    page.get_by_role("button", name="Add segments").click()
    page.get_by_label("Name of segment 1").fill("paid")
    page.get_by_label("Conditions of segment 1").fill("plan=pro or plan=team")
    page.get_by_role("button", name="Run query").click()
    page.get_by_label("Name of segment 2").fill("rest")
    page.get_by_label("Conditions of segment 2").fill("plan=free")
    page.get_by_role("button", name="Run query").click()
    assert page.locator("#numbers thead th").all_inner_texts() == ["Week of", "paid", "rest", "Days"]
    page.get_by_role("button", name="Remove segment 1").click()
    assert page.locator("#numbers thead th").all_inner_texts() == ["Week of", "rest", "Days"]
    assert problems_of(page) == []
    page.context.close()


UNREACHED = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex='0']")]
    .filter((one) => !one.wasFocused && one.checkVisibility() && one.type !== "hidden" && !one.disabled)
    .filter((one) => one.type !== "radio" || ![...document.getElementsByName(one.name)].some((o) => o.wasFocused))
    .map((one) => one.outerHTML.slice(0, 120))"""
"""What can be used and was never focused; of radio buttons the keyboard stops at one."""


def test_everything_on_a_page_is_reached_by_tab(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=WIDE)
    for name in ("account", "accounts", "health", "board", "boards", "user"):
        page.goto(PAGES[name][0])
        page.evaluate("addEventListener('focusin', (event) => { event.target.wasFocused = true; })")
        count = page.locator("a, button, input, select, textarea, summary, [tabindex='0']").count()
        for _ in range(count + 2):
            page.keyboard.press("Tab")
        assert page.evaluate(UNREACHED) == [], name
    assert problems_of(page) == []
    page.context.close()


def test_a_change_asks_again_and_the_back_button_goes_back(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=WIDE)
    page.goto("/q?metrics=signups&scope=week&last=6+weeks")
    page.get_by_label("Scope").focus()
    page.get_by_label("Scope").select_option("month")
    page.locator("h1", has_text="by month").wait_for()
    assert "scope=month" in page.url
    assert page.evaluate("document.activeElement.id") == "scope"
    page.go_back()
    page.locator("h1", has_text="by week").wait_for()
    assert problems_of(page) == []
    page.context.close()


def test_everything_can_be_reached_with_the_keyboard(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=WIDE)
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.type("recurring")
    assert page.locator("#metrics tr[data-name]:visible").count() == 1
    page.keyboard.press("Enter")
    page.wait_for_url("**find=recurring**")
    assert page.locator("#metrics tr[data-name]").count() == 1
    page.goto(TRAP.replace("&show=total", ""))
    summary = page.get_by_text("why not?")
    summary.locator("xpath=ancestor::summary").focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("Not a meaningful number.").is_visible()
    page.context.close()


def test_the_trap_leads_to_a_question_that_has_an_answer(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=PHONE)
    page.goto(TRAP)
    assert page.get_by_role("heading", name="Recurring revenue does not add up over a week").is_visible()
    page.locator("a.answer").first.click()
    assert page.locator("h1").inner_text() == "Recurring revenue: end of week by week"
    assert page.locator("figure svg.narrow").is_visible()
    page.context.close()


def test_a_tooltip_shows_the_numbers_of_a_period(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=WIDE)
    page.goto(SEED)
    page.locator("figure svg.wide .hit").nth(2).hover()
    tip = page.locator(".tip")
    assert tip.is_visible()
    line = page.locator("#numbers tbody tr").nth(-3)
    week, events = line.locator("th").inner_text(), line.locator("td").first.inner_text()
    assert tip.inner_text().split("\n")[:2] == [week, f"Events: {events}"]
    assert problems_of(page) == []
    page.context.close()


def test_the_theme_of_the_reader_is_kept(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=WIDE)
    page.goto("/health")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark theme").click()
    assert urlsplit(page.url).path == "/health"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.context.close()


def test_a_reader_with_a_dark_system_is_offered_the_light_theme(chromium: Browser, site: Site) -> None:
    page = opened(chromium, site, size=WIDE, dark=True)
    page.goto("/health")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert not page.get_by_role("button", name="Dark theme").is_visible()
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    page.context.close()


def test_an_empty_book_says_what_to_type(chromium: Browser, tmp_path: Path) -> None:
    site = site_of(tmp_path / "book", collected=False)
    page = opened(chromium, site, size=WIDE)
    page.goto("/")
    assert page.get_by_role("heading", name="Two steps to your first number").is_visible()
    assert page.get_by_text("tallybook run", exact=True).is_visible()
    assert findings(page) == []
    assert problems_of(page) == []
    for path in ("/m/signups", "/q", "/boards/weekly", "/health"):
        page.goto(path)
        assert page.locator("h1").is_visible(), path
    page.context.close()
    site.close()
