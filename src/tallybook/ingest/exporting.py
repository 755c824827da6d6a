"""Exports stored events: any events as NDJSON, or one event as Parquet with its properties as columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tallybook.core import COMMIT_COLUMN, EVENT_COLUMNS, QueryError, did_you_mean
from tallybook.storage import PROPERTY_PREFIX, EventLedger, connect, engine_path, literal

ROWS_AT_A_TIME = 5_000
_SHOWN = f"COLUMNS(lambda name: name <> '{COMMIT_COLUMN}')"
"""All columns except the one that has a meaning only in this book. Older files do not have that column."""


@dataclass(frozen=True, kw_only=True)
class EventExport:
    """Which events to export: by name (none: all), by day, and by exact texts."""

    names: Sequence[str] = ()
    first: date | None = None
    last: date | None = None
    user: str | None = None
    account: str | None = None
    key: str | None = None

    def condition(self) -> str:
        """The filter as SQL over the columns of a file."""
        texts = {"user": self.user, "account": self.account, "key": self.key}
        parts = [f'"{name}" = {literal(value)}' for name, value in texts.items() if value is not None]
        parts += [f"day >= DATE '{self.first}'"] if self.first else []
        parts += [f"day <= DATE '{self.last}'"] if self.last else []
        return " AND ".join(parts) or "true"


def export_events(
    events: EventLedger,
    asked: EventExport,
    write: Callable[[str | bytes], object],
    *,
    parquet: bool = False,
) -> int:
    """Write the requested events. Returns how many. Raises QueryError for an event that was never received."""
    snapshot = events.snapshot()
    for name in asked.names:
        if name not in snapshot.events:
            hint = did_you_mean(name, snapshot.events, "tallybook events schema")
            raise QueryError(f"no event {name!r} was ever received", hint=hint)
    written = 0
    for name in asked.names or snapshot.events:
        paths = [engine_path(events.local_path(file)) for file in snapshot.files if file.event == name]
        if paths:
            read = f"SELECT {_SHOWN} FROM read_parquet([{', '.join(paths)}], union_by_name = true)"
            read += f" WHERE {asked.condition()} ORDER BY time, received, id"
            written += _parquet(read, write) if parquet else _lines(name, read, write)
    return written


def _lines(name: str, read: str, write: Callable[[str | bytes], object]) -> int:
    count = 0
    for row in _rows(read):
        write(json.dumps(_as_json(name, row), ensure_ascii=False) + "\n")
        count += 1
    return count


def _parquet(read: str, write: Callable[[str | bytes], object]) -> int:
    with TemporaryDirectory() as beside, connect() as engine:
        whole = Path(beside) / "events.parquet"
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(f"COPY ({read}) TO {engine_path(whole)} (FORMAT parquet, COMPRESSION zstd)")
        (count,) = engine.execute(f"SELECT count(*) FROM read_parquet({engine_path(whole)})").fetchone() or (0,)
        with whole.open("rb") as file:
            while piece := file.read(1024 * 1024):
                write(piece)
    return int(count)


def _rows(read: str) -> Iterator[dict[str, Any]]:
    instants = ", ".join(f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}" for name in ("time", "received"))
    as_json = f"SELECT CAST(to_json(facts) AS VARCHAR) FROM (SELECT * REPLACE ({instants}) FROM ({read})) AS facts"
    with connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        found = engine.execute(as_json)
        while rows := found.fetchmany(ROWS_AT_A_TIME):
            yield from (json.loads(text) for (text,) in rows)


def _as_json(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """An event in the form in which it can be sent again, with its receipt, its key and its day."""
    rest = json.loads(row["rest"]) if row.get("rest") else {}
    own = {
        column.removeprefix(PROPERTY_PREFIX): value
        for column, value in row.items()
        if column not in EVENT_COLUMNS and value is not None
    }
    fields = {"event": name, **{one: row[one] for one in ("time", "day", "user", "account", "id", "key", "received")}}
    return {**{one: value for one, value in fields.items() if value is not None}, "properties": {**own, **rest}}
