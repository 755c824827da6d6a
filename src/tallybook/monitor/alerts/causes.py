"""What is not well, each cause with a name of its own that stays the same while it lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from tallybook.core import AlertSettings, Catalog, Metric, shorten_list
from tallybook.monitor.alerts.revised import Sizes, large
from tallybook.monitor.alerts.usual import DailySeries, Unknown, Verdict, judge
from tallybook.monitor.health import SOUND, MetricStatus, Status

AT_WORK = timedelta(hours=6)
"""So long a run may be at work before what it has not collected yet is late all the same."""
ENDED = (*SOUND, "source not ready", "interrupted")
"""How a run may end: what it did not collect is told of by its sources and metrics; one that a person stopped is no news."""
MANY = 8
"""So many metrics are named."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not well, of which alerts tell once that it begins and once that it is over.

    `subject` is what, `said` how, `next` what to type, with {subject} for it; `metric` is the one whose values it
    tells, if it does."""

    id: str
    kind: str
    subject: str
    said: str
    next: str = ""
    metric: str | None = None


@dataclass(frozen=True, kw_only=True)
class Observations:
    """What is known of a book at an instant. `words`: what the latest run says of each metric; `sizes`: how much each
    run revised; `crash`: why the run that just ended did not come to its end; `failed`: why deliveries were not made by
    it; `kept_back`: those that another process is making."""

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
    """By the name of each cause that was looked for: the cause, or None where all is well. `unsure`: what cannot be said
    now, and stays as it was."""

    found: dict[str, Cause | None] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)

    @property
    def causes(self) -> list[Cause]:
        return [cause for cause in self.found.values() if cause is not None]


def look(facts: Observations, settings: AlertSettings) -> Findings:
    """Everything that is not well, of what the settings say shall be told."""
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
    kept = {id_: cause for id_, cause in found.found.items() if cause is None or cause.kind in settings.about}
    return Findings(found=kept, unsure=found.unsure)


# --- runs, sources, metrics


def _look_at_run(facts: Observations, found: Findings) -> None:
    last = facts.status.last_run
    if facts.crash is not None:
        said, hint = facts.crash
        found.found["run"] = Cause(
            id="run", kind="failed", subject="the run", said=f"failed: {said}", next=hint or "tallybook run"
        )
    elif facts.status.running:
        found.unsure.add("run")
    elif last is not None and last["status"] not in ENDED:
        said = f"ended otherwise than it should: {last['status']}"
        found.found["run"] = Cause(id="run", kind="failed", subject="the run", said=said, next="tallybook run")
    else:
        found.found["run"] = None


def _by_source(facts: Observations) -> dict[str, list[MetricStatus]]:
    """The metrics of each source, of those that have one."""
    found: dict[str, list[MetricStatus]] = {}
    for metric in facts.status.metrics:
        if source := facts.catalog.metrics[metric.metric].source:
            found.setdefault(source, []).append(metric)
    return found


def _unreachable(facts: Observations, metric: MetricStatus) -> bool:
    word = facts.words.get(metric.metric, {})
    return bool(metric.error and word.get("unavailable") and facts.catalog.metrics[metric.metric].source)


def _stale(facts: Observations, metric: MetricStatus) -> bool:
    """It is late because its source is."""
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
    names = shorten_list([m.metric for m in behind], MANY)
    said = lost[0].error if lost else f"is not up to date: {_said_of(facts, stale[0])}"
    said = said.removeprefix(f"source {name!r}").removeprefix(":").strip()
    found.found[f"source {name}"] = Cause(
        id=f"source {name}",
        kind="source",
        subject=f"source {name}",
        said=f"{said} (nothing new of {names})",
        next=(lost[0].hint if lost else "") or "tallybook check --source",
    )


def _said_of(facts: Observations, metric: MetricStatus) -> str:
    notes = facts.words.get(metric.metric, {}).get("notes") or ["it is behind"]
    known = next((note for note in notes if "known only until" in note), notes[0])
    return str(known).partition(": later")[0]


def _look_at_metric(facts: Observations, metric: MetricStatus, found: Findings) -> None:
    failed, late = f"failed {metric.metric}", f"late {metric.metric}"
    if _unreachable(facts, metric) or _stale(facts, metric):
        # Its source is told of; whether it would do well otherwise is not known.
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
        id=id_, kind="late", subject=metric.metric, said=f"late by {days}: {to}", next="tallybook run {subject}"
    )


# --- values


def _look_at_values(metric: Metric, series: DailySeries, settings: AlertSettings, found: Findings) -> None:
    """One cause for both: a metric that is unusually low today has stopped tomorrow."""
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
            said=f"nothing for {days}, longer than ever before; the last was on {verdict.day:%A} {verdict.day}",
            next=f"tallybook query {{subject}} --from {verdict.day}",
        )
    usual = f"{written(verdict.low)} to {written(verdict.high)}{' ' + metric.unit if metric.unit else ''}"
    by = "by the days before" if metric.kind == "level" else f"on a {verdict.day:%A}"
    return Cause(
        id=id_,
        kind="unusual",
        subject=metric.name,
        metric=metric.name,
        next=command,
        said=f"{written(verdict.value or 0)} on {verdict.day:%A} {verdict.day}; usual {by} is {usual}",
    )


def written(number: float) -> str:
    """Three digits that say something, and no fewer before the point."""
    if abs(number) >= 100 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.3g}"


def _revised(name: str, sizes: Sizes) -> Cause:
    said = f"the last run changed {sizes.last:.0%} of a usual day in days collected before; {sizes.most:.0%} was the most until now"
    return Cause(
        id=f"revised {name}",
        kind="revised",
        subject=name,
        metric=name,
        said=said,
        next="tallybook why {subject} " + str(sizes.day),
    )


# --- deliveries


def _look_at_deliveries(facts: Observations, found: Findings) -> None:
    for one in facts.status.deliveries:
        id_ = f"delivery {one.delivery}"
        if facts.status.running or one.delivery in facts.kept_back or facts.status.last_run is None:
            found.unsure.add(id_)
        elif one.delivery in facts.failed or one.waiting:
            said, hint = facts.failed.get(one.delivery, ("", ""))
            found.found[id_] = Cause(
                id=id_,
                kind="delivery",
                subject=f"delivery {one.delivery}",
                said=f"failed: {said}" if said else "waits to be made",
                next=hint or f"tallybook deliver {one.delivery}",
            )
        else:
            found.found[id_] = None
