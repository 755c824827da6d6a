"""Answers of a book now and at an older version, and the first day that changed in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from tallybook.collect import WHAT
from tallybook.core import BookError, Result, calendar
from tallybook.deliver.answer_rows import AnswerRow, rows_of_csv
from tallybook.query import Query, QueryService
from tallybook.storage import Cleaned, OutboxLedger, Stretch


@dataclass(frozen=True)
class PastAnswers:
    """The answers that deliveries need, now and at older versions."""

    service: QueryService

    def query(self, question: Query, version: int | None = None) -> Result | None:
        """The answer now, or at an older version. None if that version is no longer kept."""
        if version is None:
            return self.service.stored(question)
        try:
            return self.service.at_version(question, version)
        except (Cleaned, BookError):
            return None

    def first_change(self, metrics: Sequence[str], version: int) -> date | None:
        """The first day that may differ between a version and now, by its monthly files and its coverage. None if no
        day differs. `date.min` if the version is no longer kept, or if a person was deleted since."""
        if self._forgotten_since(version):
            return date.min
        names = {name for metric in metrics for name in (metric, *self.service.catalog.operands(metric))}
        reader = self.service.reader
        keys = reader.keys(sorted(names))
        try:
            then, now = reader.snapshot(keys, version), reader.snapshot(keys, None)
        except (Cleaned, BookError):
            return date.min
        one, other = ({file.path: file.first for file in known.files} for known in (then, now))
        days = [one.get(path) or other[path] for path in one.keys() ^ other.keys()]
        for key in {*then.coverage} | {*now.coverage}:
            days += _covered_once(then.coverage.get(key, ()), now.coverage.get(key, ()))
        return min(days, default=None)

    def rows(self, question: Query, version: int) -> Iterator[AnswerRow] | None:
        """The rows of the answer at a version. None if that version is no longer kept."""
        try:
            pieces = self.service.lines_at(question, version)
        except (Cleaned, BookError):
            return None
        return rows_of_csv(pieces, question.by, question.metrics)

    def touched(self, metrics: Sequence[str], version: int) -> list[tuple[date, date]] | None:
        """Ranges of days of these metrics that were collected after a version. None if any day may differ."""
        if self._forgotten_since(version):
            return None
        reader = self.service.reader
        names = {name for metric in metrics for name in (metric, *self.service.catalog.operands(metric))}
        keys = sorted(set(reader.keys(sorted(names)).values()))
        return OutboxLedger(reader.store.ledger).collected_since(keys, version)

    def is_collected(self, question: Query, version: int) -> bool:
        """Whether every day of a query is collected at a version, for all metrics involved, including operands."""
        try:
            return self.service.is_covered(question, version)
        except (Cleaned, BookError):
            return False

    def first_day(self, metrics: Sequence[str]) -> date | None:
        """The first collected day of these metrics. None before anything is collected."""
        return min((day for day in self.first_days(metrics).values() if day is not None), default=None)

    def first_days(self, metrics: Sequence[str]) -> dict[str, date | None]:
        """The first collected day of each metric, with its operands. None if nothing of it is collected."""
        made_of = {metric: {metric, *self.service.catalog.operands(metric)} for metric in metrics}
        keys = self.service.reader.keys(sorted(set().union(*made_of.values())))
        first: dict[str, date] = {}
        for (key, _), stretches in self.service.reader.snapshot(keys, None).coverage.items():
            for one in stretches:
                first[key] = min(first.get(key, one.first), one.first)
        return {
            metric: min((first[keys[name]] for name in names if keys[name] in first), default=None)
            for metric, names in made_of.items()
        }

    def _forgotten_since(self, version: int) -> bool:
        ledger = self.service.reader.store.ledger
        at = dict(ledger.versions()).get(version)
        forgotten = (run["started"] for run in ledger.runs(100) if run["what"] == WHAT)
        return at is None or any(datetime.fromisoformat(started) >= at for started in forgotten)


def _covered_once(one: Sequence[Stretch], other: Sequence[Stretch]) -> list[date]:
    """A list with the first day that is in only one of two coverages. Empty if both are equal."""
    there, then = ({day for s in stretches for day in calendar.days(s.first, s.last)} for stretches in (one, other))
    return [min(there ^ then)] if there != then else []
