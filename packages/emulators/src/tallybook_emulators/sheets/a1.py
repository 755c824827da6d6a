"""Ranges in A1 notation and GridRange, both parsed into a `Span`.

https://developers.google.com/workspace/sheets/api/guides/concepts#cell"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CELL = re.compile(r"^\$?([A-Za-z]{1,3})\$?([1-9][0-9]*)$")
COLUMN = re.compile(r"^\$?([A-Za-z]{1,3})$")
ROW = re.compile(r"^\$?([1-9][0-9]*)$")
PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(frozen=True)
class Span:
    """Half-open, zero-based rows [r0, r1) and columns [c0, c1). An end that is None is unbounded."""

    r0: int = 0
    r1: int | None = None
    c0: int = 0
    c1: int | None = None

    @property
    def one_cell(self) -> bool:
        return self.r1 == self.r0 + 1 and self.c1 == self.c0 + 1


@dataclass(frozen=True)
class Rect:
    """Half-open, zero-based rows [r0, r1) and columns [c0, c1). All four bounds are known."""

    r0: int
    r1: int
    c0: int
    c1: int

    @property
    def height(self) -> int:
        return max(0, self.r1 - self.r0)

    @property
    def width(self) -> int:
        return max(0, self.c1 - self.c0)

    def meets(self, other: Rect) -> bool:
        return self.r0 < other.r1 and other.r0 < self.r1 and self.c0 < other.c1 and other.c0 < self.c1

    def within(self, other: Rect) -> bool:
        return other.r0 <= self.r0 and self.r1 <= other.r1 and other.c0 <= self.c0 and self.c1 <= other.c1


def letters(column: int) -> str:
    """The letters of a zero-based column: 0 is A, 26 is AA."""
    text = ""
    column += 1
    while column > 0:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def column_number(text: str) -> int:
    """The zero-based number of a column: A is 0, AA is 26."""
    number = 0
    for letter in text.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def quoted(title: str) -> str:
    """The title of a tab in A1 notation: in quotes unless it is a plain word."""
    if PLAIN.match(title) and not CELL.match(title):
        return title
    return "'" + title.replace("'", "''") + "'"


def split(text: str) -> tuple[str | None, str | None]:
    """The unquoted title of the tab and the part after `!`. Either may be missing."""
    if text.startswith("'"):
        match = re.match(r"^'((?:[^']|'')*)'(?:!(.*))?$", text, re.DOTALL)
        if not match:
            return None, text
        return match[1].replace("''", "'"), match[2]
    if "!" in text:
        title, _, rest = text.rpartition("!")
        return title, rest
    return None, text


def parse(text: str) -> Span | None:
    """The span of `A1`, `A1:B2`, `A:B`, `2:3`, `A2:B`; None for any other text."""
    first, colon, last = text.partition(":")
    start = _corner(first)
    end = _corner(last) if colon else start
    if start is None or end is None or (not colon and None in start):
        return None
    if (start[0] is None) and (end[0] is None) and None in (start[1], end[1]):
        return None
    (r0, c0), (r1, c1) = start, end
    if r0 is not None and r1 is not None and r1 < r0:
        r0, r1 = r1, r0
    if c0 is not None and c1 is not None and c1 < c0:
        c0, c1 = c1, c0
    return Span(r0 or 0, None if r1 is None else r1 + 1, c0 or 0, None if c1 is None else c1 + 1)


def _corner(text: str) -> tuple[int | None, int | None] | None:
    """Row and column of one end. Each is None if it is missing."""
    if cell := CELL.match(text):
        return int(cell[2]) - 1, column_number(cell[1])
    if column := COLUMN.match(text):
        return None, column_number(column[1])
    if row := ROW.match(text):
        return int(row[1]) - 1, None
    return None


def written(title: str, rect: Rect) -> str:
    """The range in A1 notation: `Tab!A1:B2`, or `Tab!A1` for one cell."""
    first = f"{letters(rect.c0)}{rect.r0 + 1}"
    last = f"{letters(rect.c1 - 1)}{rect.r1}"
    return f"{quoted(title)}!{first}" + ("" if first == last else f":{last}")


def written_span(title: str, span: Span) -> str:
    """`Tab!A1:B2`, `Tab!2:3`, `Tab!B:C`, `Tab!B2:C`. Open ends stay open."""
    if span.r1 is not None and span.c1 is not None:
        return written(title, Rect(span.r0, span.r1, span.c0, span.c1))
    whole_rows, whole_columns = span.c0 == 0 and span.c1 is None, span.r0 == 0 and span.r1 is None
    first = ("" if whole_rows else letters(span.c0)) + ("" if whole_columns else str(span.r0 + 1))
    last = ("" if span.c1 is None else letters(span.c1 - 1)) + ("" if span.r1 is None else str(span.r1))
    return quoted(title) + "".join([f"!{first}" if first else "", f":{last}" if last else ""])


def span_of(grid_range: Mapping[str, Any]) -> Span:
    """The span of a GridRange."""
    return Span(
        grid_range.get("startRowIndex", 0),
        grid_range.get("endRowIndex"),
        grid_range.get("startColumnIndex", 0),
        grid_range.get("endColumnIndex"),
    )


def grid_range(sheet_id: int, rect: Rect) -> dict[str, Any]:
    return {
        "sheetId": sheet_id,
        "startRowIndex": rect.r0,
        "endRowIndex": rect.r1,
        "startColumnIndex": rect.c0,
        "endColumnIndex": rect.c1,
    }
