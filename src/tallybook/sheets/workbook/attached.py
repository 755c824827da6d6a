"""Finds what people attached to the rows of our cells: notes and fills next to them, comments, links, and rules for
single rows.

Such rows keep their position, so that everything stays next to its day. Rules over a whole column of our table
(conditional formats, data validations) do not belong to a single row: they grow with the table, as in a spreadsheet
program. A rule from one row on follows that row when it moves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass

from tallybook.sheets.workbook.package import Package
from tallybook.sheets.workbook.places import Area, area
from tallybook.sheets.workbook.sheet import WorkbookSheet
from tallybook.sheets.workbook.xml import Node, Part, escaped

COMMENTS = {"comments": ("commentList", "comment"), "threadedComment": ("threadedComment",)}
"""Kinds of parts with comments, and the element path to the comments."""
RULES = ("conditionalFormatting", "dataValidation")
FORMULAS = ("formula", "formula1", "formula2", "f")
"""Elements with the formulas of a rule, which are written for its first cell."""
_MAX_ROW = 1_048_576
_REFERENCE = re.compile(r"\"[^\"]*\"|'[^']*'|(?<![\w$.])(\$?[A-Za-z]{1,3})([0-9]{1,7})(?![\w(.!])")
"""A reference to a relative row. A text or a name of a sheet has no groups."""


@dataclass(frozen=True)
class CellRule:
    """A conditional format or a data validation, and its cells. Newer forms store the cells as text."""

    node: Node
    is_text: bool
    areas: tuple[Area, ...]
    formulas: tuple[Node, ...]


def attached_rows(
    package: Package, name: str, sheet: WorkbookSheet, own: AbstractSet[int], rows: range, ruled: AbstractSet[int]
) -> set[int]:
    """Rows of `rows` with something that would stay at its address while the row's day moves.

    Formulas are not included, because they are computed next to any row. `own`: the columns of our cells. `ruled`:
    those whose rules belong to the rows."""
    found = _beside(sheet, own, rows)
    for at in [*_comments(package, name), *_links(sheet.part)]:
        found |= {row for row in range(at.top, min(at.bottom, rows.stop) + 1) if row in rows}
    for rule in rules(sheet.part):
        for at in rule.areas:
            if _covers(at, ruled) and _is_for_rows(at, rows):
                found |= set(range(max(at.top, rows.start), min(at.bottom + 1, rows.stop)))
    return found


def _covers(at: Area, columns: AbstractSet[int]) -> bool:
    return any(at.left <= column <= at.right for column in columns)


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
            yield CellRule(text, True, _areas(part.text(text)), tuple(_named(node, FORMULAS)))
        elif (cells := part.attributes(node).get("sqref")) is not None:
            yield CellRule(node, False, _areas(cells), tuple(_named(node, FORMULAS)))


def _named(root: Node, names: tuple[str, ...]) -> Iterator[Node]:
    """Elements with these names at any depth, except inside the cells."""
    for child in root.children:
        if child.name in names:
            yield child
        elif child.name != "sheetData":
            yield from _named(child, names)


def follow_rules(part: Part, columns: AbstractSet[int], rows: range, bottom: int, moved: Mapping[int, int]) -> None:
    """Extend rules that cover all `rows` of a column down to `bottom`, and let rules that begin at a later row follow
    the rows: `moved` has the new row of each. Rules are never shortened below, because people may want them longer."""
    for rule in rules(part):
        areas = tuple(_grown(at, rows, bottom) if _covers(at, columns) else at for at in rule.areas)
        if len(areas) == 1 and _covers(areas[0], columns):
            areas = (_following(part, rule, areas[0], rows, moved),)
        if areas == rule.areas:
            continue
        written = " ".join(str(at) for at in areas)
        if rule.is_text:
            part.replace(rule.node.inside, rule.node.close, escaped(written))
        else:
            part.set(rule.node, sqref=written)


def _grown(at: Area, rows: range, bottom: int) -> Area:
    return at._replace(bottom=bottom) if rows and _is_whole(at, rows) and at.bottom < bottom else at


def _following(part: Part, rule: CellRule, at: Area, rows: range, moved: Mapping[int, int]) -> Area:
    """The cells of a rule after its rows moved, with its formulas rewritten; the same cells where its rows are gone or
    in another order."""
    kept = [moved[row] for row in range(at.top, min(at.bottom + 1, rows.stop)) if row in moved]
    if at.top not in rows or _is_whole(at, rows) or not kept or kept != sorted(kept):
        return at
    formulas = [_shifted(part.text(node), kept[0] - at.top) for node in rule.formulas]
    if kept[0] == at.top or any(formula is None for formula in formulas):
        return at
    for node, formula in zip(rule.formulas, formulas, strict=True):
        if formula is not None and formula != part.text(node):
            part.replace(node.inside, node.close, escaped(formula))
    return at._replace(top=kept[0], bottom=at.bottom if at.bottom >= rows.stop else kept[-1])


def _shifted(formula: str, by: int) -> str | None:
    """A formula with its relative rows moved, or None if that cannot be done."""
    found = [int(each[2]) + by for each in _REFERENCE.finditer(formula) if each[2]]
    if "[" in formula or any(not 1 <= row <= _MAX_ROW for row in found):
        return None
    return _REFERENCE.sub(lambda each: f"{each[1]}{int(each[2]) + by}" if each[2] else each[0], formula)
