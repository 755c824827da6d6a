"""A book that an older Tallybook wrote opens today, and says what it said.

`data/first_book` was written by the first commit that could collect: its ledger as SQL, its points files as they
were. It has the number 1, as later ledgers have that it differs from.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.store import tables
from tallybook.store.sqlite_ledger import SqliteLedger

FIRST = Path(__file__).resolve().parent / "data" / "first_book"
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


def months(book: Any, metric: str, **asked: Any) -> dict[str, Any]:
    return {str(row["period"])[:7]: row[metric] for row in book.query(metric, scope="month", **asked).rows()}


def test_the_first_book_opens_and_says_what_it_said(tmp_path: Path) -> None:
    with tallybook.open(written_by_the_first(tmp_path), now=lambda: NOW) as book:
        assert months(book, "signups") == {"2023-12": 23, "2024-01": 15}
        assert months(book, "revenue") == {"2023-12": Decimal("413.75"), "2024-01": Decimal("375.75")}
        assert months(book, "payers") == {"2023-12": 2, "2024-01": 2}
        assert months(book, "users_today") == {"2024-01": 40}
        assert months(book, "revenue", as_of="2024-01-08")["2024-01"] == Decimal("333.25")
        assert [run["status"] for run in book.runs()] == ["done", "done"]
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
        with pytest.raises(tallybook.errors.Refused, match="was cleaned"):
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
