"""A metric split by one dimension: the top values, the others combined, and all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from tallybook.core import ONE_DAY, Column, Metric, QueryError, Refused, Result, Row
from tallybook.query import Question
from tallybook.server.charts.sparks import bar, spark
from tallybook.server.pages.figures import series_label
from tallybook.server.pages.page import Choice, PageWork
from tallybook.server.pages.shows import shown_period
from tallybook.server.pages.templates import markup
from tallybook.server.pages.words import Change, Shown, change, marks_of, number

MAX_BREAKDOWN = 6


@dataclass(frozen=True, kw_only=True)
class BreakdownRow:
    name: str
    kind: str
    link: str
    value: Shown
    share: str
    bar: Any
    change: Change | None
    spark: Any


@dataclass(frozen=True, kw_only=True)
class MetricView:
    """The choices on the page."""

    metric: Metric
    scope: str
    show: str
    last: str
    compare: str
    where: tuple[str, ...]
    by: str

    def question(self, **more: Any) -> Question:
        """The query for the chart."""
        options: dict[str, Any] = {
            "metrics": [self.metric.name],
            "scope": self.scope,
            "show": self.show or None,
            "last": self.last,
            "where": self.where,
            "compare": self.compare or None,
        }
        return Question(**(options | more))


def dimensions(work: PageWork, view: MetricView) -> list[Choice]:
    dims = work.catalog.queryable_dims(view.metric.name)
    return [Choice(words=dim, link=work.ask.link(by=dim) + "#by", is_chosen=dim == view.by) for dim in dims]


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """A metric split by one dimension over the last complete periods. Other and All are computed from parts."""

    by: str
    first: date
    last: date
    rows: Sequence[BreakdownRow]
    has_shares: bool


def breakdown(work: PageWork, view: MetricView) -> Breakdown | None:
    """The top values of a dimension, the others combined, and all. None if no dimension is chosen."""
    if not view.by:
        return None
    first, last = back(work, view.scope, 12), shown_period(work, view.scope).end
    options = {"last": None, "by": [view.by], "from_": first, "to": last}
    try:
        whole = work.answer(
            view.question(**options, scope="all", top=MAX_BREAKDOWN, totals=True, compare=view.compare or "previous")
        )
        lines = work.answer(view.question(**options, top=MAX_BREAKDOWN, compare=None, fill=True))
    except (Refused, QueryError):
        return None
    column = whole.metric_columns[0]
    name = view.metric.name
    total = next((row[name] for row in whole.data if row.get("total")), None)
    is_sum = view.metric.adds_up and column.show in ("total", "last", "average")
    # Of a total that some parts make smaller, no part is a share.
    is_less = any(row[name] is not None and row[name] < 0 for row in whole.data)
    has_shares = total is not None and total > 0 and is_sum and not is_less
    ordered = sorted(whole.data, key=lambda row: (bool(row.get("total")), bool(row.get("others")), -_size(row, name)))
    rows = [
        _breakdown_row(work, view, row, column, lines, float(total) if has_shares and total else None)
        for row in ordered
        if not row.get("no_series")
    ]
    return Breakdown(by=view.by, first=first, last=last, rows=rows, has_shares=has_shares)


def _size(row: Row, name: str) -> float:
    return float(row[name] or 0)


def _breakdown_row(
    work: PageWork, view: MetricView, row: Row, column: Column, lines: Result, total: float | None
) -> BreakdownRow:
    name, dim = view.metric.name, view.by
    kind = "total" if row.get("total") else "others" if row.get("others") else ""
    label = {"total": "All", "others": "Other"}.get(kind) or series_label([row[dim]])
    value = row[name]
    share = float(value) / total if total and value is not None else None
    own = {one["period"]: one[name] for one in lines.data if kind != "total" and _same_series(one, row, dim)}
    periods = sorted({one["period"] for one in lines.data if one["period"] is not None})
    link = work.ask.link(where=[*view.where, filter_text(dim, row[dim])]) if not kind else ""
    return BreakdownRow(
        name=label,
        kind=kind,
        link=link,
        value=replace(number(value, column, brief=True), marks=marks_of(row, name)),
        share=f"{share:.1%}" if share is not None else "",
        bar=markup(bar(share)) if share is not None and kind != "total" else "",
        change=change(row.get(f"{name}_change"), view.metric.better),
        spark=markup(spark([None if own.get(day) is None else float(own[day]) for day in periods])) if own else "",
    )


def _same_series(one: Row, row: Row, dim: str) -> bool:
    return bool(one.get("others")) == bool(row.get("others")) and one[dim] == row[dim] and not one.get("total")


def filter_text(dim: str, value: Any) -> str:
    """The filter that selects one value."""
    return f"{dim}=" if value is None else f"{dim}=''" if value == "" else f"{dim}={value}"


def back(work: PageWork, scope: str, count: int) -> date:
    """The first day of the period `count` periods back."""
    periods = work.catalog.book.periods()
    start = periods.period_start(work.book.today, scope)
    for _ in range(count):
        start = periods.period_start(start - ONE_DAY, scope)
    return start
