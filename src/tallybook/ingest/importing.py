"""Imports a file of events. Each row is stored once, however often the import is repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from tallybook.core import QueryError, calendar, did_you_mean
from tallybook.ingest.file_rows import CSV, FORMATS, FileRow, RowFile, csv_types, form_of
from tallybook.ingest.sending import EventSender
from tallybook.storage import REJECTED, EventLedger, connect, engine_path

IMPORT_KEY = "import"
MAX_BATCH = 5_000
MAX_BATCH_CHARACTERS = 2_000_000
MADE_CHARACTERS = 200
"""Approximate number of characters of an event that are not in its row: field names and an id."""
MAX_SHAPES = 1_000
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000}
_SCALARS = frozenset([str, int, float, bool])
_SORTED = json.JSONEncoder(sort_keys=True, default=str, ensure_ascii=False)
FIELDS = ("event", "time", "user", "account", "id")
TIME_COLUMNS = ("time", "timestamp", "ts", "day", "date")
SPREAD = ".*"
EXPORTED = {*FIELDS, "day", "key", "received", "properties", "rest"}
"""Keys of an event as `events export` writes it. Keys that are not fields of an event are not imported."""


@dataclass(frozen=True, kw_only=True)
class EventImport:
    """The mapping from columns to event fields. None selects the column with the field's name, if there is one."""

    file: str
    form: str | None = None
    event: str | None = None
    """The name of all events. If None, the column `event_column` has the names."""
    event_column: str = "event"
    time: str | None = None
    user: str | None = None
    account: str | None = None
    id: str | None = None
    properties: Sequence[str] | None = None
    """Columns, `name=column`, or `column.*` for the keys of an object. None: all other columns."""
    types: Mapping[str, str] = field(default_factory=dict)
    zone: str | None = None
    """The zone of times without an offset. By default, days are days in the book's zone."""
    unit: str | None = None
    """The unit of times that are numbers: s, ms or us since 1970."""
    delimiter: str = ","
    key: str = IMPORT_KEY
    """The name of the key that the events belong to. An id is stored once per key."""
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class ImportedEvents:
    """The result of an import. Each row is stored now, was stored before (`known`), or is `rejected`."""

    rows: int
    stored: int
    known: int
    rejected: int
    example: Mapping[str, Any] | None
    """The first event, in the form in which it is sent."""
    types: Mapping[str, str]
    dry_run: bool

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "stored": self.stored,
            "known": self.known,
            "rejected": self.rejected,
            "example": self.example,
            "types": dict(self.types),
            "dry_run": self.dry_run,
        }


class StoredIds:
    """Finds which ids of a key are already stored, of any age. Compaction checks only the last 30 days."""

    def __init__(self, events: EventLedger, key: str) -> None:
        self.engine = connect()
        paths = [engine_path(events.local_path(one)) for one in events.snapshot().files if one.event != REJECTED]
        read = f"SELECT id FROM read_parquet([{', '.join(paths)}], union_by_name = true) WHERE key = ?"
        self.engine.execute("CREATE TABLE stored (id VARCHAR)")
        if paths:
            self.engine.execute(f"INSERT INTO stored {read}", [key])
        (count,) = self.engine.execute("SELECT count(*) FROM stored").fetchone() or (0,)
        self.is_empty = count == 0

    def among(self, ids: Sequence[str]) -> set[str]:
        if self.is_empty:
            return set()
        found = self.engine.execute("SELECT DISTINCT id FROM stored WHERE id IN (SELECT unnest(?))", [list(ids)])
        return {id_ for (id_,) in found.fetchall()}

    def has(self, id_: str | None) -> bool:
        """Whether an id is stored. Closes this object."""
        try:
            return id_ is not None and bool(self.among([id_]))
        finally:
            self.close()

    def close(self) -> None:
        self.engine.close()


class _Unreadable(Exception):
    """A row that is not an event."""

    def __init__(self, reason: str, column: str = "") -> None:
        self.reason, self.column = reason, column


def import_events(
    asked: EventImport,
    opened: Callable[[], tuple[EventSender, StoredIds | None]],
    *,
    zone: str,
    on_error: Callable[[dict[str, Any]], None],
) -> ImportedEvents:
    """Read a file and send its events. Unless this is a dry run, `opened` is called once and returns the sender and, if
    it can be known, the ids that are already stored.

    Raises QueryError for a file or a mapping that cannot be read. A row that cannot be read goes to `on_error`."""
    totals = _Totals(on_error)
    rows = _EventRows(asked, _file(asked), zone)
    if asked.dry_run:
        for _ in rows.batches(totals):
            pass
        return rows.report(totals)
    sender, known = opened()
    try:
        for batch in rows.batches(totals):
            _send(batch, sender, known, totals)
    finally:
        if known is not None:
            known.close()
        sender.close()
    return rows.report(totals)


@dataclass
class _Totals:
    on_error: Callable[[dict[str, Any]], None]
    stored: int = 0
    known: int = 0
    rejected: int = 0

    def reject(self, error: dict[str, Any]) -> None:
        self.rejected += 1
        self.on_error(error)


def _file(asked: EventImport) -> RowFile:
    path = Path(asked.file)
    if not path.is_file():
        raise QueryError(f"there is no file {asked.file}")
    if asked.form is not None and asked.form not in FORMATS:
        raise QueryError(f"there is no format {asked.form!r}", hint=did_you_mean(asked.form, FORMATS))
    file = RowFile(path=path, form=asked.form or form_of(path), delimiter=asked.delimiter)
    if path.suffix.lower() == ".tsv" and asked.delimiter == ",":
        file = replace(file, delimiter="\t")
    return replace(file, types={**csv_types(file), **asked.types}) if file.form == CSV else file


def _send(
    batch: Sequence[tuple[int, dict[str, Any]]], sender: EventSender, known: StoredIds | None, totals: _Totals
) -> None:
    stored = known.among([event["id"] for _, event in batch]) if known is not None else set()
    new = [one for one in batch if one[1]["id"] not in stored]
    totals.known += len(batch) - len(new)
    if new:
        verdict = sender.send([event for _, event in new])
        totals.stored += verdict.stored
        for why in verdict.rejected:
            number, event = new[why["index"]]
            totals.reject({"row": number, **{k: v for k, v in why.items() if k != "index"}, "event": event})


@dataclass(frozen=True)
class RowShape:
    """Rows that have the same columns."""

    time: str
    identities: Sequence[tuple[str, str]]
    """(field, column) of the user, the account and the id."""
    others: Sequence[str]
    """Columns that are not fields."""

    @classmethod
    def of(cls, names: Sequence[str], asked: EventImport) -> RowShape:
        time_column = asked.time or next((one for one in TIME_COLUMNS if one in names), "time")
        columns = {name: getattr(asked, name) or name for name in ("user", "account", "id")}
        used = {asked.event_column if asked.event is None else "", time_column, *columns.values()}
        identities = [(name, column) for name, column in columns.items() if column in names]
        return cls(time_column, identities, [name for name in names if name not in used])


class _EventRows:
    """The events of a file, in batches, with the rows that could not be read."""

    def __init__(self, asked: EventImport, file: RowFile, zone: str) -> None:
        self.asked, self.file, self.zone = asked, file, zone
        self.seen: dict[bytes, int] = {}
        self.shapes: dict[tuple[str, ...], RowShape] = {}
        self.rows = 0
        self.example: dict[str, Any] | None = None
        self.checked = False

    def batches(self, totals: _Totals) -> Iterator[list[tuple[int, dict[str, Any]]]]:
        batch: list[tuple[int, dict[str, Any]]] = []
        size = 0
        for row in self.file.rows():
            self.rows += 1
            try:
                event = self._event(row)
            except _Unreadable as why:
                totals.reject({"row": row.number, "code": "row", "field": why.column, "reason": why.reason})
                continue
            self.example = self.example or event
            batch.append((row.number, event))
            size += row.size + MADE_CHARACTERS
            if len(batch) >= MAX_BATCH or size >= MAX_BATCH_CHARACTERS:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def report(self, totals: _Totals) -> ImportedEvents:
        return ImportedEvents(
            rows=self.rows,
            stored=totals.stored,
            known=totals.known,
            rejected=totals.rejected,
            example=self.example,
            types=self.file.types,
            dry_run=self.asked.dry_run,
        )

    # -- one row -------------------------------------------------------------------------------------------------

    def _event(self, row: FileRow) -> dict[str, Any]:
        if row.error:
            raise _Unreadable(row.error)
        self._check_columns(row)
        values, asked = row.values, self.asked
        shape = self._shape(values)
        event: dict[str, Any] = {"event": asked.event or values.get(asked.event_column)}
        if event["event"] is None:
            raise _Unreadable("the row does not name its event; --event NAME", asked.event_column)
        event["time"] = self._time(values.get(shape.time), shape.time)
        for name, column in shape.identities:
            if (value := values[column]) is not None:
                found = _plain(value)
                event[name] = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
        event["properties"] = self._properties(values, shape)
        if "id" not in event:
            event["id"] = self._made_id(row)
        return event

    def _shape(self, values: Mapping[str, Any]) -> RowShape:
        """The mapping for the columns of a row. Most rows of a file have the same columns, so it is cached."""
        names = tuple(values)
        found = self.shapes.get(names)
        if found is None:
            if len(self.shapes) >= MAX_SHAPES:
                self.shapes.clear()
            found = self.shapes[names] = RowShape.of(names, self.asked)
        return found

    def _check_columns(self, row: FileRow) -> None:
        """Raise QueryError for a mapped column that the first row lacks, if no other row can have it."""
        if self.checked:
            return
        self.checked = True
        asked = self.asked
        named = [asked.time, asked.user, asked.account, asked.id]
        for column in filter(None, named):
            if column not in row.values and self.file.form != "ndjson":
                if self.file.form == CSV and column in self.file.types:
                    continue
                known = list(self.file.types) or list(row.values)
                hint = f"{did_you_mean(column, known)} it has {', '.join(known)}".strip()
                raise QueryError(f"{self.file.path.name} has no column {column!r}", hint=hint)

    def _properties(self, values: Mapping[str, Any], shape: RowShape) -> dict[str, Any]:
        if self.asked.properties is None:
            own = values.get("properties")
            found = {name: values[name] for name in shape.others}
            if isinstance(own, Mapping):
                found.pop("properties", None)
                found = {**own, **({} if values.keys() <= EXPORTED else found)}
        else:
            found = {}
            for written in self.asked.properties:
                name, _, column = written.partition("=")
                if name.endswith(SPREAD):
                    inner = values.get(name.removesuffix(SPREAD))
                    found |= inner if isinstance(inner, Mapping) else {}
                elif values.get(column or name) is not None:
                    found[name] = values[column or name]
        return {name: _plain(value) for name, value in found.items() if value is not None}

    def _time(self, value: Any, column: str) -> str:
        if value is None:
            raise _Unreadable("the row has no time", column)
        if isinstance(value, bool):
            raise _Unreadable("a flag is no time", column)
        if isinstance(value, int | float | Decimal):
            return self._of_number(value, column)
        try:
            found = value if isinstance(value, date) else datetime.fromisoformat(str(value).strip())
            # Both "2026-03-01" and a date are days.
            day = found if not isinstance(found, datetime) else _day_of(value)
            if day is not None:
                noon = datetime.combine(day, time(12), calendar.zone(self.asked.zone or self.zone))
                return noon.astimezone(UTC).isoformat()
            assert isinstance(found, datetime)
        except ValueError:
            raise _Unreadable(f"{str(value)[:60]!r} is not a time as 2026-03-01T12:00:00Z", column) from None
        if found.tzinfo is None:
            if self.asked.zone is None:
                raise _Unreadable(f"{str(value)[:60]!r} has no offset; --zone UTC", column)
            found = found.replace(tzinfo=calendar.zone(self.asked.zone))
        return found.astimezone(UTC).isoformat()

    def _of_number(self, value: Any, column: str) -> str:
        if self.asked.unit is None:
            raise _Unreadable(f"{value} is a number, not a time; --unit s, ms or us", column)
        try:
            micros = int(Decimal(str(value)) * (1_000_000 // UNITS[self.asked.unit]))
            return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000).isoformat()
        except (OverflowError, ValueError, OSError):
            raise _Unreadable(f"{value} is not a time", column) from None

    def _made_id(self, row: FileRow) -> str:
        """An id for a row without one, made from its content, the file name, and how often the same content came before
        in the file."""
        text = _SORTED.encode(row.values)
        content = hashlib.blake2b(f"{self.file.path.name}\0{text}".encode(), digest_size=16)
        digest = content.digest()
        count = self.seen[digest] = self.seen.get(digest, 0) + 1
        content.update(str(count).encode())
        return content.hexdigest()


def _day_of(value: Any) -> date | None:
    """The day of a text without a time of day."""
    text = str(value).strip()
    return date.fromisoformat(text) if len(text) == 10 and not isinstance(value, datetime) else None


def _plain(value: Any) -> Any:
    """A Parquet value in the form that JSON has."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
