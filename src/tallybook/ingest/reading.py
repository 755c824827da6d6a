"""Reads stored events in the order in which they were stored.

The order is by commit, not by receipt. Events that a host stores late come after the events shown before, so a reader
with a cursor misses nothing and gets nothing twice. Merging files keeps the commit of each event."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tallybook.core import COMMIT_COLUMN, EVENT_COLUMNS, QueryError, calendar
from tallybook.ingest.compaction import COMMIT_BITS
from tallybook.storage import (
    PROPERTY_PREFIX,
    REJECTED,
    BadFile,
    EventFile,
    EventLedger,
    connect,
    engine_path,
    literal,
    stamp_of,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")
MAX_PAGE = 1_000
"""Maximum number of events on one page."""
DEFAULT_PAGE = 100
NEWEST = "newest"
"""The cursor for the last events and those stored after them."""
MAX_TRIES = 3
_FIRST = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class EventQuestion:
    """Which events to read. Texts are compared exactly. `events` and `accounts`, if given, are the only ones that may
    be seen.

    `first` and `last` are days, both inclusive; `start` and `end` are instants, of which `end` is exclusive."""

    event: str | None = None
    user: str | None = None
    account: str | None = None
    id: str | None = None
    first: date | None = None
    last: date | None = None
    start: datetime | None = None
    end: datetime | None = None
    cursor: str | None = None
    """The cursor of the previous page. None starts with the oldest events, `newest` with the last ones."""
    limit: int = DEFAULT_PAGE
    events: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """Events, and the cursor of the next page. The last page has a cursor too, for readers that keep following."""

    events: list[dict[str, Any]]
    cursor: str
    until: datetime | None
    """Everything received by any host until then is stored. None before the first server started."""
    more: bool
    """Whether the next page already has events."""
    kept_from: date | None = None
    """The first day whose events are kept, or None if no events were deleted for their age."""

    def as_json(self) -> dict[str, Any]:
        until = None if self.until is None else _text(self.until)
        kept = None if self.kept_from is None else str(self.kept_from)
        return {"events": self.events, "cursor": self.cursor, "until": until, "more": self.more, "kept_from": kept}


class _Place(NamedTuple):
    """The position of an event in the order. A position with only a commit comes after every event of that commit."""

    commit: int
    received: datetime
    key: str
    id: str


class _Hit(NamedTuple):
    place: _Place
    file: EventFile


def read_events(events: EventLedger, question: EventQuestion) -> EventPage:
    """A page of stored events. Raises QueryError for an invalid cursor or limit."""
    if not 1 <= question.limit <= MAX_PAGE:
        raise QueryError(f"limit is {question.limit}; from 1 to {MAX_PAGE:,}", hint=f"limit={DEFAULT_PAGE}")
    return on_present_files(lambda: _page(events, question))


def on_present_files(read: Callable[[], T]) -> T:
    """The result of `read`, which takes a snapshot and reads its files. If a file of the snapshot was merged or
    replaced and deleted meanwhile, `read` is called again, because the next snapshot names the new file. Raises BadFile
    for a file that stays missing or is damaged."""
    for _ in range(MAX_TRIES - 1):
        with suppress(FileNotFoundError, BadFile):
            return read()
    return read()


def _page(events: EventLedger, question: EventQuestion) -> EventPage:
    snapshot = events.snapshot()
    newest = question.cursor == NEWEST
    end = (snapshot.number + 1) << COMMIT_BITS
    after = None if question.cursor is None or newest else _read_cursor(question.cursor, end)
    with connect() as engine:
        hits = _Search(engine, events, question, after, newest=newest).hits(snapshot.files)
        more = not newest and len(hits) > question.limit
        chosen = hits[-question.limit :] if newest else hits[: question.limit]
        shown = _shown(engine, events, chosen)
    # If there is no more, everything up to this commit was read, including events that did not match.
    cursor = _cursor(chosen[-1].place if more else _Place(end, _FIRST, "", ""))
    until = min(snapshot.sealed.values(), default=None)
    return EventPage(events=shown, cursor=cursor, until=until, more=more, kept_from=snapshot.kept_from)


# -- finding ----------------------------------------------------------------------------------------------------------


class _Search:
    """Finds the matching events after a position, one more than the limit, or with `newest` the last ones."""

    def __init__(
        self,
        engine: DuckDBPyConnection,
        events: EventLedger,
        question: EventQuestion,
        after: _Place | None,
        *,
        newest: bool,
    ) -> None:
        self.engine, self.events, self.question, self.after, self.newest = engine, events, question, after, newest
        self.wanted = question.limit if newest else question.limit + 1

    def hits(self, files: Sequence[EventFile]) -> list[_Hit]:
        """The matching events in order. Files that cannot contain any of them are not read."""
        ranges = self._ranges([file for file in files if _may_match(file, self.question)])
        if self.after is not None:
            ranges = [one for one in ranges if one[1] >= self.after.commit]
        ranges.sort(key=lambda one: (-one[1] if self.newest else one[0], one[2].path))
        found: list[_Hit] = []
        for low, high, file in ranges:
            if len(found) >= self.wanted and self._is_beyond(found, low, high):
                break
            found += self._of_file(file)
            found.sort(key=lambda hit: (hit.place, hit.file.path))
            found = found[-self.wanted :] if self.newest else found[: self.wanted]
        return found

    def _is_beyond(self, found: Sequence[_Hit], low: int, high: int) -> bool:
        return high < found[0].place.commit if self.newest else low > found[-1].place.commit

    def _ranges(self, files: Sequence[EventFile]) -> list[tuple[int, int, EventFile]]:
        """The first and last position in each file. For files of older versions, these are the bounds of their
        commit."""
        if not files:
            return []
        paths = {sql_path(self.events, file): file for file in files}
        asked = (
            "SELECT file_name, min(CAST(stats_min_value AS BIGINT)), max(CAST(stats_max_value AS BIGINT)), "
            "bool_or(stats_min_value IS NULL OR coalesce(stats_null_count, 0) > 0) "
            f"FROM parquet_metadata([{', '.join(paths)}]) "
            f"WHERE path_in_schema = {literal(COMMIT_COLUMN)} GROUP BY ALL"
        )
        known = {
            engine_path(Path(path)): (low, high)
            for path, low, high, is_open in self.engine.execute(asked).fetchall()
            if not is_open
        }
        return [(*known.get(path, (0, ((file.added + 1) << COMMIT_BITS) - 1)), file) for path, file in paths.items()]

    def _of_file(self, file: EventFile) -> list[_Hit]:
        """The matching events of one file, up to the wanted number."""
        conditions, values = self._conditions()
        # An empty row goes first, because files of older versions have no commits.
        rows = (
            f"SELECT CAST(NULL AS BIGINT) AS {COMMIT_COLUMN} WHERE false UNION ALL BY NAME "
            f"SELECT * FROM read_parquet({sql_path(self.events, file)})"
        )
        order = "DESC" if self.newest else "ASC"
        asked = (
            f'SELECT place, received, "key", id FROM (SELECT *, coalesce({COMMIT_COLUMN}, {file.added << COMMIT_BITS}) '
            f"AS place FROM ({rows})) WHERE {' AND '.join(conditions)} "
            f'ORDER BY place {order}, received {order}, "key" {order}, id {order} LIMIT {self.wanted}'
        )
        return [
            _Hit(_Place(place, received.astimezone(UTC), key, id_), file)
            for place, received, key, id_ in self.engine.execute(asked, values).fetchall()
        ]

    def _conditions(self) -> tuple[list[str], list[Any]]:
        question = self.question
        asked: list[tuple[str, Any]] = [
            *((f'"{name}" = ?', getattr(question, name)) for name in ("user", "account", "id")),
            ("account IN (SELECT unnest(?))", None if question.accounts is None else list(question.accounts)),
            ('"day" >= ?', question.first),
            ('"day" <= ?', question.last),
            ('"time" >= ?', question.start),
            ('"time" < ?', question.end),
        ]
        given = [(sql, value) for sql, value in asked if value is not None]
        conditions, values = ["true", *(sql for sql, _ in given)], [value for _, value in given]
        if self.after is not None:  # In SQL, so that the limit counts only events after the position.
            conditions += ["place >= ?", '(place, received, "key", id) > (?, ?, ?, ?)']
            values += [self.after.commit, *self.after]
        return conditions, values


def sql_path(events: EventLedger, file: EventFile) -> str:
    """The path of a file in SQL. Raises BadFile if the file was merged and deleted, or if its size shows that it is
    damaged."""
    path = events.local_path(file)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise BadFile(file.stored, "is missing") from None
    if size != file.bytes:
        raise BadFile(file.stored, f"has {size} bytes, the ledger says {file.bytes}")
    return engine_path(path)


def _may_match(file: EventFile, question: EventQuestion) -> bool:
    if file.event == REJECTED or (question.event is not None and file.event != question.event):
        return False
    if question.events is not None and file.event not in question.events:
        return False
    # Days are in the book's zone, so the day of an event may differ by one from its day in UTC.
    low = stamp_of(question.start)[:10] if question.start else ""
    high = stamp_of(question.end)[:10] if question.end else "9999-12-31"
    if question.first is not None:
        low = max(low, calendar.plus_days(question.first, -1).isoformat())
    if question.last is not None:
        high = min(high, calendar.plus_days(question.last, 1).isoformat())
    return file.last[:10] >= low and file.first[:10] <= high


# -- showing ----------------------------------------------------------------------------------------------------------


def _shown(engine: DuckDBPyConnection, events: EventLedger, hits: Sequence[_Hit]) -> list[dict[str, Any]]:
    """The events themselves, in the order of `hits`."""
    by_path: dict[str, list[_Hit]] = {}
    for hit in hits:
        by_path.setdefault(hit.file.path, []).append(hit)
    found: dict[tuple[str, _Place], dict[str, Any]] = {}
    for path, those in by_path.items():
        file = those[0].file
        asked = f"SELECT * FROM read_parquet({sql_path(events, file)}) WHERE id IN (SELECT unnest(?))"
        rows = engine.execute(asked, [[hit.place.id for hit in those]])
        names = [column[0] for column in rows.description or ()]
        for values in rows.fetchall():
            row = dict(zip(names, values, strict=True))
            commit = row.get(COMMIT_COLUMN)
            at = file.added << COMMIT_BITS if commit is None else commit
            found[path, _Place(at, row["received"].astimezone(UTC), row["key"], row["id"])] = row
    return [shown_event(hit.file.event, found[hit.file.path, hit.place]) for hit in hits]


def shown_event(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """An event as JSON: the fields that were sent, with its receipt, its key and its day."""
    rest = json.loads(row["rest"]) if row.get("rest") else {}
    own = {
        column.removeprefix(PROPERTY_PREFIX): _plain(value)
        for column, value in row.items()
        if column not in EVENT_COLUMNS and value is not None
    }
    shown = {
        "event": name,
        "time": _text(row["time"]),
        "day": row["day"].isoformat(),
        "user": row["user"],
        "account": row["account"],
        "id": row["id"],
        "key": row["key"],
        "received": _text(row["received"]),
        "properties": {**rest, **own},
    }
    if both := {path: value for path, value in rest.items() if path in own}:
        shown["rest"] = both
    return shown


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, datetime) else value


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


# -- cursors ----------------------------------------------------------------------------------------------------------


def _cursor(place: _Place) -> str:
    parts = [place.commit, place.received.isoformat(), place.key, place.id]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _read_cursor(text: str, highest: int) -> _Place:
    """The position in a cursor. Raises QueryError for a cursor of another book, or of commits that a restored book
    lacks."""
    try:
        commit, received, key, id_ = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        at = datetime.fromisoformat(received)
        if not (isinstance(commit, int) and 0 <= commit <= highest and isinstance(key, str) and isinstance(id_, str)):
            raise ValueError
        at.utctimetuple()
        return _Place(commit, at.astimezone(UTC) if at != _FIRST else _FIRST, key, id_)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise QueryError(
            "the cursor is not one that a page of this book gave", hint="leave out the cursor to begin with the oldest"
        ) from None
