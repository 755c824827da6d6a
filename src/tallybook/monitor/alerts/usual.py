"""Whether a day's value is usual, compared with the days before it. Pure. It uses only closed, collected days.

A flow is compared with the same weekday of the last weeks. A level is compared with the days right before it. The
middle is a median and the spread is a median of distances, so one unusual day does not change what is usual.
Non-negative values are compared on a square-root scale, because the spread of counts grows with their size: 0 is as far
from 10 as 25 is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise
from math import ceil, floor, sqrt
from statistics import median

from tallybook.core import ONE_DAY, months_before

WATCHED_DAYS = 3
"""How many of the last days are judged. A weekend is judged on Monday, and a value that comes and goes is one cause."""
LEVEL_DAYS = 14
"""Number of days right before a day with which a level is compared."""
MIN_HISTORY_SHARE = 0.6
"""Minimum share of the compared days that must have values."""
MEDIAN_TO_DEVIATION = 1.4826
"""A median distance times this factor is the standard deviation of a normal distribution."""
MIN_SPREAD_SHARE = {"flow": 0.05, "level": 0.02}
"""The smallest spread, as a share of the usual value."""
MIN_COUNT_SPREAD = 0.5
"""The smallest spread of the square root of a count, which is the spread of independent events."""
OUTLIER_FACTOR = 1.5
"""Allowed distance, as a multiple of the second-largest past distance to the same side."""
PERIODS_BELOW = 3
"""Multiple of `history` from which distances below the middle are taken. Two holidays in that time allow a third."""
PERIODS_ABOVE = 4
"""Multiple of `history` from which distances above the middle are taken. It is larger, because an occasional busy day
does no harm."""
MAX_STOPPED_CHANCE = 1e-3
"""Days without values are reported as stopped when their probability is at most this."""
PRIOR_WEEKDAYS = 4
"""Weight of the share of empty days over all weekdays, in days of one weekday."""
PRIOR_REPEATED = 2
"""Weight of the share of empty days over all days, in days that followed an empty one."""
MIN_DEVIATIONS = 2
"""Empty days follow each other if they do so more often than by chance, by this many standard deviations."""
MIN_REPEAT_SHARE = 0.5
"""The share of a distance that must occur again to count as a repetition."""


@dataclass(frozen=True, kw_only=True)
class DailySeries:
    """The values of a metric by day, for closed and completely collected days. None for a day without rows to measure.

    `counted`: the values count things. `adds`: 0 means that nothing happened. Without it, as for an average or a rate,
    0 is a value."""

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
        """The values on the scale used for comparison."""
        return {day: self.shifted(value) for day, value in self.values.items() if value is not None}

    def shifted(self, value: float) -> float:
        return sqrt(value + 0.375) if self.roots else value

    def back(self, moved: float) -> float:
        return max(moved**2 - 0.375, 0.0) if self.roots and moved > 0 else 0.0 if self.roots else moved


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """An unusual value outside of low..high. With `stopped`: no values for `days` days, the last of them `day`."""

    stopped: bool = False
    day: date
    days: int = 1
    value: float | None = None
    low: float = 0.0
    high: float = 0.0


def judge(
    series: DailySeries, *, width: float, history: int, stopping: bool = True, unusual: bool = True
) -> Verdict | None:
    """The verdict on the first unusual day among the last days, or None. Raises Unknown without enough history."""
    if series.last is None:
        raise Unknown
    verdict = stopped(series, history) if stopping else None
    if verdict is not None or not unusual:
        return verdict
    judged = [day for day in (series.last - n * ONE_DAY for n in range(WATCHED_DAYS)) if day in series.moved]
    verdicts = [_judged(series, day, width, history) for day in judged]
    if not any(known for known, _ in verdicts):
        raise Unknown
    return next((verdict for _, verdict in verdicts if verdict is not None), None)


@dataclass(frozen=True)
class _Usual:
    """The usual value `middle`, its spread, and the distances `below` and `above` that are always allowed. All are on
    the scale of `DailySeries.shifted`."""

    middle: float
    spread: float
    below: float = 0.0
    above: float = 0.0

    def range(self, width: float) -> tuple[float, float]:
        """The smallest and the largest usual value."""
        half = width * self.spread
        return self.middle - max(half, self.below), self.middle + max(half, self.above)


class Unknown(Exception):
    """Too little history to say what is usual."""


def _judged(series: DailySeries, day: date, width: float, history: int) -> tuple[bool, Verdict | None]:
    """Whether the day can be judged, and the verdict if it is unusual."""
    usual = _usual_level(series, day, history) if series.level else _usual_flow(series, day, history, width)
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


def _usual_flow(series: DailySeries, day: date, history: int, width: float) -> _Usual | None:
    """The usual value from earlier days of the same weekday, or None if there are not enough. If those days already
    make the value usual, no other days are read.

    No distribution is assumed. If distant days are frequent, as for a job that runs only on some days, they count as
    usual."""
    before = _before(series, day, history)
    weekdays = _weekdays(series, before)
    same = weekdays.get(day.weekday(), [])
    if len(same) < MIN_HISTORY_SHARE * (history // 7) or len(before) < MIN_HISTORY_SHARE * history:
        return None
    middle = median(same)
    own = _spread([value - middle for value in same])
    least = max(own, _floor(series, middle))
    if abs(series.moved[day] - middle) <= width * least:
        return _Usual(middle, least)
    distances = _distances(series, before)
    # A weekday has few values, so its spread may be small by chance. Then the spread of all days counts.
    spread = max(least, min(2 * own, _spread(distances)))
    periods = [
        distances,
        *(_distances(series, _before(series, day - n * history * ONE_DAY, history)) for n in range(1, PERIODS_ABOVE)),
    ]
    below = [-distance for period in periods[:PERIODS_BELOW] for distance in period]
    above = [distance for period in periods for distance in period]
    return _Usual(middle, spread, _reach(below), _reach(above))


def _distances(series: DailySeries, days: Sequence[date]) -> list[float]:
    """The distance of each day from the middle of its weekday."""
    middles = {weekday: median(values) for weekday, values in _weekdays(series, days).items()}
    return [series.moved[day] - middles[day.weekday()] for day in days]


def _reach(distances: Sequence[float]) -> float:
    """The distance that past distances allow. The largest is ignored, so that one odd day does not hide the next."""
    return OUTLIER_FACTOR * max(sorted(distances)[-2], 0.0)


def _weekdays(series: DailySeries, days: Sequence[date]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for day in days:
        found.setdefault(day.weekday(), []).append(series.moved[day])
    return found


def _usual_level(series: DailySeries, day: date, history: int) -> _Usual | None:
    """The usual value from the days right before, and how much such days moved in the past. None if there are not
    enough days."""
    before = _before(series, day, history)
    steps = [step for other in before if (step := _step(series, other)) is not None]
    base = _base(series, day)
    if base is None or len(steps) < MIN_HISTORY_SHARE * (history - LEVEL_DAYS):
        return None
    trend = median(steps)
    return _Usual(base + trend, max(_spread([step - trend for step in steps]), _floor(series, base)))


def _before(series: DailySeries, day: date, history: int) -> list[date]:
    return [other for n in range(1, history + 1) if (other := day - n * ONE_DAY) in series.moved]


def _base(series: DailySeries, day: date) -> float | None:
    near = [series.moved[other] for other in _before(series, day, LEVEL_DAYS)]
    return median(near) if len(near) >= MIN_HISTORY_SHARE * LEVEL_DAYS else None


def _step(series: DailySeries, day: date) -> float | None:
    base = _base(series, day)
    return None if base is None else series.moved[day] - base


def _spread(distances: Sequence[float]) -> float:
    return MEDIAN_TO_DEVIATION * median(abs(distance) for distance in distances)


def _floor(series: DailySeries, middle: float) -> float:
    """The smallest spread around a middle."""
    share = MIN_SPREAD_SHARE["level" if series.level else "flow"]
    plain = series.back(middle)
    relative = abs(series.shifted(abs(plain) * (1 + share)) - series.shifted(abs(plain)))
    return max(relative, MIN_COUNT_SPREAD if series.counted and series.roots and not series.level else 0.0)


def _as_every_month(series: DailySeries, day: date, middle: float, history: int) -> bool:
    """Whether the same day of the two previous months, give or take a day, was at least half as far to the same side.
    This covers, for example, invoices that are written on the first."""
    way = series.moved[day] - middle
    middles = {weekday: median(values) for weekday, values in _weekdays(series, _before(series, day, history)).items()}

    def repeated(then: date) -> bool:
        near = [then + n * ONE_DAY for n in (-1, 0, 1) if then + n * ONE_DAY in series.moved]
        seen = [series.moved[other] - middles.get(other.weekday(), middle) for other in near]
        return any(abs(far) >= MIN_REPEAT_SHARE * abs(way) and far * way > 0 for far in seen)

    return repeated(months_before(day, 1)) and repeated(months_before(day, 2))


def stopped(series: DailySeries, history: int) -> Verdict | None:
    """A verdict if there were no values for more days than ever before, although nearly all of those weekdays had
    values in the past."""
    days = sorted(series.values)
    last = next((day for day in reversed(days) if not series.empty(day)), None)
    if last is None:
        return None
    empty = [day for day in days if day > last]
    before = [day for day in days if last - history * ONE_DAY < day <= last]
    if not empty or len(before) < MIN_HISTORY_SHARE * history or len(empty) <= longest(before, series.empty):
        return None
    every = (sum(map(series.empty, before)) + 0.5) / (len(before) + 1)
    longer = [day for day in days if last - PERIODS_BELOW * history * ONE_DAY < day <= last]
    again = _empty_again(series, longer, every)
    likely = 1.0
    for day in empty:
        same = [series.empty(other) for other in before if other.weekday() == day.weekday()]
        by_weekday = (sum(same) + PRIOR_WEEKDAYS * every) / (len(same) + PRIOR_WEEKDAYS)
        likely *= by_weekday if day == empty[0] else max(by_weekday, again)
    return Verdict(stopped=True, day=last, days=len(empty)) if likely <= MAX_STOPPED_CHANCE else None


def _empty_again(series: DailySeries, days: Sequence[date], every: float) -> float:
    """The share of days that were empty among those that followed an empty one. 0 if the weekdays
    explain it.

    A job that is switched off for days is empty for longer than days that are empty by chance. A weekday that always
    or never has values says nothing about that: its variance is 0."""
    by_weekday: dict[int, list[bool]] = {}
    for day in days:
        by_weekday.setdefault(day.weekday(), []).append(series.empty(day))
    shares = {weekday: sum(seen) / len(seen) for weekday, seen in by_weekday.items()}
    variances = {weekday: share * (1 - share) for weekday, share in shares.items()}
    followed = [day for one, day in pairwise(days) if day - one == ONE_DAY and series.empty(one)]
    more = sum(series.empty(day) - shares[day.weekday()] for day in followed)
    variance = sum(variances[day.weekday()] for day in followed)
    if more <= MIN_DEVIATIONS * sqrt(variance):
        return 0.0
    weight, prior = sum(4 * variances[day.weekday()] for day in followed), PRIOR_REPEATED
    repeated = sum(4 * variances[day.weekday()] for day in followed if series.empty(day))
    return (repeated + prior * every) / (weight + prior)


def longest(days: Sequence[date], holds: Callable[[date], bool]) -> int:
    """The length of the longest run of days for which `holds` is true."""
    most = run = 0
    for day in days:
        run = run + 1 if holds(day) else 0
        most = max(most, run)
    return most
