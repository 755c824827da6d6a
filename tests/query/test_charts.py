"""Pictures of results: `query --chart`, `query --spark`, and the Vega-Lite specification of notebooks."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.cli import charts
from tallybook.core import metric_words, number_format, series_colors
from tallybook.core.result.result import Result
from tallybook.core.result.values import Column
from tests.cli.test_cli import CONTRACTS, SIGNUPS, TOML, Command

COLOUR = re.compile(r"\x1b\[[\d;]*m")


def result(values: list[float | None], *, incomplete: int | None = None, type_: str = "integer") -> Result:
    """One metric over days from 1 March; the value at `incomplete` is of a day that is not over."""
    rows = [
        {"period": date(2026, 3, 1) + i * timedelta(1), "visits": value, "complete": i != incomplete, "days": 1,
         "days_expected": 1, "approximate": False}
        for i, value in enumerate(values)
    ]  # fmt: skip
    columns = [
        Column(name="period", role="period", type="date"),
        Column(name="visits", role="metric", type=type_, show="total"),
    ]
    return Result(
        metrics=["visits"], scope="day", timezone="UTC", week_starts="monday", columns=columns, data=rows,
        explain="visits.", version=1,
    )  # fmt: skip


def plain(text: str, *_: str) -> str:
    return text


def marked(text: str, *styles: str) -> str:
    return f"<{' '.join(styles)}:{text}>" if styles else text


def points(picture: str) -> list[tuple[int, int]]:
    """(row, column) of every cell with a dot."""
    lines = [re.split("[┤│]", line, maxsplit=1)[1] for line in picture.split("\n") if re.search("[┤│]", line)]
    return [(y, x) for y, line in enumerate(lines) for x, sign in enumerate(line) if sign != " "]


# ------------------------------------------------------------------------------------------------- sparklines


def test_a_sparkline_has_a_bar_a_period_and_a_blank_for_a_gap() -> None:
    header, line = charts.sparklines(result([0, 7, None, 3, 7]), plain, None).split("\n")
    assert header.split() == ["metric", "least", "most", "last", "spark"]
    assert line.split(maxsplit=4) == ["visits", "0", "7", "7", "▁█ ▄█"]


def test_a_sparkline_that_is_cut_says_how_many_periods_it_shows_and_keeps_the_extremes_of_all() -> None:
    text = charts.sparklines(result([100, *range(1, 30)]), plain, 40)
    assert "  100  " in text
    assert re.search(r"the last \d+ of 30 periods", text)


def test_what_is_not_complete_is_dim_and_carries_its_mark() -> None:
    text = charts.sparklines(result([4, 8, 2], incomplete=2), marked, None)
    assert re.search(r"2\*  <cyan:▅█><cyan dim:▃>", text)


def test_a_sparkline_of_nothing_known_is_blank() -> None:
    assert "–" in charts.sparklines(result([None, None]), plain, None)


# ----------------------------------------------------------------------------------------------------- charts


def test_a_chart_is_as_wide_as_the_screen_and_no_wider() -> None:
    for width in (40, 80, 132):
        picture = charts.chart(result([float(i % 7) for i in range(60)], type_="float"), plain, width)
        assert max(map(len, picture.split("\n"))) <= width


def test_the_greatest_value_is_drawn_on_top_and_the_least_at_the_bottom() -> None:
    picture = charts.chart(result([0, 5, 10]), plain, 60)
    drawn = points(picture)
    columns = [x for _, x in drawn]
    assert (min(drawn)[0], max(columns)) == max(drawn, key=lambda cell: cell[1])
    assert (max(drawn)[0], 0) == min(drawn, key=lambda cell: cell[1])


def test_a_gap_is_a_gap_and_not_a_line_across_it() -> None:
    values: list[float | None] = [5, 5, 5, None, None, None, None, 5, 5]
    columns = sorted({x for _, x in points(charts.chart(result(values), plain, 90))})
    widest = max(b - a for a, b in pairwise(columns))
    assert widest > 0.5 * max(columns)


def test_labels_of_whole_numbers_are_whole_and_evenly_apart() -> None:
    picture = charts.chart(result([0, 1, 2, 3]), plain, 60)
    labels = [int(found[1]) for found in re.finditer(r"^ *(\d+) ┤", picture, re.MULTILINE)]
    assert labels == [3, 2, 1, 0]


def test_averages_that_are_far_from_zero_have_an_axis_that_does_not_begin_there() -> None:
    picture = charts.chart(result([1000.0, 1010.0, 1005.0], type_="float"), plain, 60)
    assert "1,000 ┤" in picture
    assert " 0 ┤" not in picture


@pytest.mark.parametrize("type_", ["integer", "decimal"])
@pytest.mark.parametrize("sign", [1, -1])
def test_counts_and_amounts_begin_at_zero(type_: str, sign: int) -> None:
    values: list[Any] = [sign * n for n in (1000, 1010, 1005)]
    assert " 0 ┤" in charts.chart(result(values, type_=type_), plain, 60)
    layer = result(values, type_=type_).chart()["layer"]
    assert all(one["encoding"]["y"]["scale"] == {"zero": True} for one in layer)


def two_metrics() -> Result:
    """Of `signups` pro is the largest series, of `revenue` team."""
    rows = [
        {"period": date(2026, 3, day), "plan": plan, "signups": signups, "active_users": users, "complete": day == 2,
         "days": 7, "days_expected": 7, "approximate": False}
        for day in (2, 9) for plan, signups, users in (("pro", 90, 1), ("team", 10, 20), ("free", 20, 2))
    ]  # fmt: skip
    columns = [
        Column(name="period", role="period", type="date"),
        Column(name="plan", role="dimension", type="text"),
        Column(name="signups", role="metric", type="integer", show="total"),
        Column(name="active_users", role="metric", type="integer", unit="users", show="last"),
    ]
    return Result(
        metrics=["signups", "active_users"], scope="week", timezone="UTC", week_starts="monday", columns=columns,
        data=rows, explain="Two.", version=1,
    )  # fmt: skip


def test_a_series_has_one_letter_or_color_in_the_charts_of_all_metrics() -> None:
    picture = charts.chart(two_metrics(), plain, 60)
    keys = [line.split() for line in picture.split("\n") if line.startswith("  a ")]
    assert keys[0] == keys[1] == ["a", "team", "b", "pro", "c", "free"]
    colored = charts.chart(two_metrics(), marked, 60)
    assert colored.count("<cyan:━> team") == 2
    scales = [panel["encoding"]["color"]["scale"] for panel in two_metrics().chart()["vconcat"]]
    assert scales[0] == scales[1]
    assert scales[0]["domain"] == ["free", "pro", "team"]
    assert len(set(scales[0]["range"])) == 3


def test_a_color_belongs_to_the_name_of_a_series_whatever_else_is_drawn() -> None:
    every = series_colors(["free", "pro", "team"])
    assert series_colors(["pro", "free"]) == {name: every[name] for name in ("pro", "free")}
    assert len(set(series_colors(map(str, range(8))).values())) == 8


def test_titles_are_words_with_units_and_ticks_are_the_first_days_of_weeks() -> None:
    spec = two_metrics().chart()
    assert [panel["layer"][0]["encoding"]["y"]["title"] for panel in spec["vconcat"]] == [
        "Signups",
        "Active users (users)",
    ]
    ticks = spec["vconcat"][0]["encoding"]["x"]["axis"]["values"]
    assert ticks == [{"year": 2026, "month": 3, "date": 2}, {"year": 2026, "month": 3, "date": 9}]
    assert charts.chart(two_metrics(), plain, 60).startswith("Signups\n")
    assert metric_words({"name": "latency_ms", "unit": "ms"}) == "Latency"
    assert metric_words({"name": "mrr", "title": "Recurring"}) == "Recurring"


def test_declared_digits_of_an_amount_are_shown() -> None:
    column = Column(name="revenue", role="metric", type="decimal", scale=2)
    assert number_format(column, [Decimal("1407.9")]).text(Decimal("1407.9")) == "1,407.90"


def test_a_metric_without_a_value_is_told_and_not_drawn() -> None:
    assert "no value in any of 2 periods" in charts.chart(result([None, None]), plain, 60)


# ------------------------------------------------------------------------------------------------ the command


@pytest.fixture
def run(tmp_path: Path) -> Command:
    """The project of tests/cli/test_cli.py, collected."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute("create table users (id integer, created_at text, plan text)")
        db.executemany("insert into users values (?, ?, ?)", SIGNUPS)
        db.execute("create table contracts (plan text, started_at text, ended_at text, mrr integer)")
        db.executemany("insert into contracts values (?, ?, ?, ?)", CONTRACTS)
        db.commit()
    command = Command(tmp_path)
    command.declare(TOML)
    assert command("run", "--quiet").code == 0, command.err
    return command


def test_series_differ_by_letters_where_there_are_no_colours(run: Command) -> None:
    said = run("query", "signups", "--by", "plan", "--chart").out
    assert "\x1b" not in said
    assert "  a free   b pro" in said or "  a pro   b free" in said
    drawn = "".join(re.split("[┤│]", line, maxsplit=1)[1] for line in said.split("\n") if re.search("[┤│]", line))
    assert drawn.count("a") > 1
    assert len(re.findall("[\u2801-\u28ff]", drawn)) > drawn.count("a"), "letters are on lines"
    assert said.rstrip().endswith("(version 1).")


def test_series_differ_by_colours_on_a_screen_and_no_color_is_honoured(run: Command) -> None:
    coloured = run("query", "signups", "--by", "plan", "--chart", screen=True).out
    assert "\x1b[36m" in coloured
    assert "\x1b[33m" in coloured
    assert "\x1b" not in run("query", "signups", "--by", "plan", "--chart", screen=True, NO_COLOR="1").out


def test_every_series_has_a_value_in_every_covered_period(run: Command) -> None:
    said = run("query", "signups", "--by", "plan", "--spark", "--to", "2026-03-09").out
    pro = next(line for line in said.split("\n") if " pro " in line)
    assert pro.split()[-1] == "██▁▁▁▁▁▁▁"


def test_a_chart_is_for_the_screen_alone(run: Command) -> None:
    assert run("query", "signups", "--chart", "--format", "json").code == 2
    assert run("query", "signups", "--spark", "-o", "chart.txt").code == 2


def test_the_screen_is_as_wide_as_it_says(run: Command, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    said = COLOUR.sub("", run("query", "signups", "mrr", "--chart", screen=True).out)
    drawn = [line for line in said.split("\n") if "┤" in line or "│" in line]
    assert len(drawn) == 24
    assert max(map(len, drawn)) <= 50


# -------------------------------------------------------------------------------------------------- notebooks


def split(values: dict[str, list[float | None]]) -> Result:
    """The metric by plan: {plan: values}, the first of them of 1 March."""
    (period, metric), rows = result([]).columns, []
    for plan, several in values.items():
        rows += [row | {"plan": plan} for row in result(several).data]
    plans = Column(name="plan", role="dimension", type="text")
    return Result(
        metrics=["visits"], scope="day", timezone="UTC", week_starts="monday", columns=[period, plans, metric],
        data=sorted(rows, key=lambda row: row["period"]), explain="visits.", version=1,
    )  # fmt: skip


def drawn_values(spec: dict[str, Any]) -> list[tuple[str, str | None, float | None]]:
    return [(row["label"], row.get("series"), row["value"]) for row in spec["data"]["values"]]


def test_a_chart_is_a_vega_lite_5_specification_with_its_data_within() -> None:
    spec = result([3, None, 5]).chart("Visits")
    assert spec["$schema"].endswith("/vega-lite/v5.json")
    assert spec["title"] == "Visits"
    assert drawn_values(spec) == [("2026-03-01", None, 3), ("2026-03-02", None, None), ("2026-03-03", None, 5)]
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    assert "url" not in json.dumps(spec)


def test_a_series_is_a_line_of_its_own() -> None:
    spec = split({"pro": [1, 2], "free": [3, 4]}).chart()
    assert spec["encoding"]["color"]["field"] == "series"
    assert drawn_values(spec)[:2] == [("2026-03-01", "pro", 1), ("2026-03-01", "free", 3)]


def test_several_metrics_have_a_panel_each_so_that_no_axis_is_shared(run: Command) -> None:
    with tallybook.open(run.folder, now=lambda: run.now) as book:
        spec = book.query("signups", "mrr", scope="week").chart()
    titles = [panel["layer"][0]["encoding"]["y"]["title"] for panel in spec["vconcat"]]
    assert titles == ["Signups", "Mrr (EUR)"]


def test_what_is_not_complete_is_a_hollow_point_beside_the_line_and_says_so() -> None:
    spec = result([3, 5], incomplete=1).chart()
    assert [row["complete"] for row in spec["data"]["values"]] == [True, False]
    assert spec["data"]["values"][1]["says"] == "not complete: 1 of 1 days"
    assert [(row["whole"], row["part"]) for row in spec["data"]["values"]] == [(3, None), (None, 5)]
    line, whole, part = spec["layer"]
    assert (line["mark"]["type"], line["encoding"]["y"]["field"]) == ("line", "whole")
    assert (whole["mark"]["filled"], part["mark"]["filled"], part["encoding"]["y"]["field"]) == (True, False, "part")


def test_totals_are_not_drawn_as_a_series(run: Command) -> None:
    with tallybook.open(run.folder, now=lambda: run.now) as book:
        spec = book.query("signups", by=["plan"], totals=True).chart()
    assert {row["series"] for row in spec["data"]["values"]} == {"pro", "free"}


def test_a_notebook_gets_text_table_and_chart() -> None:
    bundle = result([3, 5])._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.vegalite.v5+json"}


def test_a_notebook_gets_no_chart_of_nothing() -> None:
    assert set(result([None])._repr_mimebundle_()) == {"text/plain", "text/html"}
