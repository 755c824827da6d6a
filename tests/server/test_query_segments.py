"""Segments in the query builder, and views of several series: as links, commands, boards and shared pages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest

from tallybook.config import load
from tests.server.paged import company
from tests.server.served import Served
from tests.server.test_pages import text_of

PAID, REST = "paid: plan=pro or plan=team", "rest: plan!=pro, plan!=team"
BASE = [("metrics", "mrr"), ("scope", "week"), ("last", "6 weeks")]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(company(tmp_path_factory.mktemp("segments") / "book"))
    yield made
    made.close()


def at(*fields: tuple[str, str]) -> str:
    return f"/q?{urlencode([*BASE, *fields])}"


def cells(html: str) -> list[list[str]]:
    """The numbers of the answer's table, a list for each row."""
    table = html[html.index('id="numbers"') :]
    rows = re.findall(r"<tr\b.*?</tr>", table[: table.index("</table>")], flags=re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", one).strip() for one in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def test_segments_are_typed_without_a_script_and_answered_as_the_api_does(served: Served) -> None:
    first = served.ask("GET", at(("add", "segment"))).body.decode()
    assert first.count('name="sn"') == 1, "an empty row"
    answer = served.ask("GET", at(("sn", "paid"), ("sc", "plan=pro or plan=team"), ("sn", ""), ("sc", "")))
    assert answer.status == 200
    both = served.ask("GET", at(("segments", PAID), ("sn", "rest"), ("sc", "plan!=pro, plan!=team"))).body.decode()
    api = served.query(metrics=["mrr"], scope="week", last="6 weeks", segments=[PAID, REST]).json["rows"]
    by_week: dict[str, dict[str, Any]] = {}
    for row in api:
        by_week.setdefault(row["period"], {})[row["segment"]] = row["mrr"]
    shown = cells(both)
    assert shown[0][1:3] == ["paid", "rest"]
    assert {row[0].rstrip(" *") for row in shown[1:]} == by_week.keys()
    for row in shown[1:]:
        week = by_week[row[0].rstrip(" *")]
        assert [text.replace(" EUR", "") for text in row[1:3]] == [f"{week['paid']:,}", f"{week['rest']:,}"]
    gone = served.ask("GET", at(("sn", "paid"), ("sc", "plan=pro"), ("sn", "b"), ("sc", "plan=team"), ("drop", "0")))
    assert 'value="paid"' not in gone.body.decode()
    assert 'value="b"' in gone.body.decode()


@pytest.mark.parametrize(
    ("name", "conditions", "said"),
    [
        ("paid", "pln=pro", "did you mean"),
        ("paid", "", "segment 'paid' has no condition"),
        ("", "plan=pro", "has no name"),
        ("paid", "plan=pro and country=DE or plan=team", "has both `and` and `or`"),
        ('<b "x">', "plan", "is not understood"),
    ],
)
def test_what_is_wrong_with_a_segment_is_said_beside_it_and_what_was_typed_stays(
    served: Served, name: str, conditions: str, said: str
) -> None:
    answer = served.ask("GET", at(("sn", name), ("sc", conditions)))
    html = answer.body.decode()
    assert answer.status == 400
    beside = html[html.index('id="segments-wrong"') :]
    beside = unescape(beside[: beside.index("</p>")])
    assert said.casefold() in beside.casefold()
    assert '<b "x' not in html
    assert f'value="{conditions}"' in html


def test_the_question_with_segments_is_copied_whole(served: Served) -> None:
    answer = served.ask("GET", at(("segments", PAID), ("segments", REST), ("chart", "stacked")))
    page = text_of(answer)
    command = (
        f"tallybook query mrr --scope week --last '6 weeks' --segment {shlex.quote(PAID)} --segment {shlex.quote(REST)}"
    )
    assert command in page
    assert f'segments = ["{PAID}", "{REST}"]' in page
    assert f"segments={[PAID, REST]!r}" in page
    assert urlencode([("segments", PAID), ("segments", REST)]) in page
    assert b"lines by week" in answer.body, "segments are not stacked: a fact may be in several"


def test_links_behind_a_number_stay_within_its_segment(served: Served) -> None:
    html = served.ask("GET", at(("where", "plan=pro"), ("segments", "some: plan=pro or plan=team"))).body.decode()
    link = re.search(r'class="cell" href="(/q[^"]*)"', html)
    assert link is not None
    behind = served.ask("GET", link[1].replace("&amp;", "&"))
    assert behind.status == 200
    days = [float(row[1].replace(" EUR", "").replace(",", "")) for row in cells(behind.body.decode())[1:]]
    plain = served.query(metrics=["mrr"], scope="day", where=["plan=pro"], last="10 weeks").json["rows"]
    assert len(days) == 6
    assert set(days) <= {float(row["mrr"]) for row in plain}, "not the days of both plans"


def test_segments_of_a_board_are_its_series(served: Served) -> None:
    view = '[boards.plans]\nviews = [\n  { metrics = ["mrr"], segments = ["paid: plan=pro"], chart = "table" },\n]\n'
    project = served.project
    toml = project.folder / "tallybook.toml"
    before = toml.read_text()
    toml.write_text(before + view)
    assert "paid" in text_of(served.ask("GET", "/boards/plans"))
    toml.write_text(before + view.replace("plan=pro", "pln=pro"))
    with pytest.raises(Exception, match="pln"):
        load(project.folder, {})
    toml.write_text(before)
