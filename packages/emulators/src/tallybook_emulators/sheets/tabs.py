"""Requests that create, change, copy and delete tabs, or change properties of the spreadsheet.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/request"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace

from tallybook_emulators.sheets.dimensions import resize
from tallybook_emulators.sheets.errors import invalid
from tallybook_emulators.sheets.masks import Tree, required, update
from tallybook_emulators.sheets.model import (
    COLUMNS,
    ROWS,
    TAB_LIMIT,
    Document,
    Json,
    Sheet,
    new_lines,
    new_sheet,
)
from tallybook_emulators.sheets.shifts import rename_tab_in_formulas
from tallybook_emulators.sheets.view import DEFAULT_FORMAT

SIZES = {"rowCount": ROWS, "columnCount": COLUMNS}
TITLE_LIMIT = 100
RANGES = frozenset({"anchorCell", "dimensionRange", "range", "ranges", "sources", "unprotectedRanges"})
"""Fields of objects on a tab whose type is GridRange, DimensionRange or GridCoordinate."""


def properties_json(sheet: Sheet) -> Json:
    """The SheetProperties of a tab, with its size."""
    grid = {"rowCount": len(sheet.rows), "columnCount": len(sheet.columns)} | sheet.properties["gridProperties"]
    return sheet.properties | {"gridProperties": grid}


def spreadsheet_properties(given: Json) -> Json:
    """The SpreadsheetProperties of a new spreadsheet."""
    made = {"title": "Untitled spreadsheet", "locale": "en_US", "autoRecalc": "ON_CHANGE", "timeZone": "Etc/GMT"}
    return made | {"defaultFormat": copy.deepcopy(DEFAULT_FORMAT)} | copy.deepcopy(given)


def add(document: Document, given: Json) -> Sheet:
    """Add a tab at the given index, or at the end."""
    if len(document.sheets) >= TAB_LIMIT:
        raise invalid(f"This action would increase the number of sheets above the limit of {TAB_LIMIT} sheets.")
    taken = {sheet.id for sheet in document.sheets}
    number = given.get("sheetId")
    if number is None:
        number = 0 if not taken else document.free_id(taken)
    elif number < 0:
        raise invalid(f"sheetId: {number} must not be negative.")
    elif number in taken:
        raise invalid(f"A sheet with the id {number} already exists.")
    title = given.get("title") or free_title(document)
    check_title(document, title)
    index = _index(document, given.get("index"))
    grid = given.get("gridProperties", {})
    for name in SIZES:
        if grid.get(name, 1) < 1:
            raise invalid(f"gridProperties.{name}: must be positive.")
    sheet = new_sheet(number, title, index, rows=grid.get("rowCount", 1000), columns=grid.get("columnCount", 26))
    kept = {k: v for k, v in grid.items() if k not in SIZES and v}
    rest = {
        k: v for k, v in given.items() if k not in ("sheetId", "title", "index", "gridProperties", "sheetType") and v
    }
    sheet.properties |= copy.deepcopy(rest) | {"gridProperties": kept}
    document.sheets.insert(index, sheet)
    document.number_tabs()
    document.check_size()
    return sheet


def _index(document: Document, index: int | None) -> int:
    if index is None:
        return len(document.sheets)
    if not 0 <= index <= len(document.sheets):
        raise invalid(f"Sheet index {index} is out of range [0, {len(document.sheets)}].")
    return index


def free_title(document: Document) -> str:
    number = len(document.sheets) + 1
    while document.titled(f"Sheet{number}"):
        number += 1
    return f"Sheet{number}"


def check_title(document: Document, title: str, besides: Sheet | None = None) -> None:
    if not title or len(title) > TITLE_LIMIT:
        raise invalid(f"Sheet names must have 1 to {TITLE_LIMIT} characters.")
    other = document.titled(title)
    if other is not None and other is not besides:
        raise invalid(f'A sheet with the name "{title}" already exists. Please enter another name.')


# --- requests -----------------------------------------------------------------------------------------------


def add_request(document: Document, request: Json) -> Json:
    return {"properties": properties_json(add(document, request.get("properties", {})))}


def delete_request(document: Document, request: Json) -> None:
    sheet = document.sheet(request.get("sheetId", 0))
    if len(document.sheets) == 1:
        raise invalid("You can't remove all the sheets in a document.")
    if not _any_visible(other for other in document.sheets if other is not sheet):
        raise invalid("You can't remove all the visible sheets in a document.")
    document.guard(sheet, sheet.whole)
    document.sheets.remove(sheet)
    document.named_ranges = [n for n in document.named_ranges if n["range"].get("sheetId", 0) != sheet.id]
    document.metadata = {n: one for n, one in document.metadata.items() if one.sheet_id != sheet.id}
    document.number_tabs()
    document.memo.clear()


def _any_visible(sheets: Iterable[Sheet]) -> bool:
    return any(not sheet.properties.get("hidden") for sheet in sheets)


def duplicate_request(document: Document, request: Json) -> Json:
    source = document.sheet(request.get("sourceSheetId", 0))
    title = request.get("newSheetName") or _copy_title(document, source.title)
    given = {"title": title, "index": request.get("insertSheetIndex", 0), "sheetId": request.get("newSheetId")}
    return {"properties": properties_json(copy_tab(document, source, given))}


def _copy_title(document: Document, title: str) -> str:
    name, number = f"Copy of {title}", 2
    while document.titled(name):
        name, number = f"Copy of {title} {number}", number + 1
    return name


def copy_tab(document: Document, source: Sheet, given: Json) -> Sheet:
    """Copy a tab. Its lines get new ids. Metadata is copied only with `copies_take_metadata`."""
    sheet = add(document, given)
    sheet.rows, sheet.columns = new_lines(len(source.rows)), new_lines(len(source.columns))
    lines = dict(zip(source.rows + source.columns, sheet.rows + sheet.columns, strict=True))
    sheet.cells = {
        lines[row]: {lines[column]: cell for column, cell in cells.items()} for row, cells in source.cells.items()
    }
    sheet.lines = {lines[line]: copy.deepcopy(found) for line, found in source.lines.items()}
    kept = ("title", "sheetId", "index")
    sheet.properties = copy.deepcopy(source.properties) | {name: sheet.properties[name] for name in kept}
    sheet.objects = {name: _moved(found, source.id, sheet.id, document) for name, found in source.objects.items()}
    sheet.basic_filter = _relinked(source.basic_filter, source.id, sheet.id) if source.basic_filter else None
    if document.copies_take_metadata:
        _copy_metadata(document, source, sheet, lines)
    document.check_size()
    return sheet


def _copy_metadata(document: Document, source: Sheet, sheet: Sheet, lines: dict[int, int]) -> None:
    """Copy the metadata of a tab and its lines, with new ids."""
    for one in [one for one in document.metadata.values() if one.sheet_id == source.id]:
        number = document.free_id(set(document.metadata))
        line = None if one.line is None else lines[one.line]
        document.metadata[number] = replace(one, id=number, sheet_id=sheet.id, line=line)


def _moved(kept: list[Json], old: int, new: int, document: Document) -> list[Json]:
    """The objects of the copy, with new ids."""
    made = [_relinked(one, old, new) for one in kept]
    for one in made:
        for name in ("protectedRangeId", "chartId", "filterViewId", "bandedRangeId"):
            if name in one:
                one[name] = document.free_id(set())
    return made


def _relinked(value: Json, old: int, new: int, within: str = "") -> Json:
    """JSON with the sheet id `old` replaced by `new`. A range in the field `within` without an id refers to sheet 0."""
    made: Json = {"sheetId": 0} if within in RANGES and "sheetId" not in value else {}
    for name, one in (made | value).items():
        if isinstance(one, dict):
            made[name] = _relinked(one, old, new, name)
        elif isinstance(one, list):
            made[name] = [_relinked(item, old, new, name) if isinstance(item, dict) else item for item in one]
        else:
            made[name] = new if name == "sheetId" and one == old else one
    return made


def update_request(document: Document, request: Json) -> None:
    given = request.get("properties", {})
    sheet = document.sheet(given.get("sheetId", 0))
    mask = required(request.get("fields"))
    if "*" in mask:
        mask = {name: {} for name in given if name not in ("sheetId", "sheetType")}
    if "sheetId" in mask and len(mask) == 1:
        raise invalid("sheetId cannot be changed.")
    if "title" in mask:
        check_title(document, given.get("title", ""), sheet)
        rename_tab_in_formulas(document, sheet.title, given["title"])
    _resize(document, sheet, mask, given)
    _move(document, sheet, mask, given)
    rest = {name: below for name, below in mask.items() if name not in ("gridProperties", "index", "sheetId")}
    made = update(sheet.properties, given, rest)
    grid = _grid_mask(mask, given)
    if grid:
        made["gridProperties"] = update(sheet.properties["gridProperties"], given.get("gridProperties", {}), grid)
    sheet.properties = {name: value for name, value in made.items() if value is not False}
    if sheet.properties.get("hidden") and not _any_visible(document.sheets):
        raise invalid("You can't hide all the sheets in a document.")
    _check_frozen(sheet)
    document.memo.clear()


def _grid_mask(mask: Tree, given: Json) -> Tree:
    if "gridProperties" not in mask:
        return {}
    below = mask["gridProperties"]
    wanted = below if below and "*" not in below else {name: {} for name in given.get("gridProperties", {})}
    return {name: inner for name, inner in wanted.items() if name not in SIZES}


def _resize(document: Document, sheet: Sheet, mask: Tree, given: Json) -> None:
    """Change the numbers of rows and columns. Google checks the size before it shrinks anything."""
    if "gridProperties" not in mask:
        return
    grid, below = given.get("gridProperties", {}), mask["gridProperties"]
    wanted = {name: grid[name] for name in SIZES if name in grid and (not below or name in below or "*" in below)}
    rows, columns = wanted.get("rowCount", len(sheet.rows)), wanted.get("columnCount", len(sheet.columns))
    others = sum(len(other.rows) * len(other.columns) for other in document.sheets if other is not sheet)
    if others + rows * columns > document.cell_limit:
        raise invalid(
            "This action would increase the number of cells in the workbook above the limit of "
            f"{document.cell_limit} cells."
        )
    for name, count in wanted.items():
        resize(document, sheet, SIZES[name], count)
    document.check_size()


def _move(document: Document, sheet: Sheet, mask: Tree, given: Json) -> None:
    """Move the tab. The index counts the tab at its old position, so a move to the right ends one lower."""
    if "index" not in mask:
        return
    wanted, now = given.get("index", 0), document.sheets.index(sheet)
    if not 0 <= wanted <= len(document.sheets):
        raise invalid(f"Sheet index {wanted} is out of range [0, {len(document.sheets)}].")
    document.sheets.remove(sheet)
    document.sheets.insert(wanted - 1 if wanted > now else wanted, sheet)
    document.number_tabs()


def _check_frozen(sheet: Sheet) -> None:
    grid = sheet.properties["gridProperties"]
    for name, lines in (("frozenRowCount", sheet.rows), ("frozenColumnCount", sheet.columns)):
        if not grid.get(name, 0):
            grid.pop(name, None)
        elif grid[name] >= len(lines):
            what = "rows" if name == "frozenRowCount" else "columns"
            raise invalid(f"You can't freeze all visible {what} on the sheet.")


def update_spreadsheet_request(document: Document, request: Json) -> None:
    mask = required(request.get("fields"))
    given = request.get("properties", {})
    if "*" in mask:
        mask = {name: {} for name in given}
    if ("title" in mask and not given.get("title")) or ("locale" in mask and not given.get("locale")):
        raise invalid("properties: title and locale must not be empty.")
    document.properties = update(document.properties, given, mask)
    document.memo.clear()


def copy_to(source: Document, sheet_id: int, target: Document) -> Json:
    """sheets.copyTo: copy a tab to the end of another spreadsheet."""
    sheet = source.sheet(sheet_id)
    copied = copy_tab(target, replace(sheet), {"title": _copy_title(target, sheet.title)})
    return properties_json(copied)
