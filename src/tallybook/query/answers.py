"""The rows of an answer: all requested metrics in columns, gaps as gaps, totals recomputed from parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, cast

import msgspec

from tallybook.core import ACCURACY, WEEKDAYS, Column, Metric, Result, Type
from tallybook.query.cells import Cell, MetricPeriod, Solved
from tallybook.query.context import QueryContext
from tallybook.query.past import solve_with_past
from tallybook.query.questions import ExcludedSeries, Query, compared
from tallybook.query.reach import QuestionRange, ranged, with_reasons
from tallybook.query.segments import side_by_side
from tallybook.query.several import merge_together
from tallybook.query.shape import add_comparison, arranged, compare, top
from tallybook.query.unseen import unseen_values, with_unseen
from tallybook.query.weekdays import rows_by_weekday

Row = dict[str, Any]
Best = Sequence[tuple[str | None, ...]] | None


def answer(query: Query, context: QueryContext, reach: QuestionRange | None = None) -> Result:
    """The Result of a checked question. By default its days are all covered days, up to the last closed day.

    `reach`: the question's range, if already known."""
    reach = reach or ranged(query, context)
    query = reach.query
    if query.segments:
        own = (replace(one.query, first=query.first, last=query.last) for one in query.segments)
        return side_by_side(query, [answer(one, context, replace(reach, query=one)) for one in own], arranged)
    solved, rows = _by_weekday(query, context) if query.is_split_by_weekday else _solved_rows(query, context)
    rows = with_reasons(reach, rows)
    if query.totals:
        rows = _with_totals(query, context, rows)
    if query.weekdays is not None:  # a period without such a weekday has no row
        rows = [row for row in rows if row["days_expected"] or row["days"]]
    unseen = unseen_values(context, query, solved) if query.where else {}
    rows = arranged(query, with_unseen(rows, unseen))
    return Result(
        metrics=list(query.metrics),
        scope=query.scope,
        timezone=context.catalog.book.timezone,
        week_starts=query.week_starts,
        calendar=query.calendar,
        columns=_columns(query, context, solved),
        data=rows,
        explain=_explain(reach, context, solved),
        version=context.version,
        warnings=list(dict.fromkeys(why for whys in unseen.values() for why in whys)),
        sql=";\n\n".join(context.statements),
    )


def _solved_rows(query: Query, context: QueryContext) -> tuple[Mapping[str, Solved], list[Row]]:
    totals = merge_together(context, query)
    solved = {name: solve_with_past(context, query, name, totals) for name in query.metrics}
    best = top(context, query) if query.top else None
    before = compare(context, query)
    rows = rows_of(query, solved, before, best)
    if best is not None:
        rows = _with_others(query, context, rows, best, [*solved.values(), *before.values()])
    return solved, rows


def _by_weekday(query: Query, context: QueryContext) -> tuple[Mapping[str, Solved], list[Row]]:
    def solved(one: Query) -> dict[str, Solved]:
        return {name: solve_with_past(context, one, name) for name in one.metrics}

    return rows_by_weekday(query, solved, lambda one, known: rows_of(one, known, compare(context, one)))


# --- rows -------------------------------------------------------------------------------------------------


def rows_of(query: Query, solved: Mapping[str, Solved], before: Mapping[str, Solved], best: Best = None) -> list[Row]:
    """`before`: the values for comparison, if requested. `best`: the only series that get rows."""
    starts = list(next(iter(solved.values())).periods)
    series = _series(query, [*solved.values(), *before.values()], starts, best)
    rows = []
    for start in starts:
        keys = series[start]
        gap = all(_blank(s, start) for s in solved.values())
        unseen = not keys and any(_blank(s, start) for s in solved.values())
        if unseen or (gap and not any(start in s.seen for s in before.values())):
            keys = [None]
        rows += [_row(query, solved, before, start, key) for key in keys]
    return rows


def _blank(solved: Solved, start: date) -> bool:
    """Whether nothing is known about this period."""
    return not solved.periods[start].known and start not in solved.seen


def _series(
    query: Query, solved: Sequence[Solved], starts: list[date], best: Best
) -> dict[date, list[tuple[str | None, ...] | None]]:
    """The series that have a row in each period."""
    if not query.by:
        return {start: [()] for start in starts}
    found: dict[date, set[tuple[str | None, ...]]] = {start: set() for start in starts}
    for one in solved:
        for start, dims in one.cells:
            if best is None or dims in best:
                found[start].add(dims)
    if query.fill:
        everything = set().union(*found.values())
        found = dict.fromkeys(starts, everything)
    ordered: dict[date, list[tuple[str | None, ...] | None]] = {}
    for start, keys in found.items():
        ordered[start] = [*sorted(keys, key=_order)]
    return ordered


def _order(dims: tuple[str | None, ...]) -> list[tuple[bool, str]]:
    return [(value is None, value or "") for value in dims]


def _row(
    query: Query,
    solved: Mapping[str, Solved],
    before: Mapping[str, Solved],
    start: date,
    dims: tuple[str | None, ...] | None,
) -> Row:
    row: Row = {"period": start}
    row.update(zip(query.by, dims or (None,) * len(query.by), strict=True))
    seen = {name: one.periods[start] for name, one in solved.items()}
    least = max(seen.values(), key=lambda period: period.expected - period.days)
    cells = {name: one.at((start, dims if dims is not None else ())) for name, one in solved.items()}
    if dims is None and query.by:
        for cell in cells.values():
            cell.value = None
    notes: dict[str, Any] = {}
    for name, cell in cells.items():
        row[name] = cell.value
        if name in before:
            known = dims is not None or not query.by
            key = (start, dims or ())
            notes |= add_comparison(query, row, name, key, solved[name], before[name], cell, known=known)
    row |= {"complete": least.days == least.expected, "days": least.days, "days_expected": least.expected}
    row["approximate"] = any(cell.approximate for cell in cells.values())
    for name, cell in cells.items():
        if note := _note(query, cell, seen[name], least):
            notes[name] = note
    if dims is None and query.by:
        row["no_series"] = True
    if notes:
        row["notes"] = notes
    return row


def _note(query: Query, cell: Cell, period: MetricPeriod, least: MetricPeriod) -> dict[str, Any]:
    """The notes of one metric in a row. `least`: the period with the most missing days, whose counts the row shows."""
    note: dict[str, Any] = {}
    if (period.days, period.expected) != (least.days, least.expected):
        note |= {"days": period.days, "complete": period.days == period.expected}
    if period.expected != least.expected:
        note["days_expected"] = period.expected
    if cell.carried:
        note["carried"] = True
    if period.as_of:
        note["as_of"] = period.as_of
    if period.imported:
        note["imported"] = True
    if cell.approximate:
        note["error"] = ACCURACY
    if cell.bounds:
        note["bounds"] = [_shown(b) for b in cell.bounds]
    if query.definition:
        note["definition"] = query.definition
    if why := cell.why or (period.why if cell.value is None else period.remark):
        note["why"] = why
    return note


def _shown(value: Any) -> Any:
    whole = value is not None and value == int(value)
    return int(value) if whole else value


def _with_totals(query: Query, context: QueryContext, rows: list[Row]) -> list[Row]:
    """The rows with a total after each period, and the total of the whole range at the end. Totals are queried
    separately."""
    if query.by:
        alone = replace(query, by=(), is_split_by_weekday=False)
        totals = rows_of(
            alone, {name: solve_with_past(context, alone, name) for name in query.metrics}, compare(context, alone)
        )
        by_period: dict[date, list[Row]] = {}
        for row in rows:
            by_period.setdefault(row["period"], []).append(row)
        rows = []
        for total in totals:
            rows += by_period.get(total["period"], [])
            rows.append(_as_total(query, total))
    if query.spanned or query.compare:
        return rows  # the windows of periods overlap, so they have no total
    whole = replace(query, by=(), scope="all", is_split_by_weekday=False)
    for row in rows_of(whole, {name: solve_with_past(context, whole, name) for name in query.metrics}, {}):
        rows.append(_as_total(query, row) | {"period": None})
    return rows


def _with_others(
    query: Query,
    context: QueryContext,
    rows: list[Row],
    best: Sequence[tuple[str | None, ...]],
    sides: Sequence[Solved],
) -> list[Row]:
    """The rows with all other series combined after the top series of each period, computed from their parts.

    `sides`: every metric's current values and comparison values, because a series may exist in only one of them."""
    everyone = {dims for one in sides for _, dims in one.cells}
    if everyone <= set(best):
        return rows
    rest = replace(query, by=(), excluded_series=ExcludedSeries(query.by, tuple(best)) if best else None, top=None)
    others = rows_of(
        rest, {name: solve_with_past(context, rest, name) for name in query.metrics}, compare(context, rest)
    )
    by_period: dict[date, list[Row]] = {}
    for row in rows:
        by_period.setdefault(row["period"], []).append(row)
    found: list[Row] = []
    for other in others:
        found += by_period.get(other["period"], [])
        found.append({"period": other["period"], **dict.fromkeys(query.by), **other, "others": True})
    return found


def _as_total(query: Query, row: Row) -> Row:
    head = {"period": row["period"], **dict.fromkeys(query.by)}
    rest = {k: v for k, v in row.items() if k not in head and k != "notes"}
    notes = {"notes": row["notes"]} if "notes" in row else {}
    return head | rest | {"total": True} | notes


# --- around the rows ----------------------------------------------------------------------------------------


def _columns(query: Query, context: QueryContext, solved: Mapping[str, Solved]) -> list[Column]:
    metrics = context.catalog.metrics
    return [
        Column(name="period", role="period", type="date"),
        *(Column(name=d, role="dimension", type="text") for d in query.by),
        *(column for name, one in solved.items() for column in _numbers(query, _column(metrics[name], one))),
    ]


def _numbers(query: Query, column: Column) -> list[Column]:
    """The column of a metric, and the columns of its comparison."""
    if query.compare is None:
        return [column]
    previous, change = compared(column.name)
    title = column.title and f"{column.title}, before"
    return [
        column,
        msgspec.structs.replace(column, name=previous, title=title),
        Column(name=change, role="metric", type="float", format="0.0%"),
    ]


def _column(metric: Metric, solved: Solved) -> Column:
    return Column(
        name=metric.name,
        role="metric",
        type=cast(Type, solved.type),
        unit=metric.unit,
        unit_from=metric.unit_from,
        show=solved.show,
        title=metric.title,
        format=metric.format,
        scale=metric.decimals if solved.type == "decimal" else None,
    )


def _explain(reach: QuestionRange, context: QueryContext, solved: Mapping[str, Solved]) -> str:
    query, book = reach.query, context.catalog.book
    said = "; ".join(one.said or f"{name}: nothing is collected" for name, one in solved.items())
    split = f", by {' and '.join(query.by)}" if query.by else ""
    only = f", where {conditions}" if (conditions := _conditions(query)) else ""
    if query.weekdays is not None:
        only += f", days that are {' or '.join(f'{WEEKDAYS[day]}s' for day in sorted(query.weekdays))}"
    weeks = f", weeks from {query.week_starts.capitalize()}" if query.scope == "week" else ""
    if query.fiscal is not None and (query.calendar.moves(query.scope) or query.calendar.label(date.max, query.scope)):
        weeks += f", {query.fiscal.in_words()}"
    run = f", {context.running} only until {context.running_until}" if context.running else ""
    only += _shaped(query)
    only += "".join(f", {one.said}" for one in context.computed.values() if one.said)
    cut = "".join(f", {why}" for why in (reach.before, reach.after) if why)
    return (
        f"{said}{split}{only}; {query.first} to {query.last} in {book.timezone}{weeks}{run}{cut} (version "
        f"{context.version})." + "".join(f" {sentence}." for sentence in context.older)
    )


def _conditions(query: Query) -> str:
    """The filters in words: filters on one dimension with = are joined by or, all others by and."""
    equal: dict[tuple[int, str], list[str]] = {}
    for one in query.where:
        if one.group == query.segment_group:
            continue  # the name of the segment is shown instead
        words = equal.setdefault((one.group, one.dimension if one.equal else repr(one)), [])
        words.append(_condition_text(one))
    several = len(equal) > 1
    return " and ".join(
        f"({' or '.join(words)})" if len(words) > 1 and several else " or ".join(words) for words in equal.values()
    )


def _shaped(query: Query) -> str:
    words = []
    if query.top:
        words.append(
            f"the {query.top} series with the most {query.metrics[0]} over the whole range, the others together"
        )
    if query.compare:
        words.append(f"each compared with {_ago(query)}, as many days of it as are over")
    return "".join(f", {word}" for word in words)


def _ago(query: Query) -> str:
    assert query.compare is not None
    if query.compare.by_range_length:
        return "the days just before"
    if query.compare.week_years:
        return "the same week and weekday of the fiscal year before"
    known = {"month": query.compare.months, query.compare.unit: query.compare.periods, "day": query.compare.days}
    unit, number = next((one, number) for one, number in known.items() if number)
    return f"{number} {unit}{'s' if number > 1 else ''} before"


def _condition_text(one: Any) -> str:
    value = "null" if one.value is None else repr(one.value)
    return f"{one.dimension} {'is' if one.equal else 'is not'} {value}"
