"""The main part of a workbook: its sheets and its names."""

from __future__ import annotations

from tallybook.sheets.workbook.package import MAIN, RELATIONS, Package
from tallybook.sheets.workbook.places import Area, sheet_area
from tallybook.sheets.workbook.sheet import rich_text
from tallybook.sheets.workbook.xml import Node, escaped

ORDER = (
    "fileVersion",
    "fileSharing",
    "workbookPr",
    "workbookProtection",
    "bookViews",
    "sheets",
    "functionGroups",
    "externalReferences",
    "definedNames",
    "calcPr",
    "oleSize",
    "customWorkbookViews",
    "pivotCaches",
    "smartTagPr",
    "smartTagTypes",
    "webPublishing",
    "fileRecoveryPr",
    "webPublishObjects",
    "extLst",
)
OURS = "Tallybook"
"""The comment of our names. It distinguishes them from people's names with the same prefix."""
_SHEET = (
    f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<worksheet xmlns="{MAIN}" xmlns:r="{RELATIONS}">'
    '<dimension ref="A1"/><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    '<sheetFormatPr defaultRowHeight="15"/><sheetData/></worksheet>'
)


class Workbook:
    """The sheets and names of a package, and the changes to them."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.part = package.part(package.book)
        targets = {r.id: r.target for r in package.relations(package.book)}
        self.sheets: dict[str, str] = {}
        for node in self.part.root.all("sheets", "sheet"):
            said = self.part.attributes(node)
            target = next((targets.get(v) for k, v in said.items() if k.endswith(":id")), None)
            self.sheets[said["name"]] = target or ""
        self._nodes = self._known_names()
        self._new: dict[str, tuple[str, str]] = {}

    def _known_names(self) -> dict[str, Node]:
        """Names of the whole workbook, by case-folded name. Names of single sheets are left out."""
        found = {}
        for node in self.part.root.all("definedNames", "definedName"):
            said = self.part.attributes(node)
            if "localSheetId" not in said:
                found[said.get("name", "").casefold()] = node
        return found

    @property
    def counts_from_1904(self) -> bool:
        node = self.part.root.first("workbookPr")
        return node is not None and self.part.attributes(node).get("date1904") in ("1", "true")

    def part_of(self, tab: str) -> tuple[str, str] | None:
        """The name of a sheet as written, and its part."""
        return next(((n, p) for n, p in self.sheets.items() if n.casefold() == tab.casefold()), None)

    def add_sheet(self, tab: str) -> str:
        """Add an empty sheet after the others, and return its part."""
        name = self.package.free_name("xl/worksheets/sheet{}.xml")
        relation = self.package.add(name, _SHEET.encode(), "worksheet", of=self.package.book)
        sheets = self.part.root.first("sheets")
        assert sheets is not None, "a workbook has sheets"
        ids = [int(self.part.attributes(node)["sheetId"]) for node in sheets.children]
        said = f'name="{escaped(tab)}" sheetId="{max(ids, default=0) + 1}"'
        self.part.append(sheets, f'<{self.part.tag("sheet")} xmlns:r="{RELATIONS}" {said} r:id="{relation}"/>')
        self.sheets[tab] = name
        return name

    # names

    def has_name(self, name: str) -> bool:
        return name.casefold() in self._nodes

    def area(self, name: str) -> tuple[str, Area] | None:
        """The sheet and cells that a name refers to."""
        node = self._nodes.get(name.casefold())
        return sheet_area(self.part.text(node)) if node else None

    def is_ours(self, name: str) -> bool:
        """Whether Tallybook created this name. Programs that save the workbook may drop its comment."""
        node = self._nodes.get(name.casefold())
        return node is not None and self._comment(node).partition(": ")[0] == OURS

    def _comment(self, node: Node) -> str:
        return self.part.attributes(node).get("comment", "")

    def note(self, name: str) -> str:
        """The note of the last delivery in one of our names: the number format of its cells."""
        node = self._nodes.get(name.casefold())
        return self._comment(node).partition(": ")[2] if node is not None and self.is_ours(name) else ""

    def names(self, prefix: str) -> list[str]:
        """The rest of each name that starts with `prefix`."""
        said = (self.part.attributes(node)["name"] for node in self._nodes.values())
        return [name[len(prefix) :] for name in said if name.casefold().startswith(prefix.casefold())]

    def set_name(self, name: str, refers: str, note: str = "") -> None:
        comment = f"{OURS}: {note}"[:255] if note else OURS  # the maximum of Excel
        node = self._nodes.get(name.casefold())
        if node is None:
            self._new[name] = (refers, comment)
        else:
            if self._comment(node) != comment:
                self.part.set(node, comment=comment)
            if self.part.text(node) != refers:
                self.part.replace(node.inside, node.close, escaped(refers))

    # writing

    def made(self) -> bytes:
        """The part with the new sheets and names, in their existing lists or in new ones."""
        tag = self.part.tag("definedName")
        new = "".join(
            f'<{tag} name="{escaped(name)}" comment="{escaped(comment)}">{escaped(text)}</{tag}>'
            for name, (text, comment) in self._new.items()
        )
        listed = self.part.root.first("definedNames")
        if new and listed is not None:
            self.part.append(listed, new)
        elif new:
            names = self.part.tag("definedNames")
            self.part.insert(f"<{names}>{new}</{names}>", "definedNames", ORDER)
        return self.part.made()


def recalculating(package: Package) -> None:
    """Make programs recompute all formulas when they open the file, so that they show the new numbers."""
    part = package.part(package.book)
    node = part.root.first("calcPr")
    if node is None:
        part.insert(f'<{part.tag("calcPr")} fullCalcOnLoad="1"/>', "calcPr", ORDER)
    else:
        part.set(node, fullCalcOnLoad="1")
    package.put(package.book, part.made())


def shared_strings(package: Package) -> list[str]:
    """The shared texts, to which sheets refer by number."""
    place = next((r.target for r in package.relations(package.book) if r.kind == "sharedStrings"), None)
    if place is None:
        return []
    part = package.part(place)
    return [rich_text(part, node) for node in part.root.all("si")]
