"""Keeps files up to date: asks the question of each delivery and puts the answer in its place.

What stands in the ledger says whether there is anything new; a delivery that fails is told, waits for the next
run, and does not keep the others back."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from tallybook.deliver.files import Record, write
from tallybook.deliver.reach import Reach, reach, record_of
from tallybook.destinations.report import (
    AS_DELIVERED,
    DIFFERS,
    FAILED,
    NOT_YET,
    UP_TO_DATE,
    WOULD,
    DeliveryReport,
)
from tallybook.errors import Busy, TallybookError, bug
from tallybook.metrics import SHEETS, Catalog, Delivery
from tallybook.result import Result
from tallybook.store.ledger import Delivered, Lease, Ledger

JOB = "deliver"
LEASE_SECONDS = 600.0
FORM = 1
"""Raised when files are written in another form, so that all of them are delivered again."""


@dataclass(frozen=True, kw_only=True)
class Means:
    """What delivering needs: the declarations, their folder, the ledger, how to ask, the clock."""

    catalog: Catalog
    folder: Path
    ledger: Ledger
    ask: Callable[[Delivery, date | None], Result]
    """Its question, of the periods from a day on; None: of all that is collected."""
    today: date
    clock: Callable[[], datetime]
    ask_then: Callable[[Delivery, int, date | None], Result | None]
    """The same question to an older version of the book; None where that is not kept any more."""
    changed_since: Callable[[Delivery, int], date | None]
    """The first day that may have changed since a version of the book, for the metrics of a delivery; None for none."""
    variables: Mapping[str, str]
    """The environment: keys of services stand in it."""
    services: dict[str, Any] = field(default_factory=dict)
    """Those that were opened, by their address: all deliveries of a run share the pace of one."""


@dataclass(frozen=True, kw_only=True)
class How:
    """`force`: also what is up to date. `dry_run`: say what would be written, and write nothing. `verify`: read back
    what was delivered and say where it differs."""

    force: bool = False
    dry_run: bool = False
    verify: bool = False

    @property
    def writes(self) -> bool:
        return not (self.dry_run or self.verify)


def deliver(means: Means, names: Sequence[str] = (), how: How | None = None) -> list[DeliveryReport]:
    """Deliver what is new: all deliveries, or these.

    Safe to call again. Raises Busy while another process delivers."""
    how = how or How()
    chosen = [d for name, d in means.catalog.deliveries.items() if not names or name in names]
    if all(d.later for d in chosen):
        return [_later(d) for d in chosen]
    lease = _only_us(means)
    try:
        reports = []
        for delivery in chosen:
            reports.append(_later(delivery) if delivery.later else _reported(means, delivery, how, lease))
        return reports
    finally:
        means.ledger.release(lease)


def _only_us(means: Means) -> Lease:
    try:
        return means.ledger.acquire(JOB, now=means.clock(), seconds=LEASE_SECONDS)
    except Busy:
        raise Busy(
            "another process is delivering from this book", hint="wait for it to end, then: tallybook deliver"
        ) from None


def answered(means: Means) -> list[str]:
    """The deliveries of which what stands in their place answers what is declared now, of whatever version."""
    done = means.ledger.delivered()
    declared = means.catalog.deliveries.values()
    return [
        d.name for d in declared if d.name in done and asked_alike(done[d.name].fingerprint, fingerprint_of(means, d))
    ]


def waiting(catalog: Catalog, busy: Busy) -> list[DeliveryReport]:
    """What to tell of a run whose deliveries another process keeps from being made."""
    return [
        DeliveryReport(
            delivery=d.name, to=d.to, path=shown(d), status=FAILED, error=busy.message, hint=busy.hint, busy=True
        )
        for d in catalog.deliveries.values()
        if not d.later
    ]


def _later(delivery: Delivery) -> DeliveryReport:
    said = f"this version does not deliver to {delivery.to}"
    return DeliveryReport(delivery=delivery.name, to=delivery.to, status=NOT_YET, hint=said)


def place_of(folder: Path, delivery: Delivery) -> Path:
    """The file of a delivery: a relative path is one beside tallybook.toml."""
    return folder / Path(delivery.path).expanduser()


def shown(delivery: Delivery) -> str:
    """Where it goes, for people."""
    return f"{delivery.tab_name} of {delivery.spreadsheet}" if delivery.to == SHEETS else delivery.path


def _reported(means: Means, delivery: Delivery, how: How, lease: Lease) -> DeliveryReport:
    """The report of one delivery. Whatever it raises is its own failure: the other deliveries are made."""
    began = time.monotonic()
    report = DeliveryReport(delivery=delivery.name, to=delivery.to, path=shown(delivery))
    try:
        means.ledger.renew(lease, now=means.clock(), seconds=LEASE_SECONDS)
        _deliver(means, delivery, report, how)
    except Exception as error:  # noqa: BLE001  # whatever it is, the other deliveries are made
        ours = _as_ours(error)
        report.status, report.error, report.hint = FAILED, ours.message, ours.hint
    report.seconds = time.monotonic() - began
    return report


def _as_ours(error: Exception) -> TallybookError:
    if isinstance(error, TallybookError):
        return error
    return TallybookError(f"the system refused: {error}") if isinstance(error, OSError) else bug(error)


def _deliver(means: Means, delivery: Delivery, report: DeliveryReport, how: How) -> None:
    fingerprint = fingerprint_of(means, delivery)
    last = means.ledger.delivered().get(delivery.name)
    report.version = means.ledger.version()
    same = last is not None and (last.version, last.fingerprint) == (report.version, fingerprint)
    same = same and last is not None and last.record == record_of(delivery)
    there = delivery.to == SHEETS or place_of(means.folder, delivery).exists()
    if same and there and not (how.force or how.verify):
        report.status = UP_TO_DATE
        return
    far = reach(means, delivery, last, how)
    result = means.ask(delivery, far.first)
    report.rows, report.version, report.warnings = len(result.data), result.version, list(result.warnings)
    if delivery.to == SHEETS:
        # Under other declarations the same version of the book says something else.
        alike = last is not None and asked_alike(last.fingerprint, fingerprint)
        _to_sheet(means, delivery, result, far, last if alike else None, report, how)
    else:
        _to_file(means, delivery, result, far, report, how)
    if how.writes:
        done = Delivered(version=result.version, fingerprint=fingerprint, record=record_of(delivery))
        means.ledger.record_delivery(delivery.name, done, now=means.clock())


def _to_file(
    means: Means, delivery: Delivery, result: Result, far: Reach, report: DeliveryReport, how: How
) -> None:  # fmt: skip
    """Of a workbook `result` is the record that it may hold; what the window says is asked for beside it."""
    record = Record(result, far.since) if far.since is not None else None
    asked = result if record is None else means.ask(delivery, None)
    report.rows = len(asked.data)
    if not how.writes:
        report.status, report.hint = WOULD if how.dry_run else NOT_YET, "" if how.dry_run else "a file is not read back"
    elif not write(asked, delivery, place_of(means.folder, delivery), created=means.clock(), record=record):
        report.status = UP_TO_DATE


def _to_sheet(
    means: Means,
    delivery: Delivery,
    result: Result,
    far: Reach,
    last: Delivered | None,
    report: DeliveryReport,
    how: How,
) -> None:
    from tallybook.deliver.sheets import LEFT_ALONE, put

    same = last is None or last.version == result.version
    before = result if same or last is None else means.ask_then(delivery, last.version, far.first)
    owner = f"{means.catalog.book.name}/{delivery.name}"
    put(result, before if last else None, far, delivery, owner, report, how.writes, means)
    if how.verify:
        report.status = DIFFERS if report.changes else AS_DELIVERED
        if any(change["what"] == "new row" for change in report.changes):
            report.hint = f"{report.hint} Rows are missing: tallybook deliver {delivery.name} --force".strip()
    elif how.dry_run:
        report.status = WOULD if any(c["what"] not in LEFT_ALONE for c in report.changes) else UP_TO_DATE


def fingerprint_of(means: Means, delivery: Delivery) -> str:
    """All that the answer depends on beside the book's version: a hash of what is asked and declared, and the day."""
    catalog = means.catalog
    told = [FORM, delivery, catalog.metrics, catalog.book.timezone, catalog.book.week_starts]
    return f"{hashlib.blake2b(msgspec.msgpack.encode(told), digest_size=8).hexdigest()} {means.today}"


def asked_alike(one: str, other: str) -> bool:
    """Whether two fingerprints are of the same declarations, on whatever days."""
    return one.partition(" ")[0] == other.partition(" ")[0]
