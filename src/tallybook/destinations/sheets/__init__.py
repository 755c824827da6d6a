"""A tab of a Google Sheet brought up to date: read what stands there, and write what differs, all of it or nothing.

Nothing is remembered between two deliveries but what the document itself says, so it does not matter where a
delivery was killed: the next one reads, and writes what is missing. Every batch carries a stamp whose id is made of
the number of the batch before, and ids are unique in a document: of two batches that were made from the same
state only one is ever applied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tallybook.destinations.layout import Grid
from tallybook.destinations.sheets.change import HISTORY, RESTORE, Before, Change, Key, Written, plan
from tallybook.destinations.sheets.requests import requests_of
from tallybook.destinations.sheets.tab import (
    CONTENT,
    MOST_CELLS,
    OVERVIEW,
    STAMP,
    Json,
    Tab,
    cells_of,
    found,
    owner_of,
    read,
    titled,
)
from tallybook.errors import DestinationRefused, DestinationUnavailable, Overtaken

if TYPE_CHECKING:
    from tallybook.sheets.api import Api, Stamp

CELLS_AT_ONCE = 40_000
"""In one batch: about 2 MB, which Google recommends as the most."""
TURNS = 400
"""Batches of one delivery at most: more than fill a document."""
STAMPS_KEPT = 8
ROWS, COLUMNS = 1000, 26
"""Of a new tab at least, as Google makes one: room for people."""
NUMBERS = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a grid goes: the tab with this title, unless people call it otherwise since, of a document."""

    document: str
    tab: str
    owner: str
    mode: str = HISTORY
    policy: str = RESTORE
    notes: str = ""
    """What a corrected cell says of its old value; nothing: no note."""


@dataclass(kw_only=True)
class Outcome:
    """What a delivery did, or would do."""

    tab: str = ""
    made: bool = False
    renamed: str = ""
    """How the tab is called from now on, because it is declared so."""
    columns: list[str] = field(default_factory=list)
    """New ones, by their field."""
    added: list[Key] = field(default_factory=list)
    corrected: list[Written] = field(default_factory=list)
    kept: list[Written] = field(default_factory=list)
    gone: int = 0
    twice: list[int] = field(default_factory=list)
    cells: int = 0
    """Of the whole document, afterwards."""
    left: int = 0
    """Cells that may still be filled: those it may have more, and those of our tab below the last row."""
    growth: int = 0
    """Cells that a period adds: its rows, as wide as the tab."""

    @property
    def changed(self) -> bool:
        return bool(self.made or self.renamed or self.columns or self.added or self.corrected or self.gone)


def bring_up_to_date(
    api: Api, place: Place, grid: Grid, *, before: Before | None = None, dry_run: bool = False
) -> Outcome:
    """Make the tab say what the grid says. `before`: what was delivered last.

    Raises DestinationError: nothing of the batch at hand was written, or (OutcomeUnknown) nobody knows, and the next
    delivery finds out."""
    outcome: Outcome | None = None
    for _ in range(TURNS):
        overview = api.read(place.document, fields=OVERVIEW)
        tab, made, adopted = _tab(api, overview, place, grid)
        change = plan(grid, tab, mode=place.mode, policy=place.policy, before=before)
        outcome = outcome or _outcome(change, overview, place.mode, made=made)
        outcome.renamed = "" if made or adopted or tab.declared == place.tab else place.tab
        if (change.is_empty and not outcome.renamed) or dry_run:
            return outcome
        _refuse_full(overview, change, place)
        part = change.first(CELLS_AT_ONCE)
        requests = requests_of(
            part, place.owner, title=place.tab, made=made, adopted=adopted, pattern=_pattern, notes=place.notes
        )
        stamp, old = _next_stamp(place, tab, requests)
        try:
            api.batch_update(place.document, [*requests, *old], stamp)
        except Overtaken:
            continue  # by a batch of ours that came late, or of another process: read anew
        if part is change:
            return outcome
    raise DestinationUnavailable(
        f"the tab {place.tab!r} of document {place.document} changes faster than it is written",
        hint="tallybook deliver",
    )


def _tab(api: Api, overview: Json, place: Place, grid: Grid) -> tuple[Tab, bool, bool]:
    """(the tab as it stands, or shall be made; whether it is to be made; whether it is an empty one of somebody)."""
    ours = found(overview, place.owner)
    named = titled(overview, place.tab)
    theirs = None if ours else named
    sheet = ours or theirs
    if sheet is None:
        ids = {int(s["properties"]["sheetId"]) for s in overview.get("sheets", ())}
        own = next(n for i in range(len(ids) + 1) if (n := _number(place.document, place.owner, "tab", i)) not in ids)
        return (
            Tab(id=own, title=place.tab, rows=max(ROWS, 1 + len(grid.lines)), columns=max(COLUMNS, len(grid.fields))),
            True,
            False,
        )
    only = {"gridRange": {"sheetId": int(sheet["properties"]["sheetId"])}}
    tab = read(api.read(place.document, fields=CONTENT, ranges=[only]))
    if theirs and tab.cells:
        raise _taken(place, owner_of(theirs))
    if ours and tab.declared != place.tab and named is not None and named is not ours:
        raise _taken(place, owner_of(named))
    return tab, False, theirs is not None


def _taken(place: Place, other: str) -> DestinationRefused:
    where = f"document {place.document} has a tab {place.tab!r}"
    if other:
        return DestinationRefused(
            f"{where} that is written by {other!r}, and this is {place.owner!r}",
            hint='two must not write to one tab: tab = "…"; or, if the book or the delivery was renamed, give it its name back',
        )
    return DestinationRefused(
        f"{where} with something in it, which was not written by this delivery",
        hint='deliver to another: tab = "…"; or rename that one',
    )


def _refuse_full(overview: Json, change: Change, place: Place) -> None:
    room = MOST_CELLS - cells_of(overview)
    tab = change.tab
    rows = max(tab.rows, change.last_row + 1 + len(change.lines))
    columns = max(tab.columns, change.last_column + 1 + len(change.fields))
    wanted = rows * columns - (tab.rows * tab.columns if not change.headings else 0)
    if wanted > room:
        raise DestinationRefused(
            f"document {place.document} has room for {room:,} more cells of {MOST_CELLS:,}, and {wanted:,} are needed",
            hint='delete empty rows and columns there, or go on in a new document: spreadsheet = "…"',
        )


def _next_stamp(place: Place, tab: Tab, requests: Sequence[Json]) -> tuple[Stamp, list[Json]]:
    """The stamp of the next batch, and the requests that take the oldest away."""
    from tallybook.sheets.api import Stamp

    number = 1 + max((stamp.number for stamp in tab.stamps), default=0)
    token = hashlib.blake2b(json.dumps(list(requests), sort_keys=True).encode(), digest_size=8).hexdigest()
    value = f"{number}#{token}"
    own = _number(place.document, place.owner, tab.id, number)
    old: list[Json] = [
        {"deleteDeveloperMetadata": {"dataFilter": {"developerMetadataLookup": {"metadataId": stamp.id}}}}
        for stamp in tab.stamps
        if stamp.number <= number - STAMPS_KEPT
    ]
    return Stamp(id=own, key=STAMP, value=value, sheet_id=tab.id), old


def _number(*told: object) -> int:
    """1 … 2**31 - 1, always the same for the same."""
    digest = hashlib.blake2b(repr(told).encode(), digest_size=8).digest()
    return 1 + int.from_bytes(digest, "big") % NUMBERS


def _pattern(column: Any, values: Sequence[Any]) -> str:
    from tallybook.destinations.xlsx import excel_format

    return "General" if column is None else excel_format(column, list(values))


def _growth(change: Change, mode: str) -> int:
    grid, tab = change.grid, change.tab
    if mode != HISTORY or not grid.lines:
        return 0
    if grid.layout == "across":
        return tab.rows
    return tab.columns * sum(line.values[0] == grid.lines[-1].values[0] for line in grid.lines)


def _outcome(change: Change, overview: Json, mode: str, *, made: bool) -> Outcome:
    from tallybook.destinations.sheets.change import key_of

    new, tab = {field.id for field in change.fields}, change.tab
    rows = change.last_row + 1 + len(change.lines) + (change.headings and change.last_row < 0)
    cells = cells_of(overview) + (tab.rows * tab.columns if made else max(0, rows - tab.rows) * tab.columns)
    return Outcome(
        tab=change.tab.title, made=made, columns=[] if made else [field.id for field in change.fields],
        added=[key_of(line) for line in change.lines],
        corrected=[cell for cell in change.written if cell.field not in new], kept=list(change.kept),
        gone=len(change.gone_rows) + len(change.gone_columns), twice=list(change.twice), cells=cells,
        left=MOST_CELLS - cells + max(0, tab.rows - rows) * tab.columns, growth=_growth(change, mode),
    )  # fmt: skip
