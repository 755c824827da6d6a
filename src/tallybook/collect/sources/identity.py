"""The identity of a database. It stays the same when its address, its password or its primary changes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tallybook.core import json_decoder

if TYPE_CHECKING:
    from sqlalchemy import URL


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """An identity. `says`: values that must be equal. `servers`: ids of which one in common is enough, because a
    replica has its own. `address`: used if the server reveals nothing about itself."""

    says: dict[str, str] = {}
    servers: tuple[str, ...] = ()
    address: dict[str, str] = {}
    cannot: str = ""
    """What this identity cannot detect, in words."""

    def is_same(self, other: Identity) -> bool:
        if not self.says or self.says.keys() != other.says.keys():
            return bool(self.address) and self.address == other.address
        shared = bool(set(self.servers) & set(other.servers))
        return self.says == other.says and (shared or not self.servers or not other.servers)

    def __str__(self) -> str:
        found = [f"{name} {value}" for name, value in (self.says or self.address).items() if value]
        if self.servers:
            found.append(f"server {', '.join(self.servers[:3])}" + (" …" if len(self.servers) > 3 else ""))
        return ", ".join(found) or "nothing"

    def encoded(self) -> str:
        return msgspec.json.encode(msgspec.structs.replace(self, cannot="")).decode()


def decoded(text: str) -> Identity:
    """The identity in its stored form."""
    return json_decoder(Identity).decode(text)


SAME_ADDRESS = (
    "another database behind the same address cannot be distinguished from it; after a move to another address: "
    "tallybook run --source-moved {name}"
)


def address_of(url: URL) -> dict[str, str]:
    """Host, port and database of a URL, without the user."""
    database = url.database or str(url.query.get("service_name", ""))
    found = {"host": (url.host or "").lower(), "port": str(url.port or ""), "database": database}
    if not url.host and (words := str(url.query.get("odbc_connect", ""))):
        for name, pattern in (("host", r"(?:server|address)"), ("database", r"(?:database|initial catalog)")):
            said = re.search(rf"(?i)(?:^|;)\s*{pattern}\s*=\s*([^;]*)", words)
            found[name] = said[1].strip().lower() if said else ""
    return found


def file_identity(path: str, folder: Path | None) -> Identity:
    """The identity of a file: its path relative to the project, or as declared if it is outside of the project."""
    shown = path
    if folder is not None:
        whole, near = os.path.normpath(path), f"{os.path.normpath(folder)}{os.sep}"
        declared = path.removeprefix(f"{folder.as_posix()}/")
        shown = whole.removeprefix(near) if whole.startswith(near) else declared
    cannot = "another file at the same path cannot be distinguished from it"
    return Identity(says={"file": Path(shown).as_posix()}, cannot=cannot)
