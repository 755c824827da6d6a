"""XML as bytes with positions: everything that is not edited keeps its bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape

from tallybook.core import DestinationError

_TOKEN = re.compile(
    rb"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)|<!DOCTYPE[^>]*>"
    rb"|<(?P<close>/?)(?P<name>[^\s<\"'/>!?]+)(?P<rest>(?:[^\"'<>]|\"[^\"<]*\"|'[^'<]*')*)>",
    re.DOTALL,
)
"""Reads each byte once, even in a part with unclosed elements, because a tag contains no `<`."""
MAX_ELEMENTS = 10_000_000
"""Maximum number of elements in a part, enough for a full sheet with ten columns. More would need too much memory."""
_ATTRIBUTE = re.compile(rb"([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


@dataclass(slots=True)
class Node:
    """An element: it spans `start` to `end` in the part, and its content spans `inside` to `close`."""

    name: str
    """The name without its prefix."""
    start: int
    inside: int
    close: int = -1
    end: int = -1
    children: list[Node] = field(default_factory=list)

    def all(self, *names: str) -> Iterator[Node]:
        """The elements at the end of a path of child names."""
        if not names:
            yield self
            return
        for child in self.children:
            if child.name == names[0]:
                yield from child.all(*names[1:])

    def first(self, *names: str) -> Node | None:
        return next(self.all(*names), None)


class Part:
    """One XML part. Edits are collected and applied together, so that positions stay valid until then."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.data = name, data
        self.root = _parsed(name, data)
        opened = re.match(rb"<([^\s/>]+)", data[self.root.start :])
        assert opened is not None
        self.prefix = opened[1].decode().rpartition(":")[0]
        self._edits: list[tuple[int, int, bytes]] = []

    def tag(self, name: str) -> str:
        """The name of an element with the prefix of this part."""
        return f"{self.prefix}:{name}" if self.prefix else name

    def raw(self, node: Node) -> bytes:
        return self.data[node.start : node.end]

    def attributes(self, node: Node) -> dict[str, str]:
        opened = self.data[node.start : node.inside]
        found = _ATTRIBUTE.findall(opened[opened.find(node.name.encode()) :])
        return {name.decode(): unescape((a or b).decode()) for name, a, b in found}

    def text(self, node: Node) -> str:
        """The text of an element and of its children."""
        bare = re.sub(rb"<!\[CDATA\[(.*?)\]\]>|<[^>]*>", rb"\1", self.data[node.inside : node.close], flags=re.DOTALL)
        return unescape(bare.decode())

    def replace(self, start: int, end: int, written: str | bytes) -> None:
        self._edits.append((start, end, written.encode() if isinstance(written, str) else written))

    def append(self, node: Node, written: str) -> None:
        """Append elements to the content of an element, which may be empty."""
        if node.close == node.inside == node.end:  # <a/>
            opened = self.data[node.start : node.end].decode()
            name = self.data[node.start + 1 :].split(b"/", 1)[0].split()[0].decode()
            self.replace(node.start, node.end, f"{opened[:-2].rstrip()}>{written}</{name}>")
        else:
            self.replace(node.close, node.close, written)

    def set(self, node: Node, **attributes: str) -> None:
        """Set attributes of an element. Other attributes stay."""
        self.replace(node.start, node.inside, with_attributes(self.data[node.start : node.inside], attributes))

    def insert(self, written: str, name: str, order: Sequence[str]) -> None:
        """Insert a child of the root at its position in the schema. `order`: the names of children."""
        after = order[order.index(name) + 1 :]
        later = next((child for child in self.root.children if child.name in after), None)
        place = later.start if later else self.root.close
        self.replace(place, place, written)

    def made(self) -> bytes:
        """The bytes of the part with all edits."""
        pieces, at = [], 0
        for start, end, written in sorted(self._edits, key=lambda edit: edit[:2]):
            pieces += [self.data[at:start], written]
            at = end
        return b"".join([*pieces, self.data[at:]])


def with_attributes(opened: bytes, attributes: dict[str, str]) -> bytes:
    """The opening tag with the given attributes set."""
    for name, value in attributes.items():
        written = f'{name}="{escaped(value)}"'.encode()
        found = re.search(rb"(?<=[\s])" + name.encode() + rb"\s*=\s*(\"[^\"]*\"|'[^']*')", opened)
        if found:
            opened = opened[: found.start()] + written + opened[found.end() :]
        else:
            tail = b"/>" if opened.endswith(b"/>") else b">"
            opened = opened[: -len(tail)].rstrip() + b" " + written + tail
    return opened


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _parsed(name: str, data: bytes) -> Node:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DestinationError(f"the part {name} of the workbook is in UTF-16, which is not supported")
    root: Node | None = None
    opened: list[Node] = []
    names: dict[bytes, str] = {}
    elements = 0
    for token in _TOKEN.finditer(data):
        if token["name"] is None:
            continue
        if token["close"]:
            if not opened:
                raise _broken(name)
            node = opened.pop()
            node.close, node.end = token.start(), token.end()
            continue
        elements += 1
        if elements > MAX_ELEMENTS:
            raise DestinationError(
                f"the part {name} of the workbook is too large: more than {MAX_ELEMENTS:,} elements",
                hint="take what is not needed out of it: cells that only look empty are the usual reason",
            )
        written = token["name"]
        short = names.get(written) or names.setdefault(written, written.decode().rpartition(":")[2])
        node = Node(short, token.start(), token.end())
        if opened:
            opened[-1].children.append(node)
        root = root or node
        if token["rest"].endswith(b"/"):
            node.close = node.end = node.inside
        else:
            opened.append(node)
    if root is None or opened:
        raise _broken(name)
    return root


def _broken(name: str) -> DestinationError:
    return DestinationError(
        f"the part {name} of the workbook is not valid XML: the file is damaged",
        hint="open and save it in a spreadsheet program, or move it away: the next delivery creates it again",
    )
