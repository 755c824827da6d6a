"""A book that an older Tallybook wrote opens today, and says what it said.

`data/first_book` was written by the first commit that could collect: its ledger as SQL, its points files as they
were. It has the number 1, as later ledgers have that it differs from.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.storage import tables
from tallybook.storage.sqlite_ledger import SqliteLedger

FIRST = Path(__file__).resolve().parents[1] / "data" / "first_book"
SECOND = FIRST.with_name("second_book")
NOW = datetime(2024, 1, 10, 6, tzinfo=UTC)
APP = """
CREATE TABLE users (id INTEGER PRIMARY KEY, created_at TEXT, plan TEXT);
CREATE TABLE invoices (id INTEGER PRIMARY KEY, paid_at TEXT, plan TEXT, amount DECIMAL(10, 2));
INSERT INTO users VALUES (1, '2024-01-09 10:00:00', 'pro');
"""


def written_by_the_first(folder: Path, *more: str) -> Path:
    """A project with the first book, after some more statements on its ledger."""
    book = folder / "book"
    shutil.copytree(FIRST / "points", book / "points")
    shutil.copy(FIRST / "tallybook.toml", folder)
    with closing(sqlite3.connect(book / "ledger.sqlite")) as ledger:
        ledger.executescript((FIRST / "ledger.sql").read_text())
        for statement in more:
            ledger.execute(statement)
        ledger.commit()
    with closing(sqlite3.connect(folder / "app.sqlite")) as app:
        app.executescript(APP)
    return folder


def written_in_format_1(folder: Path) -> Path:
    """A project with the second book: points of format 1 with one K for each deviation, and the database behind it."""
    shutil.copytree(SECOND / "points", folder / "book" / "points")
    shutil.copy(SECOND / "tallybook.toml", folder)
    for script, path in (("ledger.sql", folder / "book" / "ledger.sqlite"), ("app.sql", folder / "app.sqlite")):
        with closing(sqlite3.connect(path)) as database:
            database.executescript((SECOND / script).read_text())
            database.commit()
    return folder


def months(book: Any, metric: str, **asked: Any) -> dict[str, Any]:
    return {str(row["period"])[:7]: row[metric] for row in book.query(metric, scope="month", **asked).rows()}


def test_the_first_book_opens_and_says_what_it_said(tmp_path: Path) -> None:
    with tallybook.open(written_by_the_first(tmp_path), now=lambda: NOW) as book:
        assert months(book, "signups") == {"2023-12": 23, "2024-01": 15}
        assert months(book, "revenue") == {"2023-12": Decimal("413.75"), "2024-01": Decimal("375.75")}
        assert months(book, "payers") == {"2023-12": 2, "2024-01": 2}
        assert months(book, "users_today") == {"2024-01": 40}
        assert months(book, "revenue", as_of="2024-01-08")["2024-01"] == Decimal("333.25")
        assert [run.status for run in book.runs()] == ["done", "done"]
        assert [(r.old, r.new) for r in book.store.ledger.revisions()] == [("18.25", "19.25")]
        assert book.doctor() == []


def test_the_first_book_can_be_written_to(tmp_path: Path) -> None:
    with tallybook.open(written_by_the_first(tmp_path), now=lambda: NOW) as book:
        assert book.run().exit_code == 0
        assert book.store.ledger.version() == 3
        assert any(len(file.sha256) == 64 for file in book.store.snapshot().files)
        assert book.doctor() == []


def test_versions_that_the_first_tallybook_cleaned_stay_cleaned(tmp_path: Path) -> None:
    cleaned = "UPDATE versions SET what = what || ' (cleaned)' WHERE version = 1"
    with tallybook.open(written_by_the_first(tmp_path, cleaned), now=lambda: NOW) as book:
        with pytest.raises(tallybook.core.errors.Refused, match="was cleaned"):
            months(book, "revenue", as_of="2024-01-08")
        assert months(book, "signups")["2024-01"] == 15


def test_a_migrated_ledger_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    migrated = written_by_the_first(tmp_path) / "book" / "ledger.sqlite"
    SqliteLedger(migrated).close()
    SqliteLedger(tmp_path / "new.sqlite").close()
    assert columns_of(migrated) == columns_of(tmp_path / "new.sqlite")
    assert {table: set(names) for table, names in tables.COLUMNS.items()} == columns_of(migrated)


def columns_of(path: Path) -> dict[str, set[str]]:
    with closing(sqlite3.connect(path)) as ledger:
        return {
            table: {row[1] for row in ledger.execute(f"PRAGMA table_info({table})")}
            for (table,) in ledger.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        }


# --- points of format 1: one K for each metric ------------------------------------------------------------------

CPU = [100.0 + i * i % 7 for i in range(20)]
MEMORY = [8e9 + (i * i % 7) * 3e7 for i in range(20)]
DAYS = ["2024-01-29", "2024-01-30", "2024-01-31", "2024-02-01"]
LATER = datetime(2024, 2, 3, 6, tzinfo=UTC)


def by_day(book: Any, metric: str, **asked: Any) -> dict[Any, Any]:
    return {str(row["period"]): row[metric] for row in book.query(metric, from_=DAYS[0], to=DAYS[-1], **asked).rows()}


def test_deviations_of_format_1_are_right_or_null_with_the_command_to_paste(tmp_path: Path) -> None:
    with tallybook.open(written_in_format_1(tmp_path), now=lambda: LATER) as book:
        assert book.doctor() == []
        assert {file.format for file in book.store.snapshot().files} == {1}
        for _ in range(3):  # from files, then from memory
            assert by_day(book, "cpu") == dict.fromkeys(DAYS, pytest.approx(statistics.pvariance(CPU), rel=1e-9))
            assert by_day(book, "prices") == {
                day: pytest.approx(statistics.pstdev(prices), rel=1e-12)
                for day, prices in zip(DAYS, ([10, 14], [10, 14, 18], [14, 18], [14, 18]), strict=True)
            }
            rows = book.query("deviation", by=["name"], from_=DAYS[0], to=DAYS[-1]).rows()
            memory = [row["deviation"] for row in rows if row["name"] == "memory"]
            assert memory == [pytest.approx(statistics.stdev(MEMORY), rel=1e-9)] * 4
            lost = [row for row in rows if row["name"] == "cpu"]
            assert [row["deviation"] for row in lost] == [None] * 4
            assert "tallybook run deviation --from 2024-01-30" in lost[1]["notes"]["deviation"]["why"]
        (whole,) = book.query("deviation", scope="all", from_=DAYS[0], to=DAYS[-1]).rows()
        assert whole["deviation"] == pytest.approx(statistics.stdev((CPU + MEMORY) * 4), rel=1e-9)
        (most,) = book.query("noisiest", scope="all", from_=DAYS[0], to=DAYS[-1]).rows()
        assert most["noisiest"] is None  # one of its entities is not known
        assert "too few digits" in most["notes"]["noisiest"]["why"]


def test_a_book_of_format_1_takes_a_run_and_keeps_both_definitions_apart(tmp_path: Path) -> None:
    with tallybook.open(written_in_format_1(tmp_path), now=lambda: LATER) as book:
        old = {m: book.store.snapshot().definitions[m][0].id for m in ("deviation", "cpu", "readings")}
        report = book.run()
        assert report.exit_code == 0
        new = {m: book.store.snapshot().definitions[m][0].id for m in old}
        assert {m for m in old if old[m] != new[m]} == {"deviation", "cpu"}
        assert {f.format for f in book.store.snapshot().files} >= {2}
        assert book.doctor() == []
        assert book.store.ledger.revisions() == []
        assert by_day(book, "cpu", definition=old["cpu"]) == dict.fromkeys(
            DAYS, pytest.approx(statistics.pvariance(CPU))
        )
        book.run("deviation", "cpu", from_=DAYS[0], to=DAYS[-1])
        rows = book.query("deviation", by=["name"], from_=DAYS[0], to=DAYS[-1]).rows()
        assert [row["deviation"] for row in rows if row["name"] == "cpu"] == [
            pytest.approx(statistics.stdev(CPU), rel=1e-12)
        ] * 4
        # a rewritten month has the old rows as well, and no K in the place of that of their definition
        again = book.query("deviation", by=["name"], from_=DAYS[0], to=DAYS[-1], definition=old["deviation"]).rows()
        assert [row["deviation"] for row in again if row["name"] == "cpu"] == [None] * 4
        assert [row["deviation"] for row in again if row["name"] == "memory"] == [
            pytest.approx(statistics.stdev(MEMORY), rel=1e-9)
        ] * 4
        assert by_day(book, "readings") == dict.fromkeys(DAYS, 40)


def test_a_book_of_format_1_is_compacted_copied_and_forgotten(tmp_path: Path) -> None:
    with tallybook.open(written_in_format_1(tmp_path), now=lambda: datetime(2025, 2, 1, tzinfo=UTC)) as book:
        before = by_day(book, "cpu")
        book.backup(tmp_path / "copy")
        assert book.compact()
        assert {f.format for f in book.store.snapshot().files} == {2}
        assert by_day(book, "cpu") == before
        book.forget("readings")
        assert by_day(book, "cpu") == before
        assert book.doctor() == []
