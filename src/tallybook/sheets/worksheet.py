"""One worksheet: rows are gathered and written together, each exactly once."""

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

MAX_BATCH_CELLS = 40_000
"""Maximum cells of one batch: about 2 MB, the maximum that Google recommends."""
_MAX_TRIES = 10
"""Maximum number of consecutive attempts in which another writer is first."""


@dataclass(frozen=True, kw_only=True)
class Gathering:
    """Limits for gathering finished rows before they are written. A single row is written immediately."""

    rows: int = 500
    cells: int = 20_000
    seconds: float = 5.0


@dataclass(frozen=True)
class _Batch:
    """Rows that are being sent. Retries use the same id: if the sheet has it, the rows are already written."""

    id: str
    rows: list[Row]


class Worksheet:
    """A worksheet of a document: `<<` and `append` add values to a row, `save_row` finishes it.

    The first request is sent when the first row is saved. Not thread-safe."""

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

        Text, numbers, bools, dates, datetimes, times and timedeltas. Raises CellError for a value that a cell cannot
        contain."""
        cell(value)
        self._row.append(value)
        return self

    def __lshift__(self, value: object) -> Self:
        return self.append(value)

    def next_row(self) -> None:
        """Finish the row and begin the next one. `save` writes all rows. A row without values is a blank line."""
        self._finish(None)

    def save_row(self, row: int | None = None) -> None:
        """Finish the row. `row`: overwrite this row, counted from 1; columns beyond the values stay unchanged.

        A single row is written before this method returns. Rows in quick succession are gathered: they are written
        when there are many, after some seconds, at `flush()`, and when the session is closed. Raises the errors of
        writing. The rows then stay pending, and `flush()` tries again."""
        _check_place(row)
        if self._row:
            self._finish(row)
        if self._is_due():
            self.flush()

    def save(self, row: int | None = None) -> int:
        """Finish the current row and write all rows. Returns the number of written rows.

        `row`: unsent rows without a position go to this row and the rows below it."""
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

    # -- pending rows ------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """The number of finished rows that are not known to be written."""
        return len(self._saved) + (len(self._batch.rows) if self._batch else 0)

    @property
    def unfinished(self) -> tuple[object, ...]:
        """The values of the unsaved row."""
        return tuple(self._row)

    def discard(self) -> list[tuple[object, ...]]:
        """Remove and return the finished rows that are not known to be written."""
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
        """Write all finished rows now, and return their number.

        Raises DestinationRefused, SignInError, DestinationUnavailable or OutcomeUnknown. The rows then stay pending,
        and the next `flush` continues. Rows that turn out to be written are not written again."""
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
        """(the first rows as a batch, the rest)."""
        cells = count = 0
        for row in self._saved:
            cells += len(row.values)
            if count and cells > MAX_BATCH_CELLS:
                break
            count += 1
        return _Batch(secrets.token_hex(8), self._saved[:count]), self._saved[count:]

    def _write(self, batch: _Batch) -> None:
        for _ in range(_MAX_TRIES):
            sheet, shown = self._look()
            if sheet.has_batch(batch.id):
                return
            above = self._formats(sheet, shown.last) if has_dates(batch.rows) else {}
            batch_plan = plan(
                sheet, shown.last, batch.rows, column=self._column, width=self._ours(sheet), batch=batch.id, above=above
            )
            stamp = Stamp(id=batch_plan.claim.id, key=KEY, value=batch_plan.claim.value(), sheet_id=sheet.id)
            try:
                self._api.batch_update(self.document, batch_plan.requests, stamp)
            except Overtaken:
                continue
            self._sheet = replace(
                sheet, claims=(*sheet.claims, batch_plan.claim), rows=max(sheet.rows, *batch_plan.places)
            )
            return
        raise Overtaken(
            f"other writers were first {_MAX_TRIES} times in worksheet {self.which!r}",
            hint="the rows stay pending: flush() tries again; give each writer its own worksheet",
        )

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def sheet(self) -> WorksheetRows:
        """The worksheet as it was last read: id, title, rows, columns. Raises DestinationRefused if it does not
        exist."""
        if self._sheet is None:
            self._sheet = find_worksheet(self._api, self.document, self.which)
        return self._sheet

    def know(self, sheet: WorksheetRows) -> Self:
        """Record the state of the worksheet from an earlier read. Returns self."""
        self._sheet = sheet
        return self

    def _look(self) -> tuple[WorksheetRows, Filled]:
        """The worksheet and its filled rows, from the last known row on, or from the top if that row is now empty."""
        known = self._sheet is not None
        sheet = self.sheet
        newest = sheet.newest(self._column)
        first = max(1, min(newest.last, sheet.rows)) if newest else 1
        try:
            sheet, shown = self._read(sheet, first)
        except DestinationRefused:
            if not known:
                raise
            # People may have made the sheet smaller since it was read.
            sheet, shown = self._read(find_worksheet(self._api, self.document, sheet.id), 1)
        if shown.first > 1 and not shown.begins:
            sheet, shown = self._read(sheet, 1)
        self._sheet = sheet
        return sheet, shown

    def _ours(self, sheet: WorksheetRows) -> int:
        """The known number of our columns."""
        newest = sheet.newest(self._column)
        return max(1, self._width, newest.width if newest else 0)

    def _read(self, sheet: WorksheetRows, first: int) -> tuple[WorksheetRows, Filled]:
        """The worksheet and its filled rows from `first` on. The worksheet is addressed by id, because people change
        titles."""
        column = min(self._column, sheet.columns - 1)
        end = min(self._column + self._ours(sheet), sheet.columns)
        place = {"sheetId": sheet.id, "startRowIndex": first - 1, "startColumnIndex": column, "endColumnIndex": end}
        read = self._api.read(self.document, fields=CELLS, ranges=[{"gridRange": place}])
        are_there = column == self._column
        return sheets_of(read)[0], filled(read) if are_there else Filled(1, 0, begins=False)

    def _formats(self, sheet: WorksheetRows, row: int) -> dict[int, Json]:
        """The number formats of a row. Only this row is read, because formats can extend to the end of the sheet."""
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


def find_worksheet(api: Api, document: str, which: int | str | None) -> WorksheetRows:
    """A worksheet by its id or title, or the first one. Raises DestinationRefused if it does not exist."""
    sheets = sheets_of(api.read(document, fields=SHAPE))
    grids = [sheet for sheet in sheets if sheet.grid]
    match which:
        case None:
            fits = grids[:1]
        case int():
            fits = [sheet for sheet in grids if sheet.id == which]
        case _:
            fits = [sheet for sheet in grids if sheet.title == which]
            fits = fits or [sheet for sheet in grids if which.isdigit() and sheet.id == int(which)]
    if not fits:
        existing = ", ".join(f"{sheet.title!r} ({sheet.id})" for sheet in grids)
        raise DestinationRefused(
            f"document {document} has no worksheet {which!r}",
            hint=f"there are: {existing}; write titles as text, ids as numbers",
        )
    return fits[0]


def _check_place(row: object) -> None:
    if row is not None and (isinstance(row, bool) or not isinstance(row, int) or row < 1):
        raise DeclarationError(f"{row!r} is not a row number: rows are counted from 1")


def column_number(letters: str) -> int:
    """The number of a column: 1 for A, 27 for AA. Raises DeclarationError."""
    number = 0
    for letter in letters.upper():
        if not "A" <= letter <= "Z":
            raise DeclarationError(f"{letters!r} is not a column", hint="expected letters: A, B, … AA")
        number = number * 26 + ord(letter) - 64
    if not 0 < number <= 18_278:
        raise DeclarationError(f"{letters!r} is not a column", hint="the last column of Google Sheets is ZZZ")
    return number
