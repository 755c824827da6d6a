"""The daemon: a year of it without sleeping, what goes wrong meanwhile, and how it is ended."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import tallybook
from tallybook.cli import invoke
from tallybook.cli.serving import last_run
from tallybook.core import calendar
from tallybook.core.timetable import Timetable
from tallybook.monitor.schedule import daemon
from tests.monitor.test_schedule import ZONES, exists

BERLIN = "Europe/Berlin"


class World:
    """A clock that moves when somebody waits, and a daemon that lives by it until the clock shows `until`."""

    def __init__(self, now: str, until: str) -> None:
        self.now, self.until = datetime.fromisoformat(now), datetime.fromisoformat(until)
        self.runs: list[datetime] = []
        self.late = 0.0
        self.missed: list[bool] = []
        self.during: Callable[[], None] = lambda: None
        """What happens while a run is at work."""

    def wait(self, seconds: float) -> bool:
        self.now += timedelta(seconds=seconds)
        return self.now >= self.until

    def run(self) -> None:
        self.runs.append(self.now)
        self.during()

    def serve(self, cron: str, zone: str = BERLIN, *, last: str | None = None, nap: float = 3600.0) -> list[datetime]:
        daemon.serve_daily(
            daemon.DaemonContext(
                timetable=lambda: Timetable(cron=cron, zone=zone), clock=lambda: self.now, wait=self.wait, run=self.run,
                last=datetime.fromisoformat(last) if last else None, jitter=lambda: self.late,
                waiting=lambda _, missed: self.missed.append(missed), nap=nap,
            )
        )  # fmt: skip
        return self.runs

    def shown(self, zone: str = BERLIN) -> list[str]:
        return [f"{run.astimezone(calendar.zone(zone)):%m-%d %H:%M}" for run in self.runs]


def test_it_runs_once_a_day_also_on_the_days_when_the_clock_is_turned() -> None:
    world = World("2026-01-01T00:00Z", "2027-01-01T00:00Z")
    world.serve("30 2 * * *", last="2026-01-01T00:00Z")
    assert len(world.runs) == 365
    assert [text for text in world.shown() if not text.endswith("02:30")] == ["03-29 03:00"]
    assert world.shown().count("10-25 02:30") == 1


@given(zone=st.sampled_from(ZONES), year=st.integers(1975, 2036), hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_in_any_zone_and_year_every_day_has_its_run(zone: str, year: int, hour: int, minute: int) -> None:
    first, last = (calendar.start_of(date(y, 1, 1), zone).isoformat() for y in (year, year + 1))
    days = [day for day in calendar.days(date(year, 1, 1), date(year, 12, 31)) if exists(day, zone)]
    world = World(first, last)
    runs = world.serve(f"{minute} {hour} * * *", zone, last=(world.now - timedelta(microseconds=1)).isoformat())
    assert len(days) <= len(runs) <= len(days) + 1  # one more where the year ends at a due time
    assert not any(world.missed[1:])


def test_what_was_missed_while_it_was_down_is_made_up_for_once_and_at_once() -> None:
    world = World("2026-03-10T09:00Z", "2026-03-12T09:00Z")
    world.serve("30 3 * * *", last="2026-03-01T02:30Z")
    assert world.shown() == ["03-10 10:00", "03-11 03:30", "03-12 03:30"]
    assert world.missed == [True, False, False, False]


def test_nothing_was_missed_where_the_last_run_is_of_today() -> None:
    world = World("2026-03-10T09:00Z", "2026-03-11T09:00Z")
    assert world.serve("30 3 * * *", last="2026-03-10T02:30:10Z") == [datetime(2026, 3, 11, 2, 30, tzinfo=UTC)]


def test_a_new_book_is_collected_at_once() -> None:
    world = World("2026-03-10T09:00Z", "2026-03-10T10:00Z")
    assert world.serve("30 3 * * *") == [datetime(2026, 3, 10, 9, tzinfo=UTC)]


def test_a_run_of_more_than_a_day_is_followed_by_the_one_that_was_due_meanwhile() -> None:
    world = World("2026-03-10T00:00Z", "2026-03-13T00:00Z")
    hours = iter([27, 1, 1])
    world.during = lambda: setattr(world, "now", world.now + timedelta(hours=next(hours)))
    world.serve("30 3 * * *", last="2026-03-10T00:00Z")
    assert world.shown() == ["03-10 03:30", "03-11 06:30", "03-12 03:30"]


def test_a_machine_that_slept_for_a_week_runs_once_when_it_wakes() -> None:
    world = World("2026-03-10T00:00Z", "2026-03-18T12:00Z")
    naps = iter([timedelta(minutes=1)] * 5 + [timedelta(days=7, hours=12)])
    wait = world.wait

    def asleep(seconds: float) -> bool:
        world.now += next(naps, timedelta(0))
        return wait(seconds)

    world.wait = asleep  # type: ignore[method-assign]
    world.serve("30 3 * * *", last="2026-03-10T00:00Z", nap=60)
    assert [text[:5] for text in world.shown()] == ["03-17", "03-18"]


def test_a_clock_that_was_wrong_does_not_keep_it_from_running() -> None:
    world = World("2026-03-10T09:00Z", "2026-03-12T09:00Z")
    world.serve("30 3 * * *", last="2031-01-01T00:00Z")
    assert world.shown() == ["03-11 03:30", "03-12 03:30"]


def test_jitter_makes_it_late_by_so_much_and_never_by_a_day() -> None:
    world = World("2026-03-10T09:00Z", "2026-04-10T09:00Z")
    dice = random.Random(7)
    world.during = lambda: setattr(world, "late", dice.uniform(0, 600))
    world.serve("30 3 * * *", last="2026-03-10T09:00Z", nap=60)
    days = [text.split()[0] for text in world.shown()]
    assert len(days) == len(set(days)) == 31
    assert all("03:30" <= text[6:] <= "03:40" for text in world.shown())
    assert len({run.second for run in world.runs}) > 5


def test_asked_to_stop_it_begins_nothing_more() -> None:
    world = World("2026-03-10T00:00Z", "2026-03-10T02:30Z")
    assert world.serve("30 3 * * *", last="2026-03-10T00:00Z") == []


# ------------------------------------------------------------------------------------- with a real book

TOML = """
[book]
timezone = "Europe/Berlin"
start = "{start}"

[sources.app]
url = "sqlite:///app.db"

[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
{more}
"""


def make(folder: Path, start: date, more: str = "", days: int = 3) -> None:
    (folder / "tallybook.toml").write_text(TOML.format(start=start, more=more))
    with closing(sqlite3.connect(folder / "app.db")) as db:
        db.execute("create table users (created_at text)")
        rows = [(f"{start + timedelta(days=n)} 10:00:00",) for n in range(days)]
        db.executemany("insert into users values (?)", rows)
        db.commit()


class Daemon:
    """`tallybook serve` as a process, and the lines of its log."""

    def __init__(self, folder: Path, *argv: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tallybook", "serve", "--log", "json", *argv], cwd=folder, text=True, stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self.lines = self._lines()

    def _lines(self) -> Iterator[dict[str, Any]]:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            yield json.loads(line)

    def until(self, event: str) -> dict[str, Any]:
        return next(line for line in self.lines if line["event"] == event)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def test_it_catches_up_waits_and_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    make(tmp_path, today - timedelta(days=3), '[schedule]\ncron = "30 3 1 1 *"')
    serving = Daemon(tmp_path)
    assert serving.until("serving")["schedule"] == "30 3 1 1 *"
    assert serving.until("run_ended")["status"] == "done"
    serving.until("waiting")
    assert serving.stop() == 0
    assert [line["event"] for line in serving.lines] == ["stopped"]


SLOW = """
import pathlib, time
import tallybook

@tallybook.metric
def slow(day, db):
    (pathlib.Path(__file__).parent / "at work").touch()
    time.sleep(0.1)
    return day.start.day
"""


def test_asked_to_stop_while_it_runs_it_stores_what_it_has_read_and_goes_on_from_there(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    make(tmp_path, today - timedelta(days=60))
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "slow.py").write_text(SLOW)
    serving = Daemon(tmp_path, "--schedule", "30 3 * * *")
    serving.until("run_started")
    while not (tmp_path / "metrics" / "at work").exists():
        time.sleep(0.05)
    assert serving.stop() == 0
    assert [line["event"] for line in serving.lines] == ["run_stopped", "stopped"]
    (tmp_path / "metrics" / "slow.py").write_text(SLOW.replace("0.1", "0.0"))
    with tallybook.open(tmp_path) as book:
        (run,) = book.runs()
        assert run.status == "interrupted"
        assert 1 <= run_days(book) < 59
        assert last_run(book) is None  # so that the next start makes up for it
        book.run("slow", from_=today - timedelta(days=60))
        assert run_days(book) >= 59
        assert last_run(book) is None  # that was one metric of two
        book.run()
        assert last_run(book) is not None


def run_days(book: tallybook.Book) -> int:
    return sum(covered.days for covered in book.metric("slow").definitions)


def test_a_run_at_work_elsewhere_is_no_error_and_one_that_fails_is_tried_again_at_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tallybook.cli import serving, signals
    from tallybook.cli.terminal import Terminal

    make(tmp_path, date(2026, 3, 1), days=10)
    monkeypatch.chdir(tmp_path)
    world = World("2026-03-06T09:00+00:00", "2026-03-11T00:00+00:00")
    log, ledger = tmp_path / "log", tmp_path / "book" / "ledger.sqlite"
    terminal = Terminal(sys.stdout, log.open("w"), {}, lambda: world.now)
    terminal.log = "json"

    def meanwhile() -> None:
        (tmp_path / "app.db").rename(tmp_path / "gone.db") if world.now.day == 7 else None
        (tmp_path / "gone.db").rename(tmp_path / "app.db") if world.now.day == 8 else None
        toml = (tmp_path / "tallybook.toml").read_text()
        (tmp_path / "tallybook.toml").write_text(f"{toml}\n[" if world.now.day == 9 else toml.rstrip("[\n"))

    with signals.Stop() as stop, tallybook.open(tmp_path, now=lambda: world.now) as other:
        daily = serving.Serving(terminal, "30 3 * * *", stop)
        lease = None

        def run() -> None:
            nonlocal lease
            meanwhile()
            if world.now.day == 10:
                lease = other.store.ledger.acquire("collect", now=world.now, seconds=1e6)
            daily.run()

        world.run = run  # type: ignore[method-assign]
        daemon.serve_daily(
            daemon.DaemonContext(
                timetable=daily.timetable, clock=lambda: world.now, wait=world.wait, run=world.run, last=None,
                jitter=lambda: 0.0, waiting=lambda *_: None,
            )
        )  # fmt: skip
    terminal.stderr.close()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [(line["time"][8:10], line["event"]) for line in lines if line["event"] not in ("run_started", "progress")]
    assert told == [
        ("06", "collected"), ("06", "run_ended"),
        ("07", "failed"), ("07", "run_ended"),
        ("08", "collected"), ("08", "run_ended"),
        ("09", "error"), ("09", "error"),  # the run, and the file when it is read for the next time
        ("10", "busy"),
    ]  # fmt: skip
    assert ledger.exists()
    assert not [line for line in lines if line["event"] == "busy" and line["level"] == "error"]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--only", "schedule"], '[schedule]\nat = "03:30"'),
        (["--schedule", "30 3 * *"], "is not a cron expression: 4 fields; expected five"),
    ],
)
def test_a_daemon_that_does_not_know_when_says_what_to_write(
    tmp_path: Path, argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, date(2026, 3, 1))
    assert invoke(["serve", *argv, "--project", str(tmp_path)], env=dict(os.environ)) == 2
    assert told in capsys.readouterr().err.replace("\\n", "\n").replace('\\"', '"')


# --------------------------------------------------------------------------------------------- the log


def logged(folder: Path, *argv: str, **env: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "tallybook", *argv], cwd=folder, text=True, capture_output=True, check=False,
        env={**os.environ, **env}, timeout=120,
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()]


def test_a_run_tells_what_happens_as_a_line_of_json_each(tmp_path: Path) -> None:
    broken = '[metrics.broken]\ntable = "no_such"\ntime = "at"\nmeasure = "count(*)"'
    csv = '[deliveries.daily]\nto = "csv"\npath = "daily.csv"\nmetrics = ["signups"]'
    first = datetime.now(UTC).date() - timedelta(days=3)
    make(tmp_path, first, f"{broken}\n{csv}")
    code, lines = logged(tmp_path, "run", "--quiet", "--log", "json")
    assert code == 1
    assert [line["event"] for line in lines] == ["run_started", "collected", "failed", "delivery", "run_ended"]
    _, collected, failed, delivery, ended = lines
    assert (collected["metric"], collected["level"]) == ("signups", "info")
    assert collected["days"] in (3, 4)  # 4 where midnight has passed in between
    assert (failed["metric"], failed["level"]) == ("broken", "error")
    assert (delivery["delivery"], delivery["status"]) == ("daily", "delivered")
    assert (ended["status"], ended["exit_code"]) == ("some failed", 1)
    assert all(one["time"] <= other["time"] for one, other in pairwise(lines))
    loud = logged(tmp_path, "run", TALLYBOOK_LOG="json")[1]  # all of stderr is JSON, whoever else reads stdout
    assert loud[-1]["event"] == "run_ended"
    (told,) = logged(tmp_path, "doctor", "--format=json", "--project", "nowhere", TALLYBOOK_LOG="json")[1]
    assert (told["event"], told["exit_code"]) == ("error", 2)


def test_errors_are_lines_of_json_too_and_hold_no_secret(tmp_path: Path) -> None:
    make(tmp_path, date(2026, 3, 1))
    toml = (tmp_path / "tallybook.toml").read_text()
    url = "postgresql://u:correct-horse@127.0.0.1:1/nothing"
    (tmp_path / "tallybook.toml").write_text(toml.replace("sqlite:///app.db", url))
    code, lines = logged(tmp_path, "run", "--quiet", "--log", "json")
    assert code == 4
    assert lines[-1]["event"] == "run_ended"
    assert "correct-horse" not in json.dumps(lines)
    code, (line,) = logged(tmp_path, "run", "--log=json", "--nonsense")
    assert (code, line["event"], line["level"], line["exit_code"]) == (2, "error", "error", 2)
