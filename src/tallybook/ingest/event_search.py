"""Searches stored events in a range of times, with a filter and an order.

A search covers the events up to one commit. So its pages neither repeat nor skip an event while others arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.core import COMMIT_COLUMN
from tallybook.ingest.compaction import COMMIT_BITS
from tallybook.ingest.reading import on_present_files, shown_event, sql_path
from tallybook.storage import REJECTED, EventFile, EventLedger, connect, literal, stamp_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class EventSearch:
    """Which events to find. `start` and `end` are inclusive. `condition` is SQL over `event`, `user`, `account` and
    `time`."""

    start: datetime
    end: datetime
    condition: str = "true"
    values: tuple[Any, ...] = ()
    order: str = ""
    """The order as SQL; empty for the order of time."""
    offset: int = 0
    limit: int = 25
    until: int | None = None
    """The number of the last commit to search, or None for the current one."""
    events: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    needs_user: bool = True
    """Whether events without a user are left out."""


@dataclass(frozen=True, kw_only=True)
class FoundEvents:
    """A page of a search, the total number of matching events, and the last commit that was searched."""

    events: list[dict[str, Any]]
    total: int
    until: int


def search_events(events: EventLedger, search: EventSearch) -> FoundEvents:
    """A page of a search. Daily values without a user are left out, because they do not happen at a point in time."""
    return on_present_files(lambda: _searched(events, search))


def _searched(events: EventLedger, search: EventSearch) -> FoundEvents:
    snapshot = events.snapshot()
    until = snapshot.number if search.until is None else min(search.until, snapshot.number)
    files = [file for file in snapshot.files if _may_match(file, search)]
    if not files:
        return FoundEvents(events=[], total=0, until=until)
    with connect() as engine:
        return _page(engine, events, files, search, until)


def _page(
    engine: DuckDBPyConnection, events: EventLedger, files: Sequence[EventFile], search: EventSearch, until: int
) -> FoundEvents:
    asked, values = _matching(events, files, search, until)
    total = engine.execute(f"SELECT count(*) FROM ({asked})", values).fetchall()[0][0]
    order = f'{search.order}, "time", id, event, "key"' if search.order else '"time", id, event, "key"'
    page = f"SELECT file, id, received FROM ({asked}) ORDER BY {order} LIMIT {search.limit} OFFSET {search.offset}"
    hits = engine.execute(page, values).fetchall()
    rows: dict[tuple[int, str, datetime], dict[str, Any]] = {}
    for number in {hit[0] for hit in hits}:
        wanted = f"SELECT * FROM read_parquet({sql_path(events, files[number])}) WHERE id IN (SELECT unnest(?))"
        found = engine.execute(wanted, [[hit[1] for hit in hits if hit[0] == number]])
        names = [column[0] for column in found.description or ()]
        for row in found.fetchall():
            one = dict(zip(names, row, strict=True))
            rows[number, one["id"], one["received"].astimezone(UTC)] = shown_event(files[number].event, one)
    return FoundEvents(
        events=[rows[number, id_, received.astimezone(UTC)] for number, id_, received in hits], total=total, until=until
    )


def _matching(
    events: EventLedger, files: Sequence[EventFile], search: EventSearch, until: int
) -> tuple[str, list[Any]]:
    """SQL of the matching events, each with the number of its file, and the values of the SQL parameters."""
    parts = []
    for number, file in enumerate(files):
        # An empty row goes first, because files of older versions have no commits.
        rows = (
            f"SELECT CAST(NULL AS BIGINT) AS {COMMIT_COLUMN} WHERE false UNION ALL BY NAME "
            f"SELECT * FROM read_parquet({sql_path(events, file)})"
        )
        place = f"coalesce({COMMIT_COLUMN}, {file.added << COMMIT_BITS})"
        parts.append(
            f'SELECT {number} AS file, {literal(file.event)} AS event, "time", "user", "account", "key", id, received '
            f"FROM ({rows}) WHERE {place} < {(until + 1) << COMMIT_BITS}"
        )
    conditions = ['"time" >= ?', '"time" <= ?', f"({search.condition})"]
    if search.needs_user:
        conditions.append('"user" IS NOT NULL')
    values: list[Any] = [search.start, search.end, *search.values]
    if search.accounts is not None:
        conditions.append("account IN (SELECT unnest(?))")
        values.append(list(search.accounts))
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE {' AND '.join(conditions)}", values


def _may_match(file: EventFile, search: EventSearch) -> bool:
    if file.event == REJECTED or (search.events is not None and file.event not in search.events):
        return False
    # Days are in the book's zone, so the day of an event may differ by one from its day in UTC.
    low, high = stamp_of(search.start - _DAY)[:10], stamp_of(search.end + _DAY)[:10]
    return low <= file.last[:10] and file.first[:10] <= high
