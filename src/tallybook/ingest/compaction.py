"""Compaction: turns the log into typed Parquet. One transaction of the ledger records the files and how far each log
is consumed. After a crash at any point, files that are not recorded do not count, and the same rows are compacted
again."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from tallybook.core import (
    DEFAULT_EVENTS,
    INSTANT_TYPE,
    PROTOCOLS,
    WHOLE_REQUEST,
    ArrowTable,
    BookError,
    DecodedEvents,
    EventRules,
    EventSettings,
    Rejection,
    arrow_column,
    calendar,
)
from tallybook.ingest.columns import PropertyTypes, StoredEvent, table_of
from tallybook.ingest.files import write_table
from tallybook.ingest.id_runs import id_hashing, merged_runs, write_run
from tallybook.ingest.log import LogFolder, LogGone, LogRow
from tallybook.ingest.names import within_names
from tallybook.ingest.once import FoundEvent, NewEvents, new_events, repeats_of
from tallybook.ingest.unpacking import decode_row
from tallybook.ingest.user_changes import PushedUserChanges, days_of_users
from tallybook.storage import (
    REJECTED,
    Conflict,
    ConsumedLog,
    EntityHistory,
    EventCommit,
    EventFile,
    EventLedger,
    EventsSnapshot,
    stamp_of,
)

MAX_STEP_BYTES = 16 * 1024 * 1024
"""Maximum size of the bodies of one log that are compacted together."""
SEAL_INTERVAL = timedelta(seconds=5)
"""How often the ledger records that a host is alive and has compacted everything."""
COMMIT_BITS = 32
"""Number of low bits in an event's position that count the events within a commit."""
MAX_KNOWN_QUARTERS = 100_000
_EPOCH = datetime(1973, 1, 1, tzinfo=UTC)
MARGIN = timedelta(seconds=2)
"""Maximum time between the receipt of a request and the moment when its row can be read."""


@dataclass
class _LogBatch:
    """The rows that one step found in the logs."""

    rows: list[tuple[str, LogRow]] = field(default_factory=list)
    """(log, row)."""
    logs: list[ConsumedLog] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """Logs without a writer that are fully read."""
    at_end: bool = True
    """Whether every log was read to its end."""
    has_writer: bool = False


class ReceiptOrder:
    """The order of stored events. Receipts of one log never go back, even if a clock was set back. A number of its own
    orders the events received at the same time."""

    def __init__(self, latest: Mapping[str, datetime], commit: int) -> None:
        """`latest`: by log, the last stored receipt."""
        self.latest = dict(latest)
        self.numbers = itertools.count(commit << COMMIT_BITS)

    def receipt(self, log: str, received: datetime) -> datetime:
        self.latest[log] = max(received, self.latest.get(log, received))
        return self.latest[log]


class _Days:
    """Finds the day of an instant in the book's zone. Caches the answer for each quarter of an hour."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self.known: dict[int, date] = {}

    def day_of(self, at: datetime) -> date:
        since = at - _EPOCH
        if since.days < 0:  # Before 1973, zones did not all differ by whole quarters of an hour.
            return calendar.day_of(at, self.zone)
        quarter = since.days * 96 + since.seconds // 900
        found = self.known.get(quarter)
        if found is None:
            if len(self.known) > MAX_KNOWN_QUARTERS:
                self.known.clear()
            found = self.known[quarter] = calendar.day_of(at, self.zone)
        return found


class Compactor:
    """Compacts the logs of one host into a book. Several processes may work at a time: after one of them commits, the
    others start again from its commit."""

    def __init__(
        self,
        events: EventLedger,
        logs: LogFolder,
        *,
        zone: str,
        clock: Callable[[], datetime],
        settings: EventSettings = DEFAULT_EVENTS,
        max_bytes: int = MAX_STEP_BYTES,
    ) -> None:
        self.events, self.logs, self.days, self.clock = events, logs, _Days(zone), clock
        self.rules, self.max_bytes = EventRules(settings=settings, zone=zone), max_bytes
        self.dedup = timedelta(seconds=settings.dedup)
        self.sealed_at: datetime | None = None
        self.serving_since: datetime | None = None
        self.last_receipts: dict[str, datetime] = {}
        """By log, the receipt of the last stored row."""
        self.has_more = False
        """Whether the last step left rows in a log."""

    def step(self) -> bool:
        """Compact what is in the logs now, or a part of it if there is much. Returns whether anything was compacted."""
        began = self.clock()
        batch = self._batch()
        self.has_more = not batch.at_end
        if batch.rows:
            try:
                self._commit(batch, self.events.snapshot())
            except Conflict:
                self.has_more = True
                return True
        for name in batch.done:
            with suppress(LogGone):
                self.logs.open(name).drop()
        self._seal(began, batch)
        return bool(batch.rows)

    def _batch(self) -> _LogBatch:
        batch = _LogBatch()
        consumed = self.events.consumed(self.logs.host)
        for name in self.logs.names():
            # Checked before reading, because a writer that is gone by now appends nothing more.
            has_writer = self.logs.has_writer(name)
            batch.has_writer |= has_writer
            before = consumed.get(name, 0)
            try:
                with closing(self.logs.open(name)) as log:
                    rows = log.read(before, self.max_bytes)
            except LogGone:
                continue
            if rows:
                last = rows[-1].n
                batch.rows += [(name, row) for row in rows]
                batch.logs.append(ConsumedLog(host=self.logs.host, file=name, consumed=last, before=before))
                batch.at_end &= sum(len(row.body) for row in rows) < self.max_bytes
            elif not has_writer:
                batch.done.append(name)
        return batch

    def _seal(self, began: datetime, batch: _LogBatch) -> None:
        """Record that everything received until just before this step is compacted, and that the host was serving."""
        if not batch.at_end:
            return
        if not batch.has_writer:
            self.serving_since = None
        elif self.serving_since is None:
            self.serving_since = began
        if self.sealed_at is not None and began - self.sealed_at < SEAL_INTERVAL and not batch.rows:
            return
        served = (self.serving_since, began) if self.serving_since else None
        self.events.seal(self.logs.host, began - MARGIN, served)
        self.sealed_at = began

    # -- one commit ----------------------------------------------------------------------------------

    def _commit(self, batch: _LogBatch, known: EventsSnapshot) -> None:
        import duckdb

        try:
            self._compact(batch, known)
        except (BookError, OSError, duckdb.Error) as error:
            # Files that another process replaced meanwhile are gone. The engine raises an error of its own for that.
            if self.events.number() != known.number:
                raise Conflict("somebody else committed") from error
            if (bad := self.events.damage()) is not None:
                raise bad from None
            raise

    def _compact(self, batch: _LogBatch, known: EventsSnapshot) -> None:
        order, names = ReceiptOrder(self.last_receipts, known.number + 1), set(known.events)
        found: list[FoundEvent] = []
        said = PushedUserChanges()
        rejected: list[tuple[LogRow, Sequence[Rejection]]] = []
        for log, row in self._in_order(batch.rows):
            decoded = within_names(self.decoded(row), names, self.rules.settings.max_events)
            if decoded.error is not None:
                why = Rejection(index=WHOLE_REQUEST, code=decoded.error.code, reason=decoded.error.message)
                rejected.append((row, [why]))
            elif decoded.rejected:
                rejected.append((row, decoded.rejected))
            found += self.found_events(log, row, decoded, order)
            said.add(row, order.receipt(log, row.received), decoded)
        change = self.change(known, self.new(known, found, said), rejected)
        change.logs = batch.logs
        self.publish(known, change)
        self.last_receipts = order.latest

    def _in_order(self, rows: Sequence[tuple[str, LogRow]]) -> list[tuple[str, LogRow]]:
        """The rows of several logs in the order of their receipt: the first link of an id counts, and an equal event is
        a repetition only if nothing else came in between."""
        order = ReceiptOrder(self.last_receipts, 0)
        received = [order.receipt(log, row.received) for log, row in rows]
        return [rows[place] for place in sorted(range(len(rows)), key=received.__getitem__)]

    def decoded(self, row: LogRow) -> DecodedEvents:
        """The events in a row of the log."""
        return decode_row(row, self.rules)

    def publish(self, known: EventsSnapshot, change: EventCommit) -> None:
        """Commit a change on top of the known state. Raises Conflict."""
        gone = [run for run in known.runs if run.path in change.gone_runs]
        self.events.commit(known.number, change, now=self.clock())
        for run in gone:
            self.events.files.delete(run.stored)

    def new(self, known: EventsSnapshot, found: Sequence[FoundEvent], said: PushedUserChanges) -> NewEvents:
        """The events that were not stored before."""
        return new_events(self.events, known.runs, found, said, self.rules.settings)

    def found_events(self, log: str, row: LogRow, decoded: DecodedEvents, order: ReceiptOrder) -> Iterator[FoundEvent]:
        """The events of a row, each with the hashes by which it is recognized if it is sent again."""
        again = json.loads(row.headers).get("idempotency_key")
        received = order.receipt(log, row.received)
        hash_of_id = id_hashing(row.key)
        finds = not again and row.protocol in PROTOCOLS and PROTOCOLS.kind(row.protocol).finds_repeats
        repeats = repeats_of(row.key, decoded.events, self.rules.settings) if finds else {}
        for index, event in decoded.events:
            own = event.id or (_made_id("request", again, index) if again else None)
            at = event.time or (datetime.combine(event.day, time(), UTC) if event.day else row.received)
            one = StoredEvent(
                name=event.name,
                time=at,
                day=event.day or self.days.day_of(at),
                received=received,
                user=event.user,
                account=event.account,
                id=own or _made_id(log, row.n, index),
                key=row.key,
                properties=event.properties,
                commit=next(order.numbers),
            )
            hash_ = hash_of_id(own) if own else None
            yield FoundEvent(event=one, request=(log, row.n), hash=hash_, repeats=repeats.get(index))

    def change(
        self, known: EventsSnapshot, new: NewEvents, rejected: Sequence[tuple[LogRow, Sequence[Rejection]]]
    ) -> EventCommit:
        """Write the files of a commit and return the commit that names them."""
        by_name: dict[str, list[StoredEvent]] = {}
        stored, ids = new.stored, new.ids
        for one in stored:
            by_name.setdefault(one.name, []).append(one)
        change = EventCommit(
            days=[(one.name, one.day) for one in stored],
            pushed=[(one.name, one.day, one.key) for one in stored],
            contents=self.events.files.contents,
        )
        files, properties = [], []
        conflicts: dict[tuple[str, str], int] = {}
        for name, events in by_name.items():
            declared = self.rules.settings.of(name).types
            types = PropertyTypes(name, {one.name: one for one in known.properties.get(name, ())}, declared)
            times, received = [one.time for one in events], [one.received for one in events]
            files.append(self._written(name, "files", table_of(events, types), times, received))
            properties += types.new
            conflicts |= types.conflicts
        if rejected:
            files.append(self._rejected(rejected))
        runs, gone = merged_runs(self.events, known.runs, self.clock(), self.dedup)
        if ids:
            runs.append(write_run(self.events, ids))
        change.files, change.properties, change.conflicts = files, properties, conflicts
        change.runs, change.gone_runs = runs, gone
        if new.said.messages:
            now, links = self.clock(), [link for _, _, link in new.said.links]
            days = days_of_users(self.events, known.files, links)
            history = EntityHistory(self.events.ledger, self.events.files)
            change.within = lambda db, number: new.said.apply(db, number, now, days, history)
        return change

    def _rejected(self, rejected: Sequence[tuple[LogRow, Sequence[Rejection]]]) -> EventFile:
        """Write a file of requests with rejected events: the bytes as received, and the reasons."""
        at = [row.received for row, _ in rejected]
        texts = {name: [getattr(row, name) for row, _ in rejected] for name in ("key", "protocol", "path", "headers")}
        texts["rejected"] = [json.dumps([one.as_json() for one in why], ensure_ascii=False) for _, why in rejected]
        table = ArrowTable.of(
            {
                "at": arrow_column(at, INSTANT_TYPE),
                **{name: arrow_column(values, "VARCHAR") for name, values in texts.items()},
                "body": arrow_column([row.body for row, _ in rejected], "BLOB"),
            }
        )
        return self._written(REJECTED, "rejected", table, at, at)

    def _written(
        self, event: str, folder: str, table: ArrowTable, times: Sequence[datetime], received: Sequence[datetime]
    ) -> EventFile:
        written = write_table(self.events.files, table, f"{folder}/{self.clock():%Y-%m}")
        return EventFile(
            event=event,
            path=written.path,
            first=stamp_of(min(times)),
            last=stamp_of(max(times)),
            received_first=stamp_of(min(received)),
            received_last=stamp_of(max(received)),
            rows=written.rows,
            bytes=written.bytes,
            sha256=written.sha256,
        )


def _made_id(*parts: object) -> str:
    """An id for an event without one. The same row of the log always gets the same id, however often it is
    compacted."""
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()
