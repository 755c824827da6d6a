"""The aggregate that SQLite lacks: mean and variance, by an algorithm in which nothing cancels."""

from __future__ import annotations

from tallybook.collect.sources.values import Moments, as_float

SPREAD = "tallybook_spread"


class Spread:
    """Mean and squares around it, value by value (Welford). The mean is kept as the distance to the first value, so
    that its rounding is relative to that distance and not to the size of the values."""

    __slots__ = ("first", "mean", "n", "squares")

    def __init__(self) -> None:
        self.n, self.first, self.mean, self.squares = 0, 0.0, 0.0, 0.0

    def step(self, value: float | None) -> None:
        if value is None:
            return
        if not self.n:
            self.first = value
        self.n += 1
        away = value - self.first
        before = away - self.mean
        self.mean += before / self.n
        self.squares += before * (away - self.mean)

    def finalize(self) -> str | None:
        """Both as text, with every digit: an SQLite function returns one value, and null for NaN."""
        if not self.n:
            return None
        return f"{self.first + self.mean!r} {self.squares / self.n!r}"


def read_spread(text: str | None) -> Moments:
    """(mean, variance of the population). Raises NotFinite."""
    if text is None:
        return None, None
    mean, _, variance = text.partition(" ")
    return as_float(float(mean)), as_float(float(variance))
