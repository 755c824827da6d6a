"""Recounts random old days in the source and compares them with the book."""

from __future__ import annotations

import functools
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from tallybook.collect import (
    INTERVAL_PLAN,
    BoundMetric,
    Group,
    Horizon,
    RunContext,
    Staging,
    bind_metric,
    close_sources,
    gather_days,
    gather_intervals,
    group_key,
    horizon_of,
    last_bound,
    published,
    revisions,
)
from tallybook.core import (
    DONE,
    EVENTS_SOURCE,
    NOT_READY,
    ONE_DAY,
    SOME_FAILED,
    Inseparable,
    Metric,
    SourceError,
    SourceUnavailable,
    calendar,
    isolated,
)
from tallybook.storage import EventLedger, Revision, VersionSnapshot, connect, not_kept, true_start


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The recount of one metric and day: the differences (`drift`), or why it failed."""

    metric: str
    day: date
    drift: tuple[Revision, ...] = ()
    error: str | None = None
    hint: str = ""
    unavailable: bool = False

    def to_dict(self) -> dict[str, Any]:
        changes = [{"series": json.loads(r.series), "old": r.old, "new": r.new} for r in self.drift]
        error = {"error": self.error, "hint": self.hint} if self.error else {}
        return {"metric": self.metric, "day": str(self.day), "drift": changes, **error}


@dataclass(kw_only=True)
class Audit:
    """The result of an audit. `chosen`: number of selected days. `counted`: days that were recounted in time.
    `restated`: commands that were run."""

    seed: int
    chosen: int = 0
    counted: list[Counted] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """The reason why a metric cannot be recounted."""
    seconds: float = 0.0
    restated: list[str] = field(default_factory=list)

    @property
    def drifted(self) -> list[Counted]:
        return [one for one in self.counted if one.drift]

    @property
    def failed(self) -> list[Counted]:
        return [one for one in self.counted if one.error]

    @property
    def stretches(self) -> list[tuple[str, date, date]]:
        """The ranges to collect again, as (metric, first day, last day). Adjacent days are joined."""
        days: dict[str, list[date]] = {}
        for one in self.drifted:
            days.setdefault(one.metric, []).append(one.day)
        return [(metric, a, b) for metric, several in days.items() for a, b in calendar.stretches(several)]

    @property
    def lines(self) -> list[str]:
        """The commands that collect these ranges again."""
        return [f"tallybook run {metric} --from {first} --to {last}" for metric, first, last in self.stretches]

    @property
    def exit_code(self) -> int:
        """The exit code: 1 if days differ or could not be recounted, 4 if no source was reachable."""
        if self.counted and all(one.unavailable for one in self.counted):
            return NOT_READY
        return SOME_FAILED if self.failed or len(self.restated) < len(self.lines) else DONE

    def to_dict(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "chosen": self.chosen,
            "counted": len(self.counted),
            "drifted": len(self.drifted),
            "seconds": round(self.seconds, 3),
            "days": [one.to_dict() for one in self.counted],
            "skipped": self.skipped,
            "restate": [line for line in self.lines if line not in self.restated],
            "restated": self.restated,
            "exit_code": self.exit_code,
        }


def audit(
    means: RunContext,
    known: VersionSnapshot,
    keys: Mapping[str, str],
    metrics: Sequence[Metric],
    *,
    sample: int,
    seed: int,
    seconds: float,
) -> Audit:
    """Recount `sample` days of `metrics`, chosen by `seed` among the days that no run collects again. Starts no day
    after `seconds`. Changes nothing.

    Raises SourceUnavailable if a replica lacks data that was in the source when the book collected it."""
    began = time.monotonic()
    recount = _Recount(means, known, keys)
    found = Audit(seed=seed)
    old = {metric.name: recount.old_days(metric, found.skipped) for metric in metrics}
    chosen = choose(old, sample, seed)
    found.chosen = len(chosen)
    recount.refuse_behind(chosen)
    try:
        for name, day in chosen:
            if found.counted and time.monotonic() - began > seconds:
                break
            found.counted.append(recount.counted(name, day))
    finally:
        recount.engine.close()
        close_sources(means.sources)
    found.seconds = time.monotonic() - began
    return found


def choose(days: Mapping[str, Sequence[date]], sample: int, seed: int) -> list[tuple[str, date]]:
    """The chosen (metric, day) pairs, spread evenly over metrics as far as their days allow. The same seed gives the
    same pairs."""
    dice = random.Random(seed)
    decks = {name: dice.sample(list(own), len(own)) for name, own in sorted(days.items()) if own}
    found: list[tuple[str, date]] = []
    while decks and len(found) < sample:
        for name in dice.sample(sorted(decks), len(decks))[: sample - len(found)]:
            found.append((name, decks[name].pop()))
        decks = {name: deck for name, deck in decks.items() if deck}
    return found


class _Recount:
    """Recounts single days in its own tables."""

    def __init__(self, means: RunContext, known: VersionSnapshot, keys: Mapping[str, str]) -> None:
        self.means, self.known, self.keys = means, known, keys
        self.catalog, self.zone = means.catalog, means.catalog.book.timezone
        self.engine = connect()
        self.staging = Staging(self.engine)
        self.horizons: dict[str, Horizon | SourceError] = {}
        self.facts: dict[str, BoundMetric] = {}
        self.waiting = means.store.ledger.followed()

    def old_days(self, metric: Metric, skipped: dict[str, str]) -> list[date]:
        """The collected days of the current definition that no run collects again. If it is empty, `skipped` gets the
        reason."""
        days = self._old_days(metric)
        if isinstance(days, str):
            skipped[metric.name] = days
            return []
        return days

    def _old_days(self, metric: Metric) -> list[date] | str:
        if metric.snapshot:
            return "of a snapshot only the present can be seen"
        if metric.function:
            return "a Python function may answer otherwise about the past"
        bound = last_bound(metric, self.zone, self.keys[metric.name], self.known)
        if bound is None:
            return "it is not collected under today's definition"
        own = (bound.key, bound.definition)
        covered = [d for s in self.known.coverage.get(own, ()) for d in calendar.days(s.first, s.last)]
        lookback = metric.lookback if metric.lookback is not None else self.catalog.book.lookback
        recent = calendar.last_closed_day(self.means.now, self.zone) - lookback * ONE_DAY
        waiting = (
            set(self.waiting[own].waiting) if own in self.waiting and (metric.changed or metric.received) else set()
        )
        old = [d for d in covered if d <= recent and d not in waiting]
        if old and metric.source == EVENTS_SOURCE:
            events = EventLedger(self.means.store.ledger)
            kept = events.kept_from() or date.min
            if not (old := [d for d in old if d >= kept]):
                return not_kept(kept)
        return old or "all of its days are collected again anyway"

    def horizon(self, source: str) -> Horizon | SourceError:
        if source not in self.horizons:
            self.horizons[source] = horizon_of(self.means, source)
        return self.horizons[source]

    def refuse_behind(self, chosen: Sequence[tuple[str, date]]) -> None:
        """Raise SourceUnavailable if the replica is older than the moment at which a chosen day was collected."""
        for name in dict.fromkeys(self.catalog.metrics[metric].source or "" for metric, _ in chosen):
            found = self.horizon(name)
            if isinstance(found, SourceError) or not self.catalog.sources[name].replica:
                continue
            latest = max(self._collected(m, day) for m, day in chosen if self.catalog.metrics[m].source == name)
            if found.until < latest:
                raise SourceUnavailable(
                    f"the replica of {name} is known until {found.until:%Y-%m-%d %H:%M:%S} UTC, and the book "
                    "holds what was "
                    f"collected at {latest:%Y-%m-%d %H:%M:%S}: what the replica lacks would seem to have drifted",
                    hint=f"wait until it has caught up, or leave `replica` out of [sources.{name}]",
                )

    def _collected(self, metric: str, day: date) -> datetime:
        """The start of the run that last collected a day; the year 1 if unknown."""
        ledger = self.means.store.ledger
        runs = [ledger.run(one.run or 0) for one in ledger.covered_days(self.keys[metric], day, day)]
        began = [true_start(ledger, run, self.means.now) for run in runs if run]
        return max(began, default=datetime(1, 1, 1, tzinfo=UTC))

    def counted(self, name: str, day: date) -> Counted:
        metric = self.catalog.metrics[name]
        found = self.horizon(metric.source or "")
        try:
            if isinstance(found, SourceError):
                raise found
            with isolated():
                drift = self._drift(metric, found, day)
        except SourceError as error:
            return Counted(
                metric=name,
                day=day,
                error=self.means.mask(error.message),
                hint=self.means.mask(error.hint),
                unavailable=isinstance(error, SourceUnavailable),
            )
        finally:
            self.staging.clear()
        return Counted(metric=name, day=day, drift=tuple(drift))

    def _drift(self, metric: Metric, found: Horizon, day: date) -> list[Revision]:
        """The series whose values differ. `old` is the value in the book."""
        assert found.source is not None
        if day > found.last_closed:
            raise SourceUnavailable(f"source {metric.source!r} is known only until {found.until:%Y-%m-%d %H:%M} UTC")
        key, facts = self.keys[metric.name], self._facts(metric, found)
        group = Group(found.source, group_key(facts), [facts], self.zone)
        try:
            self._gather(group, day)
        except Inseparable:
            self.staging.clear()
            group.fused = False
            self._gather(group, day)
        old = functools.partial(published, self.means.store, self.known, key, [day])
        return revisions(self.engine, facts.bound, [day], old)

    def _facts(self, metric: Metric, found: Horizon) -> BoundMetric:
        """The metric bound to its source. Computed once."""
        if metric.name not in self.facts:
            key = self.keys[metric.name]
            facts = bind_metric(metric, found, self.zone, key, self.known)
            known = last_bound(metric, self.zone, key, self.known)
            if known is None or facts.bound.definition != known.definition:
                raise SourceError(
                    f"metric {metric.name!r}: its definition is not the one it was collected under: the types "
                    "of its columns "
                    "or the way in which its parts are kept have changed",
                    hint=f"tallybook diff {metric.name}",
                )
            self.facts[metric.name] = facts
        return self.facts[metric.name]

    def _gather(self, group: Group, day: date) -> None:
        steps: Iterator[Any]
        if group.key.plan == INTERVAL_PLAN:
            steps = gather_intervals(group, day, day, self.staging)
        else:
            steps = gather_days(group, [(day, day)], self.staging, indexed=True)
        for _ in steps:
            pass
