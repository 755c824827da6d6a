"""One metric's values for every period and series of a question: which days take part, and how they roll up."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from tallybook.calendar import ONE_DAY, period_start
from tallybook.measure import ADDITIVE, FLOAT
from tallybook.metrics import FLOW, LEVEL, UNIQUES, Bound
from tallybook.points import ACCURACY
from tallybook.query.ask import Query
from tallybook.query.ground import Coverage, Ground
from tallybook.query.merge import TOTALS, Parts, period_sql, values_relation
from tallybook.query.spans import spans
from tallybook.result import NOT_FINITE
from tallybook.shell import EXACTLY, Number, evaluate

Key = tuple[date, tuple[str | None, ...]]
"""(first day of the period, dimension values)."""


@dataclass(slots=True)
class Cell:
    """One value and what is to be said about it. `bounds`: (least, most) where the value cannot be known."""

    value: Number = None
    approximate: bool = False
    carried: bool = False
    bounds: tuple[Number, Number] | None = None
    why: str | None = None


@dataclass(slots=True)
class Period:
    """A period as one metric sees it. `first`/`last` are clipped to the question; `absent_is_known`: a series
    without a point is known to have had no fact."""

    start: date
    first: date
    last: date
    expected: int
    days: int
    """Covered days that are over."""
    known: int
    """Covered days, the running one among them."""
    target: date | None = None
    absent_is_known: bool = True
    as_of: str | None = None
    why: str | None = None
    over: date | None = None
    """The last day that is over, where that is before `last`."""
    imported: str | None = None
    """The imported definition that answers for it."""


@dataclass(kw_only=True)
class Solved:
    """`cells` of series with a fact; `empty` is the value of a covered period without one."""

    cells: dict[Key, Cell]
    periods: dict[date, Period]
    empty: Number
    type: str
    show: str
    said: str = ""
    overlapping: bool = False
    """Values of several days count the same things again: only bounds are known."""
    operands: list[Solved] = field(default_factory=list)
    shell: list[Any] = field(default_factory=list)
    """Of a derived metric: the formula of its operands."""

    @functools.cached_property
    def seen(self) -> frozenset[date]:
        """Periods in which some series has a cell."""
        return frozenset(start for start, _ in self.cells)

    def at(self, key: Key) -> Cell:
        """The cell of a period and series, also where the series has no fact."""
        found = self.cells.get(key)
        if found is not None:
            return found
        if self.operands:
            return _as_type(_formula(self.shell, [operand.at(key) for operand in self.operands]), self.type)
        period = self.periods[key[0]]
        if period.why is None and period.absent_is_known:
            overlap = self.overlapping and period.first != period.last and period.known
            return _between(self.empty, self.empty) if overlap else Cell(self.empty)
        return Cell(why=period.why)


def solve(ground: Ground, query: Query, name: str, show: str | None = None, coverage: Coverage | None = None) -> Solved:
    """The metric `name` over the range of `query` (whose first and last day are set)."""
    metric = ground.catalog.metrics[name]
    if metric.derived:
        return _derived(ground, query, name, coverage)
    shared = coverage if coverage is not None else ground.covered(name)
    return OneMetric(ground, query, name, show or query.show or metric.default_show, shared).solved()


# --- made of other metrics ------------------------------------------------------------------------------


def _derived(ground: Ground, query: Query, name: str, coverage: Coverage | None) -> Solved:
    """Every operand rolled up over the days all of them cover, then the formula, cell by cell."""
    measure = ground.catalog.metrics[name].parsed
    assert measure is not None
    own = ground.covered(name)
    shared = own if coverage is None else own & coverage
    operands = [solve(ground, query, o.metric, o.show, shared) for o in measure.operands]
    cells: dict[Key, Cell] = {}
    for key in {key for operand in operands for key in operand.cells}:
        cells[key] = _formula(measure.shell, [operand.at(key) for operand in operands])
    found = {start: _shared_period([o.periods[start] for o in operands]) for start in operands[0].periods}
    empty = _formula(measure.shell, [Cell(o.empty) for o in operands]).value
    types = {o.type for o in operands}
    exact = FLOAT not in types and all(not isinstance(c.value, float) for c in cells.values())
    return Solved(
        cells=cells, periods=found, empty=empty if exact or empty is None else float(empty),
        type="decimal" if exact else FLOAT, show="formula", operands=operands, shell=measure.shell,
        said=f"{name}: {as_written(ground.catalog.metrics[name].measure or measure.text)}, each rolled up over the days all of them cover, then evaluated",
    )  # fmt: skip


def _formula(shell: list[Any], cells: Sequence[Cell]) -> Cell:
    unknown = next((c for c in cells if c.why or c.bounds), None)
    if unknown is not None:
        return Cell(why=unknown.why or "an operand is only known between bounds")
    try:
        value = evaluate(shell, [c.value for c in cells])
    except OverflowError:
        return Cell(why=NOT_FINITE)
    return Cell(value, any(c.approximate for c in cells), any(c.carried for c in cells))


def _as_type(cell: Cell, type_: str) -> Cell:
    if type_ == FLOAT and cell.value is not None:
        cell.value = float(cell.value)
    return cell


def _shared_period(several: Sequence[Period]) -> Period:
    worst = min(several, key=lambda p: p.days)
    return Period(
        worst.start, worst.first, worst.last, worst.expected, worst.days, min(p.known for p in several),
        absent_is_known=all(p.absent_is_known for p in several),
        as_of=next((p.as_of for p in several if p.as_of), None), over=worst.over,
        why=next((p.why for p in several if p.why), None),
    )  # fmt: skip


# --- many metrics in one pass ---------------------------------------------------------------------------------


def merge_together(ground: Ground, query: Query) -> None:
    """Merge the totals of flows of the same measure and dimensions in one pass over their points.

    A hundred metrics are then as many scans as there are kinds of measures among them."""
    assert query.first is not None
    assert query.last is not None
    groups: dict[Any, list[str]] = {}
    for name in query.metrics:
        bound = ground.bounds.get(name)
        if bound is not None and _mergeable(ground, query, name):
            groups.setdefault(_alike(bound, query), []).append(name)
    for names in groups.values():
        if len(names) > 1:
            _merge(ground, query, names, query.first, query.last)


def _mergeable(ground: Ground, query: Query, name: str) -> bool:
    metric = ground.catalog.metrics[name]
    total = not query.spanned and not metric.derived and (query.show or metric.default_show) == "total"
    return (
        total
        and metric.kind == FLOW
        and not metric.per
        and all(s.shape == ADDITIVE for s in ground.bounds[name].measure.slots)
    )


def _alike(bound: Bound, query: Query) -> Any:
    columns = [bound.column(d) for d in (*query.by, *(f.dimension for f in query.where))]
    slots = [(slot.agg, own.type) for slot, own in zip(bound.measure.slots, bound.slots, strict=True)]
    return repr((bound.measure.shell, slots, columns))


def _merge(ground: Ground, query: Query, names: list[str], first: date, last: date) -> None:
    bounds = [ground.bounds[name] for name in names]
    kind = ADDITIVE if query.by or query.where or query.but else TOTALS
    relation = {ADDITIVE: ground.relation(kind, "", first, last)}
    parts = Parts(bounds[0], relation, query.by, query.where, query.but, together=bounds[1:])
    period = period_sql(query.scope, query.week_start, first)
    n = len(parts.dims)
    found: dict[str, dict[Key, Cell]] = {bound.key: {} for bound in bounds}
    for row in ground.rows(parts.finished(period, first, last)):
        if row[1] in found:  # not another metric of the very same definition
            found[row[1]][(row[0], row[2 : n + 1])] = Cell(row[n + 2], row[n + 3], row[n + 4])
    for name, bound in zip(names, bounds, strict=True):
        ground.merged[(query, name)] = found[bound.key]


# --- one metric ---------------------------------------------------------------------------------------------


class OneMetric:
    """One metric of a question: `show` over the days of `coverage`."""

    def __init__(self, ground: Ground, query: Query, name: str, show: str, coverage: Coverage) -> None:
        assert query.first is not None
        assert query.last is not None
        self.ground, self.query, self.name, self.show, self.coverage = ground, query, name, show, coverage
        earliest = coverage.stretches[0][0] if coverage.stretches else None
        self.spans = list(spans(
            query.first, query.last, query.scope, query.week_start, window=query.window, shift=query.shift,
            known=max(ground.last_closed, ground.running or ground.last_closed), earliest=earliest,
        ))  # fmt: skip
        self.first, self.last = min(s.first for s in self.spans), max(s.last for s in self.spans)
        self.windows = values_relation([(s.start, s.first, s.last) for s in self.spans]) if query.spanned else None
        self.bound: Bound | None = ground.bounds.get(name)
        # An old definition is read by its own rules, not by today's.
        old = self.bound is not None and query.definition is not None
        self.metric = self.bound.metric if self.bound and old else ground.catalog.metrics[name]

    def solved(self) -> Solved:
        self.periods = {p.start: p for p in self._periods()}
        if self.bound is None:
            why = self.ground.whys.get(self.name, f"{self.name} was never collected: tallybook run")
            for period in self.periods.values():
                period.why = why
            return Solved(cells={}, periods=self.periods, empty=None, type=FLOAT, show=self.show)
        self.empty = self.bound.empty()
        how: dict[str, Callable[[], dict[Key, Cell]]] = {
            "total": self._total, "average": self._over_days, "min": self._over_days, "max": self._over_days,
            "last": self._chosen_day, "first": self._chosen_day, "change": self._change,
        }  # fmt: skip
        cells = how[self.show]()
        type_ = FLOAT if self.show == "average" else self._parts().value_type()
        for cell in cells.values():
            cell.value = plain(cell.value, type_)
        for period in self.periods.values():
            if not period.known and period.target is None and not period.why:
                period.why = self._gap(period)
        empty = None if self.empty is None else plain(self.empty, type_)
        return Solved(
            cells=cells, periods=self.periods, empty=empty, type=type_, show=self.show, said=self._said(),
            overlapping=self.metric.kind == UNIQUES and self.show == "total",
        )  # fmt: skip

    # -- periods ---------------------------------------------------------------------------------------

    def _periods(self) -> Iterable[Period]:
        for span in self.spans:
            closed = min(span.last, self.ground.last_closed)
            days = self.coverage.count(span.first, closed) if span.first <= closed else 0
            known = self.coverage.count(span.first, span.last)
            period = Period(span.start, span.first, span.last, span.expected, days, known)
            period.over = closed if closed < span.last else None
            self._choose(period, span.end)
            yield period

    def _choose(self, period: Period, end: date) -> None:
        """The day whose value stands for the period, for the shows that take one day's."""
        if self.show not in ("first", "last", "change"):
            return
        if self.metric.kind != LEVEL:
            find = self.coverage.first_in if self.show == "first" else self.coverage.last_in
            period.target = find(period.first, period.last)
        elif self.show == "first":
            period.target = period.first if self._known_on(period.first) else None
        else:
            self._choose_last(period, running=end > self.ground.last_closed)
        period.absent_is_known = period.target is not None and self.coverage.holds(period.target)
        if period.target is not None:
            period.as_of = self.coverage.instants.get(period.target) or period.as_of
        if (period.days or period.target) and not period.absent_is_known:
            day = period.first if self.show == "first" else period.target or period.last
            period.why = f"{day} was not collected"

    def _choose_last(self, period: Period, *, running: bool) -> None:
        """The last closed day; of a running period that is neither collected nor carried into, the last collected."""
        last = period.last
        if running and not self.coverage.holds(last):
            last = max(period.first, min(last, self.ground.last_closed))
        if self._known_on(last):
            period.target = last
        elif running:
            period.target = self.coverage.last_in(period.first, period.last)
        if running and period.target is not None:
            period.as_of = str(period.target)

    def _known_on(self, day: date) -> bool:
        """Whether a level is known on a day: collected, or some series is carried into it."""
        return self.coverage.holds(day) or day in self._carried_days

    @functools.cached_property
    def _carried_days(self) -> frozenset[date]:
        """The days of the question, and the one before, into which some series is carried."""
        if self.bound is None or not self.metric.carry:
            return frozenset()
        parts = replace(self._parts(), by=(), where=())
        first = min(period_start(self.first, self.query.scope, self.query.week_start), self.first) - ONE_DAY
        rows = self.ground.rows(f"SELECT g FROM ({parts.present('day', first, self.last, carried=True)})")
        return frozenset(day for (day,) in rows)

    def _gap(self, period: Period) -> str:
        if period.first > self.ground.last_closed:
            return f"{period.first} is not over yet"
        if self.metric.snapshot:
            return "not collected, and only its present can be seen"
        missing = [p for p in self.periods.values() if not p.days and p.first <= self.ground.last_closed]
        first, last = missing[0].first, min(missing[-1].last, self.ground.last_closed)
        return f"not collected: tallybook run {self.name} --from {first} --to {last}"

    # -- the engine --------------------------------------------------------------------------------------

    def _parts(self) -> Parts:
        assert self.bound is not None
        bound, carry = self.bound, self.metric.carry
        start = period_start(self.first, self.query.scope, self.query.week_start)
        reach = min(self.first, start) - (carry + 1) * ONE_DAY
        kinds = {"additive", *(slot.shape for slot in bound.measure.slots)}
        whole = not (carry or bound.metric.per or self.query.by or self.query.where or self.query.but)
        relations = {
            k: self.ground.relation(TOTALS if whole and k == ADDITIVE else k, bound.key, reach, self.last)
            for k in kinds
        }
        covered = self.ground.coverage.get(self.name, Coverage()).stretches
        if covered:
            relations = {k: r.covering(covered[0][0], covered[-1][1]) for k, r in relations.items()}
        query = self.query
        return Parts(bound, relations, query.by, query.where, query.but, carry_until=self.ground.last_closed)

    def _period_sql(self, column: str = "day") -> str:
        return period_sql(self.query.scope, self.query.week_start, self.first, column)

    def _restricted(self, sql: str, column: str = "g") -> str:
        """Only days that all operands cover, and none that was merely carried over."""
        own = self.ground.coverage.get(self.name, Coverage())
        if not self.metric.carry and own.stretches == self.coverage.stretches:
            return sql
        return f"SELECT * FROM ({sql}) WHERE {self.coverage.sql(column)}"

    def _cells(self, sql: str) -> dict[Key, Cell]:
        """Cells of rows (g, k0…, rows, value, approximate, carried)."""
        n = len(self.query.by)
        return {(row[0], row[1 : n + 1]): Cell(row[n + 2], row[n + 3], row[n + 4]) for row in self.ground.rows(sql)}

    # -- total ---------------------------------------------------------------------------------------------

    def _total(self) -> dict[Key, Cell]:
        """The measure over all facts of the period: one merge, whatever the scope."""
        if self.metric.kind == UNIQUES:
            return self._bounded()
        ready: dict[Key, Cell] | None = self.ground.merged.pop((self.query, self.name), None)
        own = self.ground.coverage.get(self.name, Coverage())
        if ready is not None and own.stretches == self.coverage.stretches:
            return ready
        parts = self._parts()
        if own.stretches != self.coverage.stretches:
            covered = self.coverage.sql("day")
            narrowed = {
                k: replace(r, sql=f"(SELECT * FROM {r.sql} WHERE {covered})") for k, r in parts.relations.items()
            }
            parts = replace(parts, relations=narrowed)
        return self._cells(parts.finished(self._period_sql(), self.first, self.last, targets=self.windows))

    def _bound(self) -> Bound:
        assert self.bound is not None
        return self.bound

    def _bounded(self) -> dict[Key, Cell]:
        """Daily counts of distinct things: known for one day, else between the largest day and their sum."""
        cells: dict[Key, Cell] = {}
        for key, (total, _, _, high, seen, approximate, carried) in self._daily().items():
            period = self.periods[key[0]]
            if period.first == period.last:
                cells[key] = Cell(total, approximate, carried)
                continue
            idle = [self.empty] if period.days > seen else []
            known = [v for v in (high, *idle) if v is not None]
            cells[key] = _between(max(known, default=None), total)
        return cells

    # -- over the days of a period --------------------------------------------------------------------------------

    def _daily(self) -> dict[Key, tuple[Any, int, Any, Any, int, bool, bool]]:
        """Per period and series: sum, number, least and most of the daily values, and what is to be said."""
        n = len(self.query.by)
        keys = "".join(f", k{i}" for i in range(n))
        daily = self._restricted(self._parts().finished("day", self.first, self.last))
        dated = self._by_period(daily)
        sql = (
            f"SELECT g{keys}, sum(value), count(value), min(value), max(value), count(*), "
            f"bool_or(approximate), bool_or(carried) FROM ({dated}) GROUP BY g{keys}"
        )
        return {(row[0], row[1 : n + 1]): row[n + 1 :] for row in self.ground.rows(sql)}

    def _by_period(self, dated: str) -> str:
        """A relation by day, g, as one by period: as often as there are periods that hold the day."""
        if self.windows:
            return f"SELECT d.* REPLACE (t.period AS g) FROM ({dated}) d JOIN ({self.windows}) t ON d.g BETWEEN t.first AND t.last"
        return f"SELECT * REPLACE ({self._period_sql('g')} AS g) FROM ({dated})"

    def _over_days(self) -> dict[Key, Cell]:
        """average, min or max of the daily values; a covered day without facts counts as 0 where 0 exists."""
        cells = {}
        for key, (total, number, low, high, seen, approximate, carried) in self._daily().items():
            cell = Cell(None, approximate, carried)
            period = self.periods[key[0]]
            days = max(period.days, seen)
            blank = days - seen if self.empty is not None else 0
            if self.show == "average" and number + blank:
                spread = total if total is not None else self.empty
                cell.value = _mean(spread, blank, self.empty, number + blank)
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

    def _values_on(self, targets: list[tuple[date, date]]) -> dict[Key, Cell]:
        if not targets:
            return {}
        days = [day for _, day in targets]
        if all(start == day for start, day in targets):
            chosen = set(days)
            cells = self._cells(self._parts().finished("day", days[0], days[-1]))
            return {key: cell for key, cell in cells.items() if key[0] in chosen}
        relation = values_relation([(start, day, day) for start, day in targets])
        return self._cells(self._parts().finished("period", min(days), max(days), targets=relation))

    def _with_present(self, cells: dict[Key, Cell]) -> dict[Key, Cell]:
        """Also series with a fact elsewhere in the period: at its end they are known to be gone, so parts add up."""
        if not self.query.by:
            return cells
        parts, n = self._parts(), len(self.query.by)
        present = parts.present("day", self.first, self.last)
        if self.metric.carry:
            chosen = "".join(f" OR g = DATE '{p.target}'" for p in self.periods.values() if p.target is not None)
            present = f"SELECT * FROM ({present}) WHERE {self.coverage.sql('g')}{chosen}"
        keys = "".join(f", k{i}" for i in range(n))
        sql = f"SELECT DISTINCT g{keys} FROM ({self._by_period(present)})"
        for row in self.ground.rows(sql):
            key: Key = (row[0], row[1:])
            period = self.periods[key[0]]
            if key not in cells:
                cells[key] = Cell(self.empty) if period.absent_is_known else Cell(why=period.why)
        return cells

    def _change(self) -> dict[Key, Cell]:
        """The last value minus that of the day before the period; a series absent then, or now, was 0."""
        now = self._chosen_day()
        asked = [p for p in self.periods.values() if p.known or p.target is not None]
        before = {p.start: (p.first if self.query.spanned else p.start) - ONE_DAY for p in asked}
        then = self._values_on([(start, day) for start, day in before.items() if self._known_on(day)])
        cells = {}
        for key in {*now, *then}:
            period = self.periods[key[0]]
            a = now.get(key) or self._absent(period.target, period.why)
            day = before[key[0]]
            b = then.get(key) or self._absent(day, f"{day}, the day before, was not collected")
            cells[key] = _minus(a, b)
        for start, day in before.items():
            if not self.coverage.holds(day):
                period = self.periods[start]
                period.absent_is_known = False
                period.why = period.why or f"{day}, the day before, was not collected"
        return cells

    def _absent(self, day: date | None, why: str | None) -> Cell:
        """A series without a value on a day."""
        return Cell(self.empty) if day is not None and self.coverage.holds(day) else Cell(why=why)

    # -- words -----------------------------------------------------------------------------------------------------

    def _said(self) -> str:
        bound = self._bound()
        # A function has no measure of its own; ours is the sum of the values that it returns.
        what = "sum(value)" if bound.metric.function else as_written(bound.metric.measure or bound.measure.text)
        period = "the whole range" if self.query.scope == "all" else f"each {self.query.scope}"
        period = self.query.window_said or period
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
        latest = f", of each day and {series} the value received last" if self.metric.daily_aggregate else ""
        return f"{self.name}: {what} {how}{carry}{latest}"


def as_written(measure: str) -> str:
    """The measure on one line."""
    return " ".join(measure.split())


def _between(low: Number, high: Number) -> Cell:
    why = "only daily counts of distinct things are known; those of several days overlap"
    return Cell(None, bounds=(low, high), why=why)


def _minus(a: Cell, b: Cell) -> Cell:
    if a.value is None or b.value is None:
        return Cell(why=a.why or b.why)
    mixed = isinstance(a.value, float) or isinstance(b.value, float)
    value = float(a.value) - float(b.value) if mixed else EXACTLY.subtract(Decimal(a.value), Decimal(b.value))
    return Cell(value, a.approximate or b.approximate, a.carried or b.carried)


def _mean(total: Any, blank: int, empty: Number, days: int) -> float:
    extra = (empty or 0) * blank
    both = float(total) + float(extra) if isinstance(total, float) else total + Decimal(extra)
    return float(both / days)


def plain(value: Number, type_: str) -> Any:
    """A value as it is shown: int, Decimal without needless zeros, or float."""
    if value is None:
        return None
    if type_ == FLOAT:
        return float(value)
    exact = Decimal(value)
    if exact == exact.to_integral_value():
        return int(exact) if type_ == "integer" else exact.quantize(Decimal(1), context=EXACTLY)
    return exact.normalize(EXACTLY)


ERROR = ACCURACY
__all__ = ["ERROR", "FLOW", "Cell", "Key", "Period", "Solved", "period_start", "solve"]
