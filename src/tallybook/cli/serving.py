"""`serve`: the daemon around `Book.run`. It logs what happens, and a failed run does not end it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from tallybook.book import Book, open_book
from tallybook.cli.failures import as_dict, as_ours
from tallybook.cli.log import log_alerts, log_run, logged_progress
from tallybook.cli.signals import Stop
from tallybook.cli.terminal import Terminal
from tallybook.core import (
    AlertReport,
    Busy,
    DeclarationError,
    NeverDue,
    QueryError,
    TallybookError,
    Timetable,
    utc_text,
)
from tallybook.monitor import DaemonContext, serve_daily

COMPLETED = ("done", "some failed", "source not ready", "failed")
"""Ends of runs that were not interrupted. An interrupted run is made up for."""
MAX_RUNS = 20
"""Maximum number of latest runs that are searched for the last complete one."""
RETRY_INTERVAL = timedelta(minutes=15)
"""Time after which an alert that could not be sent is sent again."""


class Serving:
    """The daemon of a project. It starts one run at a time, by the last timetable that could be read."""

    def __init__(self, terminal: Terminal, cron: str | None, stop: Stop) -> None:
        self.terminal, self.cron, self.stop = terminal, cron, stop
        self.table, self.max_jitter = self._read(terminal.book())
        self.alert_at: datetime | None = terminal.clock()
        """When to send waiting alerts next. At the start this is now, because an earlier process may have left some."""

    def serve(self) -> None:
        """Start a run whenever it is due, until stopped."""
        self.terminal.event("serving", schedule=self.table.cron, timezone=self.table.zone)
        last = last_run(self.terminal.book())
        self.terminal.book().close()  # each run opens its own
        context = DaemonContext(
            timetable=self.timetable,
            clock=self.terminal.clock,
            wait=self.stop.wait,
            run=self.run,
            last=last,
            jitter=lambda: random.uniform(0, self.max_jitter),
            waiting=self.waiting,
            meanwhile=self.meanwhile,
        )
        serve_daily(context)
        self.terminal.event("stopped")

    def timetable(self) -> Timetable:
        """The timetable as currently declared, or the previous one while the file cannot be read."""
        try:
            with self._opened() as book:
                self.table, self.max_jitter = self._read(book)
        except TallybookError as error:
            self.terminal.event("error", level="error", **as_dict(error))
        return self.table

    def run(self) -> None:
        """Run once, and log the result."""
        self.terminal.event("run_started")
        try:
            with self._opened() as book:
                report = book.run(on_progress=logged_progress(self.terminal), stop=self.stop)
                log_run(self.terminal, report)
                self._remember(report.alerts)
        except Busy as busy:
            self.terminal.event("busy", said=busy.message)
        except KeyboardInterrupt:
            if not self.stop.asked:
                raise
            self.terminal.event("run_stopped", level="warning")
        except Exception as error:  # noqa: BLE001  # logged; retried at the next due time
            self.alert_at = self.terminal.clock() + RETRY_INTERVAL
            self.terminal.event("error", level="error", **as_dict(as_ours(error)))

    def meanwhile(self) -> None:
        """Send what is left in the outbox, and waiting alerts when it is time."""
        self._deliver_rest()
        if self.alert_at is None or self.terminal.clock() < self.alert_at:
            return
        self.alert_at = None
        try:
            with self._opened() as book:
                if book.project.catalog.alerts.to and book.reader.has_book:
                    report = book.alert()
                    log_alerts(self.terminal, report)
                    self._remember(report)
        except Exception as error:  # noqa: BLE001  # logged; tried again after a while
            self.terminal.event("error", level="error", **as_dict(as_ours(error)))
            self.alert_at = self.terminal.clock() + RETRY_INTERVAL

    def _deliver_rest(self) -> None:
        try:
            with self._opened() as book:
                for report in book.deliver_rest():
                    self.terminal.event("delivery", level="error" if report.failed else "info", **report.to_dict())
        except Exception as error:  # noqa: BLE001  # logged; tried again after a while
            self.terminal.event("error", level="error", **as_dict(as_ours(error)))

    def _remember(self, alerts: AlertReport) -> None:
        """Record when to send again what could not be sent."""
        again = self.terminal.clock() + RETRY_INTERVAL if alerts.failed else None
        self.alert_at = alerts.quiet_until or again

    def waiting(self, until: datetime, missed: bool) -> None:
        """Log until when the daemon waits, or which time was missed."""
        self.terminal.event("missed" if missed else "waiting", due=utc_text(until))

    def _opened(self) -> Book:
        book = open_book(self.terminal.folder, now=self.terminal.now, env=self.terminal.env)
        self.terminal.hide(book.project.secrets)
        return book

    def _read(self, book: Book) -> tuple[Timetable, float]:
        catalog = book.project.catalog
        cron = self.cron or catalog.schedule.cron
        if cron is None:
            raise DeclarationError(
                "no schedule: give --schedule, or [schedule] in tallybook.toml",
                hint='tallybook serve --schedule "30 3 * * *", or in tallybook.toml:\n\n[schedule]\nat = "03:30"',
            )
        try:
            return Timetable(cron=cron, zone=catalog.book.timezone), catalog.schedule.jitter
        except NeverDue as error:
            raise QueryError(
                f"--schedule {cron!r} is not a cron expression: {error}",
                hint='five fields: minute, hour, day of the month, month, weekday; --schedule "30 3 * * *"',
            ) from None


def last_run(book: Book) -> datetime | None:
    """The start of the last run of all metrics that was not interrupted, or None."""
    declared = {name for name, metric in book.project.catalog.metrics.items() if not metric.derived}
    ended = [run for run in book.runs(MAX_RUNS) if run.what == "collect" and run.status in COMPLETED]
    whole = (run for run in ended if declared <= {one["metric"] for one in run.report.get("metrics", [])})
    return next((datetime.fromisoformat(run.started) for run in whole), None)
