"""One worksheet that rows are written to: gathered, then written together, each once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from tallybook.core import DeclarationError, DestinationRefused, Overtaken
from tallybook.sheets.cells import cell
from tallybook.sheets.marks import Json, Stamp
from tallybook.sheets.rows import (
    CELLS,
    FORMATS,
    KEY,
    SHAPE,
    Filled,
    Row,
    WorksheetRows,
    filled,
    formats,
    has_dates,
    plan,
    sheets_of,
)

if TYPE_CHECKING:
    from tallybook.sheets.api import Api

MOST = 40_000
"""Cells in one batch: about 2 MB, more than which Google does not recommend."""
_TRIES = 10
"""So often somebody else may be faster in a row."""


@dataclass(frozen=True, kw_only=True)
class Gathering:
    """How long finished rows wait for others. A row that comes alone is written at once."""

    rows: int = 500
    cells: int = 20_000
    seconds: float = 5.0


@dataclass(frozen=True)
class _Batch:
    """Rows under way. The id stays theirs however often they are sent: where the sheet has it, they are written."""

    id: str
    rows: list[Row]


class Worksheet:
    """A worksheet of a document: `<<` and `append` add values to a row, `save_row` finishes it.

    Nothing is asked of Google before the first row is saved. Not for several threads at once."""

    def __init__(
        self,
        api: Api,
        document: str,
        which: int | str | None,
        *,
        column: str = "A",
        gathering: Gathering,
        clock: Callable[[], float],
    ) -> None:
        self.document, self.which = document, which
        self._api, self._gathering, self._clock = api, gathering, clock
        self._column = column_number(column) - 1
        self._row: list[object] = []
        self._saved: list[Row] = []
        self._batch: _Batch | None = None
        self._sheet: WorksheetRows | None = None
        self._width = 0
        self._written_at: float | None = None

    def __repr__(self) -> str:
        return f"<worksheet {self.which!r} of {self.document}, {self.pending} rows pending>"

    # -- a row -----------------------------------------------------------------------------------------------

    def append(self, value: object) -> Self:
        """Add a value to the row. None leaves its cell empty.

        Text, numbers, bools, dates, datetimes, times and timedeltas. Raises CellError for what a cell cannot hold."""
        cell(value)
        self._row.append(value)
        return self

    def __lshift__(self, value: object) -> Self:
        return self.append(value)

    def next_row(self) -> None:
        """Finish the row and begin the next, to be written by `save`. Without values it is a blank line."""
        self._finish(None)

    def save_row(self, row: int | None = None) -> None:
        """Finish the row; with a number, counted from 1, in place of that row. Columns beyond its values stay.

        A row that comes alone is written before this returns. Rows in quick succession are gathered, and written when
        they are many, some seconds old, at `flush()` and when the session is closed. Raises what writing raises; the
        rows are kept then, and `flush()` tries again."""
        _check_place(row)
        if self._row:
            self._finish(row)
        if self._is_due():
            self.flush()

    def save(self, row: int | None = None) -> int:
        """Finish the row that was begun and write all; with a number the unsent rows go there and below.

        Returns how many rows were written."""
        _check_place(row)
        if self._row:
            self._finish(None)
        if row is not None:
            loose = (number for number in range(row, row + len(self._saved)))
            self._saved = [Row(values=r.values, at=r.at or next(loose)) for r in self._saved]
        return self.flush()

    def _finish(self, at: int | None) -> None:
        self._saved.append(Row(values=tuple(self._row), at=at))
        self._width = max(self._width, len(self._row))
        self._row = []

    # -- what waits ------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Finished rows that are not known to be written."""
        return len(self._saved) + (len(self._batch.rows) if self._batch else 0)

    @property
    def unfinished(self) -> tuple[object, ...]:
        """Values of a row that was not saved."""
        return tuple(self._row)

    def discard(self) -> list[tuple[object, ...]]:
        """Take back the finished rows that are not known to be written, and forget them."""
        rows = [*(self._batch.rows if self._batch else []), *self._saved]
        self._batch, self._saved = None, []
        return [row.values for row in rows]

    def _is_due(self) -> bool:
        if self._written_at is None or self._clock() - self._written_at >= self._gathering.seconds:
            return bool(self.pending)
        cells = sum(len(row.values) for row in self._saved)
        return len(self._saved) >= self._gathering.rows or cells >= self._gathering.cells

    # -- writing ---------------------------------------------------------------------------------------------

    def flush(self) -> int:
        """Write all finished rows now. Returns how many.

        Raises DestinationRefused, SignInError, DestinationUnavailable or OutcomeUnknown; the rows are kept, and the next
        `flush` goes on: what was written after all is not written again."""
        written = 0
        while self._batch or self._saved:
            if self._batch is None:
                self._batch, self._saved = self._cut()
            self._write(self._batch)
            written += len(self._batch.rows)
            self._batch = None
            self._written_at = self._clock()
        return written

    def _cut(self) -> tuple[_Batch, list[Row]]:
        """The first rows as a batch, and the rest."""
        cells = count = 0
        for row in self._saved:
            cells += len(row.values)
            if count and cells > MOST:
                break
            count += 1
        return _Batch(secrets.token_hex(8), self._saved[:count]), self._saved[count:]

    def _write(self, batch: _Batch) -> None:
        for _ in range(_TRIES):
            sheet, shown = self._look()
            if sheet.holds(batch.id):
                return
            above = self._formats(sheet, shown.last) if has_dates(batch.rows) else {}
            made = plan(
                sheet, shown.last, batch.rows, column=self._column, width=self._ours(sheet), batch=batch.id, above=above
            )
            stamp = Stamp(id=made.claim.id, key=KEY, value=made.claim.value(), sheet_id=sheet.id)
            try:
                self._api.batch_update(self.document, made.requests, stamp)
            except Overtaken:
                continue
            self._sheet = replace(sheet, claims=(*sheet.claims, made.claim), rows=max(sheet.rows, *made.places))
            return
        raise Overtaken(
            f"other writers were faster {_TRIES} times in worksheet {self.which!r}",
            hint="the rows are kept: flush() tries again; let each writer have a worksheet of its own",
        )

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def sheet(self) -> WorksheetRows:
        """The worksheet as it was last read: id, title, rows, columns. Raises DestinationRefused where there is none."""
        if self._sheet is None:
            self._sheet = chosen(self._api, self.document, self.which)
        return self._sheet

    def know(self, sheet: WorksheetRows) -> Self:
        """The same, read already."""
        self._sheet = sheet
        return self

    def _look(self) -> tuple[WorksheetRows, Filled]:
        """What is in our columns from the last known row on; from the top where that row is empty now."""
        known = self._sheet is not None
        sheet = self.sheet
        newest = sheet.newest(self._column)
        first = max(1, min(newest.last, sheet.rows)) if newest else 1
        try:
            sheet, shown = self._read(sheet, first)
        except DestinationRefused:
            if not known:
                raise
            # Perhaps people made it smaller since it was read.
            sheet, shown = self._read(chosen(self._api, self.document, sheet.id), 1)
        if shown.first > 1 and not shown.begins:
            sheet, shown = self._read(sheet, 1)
        self._sheet = sheet
        return sheet, shown

    def _ours(self, sheet: WorksheetRows) -> int:
        """How many columns are ours, as far as is known."""
        newest = sheet.newest(self._column)
        return max(1, self._width, newest.width if newest else 0)

    def _read(self, sheet: WorksheetRows, first: int) -> tuple[WorksheetRows, Filled]:
        """Addressed by its id, because titles are changed by people."""
        column = min(self._column, sheet.columns - 1)
        end = min(self._column + self._ours(sheet), sheet.columns)
        place = {"sheetId": sheet.id, "startRowIndex": first - 1, "startColumnIndex": column, "endColumnIndex": end}
        read = self._api.read(self.document, fields=CELLS, ranges=[{"gridRange": place}])
        are_there = column == self._column
        return sheets_of(read)[0], filled(read) if are_there else Filled(1, 0, begins=False)

    def _formats(self, sheet: WorksheetRows, row: int) -> dict[int, Json]:
        """The number formats of a row: only it is read, because formats may reach down to the end of the sheet."""
        end = min(self._column + self._ours(sheet), sheet.columns)
        if not row or end <= self._column:
            return {}
        place = {
            "sheetId": sheet.id,
            "startRowIndex": row - 1,
            "endRowIndex": row,
            "startColumnIndex": self._column,
            "endColumnIndex": end,
        }
        return formats(self._api.read(self.document, fields=FORMATS, ranges=[{"gridRange": place}]), self._column)


def chosen(api: Api, document: str, which: int | str | None) -> WorksheetRows:
    """A worksheet by its id, its title, or the first one. Raises DestinationRefused where there is none."""
    found = sheets_of(api.read(document, fields=SHAPE))
    grids = [sheet for sheet in found if sheet.grid]
    match which:
        case None:
            fits = grids[:1]
        case int():
            fits = [sheet for sheet in grids if sheet.id == which]
        case _:
            fits = [sheet for sheet in grids if sheet.title == which]
            fits = fits or [sheet for sheet in grids if which.isdigit() and sheet.id == int(which)]
    if not fits:
        there = ", ".join(f"{sheet.title!r} ({sheet.id})" for sheet in grids)
        raise DestinationRefused(
            f"document {document} has no worksheet {which!r}",
            hint=f"there are: {there}; titles are given as text, ids as numbers",
        )
    return fits[0]


def _check_place(row: object) -> None:
    if row is not None and (isinstance(row, bool) or not isinstance(row, int) or row < 1):
        raise DeclarationError(f"{row!r} is not a row: they are counted from 1, as on the left of the sheet")


def column_number(letters: str) -> int:
    """1 for A, 27 for AA. Raises DeclarationError."""
    number = 0
    for letter in letters.upper():
        if not "A" <= letter <= "Z":
            raise DeclarationError(f"{letters!r} is not a column", hint="write it as the sheet does: A, B, … AA")
        number = number * 26 + ord(letter) - 64
    if not 0 < number <= 18_278:
        raise DeclarationError(f"{letters!r} is not a column", hint="the last column of Google Sheets is ZZZ")
    return number
