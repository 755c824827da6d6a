"""Adjusts ranges and formulas when rows or columns are inserted, deleted or moved."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tallybook_emulators.sheets.a1 import Span, letters, parse, quoted, split
from tallybook_emulators.sheets.formulas import TOKENS
from tallybook_emulators.sheets.model import COLUMNS, ROWS, Document, Json, Sheet

Ends = tuple[int, int | None]
GRID_KEYS = {"startRowIndex", "endRowIndex", "startColumnIndex", "endColumnIndex"}
GONE = object()


@dataclass(frozen=True)
class LineChange:
    """An insertion, deletion or move of lines. `span` maps a range [start, end) to its new position (None: deleted)."""

    sheet: Sheet
    dimension: str
    span: Callable[[int, int | None], Ends | None]


def inserted(at: int, count: int) -> Callable[[int, int | None], Ends | None]:
    def span(start: int, end: int | None) -> Ends:
        later = end if end is None else end + (count if end > at else 0)
        return start + (count if start >= at and not (start == 0 and end is None) else 0), later

    return span


def deleted(first: int, past: int) -> Callable[[int, int | None], Ends | None]:
    def span(start: int, end: int | None) -> Ends | None:
        start = start if start <= first else max(first, start - (past - first))
        end = end if end is None or end <= first else max(first, end - (past - first))
        return (start, end) if end is None or end > start else None

    return span


def moved(first: int, past: int, to: int) -> Callable[[int, int | None], Ends | None]:
    """The move of lines to `to`, an index before the move, as in MoveDimensionRequest."""
    count = past - first
    landed = to if to <= first else to - count

    def span(start: int, end: int | None) -> Ends | None:
        if end is None:
            return start, None
        if first <= start and end <= past:
            return start - first + landed, end - first + landed
        left = deleted(first, past)(start, end)
        return inserted(landed, count)(*left) if left else None

    return span


def apply(document: Document, change: LineChange) -> None:
    """Adjust everything in the document that refers to lines of the changed sheet."""
    for sheet in document.sheets:
        for name, kept in sheet.objects.items():
            sheet.objects[name] = _objects(kept, change)
        filtered = shifted(sheet.basic_filter, change) if sheet.basic_filter else None
        sheet.basic_filter = None if filtered is GONE else filtered
        _formulas(document, sheet, change)
    document.named_ranges = _objects(document.named_ranges, change)
    document.memo.clear()


def _objects(kept: list[Json], change: LineChange) -> list[Json]:
    return [made for one in kept if (made := shifted(one, change)) is not GONE]


def shifted(value: Any, change: LineChange) -> Any:
    """JSON with its GridRanges, DimensionRanges and GridCoordinates adjusted. GONE if its range is deleted."""
    if isinstance(value, list):
        made = [item for one in value if (item := shifted(one, change)) is not GONE]
        return made if made or not value else GONE
    if not isinstance(value, dict):
        return value
    if value.get("sheetId", 0) == change.sheet.id:
        if GRID_KEYS & set(value):
            return _grid_range(value, change)
        if "dimension" in value:
            return _dimension_range(value, change)
    made_fields = {name: shifted(one, change) for name, one in value.items()}
    anchor = value.get("anchorCell")
    if anchor is not None and anchor.get("sheetId", 0) == change.sheet.id:
        made_fields["anchorCell"] = _coordinate(anchor, change)
    for name, index in (("filterSpecs", "columnIndex"), ("sortSpecs", "dimensionIndex")):
        if (
            name in value
            and change.dimension == COLUMNS
            and value.get("range", {}).get("sheetId", 0) == change.sheet.id
        ):
            made_fields[name] = _columns_of(value[name], index, change)
    if any(made_fields.get(name) is GONE for name in ("range", "ranges")):
        return GONE
    return {name: one for name, one in made_fields.items() if one is not GONE}


def _names(change: LineChange) -> tuple[str, str]:
    return ("startRowIndex", "endRowIndex") if change.dimension == ROWS else ("startColumnIndex", "endColumnIndex")


def _grid_range(value: Json, change: LineChange) -> Any:
    start, end = _names(change)
    ends = change.span(value.get(start, 0), value.get(end))
    if ends is None:
        return GONE
    made = {name: one for name, one in value.items() if name not in (start, end)}
    if start in value or ends[0]:
        made[start] = ends[0]
    return made | ({} if ends[1] is None else {end: ends[1]})


def _dimension_range(value: Json, change: LineChange) -> Any:
    if value["dimension"] != change.dimension:
        return value
    ends = change.span(value.get("startIndex", 0), value.get("endIndex"))
    return GONE if ends is None else value | {"startIndex": ends[0], "endIndex": ends[1]}


def _columns_of(specs: list[Json], name: str, change: LineChange) -> Any:
    """The adjusted filters or sort orders of a filter. Each refers to a column of the sheet."""
    made = []
    for spec in specs:
        ends = change.span(spec.get(name, 0), spec.get(name, 0) + 1)
        if ends is not None:
            made.append(spec | {name: ends[0]})
    return made or GONE


def _coordinate(value: Json, change: LineChange) -> Json:
    name = "rowIndex" if change.dimension == ROWS else "columnIndex"
    at = value.get(name, 0)
    ends = change.span(at, at + 1)
    return value | {name: ends[0] if ends else max(0, at - 1)}


# --- formulas -----------------------------------------------------------------------------------------------


def _formulas(document: Document, sheet: Sheet, change: LineChange) -> None:
    def changed(text: str) -> str:
        title, rest = split(text)
        target = sheet if title is None else document.titled(title)
        span = parse(rest or "")
        if target is not change.sheet or span is None:
            return text
        low, high = (span.r0, span.r1) if change.dimension == ROWS else (span.c0, span.c1)
        ends = change.span(low, high)
        if ends is None:
            return "#REF!"
        if change.dimension == ROWS:
            return retarget(text, Span(ends[0], ends[1], span.c0, span.c1))
        return retarget(text, Span(span.r0, span.r1, ends[0], ends[1]))

    each_formula(sheet, lambda formula, _row, _column: rewrite_references(formula, changed))


def each_formula(sheet: Sheet, changed: Callable[[str, int, int], str]) -> None:
    """Replace each formula of a sheet by the result of `changed`."""
    for row, column, cell in list(sheet.filled(sheet.whole)):
        formula = cell["userEnteredValue"].get("formulaValue")
        if formula and (new := changed(formula, row, column)) != formula:
            sheet.put(row, column, {**cell, "userEnteredValue": {"formulaValue": new}})


def rewrite_references(formula: str, changed: Callable[[str], str]) -> str:
    """The formula with `changed` applied to each reference."""
    out, at = ["="], 1
    while at < len(formula):
        found = TOKENS.match(formula, at)
        if not found:
            return "".join(out) + formula[at:]
        kind = found.lastgroup or ""
        piece = found[0]
        if kind == "ref":
            piece = piece[: len(piece) - len(found[kind])] + changed(found[kind])
        out.append(piece)
        at = found.end()
    return "".join(out)


def retarget(text: str, span: Span) -> str:
    """The reference `text` changed to `span`. Its tab and its `$` marks stay."""
    title, rest = split(text)
    prefix = "" if title is None else f"{quoted(title)}!"
    first, colon, last = (rest or "").partition(":")
    start = _corner(first, span.r0, span.c0)
    if not colon:
        return prefix + start
    return f"{prefix}{start}:{_corner(last, (span.r1 or 1) - 1, (span.c1 or 1) - 1)}"


def _corner(text: str, row: int, column: int) -> str:
    found = re.match(r"^(\$?)([A-Za-z]*)(\$?)([0-9]*)$", text)
    assert found
    letter = f"{found[1]}{letters(column)}" if found[2] else ""
    mark = found[3] if found[2] else found[1] or found[3]
    return letter + (f"{mark}{row + 1}" if found[4] else "")


def shift_references(formula: str, down: int, right: int) -> str:
    """The formula after a copy by an offset: references without `$` are shifted."""

    def changed(text: str) -> str:
        title, rest = split(text)
        span = parse(rest or "")
        if span is None:
            return text
        parts = [_moved(part, down, right) for part in (rest or "").split(":")]
        if None in parts:
            return "#REF!"
        return ("" if title is None else f"{quoted(title)}!") + ":".join(part or "" for part in parts)

    return rewrite_references(formula, changed)


def _moved(text: str, down: int, right: int) -> str | None:
    from tallybook_emulators.sheets.a1 import column_number

    found = re.match(r"^(\$?)([A-Za-z]*)(\$?)([0-9]*)$", text)
    assert found
    row = int(found[4] or 1) - 1 + (0 if found[3] else down)
    column = (column_number(found[2]) if found[2] else 0) + (0 if found[1] else right)
    return None if row < 0 or column < 0 else _corner(text, row, column)


def rename_tab_in_formulas(document: Document, old: str, new: str) -> None:
    """Replace the title of a renamed tab in all formulas."""

    def changed(text: str) -> str:
        title, rest = split(text)
        return text if title is None or title.lower() != old.lower() else f"{quoted(new)}!{rest}"

    for sheet in document.sheets:
        each_formula(sheet, lambda formula, _row, _column: rewrite_references(formula, changed))
