"""Reads attribute changes: recent ones are rows of the ledger, those of closed months are in files."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core import ENTITY_KINDS
from tallybook.storage.engines.duckdb import connect, literal
from tallybook.storage.entity_history import history_floor
from tallybook.storage.entity_records import STATE, HistoryRow
from tallybook.storage.files import Files, engine_path
from tallybook.storage.ledger import PointsFile
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.transaction import Transaction

if TYPE_CHECKING:
    import duckdb

FOLDER = "entities"
"""The folder name below the book's folder."""
PIECE = 10_000
"""Rows per read."""
CHANGE_TYPES = {
    "id": "VARCHAR",
    "time": "VARCHAR",
    "received": "VARCHAR",
    "number": "BIGINT",
    "place": "BIGINT",
    "origin": "VARCHAR",
    "run": "BIGINT",
    "changes": "VARCHAR",
}
CHANGE_ORDER = "id, time, received, number, place"
ChangeRow = tuple[Any, ...]
"""A change as a row with the columns of `CHANGE_TYPES`."""


@dataclass(frozen=True, kw_only=True)
class ChangesFile:
    """A file of changes. `first` and `last`: the earliest and latest effective time of its changes."""

    path: str
    first: str
    last: str
    rows: int
    bytes: int
    sha256: str

    @property
    def stored(self) -> PointsFile:
        """The file as a file of the book."""
        first, last = date.fromisoformat(self.first[:10]), date.fromisoformat(self.last[:10])
        return PointsFile(
            path=self.path,
            kind=FOLDER,
            metric="",
            first=first,
            last=last,
            rows=self.rows,
            bytes=self.bytes,
            sha256=self.sha256,
        )

    @property
    def label(self) -> str:
        """The month in which its changes were received, such as 2026-03; STATE for states at the beginning of a
        history."""
        return Path(self.path).name.rpartition("-")[0]


@dataclass(frozen=True)
class HistoryMoment:
    """The changes at one moment: the number of the last commit, the files, and the changes in rows of the ledger."""

    number: int
    files: Sequence[ChangesFile]
    fresh: Sequence[ChangeRow]


class EntityHistory:
    """All changes of users and accounts of a book."""

    def __init__(self, ledger: SqlLedger, files: Files) -> None:
        self.ledger, self.files = ledger, files

    # -- reading -----------------------------------------------------------------------------------

    def rows(self, kind: str, entity_id: str | None = None) -> Iterator[HistoryRow]:
        """The changes of one entity, or of all by id; those of an entity in order of time."""
        with ExitStack() as stack:
            for row in self.merged(stack, self.moment(kind, entity_id), entity_id):
                yield history_row(row)

    def begins(self, kind: str) -> str | None:
        """The stamp at which the history begins because older changes were deleted; None if none were deleted."""
        with self.ledger._reading() as db:
            return history_floor(db, kind)

    def current(self, kind: str | None = None) -> list[ChangesFile]:
        """The current files of one kind, or of both."""
        with self.ledger._reading() as db:
            return [file for one in ENTITY_KINDS if kind in (None, one) for file in files_of(db, one)]

    def moment(self, kind: str, entity_id: str | None = None) -> HistoryMoment:
        """The current files and rows, for one entity or for all."""
        with self.ledger._reading() as db:
            return _moment(db, kind, entity_id)

    def rows_within(
        self,
        db: Transaction,
        kind: str,
        entity_id: str,
        *,
        since: str = "",
        in_files: Sequence[ChangeRow] | None = None,
    ) -> list[HistoryRow]:
        """The changes of one entity as a transaction sees them, in order of time.

        `since`: the receipt of the first of them, so that older files can be skipped. `in_files`: its changes in
        files, if already known."""
        moment = _moment(db, kind, entity_id)
        if in_files is not None:
            return [history_row(row) for row in heapq.merge(in_files, moment.fresh, key=_key)]
        with ExitStack() as stack:
            moment = replace(moment, files=_since(moment.files, since))
            return [history_row(row) for row in self.merged(stack, moment, entity_id)]

    def in_files(self, db: Transaction, kind: str, ids: Sequence[str], *, since: str) -> dict[str, list[ChangeRow]]:
        """The changes of several entities in files, by id and in order of time. All are read in one query."""
        found: dict[str, list[ChangeRow]] = {id_: [] for id_ in ids}
        files = _since(files_of(db, kind), since)
        if files and ids:
            with connect() as engine:
                asked = f"SELECT {', '.join(CHANGE_TYPES)} FROM {self.relation(files)} WHERE id IN (SELECT unnest(?))"
                for row in _fetched(engine.execute(f"{asked} ORDER BY {CHANGE_ORDER}", [list(ids)])):
                    found[row[0]].append(row)
        return found

    def merged(self, stack: ExitStack, moment: HistoryMoment, entity_id: str | None = None) -> Iterator[ChangeRow]:
        """The rows of the files and of the ledger, merged in order."""
        if not moment.files:
            return iter(moment.fresh)
        engine = stack.enter_context(connect())
        only = "" if entity_id is None else f" WHERE id = {literal(entity_id)}"
        relation = self.relation(moment.files)
        found = engine.execute(f"SELECT {', '.join(CHANGE_TYPES)} FROM {relation}{only} ORDER BY {CHANGE_ORDER}")
        return heapq.merge(_fetched(found), moment.fresh, key=_key)

    def relation(self, files: Sequence[ChangesFile]) -> str:
        """Files as a relation of the engine. Raises BadFile if one is missing."""
        paths = ", ".join(engine_path(self.files.path(one.stored)) for one in files)
        return f"read_parquet([{paths}])"


FILE_COLUMNS = ("path", "first", "last", "rows", "bytes", "sha256")


def files_of(db: Transaction, kind: str) -> list[ChangesFile]:
    """The current files of a kind."""
    asked = (
        f"SELECT {', '.join(FILE_COLUMNS)} FROM attribute_files WHERE kind = ? AND removed IS NULL ORDER BY first, path"
    )
    return [ChangesFile(**dict(zip(FILE_COLUMNS, row, strict=True))) for row in db.execute(asked, [kind]).fetchall()]


def _since(files: Sequence[ChangesFile], since: str) -> list[ChangesFile]:
    """The files that can contain changes received since a stamp."""
    return [file for file in files if file.label == STATE or file.label >= since[:7]]


def _moment(db: Transaction, kind: str, entity_id: str | None) -> HistoryMoment:
    asked, values = "", [kind]
    if entity_id is not None:
        asked, values = " AND id = ?", [kind, entity_id]
    number = int(db.execute("SELECT coalesce(max(number), 0) FROM entity_commits").fetchone()[0])
    names = ", ".join(CHANGE_TYPES)
    rows = db.execute(f"SELECT {names} FROM attribute_changes WHERE kind = ?{asked}", values).fetchall()
    return HistoryMoment(number, files_of(db, kind), sorted((tuple(row) for row in rows), key=_key))


def _key(row: ChangeRow) -> ChangeRow:
    return row[:5]


def _fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[ChangeRow]:
    while rows := cursor.fetchmany(PIECE):
        yield from rows


def history_row(row: ChangeRow) -> HistoryRow:
    """Decode a change from its row."""
    entity_id, time, received, _, _, origin, run, changes = row
    return HistoryRow(
        id=entity_id,
        time=time,
        received=received,
        origin=origin,
        run=run,
        changes=[tuple(one) for one in msgspec.json.decode(changes)],
    )
