"""The aggregate that SQLite lacks: mean and variance, computed without cancellation."""

from __future__ import annotations

from tallybook.collect.sources.values import Moments, as_float

SPREAD = "tallybook_spread"


class Spread:
    """The mean and the squares around it, updated value by value (Welford). The mean is stored as the distance to the
    first value, so that its rounding error is relative to that distance and not to the size of the values."""

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
        """Both results as text with all digits, because an SQLite function returns a single value, and null for NaN."""
        if not self.n:
            return None
        return f"{self.first + self.mean!r} {self.squares / self.n!r}"


def read_spread(text: str | None) -> Moments:
    """The mean and the population variance. Raises NotFinite."""
    if text is None:
        return None, None
    mean, _, variance = text.partition(" ")
    return as_float(float(mean)), as_float(float(variance))
