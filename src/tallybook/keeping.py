"""How a book is kept: what is folded, deleted, copied and examined. A part of `Book`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

# The doors of the rooms: each name is imported when it is first used.
from tallybook import collect, deliver as delivering, ingest, storage
from tallybook.query import BookReader, QueryService

if TYPE_CHECKING:
    from tallybook.config import Project


class KeptBook:
    """The verbs that keep a book in order. `Book` has the others."""

    project: Project
    clock: Callable[[], datetime]
    reader: BookReader
    answers: QueryService

    @property
    def store(self) -> storage.Store:
        """The book where it is kept. It is made where there is none."""
        return self.reader.store

    @property
    def today(self) -> date:
        """The running day in the book's zone."""
        return self.reader.today

    def close(self) -> None:
        """Close the ledger and the engine. The next question opens them again."""
        self.reader.close()

    def compact(self) -> dict[str, int]:
        """Fold closed years, delete what no kept version needs. Returns {"folded": …, "deleted": …} files."""
        done = collect.compact(self.reader, self.clock())
        if self.reader.there:
            self._event_upkeep().step()
        return done

    def _event_upkeep(self) -> ingest.Upkeep:
        """What is done with the files of events, also where no server runs."""
        catalog = self.project.catalog
        events = storage.EventLedger(self.store.ledger, self.store.files)
        expiry = ingest.Expiry(events, self.clock, catalog.events, catalog.book.timezone)
        return ingest.Upkeep(events, self.clock, expiry=expiry)

    def forget(self, metric: str) -> collect.ForgottenMetric:
        """Drop a metric from the book: its points, days, definitions and revisions, in every version. It may be
        one that is no longer declared. Returns how many `days` and `points` went: none of one that was forgotten
        before. There is no way back."""
        try:
            return collect.forget_named(self.reader, metric, self.clock)
        finally:
            self.answers.read_again()

    def forget_person(self, *person: str, metrics: Sequence[str]) -> list[collect.ForgottenPerson]:
        """Take an id out of the distinct counts of `metrics`, on all days, in every version; the values that change
        are kept as revisions. Several texts are the parts of an id of several columns.

        Days of the lookback are collected again by the next run, with whom the source still contains."""
        try:
            return collect.forget_person_in(self.reader, metrics, person, self.clock)
        finally:
            self.answers.read_again()

    def forget_entity(self, kind: str, entity_id: str, *, metrics: Sequence[str] = ()) -> delivering.ForgottenEntity:
        """Delete a user or an account (`kind`: users or accounts) for good: attributes with their history, events,
        rejected requests, logs, the distinct counts of its kind, and those of `metrics`. There is no way back.

        Raises QueryError for a metric that the book does not contain, Busy during a run."""
        try:
            return delivering.forget_entity(self.reader, kind, entity_id, metrics, self.clock)
        finally:
            self.answers.read_again()

    def move(self, place: storage.BookLocation) -> storage.Copied:
        """Copy the book to another ledger, another folder, or both, while no run is at work, and compare the copy with
        it. The book stays where it is: tallybook.toml decides which of them is read from now on.

        Raises QueryError when there is nothing to move, BookError when a book is there already, Busy during a run."""
        return collect.move_book(self.reader, place, self.clock())

    def backup(self, folder: str | Path) -> storage.Copied:
        """Copy the book, as it is at one moment, into a new folder: a book with a SQLite ledger, wherever this one is
        kept. Runs may be at work. Raises QueryError for an empty book, BookError when a book is in the folder."""
        return collect.back_up(self.reader, Path(folder))

    def restore(self, folder: str | Path) -> storage.Copied:
        """Copy a backup to where tallybook.toml keeps the book. Raises QueryError when the folder has none, BookError
        when there is a book already."""
        return collect.restore(self.reader, Path(folder))

    def doctor(self) -> list[str]:
        """What is wrong with the book, in words with what to do; empty when all is well."""
        if not self.reader.there:
            return []
        zone = self.project.catalog.book.timezone
        with self.reader.reading() as reading:
            return storage.examine(self.store, reading.engine, now=self.clock(), zone=zone)

    def remarks(self) -> list[str]:
        """What is not wrong with the book, but worth knowing: modes of its files, files of an older ledger."""
        return storage.remarks(self.store, self.project.catalog.book.access) if self.reader.there else []

    def set_aside(self) -> Path:
        """Rename the folder of a book whose ledger is lost, and start a new book. Returns the new name of the folder.

        Raises QueryError when the ledger can be read."""
        self.answers.read_again()
        self.close()
        return storage.set_aside(self.project.place, self.today)
