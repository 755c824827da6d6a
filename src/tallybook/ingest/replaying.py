"""Decodes rejected events again once the reason is gone, in slices by receipt with one commit each.

Slices are small, so that a concurrent commit of a compactor repeats little work."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tallybook.core import WHOLE_REQUEST, BookError, DecodedEvents, QueryError, Rejection
from tallybook.ingest.compaction import Compactor, ReceiptOrder
from tallybook.ingest.log import LogRow
from tallybook.ingest.once import FoundEvent
from tallybook.ingest.reading import sql_path
from tallybook.ingest.rejected import RejectedQuestion, condition_of, instant_sql, rejected_rows
from tallybook.ingest.unpacking import decode_row
from tallybook.ingest.upkeep import file_of
from tallybook.ingest.user_changes import PushedUserChanges
from tallybook.storage import REJECTED, Conflict, EventFile, EventsSnapshot, connect

MAX_SLICE_ROWS = 500
MAX_SLICE_BYTES = 4_000_000
"""Maximum size of the bodies in a slice. Requests of one instant are always in one slice."""
MAX_TRIES = 20
"""Maximum number of attempts for one slice."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """The result of a replay: events stored now, events stored before under the same id, and events still rejected."""

    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    cursor: str | None = None
    """The cursor to continue from if time ran out. None at the end."""

    def as_json(self) -> dict[str, Any]:
        found = {"stored": self.stored, "duplicates": self.duplicates, "rejected": self.rejected}
        return found if self.cursor is None else {**found, "cursor": self.cursor}


def replay_rejected(
    compactor: Compactor, question: RejectedQuestion | None = None, *, seconds: float | None = None
) -> Replayed:
    """Decode rejected events again, oldest first. Events that are valid now are stored once, with their receipt and the
    name of their key. The others stay rejected. The question's `limit` is not used. After `seconds`, the replay ends
    with a cursor.

    Raises QueryError for an invalid cursor, and if other processes keep committing."""
    question, began = question or RejectedQuestion(), time.monotonic()
    after = _read_cursor(question.cursor) if question.cursor else None
    newest = [one.received_last for one in compactor.events.snapshot().files if one.event == REJECTED]
    total = Replayed()
    while newest:
        found, after = _replayed_slice(compactor, question, after, datetime.fromisoformat(max(newest)))
        total = _added(total, found)
        if after is None:
            break
        if seconds is not None and time.monotonic() - began >= seconds:
            return replace(total, cursor=base64.urlsafe_b64encode(after.isoformat().encode()).decode())
    return total


def _read_cursor(text: str) -> datetime:
    try:
        return datetime.fromisoformat(base64.urlsafe_b64decode(text).decode()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise QueryError(
            "the cursor is not one that a replay gave", hint="leave out the cursor to begin", field="cursor"
        ) from None


def _replayed_slice(
    compactor: Compactor, question: RejectedQuestion, after: datetime | None, until: datetime
) -> tuple[Replayed, datetime | None]:
    """Replay the next events after an instant. Returns the result and their last receipt, or None after the last
    events."""
    for _ in range(MAX_TRIES):
        known = compactor.events.snapshot()
        try:
            return _ReplaySlice(compactor, question, known, after, until).run()
        except Conflict:
            continue
        except (BookError, OSError):
            # Files that another process replaced meanwhile are gone.
            if compactor.events.number() == known.number:
                raise
    raise QueryError("the events change too quickly to be replayed", hint="try again")


def _added(one: Replayed, other: Replayed) -> Replayed:
    return Replayed(
        stored=one.stored + other.stored,
        duplicates=one.duplicates + other.duplicates,
        rejected=one.rejected + other.rejected,
    )


@dataclass
class _ReplaySlice:
    """The replay of some requests, in one commit."""

    compactor: Compactor
    question: RejectedQuestion
    known: EventsSnapshot
    after: datetime | None
    until: datetime
    good: list[FoundEvent] = field(default_factory=list)
    said: PushedUserChanges = field(default_factory=PushedUserChanges)
    still: int = 0

    def run(self) -> tuple[Replayed, datetime | None]:
        """Replay the slice; see `_replayed_slice`. Raises Conflict, and OSError or BadFile for files that were
        replaced."""
        files = [one for one in self.known.files if one.event == REJECTED and self._may_have(one)]
        last = self._last(files) if files else None
        if last is None:
            return Replayed(), None
        files = [one for one in files if datetime.fromisoformat(one.received_first) <= last]
        chosen = f'{self._later} AND "at" <= {instant_sql(last)}'
        self.bounds = {key.name: key.bounds for key in self.compactor.events.api_keys()}
        self.order = ReceiptOrder({}, self.known.number + 1)
        left: list[tuple[LogRow, Sequence[Rejection]]] = []
        changed = []
        for file in files:
            stays, has_good = self._decoded(file, chosen)
            if has_good:
                changed.append(file)
                left += stays
        stored = self._publish(changed, left, chosen) if changed else 0
        found = Replayed(stored=stored, duplicates=len(self.good) - stored, rejected=self.still)
        return found, last

    def _may_have(self, file: EventFile) -> bool:
        return self.after is None or datetime.fromisoformat(file.received_last) > self.after

    @property
    def _later(self) -> str:
        parts = [condition_of(self.question), f'"at" <= {instant_sql(self.until)}']
        return " AND ".join(parts if self.after is None else [*parts, f'"at" > {instant_sql(self.after)}'])

    def _last(self, files: Sequence[EventFile]) -> datetime | None:
        """The receipt of the last request of the slice, or None if nothing is left."""
        paths = ", ".join(sql_path(self.compactor.events, file) for file in files)
        asked = (
            f'SELECT "at", octet_length(body) FROM read_parquet([{paths}]) WHERE {self._later} '
            f'ORDER BY "at" LIMIT {MAX_SLICE_ROWS}'
        )
        with connect() as engine:
            found = engine.execute(asked).fetchall()
        last, size = None, 0
        for at, count in found:
            size += count
            if last is not None and size > MAX_SLICE_BYTES:
                break
            last = at.astimezone(UTC)
        return last

    def _decoded(self, file: EventFile, chosen: str) -> tuple[list[tuple[LogRow, Sequence[Rejection]]], bool]:
        """The part of a file's chosen requests that stays rejected, and whether any event is valid now."""
        stays: list[tuple[LogRow, Sequence[Rejection]]] = []
        before = len(self.good), len(self.said.messages)
        for row, rejected in rejected_rows(self.compactor.events, file, chosen):
            left = self._decode(row, [_rejection(one) for one in rejected])
            if left:
                stays.append((row, left))
        return stays, before != (len(self.good), len(self.said.messages))

    def _decode(self, row: LogRow, rejected: Sequence[Rejection]) -> Sequence[Rejection]:
        """Decode a request again. Returns the rejections that remain."""
        code = self.question.code
        asked = [one for one in rejected if code is None or one.code == code]
        if not asked:
            return rejected
        # Judged by the current clock and key: a time may no longer be in the future, and a key may be allowed more.
        headers = {**json.loads(row.headers), **self.bounds.get(row.key, {})}
        judged = replace(row, headers=json.dumps(headers))
        found = _of_indexes(decode_row(judged, self.compactor.rules, now=self.compactor.clock()), asked)
        digest = f"{row.received.isoformat()} {hashlib.sha256(row.body).hexdigest()}"
        self.good += self.compactor.found_events(f"replay {digest}", row, found, self.order)
        self.said.add(row, row.received, found, again=True)
        self.still += len(found.rejected)
        return [*(one for one in rejected if one not in asked), *found.rejected]

    def _publish(self, files: Sequence[EventFile], left: list[tuple[LogRow, Sequence[Rejection]]], chosen: str) -> int:
        """Commit the valid events, and replace the files that they came from. Returns how many events are stored."""
        compactor = self.compactor
        new = compactor.new(self.known, self.good, self.said)
        change = compactor.change(self.known, new, left)
        change.removed = [file.path for file in files]
        change.files = [*change.files, *self._others(files, chosen)]
        compactor.publish(self.known, change)
        return len(new.stored)

    def _others(self, files: Sequence[EventFile], chosen: str) -> list[EventFile]:
        """A file with the requests that were not chosen, or no file if all were chosen."""
        events = self.compactor.events
        paths = ", ".join(sql_path(events, file) for file in files)
        rows = (
            f"FROM (SELECT *, row_number() OVER () AS row_of_files FROM read_parquet([{paths}])) WHERE NOT ({chosen})"
        )
        with connect() as engine:
            if not engine.execute(f"SELECT count(*) {rows}").fetchall()[0][0]:
                return []
            return [file_of(events, engine, REJECTED, rows, '"at", row_of_files', self.compactor.clock())]


def _of_indexes(found: DecodedEvents, asked: Sequence[Rejection]) -> DecodedEvents:
    """The result for the events that were rejected before. If an event has none, its earlier rejection is kept."""
    if found.error is not None:
        return DecodedEvents(rejected=asked)
    indexes = {one.index for one in asked}
    if WHOLE_REQUEST in indexes:
        return found
    good = [one for one in found.events if one[0] in indexes]
    changes = [one for one in found.changes if one[0] in indexes]
    links = [one for one in found.links if one[0] in indexes]
    still = {one.index for one in found.rejected}
    rejected = {one.index: one for one in (*asked, *found.rejected) if one.index in indexes}
    for index in {index for index, _ in (*good, *changes, *links)} - still:
        rejected.pop(index, None)
    return DecodedEvents(events=good, changes=changes, links=links, rejected=list(rejected.values()))


def _rejection(said: Mapping[str, Any]) -> Rejection:
    return Rejection(
        index=said["index"], code=said["code"], reason=said["reason"], field=said.get("field", ""), id=said.get("id")
    )
