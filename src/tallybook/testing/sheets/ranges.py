"""Which cells a text or a DataFilter means."""

from __future__ import annotations

from tallybook.testing.sheets.a1 import Rect, Span, parse, span_of, split
from tallybook.testing.sheets.errors import invalid
from tallybook.testing.sheets.metadata import looked_up, place_of
from tallybook.testing.sheets.model import Document, Json, Sheet


def locate(document: Document, text: str) -> tuple[Sheet, Span]:
    """The sheet and span of an A1 range, a tab's title or a named range. Refuses what is none of them."""
    title, rest = split(text)
    if title is not None:
        sheet = document.titled(title)
        span = Span() if rest is None else parse(rest)
        if sheet is None or span is None:
            raise invalid(f"Unable to parse range: {text}")
        return sheet, span
    if (span := parse(text)) is not None:
        return document.sheets[0], span
    for named in document.named_ranges:
        if named["name"].lower() == text.lower():
            sheet = document.sheet(named["range"].get("sheetId", 0))
            return sheet, span_of(named["range"])
    sheet = document.titled(text)
    if sheet is None:
        raise invalid(f"Unable to parse range: {text}")
    return sheet, Span()


def readable(document: Document, text: str) -> tuple[Sheet, Rect]:
    """The part on the grid; refused where the range begins beyond it."""
    sheet, span = locate(document, text)
    return sheet, on_grid(sheet, span)


def on_grid(sheet: Sheet, span: Span) -> Rect:
    rect = sheet.clip(span)
    if span.r0 >= len(sheet.rows) or span.c0 >= len(sheet.columns):
        full = Rect(span.r0, span.r1 or span.r0 + 1, span.c0, span.c1 or span.c0 + 1)
        raise sheet.beyond(full)
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
    places = [place_of(one, document) for one in looked_up(document, data_filter["developerMetadataLookup"])]
    return [place for place in places if place]
