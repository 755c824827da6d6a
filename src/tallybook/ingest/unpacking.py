"""Decodes rows of the log into events: unpacks the body with bounded memory, then decodes it by its protocol."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tallybook.core import (
    ACCOUNTS,
    DEFAULT_RULES,
    MIN_UNPACKED_BYTES,
    PROTOCOLS,
    DecodedEvents,
    Event,
    EventLimits,
    EventRequest,
    EventRules,
    Rejection,
    RequestError,
    shorten_list,
)
from tallybook.ingest.declared import as_declared
from tallybook.ingest.from_pages import page_rejections
from tallybook.ingest.log import LogRow

BOUND_FIELDS = {"events": "event", "accounts": "account"}
ENCODINGS = ("gzip", "deflate", "zstd")
_CHUNK = 256 * 1024
_ZSTD_PIECE = 128
"""Number of bytes that are unpacked at a time. Four bytes may expand to 128 kB."""


class _TooLarge(Exception):
    pass


def decode_row(row: LogRow, rules: EventRules = DEFAULT_RULES, *, now: datetime | None = None) -> DecodedEvents:
    """The events of a row of the log that are within the rules, or an error if the row cannot be decoded. Times are
    judged as of `now` if given, else as of the receipt."""
    if row.protocol not in PROTOCOLS:
        message = f"there is no protocol {row.protocol!r} any more"
        return DecodedEvents(error=RequestError(status=400, code="bad_json", message=message))
    noted = json.loads(row.headers) if row.headers != "{}" else {}
    body = unpack(row.body, noted.get("encoding", ""), rules.limits)
    if isinstance(body, RequestError):
        return DecodedEvents(error=body)
    request = EventRequest(
        body=body, path=row.path, received=row.received, rules=rules, headers=noted.get("http", {}), now=now
    )
    found = as_declared(_decoded(row.protocol, request), rules.settings)
    if "page" in noted:
        found = _without(found, list(page_rejections(list(found.events), noted["page"], rules.settings)))
    bounds = {name: noted[name] for name in ("events", "accounts") if noted.get(name)}
    return _within(found, bounds) if bounds else found


def _without(found: DecodedEvents, rejected: Sequence[Rejection]) -> DecodedEvents:
    """The decoded events without those that are rejected."""
    gone = {one.index for one in rejected}
    good = [(index, event) for index, event in found.events if index not in gone]
    return with_events(found, good, [*found.rejected, *rejected]) if rejected else found


def _decoded(protocol: str, request: EventRequest) -> DecodedEvents:
    """The events that the protocol decodes. If a protocol raises, its request is kept as unreadable, so that other
    requests are not blocked."""
    try:
        found: DecodedEvents = PROTOCOLS.adapter(protocol).decode(request)
    except Exception as error:  # noqa: BLE001  # of a package that we do not know; it is in the rejection
        message = f"the protocol {protocol!r} cannot read the request: {type(error).__name__}: {error}"
        return DecodedEvents(error=RequestError(status=400, code="bad_json", message=message[:500]))
    return found


def _within(found: DecodedEvents, bounds: Mapping[str, Sequence[str]]) -> DecodedEvents:
    """The decoded events, with a rejection for each event, user and account that the key may not send."""
    good, rejected = [], list(found.rejected)
    for index, event in found.events:
        wrong = next((name for name in bounds if _bound_value(event, name) not in bounds[name]), None)
        if wrong is None:
            good.append((index, event))
        else:
            field = BOUND_FIELDS[wrong]
            reason = f"the key is bound to other {wrong}: {shorten_list(bounds[wrong], 5)}"
            rejected.append(Rejection(index=index, code="not_bound", field=field, reason=reason, id=event.id))
    accounts = () if "events" in bounds else bounds["accounts"]
    changes = [one for one in found.changes if one[1].kind == ACCOUNTS and one[1].id in accounts]
    dropped = {index for index, one in found.changes if (index, one) not in changes} | {i for i, _ in found.links}
    for index in sorted(dropped - {one.index for one in rejected}):
        reason = f"the key is bound to {' and '.join(bounds)}: it may not say anything about this user or account"
        rejected.append(Rejection(index=index, code="not_bound", reason=reason))
    return with_events(replace(found, changes=changes, links=()), good, rejected)


def with_events(
    found: DecodedEvents, good: Sequence[tuple[int, Event]], rejected: Sequence[Rejection]
) -> DecodedEvents:
    """The decoded events, limited to the valid ones."""
    left = {index for index, _ in (*good, *found.changes, *found.links)}
    return replace(
        found,
        events=good,
        rejected=sorted(rejected, key=lambda one: one.index),
        warnings=[one for one in found.warnings if one.index in left],
    )


def _bound_value(event: Event, name: str) -> str | None:
    return event.name if name == "events" else event.account


def unpack(body: bytes, encoding: str, limits: EventLimits = DEFAULT_RULES.limits) -> bytes | RequestError:
    """The unpacked body. An error if it cannot be unpacked, or if it is too large when unpacked."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    limit = min(limits.max_unpacked, max(MIN_UNPACKED_BYTES, limits.max_ratio * len(body)))
    try:
        if name in ("gzip", "x-gzip"):
            return _inflated(body, 31, limit)
        if name == "deflate":
            # Some clients send the raw deflate stream, without the zlib header.
            return _inflated(body, 15 if body[:1] and body[0] & 0x0F == 8 else -15, limit)
        if name == "zstd":
            return _zstd(body, limit)
    except _TooLarge:
        return RequestError(
            status=413,
            code="too_large",
            message="the body is too large when it is unpacked; send it in several requests",
            seen=f"{len(body):,} bytes as sent",
            expected=f"at most {limit:,} bytes unpacked",
        )
    except ValueError as error:
        return RequestError(
            status=400, code="bad_encoding", message=f"the body is not {name}: {error}", seen=body[:16].hex()
        )
    return RequestError(
        status=400,
        code="bad_encoding",
        message=f"there is no content encoding {name[:40]!r}",
        seen=name[:40],
        expected=", ".join(ENCODINGS),
    )


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    found, rest = bytearray(), body
    while rest:
        stream = zlib.decompressobj(window)
        start = len(body) - len(rest)
        while not stream.eof:
            try:
                piece = stream.decompress(rest, _CHUNK)
            except zlib.error as error:
                raise ValueError(f"{error} (byte {len(body) - len(rest)})") from None
            found += piece
            if len(found) > limit:
                raise _TooLarge
            rest = stream.unconsumed_tail
            if not piece and not rest and not stream.eof:
                raise ValueError(f"it ends early (byte {len(body)})")
        rest = stream.unused_data
        # After a gzip member only another member may follow. Anything else must not be skipped.
        if rest and window != 31:
            raise ValueError(f"something follows its end (byte {start})")
    return bytes(found)


def _zstd(body: bytes, limit: int) -> bytes:
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024)
    found, at, stream = bytearray(), 0, unpacker.decompressobj()
    while at < len(body):
        if stream.eof:  # another frame follows
            stream = unpacker.decompressobj()
        piece = body[at : at + _ZSTD_PIECE]
        try:
            found += stream.decompress(piece)
        except zstandard.ZstdError as error:
            raise ValueError(f"{error} (byte {at})") from None
        if len(found) > limit:
            raise _TooLarge
        at += len(piece) - len(stream.unused_data)
    if not stream.eof:
        raise ValueError(f"it ends early (byte {len(body)})")
    return bytes(found)
