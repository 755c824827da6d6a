"""Status of a book at a glance: the last run, how far each metric is collected, waiting deliveries, the next run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tallybook.core import ONE_DAY, Catalog, Timetable, calendar, shorten_list, utc_text
from tallybook.monitor.event_health import UNUSED, EventProblem
from tallybook.query import MetricDescription, RunRecord, next_push

if TYPE_CHECKING:
    from tallybook.deliver import OutboxProgress

GRACE = timedelta(hours=1)
"""Time that a run may take after it was due before missing days count as late."""
MAX_CLOCK_DIFFERENCE = timedelta(hours=1)
"""Maximum difference between the clocks of two hosts that is not reported."""
MAX_RUNS = 50
"""Number of latest runs that are searched for the last report of each metric."""
MAX_IN_COMMAND = 3
"""Maximum number of metrics named in a command to paste."""
MAX_NAMED = 8
"""Maximum number of failed metrics named in one sentence."""
COLLECT = "collect"
SOUND = ("done", "some failed")
"""Ends of a run that are not a problem of the run itself, because failed metrics report themselves."""


@dataclass(frozen=True, kw_only=True)
class MetricStatus:
    """How far a metric is collected. `to` is its last collected day; `days_late` counts the missing days after it."""

    metric: str
    to: date | None
    days_late: int
    gaps: int
    """Number of missing days between its first and its last collected day."""
    lost: bool = False
    """Whether no run can collect the missing days, because only the present is visible or values are pushed."""
    error: str = ""
    """The error of the latest run that tried to collect it."""
    hint: str = ""
    said: str = ""
    """Why it is late, if no run can collect the missing days."""
    next: str = ""
    """What to do about it."""


@dataclass(frozen=True, kw_only=True)
class DeliveryStatus:
    """Whether a delivery is up to date. `waiting`: the last run collected something newer, or it was never delivered.
    `behind`: days since the last delivery, if it waits. `left`: outbox items that are not sent yet. `refused`: items
    that the receiver rejected. `said`: the last answer of the receiver."""

    delivery: str
    waiting: bool
    at: str | None
    behind: int | None = None
    left: int = 0
    refused: int = 0
    said: str = ""
    stopped: bool = False
    restated: tuple[str, ...] = ()
    """Values that changed after they were sent to a receiver that cannot take them back, in words."""

    @property
    def progress(self) -> str:
        """How far the delivery is, in words."""
        found = [f"{self.left:,} to send"] if self.left else []
        found += [f"{self.refused:,} refused"] if self.refused else []
        return ", ".join([*found, *([self.said] if self.said else [])])

    @property
    def problem(self) -> str:
        """The problem of a waiting delivery, with the next command."""
        if self.stopped:
            return f"{self.delivery} is stopped: {self.said}; mend it, then: tallybook deliver {self.delivery} --force"
        if self.left:
            return f"{self.delivery} is not sent yet: {self.progress}; tallybook deliver {self.delivery}"
        if self.behind:
            days = f"{self.behind} day{'' if self.behind == 1 else 's'}"
            return (
                f"{self.delivery} is {days} behind: last delivered {(self.at or '')[:10]}; "
                f"tallybook deliver {self.delivery}"
            )
        return f"{self.delivery} is not delivered yet: tallybook deliver {self.delivery}"


@dataclass(frozen=True, kw_only=True)
class Status:
    """A book at an instant. `problems` lists everything that is wrong; `due` is the day up to which everything should
    be collected by now."""

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
    """Sentences about days and attributes that were collected while a clock was ahead."""
    events: tuple[EventProblem, ...] = ()
    """One result per check of each key and event. Its text is empty if nothing is wrong."""
    older: tuple[str, ...] = ()
    """Sentences about days that are stored under an older definition or another name."""
    unusual: tuple[str, ...] = ()
    """Sentences about metrics with unusual last values. Not a problem of the book."""
    goals_off: tuple[str, ...] = ()
    """Sentences about goals that are behind, missed or exceeded. Not a problem of the book."""

    @property
    def problems(self) -> list[str]:
        """One sentence for each problem, with the next command if there is one that helps."""
        of_events = [one.sentence for one in self.events if one.said and one.kind != UNUSED]
        if self.last_run is None:
            return of_events if self.running else ["nothing has been collected yet: tallybook run", *of_events]
        found = [f"{sentence}: tallybook run" for sentence in self.ahead] or self._future()
        found = [*self._failed(), *found, *self._late(), *self._with_gaps(), *self.older, *of_events]
        return found + [d.problem for d in self.deliveries if d.waiting and not self.running]

    @property
    def remarks(self) -> list[str]:
        """Facts worth knowing that are not problems: unusual values, goals that are behind or missed, events that feed
        no metric, and days that no run can collect."""
        unused = [one.sentence for one in self.events if one.said and one.kind == UNUSED]
        return [*self.unusual, *self.goals_off, *unused, *self.losses]

    @property
    def losses(self) -> list[str]:
        """Sentences about the metrics with missing days that no run can collect."""
        return [
            f"{m.metric} lacks {_days(m.gaps)} that no run can collect; tallybook coverage {m.metric} shows which"
            for m in self.metrics
            if m.gaps and m.lost
        ]

    def _failed(self) -> list[str]:
        """Sentences about a last run that failed as a whole, and about the metrics that failed. Metrics with the same
        error share a sentence."""
        failed: dict[str, list[str]] = {}
        for metric in self.metrics:
            if metric.error:
                failed.setdefault(metric.error, []).append(metric.metric)
        number, how = (self.last_run["run"], self.last_run["status"]) if self.last_run else (0, SOUND[0])
        if how in SOUND or self.running:
            return [f"{_listed(names)} failed: {error}" for error, names in failed.items()]
        if len(failed) == 1:
            return [
                f"run {number} failed: {error} (not collected: {_listed(names)})" for error, names in failed.items()
            ]
        return [
            f"run {number} failed: {reason(how)}",
            *(f"{_listed(names)} failed: {e}" for e, names in failed.items()),
        ]

    def _future(self) -> list[str]:
        """The problem of a last run in the future: one of the clocks is wrong."""
        began = datetime.fromisoformat(self.last_run["started"]) if self.last_run else self.now
        if began <= self.now + MAX_CLOCK_DIFFERENCE or self.last_run is None:
            return []
        return [
            (
                f"run {self.last_run['run']} began at {began:%Y-%m-%d %H:%M} UTC, which is in the future: check "
                "the clock of its "
                "host and the clock of this one"
            )
        ]

    def _late(self) -> list[str]:
        """Sentences about the late metrics. Metrics with the same last day share a sentence."""
        late: dict[date | None, list[MetricStatus]] = {}
        for metric in self.metrics:
            if metric.days_late and not metric.error and not metric.said:
                late.setdefault(metric.to, []).append(metric)
        unpushed = [
            f"{m.metric} is {_days(m.days_late)} late: {m.said}; {m.next}"
            for m in self.metrics
            if m.said and not m.error
        ]
        return [*(_late(metrics, to, self.due) for to, metrics in late.items()), *unpushed]

    def _with_gaps(self) -> list[str]:
        """Sentences about metrics with missing days that a run can collect. Metrics with the same number of days share
        a sentence."""
        gaps: dict[int, list[str]] = {}
        for metric in self.metrics if not self.running else ():
            if metric.gaps and not (metric.lost or metric.error or metric.days_late):
                gaps.setdefault(metric.gaps, []).append(metric.metric)
        return [
            f"{_days(number)} of {_listed(names)} {'is' if number == 1 else 'are'} missing between collected days: "
            f"{_run_command(names)}"
            for number, names in gaps.items()
        ]

    @property
    def well(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The output of `--format json`: instants in UTC, days as ISO texts."""
        plain = asdict(self) | {"well": self.well, "problems": self.problems, "remarks": self.remarks}
        plain["events"] = [asdict(one) for one in self.events if one.said]
        return {key: _plain(value) for key, value in plain.items()}


def reason(status: str) -> str:
    """Why a run failed, by its status."""
    return "its process ended without a report" if status == "lost" else status


def _listed(names: Sequence[str]) -> str:
    return shorten_list(names, MAX_NAMED)


def _late(metrics: Sequence[MetricStatus], to: date | None, due: date) -> str:
    several, names = len(metrics) > 1, [metric.metric for metric in metrics]
    command = _run_command(names)
    if to is None:
        was, it = ("were", "they are") if several else ("was", "it is")
        return f"{', '.join(names)} {was} never collected as {it} declared now: {command}"
    days = _days(metrics[0].days_late)
    return f"{', '.join(names)} {'are' if several else 'is'} {days} late: collected to {to}, due to {due}; {command}"


def _run_command(names: Sequence[str]) -> str:
    return f"tallybook run {' '.join(names)}" if len(names) <= MAX_IN_COMMAND else "tallybook run"


def _days(number: int) -> str:
    return f"{number} day{'s' if number > 1 else ''}"


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
    runs: Sequence[RunRecord],
    metrics: Sequence[MetricDescription],
    delivered: Mapping[str, tuple[int, str]],
    answered: Sequence[str],
    ahead: Sequence[str] = (),
    unpushed: Callable[[date], Mapping[str, Sequence[date]]] = lambda due: {},
    events: Sequence[EventProblem] = (),
    older: Sequence[str] = (),
    boxed: Mapping[str, OutboxProgress] = MappingProxyType({}),
) -> Status:
    """The status of a book. `runs`: the latest runs, newest first. `metrics`: the result of `Book.metrics`.
    `delivered`: version and instant of each delivery. `answered`: deliveries that match the current declaration.
    `unpushed`: for metrics of pushed values, the expected days for which no value came. `boxed`: the state of
    deliveries with an outbox."""
    collects = [run for run in runs if run.what == COLLECT]
    timetable = Timetable(cron=catalog.schedule.cron, zone=catalog.book.timezone) if catalog.schedule.cron else None
    due = due_day(timetable, catalog, now)
    without = unpushed(due)
    ended = next((run.report.get("version", 0) for run in collects if run.report), 0)
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
        events=tuple(events),
        metrics=tuple(
            _metric(m, due, catalog, last_word(m.metric, collects), without.get(m.metric))
            for m in metrics
            if m.kind != "derived"
        ),
        older=tuple(older),
        deliveries=tuple(
            _boxed(name, boxed[name], ended, now)
            if name in boxed
            else _delivery(name, delivered.get(name, (0, None)), ended, now, answered=name in answered)
            for name, delivery in catalog.deliveries.items()
        ),
    )


def _delivery(name: str, last: tuple[int, str | None], ended: int, now: datetime, *, answered: bool) -> DeliveryStatus:
    """The status of one delivery. `last`: version and instant of its last success; `ended`: the version of the last
    run."""
    version, at = last
    waiting = not answered or version < ended
    behind = (now - datetime.fromisoformat(at)).days if waiting and at else None
    return DeliveryStatus(delivery=name, at=at, waiting=waiting, behind=behind)


def _boxed(name: str, found: OutboxProgress, ended: int, now: datetime) -> DeliveryStatus:
    """The status of a delivery with an outbox."""
    waiting = found.is_outdated or found.version < ended or bool(found.left or found.stopped)
    behind = (now - datetime.fromisoformat(found.at)).days if waiting and found.at else None
    return DeliveryStatus(
        delivery=name,
        at=found.at,
        waiting=waiting,
        behind=behind,
        left=found.left,
        refused=found.refused,
        said=found.stopped or found.said,
        stopped=bool(found.stopped),
        restated=found.restated,
    )


def due_day(timetable: Timetable | None, catalog: Catalog, now: datetime) -> date:
    """The last day that should be collected by now. It is the last day that was closed when a run was last due, or a
    day ago if there is no timetable."""
    before = now - ONE_DAY
    if timetable is not None:
        before = timetable.before(now - GRACE - timedelta(seconds=catalog.schedule.jitter))
    return calendar.last_closed_day(before, catalog.book.timezone)


def _last(collects: Sequence[RunRecord], *, running: bool) -> Mapping[str, Any] | None:
    if not collects:
        return None
    run, done = collects[0], collects[0].report.get("metrics", [])
    return {
        "run": run.run,
        "status": "lost" if run.status == "running" and not running else run.status,
        "started": run.started,
        "finished": run.finished,
        "days": sum(m.get("days", 0) for m in done),
        "failed": [m["metric"] for m in done if m.get("error")],
    }


def last_word(metric: str, collects: Sequence[RunRecord]) -> Mapping[str, Any]:
    """The report of a metric in the latest run that included it; empty if no run did."""
    reports = (one for run in collects for one in run.report.get("metrics", []) if one["metric"] == metric)
    return next(reports, {})


def _metric(
    described: MetricDescription,
    due: date,
    catalog: Catalog,
    word: Mapping[str, Any],
    unpushed: Sequence[date] | None = None,
) -> MetricStatus:
    """The status of one metric. `unpushed`: the days for which no value was pushed; None for a metric whose days are
    all collected by runs."""
    name = described.metric
    start = catalog.metrics[name].start or catalog.book.start
    to = date.fromisoformat(described.to) if described.to else None
    begun = to or (start - ONE_DAY if start else due - ONE_DAY)
    late, said, next_ = max((due - begun).days, 0), "", ""
    if unpushed is not None:
        metric = catalog.metrics[name]
        after = calendar.days(begun + ONE_DAY, due) if begun < due else ()
        expected = [day for day in after if metric.expect is None or day.weekday() in metric.expect]
        late = len({*expected, *unpushed})
        if unpushed:
            more = f" and {_days(len(unpushed) - 1)} more" if len(unpushed) > 1 else ""
            said, next_ = f"no value was pushed for {unpushed[0]}{more}", next_push(metric, unpushed[0])
    return MetricStatus(
        metric=name,
        to=to,
        days_late=late,
        said=said,
        next=next_,
        gaps=described.gaps,
        lost=catalog.metrics[name].snapshot or unpushed is not None,
        error=word.get("error") or "",
        hint=word.get("hint") or "",
    )
