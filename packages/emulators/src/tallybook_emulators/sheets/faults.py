"""Faults to provoke: which requests are refused, delayed or cut off, and when."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tallybook_emulators.sheets.errors import MESSAGES, GoogleError
from tallybook_emulators.sheets.oauth import unauthenticated


@dataclass(frozen=True)
class Seen:
    """A recorded request. `status` is the status of its answer, or 0 if the connection was closed without an answer."""

    verb: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    at: float
    """Seconds since 1970 by the emulator's clock."""
    method: str = ""
    """Id in the discovery document, such as `sheets.spreadsheets.batchUpdate`. Empty for the OAuth server."""
    status: int = 0
    fault: bool = False
    """Whether a fault decided the answer."""


@dataclass
class Fault:
    """A rule: what happens to the requests that it matches.

    `answer` is the status that replaces the real answer. With `after` the request is applied first, and the answer
    hides it. `cut` closes the connection without an answer, `reset` closes it with a TCP reset. `delay` is in real
    seconds. A rule matches requests in whose path (with its query) the regular expression `path` is found, whose verb
    is `verb` and for which `when` returns True. It acts on the `nth` match and those after it, `times` times in all,
    without limit if None. `reason` gives the error Drive's form, such as storageQuotaExceeded."""

    answer: int | None = None
    after: bool = False
    cut: bool = False
    reset: bool = False
    delay: float = 0
    verb: str = ""
    path: str = ""
    when: Callable[[Seen], bool] | None = None
    nth: int = 1
    times: int | None = 1
    message: str = ""
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    met: int = 0
    """Number of requests matched so far."""
    acted: int = 0

    def matches(self, seen: Seen) -> bool:
        return (
            (not self.verb or self.verb == seen.verb)
            and re.search(self.path, seen.path) is not None
            and (self.when is None or self.when(seen))
        )

    def error(self) -> GoogleError:
        """The error in the answer."""
        code = self.answer or 503
        if code == 401:
            error = unauthenticated("Request had invalid authentication credentials.", "")
        else:
            domain = "usageLimits" if "uota" in self.reason or "imit" in self.reason else "global"
            error = GoogleError(code, self.message or MESSAGES.get(code, ""), reason=self.reason, domain=domain)
        error.headers |= dict(self.headers)
        return error


class Faults:
    """The active rules, in the order in which they were added."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self.rules.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self.rules.clear()

    def due(self, seen: Seen) -> Fault | None:
        """The first rule that acts on this request. Every rule that matches it counts it."""
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
