"""The one object: a project and its book. Puts the verbs in sequence; holds no algorithm.

book = open_book("folder with tallybook.toml")
book.run()
book.query("revenue", scope="month", by=["plan"]).to_pandas()
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tallybook.collect import Ended
from tallybook.config import Project, dialect_of, known_source, load, mask, owner_of, source_override
from tallybook.core import (
    ONE_DAY,
    BookError,
    Busy,
    Metric,
    Problem,
    QueryError,
    Refused,
    Result,
    SourceError,
    SourceUnavailable,
    TallybookError,
    calendar,
    isolated,
)
from tallybook.query import Answers, BookReader, Query, answer, ask, with_range
from tallybook.storage import BookLocation, Cleaned, VersionSnapshot

if TYPE_CHECKING:
    from tallybook.collect import (
        History,
        Imported,
        Inspection,
        OnProgress,
        RunContext,
        RunPlan,
        RunReport,
        Source,
        SourceLook,
    )
    from tallybook.core import AlertReport, DeliveryReport
    from tallybook.deliver import DeliveryContext
    from tallybook.monitor import Audit, Known, Status
    from tallybook.query import Filter, QueryContext, Standing
    from tallybook.storage import Copied, Store

T = TypeVar("T")

Day = date | str
MOVE_SECONDS = 3600.0
"""So long a move may take before a run takes it for dead."""


def open_book(
    folder: str | Path = ".",
    *,
    now: Callable[[], datetime] | None = None,
    env: Mapping[str, str] | None = None,
) -> Book:
    """The book of the project in `folder`. Raises DeclarationError with every problem of its files.

    `now` is the clock (aware), `env` the environment; both are the real ones unless given."""
    return Book(load(Path(folder), os.environ if env is None else env), now=now)


class Book:
    """A project with its book. Usable as a context manager.

    One Book may be asked by several threads at once, beside a run, and in children of a fork; several processes may
    open the same book."""

    def __init__(self, project: Project, *, now: Callable[[], datetime] | None = None) -> None:
        self.project = project
        self.clock = now or (lambda: datetime.now(UTC))
        self.held = BookReader(project, self._now)
        self._answers = Answers()

    def __enter__(self) -> Book:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.held.close()

    def _now(self) -> datetime:
        """By the clock as it is now: it may be set anew."""
        return self.clock()

    @property
    def store(self) -> Store:
        """The book where it is kept, made when it is not there."""
        return self.held.store

    @property
    def today(self) -> date:
        """The running day in the book's zone."""
        return self.held.today

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
        on_progress: OnProgress | None = None,
        publish_seconds: float | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> RunReport:
        """Collect every closed day that is missing, and the lookback; with `from_`/`to` these days again.
        Then deliver what is new, and tell those whom [alerts] names.

        `sources` reads copies instead ({name: URL}); a copy needs `source_as_of` or a declared `fresh`. Days that
        were last read when their source was known further are left alone, unless `older_source`. Once `stop`
        says so, the run ends with KeyboardInterrupt after the day that is being collected, and that is stored.
        Raises Busy when another run is at work, Refused for days that are not over."""
        from tallybook import collect

        for name in source_moved:
            known_source(self.project.catalog, name)
        means = self._means(sources, source_as_of, on_progress)
        if publish_seconds is not None:
            means.publish_seconds = publish_seconds
        means.stop = stop or means.stop
        means.moved = tuple(source_moved)
        asked, whole = (
            self._asked(metrics, from_, to, older_source=older_source),
            not (metrics or from_ or to or sources),
        )
        with self._crash_told(whole=whole):
            report = collect.run(means, asked)
            self._answers.clear()
            report.deliveries = self._delivered_after_a_run()
        report.alerts = self._told(Ended(report=report), whole=whole)
        # What was collected is stored and delivered. Housekeeping that fails is tried again after the next run.
        with suppress(BookError, Busy):
            self._keep_house(report)
        return report

    def _keep_house(self, report: RunReport) -> None:
        """Compact the book where that pays, so that nobody has to think of it: a daily run leaves some files behind.

        Years are folded by a run that collected nothing in them: a backfill goes on in the next run, perhaps."""
        from tallybook.storage import FOLDABLE_FILES, LOOSE_FILES, STRAY_HOURS

        settings, store, now = self.project.catalog.book, self.store, self.clock()
        collected = [metric.first for metric in report.metrics if metric.first]
        months = [last for _, last in store.foldable(self.today)]
        if len(months) >= FOLDABLE_FILES and collected and min(collected) > max(months):
            with self.held.reading() as reading:
                store.compact(reading.engine, today=self.today, run=report.run, now=now)
        loose = store.loose(now=now, keep_days=settings.keep_versions, zone=settings.timezone)
        if loose >= LOOSE_FILES or store.strays(older_than_hours=STRAY_HOURS):
            store.clean(now=now, keep_days=settings.keep_versions, zone=settings.timezone)

    def plan(
        self,
        *metrics: str,
        from_: Day | None = None,
        to: Day | None = None,
        sources: Mapping[str, str] | None = None,
        source_as_of: datetime | None = None,
        older_source: bool = False,
    ) -> RunPlan:
        """What `run` would do. Asks the sources, touches nothing."""
        from tallybook import collect

        with self.held.only_reading():
            means = self._means(sources, source_as_of, None)
            return collect.make_plan(means, self._asked(metrics, from_, to, older_source=older_source))

    def _asked(self, metrics: Sequence[str], from_: Day | None, to: Day | None, *, older_source: bool) -> Any:
        from tallybook.collect import RunRequest
        from tallybook.query import known_metric

        for name in metrics:
            known_metric(self.project.catalog, name)
        first, last = self.day(from_), self.day(to)
        if first and last and last < first:
            raise QueryError(f"--to {last} is before --from {first}", hint=f"--from {last} --to {first}")
        return RunRequest(metrics=tuple(metrics), first=first, last=last, older_source=older_source)

    def _means(
        self,
        urls: Mapping[str, str] | None,
        as_of: datetime | None,
        on_progress: OnProgress | None,
        *,
        instead: Mapping[str, str] | None = None,
    ) -> RunContext:
        """`urls` are copies, `instead` replicas: these know by themselves how far they are."""
        from tallybook.collect import RunContext, open_sources

        as_of = _instant_of_copy(as_of)
        others = {**(urls or {}), **(instead or {})}
        project = source_override(self.project, others) if others else self.project
        for name in urls or ():
            if as_of is None and not project.catalog.sources[name].fresh:
                from tallybook.core import SourceUnavailable

                raise SourceUnavailable(
                    f"source {name!r} is read from a copy: when was it taken?",
                    hint=f'say so: --source-as-of 2026-03-01T04:00Z, or declare it: [sources.{name}] fresh = "select max(created_at) from …"',
                )
        opened, unopened = open_sources(project.catalog.sources)
        return RunContext(
            catalog=project.catalog,
            store=self.store,
            sources=opened,
            unopened=unopened,
            now=self.clock(),
            clock=self.clock,
            function_of=project.function,
            as_of=dict.fromkeys(urls or (), as_of) if as_of else {},
            on_progress=on_progress,
            mask=lambda text: mask(text, project),
            folder=self.project.folder,
            copies=frozenset(others),
            owner=owner_of(project.catalog.book),
        )

    # -- query ---------------------------------------------------------------------------------------

    def query(
        self,
        *metrics: str,
        scope: str = "day",
        by: Sequence[str] = (),
        where: Sequence[str] = (),
        from_: Day | None = None,
        to: Day | None = None,
        last: str | None = None,
        show: str | None = None,
        fill: bool = False,
        totals: bool = False,
        as_of: Day | None = None,
        definition: str | None = None,
        live: bool = False,
        week_starts: str | None = None,
        window: str | None = None,
        compare: str | None = None,
        top: int | None = None,
        sort: Sequence[str] = (),
        limit: int | None = None,
        having: Sequence[str] = (),
    ) -> Result:
        """Ask. Days are dates, ISO texts, "today" or "yesterday"; both ends are included.

        Raises QueryError for what is not declared and Refused for what has no right answer."""
        question = ask(
            self.project.catalog,
            metrics,
            scope=scope,
            by=[by] if isinstance(by, str) else by,
            where=[where] if isinstance(where, str) else where,
            first=self.day(from_),
            last=self.day(to),
            span=last,
            show=show,
            fill=fill,
            totals=totals,
            definition=definition,
            week_starts=week_starts,
            window=window,
            compare=compare,
            top=top,
            sort=[sort] if isinstance(sort, str) else sort,
            limit=limit,
            having=[having] if isinstance(having, str) else having,
            today=self.today,
        )
        if live:
            return self._live(question)
        then = self.day(as_of)
        if then is not None and then > self.today:
            raise QueryError(f"--as-of {then} is in the future", hint=f"the latest possible: --as-of {self.today}")
        if then is not None and self.held.version_at(then) == 0:
            raise QueryError(f"the book holds nothing as of {then}", hint="`tallybook runs` lists when it was written")
        try:
            return self._stored(question, then)
        except Cleaned:
            assert then is not None
            raise Refused(
                f"the book as it was at the end of {then} was cleaned: of what is older than "
                f"keep_versions = {self.project.catalog.book.keep_versions} days, the end of each month is kept",
                ask=f"--as-of {calendar.next_period(then.replace(day=1), 'month') - ONE_DAY}",
            ) from None

    def csv(
        self,
        *metrics: str,
        scope: str = "day",
        by: Sequence[str] = (),
        from_: Day | None = None,
        to: Day | None = None,
        last: str | None = None,
        show: str | None = None,
        week_starts: str | None = None,
    ) -> str | None:
        """What `query(…).to_csv()` returns, many times faster; None for a question that only `query` answers.

        It answers metrics by dimensions, each the total or the last or first day of its periods: questions with millions of rows."""
        from tallybook.query import csv

        question = ask(
            self.project.catalog,
            metrics,
            scope=scope,
            by=[by] if isinstance(by, str) else by,
            where=[],
            first=self.day(from_),
            last=self.day(to),
            span=last,
            show=show,
            fill=False,
            totals=False,
            definition=None,
            week_starts=week_starts,
            today=self.today,
        )
        return self._read(question, None, None, csv)

    def _stored(self, question: Query, as_of: date | None) -> Result:
        version = self.held.version_at(as_of)
        current = version if version is not None else (self.store.ledger.version() if self.held.there else 0)
        today, epoch = self.today, self._answers.epoch
        if (known := self._answers.get((question, current, today, as_of))) is not None:
            return known
        result = self._answered(question, version, as_of)
        # Under the version it was read at: another process may have published one since we looked.
        self._answers.keep((question, result.version, today, as_of), result, epoch)
        return result

    def _answered(self, question: Query, version: int | None, as_of: date | None) -> Result:
        return self._read(question, version, as_of, answer)

    def _read(
        self, question: Query, version: int | None, as_of: date | None, answer: Callable[[Query, QueryContext], T]
    ) -> T:
        """One reading of the ledger, then the files; if one was cleaned away meanwhile, start again once."""
        import duckdb

        from tallybook.storage import BadFile

        def once() -> T:
            with self.held.reading() as reading:
                return answer(question, self.held.ground(question, version, as_of, reading))

        try:
            return once()
        except (duckdb.IOException, BadFile):
            try:
                return once()
            except duckdb.IOException as error:
                raise BookError(f"a file of the book cannot be read: {error}", hint="tallybook doctor") from None

    def goals(self, *names: str, on: Day | None = None, last: str | None = None) -> list[Standing]:
        """How far these goals, or all, are in the period that holds `on` (not given: the last closed day), with
        the days up to then; with `last`, as "3 months", in those before too. Goals in the order of the file."""
        from tallybook.query import standings

        return standings(self.project.catalog, names, self.query, today=self.today, on=self.day(on), span=last)

    def _live(self, question: Query) -> Result:
        """The same question to the facts in the source; where the book says otherwise, that is noted."""
        from tallybook.collect import close_sources, live_ground
        from tallybook.query import MAX_GAP_DAYS, clipped, with_stored
        from tallybook.storage import connect

        names = list(dict.fromkeys(o for name in question.metrics for o in self.project.catalog.operands(name)))
        keys = self.held.keys(names)
        with self.held.reading() as reading:
            stored = self.held.ground(question, None, None, reading)
        begin = min(
            (c.stretches[0][0] for c in stored.coverage.values() if c.stretches),
            default=self.today - 30 * ONE_DAY,
        )
        last = question.last or self.today - ONE_DAY
        question = with_range(question, question.first or min(begin, last), last)
        with self.held.only_reading():
            means = self._means(None, None, None)
        engine = connect()
        try:
            near = clipped(question, begin, self.today)
            floor = calendar.plus_days(begin, -MAX_GAP_DAYS)
            ground = live_ground(means, near.query, self.held.snapshot(keys, None), keys, engine, floor=floor)
            result = answer(near.query, ground, near)
        finally:
            engine.close()
            close_sources(means.sources)
        snapshots = [name for name in names if self.project.catalog.metrics[name].snapshot]
        return with_stored(result, self._stored(question, None), snapshots)

    def day(self, text: Day | None) -> date | None:
        """A date, ISO text, "today" or "yesterday" as a date. Raises QueryError with the forms there are."""
        if text is None or isinstance(text, date):
            return text
        named = {"today": self.today, "yesterday": self.today - ONE_DAY}
        if text in named:
            return named[text]
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise QueryError(f"{text!r} is not a day", hint="write 2026-03-01, yesterday or today") from None

    # -- look behind ---------------------------------------------------------------------------------

    def why(
        self, metric: str, day: Day | None = None, *, by: Sequence[str] = (), where: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Everything behind the number of one day: `rows`, and for each metric it is made of the definition,
        coverage, run and revisions; `lineage` to tables and columns. Without a day only what it is made of."""
        from tallybook.query import known_metric, lineage, used_by

        catalog = self.project.catalog
        known_metric(catalog, metric)
        found = {
            "metric": metric,
            "lineage": lineage(catalog, metric, self._dialects),
            "used_by": used_by(catalog, metric),
        }
        when = self.day(day)
        if when is None:
            return found
        result = self.query(metric, from_=when, to=when, by=by, where=where)
        behind = self._evidence(catalog.operands(metric), when, where)
        return {**found, "day": str(when), "result": result, "behind": behind}

    def coverage(self, *metrics: str, from_: Day | None = None, to: Day | None = None) -> list[dict[str, Any]]:
        """The calendar of each metric (of all, unless named): `months`, and `gaps` with the line that collects
        them. Days are expected from the declared start, or the first collected day, to yesterday."""
        from tallybook.query import calendar_of, known_metric, together

        catalog = self.project.catalog
        chosen = [known_metric(catalog, name) for name in metrics or catalog.metrics]
        operands = {o for metric in chosen for o in catalog.operands(metric.name)}
        keys = self.held.keys(sorted(operands))
        known = self.held.snapshot(keys, None)
        parts = {name: self.held.coverages(catalog.metrics[name], keys[name], known) for name in operands}
        last = min(self.day(to) or self.today, self.today - ONE_DAY)
        found = []
        for metric in chosen:
            own, older = together([parts[o] for o in catalog.operands(metric.name)])
            starts = [self.held.expected_from(catalog.metrics[o], parts[o][0]) for o in catalog.operands(metric.name)]
            start = max((s for s in starts if s), default=None)
            first = self.day(from_)
            found.append(calendar_of(metric, own, older, max(first, start) if first and start else start, last))
        return found

    @property
    def _dialects(self) -> dict[str, str]:
        return {name: dialect_of(source.url) or "duckdb" for name, source in self.project.catalog.sources.items()}

    def _evidence(self, names: Sequence[str], day: date, where: Sequence[str]) -> list[dict[str, Any]]:
        from tallybook.query import parse_filter

        filters = [parse_filter(text) for text in where]
        with self.held.only_reading():
            keys = self.held.keys(names)
            known = self.held.snapshot(keys, None)
            metrics = [self.project.catalog.metrics[name] for name in names]
            return [self._evidence_of(metric, keys[metric.name], known, day, filters) for metric in metrics]

    def _evidence_of(
        self, metric: Metric, key: str, known: VersionSnapshot, day: date, filters: Sequence[Filter]
    ) -> dict[str, Any]:
        from tallybook.query import evidence

        try:
            with isolated():
                bound = self.held.bound(metric, key, known, None)
                with self.held.reading() as reading:
                    return evidence(self.store, reading.engine, known, metric, key, bound, day, self.today, filters)
        except SourceError as error:
            return {"metric": metric.name, "error": error.message, "hint": error.hint}

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
    ) -> list[dict[str, Any]]:
        """What changed declarations do to the numbers, before they are collected: for each metric that was last
        collected under another definition `changed` keys and `rows` of `old` (the book's) and `new` (the
        source's, live). `last` is 4 weeks unless days are said; metrics that are named are told of in any case."""
        from tallybook.query import known_metric

        catalog = self.project.catalog
        names = [known_metric(catalog, name).name for name in metrics] or list(catalog.metrics)
        span = last if last or from_ else "4 weeks"
        asked = {"scope": scope, "by": by, "where": where, "from_": from_, "to": to, "last": span}
        keys = self.held.keys(names)
        known = self.held.snapshot(keys, None)
        found = [self._diff(catalog.metrics[name], keys[name], known, definition, asked) for name in names]
        return found if metrics else [one for one in found if "rows" in one or "error" in one]

    def _diff(
        self, metric: Metric, key: str, known: VersionSnapshot, definition: str | None, asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        from tallybook.query import changed_keys, side_by_side

        told: dict[str, Any] = {"metric": metric.name, "unit": metric.unit}
        zone = self.project.catalog.book.timezone
        latest = next(iter(self.held.collected(key, known)), None)
        if metric.derived:
            made_of = ", ".join(self.project.catalog.operands(metric.name))
            return told | {"why": f"a formula, computed anew at each question; look at what it is made of: {made_of}"}
        if latest is None:
            return told | {"why": "never collected: there is nothing to compare with"}
        if definition is None and latest.declared == metric.fingerprint(zone, {}):
            return told | {"why": f"unchanged: its definition is {latest.id}, the one collected last"}
        old = self.held.bound(metric, key, known, definition or latest.id)
        assert old is not None
        told |= {"definition": old.definition, "changed": changed_keys(old, metric, zone)}
        try:
            with isolated():
                before = self.query(metric.name, definition=old.definition, **asked)
                after = self.query(metric.name, live=True, **asked)
        except (Refused, SourceError) as error:
            return told | {"error": error.message, "hint": error.hint}
        return told | {"scope": after.scope, "rows": side_by_side(metric.name, before, after)}

    def audit(
        self, *metrics: str, sample: int = 20, seed: int | None = None, seconds: float = 60.0, restate: bool = False
    ) -> Audit:
        """Count `sample` random old days of these metrics, or of all, again in their sources (in a `replica` where
        one is declared), within so many seconds; with `restate` collect again those of which the book says something else.

        The same `seed` chooses the same days of the same book. Raises SourceUnavailable where a replica is behind."""
        from tallybook.monitor import audit
        from tallybook.query import known_metric

        catalog = self.project.catalog
        names = [o for name in metrics or catalog.metrics for o in catalog.operands(known_metric(catalog, name).name)]
        chosen = [catalog.metrics[name] for name in dict.fromkeys(names)]
        seed = random.SystemRandom().randrange(10**6) if seed is None else seed
        with self.held.only_reading():
            keys = self.held.keys([metric.name for metric in chosen])
            replicas = {name: source.replica for name, source in catalog.sources.items() if source.replica}
            means = self._means(None, None, None, instead=replicas)
            found = audit(
                means, self.held.snapshot(keys, None), keys, chosen, sample=sample, seed=seed, seconds=seconds
            )
        if restate and found.drifted:
            for (metric, first, last), line in zip(found.stretches, found.lines, strict=True):
                done = self.run(metric, from_=first, to=last)
                found.restated += [] if done.failed else [line]
        return found

    def import_history(
        self,
        metric: str,
        file: str | Path,
        *,
        day: str | None = None,
        value: str | None = None,
        dims: str | None = None,
        tab: str | None = None,
        dates: str | None = None,
        decimal: str | None = None,
        dry_run: bool = False,
        check: bool = False,
        skip: int = 0,
        headings: int = 1,
        across: bool = False,
        ignore: Sequence[str] = (),
    ) -> Imported:
        """Keep the finished daily values of a CSV file, a workbook or a Google Sheet (its address) as history of
        `metric`, under a definition of their own; `history = "imported"` lets them answer for the time before the first collected day.

        `day` and `value` are heads of columns, `dims` "plan" or "plan=Tariff", `dates` dmy or mdy, `decimal` what stands
        before decimals. `skip` lines stand before the heads, which are `headings` lines; `across`: with a column for each
        day; `ignore`: lines and columns with one of these texts are left out (totals). `check` compares with what was collected and stores nothing. Raises DeclarationError with all
        problems of the file, each with its line."""
        from tallybook.collect import (
            ImportColumns,
            Layout,
            chosen_dims,
            history_points,
            read_table,
            store_history,
            unpivoted,
        )
        from tallybook.query import known_metric

        declared = known_metric(self.project.catalog, metric)
        if declared.derived:
            made_of = ", ".join(self.project.catalog.operands(metric))
            raise QueryError(f"{metric!r} is a formula; nothing of it is kept", hint=f"import {made_of} instead")
        where = str(file)
        key, zone = self.held.keys([metric])[metric], self.project.catalog.book.timezone
        columns = ImportColumns(day=day, value=value, dims=chosen_dims(dims), order=dates, point=decimal)
        layout = Layout(skip=skip, headings=headings, ignore=ignore)
        table = read_table(where, tab, self.project.variables, layout)
        if across:
            texts = declared.by if columns.dims is None else [head for _, head in columns.dims]
            table = unpivoted(table, declared, texts, dates, where)
        found = history_points(declared, key, zone, table, columns, where, self.today - ONE_DAY)
        with self.held.only_reading() if check or dry_run else nullcontext():
            done = store_history(self.store, found, self.clock, dry_run=check or dry_run)
            if check:
                self._compare_history(declared, key, found, done)
        self._forget_answers()
        return done

    def _compare_history(self, metric: Metric, key: str, found: History, done: Imported) -> None:
        from tallybook.collect import differences

        known = self.held.snapshot({metric.name: key}, None)
        bound = self.held.bound(metric, key, known, None)
        own = self.held.covered(key, bound.definition, known) if bound else ()
        covered = {day for first, last in own for day in calendar.days(first, last)}
        both = sorted(covered & set(found.days))
        if bound is None or not both:
            done.notes.append(
                f"no day of it is collected; to compare some: tallybook run {metric.name} --from {found.days[-1]} --to {found.days[-1]}"
            )
            return
        rows = self.query(
            metric.name, from_=both[0], to=both[-1], by=found.bound.metric.dims, definition=bound.definition
        ).rows()
        done.compared, done.differences = differences(found, rows, covered)

    # -- keep ----------------------------------------------------------------------------------------

    def compact(self) -> dict[str, int]:
        """Fold closed years, delete what no kept version needs. Returns {"folded": …, "deleted": …} files."""
        if not self.held.there:
            return {"folded": 0, "deleted": 0}
        now, store = self.clock(), self.store
        with self.held.reading() as reading:
            folded = store.compact(reading.engine, today=self.today, run=None, now=now)
        settings = self.project.catalog.book
        deleted = store.clean(now=now, keep_days=settings.keep_versions, zone=settings.timezone)
        return {"folded": folded, "deleted": deleted}

    def move(self, place: BookLocation) -> Copied:
        """Copy the book to another ledger, another folder, or both, while no run is at work, and hold the copy
        against it. The book stays where it is: what tallybook.toml says decides which of them is read from now on.

        Raises QueryError when there is nothing to move, BookError when a book is there already, Busy during a run."""
        from tallybook.collect import JOB
        from tallybook.storage import copy_book, copy_points

        here = self.project.place
        if place == here:
            raise QueryError("the book is kept there already", hint="say where to: --to-ledger URL, --to-store FOLDER")
        same_ledger = bool(place.ledger) and (place.ledger, place.schema) == (here.ledger, here.schema)
        if place.folder == here.folder and here.folder is not None:
            # Each would take the files of the other for what runs that died have left, and delete them.
            raise QueryError(
                f"two ledgers cannot share the points in {here.folder}",
                hint=f"let the copy have a folder of its own: --to-store {self.project.catalog.book.store}-2",
            )
        if not self.held.there:
            raise QueryError(
                "there is no book to move yet", hint="write the place into tallybook.toml, then: tallybook run"
            )
        lease = self.store.ledger.acquire(JOB, now=self.clock(), seconds=MOVE_SECONDS)
        try:
            if same_ledger:
                return copy_points(self.store, place)
            return copy_book(self.store, place, alone=True)
        finally:
            self.store.ledger.release(lease)

    def backup(self, folder: str | Path) -> Copied:
        """Copy the book, as it is at one moment, into a new folder: a book with a SQLite ledger, wherever this one is
        kept. Runs may be at work. Raises QueryError for an empty book, BookError when a book is in the folder."""
        from tallybook.storage import copy_book

        if not self.held.there:
            raise QueryError("there is no book to back up yet", hint="tallybook run")
        return copy_book(
            self.store, BookLocation(folder=Path(folder), access=self.project.catalog.book.access), alone=False
        )

    def restore(self, folder: str | Path) -> Copied:
        """Copy a backup to where tallybook.toml keeps the book. Raises QueryError when the folder has none, BookError
        when there is a book already."""
        from tallybook.storage import backup_in, copy_book, scratch_folder

        with scratch_folder() as elsewhere:
            found = backup_in(Path(folder), elsewhere)
            if found is None:
                raise QueryError(f"there is no backup in {folder}", hint="name the folder that has ledger.sqlite in it")
            try:
                self.close()
                return copy_book(found, self.project.place, alone=False)
            finally:
                found.ledger.close()

    def doctor(self) -> list[str]:
        """What is wrong with the book, in words with what to do; empty when all is well."""
        from tallybook.storage import examine

        if not self.held.there:
            return []
        with self.held.reading() as reading:
            zone = self.project.catalog.book.timezone
            return examine(self.store, reading.engine, now=self.clock(), zone=zone)

    def remarks(self) -> list[str]:
        """What is not wrong with the book, but worth knowing: modes of its files, files of an older ledger."""
        from tallybook.storage import remarks

        return remarks(self.store, self.project.catalog.book.access) if self.held.there else []

    def set_aside(self) -> Path:
        """Rename the folder of a book whose ledger is lost, and start a new book. Returns the new name of the folder.

        Raises QueryError when the ledger can be read."""
        from tallybook.storage import set_aside

        self._forget_answers()
        self.close()
        return set_aside(self.project.place, self.today)

    def status(self) -> Status:
        """Whether all is well: the last run, how far each metric is, what waits to be delivered, when the next is due."""
        from tallybook.deliver import up_to_date_deliveries
        from tallybook.monitor import COLLECT, MAX_RUNS, status

        ledger, now = self.store.ledger if self.held.there else None, self.clock()
        return status(
            self.project.catalog,
            now=now,
            version=ledger.version() if ledger else 0,
            running=COLLECT in ledger.leased(now=now) if ledger else False,
            runs=self.runs(MAX_RUNS),
            metrics=self.metrics(),
            delivered={name: (d.version, d.at) for name, d in ledger.delivered().items()} if ledger else {},
            answered=up_to_date_deliveries(self._delivery_context()) if ledger else [],
            ahead=self.held.taken_back.in_words(),
        )

    def runs(self, limit: int = 20) -> list[dict[str, Any]]:
        """The latest runs, newest first."""
        return self.store.ledger.runs(limit) if self.held.there else []

    def metrics(self) -> list[dict[str, Any]]:
        """Every declared metric with what is collected of it."""
        catalog = self.project.catalog
        keys = self.held.keys(list(catalog.metrics))
        known = self.held.snapshot(keys, None)
        return [self.held.described(metric, keys[metric.name], known) for metric in catalog.metrics.values()]

    def metric(self, name: str) -> dict[str, Any]:
        """One of `metrics()` with its covered days, its gaps, and every definition there is, newest first."""
        from tallybook.query import known_metric

        metric = known_metric(self.project.catalog, name)
        key = self.held.keys([name])[name]
        known = self.held.snapshot({name: key}, None)
        described = self.held.described(metric, key, known)
        covered = self.held.covered(key, described["definition"], known)
        missing = [(a[1] + ONE_DAY, b[0] - ONE_DAY) for a, b in itertools.pairwise(covered)]
        definitions = [
            {
                "id": d.id,
                "created": d.created,
                "days": sum((b - a).days + 1 for a, b in self.held.covered(key, d.id, known)),
            }
            for d in known.definitions.get(key, ())
        ]
        return described | {
            "operands": list(self.project.catalog.operands(name)) if metric.derived else [],
            "coverage": _as_texts(covered),
            "missing": _as_texts(missing),
            "definitions": definitions,
        }

    def doubts(self) -> dict[str, list[str]]:
        """By delivery and goal (as `deliveries.board`), the filter values that no row of the book ever had."""
        from tallybook.query import unseen_values

        catalog, found = self.project.catalog, {}
        asked = {f"deliveries.{d.name}": (d.metrics, d.where) for d in catalog.deliveries.values() if not d.later}
        asked |= {f"goals.{goal.name}": ((goal.metric,), goal.where) for goal in catalog.goals.values()}
        for place, (metrics, where) in asked.items():
            if not where or not self.held.there:
                continue
            question = ask(catalog, metrics, where=where, today=self.today)
            with self.held.reading() as reading:
                unseen = unseen_values(self.held.ground(question, None, None, reading), question)
            if unseen:
                found[place] = [why for whys in unseen.values() for why in whys]
        return found

    def look(self) -> list[Inspection]:
        """Hold every metric against its source, for `check --source`; one that cannot be reached is told once."""
        from tallybook.collect import close_sources, open_sources

        sources, unopened = open_sources(self.project.catalog.sources)
        found: dict[str, Inspection] = {}
        try:
            for metric in self.project.catalog.metrics.values():
                name = metric.source or ""
                lost = any(look.unreachable and look.source == name for look in found.values())
                if name in self.project.catalog.sources and not lost:
                    found[metric.name] = self._looked(unopened.get(name) or sources[name], metric)
        finally:
            close_sources(sources)
        return list(found.values())

    def look_at_sources(self) -> list[SourceLook]:
        """Look at each source as a whole, for `check --source`; those that cannot be asked are left out."""
        from tallybook.collect import close_sources, look_at, open_sources

        sources, _ = open_sources(self.project.catalog.sources)
        found = []
        try:
            for source in sources.values():
                with suppress(SourceError), isolated():
                    found.append(look_at(source, self.project.folder))
        finally:
            close_sources(sources)
        return found

    def _looked(self, source: Source | SourceError, metric: Metric) -> Inspection:
        from tallybook.collect import Inspection, look

        path, lost = f"metrics.{metric.name}", False
        try:
            with isolated():
                if isinstance(source, SourceError):
                    path, lost = f"sources.{metric.source}", True
                    raise source
                return look(source, metric, self.project.catalog.book.timezone)
        except SourceError as error:
            if isinstance(error, SourceUnavailable):
                path, lost = f"sources.{metric.source}", True
            problem = Problem(path=path, message=error.message, hint=error.hint)
            return Inspection(metric.name, source=metric.source or "", unreachable=lost, problems=[problem])

    def forget(self, metric: str) -> dict[str, Any]:
        """Drop a metric from the book: its points, days, definitions and revisions, in every version. It may be
        one that is no longer declared. Returns how many `days` and `points` went: none of one that was forgotten
        before. There is no way back."""
        from tallybook.collect import forget_metric

        if self.held.is_forgotten(metric):
            return {"metric": metric, "days": 0, "points": 0, "from": None, "to": None}
        name, key = self.held.kept(metric)
        try:
            with self.held.reading() as reading:
                return forget_metric(self.store, reading.engine, name, key, self.clock)
        finally:
            self._forget_answers()

    def forget_person(self, *person: str, metrics: Sequence[str]) -> list[dict[str, Any]]:
        """Take an id out of the distinct counts of `metrics`, on all days, in every version; the values that change
        are kept as revisions. Several texts are the parts of an id of several columns.

        Days of the lookback are collected again by the next run, with whom the source still holds."""
        from tallybook.collect import forget_person

        kept = [self.held.kept(name) for name in metrics]
        try:
            with self.held.reading() as reading:
                return forget_person(self.store, reading.engine, kept, person, self.clock)
        finally:
            self._forget_answers()

    def _forget_answers(self) -> None:
        self._answers.clear()
        self.held.read_anew()

    # -- hand on -------------------------------------------------------------------------------------

    def deliver(
        self, *names: str, force: bool = False, dry_run: bool = False, verify: bool = False
    ) -> list[DeliveryReport]:
        """Bring the files and sheets of these deliveries, or of all, up to date; with `force` also those that are.
        `dry_run` tells what would be written, `verify` reads back what was; both write nothing.

        Raises QueryError for one that is not declared, Busy while another process delivers."""
        from tallybook.deliver import DeliveryMode, deliver
        from tallybook.query import known_delivery

        for name in names:
            known_delivery(self.project.catalog, name)
        if not self.held.there:
            raise QueryError("nothing is collected yet, so there is nothing to deliver", hint="tallybook run")
        mode = DeliveryMode(force=force, dry_run=dry_run, verify=verify)
        return deliver(self._delivery_context(), names, mode)

    def _delivery_context(self) -> DeliveryContext:
        from tallybook.deliver import DeliveryContext, PastAnswers

        answers = PastAnswers(self.project.catalog, self.held, self._answer)
        return DeliveryContext(
            catalog=self.project.catalog,
            folder=self.project.folder,
            ledger=self.store.ledger,
            answers=answers,
            today=self.today,
            clock=self.clock,
            variables=self.project.variables,
        )

    def _answer(self, question: Query, version: int | None) -> Result:
        return self._stored(question, None) if version is None else self._answered(question, version, None)

    def _delivered_after_a_run(self) -> list[DeliveryReport]:
        """What was collected is stored: that another process delivers just now does not undo it."""
        if not self.project.catalog.deliveries or self.store.ledger.version() == 0:
            return []
        from tallybook.deliver import deliver, waiting

        try:
            return deliver(self._delivery_context())
        except Busy as busy:
            return waiting(self.project.catalog, busy)

    # -- alerts --------------------------------------------------------------------------------------

    def alerts(self) -> list[Known]:
        """What is not well now, and what is over and not told yet, with who was told; touches nothing."""
        from tallybook.monitor import Alerting, after

        alerting = Alerting(self)
        return list(after(alerting.known(), alerting.look(), self.clock()).values())

    def alert(self) -> AlertReport:
        """Tell what is not well, and what is well again, to those whom [alerts] names and who have not heard it.

        Raises Busy while another process does, QueryError when there is no book yet."""
        from tallybook.monitor import Alerting

        if not self.held.there:
            raise QueryError("nothing is collected yet, so there is nothing to tell", hint="tallybook run")
        return Alerting(self).tell()

    def try_alerts(self) -> AlertReport:
        """Send a test to everybody whom [alerts] names. Raises QueryError when that is nobody."""
        from tallybook.monitor import Alerting

        if not self.project.catalog.alerts.to:
            raise QueryError("nobody is named to be told", hint='[alerts]\nto = ["${ALERT_URL}"]')
        return Alerting(self).try_out()

    @contextmanager
    def _crash_told(self, *, whole: bool) -> Iterator[None]:
        """Tell of a run that does not come to its end; not of one that was refused, or found another at work."""
        try:
            yield
        except (Busy, QueryError, Refused):
            raise
        except Exception as error:
            ours = error if isinstance(error, TallybookError) else TallybookError(f"{type(error).__name__}: {error}")
            self._told(Ended(crash=ours), whole=whole)
            raise

    def _told(self, ended: Ended, *, whole: bool) -> AlertReport:
        """What was told after a run."""
        from tallybook.core import AlertReport

        settings = self.project.catalog.alerts
        if not (settings.to or settings.heartbeat):
            return AlertReport()
        from tallybook.monitor import Alerting

        return Alerting(self).after_a_run(ended, whole=whole)

    def export(self, result: Result, to: str | Path) -> Path:
        """Write a result to a file; its ending says which kind. Raises DestinationError."""
        from tallybook.deliver import writer_for

        path = Path(to)
        writer_for(path).export(result, path, created=self.clock())
        return path


def _instant_of_copy(as_of: datetime | None) -> datetime | None:
    """When a copy was taken. Raises QueryError for what is no time of a copy."""
    from tallybook.collect import as_instant

    try:
        return None if as_of is None else as_instant(as_of)
    except SourceError:
        raise QueryError(
            f"no copy is of {as_of}", hint="the time it was taken: --source-as-of 2026-03-01T04:00Z"
        ) from None


def _as_texts(stretches: Sequence[tuple[date, date]]) -> list[tuple[str, str]]:
    return [(str(first), str(last)) for first, last in stretches]
