"""The operations that a database must provide to contain a ledger: transactions, and a description of its tables."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, ClassVar, Protocol

from tallybook.storage.ledger import Commit
from tallybook.storage.processes import is_process_alive


class StatementRows(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Transaction(Protocol):
    """The statements of one transaction; `?` is a placeholder for a value."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> StatementRows: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object: ...


class LedgerDatabase(abc.ABC):
    """The database of a ledger. Usable from several threads and processes."""

    where: str
    """The name of the location in messages."""
    out_of_the_way: str
    """A command that moves the book out of the way."""
    island: ClassVar[str]
    """SQL for `first_day` minus `{count}` days."""

    @abc.abstractmethod
    def _reading(self) -> AbstractContextManager[Transaction]:
        """Open a read transaction, in which all statements see the same moment."""

    @abc.abstractmethod
    def _writing(self) -> AbstractContextManager[Transaction]:
        """Open a write transaction: no other process writes meanwhile, and at its end everything is durable, or
        nothing."""

    @contextmanager
    def _committing(self, change: Commit) -> Iterator[Transaction]:
        """Open the transaction of a commit, including what the database must do before and after it."""
        with self._writing() as db:
            yield db

    @contextmanager
    def _keeping(self, contents: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[Transaction]:
        """Open a transaction that also stores the bytes of files, if the database stores any: (path, pieces)."""
        with self._writing() as db:
            yield db

    @abc.abstractmethod
    def _forget_contents(self, db: Transaction, paths: Sequence[str]) -> None:
        """Delete the bytes of event files, if the database stores any."""

    def _instant(self, db: Transaction, now: datetime) -> datetime:
        """The current time for leases."""
        return now

    def _is_alive(self, holder: str) -> bool:
        """Whether a holder may be alive. False only if it is known to be dead."""
        return is_process_alive(holder)

    @abc.abstractmethod
    def _columns(self, db: Transaction) -> dict[str, set[str]]:
        """The columns of each existing table."""

    @abc.abstractmethod
    def _damage(self, db: Transaction) -> list[str]:
        """Descriptions of defects below the level of tables."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release the resources of the calling thread."""
