"""Updates deliveries: runs the query of each delivery and writes the answer to its destination.

The ledger records what was delivered, so nothing is written if nothing is new. A failed delivery is reported and
retried by the next run, and the other deliveries are still made."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import msgspec

from tallybook.core import (
    DESTINATIONS,
    FAILED,
    ONE_DAY,
    PLAIN,
    UNSUPPORTED,
    UP_TO_DATE,
    WOULD_DELIVER,
    BookCalendar,
    Busy,
    Catalog,
    Delivery,
    DeliveryReport,
    DestinationRefused,
    Metric,
    Result,
    TallybookError,
    bug_report,
    known_destination,
    system_error,
)
from tallybook.deliver.attribute_state import entity_state, entity_state_of
from tallybook.deliver.destinations.base import DeliveryMode, DeliveryOutcome, DeliveryTask, Record
from tallybook.deliver.destinations.registry import open_destination
from tallybook.deliver.leases import delivery_lease
from tallybook.deliver.reach import DeliveryRange, place_key, reach, record_of
from tallybook.query import Query, Question, check_question
from tallybook.storage import Delivered, Ledger

if TYPE_CHECKING:
    from tallybook.deliver.answer_rows import AnswerRow
    from tallybook.query import QueryService

JOB = "deliver"
RUN_SECONDS = 20.0
"""Seconds that a run spends on deliveries with an outbox. `deliver`, `serve` or the next run sends the rest."""
PLAIN_CALENDAR = "plain"
FORM = 1
"""The version of the written format. Raising it writes all deliveries again."""
FINGERPRINTED = {
    "spreadsheet": "",
    "mode": "history",
    "by_hand": "restore",
    "notes": False,
    "api": "",
    "separator": ",",
    "decimal": ".",
    "bom": False,
    "guard": True,
}
"""Options, with their defaults, that are hashed for every delivery whatever its destination. Do not change or extend
this."""


class BookAnswers(Protocol):
    """The answers of a book that deliveries need."""

    def query(self, question: Query, version: int | None = None) -> Result | None:
        """The answer now, or at an older version of the book. None if that version is no longer kept."""
        ...

    def rows(self, question: Query, version: int) -> Iterator[AnswerRow] | None:
        """The rows of the answer at a version of the book. None if that version is no longer kept."""
        ...

    def touched(self, metrics: Sequence[str], version: int) -> list[tuple[date, date]] | None:
        """Ranges of days of these metrics that were collected after a version. None if any day may differ."""
        ...

    def is_collected(self, question: Query, version: int) -> bool:
        """Whether every day of a query is collected at a version, for all metrics involved, including operands."""
        ...

    def first_day(self, metrics: Sequence[str]) -> date | None:
        """The first collected day of these metrics; None before anything is collected."""
        ...

    def first_days(self, metrics: Sequence[str]) -> dict[str, date | None]:
        """The first collected day of each metric. None for a metric of which nothing is collected."""
        ...

    def first_change(self, metrics: Sequence[str], version: int) -> date | None:
        """The first day of these metrics that may have changed since a version of the book. None if there is no such
        day, and `date.min` if unknown."""
        ...


@dataclass(frozen=True, kw_only=True)
class DeliveryContext:
    """The context of a delivery: the declarations, their folder, the ledger, the answers of the book, and the clock."""

    catalog: Catalog
    folder: Path
    ledger: Ledger
    answers: BookAnswers
    today: date
    clock: Callable[[], datetime]
    variables: Mapping[str, str]
    """The environment variables, including credentials of services."""
    services: dict[str, Any] = field(default_factory=dict)
    """Open connections by address. All deliveries of a run share them and their rate limit."""
    service: QueryService | None = None
    """The query service of the book, for the latest values of users and accounts."""
    mask: Callable[[str], str] = str
    """Hides the secrets of the project in a text."""
    more: Mapping[str, Delivery] = field(default_factory=dict)
    """Deliveries that are not declared themselves and whose items come from elsewhere: the actions of rules."""

    def question(self, delivery: Delivery, first: date | None) -> Query:
        """The query of a delivery. `first` replaces the declared first day; `date.min` means the first collected
        day."""
        question = Question(
            metrics=delivery.metrics,
            scope=delivery.scope,
            by=delivery.by,
            where=delivery.where,
            from_=delivery.from_,
            last=delivery.last,
            totals=delivery.totals,
            fill=delivery.fill,
        )
        if first is not None:
            begin = None if first == date.min else first
            question = replace(question, from_=begin, to=self.today - ONE_DAY, last=None)
        return check_question(self.catalog, question, today=self.today)

    def now(self, question: Query) -> Result:
        """The current answer of the book."""
        result = self.answers.query(question)
        assert result is not None
        return result


def deliver(
    context: DeliveryContext,
    names: Sequence[str] = (),
    mode: DeliveryMode | None = None,
    *,
    seconds: float | None = None,
) -> list[DeliveryReport]:
    """Deliver what is new, for all deliveries or the named ones. Deliveries with an outbox send for at most `seconds`.

    It is safe to call again. Raises Busy if another process is making all of them."""
    mode = mode or DeliveryMode()
    every = {**context.catalog.deliveries, **context.more}
    chosen = [d for name, d in every.items() if not names or name in names]
    boxed = [d for d in chosen if has_outbox(d)]
    reports = {d.name: _reported(context, d, mode) for d in chosen if d not in boxed}
    if boxed:
        from tallybook.deliver.outbox_rounds import deliver_boxed

        reports |= deliver_boxed(context, boxed, mode, seconds)
    made = [report for report in reports.values() if report.status != UNSUPPORTED]
    if made and all(report.busy for report in made):
        raise Busy(made[0].error or "", hint=made[0].hint)
    return [reports[d.name] for d in chosen if d.name in reports]


def has_outbox(delivery: Delivery) -> bool:
    """Whether the delivery's items are planned in the ledger, because its destination cannot be rewritten."""
    kind = known_destination(delivery.to)
    return kind is not None and kind.outbox


def lease_job(delivery: Delivery) -> str:
    """The name of the lease of a delivery. Deliveries into tabs of one document share it."""
    kind = known_destination(delivery.to)
    if kind is not None and kind.tabs:
        return f"{JOB} to {delivery.to} {place_key(delivery)}"
    return f"{JOB} {delivery.name}"


def up_to_date_deliveries(context: DeliveryContext) -> list[str]:
    """Names of deliveries whose last written content matches the current declaration, whatever the book version."""
    done = context.ledger.delivered()
    declared = context.catalog.deliveries.values()
    return [
        d.name for d in declared if d.name in done and asked_alike(done[d.name].fingerprint, fingerprint_of(context, d))
    ]


def waiting(catalog: Catalog, busy: Busy) -> list[DeliveryReport]:
    """The reports of a run whose deliveries wait for another process."""
    return [
        DeliveryReport(
            delivery=d.name, to=d.to, path=shown(d), status=FAILED, error=busy.message, hint=busy.hint, busy=True
        )
        for d in catalog.deliveries.values()
    ]


def place_of(folder: Path, delivery: Delivery) -> Path:
    """The path of a delivery's file. A relative path is relative to tallybook.toml."""
    return folder / Path(delivery.path).expanduser()


def shown(delivery: Delivery) -> str:
    """The target of a delivery, for messages."""
    kind = known_destination(delivery.to)
    if kind is None or kind.place == "path":
        return delivery.path
    if (option := kind.option(kind.place)) and option.secret:
        return urlsplit(str(delivery.options.get(kind.place, ""))).hostname or "" if kind.place == "url" else ""
    return f"{delivery.tab_name} of {place_key(delivery)}" if kind.tabs else place_key(delivery)


def _reported(context: DeliveryContext, delivery: Delivery, mode: DeliveryMode) -> DeliveryReport:
    """Make one delivery and return its report. Errors go into the report, so that the other deliveries are made."""
    began = time.monotonic()
    report = DeliveryReport(delivery=delivery.name, to=delivery.to, path=shown(delivery))
    with reported_errors(report), delivery_lease(context.ledger, lease_job(delivery), context.clock):
        _deliver(context, delivery, report, mode)
    report.seconds = time.monotonic() - began
    return report


@contextmanager
def reported_errors(report: DeliveryReport) -> Iterator[None]:
    """Turn any error in the block into part of a report, so that the other deliveries are made."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # whatever it is, the other deliveries are made
        ours = _as_ours(error)
        report.status, report.error, report.hint = FAILED, ours.message, ours.hint
        report.busy = isinstance(error, Busy)


def _as_ours(error: Exception) -> TallybookError:
    if isinstance(error, TallybookError):
        return error
    return system_error(error) if isinstance(error, OSError) else bug_report(error)


def _deliver(context: DeliveryContext, delivery: Delivery, report: DeliveryReport, mode: DeliveryMode) -> None:
    destination = open_destination(delivery.to)
    fingerprint = fingerprint_of(context, delivery)
    last = context.ledger.delivered().get(delivery.name)
    report.version = context.ledger.version()
    refuse_other_calendar(context, delivery, last)
    same = last is not None and last.version == report.version and _same_question(last.fingerprint, fingerprint)
    same = same and last is not None and last.record == record_of(delivery)
    there = destination.is_there(place_of(context.folder, delivery))
    if same and there and not (mode.force or mode.verify):
        report.status = UP_TO_DATE
        return
    # Changed attributes may have moved any row, and their values at the last delivery cannot be queried.
    moved = last is not None and entity_state_of(last.fingerprint) != entity_state(context.ledger, delivery)
    far = reach(context, delivery, None if moved else last, mode)
    result = context.now(context.question(delivery, far.first))
    report.rows, report.version, report.warnings = len(result.data), result.version, list(result.warnings)
    # With other declarations, the same version of the book gives another answer.
    alike = last if last is not None and not moved and asked_alike(last.fingerprint, fingerprint) else None
    task = _task(context, delivery, result, far, alike, mode)
    if not mode.writes and not destination.kind.reads_back:
        report.rows = len(task.answer().data)
        report.status, report.hint = (WOULD_DELIVER, "") if mode.dry_run else (UNSUPPORTED, "a file is not read back")
    else:
        _report(report, destination.bring_up_to_date(task))
    if mode.writes:
        done = Delivered(version=result.version, fingerprint=fingerprint, record=record_of(delivery))
        context.ledger.record_delivery(delivery.name, done, now=context.clock())


def _report(report: DeliveryReport, outcome: DeliveryOutcome) -> None:
    report.status, report.rows, report.hint = outcome.status, outcome.rows, outcome.hint
    report.path, report.changes = outcome.place or report.path, outcome.changes


def _task(
    context: DeliveryContext,
    delivery: Delivery,
    result: Result,
    far: DeliveryRange,
    last: Delivered | None,
    mode: DeliveryMode,
) -> DeliveryTask:
    """The task to deliver `result`, the answer for the range `far`."""
    record = Record(result=result, since=far.since, is_known=far.is_known) if far.since is not None else None

    def answer() -> Result:
        return result if record is None else context.now(context.question(delivery, None))

    def previous() -> Result | None:
        if last is None or last.version == result.version:
            return None if last is None else result
        return context.answers.query(context.question(delivery, far.first), last.version)

    return DeliveryTask(
        delivery=delivery,
        options=DESTINATIONS.kind(delivery.to).with_defaults(delivery.options),
        answer=answer,
        record=record,
        previous=previous,
        path=place_of(context.folder, delivery),
        book=context.catalog.book.name,
        today=context.today,
        created=context.clock(),
        mode=mode,
        variables=context.variables,
        services=context.services,
        book_version=context.ledger.version,
    )


def fingerprint_of(context: DeliveryContext, delivery: Delivery) -> str:
    """A hash of everything except the book's version that the answer depends on: the query, the declarations, and the
    day."""
    question = _question_hash(context, delivery, context.catalog.book.periods())
    return f"{question} {context.today}{entity_state(context.ledger, delivery)} {_calendar_of(context, delivery)}"


def _question_hash(context: DeliveryContext, delivery: Delivery, periods: BookCalendar) -> str:
    book = context.catalog.book
    metrics = {name: _metric_fields(metric) for name, metric in context.catalog.metrics.items()}
    asked = [FORM, _as_fingerprinted(delivery), metrics, book.timezone, book.week_starts]
    if periods.fiscal is not None:
        asked.append(periods.fiscal)
    return _hash(asked)


def _hash(value: Any) -> str:
    return hashlib.blake2b(msgspec.msgpack.encode(value), digest_size=8).hexdigest()


def _calendar_of(context: DeliveryContext, delivery: Delivery) -> str:
    """The calendar of a delivery's rows, with a hash of its target: fiscal_2_4_4_5_6_end@1f3a…"""
    name = context.catalog.book.periods().key(delivery.scope) or PLAIN_CALENDAR
    place = place_key(delivery) if known_destination(delivery.to) is not None else ""
    return f"{name}@{_hash([delivery.to, place, delivery.tab_name])}"


def refuse_other_calendar(context: DeliveryContext, delivery: Delivery, last: Delivered | None) -> None:
    """Raise DestinationRefused if the tab has periods of another calendar, because calendars must not be mixed."""
    kind = known_destination(delivery.to)
    if last is None or kind is None or not kind.tabs:
        return
    calendar, _, place = _calendar_of(context, delivery).partition("@")
    question, _, rest = last.fingerprint.partition(" ")
    before, _, there = (rest.split(" ", 1)[1] if " " in rest else "").partition("@")
    if not before:  # written by a version that knew only one calendar and did not record the target
        same_place, before = question == _question_hash(context, delivery, PLAIN), PLAIN_CALENDAR
    else:
        same_place = there == place
    if same_place and before != calendar:
        new = f"{delivery.tab_name} ({'calendar' if calendar == PLAIN_CALENDAR else 'fiscal'})"
        raise DestinationRefused(
            f"the calendar of the book changed: {shown(delivery)} has {delivery.scope}s of the calendar before, and "
            "rows of two calendars are never mixed",
            hint=f'name a new tab in [deliveries.{delivery.name}]: tab = "{new}"',
        )


def _metric_fields(metric: Metric) -> dict[str, Any]:
    """The fields of a metric in the form that earlier versions hashed, without newer fields that are unused."""
    fields = msgspec.structs.asdict(metric)
    return {name: value for name, value in fields.items() if value or name not in ("unit_from", "minor_units")}


def _as_fingerprinted(delivery: Delivery) -> dict[str, Any]:
    """The delivery in the form that earlier versions hashed, so that an upgrade does not deliver everything again."""
    fields = msgspec.structs.asdict(delivery)
    return {**{name: fields[name] for name in fields if name != "options"}, **FINGERPRINTED, **delivery.options}


def _same_question(one: str, other: str) -> bool:
    """Whether two fingerprints are equal, even if the first was written without a calendar."""
    return one == other or (one.count(" ") == 1 and other.startswith(f"{one} {PLAIN_CALENDAR}@"))


def asked_alike(one: str, other: str) -> bool:
    """Whether two fingerprints have the same declarations. Their days may differ."""
    return one.partition(" ")[0] == other.partition(" ")[0]
