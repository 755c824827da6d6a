"""The location of a book: a ledger in SQL, and points in Parquet files.

`open_store(place)` is the entry point. The rest of the program does not know which kind of ledger is used."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallybook.core import DeclarationError
    from tallybook.storage.folder import Store
    from tallybook.storage.ledger import LedgerLost
    from tallybook.storage.sql_ledger import SqlLedger

IN_LEDGER = "ledger"
"""The value of `store` for points that are kept in the ledger."""
SCHEMA = "tallybook"


@dataclass(frozen=True, kw_only=True)
class BookLocation:
    """The location of a book.

    Either a SQLite ledger in its folder, or a ledger in a schema of the PostgreSQL database `ledger`. The latter may
    also store the points; `folder` is then None. The URL contains a password."""

    folder: Path | None
    ledger: str = field(default="", repr=False)
    schema: str = SCHEMA
    access: str = field(default="owner", compare=False)
    """Who may read new files: owner or group."""


def open_store(place: BookLocation | Path, *, over_points: bool = False) -> Store:
    """Open the book at a location, or create it. Raises LedgerLost if points files exist without a ledger, unless
    `over_points` is set, as for a copy."""
    found = _opened(place, create=True, over_points=over_points)
    assert found is not None
    return found


def find_store(place: BookLocation | Path) -> Store | None:
    """Open the book at a location, or return None. Creates nothing."""
    return _opened(place, create=False)


def backup_in(folder: Path, elsewhere: Path) -> Store | None:
    """Open the book in a folder without writing to it: its ledger is opened as a copy in `elsewhere`. None if there is
    none."""
    from shutil import copy

    from tallybook.storage.files import on_disk
    from tallybook.storage.folder import Store
    from tallybook.storage.ledger import NoLedger
    from tallybook.storage.sqlite_ledger import SqliteLedger

    found = list(folder.glob("ledger.sqlite*"))
    if folder / "ledger.sqlite" not in found:
        return None
    with on_disk(elsewhere):
        for path in found:
            copy(path, elsewhere)
    try:
        return Store(folder, SqliteLedger(elsewhere / "ledger.sqlite", create=False))
    except NoLedger:
        return None


def _opened(place: BookLocation | Path, *, create: bool, over_points: bool = False) -> Store | None:
    from tallybook.storage.files import FolderFiles
    from tallybook.storage.folder import Store

    at = BookLocation(folder=place) if isinstance(place, Path) else place
    if at.ledger and at.folder is not None:
        _without_another_ledger(at.folder)
    ledger = _ledger(at, create=create, over_points=over_points)
    if ledger is None:
        return None
    if at.folder is None:
        from tallybook.storage.ledger_files import LedgerFiles
        from tallybook.storage.postgresql_ledger import PostgresqlLedger

        assert isinstance(ledger, PostgresqlLedger), "points without a folder need a ledger that keeps them"
        files = LedgerFiles(ledger)
        return Store(files.folder, ledger, files)
    return Store(at.folder, ledger, FolderFiles(at.folder, at.access))


def _ledger(at: BookLocation, *, create: bool, over_points: bool) -> SqlLedger | None:
    """The ledger of a location; None if it does not exist and `create` is false."""
    from tallybook.storage.ledger import NoLedger

    try:
        return _ledger_of(at, create=False)
    except NoLedger:
        if at.folder is not None and not over_points and (found := _files_in(at.folder)):
            # Check again, because another process may have created the book meanwhile.
            with suppress(NoLedger):
                return _ledger_of(at, create=False)
            _of_another_ledger(at, at.folder)
            raise _lost(at, found) from None
    return _ledger_of(at, create=True) if create else None


def _ledger_of(at: BookLocation, *, create: bool) -> SqlLedger:
    """Open or create the ledger. Raises NoLedger if it does not exist and `create` is false."""
    if not at.ledger:
        from tallybook.storage.sqlite_ledger import SqliteLedger

        assert at.folder is not None, "points without a folder need a ledger that keeps them"
        return SqliteLedger(at.folder / "ledger.sqlite", create=create, access=at.access)
    from tallybook.storage.postgresql_ledger import PostgresqlLedger

    ledger = PostgresqlLedger(at.ledger, schema=at.schema, create=create)
    if at.folder is not None:
        _claim(at.folder, ledger.identity(), create=create, access=at.access)
    return ledger


def _files_in(folder: Path) -> str:
    """A phrase about files in a folder that need a ledger: points, else events, else attribute changes. Empty if there
    are none."""
    for kind, place in (("points", "points"), ("event", "events"), ("attribute", "entities")):
        if count := sum(1 for _ in (folder / place).rglob("*.parquet")):
            return f"{count} {kind} file{'s are' if count > 1 else ' is'} in {folder / place}"
    return ""


def _of_another_ledger(at: BookLocation, folder: Path) -> None:
    """Raise DeclarationError if the points in a folder belong to a PostgreSQL ledger that `at` does not name."""
    from tallybook.core import DeclarationError

    try:
        said = (folder / "ledger.txt").read_text().strip()
    except OSError:
        return
    if not at.ledger and said:
        raise DeclarationError(
            f"the points in {folder} are those of {said}, and [book] of tallybook.toml names no ledger",
            hint='name it: ledger = "${LEDGER_URL}", and the schema if it has another name than tallybook',
        )
    if said and f"in schema {at.schema}," not in said:
        raise _not_its_points(folder, said, f"schema {at.schema}")


def _not_its_points(folder: Path, found: str, identity: str) -> DeclarationError:
    from tallybook.core import DeclarationError

    return DeclarationError(
        f"the points in {folder} are those of {found}, not of {identity}",
        hint=f'let every book have a folder of its own: store = "{folder.name}-2"',
    )


def _lost(at: BookLocation, found: str) -> LedgerLost:
    from tallybook.storage.ledger import LedgerLost

    path = f"schema {at.schema} of the PostgreSQL ledger" if at.ledger else f"{at.folder}/ledger.sqlite"
    return LedgerLost(
        f"the ledger of the book, {path}, is missing or empty, but {found}: this is no new book",
        hint="bring the ledger back from a backup: tallybook restore BACKUP\n"
        "or start a new book; the old folder is renamed, nothing is deleted: tallybook doctor --set-aside",
    )


def _without_another_ledger(folder: Path) -> None:
    """Raise DeclarationError for a folder with a SQLite ledger.

    To the PostgreSQL ledger, its points would look like strays of dead runs, and would be deleted."""
    from tallybook.core import DeclarationError

    if (folder / "ledger.sqlite").exists():
        raise DeclarationError(
            f"the book in {folder} has a SQLite ledger, and [book] of tallybook.toml names another one",
            hint=(
                "to take it along: take ledger out of tallybook.toml, then: tallybook move --to-ledger URL "
                f"--to-store {folder.name}-2\n"
                f'to start over: store = "{folder.name}-2"'
            ),
        )


def _claim(folder: Path, identity: str, *, create: bool, access: str) -> None:
    """Record in the folder which ledger its points belong to. Raises DeclarationError if they belong to another one."""
    from tallybook.storage.files import folder_mode, make_folder

    said = folder / "ledger.txt"
    if create or folder.is_dir():
        # An unwritable folder is reported by operations that write. Readers do not need to write.
        with suppress(OSError):
            mode = folder_mode(folder, access)
            make_folder(folder, mode)
            with said.open("x") as file:
                file.write(f"{identity}\n")
            said.chmod(mode & 0o666)
    with suppress(FileNotFoundError):
        if (found := said.read_text().strip()) not in ("", identity):
            raise _not_its_points(folder, found, identity)
