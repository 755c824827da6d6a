"""Whether a day's value is what is usual, by the days before it. Pure; knows only finished, collected days.

A flow is compared with the same weekday of the last weeks, a level with the days right before it. The middle is a
median and the spread a median of distances, so that a day which was itself unusual does not become the measure of
others. Values that are never negative are compared by their roots, as counts spread: 0 of 10 is as far away as 25 of 10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from math import ceil, floor, sqrt
from statistics import median

from tallybook.core import ONE_DAY, months_before

WATCHED = 3
"""So many of the last days are judged: a weekend is seen on Monday, and what comes and goes is one cause."""
RIGHT_BEFORE = 14
"""A level is compared with so many days right before."""
ENOUGH = 0.6
"""Of the days a value is held against, so many must be there."""
SPREAD = 1.4826
"""A median of distances times this is the standard deviation of what is normally distributed."""
FLOOR = {"flow": 0.05, "level": 0.02}
"""Of what moves less than this share, the spread is taken for this share."""
COUNTED = 0.5
"""The spread of the root of a count of things that happen by themselves."""
OUTLIER_FACTOR = 1.5
"""Allowed distance, as a multiple of the second-largest past distance to the same side."""
PERIODS_BELOW = 3
"""Past distances below the middle are taken from so many times `history` days. Two holidays in them allow a third."""
PERIODS_ABOVE = 4
"""The same above the middle. It is longer, because days that are busy now and then do no harm."""
UNLIKELY = 1e-3
"""Days without anything are reported as stopped when their chance is at most this."""
BORROWED = 4
"""A weekday's own share of empty days counts beside that of all days as if there were so many more of it."""
ALIKE = 0.5
"""So much of a distance counts as the same again."""


@dataclass(frozen=True, kw_only=True)
class DailySeries:
    """The values of a metric by day, of days that are over and wholly collected; None where there was nothing to
    measure. `counted`: they count things. `adds`: 0 is nothing; of an average or a rate it is a value."""

    metric: str
    level: bool = False
    counted: bool = False
    adds: bool = True
    values: Mapping[date, float | None]

    @cached_property
    def last(self) -> date | None:
        return max(self.values, default=None)

    def empty(self, day: date) -> bool:
        value = self.values[day]
        return value is None or (self.adds and value == 0)

    @cached_property
    def roots(self) -> bool:
        return all(value is None or value >= 0 for value in self.values.values())

    @cached_property
    def moved(self) -> dict[date, float]:
        """The values as they are compared."""
        return {day: self.shifted(value) for day, value in self.values.items() if value is not None}

    def shifted(self, value: float) -> float:
        return sqrt(value + 0.375) if self.roots else value

    def back(self, moved: float) -> float:
        return max(moved, sqrt(0.375)) ** 2 - 0.375 if self.roots else moved


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is not usual: a value outside of low..high, or nothing at all since `day`, for so many `days`."""

    stopped: bool = False
    day: date
    days: int = 1
    value: float | None = None
    low: float = 0.0
    high: float = 0.0


def judge(
    series: DailySeries, *, width: float, history: int, stopping: bool = True, unusual: bool = True
) -> Verdict | None:
    """What is not usual of the last days. Raises Unknown while there is too little to compare with."""
    if series.last is None:
        raise Unknown
    verdict = stopped(series, history) if stopping else None
    if verdict is not None or not unusual:
        return verdict
    judged = [day for day in (series.last - n * ONE_DAY for n in range(WATCHED)) if day in series.moved]
    verdicts = [_judged(series, day, width, history) for day in judged]
    if not any(known for known, _ in verdicts):
        raise Unknown
    return next((verdict for _, verdict in verdicts if verdict is not None), None)


@dataclass(frozen=True)
class _Usual:
    """The middle of what is usual and its spread; how far `below` and `above` it a day may be at least. All as values are
    compared, see `DailySeries.shifted`."""

    middle: float
    spread: float
    below: float = 0.0
    above: float = 0.0

    def range(self, width: float) -> tuple[float, float]:
        """The least and the greatest usual value."""
        half = width * self.spread
        return self.middle - max(half, self.below), self.middle + max(half, self.above)


class Unknown(Exception):
    """Too little history to say what is usual."""


def _judged(series: DailySeries, day: date, width: float, history: int) -> tuple[bool, Verdict | None]:
    """(whether it can be judged, what is wrong)."""
    usual = (_usual_level if series.level else _usual_flow)(series, day, history)
    if usual is None:
        return False, None
    least, most = usual.range(width)
    inside = least == most or least <= series.moved[day] <= most
    if inside or (not series.level and _as_every_month(series, day, usual.middle, history)):
        return True, None
    low, high = series.back(least), series.back(most)
    if series.counted:
        low, high = ceil(low), floor(high)
    return True, Verdict(day=day, value=series.values[day], low=low, high=high)


def _usual_flow(series: DailySeries, day: date, history: int) -> _Usual | None:
    """By the same weekday before; the spread also of all days about their weekday's middle.

    Nothing is assumed of how values spread: where days far away are a habit, as of a job that runs on some days, such a
    day is usual."""
    before = _before(series, day, history)
    weekdays = _weekdays(series, before)
    same = weekdays.get(day.weekday(), [])
    if len(same) < ENOUGH * (history // 7) or len(before) < ENOUGH * history:
        return None
    middle = median(same)
    own = _spread([value - middle for value in same])
    distances = _distances(series, before)
    # Of one weekday there are few values: their spread may be small by chance, and then that of all days counts.
    spread = max(own, min(2 * own, _spread(distances)), _floor(series, middle))
    periods = [
        distances,
        *(_distances(series, _before(series, day - n * history * ONE_DAY, history)) for n in range(1, PERIODS_ABOVE)),
    ]
    below = [-distance for period in periods[:PERIODS_BELOW] for distance in period]
    above = [distance for period in periods for distance in period]
    return _Usual(middle, spread, _reach(below), _reach(above))


def _distances(series: DailySeries, days: Sequence[date]) -> list[float]:
    """How far each day was from the middle of its weekday."""
    middles = {weekday: median(values) for weekday, values in _weekdays(series, days).items()}
    return [series.moved[day] - middles[day.weekday()] for day in days]


def _reach(distances: Sequence[float]) -> float:
    """How far from the middle a day may be, because days have been before. The farthest one does not count: one odd day
    must not hide the next."""
    return OUTLIER_FACTOR * max(sorted(distances)[-2], 0.0)


def _weekdays(series: DailySeries, days: Sequence[date]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for day in days:
        found.setdefault(day.weekday(), []).append(series.moved[day])
    return found


def _usual_level(series: DailySeries, day: date, history: int) -> _Usual | None:
    """By how far each day was from the days right before it."""
    before = _before(series, day, history)
    steps = [step for other in before if (step := _step(series, other)) is not None]
    base = _base(series, day)
    if base is None or len(steps) < ENOUGH * (history - RIGHT_BEFORE):
        return None
    trend = median(steps)
    return _Usual(base + trend, max(_spread([step - trend for step in steps]), _floor(series, base)))


def _before(series: DailySeries, day: date, history: int) -> list[date]:
    return [other for n in range(1, history + 1) if (other := day - n * ONE_DAY) in series.moved]


def _base(series: DailySeries, day: date) -> float | None:
    near = [series.moved[other] for other in _before(series, day, RIGHT_BEFORE)]
    return median(near) if len(near) >= ENOUGH * RIGHT_BEFORE else None


def _step(series: DailySeries, day: date) -> float | None:
    base = _base(series, day)
    return None if base is None else series.moved[day] - base


def _spread(distances: Sequence[float]) -> float:
    return SPREAD * median(abs(distance) for distance in distances)


def _floor(series: DailySeries, middle: float) -> float:
    """A spread below which nothing counts as wide, where values are compared."""
    share = FLOOR["level" if series.level else "flow"]
    plain = series.back(middle)
    relative = abs(series.shifted(abs(plain) * (1 + share)) - series.shifted(abs(plain)))
    return max(relative, COUNTED if series.counted and series.roots and not series.level else 0.0)


def _as_every_month(series: DailySeries, day: date, middle: float, history: int) -> bool:
    """Whether it was as far to the same side on the same day of the month before, and of the one before that, as where
    invoices are written on the first; a day more or less for the weekend."""
    way = series.moved[day] - middle
    middles = {weekday: median(values) for weekday, values in _weekdays(series, _before(series, day, history)).items()}

    def alike(then: date) -> bool:
        near = [then + n * ONE_DAY for n in (-1, 0, 1) if then + n * ONE_DAY in series.moved]
        seen = [series.moved[other] - middles.get(other.weekday(), middle) for other in near]
        return any(abs(far) >= ALIKE * abs(way) and far * way > 0 for far in seen)

    return alike(months_before(day, 1)) and alike(months_before(day, 2))


def stopped(series: DailySeries, history: int) -> Verdict | None:
    """Whether there was nothing for more days than ever before, although there was something on nearly every such
    weekday."""
    days = sorted(series.values)
    last = next((day for day in reversed(days) if not series.empty(day)), None)
    if last is None:
        return None
    empty = [day for day in days if day > last]
    before = [day for day in days if last - history * ONE_DAY < day <= last]
    if not empty or len(before) < ENOUGH * history or len(empty) <= longest(before, series.empty):
        return None
    every = (sum(map(series.empty, before)) + 0.5) / (len(before) + 1)
    likely = 1.0
    for day in empty:
        same = [series.empty(other) for other in before if other.weekday() == day.weekday()]
        likely *= (sum(same) + BORROWED * every) / (len(same) + BORROWED)
    return Verdict(stopped=True, day=last, days=len(empty)) if likely <= UNLIKELY else None


def longest(days: Sequence[date], holds: Callable[[date], bool]) -> int:
    """The longest run of days for which it holds."""
    most = run = 0
    for day in days:
        run = run + 1 if holds(day) else 0
        most = max(most, run)
    return most
