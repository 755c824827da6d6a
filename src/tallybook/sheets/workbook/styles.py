"""Styles of cells. New ones are appended to those of the workbook, which keep their numbers."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tallybook.sheets.workbook.xml import Node, Part, escaped

_GREY = "FF8A8A8A"
_SHADE = (
    '<{p}fill><{p}patternFill patternType="solid"><{p}fgColor rgb="FFEEF2F7"/><{p}bgColor indexed="64"/>'
    "</{p}patternFill></{p}fill>"
)


@dataclass(frozen=True)
class CellStyle:
    """The style of a cell: its number format and alignment, bold for a heading, gray italics for an incomplete
    value."""

    pattern: str = ""
    align: str = ""
    head: bool = False
    complete: bool = True


@dataclass(frozen=True)
class _Xf:
    """A style as the workbook lists it: the numbers of its parts, and its inner XML (alignment, protection)."""

    ids: dict[str, str]
    inside: str = ""

    @classmethod
    def of(cls, written: str) -> _Xf:
        opened, _, rest = written.partition(">")
        said = dict(re.findall(r'(\w+Id|quotePrefix)\s*=\s*["\'](\w+)["\']', opened))
        inside = "" if opened.endswith("/") else rest.rpartition("</")[0]
        return cls({name: said.get(name, "0") for name in _PIECES} | said, inside)

    def written(self, p: str) -> str:
        said = " ".join(f'{name}="{value}"' for name, value in self.ids.items())
        said += "".join(f' {apply}="1"' for name, apply in _PIECES.items() if apply and self.ids[name] != "0")
        said += ' applyAlignment="1"' * ("alignment" in self.inside) + ' applyProtection="1"' * (
            "protection" in self.inside
        )
        return f"<{p}xf {said}>{self.inside}</{p}xf>" if self.inside else f"<{p}xf {said}/>"


def _bare(code: str) -> str:
    """A number format without quotes, escapes and blanks, in which programs differ."""
    return "" if code.casefold() == "general" else re.sub(r'["\\\s]', "", code)


_BUILT_IN = {
    "0": "General",
    "1": "0",
    "2": "0.00",
    "3": "#,##0",
    "4": "#,##0.00",
    "9": "0%",
    "10": "0.00%",
    "11": "0.00E+00",
}
"""Built-in number formats, which have no code in the file. Excel replaces ours by them."""
_PIECES = {
    "numFmtId": "applyNumberFormat",
    "fontId": "applyFont",
    "fillId": "applyFill",
    "borderId": "applyBorder",
    "xfId": "",
}


class Styles:
    """The styles part of a workbook. `index` returns the number of a style, and adds it if it is new."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._p = f"{part.prefix}:" if part.prefix else ""
        self._lists = {name: self._listed(name) for name in ("fonts", "fills", "cellXfs")}
        self._counts = {name: len(found) for name, found in self._lists.items()}
        self._formats = self._known_formats()
        self._new_formats: list[str] = []
        self._known: dict[CellStyle, int] = {}
        self._merged: dict[tuple[int, CellStyle, frozenset[str]], int] = {}

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

    def index(self, look: CellStyle) -> int:
        if look not in self._known:
            self._known[look] = self._number("cellXfs", self._xf(look))
        return self._known[look]

    def kept(self, number: int, look: CellStyle, patterns: AbstractSet[str]) -> int:
        """The style for a cell that people may have formatted.

        It has their fill, border, alignment, font and number format, and the rest of `look`. `patterns`: number
        formats that a delivery may have written."""
        if (number, look, frozenset(patterns)) not in self._merged:
            self._merged[number, look, frozenset(patterns)] = self._kept(number, look, patterns)
        return self._merged[number, look, frozenset(patterns)]

    def _kept(self, number: int, look: CellStyle, patterns: AbstractSet[str]) -> int:
        plain = self.index(look)
        if number == plain or number >= len(self._lists["cellXfs"]):
            return plain
        theirs, ours = _Xf.of(self._lists["cellXfs"][number]), _Xf.of(self._lists["cellXfs"][plain])
        code = self._code(theirs.ids["numFmtId"])
        said = dict(theirs.ids)
        if code == "" or code in {_bare(pattern) for pattern in (*patterns, look.pattern)}:
            said["numFmtId"] = ours.ids["numFmtId"]
        if self._is_default_font(int(theirs.ids["fontId"])):
            said["fontId"] = ours.ids["fontId"]
        merged = _Xf(said, theirs.inside or ours.inside)
        return plain if merged == ours else self._number("cellXfs", merged.written(self._p))

    def _code(self, number: str) -> str:
        """The code of the number format with this number, for comparison; "" for the general format."""
        codes = _BUILT_IN | {str(n): code for code, n in self._formats.items()}
        return _bare(codes.get(number, f"built in {number}"))

    def _is_default_font(self, number: int) -> bool:
        """Whether a font is the workbook's default font, or one that a delivery derived from it."""
        fonts = self._lists["fonts"]
        if number == 0 or number >= len(fonts):
            return True
        made = {
            self._font(CellStyle(head=head, complete=complete)) for head in (True, False) for complete in (True, False)
        }
        return fonts[number] in made or fonts[number] == fonts[0] or _GREY in fonts[number]

    def _xf(self, look: CellStyle) -> str:
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

    def _font(self, look: CellStyle) -> str:
        """The workbook's default font, in bold, or in gray italics."""
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
        """The XML of the part with the additions."""
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
