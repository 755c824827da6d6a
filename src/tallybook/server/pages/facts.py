"""Facts shared by all pages of a version of the book and computed once: alerts, goals, coverage, the overview."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
KEPT_VERSIONS = 2


@dataclass
class VersionFacts:
    """Facts by name. The first caller computes a fact, and other callers of the same fact wait."""

    _known: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """(moment, fact)"""
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, name: str, make: Callable[[], T], moment: int = 0) -> T:
        """The fact with a name. It is computed by `make` if it is unknown or was computed for another `moment`. Raises
        what `make` raises."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._known or self._known[name][0] != moment:
                self._known[name] = (moment, make())
            found: T = self._known[name][1]
            return found


class FactsCache:
    """The facts of the most recent versions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: dict[Hashable, VersionFacts] = {}

    def of(self, state: Hashable) -> VersionFacts:
        """The facts of a state of the book, which covers everything that they depend on."""
        with self._lock:
            if state not in self._facts:
                while len(self._facts) >= KEPT_VERSIONS:
                    del self._facts[next(iter(self._facts))]
                self._facts[state] = VersionFacts()
            return self._facts[state]
