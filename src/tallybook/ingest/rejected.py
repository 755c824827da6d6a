"""Reads rejected events with the bytes that were sent."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nlargest
from itertools import chain
from typing import Any, NamedTuple

from tallybook.core import (
    PROTOCOLS,
    WHOLE_REQUEST,
    EventRequest,
    QueryError,
    RequestError,
)
from tallybook.ingest.log import LogRow
from tallybook.ingest.reading import DEFAULT_PAGE, MAX_PAGE, on_present_files, sql_path
from tallybook.ingest.unpacking import unpack
from tallybook.storage import REJECTED, EventFile, EventLedger, connect, identifier, literal

MAX_SHOWN_BODY = 20_000
"""Maximum number of characters shown of a rejected event. The whole event is kept."""


@dataclass(frozen=True, kw_only=True)
class RejectedQuestion:
    """Which rejected events to read, newest first."""

    key: str | None = None
    code: str | None = None
    start: datetime | None = None
    """Only events received at or after this instant."""
    end: datetime | None = None
    """Only events received before this instant."""
    cursor: str | None = None
    limit: int = DEFAULT_PAGE


@dataclass(frozen=True, kw_only=True)
class RejectedPage:
    rejected: list[dict[str, Any]]
    cursor: str | None
    """The cursor of the next page, or None after the last page."""

    def as_json(self) -> dict[str, Any]:
        return {"rejected": self.rejected, "cursor": self.cursor}


class _Entry(NamedTuple):
    """A rejection. Rejections are ordered by receipt, then by the bytes of the request."""

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
    """Rejected events with code, field, reason and body, newest first. Raises QueryError for an invalid cursor."""
    if not 1 <= question.limit <= MAX_PAGE:
        raise QueryError(f"limit is {question.limit}; from 1 to {MAX_PAGE:,}", hint=f"limit={DEFAULT_PAGE}")
    before = _read_cursor(question.cursor) if question.cursor else None
    return on_present_files(lambda: _page(events, question, before))


def _page(events: EventLedger, question: RejectedQuestion, before: tuple[datetime, str, int] | None) -> RejectedPage:
    found: list[_Entry] = []
    files = sorted(_files(events), key=lambda file: file.received_last, reverse=True)
    for file in files:
        if len(found) > question.limit and datetime.fromisoformat(file.received_last) < found[question.limit].at:
            break
        entries = _newest(events, file, question, before)
        found = nlargest(question.limit + 1, chain(found, entries), key=lambda one: one.place)
    chosen = found[: question.limit]
    more = len(found) > question.limit
    return RejectedPage(rejected=[_shown(one) for one in chosen], cursor=_cursor(chosen[-1]) if more else None)


def _files(events: EventLedger) -> list[EventFile]:
    return [file for file in events.snapshot().files if file.event == REJECTED]


def rejected_rows(
    events: EventLedger, file: EventFile, condition: str = "true", *, newest_first: bool = False
) -> Iterator[tuple[LogRow, list[dict[str, Any]]]]:
    """The requests of a file in the order of receipt, each with its rejections. `condition` is SQL over `at` and `key`.
    Raises OSError or BadFile if the file was replaced meanwhile."""
    columns = ("at", "key", "protocol", "path", "headers", "body", "rejected")
    order = '"at" DESC' if newest_first else '"at"'
    asked = f"SELECT {', '.join(map(identifier, columns))} FROM read_parquet({sql_path(events, file)})"
    with connect() as engine:
        found = engine.execute(f"{asked} WHERE {condition} ORDER BY {order}")
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


def condition_of(question: RejectedQuestion) -> str:
    """The key and the times of a question as SQL."""
    parts = [
        f'"key" = {literal(question.key)}' if question.key is not None else "",
        f'"at" >= {instant_sql(question.start)}' if question.start is not None else "",
        f'"at" < {instant_sql(question.end)}' if question.end is not None else "",
    ]
    return " AND ".join(filter(None, parts)) or "true"


def instant_sql(at: datetime) -> str:
    """An instant as SQL."""
    return f"TIMESTAMPTZ '{at.astimezone(UTC).isoformat()}'"


def _newest(
    events: EventLedger, file: EventFile, question: RejectedQuestion, before: tuple[datetime, str, int] | None
) -> list[_Entry]:
    """The newest entries of a file before a position. At least one more than the limit, if there are that many."""
    found: list[_Entry] = []
    condition = condition_of(question) + (f' AND "at" <= {instant_sql(before[0])}' if before else "")
    for row, rejected in rejected_rows(events, file, condition, newest_first=True):
        # Other requests of the same instant may come before this one.
        if len(found) > question.limit and row.received < found[question.limit].at:
            break
        digest = hashlib.sha256(row.body).hexdigest()[:16]
        every = (_Entry(row.received, digest, why["index"], row, why) for why in rejected)
        asked = (one for one in every if question.code is None or one.why["code"] == question.code)
        found += [one for one in asked if before is None or one.place < before]
    return found


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
    """The text of one event of a request as it was sent. If it cannot be located, the text of the whole request."""
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
