"""The page of a signed link: its board or view for somebody without a key, and nothing else of the book."""

from __future__ import annotations

import io
import json
import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tallybook.cli import invoke
from tallybook.core import ServeSettings
from tallybook.server.clients import DoorPolicy
from tests.server.served import Answer, Served, own
from tests.server.test_pages import typed
from tests.server.test_pages_in_a_browser import PHONE, Site, findings, kept, opened, problems_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["own"]

BOARD = """
[boards.money]
title = "Money"
scope = "month"
last = "2 months"
views = [{ metrics = ["mrr"] }, { metrics = ["signups"], by = ["plan"] }, { metrics = ["mrr_per_signup"] }]
"""


@pytest.fixture
def shared(own: Served) -> Served:
    file = own.project.folder / "tallybook.toml"
    file.write_text(file.read_text() + BOARD)
    own.peer = ("10.1.2.3", 1)
    own.key("share", "share")
    return own


def run(served: Served, *words: str) -> Any:
    out, err = io.StringIO(), io.StringIO()
    folder = ["--project", str(served.project.folder)]
    code = invoke(["shares", *words, *folder], stdout=out, stderr=err, now=lambda: served.project.now)
    assert code == 0, err.getvalue()
    served.keys.refresh()
    return json.loads(out.getvalue()) if out.getvalue().startswith("{") else out.getvalue()


def made(served: Served, *words: str) -> tuple[str, str]:
    """(id, path) of a new link."""
    found = run(served, "create", *words, "--format", "json")
    return found["id"], urlsplit(found["link"]).path


def text_of(answer: Answer) -> str:
    """What a page says, without its markup and charts."""
    html = re.sub(r"<(svg)\b.*?</\1>", " ", answer.body.decode(), flags=re.DOTALL)
    html = re.sub(r"</?(time|b|span|a|code)\b[^>]*>", "", html)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_somebody_without_a_key_sees_the_board_within_its_filter(shared: Served) -> None:
    _, path = made(shared, "money", "--where", "plan=pro", "--until", "2d")
    answer = shared.ask("GET", path)
    said = text_of(answer)
    assert answer.status == 200, said
    assert "Money Shared, read-only. Only plan=pro. Last 2 months." in said
    assert "This link works until 2024-02-12." in said
    assert "2024-01 100 EUR" in said
    # No other plan, and no way to another page.
    assert not re.search(r"\b(team|free|50|160)\b", said.replace("free of", ""))
    assert "<a " not in answer.body.decode()
    assert shared.ask("GET", "/").status == 401


def test_the_query_string_changes_nothing(shared: Served) -> None:
    _, path = made(shared, "money", "--where", "plan=pro")
    plain = shared.ask("GET", path).body
    for query in ("where=plan%3Dteam", "dim=plan&value=team", "scope=day", "last=99+months", "metrics=mrr", "view="):
        assert shared.ask("GET", f"{path}?{query}").body == plain, query


def test_a_metric_without_the_dimension_of_the_filter_is_not_shown(shared: Served) -> None:
    file = shared.project.folder / "tallybook.toml"
    file.write_text(file.read_text().replace('by = ["plan"]\n', "\n").replace(', by = ["plan"] }', " }"))
    _, path = made(shared, "money", "--where", "plan=pro")
    said = text_of(shared.ask("GET", path))
    assert said.count("Not shown within plan=pro.") == 2
    assert "2024-01 100 EUR" in said


def test_a_view_is_shown_with_the_numbers_of_its_own_days_only(shared: Served) -> None:
    _, path = made(shared, "/q?metrics=mrr&metrics=signups&scope=month&from=2024-01-01&to=2024-01-31&chart=bar")
    answer = shared.ask("GET", path)
    said = text_of(answer)
    assert "Mrr and Signups by month" in said
    assert "2024-01 160 EUR 31 of 31" in said
    assert "2024-01 93 31 of 31" in said
    assert "2024-02" not in said.replace("2024-02-09", "")
    assert answer.body.count(b"<figure") == 2


def test_several_series_a_formula_and_segments_are_shared_within_the_filters_of_the_link(shared: Served) -> None:
    address = "/q?metrics=mrr&metrics_b=signups&formula=A%2FB&scope=month&last=2+months"
    _, path = made(shared, address, "--where", "plan=pro")
    said = text_of(shared.ask("GET", path))
    assert "Mrr and Signups by month, A/B Shared, read-only. Only plan=pro." in said
    assert re.search(r"2024-01 100 EUR 31 3.23 31 of 31", said), said  # 100 EUR and 31 signups of the plan pro
    data = shared.ask("GET", path.replace("/s/", "/v1/shared/")).json
    assert (data["formula"], [one["rows"][0].get("mrr") for one in data["answers"]]) == ("A/B", [100, None])
    assert data["answers"][1]["rows"][0]["signups"] == 31
    _, path = made(shared, "/q?metrics=mrr&scope=month&last=2+months&sn=big&sc=plan%3Dpro&sn=small&sc=plan%3Dfree")
    said = text_of(shared.ask("GET", path))
    assert re.search(r"big small Days 2024-02 \* 100 EUR 10 EUR", said), said
    _, path = made(shared, "/q?metrics=mrr&segments=all%3A+plan%21%3Dx&scope=month&last=1+month", "--where", "plan=pro")
    assert not re.search(r"\b160\b", text_of(shared.ask("GET", path))), "a segment never widens a link"


def test_a_shared_link_has_the_limit_of_a_reader(shared: Served) -> None:
    shared.app.policy = DoorPolicy.of(ServeSettings(reads=2), needs_proxy=False)
    shared.app.gate.reads.seconds = lambda: 0.0
    _, path = made(shared, "money")
    _, other = made(shared, "money", "--where", "plan=pro")
    statuses = [shared.ask("GET", path) for _ in range(5)]
    assert [one.status for one in statuses] == [200] * 4 + [429]
    assert int(statuses[-1].headers["retry-after"]) >= 1
    assert shared.ask("GET", path.replace("/s/", "/v1/shared/")).status == 429, "its data is the same link"
    assert shared.ask("GET", other).status == 200


def test_forged_links_are_403_and_ended_or_revoked_ones_410_with_whom_to_ask(shared: Served) -> None:
    share_id, path = made(shared, "money", "--until", "2d", "--by", "ada@acme.com")
    assert shared.ask("GET", path[:-1]).status == 403
    assert shared.ask("GET", "/s/").status == 403
    assert shared.ask("POST", path).status == 405
    run(shared, "revoke", share_id)
    revoked = shared.ask("GET", path)
    assert (revoked.status, revoked.headers["cache-control"]) == (410, "no-store")
    assert "This link was revoked. For a new one, ask ada@acme.com." in text_of(revoked)
    _, other = made(shared, "money", "--until", "2d", "--by", "<b>bob</b>")
    shared.project.at("2024-02-13T12:00")
    shared.keys.refresh()
    stale = shared.ask("GET", other)
    assert stale.status == 410
    assert "valid until 2024-02-12 12:00 UTC. For a new one, ask <b>bob</b>." in unescape(text_of(stale))
    assert b"<b>bob" not in stale.body
    for answer in (revoked, stale):
        assert path not in answer.body.decode()
        assert other not in answer.body.decode()
        assert b'href="/' not in answer.body.replace(b'href="/_/', b"")


def test_a_board_that_is_no_longer_declared_is_410(shared: Served) -> None:
    _, path = made(shared, "money")
    file = shared.project.folder / "tallybook.toml"
    file.write_text(file.read_text().replace("[boards.money]", "[boards.other]"))
    answer = shared.ask("GET", path)
    assert answer.status == 410
    assert "other" not in text_of(answer)


def test_a_version_is_made_once_and_a_revoked_link_is_never_served_from_the_cache(shared: Served) -> None:
    share_id, path = made(shared, "money")
    first = shared.ask("GET", path)
    tag = first.headers["etag"]
    assert shared.ask("GET", path, if_none_match=tag).status == 304
    assert shared.ask("GET", path).body == first.body
    run(shared, "revoke", share_id)
    assert shared.ask("GET", path, if_none_match=tag).status == 410
    shared.project.book.run("mrr", from_="2024-02-09")
    _, again = made(shared, "money")
    assert shared.ask("GET", again).headers["etag"] != tag


def test_only_named_origins_may_frame_a_shared_page_and_no_other_page(shared: Served) -> None:
    _, path = made(shared, "money")
    alone = shared.ask("GET", path).headers
    assert alone["content-security-policy"].endswith("frame-ancestors 'none'")
    assert alone["x-frame-options"] == "DENY"
    shared.app.policy = DoorPolicy.of(ServeSettings(frames=("https://portal.acme.com",)), needs_proxy=False)
    framed = shared.ask("GET", path).headers
    assert framed["content-security-policy"].endswith("frame-ancestors https://portal.acme.com")
    assert "x-frame-options" not in framed
    assert framed["referrer-policy"] == "no-referrer"
    other = shared.ask("GET", "/login").headers
    assert other["content-security-policy"].endswith("frame-ancestors 'none'")
    assert other["x-frame-options"] == "DENY"


def test_a_shared_board_is_opened_by_somebody_else_on_a_phone(chromium: Browser, shared: Served) -> None:
    _, path = made(shared, "money", "--where", "plan=pro")
    site = Site(shared)
    page = opened(chromium, site, size=PHONE, dark=True)
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 200
    kept(page, "shared-phone-dark")
    assert page.locator("h1").inner_text() == "Money"
    assert page.locator("figure svg.narrow").first.is_visible()
    assert page.get_by_role("link").count() == 0
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    _, several = made(shared, "/q?metrics=mrr&metrics_b=signups&formula=A%2FB&scope=month&last=2+months")
    page.goto(several)
    kept(page, "shared-formula-phone-dark")
    assert page.locator("h1").inner_text() == "Mrr and Signups by month, A/B"
    assert page.locator("figure svg.narrow").count() == 3
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.goto(f"{path[:-8]}AAAAAAAA")
    assert page.get_by_role("heading", name="You may not see this").is_visible()
    assert findings(page) == []
    assert problems_of(page) == []
    page.context.close()
    site.close()


def test_a_report_of_one_value_has_the_numbers_of_the_page_with_this_filter(shared: Served, tmp_path: Path) -> None:
    file = tmp_path / "pro.html"
    assert typed(shared, "report", "money", "--where", "plan=pro", "-o", str(file)) == (0, "")
    shared.peer = ("127.0.0.1", 40_000)
    page = shared.ask("GET", "/boards/money?dim=plan&value=pro").body.decode()
    assert len(cells(page)) > 10
    assert cells(file.read_text()) == cells(page) != cells(shared.ask("GET", "/boards/money").body.decode())
    assert "Only plan=pro." in file.read_text()
    for wrong in ("plan", "plan=", "=pro"):
        code, said = typed(shared, "report", "money", "--where", wrong, "-o", str(file))
        assert (code, "does not name one value of a dimension" in said) == (2, True)
    code, said = typed(shared, "report", "money", "--where", "nope=1", "-o", str(file))
    assert (code, "not every view of this board has 'nope'" in said) == (2, True)


def cells(html: str) -> list[str]:
    """The texts of the cells of all tables."""
    return [re.sub("<[^>]*>", "", cell).strip() for cell in re.findall(r"<td[ >].*?</td>", html, re.DOTALL)]
