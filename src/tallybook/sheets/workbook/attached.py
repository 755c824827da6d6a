"""Finds what people attached to the rows of our cells: notes and fills next to them, comments, links, and rules for
single rows.

Such rows keep their position, so that everything stays next to its day. Rules over a whole column of our table
(conditional formats, data validations) do not belong to a single row: they grow with the table, as in a spreadsheet
program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set as AbstractSet
from dataclasses import dataclass

from tallybook.sheets.workbook.package import Package
from tallybook.sheets.workbook.places import Area, area
from tallybook.sheets.workbook.sheet import WorkbookSheet
from tallybook.sheets.workbook.xml import Node, Part, escaped

COMMENTS = {"comments": ("commentList", "comment"), "threadedComment": ("threadedComment",)}
"""Kinds of parts with comments, and the element path to the comments."""
RULES = ("conditionalFormatting", "dataValidation")


@dataclass(frozen=True)
class CellRule:
    """A conditional format or a data validation, and its cells. Newer forms store the cells as text."""

    node: Node
    is_text: bool
    areas: tuple[Area, ...]


def attached_rows(package: Package, name: str, sheet: WorkbookSheet, own: AbstractSet[int], rows: range) -> set[int]:
    """Rows of `rows` with something that would stay at its address while the row's day moves.

    Formulas are not included, because they are computed next to any row. `own`: the columns of our cells."""
    found = _beside(sheet, own, rows)
    for at in [*_comments(package, name), *_links(sheet.part)]:
        found |= {row for row in range(at.top, min(at.bottom, rows.stop) + 1) if row in rows}
    for rule in rules(sheet.part):
        for at in rule.areas:
            if any(at.left <= column <= at.right for column in own) and _is_for_rows(at, rows):
                found |= set(range(max(at.top, rows.start), min(at.bottom + 1, rows.stop)))
    return found


def _is_whole(at: Area, rows: range) -> bool:
    """Whether a rule applies to all rows, and so to no single row."""
    return at.top <= rows.start and at.bottom >= rows.stop - 1


def _is_for_rows(at: Area, rows: range) -> bool:
    """Whether a rule applies to single rows. A rule that extends below them applies to all later rows."""
    return at.bottom < rows.stop and not _is_whole(at, rows)


def _beside(sheet: WorkbookSheet, own: AbstractSet[int], rows: range) -> set[int]:
    """Rows with a note next to our cells, or with an empty cell whose format differs from other rows."""
    found: set[int] = set()
    looks: dict[int, dict[int, int]] = {}
    for row, column in sheet.cells(rows.start, rows.stop - 1):
        if column in own or sheet.has_formula(row, column):
            continue
        if sheet.is_filled(row, column):
            found.add(row)
        else:
            looks.setdefault(column, {})[row] = sheet.style(row, column)
    for styles in looks.values():
        counted = Counter(styles.values())
        counted[0] += len(rows) - len(styles)
        usual = counted.most_common(1)[0][0]
        found |= {row for row, style in styles.items() if style != usual}
    return found


def _comments(package: Package, name: str) -> Iterator[Area]:
    for relation in package.relations(name):
        if relation.kind in COMMENTS and package.has(relation.target):
            part = package.part(relation.target)
            for node in part.root.all(*COMMENTS[relation.kind]):
                yield from _areas(part.attributes(node).get("ref", ""))


def _links(part: Part) -> Iterator[Area]:
    for node in part.root.all("hyperlinks", "hyperlink"):
        yield from _areas(part.attributes(node).get("ref", ""))


def _areas(text: str) -> tuple[Area, ...]:
    return tuple(at for piece in text.split() if (at := area(piece)) is not None)


def rules(part: Part) -> Iterator[CellRule]:
    """The conditional formats and data validations of a sheet, including those in extensions of newer programs."""
    for node in _named(part.root, RULES):
        text = node.first("sqref")
        if text is not None:
            yield CellRule(text, True, _areas(part.text(text)))
        elif (cells := part.attributes(node).get("sqref")) is not None:
            yield CellRule(node, False, _areas(cells))


def _named(root: Node, names: tuple[str, ...]) -> Iterator[Node]:
    """Elements with these names at any depth, except inside the cells."""
    for child in root.children:
        if child.name in names:
            yield child
        elif child.name != "sheetData":
            yield from _named(child, names)


def grow_rules(part: Part, columns: AbstractSet[int], rows: range, bottom: int) -> None:
    """Extend rules that cover all `rows` of a column down to `bottom`. Rules are never shortened, because people may
    want them longer."""
    for rule in rules(part):
        grown = tuple(
            at._replace(bottom=bottom)
            if rows and _is_whole(at, rows) and at.bottom < bottom and any(at.left <= c <= at.right for c in columns)
            else at
            for at in rule.areas
        )
        if grown == rule.areas:
            continue
        written = " ".join(str(at) for at in grown)
        if rule.is_text:
            part.replace(rule.node.inside, rule.node.close, escaped(written))
        else:
            part.set(rule.node, sqref=written)
