"""The sheets in front of a delivered workbook: the last values with their trend, and charts.

They exist only in a workbook that a delivery created, until someone deletes them. Each delivery updates their cells
together with those of the table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from io import BytesIO
from typing import Any
from zlib import crc32

from tallybook.core import Column, Number, Result, Row, metric_words, series_by_weight
from tallybook.deliver.destinations.excel.new.charts import NativeChart, NativeSeries, chart_title, native_chart
from tallybook.deliver.destinations.excel.new.pages import CHART_DATA, CHARTS, Pages, clean_text
from tallybook.deliver.destinations.layout import NUMBER, PERIOD, TEXT, Field, Grid, Line, Value
from tallybook.sheets import Package, Workbook, damage_reported

OVERVIEW = "Overview"
TREND_PERIODS = 12
MAX_CHART_SERIES = 8
CHART_ROWS = 18
BARS = "▁▂▃▄▅▆▇█"
CHANGE = Column(name="change", role="metric", type="float", format="0.0%")
"""The column for changes."""


def overview_grid(result: Result) -> Grid:
    """A row for each metric and series, with its last complete period, the value, the change, and the trend."""
    dims = [column.name for column in result.dimension_columns]
    fields = (
        Field(id="metric", head="metric", kind=TEXT),
        *(Field(id=f"by_{name}", head=name, kind=TEXT) for name in dims),
        Field(id="last", head=f"last complete {result.scope}", kind=PERIOD),
        Field(id="value", head="value", kind=NUMBER),
        Field(id="unit", head="unit", kind=TEXT),
        Field(id="change", head="change", kind=NUMBER, column=CHANGE),
        Field(id="trend", head=f"last {TREND_PERIODS}", kind=TEXT),
    )
    lines = tuple(
        Line(
            values=(metric_words(column.facts), *key, *_last_values(rows, column)),
            column=column,
            key=1 + len(dims),
        )
        for column in result.metric_columns
        for key, rows in _series(result).items()
    )
    return Grid(fields=fields, lines=lines, layout="long", scope=result.scope, calendar=result.calendar)


def _series(result: Result) -> dict[tuple[Any, ...], list[Row]]:
    """The rows of the largest series by period, without totals."""
    dims = [column.name for column in result.dimension_columns]
    rows = [r for r in result.data if not r.get("total") and not r.get("others") and r["period"] is not None]
    metrics = [column.name for column in result.metric_columns]
    keys = series_by_weight(rows, dims, metrics)[:MAX_CHART_SERIES]
    return {key: sorted((r for r in rows if _key(r, dims) == key), key=lambda r: r["period"]) for key in keys}


def _key(row: Row, dims: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in dims)


def _last_values(rows: Sequence[Row], column: Column) -> tuple[Value, ...]:
    """(period, value, unit, change, trend) of a series."""
    complete = [row for row in rows if row["complete"]]
    unit = next((str(row[column.unit_from]) for row in rows if column.unit_from), None) or column.unit
    if not complete:
        return (None, None, unit, None, None)
    values: list[Number | None] = [row[column.name] for row in complete]
    last, before = values[-1], values[-2] if len(values) > 1 else None
    change = float(last) / float(before) - 1 if last is not None and before is not None and before > 0 else None
    return (complete[-1]["period"], last, unit, change, _trend(values[-TREND_PERIODS:]))


def _trend(values: Sequence[Number | None]) -> str | None:
    """A bar for each period, scaled from the largest value down to zero or the smallest value. A blank for a period
    without a value."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return None
    low, high = min(0.0, *known), max(0.0, *known)
    size = (high - low) or 1.0
    bars = (" " if v is None else BARS[round((float(v) - low) / size * (len(BARS) - 1))] for v in values)
    return "".join(bars)


def chart_grid(result: Result) -> Grid:
    """The data of the charts: for each metric and series, one column with its complete periods and one with the
    others."""
    fields = [Field(id="period", head=result.scope, kind=PERIOD)]
    columns = list(_chart_columns(result))
    for column, label, _, ids in columns:
        heads = (f"{metric_words(column.facts)} {label}".strip(), f"{label or column.name} (not complete)")
        fields += [Field(id=i, head=head, kind=NUMBER, column=column) for i, head in zip(ids, heads, strict=True)]
    periods = sorted({row["period"] for row in result.data if row["period"] is not None})
    cells = [{row["period"]: row for row in rows} for _, _, rows, _ in columns]
    lines = []
    for period in periods:
        values: list[Value] = [period]
        for (column, *_), rows in zip(columns, cells, strict=True):
            row = rows.get(period)
            value = None if row is None else row[column.name]
            values += [value, None] if row is None or row["complete"] else [None, value]
        lines.append(Line(values=tuple(values)))
    return Grid(
        fields=tuple(fields), lines=tuple(lines), layout="columns", scope=result.scope, calendar=result.calendar
    )


def _chart_columns(result: Result) -> Iterator[tuple[Column, str, list[Row], tuple[str, str]]]:
    """(metric, label, rows, ids of its two fields) for each series. An id depends only on the series."""
    for column in result.metric_columns:
        for key, rows in _series(result).items():
            label = " · ".join("(none)" if part is None else str(part) for part in key)
            own = f"{column.name}_{crc32(repr(key).encode()):08x}"
            yield column, clean_text(label), rows, (own, f"{own}_part")


def front_workbook(tab: str, result: Result, created: datetime | None) -> bytes:
    """A new workbook with the overview, the delivery's tab, the charts, and a hidden sheet with their data. `updated`
    writes its cells."""
    file, grid = BytesIO(), chart_grid(result)
    pages = Pages(result, file, created, chart_data=False, sheets=(OVERVIEW, tab, CHARTS, CHART_DATA))
    for name in (OVERVIEW, tab):
        pages.sheet(name).freeze_panes(1, 0)
    for name in (OVERVIEW, tab, CHARTS):
        pages.sheet(name).set_landscape()
        pages.sheet(name).fit_to_pages(1, 0)
    pages.sheet(CHART_DATA).hide()
    sheet = pages.sheet(CHARTS)
    sheet.hide_gridlines(2)
    place = {field.id: at for at, field in enumerate(grid.fields)}
    for at, column in enumerate(result.metric_columns):
        series = list(_drawn_series(result, column, place, grid))
        if any(row is not None for one in series for row in one.rows):
            title = chart_title(result, column, len(series) // 2, len(series) // 2)
            drawing = NativeChart(column, title.lstrip("="), title, series)
            sheet.insert_chart(at * CHART_ROWS, 0, native_chart(pages, drawing), {"description": drawing.text})
    pages.book.close()
    return file.getvalue()


def _drawn_series(result: Result, column: Column, place: dict[str, int], grid: Grid) -> Iterator[NativeSeries]:
    """References to the cells that `updated` will write, with the rows known so far."""
    bottom, days = len(grid.lines), [line.values[0] for line in grid.lines]
    for one, label, rows, ids in _chart_columns(result):
        if one is not column or not bottom:
            continue
        by_day = {row["period"]: row for row in rows}
        for partial, id_ in enumerate(ids):
            at = place[id_]
            shown = [by_day.get(day) for day in days]
            yield NativeSeries(
                name=[CHART_DATA, 0, at],
                periods=[CHART_DATA, 1, 0, bottom, 0],
                values=[CHART_DATA, 1, at, bottom, at],
                rows=[row if row is not None and row["complete"] != bool(partial) else None for row in shown],
                label=label,
                partial=bool(partial),
            )


def has_front(there: bytes, name: str) -> bool:
    """Whether a workbook still has the front sheets that the delivery with this name created."""
    with damage_reported():
        area = Workbook(Package(there, only_reading=True)).area(f"{overview_name(name)}.metric")
    return area is not None


def overview_name(name: str) -> str:
    """The prefix of the names of the overview's cells."""
    return f"{name}_overview"


def chart_data_name(name: str) -> str:
    """The prefix of the names of the cells with the charts' data."""
    return f"{name}_charts"


def with_grown_charts(made: bytes, name: str) -> bytes:
    """The workbook with its charts extended over all rows of their columns."""
    package = Package(made)
    book = Workbook(package)
    area, charts = book.area(f"{chart_data_name(name)}.period"), book.part_of(CHARTS)
    if area is None or charts is None:
        return made
    sheet, cells = area
    reference = re.compile(rf"(<c:f>'?{re.escape(sheet)}'?!\$[A-Z]+\${cells.top}:\$[A-Z]+\$)\d+(</c:f>)")
    for drawing in package.relations(charts[1]):
        for chart in package.relations(drawing.target) if drawing.kind == "drawing" else ():
            text = package.read(chart.target).decode()
            grown = reference.sub(rf"\g<1>{cells.bottom}\g<2>", text)
            if grown != text:
                package.put(chart.target, grown.encode())
    return package.made() if package.changed else made
