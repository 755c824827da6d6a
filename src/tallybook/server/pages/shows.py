"""The shows of a metric for one period, each with its number. Shows that are not possible have the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tallybook.core import LEVEL, SHOWS, Column, Metric, QueryError, Refused, Result
from tallybook.query import Question
from tallybook.server.metric_shows import added_up, mean_of
from tallybook.server.pages.page import PageWork
from tallybook.server.pages.words import Shown, number, period_phrase, show_name, title_of

ADDED_UP = "added up"
"""A choice that is not a show and is never right: adding up the days of a distinct count."""


@dataclass(frozen=True, kw_only=True)
class ShowChoice:
    """One way to turn days into a number. `refused` says why it is not right, with the reader's own numbers."""

    show: str
    name: str
    value: Shown
    why: str = ""
    refused: str = ""
    title: str = ""
    """For a refused choice, the reason in a few words."""
    days: tuple[tuple[str, Any], ...] = ()
    """For a refused choice, the days that it would add up, with their values."""

    @property
    def is_refused(self) -> bool:
        return bool(self.refused)


@dataclass(frozen=True, kw_only=True)
class ShownPeriod:
    """The period whose numbers are shown next to the choices."""

    start: date
    end: date
    label: str
    scope: str

    @property
    def phrase(self) -> str:
        return period_phrase(self.label, self.scope)


def shown_period(work: PageWork, scope: str) -> ShownPeriod:
    """The last complete period of a scope."""
    periods, today = work.catalog.book.periods(), work.book.today
    if scope == "all":
        return ShownPeriod(start=today, end=today, label="all days", scope=scope)
    running = periods.period_start(today, scope)
    end = date.fromordinal(running.toordinal() - 1)
    start = periods.period_start(end, scope)
    label = periods.label(start, scope) or _label(start, scope)
    return ShownPeriod(start=start, end=end, label=label, scope=scope)


def _label(start: date, scope: str) -> str:
    from tallybook.core import period_label

    return period_label(start, scope)


def show_choices(work: PageWork, metric: Metric, period: ShownPeriod, where: Sequence[str] = ()) -> list[ShowChoice]:
    """Every show of a metric, with those without a right answer last. Empty for a derived metric and for the scope
    day."""
    if metric.derived or period.scope in ("day", "all"):
        return []
    found = []
    for show in _ordered(metric):
        result = _asked(work, metric, period, where, show)
        if result is not None:
            found.append(_choice(metric, show, period, result))
    return [*found, *_refused(work, metric, period, where, found)]


def _ordered(metric: Metric) -> list[str]:
    own = [metric.default_show, *(show for show in SHOWS if show in metric.shows and show != metric.default_show)]
    plain = [show for show in own if show != "first" and not (show == "last" and metric.kind != LEVEL)]
    return plain if metric.default_show in plain else own


def _asked(
    work: PageWork, metric: Metric, period: ShownPeriod, where: Sequence[str], show: str, scope: str = ""
) -> Result | None:
    question = Question(
        metrics=[metric.name],
        scope=scope or period.scope,
        from_=period.start,
        to=period.end,
        show=show,
        where=where,
    )
    try:
        return work.answer(question)
    except (QueryError, Refused):
        return None


def _choice(metric: Metric, show: str, period: ShownPeriod, result: Result) -> ShowChoice:
    value = result.data[-1][metric.name] if result.data else None
    is_level = metric.kind == LEVEL
    days = _days(period, result)
    name = show_name(show, period.scope, is_level=is_level, adds_up=metric.adds_up)
    why = ""
    if show == "average":
        why = f"mean of {days}" if is_level else f"each day by itself, then the mean of {days}"
    elif show == "last" and is_level:
        why = f"the last day of the {period.scope}"
    elif show == "total":
        why = "different ones of the whole period" if _is_distinct(metric) else f"over {days}"
    return ShowChoice(show=show, name=name, value=number(value, result.metric_columns[0], brief=True), why=why)


def _days(period: ShownPeriod, result: Result) -> str:
    """The days that a number is of, in words: `all 7 days`, `98 of 364 days`."""
    row = result.data[-1] if result.data else {}
    known, expected = row.get("days", 0), (period.end - period.start).days + 1
    return f"all {expected} days" if known == expected else f"{known} of {expected} days"


def _is_distinct(metric: Metric) -> bool:
    return metric.parsed is not None and any(slot.agg == "count_distinct" for slot in metric.parsed.slots)


# -- what is not right -----------------------------------------------------------------------------


def _refused(
    work: PageWork, metric: Metric, period: ShownPeriod, where: Sequence[str], right: Sequence[ShowChoice]
) -> list[ShowChoice]:
    """Choices that people expect but that have no right answer, each with the number that it would give."""
    is_level = metric.kind == LEVEL
    wrong = "total" if is_level else ADDED_UP if _is_distinct(metric) and metric.adds_up is False else ""
    if not is_level and "average" not in metric.shows:
        wrong = "average"
    if not wrong:
        return []
    daily = _asked(work, metric, period, where, metric.default_show if not is_level else "last", "day")
    if daily is None:
        return []
    known = [(row["period"], row[metric.name]) for row in daily.data if row[metric.name] is not None]
    if not known:
        return []
    column = daily.metric_columns[0]
    if wrong == "average":
        return [_wrong_average(metric, period, mean_of([value for _, value in known]), column, right)]
    return [_wrong_total(metric, period, known, column, right, is_level=is_level)]


def _wrong_total(
    metric: Metric,
    period: ShownPeriod,
    known: Sequence[tuple[date, Any]],
    column: Column,
    right: Sequence[ShowChoice],
    *,
    is_level: bool,
) -> ShowChoice:
    title, shown = title_of(metric), number(added_up([value for _, value in known]), column, brief=True)
    average = next((one for one in right if one.show == "average"), None)
    beside = f" The daily average: {average.value}." if average else ""
    if is_level:
        short = f"{title} does not add up over a {period.scope}"
        why = f"{title} is measured at the end of each day, so days do not add up."
    else:
        short = f"Days of {title.lower()} do not add up"
        why = "Whoever is there on several days would count once for each of them."
        whole = next((one for one in right if one.show == "total"), None)
        beside = f" Counted once each: {whole.value}." if whole else ""
    return ShowChoice(
        show="total" if is_level else ADDED_UP,
        name=f"{period.scope.capitalize()}ly total" if period.scope != "day" else "Total",
        value=shown,
        title=short,
        refused=f"{why} Summed over the {period.phrase}: {shown}.{beside}",
        days=tuple((f"{day:%a}" if period.scope == "week" else str(day), value) for day, value in known),
    )


def _wrong_average(
    metric: Metric, period: ShownPeriod, mean: float, column: Column, right: Sequence[ShowChoice]
) -> ShowChoice:
    shown = number(mean, column, brief=True)
    whole = next((one for one in right if one.show == metric.default_show), None)
    beside = f" Over all facts of the {period.scope}: {whole.value}." if whole else ""
    return ShowChoice(
        show="average",
        name="Daily average",
        value=shown,
        title=f"Daily values of {title_of(metric).lower()} cannot be averaged",
        refused="Days with many facts and days with few would count the same. "
        f"The mean of the daily values of the {period.phrase}: {shown}.{beside}",
    )
