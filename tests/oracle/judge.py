"""Which rows count for a day, and what they come to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from tests.oracle.aggregates import Aggregator, Fact, of_all
from tests.oracle.dates import days_before
from tests.oracle.measures import Ref, leaves_of
from tests.oracle.periods import day_of, end_of_day
from tests.oracle.questions import Ask, BookSpec, MetricSpec
from tests.oracle.tables import Table, Tables
from tests.oracle.terms import DAY, GAP_DAYS, Key, Refusal, Row, Undecided
from tests.oracle.values import Value

if TYPE_CHECKING:
    from tests.oracle.imports import Imported

Covered = Mapping[str, Collection[date] | Mapping[date, Tables]]
"""For each metric with rows of its own its covered days: a set, or each day with the tables as they were when
it was collected last."""


@dataclass
class Judge:
    """Everything an answer depends on but the question."""

    book: BookSpec
    metrics: Mapping[str, MetricSpec]
    tables: Tables
    covered: Covered
    closed_until: date
    imported: Mapping[str, Imported] = field(default_factory=dict)
    """What was imported last of metrics that let it answer."""
    remembered: dict[Any, Any] = field(default_factory=dict, repr=False)

    def without(self, name: str) -> Judge:
        """A judge who knows nothing of the metric's days."""
        imported = {other: found for other, found in self.imported.items() if other != name}
        return replace(self, covered={**self.covered, name: {}}, imported=imported, remembered={})

    # ---- which days

    def days(self, name: str) -> set[date]:
        """The covered days; of a derived metric those that all it is made of cover."""
        refs = leaves_of(self.metrics[name].measure, Ref)
        if refs:
            return set.intersection(*(self.days(ref.metric) for ref in refs))
        return set(self.covered[name])

    def dims(self, name: str) -> set[str]:
        refs = leaves_of(self.metrics[name].measure, Ref)
        if refs:
            return set.intersection(*(self.dims(ref.metric) for ref in refs))
        return set(self.metrics[name].by)

    def table(self, name: str, day: date) -> Table:
        """The metric's table as it was when `day` was collected last."""
        days = self.covered[name]
        seen = days[day] if isinstance(days, Mapping) and day in days else self.tables
        return self.facts_of(name, seen)

    def facts_of(self, name: str, tables: Tables) -> Table:
        """The metric's table, each row with the columns of the row that it is joined to."""
        spec = self.metrics[name]
        facts, other = tables[spec.table], tables.get(spec.join)
        if other is None:
            return facts
        key = ("joined", id(facts), id(other))
        if key not in self.remembered:
            self.remembered[key] = (joined(facts, other), facts, other)
        table: Table = self.remembered[key][0]
        return table

    # ---- which rows count for a day

    def facts(self, name: str, day: date) -> list[Fact]:
        """What counts for `day`: of a day that is not covered, what is carried into it."""
        known = self.remembered.get((name, day))
        if known is None:
            known = self.remembered[name, day] = self.find_facts(self.metrics[name], day)
        return known

    def find_facts(self, spec: MetricSpec, day: date) -> list[Fact]:
        covered = day in self.covered[spec.name]
        facts = self.own_facts(spec, day) if covered else []
        if spec.carry is None or day > self.closed_until:
            return facts
        present = {fact.whole for fact in facts}
        for back in range(1, spec.carry + 1):
            before = days_before(day, back)
            if before in self.covered[spec.name]:
                found = [fact for fact in self.own_facts(spec, before) if fact.whole not in present]
                facts += [replace(fact, day=day, carried_from=before) for fact in found]
                present |= {fact.whole for fact in found}
        return facts

    def own_facts(self, spec: MetricSpec, day: date) -> list[Fact]:
        table = self.table(spec.name, day)
        if spec.shape == "interval":
            rows = [row for row in self.admitted(spec, table) if self.holds(spec, table, row, day)]
        else:
            rows = self.rows_by_day(spec, table).get(day, [])
        if spec.shape == "daily_aggregate":
            rows = latest(rows, spec)
        dims = [*spec.by, *spec.series, *([spec.per] if spec.per else [])]
        return [Fact(day, tuple(row[d] for d in spec.by), tuple(row[d] for d in dims), row) for row in rows]

    def admitted(self, spec: MetricSpec, table: Table) -> list[Row]:
        """The rows that meet the metric's `where`."""
        key = ("admitted", spec.name, id(table))
        if key not in self.remembered:
            rows = [row for row in table.rows if spec.where is None or spec.where.holds(row) is True]
            self.remembered[key] = (rows, table)
        return self.remembered[key][0]

    def rows_by_day(self, spec: MetricSpec, table: Table) -> dict[date, list[Row]]:
        key = ("by day", spec.name, id(table))
        if key not in self.remembered:
            column = table.column(spec.time)
            found: dict[date, list[Row]] = {}
            for row in self.admitted(spec, table):
                if row[spec.time] is not None:
                    day = day_of(column.moment(row[spec.time]), self.book.timezone)
                    found.setdefault(day, []).append(row)
            self.remembered[key] = (found, table)
        return self.remembered[key][0]

    def holds(self, spec: MetricSpec, table: Table, row: Row, day: date) -> bool:
        """Whether the interval `row` holds at the end of `day`."""
        since, until = row[spec.from_], row[spec.until]
        if since is None:
            return False
        column = table.column(spec.from_)
        if column.type == "date":
            ends = date.max if until is None else until + DAY if spec.until_inclusive else until
            return since <= day < ends
        if spec.until_inclusive:
            raise Undecided("until_inclusive on a column of times")
        end: datetime = datetime.combine(day + DAY, time(0))
        if column.type != "timestamp_local":
            end = end_of_day(day, self.book.timezone)
        return column.moment(since) < end and (until is None or column.moment(until) >= end)

    # ---- what they come to

    def measured(self, name: str, facts: Sequence[Fact], day: date) -> Value:
        """The metric's measure over facts; `day` is any day that they were collected on."""
        spec = self.metrics[name]
        table = self.table(name, day)
        around = self.admitted(spec, table) if spec.shape == "interval" else None
        aggregator = Aggregator(table, around, spec.time)
        if not spec.per:
            return aggregator.measured(spec.measure, facts)
        entities = {fact.row[spec.per] for fact in facts} - {None}
        own = ([fact for fact in facts if fact.row[spec.per] == entity] for entity in sorted(entities))
        return of_all(spec.then, [aggregator.measured(spec.measure, those) for those in own])

    # ---- how far a question reaches

    def collected(self, names: Iterable[str]) -> tuple[date, date]:
        """The first known day of `names`, and the last day of the book."""
        asked = list(names)
        days = [day for name in base_metrics(self, asked) for day in self.covered[name]]
        days += [day for name in asked if name in self.imported for day in self.imported[name].days]
        return min(days, default=self.closed_until), max([*days, self.closed_until])

    def reached(self, ask: Ask) -> Ask:
        """`ask` without days more than a year outside of what is collected. Raises Refusal for a first day to come."""
        first, last = self.collected(ask.metrics)
        if (ask.from_ - last).days > 1:
            raise Refusal(f"--from {ask.from_} is after the last day of the book, {last}")
        to = max(last, ask.from_) if (ask.to - last).days > GAP_DAYS else ask.to
        from_ = min(first, to) if (first - ask.from_).days > GAP_DAYS else ask.from_
        return replace(ask, from_=from_, to=to)

    def answer(self, ask: Ask) -> list[Row]:
        from tests.oracle.answers import Answer

        return Answer(self, self.reached(ask)).rows()


def joined(facts: Table, other: Table) -> Table:
    """Every fact, with the columns of the other table's row of its account; null where there is none."""
    columns = tuple(column for column in other.columns if column.name != "id")
    rows = {row["id"]: {column.name: row[column.name] for column in columns} for row in other.rows}
    nothing = dict.fromkeys(column.name for column in columns)
    found = [{**fact, **rows.get(fact["account_id"], nothing)} for fact in facts.rows]
    return Table(name=facts.name, columns=(*facts.columns, *columns), rows=found)


def latest(rows: Iterable[Row], spec: MetricSpec) -> list[Row]:
    """For each series the row received last."""
    newest: dict[Key, Row] = {}
    for row in sorted(rows, key=lambda row: row[spec.received]):
        newest[tuple(row[name] for name in spec.series)] = row
    return list(newest.values())


def base_metrics(judge: Judge, names: Iterable[str]) -> list[str]:
    """The metrics with rows of their own behind `names`."""
    found: list[str] = []
    for name in names:
        refs = [ref.metric for ref in leaves_of(judge.metrics[name].measure, Ref)]
        found += base_metrics(judge, refs) if refs else [name]
    return list(dict.fromkeys(found))
