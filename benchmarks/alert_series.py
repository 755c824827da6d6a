"""Daily series in which nothing is wrong, of the kinds that companies have, made from a seed.

for name, make in KINDS.items():
    series = make(name, seed=1)          # DAYS days from START on
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import partial

from tallybook.monitor.alerts.usual import DailySeries

START = date(2024, 1, 1)
DAYS = 365 + 365 + 52
"""A year to judge, and what is compared with before it."""
Day = Callable[[random.Random, int, date], float | None]
"""A day's value, from its number and date."""


def poisson(chance: random.Random, mean: float) -> int:
    """A count of things that happen by themselves."""
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product >= limit:
        count, product = count + 1, product * chance.random()
    return count


def amounts(chance: random.Random, count: int) -> float:
    """A sum of invoices of very different size."""
    return sum(round(math.exp(chance.gauss(4, 1)), 2) for _ in range(count))


def made(
    day: Day, name: str, *, seed: int, counted: bool = True, level: bool = False, adds: bool = True
) -> DailySeries:
    chance = random.Random(f"{name} {seed}")
    values = {START + timedelta(n): day(chance, n, START + timedelta(n)) for n in range(DAYS)}
    return DailySeries(metric=name, counted=counted, level=level, adds=adds, values=values)


# --- what a day holds


def steady(mean: float) -> Day:
    return lambda chance, n, day: poisson(chance, mean)


def weekly(*means: float) -> Day:
    return lambda chance, n, day: poisson(chance, means[day.weekday()]) if means[day.weekday()] else 0


def intermittent(share: float, mean: float) -> Day:
    """Some days have about `mean`, the others nothing, by chance."""
    return lambda chance, n, day: poisson(chance, mean) if chance.random() < share else 0


def intermittent_sums(share: float, mean: float) -> Day:
    return lambda chance, n, day: amounts(chance, poisson(chance, mean)) if chance.random() < share else 0.0


def bursts(share: float) -> Day:
    """Ten times as much on some days, by chance."""
    return lambda chance, n, day: poisson(chance, 20 * (10 if chance.random() < share else 1))


def on_and_off(stays_on: float, stays_off: float, mean: float) -> Day:
    """A job that is switched on and off, for days each time."""
    on = [True]

    def day(chance: random.Random, n: int, day: date) -> float:
        on[0] = chance.random() < stays_on if on[0] else chance.random() >= stays_off
        return poisson(chance, mean) if on[0] else 0

    return day


def on_days(chosen: Callable[[int, date], bool]) -> Day:
    return lambda chance, n, day: poisson(chance, 50) if chosen(n, day) else 0


def clustered(shape: float, mean: float) -> Day:
    """Counts that spread far more than by chance alone."""
    return lambda chance, n, day: poisson(chance, chance.gammavariate(shape, mean / shape))


def rate(of: float, share: float) -> Day:
    def day(chance: random.Random, n: int, day: date) -> float | None:
        count = poisson(chance, of)
        return 100 * sum(chance.random() < share for _ in range(count)) / count if count else None

    return day


def average(of: float) -> Day:
    def day(chance: random.Random, n: int, day: date) -> float | None:
        count = poisson(chance, of)
        return amounts(chance, count) / count if count else None

    return day


def walk(step: float, share: float) -> Day:
    """A level that moves on some days."""
    at = [1000.0]

    def day(chance: random.Random, n: int, day: date) -> float | None:
        at[0] += chance.gauss(0, step) if chance.random() < share else 0
        return at[0]

    return day


HOLIDAYS = {(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)}
SUM = {"counted": False}
RATIO = {"counted": False, "adds": False}
LEVEL = {"counted": False, "level": True}
_INTERMITTENT = {
    f"count on {share:.0%} of days, about {mean}": partial(made, intermittent(share, mean))
    for share in (0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
    for mean in (3, 12, 40, 400)
}
_INTERMITTENT_SUMS = {
    f"sum on {share:.0%} of days": partial(made, intermittent_sums(share, 10), **SUM)
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9)
}
_ON_AND_OFF = {
    f"count that stays on by {on:.0%} and off by {off:.0%}, about {mean}": (
        lambda name, seed, on=on, off=off, mean=mean: made(on_and_off(on, off, mean), name, seed=seed)
    )
    for on, off, mean in ((0.7, 0.95, 12), (0.8, 0.7, 100), (0.9, 0.8, 100), (0.9, 0.9, 12), (0.97, 0.8, 100))
}
KINDS: Mapping[str, Callable[..., DailySeries]] = {
    **{f"steady count of {mean:g}": partial(made, steady(mean)) for mean in (0.5, 3, 12, 100, 2000)},
    "count, fewer at weekends": partial(made, weekly(100, 100, 100, 100, 100, 20, 20)),
    "count on weekdays": partial(made, weekly(100, 100, 100, 100, 100, 0, 0)),
    "count on Mondays": partial(made, weekly(50, 0, 0, 0, 0, 0, 0)),
    "count every second Monday": partial(made, on_days(lambda n, day: day.weekday() == 0 and n // 7 % 2 == 0)),
    "count on the first of the month": partial(made, on_days(lambda n, day: day.day == 1)),
    "count every ten days": partial(made, on_days(lambda n, day: n % 10 == 0)),
    "count with holidays": partial(
        made, lambda chance, n, day: poisson(chance, 5 if (day.month, day.day) in HOLIDAYS else 100)
    ),
    "growing count": partial(made, lambda chance, n, day: poisson(chance, 10 * 10 ** (n / 365))),
    "seasonal count": partial(made, lambda chance, n, day: poisson(chance, 100 + 50 * math.sin(n / 58))),
    "clustered count": partial(made, clustered(2, 40)),
    "very clustered count": partial(made, clustered(0.5, 40)),
    **{f"count with bursts on {share:.0%} of days": partial(made, bursts(share)) for share in (0.01, 0.03, 0.1)},
    **_INTERMITTENT,
    **_ON_AND_OFF,
    "sum": partial(made, intermittent_sums(1, 12), **SUM),
    "sum of few": partial(made, intermittent_sums(1, 1.5), **SUM),
    **_INTERMITTENT_SUMS,
    "average of few": partial(made, average(3), **RATIO),
    "rate": partial(made, rate(400, 0.004), **RATIO),
    "rate of few": partial(made, rate(20, 0.05), **RATIO),
    "level that moves daily": lambda name, seed: made(walk(10, 1), name, seed=seed, **LEVEL),
    "level that moves now and then": lambda name, seed: made(walk(50, 0.05), name, seed=seed, **LEVEL),
    "level of a queue": partial(made, steady(24), level=True),
}
