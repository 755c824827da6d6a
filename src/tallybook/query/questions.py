"""Checks a question against the declarations, and refuses questions that have no correct answer."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from tallybook.core import (
    EVENT_MEASURES,
    SHOWS,
    WEEKDAYS,
    BookCalendar,
    Catalog,
    Delivery,
    FiscalYear,
    Goal,
    Metric,
    QueryError,
    Refused,
    calendar,
    did_you_mean,
)
from tallybook.query.attribute_dimensions import check_attribute, parse_attribute
from tallybook.query.filter_texts import Filter, Having, parse_filter, parse_having
from tallybook.query.mixed_units import check_units
from tallybook.query.question import Question, as_day
from tallybook.query.ranges import ALL, MAX_GAP_DAYS, TO_DATE, Shift, check_window, parse_compare
from tallybook.query.segments import SegmentQuery, check_segments
from tallybook.query.weekdays import WEEKDAY, WeekdaysAsked, check_weekdays, weekdays_asked


class ExcludedSeries(NamedTuple):
    """Series that an answer excludes, each given by its values of `dimensions`."""

    dimensions: tuple[str, ...]
    series: tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Query:
    """A checked question. `first` and `last` are both included; None: as far as days are collected."""

    metrics: tuple[str, ...]
    scope: str = "day"
    by: tuple[str, ...] = ()
    where: tuple[Filter, ...] = ()
    first: date | None = None
    last: date | None = None
    show: str | None = None
    fill: bool = False
    totals: bool = False
    definition: str | None = None
    week_starts: str = "monday"
    fiscal: FiscalYear | None = None
    window: str | None = None
    compare: Shift | None = None
    shift: Shift | None = None
    """For the other side of a comparison: the distance to the days from which the same periods are answered."""
    top: int | None = None
    excluded_series: ExcludedSeries | None = None
    """Set for the row that combines all series not among the `top`."""
    sort: tuple[str, ...] = ()
    limit: int | None = None
    having: tuple[Having, ...] = ()
    weekdays: frozenset[int] | None = None
    """Weekdays whose days count; 0 is Monday. None: all."""
    is_split_by_weekday: bool = False
    """Whether `by` contains the weekday, which no metric stores."""
    segments: tuple[SegmentQuery[Query], ...] = ()
    """The query of each segment, with its filters, over the same days."""
    segment_group: int | None = None
    """In the query of a segment: the group of the filters that define the segment."""

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The filters of the question and of all its segments."""
        return (*self.where, *(one for segment in self.segments for one in segment.query.where))

    @property
    def window_in_words(self) -> str:
        """The window in words, as part of a sentence."""
        end = "the range" if self.scope == "all" else f"each {self.scope}"
        if self.window == ALL:
            return f"all days up to the end of {end}"
        if self.window in TO_DATE:
            return f"the {self.window} at the end of {end}"
        return f"the {self.window} that end with {end}" if self.window else ""

    @property
    def spanned(self) -> bool:
        """Whether rows cover other days than those of their periods."""
        return self.window is not None or self.shift is not None

    @property
    def calendar(self) -> BookCalendar:
        """The periods of every scope."""
        return BookCalendar(week_start=WEEKDAYS.index(self.week_starts), fiscal=self.fiscal)


def check_question(catalog: Catalog, question: Question, *, today: date) -> Query:
    """Check a question. `last` is a span such as "12 weeks", up to `to` or the last closed day.

    Raises QueryError for undeclared names, Refused for a question that has no correct answer."""
    if not question.segments:
        return _checked(catalog, question, today)
    return check_segments(catalog, question, lambda one: _checked(catalog, one, today, question.segments))


def _checked(catalog: Catalog, question: Question, today: date, segments: Sequence[str] = ()) -> Query:
    """`segments`: the segments of the whole question, for suggested questions."""
    first, last = as_day(question.from_, today, "from"), as_day(question.to, today, "to")
    names, dims = _listed(question.metrics), _listed(question.by)
    _check_names(catalog, names, question)
    filters = _filters(question)
    typed = _as_typed(names, dims, replace(question, segments=segments), first, last)
    weekdays = weekdays_asked(catalog, names, dims, filters)
    if weekdays != WeekdaysAsked():
        filters = tuple(f for f in filters if f.dimension != WEEKDAY)
    stored = [name for name in dims if not (name == WEEKDAY and weekdays.is_split)]
    for name in names:
        _check_dimensions(catalog, name, stored, [f.dimension for f in filters])
        _check_show(catalog, name, question.show, typed)
    week_starts = question.week_starts or catalog.book.week_starts
    _known(week_starts, WEEKDAYS, "weekday", f"one of {', '.join(WEEKDAYS)}")
    periods = catalog.book.periods(week_starts)
    first, last = _range(first, last, question.last, periods, today)
    _check_definition(names, question.definition)
    query = Query(
        metrics=names,
        scope=question.scope,
        by=dims,
        where=filters,
        first=first,
        last=last,
        show=question.show,
        fill=question.fill,
        totals=question.totals,
        definition=question.definition,
        week_starts=week_starts,
        fiscal=periods.fiscal,
        window=check_window(question.window) if question.window else None,
        compare=parse_compare(question.compare, question.scope, periods) if question.compare else None,
        top=question.top,
        sort=_listed(question.sort),
        limit=question.limit,
        having=tuple(parse_having(text) for text in question.having),
        weekdays=weekdays.only,
        is_split_by_weekday=weekdays.is_split,
    )
    check_weekdays(query, [question.show or catalog.metrics[name].default_show for name in names])
    _check_shape(query, catalog)
    for name in names:
        check_units(catalog, name, query, typed, ranked=(name, compared(name)[0]))
    return query


def _filters(question: Question) -> tuple[Filter, ...]:
    groups = enumerate((question.where, *question.within))
    return tuple(replace(parse_filter(text), group=number) for number, texts in groups for text in texts)


def _check_names(catalog: Catalog, names: Sequence[str], question: Question) -> None:
    if measures := [name for name in EVENT_MEASURES if getattr(question, name)]:
        raise QueryError(
            f"--{measures[0]} is a measure of an event, and no event is named",
            hint=f"--event NAME --{measures[0]}; what is declared is asked by the name of its metric",
            field="event",
        )
    if not names:
        raise QueryError(
            "no metric is asked for",
            hint="`tallybook metrics` lists them; a usage event is asked with --event",
            field="metrics",
        )
    for name in names:
        _known(name, catalog.metrics, "metric", "`tallybook metrics` lists them")
    _known(question.scope, calendar.SCOPES, "scope", f"one of {', '.join(calendar.SCOPES)}")
    if question.show is not None:
        _known(question.show, SHOWS, "show", f"one of {', '.join(SHOWS)}")


def _check_definition(names: Sequence[str], definition: str | None) -> None:
    if definition is not None and len(names) > 1:
        raise QueryError(
            "--definition goes with one metric", hint=f"tallybook query {names[0]} --definition {definition}"
        )


def _listed(given: Sequence[str]) -> tuple[str, ...]:
    """The words in repeated or comma-separated texts, without repetitions. Commas in brackets do not separate."""
    parts = (part.strip() for one in given for part in re.split(r",(?![^\[]*\])", one))
    return tuple(dict.fromkeys(part for part in parts if part))


def _range(
    first: date | None, last: date | None, span: str | None, periods: BookCalendar, today: date
) -> tuple[date | None, date | None]:
    """The first and last requested day. Raises QueryError for an invalid range."""
    if span is not None:
        if first is not None:
            both = "--from and --last cannot both say where to begin"
            raise QueryError(both, hint="take one of them away", field="last")
        closed = today - calendar.ONE_DAY
        is_open = last is None or last > calendar.plus_days(today, MAX_GAP_DAYS)
        until = closed if last is None or is_open else last
        try:
            first = periods.last_span(span, until)[0]
            last = last or until
        except ValueError as error:
            raise QueryError(str(error), field="last") from None
    if first and last and last < first:
        raise QueryError(f"--to {last} is before --from {first}", hint=f"--from {last} --to {first}", field="to")
    return first, last


def compared(name: str) -> tuple[str, str]:
    """The names of the columns that a comparison adds to a metric: its previous value, and the change as a fraction."""
    return f"{name}_previous", f"{name}_change"


def _check_shape(query: Query, catalog: Catalog) -> None:
    if query.top is not None and not query.by:
        raise QueryError("--top picks series, and there is one only", hint=f"--by DIM --top {query.top}", field="top")
    for name, number in (("--top", query.top), ("--limit", query.limit)):
        if number is not None and number < 1:
            raise QueryError(f"{name} {number} leaves nothing", hint=f"{name} 10", field=name[2:])
    added = [word for name in query.metrics for word in compared(name)] if query.compare else []
    for word in added:
        if word in query.metrics or word in query.by:
            raise QueryError(
                f"--compare adds a column {word!r}, and there is one already", hint=f"ask for {word} alone"
            )
    numbers = [*query.metrics, *added]
    for one in query.having:
        _known(one.column, numbers, "column", f"--having knows {', '.join(numbers)}", "having")
    for key in query.sort:
        there = ["period", *query.by, *numbers]
        _known(key.removeprefix("-"), there, "column", f"--sort knows {', '.join(there)}, or -{numbers[0]}", "sort")


def known_metric(catalog: Catalog, name: str) -> Metric:
    """The metric called `name`. Raises QueryError with the closest name."""
    _known(name, catalog.metrics, "metric", "`tallybook metrics` lists them")
    return catalog.metrics[name]


def known_delivery(catalog: Catalog, name: str) -> Delivery:
    """The delivery called `name`. Raises QueryError with the closest name."""
    _known(name, catalog.deliveries, "delivery", f"there are: {', '.join(catalog.deliveries) or 'none'}")
    return catalog.deliveries[name]


def known_goal(catalog: Catalog, name: str) -> Goal:
    """The goal called `name`. Raises QueryError with the closest name."""
    _known(name, catalog.goals, "goal", f"there are: {', '.join(catalog.goals) or 'none'}")
    return catalog.goals[name]


_FIELDS = {"metric": "metrics", "weekday": "week_starts"}
"""Names of options whose values are called differently in a sentence."""


def _known(name: str, known: Iterable[str], what: str, hint: str, field: str = "") -> None:
    names = list(known)
    if name in names:
        return
    meant = f"{did_you_mean(name, names)} {hint}".strip()
    raise QueryError(f"there is no {what} {name!r}", hint=meant, field=field or _FIELDS.get(what, what))


def _declare_hint(metric: Metric, asked: str) -> str:
    """A hint about how to add a dimension to a metric."""
    line = f"by = {json.dumps([*metric.by, asked], ensure_ascii=False)}"
    if not metric.table:
        return f"declare it: {line}"
    return f"if it is a column of {metric.table}, declare it: {line}; a column of another table needs a join too"


def _check_dimensions(catalog: Catalog, name: str, by: Sequence[str], where: Sequence[str]) -> None:
    has = catalog.queryable_dims(name)
    units = [unit for unit in catalog.unit_dims(name) if unit not in by]
    for asked in dict.fromkeys([*by, *where]):
        if asked in has or asked in units:  # a filter on a unit does not apply to operands without that dimension
            continue
        if (attribute := parse_attribute(asked)) is not None:
            check_attribute(catalog, name, attribute)
            continue
        metric = catalog.metrics[name]
        if metric.derived:
            lacking = [o for o in catalog.operands(name) if asked not in catalog.queryable_dims(o)]
            if len(lacking) < len(catalog.operands(name)):
                lack = f"{', '.join(lacking)} lack{'s' * (len(lacking) == 1)} it"
                raise Refused(
                    f"metric {name!r} cannot be split or filtered by {asked!r}: {lack}",
                    ask=f'add "{asked}" to by of {", ".join(f"[metrics.{o}]" for o in lacking)}',
                )
        meant = did_you_mean(asked, has)
        listed = f"its dimensions: {', '.join(has) or 'none'}"
        raise QueryError(
            f"metric {name!r} has no dimension {asked!r}",
            hint=f"{meant} {listed}" if meant else f"{listed}; {_declare_hint(metric, asked)}",
            field="by" if asked in by else "where",
        )


def _as_typed(
    names: Sequence[str], dims: Sequence[str], question: Question, first: date | None, last: date | None
) -> str:
    """A question in command-line form, so that a suggested question can be pasted."""
    options = {
        "--scope": question.scope,
        "--by": ",".join(dims) or None,
        "--where": tuple(question.where),
        "--segment": tuple(question.segments),
        "--from": first,
        "--to": last,
        "--last": question.last,
    }
    words = [",".join(names)]
    for name, value in options.items():
        for one in value if isinstance(value, tuple) else (value,):
            words += [name, shlex.quote(str(one))] if one is not None else []
    return " ".join(words)


def _check_show(catalog: Catalog, name: str, show: str | None, asked: str) -> None:
    metric = catalog.metrics[name]
    if metric.derived:
        if show is not None:
            raise Refused(
                f"{name!r} is made of other metrics, each rolled up in its own way; "
                f"--show {show} has no one meaning for it",
                ask=f'tallybook query {name}, or spell it in the formula: measure = "{show}(…) / …"',
                changes=[{"show": None}],
            )
        return
    meant = show or metric.default_show
    if meant not in metric.shows:
        why, instead = _refusal(metric, meant)
        raise Refused(
            why,
            ask=f"tallybook query {asked} --show {' or --show '.join(instead)}",
            changes=[{"show": one} for one in instead],
        )


def _refusal(metric: Metric, show: str) -> tuple[str, tuple[str, ...]]:
    """Why `show` has no correct answer for a metric, and the shows that do."""
    name = metric.name
    if show == "total":
        why = f"{name!r} is a level: it holds at the end of a day and does not add up over time; its daily values "
        why += "summed over a week are 7 times too much, over a month 30 times"
        return why, ("last", "average")
    if show == "change":
        why = f"{name!r} is a {metric.kind}: `change` is the last value minus the one before, of a level"
        return why, ("total",)
    why = "days with many facts and days with few would count the same"
    if metric.per:
        why = f"each {metric.per} counts with all its facts of a period, not day by day"
    return f"the daily values of {name!r} ({metric.steps}) cannot be averaged: {why}", ("total",)


def with_range(query: Query, first: date, last: date) -> Query:
    return replace(query, first=first, last=last)
