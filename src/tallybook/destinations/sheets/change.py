"""What is to be done so that a tab says what a grid says. Pure: a `Grid` and a `Tab` in, a `Change` out.

Rows are told by their key (period and dimensions), columns by their field. What is not ours stays: rows and columns
of people are never written to, and move only to make room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tallybook.destinations.layout import PERIOD, Field, Grid, Line
from tallybook.destinations.sheets.tab import Cell, Formula, Tab, entered
from tallybook.errors import DestinationRefused
from tallybook.metrics import HISTORY, KEEP, RESTORE

Key = tuple[Cell, ...]
Before = Mapping[tuple[Key, str], Cell]
"""{(row, field): what was delivered last}."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A cell of ours that shall hold something else. `by_hand`: somebody wrote into it since the last delivery."""

    row: int
    field: str
    key: Key
    old: Cell
    new: Cell
    by_hand: bool = False


@dataclass(frozen=True, kw_only=True)
class Change:
    """Rows and columns are those of the tab as it is, before anything is done; new ones come behind `last_row` and
    `last_column`, the last that are ours."""

    grid: Grid
    tab: Tab
    headings: bool = False
    """The row of headings is to be written: it is not there."""
    fields: tuple[Field, ...] = ()
    """That have no column yet."""
    last_column: int = -1
    written: tuple[Written, ...] = ()
    kept: tuple[Written, ...] = ()
    """Left as somebody wrote them, as declared."""
    lines: tuple[Line, ...] = ()
    """That have no row yet."""
    last_row: int = -1
    gone_rows: tuple[int, ...] = ()
    gone_columns: tuple[int, ...] = ()
    twice: tuple[int, ...] = ()
    """Rows with the key of another row: people's copies, left as they are."""

    @property
    def is_empty(self) -> bool:
        gone = self.gone_rows or self.gone_columns
        return not (self.headings or self.fields or self.written or self.lines or gone)

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) of the grid afterwards, before anything is taken away."""
        tab, row, column = self.tab, self.last_row + 1, self.last_column + 1
        rows = row + len(self.lines) + self.headings
        columns = column + len(self.fields)
        return (
            max(tab.rows, rows) if tab.empty_rows(row, rows) else tab.rows + rows - row,
            max(tab.columns, columns) if tab.empty_columns(column, columns) else tab.columns + columns - column,
        )

    @property
    def cells(self) -> int:
        """How many cells it writes."""
        width = len(self.grid.fields)
        return len(self.written) + len(self.lines) * width + len(self.fields)

    def first(self, most: int) -> Change:
        """As much of it as writes at most so many cells, and at least a line: the rest is seen when the tab is read
        again."""
        if self.cells <= most:
            return self
        written = self.written[:most]
        room = max(0, most - len(self.fields) - len(written))
        lines = self.lines[: max(1, room // max(1, len(self.grid.fields)))] if written == self.written else ()
        return replace(self, lines=lines, written=written, gone_rows=(), gone_columns=())


def plan(grid: Grid, tab: Tab, *, mode: str = HISTORY, policy: str = RESTORE, before: Before | None = None) -> Change:
    """The least that must be done. `before` is what was delivered last; without it nobody can tell a correction of
    ours from a cell that somebody wrote into.

    Raises DestinationRefused where a key column is gone, or our cells are merged."""
    fields = tuple(field for field in grid.fields if field.id not in tab.places)
    _refuse_lost_keys(grid, tab, fields)
    _refuse_merged(grid, tab)
    rows, twice = rows_of(grid, tab)
    wanted = {key_of(line): line for line in grid.lines}
    cells = [
        cell for key, row in rows.items() if key in wanted for cell in _cells(grid, tab, key, row, wanted[key], before)
    ]
    written = [cell for cell in cells if not (cell.by_hand and policy == KEEP)]
    return Change(
        grid=grid, tab=tab, headings=tab.header is None, fields=fields,
        last_column=max((tab.places[f.id] for f in grid.fields if f.id in tab.places), default=-1),
        written=tuple(written), kept=tuple(cell for cell in cells if cell.by_hand and policy == KEEP),
        lines=tuple(line for key, line in wanted.items() if key not in rows),
        last_row=max([-1 if tab.header is None else tab.header, *rows.values(), *twice]),
        gone_rows=() if mode == HISTORY else tuple(sorted(row for key, row in rows.items() if key not in wanted)),
        gone_columns=() if mode == HISTORY else _gone_columns(grid, tab), twice=tuple(twice),
    )  # fmt: skip


def divided(grid: Grid, tab: Tab) -> tuple[Grid, Grid]:
    """(the lines that have a row in the tab, the others)."""
    rows, _ = rows_of(grid, tab)
    here = tuple(line for line in grid.lines if key_of(line) in rows)
    rest = tuple(line for line in grid.lines if key_of(line) not in rows)
    return replace(grid, lines=here), replace(grid, lines=rest)


def without_new_columns(grid: Grid, tab: Tab) -> Grid:
    """What the grid says of the columns that the tab has."""
    at = [place for place, field in enumerate(grid.fields) if field.id in tab.places]
    lines = tuple(replace(line, values=tuple(line.values[place] for place in at)) for line in grid.lines)
    return replace(grid, fields=tuple(grid.fields[place] for place in at), lines=lines)


def key_of(line: Line) -> Key:
    return tuple(entered(value) for value in line.values[: line.key])


def values_of(grid: Grid) -> Before:
    """Every value of a grid by its row and field, as it is entered."""
    return {
        (key_of(line), field.id): entered(value)
        for line in grid.lines
        for field, value in zip(grid.fields, line.values, strict=True)
    }


def key_fields(grid: Grid) -> tuple[Field, ...]:
    """The fields that say which row it is."""
    keys = grid.lines[0].key if grid.lines else _keys_without_lines(grid)
    return grid.fields[:keys]


def _keys_without_lines(grid: Grid) -> int:
    """Of a grid without a line: all before the first number or remark."""
    behind = [i for i, f in enumerate(grid.fields) if f.column is not None or f.day or f.id in ("complete", "value")]
    return min(behind, default=1)


def rows_of(grid: Grid, tab: Tab) -> tuple[dict[Key, int], list[int]]:
    """Our rows by their key, and rows that have the key of one above."""
    keys, rows, twice = key_fields(grid), {}, []
    if any(field.id not in tab.places for field in keys):
        return {}, []
    known = {key_of(line)[0] for line in grid.lines}
    for row in range(len(tab.cells)):
        key = tuple(_as_key(tab.cell(row, tab.places[field.id]), field) for field in keys)
        ours = isinstance(key[0], float) if keys[0].kind == PERIOD else key[0] in known
        if row == tab.header or not ours:
            continue
        if key in rows:
            twice.append(row)
        else:
            rows[key] = row
    return rows, twice


def _as_key(value: Cell, field: Field) -> Cell:
    """What stands in a key column; a text that people made a number is the text still."""
    if field.kind == PERIOD or value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if value.is_integer() else str(value)


def _cells(grid: Grid, tab: Tab, key: Key, row: int, line: Line, before: Before | None) -> list[Written]:
    """What differs in one row, of columns that are there or will be."""
    found = []
    for place, (field, value) in enumerate(zip(grid.fields, line.values, strict=True)):
        if place < line.key:
            continue
        new, column = entered(value), tab.places.get(field.id)
        old = None if column is None else tab.cell(row, column)
        if old == new and type(old) is type(new):
            continue
        known = before is not None and (key, field.id) in before and column is not None
        by_hand = isinstance(old, Formula) or bool(known and before is not None and old != before[key, field.id])
        found.append(Written(row=row, field=field.id, key=key, old=old, new=new, by_hand=by_hand))
    return found


def _gone_columns(grid: Grid, tab: Tab) -> tuple[int, ...]:
    """Columns of periods or metrics that are not asked for any more."""
    asked = {field.id for field in grid.fields}
    return tuple(sorted(column for name, column in tab.places.items() if name not in asked))


def _refuse_lost_keys(grid: Grid, tab: Tab, fields: Sequence[Field]) -> None:
    lost = [field.id for field in key_fields(grid) if field in fields]
    if tab.places and lost:
        raise DestinationRefused(
            f"the column of {' and of '.join(lost)} is gone from the tab {tab.title!r}, so nobody can tell which row is which",
            hint="bring it back with File ▸ Version history, or delete the tab: it is made anew by the next run",
        )


def _refuse_merged(grid: Grid, tab: Tab) -> None:
    """A cell inside a merged one takes no value, and nobody would be told."""
    ours = [tab.places[field.id] for field in grid.fields if field.id in tab.places]
    for first, behind, left, right in tab.merged:
        if behind > (tab.header or 0) and any(left <= column < right for column in ours):
            raise DestinationRefused(
                f"cells of ours are merged in the tab {tab.title!r}: rows {first + 1} to {behind}, columns {left + 1} to {right}",
                hint="select them, Format ▸ Merge cells ▸ Unmerge",
            )
