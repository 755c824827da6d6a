"""The checked catalog kept beside the book, so that a command that only asks parses no SQL.

The file holds no secret: the sources' URLs are left out, and the key is a hash. It may be deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tallybook.core import DESTINATIONS, Catalog, UrlRules

_SUM = 16
"""Bytes of the checksum the file begins with."""
_OURS = ("config", "config/catalog", "core/declarations", "core/measure")
_OURS_TOO = (
    "__init__.py",
    "core/adapters/registry.py",
    "core/adapters/sources.py",
    "core/adapters/destinations.py",
    "core/functions.py",
    "core/suggestions.py",
    "core/timetable.py",
)


class CachedCatalog(msgspec.Struct, frozen=True, kw_only=True):
    """A catalog and what it was made of."""

    key: bytes
    """Of what stands in the project's files and in ours."""
    names: tuple[str, ...]
    """The variables that were expanded, but into URLs."""
    values: bytes
    """Their values, hashed."""
    watched: dict[str, bytes]
    """Python files elsewhere, with the hash of their content."""
    rules: dict[str, UrlRules]
    """How the URLs of the sources are read, by scheme."""
    catalog: Catalog


def digest(*things: object) -> bytes:
    """A hash of plain values."""
    return hashlib.blake2b(msgspec.msgpack.encode(things), digest_size=_SUM).digest()


def ours() -> list[bytes]:
    """The text of what reads and checks declarations: another version of it may come to another catalog."""
    here = Path(__file__).parent.parent
    places = [path for folder in _OURS for path in sorted((here / folder).glob("*.py"))]
    modules = {place.partition(":")[0] for place in DESTINATIONS.builtin.values()}
    adapters = [here.joinpath(*module.split(".")[1:]).with_suffix(".py") for module in sorted(modules)]
    return [path.read_bytes() for path in (*places, *map(here.joinpath, _OURS_TOO), *adapters)]


def values_of(names: tuple[str, ...], variables: Mapping[str, str]) -> bytes:
    """The hash of the variables' values."""
    return digest(*((name, variables.get(name)) for name in names))


def file_digest(path: str | Path) -> bytes:
    """The hash of what stands in a file; of nothing when it cannot be read."""
    try:
        return digest(Path(path).read_bytes())
    except OSError:
        return b""


def read(place: Path, key: bytes, variables: Mapping[str, str]) -> CachedCatalog | None:
    """What was kept, if all it was made of is still the same."""
    try:
        written = place.read_bytes()
        if hashlib.blake2b(written[_SUM:], digest_size=_SUM).digest() != written[:_SUM]:
            return None
        kept = msgspec.msgpack.decode(written[_SUM:], type=CachedCatalog)
    except (OSError, msgspec.MsgspecError):
        return None
    fresh = kept.key == key and kept.values == values_of(kept.names, variables)
    fresh = fresh and all(file_digest(path) == seen for path, seen in kept.watched.items())
    return kept if fresh else None


def write(place: Path, kept: CachedCatalog, secrets: Mapping[str, str]) -> None:
    """Keeps the catalog, at once or not at all; a disk that cannot be written to is no error.

    Nothing is kept that holds a secret, or before there is a book."""
    written = msgspec.msgpack.encode(kept)
    if any(len(secret) > 5 and secret.encode(errors="replace") in written for secret in secrets):
        return
    with contextlib.suppress(OSError):
        if place.parent.parent.is_dir():
            from tallybook.storage import OWNER, folder_mode, make_folder

            mode = folder_mode(place.parent.parent, OWNER)
            make_folder(place.parent, mode)
            _replace(place, hashlib.blake2b(written, digest_size=_SUM).digest() + written, mode & 0o666)


def _replace(place: Path, written: bytes, mode: int) -> None:
    temporary = place.with_name(f".catalog-{os.urandom(6).hex()}")
    try:
        temporary.write_bytes(written)
        temporary.chmod(mode)
        temporary.replace(place)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
