"""Axes: round ticks, short texts of ticks, and which periods get a label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

STEPS = (1, 2, 2.5, 5, 10)
MAX_PLAIN, MIN_PLAIN = 1e17, 1e-9
"""Ticks beyond these have an exponent: 2e21, 5e-14."""
MAX_EACH_LABEL = 9
"""Maximum number of periods that each get a label."""


@dataclass(frozen=True, kw_only=True)
class ValueAxis:
    """The range of values, and its ticks from low to high."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """The position of a value: 0 at the low end, 1 at the high end."""
        # Halves, because the distance of two huge numbers may not be finite.
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)


def value_axis(values: Sequence[float], *, begins_at_zero: bool, wanted: int = 5) -> ValueAxis:
    """Round ticks around the values."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if begins_at_zero or low <= 0 or low < 0.6 * high:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high == 0:
        return ValueAxis(low=0.0, high=1.0, ticks=(0.0, 1.0))
    if low == high:
        high = low + (abs(low) or 1.0)
    step = _step(high / (wanted - 1) - low / (wanted - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = 12 - min(0, math.floor(math.log10(step)))
    ticks = tuple(dict.fromkeys(round(number * step, digits) for number in range(first, last + 1)))
    return ValueAxis(low=ticks[0], high=ticks[-1], ticks=ticks)


def _step(raw: float) -> float:
    size = 10.0 ** math.floor(math.log10(raw))
    return size * next(one for one in STEPS if one * size >= raw * (1 - 1e-9))


def tick_texts(axis: ValueAxis, *, percent: bool = False) -> list[str]:
    """Short texts of ticks, all with the same number of decimals: 150k, 2.5M, 0.02."""
    factor = 100.0 if percent else 1.0
    ticks = [tick * factor for tick in axis.ticks]
    most = max(map(abs, ticks))
    if not MIN_PLAIN <= most < MAX_PLAIN:
        return [_with_exponent(tick) + ("%" if percent else "") for tick in ticks]
    power, letter = next(((p, s) for p, s in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")) if most >= p), (1.0, ""))
    size = 1e3 if letter == "k" else power
    scaled = [tick / size for tick in ticks]
    digits = next(
        d for d in range(13) if all(abs(round(v, d) - v) < 1e-9 * max(1.0, abs(v)) for v in scaled) or d == 12
    )
    return [_text(value, digits, letter if value else "") + ("%" if percent else "") for value in scaled]


def _with_exponent(value: float) -> str:
    digits, _, power = f"{value:.3e}".partition("e")
    return f"{float(digits):g}e{int(power)}".replace("-", "−") if value else "0"


def _text(value: float, digits: int, letter: str) -> str:
    return f"{value:,.{digits}f}".replace("-", "−") + letter


def period_ticks(periods: Sequence[date], labels: Sequence[str], scope: str, room: float) -> list[tuple[int, str]]:
    """(index, text) of the periods with a label, as many as fit into `room` pixels."""
    most = max(2, int(room / 84))
    if len(periods) <= min(MAX_EACH_LABEL, most):
        return list(enumerate(labels))
    if scope not in ("day", "week"):
        return _thinned([(place, label) for place, label in enumerate(labels)], most)
    firsts: list[tuple[int, str]] = []
    for place, day in enumerate(periods):
        if place and (day.year, day.month) != (periods[place - 1].year, periods[place - 1].month):
            firsts.append((place, f"{day:%Y-%m}"))
    if len(firsts) < 2:
        return _thinned(list(enumerate(labels)), most)
    if periods[0].day <= 7 and firsts[0][0] > len(periods) / (2 * most):
        firsts.insert(0, (0, f"{periods[0]:%Y-%m}"))
    return _thinned(firsts, most)


def _thinned(ticks: list[tuple[int, str]], most: int) -> list[tuple[int, str]]:
    """Every second, third, … tick, so that at most `most` remain."""
    return ticks[:: math.ceil(len(ticks) / most)] if ticks else ticks
