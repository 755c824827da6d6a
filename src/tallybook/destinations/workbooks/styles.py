"""Looks of cells, appended to the styles of a workbook: what stands there keeps its number."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tallybook.destinations.workbooks.xml import Node, Part, escaped

_GREY = "FF8A8A8A"
_SHADE = (
    '<{p}fill><{p}patternFill patternType="solid"><{p}fgColor rgb="FFEEF2F7"/><{p}bgColor indexed="64"/>'
    "</{p}patternFill></{p}fill>"
)


@dataclass(frozen=True)
class Look:
    """How a cell looks: its number format, right or left, a heading, or grey italics for what is not complete."""

    pattern: str = ""
    align: str = ""
    head: bool = False
    complete: bool = True


class Styles:
    """The styles part of a workbook; `index` gives the number of a look, a new one where there is none."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._p = f"{part.prefix}:" if part.prefix else ""
        self._lists = {name: self._listed(name) for name in ("fonts", "fills", "cellXfs")}
        self._counts = {name: len(found) for name, found in self._lists.items()}
        self._formats = self._known_formats()
        self._new_formats: list[str] = []
        self._known: dict[Look, int] = {}

    def _container(self, name: str) -> Node | None:
        return self.part.root.first(name)

    def _listed(self, name: str) -> list[str]:
        node = self._container(name)
        return [self.part.raw(child).decode() for child in node.children] if node else []

    def _known_formats(self) -> dict[str, int]:
        found = {}
        for node in self.part.root.all("numFmts", "numFmt"):
            said = self.part.attributes(node)
            found[said.get("formatCode", "")] = int(said["numFmtId"])
        return found

    def index(self, look: Look) -> int:
        if look not in self._known:
            self._known[look] = self._number("cellXfs", self._xf(look))
        return self._known[look]

    def _xf(self, look: Look) -> str:
        p = self._p
        font = self._number("fonts", self._font(look)) if look.head or not look.complete else 0
        fill = self._number("fills", _SHADE.replace("{p}", p)) if look.head else 0
        number = self._format(look.pattern)
        said = f'numFmtId="{number}" fontId="{font}" fillId="{fill}" borderId="0" xfId="0"'
        said += ' applyNumberFormat="1"' * bool(number) + ' applyFont="1"' * bool(font) + ' applyFill="1"' * bool(fill)
        if not look.align:
            return f"<{p}xf {said}/>"
        return f'<{p}xf {said} applyAlignment="1"><{p}alignment horizontal="{look.align}"/></{p}xf>'

    def _format(self, pattern: str) -> int:
        if not pattern:
            return 0
        if pattern not in self._formats:
            number = max([163, *self._formats.values()]) + 1
            self._formats[pattern] = number
            code = escaped(pattern)
            self._new_formats.append(f'<{self._p}numFmt numFmtId="{number}" formatCode="{code}"/>')
        return self._formats[pattern]

    def _font(self, look: Look) -> str:
        """The workbook's own font, bold or grey and italic."""
        p = self._p
        own = self._lists["fonts"][0] if self._lists["fonts"] else f"<{p}font/>"
        inner = re.sub(r"^<[^>]*>|</[^<>]*font>$", "", own)
        inner = re.sub(rf"<{p}(b|i|color)\b[^>]*/>", "", inner)
        size = re.search(rf"<{p}sz\b[^>]*/>", inner)
        color = f'<{p}color rgb="{_GREY}"/>' if not look.complete else ""
        if size:
            inner = inner[: size.end()] + color + inner[size.end() :]
        else:
            inner = color + inner
        return f"<{p}font>" + f"<{p}b/>" * look.head + f"<{p}i/>" * (not look.complete) + inner + f"</{p}font>"

    def _number(self, name: str, written: str) -> int:
        listed = self._lists[name]
        if written not in listed:
            listed.append(written)
        return listed.index(written)

    def made(self) -> bytes:
        """The part with what was added."""
        p = self._p
        formats = self._container("numFmts")
        if self._new_formats and formats is not None:
            self._append(formats, self._new_formats, len(formats.children))
        elif self._new_formats:
            first = self.part.root.inside
            new = "".join(self._new_formats)
            self.part.replace(first, first, f'<{p}numFmts count="{len(self._new_formats)}">{new}</{p}numFmts>')
        for name, listed in self._lists.items():
            node, before = self._container(name), self._counts[name]
            if node is not None and len(listed) > before:
                self._append(node, listed[before:], before)
        return self.part.made()

    def _append(self, node: Node, new: list[str], before: int) -> None:
        if node.close == node.inside == node.end:  # <numFmts count="0"/>
            tag = self.part.tag(node.name)
            self.part.replace(node.start, node.end, f'<{tag} count="{len(new)}">{"".join(new)}</{tag}>')
            return
        self.part.set(node, count=str(before + len(new)))
        self.part.append(node, "".join(new))
