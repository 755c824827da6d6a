"""Reads a CSV file, or a sheet of a workbook or of Google, as a table: its headings, and its lines with their
numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tallybook.collect.history.cells import Cell, UnreadableCell, is_blank
from tallybook.collect.history.sheet import is_sheet, lines_of
from tallybook.core import DestinationError, QueryError

WORKBOOKS = (".xlsx", ".xlsm")
_NOT_COMPUTED = "a formula without a stored value: open the file in a spreadsheet program and save it once"
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True)
class ImportedTable:
    """A table filled by a person or another tool. Empty lines are left out; the others keep their line number."""

    heads: tuple[str, ...]
    lines: dict[int, Sequence[Cell]]
    from_1904: bool = False
    head_cells: tuple[Cell, ...] = ()
    """The last heading line as read. It may contain days."""
    places: Mapping[int, str] = field(default_factory=dict)
    """The position of a line for messages, if it differs from the line number."""

    def place(self, line: int) -> str:
        return self.places.get(line, f"line {line}")

    def columns(self, head: str) -> list[int]:
        """The columns with this heading: by all heading lines, or else by the last one."""
        wanted = head.casefold()
        found = [i for i, written in enumerate(self.heads) if written.casefold() == wanted]
        last = [
            i for i, cell in enumerate(self.head_cells) if isinstance(cell, str) and cell.strip().casefold() == wanted
        ]
        return found or last

    def column(self, place: int) -> dict[int, Cell]:
        """The cells below one heading, by line."""
        return {number: line[place] if place < len(line) else None for number, line in self.lines.items()}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a table begins, and which parts of it to ignore.

    `skip`: number of lines before the headings. `headings`: number of heading lines. Lines and columns are ignored by
    the text of one of their cells."""

    skip: int = 0
    headings: int = 1
    ignore: Sequence[str] = ()

    def is_ignored(self, line: Sequence[Cell]) -> bool:
        words = {word.strip().casefold() for word in self.ignore}
        return any(isinstance(cell, str) and cell.strip().casefold() in words for cell in line)


def read_table(
    file: str, tab: str | None = None, variables: Mapping[str, str] | None = None, layout: Layout | None = None
) -> ImportedTable:
    """The table of a file, or of the Google Sheet at an address (with the keys in `variables`). `tab` is the sheet, by
    default the first.

    Raises QueryError if it cannot be read as a table, and DestinationError if Google refuses access."""
    path, from_1904 = Path(file), False
    if is_sheet(file):
        lines: Iterable[tuple[int, Sequence[Cell]]] = lines_of(file, tab, variables or {})
    elif path.suffix.lower() in WORKBOOKS:
        lines, from_1904 = _workbook(path, _bytes(path), tab)
    else:
        lines = _csv(path, _bytes(path), layout.skip if layout else 0)
    layout = layout or Layout()
    filled = {n: line for n, line in lines if n > layout.skip and any(not is_blank(cell) for cell in line)}
    if not filled:
        raise QueryError(f"{file} holds nothing", hint="its first line names the columns: day, value")
    first = min(filled)
    written = [filled.pop(number) for number in sorted(filled)[: max(1, layout.headings)]]
    heads = _joined(written)
    filled = {number: line for number, line in filled.items() if not layout.is_ignored(line)}
    if not filled:
        raise QueryError(
            f"{file} has no rows below its headings",
            hint=(
                f"line {first} is read as the headings ({', '.join(heads)}); expected: lines with a day and a "
                "value below"
            ),
        )
    left_out = {i for i, head in enumerate(heads) if layout.is_ignored((head,))}
    last = tuple(None if i in left_out else cell for i, cell in enumerate(written[-1]))
    if left_out:
        filled = {n: [None if i in left_out else c for i, c in enumerate(line)] for n, line in filled.items()}
    return ImportedTable(heads, filled, from_1904, last)


def _joined(written: Sequence[Sequence[Cell]]) -> tuple[str, ...]:
    """One heading for each column. With several heading lines, an upper heading extends over the empty cells to its
    right."""
    heads = [""] * max(len(line) for line in written)
    for line in written:
        group = ""
        for i in range(len(heads)):
            cell = line[i] if i < len(line) else None
            text = (
                "" if cell is None else (str(cell) if isinstance(cell, str) else repr(cell).removesuffix(".0")).strip()
            )
            group = text or (group if line is not written[-1] else "")
            heads[i] = f"{heads[i]} {group}".strip()
    return tuple(heads)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise QueryError(f"{path} cannot be read: {error.strerror}", hint="a CSV file or an Excel workbook") from None


def _csv(path: Path, data: bytes, skip: int = 0) -> Iterator[tuple[int, Sequence[Cell]]]:
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise QueryError(
            f"{path} is not in UTF-8: byte {error.start + 1} is {data[error.start]:#x}",
            hint="save it as CSV UTF-8, or as a workbook (.xlsx)",
        ) from None
    if "\0" in text:
        raise QueryError(f"{path} is no text", hint="a CSV file, or a workbook that ends in .xlsx")
    if said := re.match(r"(?i)sep=(.)[^\S\n]*(?:\r?\n|$)", text):  # a line for Excel, which does not show it
        delimiter, text = said[1], "\n" + text[said.end() :]
    else:
        head = next((line for line in text.splitlines()[skip:] if line.strip()), "")
        delimiter = max(",;\t|", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, Sequence[Cell]]] = []
    try:
        while True:
            number = reader.line_num + 1
            line = next(reader, None)
            if line is None:
                return iter(found)
            found.append((number, line))
    except csv.Error as error:
        raise QueryError(f"{path}, line {reader.line_num}: {error}", hint="is a quotation mark not closed?") from None


def _workbook(path: Path, data: bytes, tab: str | None) -> tuple[Iterator[tuple[int, Sequence[Cell]]], bool]:
    from tallybook.sheets import Package, Workbook, WorkbookSheet, damage_reported, for_reading, shared_strings

    try:
        with damage_reported():
            package = Package(data, only_reading=True)
            book = Workbook(package)
            _, place = (book.part_of(tab) if tab else next(iter(book.sheets.items()), None)) or ("", "")
            if not place:
                there = ", ".join(book.sheets)
                raise QueryError(f"{path} has no sheet {tab!r}", hint=f"--tab takes one of: {there}")
            strings = shared_strings(package)
            lines = list(_cells(WorkbookSheet(package.part(place), lambda: strings)))
    except DestinationError as error:
        raise QueryError(f"{path} cannot be read: {error.message}", hint=for_reading(error.hint or "")) from None
    return iter(lines), book.counts_from_1904


def _cells(sheet: object) -> Iterator[tuple[int, Sequence[Cell]]]:
    from tallybook.sheets import WorkbookSheet

    assert isinstance(sheet, WorkbookSheet)
    rows: dict[int, dict[int, Cell]] = {}
    for row, column in sheet.cells(1, 1_048_576):
        value = sheet.value(row, column)
        lacks = value is None and sheet.has_formula(row, column)
        rows.setdefault(row, {})[column] = UnreadableCell(_NOT_COMPUTED) if lacks else value
    for row, cells in rows.items():
        yield row, [cells.get(column) for column in range(1, max(cells) + 1)]
