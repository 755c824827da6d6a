"""The CSV of a simple question, written by the engine: the bytes of `Result.to_csv`, without a Python row per line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from tallybook.core import FLOAT, FLOW, INTEGER, UNIQUES, BookError, csv_field, csv_text
from tallybook.query.answers import rows_of
from tallybook.query.cells import MetricPeriod, Solved
from tallybook.query.context import QueryContext
from tallybook.query.one_metric import OneMetric
from tallybook.query.questions import Query
from tallybook.query.reach import ranged
from tallybook.storage import literal, widened

Text = TypeVar("Text", str, bytes)
FLAGS = ("complete", "days", "days_expected", "approximate")
CELLS = "csv_cells"
"""The temporary table of the values, with one row per line."""
USUAL_TEXT = r"[A-Za-z0-9_]([A-Za-z0-9_ .:/@#|-]*[A-Za-z0-9_.:/@#|-])?"
"""Matches texts that `csv_text` leaves unchanged. Other texts are processed one by one."""
PIECE = 10_000
"""Lines per fetch from the engine."""
MAX_SMALL = 1e15
"""Whole numbers below this limit are exact as DOUBLE. Converting a BIGINT to text is nine times faster than a
HUGEINT."""


def csv(query: Query, context: QueryContext, *, guard: bool = True) -> str | None:
    """The CSV of collected metrics by dimensions, with the total, first or last day of each period as values.

    None for any other question, which `answer` supports."""
    written = _written(query, context, guard)
    if written is None:
        return None
    found = dict(context.rows(_joined(written.lines)))
    context.rows(f"DROP TABLE {CELLS}")
    return "".join([f"{text}\n" for text in written.in_order({start: [text] for start, text in found.items()})])


def csv_pieces(query: Query, context: QueryContext) -> Iterator[str] | None:
    """`csv` without guards, in pieces of whole lines. Each piece stays compressed until it is read, so that a million
    lines need little memory."""
    written = _written(query, context, guard=False)
    if written is None:
        return None
    found = _fetched(context, written.lines)
    context.rows(f"DROP TABLE {CELLS}")
    pieces = [text if isinstance(text, bytes) else _packed(text) for text in written.in_order(found)]
    return (zlib.decompress(piece).decode() for piece in pieces)


def _packed(text: str) -> bytes:
    """The text with a line end, compressed."""
    return zlib.compress(f"{text}\n".encode(), 1)


def _written(query: Query, context: QueryContext, guard: bool) -> _CsvLines | None:
    """Fill CELLS with the values of a question and return its lines. None for a question that only `answer`
    supports."""
    if not all(_is_plain(query, context, name) for name in query.metrics) or not query.by:
        return None
    query = ranged(query, context).query
    columns = [_column(context, query, name) for name in query.metrics]
    if any(not column.one.can_be_rows for column in columns):
        return None
    widened(lambda wide: _fill(columns, wide))
    return _CsvLines(query, columns, guard, _lines(query, columns, guard))


@dataclass(frozen=True)
class _CsvLines:
    """The lines of an answer. The engine writes those that have values; the head and the empty periods are written
    here."""

    query: Query
    columns: Sequence[_CsvColumn]
    guard: bool
    lines: _PeriodLines

    def in_order(self, by_period: dict[date, list[Text]]) -> list[Text | str]:
        """The head, then the texts of each period in order. A period without texts gets its empty line."""
        names = (*_names(self.query), *FLAGS)
        found: list[Text | str] = [",".join(csv_text(column, self.guard) for column in names)]
        for start in self.columns[0].solved.periods:
            found += by_period.pop(start, []) or _blank(self.query, self.columns, start, self.guard)
        return found


@dataclass(frozen=True)
class _CsvColumn:
    """One metric of the question, its periods and the type of its values."""

    one: OneMetric
    solved: Solved


def _column(context: QueryContext, query: Query, name: str) -> _CsvColumn:
    one = OneMetric(
        context, query, name, query.show or context.catalog.metrics[name].default_show, context.covered(name)
    )
    return _CsvColumn(one, one.without_cells())


def _is_plain(query: Query, context: QueryContext, name: str) -> bool:
    """Whether the engine can compute each value of the metric. Means over days are computed in Python as exact
    decimals."""
    metric = context.catalog.metrics[name]
    bound = context.bounds.get(name)
    unusual = (
        query.where,
        query.segments,
        query.fill,
        query.totals,
        query.definition,
        query.spanned,
        query.compare,
        query.top,
        query.excluded_series,
        query.weekdays,
        query.is_split_by_weekday,
        query.sort,
        query.limit,
        query.having,
        name in context.past,
        context.running,
    )
    if any(unusual) or bound is None or metric.derived or metric.minor_units or metric.carry or bound.imported:
        return False
    if metric.kind != bound.metric.kind:
        return False
    show = query.show or metric.default_show
    if show == "total":
        return metric.kind == FLOW or (metric.kind == UNIQUES and query.scope == "day")
    return show in ("first", "last")


# --- the values -------------------------------------------------------------------------------------------


def _fill(columns: Sequence[_CsvColumn], wide: bool) -> None:
    """Create the table CELLS: g, k0…, and for each metric its value v, whether it is approximate (a), and whether it is
    present (t).

    A series that only another metric has, or that has a fact on another day of the period, also gets a row."""
    context, query = columns[0].one.context, columns[0].one.query
    keys = ", ".join(["g", *(f"k{i}" for i in range(len(query.by)))])
    relations = []
    for place, column in enumerate(columns):
        values, present = column.one.value_rows(wide)
        relations.append(f"SELECT {keys}, value AS v{place}, approximate AS a{place}, TRUE AS t{place} FROM ({values})")
        relations += [f"SELECT {keys} FROM ({present})"] if present else []
    rows = " UNION ALL BY NAME ".join(relations)
    if len(relations) > 1:
        merged = ", ".join(
            f"max(v{i}) AS v{i}, coalesce(bool_or(a{i}), FALSE) AS a{i}, coalesce(bool_or(t{i}), FALSE) AS t{i}"
            for i in range(len(columns))
        )
        rows = f"SELECT {keys}, {merged} FROM ({rows}) GROUP BY {keys}"
    context.rows(f"CREATE OR REPLACE TEMP TABLE {CELLS} AS {rows}")


# --- the lines --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _PeriodLines:
    """The SQL of the lines of all periods: the line, the order inside a period, and the relation."""

    line: str
    order: str
    source: str


def _lines(query: Query, columns: Sequence[_CsvColumn], guard: bool) -> _PeriodLines:
    context = columns[0].one.context
    joins, fields, order = [f"JOIN ({_heads(columns)}) p ON p.start = f.g"], ["p.head"], []
    for place in range(len(query.by)):
        key = f"f.k{place}"
        if texts := _texts(context, f"k{place}", guard):
            joins.append(f"LEFT JOIN ({texts}) d{place} ON d{place}.value = {key}")
            fields.append(f"coalesce(d{place}.text, {key}), ','")
        else:
            fields.append(f"{key}, ','")
        order.append(f"{key} NULLS LAST")
    for place, column in enumerate(columns):
        number = _number(f"f.v{place}", column.solved.type)
        fields += ["','"] * (place > 0) + [f"CASE WHEN f.t{place} THEN {number} ELSE p.absent{place} END"]
    approximate = " OR ".join(f"f.a{place}" for place in range(len(columns)))
    fields += ["p.flags", f"CASE WHEN {approximate} THEN 'true' ELSE 'false' END"]
    line = f"concat({', '.join(fields)})"
    return _PeriodLines(line, ", ".join(order), f"{CELLS} f {' '.join(joins)}")


def _joined(lines: _PeriodLines) -> str:
    """SELECT with the first day and all lines of each period."""
    return f"SELECT f.g, string_agg({lines.line}, chr(10) ORDER BY {lines.order}) FROM {lines.source} GROUP BY f.g"


def _fetched(context: QueryContext, lines: _PeriodLines) -> dict[date, list[bytes]]:
    """The lines of each period in compressed pieces, fetched in order, so that no part of them is stored twice."""
    asked = f"SELECT f.g, {lines.line} FROM {lines.source} ORDER BY f.g, {lines.order}"
    context.statements.append(asked)
    cursor = context.engine.execute(asked)
    found: dict[date, list[bytes]] = {}
    taken = 0
    while piece := cursor.fetchmany(PIECE):
        for start, group in groupby(piece, key=itemgetter(0)):
            found.setdefault(start, []).append(_packed("\n".join([line for _, line in group])))
        taken += len(piece)
    # Rows that are missing here would be taken for deleted ones.
    ((expected,),) = context.rows(f"SELECT count(*) FROM {lines.source}")
    if taken != expected:
        raise BookError(f"the engine gave {taken:,} of {expected:,} lines of an answer", hint="ask again")
    return found


def _heads(columns: Sequence[_CsvColumn]) -> str:
    """A relation of the periods: the beginning of a line, its flags, and for each metric the text for a series without
    a fact."""
    rows, query = [], columns[0].one.query
    for start in columns[0].solved.periods:
        least = max((c.solved.periods[start] for c in columns), key=lambda period: period.expected - period.days)
        absent = (csv_field(c.solved.at((start, ())).value, guard=False) for c in columns)
        texts = ", ".join(literal(text) for text in (_head(query, start), _flags(least), *absent))
        rows.append(f"(DATE '{start}', {texts})")
    names = ", ".join(["start", "head", "flags", *(f"absent{place}" for place in range(len(columns)))])
    return f"SELECT * FROM (VALUES {', '.join(rows)}) v({names})"


def _names(query: Query) -> list[str]:
    """The names of the columns before the flags."""
    return ["period", *(["label"] if _label(query, date.max) else []), *query.by, *query.metrics]


def _label(query: Query, start: date) -> str | None:
    """The label of a period, if answers have labels."""
    return None if "label" in (*query.by, *query.metrics) else query.calendar.label(start, query.scope)


def _head(query: Query, start: date) -> str:
    """The first fields of a line."""
    label = _label(query, start)
    return f"{start.isoformat()}," + (f"{label}," if label else "")


def _texts(context: QueryContext, column: str, guard: bool) -> str:
    """A relation of the dimension values whose CSV field differs from the value; '' if no field differs."""
    unusual = f"NOT regexp_full_match({column}, {literal(USUAL_TEXT)})"
    values = context.rows(f"SELECT DISTINCT {column} FROM {CELLS} WHERE {column} IS NOT NULL AND {unusual}")
    other = {value: text for (value,) in values if (text := csv_text(value, guard)) != value}
    listed = ", ".join(f"({literal(value)}, {literal(text)})" for value, text in other.items())
    return f"SELECT * FROM (VALUES {listed}) t(value, text)" if other else ""


def _flags(period: MetricPeriod) -> str:
    """The fields between the values and the last flag: complete, days, days_expected."""
    flags = (period.days == period.expected, period.days, period.expected)
    return "".join(f",{csv_field(flag, guard=False)}" for flag in flags) + ","


def _number(value: str, type_: str) -> str:
    """SQL for a number with all its digits, as `plain_number` writes it; empty for null."""
    if type_ == INTEGER:
        small = f"CAST(CAST(CAST({value} AS DOUBLE) AS BIGINT) AS VARCHAR)"
        large = f"coalesce(CAST(CAST({value} AS HUGEINT) AS VARCHAR), '')"
        return f"CASE WHEN abs(CAST({value} AS DOUBLE)) < {MAX_SMALL!r} THEN {small} ELSE {large} END"
    if type_ != FLOAT:
        return f"coalesce(rtrim(rtrim(CAST({value} AS VARCHAR), '0'), '.'), '')"
    text = f"CAST(abs({value}) AS VARCHAR)"
    digits, power = f"replace(split_part({text}, 'e', 1), '.', '')", f"CAST(split_part({text}, 'e', 2) AS INTEGER)"
    small = f"'0.' || repeat('0', -({power}) - 1) || {digits}"
    large = f"{digits} || repeat('0', {power} - length({digits}) + 1)"
    whole = f"CASE WHEN abs({value}) >= 1e16 THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"
    plain = f"CASE WHEN {text} NOT LIKE '%e%' THEN {whole} WHEN {text} LIKE '%e-%' THEN {small} ELSE {large} END"
    return (
        f"CASE WHEN {value} IS NULL OR NOT isfinite({value}) THEN '' WHEN {value} = 0 THEN '0.0' "
        f"ELSE CASE WHEN {value} < 0 THEN '-' ELSE '' END || {plain} END"
    )


def _blank(query: Query, columns: Sequence[_CsvColumn], start: date, guard: bool) -> Sequence[str]:
    """The line of a period of which nothing is known; no line if there were no facts."""
    solved: Mapping[str, Solved] = {
        c.one.name: Solved(
            cells={},
            periods={start: c.solved.periods[start]},
            empty=c.solved.empty,
            type=c.solved.type,
            show=c.solved.show,
        )
        for c in columns
    }
    names = (*_names(query), *FLAGS)
    rows = [{"label": _label(query, start), **row} for row in rows_of(query, solved, {})]
    return [",".join(csv_field(row[n], guard) for n in names) for row in rows]
