"""The contents of a chart before it is drawn: series of points, gaps, notes, and a goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

SLOTS = 8
"""Number of colors for series. Further series have no color of their own."""


@dataclass(frozen=True, kw_only=True)
class ChartPoint:
    """One period of one series. `value` is None if unknown. `text` is the value as shown in the table."""

    value: float | None
    text: str
    is_complete: bool = True
    before: float | None = None
    """The value for comparison."""
    before_text: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class DrawnSeries:
    """One series. `slot` is its color, from 1 to 8, or 0 for the sum of all others. It has one point for each period of
    the chart."""

    name: str
    slot: int
    points: tuple[ChartPoint, ...]


@dataclass(frozen=True, kw_only=True)
class ChartNote:
    """A numbered flag above a period."""

    number: int
    place: int
    """The index of its period."""
    day: date
    text: str


@dataclass(frozen=True, kw_only=True)
class ChartGoal:
    value: float
    text: str


@dataclass(frozen=True, kw_only=True)
class ChartData:
    """Everything in a chart. `periods` are the first days of periods, `labels` their names."""

    name: str
    """The name of the chart for screen readers."""
    summary: str
    scope: str
    unit: str = ""
    form: str = "line"
    periods: Sequence[date]
    labels: Sequence[str]
    series: Sequence[DrawnSeries]
    missing: frozenset[int] = frozenset()
    """The indexes of periods that were not collected."""
    running: frozenset[int] = frozenset()
    """The indexes of periods with days that are missing or in the future."""
    is_joined: bool = False
    """Whether an incomplete period can be compared with complete ones. An average can, a total cannot."""
    begins_at_zero: bool = True
    is_percent: bool = False
    """Whether 0.12 is written as 12%."""
    compared_with: str = ""
    notes: Sequence[ChartNote] = field(default_factory=tuple)
    goals: Sequence[ChartGoal] = field(default_factory=tuple)
    odd: frozenset[int] = frozenset()
    """The indexes of unusual days."""

    @property
    def has_values(self) -> bool:
        """Whether there is anything to draw."""
        return any(point.value is not None for one in self.series for point in one.points)

    def hint(self, place: int) -> str:
        """The description of a period in lines, for its tooltip."""
        lines = [f"{self.labels[place]}{' *' if place in self.running else ''}"]
        if place in self.missing:
            lines.append("not collected")
        for one in self.series:
            point = one.points[place]
            if point.value is not None:
                lines.append(f"{one.name}: {point.text}")
            if point.before_text:
                lines.append(f"{self.compared_with}: {point.before_text}")
        lines += [f"{note.number}: {note.text}" for note in self.notes if note.place == place]
        return "\n".join([*lines, *(["unusual"] if place in self.odd else [])])
