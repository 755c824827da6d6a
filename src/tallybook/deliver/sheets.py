"""A result into the tab of a Google Sheet, and its totals into one beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tallybook.destinations.layout import Grid, apart, arranged, latest
from tallybook.destinations.report import UP_TO_DATE, DeliveryReport
from tallybook.destinations.sheets import Outcome, Place, bring_up_to_date
from tallybook.destinations.sheets.change import LATEST, values_of
from tallybook.errors import DestinationError
from tallybook.metrics import Delivery
from tallybook.result import Result

if TYPE_CHECKING:
    from tallybook.deliver import Means
    from tallybook.sheets.api import Api

NEARLY_FULL = 9_000_000
"""Cells of a document, of the 10 million that it may have."""


def put(
    result: Result, before: Result | None, delivery: Delivery, owner: str, report: DeliveryReport, write: bool,
    means: Means,
) -> None:  # fmt: skip
    """Bring the tab up to date, or (without `write`) tell in the report what differs. `before`: what was delivered.

    Raises DestinationError; what was written until then is whole, and the next delivery goes on."""
    api = api_of(delivery, means)
    rows, totals = apart(result)
    then, totals_then = apart(before) if before is not None else (None, None)
    outcomes = [_one(api, rows, then, delivery, "", owner, write, means)]
    if totals is not None:
        outcomes.append(_one(api, totals, totals_then, delivery, " totals", owner, write, means))
    for outcome in outcomes:
        report.changes += told(outcome)
    if not any(outcome.changed for outcome in outcomes):
        report.status = UP_TO_DATE
    report.hint = " ".join(_hints(outcomes))


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
    api: Api, result: Result, before: Result | None, delivery: Delivery, beside: str, owner: str, write: bool,
    means: Means,
) -> Outcome:  # fmt: skip
    place = Place(
        document=delivery.spreadsheet, tab=f"{delivery.tab_name}{beside}", owner=f"{owner}{beside}", mode=delivery.mode,
        policy=delivery.by_hand, notes=f"until {means.today}" if delivery.notes else "",
    )  # fmt: skip
    grid = grid_of(result, delivery)
    known = None if before is None else values_of(grid_of(before, delivery))
    return bring_up_to_date(api, place, grid, before=known, dry_run=not write)


def grid_of(result: Result, delivery: Delivery) -> Grid:
    return latest(result) if delivery.mode == LATEST else arranged(result, delivery.layout)


def told(outcome: Outcome) -> list[dict[str, Any]]:
    """Every change, for people and programs."""
    found: list[dict[str, Any]] = [{"tab": outcome.tab, "what": "new tab"}] if outcome.made else []
    found += [{"tab": outcome.tab, "what": "renamed", "key": [outcome.renamed]}] if outcome.renamed else []
    found += [{"tab": outcome.tab, "what": "new column", "column": name} for name in outcome.columns]
    found += [{"tab": outcome.tab, "what": "new row", "key": list(key)} for key in outcome.added]
    found += [
        {"tab": outcome.tab, "what": "restored" if cell.by_hand else "corrected", "row": cell.row + 1,
         "column": cell.field, "key": list(cell.key), "old": cell.old, "new": cell.new}
        for cell in outcome.corrected
    ]  # fmt: skip
    return found


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
        if outcome.twice:
            said.append(
                f"Rows of {outcome.tab!r} are there twice and are left alone: {', '.join(str(r + 1) for r in outcome.twice[:5])}."
            )
        if outcome.cells > NEARLY_FULL:
            said.append(f"The document has {outcome.cells:,} of 10,000,000 cells: go on in a new one soon.")
    return said


def _where(cell: Any) -> str:
    return f"{cell.field} in row {cell.row + 1}: {cell.old!r} where {cell.new!r} belongs"


__all__ = ["DestinationError", "api_of", "grid_of", "put", "told"]
