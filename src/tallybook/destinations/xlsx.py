"""A workbook for people: the numbers, a chart for each metric, and a page that says what they are.

    Metrics     a row per period and series, a column per metric; filters, real dates, number formats
    Charts      one native chart per metric
    Totals      the totals rows, when the question asked for them: apart, so that no sum counts them twice
    About       how it was computed, scope, time zone, book version
    Chart data  hidden: what the charts of a breakdown draw, a column per series

Nothing in it is a formula or a link, whatever the text looks like. What is not known is an empty cell whose
comment says why. Excel keeps 15 digits of a number: where there are more, a comment holds all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from tallybook.destinations import replacing
from tallybook.errors import DestinationError
from tallybook.result import (
    Column,
    Number,
    Result,
    Row,
    number_format,
    period_label,
    plain_number,
    why_null,
)

MAX_ROWS, MAX_COLUMNS, MAX_TEXT = 1_048_576, 16_384, 32_767
MAX_COMMENTS = 1_000  # each is a drawing; a workbook with many thousands opens slowly
MAX_SERIES = 8  # lines that one chart can show and people can still tell apart
MAX_MARKERS = 62
CHART_ROWS = 18  # of 20 pixels: a chart and the space below it

METRICS, CHARTS, TOTALS, ABOUT, CHART_DATA = "Metrics", "Charts", "Totals", "About", "Chart data"
COLOURS = ("#2F6DB5", "#E07B39", "#3A9E6E", "#C2487A", "#8062B3", "#B58E2F", "#3FA3B5", "#6B6B6B")
GREY, PALE, RULE = "#8A8A8A", "#C9D9EC", "#E3E3E3"
DATES = {"month": "mmm yyyy", "year": "yyyy"}
AXIS_DATES = {"month": "mmm yyyy", "quarter": "mmm yyyy", "year": "yyyy", "all": "yyyy-mm-dd"}
# In a workbook some instant must stand; without one from the caller it is that of every file in the zip.
NO_INSTANT = datetime(1980, 1, 1, tzinfo=UTC)


class Xlsx:
    """An Excel workbook. The same result and `created` give the same bytes."""

    def write(self, result: Result, path: Path, *, created: datetime | None = None) -> None:
        refuse_what_does_not_fit(result, path)
        with replacing(path) as file:
            file.write(workbook(result, created))


def refuse_what_does_not_fit(result: Result, path: Path) -> None:
    """A sheet has room for so much; what is beyond would be left out without a word."""
    rows, columns = len(result.data) + 1, len(result.columns) + 4
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        raise DestinationError(
            f"a sheet holds {MAX_ROWS:,} rows and {MAX_COLUMNS:,} columns; the result has {rows:,} and {columns:,}",
            hint=f"ask at a wider scope or with fewer dimensions, or write {path.with_suffix('.parquet')}",
        )


def blank_workbook(tab: str, created: datetime | None = None) -> bytes:
    """A workbook of one empty sheet, for `workbooks` to put a grid into."""
    import xlsxwriter

    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        instant = created or NO_INSTANT
        book.set_properties({"created": instant.astimezone(UTC) if instant.tzinfo else instant})
        book.add_worksheet(tab).freeze_panes(1, 0)
    return file.getvalue()


def workbook(result: Result, created: datetime | None = None) -> bytes:
    """The bytes of the workbook."""
    file = BytesIO()
    pages = _Pages(result, file, created)
    table = _write_table(pages, pages.sheet(METRICS), [r for r in result.data if not r.get("total")])
    if table.rows:
        _write_charts(pages, table)
    if result.has_totals:
        _write_table(pages, pages.sheet(TOTALS), [r for r in result.data if r.get("total")])
    _write_about(pages, created)
    pages.book.close()
    return file.getvalue()


class _Pages:
    """The workbook in the making: its sheets in order, its cell formats, its comments."""

    def __init__(self, result: Result, file: BytesIO, created: datetime | None) -> None:
        import xlsxwriter

        self.result = result
        self.book = xlsxwriter.Workbook(
            file,
            {
                "in_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        instant = created or NO_INSTANT
        instant = instant.astimezone(UTC) if instant.tzinfo else instant
        self.book.set_properties({"title": clean_text(", ".join(result.metrics)), "created": instant})
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}
        self.comments = 0
        for name in self._sheet_names():
            self.book.add_worksheet(name)

    def _sheet_names(self) -> list[str]:
        drawn = any(not row.get("total") for row in self.result.data)
        wanted = {
            METRICS: True,
            CHARTS: drawn,
            TOTALS: self.result.has_totals,
            ABOUT: True,
            CHART_DATA: drawn and bool(self.result.dimension_columns),
        }
        return [name for name, is_there in wanted.items() if is_there]

    def sheet(self, name: str) -> Any:
        return self.book.get_worksheet_by_name(name)

    def format(self, **look: Any) -> Any:
        key = tuple(sorted(look.items()))
        if key not in self._formats:
            self._formats[key] = self.book.add_format({"valign": "top", **look})
        return self._formats[key]

    def either(self, **look: Any) -> dict[bool, Any]:
        """The format of rows that are complete, and of those that are not."""
        return {True: self.format(**look), False: self.format(italic=True, font_color=GREY, **look)}

    def comment(self, sheet: Any, row: int, column: int, text: str) -> None:
        self.comments += 1
        if self.comments <= MAX_COMMENTS:
            size = {"width": 240, "height": 24 + 18 * (1 + len(text) // 36), "author": "Tallybook"}
            sheet.write_comment(row, column, clean_text(text)[:MAX_TEXT], size)


# The table.


class _Table(NamedTuple):
    """Where it stands: rows 1 to `last` below the header row 0."""

    rows: list[Row]
    heads: list[str]
    last: int


def _write_table(pages: _Pages, sheet: Any, rows: list[Row]) -> _Table:
    result = pages.result
    heads = _unlike([_heading(c, result.scope) for c in result.columns]) + _fact_heads(rows)
    for i, head in enumerate(heads):
        sheet.write_string(0, i, head, _head_format(pages, result.columns[i] if i < len(result.columns) else None))
    for i, column in enumerate(result.columns):
        _WRITERS[column.role](pages, sheet, i, column, rows)
    _write_facts(pages, sheet, len(result.columns), rows)
    _furnish(sheet, result, rows, heads)
    return _Table(rows, heads, len(rows))


def _head_format(pages: _Pages, column: Column | None) -> Any:
    """Headings stand as what is below them: numbers right, the rest left."""
    align = "right" if column is not None and column.role == "metric" else "left"
    indent = 1 if column is None else 0
    return pages.format(bold=True, bg_color="#EEF2F7", bottom=1, bottom_color=GREY, align=align, indent=indent)


def _heading(column: Column, scope: str) -> str:
    if column.role == "period":
        return "from" if scope == "all" else scope
    return clean_text(column.label)


def _unlike(heads: list[str]) -> list[str]:
    """Two columns of one title would be one in a pivot table: the later says which it is."""
    seen: dict[str, int] = {}
    unlike = []
    for head in heads:
        seen[head] = seen.get(head, 0) + 1
        unlike.append(head if seen[head] == 1 else f"{head} ({seen[head]})")
    return unlike


def _fact_heads(rows: list[Row]) -> list[str]:
    heads = ["complete", "days", "days expected"]
    return [*heads, "approximate"] if any(row["approximate"] for row in rows) else heads


def _write_periods(pages: _Pages, sheet: Any, i: int, column: Column, rows: list[Row]) -> None:
    scope, text = pages.result.scope, pages.either()
    patterns = [f'"Q{n}" yyyy' for n in (1, 2, 3, 4)] if scope == "quarter" else [DATES.get(scope, "yyyy-mm-dd")]
    dates = [pages.either(num_format=pattern, align="left") for pattern in patterns]
    for at, row in enumerate(rows, 1):
        day: date | None = row[column.name]
        if day is None or day.year <= 1900:  # before a sheet's dates begin
            sheet.write_string(at, i, period_label(day, scope), text[row["complete"]])
        else:
            look = dates[(day.month - 1) // 3 % len(dates)]
            sheet.write_datetime(at, i, day, look[row["complete"]])


def _write_dimension(pages: _Pages, sheet: Any, i: int, column: Column, rows: list[Row]) -> None:
    text, total = pages.either(), pages.either(bold=True)
    for at, row in enumerate(rows, 1):
        value = row[column.name]
        if value is not None:
            sheet.write_string(at, i, clean_text(str(value)), text[row["complete"]])
        elif row.get("total"):
            sheet.write_string(at, i, "total", total[row["complete"]])


def _write_metric(pages: _Pages, sheet: Any, i: int, column: Column, rows: list[Row]) -> None:
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
    lines = [f"exactly {plain_number(value)}"] if _loses_digits(value) else []
    note = _note(row, metric)
    lines += ["carried forward from an earlier day"] if note.get("carried") else []
    lines += ["imported, not collected"] if note.get("imported") else []
    if row["complete"] and note.get("complete") is False:
        lines.append(f"not complete: {note.get('days', '?')} of {row['days_expected']} days")
    return "\n".join(lines)


def _note(row: Row, metric: str) -> dict[str, Any]:
    return (row.get("notes") or {}).get(metric) or {}


def _loses_digits(value: Number) -> bool:
    """Has an exact number more digits than the 15 a spreadsheet keeps?"""
    if isinstance(value, float):
        return False
    return len(plain_number(value).replace(".", "").strip("-0")) > 15


def excel_format(column: Column, values: list[Number | None]) -> str:
    how = number_format(column, values)
    if not how.asked and any(how.hides(value) for value in values):
        return "0.00E+00"  # no fixed number of decimals shows values this small
    return how.excel()


def _write_facts(pages: _Pages, sheet: Any, first: int, rows: list[Row]) -> None:
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
    # A true boolean shows as 1 in some programs, by the format of the cell beside it.
    return "yes" if fact else "no"


def _furnish(sheet: Any, result: Result, rows: list[Row], heads: list[str]) -> None:
    """Header that stays, filters, widths, and a page that prints well."""
    sheet.freeze_panes(1, 1)
    sheet.autofilter(0, 0, len(rows), len(heads) - 1)
    for i, head in enumerate(heads):
        column = result.columns[i] if i < len(result.columns) else None
        sheet.set_column(i, i, _width(head, column, rows))
    if result.dimension_columns:  # ids are text here; no green corner for each of them
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


# The charts.


class _Series(NamedTuple):
    """References, as [sheet, row, column] or [sheet, row, column, row, column], and the rows behind them."""

    name: list[Any]
    periods: list[Any]
    values: list[Any]
    rows: list[Row | None]


class _Drawing(NamedTuple):
    column: Column
    title: list[Any]
    text: str
    series: list[_Series]


def _write_charts(pages: _Pages, table: _Table) -> None:
    sheet = pages.sheet(CHARTS)
    sheet.hide_gridlines(2)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.set_print_scale(75)
    drawings = _drawings(pages, table)
    sheet.set_h_pagebreaks([at * CHART_ROWS for at in range(2, len(drawings), 2)])
    for at, drawing in enumerate(drawings):
        chart = _chart(pages, drawing)
        place = {"x_offset": 12, "y_offset": 10, "description": drawing.text}
        sheet.insert_chart(at * CHART_ROWS, 0, chart, place)


def _drawings(pages: _Pages, table: _Table) -> list[_Drawing]:
    if not pages.result.dimension_columns:
        return [_of_the_table(pages.result, table, i) for i in _metric_places(pages.result)]
    sheet, at, drawings = pages.sheet(CHART_DATA), 0, []
    sheet.hide()
    for column in pages.result.metric_columns:
        drawings.append(_of_a_breakdown(pages, sheet, table, column, at))
        at += len(drawings[-1].series) + 2
    return drawings


def _metric_places(result: Result) -> list[int]:
    return [i for i, column in enumerate(result.columns) if column.role == "metric"]


def _of_the_table(result: Result, table: _Table, i: int) -> _Drawing:
    name = [METRICS, 0, i]
    periods, values = [METRICS, 1, 0, table.last, 0], [METRICS, 1, i, table.last, i]
    return _Drawing(result.columns[i], name, table.heads[i], [_Series(name, periods, values, list(table.rows))])


def _of_a_breakdown(pages: _Pages, sheet: Any, table: _Table, column: Column, at: int) -> _Drawing:
    """Write the largest series side by side from column `at` on, and say how many there were."""
    dimensions = [c.name for c in pages.result.dimension_columns]
    largest, all_of_them = _largest(table.rows, dimensions, column.name)
    by = ", ".join(c.label for c in pages.result.dimension_columns)
    some = f" ({len(largest)} largest of {all_of_them:,})" if len(largest) < all_of_them else ""
    title = clean_text(f"{column.label} by {by}{some}")
    sheet.write_string(0, at, title)
    days = sorted({row["period"] for row in table.rows})
    _write_days(pages, sheet, at, days)
    cells = {(row["period"], _key(row, dimensions)): row for row in table.rows}
    series = [
        _write_series(sheet, at, i, key, [cells.get((day, key)) for day in days], column.name)
        for i, key in enumerate(largest, 1)
    ]
    return _Drawing(column, [CHART_DATA, 0, at], title, series)


def _key(row: Row, dimensions: list[str]) -> tuple[str | None, ...]:
    return tuple(row[name] for name in dimensions)


def _largest(rows: list[Row], dimensions: list[str], metric: str) -> tuple[list[tuple[str | None, ...]], int]:
    """The series that weigh most over all periods, and how many have any value."""
    weights: dict[tuple[str | None, ...], float] = {}
    for row in rows:
        if row[metric] is not None:
            key = _key(row, dimensions)
            weights[key] = weights.get(key, 0.0) + abs(float(row[metric]))
    ranked = sorted(weights, key=lambda key: (-weights[key], _series_label(key)))
    return ranked[:MAX_SERIES], len(ranked)


def _series_label(key: tuple[str | None, ...]) -> str:
    return clean_text(" · ".join("(none)" if part is None else part for part in key))


def _write_days(pages: _Pages, sheet: Any, at: int, days: list[date]) -> None:
    sheet.write_string(1, at, pages.result.scope)
    sheet.set_column(at, at, 12)
    for i, day in enumerate(days, 2):
        if day.year <= 1900:
            sheet.write_string(i, at, day.isoformat())
        else:
            sheet.write_datetime(i, at, day, pages.format(num_format="yyyy-mm-dd"))


def _write_series(
    sheet: Any, at: int, i: int, key: tuple[str | None, ...], rows: list[Row | None], metric: str
) -> _Series:
    sheet.write_string(1, at + i, _series_label(key))
    for line, row in enumerate(rows, 2):
        if row is not None and row[metric] is not None:
            sheet.write_number(line, at + i, float(row[metric]))
    last = len(rows) + 1
    return _Series([CHART_DATA, 1, at + i], [CHART_DATA, 2, at, last, at], [CHART_DATA, 2, at + i, last, at + i], rows)


def _chart(pages: _Pages, drawing: _Drawing) -> Any:
    kind = _kind(drawing)
    chart = pages.book.add_chart({"type": kind})
    for i, series in enumerate(drawing.series):
        chart.add_series(_series_options(kind, series, drawing.column.name, COLOURS[i % len(COLOURS)]))
    chart.set_title({"name": drawing.title, "name_font": {"size": 13, "bold": True}, "overlay": False})
    chart.set_x_axis(_period_axis(pages.result, kind))
    chart.set_y_axis(_value_axis(drawing))
    chart.set_legend({"position": "bottom"} if len(drawing.series) > 1 else {"none": True})
    chart.set_size({"width": 960, "height": 340})
    chart.set_chartarea({"border": {"color": RULE}})
    chart.show_blanks_as("gap")
    chart.show_hidden_data()  # the sheet of a breakdown is hidden
    return chart


def _kind(drawing: _Drawing) -> str:
    """Amounts of a period stand as columns, states and averages run as lines."""
    column, points = drawing.column, max((len(s.rows) for s in drawing.series), default=0)
    amounts = column.show in ("total", "change") and column.type != "float"
    return "column" if points == 1 or (amounts and len(drawing.series) == 1) else "line"


def _series_options(kind: str, series: _Series, metric: str, colour: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "name": series.name,
        "categories": series.periods,
        "values": series.values,
        # What a viewer draws that does not calculate. Left to itself, XlsxWriter takes empty cells for 0.
        "values_data": [_drawn(row, metric) for row in series.rows],
    }
    if kind == "column":
        options |= {"fill": {"color": colour}, "border": {"none": True}, "gap": 40}
        return options | _points(series, {"fill": {"color": PALE}})
    options |= {"line": {"color": colour, "width": 2}, "marker": {"type": "none"}}
    if len(series.rows) <= MAX_MARKERS:
        ink = {"color": colour}
        options["marker"] = {"type": "circle", "size": 5, "fill": ink, "border": ink}
        options |= _points(series, {"fill": {"color": "white"}, "border": ink})
    return options


def _drawn(row: Row | None, metric: str) -> float | None:
    return None if row is None or row[metric] is None else float(row[metric])


def _points(series: _Series, look: dict[str, Any]) -> dict[str, Any]:
    """What is not complete yet looks lighter: it is not a fall."""
    points = [look if row is not None and not row["complete"] else None for row in series.rows]
    return {"points": points} if any(points) else {}


def _period_axis(result: Result, kind: str) -> dict[str, Any]:
    """A true time axis, where a missing period leaves its place empty. The columns of weeks and quarters
    would be a day and a month wide on it, so they stand on an axis of names."""
    scope = result.scope
    on_names = scope == "all" or (kind == "column" and scope in ("week", "quarter"))
    place = {"text_axis": True} if on_names else {"date_axis": True, **_ticks(result)}
    return {
        "num_format": AXIS_DATES.get(scope, "d mmm yy"),
        "num_font": {"color": "#555555", "rotation": -45 if on_names and scope == "week" else None},
        "line": {"color": GREY},
        "major_tick_mark": "outside",
        "minor_tick_mark": "none",
        "label_position": "low",
        **place,
    }


def _ticks(result: Result) -> dict[str, Any]:
    """Whole months between ticks, at most 24 of them; short stretches of days and whole years need none."""
    days = [row["period"] for row in result.data if row["period"] is not None]
    months = (max(days).year - min(days).year) * 12 + max(days).month - min(days).month + 1
    if result.scope == "year" or (result.scope in ("day", "week") and months <= 2):
        return {}
    least = 3 if result.scope == "quarter" else 1
    apart = next((n for n in (1, 3, 6, 12) if n >= least and months <= 24 * n), 12)
    return {"major_unit": apart, "major_unit_type": "months", "num_format": "mmm yyyy"}


def _value_axis(drawing: _Drawing) -> dict[str, Any]:
    values = [s_row[drawing.column.name] for s in drawing.series for s_row in s.rows if s_row is not None]
    return {
        "num_format": _axis_format(drawing.column, values),
        "num_font": {"color": "#555555"},
        "line": {"none": True},
        "major_gridlines": {"visible": True, "line": {"color": RULE, "width": 0.75}},
    }


def _axis_format(column: Column, values: list[Number | None]) -> str:
    """As the cells, without decimals where they would only be zeros at the ticks."""
    large = any(abs(float(value)) >= 100 for value in values if value is not None)
    if large and not column.format:
        whole = Column(name=column.name, role="metric", type="integer", unit=column.unit)
        return number_format(whole).excel()
    return excel_format(column, values)


# The page that says what it is.


def _write_about(pages: _Pages, created: datetime | None) -> None:
    sheet, result = pages.sheet(ABOUT), pages.result
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 1, 90)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    name, text = pages.format(bold=True), pages.format(text_wrap=True, align="left")
    facts = [*_facts(result, created), *_legend(pages)]
    for at, (what, said) in enumerate(facts):
        sheet.set_row(at, 15 * (1 + len(said) // 85))  # not every program fits rows to wrapped text
        sheet.write_string(at, 0, what, name)
        sheet.write_string(at, 1, clean_text(said), text)
    at = len(facts) + 1
    for i, column in enumerate(result.metric_columns):
        sheet.write_string(at + i, 0, clean_text(column.name), name)
        sheet.write_string(at + i, 1, clean_text(_of_metric(column)), text)


def _facts(result: Result, created: datetime | None) -> list[tuple[str, str]]:
    days = [row["period"] for row in result.data if row.get("period")]
    ends = list(dict.fromkeys(period_label(day, result.scope) for day in (min(days), max(days)))) if days else []
    facts = [
        ("Metrics", ", ".join(result.metrics)),
        ("How it was computed", result.explain),
        ("Scope", result.scope),
        ("Periods", " to ".join(ends) or "none"),
        ("Time zone", result.timezone),
        ("Week starts", result.week_starts),
        ("Book version", str(result.version)),
    ]
    if created is not None:
        facts.append(("Created", created.isoformat(sep=" ", timespec="seconds")))
    return facts


def _legend(pages: _Pages) -> list[tuple[str, str]]:
    rows, metrics = pages.result.data, pages.result.metrics
    legend = []
    if not all(row["complete"] for row in rows):
        legend.append(("Grey italics", "The period is not complete: 'days' of 'days expected' are in it."))
    if any(row[metric] is None for row in rows for metric in metrics):
        legend.append(("Empty cells", "Not collected, or it cannot be known. Never zero; a comment says why."))
    if any(_loses_digits(row[m]) for row in rows for m in metrics if row[m] is not None):
        legend.append(("More than 15 digits", "A sheet keeps 15 digits; the comment holds all of them."))
    if pages.comments > MAX_COMMENTS:
        legend.append(("Comments", f"The first {MAX_COMMENTS:,} of {pages.comments:,}."))
    return legend


def _of_metric(column: Column) -> str:
    said = [
        column.title or "",
        f"in {column.unit}" if column.unit else "",
        f"shown as {column.show}" if column.show else "",
        "exact" if column.type != "float" else "floating point",
    ]
    return ", ".join(part for part in said if part)


def clean_text(text: str) -> str:
    """What a workbook's XML can hold, no longer than a cell; the rest shows as �."""
    text = re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)
    # The limit counts UTF-16 units.
    return text if len(text.encode("utf-16-le")) // 2 <= MAX_TEXT else text[: MAX_TEXT // 2] + "…"
