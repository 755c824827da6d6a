"""Builds the requests of one `spreadsheets.batchUpdate` for a `TabChange`. Pure: sends nothing.

Every text is a `stringValue` and every number a `numberValue`, so Google parses nothing by locale and nothing becomes a
formula. https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/request"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from tallybook.core import Column
from tallybook.deliver.destinations.google_sheets.change import TabChange, Written
from tallybook.deliver.destinations.google_sheets.formulas import row_formulas
from tallybook.deliver.destinations.google_sheets.rows import key_fields
from tallybook.deliver.destinations.google_sheets.tab import COLUMN, HEADER, Tab, entered, entered_key
from tallybook.deliver.destinations.layout import NUMBER, PERIOD, Field, Line, Value
from tallybook.deliver.destinations.row_keys import Cell
from tallybook.sheets import DELIVERY, Json, metadata_creation

ROWS, COLUMNS = "ROWS", "COLUMNS"
PATTERNS = {"day": "yyyy-mm-dd", "week": "yyyy-mm-dd", "month": "yyyy-mm", "quarter": "yyyy-mm", "year": "yyyy"}
"""The date format of the first day of a period."""
Pattern = Callable[[Column | None, Sequence[Value]], str]
"""The number format of a metric, from its column and its values."""


def requests_of(
    change: TabChange, owner: str, *, title: str, made: bool, adopted: bool = False, pattern: Pattern, notes: str = ""
) -> list[Json]:
    """The requests, in the order in which Google applies them. `title`: the declared title of the tab. `made`: the tab
    does not exist yet. `adopted`: it is an empty tab of a person. `notes`: the note for corrected cells about the old
    value, such as "until 2026-03-01"."""
    tab, grid = change.tab, change.grid
    found = [*_tab(tab, f"{owner}#{title}", title, made=made, adopted=adopted)]
    places = {field.id: tab.places[field.id] for field in grid.fields if field.id in tab.places}
    keys = {field.id for field in key_fields(grid)}
    there = [cell for cell in change.written if cell.field in places]
    found += _corrections(tab, [cell for cell in there if cell.field not in keys], places, notes)
    found += [_restored_key(change, cell, places) for cell in there if cell.field in keys]
    found += _room_for_columns(change)
    new = {field.id: change.last_column + 1 + i for i, field in enumerate(change.fields)}
    found += [metadata_creation(_span(tab, COLUMNS, column), COLUMN, name) for name, column in new.items()]
    places |= new
    header, shifted = tab.header, 0
    if header is None:
        header = _place_of_headings(change)
        shifted = 0 if tab.empty_rows(header, header + 1) else 1
        found += [_insert(tab, ROWS, header, header + 1)] * shifted
        found.append(metadata_creation(_span(tab, ROWS, header), HEADER, "1"))
    headed = grid.fields if change.headings else (*change.fields, *change.blank_heads)
    found += [_headings(tab, header, run, places) for run in _runs(headed, places)]
    found += _filled(change, new, shifted)
    last = header if change.last_row < 0 else change.last_row + shifted
    found += _added(change, places, header, last, made=made, pattern=pattern)
    found += [_delete(tab, ROWS, row + shifted) for row in reversed(change.gone_rows)]
    found += [_delete(tab, COLUMNS, column) for column in reversed(_after_room(change))]
    return found


# --- places ------------------------------------------------------------------------------------------------------


def _tab(tab: Tab, own: str, title: str, *, made: bool, adopted: bool) -> list[Json]:
    """The requests that mark the tab as ours, with its declared title."""
    marked = metadata_creation({"sheetId": tab.id}, DELIVERY, own)
    if made:
        return [_sheet(tab), marked]
    if adopted:
        return [_frozen(tab), marked]
    return _renamed(tab, own, title) if tab.declared != title else []


def _sheet(tab: Tab) -> Json:
    grid = {"rowCount": tab.rows, "columnCount": tab.columns, "frozenRowCount": 1}
    return {"addSheet": {"properties": {"sheetId": tab.id, "title": tab.title, "gridProperties": grid}}}


def _frozen(tab: Tab) -> Json:
    properties = {"sheetId": tab.id, "gridProperties": {"frozenRowCount": 1}}
    return {"updateSheetProperties": {"properties": properties, "fields": "gridProperties.frozenRowCount"}}


def _renamed(tab: Tab, own: str, title: str) -> list[Json]:
    """The request that renames the tab after its declaration changed."""
    named = {"properties": {"sheetId": tab.id, "title": title}, "fields": "title"}
    which = [{"developerMetadataLookup": {"metadataId": tab.mark}}]
    marked = {"dataFilters": which, "developerMetadata": {"metadataValue": own}, "fields": "metadataValue"}
    return [{"updateSheetProperties": named}, {"updateDeveloperMetadata": marked}]


def _span(tab: Tab, dimension: str, place: int) -> Json:
    """A row or a column, as a metadata location."""
    return {"dimensionRange": _range(tab, dimension, place, place + 1)}


def _range(tab: Tab, dimension: str, first: int, behind: int) -> Json:
    return {"sheetId": tab.id, "dimension": dimension, "startIndex": first, "endIndex": behind}


def _insert(tab: Tab, dimension: str, first: int, behind: int) -> Json:
    return {"insertDimension": {"range": _range(tab, dimension, first, behind), "inheritFromBefore": first > 0}}


def _append(tab: Tab, dimension: str, length: int) -> Json:
    return {"appendDimension": {"sheetId": tab.id, "dimension": dimension, "length": length}}


def _delete(tab: Tab, dimension: str, place: int) -> Json:
    return {"deleteDimension": {"range": _range(tab, dimension, place, place + 1)}}


def _room_for_columns(change: TabChange) -> list[Json]:
    """Insert new columns after our last column. Columns that belong to people move to the right."""
    tab, first = change.tab, change.last_column + 1
    behind = first + len(change.fields)
    if not change.fields:
        return []
    if not tab.empty_columns(first, behind):
        return [_insert(tab, COLUMNS, first, behind)]
    return [_append(tab, COLUMNS, behind - tab.columns)] if behind > tab.columns else []


def _after_room(change: TabChange) -> list[int]:
    """The columns to delete, counted after the insertion of new ones."""
    return [_moved(change, column) for column in change.gone_columns]


def _moved(change: TabChange, column: int) -> int:
    """The position of a column after the insertion of new ones."""
    first = change.last_column + 1
    is_moved = column >= first and not change.tab.empty_columns(first, first + len(change.fields))
    return column + (len(change.fields) if is_moved else 0)


def _place_of_headings(change: TabChange) -> int:
    """The row of the headings: the row above our first row, or the top of an empty tab."""
    first = min((cell.row for cell in change.written), default=None)
    rows = [row for row in range(len(change.tab.cells)) if change.tab.places and change.tab.cells[row]]
    return min([row for row in (first, *rows[:1]) if row is not None], default=0)


# --- cells ---------------------------------------------------------------------------------------------------------


def _value(cell: Cell) -> dict[str, Any]:
    """A CellData with only the entered value."""
    if cell is None:
        return {}
    kind = "boolValue" if isinstance(cell, bool) else "numberValue" if isinstance(cell, float) else "stringValue"
    return {"userEnteredValue": {kind: cell}}


def _cells(tab: Tab, row: int, column: int, rows: Sequence[Sequence[Json]], fields: str) -> Json:
    start = {"sheetId": tab.id, "rowIndex": row, "columnIndex": column}
    return {"updateCells": {"start": start, "rows": [{"values": list(values)} for values in rows], "fields": fields}}


def _runs(fields: Iterable[Field], places: dict[str, int]) -> list[list[Field]]:
    """The fields in the order of their columns, grouped so that no column of a person is between the fields of a
    group."""
    ordered = sorted(fields, key=lambda field: places[field.id])
    numbered = groupby(enumerate(ordered), key=lambda pair: places[pair[1].id] - pair[0])
    return [[field for _, field in run] for _, run in numbered]


def _headings(tab: Tab, row: int, run: Sequence[Field], places: dict[str, int]) -> Json:
    bold = {"userEnteredFormat": {"textFormat": {"bold": True}, "wrapStrategy": "WRAP", "verticalAlignment": "BOTTOM"}}
    heads = [{"userEnteredValue": {"stringValue": field.head}, **bold} for field in run]
    fields = "userEnteredValue,userEnteredFormat(textFormat.bold,wrapStrategy,verticalAlignment)"
    return _cells(tab, row, places[run[0].id], [heads], fields)


def _corrections(tab: Tab, cells: Sequence[Written], places: dict[str, int], notes: str) -> list[Json]:
    """The requests for cells; neighbors in a row share one."""
    found = []
    ordered = sorted(cells, key=lambda cell: (cell.row, places[cell.field]))
    runs = groupby(enumerate(ordered), key=lambda pair: (pair[1].row, places[pair[1].field] - pair[0]))
    fields = "userEnteredValue,note" if notes else "userEnteredValue"
    for _, run in runs:
        neighbours = [cell for _, cell in run]
        values = [_value(cell.new) | ({"note": _noted(cell, notes)} if notes else {}) for cell in neighbours]
        found.append(_cells(tab, neighbours[0].row, places[neighbours[0].field], [values], fields))
    return found


def _restored_key(change: TabChange, cell: Written, places: dict[str, int]) -> Json:
    """The request that restores a key cell, with its format, because a number in a text cell would be shown as a
    number."""
    field = next(field for field in change.grid.fields if field.id == cell.field)
    look = _look(change, field, lambda *_: "") or {}
    fields = "userEnteredValue,userEnteredFormat.numberFormat"
    return _cells(change.tab, cell.row, places[cell.field], [[_value(cell.new) | look]], fields)


def _noted(cell: Written, notes: str) -> str:
    if cell.old is None:
        return f"empty {notes}"
    old = f"{cell.old:.15g}" if isinstance(cell.old, float) else str(cell.old)
    return f"{old} {notes}"


def _filled(change: TabChange, new: dict[str, int], shifted: int) -> list[Json]:
    """The values of new columns in existing rows."""
    found = []
    for field in change.fields:
        cells = sorted((cell for cell in change.written if cell.field == field.id), key=lambda cell: cell.row)
        for _, run in groupby(enumerate(cells), key=lambda pair: pair[1].row - pair[0]):
            several = [cell for _, cell in run]
            rows = [[_value(cell.new)] for cell in several]
            found.append(_cells(change.tab, several[0].row + shifted, new[field.id], rows, "userEnteredValue"))
    return found


def _added(
    change: TabChange, places: dict[str, int], header: int, last: int, *, made: bool, pattern: Pattern
) -> list[Json]:
    """Insert new lines below our last row, with the formats of the row above. Rows that belong to people move down."""
    tab, lines = change.tab, change.lines
    if not lines:
        return []
    first, behind = last + 1, last + 1 + len(lines)
    found: list[Json] = []
    if not made and not tab.empty_rows(first, behind):
        found.append(_insert(tab, ROWS, first, behind))
    elif not made and behind > tab.rows:
        found.append(_append(tab, ROWS, behind - tab.rows))
    like_the_last = last > header and bool(change.tab.places) and not change.headings
    looks = (
        {name: {} for name in places}
        if like_the_last
        else {field.id: _look(change, field, pattern) for field in change.grid.fields}
    )
    at = {field.id: place for place, field in enumerate(change.grid.fields)}
    for run in _runs(change.grid.fields, places):
        column = places[run[0].id]
        if like_the_last:
            found.append(_looks(tab, last, first, behind, column, column + len(run)))
        rows = [
            [_value(_cell_of(line, at[f.id])) | _looked(looks.get(f.id), f, line, pattern) for f in run]
            for line in lines
        ]
        fields = "userEnteredValue" if like_the_last else "userEnteredValue,userEnteredFormat.numberFormat"
        found.append(_cells(tab, first, column, rows, fields))
    if like_the_last:
        columns = [_moved(change, column) for column in row_formulas(tab, last, set(tab.places.values()))]
        found += [paste for column in columns for paste in _continued(tab, column, last, first, behind)]
    return found


def _cell_of(line: Line, place: int) -> Cell:
    value = line.values[place]
    return entered_key(value) if place < line.key else entered(value)


def _continued(tab: Tab, column: int, like: int, first: int, behind: int) -> list[Json]:
    """The requests that continue a person's formula, with its format, in new rows, as if filled down."""
    paste = _looks(tab, like, first, behind, column, column + 1)["copyPaste"]
    return [{"copyPaste": {**paste, "pasteType": kind}} for kind in ("PASTE_FORMAT", "PASTE_FORMULA")]


def _looks(tab: Tab, like: int, first: int, behind: int, left: int, right: int) -> Json:
    """The request that copies the formats of a row of ours, including people's changes, to the rows first … behind."""
    columns = {"sheetId": tab.id, "startColumnIndex": left, "endColumnIndex": right}
    source = columns | {"startRowIndex": like, "endRowIndex": like + 1}
    into = columns | {"startRowIndex": first, "endRowIndex": behind}
    return {"copyPaste": {"source": source, "destination": into, "pasteType": "PASTE_FORMAT"}}


def _look(change: TabChange, field: Field, pattern: Pattern) -> dict[str, Any] | None:
    """The format of the cells of a field; None if each line has its own (layout long)."""
    if field.kind == PERIOD:
        # The date format would show a calendar period, and a fiscal year or month does not begin with one.
        scope = "day" if change.grid.calendar.moves(change.grid.scope) else change.grid.scope
        return _shown("DATE", PATTERNS.get(scope, "yyyy-mm-dd"))
    if field.kind != NUMBER:
        return _shown("TEXT", "")
    if field.column is None:
        return None
    place = change.grid.fields.index(field)
    return _shown("NUMBER", pattern(field.column, [line.values[place] for line in change.grid.lines]))


def _looked(look: dict[str, Any] | None, field: Field, line: Line, pattern: Pattern) -> dict[str, Any]:
    if look is None and field.kind == NUMBER and line.column is not None and field.column is None:
        return _shown("NUMBER", pattern(line.column, [v for v in line.values if isinstance(v, int | float | Decimal)]))
    return look or {}


def _shown(kind: str, pattern: str) -> dict[str, Any]:
    shown = {"type": kind, "pattern": pattern} if pattern else {"type": kind}
    return {"userEnteredFormat": {"numberFormat": shown}}
