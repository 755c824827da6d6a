"""One engine for all questions about a book, in all threads. Each question has its own connection to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tallybook.core import forks
from tallybook.query.points_cache import PointsCache, Relation

if TYPE_CHECKING:
    import duckdb

    from tallybook.storage import PointsFile


@dataclass(frozen=True)
class ReadSession:
    """The resources of one question: its connection, and the cached points."""

    engine: duckdb.DuckDBPyConnection
    relation: Callable[[int, Sequence[PointsFile]], Relation]
    """(version, files) → the relation to read its points from."""


class SharedEngine:
    """The engine of a book. Thread-safe; a forked child creates its own.

    Connections of one engine share tables, but have their own temporary tables and results."""

    def __init__(self, scan: Callable[[Sequence[PointsFile]], str]) -> None:
        self._scan = scan
        self._lock = threading.RLock()
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._shelf: PointsCache | None = None
        self._questions = 0
        """Number of running questions."""
        forks.watch(self)

    @contextmanager
    def reading(self) -> Iterator[ReadSession]:
        """A session for one question. Its connection is closed at the end of the block."""
        from tallybook.storage import connect, without_bar

        with self._lock:
            engine = self._engine = self._engine or connect()
            shelf = self._shelf = self._shelf or PointsCache(lambda: without_bar(engine.cursor()), self._scan)
            connection = without_bar(engine.cursor())
            self._questions += 1
        try:
            with shelf.question() as relation:
                yield ReadSession(connection, relation)
        finally:
            connection.close()
            with self._lock:
                self._questions -= 1

    def forget_points(self) -> None:
        """Discard cached points, because files that were read may have changed."""
        with self._lock:
            if self._shelf is not None:
                self._shelf.forget()
            self._shelf = None

    def close(self) -> None:
        """Release the engine. A running question keeps its own connection until it ends."""
        with self._lock:
            if self._shelf is not None:
                self._shelf.closed = True
            if self._engine is not None:
                self._engine.close()
            self._engine = self._shelf = None

    # -- forks

    def before_fork(self) -> None:
        """Close an unused engine, because a child can neither use nor destroy a copy of it."""
        self._lock.acquire()
        if not self._questions:
            self.close()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        for one in (self._engine, self._shelf):
            if one is not None:
                forks.abandon(one)
        self._engine = self._shelf = None
        self._questions = 0
        self._lock = threading.RLock()
