"""Edits cells of one sheet. Cells that are not written keep their bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tallybook.sheets.workbook.places import Area, cell, letters, number
from tallybook.sheets.workbook.xml import Node, Part, with_attributes

_REFERENCE = re.compile(rb"<[^>]*?\sr\s*=\s*[\"']([A-Z]+)?(\d+)[\"']")
_SPANS = re.compile(rb"\sspans\s*=\s*(\"[^\"]*\"|'[^']*')")
_STYLE = re.compile(rb"<[^>]*?\ss\s*=\s*[\"'](\d+)[\"']")
_TYPE = re.compile(rb"<[^>]*?\st\s*=\s*[\"'](\w+)[\"']")


@dataclass(slots=True)
class _Row:
    node: Node
    cells: dict[int, Node] = field(default_factory=dict)


class WorkbookSheet:
    """The cells of a sheet, and the changes to them. `strings`: the shared texts of the workbook."""

    def __init__(self, part: Part, strings: Callable[[], list[str]]) -> None:
        self.part, self._strings = part, strings
        self._written: dict[int, dict[int, str]] = {}
        self._came_from: dict[int, int | None] = {}
        self.lost_formula = False
        """Whether a cell with a formula was replaced."""
        self._rows = self._read()

    def _read(self) -> dict[int, _Row]:
        rows: dict[int, _Row] = {}
        at = 0
        for node in self.part.root.all("sheetData", "row"):
            found = _REFERENCE.match(self.part.data, node.start, node.inside)
            at = int(found[2]) if found else at + 1
            row = rows.setdefault(at, _Row(node))
            column = 0
            for child in node.children:
                found = _REFERENCE.match(self.part.data, child.start, child.inside)
                column = number(found[1].decode()) if found and found[1] else column + 1
                row.cells[column] = child
        return rows

    # the current content

    def _node(self, row: int, column: int) -> Node | None:
        found = self._rows.get(row)
        return found.cells.get(column) if found else None

    def value(self, row: int, column: int) -> float | str | None:
        """The value of a cell: a number, a text, or None for an empty cell."""
        node = self._node(row, column)
        if node is None:
            return None
        kind = _TYPE.match(self.part.data, node.start, node.inside)
        if (inline := node.first("is")) is not None:
            return self._rich(inline)
        value = node.first("v")
        if value is None:
            return None
        text = self.part.text(value)
        if kind is None or kind[1] == b"n":
            return float(text) if text else None
        if kind[1] == b"s":
            return self._strings()[int(text)]
        if kind[1] == b"b":
            return "TRUE" if text == "1" else "FALSE"
        return text

    def _rich(self, node: Node) -> str:
        return rich_text(self.part, node)

    def has_cell(self, row: int, column: int) -> bool:
        return self._node(row, column) is not None

    def style(self, row: int, column: int) -> int:
        """The number of a cell's style; 0 without a cell."""
        node = self._node(row, column)
        found = _STYLE.match(self.part.data, node.start, node.inside) if node else None
        return int(found[1]) if found else 0

    def has_formula(self, row: int, column: int) -> bool:
        node = self._node(row, column)
        return node is not None and any(child.name == "f" for child in node.children)

    def is_filled(self, row: int, column: int) -> bool:
        return self.has_formula(row, column) or self.value(row, column) not in (None, "")

    def cells(self, top: int, bottom: int) -> Iterator[tuple[int, int]]:
        """All cells of these rows in order, including empty ones."""
        for at in sorted(at for at in self._rows if top <= at <= bottom):
            for column in sorted(self._rows[at].cells):
                yield at, column

    def shown(self, row: int, column: int) -> str:
        """The content of a cell, for a message."""
        return "a formula" if self.has_formula(row, column) else repr(self.value(row, column))

    def merged(self) -> list[str]:
        nodes = self.part.root.all("mergeCells", "mergeCell")
        return [self.part.attributes(node).get("ref", "") for node in nodes]

    # the new content

    def write(self, row: int, column: int, inside: str, *, style: int = 0, kind: str = "") -> None:
        """Write a cell with this XML content. Without content, the cell is empty but keeps its style."""
        tag = self.part.tag("c")
        said = f' s="{style}"' * bool(style) + f' t="{kind}"' * bool(kind)
        written = f'<{tag} r="{cell(row, column)}"{said}' + (f">{inside}</{tag}>" if inside else "/>")
        self.lost_formula |= self.has_formula(row, column)
        self._written.setdefault(row, {})[column] = written

    def clear(self, row: int, column: int) -> None:
        """Remove a cell."""
        if self._node(row, column) is not None:
            self.lost_formula |= self.has_formula(row, column)
            self._written.setdefault(row, {})[column] = ""

    def move(self, came_from: Mapping[int, int | None]) -> None:
        """Give rows the attributes (height, style) of the rows that they came from; no attributes for None."""
        self._came_from = {row: old for row, old in came_from.items() if row != old}

    def made(self) -> bytes:
        """The XML of the part with the changes."""
        part = self.part
        data = part.root.first("sheetData")
        assert data is not None, "a sheet without sheetData"
        rows = [self._row(at) for at in sorted({*self._rows, *self._written})]
        tag = part.tag("sheetData")
        part.replace(data.start, data.end, b"".join([f"<{tag}>".encode(), *rows, f"</{tag}>".encode()]))
        self._set_dimension()
        return part.made()

    def _row(self, at: int) -> bytes:
        old, new = self._rows.get(at), self._written.get(at)
        if old is not None and not new and at not in self._came_from:
            return self.part.raw(old.node)
        kept = {column: self._kept(at, column, node) for column, node in old.cells.items()} if old else {}
        cells = kept | {column: written.encode() for column, written in (new or {}).items()}
        inside = b"".join(cells[column] for column in sorted(cells))
        tag = self.part.tag("row")
        opened = self._opened(at)
        if not inside:
            return opened[:-1] + b"/>" if old else b""
        return opened + inside + f"</{tag}>".encode()

    def _opened(self, at: int) -> bytes:
        """The opening tag of a row, never self-closing, without the optional `spans`."""
        source = self._came_from.get(at, at)
        old = None if source is None else self._rows.get(source)
        if old is None:
            return f'<{self.part.tag("row")} r="{at}">'.encode()
        opened = _SPANS.sub(b"", self.part.data[old.node.start : old.node.inside])
        opened = opened[:-2].rstrip() + b">" if opened.endswith(b"/>") else opened
        if not _REFERENCE.match(opened):
            opened = opened[:-1] + f' r="{at}">'.encode()
        return opened if source == at else with_attributes(opened, {"r": str(at)})

    def _kept(self, row: int, column: int, node: Node) -> bytes:
        raw = self.part.raw(node)
        if _REFERENCE.match(raw):
            return raw
        name = len(self.part.tag(node.name)) + 1
        return raw[:name] + f' r="{cell(row, column)}"'.encode() + raw[name:]

    def _set_dimension(self) -> None:
        """Update the rectangle of used cells, if the sheet declares one."""
        node = self.part.root.first("dimension")
        cells = {(at, column) for at, row in self._rows.items() for column in row.cells}
        for at, row in self._written.items():
            for column, written in row.items():
                (cells.add if written else cells.discard)((at, column))
        if node is None or not cells:
            return
        rows, columns = [at for at, _ in cells], [column for _, column in cells]
        used = Area(min(rows), min(columns), max(rows), max(columns))
        one = used.top == used.bottom and used.left == used.right
        self.part.set(node, ref=f"{letters(used.left)}{used.top}" if one else str(used))


def rich_text(part: Part, node: Node) -> str:
    """The text of a string, plain or in runs, without its phonetic reading."""
    pieces = [*node.all("t"), *node.all("r", "t")]
    text = "".join(part.text(piece) for piece in pieces)
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)
