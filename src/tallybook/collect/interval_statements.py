"""Statements over intervals: rows open at the start of the window, and rows that begin or end in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.statement_pieces import StatementPieces
from tallybook.core import ONE_DAY, days


class IntervalStatements(StatementPieces):
    """The statements for levels whose rows are intervals."""

    def interval_selects(
        self,
        columns: Sequence[str],
        first: date,
        last: date,
        *,
        condition: str | None = None,
        keys: Sequence[str] = (),
    ) -> list[tuple[int, str, bool]]:
        """(sign, statement, whether it has a day column) for rows open at the start of the window, rows that begin, and
        rows that end in it.

        A row begins on a day only if it is still valid at the end of that day. It ends on a day only if it was valid at
        the start of that day. So reversed and zero-length rows cancel out."""
        source, metric, facts = self.source, self.metric, self.members[0]
        assert facts.since is not None
        since = source.time_value(source.quote(metric.from_ or ""), facts.since)
        turns = self._bounds(facts.since, first, last)
        opening = [f"{since} < {self._literal(facts.since, first)}"]
        begins = [self._within_days(metric.from_ or "", facts.since, first, last)]
        ends: list[tuple[str, list[str]]] = []
        if facts.until is not None and metric.until is not None:
            until = source.time_value(source.quote(metric.until), facts.until)
            first_end, *ends_at = self._ends_of_days(facts.until, first, last)
            lasts, real = self._not_ended(), "".join(f" AND {one}" for one in self._ended())
            opening.append(f"({lasts} OR {until} >= {first_end}{real})")
            begins.append(f"({lasts} OR {until} >= {source.in_stretch(since, turns, ends_at)}{real})")
            ends.append(self._ends(facts.since, since, facts.until, until, first, last))
        rest, heads = [*self._begun(), *self._shared(), *([condition] if condition else [])], [*self.dims, *keys]
        return [
            (1, self._select(heads, columns, self.relation, [*opening, *rest]), False),
            (1, self._select([source.stretch(since, turns), *heads], columns, self.relation, [*begins, *rest]), True),
            *((-1, self._select([day, *heads], columns, self.relation, [*where, *rest]), True) for day, where in ends),
        ]

    def _ends(
        self, begun: TimeForm, since: str, ended: TimeForm, until: str, first: date, last: date
    ) -> tuple[str, list[str]]:
        """SQL of the day on which a row ends, and the conditions that it ends in the window and was valid before."""
        begins_at = [self._literal(begun, day) for day in days(first, last)]
        turns, shift = self._ends_of_days(ended, first, last)[1:-1], self._until_shift
        within = self._within_days(self.metric.until or "", ended, first + shift, last + shift)
        held = f"{since} < {self.source.in_stretch(until, turns, begins_at)}"
        return self.source.stretch(until, turns), [within, held, *self._ended()]

    @property
    def _until_shift(self) -> timedelta:
        return -ONE_DAY if self.metric.until_inclusive else timedelta()

    def _ends_of_days(self, form: TimeForm, first: date, last: date) -> list[str]:
        """The end of the day before `first`, and of each day, for a column that says until when a row is valid."""
        return [self._literal(form, day + self._until_shift) for day in days(first, last + ONE_DAY)]

    def reversed_rows(self) -> str | None:
        """A statement that counts the rows that end no later than they begin."""
        metric, facts = self.metric, self.members[0]
        if not metric.until or facts.until is None or facts.since is None:
            return None
        since = self.source.time_value(self.source.quote(metric.from_ or ""), facts.since)
        until = self.source.time_value(self.source.quote(metric.until), facts.until)
        sign = "<" if metric.until_inclusive else "<="
        ends = [f"{until} {sign} {since}", f"NOT ({self._not_ended()})", *self._begun(), *self._ended()]
        return self._select([], [self.source.count("*")], self.relation, [*ends, *self._shared()])

    def _begins(self, first: date, last: date) -> str:
        """SQL of the number of days from `first` to the earliest beginning of an interval.

        It is the number of days in the range if all intervals begin after `last`, and 0 if none begins that late."""
        form = self.members[0].since
        assert form is not None
        since = self.source.time_value(self.source.quote(self.metric.from_ or ""), form)
        return self.source.min_or_null(self.source.stretch(since, self._bounds(form, first, last + ONE_DAY)))
