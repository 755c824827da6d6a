"""The page of one metric: its numbers, chart, breakdown, table, and how the numbers are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from tallybook.core import LEVEL, UNIQUES, Metric, QueryError, Refused, Result, Row, did_you_mean
from tallybook.server.charts.data import ChartGoal
from tallybook.server.charts.drawing import FULL
from tallybook.server.pages.attention import known_causes
from tallybook.server.pages.breakdown import MetricView, back, breakdown, dimensions
from tallybook.server.pages.computed import computed
from tallybook.server.pages.figures import Figure, FigureOptions, chart_data, figure
from tallybook.server.pages.frame import page
from tallybook.server.pages.goal_words import GoalLine, goal_line, goal_standings, in_goal
from tallybook.server.pages.page import Choice, Page, PageWork, address
from tallybook.server.pages.shows import ShowChoice, show_choices, shown_period
from tallybook.server.pages.words import (
    Change,
    Shown,
    begins_sentence,
    change,
    change_of,
    marks_of,
    number,
    numbers,
    title_of,
    usual_change,
)

SCOPES = ("day", "week", "month", "quarter", "year")
RANGES = {
    "day": ("60 days", "30 days", "90 days", "180 days", "365 days"),
    "week": ("27 weeks", "13 weeks", "53 weeks", "104 weeks"),
    "month": ("14 months", "6 months", "24 months", "36 months"),
    "quarter": ("8 quarters", "4 quarters", "12 quarters"),
    "year": ("5 years", "3 years", "10 years"),
}
NOTHING, PREVIOUS = ("", "–"), ("previous", "Prior period")
COMPARES = {
    "day": (NOTHING, PREVIOUS, ("7 days", "Week before"), ("364 days", "Prior year, same weekday")),
    "week": (NOTHING, PREVIOUS, ("52 weeks", "Prior year")),
    "month": (NOTHING, PREVIOUS, ("1 year", "Prior year")),
    "quarter": (NOTHING, PREVIOUS, ("1 year", "Prior year")),
    "year": (NOTHING, PREVIOUS),
}
"""The comparisons offered for each scope. Both ranges have the same number of each weekday."""
NOT_ADDITIVE = "a flow: counted as it happens; its days do not add up"
KIND_WORDS = {
    "flow": "a flow: counted as it happens, adds up over time",
    LEVEL: "a level: measured at the end of each day, does not add up over time",
    UNIQUES: "daily counts of different things: they do not add up",
    "derived": "computed from other metrics",
}


@dataclass(frozen=True, kw_only=True)
class HeadlineNumber:
    label: str
    value: Shown
    change: Change | None = None
    than: str = ""
    goal: GoalLine | None = None


@dataclass(frozen=True, kw_only=True)
class NumbersRow:
    """One period of the table."""

    label: str
    is_complete: bool
    value: Shown
    before: Shown | None
    change: Change | None
    days: str
    link: str


def metric_page(work: PageWork, name: str) -> Page:
    """The page `/m/NAME`."""
    metric = work.metric(name)
    view = chosen_view(work, metric)
    choices = show_choices(work, metric, shown_period(work, view.scope), view.where)
    if view.show and all(one.show != view.show or one.is_refused for one in choices):
        return _in_builder(work, name)
    try:
        result = work.answer(view.question())
    except Refused:
        return _in_builder(work, name)
    rows = [row for row in result.data if row["period"] is not None]
    return page(
        work,
        "metric.html",
        "overview",
        title_of(metric),
        metric=metric,
        name=title_of(metric),
        kind=kind_words(metric),
        view=view,
        headlines=headlines(work, view),
        scopes=[Choice(words=s.capitalize(), link=_to_scope(work, s), is_chosen=s == view.scope) for s in SCOPES],
        shows=_show_links(work, metric, view, choices),
        period=shown_period(work, view.scope),
        compares=_compares(view),
        ranges=_ranges(view),
        figure=_figure(work, view, result),
        dims=dimensions(work, view),
        breakdown=breakdown(work, view),
        rows=_rows(work, view, result, rows),
        is_compared=bool(view.compare),
        compared_with=compared_words(view.compare, view.scope),
        builder=_builder_link(view),
        exports=_exports(view),
        computed=computed(work, view, result),
    )


def _in_builder(work: PageWork, name: str) -> Page:
    """The same question in the query builder, which says why it has no answer and which one has."""
    from tallybook.server.pages.builder import builder

    refused = [(key, value) for key, value in work.ask.fields if key not in ("by", "day")]
    ask = replace(work.ask, path="/q", fields=[("metrics", name), *refused])
    return builder(replace(work, ask=ask))


def kind_words(metric: Metric) -> str:
    """The kind of a metric, in words."""
    if metric.kind == "flow" and not metric.derived and not metric.adds_up:
        return NOT_ADDITIVE
    return KIND_WORDS["derived" if metric.derived else metric.kind]


def chosen_view(work: PageWork, metric: Metric) -> MetricView:
    """The choices in the URL. Raises QueryError for an invalid scope."""
    scope = work.ask.one("scope", "week")
    if scope not in SCOPES:
        raise QueryError(f"there is no scope {scope[:40]!r}", hint=f"one of {', '.join(SCOPES)}", field="scope")
    dims = work.catalog.queryable_dims(metric.name)
    by = work.ask.one("by", dims[0] if dims else "")
    if by and by not in dims:
        hint = did_you_mean(by, dims) or f"its dimensions: {', '.join(dims) or 'none'}"
        raise QueryError(f"metric {metric.name!r} has no dimension {by[:40]!r}", hint=hint, field="by")
    return MetricView(
        metric=metric,
        scope=scope,
        show=work.ask.one("show"),
        last=work.ask.one("last") or RANGES[scope][0],
        compare=work.ask.one("compare"),
        where=tuple(work.ask.every("where")),
        by=by,
    )


def _to_scope(work: PageWork, scope: str) -> str:
    return work.ask.link(scope=scope, last=None)


def _show_links(work: PageWork, metric: Metric, view: MetricView, choices: Sequence[ShowChoice]) -> list[Choice]:
    chosen = view.show or metric.default_show
    return [
        Choice(words=one.name, link=work.ask.link(show=one.show), is_chosen=one.show == chosen, more=str(one.value))
        for one in choices
        if not one.is_refused
    ]


def _ranges(view: MetricView) -> list[tuple[str, str]]:
    known = list(RANGES[view.scope])
    return [(one, one) for one in ([view.last] if view.last not in known else []) + known]


def _compares(view: MetricView) -> list[tuple[str, str]]:
    known = list(COMPARES[view.scope])
    return known if view.compare in dict(known) else [*known, (view.compare, f"{view.compare} before")]


def compared_words(compare: str, scope: str) -> str:
    """The comparison in words: `prior week`, `prior year`."""
    if not compare or compare == "previous":
        return f"prior {scope}" if compare else ""
    return dict(COMPARES.get(scope, ())).get(compare, f"{compare} before").lower()


# -- headlines -------------------------------------------------------------------------------------


def headlines(work: PageWork, view: MetricView) -> list[HeadlineNumber]:
    """The numbers at the top: the last complete period, the current one, and the goal."""
    metric, name, better = view.metric, view.metric.name, view.metric.better
    period = shown_period(work, view.scope)
    history = work.answer(view.question(last=None, compare=None, from_=back(work, view.scope, 27), to=period.end))
    rows = [row for row in history.data if row["period"] is not None]
    values = [row[name] if row["complete"] else None for row in rows]
    usual = usual_change([None if value is None else float(value) for value in values])
    column = history.metric_columns[0]
    last = rows[-1] if rows and rows[-1]["period"] == period.start else None
    found = []
    if last is not None:
        before = rows[-2] if len(rows) > 1 else None
        share = change_of(last[name], before[name]) if before and before["complete"] and last["complete"] else None
        than = ""
        if before is not None and before[name] is not None:
            star = "" if before["complete"] else " *"
            than = f"on {number(before[name], column, brief=True).text}{star} the {view.scope} before"
        state = "complete" if last["complete"] else f"{last['days']} of {last['days_expected']} days *"
        shown = replace(number(last[name], column, brief=True), marks=marks_of(last, name))
        label = f"{begins_sentence(period.phrase)}, {state}"
        found.append(HeadlineNumber(label=label, value=shown, change=change(share, better, usual), than=than))
    found += _running_headline(work, view, usual)
    found += _goal_headline(work, metric)
    return found


def _running_headline(work: PageWork, view: MetricView, usual: float | None) -> list[HeadlineNumber]:
    name, today = view.metric.name, work.book.today
    running = work.catalog.book.periods().period_start(today, view.scope)
    if view.scope == "day" or running == today:
        return []
    result = work.answer(view.question(last=None, from_=running, to=None, compare="previous"))
    if not result.data:
        return []
    row, column = result.data[-1], result.metric_columns[0]
    days = row["days"]
    before = number(row.get(f"{name}_previous"), column, brief=True).text
    share = row.get(f"{name}_change")
    return [
        HeadlineNumber(
            label=f"This {view.scope}, {days} of {row['days_expected']} days *",
            value=replace(number(row[name], column, brief=True), marks=marks_of(row, name)),
            change=change(share, view.metric.better, usual),
            than=f"on {before} in the same {days} days last {view.scope}" if share is not None else "",
        )
    ]


def _goal_headline(work: PageWork, metric: Metric) -> list[HeadlineNumber]:
    if work.reader.is_filtered:
        return []
    for one in goal_standings(work):
        if one.metric == metric.name:
            than = f"of {in_goal(one, one.target)}" if not one.at_most else f"at most {in_goal(one, one.target)}"
            star = "" if one.complete else f", {one.days_gone} of {one.days_expected} days *"
            label = f"Goal for {one.label}{star}"
            return [HeadlineNumber(label=label, value=in_goal(one, one.value), than=than, goal=goal_line(one))]
    return []


# -- chart and table -------------------------------------------------------------------------------


def _figure(work: PageWork, view: MetricView, result: Result) -> Figure:
    options = FigureOptions(
        compared_with=compared_words(view.compare, view.scope),
        goals=chart_goals(work, view.metric, view.scope, view.show, view.where),
        odd_days=odd_days(work, view.metric.name),
    )
    return figure(chart_data(work, result, view.metric.name, options), "c1", FULL)


def chart_goals(work: PageWork, metric: Metric, scope: str, show: str, where: Sequence[str]) -> tuple[ChartGoal, ...]:
    """The goals of the last period that have this scope."""
    if work.reader.is_filtered:
        return ()
    own = [
        one
        for one in goal_standings(work)
        if one.metric == metric.name and one.scope == scope and tuple(one.where) == tuple(where) and one.target
    ]
    shown = show or metric.default_show
    return tuple(
        ChartGoal(
            value=float(one.target or 0), text=f"goal: {'at most ' if one.at_most else ''}{in_goal(one, one.target)}"
        )
        for one in own
        if (one.column.show or shown) == shown
    )


def odd_days(work: PageWork, name: str) -> frozenset[date]:
    """The unusual days of a metric, from the alerts."""
    if work.reader.is_filtered:
        return frozenset()
    found = set()
    for one in known_causes(work):
        if one.cause.metric == name and one.cause.kind == "unusual" and one.over is None:
            found.add(date.fromisoformat(one.cause.next.rpartition(" ")[2]))
    return frozenset(found)


def _rows(work: PageWork, view: MetricView, result: Result, rows: Sequence[Row]) -> list[NumbersRow]:
    name, column = view.metric.name, result.metric_columns[0]
    shown = numbers([row[name] for row in rows], column)
    values = [None if row[name] is None or not row["complete"] else float(row[name]) for row in rows]
    usual = usual_change(values)
    found = []
    for place, row in enumerate(rows):
        before = number(row[f"{name}_previous"], column) if view.compare else None
        share = row[f"{name}_change"] if view.compare else _change_at(rows, place, name)
        found.append(
            NumbersRow(
                label=result.period_text(row["period"]),
                is_complete=row["complete"],
                value=replace(shown[place], marks=marks_of(row, name)),
                before=before,
                change=change(share, view.metric.better, usual),
                days=f"{row['days']} of {row['days_expected']}",
                link=_behind(work, view, row["period"]),
            )
        )
    return found[::-1]


def _change_at(rows: Sequence[Row], place: int, name: str) -> float | None:
    """The change from the previous row. Only between complete periods."""
    if not place or not rows[place]["complete"] or not rows[place - 1]["complete"]:
        return None
    return change_of(rows[place][name], rows[place - 1][name])


def _behind(work: PageWork, view: MetricView, start: date) -> str:
    """The origin of a number: its days, or the explanation of a day."""
    if view.scope == "day":
        return work.ask.link(day=str(start)) + "#computed"
    finer = "day" if view.scope in ("week", "month") else "month"
    end = work.catalog.book.periods().period_end(start, view.scope)
    return address("/q", metrics=view.metric.name, scope=finer, from_=str(start), to=str(end), where=list(view.where))


# -- links -----------------------------------------------------------------------------------------


def _fields(view: MetricView) -> dict[str, Any]:
    return {
        "metrics": view.metric.name,
        "scope": view.scope,
        "show": view.show,
        "last": view.last,
        "where": list(view.where),
        "compare": view.compare,
    }


def _builder_link(view: MetricView) -> str:
    return address("/q", **_fields(view))


def _exports(view: MetricView) -> list[Choice]:
    kinds = (("csv", "CSV"), ("xlsx", "Excel workbook"), ("png", "Chart as PNG"), ("svg", "Chart as SVG"))
    return [Choice(words=words, link=address(f"/q.{kind}", **_fields(view))) for kind, words in kinds]
