"""The inputs of an answer: the points of one version, the covered days, and the last closed day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.core import Catalog, StoredDefinition, calendar
from tallybook.query.computed_dimensions import Computed
from tallybook.storage import widened

if TYPE_CHECKING:
    import duckdb

    from tallybook.query.event_days import EventDays
    from tallybook.query.merge import Parts
    from tallybook.query.point_relations import Points
    from tallybook.storage import PointsFile


@dataclass(frozen=True)
class Coverage:
    """Covered days as separate stretches (first, last), in order. `instants`: when the snapshot of a day was taken."""

    stretches: tuple[tuple[date, date], ...] = ()
    instants: Mapping[date, str] = field(default_factory=dict, hash=False)
    expect: frozenset[int] | None = None
    """Weekdays on which a day should be covered; 0 is Monday. None: all. Uncovered days on other weekdays are not
    gaps."""
    only: frozenset[int] | None = None
    """Weekdays whose days count as covered. None: all."""

    def on(self, weekdays: frozenset[int] | None) -> Coverage:
        """The coverage on some weekdays. Days on other weekdays are not expected."""
        if weekdays is None:
            return self
        return replace(self, only=weekdays, expect=weekdays if self.expect is None else weekdays & self.expect)

    def holds(self, day: date) -> bool:
        place = bisect_right(self.stretches, (day, date.max)) - 1
        return place >= 0 and day <= self.stretches[place][1] and (self.only is None or day.weekday() in self.only)

    def count(self, first: date, last: date) -> int:
        """The number of covered days in first..last."""
        common = [(max(a, first), min(b, last)) for a, b in self.stretches if a <= last and b >= first]
        return sum(count_weekdays(a, b, self.only) for a, b in common)

    def first_in(self, first: date, last: date) -> date | None:
        common = ((max(a, first), min(b, last)) for a, b in self.stretches if a <= last and b >= first)
        return next((day for a, b in common if (day := self._near(a, 1)) <= b), None)

    def last_in(self, first: date, last: date) -> date | None:
        common = ((max(a, first), min(b, last)) for a, b in reversed(self.stretches) if a <= last and b >= first)
        return next((day for a, b in common if (day := self._near(b, -1)) >= a), None)

    def _near(self, day: date, step: int) -> date:
        """The day, or the nearest day in the given direction whose weekday counts."""
        while self.only is not None and day.weekday() not in self.only:
            day = calendar.plus_days(day, step)
        return day

    def is_gap(self, day: date) -> bool:
        """Whether a day should be covered but is not."""
        return (self.expect is None or day.weekday() in self.expect) and not self.holds(day)

    def unexpected(self, first: date, last: date) -> int:
        """The number of days in first..last that are not covered and need not be."""
        if self.expect is None or first > last:
            return 0
        others = frozenset(range(7)) - self.expect
        covered = replace(self, only=others if self.only is None else others & self.only).count(first, last)
        return count_weekdays(first, last, others) - covered

    def __and__(self, other: Coverage) -> Coverage:
        common = [(max(a, c), min(b, d)) for a, b in self.stretches for c, d in other.stretches if a <= d and c <= b]
        both = [one for one in (self.expect, other.expect) if one is not None]
        expect = frozenset.intersection(*both) if both else None
        only = self.only if other.only is None else other.only
        return Coverage(tuple(sorted(common)), {**self.instants, **other.instants}, expect, only)

    def sql(self, column: str) -> str:
        """SQL of the engine for the condition that a day is covered."""
        if not self.stretches:
            return "FALSE"
        days = "(" + " OR ".join(f"{column} BETWEEN DATE '{a}' AND DATE '{b}'" for a, b in self.stretches) + ")"
        if self.only is None:
            return days
        return f"({days} AND isodow({column}) IN ({', '.join(str(day + 1) for day in sorted(self.only))}))"


def count_weekdays(first: date, last: date, weekdays: frozenset[int] | None) -> int:
    """The number of days in first..last on some weekdays; None: on all."""
    number = (last - first).days + 1
    if weekdays is None or number <= 0:
        return max(number, 0)
    rest = ((first.weekday() + place) % 7 for place in range(number % 7))
    return number // 7 * len(weekdays) + sum(day in weekdays for day in rest)


@dataclass(frozen=True, kw_only=True)
class QueryContext:
    """Everything that `answer` reads besides the question.

    `relation(kind, key, first, last)` returns points; TOTALS as `kind` means additive points. `running`: a day that
    a live answer saw only partly. `whys`: why a metric has no points at all."""

    catalog: Catalog
    engine: duckdb.DuckDBPyConnection
    relation: Callable[[str, str, date, date], Points]
    bounds: Mapping[str, StoredDefinition]
    coverage: Mapping[str, Coverage]
    last_closed: date
    version: int
    running: date | None = None
    running_until: str = ""
    whys: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[tuple[str, str], Coverage] = field(default_factory=dict)
    """Days of each (metric, definition) that are not covered, although their points are still in the files."""
    past: Mapping[str, tuple[StoredDefinition, Coverage]] = field(default_factory=dict)
    """For metrics with imported history: its definition and its days."""
    computed: Computed = field(default_factory=dict)
    """Dimensions of the question that are computed instead of stored."""
    events: Mapping[str, EventDays] = field(default_factory=dict)
    """For metrics that read an event: the days with events, and the interruptions of the servers."""
    files: Sequence[PointsFile] = ()
    """The files that may have points of the metrics."""
    older: Sequence[str] = ()
    """Sentences about days of the metrics that are stored under an older definition or another name."""
    statements: list[str] = field(default_factory=list)
    """The SQL that was executed for the question, in order."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        self.statements.append(sql)
        return self.engine.execute(sql).fetchall()

    def merged_rows(self, parts: Parts, build: Callable[[Parts], str]) -> list[tuple[Any, ...]]:
        """The rows of the statement that `build` makes from `parts`; on overflow, of the statement in its wide form."""
        return widened(lambda wide: self.rows(build(replace(parts, wide=wide))))

    def covered(self, name: str) -> Coverage:
        """The days that all metrics cover from which `name` is computed."""
        found: Coverage | None = None
        for operand in self.catalog.operands(name):
            own = self.coverage.get(operand, Coverage())
            found = own if found is None else found & own
        return found or Coverage()
