"""The identity of a database, which stays when its address, its password or its primary changes."""

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
    """`says`: what has to be equal. `servers`: of these one in common is enough (a replica has an id of its own).
    `address`: what counts where the server says nothing of itself."""

    says: dict[str, str] = {}
    servers: tuple[str, ...] = ()
    address: dict[str, str] = {}
    cannot: str = ""
    """What this does not show, in words."""

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
    """An identity as it was stored."""
    return json_decoder(Identity).decode(text)


SAME_ADDRESS = (
    "another database behind the same address cannot be distinguished from it; after a move to another address: "
    "tallybook run --source-moved {name}"
)


def address_of(url: URL) -> dict[str, str]:
    """Host, port and database, and no user."""
    database = url.database or str(url.query.get("service_name", ""))
    found = {"host": (url.host or "").lower(), "port": str(url.port or ""), "database": database}
    if not url.host and (words := str(url.query.get("odbc_connect", ""))):
        for name, pattern in (("host", r"(?:server|address)"), ("database", r"(?:database|initial catalog)")):
            said = re.search(rf"(?i)(?:^|;)\s*{pattern}\s*=\s*([^;]*)", words)
            found[name] = said[1].strip().lower() if said else ""
    return found


def file_identity(path: str, folder: Path | None) -> Identity:
    """A file by its path relative to the project, or as it is declared when it lies outside."""
    shown = path
    if folder is not None:
        whole, near = os.path.normpath(path), f"{os.path.normpath(folder)}{os.sep}"
        declared = path.removeprefix(f"{folder.as_posix()}/")
        shown = whole.removeprefix(near) if whole.startswith(near) else declared
    cannot = "another file at the same path cannot be distinguished from it"
    return Identity(says={"file": Path(shown).as_posix()}, cannot=cannot)
