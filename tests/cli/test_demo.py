"""`python -m tallybook.demo FOLDER`, small: every command in it does what the demo says it does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import openpyxl
import pytest

import tallybook
from tallybook.demo import __main__ as demo
from tests import warm
from tests.conftest import SOAK

SMALL = ["--scale", "0.05", "--years", "1"]
DEMO = """
import sys
from tallybook.demo.__main__ import main
sys.executable = {python!r}
sys.exit(main(sys.argv[1:]))
"""


class Shown(NamedTuple):
    folder: Path
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """The demo of a twentieth of the customers, run to its end once. Only the long run starts a Python for each command."""
    home = tmp_path_factory.mktemp("somewhere")
    typed = ["-m", "tallybook.demo"] if SOAK else ["-c", DEMO.format(python=str(forking_python(home / "python")))]
    ended = subprocess.run(
        [sys.executable, *typed, str(home / "a demo"), *SMALL], capture_output=True, text=True, check=False, timeout=300
    )
    return Shown(home / "a demo", ended.returncode, ended.stdout, ended.stderr)


def forking_python(path: Path) -> Path:
    """A program that stands in for Python: it forks each command, and starts the server, whose process is killed by its id."""
    warm.write_command(path.with_name("warm"))
    path.write_text(f"""#!/bin/sh
case "$*" in *" serve "*) exec {shlex.quote(sys.executable)} "$@" ;; esac
exec {shlex.quote(str(path.with_name("warm")))} "$@"
""")
    path.chmod(0o755)
    return path


def test_the_demo_runs_through(shown: Shown) -> None:
    assert shown.code == 0, shown.err
    assert "All is well: 13 metrics, 1 source" in shown.out
    assert "Run 1: done" in shown.out


def test_it_shows_the_seven_times_trap_and_how_it_is_refused(shown: Shown) -> None:
    (times,) = re.findall(r"these seven days added up +[\d,.]+ EUR, ([\d.]+) times what is true", shown.out)
    assert 6.5 < float(times) < 7.5
    assert shown.err.startswith("refused: 'mrr' is a level")
    assert "ask instead: tallybook query mrr" in shown.err


def test_the_book_counts_the_users_of_a_week_as_plain_sql_does(shown: Shown) -> None:
    (book,) = re.findall(r"different users of the week, by the book +([\d,]+)", shown.out)
    assert re.findall(r"the same by plain SQL over app.db +([\d,]+)", shown.out) == [book]


def test_events_that_were_acknowledged_survive_kill_9_and_are_stored_once(shown: Shown) -> None:
    assert "7 events were sent twice, the server was killed in between: 7 are stored." in shown.out
    assert re.search(r"[$] kill -9 \d+ \d+ \d+", shown.out)
    counts = dict(re.findall(r"^\d{4}-\d\d-\d\d\*? +(home|docs|pricing|signup) +(\d+)", shown.out, re.MULTILINE))
    assert counts == {"home": "3", "docs": "2", "pricing": "1", "signup": "1"}


def test_its_workbook_opens_and_has_a_row_for_each_month(shown: Shown) -> None:
    book = openpyxl.load_workbook(shown.folder / "metrics.xlsx")
    table = book["Metrics"]
    months = [row[0].value.date() for row in table.iter_rows(min_row=2)]
    assert months == sorted(set(months))
    assert all(isinstance(month, date) and month.day == 1 for month in months)
    assert len(months) in (12, 13)
    assert len(book["Charts"]._charts) == 5


def test_what_it_says_to_try_next_works(shown: Shown) -> None:
    lines = [line.split("     ")[0] for line in shown.out.splitlines() if line.startswith("  tallybook ")]
    assert len(lines) == 7
    with tallybook.open(shown.folder) as book:
        yesterday = str(book.today - timedelta(days=1))
    for line in lines:
        typed = shlex.split(line.replace("DAY", yesterday))[1:]
        ended = warm.run(["-m", "tallybook", *typed], cwd=shown.folder)
        assert ended.returncode == 0, (line, ended.stderr)


def test_a_command_that_does_something_else_ends_the_demo(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(demo.DemoError, match="ended with 2, not 0"):
        demo.Shell(tmp_path).run("check")
    assert "there is no tallybook.toml" in capfd.readouterr().err
