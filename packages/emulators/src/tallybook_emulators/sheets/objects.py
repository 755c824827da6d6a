"""Objects on a tab: filters, protected and named ranges, merges, conditional formats, charts, banding, tables.

They are stored as JSON. https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/request"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tallybook_emulators.sheets.a1 import Rect, grid_range
from tallybook_emulators.sheets.errors import invalid
from tallybook_emulators.sheets.masks import required, update
from tallybook_emulators.sheets.model import Document, Json, Sheet
from tallybook_emulators.sheets.pasting import sort

Handler = Callable[[Document, Json], Json | None]


@dataclass(frozen=True)
class ObjectKind:
    """A kind of object: its list in a Sheet, its id field, and its field in requests and replies."""

    name: str
    """Field in requests and replies, such as `protectedRange`."""
    kept: str
    """Field in a Sheet, such as `protectedRanges`."""
    key: str
    """Field of its id, such as `protectedRangeId`."""
    text_id: bool = False
    ranged: bool = True


PROTECTED = ObjectKind("protectedRange", "protectedRanges", "protectedRangeId")
FILTER_VIEW = ObjectKind("filter", "filterViews", "filterViewId")
BANDED = ObjectKind("bandedRange", "bandedRanges", "bandedRangeId")
TABLE = ObjectKind("table", "tables", "tableId", text_id=True)
CHART = ObjectKind("chart", "charts", "chartId", ranged=False)
SLICER = ObjectKind("slicer", "slicers", "slicerId", ranged=False)


def _each(document: Document, kind: ObjectKind) -> Iterator[tuple[Sheet, Json]]:
    for sheet in document.sheets:
        for one in sheet.objects[kind.kept]:
            yield sheet, one


def find(document: Document, kind: ObjectKind, number: Any) -> tuple[Sheet, Json]:
    for sheet, one in _each(document, kind):
        if one[kind.key] == number:
            return sheet, one
    raise invalid(f"No {_words(kind)} with id: {number}")


def _words(kind: ObjectKind) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda m: " " + m[1].lower(), kind.name)


def _sheet_of(document: Document, kind: ObjectKind, one: Json) -> Sheet:
    if kind.ranged:
        named = document.protected_range(one) if kind is PROTECTED else one.get("range", {})
        sheet, rect = document.range_of(named)
        if kind is TABLE:
            one["range"] = grid_range(sheet.id, rect)
        return sheet
    position = one.get("position", {})
    if position.get("newSheet"):
        raise invalid("position.newSheet: object sheets are not emulated.")
    anchor = position.get("overlayPosition", {}).get("anchorCell", {})
    return document.sheet(position.get("sheetId", anchor.get("sheetId", 0)))


def _add(kind: ObjectKind, prepare: Callable[[Document, Json], None] | None = None) -> Handler:
    def handler(document: Document, request: Json) -> Json:
        given = request.get(kind.name, {})
        one = copy.deepcopy(given)
        sheet = _sheet_of(document, kind, one)
        taken = {other[kind.key] for _, other in _each(document, kind)}
        number = one.get(kind.key)
        if number is None:
            free = document.free_id({t for t in taken if isinstance(t, int)})
            one[kind.key] = str(free) if kind.text_id else free
        elif number in taken:
            raise invalid(f"{kind.name}.{kind.key}: {number} already exists.")
        if prepare:
            prepare(document, one)
        sheet.objects[kind.kept].append(one)
        reply = shown(document, kind, one)
        # Google's reply repeats the editors of the request. Reads return the accounts that may edit.
        return {kind.name: reply | ({"editors": given["editors"]} if kind is PROTECTED and "editors" in given else {})}

    return handler


def shown(document: Document, kind: ObjectKind, one: Json) -> Json:
    """The object as the actor reads it. Only accounts that may edit a protected range see its editors."""
    if kind is not PROTECTED:
        return one
    allowed = bool(one.get("warningOnly")) or document.may_edit(one)
    made = {name: value for name, value in one.items() if name != "editors" or allowed}
    return made | ({"requestingUserCanEdit": True} if allowed else {})


def _update(kind: ObjectKind, prepare: Callable[[Document, Json], None] | None = None) -> Handler:
    def handler(document: Document, request: Json) -> None:
        given = request.get(kind.name, {})
        _, one = find(document, kind, given.get(kind.key))
        if kind is PROTECTED:
            _may_change(document, one)
        made = update(one, copy.deepcopy(given), required(request.get("fields"))) | {kind.key: one[kind.key]}
        if prepare:
            prepare(document, made)
        one.clear()
        one.update(made)

    return handler


def _delete(kind: ObjectKind, key: str = "") -> Handler:
    def handler(document: Document, request: Json) -> None:
        sheet, one = find(document, kind, request.get(key or kind.key))
        if kind is PROTECTED:
            _may_change(document, one)
        sheet.objects[kind.kept].remove(one)

    return handler


# --- protection ---------------------------------------------------------------------------------------------


def _protect(document: Document, one: Json) -> None:
    """Set the editors. Without named editors all editors of the document may edit. The owner always may."""
    one.pop("requestingUserCanEdit", None)
    named = one.get("editors", {}).get("users")
    users = [document.actor, *named] if named is not None else [document.actor, *document.editors]
    one["editors"] = one.get("editors", {}) | {"users": list(dict.fromkeys([document.owner, *users]))}


def _may_change(document: Document, one: Json) -> None:
    if not (one.get("warningOnly") or document.may_edit(one)):
        raise invalid(
            "You are trying to edit a protected cell or object. Please contact the spreadsheet owner to remove "
            "protection if you need to edit."
        )


# --- named ranges -------------------------------------------------------------------------------------------


def _name(document: Document, request: Json) -> Json:
    one = copy.deepcopy(request.get("namedRange", {}))
    _check_name(document, one)
    document.range_of(one.get("range", {}))
    one.setdefault("namedRangeId", str(document.free_id(set())))
    if any(other["namedRangeId"] == one["namedRangeId"] for other in document.named_ranges):
        raise invalid(f"namedRange.namedRangeId: {one['namedRangeId']} already exists.")
    document.named_ranges.append(one)
    return {"namedRange": one}


def _check_name(document: Document, one: Json) -> None:
    name = one.get("name", "")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,249}", name) or re.fullmatch(r"[A-Za-z]{1,3}[0-9]+", name):
        raise invalid(f"namedRange.name: Invalid name: {name}")
    for other in document.named_ranges:
        if other["name"].lower() == name.lower() and other["namedRangeId"] != one.get("namedRangeId"):
            raise invalid(f"A named range with the name: {name} already exists.")


def _named(document: Document, number: Any) -> Json:
    for one in document.named_ranges:
        if one["namedRangeId"] == number:
            return one
    raise invalid(f"No named range with id: {number}")


def _rename(document: Document, request: Json) -> None:
    given = request.get("namedRange", {})
    one = _named(document, given.get("namedRangeId"))
    made = update(one, given, required(request.get("fields"))) | {"namedRangeId": one["namedRangeId"]}
    _check_name(document, made)
    document.range_of(made.get("range", {}))
    one.update(made)


def _unname(document: Document, request: Json) -> None:
    document.named_ranges.remove(_named(document, request.get("namedRangeId")))


# --- filters ------------------------------------------------------------------------------------------------


def _set_filter(document: Document, request: Json) -> None:
    one = copy.deepcopy(request.get("filter", {}))
    sheet, rect = document.range_of(one.get("range", {}))
    one["range"] = grid_range(sheet.id, rect)
    sheet.basic_filter = one
    if one.get("sortSpecs"):
        sort(document, sheet, Rect(rect.r0 + 1, rect.r1, rect.c0, rect.c1), one["sortSpecs"])


def _clear_filter(document: Document, request: Json) -> None:
    document.sheet(request.get("sheetId", 0)).basic_filter = None


def _copy_view(document: Document, request: Json) -> Json:
    sheet, one = find(document, FILTER_VIEW, request.get("filterId"))
    made = copy.deepcopy(one) | {
        "filterViewId": document.free_id(set()),
        "title": f"Copy of {one.get('title', 'Filter 1')}",
    }
    sheet.objects["filterViews"].append(made)
    return {"filter": made}


# --- merges -------------------------------------------------------------------------------------------------


def _merge(document: Document, request: Json) -> None:
    sheet, rect = document.range_of(request.get("range", {}))
    document.guard(sheet, rect)
    match request.get("mergeType", "MERGE_ALL"):
        case "MERGE_COLUMNS":
            parts = [Rect(rect.r0, rect.r1, c, c + 1) for c in range(rect.c0, rect.c1)]
        case "MERGE_ROWS":
            parts = [Rect(r, r + 1, rect.c0, rect.c1) for r in range(rect.r0, rect.r1)]
        case _:
            parts = [rect]
    for part in parts:
        _unmerge_within(sheet, part, merging=True)
        for row, column, cell in list(sheet.filled(part)):
            if (row, column) != (part.r0, part.c0):
                sheet.put(row, column, {k: v for k, v in cell.items() if k != "userEnteredValue"})
        if part.height * part.width > 1:
            sheet.objects["merges"].append(grid_range(sheet.id, part))
    document.memo.clear()


def _unmerge_within(sheet: Sheet, rect: Rect, *, merging: bool) -> None:
    kept = []
    for one in sheet.objects["merges"]:
        place = Rect(one["startRowIndex"], one["endRowIndex"], one["startColumnIndex"], one["endColumnIndex"])
        if not place.meets(rect):
            kept.append(one)
        elif not place.within(rect):
            what = "merge" if merging else "unmerge"
            raise invalid(f"You must select all cells in a merged range to {what} or unmerge them.")
    sheet.objects["merges"] = kept


def _unmerge(document: Document, request: Json) -> None:
    sheet, rect = document.range_of(request.get("range", {}))
    document.guard(sheet, rect)
    _unmerge_within(sheet, rect, merging=False)


# --- conditional formats ------------------------------------------------------------------------------------


def _rules(document: Document, request: Json, rule: Json) -> list[Json]:
    number = request.get("sheetId")
    if number is None:
        number = (rule.get("ranges") or [{}])[0].get("sheetId", 0)
    return document.sheet(number).objects["conditionalFormats"]


def _add_rule(document: Document, request: Json) -> None:
    rule = copy.deepcopy(request.get("rule", {}))
    if not rule.get("ranges"):
        raise invalid("rule.ranges: at least one range must be set.")
    _rules(document, {}, rule).insert(request.get("index", 0), rule)


def _rule_at(rules: list[Json], index: int) -> Json:
    if not 0 <= index < len(rules):
        raise invalid(f"No conditional format rule at index: {index}")
    return rules[index]


def _update_rule(document: Document, request: Json) -> Json:
    rules = _rules(document, request, request.get("rule", {}))
    index = request.get("index", 0)
    old = _rule_at(rules, index)
    if "rule" in request:
        rules[index] = copy.deepcopy(request["rule"])
        return {"oldRule": old, "newRule": rules[index], "newIndex": index}
    rules.insert(request.get("newIndex", 0), rules.pop(index))
    return {"oldRule": old, "oldIndex": index, "newIndex": request.get("newIndex", 0)}


def _delete_rule(document: Document, request: Json) -> Json:
    rules = document.sheet(request.get("sheetId", 0)).objects["conditionalFormats"]
    rule = _rule_at(rules, request.get("index", 0))
    rules.remove(rule)
    return {"rule": rule}


# --- charts and slicers -------------------------------------------------------------------------------------


def _new_spec(kind: ObjectKind) -> Handler:
    def handler(document: Document, request: Json) -> None:
        _, one = find(document, kind, request.get(kind.key))
        one["spec"] = copy.deepcopy(request.get("spec", {}))

    return handler


def _embedded(document: Document, number: Any) -> tuple[Sheet, str, Json]:
    for kind in (CHART, SLICER):
        for sheet, one in _each(document, kind):
            if one[kind.key] == number:
                return sheet, kind.kept, one
    raise invalid(f"No object with id: {number}")


def _delete_embedded(document: Document, request: Json) -> None:
    sheet, kept, one = _embedded(document, request.get("objectId"))
    sheet.objects[kept].remove(one)


def _move_embedded(document: Document, request: Json) -> Json:
    sheet, kept, one = _embedded(document, request.get("objectId"))
    mask = required(request.get("fields"))
    given = request.get("newPosition", {})
    inner = given.get("overlayPosition", {})
    position = dict(one.get("position", {}))
    position["overlayPosition"] = update(position.get("overlayPosition", {}), inner, mask)
    one["position"] = position
    anchor = position["overlayPosition"].get("anchorCell")
    target = sheet if anchor is None else document.sheet(anchor.get("sheetId", 0))
    sheet.objects[kept].remove(one)
    target.objects[kept].append(one)
    return {"position": position}


HANDLERS: dict[str, Handler] = {
    "addProtectedRange": _add(PROTECTED, _protect),
    "updateProtectedRange": _update(PROTECTED, _protect),
    "deleteProtectedRange": _delete(PROTECTED),
    "addNamedRange": _name,
    "updateNamedRange": _rename,
    "deleteNamedRange": _unname,
    "setBasicFilter": _set_filter,
    "clearBasicFilter": _clear_filter,
    "addFilterView": _add(FILTER_VIEW),
    "updateFilterView": _update(FILTER_VIEW),
    "deleteFilterView": _delete(FILTER_VIEW, "filterId"),
    "duplicateFilterView": _copy_view,
    "mergeCells": _merge,
    "unmergeCells": _unmerge,
    "addConditionalFormatRule": _add_rule,
    "updateConditionalFormatRule": _update_rule,
    "deleteConditionalFormatRule": _delete_rule,
    "addBanding": _add(BANDED),
    "updateBanding": _update(BANDED),
    "deleteBanding": _delete(BANDED),
    "addTable": _add(TABLE),
    "updateTable": _update(TABLE),
    "deleteTable": _delete(TABLE),
    "addChart": _add(CHART),
    "updateChartSpec": _new_spec(CHART),
    "addSlicer": _add(SLICER),
    "updateSlicerSpec": _new_spec(SLICER),
    "deleteEmbeddedObject": _delete_embedded,
    "updateEmbeddedObjectPosition": _move_embedded,
}
