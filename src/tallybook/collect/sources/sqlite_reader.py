"""Reads rows of SQLite, and translates its errors."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.base import Reader
from tallybook.collect.sources.failed_statements import (
    timed_out,
    undecodable,
    unknown_name,
)
from tallybook.core import SourceError, SourceUnavailable

if TYPE_CHECKING:
    from tallybook.collect.sources.sqlite import SqliteSource

MAX_ATTEMPTS = 20
"""Maximum number of attempts while another process writes to a file that we can only read."""


class SqliteReader(Reader):
    def __init__(self, source: SqliteSource, connection: sqlite3.Connection) -> None:
        self.source, self.connection = source, connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        for _ in range(MAX_ATTEMPTS):
            try:
                with self._limited(sql):
                    found = self.connection.execute(sql).fetchall()
            except SourceError:
                # A file that is being written to may even look damaged.
                if self.source.is_unchanged():
                    raise
                found = []
            if self.source.is_unchanged():
                return found
            self.connection = self.source.connection()
        raise self.source.changed()

    def batches(self, sql: str, size: int = 50_000) -> Iterator[list[tuple[Any, ...]]]:
        with self._limited(sql):
            cursor = self.connection.execute(sql)
            while batch := cursor.fetchmany(size):
                yield batch
        if not self.source.is_unchanged():
            raise self.source.changed()

    @contextmanager
    def _limited(self, sql: str) -> Iterator[None]:
        seconds = self.source.settings.statement_timeout
        self.source._stop_at = time.monotonic() + seconds
        try:
            yield
        except sqlite3.Error as error:
            raise explained_error(error, self.source, seconds) from None
        finally:
            self.source._stop_at = float("inf")


def explained_error(error: sqlite3.Error, source: SqliteSource, seconds: float) -> SourceError:
    name, text = source.settings.name, str(error)
    if "interrupted" in text:
        return timed_out(name, seconds, ", or index the time column")
    if "locked" in text or "busy" in text:
        return SourceError(f"source {name!r}: the database is locked", hint="run again when the writer is done")
    if "decode to UTF-8" in text:
        return undecodable(name, "hex(x)")
    if "no such" in text:
        return unknown_name(name, text)
    if "malformed" in text or "not a database" in text:
        return SourceUnavailable(f"source {name!r}: {source.path}: {text}")
    return SourceError(f"source {name!r}: {text}")
