"""Boards, notes and the keys that only pages show: read, checked, and no part of a definition."""

from __future__ import annotations

import tomllib
from datetime import date

import pytest

from tallybook.config.catalog.building import build
from tallybook.core import Board, BoardSeries, BoardView, Catalog, DeclarationError, Metric, Note
from tests.kinds import kinds_of

BASE = """
[sources.app]
url = "postgresql://db/app"
[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
by = ["plan"]
[metrics.mrr]
kind = "level"
table = "subscriptions"
from = "started_at"
measure = "sum(mrr)"
[metrics.double]
measure = "mrr * 2"
"""


def catalog(text: str, before: str = "") -> Catalog:
    return build(tomllib.loads(before + BASE + text), kinds=kinds_of({"app": "postgres"}))


def problems(text: str, before: str = "") -> dict[str, str]:
    with pytest.raises(DeclarationError) as caught:
        catalog(text, before)
    return {one.path: one.message for one in caught.value.problems}


def test_a_board_has_views_with_their_own_scope_or_that_of_the_board() -> None:
    read = catalog(
        """
[boards.weekly]
title = "Weekly review"
every = "5m"
where = ["plan=pro"]
views = [{ metrics = ["signups"], by = ["plan"], chart = "stacked", top = 3 }, { metrics = ["signups"], scope = "month" }]
"""
    )
    assert read.boards["weekly"] == Board(
        name="weekly",
        title="Weekly review",
        every=300.0,
        where=("plan=pro",),
        views=(
            BoardView(metrics=("signups",), by=("plan",), chart="stacked", top=3),
            BoardView(metrics=("signups",), scope="month"),
        ),
    )


def test_notes_come_in_the_order_of_their_days() -> None:
    read = catalog(
        """
[[notes]]
day = 2026-07-06
text = "Pricing page redesigned"
metrics = ["signups"]
[[notes]]
day = "2026-01-05"
text = "Office moved"
"""
    )
    assert read.notes == (
        Note(day=date(2026, 1, 5), text="Office moved"),
        Note(day=date(2026, 7, 6), text="Pricing page redesigned", metrics=("signups",)),
    )


def test_every_mistake_of_boards_and_notes_is_reported_at_once() -> None:
    found = problems(
        """
[boards.a]
views = [{ metrics = ["signup"] }, { metrics = ["mrr"], show = "total" }, { metrics = ["mrr"], by = ["plan"] }, { by = ["plan"] }]
[boards.b]
title = "empty"
[boards.c]
views = [{ metrics = ["signups"], chart = "pie", top = 3 }, "mrr"]
where = ["land=DE"]
[[notes]]
text = "without a day"
[[notes]]
day = "2026-01-05"
text = "x"
metrics = ["mrrr"]
"""
    )
    assert found["boards.a.views.1.metrics"] == "there is no metric 'signup'"
    assert found["boards.a.views.2.show"] == "adding a level over days counts the same items once a day"
    assert found["boards.a.views.3.by"] == "'plan' is not a dimension of 'mrr'"
    assert found["boards.a.views.4.metrics"] == "a view needs metrics or series"
    assert found["boards.b.views"] == "a board needs views"
    assert found["boards.c.views.1.chart"] == "chart is not one of the allowed values"
    assert found["boards.c.views.1.top"] == "top picks series, and there is one only"
    assert found["boards.c.views.2"] == "is not a table"
    assert found["boards.c.where"] == "'land' is not a dimension of 'signups'"
    assert found["notes.1.day"] == "a note needs its day"
    assert found["notes.2.metrics"] == "there is no metric 'mrrr'"


def test_wrong_shapes_of_boards_and_notes_are_reported() -> None:
    assert problems("", before="boards = 3\n")["boards"] == "has no table names"
    assert problems("", before='notes = "x"\n')["notes"] == "is not a list of notes"
    assert problems("[boards.a]\nviews = []\n")["boards.a.views"] == "views is not a list of views"


def test_group_pinned_and_better_are_no_part_of_a_definition() -> None:
    plain = Metric(name="signups", table="users", time="created_at", measure="count(*)")
    shown = Metric(
        name="signups",
        table="users",
        time="created_at",
        measure="count(*)",
        group="Growth",
        pinned=True,
        better="higher",
    )
    assert shown.fingerprint("UTC", {}) == plain.fingerprint("UTC", {})


def test_derived_metrics_have_a_group_too() -> None:
    text = BASE.replace("[metrics.double]\n", '[metrics.double]\ngroup = "Money"\nbetter = "lower"\npinned = true\n')
    read = build(tomllib.loads(text), kinds=kinds_of({"app": "postgres"})).metrics["double"]
    assert (read.group, read.better, read.pinned) == ("Money", "lower", True)


def test_a_view_has_series_of_metrics_and_events_with_a_formula() -> None:
    read = catalog(
        """
[boards.ratio]
views = [
  { series = [{ metric = "signups", where = ["plan=pro"] }, { event = "order", measure = "sum", property = "amount" }],
    formula = "B / A", from = "2024-01-01", to = "yesterday" },
  { series = [{ event = "order" }], by = ["country"], top = "all" },
]
""".replace("}],\n    formula", "}], formula")
    )
    first, second = read.boards["ratio"].views
    assert first == BoardView(
        series=(
            BoardSeries(metric="signups", where=("plan=pro",)),
            BoardSeries(event="order", measure="sum", of="amount"),
        ),
        formula="B / A",
        from_="2024-01-01",
        to="yesterday",
    )
    assert (second.top, second.name) == (0, "order")


@pytest.mark.parametrize(
    ("view", "path", "message"),
    [
        ('series = [{ metric = "signup" }]', "series.1.metric", "there is no metric 'signup'"),
        ('series = [{ metric = "signups", where = ["country=DE"] }]', "series.1.where", "'country' is not a dimension"),
        ('series = [{ metric = "mrr", show = "total" }]', "series.1.show", "adding a level over days"),
        ('series = [{ metric = "mrr", event = "order" }]', "series.1.event", "a series is of a metric or of an event"),
        ('series = [{ where = ["plan=pro"] }]', "series.1.metric", "a series needs a metric or an event"),
        ('series = [{ event = "order", measure = "sum" }]', "series.1.property", "sum needs a property"),
        ('series = [{ event = "order", property = "x" }]', "series.1.property", "count counts events"),
        ('series = [{ metric = "mrr", measure = "sum" }]', "series.1.measure", "measure belongs to events"),
        ('series = [{ metric = "mrr" }], metrics = ["mrr"]', "metrics", "a view with series has metrics in each"),
        ('series = [{ metric = "mrr" }], formula = "A / B"', "formula", "there is no series B"),
        ('series = [{ metric = "mrr" }], formula = "A +"', "formula", "cannot be read"),
        ('metrics = ["mrr"], formula = "A * 2"', "formula", "a formula is computed from series"),
        ('series = [{ metric = "mrr" }, { metric = "mrr" }], by = ["plan"]', "by", "by is for a view with one series"),
        ('metrics = ["mrr"], from = "2024-01-01", last = "3 days"', "from", "a first day or a length"),
        ('metrics = ["mrr"], from = "01.02.2024"', "from", "from is not a day"),
        ('metrics = ["signups"], by = ["plan"], top = 0', "top", "top is not a whole number in range"),
        ("series = []", "series", "series is not a list of series"),
        ('title = "x"', "metrics", "a view needs metrics or series"),
    ],
)
def test_wrong_series_are_reported_with_their_place(view: str, path: str, message: str) -> None:
    found = problems(f"[boards.b]\nviews = [{{ {view} }}]")
    assert message in found[f"boards.b.views.1.{path}"], found
