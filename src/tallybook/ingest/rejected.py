"""Rejected events: read with the bytes that were sent, and decoded again once the reason is gone."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import nlargest
from itertools import chain
from typing import Any, NamedTuple

from tallybook.core import (
    PROTOCOLS,
    WHOLE_REQUEST,
    BookError,
    DecodedEvents,
    EventRequest,
    QueryError,
    Rejection,
    RequestError,
)
from tallybook.ingest.compaction import Compactor, ReceiptOrder
from tallybook.ingest.log import LogRow
from tallybook.ingest.once import FoundEvent
from tallybook.ingest.reading import DEFAULT_PAGE, MAX_PAGE, sql_path
from tallybook.ingest.said_of_users import SaidOfUsers
from tallybook.ingest.unpacking import decode_row, unpack
from tallybook.storage import REJECTED, BadFile, Conflict, EventFile, EventLedger, EventsSnapshot, connect, identifier

MAX_SHOWN_BODY = 20_000
"""Characters of a rejected event that are shown. All of it is kept."""
MAX_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class RejectedQuestion:
    """Which rejected events. The newest come first."""

    key: str | None = None
    code: str | None = None
    start: datetime | None = None
    """Received then or later."""
    end: datetime | None = None
    """Received before then."""
    cursor: str | None = None
    limit: int = DEFAULT_PAGE


@dataclass(frozen=True, kw_only=True)
class RejectedPage:
    rejected: list[dict[str, Any]]
    cursor: str | None
    """For the next page; None after the last."""

    def as_json(self) -> dict[str, Any]:
        return {"rejected": self.rejected, "cursor": self.cursor}


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of rejected events: now stored, stored before under the same id, and still rejected."""

    stored: int = 0
    duplicates: int = 0
    rejected: int = 0

    def as_json(self) -> dict[str, int]:
        return {"stored": self.stored, "duplicates": self.duplicates, "rejected": self.rejected}


class _Entry(NamedTuple):
    """A rejection, in the order in which they are shown: by receipt, then by the request's bytes."""

    at: datetime
    digest: str
    number: int
    row: LogRow
    why: Mapping[str, Any]

    @property
    def place(self) -> tuple[datetime, str, int]:
        return self.at, self.digest, self.number


# -- reading ----------------------------------------------------------------------------------------------------------


def read_rejected(events: EventLedger, question: RejectedQuestion) -> RejectedPage:
    """Rejected events with code, field, reason and body, the newest first. Raises QueryError for a bad cursor."""
    if not 1 <= question.limit <= MAX_PAGE:
        raise QueryError(f"limit is {question.limit}; from 1 to {MAX_PAGE:,}", hint=f"limit={DEFAULT_PAGE}")
    before = _read_cursor(question.cursor) if question.cursor else None
    found: list[_Entry] = []
    files = sorted(_files(events), key=lambda file: file.received_last, reverse=True)
    for file in files:
        if len(found) > question.limit and datetime.fromisoformat(file.received_last) < found[question.limit].at:
            break
        entries = (one for one in _entries(events, file, question) if before is None or one.place < before)
        found = nlargest(question.limit + 1, chain(found, entries), key=lambda one: one.place)
    chosen = found[: question.limit]
    more = len(found) > question.limit
    return RejectedPage(rejected=[_shown(one) for one in chosen], cursor=_cursor(chosen[-1]) if more else None)


def _files(events: EventLedger) -> list[EventFile]:
    return [file for file in events.snapshot().files if file.event == REJECTED]


def _rows(events: EventLedger, file: EventFile) -> Iterator[tuple[LogRow, list[dict[str, Any]]]]:
    """The requests of a file, each with its rejections."""
    columns = ("at", "key", "protocol", "path", "headers", "body", "rejected")
    with connect() as engine:
        try:
            asked = f"SELECT {', '.join(map(identifier, columns))} FROM read_parquet({sql_path(events, file)})"
        except (OSError, BadFile):  # Replayed or merged meanwhile.
            return
        found = engine.execute(asked)
        while batch := found.fetchmany(64):
            for at, key, protocol, path, headers, body, rejected in batch:
                row = LogRow(
                    received=at.astimezone(UTC),
                    key=key,
                    protocol=protocol,
                    path=path,
                    headers=headers,
                    body=bytes(body),
                )
                yield row, json.loads(rejected)


def _entries(events: EventLedger, file: EventFile, question: RejectedQuestion) -> Iterator[_Entry]:
    for row, rejected in _rows(events, file):
        if _is_asked(row, question):
            digest = hashlib.sha256(row.body).hexdigest()[:16]
            for why in rejected:
                if question.code is None or why["code"] == question.code:
                    yield _Entry(row.received, digest, why["index"], row, why)


def _is_asked(row: LogRow, question: RejectedQuestion) -> bool:
    return (
        (question.key is None or row.key == question.key)
        and (question.start is None or row.received >= question.start)
        and (question.end is None or row.received < question.end)
    )


def _shown(entry: _Entry) -> dict[str, Any]:
    row, why = entry.row, entry.why
    body = _text_of(row, why["index"])
    shown = {
        "at": row.received.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "key": row.key,
        "protocol": row.protocol,
        "index": why["index"],
        "id": why.get("id"),
        "code": why["code"],
        "field": why.get("field", ""),
        "reason": why["reason"],
        "body": body[:MAX_SHOWN_BODY],
    }
    return shown if len(body) <= MAX_SHOWN_BODY else {**shown, "truncated": True}


def _text_of(row: LogRow, index: int) -> str:
    """The text of one event of a request as it was sent; of the whole request where it cannot be found in it."""
    body = unpack(row.body, json.loads(row.headers).get("encoding", ""))
    if isinstance(body, RequestError):
        return row.body.decode(errors="replace")
    if index != WHOLE_REQUEST and row.protocol in PROTOCOLS:
        text_of = getattr(PROTOCOLS.adapter(row.protocol), "text_of", None)
        found = text_of(EventRequest(body=body, path=row.path, received=row.received), index) if text_of else None
        if found is not None:
            return str(found)
    return body.decode(errors="replace")


def _cursor(entry: _Entry) -> str:
    return base64.urlsafe_b64encode(f"{entry.at.isoformat()} {entry.digest} {entry.number}".encode()).decode()


def _read_cursor(text: str) -> tuple[datetime, str, int]:
    try:
        at, digest, index = base64.urlsafe_b64decode(text).decode().split(" ")
        return datetime.fromisoformat(at).astimezone(UTC), digest, int(index)
    except (ValueError, OverflowError):
        raise QueryError("the cursor is not one that a page gave", hint="leave out the cursor to begin") from None


# -- replaying --------------------------------------------------------------------------------------------------------


def replay_rejected(compactor: Compactor, question: RejectedQuestion | None = None) -> Replayed:
    """Decode rejected events again. What is good now is stored once, with its receipt and the name of its key; what is
    still bad stays. `limit` and `cursor` of the question are not used."""
    question = question or RejectedQuestion()
    total = Replayed()
    done: set[str] = set()
    for _ in range(MAX_TRIES):
        todo = [file for file in _files(compactor.events) if file.path not in done]
        if not todo:
            return total
        try:
            for file in todo:
                found, path = _Replay(compactor, file, question).run()
                # What stays rejected is in a new file, which is not decoded a second time.
                done |= {file.path, path}
                total = _added(total, found)
        except Conflict:  # Somebody else committed: the same files are looked for again.
            continue
    raise QueryError("the events change too quickly to be replayed", hint="try again")


def _added(one: Replayed, other: Replayed) -> Replayed:
    return Replayed(
        stored=one.stored + other.stored,
        duplicates=one.duplicates + other.duplicates,
        rejected=one.rejected + other.rejected,
    )


class _Replay:
    """The replay of one file, in one commit."""

    def __init__(self, compactor: Compactor, file: EventFile, question: RejectedQuestion) -> None:
        self.compactor, self.file, self.question = compactor, file, question
        self.bounds = {key.name: key.bounds for key in compactor.events.api_keys()}
        self.good: list[FoundEvent] = []
        self.said = SaidOfUsers()
        self.left: list[tuple[LogRow, list[Rejection]]] = []
        """All that stays in the file, with those that were not asked for."""
        self.still = 0

    def run(self) -> tuple[Replayed, str]:
        """What became of the events, and the path of the file of those that stay. Raises Conflict."""
        known = self.compactor.events.snapshot()
        try:
            return self._replayed(known)
        except (BookError, OSError) as error:
            # Files that somebody replaced meanwhile are gone.
            if self.compactor.events.number() != known.number:
                raise Conflict("somebody else committed") from error
            raise

    def _replayed(self, known: EventsSnapshot) -> tuple[Replayed, str]:
        compactor = self.compactor
        if self.file.path not in {file.path for file in known.files}:
            raise Conflict("the file was replayed or merged by somebody else")
        order = ReceiptOrder({}, known.number + 1)
        for row, rejected in _rows(compactor.events, self.file):
            self._decode(row, [_rejection(one) for one in rejected], order)
        if not (self.good or self.said.messages):
            return Replayed(rejected=self.still), self.file.path
        new = compactor.new(known, self.good, self.said)
        change = compactor.change(known, new, self.left)
        change.removed = [self.file.path]
        compactor.publish(known, change)
        path = next((file.path for file in change.files if file.event == REJECTED), self.file.path)
        count = len(new.stored)
        return Replayed(stored=count, duplicates=len(self.good) - count, rejected=self.still), path

    def _decode(self, row: LogRow, rejected: list[Rejection], order: ReceiptOrder) -> None:
        asked, code = [], self.question.code
        if _is_asked(row, self.question):
            asked = [one for one in rejected if code is None or one.code == code]
        left = [one for one in rejected if one not in asked]
        if asked:
            # Judged by the clock and the key of now: a time may be no longer ahead, a key may be allowed more.
            headers = {**json.loads(row.headers), **self.bounds.get(row.key, {})}
            judged = replace(row, headers=json.dumps(headers))
            found = _of_indexes(decode_row(judged, self.compactor.rules, now=self.compactor.clock()), asked)
            digest = f"{row.received.isoformat()} {hashlib.sha256(row.body).hexdigest()}"
            self.good += self.compactor.found_events(f"replay {digest}", row, found, order)
            self.said.add(row, row.received, found, again=True)
            self.still += len(found.rejected)
            left += found.rejected
        if left:
            self.left.append((row, left))


def _of_indexes(found: DecodedEvents, asked: Sequence[Rejection]) -> DecodedEvents:
    """What was found for the events that were rejected; the rejection of before where nothing was."""
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
