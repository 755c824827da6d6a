"""Databases that cannot be had here: their SQL, word for word, and what another engine makes of it.

tests/data/golden holds every shape of statement in each dialect, to be read. TALLYBOOK_GOLDEN=write makes them anew.
DuckDB executes them in translation (tests/executed.py): the numbers are those that SQLite gives from the same rows.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlglot import ErrorLevel, parse

from tallybook.collect.binding import bind
from tallybook.collect.grouping import group_key
from tallybook.collect.sources.base import Source
from tallybook.collect.sources.registry import open_source
from tallybook.collect.sources.values import BOOL, BYTES, DATE, DEC, FLOAT, INT, OTHER, TEXT, TIMESTAMP, TIMESTAMPTZ
from tallybook.collect.statements import Group
from tallybook.core import SourceSettings
from tallybook.core.adapters.sources import REGISTRY
from tallybook.core.errors import SourceUnavailable
from tests import executed, places
from tests.conftest import sampled
from tests.executed import CLASSES, URLS
from tests.projects import Project

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
each = pytest.mark.parametrize("kind", CLASSES)
SPAN = date(2024, 3, 30), date(2024, 4, 1)
"""In Berlin the clocks are put forward within it."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], type[Source]]:
    """`made(kind, file)`: URLs of the kind are read from a DuckDB file."""

    def make(kind: str, path: Path) -> type[Source]:
        found = executed.executed(kind, path)
        monkeypatch.setattr(executed, "Made", found, raising=False)
        monkeypatch.setitem(REGISTRY._classes, kind, found)
        return found

    return make


# ---------------------------------------------------------------------------------------------------- word for word

EVENTS = "id bigint, plan varchar, amount decimal(10, 2), score double, account_id bigint, email varchar, seats int"
TABLES = (
    f'create table events ({EVENTS}, "at" timestamptz, updated_at timestamptz, day date)',
    "create table accounts (id bigint, region varchar)",
    "create table subscriptions (id bigint, started timestamp, ended timestamp, plan varchar, mrr int)",
)
METRICS = """
[metrics.additive]
table = "events"
time = "at"
where = "amount > 0"
measure = "sum(amount) + avg(score) + sum(account_id) + count(*) filter (where score > 1)"
by = ["plan"]

[metrics.spread]
table = "events"
time = "at"
measure = "stddev(score) filter (where score > 1)"
by = ["plan"]

[metrics.keyed]
table = "events"
time = "at"
measure = "count(distinct email)"
by = ["plan"]

[metrics.buckets]
table = "events"
time = "at"
measure = "p90(amount)"

[metrics.by_time]
table = "events"
time = "at"
measure = "last(amount)"
by = ["plan"]

[metrics.latest]
table = "events"
time = "day"
measure = "sum(seats)"
daily_aggregate = true
series = ["email"]

[metrics.intervals]
kind = "level"
table = "subscriptions"
from = "started"
until = "ended"
measure = "sum(mrr)"
by = ["plan"]

[metrics.snapshot]
kind = "level"
table = "subscriptions"
where = "ended is null"
measure = "count(*)"
by = ["plan"]

[metrics.changed]
table = "events"
time = "at"
measure = "sum(score)"
changed = "updated_at"
decimals = 2

[metrics.joined]
table = "events"
join = "accounts on accounts.id = account_id"
time = "at"
measure = "count(*)"
by = ["accounts.region"]
"""


@pytest.mark.cases(2)
@pytest.mark.parametrize("kind", [*CLASSES, "clickhouse"])
def test_what_is_asked_is_what_was_read_and_found_good(kind: str, tmp_path: Path, made: Any) -> None:
    path = tmp_path / "x.duckdb"
    with duckdb.connect(str(path)) as connection:
        for table in TABLES:
            connection.execute(table)
    made(kind, path)
    project = Project(tmp_path / "project", f"duckdb:///{path}")
    project.url = URLS[kind]
    project.declare(METRICS, timezone="Europe/Berlin")
    source = open_source(SourceSettings(name="app", url=URLS[kind]))
    said = "\n".join(f"-- {name}\n{told(sql)};\n" for name, sql in statements(source, project))
    project.close()
    page = GOLDEN / f"{kind}.sql"
    if os.environ.get("TALLYBOOK_GOLDEN") == "write":
        page.parent.mkdir(exist_ok=True)
        page.write_text(said)
    assert said == page.read_text()
    read = [one for one in parse(said, dialect=source.dialect, error_level=ErrorLevel.RAISE) if one is not None]
    assert len(read) == said.count(";\n")
    assert "Command" not in {type(one).__name__ for one in read}


def statements(source: Source, project: Project) -> Iterator[tuple[str, str]]:
    """(what it is, a statement) of every shape."""
    groups = {}
    for metric in project.book.project.catalog.metrics.values():
        facts = bind(source, metric, "Europe/Berlin", metric.name)
        groups[metric.name] = Group(source, group_key(facts), [facts], "Europe/Berlin")
    yield "additive, by one scan over days", _additive(groups["additive"], split=True)
    yield "mean and variance", _additive(groups["spread"], split=False)
    yield "additive, of one day", groups["additive"].select(["COUNT(*)"], SPAN[0], SPAN[0], split=False)
    for name in ("keyed", "buckets", "by_time", "latest"):
        group = groups[name]
        keyed = [group.scan(scan, *SPAN, split=True) for scan in group.scans(split=True)]
        yield name.replace("_", " "), keyed[0] if keyed else _additive(group, split=True)
    intervals = groups["intervals"]
    for sign, sql, split in intervals.interval_selects(intervals.additive().columns.expressions, *SPAN):
        yield f"intervals, {'what holds before' if not split else 'what begins' if sign > 0 else 'what ends'}", sql
    yield "intervals that end before they begin", intervals.reversed_rows() or ""
    yield "snapshot", groups["snapshot"].select_now(groups["snapshot"].additive().columns.expressions)
    changed = groups["changed"]
    yield "floats with decimals", _additive(changed, split=False)
    yield "changed since", changed.changed_since(datetime(2024, 4, 1, 4, tzinfo=UTC), *SPAN)
    yield "joined", _additive(groups["joined"], split=True)
    yield "the earliest", changed.earliest()
    yield "a sample", source.limited("SELECT 1 FROM " + source.table_name("events"), 1000)


def _additive(group: Group, *, split: bool) -> str:
    return group.select(group.additive().columns.expressions, *SPAN, split=split)


def told(sql: str) -> str:
    """With its clauses on lines of their own."""
    for word in (" FROM ", " WHERE ", " GROUP BY "):
        sql = sql.replace(word, "\n" + word.lstrip())
    return sql.replace("\n)", ")")


# ------------------------------------------------------------------------------------------------ what it counts


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A DuckDB file with the facts of all sources' suite, and what SQLite says of the same."""
    folder = tmp_path_factory.mktemp("right")
    sqlite3.connect(folder / "x.sqlite").close()
    duckdb.connect(str(folder / "x.duckdb")).close()
    places.fill(Project(folder / "facts", f"duckdb:///{folder}/x.duckdb", now=places.NOW))
    project = places.fill(Project(folder / "sqlite", f"sqlite:///{folder}/x.sqlite", now=places.NOW))
    project.declare(EVERY_MEASURE, timezone="Europe/Berlin")
    project.run()
    numbers = places.numbers(project)
    project.close()
    return folder / "x.duckdb", numbers


EVERY_MEASURE = (
    places.EVERY_MEASURE.partition("[metrics.a_function]")[0]
    + """
[metrics.last_amount]
table = "events"
time = "happened"
measure = "last(amount) + first(amount)"
by = ["plan"]

[metrics.score]
table = "events"
time = "happened"
measure = "sum(score) + min(score)"
decimals = 3

[metrics.with_mrr]
table = "events"
join = "subscriptions on subscriptions.id = user_id"
time = "happened"
measure = "sum(subscriptions.mrr)"
by = ["subscriptions.plan"]
"""
)


@pytest.mark.parametrize(
    "kind",
    [
        *sampled(("mssql", "redshift"), 1, "shells"),
        *(pytest.param(kind, marks=pytest.mark.soak) for kind in CLASSES if kind not in ("mssql", "redshift")),
    ],
)
def test_the_shell_counts_what_sqlite_counts(kind: str, right: Any, tmp_path: Path, made: Any) -> None:
    path, numbers = right
    made(kind, path)
    project = Project(tmp_path / "project", f"duckdb:///{path}", now=places.NOW)
    project.url = URLS[kind]
    project.declare(EVERY_MEASURE, timezone="Europe/Berlin")
    project.run()
    assert places.numbers(project) == numbers
    project.close()


# ---------------------------------------------------------------------------------------- names, types, stretches


@pytest.mark.parametrize(
    ("kind", "name", "quoted"),
    [
        ("snowflake", "created_at", '"CREATED_AT"'),
        ("snowflake", "CreatedAt", '"CreatedAt"'),
        ("snowflake", '"created_at"', '"created_at"'),
        ("oracle", "plan", '"PLAN"'),
        ("oracle", "accounts.plan", '"accounts.plan"'),
        ("trino", 'a"b', '"a""b"'),
        ("mssql", "a]b", "[a]]b]"),
        ("bigquery", "a`b", "`a\\`b`"),
        ("redshift", "at", '"at"'),
    ],
)
def test_a_name_is_what_the_database_takes_it_for(kind: str, name: str, quoted: str) -> None:
    assert source_of(kind).quote(name) == quoted


TYPES = {
    "snowflake": {
        ("", 0, None, None, 38, 0): (INT, 0),
        ("", 0, None, None, 12, 2): (DEC, 2),
        ("", 1, None, None, None, None): (FLOAT, None),
        ("", 2, None, None, None, None): (TEXT, None),
        ("", 8, None, None, 0, 9): (TIMESTAMP, None),
        ("", 6, None, None, 0, 9): (TIMESTAMPTZ, None),
        ("", 7, None, None, 0, 9): (TIMESTAMPTZ, None),
        ("", 13, None, None, None, None): (BOOL, None),
        ("", 11, None, None, None, None): (BYTES, None),
        ("", 5, None, None, None, None): (OTHER, None),
        ("", 3, None, None, None, None): (DATE, None),
    },
    "trino": {
        ("", "bigint"): (INT, 0),
        ("", "decimal(12,2)"): (DEC, 2),
        ("", "decimal(38,0)"): (INT, 0),
        ("", "double"): (FLOAT, None),
        ("", "varchar(10)"): (TEXT, None),
        ("", "varchar"): (TEXT, None),
        ("", "timestamp(3)"): (TIMESTAMP, None),
        ("", "timestamp(6) with time zone"): (TIMESTAMPTZ, None),
        ("", "array(varchar)"): (OTHER, None),
        ("", "date"): (DATE, None),
        ("", "boolean"): (BOOL, None),
        ("", "varbinary"): (BYTES, None),
    },
    "redshift": {
        ("", 20): (INT, 0),
        ("", 1700, None, None, 12, 2): (DEC, 2),
        ("", 701): (FLOAT, None),
        ("", 1043): (TEXT, None),
        ("", 1114): (TIMESTAMP, None),
        ("", 1184): (TIMESTAMPTZ, None),
        ("", 1082): (DATE, None),
        ("", 4000): (OTHER, None),
    },
    "oracle": {
        ("", "DB_TYPE_NUMBER", None, None, 12, 2): (DEC, 2),
        ("", "DB_TYPE_NUMBER", None, None, 10, 0): (INT, 0),
        ("", "DB_TYPE_NUMBER", None, None, 0, -127): (DEC, None),
        ("", "DB_TYPE_VARCHAR", None, None, None, None): (TEXT, None),
        ("", "DB_TYPE_DATE", None, None, None, None): (TIMESTAMP, None),
        ("", "DB_TYPE_CLOB", None, None, None, None): (OTHER, None),
        ("", "DB_TYPE_TIMESTAMP_TZ", None, None, 0, 6): (TIMESTAMPTZ, None),
        ("", "DB_TYPE_BINARY_DOUBLE", None, None, None, None): (FLOAT, None),
    },
}


@pytest.mark.parametrize("kind", TYPES)
def test_a_column_is_of_the_kind_that_its_driver_says(kind: str) -> None:
    cursor = type("Cursor", (), {"description": list(TYPES[kind])})
    found = [(type_.kind, type_.scale) for type_ in source_of(kind).describe(cursor)]  # type: ignore[attr-defined]
    assert found == list(TYPES[kind].values())


@pytest.mark.parametrize(
    ("kind", "declared", "expected"),
    [
        ("mssql", "datetime2(7)", (TIMESTAMP, None)),
        ("mssql", "datetimeoffset(7)", (TIMESTAMPTZ, None)),
        ("mssql", "decimal(12,3)", (DEC, 3)),
        ("mssql", "money", (DEC, 4)),
        ("mssql", "nvarchar(max)", (TEXT, None)),
        ("mssql", "float", (FLOAT, None)),
        ("mssql", "bit", (BOOL, None)),
        ("mssql", "datetime", (TIMESTAMP, None)),
        ("bigquery", "DATETIME", (TIMESTAMP, None)),
        ("bigquery", "TIMESTAMP", (TIMESTAMPTZ, None)),
        ("bigquery", "NUMERIC(38, 9)", (DEC, 9)),
        ("bigquery", "INTEGER", (INT, 0)),
        ("bigquery", "array", (OTHER, None)),
    ],
)
def test_a_type_is_read_as_it_is_declared(kind: str, declared: str, expected: tuple[str, int | None]) -> None:
    found = source_of(kind).type_of(declared)  # type: ignore[attr-defined]
    assert (found.kind, found.scale) == expected


def test_case_stands_in_case_no_more_than_ten_deep_on_sql_server() -> None:
    """Five years of days. SQL Server refuses more, and no day may be lost where one tree ends and the next begins."""
    source, first = source_of("mssql"), date(2020, 1, 1)
    days = [first + timedelta(days=i) for i in range(5 * 366)]
    sql = source.stretch("[day]", [source.date_literal(day) for day in days[1:]])
    depth = deepest = 0
    for word in sql.split():
        depth += (word == "CASE") - (word == "END")
        deepest = max(deepest, depth)
    assert deepest <= 10
    with duckdb.connect() as connection:
        asked = f"SELECT {executed.translated(f'SELECT {sql} AS x', 'tsql')[7:-5]} FROM (SELECT unnest(?) AS day)"
        assert [row[0] for row in connection.execute(asked, [days]).fetchall()] == list(range(len(days)))


@each
def test_a_driver_that_is_not_installed_is_named_with_the_line_to_paste(kind: str, monkeypatch: Any) -> None:
    import sqlalchemy
    from sqlalchemy.exc import NoSuchModuleError

    def none(*_: Any, **__: Any) -> None:
        raise NoSuchModuleError(f"Can't load plugin: sqlalchemy.dialects:{kind}")

    monkeypatch.setattr(sqlalchemy, "create_engine", none)
    with closing(source_of(kind)) as source:
        with pytest.raises(SourceUnavailable, match="needs the driver") as told:
            source.tables()
        assert told.value.hint == f"pip install 'tallybook[{kind}]'"


def source_of(kind: str) -> Source:
    return open_source(SourceSettings(name="app", url=URLS[kind]))
