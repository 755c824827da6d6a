"""The zip of a workbook: its parts, the relations between them, and the changed parts."""

from __future__ import annotations

import lzma
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import unquote

from tallybook.core import DestinationError
from tallybook.sheets.workbook.xml import Part, escaped

TYPES = "[Content_Types].xml"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
_CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    NotImplementedError,
    OverflowError,
)
"""Exceptions that zipfile raises for damaged bytes, including those of each compression."""
MAX_PART_BYTES = 200_000_000
"""Maximum unpacked size of a part."""
MAX_UNPACKED_BYTES = 1_000_000_000
"""Maximum unpacked size of all parts together. They are read once, to check them."""


@dataclass(frozen=True)
class Relation:
    """A relation: its `id`, its target part, and `kind`, the last word of its type."""

    id: str
    kind: str
    target: str


class Package:
    """The parts of a workbook. Unchanged parts are written with the bytes that were read."""

    def __init__(self, data: bytes, *, only_reading: bool = False) -> None:
        self._zip = _opened(data)
        self._infos = {info.filename: info for info in self._zip.infolist()}
        self._written_as = {_folded(name): name for name in self._infos}
        self._new: dict[str, bytes] = {}
        self._dropped: set[str] = set()
        book = next((r for r in self.relations("") if r.kind == "officeDocument"), None)
        if book is None or not self.has(book.target):
            raise DestinationError("the file is not a workbook: it has no main part", hint=_MOVE)
        if not only_reading and any(name.startswith("_xmlsignatures/") for name in self._written_as):
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

    def _name(self, name: str) -> str:
        """The name of a part in the zip. Case does not matter, and characters may be escaped."""
        return name if name in self._infos or name in self._new else self._written_as.get(_folded(name), name)

    @property
    def changed(self) -> set[str]:
        """Names of parts that are new, changed or removed."""
        return {n for n, d in self._new.items() if n not in self._infos or self._zip.read(n) != d} | self._dropped

    def has(self, name: str) -> bool:
        name = self._name(name)
        return name in self._new or (name in self._infos and name not in self._dropped)

    def names(self) -> list[str]:
        return [*(n for n in self._infos if n not in self._dropped), *(n for n in self._new if n not in self._infos)]

    def read(self, name: str) -> bytes:
        name = self._name(name)
        if name in self._new:
            return self._new[name]
        if name not in self._infos:
            raise DestinationError(f"the workbook is damaged: its part {name} is missing", hint=_MOVE)
        return self._zip.read(name)

    def part(self, name: str) -> Part:
        return Part(name, self.read(name))

    def put(self, name: str, data: bytes) -> None:
        self._new[self._name(name)] = data

    def relations(self, name: str) -> list[Relation]:
        """The relations of a part; of the package itself for ""."""
        if not self.has(_rels_of(name)):
            return []
        part, folder, found = self.part(_rels_of(name)), posixpath.dirname(name), []
        for node in part.root.all("Relationship"):
            said = part.attributes(node)
            if said.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/" + folder, said["Target"])).lstrip("/")
                found.append(Relation(said["Id"], said["Type"].rpartition("/")[2], self._name(target)))
        return found

    def add(self, name: str, data: bytes, kind: str, *, of: str) -> str:
        """Add a part of `kind` (worksheet, table) that belongs to the part `of`, and return the id of the relation."""
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
        """Remove a part and the references to it."""
        rels = self.part(_rels_of(of))
        for node in rels.root.all("Relationship"):
            if rels.attributes(node).get("Id") == relation.id:
                rels.replace(node.start, node.end, b"")
        self.put(_rels_of(of), rels.made())
        types = self.part(TYPES)
        for node in types.root.all("Override"):
            if _folded(types.attributes(node).get("PartName", "")) == _folded(relation.target):
                types.replace(node.start, node.end, b"")
        self.put(TYPES, types.made())
        self._new.pop(relation.target, None)
        self._dropped.add(relation.target)

    def free_name(self, pattern: str) -> str:
        """An unused part name of the form `xl/tables/table{}.xml`."""
        taken = {_folded(name) for name in self.names()}
        return next(n for n in (pattern.format(i) for i in range(1, 100_000)) if _folded(n) not in taken)

    def made(self) -> bytes:
        """The bytes of the zip: entries in their order, then new ones."""
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


REPAIR = "open and save it in a spreadsheet program"
_MOVE = f"{REPAIR}, or move it away: then a new one is created"


def for_reading(hint: str) -> str:
    """The hint of an error, changed for programs that only read the workbook."""
    return REPAIR if hint == _MOVE else hint


@contextmanager
def damage_reported() -> Iterator[None]:
    """Convert errors about inconsistent content to DestinationError: the file is damaged, not the program."""
    try:
        yield
    except (KeyError, ValueError, IndexError, AssertionError) as error:
        raise DestinationError(
            f"the workbook is damaged, or has an unsupported format ({type(error).__name__}: {error})",
            hint=_MOVE,
        ) from error


def _opened(data: bytes) -> zipfile.ZipFile:
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise DestinationError(
            "the workbook has a password, or is in the format before 2007",
            hint="take the password away, or save it as .xlsx",
        )
    with suppress(*_DAMAGED):
        opened = zipfile.ZipFile(BytesIO(data))
        _check_sizes(opened)
        if opened.testzip() is None and _folded(TYPES) in map(_folded, opened.namelist()):
            return opened
    raise DestinationError("the file is not a workbook, or is damaged", hint=_MOVE)


def _check_sizes(opened: zipfile.ZipFile) -> None:
    """Raise DestinationError if the declared sizes are too large, before unpacking. zipfile never unpacks more than
    declared."""
    for info in opened.infolist():
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DestinationError(
                f"the part {info.filename} of the workbook is compressed by method {info.compress_type}, which no "
                "spreadsheet program writes; expected: deflate (8), or not at all (0)",
                hint=REPAIR,
            )
        if info.file_size > MAX_PART_BYTES:
            raise _too_large(f"the part {info.filename}", info.file_size, MAX_PART_BYTES)
    whole = sum(info.file_size for info in opened.infolist())
    if whole > MAX_UNPACKED_BYTES:
        raise _too_large("all parts together", whole, MAX_UNPACKED_BYTES)


def _too_large(what: str, size: int, limit: int) -> DestinationError:
    return DestinationError(
        f"the workbook is too large: {what} would unpack to {size // 10**6:,} MB; at most {limit // 10**6:,} MB",
        hint="take what is not needed out of it: rows that only look empty are the usual reason",
    )


def _folded(name: str) -> str:
    """The name of a part for comparison."""
    return unquote(name).lstrip("/").lower()


def _entry(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The entry for a new zip, without the extra fields, which contain old sizes."""
    entry = copy(info)
    entry.extra = b""
    return entry


def _rels_of(name: str) -> str:
    folder, file = posixpath.split(name)
    return posixpath.join(folder, "_rels", f"{file}.rels")
