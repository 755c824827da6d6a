"""What is ClickHouse's own: its names, its sums, its times, its profiles, and how it is reached.

The suites of all sources (test_sources, and test_traps_of_… in the long run) run on chDB, which is ClickHouse in this
process. The way to a server is walked here: clickhouse-connect speaks HTTP to a door with chDB behind it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pytest

from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.registry import open_source
from tallybook.core import SourceSettings
from tallybook.core.errors import SourceError, SourceUnavailable
from tests.projects import Project

chdb = pytest.importorskip("chdb")
from chdb.state.sqlitelike import ChdbError  # noqa: E402 - where there is chDB

ONE = {"from_": "2024-01-01", "to": "2024-01-01"}


@pytest.fixture
def found(tmp_path: Path, make_database: Callable[[str], str]) -> Iterator[Project]:
    project = Project(tmp_path / "project", make_database("chdb"))
    yield project
    project.close()


def metric(name: str, measure: str, more: str = "") -> str:
    return f'[metrics.{name}]\ntable = "m"\ntime = "at"\nmeasure = "{measure}"\n{more}\n'


# -------------------------------------------------------------------------------------------------- names and sums


def test_columns_called_as_ours_are_the_table_s_own(found: Project) -> None:
    """A name of ours, `… AS c1`, would stand before a column of that name: its sum would be one of something else."""
    found.table("m (at DateTime, c0 int, c1 int, c2 int)", [("2024-01-01 10:00:00", 1, 10, 100)] * 2)
    found.declare(
        metric("own", "sum(c1) + sum(c2)", 'by = ["c0"]') + metric("ids", "count(distinct c1)", 'by = ["c2"]')
    )
    found.run()
    assert found.both("own", by=["c0"], **ONE) == {("2024-01-01", "1"): 220}
    assert found.both("ids", by=["c2"], **ONE) == {("2024-01-01", "100"): 1}


def test_sums_do_not_begin_anew_from_the_other_end(found: Project) -> None:
    """18446744073709551615 + 1 is 0 to ClickHouse, and 10^38 as a Decimal is not told either."""
    most = 2**64 - 1
    found.table("m (at DateTime, u UInt64, i Int64, d Decimal(38, 4))", [("2024-01-01", most, 2**63 - 1, "1e20")] * 3)
    found.declare(
        metric("u", "sum(u)") + metric("i", "sum(i)") + metric("d", "sum(d)") + metric("ids", "count(distinct u)")
    )
    found.run()
    values = found.values("u", "i", "d", "ids", **ONE)
    assert values == {"u": [Decimal(3 * most)], "i": [Decimal(3 * (2**63 - 1))], "d": [Decimal(3 * 10**20)], "ids": [1]}


def test_decimals_of_floats_are_rounded_and_not_cut_off(found: Project) -> None:
    """0.29 is 0.28999… as a float, which ClickHouse casts to 0.28."""
    found.table("m (at DateTime, x Float64, t String)", [("2024-01-01", 0.29, "0.29"), ("2024-01-01", 1.1, "1.10")])
    found.declare(metric("x", "sum(x) + min(x) + max(x)", "decimals = 2") + metric("t", "sum(t)", "decimals = 2"))
    found.run()
    assert found.values("x", "t", **ONE) == {"x": [Decimal("2.78")], "t": [Decimal("1.39")]}
    for lost in ("0.291", "0.2999"):
        found.execute("truncate table m")
        found.insert("m", [("2024-01-01", float(lost), lost)])
        assert "more digits than decimals = 2" in found.run_fails("x", from_="2024-01-01", to="2024-01-01")
        assert "more digits than decimals = 2" in found.run_fails("t", from_="2024-01-01", to="2024-01-01")


def test_a_row_that_finds_no_other_has_nulls_and_not_empty_texts(found: Project) -> None:
    found.execute("create table plans (id Int32 not null, name String not null) order by id")
    found.insert("plans", [(1, "pro")])
    found.table("m (at DateTime, plan_id int)", [("2024-01-01", 1), ("2024-01-01", 2)])
    found.declare(metric("facts", "count(*)", 'join = ["plans on plans.id = plan_id"]\nby = ["plans.name"]'))
    found.run()
    assert found.both("facts", by=["plans.name"], **ONE) == {("2024-01-01", "pro"): 1, ("2024-01-01", None): 1}


def test_bytes_that_are_no_text_stay_two(found: Project) -> None:
    found.execute(
        "create table m (at DateTime not null, s String) order by at",
        "insert into m values ('2024-01-01', '\\xff'), ('2024-01-01', '\\xfe')",
    )
    found.declare(metric("ids", "count(distinct s)") + metric("facts", "count(*)", 'by = ["s"]'))
    found.run()
    assert found.both("ids", **ONE) == {"2024-01-01": 2}
    assert found.both("facts", by=["s"], **ONE) == {("2024-01-01", "ff"): 1, ("2024-01-01", "fe"): 1}


def test_rows_of_a_statement_that_failed_are_not_in_the_next_answer(found: Project) -> None:
    """chDB puts them in front of it."""
    with closing(open_source(SourceSettings(name="app", url=found.url))) as source, source.snapshot() as reader:
        with pytest.raises(SourceError, match="throwIf"):
            reader.table("select throwIf(number = 200000) as a from numbers(300000)", ["int"])
        assert pa.table(reader.table("select 7 as a", ["int"])).to_pylist() == [{"c0": 7}]


def test_over_no_facts_nothing_began_in_1970(found: Project) -> None:
    """min(at) over no rows is 1970 to ClickHouse."""
    found.table("m (at DateTime not null, x int)")
    found.declare(metric("facts", "sum(x)"), start="")
    report = found.book.run()
    assert [m.days for m in report.metrics] == [1]


# ------------------------------------------------------------------------------------------------------------- time


INSTANTS = (
    "DateTime",
    "DateTime('America/New_York')",
    "DateTime64(3)",
    "DateTime64(9, 'Asia/Kolkata')",
    "Nullable(DateTime)",
)


def test_whatever_zone_a_time_is_shown_in_it_is_an_instant(found: Project) -> None:
    """Midnight of Berlin is 23:00 in UTC. In the hour that New York's clocks show twice, every moment is its own."""
    twice = [1730608200 + 600 * i for i in range(12)]  # 3 November 2024, 00:30 to 02:20 in New York
    rows = [f"(toDateTime({moment}, 'UTC'), 1)" for moment in (1704063599, 1704063600, 1704149999, *twice)]
    columns = ", ".join(f"t{i} {type_}" for i, type_ in enumerate(INSTANTS))
    values = f"values('at DateTime(\\'UTC\\'), x Int32', {', '.join(rows)})"
    found.execute(
        f"create table m ({columns}, x Int32) order by tuple()",
        f"insert into m select {'at, ' * len(INSTANTS)} x from {values}",
    )
    asked = {"facts": "count(*)", "moments": "count(distinct t{0})", "latest": "last(x)"}
    metrics = (
        metric(f"{n}_{i}", m.format(i)).replace('"at"', f'"t{i}"')
        for i in range(len(INSTANTS))
        for n, m in asked.items()
    )
    found.at("2024-11-05T12:00").declare("".join(metrics), timezone="Europe/Berlin")
    found.run(from_="2024-01-01", to="2024-01-02")
    found.run(from_="2024-11-03", to="2024-11-03")
    for i in range(len(INSTANTS)):
        assert found.ask(f"facts_{i}", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 2, "2024-01-02": 0}
        assert found.ask(f"moments_{i}", from_="2024-11-03", to="2024-11-03") == {"2024-11-03": 12}
        assert found.ask(f"latest_{i}", from_="2024-11-03", to="2024-11-03") == {"2024-11-03": 1}


def test_local_times_and_dates_are_those_that_the_server_s_zone_shows() -> None:
    with closing(open_source(SourceSettings(name="app", url="clickhouse://host/db"))) as source:
        start = datetime(2023, 12, 31, 23, tzinfo=UTC), date(2024, 1, 1)
        assert source.bound(TimeForm("instant"), *start) == "toDateTime64('2023-12-31 23:00:00', 0, 'UTC')"
        assert source.bound(TimeForm("naive"), *start) == "toDateTime64('2023-12-31 23:00:00', 0, 'UTC')"
        shown = "toDateTime64('2024-01-01 00:00:00', 0, serverTimezone())"
        assert source.bound(TimeForm("naive", "Europe/Berlin"), *start) == shown
        assert source.bound(TimeForm("midnight"), *start) == shown


def test_a_backfill_in_one_scan_is_the_same_as_day_by_day(found: Project) -> None:
    """Times before all bounds, on them and after them, of every type, found by a search and by comparisons."""
    found.execute("create table m (at DateTime, y Date, y32 Date32, ms Int64) order by tuple()")
    found.execute(
        "insert into m select toDateTime('2023-12-30 23:30:00', 'UTC') + number * 1800 as t, "
        "toDate(t, 'UTC'), toDate32(t, 'UTC'), "
        "toUnixTimestamp(t) * 1000 from numbers(48 * 20)"
    )
    by_other = "".join(
        metric(f"by_{c}", "count(*)", more).replace('"at"', f'"{c}"')
        for c, more in {"y": "", "y32": "", "ms": 'stored = "epoch_ms"'}.items()
    )
    found.declare(metric("by_at", "count(*)") + by_other)
    found.run()
    question = {"from_": "2024-01-01", "to": "2024-01-20"}
    right = [48] * 18 + [47, 0]
    assert found.values("by_at", "by_y", "by_y32", "by_ms", **question) == dict.fromkeys(
        ("by_at", "by_y", "by_y32", "by_ms"), right
    )


# -------------------------------------------------------------------------------------------------- a server over HTTP

PROFILE = {"group_by_overflow_mode": "any", "max_rows_to_group_by": 1000, "date_time_output_format": "simple",
           "session_timezone": "Asia/Tokyo", "join_use_nulls": 0, "limit": 2}  # fmt: skip
"""What a user's profile may have set, to make wrong numbers of any statement that does not say otherwise."""


class Door(BaseHTTPRequestHandler):
    """HTTP as a server has it, as far as clickhouse-connect needs it; behind it is chDB. Passwords are "look"."""

    folder: str
    profile: dict[str, Any]
    heard: list[tuple[str, dict[str, str]]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        import base64

        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        sql = self.rfile.read(int(self.headers["Content-Length"])).decode() or asked.pop("query", "")
        given = base64.b64decode(self.headers.get("Authorization", "Basic Og==").split()[1]).decode()
        if given.partition(":")[2] != "look":
            return self.answer(
                403, b"Code: 516. DB::Exception: default: Authentication failed. (AUTHENTICATION_FAILED)"
            )
        self.heard.append((sql, asked))
        form = re.search(r"\bFORMAT\s+(\w+)\s*$", sql)
        sql = sql[: form.start()] if form else sql
        settings = {k: v for k, v in asked.items() if k not in TRANSPORT}
        return self.reply(sql, form[1] if form else asked.get("default_format", "TabSeparated"), settings)

    def reply(self, sql: str, form: str, settings: dict[str, str]) -> None:
        connection = chdb.connect(self.folder)
        try:
            for name, value in {**self.profile, **settings}.items():
                connection.query(f"SET {name} = '{value}'")
            self.answer(200, connection.query(sql, form).bytes(), form)
        except ChdbError as error:
            self.answer(500, str(error).encode())
        finally:
            connection.close()

    def answer(self, status: int, body: bytes, form: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Format", form)
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests read what was heard."""


TRANSPORT = ("database", "query_id", "session_id", "wait_end_of_query", "client_protocol_version", "default_format",
             "compress", "buffer_size", "enable_http_compression", "quota_key", "send_progress_in_http_headers", "role",
             "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close")  # fmt: skip


@pytest.fixture
def server(found: Project) -> Iterator[Any]:
    """A server with the database of `found`: its `url`, and all that it `heard`."""
    heard: list[tuple[str, dict[str, str]]] = []
    folder, profile = found.url.partition(":///")[2], dict(PROFILE)
    door = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("OwnDoor", (Door,), {"folder": folder, "heard": heard, "profile": profile})
    )
    threading.Thread(target=door.serve_forever, daemon=True).start()
    door.heard, door.profile = heard, profile  # type: ignore[attr-defined]
    door.url = f"clickhouse://reader:look@127.0.0.1:{door.server_port}/default"  # type: ignore[attr-defined]
    with closing(chdb.connect(folder)):  # as long as somebody is connected the engine stays as it is
        yield door
    door.shutdown()
    door.server_close()


def test_a_server_is_read_over_http_whatever_its_profile_says(found: Project, server: Any) -> None:
    rows = [(f"2024-01-0{1 + i % 3} 23:30:00", f"plan {i % 5}", i, i % 4) for i in range(60)]
    found.table("m (at timestamp, plan varchar(9), x int, user_id bigint)", rows)
    metrics = (
        metric("facts", "count(*)", 'by = ["plan"]') + metric("users", "count(distinct user_id)", 'by = ["plan"]')
        + metric("typical", "median(x)") + metric("latest", "last(x)")
    )  # fmt: skip
    found.declare(metrics, timezone="Europe/Berlin")
    found.run()
    names, question = ("facts", "users", "typical", "latest"), {"from_": "2024-01-01", "to": "2024-01-04"}
    right = {name: found.ask(name, **question) for name in names}
    found.url = server.url
    found.declare(metrics, timezone="Europe/Berlin")
    found.run(from_="2024-01-01", source_moved=["app"])
    assert {name: found.both(name, **question) for name in names} == right
    ours = [asked for sql, asked in server.heard if " FORMAT CSV" in sql]
    assert ours
    assert all(asked["readonly"] == "2" and asked["group_by_overflow_mode"] == "throw" for asked in ours)
    server.profile["max_rows_to_group_by"] = 2
    found.declare(metric("facts", "count(*)", 'by = ["x"]'))
    assert "Limit for rows to GROUP BY exceeded" in found.run_fails("facts", from_="2024-01-01"), "and not some of them"
    assert all(asked["wait_end_of_query"] == "1" for asked in ours), "an error in the middle of an answer would be rows"


def test_a_server_cannot_be_written_to(found: Project, server: Any) -> None:
    found.table("m (x int)", [(1,)])
    with closing(open_source(SourceSettings(name="app", url=server.url))) as source:
        with source.snapshot() as reader, pytest.raises(SourceError, match="readonly"):
            reader.rows("insert into m values (2)")
        with source.sql_connection() as connection, pytest.raises(Exception, match="readonly"):
            connection.exec_driver_sql("insert into m values (2)")
        with source.snapshot() as reader:
            assert reader.rows("select x from m") == [(1,)]


def test_a_wrong_password_and_a_wrong_port_are_told(server: Any) -> None:
    for url in (server.url.replace(":look@", ":wrong@"), "clickhouse://127.0.0.1:1/default"):
        with closing(open_source(SourceSettings(name="app", url=url))) as source:
            with pytest.raises(SourceUnavailable, match="cannot be reached") as told:
                source.tables()
            assert "the port of HTTP" in told.value.hint
            assert "wrong" not in str(told.value)


def test_two_folders_of_chdb_are_told_apart(found: Project, make_database: Callable[[str], str]) -> None:
    found.table("m (x int)", [(1,)])
    with closing(open_source(SourceSettings(name="app", url=found.url))) as one:
        assert one.tables() == ["m"]
        with closing(open_source(SourceSettings(name="more", url=make_database("chdb")))) as other:
            with pytest.raises(SourceUnavailable, match="cannot be reached") as told:
                other.tables()
            assert "one folder of chDB" in told.value.hint


# ----------------------------------------------------------------------------------------------- what is there


def test_check_says_how_a_column_is_made_quick_to_find(found: Project) -> None:
    found.execute(
        "create table ordered (at DateTime not null, x Int32) order by at",
        "create table parted (id Int32 not null, at DateTime not null) partition by toYYYYMM(at) order by id",
        "create table neither (id Int32 not null, at DateTime not null) order by id",
        # Of few rows, none is asked for.
        "insert into neither select number, '2024-03-04 10:00:00' from numbers(5000)",
    )
    found.declare("".join(metric(t, "count(*)").replace('"m"', f'"{t}"') for t in ("ordered", "parted", "neither")))
    warned = {look.metric: look.warned for look in found.book.look()}
    assert (warned["ordered"], warned["parted"]) == ([], [])
    assert "ALTER TABLE `neither` ADD INDEX neither_at `at` TYPE minmax" in warned["neither"][0]


@pytest.mark.parametrize(
    "text",
    [
        "select * from file('{file}')",
        "select * from `file`('{file}')",
        "select * from File /* in SQL */ ('{file}')",
        "select file('{file}')",
        "select * from url('http://127.0.0.1:9/x.csv')",
        "select * from s3Cluster('default', 'http://127.0.0.1:9/x.csv')",
        "select * from `{file}`",
        "select * from '{file}'",
    ],
)
def test_chdb_reads_nothing_but_its_folder(found: Project, text: str) -> None:
    secret = found.folder / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    with closing(open_source(SourceSettings(name="app", url=found.url))) as source, source.snapshot() as reader:
        with pytest.raises(SourceError):
            reader.rows(text.format(file=secret))
        assert reader.rows("select 'file(x)' -- url(y)")[0][0] == "file(x)"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_no_number_is_a_row_without_a_time(found: Project, value: str) -> None:
    found.execute("create table o (happened Float64) engine = MergeTree order by tuple()")
    found.execute(f"insert into o values ({value}), (1704103200), ({value})")
    found.declare(
        """
        [metrics.n]
        table = "o"
        time = "happened"
        stored = "epoch_s"
        measure = "count(*)"
        """
    )
    (report,) = found.run().metrics
    assert found.ask("n", **ONE) == {"2024-01-01": 1}
    assert report.notes[0].startswith("2 rows have no time and are left out")
