"""Copies the tables of a ledger, and checks their consistency."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from datetime import datetime

from tallybook.core import BookError
from tallybook.storage.ledger import Conflict, Tables
from tallybook.storage.stored_rows import all_rows_sql, quoted_names
from tallybook.storage.tables import COLUMNS, NUMBER
from tallybook.storage.transaction import LedgerDatabase, Transaction


class SqlCopies(LedgerDatabase):
    """Methods for copies and checks; `Ledger` documents each of them."""

    def export(self) -> Tables:
        with self._reading() as db:
            return {
                table: [tuple(row) for row in db.execute(all_rows_sql(table, columns))]
                for table, columns in COLUMNS.items()
            }

    def fill(self, rows: Tables, contents: Iterable[tuple[str, Iterable[bytes]]], *, still: Callable[[], bool]) -> None:
        with self._writing() as db:
            version, files, runs = (
                db.execute(f"SELECT {what}").fetchone()[0] or 0
                for what in ("max(version) FROM versions", "count(*) FROM files", "count(*) FROM runs")
            )
            if version or files or runs:
                raise BookError(
                    f"there is a book in {self.where} already, at version {version}", hint=self.out_of_the_way
                )
            for table in reversed(tuple(COLUMNS)):
                db.execute(f"DELETE FROM {table}")
            for table, columns in COLUMNS.items():
                marks = ", ".join("?" * len(columns))
                db.executemany(f"INSERT INTO {table} ({quoted_names(columns)}) VALUES ({marks})", rows[table])
            self._filled(db, contents)
            if not still():
                raise Conflict("the original was written to")

    @abc.abstractmethod
    def _filled(self, db: Transaction, contents: Iterable[tuple[str, Iterable[bytes]]]) -> None:
        """Finish a copy in the transaction that wrote its rows."""

    def lacking(self) -> list[str]:
        with self._reading() as db:
            there = self._columns(db)
        found = []
        for table, columns in COLUMNS.items():
            lacks = [column for column in columns if column not in there.get(table, ())]
            if lacks:
                what = f"the table {table}" if table not in there else f"{', '.join(lacks)} of the table {table}"
                found.append(
                    f"it has the number {NUMBER} but lacks {what}: another program changed it; bring it back from a "
                    "backup: move the folder away, then: tallybook restore BACKUP"
                )
        return found

    def damage(self) -> list[str]:
        with self._reading() as db:
            return self._damage(db)

    def first_at(self) -> datetime | None:
        with self._reading() as db:
            instants = "SELECT at FROM versions WHERE version > 0 UNION ALL SELECT started FROM runs"
            found = db.execute(f"SELECT min(at) FROM ({instants}) AS instants").fetchone()[0]
        return datetime.fromisoformat(found) if found else None

    def problems(self) -> list[str]:
        with self._reading() as db:
            found = self._damage(db)
            numbers = [row[0] for row in db.execute("SELECT version FROM versions ORDER BY version")]
            if numbers != list(range(len(numbers))):
                found.append(f"versions are not 0 … {len(numbers) - 1} without a gap")
            overlaps = db.execute(
                "SELECT a.path, b.path FROM files a JOIN files b ON a.id < b.id AND a.kind = b.kind "
                "AND a.metric = b.metric AND a.first_day <= b.last_day AND b.first_day <= a.last_day "
                "WHERE a.removed IS NULL AND b.removed IS NULL"
            ).fetchall()
            found += [f"{a} and {b} hold the same days" for a, b in overlaps]
            orphans = db.execute(
                "SELECT DISTINCT metric, definition FROM coverage EXCEPT SELECT metric, definition FROM definitions"
            ).fetchall()
            found += [f"days of {m!r} are covered under definition {d}, which is not recorded" for m, d in orphans]
        return found
