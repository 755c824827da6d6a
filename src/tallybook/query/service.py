"""Answers questions from a book: at its current version, at the end of a day, or at any kept version."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from tallybook.core import ONE_DAY, BookError, Catalog, QueryError, Refused, Result, calendar
from tallybook.query.answers import answer
from tallybook.query.cached import AnswerCache
from tallybook.query.kept_rows import KeptRows, PeriodRows, is_kept, without_reasons
from tallybook.query.older_history import older_histories
from tallybook.query.question import Question, as_day
from tallybook.query.questions import Query, check_question
from tallybook.query.reader import BookReader
from tallybook.storage import Cleaned

if TYPE_CHECKING:
    from tallybook.query.context import QueryContext

T = TypeVar("T")


class QueryService:
    """Answers the questions about one book. Thread-safe, also during a run. Recent answers are cached by version."""

    def __init__(self, catalog: Catalog, reader: BookReader) -> None:
        self.catalog, self.reader = catalog, reader
        self._cache = AnswerCache()
        self._kept_rows = KeptRows()

    def check(self, question: Question) -> Query:
        """Check a question. Raises QueryError for undeclared names, Refused for a question that has no correct
        answer."""
        try:
            return check_question(self.catalog, question, today=self.reader.today)
        except QueryError as error:
            kept = older_histories(self.reader) if error.field == "metrics" else []
            found = next((one for one in kept if one.old_name and repr(one.old_name) in error.message), None)
            if found is None:
                raise
            raise QueryError(error.message, hint=found.sentence, field=error.field) from None

    def answer(self, question: Question) -> Result:
        """The answer from the book, even if the question is `live`. Raises the errors of `check`."""
        query = self.check(question)
        day = self._as_of(as_day(question.as_of, self.reader.today, "as_of"))
        try:
            return self.stored(query, day)
        except Cleaned:
            assert day is not None
            raise Refused(
                f"the book as it was at the end of {day} was cleaned: of what is older than "
                f"keep_versions = {self.catalog.book.keep_versions} days, the end of each month is kept",
                ask=f"--as-of {(end := calendar.next_period(day.replace(day=1), 'month') - ONE_DAY)}",
                changes=[{"as_of": str(end)}],
            ) from None

    def period_rows(self, question: Question) -> PeriodRows:
        """The rows of `answer`, without the reasons why values are missing. Where the same question was asked before,
        only periods with changed days are computed. Raises as `check`."""
        query = self.check(question)
        if question.live or question.as_of is not None or not is_kept(self.catalog, query):
            result = self.answer(question)
            return PeriodRows(columns=result.columns, rows=[without_reasons(row) for row in result.data])
        return self._read(query, None, None, self._kept_rows.rows)

    def _as_of(self, day: date | None) -> date | None:
        """The day, if the book had content at its end. Raises QueryError otherwise."""
        if day is not None and day > self.reader.today:
            latest = self.reader.today
            raise QueryError(
                f"--as-of {day} is in the future", hint=f"the latest possible: --as-of {latest}", field="as_of"
            )
        if day is not None and self.reader.version_at(day) == 0:
            nothing = f"the book holds nothing as of {day}"
            raise QueryError(nothing, hint="`tallybook runs` lists when it was written", field="as_of")
        return day

    def csv(self, question: Question) -> str | None:
        """The text of `answer(…).to_csv()`, created without a Result; None for a question that only `answer`
        supports."""
        from tallybook.query.lines import csv

        if not question.is_plain:
            return None
        return self._read(self.check(question), None, None, csv)

    def lines_at(self, query: Query, version: int) -> Iterable[str]:
        """The result of `to_csv(guard=False)` for a query at a version of the book, in pieces of whole lines, by the
        fastest method available.

        Raises Cleaned if the version is no longer kept."""
        from tallybook.query.lines import csv_pieces

        written = self._read(query, version, None, csv_pieces)
        return [self.at_version(query, version).to_csv(guard=False)] if written is None else written

    def stored(self, query: Query, as_of: date | None = None) -> Result:
        """The answer now or at the end of a day. Raises Cleaned if that version is no longer kept."""
        now, version = self.reader.now, self.reader.version_at(as_of)
        newest, today, epoch = self.reader.version, self.reader.today, self._cache.epoch
        entities = self.reader.entity_commit(query)
        if (known := self._cache.get((query, version, newest, today, as_of, entities), now)) is not None:
            return known
        result, hides_days = self._read(query, version, as_of, lambda q, read: (answer(q, read), bool(read.hidden)))
        if hides_days:  # not cached: it may change at an instant that is not in the key
            return result
        # Stored under the version that was read, because another process may have published a newer one meanwhile. An
        # older version is read again after each newer one, because forgetting a person changes every version.
        read_at = result.version if version is None else newest
        self._cache.keep((query, version, read_at, today, as_of, entities), result, asked=now, epoch=epoch)
        return result

    def read(self, question: Question, read: Callable[[Query, QueryContext], T]) -> T:
        """The result of `read` for a question and its current context. Raises the errors of `check`."""
        return self._read(self.check(question), None, None, read)

    def at_version(self, query: Query, version: int) -> Result:
        """The answer at a version of the book. Raises Cleaned if the version is no longer kept."""
        return self._read(query, version, None, answer)

    def is_covered(self, query: Query, version: int) -> bool:
        """Whether all metrics of a query are collected on every day of its range, at a version.

        False for a query without a first and a last day. Raises Cleaned if the version is no longer kept."""
        from tallybook.query.metric_attributes import first_missing

        first, last = query.first, query.last
        if first is None or last is None:
            return False
        return self._read(
            query,
            version,
            None,
            lambda asked, read: all(first_missing(read.covered(name), first, last) is None for name in asked.metrics),
        )

    def forget_answers(self) -> None:
        """Clear the cached answers. Cached points stay valid, because a run does not change the points of a version."""
        self._cache.clear()

    def read_again(self) -> None:
        """Clear the cached answers and points, because points of old versions changed."""
        self._cache.clear()
        self._kept_rows.clear()
        self.reader.forget_points()

    def _read(
        self, query: Query, version: int | None, as_of: date | None, answer: Callable[[Query, QueryContext], T]
    ) -> T:
        """Read the ledger once, then the files. If a file was deleted meanwhile, start again once."""
        import duckdb

        from tallybook.storage import BadFile

        def once() -> T:
            with self.reader.reading() as reading:
                return answer(query, self.reader.context_of(query, version, as_of, reading))

        try:
            return once()
        except (duckdb.IOException, BadFile):
            try:
                return once()
            except duckdb.IOException as error:
                raise BookError(f"a file of the book cannot be read: {error}", hint="tallybook doctor") from None
