"""The part of `Book` that maintains the stored book: it compacts, deletes, copies and examines files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

# Rooms import a name when it is first used.
from tallybook import collect, deliver as delivering, ingest, query as querying, storage
from tallybook.query import BookReader, QueryService

if TYPE_CHECKING:
    from tallybook.config import Project


class KeptBook:
    """The methods that maintain a stored book. `Book` adds the others."""

    project: Project
    clock: Callable[[], datetime]
    reader: BookReader
    answers: QueryService

    @property
    def store(self) -> storage.Store:
        """The store of the book. It is created if it does not exist."""
        return self.reader.store

    @property
    def today(self) -> date:
        """The running day in the book's zone."""
        return self.reader.today

    def close(self) -> None:
        """Close the ledger and the engine. The next query opens them again."""
        self.reader.close()

    def compact(self) -> dict[str, int]:
        """Merge the files of closed years and delete files that no kept version needs. Returns {"folded": …, "deleted":
        …}, numbers of files."""
        done = collect.compact(self.reader, self.clock())
        if self.reader.has_book:
            self._event_upkeep().step()
        return done

    def _event_upkeep(self) -> ingest.Upkeep:
        """Maintenance of event files, also where no server runs."""
        catalog = self.project.catalog
        events = storage.EventLedger(self.store.ledger, self.store.files)
        expiry = ingest.Expiry(events, self.clock, catalog.events, catalog.book.timezone)
        return ingest.Upkeep(events, self.clock, expiry=expiry)

    def forget(self, metric: str) -> collect.ForgottenMetric:
        """Delete a metric from the book: its points, days, definitions and revisions, in every version.

        The metric need not be declared any more. Returns the numbers of deleted `days` and `points`; 0 if it was
        deleted before. This cannot be undone."""
        try:
            return collect.forget_named(self.reader, metric, self.clock)
        finally:
            self.answers.read_again()

    def forget_person(self, *person: str, metrics: Sequence[str]) -> list[collect.ForgottenPerson]:
        """Remove an id from the distinct counts of `metrics`, on all days, in every version. Changed values are kept as
        revisions.

        Several texts are the parts of an id of several columns. The next run collects the days of the lookback
        again; if the source still contains the id, they contain it again."""
        try:
            return collect.forget_person_in(self.reader, metrics, person, self.clock)
        finally:
            self.answers.read_again()

    def forget_entity(self, kind: str, entity_id: str, *, metrics: Sequence[str] = ()) -> delivering.ForgottenEntity:
        """Delete a user or an account (`kind`: users or accounts) permanently.

        Deletes its attributes with their history, its events, its rejected requests and its log lines, and removes
        its id from the distinct counts of its kind and of `metrics`. This cannot be undone. Raises QueryError for a
        metric that the book does not contain, Busy during a run."""
        try:
            return delivering.forget_entity(self.reader, kind, entity_id, metrics, self.clock)
        finally:
            self.answers.read_again()

    def move(self, place: storage.BookLocation) -> storage.Copied:
        """Copy the book to another ledger, another folder, or both, and compare the copy with it. No run may be active.

        The original stays; tallybook.toml decides which of them is read from now on. Raises QueryError when there is
        nothing to move, BookError when the new place already has a book, Busy during a run."""
        return collect.move_book(self.reader, place, self.clock())

    def backup(self, folder: str | Path) -> storage.Copied:
        """Copy a consistent snapshot of the book into a new folder, always with a SQLite ledger. Runs may be active.

        Raises QueryError for an empty book, BookError when the folder already has a book."""
        return collect.back_up(self.reader, Path(folder))

    def restore(self, folder: str | Path) -> storage.Copied:
        """Copy a backup to where tallybook.toml keeps the book.

        Raises QueryError when the folder has no backup, BookError when there is a book already."""
        return collect.restore(self.reader, Path(folder))

    def doctor(self) -> list[str]:
        """The defects of the book, each with its remedy; an empty list for a sound book."""
        if not self.reader.has_book:
            return []
        zone = self.project.catalog.book.timezone
        with self.reader.reading() as reading:
            return storage.examine(self.store, reading.engine, now=self.clock(), zone=zone)

    def rebuild_ids(self) -> ingest.RebuiltIds:
        """Write files of event ids that are missing or damaged again, from the events themselves."""
        if not self.reader.has_book:
            return ingest.RebuiltIds()
        events = storage.EventLedger(self.store.ledger, self.store.files)
        return ingest.rebuild_ids(events, self.clock, self.project.catalog.events)

    def remarks(self) -> list[str]:
        """Remarks about the book that are not defects: file modes, files of an older ledger."""
        return storage.remarks(self.store, self.project.catalog.book.access) if self.reader.has_book else []

    def doubts(self) -> dict[str, list[str]]:
        """Suspicious declarations by place in the file, such as `deliveries.board`: filter values that no row of the
        book ever had, and days that are stored under an older definition or another name."""
        found = querying.unseen_filter_values(self.answers)
        for one in querying.older_histories(self.reader):
            found.setdefault(f"metrics.{one.metric or one.old_name}", []).append(one.decision)
        return found

    def set_aside(self) -> Path:
        """Rename the folder of a book whose ledger is lost, so that a new book can start. Returns the new name of the
        folder.

        Raises QueryError when the ledger can be read."""
        self.answers.read_again()
        self.close()
        return storage.set_aside(self.project.place, self.today)
