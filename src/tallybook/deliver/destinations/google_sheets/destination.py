"""Google Sheets: a tab of a document, in which every cell of ours is kept up to date."""

from __future__ import annotations

from collections.abc import Iterable

from tallybook.config import choice_of, read_address, read_document, read_flag
from tallybook.core import DELIVER, LAYOUTS, Delivery, DestinationKind, Option, OptionProblem
from tallybook.deliver.destinations.base import DeliveryOutcome, DeliveryTask, Destination
from tallybook.deliver.destinations.sheet_modes import BY_HAND, HISTORY, LATEST, RESTORE, SHEET_MODES
from tallybook.sheets import NAMES, SERVICE_ACCOUNT


class GoogleSheets(Destination):
    """A tab of a Google Sheet."""

    kind = DestinationKind(
        name="google_sheets",
        noun="a Google Sheet",
        place="spreadsheet",
        uses=(DELIVER,),
        tabs=True,
        layouts=LAYOUTS,
        reads_back=True,
        extra="google",
        variables=(*NAMES.values(), SERVICE_ACCOUNT),
        options=(
            Option(
                name="spreadsheet",
                read=read_document,
                example='"https://docs.google.com/spreadsheets/d/…"',
                default="",
                help="the Google Sheet: its address or id",
            ),
            Option(
                name="mode",
                read=choice_of(SHEET_MODES),
                example='"history"',
                default=HISTORY,
                help=f"what happens to rows of a Google Sheet that are no longer queried: {', '.join(SHEET_MODES)}",
            ),
            Option(
                name="by_hand",
                read=choice_of(BY_HAND),
                example='"keep"',
                default=RESTORE,
                help=f"what happens to our cells in a Google Sheet that people edited: {', '.join(BY_HAND)}",
            ),
            Option(
                name="notes",
                read=read_flag,
                example="true",
                default=False,
                help="whether a corrected cell of a Google Sheet gets a note with its old value",
            ),
            Option(
                name="api",
                read=read_address,
                example='"http://127.0.0.1:8080"',
                default="",
                help="an address to use instead of Google's, such as that of an emulator",
            ),
        ),
    )

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        if delivery.options.get("mode") == LATEST and "layout" in given:
            yield OptionProblem(
                key="layout", message="the latest values have one layout: a row for each", expected="without this line"
            )

    def keeps_periods(self, delivery: Delivery) -> bool:
        return str(delivery.options.get("mode", HISTORY)) == HISTORY

    def bring_up_to_date(self, task: DeliveryTask) -> DeliveryOutcome:
        from tallybook.deliver.destinations.google_sheets.delivery import deliver_to_sheet

        return deliver_to_sheet(task)
