"""A clock that was ahead, and sources that are known less far than before, put nothing wrong and block nothing for ever."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.cli import invoke
from tallybook.core.errors import Busy, Refused
from tallybook.core.timetable import QuietHours
from tallybook.storage.clocks import taken_back
from tallybook.storage.sqlite_ledger import SqliteLedger
from tests.projects import MakeProject, Project, project

__all__ = ["project"]

METRIC = """
[metrics.m]
table = "users"
time = "created_at"
measure = "count(*)"
by = ["plan"]
"""
SNAPSHOT = """
[metrics.open]
kind = "level"
table = "users"
measure = "count(*)"
"""
DECEMBER = [f"2026-12-{day:02}" for day in range(1, 15)]


def declared(made: Project, metrics: str = METRIC, **book: str) -> Project:
    made.table("users (created_at text, plan text)", [("2026-11-25 10:00:00", "a")])
    made.declare(metrics, **{"start": "2026-11-20", **book})
    return made


def one_a_day(made: Project) -> None:
    made.insert("users", [(f"{day} 10:00:00", "a") for day in DECEMBER])


# --- days that had not ended -----------------------------------------------------------------------------------


@pytest.mark.cases(4)
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize("ahead", ["2026-12-25T06:00", "2029-01-01T06:00"])
@pytest.mark.parametrize("lookback", ["3d", "0d"])
def test_days_that_a_clock_ahead_covered_are_taken_back_and_collected(
    project: MakeProject, kind: str, ahead: str, lookback: str
) -> None:
    made = declared(project(kind, now="2026-11-29T06:00"), lookback=lookback)
    made.run()
    made.at(ahead).run()
    made.at("2026-12-15T06:00")
    one_a_day(made)
    assert "which is in the future: the clock was ahead" in " ".join(made.book.status().problems)
    assert "which is in the future: the clock was ahead" in " ".join(made.book.doctor())
    assert set(made.ask("m", from_="2026-12-01", to="2026-12-14").values()) <= {None}
    report = made.run()
    assert "days 2026-11-29 to" in report.notes[0]
    assert report.to_dict()["notes"] == report.notes
    assert made.ask("m", from_="2026-12-01", to="2026-12-14") == dict.fromkeys(DECEMBER, 1)
    assert made.book.status().problems == []
    assert made.book.doctor() == []
    assert made.run().notes == []


def test_no_question_counts_the_points_of_days_that_are_taken_back(project: MakeProject) -> None:
    """The points are still in the files: a day, a whole month and a derived value must not show them."""
    other = METRIC.replace("metrics.m", "metrics.other")
    share = '[metrics.share]\nmeasure = "m / other"\n'
    made = declared(project("sqlite", now="2026-11-29T06:00"), METRIC + other + share)
    made.insert("users", [("2026-11-28 10:00:00", "a"), ("2026-11-29 10:00:00", "a"), ("2026-11-30 10:00:00", "b")])
    made.run()
    made.at("2026-12-25T06:00").run()
    made.at("2026-11-30T06:00")
    for names in (["m"], ["m", "other"], ["share"]):
        for by in ([], ["plan"]):
            rows = made.rows(
                *names, scope="month", from_="2026-11-01", to="2026-11-30", by=by if "share" not in names else []
            )
            kept = 1.0 if names == ["share"] else 2
            assert [row[names[0]] for row in rows] == [kept], (names, by, rows)
    assert [row["m"] for row in made.rows("m", from_="2026-11-28", to="2026-11-30")] == [1, None, None]


def test_a_clock_some_days_ahead_is_told_while_the_days_have_not_ended(project: MakeProject) -> None:
    made = declared(project("sqlite", now="2026-11-29T06:00"))
    made.run()
    made.at("2026-12-02T06:00").run()
    made.at("2026-11-29T18:00")
    assert "2026-11-29 to 2026-12-01" in made.book.status().problems[0]
    assert made.book.metrics()[0].to == "2026-11-28"
    made.run()
    assert made.book.metrics()[0].to == "2026-11-28"
    assert made.book.status().problems == []


def test_days_before_the_latest_instant_that_can_be_true_stay(project: MakeProject) -> None:
    made = declared(project("sqlite", now="2026-11-29T06:00"))
    made.run()
    made.at("2026-12-25T06:00").run(from_="2026-11-20", to="2026-11-30")
    made.at("2026-12-03T06:00")
    (days,) = taken_back(made.book.store.ledger, now=made.now, zone="UTC").days.values()
    assert sorted(map(str, days)) == ["2026-11-29", "2026-11-30"]


def test_books_of_before_horizons_were_recorded_take_days_back_by_their_runs(project: MakeProject) -> None:
    made = declared(project("sqlite", now="2026-11-29T06:00"))
    made.run()
    made.at("2026-12-25T06:00").run()
    made.close()
    with closing(sqlite3.connect(made.folder / "book/ledger.sqlite")) as ledger, ledger:
        ledger.execute("delete from horizons")
    one_a_day(made)
    made.at("2026-12-15T06:00").run()
    assert made.ask("m", from_="2026-12-01", to="2026-12-14") == dict.fromkeys(DECEMBER, 1)


def test_snapshots_and_python_metrics_of_a_clock_ahead_are_taken_back(project: MakeProject) -> None:
    made = declared(project("sqlite", now="2026-11-29T06:00"), SNAPSHOT)
    (made.folder / "metrics").mkdir()
    (made.folder / "metrics/always.py").write_text(
        "import tallybook\n@tallybook.metric\ndef always(day):\n    return 1\n".replace("(day)", "(day, db)")
    )
    made.run()
    made.at("2026-12-05T06:00").run()
    made.at("2026-12-01T06:00")
    assert made.ask("open", from_="2026-11-28", to="2026-12-05")["2026-12-01"] is None
    made.run()
    found = {row.metric: (row.to, row.gaps) for row in made.book.metrics()}
    assert found["always"] == ("2026-11-30", 0)
    assert found["open"] == ("2026-11-30", 1)  # of 28 and 30 November; of 29 November nobody knows


def test_imported_days_of_a_clock_ahead_are_taken_back(project: MakeProject) -> None:
    made = declared(project("sqlite", now="2026-11-29T06:00"), METRIC + 'history = "imported"\n', start="2026-12-01")
    file = made.folder / "old.csv"
    made.run()
    file.write_text("day,m\n2026-11-27,5\n2026-12-20,9\n")
    made.at("2026-12-25T06:00").book.import_history("m", file)
    made.at("2026-12-22T06:00")
    assert "2026-12-20 to 2026-12-20" in made.book.status().problems[0]
    assert "2026-12-20" in made.run().notes[0]
    assert made.ask("m", from_="2026-11-27", to="2026-11-27") == {"2026-11-27": 5}


def test_a_plan_shows_the_days_that_a_run_collects_again_and_touches_nothing(project: MakeProject) -> None:
    made = declared(project("sqlite", now="2026-11-29T06:00"))
    made.run()
    made.at("2026-12-25T06:00").run()
    made.at("2026-12-15T06:00")
    version = made.book.status().version
    (work,) = made.book.plan().works
    assert str(work.stretches[0][0]) == "2026-11-27"
    assert str(work.stretches[-1][1]) == "2026-12-14"
    assert made.book.status().version == version


# --- a source that is known less far than before ---------------------------------------------------------------


@pytest.fixture
def copied(project: MakeProject, tmp_path: Path) -> Callable[..., Any]:
    """A book that was collected to 13 March, and a copy of its database of 6 March: `run(**options)` reads the copy."""
    made = project("sqlite", now="2026-03-06T04:00")
    made.table("facts (at text, n integer)", [(f"2026-03-{day:02} 10:00:00", 10) for day in range(1, 6)])
    made.declare(
        '[metrics.s]\ntable = "facts"\ntime = "at"\nmeasure = "sum(n)"\n' + SNAPSHOT.replace("users", "facts"),
        start="2026-03-01",
    )
    made.run()
    copy = tmp_path / "copy.db"
    shutil.copy(made.url.removeprefix("sqlite:///"), copy)
    late = [("2026-03-03 11:00:00", 1000), ("2026-03-05 11:00:00", 1000)]
    made.insert("facts", [*late, *((f"2026-03-{day:02} 10:00:00", 10) for day in range(6, 14))])
    made.at("2026-03-14T04:00").run(from_="2026-03-01", to="2026-03-13")
    made.run()

    def run(**options: Any) -> Any:
        as_of = datetime(2026, 3, 6, 4, tzinfo=UTC)
        return made.book.run(sources={"app": f"sqlite:///{copy}"}, source_as_of=as_of, **options)

    run.made = made  # type: ignore[attr-defined]
    return run


def test_days_that_were_read_from_a_later_source_are_left_alone_and_told(copied: Any) -> None:
    before = copied.made.ask("s")
    report = copied()
    assert report.exit_code == 0
    assert copied.made.ask("s") == before
    assert before["2026-03-03"] == before["2026-03-05"] == 1010
    (note,) = [note for note in report.metrics[0].notes if "left as" in note]
    assert "3 days from 2026-03-03 to 2026-03-05 were last read when source app was known until 2026-03-14" in note


def test_asking_for_such_days_wants_a_second_word(copied: Any) -> None:
    with pytest.raises(Refused, match="--older-source"):
        copied(from_="2026-03-03", to="2026-03-03")
    copied(from_="2026-03-03", to="2026-03-03", older_source=True)
    assert copied.made.ask("s")["2026-03-03"] == 10
    assert copied.made.ask("s")["2026-03-05"] == 1010


def test_the_command_takes_the_second_word(copied: Any, capsys: Any) -> None:
    made = copied.made
    arguments = ["run", "s", "--project", str(made.folder), "--source", f"app={made.url}", "--from", "2026-03-03"]
    arguments += ["--to", "2026-03-03", "--source-as-of", "2026-03-06T04:00Z"]
    assert invoke(arguments, now=lambda: made.now) == 3
    assert "--older-source" in capsys.readouterr().err
    assert invoke([*arguments, "--older-source"], now=lambda: made.now) == 0


def test_a_snapshot_of_an_older_copy_does_not_replace_a_later_look(project: MakeProject) -> None:
    made = project("sqlite", now="2026-03-06T22:00")
    made.table("facts (at text, n integer)", [("2026-03-05 10:00:00", 10)] * 3)
    made.declare(SNAPSHOT.replace("users", "facts"), start="2026-03-01")
    made.run()
    made.execute("delete from facts")
    made.at("2026-03-07T12:00")
    made.book.run(sources={"app": made.url}, source_as_of=datetime(2026, 3, 6, 8, tzinfo=UTC))
    assert made.ask("open", from_="2026-03-06", to="2026-03-06") == {"2026-03-06": 3}


# --- instants that a wrong clock left in the ledger ------------------------------------------------------------


def followed(made: Project) -> Project:
    made.table("facts (at text, n integer, up text)", [("2026-03-05 10:00:00", 10, "2026-03-05 10:00:00")])
    made.declare(
        '[metrics.s]\ntable = "facts"\ntime = "at"\nmeasure = "sum(n)"\nchanged = "up"\n', start="2026-03-01",
        lookback="0d",
    )  # fmt: skip
    return made


@pytest.mark.parametrize("ahead", ["2026-03-10T13:00", "2031-01-01T00:00"])
def test_changes_are_found_after_a_run_by_a_clock_that_was_ahead(project: MakeProject, ahead: str) -> None:
    made = followed(project("sqlite", now="2026-03-10T08:00"))
    made.run()
    made.at(ahead).run()
    made.execute("update facts set n = 77, up = '2026-03-10 08:30:00'")
    made.at("2026-03-10T10:00").run()
    assert made.ask("s")["2026-03-05"] == 77
    made.execute("update facts set n = 78, up = '2026-03-10 10:30:00'")
    made.at("2026-03-10T11:00").run()
    assert made.ask("s")["2026-03-05"] == 78


def test_changes_are_found_after_a_run_that_read_an_older_copy(project: MakeProject) -> None:
    made = followed(project("sqlite", now="2026-03-10T08:00"))
    made.run()
    made.execute("update facts set n = 77, up = '2026-03-10 09:30:00'")
    made.at("2026-03-10T12:00")
    made.book.run(sources={"app": made.url}, source_as_of=datetime(2026, 3, 10, 7, tzinfo=UTC))
    made.at("2026-03-10T13:00").run()
    assert made.ask("s")["2026-03-05"] == 77


def test_a_lease_of_the_far_future_blocks_nobody(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    future = datetime(2099, 1, 1, tzinfo=UTC)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    lease = ledger.acquire("collect", now=future, seconds=60)
    with ledger._writing() as db:
        db.execute("UPDATE leases SET holder = ?", [json.dumps({"host": "elsewhere", "pid": 1})])
    assert ledger.leased(now=now) == []
    assert ledger.acquire("collect", now=now, seconds=60).fence == lease.fence + 1


def test_a_lease_of_a_host_whose_clock_is_some_minutes_ahead_is_a_lease(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    now = datetime(2026, 3, 1, tzinfo=UTC)
    ledger.acquire("collect", now=now + timedelta(minutes=5), seconds=60)
    with ledger._writing() as db:
        db.execute("UPDATE leases SET holder = ?", [json.dumps({"host": "elsewhere", "pid": 1})])
    with pytest.raises(Busy):
        ledger.acquire("collect", now=now, seconds=60)


def test_what_was_imported_last_answers_also_after_an_import_by_a_clock_ahead(project: MakeProject) -> None:
    made = declared(project("sqlite", now="2026-11-29T06:00"), METRIC + 'history = "imported"\n', start="2026-11-28")
    made.run()
    for now, value, dims in (("2026-12-25T06:00", 5, None), ("2026-11-29T07:00", 7, "plan")):
        file = made.folder / "old.csv"
        file.write_text(f"day,m\n2026-11-20,{value}\n" if dims is None else f"day,m,plan\n2026-11-20,{value},a\n")
        made.at(now).book.import_history("m", file, dims=dims)
    assert made.ask("m", from_="2026-11-20", to="2026-11-20") == {"2026-11-20": 7}


def test_files_that_a_clock_ahead_replaced_are_deleted_in_time(project: MakeProject) -> None:
    made = declared(project("sqlite", now="2026-11-29T06:00"), keep_versions="30d")
    made.run()
    made.insert("users", [("2026-11-28 10:00:00", "a")])
    made.at("2027-06-01T06:00").run("m", from_="2026-11-28", to="2026-11-28")
    made.insert("users", [("2026-11-28 11:00:00", "a")])
    made.at("2026-11-30T06:00").run()
    versions = made.book.store.ledger.versions()
    assert [at for _, at in versions] == sorted(at for _, at in versions)
    made.at("2027-03-01T06:00")
    assert made.book.store.ledger.droppable([versions[-1][0]], gone_before=made.now - timedelta(days=1))


def test_what_came_up_in_the_future_does_not_wait_for_the_end_of_quiet_hours() -> None:
    quiet = QuietHours(22 * 60, 7 * 60, "UTC")
    night = datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert quiet.defers(night - timedelta(minutes=5), night)
    assert not quiet.defers(datetime(2099, 1, 1, tzinfo=UTC), night)


def test_an_answer_that_is_asked_again_follows_the_clock(project: MakeProject) -> None:
    """On one day and at one version: before the clock is set back, after that, and once it is past the run again."""
    made = declared(project("sqlite", now="2026-11-29T22:00"), start="2026-11-28")
    made.run()
    made.insert("users", [("2026-11-28 11:00:00", "a")])
    seen = []
    made.at("2026-11-30T05:00").run()
    for now in ("2026-11-30T05:01", "2026-11-30T02:00", "2026-11-30T05:02"):
        made.at(now)
        seen.append([row["m"] for row in made.rows("m", from_="2026-11-28", to="2026-11-29")])
    assert seen == [[1, 0], [1, None], [1, 0]]
