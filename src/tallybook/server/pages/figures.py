"""Turns answers into charts: series with their colors, gaps, incomplete periods, notes, goals, and a sentence for each
chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import msgspec

from tallybook.core import (
    LEVEL,
    OTHER,
    BookError,
    Column,
    Metric,
    Note,
    Result,
    Row,
    begins_at_zero,
    is_complete_for,
    metric_words,
    series_by_weight,
    value_label,
)
from tallybook.server.charts.data import SLOTS, ChartData, ChartGoal, ChartNote, ChartPoint, DrawnSeries
from tallybook.server.charts.drawing import NARROW, WIDE, ChartSize, draw
from tallybook.server.charts.marks import line, mark
from tallybook.server.pages.page import PageWork
from tallybook.server.pages.templates import markup
from tallybook.server.pages.words import number, period_phrase, title_of
from tallybook.storage import SeriesSlots, with_new

METRICS = "metric"
"""The dimension name under which color slots of metrics are stored."""
JOINED_SHOWS = ("average", "last", "first", "min", "max")
MAX_DRAWN = 12
"""Maximum number of series in one chart. The table has all of them."""


@dataclass(frozen=True, kw_only=True)
class LegendItem:
    sample: Any
    words: str
    is_series: bool = False


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart as a page shows it."""

    name: str
    wide: Any
    narrow: Any
    summary: str
    legend: Sequence[LegendItem]
    notes: Sequence[ChartNote]
    chart: ChartData


@dataclass(frozen=True, kw_only=True)
class FigureOptions:
    """What a chart shows besides an answer."""

    form: str = "line"
    compared_with: str = ""
    has_segments: bool = False
    goals: Sequence[ChartGoal] = ()
    odd_days: frozenset[date] = frozenset()
    link: Callable[[Row], str] | None = None
    """Returns the URL of the facts behind a row."""
    values: Sequence[Any] = ()
    """All values of the table. Values of the chart are formatted like them."""


def chart_data(work: PageWork, result: Result, metric_name: str, options: FigureOptions) -> ChartData:
    """The chart of one metric of an answer."""
    metric = work.catalog.metrics.get(metric_name)
    column = next(one for one in result.columns if one.name == metric_name)
    dims = [one.name for one in result.dimension_columns]
    # A total includes periods in which no series has a row.
    known = [row for row in result.data if row["period"] is not None]
    rows = [row for row in known if not row.get("total")]
    periods = sorted({row["period"] for row in known})
    keys = _keys(rows, dims, metric_name)
    labels = [result.period_text(day) for day in periods]
    options = replace(options, values=[row[metric_name] for row in result.data])
    series = _series(work, result, column, keys, periods, options)
    # A fact may be in several segments, so segments do not add up to a total.
    units = work.catalog.unit_dims(metric_name) if metric else ()
    stacks = can_stack(metric, column) and not options.has_segments and set(dims).isdisjoint(units)
    form = options.form if options.form != "stacked" or stacks else "line"
    title = title_of(metric) if metric else metric_words({"name": column.name, "title": column.title, "unit": None})
    made = ChartData(
        name=f"{title}, {_drawn_as(form)} by {result.scope}{f' and {dims[0]}' if dims else ''}",
        summary="",
        scope=result.scope,
        unit=column.unit or "",
        form=form,
        periods=periods,
        labels=labels,
        series=series,
        missing=frozenset(i for i, day in enumerate(periods) if _is_missing(known, day, metric_name)),
        running=frozenset(i for i, day in enumerate(periods) if not _is_complete(known, day, metric_name)),
        is_joined=_can_be_joined(metric, column),
        begins_at_zero=begins_at_zero(column.facts),
        is_percent=bool(column.format and "%" in column.format) or column.format == "percent",
        compared_with=options.compared_with,
        notes=_notes(work.catalog.notes, metric_name, result, periods),
        goals=options.goals,
        odd=frozenset(i for i, day in enumerate(periods) if day in options.odd_days and result.scope == "day"),
    )
    only = f" of {series[0].name}" if dims and len(series) == 1 else ""
    return replace(made, summary=summary_of(made, title + only, column))


def _drawn_as(form: str) -> str:
    return {"bar": "bars", "stacked": "stacked bars", "area": "areas"}.get(form, "lines")


def can_stack(metric: Metric | None, column: Column) -> bool:
    """Whether the values of series add up to the value of all. Averages, distinct counts and highest days do not."""
    return metric is not None and metric.adds_up and column.show in ("total", "last", "first", "average", "change")


def _can_be_joined(metric: Metric | None, column: Column) -> bool:
    """Whether an incomplete period can be compared with complete ones."""
    if metric is None:
        return column.show in JOINED_SHOWS
    if metric.derived or metric.kind == LEVEL:
        return column.show != "change"
    return column.show in JOINED_SHOWS or not (metric.adds_up or "distinct" in (metric.measure or ""))


# -- series --------------------------------------------------------------------------------------


def _keys(rows: Sequence[Row], dims: Sequence[str], metric: str) -> list[tuple[Any, ...]]:
    """The series to draw, largest first."""
    if not dims:
        return [()]
    own = [row for row in rows if not row.get("others") and not row.get("no_series")]
    return series_by_weight(own, dims, [metric])[:MAX_DRAWN]


def series_label(key: Sequence[Any]) -> str:
    """The name of a series."""
    return ", ".join(value_label(None if part is None else str(part)) for part in key)


def slots_of(work: PageWork, dims: Sequence[str], keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], int]:
    """The color slot of each series. It is stored in the ledger if the ledger can be written."""
    if not dims:
        return dict.fromkeys(keys, 1)
    texts = {key: msgspec.json.encode([None if part is None else str(part) for part in key]).decode() for key in keys}
    dimension = ",".join(dims)
    return _assigned(work, dimension, texts)


def metric_slots(work: PageWork, names: Sequence[str]) -> dict[str, int]:
    """The color slot of each metric in a chart with several metrics."""
    return _assigned(work, METRICS, {name: name for name in names})


def _assigned(work: PageWork, dimension: str, texts: dict[Any, str]) -> dict[Any, int]:
    found: dict[str, int] = {}
    wanted = list(texts.values())
    if work.book.reader.has_book:
        # If the ledger cannot be written now, the colors are used but not stored.
        with suppress(BookError):
            slots = SeriesSlots(work.book.reader.store.ledger)
            found = slots.assign(dimension, wanted, SLOTS)
    found = found or with_new({}, wanted, SLOTS)
    return {key: found[text] for key, text in texts.items()}


def _series(
    work: PageWork,
    result: Result,
    column: Column,
    keys: Sequence[tuple[Any, ...]],
    periods: Sequence[date],
    options: FigureOptions,
) -> list[DrawnSeries]:
    dims = [one.name for one in result.dimension_columns]
    by_series: dict[tuple[Any, ...], dict[date, Row]] = {}
    others: dict[date, Row] = {}
    for row in result.data:
        if row.get("total") or row["period"] is None:
            continue
        if row.get("others"):
            others[row["period"]] = row
        else:
            by_series.setdefault(tuple(row[name] for name in dims), {})[row["period"]] = row
    slots = slots_of(work, dims, keys)
    metric = work.catalog.metrics.get(column.name)
    title = title_of(metric) if metric else column.label
    found = [
        DrawnSeries(
            name=series_label(key) if dims else title,
            slot=slots[key],
            points=_points(by_series.get(key, {}), column, periods, options),
        )
        for key in keys
    ]
    if others:
        found.append(DrawnSeries(name=OTHER.capitalize(), slot=0, points=_points(others, column, periods, options)))
    return found


def _points(
    rows: dict[date, Row], column: Column, periods: Sequence[date], options: FigureOptions
) -> tuple[ChartPoint, ...]:
    name, before = column.name, f"{column.name}_previous"
    found = []
    for day in periods:
        row = rows.get(day)
        if row is None:
            found.append(ChartPoint(value=None, text="–"))
            continue
        value, was = row[name], row.get(before)
        found.append(
            ChartPoint(
                value=None if value is None else float(value),
                text=str(number(value, column, values=options.values)),
                is_complete=is_complete_for(row, name),
                before=None if was is None else float(was),
                before_text="" if was is None else str(number(was, column, values=options.values)),
                link=options.link(row) if options.link else "",
            )
        )
    return tuple(found)


def _is_complete(rows: Sequence[Row], day: date, metric: str) -> bool:
    return all(is_complete_for(row, metric) for row in rows if row["period"] == day)


def _is_missing(rows: Sequence[Row], day: date, metric: str) -> bool:
    """Whether no day of a period was collected."""
    own = [row for row in rows if row["period"] == day]
    days = [(row.get("notes") or {}).get(metric, {}).get("days", row["days"]) for row in own]
    return all(one == 0 for one in days) and all(row[metric] is None for row in own)


def _notes(notes: Sequence[Note], metric: str, result: Result, periods: Sequence[date]) -> tuple[ChartNote, ...]:
    """The notes of a metric that fall into the periods."""
    own = [note for note in notes if not note.metrics or metric in note.metrics]
    places = {day: place for place, day in enumerate(periods)}
    found = []
    for note in own:
        if result.scope == "all":
            continue
        start = result.calendar.period_start(note.day, result.scope)
        if start in places:
            found.append((places[start], note))
    return tuple(
        ChartNote(number=number, place=place, day=note.day, text=note.text)
        for number, (place, note) in enumerate(found, 1)
    )


# -- words ---------------------------------------------------------------------------------------


def summary_of(chart: ChartData, title: str, column: Column) -> str:
    """A summary of the chart in sentences: first and last value, largest value, and what is missing."""
    if not chart.has_values:
        return f"No value of {title} is known in these {len(chart.periods)} periods."
    sentences = [_series_sentence(chart)] if len(chart.series) > 1 else [_one_sentence(chart, title)]
    if chart.missing:
        count = len(chart.missing)
        noun = chart.scope + ("s are" if count > 1 else " is")
        sentences.append(f"{count} {noun} not collected.")
    last = len(chart.periods) - 1
    if last in chart.running and last not in chart.missing:
        the = "The " if chart.scope == "week" else ""
        sentences.append(f"{the}{_at(chart, last)} is not complete.")
    return " ".join(one for one in sentences if one)


def _at(chart: ChartData, place: int) -> str:
    return period_phrase(chart.labels[place], chart.scope)


def _whole_places(chart: ChartData, one: DrawnSeries) -> list[int]:
    return [i for i, point in enumerate(one.points) if point.value is not None and i not in chart.running]


def _one_sentence(chart: ChartData, title: str) -> str:
    one = chart.series[0]
    places = _whole_places(chart, one) or [i for i, point in enumerate(one.points) if point.value is not None]
    if not chart.is_joined and not _whole_places(chart, one):
        places = places[-1:]  # parts of periods cannot be compared
    first, last = places[0], places[-1]
    inside = "in the " if chart.scope == "week" else "on " if chart.scope == "day" else "in "
    if first == last:
        return f"{title} was {one.points[first].text} {inside}{_at(chart, first)}."
    a, b = one.points[first].value or 0.0, one.points[last].value or 0.0
    verb = "rose" if b > a else "fell" if b < a else "stayed"
    most = max(places, key=lambda place: one.points[place].value or 0.0)
    start = f"from {one.points[first].text} {inside}{_at(chart, first)} "
    start += f"to {one.points[last].text} {inside}{_at(chart, last)}"
    if verb == "stayed":
        the = "the " if chart.scope == "week" else ""
        start = f"at {one.points[first].text} from {the}{_at(chart, first)} to {the}{_at(chart, last)}"
    peak = f"; the most was {one.points[most].text} {inside}{_at(chart, most)}" if most not in (first, last) else ""
    return f"{title} {verb} {start}{peak}."


def _series_sentence(chart: ChartData) -> str:
    """A sentence with the last complete values of the largest series."""
    known = [(one, _whole_places(chart, one)) for one in chart.series]
    last = max((places[-1] for _, places in known if places), default=None)
    if last is None:
        return ""
    values = [f"{one.points[last].text} for {one.name}" for one, places in known if last in places][:6]
    inside = "In the " if chart.scope == "week" else "On " if chart.scope == "day" else "In "
    return f"{inside}{_at(chart, last)}: {', '.join(values)}."


# -- drawing -------------------------------------------------------------------------------------


def figure(chart: ChartData, name: str, wide: ChartSize = WIDE) -> Figure:
    """A chart drawn in two sizes, with its legend."""
    return Figure(
        name=name,
        wide=markup(draw(chart, wide, name)),
        narrow=markup(draw(chart, NARROW, name)),
        summary=chart.summary,
        legend=legend_of(chart),
        notes=chart.notes,
        chart=chart,
    )


def legend_of(chart: ChartData) -> list[LegendItem]:
    """The legend that explains the signs of a chart."""
    found: list[LegendItem] = []
    several = len(chart.series) > 1
    if several or chart.compared_with:
        for one in chart.series:
            rule = "" if chart.form in ("bar", "stacked") else line(f"ln k{one.slot} d{one.slot}", 1, 7, 27, 7)
            sample = _sample(rule + mark(one.slot, 14, 7, 3.5))
            found.append(LegendItem(sample=sample, words=one.name, is_series=several))
    if chart.compared_with and not several:
        found.append(LegendItem(sample=_sample(line("was", 1, 7, 27, 7)), words=chart.compared_with))
    if chart.series and chart.running - chart.missing:
        slot = chart.series[0].slot
        sign = mark(slot, 14, 7, 4, hollow=True)
        if chart.form in ("bar", "stacked"):
            sign = f'<rect class="f{slot} partbar k{slot}" x="8" y="1" width="12" height="12"/>'
        found.append(LegendItem(sample=_sample(sign), words="incomplete"))
    if chart.compared_with and not several and chart.running:
        found.append(LegendItem(sample=_sample(line("lfl", 5, 7, 23, 7)), words=f"same days, {chart.compared_with}"))
    if chart.odd:
        found.append(LegendItem(sample=_sample('<circle class="odd" cx="14" cy="7" r="5.500"/>'), words="unusual day"))
    return found


def _sample(inside: str) -> Any:
    return markup(f'<svg viewBox="0 0 28 14" aria-hidden="true" focusable="false">{inside}</svg>')


@dataclass(kw_only=True)
class FigureNames:
    """Names of the charts of a page: c1, c2, …"""

    count: int = field(default=0)

    def next(self) -> str:
        self.count += 1
        return f"c{self.count}"
