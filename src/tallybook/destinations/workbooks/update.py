"""Puts a grid into a workbook that is there: late data corrects its cell, new rows and columns take the next ones.

Where our cells are stands in the workbook itself, in names (`board.revenue`): they follow when people rename the
tab, insert rows above or move a column. Cells that are not ours are never written over; where the grid needs their
place, the delivery is refused and says which cell it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property

from tallybook.destinations.layout import NUMBER, PERIOD, Field, Grid, Line, Value
from tallybook.destinations.row_keys import DAY_0, Key, KeyReader, key_text, match
from tallybook.destinations.workbooks.attached import attached_rows, grow_rules
from tallybook.destinations.workbooks.book import Book, recalculating, shared_strings
from tallybook.destinations.workbooks.package import RELATIONS, Package, damage_reported
from tallybook.destinations.workbooks.places import Area, area, cell
from tallybook.destinations.workbooks.sheet import Sheet
from tallybook.destinations.workbooks.styles import Look, Styles
from tallybook.destinations.workbooks.table import Table, free_number, free_table_name, new_table, tables
from tallybook.destinations.workbooks.xml import escaped
from tallybook.destinations.xlsx.pages import MAX_COLUMNS, MAX_ROWS, clean_text
from tallybook.destinations.xlsx.table import DATES, excel_format
from tallybook.errors import DestinationError
from tallybook.result import Column, Number
from tallybook.result.plain import plain_number
from tallybook.result.tables import period_label

SHEET_ORDER = (
    "sheetPr", "dimension", "sheetViews", "sheetFormatPr", "cols", "sheetData", "sheetCalcPr", "sheetProtection",
    "protectedRanges", "scenarios", "autoFilter", "sortState", "dataConsolidate", "customSheetViews", "mergeCells",
    "phoneticPr", "conditionalFormatting", "dataValidations", "hyperlinks", "printOptions", "pageMargins", "pageSetup",
    "headerFooter", "rowBreaks", "colBreaks", "customProperties", "cellWatches", "ignoredErrors", "smartTags",
    "drawing", "legacyDrawing", "legacyDrawingHF", "drawingHF", "picture", "oleObjects", "controls", "webPublishItems",
    "tableParts", "extLst",
)  # fmt: skip
PERIODS = "periods"
"""The name of the periods of a grid that runs across."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a grid belongs: the tab, where it is new, and the word its names and its table begin with."""

    tab: str
    name: str
    record: Grid | None = None
    """Where rows stay because of notes beside them: the grid from the first period that they may lack."""
    since: date | None = None
    """The first period of the window; the record may begin before."""


def updated(data: bytes, grids: list[tuple[Place, Grid]]) -> bytes | None:
    """The workbook with the grids in their places; None when they stand there already.

    Raises DestinationError for a file that is no workbook, and where cells of others are in the way."""
    with damage_reported():
        package = Package(data)
        for place, grid in grids:
            _Update(package, place, grid).make()
        if not package.changed:
            return None
        recalculating(package)
        return package.made()


@dataclass
class _Ours:
    """Where our cells are: the row of heads, the last row, the column of each field; no columns: nowhere yet."""

    head: int = 1
    bottom: int = 1
    columns: dict[str, int] = field(default_factory=dict)
    periods: range = range(0)
    retired: set[int] = field(default_factory=set)
    """Columns of what is not delivered any more."""

    @property
    def rows(self) -> range:
        return range(self.head + 1, self.bottom + 1)

    @property
    def all_columns(self) -> set[int]:
        return {*self.columns.values(), *self.periods, *self.retired}


class _Update:
    """One grid on its way into one sheet."""

    def __init__(self, package: Package, place: Place, grid: Grid) -> None:
        self.package, self.place, self.grid = package, place, grid
        self.book = Book(package)
        self.prefix = f"{place.name}."
        styles = next((r.target for r in package.relations(package.book) if r.kind == "styles"), None)
        if styles is None:
            raise DestinationError("the workbook has no styles", hint="open and save it in a spreadsheet program")
        self.styles = Styles(package.part(styles))
        self.patterns: dict[str, str] = {}
        self._written: dict[tuple[str, str], frozenset[str]] = {}
        self._usual_looks: dict[int, int | None] = {}

    def make(self) -> None:
        self.tab, self.old = self._where()
        self._refuse_another_layout()
        found = self.book.part_of(self.tab)
        self.part_name = found[1] if found else self.book.add_sheet(self.tab)
        self.sheet = Sheet(self.package.part(self.part_name), lambda: shared_strings(self.package))
        self.tables = tables(self.package, self.part_name)
        self.table = self._our_table()
        # People may have inserted a row between the heads of the table and our first row.
        self.heads = min(self.table[1].area.top, self.old.head) if self.table else self.old.head
        self.columns = self._new_columns()
        self.rows = self._new_rows()
        self.bottom = max([*self.rows, self.old.head + 1, *self._sticky])
        self._refuse_conflicts()
        self._clear()
        self._write_heads()
        self._write_lines()
        self._fill_formulas()
        self._finish()

    # where it is

    def _where(self) -> tuple[str, _Ours]:
        """The sheet and the places that the names say; the declared tab where there are none."""
        ids = {_id(f.id): f.id for f in self.grid.fields if f.day is None}
        found = {}
        for written in self.book.names(self.prefix):
            refers = self.book.area(self.prefix + written)
            if refers is not None and self.book.part_of(refers[0]):
                found[written] = refers
        keys = [name for name in ids if name in found]
        if not keys or not self._begins(found):
            self._refuse_names_of_people(found, {*ids, PERIODS})
            return self.place.tab, _Ours()
        tab, first = found[keys[0]]
        here = {name: at for name, (sheet, at) in found.items() if sheet == tab and _beside(name, at, first)}
        ours = _Ours(head=first.top - 1, bottom=max(at.bottom for name, at in here.items() if name != PERIODS))
        for name, at in here.items():
            if name == PERIODS and self.grid.layout == "across":
                ours.periods = range(at.left, at.right + 1)
            elif name in ids:
                ours.columns[ids[name]] = at.left
            elif name != PERIODS and self.book.is_ours(self.prefix + name):
                ours.retired.add(at.left)
        return tab, ours

    def _begins(self, found: dict[str, tuple[str, Area]]) -> bool:
        """The first of our columns is there; a delivery made it, if any of these names is one."""
        return "period" in found or "metric" in found

    def _refuse_names_of_people(self, found: dict[str, tuple[str, Area]], wanted: set[str]) -> None:
        taken = next((name for name in found if name in wanted), None)
        if taken is not None:
            sheet, at = found[taken]
            raise DestinationError(
                f"the name {self.prefix}{taken} stands for {at.fixed(sheet)} in the workbook, and the delivery needs it",
                hint="delete the name in the workbook, or call the delivery otherwise",
            )

    def _refuse_another_layout(self) -> None:
        there = set(self.book.names(self.prefix))
        was = "across" if PERIODS in there else "long" if "metric" in there else "columns" if "period" in there else ""
        if self.old.columns and was != self.grid.layout:
            raise DestinationError(
                f"tab {self.tab!r} holds the layout {was}; the delivery is now laid out {self.grid.layout}",
                hint="delete the tab in the workbook, or deliver to another tab",
            )

    def _our_table(self) -> tuple[str, Table] | None:
        if not self.old.columns:
            return None
        first = Area(self.old.head, min(self.old.columns.values()), self.old.head + 1, max(self.old.columns.values()))
        return next(((n, t) for n, t in self.tables.items() if t.area.meets(first)), None)

    # where it shall be

    def _new_columns(self) -> dict[str, int]:
        """The column of each field: where it is, or the next one to the right of ours."""
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
                f"a sheet holds {MAX_ROWS:,} rows and {MAX_COLUMNS:,} columns; the delivery needs more",
                hint="deliver at a wider scope, with fewer dimensions, or as Parquet",
            )
        return columns

    @property
    def _days(self) -> set[str]:
        return {f.id for f in self.grid.fields if f.day is not None}

    def _new_rows(self) -> list[int]:
        """The row of each line: in order, but where people wrote beside our rows each keeps its own."""
        self._sticky: list[int] = []
        in_order = list(range(self.old.head + 1, self.old.head + 1 + len(self.grid.lines)))
        self.came_from: dict[int, int | None] = {}
        if not self.old.columns:
            return in_order
        keys = self.grid.fields[: self.grid.lines[0].key] if self.grid.lines else ()
        own = self.old.all_columns
        self._attached = attached_rows(self.package, self.part_name, self.sheet, own, self.old.rows)
        if self.grid.layout == "across" or not self._attached:
            return self._moved_rows(keys, in_order)
        if any(f.id not in self.old.columns for f in keys):
            raise DestinationError(
                f"tab {self.tab!r} is now split by other dimensions, and people wrote beside its rows: their notes "
                "would stand beside other numbers",
                hint="deliver to another tab, or delete the notes",
            )
        there, since = self._there(keys), self._window
        self._reach_back(there)
        return self._kept_rows(there, keys, since)

    def _there(self, keys: Sequence[Field]) -> dict[int, Key]:
        """The keys of our rows, as they are written."""
        columns = [self.old.columns[f.id] for f in keys]
        return {row: tuple(self._key_cell(self.sheet.value(row, at)) for at in columns) for row in self.old.rows}

    def _moved_rows(self, keys: Sequence[Field], in_order: list[int]) -> list[int]:
        """In order; what people gave our cells and the heights of rows go with the lines that they belong to."""
        if any(f.id not in self.old.columns for f in keys):
            return in_order
        found = match(self._there(keys), self._reader(keys))
        for row, line in zip(in_order, self.grid.lines, strict=True):
            self.came_from[row] = found.rows.get(self._wanted(line))
        if any(row != old for row, old in self.came_from.items() if old is not None) or len(in_order) < len(
            self.old.rows
        ):
            self.sheet.move(dict.fromkeys(self.old.rows) | self.came_from)
        return in_order

    def _reach_back(self, there: Mapping[int, Key]) -> None:
        """The grid is the record, from the first period that is there on: rows that leave the window stay."""
        if self.place.record is None or self.place.since is None:
            return
        since = self._window
        days = [key[0] for key in there.values() if key and isinstance(key[0], float)]
        first = min([since, *days])
        lines = [x for x in self.place.record.lines if not self._is_lacking(x, since) and self._number_of(x) >= first]
        self.grid = replace(self.grid, lines=tuple(lines))

    @property
    def _window(self) -> float:
        """The first period that is asked for, as a cell; 0 where the question says none."""
        since = None if self.place.since is None else self._plain(self.place.since)
        firsts = [self._number_of(line) for line in self.grid.lines]
        return since if isinstance(since, float) else min(firsts, default=0.0)

    def _number_of(self, line: Line) -> float:
        period = self._plain(line.values[0])
        return period if isinstance(period, float) else 0.0

    def _is_lacking(self, line: Line, since: float) -> bool:
        """A line before the window without any number: it takes nothing away from a record."""
        numbers = (v for f, v in zip(self.grid.fields, line.values, strict=True) if f.kind == NUMBER)
        return self._number_of(line) < since and all(value is None for value in numbers)

    def _wanted(self, line: Line) -> Key:
        """The key of a line, as it is read back from its cells."""
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
            # What is older than the first period asked for stays as it was last delivered.
            if key and isinstance(key[0], float) and key[0] < since:
                self._sticky.append(row)
        return rows

    def _refuse_unknown_days(self, others: Mapping[int, Key], reader: KeyReader) -> None:
        """A note must not lose its number because somebody changed the day of its row."""
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

    @staticmethod
    def _key_cell(value: float | str | None) -> float | str | None:
        """A cell of a key: null is none, and the empty text is not."""
        return key_text(value) if isinstance(value, str) else value

    def _plain(self, value: Value) -> float | str | None:
        """A key as it is read back from a cell."""
        if isinstance(value, date):
            serial = self._serial(value)
            return period_label(value, self.grid.scope) if serial is None else float(serial)
        return None if value is None else clean_text(str(value))

    def _serial(self, day: date) -> int | None:
        """The number of a day in the workbook's calendar; None for days before it is reliable."""
        if day.year <= 1900:
            return None
        serial = (day - date(1899, 12, 30)).days - (1462 if self.book.counts_from_1904 else 0)
        return serial if serial > 0 else None

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
        """A column that people put between the periods; those run on without a gap."""
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
            f"tab {self.tab!r}: {what} is not ours and stands where the delivery needs to write ({needs})",
            hint=f"{do}, or deliver to another tab: [deliveries.{self.place.name}] tab = …",
        )

    # writing

    def _clear(self) -> None:
        kept, own = set(self._sticky), self.old.all_columns
        for row in range(self.old.head + 1, self.old.bottom + 1):
            for column in () if row in kept else own:
                self.sheet.clear(row, column)
        for column in set(self.old.periods) - {self.columns[day] for day in self._days}:
            self.sheet.clear(self.old.head, column)

    def _write_heads(self) -> None:
        for f in self.grid.fields:
            at, align = self.columns[f.id], "right" if f.kind == NUMBER else "left"
            if f.day is not None and (serial := self._serial(f.day)) is not None:
                look = Look(
                    head=True, align="right", pattern=_date_pattern(f.day, self.grid.scope), complete=f.complete
                )
                style = self._look(self.heads, f, look)
                self.sheet.write(self.heads, at, self._number(serial), style=style)
            elif f.id not in self.old.columns or f.day is not None:
                look = Look(head=True, align=align, complete=f.complete)
                self._write_text(self.heads, at, self._head(f), self._look(self.heads, f, look))

    def _head(self, f: Field) -> str:
        """Unlike those that people gave their own columns of the table."""
        taken = {head.casefold() for head in self.table[1].heads} if self.table else set()
        head = clean_text(f.head)[:200]
        return head if head.casefold() not in taken else f"{head} ({f.id})"

    def _write_lines(self) -> None:
        for row, line in zip(self.rows, self.grid.lines, strict=True):
            for f, value in zip(self.grid.fields, line.values, strict=True):
                self._write(row, self.columns[f.id], f, line, value)

    def _write(self, row: int, column: int, f: Field, line: Line, value: Value) -> None:
        complete = line.complete and f.complete
        if f.kind == NUMBER and not isinstance(value, str | date):
            pattern = self._pattern(f.column or line.column)
            style = self._look(row, f, Look(pattern=pattern, complete=complete), f.column or line.column)
            self.sheet.write(row, column, "" if value is None else self._number(value), style=style)
        elif f.kind == PERIOD and isinstance(value, date) and (serial := self._serial(value)) is not None:
            look = Look(pattern=_date_pattern(value, self.grid.scope), align="left", complete=complete)
            self.sheet.write(row, column, self._number(serial), style=self._look(row, f, look))
        elif value is not None:
            text = period_label(value, self.grid.scope) if isinstance(value, date) else str(value)
            self._write_text(row, column, clean_text(text), self._look(row, f, Look(complete=complete)))
        elif (style := self._look(row, f, Look(complete=complete))) != self.styles.index(Look(complete=complete)):
            self.sheet.write(row, column, "", style=style)

    # looks that people gave our cells

    def _look(self, row: int, f: Field, look: Look, column: Column | None = None) -> int:
        """The look of a cell: of the one that it was, where people changed it; in a new row that of its whole column."""
        at = self._old_column(f)
        source = row if row == self.heads else self.came_from.get(row)
        patterns = self._written_patterns(f, column)
        if at is not None and source is not None and self.sheet.has_cell(source, at):
            return self.styles.kept(self.sheet.style(source, at), look, patterns)
        usual = self._usual(at, look, patterns) if at is not None and row != self.heads else None
        return self.styles.index(look) if usual is None else self.styles.kept(usual, look, patterns)

    def _usual(self, at: int, look: Look, patterns: frozenset[str]) -> int | None:
        """The look that all cells of a column share when they are complete, if there are several."""
        if at not in self._usual_looks:
            whole = replace(look, complete=True)
            found = {self.styles.kept(self.sheet.style(row, at), whole, patterns) for row in self.old.rows}
            self._usual_looks[at] = found.pop() if len(found) == 1 and len(self.old.rows) > 1 else None
        return self._usual_looks[at]

    def _old_column(self, f: Field) -> int | None:
        if f.day is None:
            return self.old.columns.get(f.id)
        return self._old_days.get(self._serial(f.day)) if self.old.periods else None

    @cached_property
    def _old_days(self) -> dict[float | str | int | None, int]:
        """The columns of periods that are there, by what their heads say."""
        return {self.sheet.value(self.old.head, column): column for column in self.old.periods}

    def _written_patterns(self, f: Field, column: Column | None) -> frozenset[str]:
        """The number formats that the last delivery may have written into a column: what its name keeps, or what its values
        ask for."""
        if column is None:
            return frozenset(DATES.values()) | {"yyyy-mm-dd"}
        key = (f.id if f.day is None else "", column.name)
        if key not in self._written:
            kept = self.book.note(self.prefix + _id(f.id)) if f.day is None and f.column is not None else ""
            at = self._old_column(f)
            values = [self.sheet.value(row, at) for row in self.old.rows] if at is not None else []
            numbers: list[Number | None] = [_as_type(column, value) for value in values if isinstance(value, float)]
            self._written[key] = frozenset({kept} if kept else {excel_format(column, numbers), self._pattern(column)})
        return self._written[key]

    def _pattern(self, column: Column | None) -> str:
        if column is None:
            return ""
        if column.name not in self.patterns:
            self.patterns[column.name] = excel_format(column, list(self._numbers_of(column)))
        return self.patterns[column.name]

    def _numbers_of(self, column: Column) -> Iterator[Number]:
        for line in self.grid.lines:
            for f, value in zip(self.grid.fields, line.values, strict=True):
                mine = f.kind == NUMBER and (f.column or line.column) == column
                if mine and value is not None and not isinstance(value, str | date):
                    yield value

    def _number(self, value: Number) -> str:
        tag = self.sheet.part.tag("v")
        return f"<{tag}>{repr(value) if isinstance(value, float) else plain_number(value)}</{tag}>"

    def _write_text(self, row: int, column: int, text: str, style: int) -> None:
        """As a text of the cell itself: the texts that sheets share stay as they are."""
        outer, inner = self.sheet.part.tag("is"), self.sheet.part.tag("t")
        safe = re.sub(r"_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", text)
        written = f'<{outer}><{inner} xml:space="preserve">{escaped(safe)}</{inner}></{outer}>'
        self.sheet.write(row, column, written, style=style, kind="inlineStr")

    def _fill_formulas(self) -> None:
        """The calculated columns that people added to the table go on in new rows, and end with it."""
        own = {*self.columns.values(), *self.old.retired}
        for calculated in self.table[1].calculated() if self.table else ():
            if calculated.column in own:
                continue
            tag = self.sheet.part.tag("f")
            for row in range(self.old.bottom + 1, self.bottom + 1):
                if not self.sheet.is_filled(row, calculated.column):
                    self.sheet.write(row, calculated.column, f"<{tag}>{calculated.formula}</{tag}>")
            for row in range(self.bottom + 1, self.old.bottom + 1):
                if self.sheet.has_formula(row, calculated.column):
                    self.sheet.clear(row, calculated.column)

    # what belongs to it

    def _finish(self) -> None:
        if not self.old.columns:
            self._say_widths()
        if self.table:
            self._grow_table(*self.table)
        elif not self.old.columns and self.grid.layout != "across":
            self._add_table()
        self._say_names()
        own = self.old.all_columns
        grow_rules(self.sheet.part, own, self.old.rows if self.old.columns else range(0), self.bottom)
        self.package.put(self.part_name, self.sheet.made())
        self.package.put(self.styles.part.name, self.styles.made())
        self.package.put(self.book.part.name, self.book.made())
        if self.sheet.lost_formula:
            for relation in self.package.relations(self.package.book):
                if relation.kind == "calcChain":
                    self.package.drop(relation, of=self.package.book)

    def _say_widths(self) -> None:
        part = self.sheet.part
        if part.root.first("cols") is not None:
            return
        tag, widths = part.tag("col"), []
        for f in self.grid.fields:
            at, wide = self.columns[f.id], min(42, max(11, len(f.head) + 4))
            widths.append(f'<{tag} min="{at}" max="{at}" width="{wide}" customWidth="1"/>')
        part.insert(f"<{part.tag('cols')}>{''.join(widths)}</{part.tag('cols')}>", "cols", SHEET_ORDER)

    def _grow_table(self, name: str, table: Table) -> None:
        new = [f for f in self.grid.fields if f.id not in self.old.columns and self.columns[f.id] > table.area.right]
        heads = [self._head(f) for f in sorted(new, key=lambda f: self.columns[f.id])]
        theirs = table.area.bottom > self.old.bottom  # a totals row, or rows that people added below
        self.package.put(name, table.grown(table.area.bottom if theirs else self.bottom, heads))

    def _add_table(self) -> None:
        fields = sorted(self.grid.fields, key=lambda f: self.columns[f.id])
        at = Area(self.heads, self.columns[fields[0].id], self.bottom, self.columns[fields[-1].id])
        name = free_table_name(self.package, self.place.name, self.book.has_name)
        number, place = free_number(self.package), self.package.free_name("xl/tables/table{}.xml")
        made = new_table(name, at, [self._head(f) for f in fields], number)
        relation = self.package.add(place, made, "table", of=self.part_name)
        part = self.sheet.part
        one = f'<{part.tag("tablePart")} xmlns:r="{RELATIONS}" r:id="{relation}"/>'
        listed = part.root.first("tableParts")
        if listed is None:
            tag = part.tag("tableParts")
            part.insert(f'<{tag} count="1">{one}</{tag}>', "tableParts", SHEET_ORDER)
        else:
            part.set(listed, count=str(len(listed.children) + 1))
            part.append(listed, one)

    def _say_names(self) -> None:
        days = [self.columns[day] for day in self._days]
        for f in self.grid.fields:
            if f.day is None:
                at = self.columns[f.id]
                refers = Area(self.old.head + 1, at, self.bottom, at).fixed(self.tab)
                pattern = self._pattern(f.column) if f.kind == NUMBER else ""
                self.book.set_name(self.prefix + _id(f.id), refers, pattern)
        if self.grid.layout == "across" and days:
            refers = Area(self.old.head, min(days), self.old.head, max(days)).fixed(self.tab)
            self.book.set_name(self.prefix + PERIODS, refers)


def _id(name: str) -> str:
    """A field's name as a part of a defined name."""
    return re.sub(r"\W", "_", name)


def _beside(name: str, at: Area, first: Area) -> bool:
    """It begins in the rows of the first column, or is the head above them: else a name of people."""
    return at.top == (first.top - 1 if name == PERIODS else first.top)


def _as_type(column: Column, value: float) -> Number:
    """A number of a cell as its column has them."""
    if column.type == "float":
        return value
    return int(value) if value.is_integer() else Decimal(f"{value:.15g}")


def _is_day(value: Value) -> bool:
    return isinstance(value, date)


def _date_pattern(day: date, scope: str) -> str:
    return f'"Q{(day.month + 2) // 3}" yyyy' if scope == "quarter" else DATES.get(scope, "yyyy-mm-dd")


__all__ = ["Place", "updated"]
