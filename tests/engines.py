"""Engines in memory that one test hands to the next, empty: starting DuckDB takes 25 ms of a core, thousands of times.

The long run starts an engine each time, as the product does. So do processes that tests start or fork."""

from __future__ import annotations

import itertools
import os
import weakref
from typing import Any

from tallybook.core import forks
from tallybook.storage.engines import duckdb as module

start = module.connect
_idle: list[Any] = []
"""Engines without tables, which nobody uses."""

_numbers = itertools.count()
LEFT = "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND database_name <> 'memory'"


def reuse() -> None:
    """From now on `connect()` of the product gives an engine that was closed before, where there is one."""
    module.connect = Reused  # type: ignore[assignment, misc]
    os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    """A child of a fork can neither use nor destroy the engines of its parent."""
    for engine in _idle:
        forks.abandon(engine)
    _idle.clear()


class Reused:
    """A connection to an engine, with a database of its own in it.

    Closing it empties the engine for the next, unless somebody still has another connection to it."""

    def __init__(self) -> None:
        self._engine = _idle.pop() if _idle else start()
        self._own = f"own_{next(_numbers)}"
        self._engine.execute(f"ATTACH ':memory:' AS {self._own}")
        self._others: list[weakref.ref[Any]] = []
        self._connection = module.without_bar(self._cursor())

    def _cursor(self) -> Any:
        made = self._engine.cursor()
        made.execute(f"USE {self._own}")
        return made

    def cursor(self) -> Any:
        made = self._cursor()
        self._others.append(weakref.ref(made))
        return made

    def close(self) -> None:
        engine, self._engine = self._engine, None
        self._connection.close()
        if engine is not None and not any(other() for other in self._others) and _emptied(engine):
            _idle.append(engine)

    def __enter__(self) -> Reused:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _emptied(engine: Any) -> bool:
    import duckdb

    try:
        for (name,) in engine.execute(LEFT).fetchall():
            engine.execute(f"DETACH {module.identifier(name)}")
        engine.execute("SET GLOBAL enable_external_file_cache = false")  # forgets what it read of files
        engine.execute("SET GLOBAL enable_external_file_cache = true")
    except duckdb.Error:
        return False
    return True
