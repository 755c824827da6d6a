"""Finds columns that people filled with a formula in each row of ours, so that new rows get the formula too. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from tallybook.deliver.destinations.google_sheets.tab import Tab
from tallybook.deliver.destinations.row_keys import Formula

_REFERENCE = re.compile(r"\"[^\"]*\"|(?<![\w$])(\$?[A-Z]{1,3})(\$?)([1-9]\d*)(?![\w(])", re.IGNORECASE)


def row_formulas(tab: Tab, last: int, ours: Collection[int]) -> list[int]:
    """Columns that people filled with a repeating formula, judged by row `last`: its formula is that of the row above
    moved down, or refers to its own row."""
    width = len(tab.cells[last]) if last < len(tab.cells) else 0
    return [column for column in range(width) if column not in ours and _goes_on(tab, last, column)]


def _goes_on(tab: Tab, row: int, column: int) -> bool:
    formula, above = tab.cell(row, column), tab.cell(row - 1, column) if row else None
    if not isinstance(formula, Formula) or "ARRAYFORMULA(" in formula.upper():
        return False  # a formula that fills the cells below by itself
    if isinstance(above, Formula):
        return relative(formula, row) == relative(above, row - 1)
    return row - 1 == tab.header and "[0]" in relative(formula, row)


def relative(formula: str, row: int) -> str:
    """The formula with relative rows written as distances, such as "=C[0]*2" in any row."""

    def moved(found: re.Match[str]) -> str:
        column, fixed, number = found.groups()
        return found[0].upper() if column is None or fixed else f"{column.upper()}[{int(number) - 1 - row}]"

    return _REFERENCE.sub(moved, formula)
