"""What the sampled values of a column show, as numbers between 0 and 1. Names are not used here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tallybook.collect import EPOCHS, day_of_digits

if TYPE_CHECKING:
    from tallybook.draft.seen import SeenColumn

T = TypeVar("T")
MIN_ROWS = 8
"""With fewer values, order and movement are meaningless."""


@dataclass(frozen=True)
class Scored(Generic[T]):
    """A candidate, its score, and the reasons for it in words."""

    candidate: T
    score: float
    reasons: tuple[str, ...] = ()


def best_of(candidates: Sequence[Scored[T]], least: float = 0.0) -> Scored[T] | None:
    """The candidate with the highest score above `least`; the first of several."""
    found = max(candidates, key=lambda scored: scored.score, default=None)
    return found if found is not None and found.score > least else None


def scored(candidate: T, *parts: tuple[float, str]) -> Scored[T]:
    """A candidate with the sum of its (points, reason). Reasons without points are left out."""
    return Scored(candidate, sum(points for points, _ in parts), tuple(why for points, why in parts if points and why))


# --- one column -----------------------------------------------------------------------------------------------


def null_share(column: SeenColumn) -> float:
    """The share of sampled rows without a value."""
    rows = column.nulls + len(column.values)
    return column.nulls / rows if rows else 1.0


def distinct_share(values: Sequence[Any]) -> float:
    """Different values per value: 1.0 for a key, near 0 for a category."""
    return len(set(map(str, values))) / len(values) if values else 0.0


def numbers(values: Sequence[Any]) -> list[float]:
    """The values that are numbers, without booleans."""
    return [float(v) for v in values if isinstance(v, int | float | Decimal) and not isinstance(v, bool)]


def is_share(values: Sequence[Any]) -> bool:
    """Whether all numbers are between 0 and 1 and some are neither."""
    found = numbers(values)
    return len(found) >= 3 and all(0 <= v <= 1 for v in found) and any(0 < v < 1 for v in found)


# --- numbers in the order of days --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Movement:
    """How a number moves from one day to the next."""

    never_falls: bool
    median_step: float
    """The median change from one day to the next, as a share of the median value."""
    starts_high: bool
    """Whether the first value is more than ten typical steps: a count that began long before."""


def movement(runs: Sequence[Sequence[Any]]) -> Movement | None:
    """The movement of a number over the days of each series; None if there are too few days."""
    values = [found for run in runs if len(found := numbers(run)) >= MIN_ROWS]
    if not values:
        return None
    steps = [b - a for run in values for a, b in itertools.pairwise(run)]
    size = median(abs(v) for run in values for v in run)
    step = median(map(abs, steps))
    rises = sum(s > 0 for s in steps) / len(steps)
    typical = median(abs(s) for s in steps if s) if any(steps) else 0.0
    return Movement(
        never_falls=min(steps) >= 0 and rises > 0.3,
        median_step=step / size if size else 1.0,
        starts_high=all(run[0] > 10 * typical for run in values),
    )


# --- times -----------------------------------------------------------------------------------------------------


def instants(column: SeenColumn) -> list[float | None]:
    """The times of a column row by row, as seconds since 1970. None for null or unreadable times."""
    return column.instants


def instants_of(column: SeenColumn) -> list[float | None]:
    """The value of `instants`, computed."""
    return [None if cell is None else _seconds(cell, column) for cell in column.cells]


def _seconds(value: Any, column: SeenColumn) -> float | None:
    form = column.time
    try:
        if form is not None and form.number in EPOCHS:
            return float(value) / EPOCHS[form.number]
        if form is not None and form.number:
            day = day_of_digits(str(value))
            return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        if isinstance(value, str | bytes):
            value = datetime.fromisoformat(value.decode() if isinstance(value, bytes) else value)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        zoned: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return zoned.timestamp()
    except (ValueError, TypeError, OverflowError, AttributeError):
        return None


def share_of(pairs: Sequence[tuple[float | None, float | None]], holds: Callable[[float, float], bool]) -> float:
    """The share of pairs without nulls for which `holds` is true; 0 without such pairs."""
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return sum(holds(a, b) for a, b in known) / len(known) if known else 0.0


def in_order(values: Sequence[float | None]) -> float:
    """The share of neighbors that do not fall: near 1 for a time that grows with the key."""
    return share_of(list(itertools.pairwise(values)), lambda a, b: a <= b)


def same_nulls(left: SeenColumn, right: SeenColumn) -> bool:
    """Whether two columns are set in the same rows but not in all rows, so that one is written when the other is."""
    if not 0.02 < null_share(left) < 0.98 or len(left.cells) != len(right.cells):
        return False
    differing = sum((a is None) != (b is None) for a, b in zip(left.cells, right.cells, strict=True))
    return differing <= 0.03 * len(left.cells)


def says_whether(flag: SeenColumn, time: SeenColumn) -> bool:
    """Whether a flag is true exactly in the rows with a time, or false exactly in them, so that it is set together with
    the time."""
    if not 0.02 < null_share(time) < 0.98 or len(flag.cells) != len(time.cells) or len(flag.cells) < MIN_ROWS:
        return False
    same = sum(bool(f) == (t is not None) for f, t in zip(flag.cells, time.cells, strict=True)) / len(flag.cells)
    return not 0.03 < same < 0.97
