"""Keeps one Book open and warm in a worker process, and opens it again when the declarations change.

A Book reads the version of its ledger for each query, so a run in another process needs no action here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tallybook.config import Stamp, declaration_hash, declaration_stamp
from tallybook.core import RequestError, TallybookError
from tallybook.server.answers import Refusal
from tallybook.storage import BookCommits, commits_of

if TYPE_CHECKING:
    from tallybook.book import Book

T = TypeVar("T")
THREADS = 4
MAX_WAITING = 200
"""Maximum number of reads that wait for a thread. Beyond it, readers get 503."""


@dataclass(frozen=True, kw_only=True)
class BookState:
    """The state on which every answer of the book depends."""

    commits: BookCommits
    declarations: str
    """A hash of the files that declare the project."""
    today: date
    """The current day in the book's zone."""
    is_settled: bool = True
    """Whether the same state always gives the same answers. False while days are hidden until a later time."""

    @property
    def version(self) -> int:
        return self.commits.version

    @property
    def events(self) -> int:
        return self.commits.events


@dataclass
class _Opened:
    """A Book, with the number of reads that use it."""

    book: Book
    stamp: Stamp
    declarations: str
    users: int = 0
    is_old: bool = False


@dataclass
class SharedBook:
    """The Book of one process. `open_book` opens the project in `folder` as it is declared now.

        book = SharedBook(folder, lambda: open_book(folder))
        result = await book.read(lambda book: book.ask(question))

    If the current declarations cannot be read, the previous Book stays, and `on_error` is called once."""

    folder: Path
    open_book: Callable[[], Book]
    on_error: Callable[[Exception], None] = lambda error: None
    threads: int = THREADS
    problem: TallybookError | None = None
    """The error because of which the current declarations cannot be read, or None."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _opened: _Opened | None = None
    _refused: Stamp | None = None
    _pool: ThreadPoolExecutor | None = None
    _waiting: int = 0

    async def read(self, work: Callable[[Book], T]) -> T:
        """The result of `work` for the Book, run in a thread for reads. Raises Refusal if too many are waiting."""
        if self._waiting >= MAX_WAITING:
            message = "too many questions wait to be answered"
            raise Refusal(RequestError(status=503, code="busy", message=message, expected="ask again in a moment"))
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads(), self._work, work)
        finally:
            self._waiting -= 1

    def _work(self, work: Callable[[Book], T]) -> T:
        with self.using() as book:
            return work(book)

    @contextmanager
    def using(self) -> Iterator[Book]:
        """The Book, for the calling thread. It is not closed before the block ends."""
        with self._lock:
            opened = self._current()
            opened.users += 1
        try:
            yield opened.book
        finally:
            with self._lock:
                opened.users -= 1
                if opened.is_old and not opened.users:
                    opened.book.close()

    def state(self, book: Book) -> BookState:
        """The state of a Book from `using` or `read`."""
        with self._lock:
            opened = self._opened
            declared = opened.declarations if opened is not None and opened.book is book else ""
        reader = book.reader
        commits = commits_of(reader.store.ledger) if reader.has_book else BookCommits()
        return BookState(
            commits=commits,
            declarations=declared,
            today=reader.today,
            is_settled=bool(declared) and not reader.taken_back,
        )

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
            if self._opened is not None:
                self._opened.book.close()
            self._opened = self._pool = None

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="tallybook-read")
            return self._pool

    def _current(self) -> _Opened:
        """The Book as declared now. Raises TallybookError if no declaration could ever be read."""
        before = self._opened
        if before is None:
            self._opened = self._open()
            return self._opened
        stamp = declaration_stamp(self.folder)
        if stamp in (before.stamp, self._refused):
            if stamp == before.stamp:
                self.problem = None
            return before
        try:
            new = self._open()
        except TallybookError as error:
            self.problem, self._refused = error, stamp
            self.on_error(error)
            return before
        self.problem = self._refused = None
        before.is_old = True
        if not before.users:
            before.book.close()
        self._opened = new
        return new

    def _open(self) -> _Opened:
        """Open the Book. The stamp is taken before the files are read, so a change meanwhile opens the Book again."""
        stamp, declarations = declaration_stamp(self.folder), declaration_hash(self.folder)
        book = self.open_book()
        book.shell = True  # who reads pages and answers over HTTP can type commands, and calls no methods
        return _Opened(book, stamp, declarations)
