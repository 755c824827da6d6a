"""Cuts a grid to the periods that a tab records, starting at the tab's first period instead of the book's. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from tallybook.deliver.destinations.google_sheets.rows import key_fields, rows_of
from tallybook.deliver.destinations.google_sheets.tab import Tab
from tallybook.deliver.destinations.layout import PERIOD, Grid
from tallybook.deliver.destinations.row_keys import DAY_0
from tallybook.deliver.destinations.typed_days import days_of


def first_period(grid: Grid, tab: Tab) -> date | None:
    """The first period in the tab, or None."""
    if grid.layout == "across":
        return min((day for name in tab.places for day in _days(name, grid)), default=None)
    fields = key_fields(grid)
    if fields[0].kind != PERIOD or fields[0].id not in tab.places:
        return None
    rows = rows_of(grid, tab)
    days = [float(key[0]) for key in rows.ours if isinstance(key[0], float)]
    cells = (tab.cell(row, tab.places[fields[0].id]) for row in rows.gone)
    days += [cell for cell in cells if isinstance(cell, float) and 0 <= cell < 2_958_466]
    return DAY_0 + timedelta(days=int(min(days))) if days else None


def _days(name: str, grid: Grid) -> list[date]:
    """The first day of the period in a heading."""
    start = grid.calendar.start_named(name, grid.scope)
    return [start] if start else days_of(name, month_first=False, scope=grid.scope)


def trimmed(grid: Grid, first: date | None, since: date) -> Grid:
    """The grid without periods before `since`, except for periods from `first` on, where the record begins."""
    begin = since if first is None else min(first, since)
    if grid.layout == "across":
        at = [place for place, field in enumerate(grid.fields) if field.day is None or field.day >= begin]
        lines = tuple(replace(line, values=tuple(line.values[place] for place in at)) for line in grid.lines)
        return replace(grid, fields=tuple(grid.fields[place] for place in at), lines=lines)
    kept = [line for line in grid.lines if not (isinstance(day := line.values[0], date) and day < begin)]
    return replace(grid, lines=tuple(kept))
