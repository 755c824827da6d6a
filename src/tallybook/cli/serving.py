"""`serve`: the daemon around `Book.run`. It tells what happens and is never ended by what goes wrong in a run."""

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

HELD = ("done", "some failed", "source not ready", "failed")
"""How a run ends that came to its end; others were cut short and are made up for."""
RUNS = 20
AGAIN = timedelta(minutes=15)
"""After so long an alert that could not be sent is tried again."""


class Serving:
    """The project as it was last read well, and one run of it after the other."""

    def __init__(self, terminal: Terminal, cron: str | None, stop: Stop) -> None:
        self.terminal, self.cron, self.stop = terminal, cron, stop
        self.table, self.most_jitter = self._read(terminal.book())
        self.tell_at: datetime | None = terminal.clock()
        """When to look for what is still to be told: who was here before may have left something."""

    def serve(self) -> None:
        self.terminal.event("serving", schedule=self.table.cron, timezone=self.table.zone)
        last = last_run(self.terminal.book())
        self.terminal.book().close()  # each run opens its own
        means = DaemonContext(
            timetable=self.timetable,
            clock=self.terminal.clock,
            wait=self.stop.wait,
            run=self.run,
            last=last,
            jitter=lambda: random.uniform(0, self.most_jitter),
            waiting=self.waiting,
            meanwhile=self.meanwhile,
        )
        serve_daily(means)
        self.terminal.event("stopped")

    def timetable(self) -> Timetable:
        """As it is declared now; as it was, while that cannot be read."""
        try:
            with self._opened() as book:
                self.table, self.most_jitter = self._read(book)
        except TallybookError as error:
            self.terminal.event("error", level="error", **as_dict(error))
        return self.table

    def run(self) -> None:
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
        except Exception as error:  # noqa: BLE001  # told; the next due time tries again
            self.tell_at = self.terminal.clock() + AGAIN
            self.terminal.event("error", level="error", **as_dict(as_ours(error)))

    def meanwhile(self) -> None:
        """Tell what had to wait, once it is time."""
        if self.tell_at is None or self.terminal.clock() < self.tell_at:
            return
        self.tell_at = None
        try:
            with self._opened() as book:
                if book.project.catalog.alerts.to and book.held.there:
                    told = book.alert()
                    log_alerts(self.terminal, told)
                    self._remember(told)
        except Exception as error:  # noqa: BLE001  told; tried again after a while
            self.terminal.event("error", level="error", **as_dict(as_ours(error)))
            self.tell_at = self.terminal.clock() + AGAIN

    def _remember(self, alerts: AlertReport) -> None:
        """When to tell what could not be told."""
        again = self.terminal.clock() + AGAIN if alerts.failed else None
        self.tell_at = alerts.quiet_until or again

    def waiting(self, until: datetime, missed: bool) -> None:
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
                "nothing says when to run: neither --schedule nor [schedule] in tallybook.toml",
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
    """When the last run began that came to its end and was about all metrics."""
    declared = {name for name, metric in book.project.catalog.metrics.items() if not metric.derived}
    ended = [run for run in book.runs(RUNS) if run["what"] == "collect" and run["status"] in HELD]
    whole = (run for run in ended if declared <= {one["metric"] for one in run["report"].get("metrics", [])})
    return next((datetime.fromisoformat(run["started"]) for run in whole), None)
