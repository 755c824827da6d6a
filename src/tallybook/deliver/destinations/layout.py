"""The layouts of an answer as a table: a row for each metric, a column for each metric, or a column for each period.

Takes plain values and returns a `Grid`, which workbooks, CSV and Parquet files write in their own formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tallybook.core import (
    PLAIN,
    BookCalendar,
    Column,
    Number,
    Result,
    Row,
    is_complete_for,
    period_label,
    why_null,
)

if TYPE_CHECKING:
    from tallybook.core import ArrowColumn, ArrowTable

Value = date | str | Number | None

PERIOD, TEXT, NUMBER = "period", "text", "number"


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column of a grid. `id` is its name for programs and `head` its heading.

    `column` has the number format, or is None if each row has its own (layout long)."""

    id: str
    head: str
    kind: str
    column: Column | None = None
    day: date | None = None
    """The period of a column (layout across)."""
    complete: bool = True


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of a grid. `column` has the number format, if the fields have none."""

    values: tuple[Value, ...]
    complete: bool = True
    column: Column | None = None
    key: int = 1
    """The number of leading values that identify the row."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table with headings, in the order shown."""

    fields: tuple[Field, ...]
    lines: tuple[Line, ...]
    layout: str
    scope: str
    calendar: BookCalendar = PLAIN

    def period_text(self, day: date) -> str:
        """The period that begins on `day`, as people call it."""
        return self.calendar.label(day, self.scope) or period_label(day, self.scope)


def arranged(result: Result, layout: str) -> Grid:
    """The rows of `result` in a layout, with totals."""
    return _LAYOUTS[layout](result)


def split_totals(result: Result) -> tuple[Result, Result | None]:
    """The answer without its totals, and the totals as an answer of their own, so that no sum counts them twice."""
    import msgspec

    if not result.has_totals:
        return result, None
    rows = [row for row in result.data if not row.get("total")]
    totals = [row for row in result.data if row.get("total")]
    return msgspec.structs.replace(result, data=rows), msgspec.structs.replace(result, data=totals)


def _keys(result: Result) -> tuple[Field, ...]:
    heads = {"period": "from" if result.scope == "all" else result.scope}
    return tuple(
        Field(id=c.name, head=heads.get(c.role, c.label), kind=PERIOD if c.role == "period" else TEXT)
        for c in result.columns
        if c.role != "metric"
    )


def _key(row: Row, result: Result) -> tuple[Value, ...]:
    """The period and dimensions of a row; totals are marked."""
    values: list[Value] = []
    for column in result.columns:
        if column.role == "metric":
            continue
        value = row[column.name]
        values.append("total" if value is None and row.get("total") else value)
    return tuple(values)


def _columns(result: Result) -> Grid:
    keys, metrics = _keys(result), result.metric_columns
    values = tuple(Field(id=c.name, head=c.label, kind=NUMBER, column=c) for c in metrics)
    complete = Field(id="complete", head="complete", kind=TEXT)
    lines = tuple(
        Line(
            values=(*_key(row, result), _yes(row["complete"]), *(row[c.name] for c in metrics)),
            complete=row["complete"],
            key=len(keys),
        )
        for row in result.data
    )
    return Grid(
        fields=_unlike((*keys, complete, *values)),
        lines=lines,
        layout="columns",
        scope=result.scope,
        calendar=result.calendar,
    )


def _long(result: Result) -> Grid:
    keys = _keys(result)
    fields = (
        *keys,
        Field(id="metric", head="metric", kind=TEXT),
        Field(id="value", head="value", kind=NUMBER),
        Field(id="unit", head="unit", kind=TEXT),
        Field(id="complete", head="complete", kind=TEXT),
        Field(id="note", head="note", kind=TEXT),
    )
    lines = tuple(
        Line(
            values=(
                *_key(row, result),
                c.name,
                row[c.name],
                _unit(row, c),
                _yes(is_complete_for(row, c.name)),
                _note(row, c.name) or None,
            ),
            complete=is_complete_for(row, c.name),
            column=c,
            key=len(keys) + 1,
        )
        for row in result.data
        for c in result.metric_columns
    )
    return Grid(fields=_unlike(fields), lines=lines, layout="long", scope=result.scope, calendar=result.calendar)


def _unit(row: Row, column: Column) -> str | None:
    """The unit of a value: the unit of its column, or the value of the dimension that contains the unit."""
    found: str | None = row.get(column.unit_from) if column.unit_from else column.unit
    return found


def _across(result: Result) -> Grid:
    periods = sorted({row["period"] for row in result.data if row["period"] is not None})
    partial = {row["period"] for row in result.data if not row["complete"]}
    dims = [field for field in _keys(result) if field.kind == TEXT]
    at = {period: i for i, period in enumerate(periods)}
    series: dict[tuple[Value, ...], list[Value]] = {}
    whose: dict[tuple[Value, ...], Column] = {}
    for column in result.metric_columns:
        for row in result.data:
            if row["period"] is None:
                continue  # over all periods, so it has no column
            key = (column.name, *_key(row, result)[1:])
            whose[key] = column
            series.setdefault(key, [None] * len(periods))[at[row["period"]]] = row[column.name]
    fields = (
        Field(id="metric", head="metric", kind=TEXT),
        *dims,
        *(
            Field(
                id=result.period_text(p),
                head=result.period_text(p),
                kind=NUMBER,
                day=p,
                complete=p not in partial,
            )
            for p in periods
        ),
    )
    lines = tuple(Line(values=(*key, *values), column=whose[key], key=len(key)) for key, values in series.items())
    return Grid(fields=fields, lines=lines, layout="across", scope=result.scope, calendar=result.calendar)


def latest(result: Result) -> Grid:
    """One line for each metric and series, with its last known value and the period of that value."""
    grid = _long(result)
    keys = len(_keys(result)) - 1
    order = [*range(1, 1 + keys), 1 + keys, 0, *range(2 + keys, len(grid.fields))]
    found: dict[tuple[Value, ...], Line] = {}
    for line in grid.lines:
        values = tuple(line.values[i] for i in order)
        key = values[: keys + 1]
        if values[keys + 2] is not None or key not in found:
            found[key] = replace(line, values=values, key=keys + 1)
    return replace(grid, fields=tuple(grid.fields[i] for i in order), lines=tuple(found.values()), layout="latest")


_LAYOUTS = {"columns": _columns, "long": _long, "across": _across}


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _note(row: Row, metric: str) -> str:
    """The note for one number."""
    if row[metric] is None:
        return why_null(row, metric)
    note = (row.get("notes") or {}).get(metric) or {}
    said = ["approximate"] if row["approximate"] and (note.get("error") or not row.get("notes")) else []
    said += ["carried forward from an earlier day"] if note.get("carried") else []
    said += ["imported, not collected"] if note.get("imported") else []
    return "; ".join(said)


def _unlike(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """Unique headings: a repeated heading gets a suffix."""
    seen: dict[str, int] = {}
    unlike = []
    for field in fields:
        head = " ".join(field.head.split()) or field.id
        seen[head.casefold()] = n = seen.get(head.casefold(), 0) + 1
        unlike.append(replace(field, head=head if n == 1 else f"{head} ({field.id})"))
    return tuple(unlike)


# For CSV and Parquet.


def to_csv(grid: Grid, *, guard: bool = True, separator: str = ",", decimal: str = ".") -> str:
    """The grid as CSV text, as in `Result.to_csv`. With `guard`, a text that a spreadsheet would run gets a single
    quote in front."""
    from tallybook.core import csv_field, csv_text

    lines = [separator.join(csv_text(field.id, guard) for field in grid.fields)]
    lines += [separator.join(csv_field(value, guard, decimal) for value in line.values) for line in grid.lines]
    return "\n".join(lines) + "\n"


def to_arrow(grid: Grid) -> ArrowTable:
    """The columns of a grid. The numbers of a column are exact if all of them are; otherwise they are floating
    point."""
    from tallybook.core import ArrowTable

    columns = [[line.values[i] for line in grid.lines] for i in range(len(grid.fields))]
    names = _different([field.id for field in grid.fields])
    found = [_column(field, values) for field, values in zip(grid.fields, columns, strict=True)]
    return ArrowTable.of(dict(zip(names, found, strict=True)))


def _different(names: Sequence[str]) -> list[str]:
    """Names that differ regardless of case. For example, a dimension may have the name `value`, like the column of the
    numbers."""
    found: list[str] = []
    for name in names:
        taken = {other.casefold() for other in found}
        found.append(next(one for n in range(len(names)) if (one := name + "_" * n).casefold() not in taken))
    return found


def _column(field: Field, values: list[Value]) -> ArrowColumn:
    from tallybook.core import arrow_column

    if field.kind == NUMBER:
        return arrow_column(*_numbers(values))
    if field.kind == PERIOD and not any(isinstance(value, str) for value in values):
        return arrow_column(values, "DATE")
    return arrow_column([None if value is None else str(value) for value in values], "VARCHAR")


def _numbers(values: list[Value]) -> tuple[list[Any], str]:
    from tallybook.core import arrow_decimal

    if any(isinstance(value, float) for value in values):
        return [None if value is None else float(value) for value in values], "DOUBLE"  # type: ignore[arg-type]
    if all(isinstance(value, int) and abs(value) < 2**63 for value in values if value is not None):
        return values, "BIGINT"
    decimals = [None if value is None else Decimal(value) for value in values]  # type: ignore[arg-type]
    return decimals, arrow_decimal([value for value in decimals if value is not None])
