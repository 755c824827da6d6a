"""Finds the table below which values.append writes.

A table is the bounding rectangle of a block of cells with values that no empty row or column divides. If the range
intersects several tables, the last one counts: the lowest, and of those the one furthest to the right.
https://developers.google.com/workspace/sheets/api/guides/values#append_values has the cases."""

from __future__ import annotations

from tallybook_emulators.sheets.a1 import Rect
from tallybook_emulators.sheets.dimensions import insert
from tallybook_emulators.sheets.model import ROWS, Document, Sheet


def table_in(sheet: Sheet, area: Rect) -> Rect | None:
    """The last table that intersects `area`. None if `area` has no values."""
    for row in range(min(area.r1, sheet.last_row()) - 1, area.r0 - 1, -1):
        for column in range(area.c1 - 1, area.c0 - 1, -1):
            if sheet.has(row, column):
                return block(sheet, row, column)
    return None


def block(sheet: Sheet, row: int, column: int) -> Rect:
    """The table around a cell: the rectangle grows while an adjacent cell, corners included, has a value."""
    r0, r1, c0, c1 = row, row + 1, column, column + 1
    rows, columns = len(sheet.rows), len(sheet.columns)
    while True:
        left, right = max(0, c0 - 1), min(columns, c1 + 1)
        grown = (r0, r1, c0, c1)
        while r0 > 0 and any(sheet.has(r0 - 1, c) for c in range(left, right)):
            r0 -= 1
        while r1 < rows and any(sheet.has(r1, c) for c in range(left, right)):
            r1 += 1
        above, below = max(0, r0 - 1), min(rows, r1 + 1)
        if c0 > 0 and any(sheet.has(r, c0 - 1) for r in range(above, below)):
            c0 -= 1
        if c1 < columns and any(sheet.has(r, c1) for r in range(above, below)):
            c1 += 1
        if grown == (r0, r1, c0, c1):
            return Rect(r0, r1, c0, c1)


def insert_rows(document: Document, sheet: Sheet, at: int, count: int) -> None:
    """Insert rows below a table. The rows there move down."""
    if at >= len(sheet.rows):
        sheet.grow(ROWS, count)
    else:
        insert(document, sheet, ROWS, at, count)
