"""`Book`: a project and its book. It runs the verbs in sequence; the rooms below contain the algorithms.

book = open_book("folder with tallybook.toml")
book.run()
book.query("revenue", scope="month", by=["plan"]).to_pandas()"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

# Rooms import a name when it is first used.
from tallybook import act, collect, deliver as delivering, ingest, monitor, query as querying
from tallybook.collect import ImportRequest
from tallybook.config import Project, known_source, load
from tallybook.core import BookError, Busy, QueryError, Result, TallybookError
from tallybook.keeping import KeptBook
from tallybook.query import BookReader, Day, QueryService, Question, QuestionOptions, as_day, keywords_of

if TYPE_CHECKING:
    from tallybook.core import AlertReport, DeliveryReport
    from tallybook.storage import HookSubscription


def open_book(
    folder: str | Path = ".",
    *,
    now: Callable[[], datetime] | None = None,
    env: Mapping[str, str] | None = None,
) -> Book:
    """Open the book of the project in `folder`. Raises DeclarationError with every problem of its files.

    `now` is the clock (it returns aware times) and `env` the environment; the defaults are the real ones."""
    return Book(load(Path(folder), os.environ if env is None else env), now=now)


@querying.python_errors
class Book(KeptBook):
    """A project with its book. Usable as a context manager.

    Several threads may query one Book at the same time, also during a run and in forked children. Several processes
    may open the same book."""

    shell = False
    """Whether errors name commands of a shell, and not methods and arguments."""

    def __init__(self, project: Project, *, now: Callable[[], datetime] | None = None) -> None:
        self.project = project
        self.clock = now or (lambda: datetime.now(UTC))
        self.reader = BookReader(project, self._now)
        self.answers = QueryService(project.catalog, self.reader)

    def __enter__(self) -> Book:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Book {str(self.project.folder)!r}: {len(self.project.catalog.metrics)} metrics>"

    def _now(self) -> datetime:
        """The time now, from the current `clock`: tests and callers may replace the attribute."""
        return self.clock()

    def day(self, text: Day | None) -> date | None:
        """Convert a date, ISO text, "today" or "yesterday" to a date. Raises QueryError with the accepted forms."""
        return as_day(text, self.today)

    # -- collect -------------------------------------------------------------------------------------

    def run(
        self,
        *metrics: str,
        from_: Day | None = None,
        to: Day | None = None,
        sources: Mapping[str, str] | None = None,
        source_as_of: datetime | None = None,
        source_moved: Sequence[str] = (),
        older_source: bool = False,
        on_progress: collect.OnProgress | None = None,
        publish_seconds: float | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> collect.RunReport:
        """Collect every closed day that is missing and the lookback days; with `from_`/`to`, collect those days again.

        Then evaluate the rules, deliver new results, and send the alerts that [alerts] declares. `sources` ({name:
        URL}) reads copies instead; a copy needs `source_as_of` or a declared `fresh`. Days that were last read from
        a fresher source are skipped, unless `older_source`. Once `stop` returns true, the run stores the day it is
        collecting and ends with KeyboardInterrupt. Raises Busy while another run writes to the book, Refused for
        days that are not over."""
        for name in source_moved:
            known_source(self.project.catalog, name)
        context = self._run_context(sources, source_as_of)
        context.on_progress, context.moved = on_progress, tuple(source_moved)
        context.stop = stop or context.stop
        context.publish_seconds = context.publish_seconds if publish_seconds is None else publish_seconds
        days = (self.day(from_), self.day(to))
        request = collect.run_request(self.project.catalog, metrics, *days, older_source=older_source)
        return self._run(context, request, whole=not (metrics or from_ or to or sources))

    def _run(self, context: collect.RunContext, request: collect.RunRequest, *, whole: bool) -> collect.RunReport:
        alerting = self._alerting()
        with alerting.crashes(whole=whole):
            report = collect.run(context, request)
            self.answers.forget_answers()
            report.rules = act.evaluate_after_a_run(self.rules)
            report.deliveries = delivering.deliver_after_a_run(self._delivery_context())
        report.alerts = alerting.after_a_run(collect.Ended(report=report), whole=whole)
        # The run's results are stored and delivered. If housekeeping fails, the next run tries it again.
        with suppress(BookError, Busy):
            collect.keep_house(self.reader, report, self.clock())
            if context.catalog.events.keep is not None:
                self._event_upkeep().delete_old()
        return report

    def plan(
        self,
        *metrics: str,
        from_: Day | None = None,
        to: Day | None = None,
        sources: Mapping[str, str] | None = None,
        source_as_of: datetime | None = None,
        older_source: bool = False,
    ) -> collect.RunPlan:
        """The plan of a `run` with these arguments. Queries the sources and writes nothing."""
        with self.reader.only_reading():
            context = self._run_context(sources, source_as_of)
            days = (self.day(from_), self.day(to))
            return collect.make_plan(
                context, collect.run_request(self.project.catalog, metrics, *days, older_source=older_source)
            )

    def _run_context(self, copies: Mapping[str, str] | None, copied_at: datetime | None) -> collect.RunContext:
        return collect.prepare_run(self.project, self.store, self.clock, copies=copies, copied_at=copied_at)

    @keywords_of(ImportRequest, "metric", "file")
    def import_history(
        self, metric: str, file: str | Path, **options: Unpack[collect.ImportOptions]
    ) -> collect.Imported:
        """Import finished daily values of `metric` from a CSV file, a workbook or the address of a Google Sheet.

        They are kept under a definition of their own. With `history = "imported"` they answer for the time before
        the first collected day.

        `day` and `value` are column headings, `dims` is "plan" or "plan=Tariff", `dates` is dmy or mdy, and
        `decimal` is the decimal separator. `skip`: lines before the headings. `headings`: the number of heading
        lines. `across`: each day has its own column. `ignore`: lines and columns with one of these texts are left
        out (totals). `check` compares with the collected values and stores nothing. Raises DeclarationError with all
        problems of the file, each with its line."""
        asked = ImportRequest(metric=metric, file=str(file), **options)
        done = collect.import_history(asked, self.answers, self.clock)
        self.answers.read_again()
        return done

    def look(self) -> list[collect.Inspection]:
        """Compare every metric with its source, for `check --source`. An unreachable source is reported once."""
        return collect.inspect_metrics(self.project, self.clock())

    def look_at_sources(self) -> list[collect.SourceInspection]:
        """Inspect each source as a whole, for `check --source`. Unreachable sources are left out."""
        return collect.inspect_sources(self.project)

    # -- query ---------------------------------------------------------------------------------------

    @keywords_of(Question, "metrics")
    def query(self, *metrics: str | Sequence[str], **options: Unpack[QuestionOptions]) -> Result:
        """Query metrics, also given as lists, or an `event` and its measures (`count=True`, `sum="seats"`).

        Days are dates, ISO texts, "today" or "yesterday"; both ends are included. Raises QueryError for undeclared
        names, and Refused for a question that has no correct answer."""
        with querying.errors_in_python_words():
            return self.ask(querying.asked_in_python(metrics, options))

    def ask(self, question: Question) -> Result:
        """Answer a `Question` object; `query` builds one from its arguments. Raises the same errors as `query`."""
        if question.event is not None:
            return collect.EventAnswers(self.project, self.clock).answer(question)
        return self._live_answers().answer(question) if question.live else self.answers.answer(question)

    def formula(self, formula: str, *answers: Result) -> Result:
        """Answers side by side, called A to D, and a formula of them for each period. Raises QueryError."""
        return querying.answer_of_formula(formula, answers, self.today)

    def check(self, question: Question) -> None:
        """Raise the errors of `ask` that can be found without an answer. Questions about an event are not checked."""
        if question.event is None:
            (self._live_answers() if question.live else self.answers).check(question)

    @keywords_of(Question, "metrics")
    def csv(self, *metrics: str | Sequence[str], **options: Unpack[QuestionOptions]) -> str | None:
        """The text that `query(…).to_csv()` returns, many times faster; None for a question that only `query` answers.
        It supports millions of rows of metrics by dimensions, with the total, last or first day of each period."""
        with querying.errors_in_python_words():
            return self.answers.csv(querying.asked_in_python(metrics, options))

    def goals(self, *names: str, on: Day | None = None, last: str | None = None) -> list[querying.Standing]:
        """Progress of these goals, or of all, in the period that contains `on` (default: the last closed day).
        Only days up to `on` count. With `last`, such as "3 months", also the earlier periods. In the order of the
        file."""
        catalog, day = self.project.catalog, self.day(on)
        return querying.standings(catalog, names, self.answers, today=self.today, on=day, span=last)

    def _live_answers(self) -> collect.LiveAnswers:
        return collect.LiveAnswers(self.project, self.answers, self.clock)

    # -- look behind ---------------------------------------------------------------------------------

    def why(
        self, metric: str, day: Day | None = None, *, by: Sequence[str] = (), where: Sequence[str] = ()
    ) -> querying.Explanation:
        """Explain the number of one day: the `result`, and for each metric in it the definition, coverage, run and
        revisions. `lineage` lists the tables and columns behind the metric. Without a day, only the lineage and its
        users."""
        return querying.explain(self.answers, metric, self.day(day), by, where)

    def coverage(
        self, *metrics: str, from_: Day | None = None, to: Day | None = None
    ) -> list[querying.CoverageCalendar]:
        """The coverage calendar of each metric (default: all): its `months`, and its `gaps` with the command to collect
        them.

        Expected days run from the declared start, or else the first collected day, to yesterday."""
        return querying.coverage_calendars(self.reader, metrics, self.day(from_), self.day(to))

    def diff(
        self,
        *metrics: str,
        scope: str = "day",
        by: Sequence[str] = (),
        where: Sequence[str] = (),
        from_: Day | None = None,
        to: Day | None = None,
        last: str | None = None,
        definition: str | None = None,
    ) -> list[querying.DefinitionDiff]:
        """Compare the numbers of changed declarations with the book, before they are collected.

        One entry for each metric whose last collected definition differs: the number of `changed` keys, and `rows`
        of `old` (from the book) and `new` (live from the source). `last` is 4 weeks unless days are given. Metrics
        named in the call are always in the result."""
        span = last if last or from_ else "4 weeks"
        asked = Question(metrics=metrics, scope=scope, by=by, where=where, from_=from_, to=to, last=span)
        return querying.definition_diffs(self.reader, self._live_answers(), asked, definition)

    def metrics(self) -> list[querying.MetricDescription]:
        """A description of every declared metric, with its collected range."""
        return querying.describe_metrics(self.reader)

    def metric(self, name: str) -> querying.MetricDetails:
        """The description of one metric with its covered days, its gaps, and all its definitions, newest first."""
        return querying.describe_metric(self.reader, name)

    def runs(self, limit: int = 20) -> list[querying.RunRecord]:
        """The latest runs, newest first."""
        return self.reader.runs(limit)

    def entities(self, kind: str) -> querying.EntityAnswers:
        """The `accounts` or `users`, to `list` by a condition or to `show` one. Raises QueryError if not declared."""
        return querying.entities_of(self.answers, kind)

    @property
    def rules(self) -> act.Rules:
        """The rules, with the methods `list`, `show`, `try_out`, `release` and `evaluate`."""
        return act.Rules(self.answers, self.clock)

    def push_attributes(self, kind: str, entity_id: str, **sent: Unpack[ingest.SentAttributes]) -> None:
        """Change attributes of one of the `accounts` or `users`; an unknown id creates it.
        The value with the latest `time` (aware; default: now) wins, in whatever order values arrive. An `add` with
        the same `id` counts once. Raises QueryError for an invalid value and then stores nothing."""
        ingest.push_attributes(self.entities(kind).ledger, kind, entity_id, sent, now=self.clock())

    # -- watch ---------------------------------------------------------------------------------------

    def status(self, *, values: bool = True) -> monitor.Status:
        """The status: the last run, the last day of each metric, pending deliveries, and the next scheduled run; with
        `values` also unusual values, and goals that are behind or missed."""
        found = self._monitoring().status()
        if not values or found.last_run is None:
            return found
        return replace(found, unusual=monitor.unusual_values(self.alerts()), goals_off=monitor.goals_off(self.goals()))

    def audit(
        self, *metrics: str, sample: int = 20, seed: int | None = None, seconds: float = 60.0, restate: bool = False
    ) -> monitor.Audit:
        """Count `sample` random old days of these metrics, or of all, again in their sources, within `seconds`.

        Reads the `replica` of a source that declares one. With `restate`, days that differ are collected again. The
        same `seed` selects the same days of the same book. Raises SourceUnavailable when a replica lags behind."""
        found = monitor.audit_book(self._monitoring(), metrics, sample=sample, seed=seed, seconds=seconds)
        if restate and found.drifted:
            for (metric, first, last), line in zip(found.stretches, found.lines, strict=True):
                done = self.run(metric, from_=first, to=last)
                found.restated += [] if done.failed else [line]
        return found

    def alerts(self) -> list[monitor.Known]:
        """Current alerts, and resolved ones not yet reported, each with the recipients that know of it. Writes
        nothing."""
        return self._alerting().current()

    def alert(self) -> AlertReport:
        """Send new and resolved alerts to the recipients in [alerts] that have not received them.
        Raises Busy while another process sends alerts, QueryError when there is no book yet."""
        if not self.reader.has_book:
            raise QueryError("nothing is collected yet, so there are no alerts to send", hint="tallybook run")
        return self._alerting().send_new()

    def try_alerts(self) -> AlertReport:
        """Send a test alert to every recipient in [alerts]. Raises QueryError when there are no recipients."""
        if not self.project.catalog.alerts.to:
            raise QueryError("no recipients: `[alerts] to` is empty", hint='[alerts]\nto = ["${ALERT_URL}"]')
        return self._alerting().try_out()

    def _alerting(self) -> monitor.Alerting:
        return monitor.Alerting(self._monitoring())

    def _monitoring(self) -> monitor.MonitorContext:
        return monitor.MonitorContext(self.project, self.reader, self.answers, self.clock, self._delivery_context)

    # -- hand on -------------------------------------------------------------------------------------

    def deliver(
        self,
        *names: str,
        force: bool = False,
        dry_run: bool = False,
        verify: bool = False,
        from_: str | date | None = None,
    ) -> list[DeliveryReport]:
        """Bring the files and sheets of these deliveries, or of all, up to date; `force` writes unchanged ones too.
        `dry_run` reports what would be written, and `verify` reads back what was written; both write nothing. With
        `from_`, deliveries that send items one by one also send unsent days from that day on. First, rule actions
        that waited for the end of quiet hours are planned. Raises QueryError for an undeclared name, Busy while
        another process delivers."""
        for name in names:
            querying.known_delivery(self.project.catalog, name)
        if not self.reader.has_book:
            raise QueryError("nothing is collected yet, so there is nothing to deliver", hint="tallybook run")
        since = as_day(from_, self.reader.today) if from_ is not None else None
        if not (dry_run or verify):
            # If the actions of rules fail here, they wait, and the next run reports why. Deliveries continue.
            with suppress(TallybookError):
                self.rules.after_quiet_hours()
        mode = delivering.DeliveryMode(force=force, dry_run=dry_run, verify=verify, since=since)
        return delivering.deliver(self._delivery_context(), names, mode)

    def delivery_trace(self, name: str) -> delivering.DeliveryTrace:
        """The trace of a delivery that sends items one by one: its progress, unsent items, and last requests."""
        return delivering.trace_delivery(self._delivery_context(), name)

    def replay_delivery(self, name: str, *items: str) -> int:
        """Plan items again that the receiver of a delivery refused: the given ones, or all. Returns their number."""
        return delivering.replay_delivery(self._delivery_context(), name, items)

    def subscribe(self, id_: str, delivery: str, target: str, key: str) -> HookSubscription:
        """Subscribe an address to a delivery to `rest_hooks`. Raises QueryError if that is not possible."""
        return delivering.subscribe(self._delivery_context(), id_, delivery, target, key)

    def subscriptions(self) -> list[HookSubscription]:
        """The subscriptions to deliveries to `rest_hooks`."""
        return delivering.subscriptions(self._delivery_context())

    def unsubscribe(self, id_: str) -> bool:
        """End a subscription. Returns whether there was one."""
        return delivering.unsubscribe(self._delivery_context(), id_)

    def hook_sample(self, delivery: str) -> list[dict[str, Any]]:
        """The last messages of a delivery to `rest_hooks`."""
        return delivering.sample_messages(self._delivery_context(), delivery)

    def deliver_rest(self) -> list[DeliveryReport]:
        """Send what earlier calls left in the outbox, for a limited time. For `serve`."""
        return delivering.deliver_rest(self._delivery_context()) if self.reader.has_book else []

    def deliver_actions(self) -> list[DeliveryReport]:
        """Send what rules have put into the outbox. What cannot be sent now is sent by a later call or by `run`."""
        if not self.reader.has_book or not self.project.catalog.rules:
            return []
        context = self._delivery_context()
        names = [name for name, one in context.more.items() if delivering.is_of_rules(one)]
        try:
            return delivering.deliver(context, names) if names else []
        except Busy:
            return []

    def _delivery_context(self) -> delivering.DeliveryContext:
        return delivering.delivery_context(self.answers, self.clock)

    def export(self, result: Result, to: str | Path) -> Path:
        """Write a result to a file whose extension selects the format. Raises DestinationError."""
        path = Path(to)
        delivering.writer_for(path).export(result, path, created=self.clock())
        return path
