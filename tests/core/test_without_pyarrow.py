"""What works in the default installation, which has no pyarrow."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tallybook.collect.sources.csv_columns import csv_columns
from tallybook.collect.sources.values import DEC, FLOAT, INT, TEXT
from tallybook.core import INSTANT_TYPE, ArrowTable, arrow_column, arrow_constant
from tallybook.storage import connect

SOURCE = Path(__file__).parents[2] / "src" / "tallybook"

MAIN_PATHS = """
    import sys
    sys.modules["pyarrow"] = None  # every import of it fails
    import pathlib, sqlite3
    from datetime import datetime, UTC
    import tallybook
    from tallybook.cli import main

    db = sqlite3.connect("shop.db")
    db.executescript(
        "create table orders (id integer primary key, at text, plan text, user_id integer, amount numeric);"
        "insert into orders(at, plan, user_id, amount) values "
        "('2026-03-01 10:00:00', 'pro', 1, 12.25), ('2026-03-01 11:00:00', 'team', 2, 3),"
        "('2026-03-02 10:00:00', null, 1, 0.5), ('2026-03-03 10:00:00', 'pro', 3, 7);"
    )
    db.close()
    pathlib.Path("tallybook.toml").write_text('''
    [book]
    start = "2026-03-01"
    [sources.app]
    url = "sqlite:///shop.db"
    [metrics.revenue]
    table = "orders"
    time = "at"
    measure = "sum(amount)"
    by = ["plan"]
    [metrics.buyers]
    table = "orders"
    time = "at"
    measure = "count(distinct user_id)"
    [metrics.middle]
    table = "orders"
    time = "at"
    measure = "percentile_cont(0.5) within group (order by amount)"
    [deliveries.board]
    to = "xlsx"
    path = "board.xlsx"
    scope = "day"
    metrics = ["revenue", "buyers"]
    [deliveries.table]
    to = "parquet"
    path = "table.parquet"
    scope = "day"
    metrics = ["revenue"]
    by = ["plan"]
    layout = "long"
    '''.replace("    ", ""))
    book = tallybook.open(".", now=lambda: datetime(2026, 3, 4, 12, tzinfo=UTC))
    report = book.run()
    assert not report.failed, [(m.metric, m.error) for m in report.failed]
    answer = book.query("revenue,buyers", scope="all", from_="2026-03-01", to="2026-03-04")
    assert (float(answer.data[0]["revenue"]), answer.data[0]["buyers"]) == (22.75, 3)
    answer.to_csv(), answer.to_json(), answer.to_text()
    answer.to_parquet("answer.parquet")
    import duckdb
    rows = duckdb.sql("from answer").fetchall()
    assert float(rows[0][1]) == 22.75, rows
    polars = answer.to_polars()
    assert polars["buyers"].to_list() == [3]
    for call in (answer.to_arrow, answer.to_pandas):
        try:
            call()
            raise SystemExit("pyarrow was imported")
        except tallybook.TallybookError as error:
            print(error.hint)
    from tallybook.collect.sources.clickhouse import ClickhouseSource
    from tallybook.core import SourceSettings
    try:
        ClickhouseSource(SourceSettings(name="ch", url="clickhouse://u:p@127.0.0.1:1/d")).client()
    except tallybook.TallybookError as error:
        print(error.hint)
"""


def test_collecting_answers_files_and_deliveries_need_no_pyarrow_and_what_needs_it_says_what_to_install(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MAIN_PATHS)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "pip install 'tallybook[arrow]'",
        "pip install 'tallybook[pandas]'",
        "pip install 'tallybook[clickhouse]'",
    ]
    assert (tmp_path / "board.xlsx").exists()
    assert parquet.read_table(tmp_path / "table.parquet").num_rows > 0
    assert b"tallybook" in parquet.read_table(tmp_path / "answer.parquet").schema.metadata


def test_only_clickhouse_and_what_makes_tables_of_pyarrow_import_it():
    importing = {
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if "import pyarrow" in path.read_text()
    }
    assert importing == {
        "collect/sources/clickhouse.py",
        "collect/sources/clickhouse_reader.py",
        "core/parquet.py",
        "core/result/result.py",
    }


COLUMNS = {
    "VARCHAR": ["a", None, "", "é💥"],
    "BLOB": [b"\0x", None, b"", b"y"],
    "BOOLEAN": [True, None, False, True],
    "DATE": [date(1, 1, 1), None, date(9999, 12, 31), date(1970, 1, 1)],
    "DOUBLE": [1.5, None, float("inf"), -0.0],
    INSTANT_TYPE: [datetime(1, 1, 1, tzinfo=UTC), None, datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)] * 2,
    "SMALLINT": [1, None, -5, 32767],
    "BIGINT": [2**63 - 1, None, -(2**63), 0],
    "DECIMAL(38,10)": [Decimal("1.5"), None, -7, Decimal("-9999999999999999999999999999.9999999999")],
    "DECIMAL(38,0)": [10**38 - 1, None, 1, -(10**38 - 1)],
    "DECIMAL(76,20)": [Decimal("1e-20"), None, 10**50, Decimal(-1)],
}


@pytest.mark.parametrize("type_", COLUMNS)
def test_a_column_has_the_values_that_it_was_made_of(type_):
    values = COLUMNS[type_]
    table = ArrowTable.of({"c": arrow_column(values, type_)})
    assert pa.table(table)["c"].to_pylist() == values
    assert pa.table(table).num_rows == table.num_rows == len(values)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (Decimal("1.00000000001"), "DECIMAL(38,10)"),
        (10**28, "DECIMAL(38,10)"),
        (Decimal("NaN"), "DECIMAL(38,10)"),
        (Decimal("1e30"), "DECIMAL(38,10)"),
        (2**63, "BIGINT"),
        (40_000, "SMALLINT"),
    ],
)
def test_no_value_is_rounded_into_a_column(value, type_):
    with pytest.raises((ValueError, OverflowError)):
        arrow_column([value], type_)


def test_a_batch_without_a_column_has_nulls_there():
    table = ArrowTable.of_batches(
        {"x": "BIGINT", "y": "VARCHAR"},
        [{"x": arrow_column([1, 2], "BIGINT")}, {"y": arrow_constant("abc", 2, "VARCHAR")}],
    )
    with connect() as engine:
        engine.register("t", table)
        assert engine.sql("FROM t").fetchall() == [(1, None), (2, None), (None, "abc"), (None, "abc")]
        assert engine.sql("SELECT count(*) FROM t").fetchall() == [(4,)]  # it can be read again


TEXTS = ["a", ",", '"', "\n", "\r", "\r\n", "", " ", "\t", "\\", "#", "'", "é", "💥", '""', '\\"', "NULL", "\\."]


def test_text_that_a_server_sends_as_csv_arrives_as_it_is():
    rows = [(first + second, None if (first, second) == (" ", " ") else second) for first in TEXTS for second in TEXTS]
    sent = "".join(f"{_quoted(a)},{_quoted(b)},1.5,2.25,7\n" for a, b in rows).encode()
    with connect() as engine:
        table = pa.table(csv_columns(engine, sent, [TEXT, TEXT, DEC, FLOAT, INT]))
    assert list(zip(table["c0"].to_pylist(), table["c1"].to_pylist(), strict=True)) == rows
    assert table["c2"].to_pylist() == [Decimal("1.5")] * len(rows)


def _quoted(text: str | None) -> str:
    """As PostgreSQL writes a text in CSV."""
    if text is None:
        return ""
    plain = text and text != "\\." and not set(text) & set(',"\r\n')
    return text if plain else '"' + text.replace('"', '""') + '"'


@pytest.mark.parametrize(
    ("sent", "kind"), [("0.12345678901", DEC), ("NaN", DEC), ("x", INT), ("9223372036854775808", INT)]
)
def test_a_number_that_does_not_fit_is_an_error_and_is_not_rounded(sent, kind):
    import duckdb

    with connect() as engine, pytest.raises(duckdb.Error):
        csv_columns(engine, f"{sent},1\n".encode(), [kind, INT])


def test_csv_is_read_through_a_file_where_the_system_has_none_in_memory(monkeypatch):
    monkeypatch.delattr("os.memfd_create", raising=False)
    with connect() as engine:
        table = pa.table(csv_columns(engine, b'1.1234567890,"",\n', [DEC, TEXT, TEXT]))
    assert table.to_pylist() == [{"c0": Decimal("1.1234567890"), "c1": "", "c2": None}]
