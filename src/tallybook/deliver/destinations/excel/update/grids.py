"""Puts a grid into an existing workbook: late data corrects its cell, and new rows and columns go after the existing
ones.

Defined names in the workbook (`board.revenue`) mark our cells. They follow when people rename the tab, insert rows
above or move a column. Cells that are not ours are never overwritten. If the grid needs their place, the delivery is
refused and names the cell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from tallybook.deliver.destinations.excel.update.cells import CellWriter
from tallybook.deliver.destinations.excel.update.ours import PERIODS, field_name
from tallybook.deliver.destinations.layout import NUMBER, Grid
from tallybook.sheets import (
    RELATIONS,
    Area,
    Package,
    WorkbookSheet,
    WorkbookTable,
    damage_reported,
    follow_rules,
    free_number,
    free_table_name,
    new_table,
    recalculating,
    shared_strings,
    tables,
)

SHEET_ORDER = (
    "sheetPr",
    "dimension",
    "sheetViews",
    "sheetFormatPr",
    "cols",
    "sheetData",
    "sheetCalcPr",
    "sheetProtection",
    "protectedRanges",
    "scenarios",
    "autoFilter",
    "sortState",
    "dataConsolidate",
    "customSheetViews",
    "mergeCells",
    "phoneticPr",
    "conditionalFormatting",
    "dataValidations",
    "hyperlinks",
    "printOptions",
    "pageMargins",
    "pageSetup",
    "headerFooter",
    "rowBreaks",
    "colBreaks",
    "customProperties",
    "cellWatches",
    "ignoredErrors",
    "smartTags",
    "drawing",
    "legacyDrawing",
    "legacyDrawingHF",
    "drawingHF",
    "picture",
    "oleObjects",
    "controls",
    "webPublishItems",
    "tableParts",
    "extLst",
)


@dataclass(frozen=True, kw_only=True)
class WorkbookPlace:
    """The target of a grid: the tab, the tab to create if it does not exist, and the prefix of its names and its
    table."""

    tab: str
    name: str
    record: Grid | None = None
    """The grid from the first period that the rows may lack, for rows that stay because of notes beside them."""
    since: date | None = None
    """The first period of the window. The record may begin earlier."""


def updated(data: bytes, grids: list[tuple[WorkbookPlace, Grid]]) -> bytes | None:
    """The workbook with the grids in place, or None if it already has them.

    Raises DestinationError if the file is not a workbook, or if cells of others are in the way."""
    with damage_reported():
        package = Package(data)
        for place, grid in grids:
            _Update(package, place, grid).make()
        if not package.changed:
            return None
        recalculating(package)
        return package.made()


class _Update(CellWriter):
    """The update of one sheet with one grid."""

    def make(self) -> None:
        self.tab, self.old = self._where()
        self._refuse_another_layout()
        found = self.book.part_of(self.tab)
        self.part_name = found[1] if found else self.book.add_sheet(self.tab)
        self.sheet = WorkbookSheet(self.package.part(self.part_name), lambda: shared_strings(self.package))
        self.tables = tables(self.package, self.part_name)
        self.table = self._our_table()
        # People may have inserted a row between the headings of the table and our first row.
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

    # what belongs to the grid

    def _finish(self) -> None:
        if not self.old.columns:
            self._say_widths()
        if self.table:
            self._grow_table(*self.table)
        elif not self.old.columns and self.grid.layout != "across":
            self._add_table()
        self._say_names()
        moved = {old: row for row, old in self.came_from.items() if old is not None}
        rows = self.old.rows if self.old.columns else range(0)
        follow_rules(self.sheet.part, self._ruled, rows, self.bottom, moved)
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

    def _grow_table(self, name: str, table: WorkbookTable) -> None:
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
                self.book.set_name(self.prefix + field_name(f.id), refers, pattern)
        if self.grid.layout == "across" and days:
            refers = Area(self.old.head, min(days), self.old.head, max(days)).fixed(self.tab)
            self.book.set_name(self.prefix + PERIODS, refers)
