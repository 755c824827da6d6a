"""Converts between cell numbers (`A1` is row 1, column 1) and references as workbooks write them."""

from __future__ import annotations

import re
from typing import NamedTuple

_AREA = re.compile(r"\$?([A-Z]{1,3})\$?(\d+)(?::\$?([A-Z]{1,3})\$?(\d+))?")


class Area(NamedTuple):
    """A rectangle of cells. All four bounds are included."""

    top: int
    left: int
    bottom: int
    right: int

    def meets(self, other: Area) -> bool:
        rows = self.top <= other.bottom and other.top <= self.bottom
        return rows and self.left <= other.right and other.left <= self.right

    def __str__(self) -> str:
        return f"{cell(self.top, self.left)}:{cell(self.bottom, self.right)}"

    def fixed(self, sheet: str) -> str:
        """The reference to the area in a defined name."""
        top, bottom = f"${letters(self.left)}${self.top}", f"${letters(self.right)}${self.bottom}"
        quoted = "'" + sheet.replace("'", "''") + "'"
        return f"{quoted}!{top}" if top == bottom else f"{quoted}!{top}:{bottom}"


def letters(column: int) -> str:
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def number(text: str) -> int:
    """The column number of letters."""
    column = 0
    for letter in text:
        column = column * 26 + ord(letter) - 64
    return column


def cell(row: int, column: int) -> str:
    return f"{letters(column)}{row}"


def area(text: str) -> Area | None:
    """The area of a reference, `A1:B2` or `$A$1`; None for any other text."""
    found = _AREA.fullmatch(text)
    if not found:
        return None
    top, left = int(found[2]), number(found[1])
    return Area(top, left, int(found[4] or top), number(found[3]) if found[3] else left)


def sheet_area(text: str) -> tuple[str, Area] | None:
    """(sheet, area) of `'Daily'!$A$2:$A$9`; None for `#REF!` and any other content of a name."""
    sheet, sign, rest = text.strip().rpartition("!")
    found = area(rest)
    if not sign or found is None:
        return None
    if sheet.startswith("'") and sheet.endswith("'"):
        sheet = sheet[1:-1].replace("''", "'")
    return sheet, found
