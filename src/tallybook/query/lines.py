"""The CSV of a plain question, written by the engine: the bytes of `Result.to_csv` without a row of Python for each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from tallybook.engines.duckdb import literal
from tallybook.measure import ADDITIVE, FLOAT, INTEGER
from tallybook.metrics import FLOW
from tallybook.query.answer import rows_of
from tallybook.query.ask import Query
from tallybook.query.cells import Period, Solved
from tallybook.query.ground import Ground
from tallybook.query.merge import Parts
from tallybook.query.one_metric import OneMetric
from tallybook.query.reach import ranged
from tallybook.result.plain import csv_field, csv_text

FLAGS = ("complete", "days", "days_expected", "approximate")


def csv(query: Query, ground: Ground, *, guard: bool = True) -> str | None:
    """The CSV of the total of one collected flow by its dimensions; None of any other question, which `answer` answers."""
    if not _is_plain(query, ground):
        return None
    query, name = ranged(query, ground).query, query.metrics[0]
    one = OneMetric(ground, query, name, "total", ground.covered(name))
    solved = one.without_cells()
    by_period = dict(one.total_rows(lambda parts, totals: _lines(query, ground, parts, totals, solved.periods, guard)))
    found = [",".join(csv_text(column, guard) for column in ("period", *query.by, name, *FLAGS))]
    for start, period in solved.periods.items():
        found += [by_period[start]] if start in by_period else _blank(query, name, solved, period, guard)
    return "\n".join(found) + "\n"


def _is_plain(query: Query, ground: Ground) -> bool:
    if len(query.metrics) != 1 or not query.by:
        return False
    metric = ground.catalog.metrics[query.metrics[0]]
    bound = ground.bounds.get(metric.name)
    unusual = (
        query.where, query.fill, query.totals, query.definition, query.spanned, query.compare, query.top, query.but,
        query.sort, query.limit, query.having, metric.name in ground.past,
    )  # fmt: skip
    return (
        not any(unusual)
        and bound is not None
        and not (metric.derived or metric.carry or bound.imported)
        and metric.kind == bound.metric.kind == FLOW
        and (query.show or metric.default_show) == "total"
    )


def _lines(query: Query, ground: Ground, parts: Parts, totals: str, periods: Mapping[date, Period], guard: bool) -> str:
    """SELECT of the first day and the lines of each period that has any; `totals` is what `Parts.finished` selects."""
    heads = ", ".join(
        f"(DATE '{start}', {literal(start.isoformat())}, {literal(_flags(period))})"
        for start, period in periods.items()
    )
    joins, fields = [f"JOIN (VALUES {heads}) p(start, head, flags) ON p.start = f.g"], ["p.head"]
    for place, column in enumerate(parts.dims):
        values = ground.rows(f"SELECT DISTINCT {column} FROM ({_points(parts, periods)}) WHERE {column} IS NOT NULL")
        texts = {value: text for (value,) in values if (text := csv_text(value, guard)) != value}
        fields.append(f"coalesce(t{place}.text, f.k{place}, '')" if texts else f"coalesce(f.k{place}, '')")
        if texts:
            listed = ", ".join(f"({literal(value)}, {literal(text)})" for value, text in texts.items())
            joins.append(f"LEFT JOIN (VALUES {listed}) t{place}(value, text) ON t{place}.value = f.k{place}")
    fields.append(_number("f.value", parts.value_type()))
    line = " || ',' || ".join(fields) + " || p.flags || CASE WHEN f.approximate THEN 'true' ELSE 'false' END"
    order = ", ".join(f"f.k{place} NULLS LAST" for place in range(len(parts.dims)))
    return f"SELECT f.g, string_agg({line}, chr(10) ORDER BY {order}) FROM ({totals}) f {' '.join(joins)} GROUP BY f.g"


def _points(parts: Parts, periods: Mapping[date, Period]) -> str:
    first, last = min(p.first for p in periods.values()), max(p.last for p in periods.values())
    return parts.points(ADDITIVE, first, last)


def _flags(period: Period) -> str:
    """What stands between the value and whether it is approximate."""
    flags = (period.days == period.expected, period.days, period.expected)
    return "".join(f",{csv_field(flag, guard=False)}" for flag in flags) + ","


def _number(value: str, type_: str) -> str:
    """A number with all its digits, as `plain_number` writes it; empty where there is none."""
    if type_ == INTEGER:
        return f"coalesce(CAST(CAST({value} AS HUGEINT) AS VARCHAR), '')"
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


def _blank(query: Query, name: str, solved: Solved, period: Period, guard: bool) -> Sequence[str]:
    """The line of a period of which nothing is known; none where there were no facts."""
    alone = Solved(cells={}, periods={period.start: period}, empty=solved.empty, type=solved.type, show=solved.show)
    names = ("period", *query.by, name, *FLAGS)
    return [",".join(csv_field(row[n], guard) for n in names) for row in rows_of(query, {name: alone}, {})]
