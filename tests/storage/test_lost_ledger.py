"""A ledger that is missing, empty, damaged or of another form: never a new book, and a way out without a backup."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest

import tallybook
from tallybook.cli import invoke
from tallybook.core.errors import BookError, QueryError
from tallybook.storage.places import BookLocation
from tests import ledgers

NOW = datetime(2024, 1, 20, 6, tzinfo=UTC)
TOML = """
[book]
start = "2024-01-01"
{book}
[sources.app]
url = "sqlite:///app.db"

[metrics.visits]
table = "visits"
time = "at"
measure = "count(*)"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with 19 days of one visit each."""
    db = sqlite3.connect(tmp_path / "app.db")
    db.execute("CREATE TABLE visits (at TEXT)")
    db.executemany("INSERT INTO visits VALUES (?)", [(f"2024-01-{day:02} 10:00:00",) for day in range(1, 20)])
    db.commit()
    db.close()
    (tmp_path / "tallybook.toml").write_text(TOML.replace("{book}", ""))
    return tmp_path


def opened(folder: Path) -> Any:
    return tallybook.open(folder, now=lambda: NOW)


def lose(folder: Path) -> None:
    for path in (folder / "book").glob("ledger.sqlite*"):
        path.unlink()


LOSSES: dict[str, Callable[[Path], Any]] = {
    "missing": lose,
    "empty": lambda folder: (folder / "book" / "ledger.sqlite").write_bytes(b""),
    "without tables": lambda folder: (
        lose(folder),
        sqlite3.connect(folder / "book" / "ledger.sqlite").execute("VACUUM"),
    ),
}
VERBS: dict[str, Callable[[Any], Any]] = {
    "run": lambda book: book.run(),
    "plan": lambda book: book.plan(),
    "query": lambda book: book.query("visits"),
    "live query": lambda book: book.query("visits", live=True),
    "why": lambda book: book.why("visits", "2024-01-02"),
    "status": lambda book: book.status(),
    "metrics": lambda book: book.metrics(),
    "runs": lambda book: book.runs(),
    "coverage": lambda book: book.coverage(),
    "doctor": lambda book: book.doctor(),
    "compact": lambda book: book.compact(),
    "forget": lambda book: book.forget("visits"),
    "deliver": lambda book: book.deliver(),
    "backup": lambda book: book.backup(book.project.folder / "copy"),
    "move": lambda book: book.move(BookLocation(folder=book.project.folder / "other")),
    "alerts": lambda book: book.alerts(),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_verb_refuses_points_without_a_ledger_and_makes_none(folder: Path, loss: str) -> None:
    with opened(folder) as book:
        book.run()
    LOSSES[loss](folder)
    before = written(folder)
    for name, verb in VERBS.items():
        with opened(folder) as book, pytest.raises(BookError, match="is missing or empty, but 1 points file") as told:
            verb(book)
        assert told.value.exit_code == 1, name
        assert "tallybook restore" in told.value.hint, name
        assert "tallybook doctor --set-aside" in told.value.hint, name
    assert written(folder) == before


def written(folder: Path) -> list[tuple[str, int]]:
    """The files of the book with their sizes, but for the kept catalog."""
    files = [path for path in (folder / "book").rglob("*") if path.is_file() and path.parent.name != "cache"]
    return sorted((path.name, path.stat().st_size) for path in files)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_backup_is_restored_beside_the_points_that_are_left(folder: Path, loss: str) -> None:
    with opened(folder) as book:
        book.run()
        before = book.query("visits").rows()
        book.backup(folder / "backup")
    LOSSES[loss](folder)
    with opened(folder) as book:
        book.restore(folder / "backup")
        assert book.query("visits").rows() == before
        assert book.doctor() == []


def test_set_aside_renames_the_folder_and_starts_a_new_book(folder: Path) -> None:
    with opened(folder) as book:
        book.run()
        with pytest.raises(QueryError, match="can be read: there is nothing to set aside"):
            book.set_aside()
    for number in ("", "-2"):
        lose(folder)
        with opened(folder) as book:
            renamed = book.set_aside()
            assert renamed.name == f"book-set-aside-2024-01-20{number}"
            assert list((renamed / "points").rglob("*.parquet"))
            assert book.doctor() == []
            assert book.run().exit_code == 0
            assert len(book.query("visits").rows()) == 19


@pytest.mark.parametrize("content", [b"x" * 9000, b"SQLite format 3\0" + b"y" * 9000])
def test_a_damaged_ledger_may_be_set_aside_too(folder: Path, content: bytes) -> None:
    with opened(folder) as book:
        book.run()
    lose(folder)
    (folder / "book" / "ledger.sqlite").write_bytes(content)
    with opened(folder) as book, pytest.raises(BookError, match="is damaged") as told:
        book.query("visits")
    assert "tallybook doctor --set-aside" in told.value.hint
    out = StringIO()
    assert invoke(["doctor", "--set-aside", "--project", str(folder)], stdout=out) == 0
    assert "The book is new and empty" in out.getvalue()


def test_an_empty_ledger_without_points_is_a_new_book(folder: Path) -> None:
    (folder / "book").mkdir()
    (folder / "book" / "ledger.sqlite").touch()
    with opened(folder) as book:
        assert book.doctor() == []
        assert book.run().exit_code == 0


def test_points_in_a_folder_whose_postgresql_ledger_is_gone_are_refused(folder: Path) -> None:
    schema = ledgers.schema_of(folder)
    toml = TOML.replace("{book}", f'ledger = "{ledgers.database()}"\nschema = "{schema}"')
    (folder / "tallybook.toml").write_text(toml)
    with opened(folder) as book:
        book.run()
    with psycopg.connect(ledgers.database().replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f'DROP SCHEMA "{schema}" CASCADE')
    for verb in ("run", "query", "doctor"):
        with opened(folder) as book, pytest.raises(BookError, match="is missing or empty, but 1 points file is in"):
            VERBS[verb](book)
    with opened(folder) as book:
        assert book.set_aside().is_dir()
        assert book.run().exit_code == 0


def test_strays_that_were_there_before_the_ledger_are_never_deleted(folder: Path) -> None:
    """By the instants in the ledger: a restored ledger is as old as its first run, however new its file is."""
    with tallybook.open(folder) as book:
        book.run()
        book.backup(folder / "backup")
        path = book.store.folder / book.store.snapshot().files[0].path
        stray, older = path.with_name("2024-01-stray.parquet"), path.with_name("2024-01-older.parquet")
        for one, seconds in ((stray, 2 * 86_400), (older, 40 * 86_400)):
            shutil.copy(path, one)
            os.utime(one, (time.time() - seconds,) * 2)
        with book.store.ledger._writing() as db:
            for table, column in (("versions", "at"), ("runs", "started")):
                db.execute(f"UPDATE {table} SET {column} = strftime('%Y-%m-%dT%H:%M:%S.000000Z', 'now', '-10 days')")
            db.execute("UPDATE versions SET at = '0001-01-01T00:00:00.000000Z' WHERE version = 0")
        assert "1 points file belongs to no version" in book.doctor()[0]
        assert "are older than the ledger" in " ".join(book.remarks())
        assert book.compact()["deleted"] == 1
        assert (stray.exists(), older.exists()) == (False, True)
        assert book.doctor() == []


def test_doctor_compares_the_tables_with_the_number(folder: Path) -> None:
    with opened(folder) as book:
        book.run()
        with book.store.ledger._writing() as db:
            db.execute("DROP TABLE followed")
            db.execute("ALTER TABLE deliveries DROP COLUMN state")
    with opened(folder) as book:
        found = book.doctor()
        assert "lacks state of the table deliveries" in " ".join(found)
        assert "lacks the table followed" in " ".join(found)
        with pytest.raises(BookError, match="no such table: followed") as told:
            book.run()
        assert "tallybook doctor" in told.value.hint
        assert book.remarks() == []


def test_a_postgresql_ledger_that_lacks_a_table_is_found_too(folder: Path) -> None:
    schema = ledgers.schema_of(folder)
    toml = TOML.replace("{book}", f'ledger = "{ledgers.database()}"\nschema = "{schema}"')
    (folder / "tallybook.toml").write_text(toml)
    with opened(folder) as book:
        book.run()
        with book.store.ledger._writing() as db:
            db.execute("DROP TABLE alerts")
        assert "lacks the table alerts" in book.doctor()[0]
