"""Stored events read back, in the order in which they were stored.

The order is that of commits, not of receipts: what a host stores late comes after what was shown before, so that who
follows with a cursor misses nothing and gets nothing twice. Merging files keeps the commit of each event."""

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
"""Events of one page."""
DEFAULT_PAGE = 100
NEWEST = "newest"
"""A cursor: the last events, and what is stored after them."""
MAX_TRIES = 3
_FIRST = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class EventQuestion:
    """Which events to read. Texts are compared exactly; `events` and `accounts` are all that may be seen, or None.

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
    """What the page before gave; None to begin with the oldest, `newest` for the last ones."""
    limit: int = DEFAULT_PAGE
    events: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """Events, and the cursor with which the next page begins: on the last page too, for those who follow."""

    events: list[dict[str, Any]]
    cursor: str
    until: datetime | None
    """All that any host received until then is stored; None before the first server started."""
    more: bool
    """Whether the next page has something now."""
    kept_from: date | None = None
    """The first day whose events are kept; None while none were deleted because they were old."""

    def as_json(self) -> dict[str, Any]:
        until = None if self.until is None else _text(self.until)
        kept = None if self.kept_from is None else str(self.kept_from)
        return {"events": self.events, "cursor": self.cursor, "until": until, "more": self.more, "kept_from": kept}


class _Place(NamedTuple):
    """Where an event is in the order. One with only a commit comes after every event of it."""

    commit: int
    received: datetime
    key: str
    id: str


class _Hit(NamedTuple):
    place: _Place
    file: EventFile


def read_events(events: EventLedger, question: EventQuestion) -> EventPage:
    """A page of stored events. Raises QueryError for a cursor or a limit that is not valid."""
    if not 1 <= question.limit <= MAX_PAGE:
        raise QueryError(f"limit is {question.limit}; from 1 to {MAX_PAGE:,}", hint=f"limit={DEFAULT_PAGE}")
    return on_present_files(lambda: _page(events, question))


def on_present_files(read: Callable[[], T]) -> T:
    """What `read` gives from a snapshot that it takes. It is called again where a file of the snapshot was merged with
    others, or replaced, and deleted meanwhile: the next snapshot names the new file. Raises BadFile for a file that
    stays missing or is damaged."""
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
    # Without more, everything until this commit was read, also what did not match.
    cursor = _cursor(chosen[-1].place if more else _Place(end, _FIRST, "", ""))
    until = min(snapshot.sealed.values(), default=None)
    return EventPage(events=shown, cursor=cursor, until=until, more=more, kept_from=snapshot.kept_from)


# -- finding ----------------------------------------------------------------------------------------------------------


class _Search:
    """The matching events next after a place, one more than the limit; with `newest` the last ones."""

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
        """In order. Files that cannot have any of them are not read."""
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
        """The first and the last place in each file. Files of older versions have those of their commit."""
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
        """The matching events of one file, at most as many as are wanted."""
        conditions, values = self._conditions()
        # A row without values first: files of older versions have no commits.
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
        if self.after is not None:  # In SQL, so that the limit counts only what is after the place.
            conditions += ["place >= ?", '(place, received, "key", id) > (?, ?, ?, ?)']
            values += [self.after.commit, *self.after]
        return conditions, values


def sql_path(events: EventLedger, file: EventFile) -> str:
    """The path of a file in SQL. Raises BadFile for one that was merged with others and deleted, or is damaged so that
    its size is another."""
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
    # Days are those of the book's zone: an event of a day may be a day away from it in UTC.
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
    """An event as JSON: the fields it was sent with, and when, by whom and for which day it was stored."""
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
    """The place of a cursor. Raises QueryError for one of another book, or of commits that a restored book lacks."""
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
