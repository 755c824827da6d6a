"""The table of the query builder: the numbers of the chart, each with a link to its origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from tallybook.core import Column, Result, Row, metric_words, split_segment
from tallybook.query import FormulaValue
from tallybook.server.pages.breakdown import filter_text
from tallybook.server.pages.builder_form import BuilderForm, filter_parts, segment_parts
from tallybook.server.pages.figures import series_label
from tallybook.server.pages.metric import compared_words
from tallybook.server.pages.page import address
from tallybook.server.pages.words import Shown, change, marks_of, number

MAX_COLUMNS = 24
"""Maximum number of series shown side by side. More series are listed below each other."""
FINER = {"week": "day", "month": "day", "quarter": "week", "year": "month", "all": "month"}
SEGMENT = "segment"
"""The column with the name of the segment."""
FORMULA_COLUMN = Column(name="value", role="metric", type="float")


@dataclass(frozen=True, kw_only=True)
class NumberCell:
    """One number of the table. `link` leads to its origin."""

    value: Shown
    link: str = ""
    is_total: bool = False
    change: Any = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class TableLine:
    label: str
    is_complete: bool
    cells: Sequence[NumberCell]
    days: str = ""
    series: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class TableView:
    """The numbers of an answer. `heads`: (text, whether it is a number) for each column after the period."""

    period: str
    series_heads: Sequence[str]
    heads: Sequence[str]
    lines: Sequence[TableLine]
    has_days: bool


def table_of(form: BuilderForm, result: Result) -> TableView:
    """The numbers of one answer, with a column for each series if they fit side by side."""
    dims = [one.name for one in result.dimension_columns]
    keys = list(dict.fromkeys(tuple(row[d] for d in dims) for row in result.data if _is_series(row)))
    is_split = bool(form.segments and form.by)
    if not dims or form.compare or len(keys) > MAX_COLUMNS or form.scope == "all" or is_split:
        return _long_table(form, result, dims)
    return _side_by_side(form, result, dims, keys)


def _is_series(row: Row) -> bool:
    return not (row.get("total") or row.get("others") or row.get("no_series") or row["period"] is None)


def _period_head(scope: str) -> str:
    return "Week of" if scope == "week" else "Days" if scope == "all" else scope.capitalize()


def _side_by_side(form: BuilderForm, result: Result, dims: Sequence[str], keys: Sequence[tuple[Any, ...]]) -> TableView:
    column = result.metric_columns[0]
    name, every = column.name, [row[column.name] for row in result.data]
    weights = {key: sum(abs(float(row[name] or 0)) for row in result.data if _key(row, dims) == key) for key in keys}
    ordered = list(keys) if form.segments else sorted(keys, key=lambda key: -weights[key])
    has_others = any(row.get("others") for row in result.data)
    has_totals = any(row.get("total") and row["period"] is not None for row in result.data)
    rows: dict[date, dict[Any, Row]] = {}
    for row in result.data:
        if row["period"] is not None:
            slot = "total" if row.get("total") else "others" if row.get("others") else _key(row, dims)
            rows.setdefault(row["period"], {})[slot] = row
    slots = [*ordered, *(["others"] if has_others else []), *(["total"] if has_totals else [])]
    lines = []
    for day in sorted(rows, reverse=True):
        own = rows[day]
        some = next(iter(own.values()))
        cells = [_cell(form, result, own.get(slot), column, every, is_total=slot == "total") for slot in slots]
        days = f"{some['days']} of {some['days_expected']}"
        complete = some["complete"]
        lines.append(TableLine(label=result.period_text(day), is_complete=complete, cells=cells, days=days))
    heads = [*(series_label(key) for key in ordered), *(["Other"] if has_others else [])]
    heads += ["All"] if has_totals else []
    period = _period_head(form.scope)
    return TableView(period=period, series_heads=(), heads=heads, lines=lines, has_days=form.scope != "day")


def _key(row: Row, dims: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[dim] for dim in dims)


def _cell(
    form: BuilderForm, result: Result, row: Row | None, column: Column, every: Sequence[Any], *, is_total: bool = False
) -> NumberCell:
    if row is None:
        return NumberCell(value=Shown(text=""), is_total=is_total)
    shown = replace(number(row[column.name], column, values=every), marks=marks_of(row, column.name))
    return NumberCell(value=shown, link=behind(form, result, row), is_total=is_total)


def _long_table(form: BuilderForm, result: Result, dims: Sequence[str]) -> TableView:
    column = result.metric_columns[0]
    name, before = column.name, f"{column.name}_previous"
    every = [row[name] for row in result.data]
    lines = []
    # Over all days there is only one period, so its total is the total of all periods.
    rows = [row for row in result.data if form.scope != "all" or row["period"] is not None]
    for row in _newest_first(rows):
        cells = [_cell(form, result, row, column, every, is_total=bool(row.get("total")))]
        if form.compare and before in row:
            cells.append(NumberCell(value=number(row[before], column, values=every)))
            cells.append(NumberCell(value=Shown(text=""), change=change(row[f"{name}_change"]), text="change"))
        series = _named(row, dims)
        label = "All days" if row.get("period") is None or form.scope == "all" else result.period_text(row["period"])
        days = f"{row['days']} of {row['days_expected']}"
        lines.append(
            TableLine(label=label, is_complete=row["complete"], cells=cells, days=days, series=series if dims else ())
        )
    heads = [metric_words({"name": name, "title": column.title, "unit": None})]
    if form.compare:
        heads += [compared_words(form.compare, form.scope).capitalize(), "Change"]
    return TableView(
        period=_period_head(form.scope),
        series_heads=dims,
        heads=heads,
        lines=lines,
        has_days=form.scope != "day",
    )


def _named(row: Row, dims: Sequence[str]) -> list[str]:
    """The text of each dimension of a row."""
    name = "All" if row.get("total") else "Other" if row.get("others") else "–" if row.get("no_series") else ""
    return [name, *[""] * (len(dims) - 1)] if name else [series_label([row[dim]]) for dim in dims]


def _newest_first(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["period"] or date.min, reverse=True)


def several_table(form: BuilderForm, results: Mapping[str, Result], values: Mapping[date, FormulaValue]) -> TableView:
    by_letter = {}
    for letter, result in results.items():
        column = result.metric_columns[0]
        by_letter[letter] = (result, column, {row["period"]: row for row in result.data})
    days = sorted({day for _, _, rows in by_letter.values() for day in rows if day is not None}, reverse=True)
    lines = []
    for day in days:
        cells = []
        for one in form.series:
            result, column, rows = by_letter[one.letter]
            every = [row[column.name] for row in result.data]
            single = replace(form, series=(replace(one, letter="A"),), formula="")
            cells.append(_cell(single, result, rows.get(day), column, every))
        if values:
            known = [one.value for one in values.values()]
            own = values.get(day)
            shown = number(own.value if own else None, FORMULA_COLUMN, values=known)
            cells.append(NumberCell(value=shown, is_total=True, text=own.why if own else ""))
        some = [rows[day] for _, _, rows in by_letter.values() if day in rows]
        least = min(some, key=lambda row: row["days"])
        label = next(iter(results.values())).period_text(day)
        complete = all(row["complete"] for row in some)
        spent = f"{least['days']} of {least['days_expected']}"
        lines.append(TableLine(label=label, is_complete=complete, cells=cells, days=spent))
    heads = [*series_heads(form, results), *([form.formula] if values else [])]
    period = _period_head(form.scope)
    return TableView(period=period, series_heads=(), heads=heads, lines=lines, has_days=form.scope != "day")


def series_heads(form: BuilderForm, results: Mapping[str, Result]) -> list[str]:
    """The column headings of several series."""
    found = []
    for one in form.series:
        column = results[one.letter].metric_columns[0]
        title = one.event or metric_words({"name": column.name, "title": column.title, "unit": None})
        found.append(f"{one.letter} {', '.join(one.where) or title}")
    return found


# -- what is behind a number -------------------------------------------------------------------


def behind(form: BuilderForm, result: Result, row: Row) -> str:
    """The URL of the parts of a number: its finer periods, or the facts of its day."""
    if row["period"] is None:
        return ""
    first = form.first
    dims = [one.name for one in result.dimension_columns]
    where = list(first.where)
    segments = tuple(text for text in form.segments if segment_parts(text)[0] == row.get(SEGMENT))
    if _is_series(row):
        where += [filter_text(dim, row[dim]) for dim in dims if dim not in ("weekday", SEGMENT) or dim in form.by]
    start = row["period"]
    if form.scope == "day":
        filters = _joined(where, segments)
        if first.event or filters is None:
            return ""
        return address(f"/m/{first.metric}", scope="day", day=str(start), where=filters) + "#computed"
    end = result.calendar.period_end(start, form.scope) if form.scope != "all" else None
    if end and form.closed and start <= form.closed < end:
        end = form.closed
    narrowed = replace(
        form.with_first(where=tuple(dict.fromkeys(where))),
        scope=FINER.get(form.scope, "day"),
        from_=str(start),
        to=str(end) if end else form.to,
        last="",
        by=() if _is_series(row) and dims else form.by,
        segments=segments,
        compare="",
    )
    return narrowed.link()


def _joined(where: Sequence[str], segments: Sequence[str]) -> list[str] | None:
    """The filters combined with the conditions of a segment. None if both are about the same dimension, because they
    would then be alternatives."""
    conditions = [one for text in segments for one in split_segment(text).conditions]
    used = {filter_parts(text)[0].casefold() for text in where}
    if used & {filter_parts(text)[0].casefold() for text in conditions}:
        return None
    return [*where, *conditions]
