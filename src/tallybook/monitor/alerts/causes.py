"""Problems of a book. Each is a cause, with an id that stays the same while the problem lasts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from tallybook.core import AlertSettings, Catalog, Metric, shorten_list
from tallybook.monitor.alerts.revised import Sizes, large
from tallybook.monitor.alerts.usual import DailySeries, Unknown, Verdict, judge
from tallybook.monitor.health import SOUND, DeliveryStatus, MetricStatus, Status, reason

AT_WORK = timedelta(hours=6)
"""A run in progress for longer than this no longer excuses what it has not collected."""
ENDED = (*SOUND, "source not ready", "interrupted")
"""Ends of a run that are not a cause: its sources and metrics report what is missing, or a person stopped it."""
MAX_NAMED = 8
"""Maximum number of metrics named in one sentence."""
STALE = "is not up to date"
"""Start of the error text of a source that is reachable but behind."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One problem, reported once when it begins and once when it is over.

    `subject` has the problem, `said` describes it, and `next` is the command to run, with {subject} as a placeholder.
    `metric` is set if the description contains values of that metric."""

    id: str
    kind: str
    subject: str
    said: str
    next: str = ""
    metric: str | None = None


@dataclass(frozen=True, kw_only=True)
class Observations:
    """State of a book at an instant. `words`: the latest report of each metric. `sizes`: how much each run revised.
    `crash`: error and hint of the run that just crashed. `failed`: errors and hints of its deliveries. `kept_back`:
    deliveries that another process is making."""

    catalog: Catalog
    status: Status
    words: Mapping[str, Mapping[str, Any]]
    series: Mapping[str, DailySeries] = field(default_factory=dict)
    sizes: Mapping[str, Sizes] = field(default_factory=dict)
    crash: tuple[str, str] | None = None
    failed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    kept_back: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class Findings:
    """Causes by id. Empty if all is well. `unsure`: ids that cannot be decided now and keep their state."""

    found: dict[str, Cause | None] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)

    @property
    def causes(self) -> list[Cause]:
        return [cause for cause in self.found.values() if cause is not None]


def look(facts: Observations, settings: AlertSettings) -> Findings:
    """All causes that the settings ask for."""
    found = Findings()
    _look_at_run(facts, found)
    for name, metrics in _by_source(facts).items():
        _look_at_source(facts, name, metrics, found)
    for metric in facts.status.metrics:
        _look_at_metric(facts, metric, found)
    for name, series in facts.series.items():
        _look_at_values(facts.catalog.metrics[name], series, settings, found)
    for name, sizes in facts.sizes.items():
        found.found[f"revised {name}"] = _revised(name, sizes) if large(sizes) else None
    _look_at_deliveries(facts, found)
    for one in facts.status.events:
        cause = Cause(id=one.id, kind=one.kind, subject=one.subject, said=one.said, next=one.next)
        found.found[one.id] = cause if one.said else None
    kept = {id_: cause for id_, cause in found.found.items() if cause is None or cause.kind in settings.about}
    return Findings(found=kept, unsure=found.unsure)


# --- runs, sources, metrics


def _look_at_run(facts: Observations, found: Findings) -> None:
    last = facts.status.last_run
    if facts.crash is not None:
        error, hint = facts.crash
        found.found["run"] = Cause(
            id="run", kind="failed", subject="the run", said=f"failed: {error}", next=hint or "tallybook run"
        )
    elif facts.status.running:
        found.unsure.add("run")
    elif last is not None and last["status"] not in ENDED:
        why = f"failed: {reason(last['status'])}"
        found.found["run"] = Cause(id="run", kind="failed", subject="the run", said=why, next="tallybook run")
    else:
        found.found["run"] = None


def _by_source(facts: Observations) -> dict[str, list[MetricStatus]]:
    """The metrics of each source."""
    found: dict[str, list[MetricStatus]] = {}
    for metric in facts.status.metrics:
        if source := facts.catalog.metrics[metric.metric].source:
            found.setdefault(source, []).append(metric)
    return found


def _unreachable(facts: Observations, metric: MetricStatus) -> bool:
    word = facts.words.get(metric.metric, {})
    return bool(metric.error and word.get("unavailable") and facts.catalog.metrics[metric.metric].source)


def _stale(facts: Observations, metric: MetricStatus) -> bool:
    """Whether a metric is late because its source is."""
    word = facts.words.get(metric.metric, {})
    sourced = facts.catalog.metrics[metric.metric].source
    return bool(metric.days_late and not metric.error and word.get("not_ready") and sourced)


def _look_at_source(facts: Observations, name: str, metrics: Sequence[MetricStatus], found: Findings) -> None:
    lost = [metric for metric in metrics if _unreachable(facts, metric)]
    stale = [metric for metric in metrics if _stale(facts, metric)]
    if not lost and not stale:
        found.found[f"source {name}"] = None
        return
    behind = lost or stale
    names = shorten_list([m.metric for m in behind], MAX_NAMED)
    problem = _failure_of(name, lost[0].error) if lost else f"{STALE}: {_reason_of(facts, stale[0])}"
    found.found[f"source {name}"] = Cause(
        id=f"source {name}",
        kind="source",
        subject=f"source {name}",
        said=f"{problem} (not collected: {names})",
        next=(lost[0].hint if lost else "") or "tallybook check --source",
    )


def _failure_of(source: str, error: str) -> str:
    """The error of a source as a predicate: "cannot be reached: …", or "failed: …"."""
    text = error.removeprefix(f"source {source!r}").removeprefix(":").strip()
    return text if text.startswith(("cannot ", "is ")) else f"failed: {text}"


def _reason_of(facts: Observations, metric: MetricStatus) -> str:
    notes = facts.words.get(metric.metric, {}).get("notes") or ["it is behind"]
    known = next((note for note in notes if "known only until" in note), notes[0])
    return str(known).partition(": later")[0]


def _look_at_metric(facts: Observations, metric: MetricStatus, found: Findings) -> None:
    failed, late = f"failed {metric.metric}", f"late {metric.metric}"
    if _unreachable(facts, metric) or _stale(facts, metric):
        # The source is reported. The state of the metric itself is unknown.
        found.unsure |= {failed, late}
    elif metric.error:
        found.unsure.add(late)
        found.found[failed] = Cause(
            id=failed,
            kind="failed",
            subject=metric.metric,
            said=f"failed: {metric.error}",
            next=metric.hint or "tallybook run {subject}",
        )
    elif metric.days_late and _at_work(facts.status):
        found.unsure.add(late)
        found.found[failed] = None
    else:
        found.found |= {failed: None, late: _late(metric, late, facts.status.due) if metric.days_late else None}


def _at_work(status: Status) -> bool:
    began = status.last_run and status.last_run["started"]
    return bool(status.running and began and status.now - datetime.fromisoformat(began) < AT_WORK)


def _late(metric: MetricStatus, id_: str, due: date) -> Cause:
    days = f"{metric.days_late} day{'s' if metric.days_late > 1 else ''}"
    to = f"collected to {metric.to}, due to {due}" if metric.to else "never collected as declared now"
    return Cause(
        id=id_,
        kind="late",
        subject=metric.metric,
        said=f"late by {days}: {metric.said or to}",
        next=metric.next or "tallybook run {subject}",
    )


# --- values


def _look_at_values(metric: Metric, series: DailySeries, settings: AlertSettings, found: Findings) -> None:
    """Add at most one cause of the two kinds: a metric that is unusually low today may have stopped tomorrow."""
    id_ = f"value {metric.name}"
    stopping, unusual = "stopped" in settings.about, "unusual" in settings.about
    try:
        verdict = judge(
            series, width=settings.unusual_width, history=settings.unusual_history, stopping=stopping, unusual=unusual
        )
    except Unknown:
        return
    found.found[id_] = _of_value(id_, metric, verdict) if verdict else None


def _of_value(id_: str, metric: Metric, verdict: Verdict) -> Cause:
    command = f"tallybook why {{subject}} {verdict.day}"
    if verdict.stopped:
        days = f"{verdict.days} day{'s' if verdict.days > 1 else ''}"
        return Cause(
            id=id_,
            kind="stopped",
            subject=metric.name,
            metric=metric.name,
            said=f"no values for {days}, longer than ever before; the last one was on {verdict.day:%A} {verdict.day}",
            next=f"tallybook query {{subject}} --from {verdict.day}",
        )
    usual = f"{written(verdict.low)} to {written(verdict.high)}{' ' + metric.unit if metric.unit else ''}"
    by = "after the days before" if metric.kind == "level" else f"on a {verdict.day:%A}"
    return Cause(
        id=id_,
        kind="unusual",
        subject=metric.name,
        metric=metric.name,
        next=command,
        said=f"{written(verdict.value or 0)} on {verdict.day:%A} {verdict.day}; usual {by} is {usual}",
    )


def written(number: float) -> str:
    """The number with three significant digits, and with all digits before the decimal point."""
    if abs(number) >= 100 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.3g}"


def _revised(name: str, sizes: Sizes) -> Cause:
    text = (
        f"the last run changed values of earlier days by {sizes.last:.0%} of a usual day; no run before changed "
        "more than "
        f"{sizes.most:.0%}"
    )
    return Cause(
        id=f"revised {name}",
        kind="revised",
        subject=name,
        metric=name,
        said=text,
        next="tallybook why {subject} " + str(sizes.day),
    )


# --- deliveries


def _waiting(one: DeliveryStatus) -> str:
    if one.stopped:
        return f"is stopped: {one.said}"
    return f"is not sent yet: {one.progress}" if one.left else "is not delivered yet"


def _restated(one: DeliveryStatus) -> Cause | None:
    """A cause for values that changed after they were sent to a destination that cannot take them back. Each set of
    values is a cause of its own."""
    if not one.restated:
        return None
    more = f"; and {len(one.restated) - MAX_NAMED} more" if len(one.restated) > MAX_NAMED else ""
    digest = hashlib.blake2b("\0".join(one.restated).encode(), digest_size=4).hexdigest()
    return Cause(
        id=f"restated {one.delivery} {digest}",
        kind="delivery",
        subject=f"delivery {one.delivery}",
        said="; ".join(one.restated[:MAX_NAMED]) + more,
        next=f"tallybook deliveries replay {one.delivery}",
    )


def _look_at_deliveries(facts: Observations, found: Findings) -> None:
    for one in facts.status.deliveries:
        if (restated := _restated(one)) is not None:
            found.found[restated.id] = restated
        id_ = f"delivery {one.delivery}"
        if facts.status.running or one.delivery in facts.kept_back or facts.status.last_run is None:
            found.unsure.add(id_)
        elif one.delivery in facts.failed or one.waiting:
            error, hint = facts.failed.get(one.delivery, ("", ""))
            found.found[id_] = Cause(
                id=id_,
                kind="delivery",
                subject=f"delivery {one.delivery}",
                said=f"failed: {error}" if error else _waiting(one),
                next=hint or f"tallybook deliver {one.delivery}",
            )
        else:
            found.found[id_] = None
