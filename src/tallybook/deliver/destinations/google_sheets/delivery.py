"""Delivers a result to a tab of a Google Sheet, and its totals to a second tab."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.core import AS_DELIVERED, DELIVERED, DIFFERS, UP_TO_DATE, WOULD_DELIVER, Result
from tallybook.deliver.destinations.base import DeliveryOutcome, DeliveryTask
from tallybook.deliver.destinations.google_sheets.change import Stray, Window, Written, values_of
from tallybook.deliver.destinations.google_sheets.document import NEW, SheetOutcome, TabPlace, bring_up_to_date
from tallybook.deliver.destinations.google_sheets.tab import MAX_CELLS
from tallybook.deliver.destinations.layout import Grid, arranged, latest, split_totals
from tallybook.deliver.destinations.row_keys import Cell, Formula
from tallybook.deliver.destinations.sheet_modes import HISTORY, LATEST

if TYPE_CHECKING:
    from tallybook.sheets import Api

LEFT_ALONE = ("row was ours", "row twice")
"""Changes of people that a delivery reports but does not undo."""
FORECAST_DAYS = 3 * 365
"""A document that will be full within this many days is reported."""
DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365, "all": 365}


def deliver_to_sheet(task: DeliveryTask) -> DeliveryOutcome:
    """Update the tab, or only report differences.

    Raises DestinationError. Everything written until then is complete, and the next delivery continues from there."""
    delivery, mode, previous = task.delivery, task.mode, task.previous()
    rows, totals = split_totals(task.result)
    then, totals_then = split_totals(previous) if previous is not None else (None, None)
    outcomes = _one(task, rows, then, "")
    if totals is not None:
        outcomes += _one(task, totals, totals_then, " totals")
    changes = [change for outcome in outcomes for change in changes_of(outcome)]
    growth = sum(outcome.growth for outcome in outcomes) / DAYS[delivery.scope]
    onward = [_onward(outcome) for outcome in outcomes if outcome.full_now]
    hint = " ".join([*onward, *_hints(outcomes), *_full(outcomes[-1], growth, task)])
    status = DELIVERED if any(outcome.changed for outcome in outcomes) else UP_TO_DATE
    if mode.verify:
        status = DIFFERS if changes else AS_DELIVERED
        if any(change["what"] == "new row" for change in changes):
            hint = f"{hint} Rows are missing: tallybook deliver {delivery.name} --force".strip()
    elif mode.dry_run:
        status = WOULD_DELIVER if any(change["what"] not in LEFT_ALONE for change in changes) else UP_TO_DATE
    # People may have renamed the tab.
    place = f"{outcomes[0].renamed or outcomes[0].tab} of {task.options['spreadsheet']}"
    since = task.record.since if task.record else None
    return DeliveryOutcome(
        status=status, rows=_rows(task.result, since, outcomes), place=place, hint=hint, changes=changes
    )


def _rows(result: Result, since: date | None, outcomes: list[SheetOutcome]) -> int:
    """The number of delivered rows: those of the window, and earlier rows that were missing."""
    if since is None:
        return len(result.data)
    window = sum(not isinstance(row["period"], date) or row["period"] >= since for row in result.data)
    return window + sum(str(key[0]) < str(since) for outcome in outcomes for key in outcome.added if _is_day(key[0]))


def _is_day(cell: Cell) -> bool:
    return isinstance(cell, str) and len(cell) == len("2026-01-03") and cell[:4].isdigit()


def api_of(task: DeliveryTask) -> Api:
    """The service, with credentials from the environment or from the user."""
    address = task.options["api"]
    if address not in task.services:
        task.services[address] = _opened(address, task)
    service: Api = task.services[address]
    return service


def _opened(api: str, task: DeliveryTask) -> Api:
    from tallybook.sheets import Api, ServiceUrls, find_keys

    return Api(find_keys(task.variables), ServiceUrls.of(api, task.variables))


def _one(task: DeliveryTask, result: Result, before: Result | None, beside: str) -> list[SheetOutcome]:
    delivery, options, record = task.delivery, task.options, task.record
    calendar = result.calendar.key(result.scope)
    book = f"{task.book}@{calendar}" if calendar else task.book
    place = TabPlace(
        document=options["spreadsheet"],
        tab=f"{delivery.tab_name}{beside}",
        owner=f"{book}/{delivery.name}{beside}",
        mode=options["mode"],
        policy=options["by_hand"],
        notes=f"until {task.today}" if options["notes"] else "",
    )
    grid = _grid_of(result, task)
    known = None if before is None else values_of(_grid_of(before, task))
    window = Window(since=record.since, then=known if record.is_known else None) if record else None
    return bring_up_to_date(api_of(task), place, grid, before=known, window=window, dry_run=not task.mode.writes)


def _grid_of(result: Result, task: DeliveryTask) -> Grid:
    return latest(result) if task.options["mode"] == LATEST else arranged(result, task.delivery.layout)


def changes_of(outcome: SheetOutcome) -> list[dict[str, Any]]:
    """Every change, for people and programs."""
    found: list[dict[str, Any]] = [{"tab": outcome.tab, "what": "new tab"}] if outcome.made else []
    found += [{"tab": outcome.tab, "what": "renamed", "key": [outcome.renamed]}] if outcome.renamed else []
    found += [{"tab": outcome.tab, "what": "headings"}] if outcome.headings else []
    found += [{"tab": outcome.tab, "what": "new column", "column": name} for name in outcome.columns]
    found += [{"tab": outcome.tab, "what": "new row", "key": list(key)} for key in outcome.added]
    found += [{"tab": outcome.tab, "what": "row goes", "key": list(key)} for key in outcome.removed]
    found += [{"tab": outcome.tab, "what": "columns go", "key": [outcome.removed_columns]}] * bool(
        outcome.removed_columns
    )
    found += [
        {
            "tab": outcome.tab,
            "what": "restored" if cell.by_hand else "corrected",
            "row": cell.row + 1,
            "column": cell.field,
            "key": list(cell.key),
            "old": cell.old,
            "new": cell.new,
        }
        for cell in outcome.corrected
    ]
    found += [
        {
            "tab": outcome.tab,
            "what": "row was ours",
            "row": one.row + 1,
            "column": one.what,
            "key": list(one.key or (one.cell,)),
        }
        for one in outcome.strays
    ]
    return found + [{"tab": outcome.tab, "what": "row twice", "row": row + 1} for row in outcome.twice]


def _hints(outcomes: list[SheetOutcome]) -> list[str]:
    said = []
    for outcome in outcomes:
        by_hand = [cell for cell in outcome.corrected if cell.by_hand]
        if by_hand:
            said.append(
                f"{len(by_hand)} of our cells in {outcome.tab!r} had been written into, first {_where(by_hand[0])}."
            )
        if outcome.kept:
            said.append(
                f"{len(outcome.kept)} cells in {outcome.tab!r} stay as somebody wrote them, first "
                f"{_where(outcome.kept[0])}."
            )
        if outcome.lacking:
            said.append(
                f"Document {outcome.document} is full and has no column for {', '.join(outcome.lacking)}: of "
                "its days they are not shown."
            )
        said += [f"In {outcome.tab!r} {_stray(stray)}." for stray in outcome.strays[:3]]
        if len(outcome.strays) > 3:
            said.append(f"So it is with {len(outcome.strays) - 3} more rows of {outcome.tab!r}.")
        if outcome.twice:
            said.append(
                f"Rows of {outcome.tab!r} are there twice and are not changed: "
                f"{', '.join(str(r + 1) for r in outcome.twice[:5])}."
            )
    return said


def _stray(stray: Stray) -> str:
    """The message for a stray row: "row 4 was ours: its day was changed to '3 Jan, launch'"."""
    if stray.key is not None:
        whose = " ".join("–" if part is None else str(part) for part in stray.key)
        return f"row {stray.row + 1} was ours, of {whose}: its {stray.what} was changed to {stray.cell!r}"
    return (
        f"row {stray.row + 1} was ours: its {stray.what} was changed to {_kind(stray.cell)}; write it as it was, "
        "or delete the row"
    )


def _kind(cell: Cell) -> str:
    if cell is None:
        return "nothing"
    return (
        f"the formula {cell}" if isinstance(cell, Formula) else f"text {cell!r}" if isinstance(cell, str) else str(cell)
    )


def _onward(outcome: SheetOutcome) -> str:
    from tallybook.sheets import link

    if outcome.onward == NEW:
        return f"Document {outcome.document} is full: a new one would be made, in which it goes on."
    return (
        f"Document {outcome.document} is full: from now on new rows go to {link(outcome.onward)}, which nobody else may"
        " read yet: share it with those who read the first."
    )


def _full(outcome: SheetOutcome, growth: float, task: DeliveryTask) -> list[str]:
    """The sentence that says when a document will be full if it grows by this many cells a day. Only if that is within
    FORECAST_DAYS."""
    days = outcome.left / growth if growth else FORECAST_DAYS
    if days >= FORECAST_DAYS:
        return []
    when = task.today + timedelta(days=max(0, int(days)))
    goes_on = task.options["mode"] == HISTORY and task.delivery.layout != "across"
    then = "then it goes on in a new one" if goes_on else "go on in a new one before"
    return [f"The document has {outcome.cells:,} of {MAX_CELLS:,} cells and is full about {when}: {then}."]


def _where(cell: Written) -> str:
    return f"{cell.field} in row {cell.row + 1}: {cell.old!r} where {cell.new!r} belongs"
