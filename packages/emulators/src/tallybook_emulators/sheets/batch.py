"""spreadsheets.batchUpdate: applies its requests in order, all or none.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/batchUpdate"""

from __future__ import annotations

from collections.abc import Callable

from tallybook_emulators.sheets import cells, dimensions, groups, metadata, objects, pasting, tabs
from tallybook_emulators.sheets.errors import GoogleError, invalid
from tallybook_emulators.sheets.model import Document, Json

BATCH_LIMIT = 100_000
Handler = Callable[[Document, Json], Json | None]
HANDLERS: dict[str, Handler] = {
    "addSheet": tabs.add_request,
    "deleteSheet": tabs.delete_request,
    "duplicateSheet": tabs.duplicate_request,
    "updateSheetProperties": tabs.update_request,
    "updateSpreadsheetProperties": tabs.update_spreadsheet_request,
    "appendDimension": dimensions.append_request,
    "insertDimension": dimensions.insert_request,
    "deleteDimension": dimensions.delete_request,
    "moveDimension": dimensions.move_request,
    "updateDimensionProperties": dimensions.update_request,
    "autoResizeDimensions": dimensions.fit_request,
    "updateCells": cells.update_request,
    "repeatCell": cells.repeat_request,
    "appendCells": cells.append_request,
    "updateBorders": cells.borders_request,
    "setDataValidation": cells.validation_request,
    "createDeveloperMetadata": metadata.create,
    "updateDeveloperMetadata": metadata.update,
    "deleteDeveloperMetadata": metadata.delete,
    **pasting.HANDLERS,
    **objects.HANDLERS,
    **groups.HANDLERS,
}


def run(document: Document, body: Json) -> list[Json]:
    """Apply every request of the body to a fork of the document, and return the replies.

    Raises GoogleError at the first request that is refused. The caller then discards the fork."""
    requests = body.get("requests") or []
    if not requests:
        raise invalid("Must specify at least one request.")
    if len(requests) > BATCH_LIMIT:
        raise invalid(f"Number of requests in batch ({len(requests)}) is above the limit of {BATCH_LIMIT}.")
    replies: list[Json] = []
    for index, request in enumerate(requests):
        kinds = [name for name, given in request.items() if given is not None]
        if len(kinds) != 1:
            raise invalid(f"Invalid requests[{index}]: exactly one kind of request must be set, not {len(kinds)}.")
        kind = kinds[0]
        if kind not in HANDLERS:
            raise GoogleError(501, f"requests[{index}].{kind} is not emulated")
        try:
            reply = HANDLERS[kind](document, request[kind])
        except GoogleError as error:
            if error.code == 400:
                error.message = f"Invalid requests[{index}].{kind}: {error.message}"
            raise
        replies.append({} if reply is None else {kind: reply})
    return replies
