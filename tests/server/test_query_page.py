"""The query builder without a browser: its table and its chart are the API's answer, refusals too."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings, strategies as st

import tallybook
from tallybook.core import QueryError
from tests.server.paged import company
from tests.server.served import Answer, Served
from tests.server.test_pages import text_of

METRICS = ("mrr", "signups", "visitors", "apiCalls", "latency", "exports", "mrr_per_signup")
DIMS = {"mrr": ("plan",), "signups": ("plan", "country"), "apiCalls": ("apiType",), "exports": ()}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(company(tmp_path_factory.mktemp("builder") / "book"))
    yield made
    made.close()


def table_of(answer: Answer) -> list[list[str]]:
    """The cells of the table of numbers, line by line."""
    html = answer.body.decode()
    table = html[html.index('id="numbers"') :].partition("</table>")[0]
    lines = []
    for line in re.findall(r"<tr\b.*?</tr>", table, flags=re.DOTALL):
        cells = re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", line, flags=re.DOTALL)
        lines.append([unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in cells])
    return lines


def as_number(text: str) -> float | None:
    """A number as it is shown; None for an unknown one."""
    plain = re.sub(r"[^\d.−-]", "", text.replace("−", "-"))
    return float(plain) if plain and plain != "-" else None


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    metric = draw(st.sampled_from(METRICS))
    asked: dict[str, Any] = {"metrics": metric, "scope": draw(st.sampled_from(("day", "week", "month", "quarter")))}
    asked["last"] = f"{draw(st.integers(1, 9))} {asked['scope']}s"
    if show := draw(st.sampled_from(("", "total", "average", "last", "min", "max", "change"))):
        asked["show"] = show
    if (dims := DIMS.get(metric)) and draw(st.booleans()):
        asked["by"] = draw(st.sampled_from(dims))
        asked["top"] = draw(st.sampled_from(("2", "all")))
    elif draw(st.booleans()):
        asked["compare"] = "previous"
    return asked


def test_a_breakdown_without_any_value_is_a_page(served: Served) -> None:
    """The quarter began before the first collected day, so that no plan has a change."""
    asked = {"metrics": "mrr", "scope": "quarter", "last": "1 quarters", "show": "change", "by": "plan", "top": "all"}
    page = served.ask("GET", f"/q?{urlencode(asked)}")
    assert page.status == 200
    row = page.body.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    assert [f"plan%3D{plan}" in row for plan in ("free", "pro", "team")] == [True] * 3
    assert row.count(">–</a>") == 4  # three plans and all of them


@settings(max_examples=40, deadline=None)
@given(asked=questions())
def test_page_table_and_api_give_one_answer(served: Served, asked: dict[str, Any]) -> None:
    page = served.ask("GET", f"/q?{urlencode(asked)}")
    options = {name: value for name, value in asked.items() if value != "all"}
    api = served.ask("GET", f"/v1/query?{urlencode(options)}")
    assert page.status == api.status, (page.status, api.body)
    if api.status != 200:
        assert api.json["code"] in ("refused", "bad_question")
        return
    rows = api.json["rows"]
    shown = table_of(page)
    head, lines = shown[0], shown[1:]
    name = asked["metrics"]
    if "by" in asked:
        found = {
            (line[0].removesuffix(" *"), head[place]): as_number(line[place])
            for line in lines
            for place in range(1, len(head))
            if line[place] and head[place] not in ("All", "Days")
        }
        for row in rows:
            if row.get("no_series"):
                continue
            series = "Other" if row.get("others") else row[asked["by"]]
            assert_same(found[(label(row, asked), series)], row[name])
        return
    by_period = {line[0].removesuffix(" *"): line for line in lines}
    assert len(by_period) == len(rows)
    for row in rows:
        line = by_period[label(row, asked)]
        assert_same(as_number(line[1]), row[name])
        if "compare" in asked:
            assert_same(as_number(line[2]), row[f"{name}_previous"])


def label(row: dict[str, Any], asked: dict[str, Any]) -> str:
    day = str(row["period"])
    if asked["scope"] == "quarter":
        return f"{day[:4]} Q{(int(day[5:7]) + 2) // 3}"
    return day[:7] if asked["scope"] == "month" else day


def assert_same(shown: float | None, value: float | None) -> None:
    assert (shown is None) == (value is None)
    if shown is not None and value is not None:
        assert shown == pytest.approx(value, abs=0.0051)


def test_the_numbers_drawn_are_those_of_the_table(served: Served) -> None:
    """Each point of the line is where its number of the table belongs, on the scale of the ticks."""
    page = served.ask("GET", "/q?metrics=visitors&scope=day&last=20+days&chart=bar")
    drawn = page.body.decode().partition('<svg class="wide"')[2].partition("</svg>")[0]
    ticks = re.findall(r'<text class="tick" x="[\d.]+" y="([\d.]+)" text-anchor="end">([\d,]+)</text>', drawn)
    (low_y, low), (high_y, high) = ((float(y) - 4, float(text.replace(",", ""))) for y, text in (ticks[0], ticks[-1]))
    bars = re.findall(r'<rect class="f1 seam" x="[\d.]+" y="[\d.]+" width="[\d.]+" height="([\d.]+)"/>', drawn)
    heights = [float(height) * (high - low) / (low_y - high_y) for height in bars]
    values = [as_number(line[1]) for line in reversed(table_of(page)[1:])]
    assert heights == pytest.approx(values, abs=0.05)
    hints = re.findall(r"<title>(.*?)</title>", drawn, flags=re.DOTALL)
    assert [int(hint.rpartition(" ")[2]) for hint in hints] == values


def test_the_weekly_average_by_api_type(served: Served) -> None:
    page = served.ask("GET", "/q?metrics=apiCalls&scope=week&show=average&by=apiType&last=6+weeks")
    said = text_of(page)
    assert "API calls a day: daily average by week and apiType" in said
    head, newest, *_ = table_of(page)
    assert head == ["Week of", "Events", "Search", "Accounts", "Reports", "Machine Learning", "All", "Days"]
    assert (newest[0], newest[-1]) == ("2024-03-04 *", "6 of 7")


def test_a_wrong_choice_is_seen_and_says_why_with_its_numbers(served: Served) -> None:
    right = served.ask("GET", "/q?metrics=mrr&scope=week")
    assert right.status == 200
    assert 'value="total"' not in right.body.decode()  # it cannot be chosen
    week = served.query(metrics=["mrr"], scope="day", **{"from": "2024-02-26", "to": "2024-03-03"}).json["rows"]
    added = f"{sum(row['mrr'] for row in week):,}"
    assert f"Summed over the week of 2024-02-26: {added} EUR." in text_of(right)
    trap = served.ask("GET", "/q?metrics=mrr&scope=week&show=total")
    assert trap.status == 422
    said = text_of(trap)
    assert "Recurring revenue does not add up over a week" in said
    assert f"Summed, it comes to {added} EUR" in said
    assert "show=last" in trap.body.decode()


def test_days_of_distinct_counts_are_not_added_up(served: Served) -> None:
    said = text_of(served.ask("GET", "/q?metrics=visitors&scope=week"))
    assert "Whoever is there on several days would count once for each of them." in said
    assert "Counted once each: 20." in said


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ("metrics=apiCalls&by=apitype", "by", "Did you mean 'apiType'?"),
        ("metrics=signup", "metrics", "Did you mean 'signups'?"),
        ("metrics=mrr&from=2024-13-01", "from", "is not a day"),
        ("metrics=mrr&scope=fortnight", "scope", "There is no scope"),
        ("metrics=mrr&last=soon", "last", "soon"),
        ("metrics=mrr&metrics_b=signups&formula=A%2FC", "formula", "There is no series C"),
        ("metrics=mrr&metrics_b=signups&formula=__import__", "formula", "signs that it cannot have"),
    ],
)
def test_an_error_is_beside_its_field_and_keeps_what_was_typed(
    served: Served, fields: str, field: str, said: str
) -> None:
    page = served.ask("GET", f"/q?{fields}")
    assert page.status == 400
    html = page.body.decode()
    assert f'id="{field}-wrong"' in html
    assert said in text_of(page)
    typed = dict(pair.split("=") for pair in fields.split("&"))[field]
    assert typed.replace("%2F", "/") in unescape(html)


def test_a_formula_of_two_segments_is_computed_for_each_period(served: Served) -> None:
    page = served.ask(
        "GET",
        "/q?metrics=signups&where=plan%3Dpro&metrics_b=signups&where_b=plan%3Dteam&formula=A%2FB&scope=week&last=4+weeks",
    )
    assert page.status == 200
    for line in table_of(page)[1:]:
        a, b, ratio = (as_number(text) for text in line[1:4])
        assert a is not None
        assert b is not None
        assert ratio == pytest.approx(a / b, abs=0.005)


def test_a_formula_over_different_days_is_unknown(served: Served) -> None:
    page = served.ask("GET", "/q?metrics=exports&metrics_b=signups&formula=A%2FB&scope=month&last=3+months")
    ratios = {line[0].removesuffix(" *"): line[3] for line in table_of(page)[1:]}
    assert ratios["2024-01"] == ratios["2024-02"] == "–"
    assert ratios["2024-03"] != "–"


def test_files_are_the_answers_of_the_api(served: Served) -> None:
    fields = "metrics=signups&scope=week&by=plan&top=all&last=5+weeks"
    file = served.ask("GET", f"/q.csv?{fields}")
    assert file.body == served.ask("GET", f"/v1/query?format=csv&{fields.replace('&top=all', '')}").body
    assert 'filename="signups-week.csv"' in file.headers["content-disposition"]
    assert served.ask("GET", f"/q.xlsx?{fields}").body[:2] == b"PK"
    svg = served.ask("GET", f"/q.svg?{fields}").body.decode()
    assert svg.startswith("<svg xmlns=")
    assert "var(--" not in svg
    assert served.ask("GET", f"/q.png?{fields}").body[:4] == b"\x89PNG"


def test_the_colors_of_series_stay_whatever_is_filtered(served: Served) -> None:
    def slots(fields: str) -> dict[str, str]:
        html = served.ask("GET", f"/q?{fields}").body.decode()
        wide = html.partition('<svg class="wide"')[2].partition("</svg>")[0]
        return {name: slot for slot, name in re.findall(r'class="dot f(\d)"[^>]*/><text class="end"[^>]*>(\w+)<', wide)}

    every = slots("metrics=signups&scope=week&by=plan")
    some = slots("metrics=signups&scope=day&by=plan&last=20+days&w=plan&o=%21%3D&v=free")
    assert set(every.values()) == {"1", "2", "3"}
    assert some == {name: every[name] for name in ("pro", "team")}
    assert slots("metrics=mrr&scope=month&by=plan") == every


def test_each_number_leads_to_what_is_behind_it(served: Served) -> None:
    page = served.ask("GET", "/q?metrics=signups&scope=week&by=plan&last=3+weeks").body.decode()
    links = [unescape(link) for link in re.findall(r'class="cell" href="([^"]+)"', page)]
    assert links[0].startswith("/q?metrics=signups&where=plan%3D")
    finer = served.ask("GET", links[0])
    assert finer.status == 200
    day = re.findall(r'class="cell" href="([^"]+)"', finer.body.decode())[0]
    said = text_of(served.ask("GET", unescape(day).partition("#")[0]))
    assert "Signups on 2024-03-09" in said, day


def test_the_question_is_copied_in_other_words(served: Served) -> None:
    said = text_of(served.ask("GET", "/q?metrics=signups&scope=week&w=plan&o=%3D&v=it%27s&last=3+weeks"))
    assert """tallybook query signups --scope week --where 'plan=it'"'"'s' --last '3 weeks'""" in said
    assert "curl --header 'Authorization: Bearer KEY' 'http://127.0.0.1:8321/v1/query?metrics=signups" in said
    assert "book.query(\"signups\", scope='week'" in said
    assert "[boards.mine]" in said
    assert ".parquet" not in said.replace("points.parquet", "")


SERIES = "metrics=signups&w=plan&o=%3D&v=pro&metrics_b=mrr&metrics_c=visitors&formula=B+%2F+A&scope=week&last=4+weeks"


def copies(page: Answer) -> dict[str, str]:
    """The texts that a page offers to copy, by what they are."""
    html = page.body.decode().partition("Copy or export")[2]
    found = re.findall(r"<summary[^>]*>([^<]*)</summary>.*?<code[^>]*>(.*?)</code>", html, flags=re.DOTALL)
    return {kind: unescape(re.sub(r"<[^>]+>", "", text)) for kind, text in found}


def test_several_series_are_copied_as_a_request_that_returns_the_table(served: Served) -> None:
    page = served.ask("GET", f"/q?{SERIES}")
    words = shlex.split(copies(page)["curl"])
    assert words[:3] == ["curl", "--header", "Authorization: Bearer KEY"]
    file = served.ask("GET", words[3].partition(":8321")[2], key=served.key("curl"))
    lines = list(csv.reader(file.body.decode().splitlines()))
    table = table_of(page)
    assert lines[0][:5] == ["period", *table[0][1:5]]
    assert lines[0][4] == "B / A"
    shown = {line[0].removesuffix(" *"): [as_number(text) for text in line[1:5]] for line in table[1:]}
    for line in lines[1:]:
        assert [as_number(text) for text in line[1:5]] == pytest.approx(shown[line[0]], abs=0.005)


def test_several_series_are_copied_as_python_that_has_the_values_of_the_file(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallybook, "open", lambda: served.project.book)
    *lines, last = copies(served.ask("GET", f"/q?{SERIES}"))["Python"].splitlines()
    known: dict[str, Any] = {}
    exec("\n".join([*lines, f"answer = {last}"]), known)
    written = csv.reader(served.ask("GET", f"/q.csv?{SERIES}").body.decode().splitlines())
    ours = csv.reader(known["answer"].to_csv().splitlines())
    assert [line[:1] + line[4:] for line in ours][1:] == [line[:1] + line[4:] for line in written][1:]
    days = {row["period"]: row["B / A"] for row in known["answer"].rows()}
    signups, mrr = known["a"].rows(), known["b"].rows()
    for a, b in zip(signups, mrr, strict=True):
        assert days[a["period"]] == pytest.approx(b["mrr"] / a["signups"]) or not a["complete"]


def test_several_series_are_copied_as_a_command_for_each(served: Served) -> None:
    lines = copies(served.ask("GET", f"/q?{SERIES}"))["Commands, one for each series"].splitlines()
    assert lines == [
        "tallybook query signups --scope week --where plan=pro --last '4 weeks'",
        "tallybook query mrr --scope week --last '4 weeks'",
        "tallybook query visitors --scope week --last '4 weeks'",
    ]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda book: book.formula("A / B", book.query("signups")), "no series B"),
        (lambda book: book.formula("A"), "takes 1 to 4 answers, not 0"),
        (
            lambda book: book.formula("A", book.query("signups", by="plan")),
            "answer A has 1 number in each period by plan",
        ),
        (lambda book: book.formula("A", book.query("signups", "mrr")), "answer A has 2 numbers"),
        (
            lambda book: book.formula("A", *(book.query("mrr", scope=one) for one in ("day", "week"))),
            "answer B is by week",
        ),
    ],
)
def test_a_formula_of_answers_says_which_it_cannot_take(served: Served, asked: Any, said: str) -> None:
    with pytest.raises(QueryError) as error:
        asked(served.project.book)
    assert said in error.value.message


def test_a_formula_leaves_out_the_rows_of_totals(served: Served) -> None:
    book = served.project.book
    with_totals = book.formula("A", book.query("signups", scope="week", totals=True))
    assert with_totals.rows() == book.formula("A", book.query("signups", scope="week")).rows()


def test_no_path_of_the_book_is_on_a_page(served: Served) -> None:
    for path in ("/", "/q?metrics=signups", "/m/signups?day=2024-03-01", "/health"):
        assert str(served.project.folder) not in served.ask("GET", path).body.decode()
