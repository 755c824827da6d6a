"""Answers from the current facts, compared with what the book contains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from tallybook.collect.live import live_context
from tallybook.collect.preparing import prepare_run
from tallybook.collect.sources.registry import close_sources
from tallybook.config import Project
from tallybook.core import ONE_DAY, Result, calendar
from tallybook.query import (
    MAX_GAP_DAYS,
    Query,
    QueryService,
    Question,
    answer,
    clipped,
    with_range,
    with_stored,
)
from tallybook.storage import connect

NEW_BOOK_DAYS = 30
"""Number of days of a live query without a range, if nothing is collected yet."""


@dataclass(frozen=True)
class LiveAnswers:
    """Answers each query: from its source if it is `live`, otherwise from the book."""

    project: Project
    service: QueryService
    clock: Callable[[], datetime]

    def answer(self, question: Question) -> Result:
        """The answer to a query. Raises QueryError for names that are not declared, Refused for a query without a
        correct answer, and SourceError if no source of a live query can be read."""
        if not question.live:
            return self.service.answer(question)
        query, first_day = self._with_days(self.service.check(question))
        live = self._from_sources(query, first_day)
        snapshots = [name for name in self._operands(query) if self.project.catalog.metrics[name].snapshot]
        return with_stored(live, self.service.stored(query), snapshots)

    def check(self, question: Question) -> None:
        """Raise what `answer` would raise, as far as this is known without reading a source."""
        query, first_day = self._with_days(self.service.check(question))
        clipped(query, first_day, self.service.reader.today)

    def from_source(self, question: Question, begin: date) -> Result:
        """The answer from only the source, for metrics of which the book contains nothing. `begin`: the first existing
        day, for a query without a range."""
        query = self.service.check(question)
        last = query.last or self.service.reader.today - ONE_DAY
        return self._from_sources(with_range(query, query.first or min(begin, last), last), begin)

    def _operands(self, query: Query) -> Sequence[str]:
        return list(dict.fromkeys(o for name in query.metrics for o in self.project.catalog.operands(name)))

    def _with_days(self, query: Query) -> tuple[Query, date]:
        """The query with both its days set, and the first collected day."""
        reader = self.service.reader
        with reader.reading() as reading:
            stored = reader.context_of(query, None, None, reading)
        begins = (c.stretches[0][0] for c in stored.coverage.values() if c.stretches)
        begin = min(begins, default=reader.today - NEW_BOOK_DAYS * ONE_DAY)
        last = query.last or reader.today - ONE_DAY
        return with_range(query, query.first or min(begin, last), last), begin

    def _from_sources(self, query: Query, begin: date) -> Result:
        with self.service.reader.only_reading():
            return self._read_only(query, begin)

    def _read_only(self, query: Query, begin: date) -> Result:
        reader = self.service.reader
        keys = reader.keys(self._operands(query))
        context = prepare_run(self.project, reader.store, self.clock)
        engine = connect()
        try:
            near = clipped(query, begin, reader.today)
            floor = calendar.plus_days(begin, -MAX_GAP_DAYS)
            known = reader.snapshot(keys, None)
            source_context = live_context(context, near.query, known, keys, engine, floor=floor)
            return answer(near.query, replace(source_context, computed=reader.computed(near.query, None, engine)), near)
        finally:
            engine.close()
            close_sources(context.sources)
