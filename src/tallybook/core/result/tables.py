"""Results as tables for people, with a legend that says what is not complete, approximate, carried or unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core.labels import GAP, OTHER, TOTAL, shortened, value_label
from tallybook.core.result.formats import NumberFormat, number_format, unit_text
from tallybook.core.result.values import Column, Row

if TYPE_CHECKING:
    from tallybook.core.result.result import Result

INCOMPLETE, APPROXIMATE, CARRIED, IMPORTED = "*", "≈", "†", "‡"


def period_label(day: date | None, scope: str) -> str:
    """How people name a period: 2026-03-02, 2026-03, 2026 Q1, 2026."""
    if day is None:
        return "total"
    if scope == "quarter":
        return f"{day.year:04d} Q{(day.month + 2) // 3}"
    return day.isoformat()[: {"month": 7, "year": 4}.get(scope, 10)]


def laid_out(
    result: Result, max_rows: int | None, *, short: bool = True
) -> tuple[list[str], list[list[str]], list[str]]:
    """Header, rows and the lines under them, all as text that is safe to print. `short`: long dimension values are cut
    where that leaves them different."""
    data = result.data[:max_rows]
    header = [_heading(column, result.scope) for column in result.columns]
    columns = [_shown_column(result, column, data, short=short) for column in result.columns]
    lines = remarks_on(result)
    if len(data) < len(result.data):
        lines = [f"… {count_of(len(result.data) - len(data), 'more row')}", *lines]
    if not result.data:
        lines = ["(no rows)", *lines]
    return header, [list(row) for row in zip(*columns, strict=True)], lines


def _heading(column: Column, scope: str) -> str:
    if column.role == "period" and scope != "all":
        return scope
    return _printable(f"{column.name} ({column.unit})" if column.unit else column.name)


def _shown_column(result: Result, column: Column, data: list[Row], *, short: bool) -> list[str]:
    if column.role == "period":
        return [period_label(row[column.name], result.scope) + ("" if row["complete"] else INCOMPLETE) for row in data]
    if column.role == "dimension":
        texts = [_dimension_text(row[column.name], row) for row in data]
        return shortened(texts) if short else texts
    how = _without_unit(number_format(column, [row[column.name] for row in data]), column)
    marks = [_marks(row, column.name) for row in data]
    room = max(map(len, marks), default=0)
    return [how.text(row[column.name]) + mark.ljust(room) for row, mark in zip(data, marks, strict=True)]


def _without_unit(how: NumberFormat, column: Column) -> NumberFormat:
    """For a table whose header has the unit."""
    if how.percent or how.after != unit_text(column.unit):
        return how
    return msgspec.structs.replace(how, after="")


def _dimension_text(value: Any, row: Row) -> str:
    if value is None and (label := row_label(row)):
        return label
    return value_label(None if value is None else str(value))


def row_label(row: Row) -> str:
    """The label of a row that is none of a series: of totals, of all others, of a period without a series; else ''."""
    labels = {"total": TOTAL, "others": OTHER, "no_series": GAP}
    return next((label for key, label in labels.items() if row.get(key)), "")


def _note(row: Row, metric: str) -> dict[str, Any]:
    notes = row.get("notes") or {}
    return notes.get(metric) or {}


def _marks(row: Row, metric: str) -> str:
    note = _note(row, metric)
    marks = INCOMPLETE if row["complete"] and note.get("complete") is False else ""
    if row[metric] is not None and is_approximate(row, metric):
        marks += APPROXIMATE
    marks += CARRIED if note.get("carried") else ""
    return marks + IMPORTED if note.get("imported") and row[metric] is not None else marks


def is_approximate(row: Row, metric: str) -> bool:
    """Is this value approximate? Those with an error are; without any, the row's word counts."""
    if not row["approximate"]:
        return False
    some = any(note.get("error") for note in (row.get("notes") or {}).values())
    return bool(_note(row, metric).get("error")) if some else True


def remarks_on(result: Result) -> list[str]:
    """The legend: only what occurs, each with its periods."""
    return [
        *_incomplete_remarks(result),
        *([] if result.data else map(_printable, result.warnings)),
        *_why_remarks(result),
        *_mark_remarks(result, APPROXIMATE, "approximate", "error"),
        *_mark_remarks(result, CARRIED, "carried forward from an earlier day", "carried"),
        *_mark_remarks(result, IMPORTED, "imported, not collected", "imported"),
    ]


def _incomplete_remarks(result: Result) -> Iterator[str]:
    rows = {_label(row, result): row for row in result.data if not row["complete"]}
    if rows:
        told = [f"{label} ({r['days']} of {r['days_expected']} days)" for label, r in rows.items()]
        yield f"{INCOMPLETE} not complete: {_listed(told)}"
    for metric in result.metrics:
        told = [_label(row, result) for row in result.data if INCOMPLETE in _marks(row, metric)]
        if told:
            yield f"{INCOMPLETE} {metric} not complete: {_listed(told)}"


def _why_remarks(result: Result) -> Iterator[str]:
    for metric in [c.name for c in result.metric_columns]:
        periods: dict[str, list[str]] = {}
        for row in result.data:
            if row[metric] is None and (why := why_null(row, metric)):
                periods.setdefault(why, []).append(_label(row, result))
        for why, labels in periods.items():
            yield _printable(f"{GAP} {metric}: {why} ({_listed(labels)})")
        yield from _known_remarks(result, metric)


def _known_remarks(result: Result, metric: str) -> Iterator[str]:
    """What is to be known about values that are known. How the facts differ from the book is in the explanation."""
    periods: dict[str, list[str]] = {}
    for row in result.data:
        note = _note(row, metric)
        if row[metric] is not None and "why" in note and "stored" not in note:
            periods.setdefault(str(note["why"]), []).append(_label(row, result))
    for why, labels in periods.items():
        yield _printable(f"{metric}: {why} ({_listed(labels)})")


def why_null(row: Row, metric: str) -> str:
    """Why a value cannot be known, with what it lies between where that is known; else ''."""
    note = _note(row, metric)
    why, bounds = str(note.get("why") or ""), note.get("bounds")
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        return why
    between = f"between {bounds[0]:,} and {bounds[1]:,}"
    return f"{why}; {between}" if why else between


def _mark_remarks(result: Result, mark: str, means: str, key: str) -> Iterator[str]:
    for metric in result.metrics:
        marked = [row for row in result.data if mark in _marks(row, metric)]
        said = {_said(_note(row, metric).get(key)) for row in marked}
        if marked:
            more = f", {said.pop()}" if len(said) == 1 else ""
            yield _printable(f"{mark} {metric}: {means}{more}".rstrip(", "))


def _said(detail: Any) -> str:
    if isinstance(detail, float):
        return f"error at most {detail * 100:.3g}%"
    return detail if isinstance(detail, str) else ""


def _label(row: Row, result: Result) -> str:
    return period_label(row[result.columns[0].name], result.scope)


def _listed(labels: Iterable[str]) -> str:
    different = list(dict.fromkeys(labels))
    more = [f"and {len(different) - 3} more"] if len(different) > 4 else []
    return ", ".join(different[: 3 if more else 4] + more)


def count_of(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _printable(text: str) -> str:
    """Nothing that could move a terminal's cursor or break a line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def wide(text: str) -> int:
    """Columns it takes in a terminal."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def padded(text: str, width: int, *, right: bool) -> str:
    room = " " * (width - wide(text))
    return room + text if right else text + room


def columns_within(widths: list[int], numbers: list[bool], limit: int | None) -> list[int]:
    """The columns that fit: all that say what a row is, then metrics from the left."""
    keys = [i for i, number in enumerate(numbers) if not number]
    used, kept = sum(widths[i] + 2 for i in keys) - 2, list(keys)
    for i, number in enumerate(numbers):
        if not number:
            continue
        used += widths[i] + 2
        if limit is not None and used > limit and len(kept) > len(keys):
            break
        kept.append(i)
    return sorted(kept)


def markdown(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\|*`[]<>" else c for c in text)
