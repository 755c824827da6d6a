"""Computes one metric of a question: the days that count, and how they are rolled up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from tallybook.core import FLOAT, UNIQUES, StoredDefinition, plus_days
from tallybook.query.cells import (
    Cell,
    ChosenDays,
    Key,
    Solved,
    between,
    copied,
    mean_of,
    merged,
    minus,
    only_finite,
    plain,
    why_lost,
)
from tallybook.query.context import Coverage
from tallybook.query.currencies import in_major_units
from tallybook.query.merge import Parts
from tallybook.query.metric_periods import MetricPeriods
from tallybook.query.point_relations import period_sql, values_relation


class OneMetric(MetricPeriods):
    """One metric of a question: `show` over the days of `coverage`."""

    def solved(self) -> Solved:
        self.periods = {p.start: p for p in self._periods()}
        if self.bound is None:
            why = self.context.whys.get(self.name, f"{self.name} was never collected: tallybook run")
            for period in self.periods.values():
                period.why = why
            return Solved(cells={}, periods=self.periods, empty=None, type=FLOAT, show=self.show)
        self.empty = self.bound.empty()
        how: dict[str, Callable[[], dict[Key, Cell]]] = {
            "total": self._total,
            "average": self._over_days,
            "min": self._over_days,
            "max": self._over_days,
            "last": self._chosen_day,
            "first": self._chosen_day,
            "change": self._change,
        }
        cells = how[self.show]()
        type_ = FLOAT if self.show == "average" else self._parts().value_type()
        type_ = in_major_units(self.context.catalog.metrics[self.name], self.query, cells, type_)
        for cell in cells.values():
            cell.value = plain(cell.value, type_)
            only_finite(cell)
        self._explain_gaps()
        empty = None if self.empty is None else plain(self.empty, type_)
        return Solved(
            cells=cells,
            periods=self.periods,
            empty=empty,
            type=type_,
            show=self.show,
            said=self._explanation(),
            overlapping=self.metric.kind == UNIQUES and self.show == "total",
        )

    def without_cells(self) -> Solved:
        """The periods, and what else is known before points are read. The metric must have been collected."""
        self.periods = {p.start: p for p in self._periods()}
        self._explain_gaps()
        type_ = self._parts().value_type()
        return Solved(
            cells={}, periods=self.periods, empty=plain(self._bound().empty(), type_), type=type_, show=self.show
        )

    def _period_sql(self, column: str = "day") -> str:
        return period_sql(self.query.scope, self.query.calendar, self.first, column)

    def _restricted(self, sql: str, column: str = "g") -> str:
        """Only the days that all operands cover, without days whose values were only carried."""
        own = self.context.coverage.get(self.name, Coverage())
        if not self.metric.carry and own.stretches == self.coverage.stretches and self.coverage.only is None:
            return sql
        return f"SELECT * FROM ({sql}) WHERE {self.coverage.sql(column)}"

    def _cells(self, parts: Parts, build: Callable[[Parts], str]) -> dict[Key, Cell]:
        """The cells of the rows that `build` selects in the form of `Parts.finished`."""
        n = len(self.query.by)
        rows = self.context.merged_rows(parts, lambda p: p.fetched(build(p)))
        return {(row[0], row[1 : n + 1]): merged(self.name, row, n) for row in rows}

    # -- total ---------------------------------------------------------------------------------------------

    def _total(self) -> dict[Key, Cell]:
        """The measure over all facts of the period, in one merge, whatever the scope."""
        if self.metric.kind == UNIQUES:
            return self._bounded()
        own = self.context.coverage.get(self.name, Coverage())
        whole = own.stretches == self.coverage.stretches and self.coverage.only is None
        if whole and self.merged_total is not None and not isinstance(self.merged_total, ChosenDays):
            return copied(self.merged_total)
        return self._cells(self._narrowed(), self._totals)

    def _narrowed(self) -> Parts:
        """The points of the days that count."""
        parts, own = self._parts(), self.context.coverage.get(self.name, Coverage())
        if own.stretches == self.coverage.stretches and self.coverage.only is None:
            return parts
        covered = self.coverage.sql("day")
        narrowed = {k: replace(r, sql=f"(SELECT * FROM {r.sql} WHERE {covered})") for k, r in parts.relations.items()}
        return replace(parts, relations=narrowed)

    def _totals(self, parts: Parts) -> str:
        return parts.finished(self._period_sql(), self.first, self.last, targets=self.windows)

    @property
    def can_be_rows(self) -> bool:
        """Whether `value_rows` has anything to read. `without_cells` must have been called."""
        return self.show == "total" or any(p.target is not None for p in self.periods.values())

    def value_rows(self, wide: bool) -> tuple[str, str | None]:
        """Two SELECTs for a total, or for the value of a chosen day without carry.

        The first: g, k0…, value, approximate of every series with a fact. The second: g, k0… of the series with a
        fact on another day of the period; None if there can be no such series."""
        if self.show == "total":
            return self._totals(replace(self._narrowed(), wide=wide)), None
        targets = [(start, p.target) for start, p in self.periods.items() if p.target is not None]
        values = rows_on(targets, replace(self._parts(), wide=wide))
        whole = len(targets) == len(self.periods) and all(start == day for start, day in targets)
        if whole and self.query.scope == "day":
            return values, None
        return values, self._by_period(self._parts().present("day", self.first, self.last))

    def _bound(self) -> StoredDefinition:
        assert self.bound is not None
        return self.bound

    def _bounded(self) -> dict[Key, Cell]:
        """Daily counts of distinct things: exact for one day, else between the largest daily count and their sum."""
        cells: dict[Key, Cell] = {}
        for key, (total, _, _, high, seen, approximate, carried, _) in self._daily().items():
            period = self.periods[key[0]]
            if period.first == period.last or period.has_one_day:
                cells[key] = Cell(total, approximate, carried)
                continue
            idle = [self.empty] if period.days > seen else []
            known = [v for v in (high, *idle) if v is not None]
            cells[key] = between(max(known, default=None), total)
        return cells

    # -- over the days of a period --------------------------------------------------------------------------------

    def _daily(self) -> dict[Key, tuple[Any, int, Any, Any, int, bool, bool, int]]:
        """By period and series: sum, number, minimum and maximum of the daily values, and the flags of a cell."""
        n = len(self.query.by)
        keys = "".join(f", k{i}" for i in range(n))

        def by_period(parts: Parts) -> str:
            dated = self._by_period(self._restricted(parts.finished("day", self.first, self.last)))
            value = "CAST(value AS DOUBLE)" if parts.wide else "value"
            return (
                f"SELECT g{keys}, sum({value}), count(value), min(value), max(value), count(*), "
                f"bool_or(approximate), bool_or(carried), max(lost) FROM ({dated}) GROUP BY g{keys}"
            )

        return {(row[0], row[1 : n + 1]): row[n + 1 :] for row in self.context.merged_rows(self._parts(), by_period)}

    def _by_period(self, dated: str) -> str:
        """A relation by day (g), converted to periods: each row is repeated for every period that contains its day."""
        if self.windows:
            return (
                f"SELECT d.* REPLACE (t.period AS g) FROM ({dated}) d JOIN ({self.windows}) t ON d.g BETWEEN "
                "t.first AND t.last"
            )
        return f"SELECT * REPLACE ({self._period_sql('g')} AS g) FROM ({dated})"

    def _over_days(self) -> dict[Key, Cell]:
        """The average, min or max of daily values. A covered day without facts counts as 0 if the measure has a 0."""
        cells = {}
        for key, (total, number, low, high, seen, approximate, carried, lost) in self._daily().items():
            cell = Cell(None, approximate, carried, why=why_lost(self.name, key[0], lost))
            if cell.why:
                cells[key] = cell
                continue
            period = self.periods[key[0]]
            days = max(period.days, seen)
            blank = days - seen if self.empty is not None else 0
            if self.show == "average" and number + blank:
                spread = total if total is not None else self.empty
                cell.value = mean_of(spread, blank, self.empty, number + blank)
            elif self.show in ("min", "max"):
                known = [low if self.show == "min" else high, *([self.empty] if blank else [])]
                present = [v for v in known if v is not None]
                cell.value = (min if self.show == "min" else max)(present) if present else None
            cells[key] = cell
        return cells

    # -- the value of one day -------------------------------------------------------------------------------------

    def _chosen_day(self) -> dict[Key, Cell]:
        targets = [(start, p.target) for start, p in self.periods.items() if p.target is not None]
        return self._with_present(self._values_on(targets))

    def chosen_days(self) -> tuple[tuple[date, date], ...]:
        """The (period, day) pairs whose values represent the periods, for shows that use one day."""
        return tuple((one.start, one.target) for one in self._periods() if one.target is not None)

    def _values_on(self, targets: list[tuple[date, date]]) -> dict[Key, Cell]:
        known = self.merged_total
        if isinstance(known, ChosenDays) and known.targets == tuple(targets):
            return copied(known.cells)
        return self._cells(self._parts(), lambda p: rows_on(targets, p)) if targets else {}

    def _with_present(self, cells: dict[Key, Cell]) -> dict[Key, Cell]:
        """The cells, plus series with a fact elsewhere in the period: at its end they are known to be gone, so parts
        add up."""
        if not self.query.by:
            return cells
        parts, n = self._parts(), len(self.query.by)
        present = parts.present("day", self.first, self.last)
        if self.metric.carry or self.coverage.only is not None:
            chosen = "".join(f" OR g = DATE '{p.target}'" for p in self.periods.values() if p.target is not None)
            present = f"SELECT * FROM ({present}) WHERE {self.coverage.sql('g')}{chosen}"
        keys = "".join(f", k{i}" for i in range(n))
        sql = f"SELECT DISTINCT g{keys} FROM ({self._by_period(present)})"
        for row in self.context.rows(sql):
            key: Key = (row[0], row[1:])
            period = self.periods[key[0]]
            if key not in cells:
                cells[key] = Cell(self.empty) if period.absent_is_known else Cell(why=period.why)
        return cells

    def _change(self) -> dict[Key, Cell]:
        """The last value minus the value of the day before the period. A series that is absent on one of the days was 0
        then."""
        now = self._chosen_day()
        asked = [p for p in self.periods.values() if p.known or p.target is not None]
        ends = {p.start: plus_days(p.first if self.query.spanned else p.start, -1) for p in asked}
        before = {start: self._last_expected(day) for start, day in ends.items()}
        then = self._values_on([(start, day) for start, day in before.items() if self._known_on(day)])
        cells = {}
        for key in {*now, *then}:
            period = self.periods[key[0]]
            a = now.get(key) or self._absent(period.target, period.why)
            day = before[key[0]]
            b = then.get(key) or self._absent(day, f"{day}, the day before, was not collected")
            cells[key] = minus(a, b)
        for start, day in before.items():
            if not self.coverage.holds(day):
                period = self.periods[start]
                period.absent_is_known = False
                period.why = period.why or f"{day}, the day before, was not collected"
        return cells

    def _absent(self, day: date | None, why: str | None) -> Cell:
        """The cell of a series without a value on a day."""
        return Cell(self.empty) if day is not None and self.coverage.holds(day) else Cell(why=why)

    # -- words -----------------------------------------------------------------------------------------------------

    def _explanation(self) -> str:
        bound = self._bound()
        # A function has no measure of its own. Its measure here is the sum of the returned values.
        what = "sum(value)" if bound.metric.function else as_written(bound.metric.measure or bound.measure.text)
        period = "the whole range" if self.query.scope == "all" else f"each {self.query.scope}"
        period = self.query.window_in_words or period
        how = {
            "total": f"over all facts of {period}",
            "average": f"for each day, then the mean of the covered days of {period}",
            "min": f"for each day, then the least day of {period}",
            "max": f"for each day, then the greatest day of {period}",
            "first": f"on the first day of {period}",
            "last": f"at the end of {'each day' if self.query.scope == 'day' else f'the last day of {period}'}",
            "change": f"at the end of {period} minus that of the one before",
        }[self.show]
        if self.show == "total" and self.metric.kind == UNIQUES and self.query.scope != "day":
            how = f"per day; of {period} only bounds are known (the largest day, the sum of days)"
        if bound.metric.per:
            how = f"of each {bound.metric.per} {how}, then the {bound.metric.then} of these"
        carry = f", a series without a row carried at most {self.metric.carry} days" if self.metric.carry else ""
        series = ", ".join(self.metric.series)
        latest = f", of each day and {series} the value received last" if self.metric.keeps_latest else ""
        return f"{self.name}: {what} {how}{carry}{latest}"


def as_written(measure: str) -> str:
    """The measure on one line."""
    return " ".join(measure.split())


def rows_on(targets: Sequence[tuple[date, date]], parts: Parts) -> str:
    """`Parts.finished` for one chosen day per period. `targets`: (period, day) pairs in order."""
    days = [day for _, day in targets]
    if any(start != day for start, day in targets):
        relation = values_relation([(start, day, day) for start, day in targets])
        return parts.finished("period", min(days), max(days), targets=relation)
    found = parts.finished("day", days[0], days[-1])
    if plus_days(days[0], len(days) - 1) == days[-1]:
        return found
    listed = ", ".join(f"DATE '{day}'" for day in days)
    return f"SELECT * FROM ({found}) WHERE g IN ({listed})"
