"""Where the benchmarks play: how large everything is, a folder, and a server once somebody asks for it."""

from __future__ import annotations

import contextlib
import functools
import itertools
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks.databases import FIRST_DAY, Postgresql, postgresql


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large and how often."""

    days: int
    calls_per_day: int
    subscriptions: int
    sampled_days: int
    rounds: int
    metrics: int
    ids_per_day: int
    asks: int


FULL = Scale(
    days=365,
    calls_per_day=18_000,
    subscriptions=1_000_000,
    sampled_days=31,
    rounds=5,
    metrics=100,
    ids_per_day=5_000,
    asks=15,
)
QUICK = Scale(
    days=40,
    calls_per_day=6_000,
    subscriptions=20_000,
    sampled_days=4,
    rounds=1,
    metrics=10,
    ids_per_day=300,
    asks=2,
)


class Scene:
    """A context manager: everything in it is gone at its end."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder, self.quick = folder, quick
        self.scale = QUICK if quick else FULL
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count()
        folder.chmod(0o755)  # the server's account must get through

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @functools.cached_property
    def server(self) -> Postgresql:
        return self._stack.enter_context(postgresql(self.folder / "postgresql"))

    @property
    def last_day(self) -> date:
        return FIRST_DAY + timedelta(days=self.scale.days - 1)

    def new_folder(self) -> Path:
        """A path at which there is nothing yet."""
        return self.folder / f"project{next(self._numbers)}"
