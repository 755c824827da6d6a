"""Files whose content is nowhere else: events, their ids, changes of attributes and states of rules. What is wrong with
them is found by reading each."""

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
"""By table of the ledger: what a file that is lost means."""


def sole_copy_problems(store: Store) -> list[str]:
    """What is wrong with these files, in words with the next step; empty when all is well."""
    found = []
    for table, meaning in TABLES.items():
        files = _files(store, table)
        missing = {file.path for file in store.files.missing(files)}
        bad = [(one, why) for one in files if (why := _why(store, one, is_missing=one.path in missing)) is not None]
        # Somebody may have replaced files meanwhile: those are named no more.
        named = {one.path for one in _files(store, table)} if bad else set()
        found += [f"{why}: {next_step(store, one)}; {meaning}" for one, why in bad if one.path in named]
    return found


def _files(store: Store, table: str) -> list[PointsFile]:
    is_current = "" if table == "id_runs" else " WHERE removed IS NULL"
    days = ", first, last" if table != "rule_states" else ""
    asked = f"SELECT path, rows, bytes, sha256{days} FROM {table}{is_current} ORDER BY path"
    with store.ledger._reading() as db:
        return [sole_copy(*row) for row in db.execute(asked).fetchall()]


def sole_copy(path: str, rows: int, size: int, sha256: str, first: Any = EPOCH, last: Any = EPOCH) -> PointsFile:
    """A file of one of these tables, as one of points."""
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
    """How to have a file again."""
    if isinstance(store.files, FolderFiles):
        return f"cp BACKUP/{file.path} {store.files.place(file)}, where BACKUP is a folder of `tallybook backup`"
    return "take it from a backup: tallybook restore BACKUP into another place, and compare"
