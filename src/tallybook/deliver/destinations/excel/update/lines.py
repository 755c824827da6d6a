"""Decides where the columns and lines of a grid go, and finds what is in their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from tallybook.core import DestinationError
from tallybook.deliver.destinations.excel.new.pages import MAX_COLUMNS, MAX_ROWS
from tallybook.deliver.destinations.excel.update.ours import OurCells
from tallybook.deliver.destinations.layout import NUMBER, PERIOD, Field, Line
from tallybook.deliver.destinations.row_keys import DAY_0, Key, KeyReader, match
from tallybook.sheets import Area, area, attached_rows, cell


class LinePlaces(OurCells):
    """The column of each field and the row of each line."""

    def _new_columns(self) -> dict[str, int]:
        """The column of each field: its current one, or the next one to the right of our columns."""
        columns = dict(self.old.columns)
        right = max([0, *self.old.all_columns, self.table[1].area.right if self.table else 0])
        first = self.old.periods.start if self.old.periods else 0
        for f in self.grid.fields:
            if f.day is not None:
                first = first or max([right, *columns.values()]) + 1
                columns[f.id] = first + sum(1 for other in columns if other in self._days)
            elif f.id not in columns:
                right = max([right, *columns.values()]) + 1
                columns[f.id] = right
        if max(columns.values()) > MAX_COLUMNS or self.old.head + len(self.grid.lines) > MAX_ROWS:
            raise DestinationError(
                f"a sheet has room for {MAX_ROWS:,} rows and {MAX_COLUMNS:,} columns; the delivery needs more",
                hint="deliver at a wider scope, with fewer dimensions, or as Parquet",
            )
        return columns

    def _new_rows(self) -> list[int]:
        """The row of each line, in order. If people wrote beside our rows, each row stays where it is."""
        self._sticky: list[int] = []
        in_order = list(range(self.old.head + 1, self.old.head + 1 + len(self.grid.lines)))
        self.came_from: dict[int, int | None] = {}
        if not self.old.columns:
            return in_order
        keys = self.grid.fields[: self.grid.lines[0].key] if self.grid.lines else ()
        own = self.old.all_columns
        self._attached = attached_rows(self.package, self.part_name, self.sheet, own, self.old.rows, self._ruled)
        if self.grid.layout == "across" or not self._attached:
            return self._moved_rows(keys, in_order)
        if any(f.id not in self.old.columns for f in keys):
            raise DestinationError(
                f"tab {self.tab!r} is now split by other dimensions, and people wrote beside its rows: their notes "
                "would be beside other numbers",
                hint="deliver to another tab, or delete the notes",
            )
        written, since = self._written_keys(keys), self._window
        self._reach_back(written)
        return self._kept_rows(written, keys, since)

    @property
    def _ruled(self) -> set[int]:
        """The columns whose conditional formats and data validations belong to our rows: ours, and those that people
        added to the table."""
        theirs = self.table[1].area if self.table else None
        return self.old.all_columns | (set(range(theirs.left, theirs.right + 1)) if theirs else set())

    def _written_keys(self, keys: Sequence[Field]) -> dict[int, Key]:
        """The keys in our rows, as written."""
        columns = [self.old.columns[f.id] for f in keys]
        return {row: tuple(self._key_cell(self.sheet.value(row, at)) for at in columns) for row in self.old.rows}

    def _moved_rows(self, keys: Sequence[Field], in_order: list[int]) -> list[int]:
        """The rows in order. Styles that people gave our cells, and row heights, move with their lines."""
        if any(f.id not in self.old.columns for f in keys):
            return in_order
        found = match(self._written_keys(keys), self._reader(keys))
        for row, line in zip(in_order, self.grid.lines, strict=True):
            self.came_from[row] = found.rows.get(self._wanted(line))
        if any(row != old for row, old in self.came_from.items() if old is not None) or len(in_order) < len(
            self.old.rows
        ):
            self.sheet.move(dict.fromkeys(self.old.rows) | self.came_from)
        return in_order

    def _reach_back(self, there: Mapping[int, Key]) -> None:
        """Extend the grid to the record, from the first period in the sheet on. Rows that leave the window stay."""
        if self.place.record is None or self.place.since is None:
            return
        since = self._window
        days = [key[0] for key in there.values() if key and isinstance(key[0], float)]
        first = min([since, *days])
        lines = [x for x in self.place.record.lines if not self._is_lacking(x, since) and self._number_of(x) >= first]
        self.grid = replace(self.grid, lines=tuple(lines))

    @property
    def _window(self) -> float:
        """The first period of the query, as a cell value; 0 if the query has no first period."""
        since = None if self.place.since is None else self._plain(self.place.since)
        firsts = [self._number_of(line) for line in self.grid.lines]
        return since if isinstance(since, float) else min(firsts, default=0.0)

    def _number_of(self, line: Line) -> float:
        period = self._plain(line.values[0])
        return period if isinstance(period, float) else 0.0

    def _is_lacking(self, line: Line, since: float) -> bool:
        """Whether a line is before the window and has no number, so that leaving it out loses nothing."""
        numbers = (v for f, v in zip(self.grid.fields, line.values, strict=True) if f.kind == NUMBER)
        return self._number_of(line) < since and all(value is None for value in numbers)

    def _wanted(self, line: Line) -> Key:
        """The key of a line, in the form in which it is read back from its cells."""
        return tuple(self._key_cell(self._plain(value)) for value in line.values[: line.key])

    def _reader(self, keys: Sequence[Field]) -> KeyReader:
        day_0 = DAY_0 + timedelta(days=1462) if self.book.counts_from_1904 else DAY_0
        return KeyReader.of(self.grid, keys, [self._wanted(line) for line in self.grid.lines], day_0=day_0)

    def _kept_rows(self, there: Mapping[int, Key], keys: Sequence[Field], since: float) -> list[int]:
        reader = self._reader(keys)
        found = match(there, reader)
        self._refuse_unknown_days(found.others, reader)
        rows, below = [], self.old.bottom
        for key in map(self._wanted, self.grid.lines):
            below += key not in found.rows
            rows.append(found.rows.get(key, below))
            self.came_from[rows[-1]] = found.rows.get(key)
        for row, key in found.others.items():
            # Rows before the first period of the query stay as they were last delivered.
            if key and isinstance(key[0], float) and key[0] < since:
                self._sticky.append(row)
        return rows

    def _refuse_unknown_days(self, others: Mapping[int, Key], reader: KeyReader) -> None:
        """Raise DestinationError if someone changed the day of a row with a note, because the note must not lose its
        number."""
        column = self.old.columns[self.grid.fields[0].id]
        for row, key in others.items():
            is_filled = any(self.sheet.is_filled(row, at) for at in self.old.columns.values())
            is_unknown = reader.kinds[:1] == (PERIOD,) and is_filled and not reader.days(key[0])
            if not is_unknown or row not in self._attached:
                continue
            raise DestinationError(
                f"tab {self.tab!r}: row {row} was ours: its {self.grid.fields[0].head} was changed to "
                f"{self.sheet.shown(row, column)} (cell {cell(row, column)}), and there is a note beside it",
                hint="write the day there as it was, or delete the row or its note",
            )

    # what is in the way

    def _refuse_conflicts(self) -> None:
        target = set(self.columns.values())
        own = self.old.all_columns
        for row, column in self.sheet.cells(self.heads, self.bottom):
            ours = row <= self.old.bottom and column in own
            if column in target and not ours and self.sheet.is_filled(row, column):
                self._refuse(row, column)
        self._refuse_columns_between()
        whole = Area(self.old.head, min(target), self.bottom, max(target))
        for text in self.sheet.merged():
            at = area(text)
            if at is not None and at.meets(whole):
                raise self._in_the_way(f"the merged cells {text}", "unmerge them")
        for name, table in self.tables.items():
            if (self.table is None or name != self.table[0]) and table.area.meets(whole):
                raise self._in_the_way(f"the table {table.name} at {table.area}", "move it")
        if self.table and self.table[1].has_totals and self.bottom != self.table[1].area.bottom - 1:
            raise self._in_the_way(f"the totals row of the table {self.table[1].name}", "turn it off")

    def _refuse_columns_between(self) -> None:
        """Raise DestinationError if people put a column between the periods, which must be adjacent."""
        heads = {f.head for f in self.grid.fields}
        for column in self.old.periods:
            head = self.sheet.value(self.old.head, column)
            if isinstance(head, float) or head in heads:
                continue
            for row in range(self.old.head, self.old.bottom + 1):
                if self.sheet.is_filled(row, column):
                    self._refuse(row, column)

    def _refuse(self, row: int, column: int) -> None:
        raise self._in_the_way(f"cell {cell(row, column)} ({self.sheet.shown(row, column)})", "move it")

    def _in_the_way(self, what: str, do: str) -> DestinationError:
        needs = Area(self.old.head, min(self.columns.values()), self.bottom, max(self.columns.values()))
        return DestinationError(
            f"tab {self.tab!r}: {what} is not ours and is where the delivery needs to write ({needs})",
            hint=f"{do}, or deliver to another tab: [deliveries.{self.place.name}] tab = …",
        )
