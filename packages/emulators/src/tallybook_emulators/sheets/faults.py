"""Trouble on demand: which requests are refused, delayed, cut off, and when."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tallybook_emulators.sheets.errors import MESSAGES, GoogleError
from tallybook_emulators.sheets.oauth import unauthenticated


@dataclass(frozen=True)
class Seen:
    """A request as the emulator saw it. `status` is that of its answer, 0 where there was none."""

    verb: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    at: float
    """By the emulator's clock, in seconds since 1970."""
    method: str = ""
    """As in the discovery document, such as `sheets.spreadsheets.batchUpdate`; empty for the token server."""
    status: int = 0
    fault: bool = False
    """Whether a fault decided the answer."""


@dataclass
class Fault:
    """A rule: what happens to the requests that it meets.

    `answer` is the status answered instead of the true one; `after` applies the request first, so that its outcome
    is hidden. `cut` closes the connection without an answer, `reset` with a TCP reset. `delay` seconds pass (real
    ones) before the answer. A rule meets requests whose path (with its query) matches `path`, whose verb is `verb`
    and for which `when` is true; the first that it acts on is the `nth` of them, and it acts `times` times, for ever
    if None. `reason` makes it an error in Drive's form, such as storageQuotaExceeded."""

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
    """How many requests it has met so far."""
    acted: int = 0

    def meets(self, seen: Seen) -> bool:
        return (
            (not self.verb or self.verb == seen.verb)
            and re.search(self.path, seen.path) is not None
            and (self.when is None or self.when(seen))
        )

    def error(self) -> GoogleError:
        """What is answered."""
        code = self.answer or 503
        if code == 401:
            error = unauthenticated("Request had invalid authentication credentials.", "")
        else:
            domain = "usageLimits" if "uota" in self.reason or "imit" in self.reason else "global"
            error = GoogleError(code, self.message or MESSAGES.get(code, ""), reason=self.reason, domain=domain)
        error.headers |= dict(self.headers)
        return error


class Faults:
    """The rules in force, in the order in which they were given."""

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
        """The first rule that acts on this request. Every rule that it meets counts it."""
        found = None
        with self._lock:
            for rule in self.rules:
                if not rule.meets(seen):
                    continue
                rule.met += 1
                open_ended = rule.times is None or rule.acted < rule.times
                if found is None and rule.met >= rule.nth and open_ended:
                    rule.acted += 1
                    found = rule
        return found
