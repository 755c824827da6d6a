"""Figures and their budgets, and a stopwatch that runs several ways of doing one thing side by side."""

from __future__ import annotations

import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Way = Callable[[], object]
Meter = Callable[[], float]
"""A counter that only grows."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One figure and how large it may be; with `at_least`, how small."""

    what: str
    seen: float
    limit: float
    unit: str = "×"
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.seen >= self.limit if self.at_least else self.seen <= self.limit

    def to_dict(self) -> dict[str, Any]:
        sign = "≥" if self.at_least else "≤"
        return {
            "what": self.what,
            "seen": short(self.seen),
            "unit": self.unit,
            "budget": f"{sign} {self.limit:g}",
            "met": self.met,
        }


@dataclass(kw_only=True)
class Report:
    """What one benchmark found. `figures` are in the unit that their name ends in."""

    name: str
    what: str
    figures: dict[str, Any] = field(default_factory=dict)
    budgets: list[Budget] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "what": self.what,
            "budgets": [b.to_dict() for b in self.budgets],
            "figures": rounded(self.figures),
        }


@dataclass(kw_only=True)
class Costs:
    """Costs by round: wall-clock seconds, processor seconds (ours and those of `cpu`), and the counts of the meters."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    metered: dict[str, list[float]] = field(default_factory=dict)

    def median(self, what: str = "seconds") -> float:
        values = {"seconds": self.seconds, "cpu": self.cpu}.get(what) or self.metered[what]
        return statistics.median(values)


def side_by_side(
    rounds: int, ways: Mapping[str, Way], *, cpu: Meter | None = None, meters: Mapping[str, Meter] | None = None
) -> dict[str, Costs]:
    """Costs of each way. Each round runs every way once, so that other load on the machine affects all of them.

    `cpu`: seconds of processor spent elsewhere on our behalf."""
    found = {name: Costs() for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            _once(way, found[name], cpu, meters or {})
    return found


def _once(way: Way, costs: Costs, cpu: Meter | None, meters: Mapping[str, Meter]) -> None:
    gc.collect()
    before = {name: meter() for name, meter in meters.items()}
    elsewhere, here, began = cpu() if cpu else 0.0, time.process_time(), time.perf_counter()
    way()
    costs.seconds.append(time.perf_counter() - began)
    costs.cpu.append(time.process_time() - here + ((cpu() - elsewhere) if cpu else 0.0))
    for name, meter in meters.items():
        costs.metered.setdefault(name, []).append(meter() - before[name])


def ratio(over: Costs, under: Costs, what: str = "seconds") -> float:
    """The median of the rounds' ratios: each compares neighbours in time."""
    pairs = zip(getattr(over, what), getattr(under, what), strict=True)
    return statistics.median(a / b for a, b in pairs)


def median_ms(times: int, way: Way) -> float:
    """The median milliseconds of `way` after one warm-up: of each round the lower of wall-clock and processor time."""
    way()
    costs = side_by_side(times, {"way": way})["way"]
    return 1000 * statistics.median(map(min, costs.seconds, costs.cpu))


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The exponent of growth by least squares of the logarithms: 1 is linear, 0 is constant."""
    x, y = [math.log(s) for s in sizes], [math.log(v) for v in values]
    return statistics.linear_regression(x, y).slope


def short(value: float) -> float:
    """The value with three significant digits."""
    return float(f"{value:.3g}")


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return short(value)
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value


def print_progress(text: str) -> None:
    """Print a line for the person who waits, to stderr."""
    print(text, file=sys.stderr, flush=True)
