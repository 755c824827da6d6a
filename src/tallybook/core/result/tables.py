"""Results as tables for people, with a legend of incomplete, approximate, carried and unknown values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core.labels import GAP, OTHER, TOTAL, shorten_list, shortened, value_label
from tallybook.core.result.formats import NumberFormat, number_format, unit_text
from tallybook.core.result.values import Column, Row

if TYPE_CHECKING:
    from tallybook.core.result.result import Result

INCOMPLETE, APPROXIMATE, CARRIED, IMPORTED = "*", "≈", "†", "‡"


def period_label(day: date | None, scope: str) -> str:
    """The label of a period: 2026-03-02, 2026-03, 2026 Q1, 2026."""
    if day is None:
        return "total"
    if scope == "quarter":
        return f"{day.year:04d} Q{(day.month + 2) // 3}"
    return day.isoformat()[: {"month": 7, "year": 4}.get(scope, 10)]


def table_layout(
    result: Result, max_rows: int | None, *, short: bool = True
) -> tuple[list[str], list[list[str]], list[str]]:
    """The header, the rows and the lines below the table, as text that is safe to print.

    `short`: cut long dimension values, except where a cut would make two of them equal."""
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
        return [result.period_text(row[column.name]) + ("" if row["complete"] else INCOMPLETE) for row in data]
    if column.role == "dimension":
        texts = [_dimension_text(row[column.name], row) for row in data]
        return shortened(texts) if short else texts
    how = _without_unit(number_format(column, [row[column.name] for row in data]), column)
    marks = [_marks(row, column.name) for row in data]
    room = max(map(len, marks), default=0)
    return [how.text(row[column.name]) + mark.ljust(room) for row, mark in zip(data, marks, strict=True)]


def _without_unit(how: NumberFormat, column: Column) -> NumberFormat:
    """The format without the unit, for a table whose header shows it."""
    if how.percent or how.after != unit_text(column.unit):
        return how
    return msgspec.structs.replace(how, after="")


def _dimension_text(value: Any, row: Row) -> str:
    if value is None and (label := row_label(row)):
        return label
    return value_label(None if value is None else str(value))


def row_label(row: Row) -> str:
    """The label of a row of totals, of all others, or of a period without a series; '' for a row of a series."""
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
    if row[metric] is None:  # there is no value that was carried or imported
        return marks
    marks += CARRIED if note.get("carried") else ""
    return marks + IMPORTED if note.get("imported") else marks


def is_approximate(row: Row, metric: str) -> bool:
    """Whether a value is approximate. In a row with error bounds: whether this value has one. Else: the flag of the
    row."""
    if not row["approximate"]:
        return False
    has_errors = any(note.get("error") for note in (row.get("notes") or {}).values())
    return bool(_note(row, metric).get("error")) if has_errors else True


def remarks_on(result: Result) -> list[str]:
    """The legend: a line for each mark that occurs, with its periods."""
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
        labels = [f"{label} ({r['days']} of {r['days_expected']} days)" for label, r in rows.items()]
        yield f"{INCOMPLETE} not complete: {_shorten_labels(labels)}"
    for metric in result.metrics:
        labels = [_label(row, result) for row in result.data if INCOMPLETE in _marks(row, metric)]
        if labels:
            yield f"{INCOMPLETE} {metric} not complete: {_shorten_labels(labels)}"


def _why_remarks(result: Result) -> Iterator[str]:
    for metric in [c.name for c in result.metric_columns]:
        periods: dict[str, list[str]] = {}
        for row in result.data:
            if row[metric] is None and (why := why_null(row, metric)):
                periods.setdefault(why, []).append(_label(row, result))
        for why, labels in periods.items():
            yield _printable(f"{GAP} {metric}: {why} ({_shorten_labels(labels)})")
        yield from _known_remarks(result, metric)


def _known_remarks(result: Result, metric: str) -> Iterator[str]:
    """Notes on known values. Differences between the facts and the book appear in the explanation instead."""
    periods: dict[str, list[str]] = {}
    for row in result.data:
        note = _note(row, metric)
        if row[metric] is not None and "why" in note and "stored" not in note:
            periods.setdefault(str(note["why"]), []).append(_label(row, result))
    for why, labels in periods.items():
        yield _printable(f"{metric}: {why} ({_shorten_labels(labels)})")


def why_null(row: Row, metric: str) -> str:
    """Why a value is unknown, with its bounds if known; '' without a reason."""
    note = _note(row, metric)
    why, bounds = str(note.get("why") or ""), note.get("bounds")
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        return why
    between = f"between {bounds[0]:,} and {bounds[1]:,}"
    return f"{why}; {between}" if why else between


def _mark_remarks(result: Result, mark: str, means: str, key: str) -> Iterator[str]:
    for metric in [c.name for c in result.metric_columns]:
        marked = [row for row in result.data if mark in _marks(row, metric)]
        details = {_detail_text(_note(row, metric).get(key)) for row in marked}
        if marked:
            more = f", {details.pop()}" if len(details) == 1 else ""
            yield _printable(f"{mark} {metric}: {means}{more}".rstrip(", "))


def _detail_text(detail: Any) -> str:
    if isinstance(detail, float):
        return f"error at most {detail * 100:.3g}%"
    return detail if isinstance(detail, str) else ""


def _label(row: Row, result: Result) -> str:
    return result.period_text(row[result.columns[0].name])


def _shorten_labels(labels: Iterable[str]) -> str:
    different = list(dict.fromkeys(labels))
    return shorten_list(different, 4 if len(different) <= 4 else 3)


def count_of(number: int, noun: str) -> str:
    """A count with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _printable(text: str) -> str:
    """The text with escapes for characters that move the cursor or break the line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def terminal_width(text: str) -> int:
    """The number of terminal columns that a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, width: int, *, right: bool) -> str:
    """The text filled with blanks to `width` terminal columns; `right`: aligned right."""
    room = " " * (width - terminal_width(text))
    return room + text if right else text + room


def columns_within(widths: list[int], numbers: list[bool], limit: int | None) -> list[int]:
    """The indexes of the columns that fit: the period and the dimensions, then metrics from the left."""
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


def escape_markdown(text: str) -> str:
    """The text with Markdown's special characters escaped."""
    return "".join(f"\\{c}" if c in "\\|*`[]<>" else c for c in text)
