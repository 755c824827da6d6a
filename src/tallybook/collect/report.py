"""The report of a run, metric by metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tallybook.core import (
    DONE,
    NOT_READY,
    SOME_FAILED,
    AlertReport,
    DeliveryReport,
    RulesReport,
    SourceError,
    SourceUnavailable,
    Unforeseen,
)


@dataclass(kw_only=True)
class MetricReport:
    """The report on one metric of a run. `notes`: facts a person should know. `error`: why it failed."""

    metric: str
    source: str = ""
    definition: str = ""
    days: int = 0
    first: date | None = None
    last: date | None = None
    points: int = 0
    revisions: int = 0
    seconds: float = 0.0
    """Its share of the seconds that its group took."""
    plan: str = ""
    waiting: int = 0
    """Number of days whose facts changed and that wait for the next run."""
    error: str | None = None
    hint: str = ""
    traceback: str = ""
    """For an unexpected exception, the text for a bug report."""
    unavailable: bool = False
    not_ready: bool = False
    notes: list[str] = field(default_factory=list)

    def saw(self, first: date, last: date, days: int) -> None:
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)
        self.days += days

    def failed(self, message: str, hint: str = "", *, unavailable: bool = False) -> None:
        self.error, self.hint, self.unavailable = message, hint, unavailable

    def failed_by(self, error: SourceError, doing: str = "") -> None:
        """Record a failure with this error, while `doing` something."""
        said = f"{doing}: {error.message}" if doing else error.message
        self.failed(said, error.hint, unavailable=isinstance(error, SourceUnavailable))
        self.traceback = error.traceback if isinstance(error, Unforeseen) else ""

    def masked(self, mask: Callable[[str], str]) -> None:
        """Remove secrets from its texts."""
        self.error = self.error and mask(self.error)
        self.hint = mask(self.hint)
        self.traceback = mask(self.traceback)
        self.notes = [mask(note) for note in self.notes]

    def to_dict(self) -> dict[str, Any]:
        found = {k: v for k, v in self.__dict__.items() if v not in (None, "", [], False)}
        return {
            k: str(v) if isinstance(v, date) else round(v, 3) if isinstance(v, float) else v for k, v in found.items()
        }


@dataclass(kw_only=True)
class EntityReport:
    """The report on reading users or accounts: rows with an id, changed entities, and entities that are gone."""

    kind: str
    source: str
    rows: int = 0
    changed: int = 0
    deleted: int = 0
    skipped: int = 0
    """Number of rows without an id."""
    conflicts: dict[str, int] = field(default_factory=dict)
    """By attribute, the number of values with another type than its first value."""
    seconds: float = 0.0
    error: str | None = None
    hint: str = ""

    def to_dict(self) -> dict[str, Any]:
        found = {k: v for k, v in self.__dict__.items() if v not in (None, "", {})}
        return found | {"seconds": round(self.seconds, 3)}


@dataclass(kw_only=True)
class RunReport:
    """The report of a whole run. `version`: the version of the book at its end."""

    run: int
    version: int = 0
    seconds: float = 0.0
    metrics: list[MetricReport] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Facts about the book as a whole that a person should know."""
    entities: list[EntityReport] = field(default_factory=list)
    """The reports on reading users and accounts."""
    deliveries: list[DeliveryReport] = field(default_factory=list)
    """The reports of deliveries after collecting."""
    rules: RulesReport = field(default_factory=RulesReport)
    """The report of rules after collecting."""
    alerts: AlertReport = field(default_factory=AlertReport)
    """The report of alerts at the end."""

    @property
    def failed(self) -> list[MetricReport]:
        return [m for m in self.metrics if m.error]

    @property
    def exit_code(self) -> int:
        """The exit code: 0 all is done; 1 some metrics or deliveries failed and the rest is done; 4 a source was not
        ready and nothing is stored."""
        others = any(d.failed for d in self.deliveries) or any(one.error for one in self.entities)
        others = others or self.rules.failed
        return self._collected or (SOME_FAILED if others else DONE)

    @property
    def _collected(self) -> int:
        nothing = not any(m.days for m in self.metrics)
        if self.failed:
            return NOT_READY if nothing and all(m.unavailable for m in self.failed) else SOME_FAILED
        return NOT_READY if nothing and any(m.not_ready for m in self.metrics) else DONE

    @property
    def status(self) -> str:
        return {DONE: "done", SOME_FAILED: "some failed", NOT_READY: "source not ready"}[self.exit_code]

    def to_dict(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "status": self.status,
            "exit_code": self.exit_code,
            "version": self.version,
            "seconds": round(self.seconds, 3),
            "metrics": [m.to_dict() for m in self.metrics],
            **({"notes": self.notes} if self.notes else {}),
            **({"entities": [one.to_dict() for one in self.entities]} if self.entities else {}),
            **({"deliveries": [d.to_dict() for d in self.deliveries]} if self.deliveries else {}),
            **({"rules": self.rules.to_dict()} if self.rules.rules or self.rules.error else {}),
            **({"alerts": self.alerts.to_dict()} if self.alerts else {}),
        }


@dataclass(frozen=True)
class RunProgress:
    """The progress of a run: done and total days × metrics, points so far, and what is being read."""

    done: int
    of: int
    points: int
    what: str


OnProgress = Callable[[RunProgress], None]
