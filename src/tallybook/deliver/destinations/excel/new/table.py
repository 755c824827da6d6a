"""The sheet of numbers: a row per period and series, a column per metric."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from tallybook.core import BookCalendar, Column, Number, Result, Row, number_format, plain_number, row_label, why_null
from tallybook.deliver.destinations.excel.new.pages import GREY, Pages, clean_text

DATES = {"month": "mmm yyyy", "year": "yyyy"}


class TableLayout(NamedTuple):
    """The position of the table: rows 1 to `last` below the header row 0."""

    rows: list[Row]
    heads: list[str]
    last: int


def write_table(pages: Pages, sheet: Any, rows: list[Row]) -> TableLayout:
    result = pages.result
    heads = _unlike([_heading(c, result.scope) for c in result.columns]) + _fact_heads(rows)
    for i, head in enumerate(heads):
        sheet.write_string(0, i, head, _head_format(pages, result.columns[i] if i < len(result.columns) else None))
    for i, column in enumerate(result.columns):
        _WRITERS[column.role](pages, sheet, i, column, rows)
    _write_facts(pages, sheet, len(result.columns), rows)
    _furnish(sheet, result, rows, heads)
    return TableLayout(rows, heads, len(rows))


def _head_format(pages: Pages, column: Column | None) -> Any:
    """The format of a heading, aligned like the cells below: numbers right, the rest left."""
    align = "right" if column is not None and column.role == "metric" else "left"
    indent = 1 if column is None else 0
    return pages.format(bold=True, bg_color="#EEF2F7", bottom=1, bottom_color=GREY, align=align, indent=indent)


def _heading(column: Column, scope: str) -> str:
    if column.role == "period":
        return "from" if scope == "all" else scope
    return clean_text(column.label)


def _unlike(heads: list[str]) -> list[str]:
    """The headings, made unique by a suffix, because a pivot table would merge columns with the same title."""
    seen: dict[str, int] = {}
    unlike = []
    for head in heads:
        seen[head] = seen.get(head, 0) + 1
        unlike.append(head if seen[head] == 1 else f"{head} ({seen[head]})")
    return unlike


def _fact_heads(rows: list[Row]) -> list[str]:
    heads = ["complete", "days", "days expected"]
    return [*heads, "approximate"] if any(row["approximate"] for row in rows) else heads


def _write_periods(pages: Pages, sheet: Any, i: int, column: Column, rows: list[Row]) -> None:
    result, text = pages.result, pages.either()
    patterns = {date_pattern(row[column.name], result.scope, result.calendar) for row in rows if row[column.name]}
    dates = {pattern: pages.either(num_format=pattern, align="left") for pattern in sorted(patterns)}
    for at, row in enumerate(rows, 1):
        day: date | None = row[column.name]
        if day is None or day.year <= 1900:  # before the first date that a spreadsheet knows
            sheet.write_string(at, i, result.period_text(day), text[row["complete"]])
        else:
            look = dates[date_pattern(day, result.scope, result.calendar)]
            sheet.write_datetime(at, i, day, look[row["complete"]])


def date_pattern(day: date, scope: str, calendar: BookCalendar) -> str:
    """The number format for the first day of a period. A fiscal period shows its label."""
    if (label := calendar.label(day, scope)) is not None and scope != "week":
        return f'"{label}"'
    return f'"Q{(day.month + 2) // 3}" yyyy' if scope == "quarter" else DATES.get(scope, "yyyy-mm-dd")


def _write_dimension(pages: Pages, sheet: Any, i: int, column: Column, rows: list[Row]) -> None:
    text, total = pages.either(), pages.either(bold=True)
    for at, row in enumerate(rows, 1):
        value = row[column.name]
        if value is not None:
            sheet.write_string(at, i, clean_text(str(value)), text[row["complete"]])
        elif row.get("total") or row.get("others"):
            sheet.write_string(at, i, row_label(row), total[row["complete"]])


def _write_metric(pages: Pages, sheet: Any, i: int, column: Column, rows: list[Row]) -> None:
    look = pages.either(num_format=excel_format(column, [row[column.name] for row in rows]))
    for at, row in enumerate(rows, 1):
        value = row[column.name]
        if value is None:
            sheet.write_blank(at, i, None, look[row["complete"]])
        else:
            sheet.write_number(at, i, float(value), look[row["complete"]])
        if said := _worth_saying(value, row, column.name):
            pages.comment(sheet, at, i, said)


_WRITERS = {"period": _write_periods, "dimension": _write_dimension, "metric": _write_metric}


def _worth_saying(value: Number | None, row: Row, metric: str) -> str:
    if value is None:
        return why_null(row, metric)
    lines = [f"exactly {plain_number(value)}"] if loses_digits(value) else []
    note = _note(row, metric)
    lines += ["carried forward from an earlier day"] if note.get("carried") else []
    lines += ["imported, not collected"] if note.get("imported") else []
    if row["complete"] and note.get("complete") is False:
        lines.append(f"not complete: {note.get('days', '?')} of {row['days_expected']} days")
    return "\n".join(lines)


def _note(row: Row, metric: str) -> dict[str, Any]:
    return (row.get("notes") or {}).get(metric) or {}


def loses_digits(value: Number) -> bool:
    """Whether an exact number has more digits than the 15 that a spreadsheet keeps."""
    if isinstance(value, float):
        return False
    return len(plain_number(value).replace(".", "").strip("-0")) > 15


def excel_format(column: Column, values: list[Number | None]) -> str:
    how = number_format(column, values)
    if not how.asked and any(how.hides(value) for value in values):
        return "0.00E+00"  # no fixed number of decimals shows values this small
    return how.excel()


def _write_facts(pages: Pages, sheet: Any, first: int, rows: list[Row]) -> None:
    approximate, look = any(row["approximate"] for row in rows), pages.either(align="left", indent=1)
    for at, row in enumerate(rows, 1):
        cell = look[row["complete"]]
        sheet.write_string(at, first, _yes(row["complete"]), cell)
        for i, name in enumerate(("days", "days_expected"), first + 1):
            if row[name] is not None:
                sheet.write_number(at, i, row[name], cell)
        if approximate:
            sheet.write_string(at, first + 3, _yes(row["approximate"]), cell)


def _yes(fact: bool) -> str:
    # Some programs show a true boolean as 1, because of the format of the cell beside it.
    return "yes" if fact else "no"


def _furnish(sheet: Any, result: Result, rows: list[Row], heads: list[str]) -> None:
    """Add a fixed header, filters, widths, and page settings for printing."""
    sheet.freeze_panes(1, 1)
    sheet.autofilter(0, 0, len(rows), len(heads) - 1)
    for i, head in enumerate(heads):
        column = result.columns[i] if i < len(result.columns) else None
        sheet.set_column(i, i, _width(head, column, rows))
    if result.dimension_columns:  # ids are text here, so the green corner for numbers stored as text is turned off
        names = "A1:" + _cell(len(rows), len(result.dimension_columns))
        sheet.ignore_errors({"number_stored_as_text": names})
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _width(head: str, column: Column | None, rows: list[Row]) -> int:
    texts: Iterable[str] = ()
    if column is not None and column.role == "dimension":
        texts = (str(row[column.name] or "") for row in rows[:2000])
    elif column is not None and column.role == "metric":
        values = [row[column.name] for row in rows]
        how = number_format(column, values)
        texts = map(how.text, values[:2000])
    return min(42, max(11, len(head) + 4, *(len(text) + 2 for text in texts), 0))


def _cell(row: int, column: int) -> str:
    from xlsxwriter.utility import xl_rowcol_to_cell

    return str(xl_rowcol_to_cell(row, column))
