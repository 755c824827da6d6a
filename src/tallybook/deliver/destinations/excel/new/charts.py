"""One native chart per metric. For a breakdown, also the hidden sheet with the chart's data."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from tallybook.core import (
    COLORS,
    Column,
    Number,
    Result,
    Row,
    begins_at_zero,
    count_of,
    number_format,
    series_by_weight,
    series_colors,
    words_and_unit,
)
from tallybook.deliver.destinations.excel.new.pages import CHART_DATA, CHARTS, GREY, METRICS, Pages, clean_text
from tallybook.deliver.destinations.excel.new.table import TableLayout, excel_format

MAX_SERIES = 8  # the number of lines in one chart that people can still distinguish
MAX_MARKERS = 62
MAX_LABELS = 13
"""Maximum number of dates that fit side by side below a chart."""
CHART_ROWS = 18  # rows of 20 pixels: a chart and the space below it
PALE, RULE = "#C9D9EC", "#E3E3E3"
AXIS_DATES = {"month": "mmm yyyy", "quarter": "mmm yyyy", "year": "yyyy", "all": "yyyy-mm-dd"}


class NativeSeries(NamedTuple):
    """A series in a chart: references as [sheet, row, column] or [sheet, row, column, row, column], and the rows behind
    them."""

    name: list[Any]
    periods: list[Any]
    values: list[Any]
    rows: list[Row | None]
    label: str = ""
    partial: bool = False
    """Whether it has only the incomplete periods, drawn as hollow points beside the line."""


class NativeChart(NamedTuple):
    """The contents of one chart."""

    column: Column
    title: str | list[Any]
    """A text, or a reference to a cell with the text. XlsxWriter would take a text that begins with = for a formula."""
    text: str
    series: list[NativeSeries]


def write_charts(pages: Pages, table: TableLayout) -> None:
    sheet = pages.sheet(CHARTS)
    sheet.hide_gridlines(2)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.set_print_scale(75)
    drawings = list(_drawings(pages, table))
    sheet.set_h_pagebreaks([at * CHART_ROWS for at in range(2, len(drawings), 2)])
    for at, drawing in enumerate(drawings):
        if not _has_values(drawing):
            periods = len({row["period"] for row in table.rows})
            sheet.write_string(at * CHART_ROWS, 0, f"{drawing.text}: no value in any of {count_of(periods, 'period')}")
            continue
        chart = native_chart(pages, drawing)
        place = {"x_offset": 12, "y_offset": 10, "description": drawing.text}
        sheet.insert_chart(at * CHART_ROWS, 0, chart, place)


def _has_values(drawing: NativeChart) -> bool:
    """Whether there is anything to draw. A chart without values is an error in the file, or an empty frame."""
    return any(_drawn(row, drawing.column.name) is not None for series in drawing.series for row in series.rows)


def _drawings(pages: Pages, table: TableLayout) -> list[NativeChart]:
    if not needs_chart_data(pages.result):
        return [_of_the_table(pages.result, table, i) for i in _metric_places(pages.result)]
    sheet, at, drawings = pages.sheet(CHART_DATA), 0, []
    sheet.hide()
    for column in pages.result.metric_columns:
        drawings.append(_of_a_breakdown(pages, sheet, table, column, at))
        at += len(drawings[-1].series) + 2
    return drawings


def needs_chart_data(result: Result) -> bool:
    """Whether charts need cells of their own, for series side by side, or for complete periods beside running ones."""
    return bool(result.dimension_columns) or not all(row["complete"] for row in result.data)


def _metric_places(result: Result) -> list[int]:
    return [i for i, column in enumerate(result.columns) if column.role == "metric"]


def _of_the_table(result: Result, table: TableLayout, i: int) -> NativeChart:
    name = [METRICS, 0, i]
    periods, values = [METRICS, 1, 0, table.last, 0], [METRICS, 1, i, table.last, i]
    text = clean_text(words_and_unit(result.columns[i].facts))
    title = name if text.startswith("=") else text
    return NativeChart(result.columns[i], title, text, [NativeSeries(name, periods, values, list(table.rows))])


def _of_a_breakdown(pages: Pages, sheet: Any, table: TableLayout, column: Column, at: int) -> NativeChart:
    """Write the largest series side by side, starting at column `at`. The title gives the total number of series. Every
    chart shows the same series."""
    dimensions = [c.name for c in pages.result.dimension_columns]
    ranked = series_by_weight(table.rows, dimensions, [c.name for c in pages.result.metric_columns])
    largest = ranked[:MAX_SERIES]
    title = chart_title(pages.result, column, len(largest), len(ranked))
    sheet.write_string(0, at, title)
    days = sorted({row["period"] for row in table.rows})
    _write_days(pages, sheet, at, days)
    cells = {(row["period"], _key(row, dimensions)): row for row in table.rows}
    series: list[NativeSeries] = []
    for key in largest:
        rows = [cells.get((day, key)) for day in days]
        for partial in (False, True):
            if not partial or any(row is not None and not row["complete"] for row in rows):
                series.append(_write_series(sheet, at, len(series) + 1, key, rows, column.name, partial=partial))
    return NativeChart(column, [CHART_DATA, 0, at], title, series)


def chart_title(result: Result, column: Column, drawn: int, there: int) -> str:
    """The title of a chart: the metric in words, its unit, and what it is split by."""
    by = ", ".join(c.label for c in result.dimension_columns)
    words = words_and_unit(column.facts) + (f" by {by}" if by else "")
    return clean_text(words + (f" ({drawn} largest of {there:,})" if drawn < there else ""))


def _key(row: Row, dimensions: list[str]) -> tuple[str | None, ...]:
    return tuple(row[name] for name in dimensions)


def _series_label(key: tuple[str | None, ...]) -> str:
    return clean_text(" · ".join("(none)" if part is None else part for part in key))


def _write_days(pages: Pages, sheet: Any, at: int, days: list[date]) -> None:
    sheet.write_string(1, at, pages.result.scope)
    sheet.set_column(at, at, 12)
    for i, day in enumerate(days, 2):
        if day.year <= 1900:
            sheet.write_string(i, at, day.isoformat())
        else:
            sheet.write_datetime(i, at, day, pages.format(num_format="yyyy-mm-dd"))


def _write_series(
    sheet: Any, at: int, i: int, key: tuple[str | None, ...], rows: list[Row | None], metric: str, *, partial: bool
) -> NativeSeries:
    """Write one column with the complete or the incomplete periods."""
    label = _series_label(key)
    sheet.write_string(1, at + i, f"{label} (not complete)" if partial else label or metric)
    rows = [row if row is not None and row["complete"] != partial else None for row in rows]
    for line, row in enumerate(rows, 2):
        if row is not None and row[metric] is not None:
            sheet.write_number(line, at + i, float(row[metric]))
    last = len(rows) + 1
    periods, values = [CHART_DATA, 2, at, last, at], [CHART_DATA, 2, at + i, last, at + i]
    return NativeSeries([CHART_DATA, 1, at + i], periods, values, rows, label, partial)


def native_chart(pages: Pages, drawing: NativeChart) -> Any:
    """The chart of XlsxWriter."""
    kind = _kind(drawing)
    chart = pages.book.add_chart({"type": kind})
    colors = series_colors(series.label for series in drawing.series)
    single = len(colors) == 1
    for series in drawing.series:
        color = COLORS[0] if single else colors[series.label]
        chart.add_series(_series_options(kind, series, drawing.column.name, color))
    chart.set_title({"name": drawing.title, "name_font": {"size": 13, "bold": True}, "overlay": False})
    chart.set_x_axis(_period_axis(pages.result, kind))
    chart.set_y_axis(_value_axis(drawing))
    hidden = [place for place, series in enumerate(drawing.series) if series.partial]
    chart.set_legend({"none": True} if single else {"position": "bottom", "delete_series": hidden})
    chart.set_size({"width": 960, "height": 340})
    chart.set_chartarea({"border": {"color": RULE}})
    chart.show_blanks_as("gap")
    chart.show_hidden_data()  # the sheet of a breakdown is hidden
    return chart


def _kind(drawing: NativeChart) -> str:
    """The type of a chart: columns for amounts of a period, lines for states and averages."""
    column, points = drawing.column, max((len(s.rows) for s in drawing.series), default=0)
    amounts = column.show in ("total", "change") and column.type != "float"
    single = len({series.label for series in drawing.series}) == 1
    return "column" if points == 1 or (amounts and single) else "line"


def _series_options(kind: str, series: NativeSeries, metric: str, colour: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "name": series.name,
        "categories": series.periods,
        "values": series.values,
        # The values for viewers that do not calculate. By default XlsxWriter would write 0 for empty cells.
        "values_data": [_drawn(row, metric) for row in series.rows],
    }
    ink = {"color": colour}
    if kind == "column":
        fill = {"color": PALE} if series.partial else ink
        return options | {"fill": fill, "border": ink if series.partial else {"none": True}, "gap": 40, "overlap": 100}
    if series.partial:  # Beside the line, because a line that falls to a running week would look like a slump.
        hollow = {"type": "circle", "size": 7, "fill": {"color": "white"}, "border": {**ink, "width": 1.5}}
        return options | {"line": {"none": True}, "marker": hollow}
    options |= {"line": {"color": colour, "width": 2}, "marker": {"type": "none"}}
    if len(series.rows) <= MAX_MARKERS:
        options["marker"] = {"type": "circle", "size": 5, "fill": ink, "border": ink}
    return options


def _drawn(row: Row | None, metric: str) -> float | None:
    return None if row is None or row[metric] is None else float(row[metric])


def _period_axis(result: Result, kind: str) -> dict[str, Any]:
    """A true time axis, on which a missing period leaves a gap. Weeks and quarters use an axis of names, because on a
    time axis their columns would be only a day or a month wide."""
    scope = result.scope
    fiscal = result.calendar.moves(scope)
    on_names = fiscal or scope == "all" or (kind == "column" and scope in ("week", "quarter"))
    place = {"text_axis": True, **_every(result)} if on_names else {"date_axis": True, **_ticks(result)}
    return {
        "num_format": "d mmm yy" if fiscal else AXIS_DATES.get(scope, "d mmm yy"),
        "num_font": {"color": "#555555", "rotation": None},
        "line": {"color": GREY},
        "major_tick_mark": "outside",
        "minor_tick_mark": "none",
        "label_position": "low",
        **place,
    }


def _every(result: Result) -> dict[str, Any]:
    """The interval between labels on an axis of names, chosen so that no label is rotated."""
    periods = len({row["period"] for row in result.data})
    return {"interval_unit": -(-periods // MAX_LABELS)} if periods > MAX_LABELS else {}


def _ticks(result: Result) -> dict[str, Any]:
    """The distance between ticks in whole weeks or months. Short ranges of days and axes of whole years need none."""
    days = [row["period"] for row in result.data if row["period"] is not None]
    if result.scope == "week":  # a tick is at the first day of a week
        weeks = ((max(days) - min(days)).days // 7) + 1
        step = -(-weeks // MAX_LABELS)
        return {"major_unit": 7 * step, "major_unit_type": "days", "min": min(days)}
    months = (max(days).year - min(days).year) * 12 + max(days).month - min(days).month + 1
    if result.scope == "year" or (result.scope in ("day", "week") and months <= 2):
        return {}
    least = 3 if result.scope == "quarter" else 1
    apart = next((n for n in (1, 3, 6, 12) if n >= least and months <= 24 * n), 12)
    return {"major_unit": apart, "major_unit_type": "months", "num_format": "mmm yyyy"}


def _value_axis(drawing: NativeChart) -> dict[str, Any]:
    values = [s_row[drawing.column.name] for s in drawing.series for s_row in s.rows if s_row is not None]
    least = min((float(value) for value in values if value is not None), default=0.0)
    return {
        **({"min": 0} if begins_at_zero(drawing.column.facts) and least >= 0 else {}),
        "num_format": _axis_format(drawing.column, values),
        "num_font": {"color": "#555555"},
        "line": {"none": True},
        "major_gridlines": {"visible": True, "line": {"color": RULE, "width": 0.75}},
    }


def _axis_format(column: Column, values: list[Number | None]) -> str:
    """The format of the cells, without decimals if all of them would be zeros at the ticks."""
    large = any(abs(float(value)) >= 100 for value in values if value is not None)
    if large and not column.format:
        whole = Column(name=column.name, role="metric", type="integer", unit=column.unit)
        return number_format(whole).excel()
    return excel_format(column, values)
