"""The plan of a statement for the metrics of a group: its columns, readers and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tallybook.collect.binding import BoundMetric
from tallybook.collect.sources.values import INT

Read = Callable[[Sequence[Any]], Any]
"""Computes one part from the values of a row."""


@dataclass
class SelectList:
    """The SELECT list, with every expression once."""

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
    """The fused additive SELECT of a group: its columns, and the readers of each."""

    columns: SelectList
    rows: list[tuple[BoundMetric, int]]
    slots: list[SlotReader]


@dataclass(frozen=True)
class KeyedPlan:
    """A SELECT with a row per (series, id) or (series, value). `takers`: (facts, slot, column of its count)."""

    shape: str
    keys: tuple[str, ...]
    """The expressions of the id or value."""
    kinds: tuple[str, ...]
    """The type in which each arrives: text, int, decimal, float."""
    unit: int
    """The number of units per 1 in which values arrive (for SQLite's exact decimals)."""
    takers: tuple[tuple[BoundMetric, int], ...]
    counts: tuple[str, ...]
    condition: str | None
    only: str | None
    """The condition without the parts that require a key."""
    by_time: str = ""
    """first or last: only that fact of each series counts. `keys` are its time and its value."""

    @property
    def columns(self) -> list[str]:
        """The columns of counts. Each expression occurs once, however many metrics share it."""
        return list(dict.fromkeys(self.counts))


@dataclass(frozen=True)
class Scan:
    """Keyed plans that one statement answers, each with its own grouping set; or a single plan.

    The columns are day?, dimensions, the keys of all plans, `counts`, and with several plans the mark of the plan that
    a row belongs to."""

    plans: tuple[KeyedPlan, ...]

    @property
    def keys(self) -> list[str]:
        return [key for plan in self.plans for key in plan.keys]

    @property
    def kinds(self) -> list[str]:
        """The types of the columns after the dimensions."""
        marks = [INT] if len(self.plans) > 1 else []
        return [*(kind for plan in self.plans for kind in plan.kinds), *([INT] * len(self.counts)), *marks]

    @property
    def counts(self) -> list[str]:
        """The columns of counts. Each expression occurs once, however many plans and metrics share it."""
        return list(dict.fromkeys(count for plan in self.plans for count in plan.columns))

    @property
    def marks(self) -> list[int]:
        """The value of GROUPING(keys…) in the rows of each plan: a 1 bit for every key that they are not grouped by."""
        most = len(self.plans)
        return [(1 << most) - 1 - (1 << (most - 1 - place)) for place in range(most)]
