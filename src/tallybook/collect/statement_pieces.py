"""The pieces of a group's statements: days as literals, the FROM clause, and conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tallybook.collect.binding import BoundMetric
from tallybook.collect.grouping import GroupKey
from tallybook.collect.relations import fill
from tallybook.collect.sources.base import Source
from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.values import ColumnType
from tallybook.core import ONE_DAY, days, schema_and_table, start_of


@dataclass
class StatementPieces:
    """The metrics of a group, with the pieces of their statements."""

    source: Source
    key: GroupKey
    members: list[BoundMetric]
    zone: str
    fused: bool = True
    """Whether one statement may serve several keys."""

    def __post_init__(self) -> None:
        first = self.members[0]
        self.metric = first.metric
        self.relation = first.relation
        self.dims = self._texts(first.metric.dims, first.dims)
        wheres = {m.metric.where for m in self.members}
        self.shared_where = next(iter(wheres)) if len(wheres) == 1 else None

    def _texts(self, columns: Sequence[str], types: Sequence[ColumnType]) -> list[str]:
        """Columns that distinguish rows, compared by their characters and not by a collation."""
        return [self.source.text(self.source.quote(c), t) for c, t in zip(columns, types, strict=True)]

    @staticmethod
    def _when(condition: str | None, value: str) -> str:
        return f"CASE WHEN {condition} THEN {value} END" if condition else value

    def _from(self, first: date, last: date, *, split: bool, latest: bool = True) -> tuple[list[str], str, list[str]]:
        """The expression of the day (with `split`), the text after FROM, and the conditions, for the days first … last.

        Without `latest`, replaced rows are read too."""
        form, column = self._time()
        bounds = self._bounds(form, first, last)
        start, end = self._bound_pair(first), self._bound_pair(last + ONE_DAY)
        relation = fill(self.relation, self.source, form, self.zone, first, last + ONE_DAY)
        value = self.source.time_value(column, form)
        if split and value != column:
            # The value compared at every node of the tree of days is computed once per row.
            relation, value = self._timed(relation, value, self.source.wide(column, start, end)), TIME
            within = self.source.between(value, form, start, end)
        else:
            within = self.source.within(column, form, start, end)
        where = [within, *self._real(column, form, first, last), *self._shared()]
        day = self.source.stretch(value, bounds) if split else None
        if self.key.latest and latest:
            # The latest value is chosen before any other condition is applied.
            relation, where = self._latest(relation, where, day), []
        return [day] if day else [], relation, where

    def _real(self, column: str, form: TimeForm, first: date, last: date) -> list[str]:
        """Conditions that exclude 30 February and other days that do not exist. Such days sort between one month and
        the next."""
        around = days(first - ONE_DAY, last + ONE_DAY)
        real = self.source.real_day(column, form) if any((day + ONE_DAY).day == 1 for day in around) else None
        return [real] if real else []

    def _begun(self) -> list[str]:
        """Conditions that exclude intervals whose beginning is not a valid day."""
        form, column = self.members[0].since, self.source.quote(self.metric.from_ or "")
        assert form is not None
        real = self.source.real_day(column, form)
        return [real] if real else []

    def _not_ended(self) -> str:
        form, column = self.members[0].until, self.source.quote(self.metric.until or "")
        assert form is not None
        return self.source.not_ended(column, form)

    def _ended(self) -> list[str]:
        """Conditions that exclude intervals whose end is not a valid day, because they could be counted until no
        day."""
        form, column = self.members[0].until, self.source.quote(self.metric.until or "")
        assert form is not None
        real = self.source.real_day(column, form)
        return [real] if real else []

    def _sorted_by(self, select: str, keys: Sequence[str]) -> str:
        """A SELECT in the form in which this source best groups by `keys`, which have many distinct values."""
        return f"SELECT {self.source.many_groups}{select.removeprefix('SELECT ')}" if keys else select

    def _select(self, heads: Sequence[str], columns: Sequence[str], relation: str, where: Sequence[str]) -> str:
        listed = ", ".join(f"{expression} AS c{i}" for i, expression in enumerate([*heads, *columns]))
        conditions = f" WHERE {' AND '.join(where)}" if where else ""
        keys = [key for i, head in enumerate(heads) for key in self.source.grouping(i + 1, head)]
        grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
        return f"SELECT {listed} FROM {relation}{conditions}{grouped}"

    def _time(self) -> tuple[TimeForm, str]:
        form = self.members[0].time
        assert form is not None
        assert self.metric.time is not None
        return form, self.source.quote(self.metric.time)

    def _shared(self) -> list[str]:
        return [f"({self.shared_where}\n)"] if self.shared_where else []

    def _within_days(self, column: str, form: TimeForm, first: date, last: date) -> str:
        return self.source.within(
            self.source.quote(column), form, self._bound_pair(first), self._bound_pair(last + ONE_DAY)
        )

    def _bound_pair(self, day: date) -> tuple[Any, date]:
        return start_of(day, self.zone), day

    def _literal(self, form: TimeForm, day: date) -> str:
        return self.source.bound(form, start_of(day, self.zone), day)

    def _bounds(self, form: TimeForm, first: date, last: date) -> list[str]:
        """The bounds at which each day after `first` begins."""
        return [self._literal(form, first + i * ONE_DAY) for i in range(1, (last - first).days + 1)]

    def _timed(self, relation: str, value: str, wide: str) -> str:
        """The relation with the instant of each row as an additional column, under the same name."""
        name = "f" if self.metric.table is None else self.source.quote(schema_and_table(self.metric.table)[1])
        inner = f"SELECT *, {value} AS {TIME} FROM {relation} WHERE {wide}{self.source.no_inline_suffix}"
        return f"({inner}) {name}"

    def ties(self, first: date, last: date) -> str:
        """A statement for the days on which two rows of a series share the last receipt: the day, and how many
        series."""
        (day,), relation, where = self._from(first, last, split=True, latest=False)
        ranked = self._ranked(relation, where, day, {"tallybook_rank": "RANK()", "tallybook_row": "ROW_NUMBER()"})
        several = f"(SELECT * FROM ({ranked}) y WHERE tallybook_rank = 1 AND tallybook_row = 2) f"
        return self._select([day], [self.source.count("*")], several, [])

    def _latest(self, relation: str, where: list[str], day: str | None) -> str:
        """The rows with only the last received value of each day and series."""
        ranked = self._ranked(relation, where, day, {"tallybook_rank": "ROW_NUMBER()"})
        return f"(SELECT * FROM ({ranked}) y WHERE tallybook_rank = 1) f"

    def _ranked(self, relation: str, where: list[str], day: str | None, ranks: Mapping[str, str]) -> str:
        """The rows with their ranks within their day and series. The row received last is first.

        A row without a receipt counts as older than the others, because databases sort nulls differently."""
        quote = self.source.quote
        texts = self._texts(self.metric.latest_series, self.members[0].series)
        parts = [part for text in texts for part in self.source.partition_by_terms(text, text)]
        partition = ", ".join([*([day] if day else []), *parts])
        columns = dict.fromkeys((*self._received_order(), *self.source.commit_order))
        terms = ", ".join(f"CASE WHEN {quote(c)} IS NULL THEN 1 ELSE 0 END, {quote(c)} DESC" for c in columns)
        over = f"OVER ({f'PARTITION BY {partition} ' if partition else ''}ORDER BY {terms})"
        named = ", ".join(f"{rank} {over} AS {name}" for name, rank in ranks.items())
        return f"SELECT x.*, {named} FROM (SELECT * FROM {relation} WHERE {' AND '.join(where)}) x"

    def _received_order(self) -> list[str]:
        metric = self.metric
        return [*metric.received_columns, *([metric.time] if metric.time else [])]


TIME = "tallybook_time"
