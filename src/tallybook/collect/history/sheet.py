"""Reads a worksheet of a Google Sheet as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tallybook.collect.history.cells import Cell
from tallybook.sheets import CELLS

Read = Mapping[str, Any]


def is_sheet(file: str) -> bool:
    """Whether a file to import is the address of a Google Sheet."""
    return file.startswith(("http://", "https://"))


def lines_of(address: str, tab: str | None, variables: Mapping[str, str]) -> list[tuple[int, Sequence[Cell]]]:
    """The displayed values of its cells, line by line: of the worksheet in the address, or of `tab`, or of the first.

    Only reads. Raises DeclarationError, and DestinationError if Google refuses access."""
    from tallybook.sheets import Api, ServiceUrls, document, find_keys, find_worksheet

    place = document(address)
    api = Api(find_keys(variables), ServiceUrls.of("", variables))
    sheet = find_worksheet(api, place.id, tab or place.worksheet)
    read = api.read(place.id, fields=CELLS, ranges=[{"gridRange": {"sheetId": sheet.id}}])
    return [
        (int(data.get("startRow", 0)) + row + 1, [_cell(value) for value in line.get("values", ())])
        for found in read.get("sheets", ())
        for data in found.get("data", ())
        for row, line in enumerate(data.get("rowData", ()))
    ]


def _cell(value: Read) -> Cell:
    shown = value.get("effectiveValue", {})
    if "numberValue" in shown:
        return float(shown["numberValue"])
    if "errorValue" in shown:
        return str(shown["errorValue"].get("message") or shown["errorValue"].get("type") or "an error")
    found = shown.get("stringValue", shown.get("boolValue"))
    return None if found is None else str(found)
