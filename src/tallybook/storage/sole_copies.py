"""Checks files whose content exists nowhere else: events, their ids, attribute changes and rule states.

Each file is read to find defects."""

from __future__ import annotations

from datetime import date
from typing import Any

from tallybook.core import BookError
from tallybook.storage.files import BadFile, FolderFiles
from tallybook.storage.folder import Store
from tallybook.storage.ledger import PointsFile
from tallybook.storage.tables import EPOCH

TABLES = {
    "event_files": "these events are kept nowhere else",
    "id_runs": "without it events of these ids are stored again when they are sent again",
    "attribute_files": "changes of attributes are kept nowhere else",
    "rule_states": "without it rules do not know for whom they have fired",
}
"""The consequence of losing a file, by table of the ledger."""
WITHOUT_BACKUP = {
    "id_runs": ", so events wait in the log; without a backup: tallybook doctor --rebuild-ids",
}
"""What to do if no backup has the file, by table of the ledger."""


def sole_copy_problems(store: Store) -> list[str]:
    """The defects of these files, each with the next step; an empty list if all are intact."""
    found = []
    for table, meaning in TABLES.items():
        files = _files(store, table)
        missing = {file.path for file in store.files.missing(files)}
        bad = [(one, why) for one in files if (why := _why(store, one, is_missing=one.path in missing)) is not None]
        # Files may have been replaced meanwhile. Replaced files are not reported.
        named = {one.path for one in _files(store, table)} if bad else set()
        again = WITHOUT_BACKUP.get(table, "")
        found += [f"{why}: {next_step(store, one)}; {meaning}{again}" for one, why in bad if one.path in named]
    return found


def _files(store: Store, table: str) -> list[PointsFile]:
    is_current = "" if table == "id_runs" else " WHERE removed IS NULL"
    days = ", first, last" if table != "rule_states" else ""
    asked = f"SELECT path, rows, bytes, sha256{days} FROM {table}{is_current} ORDER BY path"
    with store.ledger._reading() as db:
        return [sole_copy(*row) for row in db.execute(asked).fetchall()]


def sole_copy(path: str, rows: int, size: int, sha256: str, first: Any = EPOCH, last: Any = EPOCH) -> PointsFile:
    """A file of one of these tables in the form of a points file."""
    begin, end = (date.fromisoformat(str(at)[:10]) for at in (first, last))
    return PointsFile(path=path, kind="events", metric="", first=begin, last=end, rows=rows, bytes=size, sha256=sha256)


def _why(store: Store, file: PointsFile, *, is_missing: bool) -> str | None:
    try:
        if is_missing:
            raise BadFile(file, "is missing")
        if file.sha256:
            store.files.path(file)
    except BookError as error:
        return error.message
    return None


def next_step(store: Store, file: PointsFile) -> str:
    """The instruction for restoring a file from a backup."""
    if isinstance(store.files, FolderFiles):
        return f"cp BACKUP/{file.path} {store.files.place(file)}, where BACKUP is a folder of `tallybook backup`"
    return "take it from a backup: tallybook restore BACKUP into another place, and compare"
