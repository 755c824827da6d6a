"""The overview: what needs attention, the headline numbers, and every metric by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from tallybook.core import ONE_DAY, Column, Metric, QueryError, is_complete_for, plus_days
from tallybook.query import PeriodRows, Question, rows_by_metric
from tallybook.server.charts.sparks import spark
from tallybook.server.pages.attention import attention_items, gaps_of, unusual_metrics
from tallybook.server.pages.first_run import first_run
from tallybook.server.pages.frame import page, status_of
from tallybook.server.pages.goal_words import GoalLine, goal_lines
from tallybook.server.pages.page import Choice, Page, PageWork, address
from tallybook.server.pages.templates import markup
from tallybook.server.pages.words import (
    UNKNOWN,
    Change,
    Shown,
    change,
    change_of,
    days_phrase,
    marks_of,
    number,
    title_of,
    usual_change,
)

SCOPES = ("day", "week", "month")
PERIODS = {"day": 60, "week": 27, "month": 14}
MAX_TILES = 8
NO_GROUP = "Other metrics"


@dataclass(frozen=True, kw_only=True)
class MetricLine:
    """One metric of the overview."""

    name: str
    title: str
    link: str
    value: Shown
    change: Change | None
    current: Shown | None
    like_for_like: Change | None
    spark: Any
    wide_spark: Any
    goal: GoalLine | None
    state: str = ""
    state_icon: str = ""
    search: str = ""


@dataclass(frozen=True, kw_only=True)
class Periods:
    """The last complete period and the current one."""

    scope: str
    first: date
    complete: date
    complete_label: str
    running: date
    running_days: int
    running_length: int

    @property
    def short_label(self) -> str:
        """The last complete period without the year of a date. Labels of fiscal years stay whole."""
        return self.complete_label[5:] if self.complete_label == str(self.complete) else self.complete_label

    @property
    def is_running(self) -> bool:
        """Whether any day of the current period is closed."""
        return self.running_days > 0


def overview(work: PageWork) -> Page:
    """The page `/`."""
    if status_of(work).last_run is None and not work.book.reader.version:
        return first_run(work)
    scope = work.ask.one("scope") or "week"
    if scope not in SCOPES:
        raise QueryError(f"there is no scope {scope[:40]!r}", hint=f"one of {', '.join(SCOPES)}", field="scope")
    periods = periods_of(work, scope)
    lines = with_states(work, work.once(f"lines by {scope}", lambda: metric_lines(work, periods)))
    words = work.ask.one("find").casefold().split()
    metrics = [m for m in work.metrics.values() if all(w in lines[m.name].search for w in words)]
    pinned = [lines[m.name] for m in work.metrics.values() if m.pinned][:MAX_TILES]
    return page(
        work,
        "overview.html",
        "overview",
        "Overview",
        periods=periods,
        items=attention_items(work),
        pinned=pinned,
        groups=grouped(metrics, lines),
        count=len(work.metrics),
        scopes=scope_links(work, scope),
    )


def prepare(work: PageWork) -> None:
    """Find out what the overview by week needs, for the next reader."""
    status_of(work)
    with_states(work, work.once("lines by week", lambda: metric_lines(work, periods_of(work, "week"))))


def scope_links(work: PageWork, scope: str, scopes: Sequence[str] = SCOPES) -> list[Choice]:
    return [Choice(words=one.capitalize(), link=work.ask.link(scope=one), is_chosen=one == scope) for one in scopes]


def periods_of(work: PageWork, scope: str) -> Periods:
    """The last complete period before today, and the one that contains yesterday or today."""
    periods, today = work.catalog.book.periods(), work.book.today
    running = periods.period_start(today, scope)
    if scope == "day":
        complete, running_days = today - ONE_DAY, 0
    else:
        complete, running_days = periods.period_start(running - ONE_DAY, scope), (today - running).days
    first = complete
    for _ in range(PERIODS[scope] - 1):
        first = periods.period_start(first - ONE_DAY, scope)
    label = periods.label(complete, scope) or (str(complete)[:7] if scope == "month" else str(complete))
    return Periods(
        scope=scope,
        first=first,
        complete=complete,
        complete_label=label,
        running=running,
        running_days=running_days,
        running_length=(periods.period_end(running, scope) - running).days + 1,
    )


# -- numbers of all metrics ----------------------------------------------------------------------


def metric_lines(work: PageWork, periods: Periods) -> dict[str, MetricLine]:
    """A line for each metric, by name."""
    names = list(work.metrics)
    end = plus_days(periods.running, -1)
    asked = Question(metrics=names, scope=periods.scope, from_=periods.first, to=end)
    whole = rows_by_metric(work.period_rows, asked)
    running: dict[str, PeriodRows] = {}
    if periods.is_running:
        asked = Question(metrics=names, scope=periods.scope, from_=periods.running, compare="previous")
        running = rows_by_metric(work.period_rows, asked)
    goals = goal_lines(work)
    return {
        name: _line(metric, periods, whole.get(name), running.get(name), goals.get(name))
        for name, metric in work.metrics.items()
    }


def with_states(work: PageWork, lines: Mapping[str, MetricLine]) -> dict[str, MetricLine]:
    """The lines with their current problems. A gap may become late during the day, without a new version of the
    book."""
    gaps, odd = gaps_of(work), unusual_metrics(work)
    found = {}
    for name, line in lines.items():
        icon, state = ("missing", f"{days_phrase(gaps[name])} missing") if name in gaps else ("", "")
        icon, state = ("unusual", "unusual") if name in odd else (icon, state)
        found[name] = replace(line, state=state, state_icon=icon)
    return found


def _line(
    metric: Metric,
    periods: Periods,
    whole: PeriodRows | None,
    running: PeriodRows | None,
    goal: GoalLine | None,
) -> MetricLine:
    name, link = metric.name, address(f"/m/{metric.name}", scope="" if periods.scope == "week" else periods.scope)
    values, column, last = _series(name, whole, periods)
    usual = usual_change(values)
    like = None
    current = None
    if running is not None and running.rows:
        row = running.rows[-1]
        current = number(row[name], _column(running.columns, name), brief=True)
        current = Shown(text=current.text, unit=current.unit, marks=marks_of(row, name))
        like = change(row.get(f"{name}_change"), metric.better, usual)
    shown = number(last[name], column, brief=True) if last and column else Shown(text=UNKNOWN)
    if last and column:
        shown = Shown(text=shown.text, unit=shown.unit, marks=marks_of(last, name))
    before = values[-2] if len(values) > 1 else None
    return MetricLine(
        name=name,
        title=title_of(metric),
        link=link,
        value=shown,
        change=change(change_of(values[-1] if values else None, before), metric.better, usual),
        current=current,
        like_for_like=like,
        spark=markup(spark(values)),
        wide_spark=markup(spark(values, width=262, height=48, kind="wide-spark")) if metric.pinned else "",
        goal=goal,
        search=f"{name} {title_of(metric)} {metric.group}".casefold(),
    )


def _column(columns: Sequence[Column], name: str) -> Column:
    return next(column for column in columns if column.name == name)


def _series(name: str, whole: PeriodRows | None, periods: Periods) -> tuple[list[float | None], Column | None, Any]:
    """(values of complete periods with gaps as None, the column, the row of the last complete period)."""
    if whole is None:
        return [], None, None
    values: list[float | None] = []
    last = None
    for row in whole.rows:
        value = row[name] if is_complete_for(row, name) else None
        values.append(None if value is None else float(value))
        if row["period"] == periods.complete and is_complete_for(row, name):
            last = row
    while values and values[0] is None:
        values.pop(0)
    if last is None:
        values.append(None)
    return values, _column(whole.columns, name), last


def grouped(metrics: Sequence[Metric], lines: Mapping[str, MetricLine]) -> list[tuple[str, str, list[MetricLine]]]:
    """(heading, anchor, lines) of each group, in the order of the file."""
    found: dict[str, list[MetricLine]] = {}
    for metric in metrics:
        found.setdefault(metric.group or NO_GROUP, []).append(lines[metric.name])
    if NO_GROUP in found:
        found[NO_GROUP] = found.pop(NO_GROUP)
    if list(found) == [NO_GROUP]:
        return [("", "g0", found[NO_GROUP])]
    return [(heading, f"g{place}", rows) for place, (heading, rows) in enumerate(found.items())]
