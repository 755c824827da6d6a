"""Resolves A1 ranges and DataFilters to cells."""

from __future__ import annotations

from tallybook_emulators.sheets.a1 import Rect, Span, parse, span_of, split
from tallybook_emulators.sheets.errors import invalid
from tallybook_emulators.sheets.metadata import find_by_lookup, location_span
from tallybook_emulators.sheets.model import Document, Json, Sheet


def locate(document: Document, text: str) -> tuple[Sheet, Span]:
    """The sheet and span of an A1 range, a tab title or a named range. Raises GoogleError 400 for any other text.

    A named range can be prefixed by its own tab: `Sheet1!Totals`."""
    title, rest = split(text)
    if title is not None:
        sheet = document.titled(title)
        if sheet is not None and rest is None:
            return sheet, Span()
        found = sheet and (_spanned(sheet, rest or "") or _named(document, rest or ""))
        if not found or found[0] is not sheet:
            raise invalid(f"Unable to parse range: {text}")
        return found
    found = _spanned(document.sheets[0], text) or _named(document, text)
    if found:
        return found
    sheet = document.titled(text)
    if sheet is None:
        raise invalid(f"Unable to parse range: {text}")
    return sheet, Span()


def _spanned(sheet: Sheet, text: str) -> tuple[Sheet, Span] | None:
    span = parse(text)
    return None if span is None else (sheet, span)


def _named(document: Document, text: str) -> tuple[Sheet, Span] | None:
    for named in document.named_ranges:
        if named["name"].lower() == text.lower():
            return document.sheet(named["range"].get("sheetId", 0)), span_of(named["range"])
    return None


def readable(document: Document, text: str) -> tuple[Sheet, Rect]:
    """The part of a range on the grid. Raises GoogleError 400 if the range begins beyond the grid."""
    sheet, span = locate(document, text)
    return sheet, on_grid(sheet, span)


def on_grid(sheet: Sheet, span: Span) -> Rect:
    rect = sheet.clip(span)
    if span.r0 >= len(sheet.rows) or span.c0 >= len(sheet.columns):
        raise sheet.beyond(span)
    return rect


def filtered(document: Document, data_filter: Json) -> list[tuple[Sheet, Span]]:
    """Every range that a DataFilter matches, in the order of the metadata's ids."""
    given = [name for name in ("developerMetadataLookup", "a1Range", "gridRange") if name in data_filter]
    if len(given) != 1:
        raise invalid("Exactly one of developerMetadataLookup, a1Range or gridRange must be set in a DataFilter.")
    if "a1Range" in data_filter:
        return [locate(document, data_filter["a1Range"])]
    if "gridRange" in data_filter:
        chosen = data_filter["gridRange"]
        return [(document.sheet(chosen.get("sheetId", 0)), span_of(chosen))]
    places = [location_span(one, document) for one in find_by_lookup(document, data_filter["developerMetadataLookup"])]
    return [place for place in places if place]
