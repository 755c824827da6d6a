"""Developer metadata: look up, create, change and delete.

https://developers.google.com/workspace/sheets/api/guides/metadata"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tallybook_emulators.sheets.a1 import Span
from tallybook_emulators.sheets.errors import GoogleError, invalid
from tallybook_emulators.sheets.model import COLUMNS, ROWS, Document, Json, Metadata, Sheet

TYPES = {ROWS: "ROW", COLUMNS: "COLUMN"}
MAX_CHARACTERS = 30_000
"""Maximum size of all keys and values of a sheet with its rows and columns, and of the spreadsheet itself."""


def type_of(one: Metadata) -> str:
    """The DeveloperMetadataLocationType of metadata."""
    if one.dimension:
        return TYPES[one.dimension]
    return "SPREADSHEET" if one.sheet_id is None else "SHEET"


def location(one: Metadata, document: Document) -> Json:
    made: Json = {"locationType": type_of(one)}
    if one.dimension:
        sheet = document.sheet(one.sheet_id or 0)
        index = sheet.of(one.dimension).index(one.line or 0)
        span = {"sheetId": sheet.id, "dimension": one.dimension, "startIndex": index, "endIndex": index + 1}
        return made | {"dimensionRange": span}
    return made | ({"spreadsheet": True} if one.sheet_id is None else {"sheetId": one.sheet_id})


def as_json(one: Metadata, document: Document) -> Json:
    made: Json = {"metadataId": one.id, "metadataKey": one.key}
    if one.value is not None:
        made["metadataValue"] = one.value
    return made | {"location": location(one, document), "visibility": one.visibility}


def location_span(one: Metadata, document: Document) -> tuple[Sheet, Span] | None:
    """The sheet and span of the metadata's location. None for metadata of the spreadsheet."""
    if one.sheet_id is None:
        return None
    sheet = document.sheet(one.sheet_id)
    if not one.dimension:
        return sheet, Span()
    index = sheet.of(one.dimension).index(one.line or 0)
    return sheet, Span(r0=index, r1=index + 1) if one.dimension == ROWS else Span(c0=index, c1=index + 1)


def find_by_lookup(document: Document, lookup: Json) -> list[Metadata]:
    """The metadata that match every field of a DeveloperMetadataLookup."""
    strategy = lookup.get("locationMatchingStrategy", "")
    wanted = lookup.get("metadataLocation")
    if strategy and not wanted:
        raise invalid("locationMatchingStrategy requires a metadataLocation.")
    exact = strategy == "EXACT_LOCATION"
    if exact and lookup.get("locationType"):
        raise invalid("locationType must not be set when the locationMatchingStrategy is EXACT_LOCATION.")
    tests: dict[str, Any] = {
        "metadataId": "id",
        "metadataKey": "key",
        "metadataValue": "value",
        "visibility": "visibility",
    }
    return [
        one
        for one in sorted(document.metadata.values(), key=lambda one: one.id)
        if all(getattr(one, field) == lookup[name] for name, field in tests.items() if lookup.get(name) is not None)
        and lookup.get("locationType", type_of(one)) == type_of(one)
        and (wanted is None or _is_there(one, wanted, document, exact=exact))
    ]


def _is_there(one: Metadata, wanted: Json, document: Document, *, exact: bool) -> bool:
    """Whether metadata is at a DeveloperMetadataLocation, or intersects it."""
    if wanted.get("spreadsheet"):
        return one.sheet_id is None
    span = wanted.get("dimensionRange")
    sheet_id = (span or wanted).get("sheetId", 0)
    if one.sheet_id != sheet_id:
        return False
    if span is None:
        return not exact or one.dimension is None
    if exact:
        return one.dimension == span["dimension"] and _index(one, document) in _indices(span)
    return one.dimension != span["dimension"] or _index(one, document) in _indices(span)


def _index(one: Metadata, document: Document) -> int:
    return document.sheet(one.sheet_id or 0).of(one.dimension or ROWS).index(one.line or 0)


def _indices(span: Json) -> range:
    return range(span.get("startIndex", 0), span.get("endIndex", 10**9))


def filtered(document: Document, filters: Iterable[Json]) -> list[tuple[Metadata, list[Json]]]:
    """The metadata that any DataFilter matches, each with the filters that match, by id.

    A filter by range matches metadata of the lines and the sheet that the range intersects."""
    found: dict[int, list[Json]] = {}
    for data_filter in filters:
        for one in _of_filter(document, data_filter):
            found.setdefault(one.id, []).append(data_filter)
    return [(document.metadata[number], found[number]) for number in sorted(found)]


def _of_filter(document: Document, data_filter: Json) -> list[Metadata]:
    from tallybook_emulators.sheets.ranges import filtered as ranges

    if "developerMetadataLookup" in data_filter:
        return find_by_lookup(document, data_filter["developerMetadataLookup"])
    met: list[Metadata] = []
    for sheet, span in ranges(document, data_filter):
        rect = sheet.clip(span)
        for one in document.metadata.values():
            if one.sheet_id != sheet.id:
                continue
            low, high = (rect.r0, rect.r1) if one.dimension == ROWS else (rect.c0, rect.c1)
            if one.dimension is None or low <= _index(one, document) < high:
                met.append(one)
    return met


# --- requests of batchUpdate --------------------------------------------------------------------------------


def create(document: Document, request: Json) -> Json:
    given = request.get("developerMetadata", {})
    if not given.get("metadataKey"):
        raise invalid("developerMetadata.metadataKey: Metadata key must be specified.")
    if given.get("visibility", "DEVELOPER_METADATA_VISIBILITY_UNSPECIFIED").endswith("UNSPECIFIED"):
        raise invalid("developerMetadata.visibility: Visibility must be specified.")
    number = given.get("metadataId")
    if number is None:
        number = document.free_id(set(document.metadata))
    elif number <= 0:
        raise invalid("developerMetadata.metadataId: must be positive.")
    elif number in document.metadata:
        raise invalid(f"developerMetadata.metadataId: Developer metadata with ID {number} already exists.")
    one = Metadata(number, given["metadataKey"], given.get("metadataValue"), given["visibility"])
    document.metadata[number] = moved_to(one, given.get("location"), document)
    check_room(document, document.metadata[number].sheet_id)
    return {"developerMetadata": as_json(document.metadata[number], document)}


def check_room(document: Document, sheet_id: int | None) -> None:
    """Raise GoogleError 400 if a sheet, or the spreadsheet itself, has too much metadata."""
    existing = [one for one in document.metadata.values() if one.sheet_id == sheet_id]
    if sum(len(one.key) + len(one.value or "") for one in existing) > MAX_CHARACTERS:
        where = "spreadsheet" if sheet_id is None else "sheet"
        raise invalid(f"developerMetadata: the {where} would have more than {MAX_CHARACTERS} characters of metadata.")


def moved_to(one: Metadata, where: Json | None, document: Document) -> Metadata:
    """The metadata moved to the location of a request."""
    where = {k: v for k, v in (where or {}).items() if k != "locationType"}
    if len(where) != 1:
        raise invalid("developerMetadata.location: exactly one of spreadsheet, sheetId or dimensionRange must be set.")
    if where.get("spreadsheet"):
        return replace(one, sheet_id=None, dimension=None, line=None)
    span = where.get("dimensionRange")
    if span is None:
        return replace(one, sheet_id=document.sheet(where["sheetId"]).id, dimension=None, line=None)
    sheet = document.sheet(span.get("sheetId", 0))
    start, end, lines = span.get("startIndex", 0), span.get("endIndex"), sheet.of(span.get("dimension", ROWS))
    if end != start + 1:
        raise invalid("developerMetadata.location.dimensionRange: must represent a single row or column.")
    if end > len(lines):
        raise invalid(f"developerMetadata.location.dimensionRange: index {start} is beyond the grid of {len(lines)}.")
    return replace(one, sheet_id=sheet.id, dimension=span["dimension"], line=lines[start])


def update(document: Document, request: Json) -> Json:
    from tallybook_emulators.sheets.masks import required

    filters = request.get("dataFilters") or []
    if not filters:
        raise invalid("dataFilters: at least one DataFilter must be specified.")
    names = required(request.get("fields"))
    given = request.get("developerMetadata", {})
    changed = []
    for one, _ in filtered(document, filters):
        made = one
        for name, field in (("metadataKey", "key"), ("metadataValue", "value"), ("visibility", "visibility")):
            if name in names or "*" in names:
                made = replace(made, **{field: given.get(name)})
        if not made.key:
            raise invalid("developerMetadata.metadataKey: Metadata key must be specified.")
        if "location" in names or ("*" in names and "location" in given):
            made = moved_to(made, given.get("location"), document)
        document.metadata[one.id] = made
        check_room(document, made.sheet_id)
        changed.append(as_json(made, document))
    return {"developerMetadata": changed}


def delete(document: Document, request: Json) -> Json:
    if not request.get("dataFilter"):
        raise invalid("dataFilter: a DataFilter must be specified.")
    gone = [(one.id, as_json(one, document)) for one, _ in filtered(document, [request["dataFilter"]])]
    for number, _ in gone:
        del document.metadata[number]
    return {"deletedDeveloperMetadata": [shown for _, shown in gone]}


# --- methods ------------------------------------------------------------------------------------------------


def get(document: Document, number: int) -> Json:
    if number not in document.metadata:
        raise GoogleError(404)
    return as_json(document.metadata[number], document)


def search(document: Document, body: Json) -> Json:
    found = filtered(document, body.get("dataFilters") or [])
    matched = [{"developerMetadata": as_json(one, document), "dataFilters": by} for one, by in found]
    return {"matchedDeveloperMetadata": matched} if matched else {}


def remove_lines(document: Document, lines: set[int]) -> None:
    """Delete the metadata of deleted lines."""
    for number in [n for n, one in document.metadata.items() if one.line in lines]:
        del document.metadata[number]
