"""Caches the users or accounts of one commit in a Parquet file, so that a list reads only the columns it needs.

The name of a file contains the commit and its time. A later commit rewrites the changed rows and copies the others,
so that a small change does not read a million rows of the ledger again. Files may be deleted at any time."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import EVENT_TYPES
from tallybook.storage import engine_path, identifier, load_rows, private_folder

if TYPE_CHECKING:
    import duckdb

    from tallybook.storage import AttributeType, BookLocation, ChangedEntities, Entity, EntityLedger

FOLDER = "entities"
"""The folder name below the book's cache folder."""


KEPT = 2


IS_DELETED = "is deleted"
"""A column of the relation. The blank in its name prevents a conflict with attributes: see `IS_KNOWN`."""
WAS_READ = "was read"
"""A column of the relation: the names of attributes that were read from a table, as JSON."""
FORM = 2
"""The format number in file names. Files of another format are ignored."""


@dataclass(frozen=True)
class CurrentEntities:
    """The entities of a commit, as a relation of the engine with `id`, IS_DELETED, WAS_READ and a column per
    attribute."""

    number: int
    types: Mapping[str, AttributeType]
    sql: str


@dataclass(frozen=True)
class _Snapshot:
    path: Path
    number: int
    stamp: str


@dataclass(frozen=True)
class EntitySnapshots:
    """The snapshots of a book, in a folder."""

    folder: Path
    ledger: EntityLedger

    def current(self, engine: duckdb.DuckDBPyConnection, kind: str) -> CurrentEntities:
        """The entities of the last commit."""
        before = self._newest(kind)
        types = self.ledger.types(kind)
        columns = _columns(types)
        if before is not None and before.number == self.ledger.number():
            return CurrentEntities(before.number, types, _relation(before.path, columns, engine))
        found = self.ledger.changed(kind, before.number if before else 0)
        path = self._written(engine, kind, columns, before, found)
        if path is None and before is not None:
            # An entity was forgotten, or the file is missing: read all rows.
            found = self.ledger.changed(kind, 0)
            path = self._written(engine, kind, columns, None, found)
        sql = identifier(kind) if path is None else _relation(path, columns, engine)
        return CurrentEntities(found.number, types, sql)

    @classmethod
    def of(cls, place: BookLocation, ledger: EntityLedger) -> EntitySnapshots:
        """The snapshots of a book: in its cache folder, or in a folder of this user if the book has no folder."""
        if place.folder is not None:
            return cls(place.folder / "cache" / FOLDER, ledger)
        name = hashlib.sha256(f"{place.ledger} {place.schema}".encode()).hexdigest()[:16]
        return cls(private_folder() / FOLDER / name, ledger)

    def drop(self) -> None:
        """Delete all snapshots."""
        for file in self.folder.glob("*.parquet"):
            file.unlink(missing_ok=True)

    def _newest(self, kind: str) -> _Snapshot | None:
        """The newest snapshot made from this ledger."""
        for one in _by_number(self.folder, kind):
            if _digits(self.ledger.commit_at(one.number) or "") == one.stamp:
                return one
        return None

    def _written(
        self,
        engine: duckdb.DuckDBPyConnection,
        kind: str,
        columns: Mapping[str, str],
        before: _Snapshot | None,
        found: ChangedEntities,
    ) -> Path | None:
        """Write the file of a commit. None if the folder is not writable; the rows are then in a temporary table of the
        engine.

        Also None if `before` plus the changes do not add up to the right number of rows."""
        table = identifier(kind)
        if before is None:
            load_rows(engine, table, columns, _rows(found.entities))
            rows = f"SELECT * FROM {table}"
        else:
            some = list(found.entities)
            load_rows(engine, table, columns, _rows(some))
            load_rows(engine, "changed_ids", {"id": "VARCHAR"}, ({"id": one.id} for one in some))
            try:
                old = _relation(before.path, columns, engine)
            except OSError:
                return None
            rows = f"SELECT * FROM {old} WHERE id NOT IN (SELECT id FROM changed_ids) UNION ALL SELECT * FROM {table}"
            rows = f"SELECT * FROM ({rows}) ORDER BY id"
            if engine.execute(f"SELECT count(*) FROM ({rows})").fetchall()[0][0] != found.count:
                return None
        return self._kept(engine, kind, rows, f"{FORM}-{found.number}-{_digits(found.at)}")

    def _kept(self, engine: duckdb.DuckDBPyConnection, kind: str, rows: str, name: str) -> Path | None:
        path = self.folder / f"{kind}-{name}.parquet"
        made = self.folder / f".{uuid.uuid4().hex}.parquet"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            os.close(descriptor)
        except OSError:
            return None
        options = "FORMAT parquet, COMPRESSION lz4_raw, USE_TMP_FILE false"
        engine.execute(f"COPY ({rows}) TO {engine_path(made)} ({options})").fetchall()
        made.replace(path)
        # The previous file stays, because another process may be about to read it.
        kept = {one.path for one in _by_number(self.folder, kind)[:KEPT]}
        for other in set(self.folder.glob(f"{kind}-*.parquet")) - kept - {path}:
            with suppress(OSError):
                other.unlink()
        return path


def _by_number(folder: Path, kind: str) -> list[_Snapshot]:
    """The snapshots in a folder, newest first."""
    form = rf"{kind}-{FORM}-(\d+)-(\d+)\.parquet"
    named = ((path, re.fullmatch(form, path.name)) for path in folder.glob(f"{kind}-*"))
    found = [_Snapshot(path, int(match[1]), match[2]) for path, match in named if match]
    return sorted(found, key=lambda one: one.number, reverse=True)


def _columns(types: Mapping[str, AttributeType]) -> dict[str, str]:
    own = {"id": "VARCHAR", IS_DELETED: "BOOLEAN", WAS_READ: "VARCHAR"}
    return {**own, **{one.spelled: EVENT_TYPES[one.type] for one in types.values()}}


def _relation(path: Path, columns: Mapping[str, str], engine: duckdb.DuckDBPyConnection) -> str:
    """A relation with exactly these columns of a file; missing ones are null. Raises OSError if the file is gone."""
    path.stat()
    file = f"read_parquet({engine_path(path)})"
    there = {row[0] for row in engine.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()}
    shown = [
        identifier(name) if name in there else f"CAST(NULL AS {type_}) AS {identifier(name)}"
        for name, type_ in columns.items()
    ]
    return f"(SELECT {', '.join(shown)} FROM {file})"


def _rows(entities: Iterable[Entity]) -> Iterator[dict[str, object]]:
    for one in entities:
        own = {"id": one.id, IS_DELETED: one.deleted is not None, WAS_READ: _listed(tuple(one.record.values))}
        yield {**own, **one.record.effective()}


@functools.lru_cache(1024)
def _listed(names: tuple[str, ...]) -> str:
    return json.dumps(sorted(names))


def _digits(stamp: str) -> str:
    """The digits of a stamp, as used in file names."""
    return re.sub(r"\D", "", stamp)
