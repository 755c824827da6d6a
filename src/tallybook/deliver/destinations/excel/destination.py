"""The Excel destination. `xlsx` creates workbooks, and `workbooks` updates them in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tallybook.core import DELIVER, EXPORT, LAYOUTS, Delivery, DestinationError, DestinationKind, Result
from tallybook.deliver.destinations.base import DeliveryTask, FileDestination, OutputSettings

if TYPE_CHECKING:
    from tallybook.deliver.destinations.excel.update.grids import WorkbookPlace
    from tallybook.deliver.destinations.layout import Grid

MAX_TAB = 31


class Xlsx(FileDestination):
    """An Excel workbook. The same result and `created` give the same bytes."""

    kind = DestinationKind(
        name="xlsx",
        noun="a workbook",
        endings=(".xlsx",),
        update_endings=(".xlsm",),
        uses=(DELIVER, EXPORT),
        tabs=True,
        layouts=LAYOUTS,
        is_text=False,
    )

    def keeps_periods(self, delivery: Delivery) -> bool:
        return delivery.layout != "across"

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        from tallybook.deliver.destinations.excel.new.workbook import refuse_what_does_not_fit, workbook

        refuse_what_does_not_fit(result, settings.path)
        file.write(workbook(result, settings.created))

    def content(self, task: DeliveryTask, there: bytes | None) -> bytes | None:
        from tallybook.deliver.destinations.excel.update.grids import WorkbookPlace
        from tallybook.deliver.destinations.layout import arranged, split_totals

        if there is None and task.path.suffix.lower() == ".xlsm":
            raise DestinationError(
                f"cannot make {task.path}: a workbook with macros is made in Excel, and only then brought up to date",
                hint="save one there, or write .xlsx",
            )
        delivery, record = task.delivery, task.record
        since, (rows, totals) = record.since if record else None, split_totals(task.answer())
        kept_rows, kept_totals = split_totals(record.result) if record else (None, None)
        tab, layout = delivery.tab_name[:MAX_TAB], delivery.layout
        calendar = rows.calendar.key(rows.scope)
        name = f"{delivery.name}_{calendar}" if calendar else delivery.name
        kept = None if kept_rows is None else arranged(kept_rows, layout)
        grids: list[tuple[WorkbookPlace, Grid]] = [
            (WorkbookPlace(tab=tab, name=name, record=kept, since=since), arranged(rows, layout))
        ]
        if totals is not None:
            kept = None if kept_totals is None else arranged(kept_totals, layout)
            place = WorkbookPlace(tab=f"{tab[: MAX_TAB - 7]} totals", name=f"{name}_totals", record=kept, since=since)
            grids.append((place, arranged(totals, layout)))
        return _with_front(task, there, tab, rows, grids, name)


def _with_front(
    task: DeliveryTask,
    there: bytes | None,
    tab: str,
    rows: Result,
    grids: list[tuple[WorkbookPlace, Grid]],
    name: str,
) -> bytes | None:
    """The updated workbook. It has an overview and charts if this delivery creates or created it."""
    from tallybook.deliver.destinations.excel.new import front
    from tallybook.deliver.destinations.excel.new.pages import CHART_DATA, CHARTS
    from tallybook.deliver.destinations.excel.update.grids import WorkbookPlace, updated

    own = {front.OVERVIEW, CHARTS, CHART_DATA}
    new = there is None and tab.casefold() not in {sheet.casefold() for sheet in own} and rows.scope != "all"
    if not new and (there is None or not front.has_front(there, name)):
        return updated(there or _blank(tab, task), grids)
    places = (
        (WorkbookPlace(tab=front.OVERVIEW, name=front.overview_name(name)), front.overview_grid(rows)),
        (WorkbookPlace(tab=CHART_DATA, name=front.chart_data_name(name)), front.chart_grid(rows)),
    )
    made = updated(there or front.front_workbook(tab, rows, task.created), [*grids, *places])
    return None if made is None else front.with_grown_charts(made, name)


def _blank(tab: str, task: DeliveryTask) -> bytes:
    from tallybook.deliver.destinations.excel.new.workbook import blank_workbook

    return blank_workbook(tab, task.created)
