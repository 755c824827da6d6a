"""Groups of rows and columns that can be collapsed.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/request#adddimensiongrouprequest"""

from __future__ import annotations

from collections.abc import Callable

from tallybook_emulators.sheets.dimensions import WORDS, ends
from tallybook_emulators.sheets.errors import invalid
from tallybook_emulators.sheets.masks import required, update
from tallybook_emulators.sheets.model import Document, Json


def whole_span(document: Document, span: Json) -> Json:
    """A DimensionRange with all fields set. Raises GoogleError 400 if it is not on the grid."""
    sheet, dimension, start, end = ends(document, span)
    if not 0 <= start < end <= len(sheet.of(dimension)):
        raise invalid(f"range: [{start}, {end}) is not on the grid.")
    return {"sheetId": sheet.id, "dimension": dimension, "startIndex": start, "endIndex": end}


def _groups(document: Document, span: Json) -> list[Json]:
    return document.sheet(span["sheetId"]).objects[f"{WORDS[span['dimension']]}Groups"]


def _add_group(document: Document, request: Json) -> Json:
    """addDimensionGroup. The first group of a tab sets `GroupControlAfter`, unless a request has set it before."""
    span = whole_span(document, request.get("range", {}))
    groups = _groups(document, span)
    grid = document.sheet(span["sheetId"]).properties["gridProperties"]
    grid.setdefault(f"{WORDS[span['dimension']]}GroupControlAfter", True)
    depth = 1 + max((g["depth"] for g in groups if _overlaps(g["range"], span)), default=0)
    groups.append({"range": span, "depth": depth})
    return {"dimensionGroups": groups}


def _overlaps(one: Json, other: Json) -> bool:
    return bool(one.get("startIndex", 0) < other["endIndex"] and other.get("startIndex", 0) < one["endIndex"])


def _delete_group(document: Document, request: Json) -> Json:
    span = whole_span(document, request.get("range", {}))
    groups = _groups(document, span)
    matching = [group for group in groups if group["range"] == span]
    if not matching:
        raise invalid("There is no dimension group at the range.")
    groups.remove(max(matching, key=lambda group: int(group["depth"])))
    return {"dimensionGroups": groups}


def _update_group(document: Document, request: Json) -> None:
    given = request.get("dimensionGroup", {})
    span = whole_span(document, given.get("range", {}))
    for group in _groups(document, span):
        if group["range"] == span and group["depth"] == given.get("depth", 1):
            group.update(update(group, given, required(request.get("fields"))))
            return
    raise invalid("There is no such dimension group.")


HANDLERS: dict[str, Callable[[Document, Json], Json | None]] = {
    "addDimensionGroup": _add_group,
    "updateDimensionGroup": _update_group,
    "deleteDimensionGroup": _delete_group,
}
