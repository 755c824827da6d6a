"""Reads the part of a tab that a delivery needs: a small tab completely, a large tab only in its relevant rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tallybook.deliver.destinations.google_sheets.rows import key_fields, rows_of
from tallybook.deliver.destinations.google_sheets.tab import COLUMN, CONTENT, HEADER, Tab, read
from tallybook.deliver.destinations.layout import Grid
from tallybook.sheets import Json

if TYPE_CHECKING:
    from tallybook.sheets import Api

WHOLE = 400_000
"""Maximum number of cells of a tab that is read at once: about 20 MB. Google does not answer a request for ten million
cells."""
AREAS = 40
"""Maximum number of row ranges in one request."""
TRIES = 5
UNKNOWN_ROWS = 500
"""Maximum number of rows with unknown keys that are read completely, because they may have been ours."""


def look(api: Api, document: str, sheet: Json, grid: Grid, *, locale: str = "") -> Tab:
    """The tab in an overview, of a document with that locale. Of a large tab, it has all keys, the headings, the rows
    of the grid, and the positions of new rows and columns."""
    properties = sheet["properties"]
    tab_id, size = int(properties["sheetId"]), properties.get("gridProperties", {})
    if int(size.get("rowCount", 0)) * int(size.get("columnCount", 0)) > WHOLE:
        for _ in range(TRIES):
            tab = _keys_and_rows(api, document, tab_id, grid)
            if tab is not None:
                return replace(tab, locale=locale)
    whole = read(api.read(document, fields=CONTENT, ranges=[{"gridRange": {"sheetId": tab_id}}]))
    return replace(whole, locale=locale)


def _keys_and_rows(api: Api, document: str, tab_id: int, grid: Grid) -> Tab | None:
    """The tab, or None if it must be read completely, because it has no headings of ours or because rows moved between
    two requests."""
    keys = [field.id for field in key_fields(grid)]
    marks = [_marked(tab_id, HEADER), *(_marked(tab_id, COLUMN, name) for name in keys)]
    first = api.read(document, fields=CONTENT, ranges=marks)
    if not first.get("sheets"):
        return None
    tab = read(first)
    if tab.header is None or any(name not in tab.places for name in keys):
        return None
    areas = _areas(tab, grid)
    if not areas:
        return tab
    both = read(
        first, api.read(document, fields=CONTENT, ranges=[{"gridRange": {"sheetId": tab_id, **a}} for a in areas])
    )
    return both if rows_of(grid, both).delivered == rows_of(grid, tab).delivered and both.places == tab.places else None


def _marked(tab_id: int, key: str, value: str = "") -> Json:
    """A DataFilter for the rows or columns of a tab with this mark."""
    lookup = {"metadataKey": key, "metadataLocation": {"sheetId": tab_id}}
    return {"developerMetadataLookup": lookup | ({"metadataValue": value} if value else {})}


def _areas(tab: Tab, grid: Grid) -> list[Json]:
    """The ranges of a tab that are needed besides the keys."""
    found = rows_of(grid, tab)
    rows = {*found.ours.values(), *found.unknown[:UNKNOWN_ROWS]}
    last = max(found.last, tab.header or 0)
    new = len(grid.lines) - len(found.ours)
    # The two rows above new rows show which formulas of people continue in them.
    rows |= {row for row in (last - 1, last) if row > (tab.header or 0)}
    rows |= set(range(last + 1, min(last + 1 + new, tab.rows)))
    areas: list[Json] = [{"startRowIndex": first, "endRowIndex": behind} for first, behind in _spans(rows)]
    left = max(tab.places.values(), default=-1) + 1
    right = min(left + sum(field.id not in tab.places for field in grid.fields), tab.columns)
    return areas + ([{"startColumnIndex": left, "endColumnIndex": right}] if left < right else [])


def _spans(rows: Iterable[int]) -> list[tuple[int, int]]:
    """A few half-open ranges that contain all rows, separated at the widest gaps."""
    ordered = sorted(rows)
    gaps = sorted((b - a for a, b in pairwise(ordered)), reverse=True)
    widest = max(gaps[AREAS - 1] if len(gaps) >= AREAS else 1, 1)
    spans: list[tuple[int, int]] = []
    for row in ordered:
        if spans and row - spans[-1][1] < widest:
            spans[-1] = spans[-1][0], row + 1
        else:
            spans.append((row, row + 1))
    return spans
