"""What a statement computes for the metrics of a group, and for whom: its columns, readers and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tallybook.collect.binding import BoundMetric
from tallybook.collect.sources.values import INT

Read = Callable[[Sequence[Any]], Any]
"""From a row's values to one part."""


@dataclass
class SelectList:
    """The SELECT list: every expression once."""

    expressions: list[str] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def add(self, expression: str) -> int:
        if expression not in self._places:
            self._places[expression] = len(self.expressions)
            self.expressions.append(expression)
        return self._places[expression]


@dataclass(frozen=True)
class SlotReader:
    """Reads the additive parts of one slot of one metric from a row: {part: reader}."""

    facts: BoundMetric
    index: int
    parts: dict[str, Read]


@dataclass
class AdditivePlan:
    """The fused additive SELECT of a group: its columns and who reads what."""

    columns: SelectList
    rows: list[tuple[BoundMetric, int]]
    slots: list[SlotReader]


@dataclass(frozen=True)
class KeyedPlan:
    """A SELECT of a row per (series, id) or (series, value): `takers` are (facts, slot, column of its count)."""

    shape: str
    keys: tuple[str, ...]
    """Expressions of the id or value."""
    kinds: tuple[str, ...]
    """How each arrives: text, int, decimal, float."""
    unit: int
    """Values arrive as so many units of 1 (SQLite's exact decimals)."""
    takers: tuple[tuple[BoundMetric, int], ...]
    counts: tuple[str, ...]
    condition: str | None
    only: str | None
    """The condition without the parts that say that there is a key."""
    by_time: str = ""
    """first or last: of each series only that fact; `keys` are its time and its value."""

    @property
    def columns(self) -> list[str]:
        """The columns of counts: each expression once, however many metrics share it."""
        return list(dict.fromkeys(self.counts))


@dataclass(frozen=True)
class Scan:
    """Keyed plans that one statement answers, each by a grouping set of its own; or one plan alone.

    The columns are day?, dimensions, the keys of all, `counts`, and of several plans whose row it is."""

    plans: tuple[KeyedPlan, ...]

    @property
    def keys(self) -> list[str]:
        return [key for plan in self.plans for key in plan.keys]

    @property
    def kinds(self) -> list[str]:
        """How the columns after the dimensions arrive."""
        marks = [INT] if len(self.plans) > 1 else []
        return [*(kind for plan in self.plans for kind in plan.kinds), *([INT] * len(self.counts)), *marks]

    @property
    def counts(self) -> list[str]:
        """The columns of counts: each expression once, however many plans and metrics share it."""
        return list(dict.fromkeys(count for plan in self.plans for count in plan.columns))

    @property
    def marks(self) -> list[int]:
        """What GROUPING(keys…) says in the rows of each plan: a 1 for every key that they are not grouped by."""
        most = len(self.plans)
        return [(1 << most) - 1 - (1 << (most - 1 - place)) for place in range(most)]
