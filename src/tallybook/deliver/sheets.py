"""A result into the tab of a Google Sheet, and its totals into one beside it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.destinations.layout import Grid, apart, arranged, latest
from tallybook.destinations.report import UP_TO_DATE, DeliveryReport
from tallybook.destinations.row_keys import Cell, Formula
from tallybook.destinations.sheets import NEW, Outcome, Place, bring_up_to_date
from tallybook.destinations.sheets.change import Stray, Window, Written, values_of
from tallybook.destinations.sheets.tab import MOST_CELLS
from tallybook.metrics import HISTORY, LATEST, Delivery
from tallybook.result import Result

if TYPE_CHECKING:
    from tallybook.deliver import Means
    from tallybook.deliver.reach import Reach
    from tallybook.sheets.api import Api

LEFT_ALONE = ("row was ours", "row twice")
"""Changes of people that a delivery tells, and does not undo."""
SOON = 3 * 365
"""Days before a document is full that its end is told."""
DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365, "all": 365}


def put(
    result: Result, before: Result | None, far: Reach, delivery: Delivery, owner: str, report: DeliveryReport, write: bool,
    means: Means,
) -> None:  # fmt: skip
    """Bring the tab up to date, or (without `write`) tell in the report what differs. `before`: what was delivered;
    `far`: how far back the answer reaches.

    Raises DestinationError; what was written until then is whole, and the next delivery goes on."""
    api = api_of(delivery, means)
    rows, totals = apart(result)
    then, totals_then = apart(before) if before is not None else (None, None)
    outcomes = _one(api, rows, then, far, delivery, "", owner, write, means)
    if totals is not None:
        outcomes += _one(api, totals, totals_then, far, delivery, " totals", owner, write, means)
    # People may have renamed the tab.
    report.path = f"{outcomes[0].renamed or outcomes[0].tab} of {delivery.spreadsheet}"
    report.rows = _rows(result, far.since, outcomes)
    for outcome in outcomes:
        report.changes += told(outcome)
    if not any(outcome.changed for outcome in outcomes):
        report.status = UP_TO_DATE
    growth = sum(outcome.growth for outcome in outcomes) / DAYS[delivery.scope]
    onward = [_onward(outcome) for outcome in outcomes if outcome.full_now]
    report.hint = " ".join([*onward, *_hints(outcomes), *_full(outcomes[-1], growth, delivery, means.today)])


def _rows(result: Result, since: date | None, outcomes: list[Outcome]) -> int:
    """How many rows of the answer were delivered: those of the window, and those before it that were missing."""
    if since is None:
        return len(result.data)
    window = sum(not isinstance(row["period"], date) or row["period"] >= since for row in result.data)
    return window + sum(str(key[0]) < str(since) for outcome in outcomes for key in outcome.added if _is_day(key[0]))


def _is_day(cell: Cell) -> bool:
    return isinstance(cell, str) and len(cell) == len("2026-01-03") and cell[:4].isdigit()


def api_of(delivery: Delivery, means: Means) -> Api:
    """The service, with the keys of the environment or of the user."""
    if delivery.api not in means.services:
        means.services[delivery.api] = _opened(delivery.api, means)
    service: Api = means.services[delivery.api]
    return service


def _opened(api: str, means: Means) -> Api:
    from tallybook.sheets.api import Api
    from tallybook.sheets.keep import find
    from tallybook.sheets.places import Places

    return Api(find(means.variables), Places.of(api, means.variables))


def _one(
    api: Api, result: Result, before: Result | None, far: Reach, delivery: Delivery, beside: str, owner: str, write: bool,
    means: Means,
) -> list[Outcome]:  # fmt: skip
    place = Place(
        document=delivery.spreadsheet, tab=f"{delivery.tab_name}{beside}", owner=f"{owner}{beside}", mode=delivery.mode,
        policy=delivery.by_hand, notes=f"until {means.today}" if delivery.notes else "",
    )  # fmt: skip
    grid = grid_of(result, delivery)
    known = None if before is None else values_of(grid_of(before, delivery))
    window = Window(since=far.since, then=known if far.is_known else None) if far.since else None
    return bring_up_to_date(api, place, grid, before=known, window=window, dry_run=not write)


def grid_of(result: Result, delivery: Delivery) -> Grid:
    return latest(result) if delivery.mode == LATEST else arranged(result, delivery.layout)


def told(outcome: Outcome) -> list[dict[str, Any]]:
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
        {"tab": outcome.tab, "what": "restored" if cell.by_hand else "corrected", "row": cell.row + 1,
         "column": cell.field, "key": list(cell.key), "old": cell.old, "new": cell.new}
        for cell in outcome.corrected
    ]  # fmt: skip
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


def _hints(outcomes: list[Outcome]) -> list[str]:
    said = []
    for outcome in outcomes:
        by_hand = [cell for cell in outcome.corrected if cell.by_hand]
        if by_hand:
            said.append(
                f"{len(by_hand)} of our cells in {outcome.tab!r} had been written into, first {_where(by_hand[0])}."
            )
        if outcome.kept:
            said.append(
                f"{len(outcome.kept)} cells in {outcome.tab!r} stay as somebody wrote them, first {_where(outcome.kept[0])}."
            )
        if outcome.lacking:
            said.append(
                f"Document {outcome.document} is full and has no column for {', '.join(outcome.lacking)}: of its days they are not shown."
            )
        said += [f"In {outcome.tab!r} {_stray(stray)}." for stray in outcome.strays[:3]]
        if len(outcome.strays) > 3:
            said.append(f"So it is with {len(outcome.strays) - 3} more rows of {outcome.tab!r}.")
        if outcome.twice:
            said.append(
                f"Rows of {outcome.tab!r} are there twice and are left alone: {', '.join(str(r + 1) for r in outcome.twice[:5])}."
            )
    return said


def _stray(stray: Stray) -> str:
    """ "row 4 was ours: its day was changed to '3 Jan, launch'"."""
    if stray.key is not None:
        whose = " ".join("–" if part is None else str(part) for part in stray.key)
        return f"row {stray.row + 1} was ours, of {whose}: its {stray.what} was changed to {stray.cell!r}"
    return f"row {stray.row + 1} was ours: its {stray.what} was changed to {_kind(stray.cell)}; write it as it was, or delete the row"


def _kind(cell: Cell) -> str:
    if cell is None:
        return "nothing"
    return (
        f"the formula {cell}" if isinstance(cell, Formula) else f"text {cell!r}" if isinstance(cell, str) else str(cell)
    )


def _onward(outcome: Outcome) -> str:
    from tallybook.sheets.places import link

    if outcome.onward == NEW:
        return f"Document {outcome.document} is full: a new one would be made, in which it goes on."
    return (
        f"Document {outcome.document} is full: from now on new rows go to {link(outcome.onward)}, which nobody else may"
        " read yet: share it with those who read the first."
    )


def _full(outcome: Outcome, growth: float, delivery: Delivery, today: date) -> list[str]:
    """When a document that grows by so many cells a day will have no room, if that is soon."""
    days = outcome.left / growth if growth else SOON
    if days >= SOON:
        return []
    when = today + timedelta(days=max(0, int(days)))
    goes_on = delivery.mode == HISTORY and delivery.layout != "across"
    then = "then it goes on in a new one" if goes_on else "go on in a new one before"
    return [f"The document has {outcome.cells:,} of {MOST_CELLS:,} cells and is full about {when}: {then}."]


def _where(cell: Written) -> str:
    return f"{cell.field} in row {cell.row + 1}: {cell.old!r} where {cell.new!r} belongs"
