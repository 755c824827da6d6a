"""Names of files beyond ASCII, and what libraries print, in processes with the environments people have."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import tallybook
from tallybook.core.errors import DeclarationError

TOML = """
[book]
start = "2026-11-01"
[sources.app]
url = "sqlite:///app.db"
[metrics.visits]
table = "visits"
time = "at"
measure = "count(*)"
by = ["plan"]
"""
ASCII = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "büch 本"
    made.mkdir()
    db = sqlite3.connect(made / "app.db")
    db.execute("CREATE TABLE visits (at TEXT, plan TEXT)")
    db.executemany("INSERT INTO visits VALUES (?, ?)", [(f"2026-11-{day:02} 10:00:00", "prö") for day in range(1, 5)])
    db.commit()
    db.close()
    (made / "tallybook.toml").write_text(TOML, encoding="utf-8")
    return made


def command(folder: Path, *typed: str, **env: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tallybook", *typed],
        cwd=folder,
        capture_output=True,
        check=False,
        env={**os.environ, **env},
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_folder_beyond_ascii_is_used_in_an_ascii_locale(folder: Path) -> None:
    assert command(folder, "run", "--quiet", "--to", "2026-11-04", **ASCII)[0] == 0
    code, out, err = command(folder, "query", "visits", "--scope", "all", "--by", "plan", "--format", "csv", **ASCII)
    assert (code, err) == (0, "")
    assert "prö,4" in out
    code, out, _ = command(folder, "schedule", "cron", **ASCII)
    assert code == 0
    assert "büch 本" in out


def test_a_library_in_an_ascii_locale_says_what_to_set(folder: Path) -> None:
    """A name that is no text: as Python has it in an ASCII locale, or of bytes that are not UTF-8."""
    misread = os.fsencode(folder).decode("ascii", errors="surrogateescape")
    with pytest.raises(DeclarationError, match="is not UTF-8") as told:
        tallybook.open(misread)
    assert "PYTHONUTF8=1" in told.value.hint


def test_what_libraries_log_stays_away_from_stderr(folder: Path) -> None:
    """sqlglot warns about statements that it does not know, psycopg about connections that are lost."""
    code = (
        "from tallybook.config.catalog.sql import _statements\n"
        "from tallybook.core.logs import quiet\n"
        "import logging\n"
        "_statements('VACUUM FULL x', 'postgres')\n"
        "quiet('psycopg')\n"
        "logging.getLogger('psycopg').warning('error ignored terminating a pipeline')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_statement_draws_a_bar(folder: Path) -> None:
    from tallybook.storage.engines.duckdb import connect, without_bar

    asked = "SELECT current_setting('enable_progress_bar')"
    engine = connect()
    engine.execute("SET enable_progress_bar = true")
    assert without_bar(engine.cursor()).execute(asked).fetchall() == [(False,)]
    assert connect().execute(asked).fetchall() == [(False,)]
    with tallybook.open(folder) as book, book.reader.reading() as reading:
        assert reading.engine.execute(asked).fetchall() == [(False,)]
