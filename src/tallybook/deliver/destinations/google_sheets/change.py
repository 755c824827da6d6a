"""The changes that make a tab match a grid. Pure: a `Grid` and a `Tab` in, a `TabChange` out.

Rows are found by their key (period and dimensions), and columns by their field. Rows and columns that belong to people
are never written to. They move only to make room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from tallybook.core import DestinationRefused
from tallybook.deliver.destinations.google_sheets.rows import TabRows, key_fields, key_of, rows_of
from tallybook.deliver.destinations.google_sheets.tab import Tab, entered
from tallybook.deliver.destinations.layout import Field, Grid, Line
from tallybook.deliver.destinations.row_keys import Cell, Formula, Key
from tallybook.deliver.destinations.sheet_modes import HISTORY, KEEP, RESTORE

Before = Mapping[tuple[Key, str], Cell]
"""The values of the last delivery by (row, field)."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """The window of a record. It begins with the period `since`; the grid may have older periods. `then`: the answer of
    the last delivery for the older periods, or None if unknown."""

    since: date
    then: Before | None = None

    def leaves(self, field: Field, line: Line, where: tuple[Key, str], new: Cell) -> bool:
        """Whether a cell of an older period stays unchanged. If the last delivery is unknown, a value that the book
        lacks deletes nothing."""
        day = field.day or line.values[0]
        if not isinstance(day, date) or day >= self.since:
            return False
        return new is None if self.then is None else where in self.then and self.then[where] == new


@dataclass(frozen=True, kw_only=True)
class Written:
    """A cell to write. `by_hand`: a person edited it since the last delivery."""

    row: int
    field: str
    key: Key
    old: Cell
    new: Cell
    by_hand: bool = False


@dataclass(frozen=True, kw_only=True)
class Stray:
    """A row of ours whose key a person edited: the heading of the edited column, and its current cell."""

    row: int
    what: str
    cell: Cell
    key: Key | None = None
    """The key of the row's numbers, if known."""


@dataclass(frozen=True, kw_only=True)
class TabChange:
    """The changes of a tab. Rows and columns are counted before any change; new ones follow `last_row` and
    `last_column`, the last of ours."""

    grid: Grid
    tab: Tab
    headings: bool = False
    """Whether the headings must be written, because they are missing."""
    blank_heads: tuple[Field, ...] = ()
    """Fields whose heading is blank and is written again."""
    fields: tuple[Field, ...] = ()
    """Fields without a column."""
    last_column: int = -1
    written: tuple[Written, ...] = ()
    kept: tuple[Written, ...] = ()
    """Cells that keep the edit of a person, as declared."""
    lines: tuple[Line, ...] = ()
    """Lines without a row."""
    last_row: int = -1
    gone_rows: tuple[int, ...] = ()
    gone_columns: tuple[int, ...] = ()
    twice: tuple[int, ...] = ()
    """Rows with the key of another row. They are copies made by people, and are left unchanged."""
    strays: tuple[Stray, ...] = ()
    """Rows of ours whose key a person changed."""

    @property
    def is_empty(self) -> bool:
        gone = self.gone_rows or self.gone_columns
        heads = self.headings or self.blank_heads
        return not (heads or self.fields or self.written or self.lines or gone)

    @property
    def size(self) -> tuple[int, int]:
        """The (rows, columns) of the tab after the change, before deletions."""
        tab, row, column = self.tab, self.last_row + 1, self.last_column + 1
        rows = row + len(self.lines) + self.headings
        columns = column + len(self.fields)
        return (
            max(tab.rows, rows) if tab.empty_rows(row, rows) else tab.rows + rows - row,
            max(tab.columns, columns) if tab.empty_columns(column, columns) else tab.columns + columns - column,
        )

    @property
    def cells(self) -> int:
        """The number of cells that it writes."""
        width = len(self.grid.fields)
        return len(self.written) + len(self.lines) * width + len(self.fields)

    def first(self, most: int) -> TabChange:
        """The part of the change with at most this many cells, and at least one line. The rest follows when the tab
        is read again."""
        if self.cells <= most:
            return self
        written = self.written[:most]
        room = max(0, most - len(self.fields) - len(written))
        lines = self.lines[: max(1, room // max(1, len(self.grid.fields)))] if written == self.written else ()
        return replace(self, lines=lines, written=written, gone_rows=(), gone_columns=())


def plan(
    grid: Grid,
    tab: Tab,
    *,
    mode: str = HISTORY,
    policy: str = RESTORE,
    before: Before | None = None,
    window: Window | None = None,
) -> TabChange:
    """The smallest change that makes the tab match. Without `before`, the last delivery, a correction cannot be
    distinguished from a person's edit. For periods before the `window` only missing and changed values are written.

    Raises DestinationRefused if a key column is missing, or cells of ours are merged."""
    fields = tuple(field for field in grid.fields if field.id not in tab.places)
    _refuse_lost_keys(grid, tab, fields)
    _refuse_merged(grid, tab)
    rows, lines = rows_of(grid, tab, before), _by_key(grid)
    cells = [cell for key, row in rows.ours.items() for cell in _cells(grid, tab, key, row, lines[key], before, window)]
    cells += _edited_keys(grid, tab, rows)
    gone = () if mode == HISTORY else rows.gone
    return TabChange(
        grid=grid,
        tab=tab,
        headings=tab.header is None,
        blank_heads=_blank_heads(grid, tab),
        fields=fields,
        last_column=max(tab.places.values(), default=-1),
        written=tuple(cell for cell in cells if not (cell.by_hand and policy == KEEP)),
        kept=tuple(cell for cell in cells if cell.by_hand and policy == KEEP),
        lines=tuple(line for key, line in lines.items() if key not in rows.ours),
        last_row=max(rows.last, -1 if tab.header is None else tab.header),
        gone_rows=gone,
        gone_columns=() if mode == HISTORY else _gone_columns(grid, tab),
        twice=tuple(row for row in rows.twice if row not in gone),
        strays=tuple(_stray(grid, tab, row, key) for row, key in sorted(rows.strays.items()) if row not in gone),
    )


def _by_key(grid: Grid) -> dict[Key, Line]:
    """The lines by their keys. Raises DestinationRefused if two lines have the same key, because a number would be
    lost."""
    lines = {key_of(line): line for line in grid.lines}
    if len(lines) != len(grid.lines):
        keys = [key_of(line) for line in grid.lines]
        double = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise DestinationRefused(
            f"{len(grid.lines)} lines have {len(lines)} keys: {double} is there twice",
            hint="please report it: no line of an answer may have the key of another",
        )
    return lines


def divided(grid: Grid, tab: Tab) -> tuple[Grid, Grid]:
    """The lines that have a row in the tab, and the other lines."""
    rows = rows_of(grid, tab).ours
    here = tuple(line for line in grid.lines if key_of(line) in rows)
    rest = tuple(line for line in grid.lines if key_of(line) not in rows)
    return replace(grid, lines=here), replace(grid, lines=rest)


def without_new_columns(grid: Grid, tab: Tab) -> Grid:
    """The values of the grid for the columns of the tab."""
    at = [place for place, field in enumerate(grid.fields) if field.id in tab.places]
    lines = tuple(replace(line, values=tuple(line.values[place] for place in at)) for line in grid.lines)
    return replace(grid, fields=tuple(grid.fields[place] for place in at), lines=lines)


def values_of(grid: Grid) -> Before:
    """The values of a grid by (row, field), as they are entered."""
    return {
        (key_of(line), field.id): entered(value)
        for line in grid.lines
        for field, value in zip(grid.fields, line.values, strict=True)
    }


def _edited_keys(grid: Grid, tab: Tab, rows: TabRows) -> list[Written]:
    """Key cells that a person rewrote in another form."""
    return [
        Written(row=row, field=field.id, key=key, old=tab.cell(row, tab.places[field.id]), new=cell, by_hand=True)
        for row, key in rows.edited.items()
        for field, cell in zip(key_fields(grid), key, strict=True)
        if not _same(tab.cell(row, tab.places[field.id]), cell)
    ]


def _stray(grid: Grid, tab: Tab, row: int, key: Key | None) -> Stray:
    """The stray row, with the first key cell that matches no line, or that matches a line other than the one of its
    numbers."""
    fields = key_fields(grid)
    cells = [tab.cell(row, tab.places[field.id]) for field in fields]
    lines = [key] if key is not None else [key_of(line) for line in grid.lines]
    unlike = (i for i, cell in enumerate(cells) if not any(_same(cell, line[i]) for line in lines))
    place = next(unlike, len(cells) - 1)
    return Stray(row=row, what=fields[place].head, cell=cells[place], key=key)


def _same(one: Cell, other: Cell) -> bool:
    return one == other and type(one) is type(other)


def _blank_heads(grid: Grid, tab: Tab) -> tuple[Field, ...]:
    if tab.header is None:
        return ()
    heads = {f.id: tab.cell(tab.header, tab.places[f.id]) for f in grid.fields if f.id in tab.places}
    return tuple(f for f in grid.fields if f.id in heads and not str(heads[f.id] or "").strip())


def _cells(
    grid: Grid, tab: Tab, key: Key, row: int, line: Line, before: Before | None, window: Window | None
) -> list[Written]:
    """The differing cells of one row, in existing and new columns."""
    found = []
    for place, (field, value) in enumerate(zip(grid.fields, line.values, strict=True)):
        if place < line.key:
            continue
        new, column = entered(value), tab.places.get(field.id)
        old = None if column is None else tab.cell(row, column)
        if _same(old, new) or (window is not None and window.leaves(field, line, (key, field.id), new)):
            continue
        known = before is not None and (key, field.id) in before and column is not None
        by_hand = isinstance(old, Formula) or bool(known and before is not None and old != before[key, field.id])
        found.append(Written(row=row, field=field.id, key=key, old=old, new=new, by_hand=by_hand))
    return found


def _gone_columns(grid: Grid, tab: Tab) -> tuple[int, ...]:
    """Columns of periods or metrics that the delivery no longer has."""
    asked = {field.id for field in grid.fields}
    return tuple(sorted(column for name, column in tab.places.items() if name not in asked))


def _refuse_lost_keys(grid: Grid, tab: Tab, fields: Sequence[Field]) -> None:
    lost = [field.id for field in key_fields(grid) if field in fields]
    if tab.places and lost:
        raise DestinationRefused(
            f"the column of {' and of '.join(lost)} is gone from the tab {tab.title!r}, so rows cannot be identified",
            hint="bring it back with File ▸ Version history, or delete the tab: the next run creates it again",
        )


def _refuse_merged(grid: Grid, tab: Tab) -> None:
    """Raise DestinationRefused for merged cells of ours, because a cell inside a merged one ignores its value."""
    ours = [tab.places[field.id] for field in grid.fields if field.id in tab.places]
    for first, behind, left, right in tab.merged:
        if behind > (tab.header or 0) and any(left <= column < right for column in ours):
            raise DestinationRefused(
                (
                    f"cells of ours are merged in the tab {tab.title!r}: rows {first + 1} to {behind}, columns "
                    f"{left + 1} to {right}"
                ),
                hint="select them, Format ▸ Merge cells ▸ Unmerge",
            )
