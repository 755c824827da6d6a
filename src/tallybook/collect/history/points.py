"""Turns a table of finished values into points of one metric under a definition of their own, or reports all
problems."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import msgspec

from tallybook.collect.history.cells import Cell, Read, UnreadableCell, days_of, numbers_of
from tallybook.collect.history.read import ImportedTable
from tallybook.core import (
    ADDS,
    DAY,
    DECIMAL,
    FLOAT,
    BoundSlot,
    Metric,
    Problem,
    Problems,
    QueryError,
    StoredDefinition,
    parse_measure,
)

MAX_LISTED_PROBLEMS = 50
"""Maximum number of problems that are listed. If there are more, their number is given."""
DAYS, VALUES = ("day", "date", "period"), ("value",)
Point = tuple[date, tuple[str | None, ...]]
"""The day, and the values of the dimensions in the order of the stored metric."""


@dataclass(frozen=True, kw_only=True)
class ImportColumns:
    """The columns of a table, by heading. None: found by their usual names. `dims`: (dimension, heading) pairs."""

    day: str | None = None
    value: str | None = None
    dims: tuple[tuple[str, str], ...] | None = None
    order: str | None = None
    """The order of days written with slashes, dmy or mdy."""
    point: str | None = None
    """The decimal separator."""


@dataclass(frozen=True)
class History:
    """Finished values of a metric, with the definition under which they are stored."""

    bound: StoredDefinition
    values: Mapping[Point, Decimal]

    @property
    def days(self) -> list[date]:
        return sorted({day for day, _ in self.values})


def history_points(
    metric: Metric, key: str, zone: str, table: ImportedTable, columns: ImportColumns, file: str, last_closed: date
) -> History:
    """The points of a table. Raises DeclarationError with every problem, each with its line."""
    problems = Problems()
    places = _places(metric, table, columns, file, problems)
    problems.raise_if_any(file)
    day, value, dims = places
    found_days = days_of(table.column(day), columns.order, from_1904=table.from_1904)
    found = numbers_of(table.column(value), columns.point)
    exact = metric.adds_up or metric.linear  # counted or added but not divided, so stored exactly
    wrong: dict[int, list[str]] = {}
    for line, why in (*found_days.wrong.items(), *found.wrong.items()):
        wrong.setdefault(line, []).append(why)
    for line, number in found.values.items():
        if unfit := _wrong_number(metric, number, exact=exact):
            wrong.setdefault(line, []).append(unfit)
    for line, one in found_days.values.items():
        if one > last_closed:
            wrong.setdefault(line, []).append(f"{one} is not over")
    values = _points(table, found_days, found, dims, wrong)
    for line, whys in sorted(wrong.items())[:MAX_LISTED_PROBLEMS]:
        problems.found += [Problem(path=table.place(line), message=why) for why in whys]
    if len(wrong) > MAX_LISTED_PROBLEMS:
        problems.add("…", f"{len(wrong) - MAX_LISTED_PROBLEMS} lines more cannot be read")
    problems.raise_if_any(file)
    return History(_bound(metric, key, zone, tuple(sorted(dims)), exact=exact), values)


def _points(
    table: ImportedTable, days: Read[date], numbers: Read[Decimal], dims: Mapping[str, int], wrong: dict[int, list[str]]
) -> dict[Point, Decimal]:
    """The values by day and series. A second value for the same day and series is recorded as wrong."""
    values: dict[Point, Decimal] = {}
    first: dict[Point, int] = {}
    columns = {name: table.column(place) for name, place in sorted(dims.items())}
    for column in columns.values():
        for line, cell in column.items():
            if isinstance(cell, UnreadableCell):
                wrong.setdefault(line, []).append(str(cell))
    for line, day in sorted(days.values.items()):
        if line not in numbers.values:
            continue
        point = (day, tuple(_dimension(column[line]) for column in columns.values()))
        if point in first:
            series = "".join(f", {name} {value!r}" for name, value in zip(columns, point[1], strict=True))
            wrong.setdefault(line, []).append(f"{day}{series} is already in {table.place(first[point])}")
        first.setdefault(point, line)
        values.setdefault(point, numbers.values[line])
    return values


def _dimension(cell: Cell) -> str | None:
    if isinstance(cell, float):
        return repr(cell).removesuffix(".0")
    return None if cell is None or not cell.strip() else cell.strip()


# --- which columns ------------------------------------------------------------------------------------------


def _places(
    metric: Metric, table: ImportedTable, columns: ImportColumns, file: str, problems: Problems
) -> tuple[int, int, dict[str, int]]:
    """The columns of the day, the value and the dimensions."""
    day = _place(table, "--day", [columns.day] if columns.day else DAYS, problems)
    value = _place(table, "--value", [columns.value] if columns.value else [metric.name, *VALUES], problems)
    dims: dict[str, int] = {}
    wanted = columns.dims
    if wanted is None:
        heads = [head.casefold() for head in table.heads]
        wanted = tuple((dim, dim) for dim in metric.by if dim.casefold() in heads)
    for dim, head in wanted:
        if dim not in metric.by:
            there = ", ".join(metric.by) or "none"
            problems.add(f"--dims {dim}", f"metric {metric.name!r} has no dimension {dim!r}", seen=dim, expected=there)
        else:
            dims[dim] = _place(table, f"--dims {dim}", [head], problems)
    if dims and not metric.adds_up:
        problems.add(
            f"--dims {', '.join(dims)}",
            f"finished values of {metric.steps} cannot be put together from those of its parts",
            seen=f"columns {', '.join(dims)} in {file.rpartition('/')[2]}",
            expected="one value a day, of everything",
            hint='leave the columns out: --dims ""' if columns.dims is None else "",
        )
    return day, value, dims


def _place(table: ImportedTable, option: str, names: Sequence[str], problems: Problems) -> int:
    for name in names:
        if len(found := table.columns(name)) == 1:
            return found[0]
    twice = next((name for name in names if table.columns(name)), None)
    message = (
        f"several columns are called {twice!r}" if twice else f"there is no column {' or '.join(map(repr, names))}"
    )
    seen = ", ".join(head or "(no name)" for head in table.heads)
    problems.add(
        option, message, seen=seen, expected="the head of one column", paste=f'{option.split(maxsplit=1)[0]} "…"'
    )
    return 0


# --- what is kept -------------------------------------------------------------------------------------------


def _wrong_number(metric: Metric, number: Decimal, *, exact: bool) -> str | None:
    if number.adjusted() >= 28:
        return f"{number} has more than 28 digits before its point"
    if exact and len(format(number, "f").partition(".")[2].rstrip("0")) > 10:
        return f"{number} has more than 10 digits after its point; round it"
    if metric.counts_things and number != number.to_integral_value():
        return f"{number} is no number of things, and {metric.measure} counts them"
    return None


def _bound(metric: Metric, key: str, zone: str, dims: tuple[str, ...], *, exact: bool) -> StoredDefinition:
    """The definition under which imported values are stored. It depends on the metric and its dimensions, not on the
    values."""
    kept = Metric(
        name=metric.name,
        kind=metric.kind,
        by=dims,
        measure="sum(value)",
        parsed=parse_measure("sum(value)", "duckdb"),
        unit=metric.unit,
        title=metric.title,
        over_time=metric.over_time,
    )
    how = ADDS if metric.adds_up else DAY
    meaning = msgspec.json.encode([metric.kind, dims, how, exact])
    return StoredDefinition(
        metric=kept,
        definition=f"imported-{hashlib.blake2b(meaning, digest_size=3).hexdigest()}",
        key=key,
        zone=zone,
        forms={},
        slots=(BoundSlot(type=DECIMAL if exact else FLOAT),),
        imported=how,
    )


def chosen_dims(text: str | None) -> tuple[tuple[str, str], ...] | None:
    """The (dimension, heading) pairs in `plan,country=Land`, or None if nothing was given. Raises QueryError."""
    if text is None:
        return None
    found = []
    for part in (p.strip() for p in text.split(",")):
        dim, _, head = part.partition("=")
        if part and not dim.strip():
            raise QueryError(f"--dims {text!r} is not understood", hint="write DIM or DIM=COLUMN, with commas between")
        found += [(dim.strip(), (head or dim).strip())] if part else []
    return tuple(found)
