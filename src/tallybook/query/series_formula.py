"""A formula of several series, such as `B / A`, computed for each period from their finished values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from tallybook.core import (
    SERIES_LETTERS,
    Column,
    QueryError,
    Result,
    count_of,
    evaluate,
    is_close,
    metric_words,
    parsed_formula,
)


@dataclass(frozen=True, kw_only=True)
class FormulaValue:
    """The value of one period. `why`: the reason if it is unknown."""

    value: float | None
    is_complete: bool = True
    why: str = ""


def formula_values(parsed: Any, results: Mapping[str, Result], today: date) -> dict[date, FormulaValue]:
    """The values by period. A period in which the series cover different days is unknown."""
    rows: dict[str, dict[date, Any]] = {}
    for letter, result in results.items():
        name = result.metric_columns[0].name
        rows[letter] = {row["period"]: (row, row[name], _days(row, name)) for row in result.data}
    operands = [operand.metric for operand in parsed.operands]
    periods = sorted({day for own in rows.values() for day in own})
    calendar = next(iter(results.values())).calendar
    scope = next(iter(results.values())).scope
    found = {}
    for day in periods:
        parts = [rows[letter].get(day) for letter in operands]
        end = day if scope == "all" else calendar.period_end(day, scope)
        gone = (today - day).days if end >= today else None
        found[day] = _value(parsed, parts, gone)
    return found


def answer_of_formula(formula: str, answers: Sequence[Result], today: date) -> Result:
    """Answers side by side, A, B and so on, and a formula of them for each period. Each answer is one series.

    Raises QueryError for a formula that is none, and for answers that it cannot take."""
    if not 1 <= len(answers) <= len(SERIES_LETTERS):
        raise QueryError(f"a formula takes 1 to {len(SERIES_LETTERS)} answers, not {len(answers)}")
    results = {letter: _without_totals(one) for letter, one in zip(SERIES_LETTERS, answers, strict=False)}
    names = {}
    for letter, one in results.items():
        if len(one.metric_columns) != 1 or one.dimension_columns:
            numbers = count_of(len(one.metric_columns), "number")
            split = f" by {', '.join(column.name for column in one.dimension_columns)}" if one.dimension_columns else ""
            raise QueryError(f"answer {letter} has {numbers} in each period{split}", hint="ask for each series alone")
        if one.scope != answers[0].scope:
            raise QueryError(f"answer {letter} is by {one.scope}, the first one by {answers[0].scope}")
        column = one.metric_columns[0]
        names[letter] = f"{letter} {metric_words({'name': column.name, 'title': column.title, 'unit': None})}"
    values = formula_values(parsed_formula(formula, list(results)), results, today)
    return series_table(results, names, formula, values)


def _without_totals(result: Result) -> Result:
    return msgspec.structs.replace(result, data=[row for row in result.data if row["period"] is not None])


def series_table(
    results: Mapping[str, Result],
    names: Mapping[str, str],
    formula: str,
    values: Mapping[date, FormulaValue],
) -> Result:
    """Several answers side by side: a column for each series, and one for the formula where it has values."""
    first = next(iter(results.values()))
    columns = [msgspec.structs.replace(results[one].metric_columns[0], name=names[one], title=None) for one in results]
    if values:
        columns.append(Column(name=formula, role="metric", type="float"))
    by_letter = {letter: {row["period"]: row for row in result.data} for letter, result in results.items()}
    rows = []
    for day in sorted({day for own in by_letter.values() for day in own if day is not None}):
        own = {letter: known[day] for letter, known in by_letter.items() if day in known}
        row: dict[str, Any] = {"period": day}
        row |= {names[one]: own[one][results[one].metric_columns[0].name] if one in own else None for one in results}
        row |= {formula: values[day].value if day in values else None} if values else {}
        least = min(own.values(), key=lambda one: one["days"])
        row |= {key: least[key] for key in ("days", "days_expected")}
        row |= {"complete": all(one["complete"] for one in own.values())}
        rows.append(row | {"approximate": any(one["approximate"] for one in own.values())})
    explain = " ".join(dict.fromkeys(result.explain for result in results.values()))
    period = next(one for one in first.columns if one.role == "period")
    return msgspec.structs.replace(
        first,
        metrics=[one.name for one in columns],
        columns=[period, *columns],
        data=rows,
        explain=explain,
        warnings=[],
    )


def _days(row: Mapping[str, Any], name: str) -> tuple[int, int]:
    note = (row.get("notes") or {}).get(name) or {}
    return int(note.get("days", row["days"])), int(note.get("days_expected", row["days_expected"]))


def _value(parsed: Any, parts: Sequence[Any], gone: int | None) -> FormulaValue:
    """`gone`: in a running period, the number of its days that have ended."""
    if any(part is None or part[1] is None for part in parts):
        return FormulaValue(value=None, is_complete=False, why="a series is not known")
    days = {part[2] for part in parts}
    is_complete = all(have == expected for have, expected in days)
    if len(days) > 1 or not (is_complete or next(iter(days))[0] == gone):
        # The same number of days may still be different days.
        return FormulaValue(value=None, is_complete=False, why="the series do not cover the same days")
    leaves = [Decimal(part[1]) if isinstance(part[1], int) else part[1] for part in parts]
    try:
        value = evaluate(parsed.shell, leaves)
    except (OverflowError, ArithmeticError):
        value = None
    why = "" if value is not None else "it cannot be divided by zero"
    return FormulaValue(value=None if value is None else float(value), is_complete=is_complete, why=why)


def keeps_its_size(parsed: Any, growing: Collection[str]) -> bool:
    """Whether the value of part of a period is comparable with that of whole periods.

    True if the formula's value stays the same when the series that grow during a period have half of their final
    values: true for `B / A` of two totals, not for `B - A`."""
    sizes = dict(zip(SERIES_LETTERS, map(Decimal, ("1.7", "2.3", "3.1", "4.9")), strict=True))
    halves = {letter: size / 2 if letter in growing else size for letter, size in sizes.items()}
    try:
        whole, part = (evaluate(parsed.shell, [of[one.metric] for one in parsed.operands]) for of in (sizes, halves))
    except (OverflowError, ArithmeticError):
        return False
    return whole is not None and part is not None and is_close(float(whole), float(part))
