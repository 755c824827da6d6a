"""Waits for a request's events to be on disk, and gives the verdict on each."""

from __future__ import annotations

import random
from collections.abc import Awaitable
from datetime import date, datetime
from typing import Any
from urllib.parse import unquote

from tallybook.core import MAX_NAME, DecodedEvents, RequestError
from tallybook.ingest import LogAway, LogFailed, LogFull
from tallybook.server.answers import HttpAnswer, Refusal, ledger_error

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]


def event_and_day(raw_path: str) -> tuple[str, date]:
    """The event and the day in a path as it was sent. The name of an event may contain a slash."""
    raw, _, text = raw_path.removeprefix("/v1/days/").rpartition("/")
    try:
        event = unquote(raw, errors="strict")
    except UnicodeDecodeError:
        message = "the name of the event in the path is not UTF-8"
        raise Refusal(RequestError(status=400, code="bad_encoding", message=message, seen=raw[:40])) from None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  # a day has no zone
    except ValueError:
        error = RequestError(
            status=400, code="bad_time", message="the path ends with a day", seen=text[:40], expected="2026-03-01"
        )
        raise Refusal(error) from None
    if not event:
        raise Refusal(RequestError(status=400, code="no_event", message="the path has no event"))
    if len(event) > MAX_NAME or any(ord(character) < 32 for character in event):
        message = "the name of the event is too long, or contains control characters"
        raise Refusal(RequestError(status=400, code="bad_name", message=message, seen=event[:40]))
    return event, day


async def on_disk(waiting: Awaitable[tuple[str, int]]) -> None:
    """Wait until a row is on disk. Raises Refusal if there is no room or writing failed."""
    try:
        await waiting
    except LogAway:
        raise Refusal(ledger_error()) from None
    except LogFull:
        error = RequestError(status=503, code="disk", message="the disk has no room for more events; nothing is stored")
        raise Refusal(error) from None
    except LogFailed:
        error = RequestError(status=503, code="disk", message="the disk failed; this server ends")
        raise Refusal(error, closes=True) from None


def verdicts_of(decoded: DecodedEvents, received: datetime) -> HttpAnswer:
    ids = [event.id for _, event in decoded.events if event.id is not None]
    duplicates = len(ids) - len(set(ids))
    body: dict[str, Any] = {
        "stored": len(decoded.events) - duplicates,
        "duplicates": duplicates,
        "rejected": [one.as_json() for one in decoded.rejected],
        "receipt": receipt(received),
    }
    if decoded.changes:
        body["changed"] = len({(change.kind, change.id) for _, change in decoded.changes})
    if decoded.links:
        body["linked"] = len(decoded.links)
    if decoded.warnings:
        body["warnings"] = [one.as_json() for one in decoded.warnings]
    return HttpAnswer(422 if decoded.rejected and not decoded.events else 200, body)


def receipt(received: datetime) -> str:
    """A name for a request: 26 characters that sort by time (a ULID)."""
    number = int(received.timestamp() * 1000) << 80 | random.getrandbits(80)
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
