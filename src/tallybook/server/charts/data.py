"""What a chart shows, before it is drawn: series of points, gaps, notes, a goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

SLOTS = 8
"""Colors of series. A series beyond them has none of its own."""


@dataclass(frozen=True, kw_only=True)
class ChartPoint:
    """One period of one series. `value` None is unknown; `text` is what the table shows."""

    value: float | None
    text: str
    is_complete: bool = True
    before: float | None = None
    """The value that it is compared with."""
    before_text: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class DrawnSeries:
    """`slot` is its color, 1 to 8; 0 for the sum of all others. One point for each period of the chart."""

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
    """Everything that is drawn. `periods` are their first days, `labels` their names."""

    name: str
    """The name of the chart, which screen readers read."""
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
    """The indexes of periods of which days are missing, or yet to come."""
    is_joined: bool = False
    """Whether a part of a period can be compared with whole ones: an average can, a total cannot."""
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
        """What a period is, in lines: for its tooltip."""
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
