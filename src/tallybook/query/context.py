"""What an answer is computed from: the points of one version, the covered days, and the last closed day."""

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


@dataclass(frozen=True)
class Coverage:
    """Covered days as stretches (first, last), in order and apart; `instants`: when a snapshot day was seen."""

    stretches: tuple[tuple[date, date], ...] = ()
    instants: Mapping[date, str] = field(default_factory=dict)
    expect: frozenset[int] | None = None
    """Weekdays on which a day should be covered, Monday is 0. None: all. Uncovered days of others are no gaps."""

    def holds(self, day: date) -> bool:
        place = bisect_right(self.stretches, (day, date.max)) - 1
        return place >= 0 and day <= self.stretches[place][1]

    def count(self, first: date, last: date) -> int:
        """How many days of first … last are covered."""
        return sum((min(b, last) - max(a, first)).days + 1 for a, b in self.stretches if a <= last and b >= first)

    def first_in(self, first: date, last: date) -> date | None:
        return next((max(a, first) for a, b in self.stretches if a <= last and b >= first), None)

    def last_in(self, first: date, last: date) -> date | None:
        return next((min(b, last) for a, b in reversed(self.stretches) if a <= last and b >= first), None)

    def is_gap(self, day: date) -> bool:
        """Whether a day should be covered and is not."""
        return (self.expect is None or day.weekday() in self.expect) and not self.holds(day)

    def unexpected(self, first: date, last: date) -> int:
        """How many days of first … last need not be covered, and are not."""
        if self.expect is None:
            return 0
        return sum(d.weekday() not in self.expect and not self.holds(d) for d in calendar.days(first, last))

    def __and__(self, other: Coverage) -> Coverage:
        common = [(max(a, c), min(b, d)) for a, b in self.stretches for c, d in other.stretches if a <= d and c <= b]
        both = [one for one in (self.expect, other.expect) if one is not None]
        expect = frozenset.intersection(*both) if both else None
        return Coverage(tuple(sorted(common)), {**self.instants, **other.instants}, expect)

    def sql(self, column: str) -> str:
        """The condition that a day is covered, in the engine's SQL."""
        if not self.stretches:
            return "FALSE"
        return "(" + " OR ".join(f"{column} BETWEEN DATE '{a}' AND DATE '{b}'" for a, b in self.stretches) + ")"


@dataclass(frozen=True, kw_only=True)
class QueryContext:
    """Everything `answer` reads besides the question. `relation(kind, key, first, last)` is points,
    of `kind` TOTALS additive ones.

    `running` is the day that a live answer saw only a part of; `whys`: why a metric has no points at all."""

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
    """Of metrics that let imported history answer: its definition and days."""
    computed: Computed = field(default_factory=dict)
    """Dimensions of the question that no metric stores."""
    events: Mapping[str, EventDays] = field(default_factory=dict)
    """Of metrics that read an event: on which days something was sent, and when no server ran."""
    older: Sequence[str] = ()
    """Sentences on days of the metrics that are stored under an older definition or another name."""
    statements: list[str] = field(default_factory=list)
    """The SQL that was executed for the question, in order."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        self.statements.append(sql)
        return self.engine.execute(sql).fetchall()

    def merged_rows(self, parts: Parts, build: Callable[[Parts], str]) -> list[tuple[Any, ...]]:
        """The rows of the statement that `build` makes of `parts`, in the wide form where numbers overflow."""
        return widened(lambda wide: self.rows(build(replace(parts, wide=wide))))

    def covered(self, name: str) -> Coverage:
        """The days that all the metrics cover of which `name` is made."""
        found: Coverage | None = None
        for operand in self.catalog.operands(name):
            own = self.coverage.get(operand, Coverage())
            found = own if found is None else found & own
        return found or Coverage()
