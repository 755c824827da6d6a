"""Builds the statements of a group of metrics: fused SELECTs in the source's own dialect, and how to read their rows.

Metrics that share facts, time column and dimensions are fused. All our aggregates are over CASE WHEN, so one scan
serves all of them. Bounds of days are literals that are compared with the bare time column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tallybook.collect.grouping import INTERVAL_PLAN
from tallybook.collect.interval_statements import IntervalStatements
from tallybook.collect.planned_group import PlannedGroup
from tallybook.collect.plans import KeyedPlan, Scan
from tallybook.core import ONE_DAY, day_of


@dataclass
class Group(PlannedGroup, IntervalStatements):
    """A group of metrics that are collected together. Builds their statements and runs nothing."""

    # -- statements ---------------------------------------------------------------------------------

    def select(
        self,
        columns: Sequence[str],
        first: date,
        last: date,
        *,
        split: bool,
        condition: str | None = None,
        keys: Sequence[str] = (),
    ) -> str:
        """One statement for the days first … last. With `split`, its first column counts days from `first`."""
        day, relation, where = self._from(first, last, split=split)
        where += [condition] if condition else []
        return self._sorted_by(self._select([*day, *self.dims, *keys], columns, relation, where), keys)

    def reaching(self, day: date) -> str:
        """A statement whose plan shows how a day's facts are found. For joined tables it uses only the one with the
        time, because the others are always reached through an index."""
        reach = self.members[0].reach
        if reach is None:
            return self.select(self.additives()[0].columns.expressions, day, day, split=False)
        table, column = reach
        form, _ = self._time()
        bounds = self._bound_pair(day), self._bound_pair(day + ONE_DAY)
        within = self.source.within(self.source.quote(column), form, *bounds)
        return self._select([], [self.source.count("*")], self.source.table_name(table), [within])

    def scan(self, scan: Scan, first: date, last: date, *, split: bool) -> str:
        """The statement of one or several keyed plans."""
        if len(scan.plans) == 1:
            (plan,) = scan.plans
            if plan.by_time:
                return self._by_time(plan, first, last, split=split)
            return self.select(plan.columns, first, last, split=split, condition=plan.condition, keys=plan.keys)
        keys = [self._when(plan.only, plan.keys[0]) for plan in scan.plans]
        day, relation, where = self._from(first, last, split=split)
        heads = [*day, *self.dims]
        shared = [str(i + 1) for i in range(len(heads))]
        sets = [f"({', '.join([*shared, str(len(heads) + i + 1)])})" for i in range(len(keys))]
        columns = [*heads, *keys, *scan.counts, f"GROUPING({', '.join(keys)})"]
        return f"{self._select([], columns, relation, where)} GROUP BY GROUPING SETS ({', '.join(sets)})"

    def _by_time(self, plan: KeyedPlan, first: date, last: date, *, split: bool) -> str:
        """A statement with one row for each day and series: the time and the value of its first or last fact. If
        several facts have exactly that time, it is the smallest or largest value, so that the source's reading order
        does not matter."""
        day, relation, where = self._from(first, last, split=split)
        form, column = self._time()
        heads = [*day, *self.dims]
        shown = [*heads, *plan.keys, self.source.time_value(column, form)]
        names = [f"c{i}" for i in range(len(shown))]
        value, order = names[-2], names[-1]
        where += [plan.condition] if plan.condition else []
        listed = ", ".join(f"{expression} AS {name}" for expression, name in zip(shown, names, strict=True))
        parts = [
            part
            for name, head in zip(names, heads, strict=False)
            for part in self.source.partition_by_terms(name, head)
        ]
        partition = f"PARTITION BY {', '.join(parts)} " if heads else ""
        end = "" if plan.by_time == "first" else " DESC"
        if form.name == "text_offset":  # some sources read its instants in whole seconds, so ties are resolved here
            ranked = f"RANK() OVER ({partition}ORDER BY {order}{end}) AS tallybook_rank"
        else:
            ranked = f"ROW_NUMBER() OVER ({partition}ORDER BY {order}{end}, {value}{end}) AS tallybook_rank"
        conditions = f" WHERE {' AND '.join(where)}" if where else ""
        facts = f"(SELECT {listed} FROM {relation}{conditions}) x"
        kept = ", ".join([*names[:-1], *(f"1 AS c{len(names) - 1 + i}" for i in range(len(plan.columns)))])
        return f"SELECT {kept} FROM (SELECT x.*, {ranked} FROM {facts}) y WHERE tallybook_rank = 1"

    def select_now(self, columns: Sequence[str], *, condition: str | None = None, keys: Sequence[str] = ()) -> str:
        """One statement over all current facts."""
        where = [*self._shared(), *([condition] if condition else [])]
        return self._sorted_by(self._select([*self.dims, *keys], columns, self.relation, where), keys)

    def changed_since(self, instant: datetime, first: date, last: date) -> str:
        """A statement for the days of facts written at `instant` or later, whether or not `where` currently selects
        them.

        Days are numbers: `first` is 1 and all days before it are 0. For intervals, it returns only the earliest day on
        which one begins, and `first` and all days before it are 0. No condition uses the facts' time column, because
        the database could prefer an index on it to the one on `changed`."""
        source, facts = self.source, self.members[0]
        written = facts.changed
        assert written is not None
        column = source.quote(facts.changed_column or "")
        if written.zone != "UTC":  # an hour that local clocks show twice is read as the first of the two
            instant -= timedelta(hours=1)
        day = day_of(instant, self.zone) - ONE_DAY
        late = [f"{source.time_value(column, written)} >= {source.bound(written, instant, day)}"]
        if written.name == "text_offset":
            late.insert(0, f"{column} >= '{day - ONE_DAY}'")
        if self.key.plan == INTERVAL_PLAN:
            return self._select([], [self._begins(first, last)], self.relation, late)
        form, time = self._time()
        bounds = self._bounds(form, first - ONE_DAY, last + ONE_DAY)
        day_of_fact = source.stretch(source.time_value(time, form), bounds)
        return f"SELECT DISTINCT {day_of_fact} AS c0 FROM {self.relation} WHERE {' AND '.join(late)}"

    def changed_between(self, start: datetime, end: datetime) -> str:
        """A statement for how many facts were written from `start` to before `end`, and the latest of these times."""
        facts = self.members[0]
        written, column = facts.changed, self.source.quote(facts.changed_column or "")
        assert written is not None
        bounds = [self.source.bound(written, instant, day_of(instant, self.zone)) for instant in (start, end)]
        latest = self.source.fetched_time(f"MAX({column})", written)
        within = [f"{column} >= {bounds[0]}", f"{column} < {bounds[1]}"]
        return self._select([], [self.source.count("*"), latest], self.relation, within)

    def earliest(self) -> str:
        """A statement for the earliest time of the facts that exists in the calendar."""
        metric, facts = self.metric, self.members[0]
        column, form = self.source.quote(metric.time or metric.from_ or ""), facts.time or facts.since
        assert form is not None
        least = self.source.fetched_time(self.source.min_or_null(column), form)
        return f"SELECT {least} FROM {self.relation} WHERE {' AND '.join(self.source.possible(column, form))}"
