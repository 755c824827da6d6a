"""Writes the cells of a grid, in the styles that people gave them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cached_property

from tallybook.core import Column, Number, plain_number
from tallybook.deliver.destinations.excel.new.pages import clean_text
from tallybook.deliver.destinations.excel.new.table import DATES, date_pattern, excel_format
from tallybook.deliver.destinations.excel.update.lines import LinePlaces
from tallybook.deliver.destinations.excel.update.ours import field_name
from tallybook.deliver.destinations.layout import NUMBER, PERIOD, Field, Line, Value
from tallybook.sheets import CellStyle, escaped


class CellWriter(LinePlaces):
    """Writes headings, values, and the formulas of calculated columns."""

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
                look = CellStyle(
                    head=True,
                    align="right",
                    pattern=date_pattern(f.day, self.grid.scope, self.grid.calendar),
                    complete=f.complete,
                )
                style = self._look(self.heads, f, look)
                self.sheet.write(self.heads, at, self._number(serial), style=style)
            elif f.id not in self.old.columns or f.day is not None:
                look = CellStyle(head=True, align=align, complete=f.complete)
                self._write_text(self.heads, at, self._head(f), self._look(self.heads, f, look))

    def _head(self, f: Field) -> str:
        """A heading that differs from those of the columns that people added to the table."""
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
            style = self._look(row, f, CellStyle(pattern=pattern, complete=complete), f.column or line.column)
            self.sheet.write(row, column, "" if value is None else self._number(value), style=style)
        elif f.kind == PERIOD and isinstance(value, date) and (serial := self._serial(value)) is not None:
            look = CellStyle(
                pattern=date_pattern(value, self.grid.scope, self.grid.calendar), align="left", complete=complete
            )
            self.sheet.write(row, column, self._number(serial), style=self._look(row, f, look))
        elif value is not None:
            text = self.grid.period_text(value) if isinstance(value, date) else str(value)
            self._write_text(row, column, clean_text(text), self._look(row, f, CellStyle(complete=complete)))
        elif (style := self._look(row, f, CellStyle(complete=complete))) != self.styles.index(
            CellStyle(complete=complete)
        ):
            self.sheet.write(row, column, "", style=style)

    # styles that people gave our cells

    def _look(self, row: int, f: Field, look: CellStyle, column: Column | None = None) -> int:
        """The style of a cell. An existing cell keeps the style that a person gave it. A cell in a new row gets the
        style of its column."""
        at = self._old_column(f)
        source = row if row == self.heads else self.came_from.get(row)
        patterns = self._written_patterns(f, column)
        if at is not None and source is not None and self.sheet.has_cell(source, at):
            return self.styles.kept(self.sheet.style(source, at), look, patterns)
        usual = self._usual(at, look, patterns) if at is not None and row != self.heads else None
        return self.styles.index(look) if usual is None else self.styles.kept(usual, look, patterns)

    def _usual(self, at: int, look: CellStyle, patterns: frozenset[str]) -> int | None:
        """The style shared by all complete cells of a column, if there are several such cells."""
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
        """The existing columns of periods, by the content of their headings."""
        return {self.sheet.value(self.old.head, column): column for column in self.old.periods}

    def _written_patterns(self, f: Field, column: Column | None) -> frozenset[str]:
        """The number formats that the last delivery may have written into a column: those stored in its name, or those
        that its values need."""
        if column is None:
            return frozenset(DATES.values()) | {"yyyy-mm-dd"}
        key = (f.id if f.day is None else "", column.name)
        if key not in self._written:
            kept = self.book.note(self.prefix + field_name(f.id)) if f.day is None and f.column is not None else ""
            at = self._old_column(f)
            values = [self.sheet.value(row, at) for row in self.old.rows] if at is not None else []
            numbers: list[Number | None] = [_as_type(column, value) for value in values if isinstance(value, float)]
            self._written[key] = frozenset({kept} if kept else {excel_format(column, numbers), self._pattern(column)})
        return self._written[key]

    def _number(self, value: Number) -> str:
        tag = self.sheet.part.tag("v")
        return f"<{tag}>{repr(value) if isinstance(value, float) else plain_number(value)}</{tag}>"

    def _write_text(self, row: int, column: int, text: str, style: int) -> None:
        """Write a text into the cell itself, so that the shared texts of the workbook stay unchanged."""
        outer, inner = self.sheet.part.tag("is"), self.sheet.part.tag("t")
        safe = re.sub(r"_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", text)
        written = f'<{outer}><{inner} xml:space="preserve">{escaped(safe)}</{inner}></{outer}>'
        self.sheet.write(row, column, written, style=style, kind="inlineStr")

    def _fill_formulas(self) -> None:
        """Extend the calculated columns that people added to the table to new rows, and end them with the table."""
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


def _as_type(column: Column, value: float) -> Number:
    """A number of a cell in the type of its column."""
    if column.type == "float":
        return value
    return int(value) if value.is_integer() else Decimal(f"{value:.15g}")
