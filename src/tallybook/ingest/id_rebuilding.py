"""Files of ids that are missing or damaged, written again from the events themselves: no backup is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from tallybook.core import EventSettings, QueryError
from tallybook.ingest.files import own_engine
from tallybook.ingest.id_runs import id_hash, write_run
from tallybook.storage import (
    REJECTED,
    BadFile,
    Conflict,
    EventCommit,
    EventFile,
    EventLedger,
    EventsSnapshot,
    IdRun,
    engine_path,
    stamp_of,
)

MAX_TRIES = 20
MAX_IDS = 500_000
"""Ids of one new file: so many are in memory."""


@dataclass(frozen=True, kw_only=True)
class RebuiltIds:
    """What was written again. `files`: the lost files of ids. `unread`: files of events that cannot be read either.
    Their ids stay unknown. `first`, `last`: the receipts whose ids were lost."""

    files: tuple[str, ...] = ()
    ids: int = 0
    unread: tuple[str, ...] = ()
    first: str = ""
    last: str = ""


def rebuild_ids(events: EventLedger, clock: Callable[[], datetime], settings: EventSettings) -> RebuiltIds:
    """Replace each file of ids that is missing or damaged by one with the ids of the events received at its time.

    Safe to call again. Raises QueryError where others commit all the time."""
    for _ in range(MAX_TRIES):
        known = events.snapshot()
        # In a ledger, the file of this host may be whole although its bytes are gone.
        missing = {file.path for file in events.files.missing([run.stored for run in known.runs])}
        lost = [run for run in known.runs if run.path in missing or _is_bad(events, run)]
        if not lost:
            return RebuiltIds()
        try:
            return _rebuild(events, known, lost, clock(), timedelta(seconds=settings.dedup))
        except Conflict:  # Somebody else committed.
            continue
    raise QueryError("the events change too quickly for their ids to be written again", hint="try again")


def _is_bad(events: EventLedger, run: IdRun) -> bool:
    try:
        events.files.path(run.stored)
    except BadFile:
        return True
    return False


def _rebuild(
    events: EventLedger, known: EventsSnapshot, lost: Sequence[IdRun], now: datetime, window: timedelta
) -> RebuiltIds:
    """Raises Conflict."""
    first, last = min(run.first for run in lost), max(run.last for run in lost)
    since = max(first, stamp_of(now - window))  # Ids before the window are not asked for any more.
    unread: list[str] = []
    found, runs = _ids(events, known.files, since, last, unread), []
    while ids := dict(islice(found, MAX_IDS)):
        runs.append(write_run(events, ids))
    change = EventCommit(runs=runs, gone_runs=[run.path for run in lost], contents=events.files.contents)
    events.commit(known.number, change, now=now)
    for run in lost:
        events.files.delete(run.stored)
    return RebuiltIds(
        files=tuple(run.path for run in lost),
        ids=sum(run.rows for run in runs),
        unread=tuple(unread),
        first=first,
        last=last,
    )


def _ids(
    events: EventLedger, files: Sequence[EventFile], first: str, last: str, unread: list[str]
) -> Iterator[tuple[bytes, datetime]]:
    """The ids of the events received between two instants, and when; `unread` gets the files that cannot be read."""
    for file in files:
        if file.event == REJECTED or file.received_last < first or file.received_first > last:
            continue
        try:
            path = events.files.path(file.stored)
        except BadFile:
            unread.append(file.path)
            continue
        with own_engine() as engine:
            engine.execute(
                f'SELECT "key", id, received FROM read_parquet({engine_path(path)}) WHERE id IS NOT NULL '
                f"AND received BETWEEN TIMESTAMPTZ '{first}' AND TIMESTAMPTZ '{last}'"
            )
            while rows := engine.fetchmany(10_000):
                yield from ((id_hash(key or "", id_), at.astimezone(UTC)) for key, id_, at in rows)
