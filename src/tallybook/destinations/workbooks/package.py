"""The zip of a workbook: its parts, how they refer to one another, and which of them were changed."""

from __future__ import annotations

import lzma
import posixpath
import struct
import zipfile
import zlib
from copy import copy
from dataclasses import dataclass
from io import BytesIO

from tallybook.destinations.workbooks.xml import Part, escaped
from tallybook.errors import DestinationError

TYPES = "[Content_Types].xml"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
_CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError,
    NotImplementedError, OverflowError,
)  # fmt: skip
"""What zipfile raises for damaged bytes, depending on where they are: it lets the errors of each compression through."""


@dataclass(frozen=True)
class Relation:
    """`id` and the part it leads to; `kind` is the last word of its type."""

    id: str
    kind: str
    target: str


class Package:
    """The parts of a workbook. Parts that are not put or dropped are written as they were read."""

    def __init__(self, data: bytes) -> None:
        self._zip = _opened(data)
        self._infos = {info.filename: info for info in self._zip.infolist()}
        self._new: dict[str, bytes] = {}
        self._dropped: set[str] = set()
        book = next((r for r in self.relations("") if r.kind == "officeDocument"), None)
        if book is None or not self.has(book.target):
            raise DestinationError("the file is no workbook: it names no main part", hint=_MOVE)
        if any(name.startswith("_xmlsignatures/") for name in self._infos):
            raise DestinationError(
                "the workbook is digitally signed; a change would break the signature",
                hint="remove the signature, or deliver to another file",
            )
        self.book = book.target
        if b"purl.oclc.org" in self.read(_rels_of("")) + self.read(self.book):
            raise DestinationError(
                "the workbook is saved as Strict Open XML, which is not written here",
                hint="save it as an Excel Workbook (.xlsx)",
            )

    @property
    def changed(self) -> set[str]:
        """Names of parts that are new, not as they were, or gone."""
        return {n for n, d in self._new.items() if n not in self._infos or self._zip.read(n) != d} | self._dropped

    def has(self, name: str) -> bool:
        return name in self._new or (name in self._infos and name not in self._dropped)

    def names(self) -> list[str]:
        return [*(n for n in self._infos if n not in self._dropped), *(n for n in self._new if n not in self._infos)]

    def read(self, name: str) -> bytes:
        if name in self._new:
            return self._new[name]
        if name not in self._infos:
            raise DestinationError(f"the workbook lacks its part {name}: it is damaged", hint=_MOVE)
        return self._zip.read(name)

    def part(self, name: str) -> Part:
        return Part(name, self.read(name))

    def put(self, name: str, data: bytes) -> None:
        self._new[name] = data

    def relations(self, name: str) -> list[Relation]:
        """Of a part; of the package itself for ""."""
        if not self.has(_rels_of(name)):
            return []
        part, folder, found = self.part(_rels_of(name)), posixpath.dirname(name), []
        for node in part.root.all("Relationship"):
            said = part.attributes(node)
            if said.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/" + folder, said["Target"])).lstrip("/")
                found.append(Relation(said["Id"], said["Type"].rpartition("/")[2], target))
        return found

    def add(self, name: str, data: bytes, kind: str, *, of: str) -> str:
        """A new part of `kind` (worksheet, table) that belongs to the part `of`. Returns the relation's id."""
        self.put(name, data)
        types = self.part(TYPES)
        tag = types.tag("Override")
        types.append(types.root, f'<{tag} PartName="/{escaped(name)}" ContentType="{_CONTENT}.{kind}+xml"/>')
        self.put(TYPES, types.made())
        return self._relate(of, kind, name)

    def _relate(self, of: str, kind: str, target: str) -> str:
        place = _rels_of(of)
        if not self.has(place):
            self.put(place, f'<?xml version="1.0" encoding="UTF-8"?>\n<Relationships xmlns="{_RELS}"/>'.encode())
        part = self.part(place)
        taken = {part.attributes(node).get("Id") for node in part.root.all("Relationship")}
        number = next(n for n in range(1, len(taken) + 2) if f"rId{n}" not in taken)
        where = posixpath.relpath("/" + target, "/" + posixpath.dirname(of))
        written = f'<{part.tag("Relationship")} Id="rId{number}" Type="{RELATIONS}/{kind}" Target="{where}"/>'
        part.append(part.root, written)
        self.put(place, part.made())
        return f"rId{number}"

    def drop(self, relation: Relation, *, of: str) -> None:
        """Take a part out, with what says that it is there."""
        rels = self.part(_rels_of(of))
        for node in rels.root.all("Relationship"):
            if rels.attributes(node).get("Id") == relation.id:
                rels.replace(node.start, node.end, b"")
        self.put(_rels_of(of), rels.made())
        types = self.part(TYPES)
        for node in types.root.all("Override"):
            if types.attributes(node).get("PartName") == f"/{relation.target}":
                types.replace(node.start, node.end, b"")
        self.put(TYPES, types.made())
        self._new.pop(relation.target, None)
        self._dropped.add(relation.target)

    def free_name(self, pattern: str) -> str:
        """A name as `xl/tables/table{}.xml` that no part has."""
        taken = {name.lower() for name in self.names()}
        return next(n for n in (pattern.format(i) for i in range(1, 100_000)) if n.lower() not in taken)

    def made(self) -> bytes:
        """The bytes of the zip: entries in their order, new ones behind them."""
        file = BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
            for name, info in self._infos.items():
                if name not in self._dropped:
                    data = self._new.get(name) or self._zip.read(name)
                    made.writestr(_entry(info), data, compress_type=info.compress_type)
            for name in [name for name in self._new if name not in self._infos]:
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                made.writestr(info, self._new[name], compress_type=zipfile.ZIP_DEFLATED)
        return file.getvalue()


_MOVE = "open and save it in a spreadsheet program, or move it away: it is then made anew"


def _opened(data: bytes) -> zipfile.ZipFile:
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise DestinationError(
            "the workbook has a password, or is in the format before 2007",
            hint="take the password away, or save it as .xlsx",
        )
    try:
        opened = zipfile.ZipFile(BytesIO(data))
        if opened.testzip() is None and TYPES in opened.namelist():
            return opened
    except _DAMAGED:
        pass
    raise DestinationError("the file is no workbook, or a damaged one", hint=_MOVE)


def _entry(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The same entry in a new zip; sizes that some programs note beside it are those of the old one."""
    entry = copy(info)
    entry.extra = b""
    return entry


def _rels_of(name: str) -> str:
    folder, file = posixpath.split(name)
    return posixpath.join(folder, "_rels", f"{file}.rels")
