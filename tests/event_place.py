"""Usage events in the place of a database: each row of a table is an event, which comes through the log and its compaction."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pytest

from tallybook.collect.sources.base import Source
from tallybook.collect.sources.events import COMMON, SENT_USER
from tallybook.collect.sources.registry import open_source
from tallybook.collect.sources.values import BOOL, FLOAT, INT, TEXT, TIMESTAMPTZ
from tallybook.core import COMMIT_COLUMN, SERIES_COLUMN, EventDeclaration, EventSettings, SourceSettings
from tests.ingest.test_event_log import Ingest
from tests.places import EVERY_MEASURE, NOW, Place
from tests.projects import Project

START, UNTIL = date(2024, 1, 1), date(2024, 3, 5)
OWN = ("time", "day", "id", "account")
"""Columns of a table that every event has: a row's value is the event's own. The others are its properties."""
TYPES = {
    "BIGINT": "integer",
    "BOOLEAN": "flag",
    "DOUBLE": "number",
    "INTEGER": "integer",
    "TIMESTAMP": "time",
    "TIMESTAMP WITH TIME ZONE": "time",
}
"""By type of a column: the type of the property. Decimals are numbers, all else is text."""
UNCHANGED = re.compile(r"\s*(update|delete|drop|alter)\b", re.IGNORECASE)


class Events(Place):
    """The events of a book. Tables are made and filled in an engine in memory, whose new rows are sent.

    A table with a column `day` is of daily values. The others have the time of their first column that is one."""

    kind = "events"
    indexes = views = exact_decimals = exact_sums = False
    one_moment = True
    added = (*COMMON, SENT_USER, "rest", SERIES_COLUMN, COMMIT_COLUMN)
    forms: ClassVar = ("instant", "date")
    types: ClassVar = {
        "i": ("int", INT, 0), "g": ("bigint", INT, 0), "f": ("double precision", FLOAT, None), "t": ("varchar(10)", TEXT, None),
        "b": ("boolean", BOOL, None), "z": ("timestamptz", TIMESTAMPTZ, None), "d": ("decimal(12, 3)", FLOAT, None),
    }  # fmt: skip

    def __post_init__(self) -> None:
        self.shadow = duckdb.connect()
        self.shadow.execute("SET TimeZone = 'UTC'")
        self.sent: dict[str, int] = {}
        """By table: how many of its rows were sent."""
        self.ingest = Ingest(Path(self.url.removeprefix("events:///")))
        self.ingest.now = datetime.now(UTC)

    @classmethod
    def make(cls, request: pytest.FixtureRequest) -> Place:
        folder = request.getfixturevalue("tmp_path")
        made = cls(f"events:///{folder}/project/book", folder, request)
        request.addfinalizer(made.close)
        return made

    def close(self) -> None:
        self.ingest.commit.close()
        self.ingest.events.close()
        self.shadow.close()

    def source(self, url: str | None = None, **settings: Any) -> Source:
        self.send_new_rows()
        events = EventSettings(declared={name: self.declaration(name) for name in self.tables()})
        return open_source(SourceSettings(name="app", url=url or self.url, events=events, **settings))

    def project(
        self, metrics: str = EVERY_MEASURE, *, url: str | None = None, source: str = "", name: str = "project"
    ) -> Project:
        return EventProject(self, metrics)

    # -- the rows ----------------------------------------------------------------------------------

    def execute(self, *statements: str) -> list[Any]:
        for statement in statements:
            if UNCHANGED.match(statement):
                pytest.skip("an event is never changed: what is sent again is the same one, or another")
            if statement.startswith("select"):
                return self.select(statement)
            self.shadow.execute(statement)
        self.send_new_rows()
        return []

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        marks = ", ".join("?" * len(rows[0]))
        self.shadow.executemany(f"insert into {table} values ({marks})", [list(row) for row in rows])
        self.send_new_rows()

    def select(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT from one event, over the files that the ledger names."""
        (table,) = re.findall(r"from (\w+)", statement)
        found = [
            str(self.ingest.folder / one.path) for one in self.ingest.events.snapshot().files if one.event == table
        ]
        self.shadow.execute(f"create or replace temp view stored as select * from read_parquet({found})")
        return self.shadow.execute(statement.replace(f"from {table}", "from stored")).fetchall()

    def tables(self) -> list[str]:
        return [row[0] for row in self.shadow.execute("select table_name from duckdb_tables()").fetchall()]

    def columns(self, table: str) -> dict[str, str]:
        """By column of a table: its type in the engine."""
        return {row[0]: row[1] for row in self.shadow.execute(f"describe {table}").fetchall()}

    def properties(self, table: str) -> dict[str, str]:
        """By property of an event: its declared type."""
        found = {name: type_ for name, type_ in self.columns(table).items() if name not in OWN}
        return {name: "number" if "DEC" in type_ else TYPES.get(type_, "text") for name, type_ in found.items()}

    def declaration(self, table: str) -> EventDeclaration:
        return EventDeclaration(name=table, types=self.properties(table))

    def send_new_rows(self) -> None:
        """Send the rows that were not sent, and compact the log."""
        for table in self.tables():
            rows = self.shadow.execute(f"select * from {table} order by rowid").fetchall()
            found = [self.event(table, number, row) for number, row in enumerate(rows)][self.sent.get(table, 0) :]
            self.sent[table] = len(rows)
            if found:
                # A key of its own: an id is one event of a key, whatever the event is called.
                self.ingest.send(*found, key=table, path="/v1/values" if "day" in found[0] else "/v1/events")
        self.ingest.compact()

    def event(self, table: str, number: int, row: Sequence[Any]) -> dict[str, Any]:
        columns = dict(zip(self.columns(table), map(as_json, row), strict=True))
        properties = {name: columns[name] for name in self.properties(table)}
        found: dict[str, Any] = {"event": table, "id": f"{table} {number}", "properties": properties}
        found |= {name: str(columns[name]) for name in OWN if columns.get(name) is not None}
        if "day" in columns:
            return {name: value for name, value in found.items() if name != "id"}
        moments = [columns[name] for name, type_ in self.properties(table).items() if type_ == "time"]
        return {"time": next(filter(None, moments), self.ingest.now.isoformat()), **found}


class EventProject(Project):
    """A project whose metrics are of events."""

    def __init__(self, place: Events, metrics: str) -> None:
        super().__init__(place.folder / "project", "sqlite:///", now=NOW)
        self.place, self.metrics = place, metrics
        place.ingest.now = self.now
        self.write()

    def write(self) -> None:
        """Write tallybook.toml: the metrics, and the types of the events there are."""
        declared = []
        for table in self.place.tables():
            listed = ", ".join(f'{name} = "{type_}"' for name, type_ in self.place.properties(table).items())
            series = 'series = ["account"]\n' if "account" in self.place.columns(table) else ""
            declared.append(f"[events.{table}]\n{series}properties = {{ {listed} }}\n")
        head = '[book]\nstart = "2024-01-01"\ntimezone = "Europe/Berlin"\n\n'
        (self.folder / "tallybook.toml").write_text(head + "\n".join([of_events(self.metrics), *declared]))

    def table(self, columns: str, rows: Iterable[Sequence[Any]] = ()) -> None:
        self.place.execute(f"create table {columns}")
        self.insert(columns.split(maxsplit=1)[0], rows)
        self.write()

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        if found := list(rows):
            self.place.insert(table, found)

    def run(self, *metrics: str, **options: Any) -> Any:
        """Collect, after the sender of daily values said that it sent all of them: silence is not zero."""
        for table in self.place.tables():
            for number in range((UNTIL - START).days + 1) if "day" in self.place.columns(table) else ():
                day = START + timedelta(days=number)
                self.place.ingest.events.close_day(table, day, table, now=self.now)
        return super().run(*metrics, **options)


def of_events(metrics: str) -> str:
    """Metrics of tables as metrics of the events called so."""
    written = metrics.replace('source = "app"', 'source = "events"')
    # With `event`, a level has one row a day. What an event says now is a table's.
    written = re.sub(r'table = "(?!tickets)', 'event = "', written).replace("table = ", 'source = "events"\ntable = ')
    return re.sub(r"^sql = ", 'source = "events"\nsql = ', written, flags=re.MULTILINE)


def as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return json.loads(str(value))
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value
