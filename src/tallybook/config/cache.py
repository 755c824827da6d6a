"""The cache of the checked catalog, in the folder of the book. With it, a command that only queries parses no SQL.

The file contains no secrets: URLs are left out, and the key is a hash. It is safe to delete."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tallybook.core import DESTINATIONS, Catalog, UrlRules, msgpack_decoder

_CHECKSUM_BYTES = 16
"""Bytes of the checksum at the start of the file."""
_OWN_FOLDERS = ("config", "config/catalog", "core/declarations", "core/measure")
_OWN_FILES = (
    "__init__.py",
    "core/adapters/registry.py",
    "core/adapters/sources.py",
    "core/adapters/destinations.py",
    "core/functions.py",
    "core/suggestions.py",
    "core/timetable.py",
)


class CachedCatalog(msgspec.Struct, frozen=True, kw_only=True):
    """A catalog and the inputs it was built from."""

    key: bytes
    """The hash of the project's files and of Tallybook's own files."""
    names: tuple[str, ...]
    """The names of the variables that were expanded, except those in URLs."""
    values: bytes
    """The hash of the variables' values."""
    watched: dict[str, bytes]
    """Other Python files that the catalog depends on, with the hash of their content."""
    rules: dict[str, UrlRules]
    """How the URLs of the sources are read, by scheme."""
    catalog: Catalog


def digest(*values: object) -> bytes:
    """A hash of plain values."""
    return hashlib.blake2b(msgspec.msgpack.encode(values), digest_size=_CHECKSUM_BYTES).digest()


@functools.cache
def own_files() -> bytes:
    """The hash of the Tallybook files that read and check declarations: a new version may build a different catalog."""
    here = Path(__file__).parent.parent
    places = [path for folder in _OWN_FOLDERS for path in sorted((here / folder).glob("*.py"))]
    modules = {place.partition(":")[0] for place in DESTINATIONS.builtin.values()}
    adapters = [here.joinpath(*module.split(".")[1:]).with_suffix(".py") for module in sorted(modules)]
    return digest(*(path.read_bytes() for path in (*places, *map(here.joinpath, _OWN_FILES), *adapters)))


def values_of(names: tuple[str, ...], variables: Mapping[str, str]) -> bytes:
    """The hash of the variables' values."""
    return digest(*((name, variables.get(name)) for name in names))


def file_digest(path: str | Path) -> bytes:
    """The hash of the content of a file; empty when it cannot be read."""
    try:
        return digest(Path(path).read_bytes())
    except OSError:
        return b""


def read(place: Path, key: bytes, variables: Mapping[str, str]) -> CachedCatalog | None:
    """The cached catalog if all its inputs are unchanged; else None."""
    try:
        written = place.read_bytes()
        if (
            hashlib.blake2b(written[_CHECKSUM_BYTES:], digest_size=_CHECKSUM_BYTES).digest()
            != written[:_CHECKSUM_BYTES]
        ):
            return None
        cached = msgpack_decoder(CachedCatalog).decode(written[_CHECKSUM_BYTES:])
    except (OSError, msgspec.MsgspecError):
        return None
    fresh = cached.key == key and cached.values == values_of(cached.names, variables)
    fresh = fresh and all(file_digest(path) == seen for path, seen in cached.watched.items())
    return cached if fresh else None


def write(place: Path, entry: CachedCatalog, secrets: Mapping[str, str]) -> None:
    """Write the catalog to the cache in one step. A disk that cannot be written to is not an error.

    Writes nothing if the catalog contains a secret, or before the book exists."""
    written = msgspec.msgpack.encode(entry)
    if any(len(secret) > 5 and secret.encode(errors="replace") in written for secret in secrets):
        return
    with contextlib.suppress(OSError):
        if place.parent.parent.is_dir():
            from tallybook.storage import OWNER, folder_mode, make_folder

            mode = folder_mode(place.parent.parent, OWNER)
            make_folder(place.parent, mode)
            _replace(place, hashlib.blake2b(written, digest_size=_CHECKSUM_BYTES).digest() + written, mode & 0o666)


def _replace(place: Path, written: bytes, mode: int) -> None:
    temporary = place.with_name(f".catalog-{os.urandom(6).hex()}")
    try:
        temporary.write_bytes(written)
        temporary.chmod(mode)
        temporary.replace(place)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
