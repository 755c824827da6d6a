"""Declared files are kept up to date: what is declared, when something is written, and what happens when it cannot be."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest

from tallybook.cli import invoke
from tallybook.core.errors import Busy, DeclarationError, QueryError
from tallybook.deliver.destinations.excel.destination import Xlsx
from tallybook.storage.ledger import Delivered
from tallybook.storage.sqlite_ledger import SqliteLedger
from tests.projects import Project

METRICS = """
    [metrics.signups]
    table = "users"
    time = "at"
    measure = "count(*)"
    by = ["plan"]

    [metrics.revenue]
    table = "invoices"
    time = "at"
    measure = "sum(amount)"
    unit = "EUR"
"""
BOARD = """
    [deliveries.board]
    to = "xlsx"
    path = "board.xlsx"
    metrics = ["signups", "revenue"]
    tab = "Daily"
"""
USERS = [("2024-03-01 10:00:00", "pro"), ("2024-03-01 11:00:00", "free"), ("2024-03-03 09:00:00", "pro")]
INVOICES = [("2024-03-01 10:00:00", "10.50"), ("2024-03-02 23:59:59", "0.25"), ("2024-03-03 00:00:00", "99.99")]


@pytest.fixture
def project(tmp_path, make_database):
    project = Project(tmp_path / "acme", make_database("sqlite"), now="2024-03-06T12:00")
    project.table("users (at text, plan text)", USERS)
    project.table("invoices (at text, amount decimal(10,2))", [(at, Decimal(x)) for at, x in INVOICES])
    yield project
    project.close()


def declare(project: Project, *deliveries: str) -> Project:
    project.declare(METRICS + "".join(deliveries), start="2024-03-01")
    return project


def delivered(project: Project, *names: str, **options: object) -> dict[str, str]:
    return {report.delivery: report.status for report in project.book.deliver(*names, **options)}


def sheet(project: Project, tab: str = "Daily", file: str = "board.xlsx") -> list[list[object]]:
    rows = openpyxl.load_workbook(project.folder / file)[tab].iter_rows(values_only=True)
    return [[v.date().isoformat() if isinstance(v, datetime) else v for v in row] for row in rows]


def in_plain_sql(project: Project, statement: str) -> list[tuple[object, ...]]:
    """What the rows themselves say, asked without us."""
    with sqlite3.connect(project.url.removeprefix("sqlite:///")) as database:
        return database.execute(statement).fetchall()


# ---------------------------------------------------------------------------------------------- what is written


def test_a_run_delivers_what_plain_sql_says(project):
    report = declare(project, BOARD).run()
    assert [(d.delivery, d.status, d.rows) for d in report.deliveries] == [("board", "delivered", 5)]
    signups = dict(in_plain_sql(project, "select substr(at, 1, 10), count(*) from users group by 1"))
    revenue = dict(in_plain_sql(project, "select substr(at, 1, 10), sum(amount) from invoices group by 1"))
    head, *rows = sheet(project)
    assert head == ["day", "complete", "signups", "revenue"]
    assert rows == [
        [day, "yes", signups.get(day, 0), revenue.get(day, 0)] for day in days("01", "02", "03", "04", "05")
    ]


def days(*numbers: str) -> list[str]:
    return [f"2024-03-{number}" for number in numbers]


def test_late_rows_correct_their_cell(project):
    declare(project, BOARD).run()
    project.insert("users", [("2024-03-04 10:00:00", "pro")])
    assert [d.status for d in project.run().deliveries] == ["delivered"]
    assert [row[2] for row in sheet(project)] == ["signups", 2, 0, 1, 1, 0]


@pytest.mark.parametrize("layout", ["long", "columns", "across"])
@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_files_for_programs_in_every_layout(project, to, layout):
    declare(
        project, f'[deliveries.x]\nto = "{to}"\npath = "x.{to}"\nmetrics = ["revenue"]\nlayout = "{layout}"\n'
    ).run()
    path = project.folder / f"x.{to}"
    rows = pq.read_table(path).to_pylist() if to == "parquet" else list(csv.DictReader(io.StringIO(path.read_text())))
    (first,) = [row for row in rows if layout == "across" or str(row["period"]) == "2024-03-01"]
    value = first[{"long": "value", "columns": "revenue", "across": "2024-03-01"}[layout]]
    assert Decimal(str(value)) == Decimal("10.5")


def test_by_where_scope_and_totals(project):
    declare(project, """
        [deliveries.plans]
        to = "xlsx"
        path = "board.xlsx"
        metrics = ["signups"]
        scope = "month"
        by = ["plan"]
        where = ["plan!=free"]
        totals = true
    """).run()  # fmt: skip
    assert [row[1:] for row in sheet(project, "plans")] == [["plan", "complete", "signups"], ["pro", "no", 2]]
    assert sheet(project, "plans totals")[1][1:] == ["total", "no", 2]


def test_several_deliveries_share_a_workbook(project):
    declare(project, BOARD, BOARD.replace("board]", "weekly]").replace('tab = "Daily"', 'scope = "week"')).run()
    assert openpyxl.load_workbook(project.folder / "board.xlsx").sheetnames == [
        "Overview",
        "Daily",
        "Charts",
        "Chart data",
        "weekly",
    ]


# ------------------------------------------------------------------------------------------ when it is written


def written(path):
    """Which file it is, and when it was written: reading it changes neither."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def test_nothing_new_is_nothing_written(project):
    declare(project, BOARD).run()
    before = written(project.folder / "board.xlsx")
    assert [d.status for d in project.run().deliveries] == ["up to date"]
    assert delivered(project) == delivered(project, force=True) == {"board": "up to date"}
    assert written(project.folder / "board.xlsx") == before


def test_a_changed_declaration_is_delivered_anew(project):
    declare(project, BOARD).run()
    declare(project, BOARD.replace('["signups", "revenue"]', '["signups"]'))
    assert delivered(project) == {"board": "delivered"}


def test_a_file_that_is_gone_is_made_again(project):
    declare(project, BOARD).run()
    (project.folder / "board.xlsx").unlink()
    assert delivered(project) == {"board": "delivered"}


def test_the_ledger_keeps_what_was_delivered(tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    at = datetime(2024, 3, 6, tzinfo=UTC)
    ledger.record_delivery("board", Delivered(version=3, fingerprint="a"), now=at)
    ledger.record_delivery("board", Delivered(version=4, fingerprint="b"), now=at)
    found = ledger.delivered()["board"]
    assert (found.version, found.fingerprint, found.at[:10]) == (4, "b", "2024-03-06")
    ledger.close()


def test_only_one_process_delivers_at_a_time(project):
    declare(project, BOARD).run()
    ledger = project.book.store.ledger
    lease = ledger.acquire("deliver to xlsx board.xlsx", now=project.now, seconds=60)
    with pytest.raises(Busy, match="another process is delivering"):
        project.book.deliver(force=True)
    report = project.run()
    assert (report.exit_code, [d.status for d in report.deliveries]) == (1, ["failed"])
    ledger.release(lease)


# --------------------------------------------------------------------------------------- when it cannot be written


@pytest.mark.parametrize("lock", ["~$board.xlsx", ".~lock.board.xlsx#"])
def test_a_file_that_is_open_elsewhere_waits_for_the_next_run(project, lock):
    declare(project, BOARD, '[deliveries.rest]\nto = "csv"\npath = "rest.csv"\nmetrics = ["revenue"]\n').run()
    (project.folder / lock).write_text(",ada,desk,06.03.2024 12:00,file:///home/ada;")
    project.insert("users", [("2024-03-05 10:00:00", "pro")])
    report = project.run()
    board, rest = report.deliveries
    assert report.exit_code == 1
    assert "is open in another program" in board.error
    assert rest.status in ("delivered", "up to date")
    (project.folder / lock).unlink()
    assert [d.status for d in project.run().deliveries][:1] == ["delivered"]
    assert sheet(project)[5][2] == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [("nowhere/board.xlsx", "there is no folder"), ("folder.xlsx", "it is a folder"), ("closed.xlsx", "no permission")],
)
def test_a_wrong_place_is_told_and_leaves_no_trace(project, path, said, monkeypatch):
    declare(project, BOARD.replace("board.xlsx", path))
    (project.folder / "folder.xlsx").mkdir()
    if path == "closed.xlsx":  # as Windows says it of a file that a program has open
        monkeypatch.setattr(Path, "replace", _refused)
    (report,) = project.run().deliveries
    assert said in report.error
    assert report.hint
    left = {p.name for p in project.folder.iterdir()}
    assert not [name for name in left if name.endswith(".tmp")]


def _refused(*_: object) -> None:
    raise PermissionError(13, "The process cannot access the file because it is being used by another process")


def test_what_is_no_workbook_is_left_as_it_is(project):
    declare(project, BOARD)
    (project.folder / "board.xlsx").write_text("minutes of the meeting")
    (report,) = project.run().deliveries
    assert "not a workbook" in report.error
    assert (project.folder / "board.xlsx").read_text() == "minutes of the meeting"


def test_a_file_that_somebody_saves_meanwhile_keeps_what_was_saved(project, monkeypatch):
    declare(project, BOARD).run()
    project.insert("users", [("2024-03-05 10:00:00", "pro")])
    made, path = Xlsx.content, project.folder / "board.xlsx"

    def slow(*given):
        path.write_bytes(b"saved meanwhile")
        return made(*given)

    monkeypatch.setattr(Xlsx, "content", slow)
    (report,) = project.run().deliveries
    assert "was changed by somebody" in report.error
    assert path.read_bytes() == b"saved meanwhile"


def test_a_workbook_with_macros_is_not_made_up(project):
    declare(project, BOARD.replace("board.xlsx", "board.xlsm"))
    (report,) = project.run().deliveries
    assert "is made in Excel" in report.error


KILLED = """
import os, sys
from datetime import UTC, datetime
import tallybook
from tallybook.deliver.destinations.registry import _sync_folder
import pathlib
at = int(sys.argv[2])
seen = 0
def trace(frame, event, arg):
    global seen
    if event == "call" and "destinations" in frame.f_code.co_filename:
        seen += 1
        if seen == at:
            os.kill(os.getpid(), 9)
    return None
sys.setprofile(trace)
with tallybook.open(sys.argv[1], now=lambda: datetime(2024, 3, 6, 12, tzinfo=UTC)) as book:
    book.deliver(force=True)
"""


def test_a_delivery_killed_anywhere_leaves_the_old_file_or_the_new_one(project, soak, seed):
    declare(project, BOARD).run()
    project.insert("users", [("2024-03-05 10:00:00", "pro")])
    old = (project.folder / "board.xlsx").read_bytes()
    declare(project).run()
    declare(project, BOARD)
    delivered(project)
    new = (project.folder / "board.xlsx").read_bytes()
    assert old != new
    project.close()
    killed = 0
    for at in [5, 400, 2000, 6000] if not soak else range(1, 8000, 200):
        (project.folder / "board.xlsx").write_bytes(old)
        done = subprocess.run([sys.executable, "-c", KILLED, str(project.folder), str(at)], check=False)
        killed += done.returncode == -signal.SIGKILL
        assert (project.folder / "board.xlsx").read_bytes() in (old, new)
    assert killed
    assert delivered(project, force=True)["board"] in ("delivered", "up to date")
    assert (project.folder / "board.xlsx").read_bytes() == new


def test_what_a_killed_delivery_left_is_taken_away_later(project):
    declare(project, BOARD)
    left = project.folder / ".board.xlsx.0123456789ab.tmp"
    left.write_text("half a file")
    os.utime(left, (time.time() - 3600,) * 2)
    project.run()
    assert not left.exists()


# ------------------------------------------------------------------------------------------------ the declaration


def problems(project: Project, delivery: str) -> dict[str, str]:
    with pytest.raises(DeclarationError) as caught:
        _ = declare(project, "[deliveries.board]\n" + delivery).book
    return {problem.path: str(problem) for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("delivery", "at", "said"),
    [
        ('to = "xls"\npath = "a.xlsx"\nmetrics = ["signups"]', "to", 'to = "xlsx"'),
        ('to = "xlsx"\nmetrics = ["signups"]', "path", "a delivery needs path"),
        ('to = "xlsx"\npath = "a.csv"\nmetrics = ["signups"]', "path", 'path = "a.xlsx"'),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signup"]', "metrics", 'metrics = ["signups"]'),
        ('to = "csv"\npath = "a.csv"\nmetrics = "signups"', "metrics", 'metrics = ["signups"]'),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\nby = ["plam"]', "by", 'by = ["plan"]'),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["revenue"]\nby = ["plan"]', "by", "'plan' is not a dimension of 'revenue'"),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\nwhere = ["plam=pro"]', "where", 'where = ["plan=pro"]'),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\nwhere = ["pro"]', "where", "not a filter"),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\nlast = "90"', "last", 'last = "90 days"'),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\nlayout = "wide"', "layout", "long, columns, across"),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\ntab = "x"', "tab", "has no tabs"),
        ('to = "xlsx"\npath = "a.xlsx"\nmetrics = ["signups"]\ntab = "a/b"', "tab", 'tab = "a b"'),
        ('to = "xlsx"\npath = "a.xlsx"\nmetrics = ["signups"]\nsheet = "x"', "sheet", "did you mean 'tab'?"),
        ('to = "csv"\npath = "a.csv"\nmetrics = ["signups"]\nlast = "2 days"\nfrom = "2024-01-01"', "last", "both"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_told_with_the_line_to_paste(project, delivery, at, said):
    found = problems(project, delivery)
    assert said in found[f"deliveries.board.{at}"]


def test_two_deliveries_to_one_place_are_told(project):
    with pytest.raises(DeclarationError) as caught:
        _ = declare(project, BOARD, BOARD.replace("board]", "again]")).book
    assert "[deliveries.board] already writes tab 'Daily' of board.xlsx" in str(caught.value)


def test_an_unknown_delivery_is_told(project):
    declare(project, BOARD).run()
    with pytest.raises(QueryError, match=r"there is no delivery 'bord'"):
        project.book.deliver("bord")


# ------------------------------------------------------------------------------------------------- the command


def command(project: Project, *arguments: str) -> tuple[int, str, str]:
    project.close()
    out, err = io.StringIO(), io.StringIO()
    code = invoke([*arguments, "--project", str(project.folder)], now=lambda: project.now, stdout=out, stderr=err)
    return code, out.getvalue(), err.getvalue()


def test_the_command_says_what_became_of_each(project):
    declare(project, BOARD)
    assert command(project, "deliver")[0] == 2
    assert "board board.xlsx delivered, 5 rows" in command(project, "run")[1]
    assert command(project, "deliver") == (0, "board board.xlsx up to date\n", "")
    code, out, _ = command(project, "deliver", "board", "--format", "json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["deliveries"][0]["status"]) == (0, 0, "up to date")


def test_a_delivery_that_failed_is_heard_of_also_when_quiet(project):
    declare(project, BOARD.replace("board.xlsx", "nowhere/board.xlsx"))
    code, out, err = command(project, "run", "--quiet")
    assert (code, out) == (1, "")
    assert "board nowhere/board.xlsx not delivered: cannot write" in err
    assert "mkdir -p" in err
