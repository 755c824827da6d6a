"""What a database must do to keep a ledger: transactions, and a look at its tables."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, ClassVar, Protocol

from tallybook.storage.ledger import Commit
from tallybook.storage.processes import is_process_alive


class StatementRows(Protocol):
    """What a statement answers."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Transaction(Protocol):
    """Statements that happen together; `?` stands for a value."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> StatementRows: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object: ...


class LedgerDatabase(abc.ABC):
    """The database of a ledger. Usable from several threads and processes."""

    where: str
    """What the place is called in messages."""
    out_of_the_way: str
    """The line that moves the book somewhere else."""
    island: ClassVar[str]
    """`first_day` minus a number of days, `{count}`, in the database's SQL."""

    @abc.abstractmethod
    def _reading(self) -> AbstractContextManager[Transaction]:
        """All statements see the same moment."""

    @abc.abstractmethod
    def _writing(self) -> AbstractContextManager[Transaction]:
        """Nobody else writes meanwhile; all of it is durable at the end, or none."""

    @contextmanager
    def _committing(self, change: Commit) -> Iterator[Transaction]:
        """The transaction of a commit, with what the database has to do before and after it."""
        with self._writing() as db:
            yield db

    @contextmanager
    def _keeping(self, contents: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[Transaction]:
        """A transaction that also keeps the bytes of files, in a database that keeps any: (path, pieces)."""
        with self._writing() as db:
            yield db

    @abc.abstractmethod
    def _forget_contents(self, db: Transaction, paths: Sequence[str]) -> None:
        """Delete the bytes of files of events, in a database that keeps any."""

    def _instant(self, db: Transaction, now: datetime) -> datetime:
        """The instant by which leases are held and expire."""
        return now

    def _is_alive(self, holder: str) -> bool:
        """False only when a holder is known to be dead."""
        return is_process_alive(holder)

    @abc.abstractmethod
    def _columns(self, db: Transaction) -> dict[str, set[str]]:
        """The columns of each table that is there."""

    @abc.abstractmethod
    def _damage(self, db: Transaction) -> list[str]:
        """What is wrong below the tables, in words."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of what the calling thread holds."""
