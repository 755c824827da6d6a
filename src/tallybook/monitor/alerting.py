"""The steps of alerts: find the problems, store them, send them, and store who received them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from statistics import median
from typing import Any

from tallybook.collect import Ended
from tallybook.config import alert_name, mask
from tallybook.core import (
    LEVEL,
    ONE_DAY,
    AlertReport,
    Busy,
    DestinationError,
    Metric,
    QueryError,
    QuietHours,
    Refused,
    Row,
    TallybookError,
    is_complete_for,
)
from tallybook.monitor.alerts.causes import Findings, Observations, look as findings_of
from tallybook.monitor.alerts.known import (
    Due,
    Known,
    after as known_after,
    after_sending,
    as_kept,
    as_known,
    due as due_for,
    waiting,
    without_strangers,
)
from tallybook.monitor.alerts.message import Message, message as message_of, trial as trial_message
from tallybook.monitor.alerts.revised import Sizes
from tallybook.monitor.alerts.usual import LEVEL_DAYS, PERIODS_ABOVE, DailySeries
from tallybook.monitor.context import MonitorContext
from tallybook.monitor.health import COLLECT, MAX_RUNS, last_word
from tallybook.monitor.notify import beat, send
from tallybook.query import PeriodRows, Question, RunRecord, rows_by_metric
from tallybook.storage import Lease

JOB = "alerts"
LEASE_SECONDS = 120.0
PATIENCE_SECONDS = 15.0
SPARE_DAYS = 7


class Alerting:
    """The alerts of a book."""

    def __init__(self, context: MonitorContext) -> None:
        self.context, self.project, self.reader = context, context.project, context.reader
        self.settings = self.project.catalog.alerts
        zone = self.project.catalog.book.timezone
        self.quiet = QuietHours(*self.settings.quiet, zone) if self.settings.quiet else None

    # -- sending

    @contextmanager
    def crashes(self, *, whole: bool) -> Iterator[None]:
        """Send an alert when a run crashes; not when it was refused, or when another run was in progress."""
        try:
            yield
        except (Busy, QueryError, Refused):
            raise
        except Exception as error:
            ours = error if isinstance(error, TallybookError) else TallybookError(f"{type(error).__name__}: {error}")
            self.after_a_run(Ended(crash=ours), whole=whole)
            raise

    def after_a_run(self, ended: Ended, *, whole: bool) -> AlertReport:
        """Send alerts. After a run of all metrics, also call the heartbeat. A failure here is reported and does not
        change how the run ends."""
        report = AlertReport()
        if not (self.settings.to or self.settings.heartbeat):
            return report
        try:
            report = self.send_new(ended)
        except Busy as busy:
            report.failed.append({"to": "everybody", "error": busy.message, "hint": busy.hint})
        except Exception as error:  # noqa: BLE001  reported, and tried again by the next run
            reason = error.message if isinstance(error, TallybookError) else f"{type(error).__name__}: {error}"
            report.failed.append({"to": "everybody", "error": mask(reason, self.project)})
        if self.settings.heartbeat and whole:
            report.heartbeat = self.beat(well=ended.well)
        return report

    def send_new(self, ended: Ended | None = None) -> AlertReport:
        """Find the problems, and send each recipient the ones that it has not received yet. It is safe to call again
        and to kill: problems are stored before they are sent, and recipients are stored right after.

        Raises Busy when another process sends alerts for longer than PATIENCE_SECONDS."""
        report, ledger = AlertReport(), self.reader.store.ledger
        if not self.settings.to:
            return report
        lease = self._wait_for_lease()
        try:
            self._send_due(lease, self.look(ended), report)
        finally:
            ledger.release(lease)
        return report

    def _wait_for_lease(self) -> Lease:
        """Acquire the lease on sending. Another process that is sending alerts may have read the book before our run
        ended. So wait for it, then send what is left."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.reader.store.ledger.acquire(JOB, now=self.context.clock(), seconds=LEASE_SECONDS)
            except Busy:
                if time.monotonic() > deadline:
                    raise Busy(
                        "another process of this book is sending alerts",
                        hint="the next run sends what is left; or: tallybook alerts --send",
                    ) from None
            time.sleep(0.2)

    def _send_due(self, lease: Lease, look: Findings, report: AlertReport) -> None:
        now = self.context.clock()
        before = self.known()
        known = known_after(without_strangers(before, self.settings.to), look, now)
        self._keep(before, known, lease)
        for address in self.settings.to:
            if heard := due_for(known, address, self.quiet, now):
                self.reader.store.ledger.renew(lease, now=self.context.clock(), seconds=LEASE_SECONDS)
                if self._sent(address, self._message(heard), report):
                    after = after_sending(known, heard, address)
                    self._keep(known, after, lease)
                    known = after
                    report.told.append(
                        {"to": alert_name(address), "problems": len(heard.begun), "recovered": len(heard.ended)}
                    )
        report.waiting = waiting(known, self.settings.to, now)
        if report.waiting and self.quiet and self.quiet.at(now):
            report.quiet_until = self.quiet.ends(now)

    def _message(self, heard: Due) -> Message:
        book = self.project.catalog.book
        return message_of(heard, book=book.name, zone=book.timezone, now=self.context.clock())

    def _sent(self, address: str, message: Message, report: AlertReport) -> bool:
        try:
            send(address, message)
        except DestinationError as error:
            report.failed.append(self._failure(address, error))
            return False
        return True

    def _failure(self, address: str, error: TallybookError) -> dict[str, Any]:
        failure = {"to": alert_name(address), "error": mask(error.message, self.project)}
        return failure | ({"hint": mask(error.hint, self.project)} if error.hint else {})

    def try_out(self) -> AlertReport:
        """Send a test message to every address."""
        report, name = AlertReport(), self.project.catalog.book.name
        message = trial_message(book=name, now=self.context.clock())
        for address in self.settings.to:
            if self._sent(address, message, report):
                report.told.append({"to": alert_name(address)})
        return report

    def beat(self, *, well: bool) -> str:
        """Call the heartbeat. Returns `sent`, the failure, or an empty text if nothing was called."""
        try:
            return "sent" if beat(self.settings.heartbeat, well=well) else ""
        except DestinationError as error:
            return f"failed: {mask(error.message, self.project)}"

    # -- what is stored

    def current(self) -> list[Known]:
        """Current problems, and past problems whose end is not sent yet, with their recipients. Writes nothing."""
        return list(known_after(self.known(), self.look(), self.context.clock()).values())

    def known(self) -> dict[str, Known]:
        if not self.reader.has_book:
            return {}
        return {cause: as_known(state) for cause, state in self.reader.store.ledger.alerts().items()}

    def _keep(self, before: Mapping[str, Known], after: Mapping[str, Known], lease: Lease) -> None:
        """Write only the differences, because most calls find nothing new."""
        changed = {id_: one for id_, one in after.items() if before.get(id_) != one}
        gone = [id_ for id_ in before if id_ not in after]
        if changed or gone:
            metrics = [one.cause.metric for one in changed.values() if one.cause.metric]
            keys = self.reader.keys(metrics)
            kept = {id_: (keys.get(one.cause.metric or ""), as_kept(one)) for id_, one in changed.items()}
            self.reader.store.ledger.keep_alerts(kept, gone, lease=lease)

    # -- finding

    def look(self, ended: Ended | None = None) -> Findings:
        """The current problems. Reads the book, and writes nothing."""
        project, about = self.project, self.settings.about
        runs = [run for run in self.reader.runs(MAX_RUNS) if run.what == COLLECT]
        watched = [m for m in project.catalog.metrics.values() if m.alerts and not m.derived]
        valued = {"stopped", "unusual", "revised"} & set(about)
        series = self.series(watched) if valued and self.reader.has_book else {}
        report, crash = (ended.report, ended.crash) if ended else (None, None)
        deliveries = report.deliveries if report else []
        facts = Observations(
            catalog=project.catalog,
            status=self.context.status(),
            series=series if {"stopped", "unusual"} & valued else {},
            words={name: last_word(name, runs) for name in project.catalog.metrics},
            sizes=self.sizes(series, runs) if "revised" in about else {},
            crash=(mask(crash.message, project), mask(crash.hint, project)) if crash else None,
            failed={d.delivery: (mask(d.error or "", project), d.hint) for d in deliveries if d.failed and not d.busy},
            kept_back=frozenset(d.delivery for d in deliveries if d.busy),
        )
        return findings_of(facts, self.settings)

    def series(self, metrics: Sequence[Metric]) -> dict[str, DailySeries]:
        """Daily values of each metric under its current definition, for closed days that were collected. Imported days
        are left out."""
        keys = self.reader.keys([metric.name for metric in metrics])
        known = self.reader.snapshot(keys, None)
        covered: dict[str, Sequence[tuple[date, date]]] = {}
        ranges: dict[tuple[date, date], list[Metric]] = {}
        for metric in metrics:
            own, _ = self.reader.coverages(metric, keys[metric.name], known)
            if own.stretches:
                covered[metric.name] = own.stretches
                ranges.setdefault(self._range(own.stretches), []).append(metric)
        rows: dict[str, PeriodRows] = {}
        for (first, last), several in ranges.items():
            asked = Question(metrics=[metric.name for metric in several], from_=first, to=last, fill=True)
            rows |= rows_by_metric(self.context.answers.period_rows, asked)
        # Most metrics are collected on the same days, and share their rows.
        within: dict[Any, list[Row]] = {}
        found = {}
        for metric in metrics:
            if (shared := rows.get(metric.name)) is not None:
                key = (id(shared), tuple(covered[metric.name]))
                if key not in within:
                    within[key] = _within(shared.rows, covered[metric.name])
                found[metric.name] = self._series(metric, within[key])
        return found

    def _range(self, covered: Sequence[tuple[date, date]]) -> tuple[date, date]:
        """The first and last day to judge or compare with."""
        last = min(covered[-1][1], self.reader.today - ONE_DAY)
        first = last - (PERIODS_ABOVE * self.settings.unusual_history + LEVEL_DAYS + SPARE_DAYS) * ONE_DAY
        return max(first, covered[0][0]), last

    def _series(self, metric: Metric, rows: Sequence[Row]) -> DailySeries:
        """The values of a metric in its rows of covered days."""
        name = metric.name
        values = {row["period"]: row[name] for row in rows if is_complete_for(row, name)}
        counted = _counts(metric)
        return DailySeries(
            metric=metric.name,
            level=metric.kind == LEVEL,
            counted=counted,
            adds=metric.adds_up or counted,
            values={day: None if value is None else float(value) for day, value in values.items()},
        )

    def sizes(self, series: Mapping[str, DailySeries], runs: Sequence[RunRecord]) -> dict[str, Sizes]:
        """By metric, how much each of the latest runs changed it, oldest first."""
        about = {name: _runs_of(name, runs) for name in series}
        first = min((run for several in about.values() for run in several), default=0)
        revised = self.reader.store.ledger.revised(first) if first else {}
        keys, found = self.reader.keys(list(series)), {}
        for name, numbers in about.items():
            usual = median([abs(v) for v in series[name].values.values() if v] or [0])
            if numbers and usual:
                changed = [revised.get((keys[name], run), (0.0, None)) for run in numbers]
                found[name] = Sizes(shares=[size / usual for size, _ in changed], day=changed[-1][1])
        return found


def _within(rows: Sequence[Row], covered: Sequence[tuple[date, date]]) -> list[Row]:
    """The rows of covered days."""
    return [row for row in rows if any(first <= row["period"] <= last for first, last in covered)]


def _counts(metric: Metric) -> bool:
    """Whether the metric is a count or a distinct count."""
    parsed = metric.parsed
    linear = parsed is not None and parsed.linear and metric.second is None
    return linear and parsed is not None and all(slot.agg in ("count", "count_distinct") for slot in parsed.slots)


def _runs_of(metric: str, runs: Sequence[RunRecord]) -> list[int]:
    """The runs that collected the metric, oldest first."""
    return [run.run for run in reversed(runs) if last_word(metric, [run]).get("days")]
