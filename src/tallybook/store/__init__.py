"""Where a book is kept: a ledger in SQL that says what is so, and points in Parquet files.

`open_store(place)` is the door; the rest of the house does not know which ledger stands behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallybook.store.folder import Store

IN_LEDGER = "ledger"
"""What `store` says of points that are kept in the ledger."""
SCHEMA = "tallybook"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a book is: a SQLite ledger in its folder, or one in a schema of the PostgreSQL database `ledger`, which
    may keep the points too; then there is no folder. The URL holds a password."""

    folder: Path | None
    ledger: str = field(default="", repr=False)
    schema: str = SCHEMA


def open_store(place: Place | Path) -> Store:
    """The book kept in a place or folder, made where there is none."""
    found = _opened(place, create=True)
    assert found is not None
    return found


def find_store(place: Place | Path) -> Store | None:
    """The same; None where there is no book. Makes nothing."""
    return _opened(place, create=False)


def backup_in(folder: Path, elsewhere: Path) -> Store | None:
    """The book in a folder that is only read, its ledger opened as a copy; None where there is none."""
    from shutil import copy

    from tallybook.store.folder import Store
    from tallybook.store.sqlite_ledger import SqliteLedger

    found = list(folder.glob("ledger.sqlite*"))
    if folder / "ledger.sqlite" not in found:
        return None
    for path in found:
        copy(path, elsewhere)
    return Store(folder, SqliteLedger(elsewhere / "ledger.sqlite"))


def _opened(place: Place | Path, *, create: bool) -> Store | None:
    from tallybook.store.folder import Store

    at = Place(folder=place) if isinstance(place, Path) else place
    if not at.ledger:
        from tallybook.store.sqlite_ledger import SqliteLedger

        assert at.folder is not None, "points without a folder need a ledger that keeps them"
        path = at.folder / "ledger.sqlite"
        return Store(at.folder, SqliteLedger(path)) if create or path.exists() else None
    from tallybook.store.postgresql_ledger import NoLedger, PostgresqlLedger

    if at.folder is not None:
        _without_another_ledger(at.folder)
    try:
        ledger = PostgresqlLedger(at.ledger, schema=at.schema, create=create)
    except NoLedger:
        return None
    if at.folder is not None:
        _claim(at.folder, ledger.identity(), create=create)
        return Store(at.folder, ledger)
    from tallybook.store.ledger_files import LedgerFiles

    files = LedgerFiles(ledger)
    return Store(files.folder, ledger, files)


def _without_another_ledger(folder: Path) -> None:
    """Raises DeclarationError for a folder with a SQLite ledger: to ours, its points would be what runs that died have
    left, and would be deleted."""
    from tallybook.errors import DeclarationError

    if (folder / "ledger.sqlite").exists():
        raise DeclarationError(
            f"the book in {folder} has a SQLite ledger, and [book] of tallybook.toml names another one",
            hint=f"to take it along: take ledger out of tallybook.toml, then: tallybook move --to-ledger URL --to-store {folder.name}-2\n"
            f'to begin anew: store = "{folder.name}-2"',
        )


def _claim(folder: Path, identity: str, *, create: bool) -> None:
    """Say in the folder whose points are in it. Raises DeclarationError when they are those of another ledger."""
    from contextlib import suppress

    from tallybook.errors import DeclarationError

    said = folder / "ledger.txt"
    if create or folder.is_dir():
        # A folder that cannot be written to is told of by whoever has to write; who only asks need not.
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with said.open("x") as file:
                file.write(f"{identity}\n")
    with suppress(FileNotFoundError):
        if (found := said.read_text().strip()) not in ("", identity):
            raise DeclarationError(
                f"the points in {folder} are those of {found}, not of {identity}",
                hint=f'let every book have a folder of its own: store = "{folder.name}-2"',
            )


__all__ = ["IN_LEDGER", "SCHEMA", "Place", "backup_in", "find_store", "open_store"]
