"""Finds our rows in a tab: rows of the grid, rows that the grid no longer has, and rows that people changed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tallybook.deliver.destinations.google_sheets.tab import Tab, entered_key
from tallybook.deliver.destinations.layout import PERIOD, Field, Grid, Line
from tallybook.deliver.destinations.row_keys import Cell, Formula, Key, KeyReader, match
from tallybook.deliver.destinations.typed_days import MONTH_FIRST


@dataclass(frozen=True, kw_only=True)
class TabRows:
    """The rows of a tab by their kind, counted from 0."""

    ours: Mapping[Key, int] = field(default_factory=dict)
    """Rows by the keys of the grid."""
    edited: Mapping[int, Key] = field(default_factory=dict)
    """Those of our rows whose key is written in another form."""
    twice: tuple[int, ...] = ()
    """Rows with the key of another row."""
    gone: tuple[int, ...] = ()
    """Rows that are or were ours, and that the grid does not have."""
    strays: Mapping[int, Key | None] = field(default_factory=dict)
    """Rows that were ours, and whose key was changed beyond recognition or to the key of another row. Each with the key
    of its numbers, if known."""

    unknown: tuple[int, ...] = ()
    """All other rows with a value in a key column."""

    @property
    def delivered(self) -> tuple[Mapping[Key, int], tuple[int, ...]]:
        return self.ours, self.twice

    @property
    def last(self) -> int:
        return max([-1, *self.ours.values(), *self.twice, *self.gone, *self.strays])


def key_of(line: Line) -> Key:
    return tuple(entered_key(value) for value in line.values[: line.key])


def key_fields(grid: Grid) -> tuple[Field, ...]:
    """The fields of the key."""
    keys = grid.lines[0].key if grid.lines else _keys_without_lines(grid)
    return grid.fields[:keys]


def _keys_without_lines(grid: Grid) -> int:
    """The number of key fields of a grid without lines: all fields before the first number or remark."""
    behind = [i for i, f in enumerate(grid.fields) if f.column is not None or f.day or f.id in ("complete", "value")]
    return min(behind, default=1)


def rows_of(grid: Grid, tab: Tab, before: Mapping[tuple[Key, str], Cell] | None = None) -> TabRows:
    """The rows of ours. With `before`, the last delivery, also rows that are recognized only by their numbers."""
    keys = key_fields(grid)
    if any(f.id not in tab.places for f in keys):
        return TabRows()
    places = [tab.places[f.id] for f in keys]
    rows: dict[int, Key] = {
        row: tuple(tab.cell(row, place) for place in places)
        for row in range(len(tab.cells))
        if row != tab.header and tab.cells[row]
    }
    wanted = [key_of(line) for line in grid.lines]
    reader = KeyReader.of(grid, keys, wanted, month_first=tab.locale in MONTH_FIRST)
    found = match(rows, reader)
    gone: set[int] = set()
    strays: dict[int, Key | None] = {}
    unknown: list[int] = []
    firsts = {key[0] for key in wanted}
    seen: set[Key] = set()
    for row, cells in found.others.items():
        if isinstance(cells[0], float) and cells in seen:
            found.twice.append(row)
        seen.add(cells)
        marked = _was_ours(tab, row)
        if marked or _is_known(cells[0], keys[0], firsts):
            gone.add(row)
        else:
            unknown.append(row)
        if marked and not (keys[0].kind == PERIOD and (isinstance(cells[0], float) or reader.days(_shown(cells[0])))):
            strays[row] = None
    if before is not None:
        missing = [key for key in wanted if key not in found.rows]
        strays |= _by_numbers(grid, tab, missing, sorted(found.others), before)
        gone |= set(strays) if "complete" not in tab.places else set()
    return TabRows(
        ours=found.rows,
        edited=found.edited,
        twice=tuple(sorted(found.twice)),
        gone=tuple(sorted(gone)),
        strays=strays,
        unknown=tuple(unknown),
    )


def _is_known(first: Cell, of: Field, firsts: set[Cell]) -> bool:
    """Whether the first cell of a row is one that we write: a day, or a name in the grid."""
    return isinstance(first, float) if of.kind == PERIOD else isinstance(first, str) and first in firsts


def _shown(cell: Cell) -> Cell:
    return cell.shows if isinstance(cell, Formula) else cell


def _was_ours(tab: Tab, row: int) -> bool:
    """Whether a row has our yes or no in the column `complete`, where nobody else writes."""
    column = tab.places.get("complete")
    cell = None if column is None else tab.cell(row, column)
    return not isinstance(cell, Formula) and cell in ("yes", "no")


def _by_numbers(
    grid: Grid, tab: Tab, missing: list[Key], rows: list[int], before: Mapping[tuple[Key, str], Cell]
) -> dict[int, Key]:
    """Rows with exactly the numbers that were delivered in a row that is now missing."""
    fields = [f for f in grid.fields[len(key_fields(grid)) :] if f.id in tab.places and f.id != "complete"]
    held = {tuple(tab.cell(row, tab.places[f.id]) for f in fields): row for row in reversed(rows)}
    found: dict[int, Key] = {}
    for key in missing:
        numbers = tuple(before.get((key, f.id)) for f in fields)
        if any(isinstance(number, float) and number for number in numbers) and numbers in held:
            found[held.pop(numbers)] = key
    return found
