"""The table (ListObject) around our cells. It grows with them. Columns that people added stay in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tallybook.sheets.workbook.package import MAIN, Package
from tallybook.sheets.workbook.places import Area, area
from tallybook.sheets.workbook.xml import Part, escaped


@dataclass(frozen=True)
class Calculated:
    """A column that people added, with its formula."""

    column: int
    formula: str


class WorkbookTable:
    """An existing table."""

    def __init__(self, part: Part) -> None:
        self.part = part
        said = part.attributes(part.root)
        found = area(said.get("ref", ""))
        assert found is not None, f"a table without ref: {part.name}"
        self.area: Area = found
        self.name = said.get("displayName") or said.get("name") or "a table"
        self.has_totals = said.get("totalsRowCount", "0") != "0"
        self._columns = list(part.root.all("tableColumns", "tableColumn"))

    @property
    def heads(self) -> list[str]:
        return [unescape_controls(self.part.attributes(node).get("name", "")) for node in self._columns]

    def calculated(self) -> list[Calculated]:
        found = []
        for at, node in enumerate(self._columns):
            formula = node.first("calculatedColumnFormula")
            if formula is not None and "array" not in self.part.attributes(formula):
                written = self.part.data[formula.inside : formula.close].decode()
                found.append(Calculated(self.area.left + at, written))
        return found

    def grown(self, bottom: int, heads: Sequence[str]) -> bytes:
        """Extend the table down to `bottom`, with new columns on its right."""
        part, to = self.part, self.area._replace(bottom=bottom, right=self.area.right + len(heads))
        if to != self.area:
            part.set(part.root, ref=str(to))
            self._filter(to)
        listed = part.root.first("tableColumns")
        if heads and listed is not None:
            ids = [int(part.attributes(node)["id"]) for node in self._columns]
            new = _columns(heads, part.tag("tableColumn"), max(ids, default=0) + 1)
            part.set(listed, count=str(len(self._columns) + len(heads)))
            part.append(listed, new)
        return part.made()

    def _filter(self, to: Area) -> None:
        node = self.part.root.first("autoFilter")
        if node is not None:
            self.part.set(node, ref=str(to._replace(bottom=to.bottom - self.has_totals)))


def new_table(name: str, at: Area, heads: Sequence[str], number: int) -> bytes:
    """The XML of a new table. `number`: an id that no other table of the workbook has."""
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<table xmlns="{MAIN}" id="{number}" name="{name}" '
        f'displayName="{name}" ref="{at}" totalsRowShown="0"><autoFilter ref="{at}"/>'
        f'<tableColumns count="{len(heads)}">{_columns(heads, "tableColumn", 1)}</tableColumns>'
        '<tableStyleInfo name="TableStyleLight1" showFirstColumn="0" showLastColumn="0" showRowStripes="0" '
        'showColumnStripes="0"/></table>'
    ).encode()


def _columns(heads: Sequence[str], tag: str, first: int) -> str:
    return "".join(f'<{tag} id="{i}" name="{escaped(head)}"/>' for i, head in enumerate(heads, first))


def tables(package: Package, sheet: str) -> dict[str, WorkbookTable]:
    """The tables of a sheet, by part name."""
    return {r.target: WorkbookTable(package.part(r.target)) for r in package.relations(sheet) if r.kind == "table"}


def free_number(package: Package) -> int:
    """An unused table number."""
    taken = [0]
    for name in package.names():
        if re.fullmatch(r"(?i)/?xl/tables/[^/]+\.xml", name):
            part = package.part(name)
            taken.append(int(part.attributes(part.root).get("id", "0")))
    return max(taken) + 1


def free_table_name(package: Package, wanted: str, is_name: Callable[[str], bool]) -> str:
    """An unused name that does not look like a cell (`Q1`, `R1C1`)."""
    taken = set()
    for name in package.names():
        if re.fullmatch(r"(?i)/?xl/tables/[^/]+\.xml", name):
            taken.add(WorkbookTable(package.part(name)).name.casefold())
    looks_like_a_cell = re.fullmatch(r"(?i)[a-z]{1,3}\d+|r\d*|c\d*|r\d*c\d*", wanted)
    name = f"{wanted}_" if looks_like_a_cell else wanted
    candidates = (name if n == 1 else f"{name}_{n}" for n in range(1, 1000))
    return next(c for c in candidates if c.casefold() not in taken and not is_name(c))


def unescape_controls(text: str) -> str:
    """The text with escapes such as `_x000a_` decoded."""
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)
