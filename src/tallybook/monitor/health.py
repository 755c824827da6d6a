"""Whether all is well, at a glance: the last run, how far each metric is collected, what waits, what is next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tallybook.core import ONE_DAY, Catalog, Timetable, calendar, utc_text

GRACE = timedelta(hours=1)
"""So long after it was due a run may take before what it has not collected is late."""
CLOCK_DIFFERENCE = timedelta(hours=1)
"""Clocks of two hosts may differ by less."""
RUNS = 50
"""So many of the latest runs are looked at for the last word on each metric."""
MANY = 4
"""So many metrics are not named in the command to paste."""
COLLECT = "collect"
SOUND = ("done", "some failed")
"""A run that failed of some metrics is told of by these metrics."""


@dataclass(frozen=True, kw_only=True)
class MetricStatus:
    """How far a metric is: `to` its last collected day, `days_late` behind the day it should be at."""

    metric: str
    to: date | None
    days_late: int
    gaps: int
    error: str = ""
    """Of the latest run that tried to collect it."""
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class DeliveryStatus:
    """`waiting`: what was last delivered is not what the last run has collected, or was never. `behind`: days since it
    was, where it waits."""

    delivery: str
    waiting: bool
    at: str | None
    behind: int | None = None

    @property
    def problem(self) -> str:
        """What is wrong with one that waits."""
        if self.behind:
            days = f"{self.behind} day{'' if self.behind == 1 else 's'}"
            return f"{self.delivery} is {days} behind: last delivered {(self.at or '')[:10]}; tallybook deliver {self.delivery}"
        return f"{self.delivery} waits to be delivered: tallybook deliver {self.delivery}"


@dataclass(frozen=True, kw_only=True)
class Status:
    """A book at an instant. `problems` say everything that is not as it should be; `due` is the day up to which
    all should be collected by now."""

    book: str
    timezone: str
    now: datetime
    version: int
    running: bool
    last_run: Mapping[str, Any] | None
    next_due: datetime | None
    due: date
    metrics: tuple[MetricStatus, ...]
    deliveries: tuple[DeliveryStatus, ...]
    ahead: tuple[str, ...] = ()
    """Days that were collected under a clock that was ahead."""

    @property
    def problems(self) -> list[str]:
        if self.last_run is None:
            return [] if self.running else ["nothing is collected yet: tallybook run"]
        number, how = self.last_run["run"], self.last_run["status"]
        found = [] if how in SOUND or self.running else [f"run {number} ended otherwise than it should: {how}"]
        found += [f"{said}: tallybook run" for said in self.ahead] or self._future()
        found += [f"{m.metric} failed: {m.error}" for m in self.metrics if m.error]
        found += self._late()
        return found + [d.problem for d in self.deliveries if d.waiting and not self.running]

    def _future(self) -> list[str]:
        """A last run that lies after now: one of the clocks is wrong."""
        began = datetime.fromisoformat(self.last_run["started"]) if self.last_run else self.now
        if began <= self.now + CLOCK_DIFFERENCE or self.last_run is None:
            return []
        return [
            (
                f"run {self.last_run['run']} began at {began:%Y-%m-%d %H:%M} UTC, which lies after now: look at the clocks of its "
                "host and of this one"
            )
        ]

    def _late(self) -> list[str]:
        """What is late, metrics that are so by the same days in one sentence."""
        late: dict[date | None, list[MetricStatus]] = {}
        for metric in self.metrics:
            if metric.days_late and not metric.error:
                late.setdefault(metric.to, []).append(metric)
        return [_late(metrics, to, self.due) for to, metrics in late.items()]

    @property
    def well(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """As `--format json` prints it: instants in UTC, days as ISO texts."""
        plain = asdict(self) | {"well": self.well, "problems": self.problems}
        return {key: _plain(value) for key, value in plain.items()}


def _late(metrics: Sequence[MetricStatus], to: date | None, due: date) -> str:
    several, names = len(metrics) > 1, [metric.metric for metric in metrics]
    command = f"tallybook run {' '.join(names)}" if len(names) < MANY else "tallybook run"
    if to is None:
        was, it = ("were", "they are") if several else ("was", "it is")
        return f"{', '.join(names)} {was} never collected as {it} declared now: {command}"
    days = f"{metrics[0].days_late} day{'s' if metrics[0].days_late > 1 else ''}"
    return f"{', '.join(names)} {'are' if several else 'is'} {days} late: collected to {to}, due to {due}; {command}"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def status(
    catalog: Catalog,
    *,
    now: datetime,
    version: int,
    running: bool,
    runs: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    delivered: Mapping[str, tuple[int, str]],
    answered: Sequence[str],
    ahead: Sequence[str] = (),
) -> Status:
    """`runs` are the latest, newest first; `metrics` as `Book.metrics` tells them; `delivered` the version and
    instant of each delivery; `answered` those that answer what is declared now."""
    collects = [run for run in runs if run["what"] == COLLECT]
    timetable = Timetable(cron=catalog.schedule.cron, zone=catalog.book.timezone) if catalog.schedule.cron else None
    due = due_day(timetable, catalog, now)
    ended = next((run["report"].get("version", 0) for run in collects if run["report"]), 0)
    return Status(
        book=catalog.book.name,
        timezone=catalog.book.timezone,
        now=now,
        version=version,
        running=running,
        last_run=_last(collects, running=running),
        next_due=timetable.after(now) if timetable else None,
        due=due,
        ahead=tuple(ahead),
        metrics=tuple(
            _metric(m, due, catalog, last_word(m["metric"], collects)) for m in metrics if m["kind"] != "derived"
        ),
        deliveries=tuple(
            _delivery(name, delivered.get(name, (0, None)), ended, now, answered=name in answered)
            for name, delivery in catalog.deliveries.items()
            if not delivery.later
        ),
    )


def _delivery(name: str, last: tuple[int, str | None], ended: int, now: datetime, *, answered: bool) -> DeliveryStatus:
    """`last`: the version and the instant of its last success; `ended`: the version of the last run."""
    version, at = last
    waiting = not answered or version < ended
    behind = (now - datetime.fromisoformat(at)).days if waiting and at else None
    return DeliveryStatus(delivery=name, at=at, waiting=waiting, behind=behind)


def due_day(timetable: Timetable | None, catalog: Catalog, now: datetime) -> date:
    """The day up to which all should be collected: what was over when a run was last due, or where nothing says
    when, what was over a day ago."""
    before = now - ONE_DAY
    if timetable is not None:
        before = timetable.before(now - GRACE - timedelta(seconds=catalog.schedule.jitter))
    return calendar.last_closed_day(before, catalog.book.timezone)


def _last(collects: Sequence[Mapping[str, Any]], *, running: bool) -> Mapping[str, Any] | None:
    if not collects:
        return None
    run, done = collects[0], collects[0]["report"].get("metrics", [])
    told = "lost" if run["status"] == "running" and not running else run["status"]
    return {
        "run": run["run"],
        "status": told,
        "started": run["started"],
        "finished": run["finished"],
        "days": sum(m.get("days", 0) for m in done),
        "failed": [m["metric"] for m in done if m.get("error")],
    }


def last_word(metric: str, collects: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the latest run that was about it says of a metric."""
    said = (one for run in collects for one in run["report"].get("metrics", []) if one["metric"] == metric)
    return next(said, {})


def _metric(told: Mapping[str, Any], due: date, catalog: Catalog, word: Mapping[str, Any]) -> MetricStatus:
    name = told["metric"]
    start = catalog.metrics[name].start or catalog.book.start
    to = date.fromisoformat(told["to"]) if told["to"] else None
    begun = to or (start - ONE_DAY if start else due - ONE_DAY)
    return MetricStatus(
        metric=name,
        to=to,
        days_late=max((due - begun).days, 0),
        gaps=told["gaps"],
        error=word.get("error") or "",
        hint=word.get("hint") or "",
    )
