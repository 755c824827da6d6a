"""Decides which events are new. An id of a key is stored once. Equal events without an id count as one within a short
time.

Two equal events may still be two facts. They count as one only if a request was sent again: another request soon brings
the same events of one user, account and time, and nothing else came in between for that user, account and time. Daily
values are never treated as repeated: 100, 110, 100 ends at 100."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tallybook.core import Event, EventSettings
from tallybook.ingest.columns import StoredEvent
from tallybook.ingest.id_runs import id_hash, latest_receipts
from tallybook.ingest.user_changes import PushedUserChanges
from tallybook.storage import EventLedger, IdRun


@dataclass(frozen=True, kw_only=True)
class RepeatMarks:
    """The marks by which a repeated event without an id is recognized: a hash of everything that a request has for one
    user, account and time, and a hash of these three."""

    content: bytes
    slot: bytes


@dataclass(frozen=True, kw_only=True)
class FoundEvent:
    """An event of the log, with the marks that identify it. Without `hash` and `repeats`, it is always new."""

    event: StoredEvent
    request: tuple[str, int]
    """The log and row that it came in."""
    hash: bytes | None = None
    """The hash of its id."""
    repeats: RepeatMarks | None = None


@dataclass(kw_only=True)
class NewEvents:
    """The events and user changes to store, and the hashes by which both are recognized later."""

    stored: list[StoredEvent] = field(default_factory=list)
    said: PushedUserChanges = field(default_factory=PushedUserChanges)
    ids: dict[bytes, datetime] = field(default_factory=dict)


def repeats_of(key: str, events: Iterable[tuple[int, Event]], settings: EventSettings) -> Mapping[int, RepeatMarks]:
    """The marks of each event of a request that has a time and no id, by its index."""
    slots: dict[tuple[str, str | None, str | None, datetime], list[tuple[int, Event]]] = {}
    if not settings.retry_window:
        return {}
    for index, event in events:
        if event.id is None and event.time is not None and event.day is None and not settings.is_daily(event.name):
            slots.setdefault((event.name, event.user, event.account, event.time), []).append((index, event))
    found: dict[int, RepeatMarks] = {}
    for (name, user, account, time), those in slots.items():
        place = json.dumps([name, user, account, time.isoformat()])
        contents = json.dumps([event.properties for _, event in those], sort_keys=True)
        digest = hashlib.blake2b(f"{place}\0{contents}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        one = RepeatMarks(
            content=id_hash(key, f"content\0{digest}"),
            slot=id_hash(key, f"slot\0{hashlib.blake2b(place.encode(), digest_size=16).hexdigest()}"),
        )
        found |= {index: one for index, _ in those}
    return found


def new_events(
    events: EventLedger,
    runs: Sequence[IdRun],
    found: Sequence[FoundEvent],
    said: PushedUserChanges,
    settings: EventSettings,
) -> NewEvents:
    """The events that were not stored before, in the same order."""
    asked: dict[bytes, datetime] = said.ids()
    for one in found:
        for hash_ in _hashes(one):
            asked.setdefault(hash_, one.event.received)
    window, retry = timedelta(seconds=settings.dedup), timedelta(seconds=settings.retry_window)
    latest = latest_receipts(events, runs, asked, window)
    known = frozenset(latest)
    new = NewEvents(said=said.without(known))
    new.ids |= new.said.ids()
    judgments: dict[tuple[bytes, tuple[str, int]], bool] = {}
    for one in found:
        received = one.event.received
        if one.hash is not None:
            if one.hash in known or one.hash in new.ids:
                continue
            new.ids[one.hash] = received
        elif one.repeats is not None:
            # All events of one request for a user, account and time are judged together.
            place = (one.repeats.content, one.request)
            if place not in judgments:
                judgments[place] = _is_again(one.repeats, received, latest, retry)
                if not judgments[place]:
                    for hash_ in _hashes(one):
                        latest[hash_] = new.ids[hash_] = received
            if judgments[place]:
                continue
        new.stored.append(one.event)
    return new


def _is_again(one: RepeatMarks, received: datetime, latest: Mapping[bytes, datetime], window: timedelta) -> bool:
    """Whether the same content came shortly before, and nothing else came for its user, account and time since."""
    last, other = latest.get(one.content), latest.get(one.slot)
    return last is not None and received - last <= window and (other is None or other <= last)


def _hashes(one: FoundEvent) -> Iterable[bytes]:
    if one.hash is not None:
        return (one.hash,)
    return () if one.repeats is None else (one.repeats.content, one.repeats.slot)
