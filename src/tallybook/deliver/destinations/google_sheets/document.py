"""Updates a tab of a Google Sheet: reads its content and writes the differences in atomic batches.

The last delivery is recorded only in the document itself. So a delivery can be killed at any point, and the next one
reads the document and writes what is missing. Every batch has a stamp with an id made from the number of the batch
before, and ids are unique in a document. If two batches were made from the same state, only one is applied.

A full document names another document that continues it. Existing rows stay where they are and are corrected there; new
rows go to the last document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from tallybook.core import DestinationRefused, DestinationUnavailable, Overtaken
from tallybook.deliver.destinations.google_sheets.change import (
    Before,
    Stray,
    TabChange,
    Window,
    Written,
    divided,
    plan,
    without_new_columns,
)
from tallybook.deliver.destinations.google_sheets.onward import continue_elsewhere
from tallybook.deliver.destinations.google_sheets.reading import look
from tallybook.deliver.destinations.google_sheets.requests import requests_of
from tallybook.deliver.destinations.google_sheets.rows import key_fields
from tallybook.deliver.destinations.google_sheets.tab import (
    MAX_CELLS,
    OVERVIEW,
    STAMP,
    Tab,
    cells_of,
    entered_key,
    next_of,
    owner_of,
    tab_of,
    titled,
)
from tallybook.deliver.destinations.google_sheets.window import first_period, trimmed
from tallybook.deliver.destinations.layout import PERIOD, Field, Grid, Line
from tallybook.deliver.destinations.row_keys import DAY_0, Cell, Key
from tallybook.deliver.destinations.sheet_modes import HISTORY, RESTORE
from tallybook.sheets import Json, Stamp, metadata_id, metadata_removal

if TYPE_CHECKING:
    from tallybook.sheets import Api

CELLS_AT_ONCE = 40_000
"""Maximum number of cells in one batch: about 2 MB, the maximum that Google recommends."""
TURNS = 400
"""Maximum number of batches in one delivery. It is more than enough to fill a document."""
STAMPS_KEPT = 8
NEW = "a new document"
ROWS, COLUMNS = 1000, 26
"""The minimum rows and columns of a new tab, the same as in Google's own new tabs, so that people have room."""
NEW_CELLS = ROWS * COLUMNS
"""Number of cells of a new document: those of the tab that Google creates in it."""


@dataclass(frozen=True, kw_only=True)
class TabPlace:
    """The target of a grid: the tab of a document with this title, unless people renamed it."""

    document: str
    tab: str
    owner: str
    mode: str = HISTORY
    policy: str = RESTORE
    notes: str = ""
    """The note for a corrected cell, about its old value. Empty for no note."""


@dataclass(kw_only=True)
class SheetOutcome:
    """What a delivery changed in a document, or would change."""

    document: str = ""
    tab: str = ""
    made: bool = False
    renamed: str = ""
    """The new title of the tab, if people renamed it."""
    columns: list[str] = field(default_factory=list)
    """The fields of new columns."""
    added: list[Key] = field(default_factory=list)
    corrected: list[Written] = field(default_factory=list)
    kept: list[Written] = field(default_factory=list)
    removed: list[Key] = field(default_factory=list)
    """The keys of removed rows, which the delivery no longer has."""
    removed_columns: int = 0
    headings: bool = False
    """Whether missing headings were written."""
    twice: list[int] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)
    begun: bool = False
    """Whether the tab already had rows of ours."""
    cells: int = 0
    """Number of cells of the whole document after the delivery."""
    left: int = 0
    """Number of free cells: those that can still be added to the document, and those of our tab below its last row."""
    growth: int = 0
    """Number of cells that one period adds: its rows, as wide as the tab."""
    onward: str = ""
    """The document that continues this one. `NEW` if it would have to be created."""
    full_now: bool = False
    """Whether this delivery started the continuing document."""
    lacking: list[str] = field(default_factory=list)
    """Fields without a column, because the document is full."""

    def say(self, *, onward: str, full_now: bool, lacking: list[str], begun: bool, renamed: str) -> None:
        """Record the state of the document when it was last read."""
        self.onward, self.full_now, self.lacking = onward, full_now, lacking
        self.begun, self.renamed = self.begun or begun, renamed

    @property
    def changed(self) -> bool:
        rows = self.added or self.corrected or self.removed or self.removed_columns
        return bool(self.made or self.renamed or self.columns or self.headings or rows or self.full_now)


def bring_up_to_date(
    api: Api,
    place: TabPlace,
    grid: Grid,
    *,
    before: Before | None = None,
    window: Window | None = None,
    dry_run: bool = False,
) -> list[SheetOutcome]:
    """Update the tab of a document, and of the documents that continue it. `before`: the last delivery. For periods
    before the `window`, the tab gets only changed periods, and those that it lacks since its own first period.

    Raises DestinationError. Nothing of the current batch was written. With OutcomeUnknown it is unknown whether it was
    written, and the next delivery finds out."""
    outcomes: list[SheetOutcome] = []
    while True:
        trim = None if window is None or any(outcome.begun for outcome in outcomes) else window.since
        outcome, rest = _one_document(api, place, grid, before, window=window, trim=trim, dry_run=dry_run)
        outcomes.append(outcome)
        if rest is None:
            return outcomes
        if outcome.onward == NEW:
            return [
                *outcomes,
                SheetOutcome(document=NEW, tab=place.tab, made=True, added=[_readable(x) for x in rest.lines]),
            ]
        if outcome.onward in {one.document for one in outcomes}:
            raise DestinationRefused(
                f"document {place.document} goes on in {outcome.onward}, which goes on in {place.document}",
                hint=f'start with a new one: spreadsheet = "…" in [deliveries.{place.owner.rpartition("/")[2]}]',
            )
        place, grid = replace(place, document=outcome.onward), rest


def _one_document(
    api: Api,
    place: TabPlace,
    grid: Grid,
    before: Before | None,
    *,
    window: Window | None,
    trim: date | None,
    dry_run: bool,
) -> tuple[SheetOutcome, Grid | None]:
    """The outcome, and the lines for the document that continues this one. `trim`: the first period of the window, for
    the first document with rows of ours."""
    first: SheetOutcome | None = None
    full_now = False
    for _ in range(TURNS):
        overview = api.read(place.document, fields=OVERVIEW)
        onward = next_of(overview) or NEW * full_now if place.mode == HISTORY else ""
        tab, made, adopted = _tab(api, overview, place, grid if trim is None else trimmed(grid, None, trim))
        begun = None if trim is None else first_period(grid, tab)
        asked = grid if trim is None or (onward and begun is None) else trimmed(grid, begun, trim)
        here, rest = divided(asked, tab) if onward else (asked, None)
        if onward and not here.lines:
            return _passed_on(place, tab, onward, begun, full_now=full_now), rest
        plans = partial(plan, tab=tab, policy=place.policy, before=before, window=window)
        change, lacking = plans(here, mode=place.mode), list[str]()
        if onward and _wanted(change, made=made) > _room(overview):
            lacking = [one.id for one in change.fields]
            change = plans(without_new_columns(here, tab))
        if _wanted(change, made=made) > _room(overview):
            _refuse_what_no_other_could_hold(overview, change, place, made=made)
            if not dry_run:
                continue_elsewhere(api, overview, place.document)
            full_now = True
            continue
        outcome = first = first or _outcome(change, overview, place, made=made)
        renamed = "" if made or adopted or tab.declared == place.tab else place.tab
        outcome.say(onward=onward, full_now=full_now, lacking=lacking, begun=begun is not None, renamed=renamed)
        if (change.is_empty and not outcome.renamed) or dry_run:
            return outcome, rest
        if _write_part(api, place, tab, change, made=made, adopted=adopted):
            return outcome, rest
    raise DestinationUnavailable(
        f"the tab {place.tab!r} of document {place.document} changes faster than it is written",
        hint="tallybook deliver",
    )


def _write_part(api: Api, place: TabPlace, tab: Tab, change: TabChange, *, made: bool, adopted: bool) -> bool:
    """Write as many cells of a change as one request takes. True if that was all of it; if not, read the tab again."""
    part = change.first(CELLS_AT_ONCE)
    requests = requests_of(
        part, place.owner, title=place.tab, made=made, adopted=adopted, pattern=_pattern, notes=place.notes
    )
    stamp, old = _next_stamp(place, tab, requests)
    try:
        api.batch_update(place.document, [*requests, *old], stamp)
    except Overtaken:  # A late batch of ours or another process changed the tab.
        return False
    return part is change


def _passed_on(place: TabPlace, tab: Tab, onward: str, begun: date | None, *, full_now: bool) -> SheetOutcome:
    """The outcome for a full document that has none of the lines."""
    return SheetOutcome(
        document=place.document, tab=tab.title, onward=onward, full_now=full_now, begun=begun is not None
    )


def _tab(api: Api, overview: Json, place: TabPlace, grid: Grid) -> tuple[Tab, bool, bool]:
    """The existing or new tab, whether it must be created, and whether it is an empty tab of a person."""
    ours = tab_of(overview, place.owner)
    named = titled(overview, place.tab)
    theirs = None if ours else named
    sheet = ours or theirs
    if sheet is None:
        ids = {int(s["properties"]["sheetId"]) for s in overview.get("sheets", ())}
        numbers = (metadata_id(place.document, place.owner, "tab", i) for i in range(len(ids) + 1))
        own = next(number for number in numbers if number not in ids)
        rows, columns = max(ROWS, 1 + len(grid.lines)), max(COLUMNS, len(grid.fields))
        return Tab(id=own, title=place.tab, rows=rows, columns=columns), True, False
    tab = look(api, place.document, sheet, grid, locale=str(overview.get("properties", {}).get("locale", "")))
    if theirs and tab.cells:
        raise _taken(place, owner_of(theirs))
    if ours and tab.declared != place.tab and named is not None and named is not ours:
        raise _taken(place, owner_of(named))
    return tab, False, theirs is not None


def _taken(place: TabPlace, other: str) -> DestinationRefused:
    where = f"document {place.document} has a tab {place.tab!r}"
    if other:
        return DestinationRefused(
            f"{where} that is written by {other!r}, and this is {place.owner!r}",
            hint=(
                'two must not write to one tab: tab = "…"; or, if the book or the delivery was renamed, give it '
                "its name back"
            ),
        )
    return DestinationRefused(
        f"{where} with something in it, which was not written by this delivery",
        hint='deliver to another: tab = "…"; or rename that one',
    )


def _room(overview: Json) -> int:
    return MAX_CELLS - cells_of(overview)


def _wanted(change: TabChange, *, made: bool) -> int:
    """The number of cells by which the document grows."""
    rows, columns = change.size
    return rows * columns - (0 if made else change.tab.rows * change.tab.columns)


def _refuse_what_no_other_could_hold(overview: Json, change: TabChange, place: TabPlace, *, made: bool) -> None:
    """Raise DestinationRefused if the rest does not fit, and cannot be continued. Only the rows of a history can
    continue in another document."""
    wanted, rows = _wanted(change, made=made), len(change.lines) + 1
    alone = max(ROWS, rows) * max(COLUMNS, len(change.grid.fields))
    if place.mode == HISTORY and change.grid.layout != "across" and change.lines and alone + NEW_CELLS <= MAX_CELLS:
        return
    raise DestinationRefused(
        f"document {place.document} has room for {_room(overview):,} more cells of {MAX_CELLS:,},"
        f" and {wanted:,} are needed",
        hint='delete empty rows and columns there, or go on in a new document: spreadsheet = "…"',
    )


def _next_stamp(place: TabPlace, tab: Tab, requests: Sequence[Json]) -> tuple[Stamp, list[Json]]:
    """The stamp of the next batch, and the requests that delete the oldest stamp."""
    number = 1 + max((batch.number for batch in tab.stamps), default=0)
    token = hashlib.blake2b(json.dumps(list(requests), sort_keys=True).encode(), digest_size=8).hexdigest()
    own = metadata_id(place.document, place.owner, tab.id, number)
    old = [metadata_removal(batch.id) for batch in tab.stamps if batch.number <= number - STAMPS_KEPT]
    return Stamp(id=own, key=STAMP, value=f"{number}#{token}", sheet_id=tab.id), old


def _pattern(column: Any, values: Sequence[Any]) -> str:
    from tallybook.deliver.destinations.excel.new.table import excel_format

    return "General" if column is None else excel_format(column, list(values))


def _growth(change: TabChange, mode: str) -> int:
    grid, tab = change.grid, change.tab
    if mode != HISTORY or not grid.lines:
        return 0
    if grid.layout == "across":
        return tab.rows
    return tab.columns * sum(line.values[0] == grid.lines[-1].values[0] for line in grid.lines)


def _outcome(change: TabChange, overview: Json, place: TabPlace, *, made: bool) -> SheetOutcome:
    new, tab = {field.id for field in change.fields}, change.tab
    rows, columns = change.size
    cells = cells_of(overview) + _wanted(change, made=made)
    free = rows - (change.last_row + 1 + change.headings + len(change.lines))
    removed = [
        tuple(_shown(tab.cell(row, tab.places[f.id]), f) for f in key_fields(change.grid)) for row in change.gone_rows
    ]
    return SheetOutcome(
        document=place.document,
        tab=tab.title,
        made=made,
        columns=[] if made else [field.id for field in change.fields],
        added=[_readable(x) for x in change.lines],
        corrected=[_described(cell, change.grid) for cell in change.written if cell.field not in new],
        kept=[_described(cell, change.grid) for cell in change.kept],
        removed=removed,
        removed_columns=len(change.gone_columns),
        headings=not made and bool(change.headings or change.blank_heads),
        twice=list(change.twice),
        strays=[_stray_in_words(stray, change.grid) for stray in change.strays],
        cells=cells,
        left=MAX_CELLS - cells + max(0, free) * columns,
        growth=_growth(change, place.mode),
    )


# Messages show days as days, never as the numbers that a sheet stores for them.


def _readable(line: Line) -> Key:
    return tuple(str(v) if isinstance(v, date) else entered_key(v) for v in line.values[: line.key])


def _described(cell: Written, grid: Grid) -> Written:
    field = next(field for field in grid.fields if field.id == cell.field)
    old, new = _shown(cell.old, field), _shown(cell.new, field)
    old = f"the text {cell.old!r}" if isinstance(cell.old, str) and old == new else old
    return replace(cell, old=old, new=new, key=_key_in_words(cell.key, grid))


def _stray_in_words(stray: Stray, grid: Grid) -> Stray:
    field = next(field for field in grid.fields if field.head == stray.what)
    return replace(
        stray, cell=_shown(stray.cell, field), key=None if stray.key is None else _key_in_words(stray.key, grid)
    )


def _key_in_words(key: Key, grid: Grid) -> Key:
    return tuple(_shown(cell, field) for cell, field in zip(key, key_fields(grid), strict=True))


def _shown(cell: Cell, field: Field) -> Cell:
    """A cell for messages: a day in the period field as text, any other cell unchanged."""
    if field.kind != PERIOD or not isinstance(cell, float) or not 0 <= cell < 2_958_466:
        return cell
    moment = datetime.combine(DAY_0, time()) + timedelta(days=cell)
    return str(moment.date()) if cell.is_integer() else f"{moment:%Y-%m-%d %H:%M}"
