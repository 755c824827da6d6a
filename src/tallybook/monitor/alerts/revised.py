"""Whether a run changed earlier values more than runs usually do. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

MIN_EARLIER_RUNS = 10
REVISION_FACTOR = 3.0
"""Allowed change, as a multiple of the largest change so far."""
MIN_REVISED_SHARE = 0.25
"""Minimum change to report, as a share of a usual day's value."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Total change of a metric's values by each run, as a share of a usual day's value. The oldest run comes first.
    `day` is a day that the last run changed."""

    shares: Sequence[float]
    day: date | None = None

    @property
    def last(self) -> float:
        return self.shares[-1]

    @property
    def most(self) -> float:
        return max(self.shares[:-1], default=0.0)


def large(sizes: Sizes) -> bool:
    """Whether the last run changed more than the earlier runs allow."""
    earlier = sizes.shares[:-1]
    return len(earlier) >= MIN_EARLIER_RUNS and sizes.last > max(MIN_REVISED_SHARE, REVISION_FACTOR * sizes.most)
