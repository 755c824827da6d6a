"""Whether a run changed more of what was collected before than runs usually do. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

EARLIER = 10
"""So many runs must have been before."""
TIMES = 3.0
LEAST = 0.25
"""Of a usual day's value: less is never told."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """By how much each run changed the values of a metric altogether, as shares of what is usual for a day; the oldest
    run first. `day` is one that the last run changed."""

    shares: Sequence[float]
    day: date | None = None

    @property
    def last(self) -> float:
        return self.shares[-1]

    @property
    def most(self) -> float:
        return max(self.shares[:-1], default=0.0)


def large(sizes: Sizes) -> bool:
    """Whether the last run changed more than it may, by all before it."""
    earlier = sizes.shares[:-1]
    return len(earlier) >= EARLIER and sizes.last > max(LEAST, TIMES * sizes.most)
