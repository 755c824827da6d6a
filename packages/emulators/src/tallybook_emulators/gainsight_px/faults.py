"""Faults to provoke: which requests are refused, delayed or cut off, and when."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PxRequest:
    """A recorded request. `status` is the status of its answer, or 0 if the connection was closed without an answer."""

    verb: str
    path: str
    """The path with its query."""
    body: bytes
    headers: Mapping[str, str]
    at: float
    """Seconds since 1970 by the emulator's clock."""
    arrived: float
    """Seconds by the machine's monotonic clock."""
    status: int = 0
    fault: bool = False
    """Whether a fault decided the answer."""


@dataclass
class PxFault:
    """A rule: what happens to the requests that it matches.

    `answer` is the status that replaces the real answer; 403 is answered with an HTML page. With `after` the request is
    applied first, and the answer hides it. `cut` closes the connection without an answer, `reset` closes it with a TCP
    reset. `delay` is in real seconds. A rule with only `delay` delays the real answer. A rule matches requests in whose
    path (with its query) the regular expression `path` is found, whose verb is `verb` and for which `when` returns
    True. It acts on the `nth` match and those after it, `times` times in all, without limit if None."""

    answer: int | None = None
    after: bool = False
    cut: bool = False
    reset: bool = False
    delay: float = 0
    verb: str = ""
    path: str = ""
    when: Callable[[PxRequest], bool] | None = None
    nth: int = 1
    times: int | None = 1
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    met: int = 0
    """Number of requests matched so far."""
    acted: int = 0

    @property
    def only_delays(self) -> bool:
        return self.answer is None and not self.cut and not self.reset

    def matches(self, seen: PxRequest) -> bool:
        return (
            (not self.verb or self.verb == seen.verb)
            and re.search(self.path, seen.path) is not None
            and (self.when is None or self.when(seen))
        )


class PxFaults:
    """The active rules, in the order in which they were added."""

    def __init__(self) -> None:
        self.rules: list[PxFault] = []
        self._lock = threading.Lock()

    def add(self, fault: PxFault) -> PxFault:
        with self._lock:
            self.rules.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self.rules.clear()

    def due(self, seen: PxRequest) -> PxFault | None:
        """The first rule that acts on this request. Every rule that matches it counts it."""
        if not self.rules:
            return None
        found = None
        with self._lock:
            for rule in self.rules:
                if not rule.matches(seen):
                    continue
                rule.met += 1
                open_ended = rule.times is None or rule.acted < rule.times
                if found is None and rule.met >= rule.nth and open_ended:
                    rule.acted += 1
                    found = rule
        return found
