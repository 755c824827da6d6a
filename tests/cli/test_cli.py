"""The command `tallybook`, as people and cron jobs meet it: every verb, format and exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest

import tallybook
from tallybook.cli import invoke
from tallybook.cli.verbs import VERBS

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
PASSWORD = "correct-horse-battery"

SIGNUPS = [
    # id, created_at, plan
    (1, "2026-03-01 10:00:00", "pro"),
    (2, "2026-03-02 10:00:00", "pro"),
    (3, "2026-03-02 11:00:00", "free"),
    (4, "2026-03-09 23:59:59", "free"),
    (5, "2026-03-10 08:00:00", "pro"),
]
CONTRACTS = [
    # plan, from, until, mrr
    ("pro", "2026-03-01 00:00:00", None, 100),
    ("free", "2026-03-02 00:00:00", "2026-03-04 00:00:00", 10),
]
TOML = """
[book]
timezone = "UTC"
start = "2026-03-01"

[sources.app]
url = "sqlite:///app.db"

[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
by = ["plan"]

[metrics.mrr]
kind = "level"
table = "contracts"
from = "started_at"
until = "ended_at"
measure = "sum(mrr)"
unit = "EUR"
by = ["plan"]

[metrics.mrr_per_signup]
measure = "mrr / signups"
"""


class Screen(io.StringIO):
    """A stream with somebody in front of it."""

    def isatty(self) -> bool:
        return True


class Command:
    """`tallybook` in a folder: what it says on both streams, and its exit code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.code: int | None = None
        self.out = self.err = ""
        self.bytes = b""

    def __call__(self, *argv: str, screen: bool = False, **env: str) -> Command:
        here = Path.cwd()
        os.chdir(self.folder)
        out: Any = Screen() if screen else io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
        err = Screen() if screen else io.StringIO()
        try:
            self.code = invoke(argv, now=lambda: self.now, stdout=out, stderr=err, env=env)
        finally:
            os.chdir(here)
        self.err = err.getvalue()
        self.bytes = out.getvalue().encode() if screen else out.buffer.getvalue()
        self.out = self.bytes.decode(errors="replace")
        return self

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def declare(self, toml: str) -> None:
        (self.folder / "tallybook.toml").write_text(textwrap.dedent(toml))

    def changed(self, old: str, new: str) -> None:
        """tallybook.toml with one text for another."""
        assert old in TOML
        self.declare(TOML.replace(old, new))


@pytest.fixture
def run(tmp_path: Path) -> Command:
    """A project with a database, nothing collected yet: `run("query", "signups").out`."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute("create table users (id integer, created_at text, plan text)")
        db.execute("create index users_created on users (created_at)")
        db.executemany("insert into users values (?, ?, ?)", SIGNUPS)
        db.execute("create table contracts (plan text, started_at text, ended_at text, mrr integer)")
        db.executemany("insert into contracts values (?, ?, ?, ?)", CONTRACTS)
        db.commit()
    command = Command(tmp_path)
    command.declare(TOML)
    return command


@pytest.fixture
def collected(run: Command) -> Command:
    assert run("run", "--quiet").code == 0, run.err
    return run


# ------------------------------------------------------------------------------------------------- help


def test_help_teaches_by_examples_and_names_the_exit_codes(run: Command) -> None:
    said = run("--help").out
    assert "tallybook run" in said
    assert 'tallybook query signups --scope week --last "12 weeks"' in said
    assert "2  wrong usage or configuration" in said
    assert run.code == 0


@pytest.mark.parametrize("verb", [name for verbs in VERBS.values() for name in verbs])
def test_every_verb_has_help_and_takes_the_project(run: Command, verb: str) -> None:
    said = run(verb, "--help").out
    assert run.code == 0
    assert said.startswith(f"Usage: tallybook {verb}")
    assert "--project DIR" in said


def test_no_verb_is_a_mistake_that_shows_the_help(run: Command) -> None:
    assert run().code == 2
    assert run.out == ""
    assert "tallybook check --source" in run.err


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["qury"], "unknown verb 'qury'; did you mean 'query'?"),
        (["query", "signups", "--scop", "week"], "'--scope'"),
        (["query", "signups", "--format", "xml"], "'xml' is not one of"),
        (["run", "--source", "postgresql://host/db"], "expected NAME=URL"),
        (["run", "--source-as-of", "2026-03-01T04:00"], "has no time zone"),
        (["run", "--source-as-of", "soon"], "is not an instant"),
    ],
)
def test_a_mistyped_command_is_told_with_the_next_step(run: Command, typed: list[str], told: str) -> None:
    assert run(*typed).code == 2
    assert told in run.err
    assert "--help` lists the options" in run.err
    assert run.out == ""


def test_a_question_without_a_metric_names_where_the_names_are(run: Command) -> None:
    assert run("query").code == 2
    assert "no metric is asked for" in run.err
    assert "`tallybook metrics` lists them; a usage event is asked with --event" in run.err


def test_the_version_is_said_by_verb_and_option(run: Command) -> None:
    assert run("version").out == run("--version").out == f"tallybook {tallybook.__version__}\n"


# ------------------------------------------------------------------------------------------ the project


def test_the_project_is_named_before_the_verb_or_after_it(collected: Command, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stranger = Command(elsewhere)
    stranger.now = NOW
    here = collected("query", "signups", "--format", "json").json
    assert stranger("--project", "..", "query", "signups", "--format", "json").json == here
    assert stranger("query", "signups", "--format", "json", "--project", str(tmp_path)).json == here
    assert stranger("--project", "nowhere", "query", "signups", "--project", "..", "--format", "json").json == here
    assert stranger("query", "signups").code == 2
    assert f"a parent folder has one: --project {tmp_path}" in stranger.err


def test_every_problem_of_the_file_is_told_at_once_with_what_to_paste(run: Command) -> None:
    run.declare(TOML.replace('timezone = "UTC"', 'timezone = "Europe/Berln"').replace("count(*)", "cout(*)"))
    for verb in (["check"], ["run"], ["query", "signups"]):
        assert run(*verb).code == 2
        assert "book.timezone" in run.err
        assert "metrics.signups.measure" in run.err
    found = run("check", "--format", "json").json
    assert run.code == 2
    assert [problem["path"] for problem in found["problems"]] == ["book.timezone", "metrics.signups.measure"]
    assert found["problems"][0]["seen"].count("Europe/Berln") == 1
    assert found["error"] == "tallybook.toml: 2 problems"


# ------------------------------------------------------------------------------------------------ check


def test_check_says_what_each_metric_is_taken_to_mean(run: Command) -> None:
    assert run("check").code == 0
    assert "signups: a flow, count(*) of users in app; by created_at" in run.out
    assert "mrr: a level, sum(mrr) of contracts in app" in run.out
    assert "All is well: 3 metrics, 1 source, days of UTC" in run.out


def many_users(db: sqlite3.Connection) -> None:
    """Add 5,000 users of one day."""
    rows = [(number, "2026-03-05 10:00:00", "free") for number in range(100, 5100)]
    db.executemany("insert into users (id, created_at, plan) values (?, ?, ?)", rows)
    db.commit()


def test_check_of_the_source_says_how_time_is_stored_and_what_is_slow(run: Command) -> None:
    with closing(sqlite3.connect(run.folder / "app.db")) as db:
        db.execute("drop index users_created")
        assert run("check", "--source").code == 0
        assert "slow" not in run.out, "a table of five rows needs no index"
        many_users(db)
    assert run("check", "--source").code == 0
    assert "seen: created_at without a zone, read as UTC, as text" in run.out
    assert "slow: users.created_at is not indexed" in run.out
    told = {metric["metric"]: metric for metric in run("check", "--source", "--format", "json").json["metrics"]}
    assert told["signups"]["warned"][0].startswith("users.created_at is not indexed")


def test_check_of_the_source_says_what_looking_for_changes_costs(run: Command) -> None:
    with closing(sqlite3.connect(run.folder / "app.db")) as db:
        db.execute("alter table users add column updated_at text")
        many_users(db)
    run.declare(TOML.replace('time = "created_at"', 'time = "created_at"\nchanged = "updated_at"'))
    assert run("check", "--source").code == 0
    assert "slow: users.updated_at is not indexed: every run reads the whole table to find what changed" in run.out
    assert "CREATE INDEX users_updated_at ON `users` (`updated_at`)" in run.out
    run.declare(TOML.replace('time = "created_at"', 'time = "created_at"\nchanged = "updatd_at"'))
    assert run("check", "--source").code == 2
    assert "there is no column 'updatd_at'" in run.err


def test_plan_shows_how_changed_days_are_found_and_which_they_are(run: Command) -> None:
    with closing(sqlite3.connect(run.folder / "app.db")) as db:
        db.execute("alter table users add column updated_at text")
        run.declare(TOML.replace('time = "created_at"', 'time = "created_at"\nchanged = "updated_at"'))
        assert run("run").code == 0
        first = db.execute("select min(created_at) from users").fetchone()[0]
        db.execute("update users set updated_at = '2030-01-01 00:00:00' where created_at = ?", [first])
        db.commit()
    assert run("plan").code == 0
    assert "signups: days whose facts changed, by updated_at since" in run.out
    assert f"  days  {first[:10]}\n" in run.out
    assert f"days  1, whose facts changed: {first[:10]}" in run.out
    (search,) = run("plan", "--format", "json").json["changes"]
    assert (search["metrics"], search["days"]) == (["signups"], [first[:10]])


def test_check_of_the_source_tells_all_that_is_missing_and_what_was_meant(run: Command) -> None:
    run.declare(TOML.replace('"users"', '"usres"').replace('"ended_at"', '"ending_at"'))
    assert run("check", "--source").code == 2
    assert "did you mean 'users'?" in run.err
    assert "there is no column 'ending_at'" in run.err
    assert "2 problems" in run.err
    problems = run("check", "--source", "--format", "json").json["problems"]
    assert [p["path"] for p in problems] == ["metrics.signups.table", "metrics.mrr.until"]


def test_check_of_a_source_that_is_not_there_still_looks_at_the_others(run: Command) -> None:
    toml = TOML.replace("[metrics.signups]", '[metrics.signups]\nsource = "app"')
    toml = toml.replace("[metrics.mrr]", '[metrics.mrr]\nsource = "other"')
    run.declare(toml + '\n[sources.other]\nurl = "sqlite:///gone.db"\n')
    assert run("check", "--source").code == 4
    assert "sources.other: source 'other': there is no file" in run.err
    assert "seen: created_at" in run.out


# ------------------------------------------------------------------------------------------------- plan


def test_plan_shows_statements_and_why_and_touches_nothing(run: Command) -> None:
    before = sorted(path.name for path in run.folder.iterdir())
    assert run("plan").code == 0
    assert "a statement a day: it uses an index on created_at" in run.out
    assert "interval: the rows that are valid when the days begin" in run.out
    assert "days  9: 2026-03-01 to 2026-03-09" in run.out
    assert "`created_at` >= '2026-03-01' AND `created_at` < '2026-03-02'" in run.out
    assert sorted(path.name for path in run.folder.iterdir()) == before


def test_plan_says_why_it_scans(run: Command) -> None:
    with closing(sqlite3.connect(run.folder / "app.db")) as db:
        db.execute("drop index users_created")
    assert "one scan: no index on created_at is used" in run("plan", "signups").out


def test_plan_of_all_days_has_the_statements_of_each(run: Command) -> None:
    (group,) = run("plan", "signups", "--format", "json").json["groups"]
    assert (group["metrics"], group["days"], len(group["statements"])) == (["signups"], 9, 1)
    (group,) = run("plan", "signups", "--all", "--format", "json").json["groups"]
    assert [statement["from"] for statement in group["statements"]] == [f"2026-03-0{day}" for day in range(1, 10)]
    assert all(statement["sql"].startswith("SELECT ") for statement in group["statements"])


def test_the_plan_names_the_very_statements_that_run_sends(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallybook.collect.sources.sqlite import SqliteSource

    planned = [s["sql"] for g in run("plan", "--all", "--format", "json").json["groups"] for s in g["statements"]]
    sent: list[str] = []
    snapshot = SqliteSource.snapshot

    def listening(self: Any) -> Any:
        manager = snapshot(self)
        enter = type(manager).__enter__
        reader = enter(manager)

        class Listening:
            def __enter__(self) -> Any:
                for name in ("rows", "batches"):
                    asked = getattr(reader, name)
                    setattr(reader, name, lambda sql, *a, asked=asked, **k: (sent.append(sql), asked(sql, *a, **k))[1])
                return reader

            def __exit__(self, *wrong: Any) -> Any:
                return manager.__exit__(*wrong)

        return Listening()

    monkeypatch.setattr(SqliteSource, "snapshot", listening)
    assert run("run").code == 0
    assert planned
    assert set(planned) <= set(sent)


# -------------------------------------------------------------------------------------------------- run


def test_run_says_what_it_collected_and_a_second_run_collects_the_last_days_again(run: Command) -> None:
    assert run("run").code == 0
    lines = [line.split() for line in run.out.splitlines()]
    assert lines[0] == ["metric", "days", "from", "to", "points", "revisions", "seconds"]
    assert lines[1][:4] == ["signups", "9", "2026-03-01", "2026-03-09"]
    assert "Run 1: done in" in run.out
    assert run.err == "", "no progress bar where nobody looks"
    again = run("run", "--format", "json").json
    assert again["status"] == "done"
    assert [(m["metric"], m["days"]) for m in again["metrics"]] == [("signups", 3), ("mrr", 3)]


def test_a_screen_shows_progress_and_the_summary(run: Command) -> None:
    assert run("run", screen=True).code == 0
    assert "reading the sources" in run.err
    assert "\x1b[1mmetric" in run.out


def test_a_quiet_run_says_nothing_unless_something_went_wrong(run: Command) -> None:
    assert run("run", "--quiet", screen=True).code == 0
    assert (run.out, run.err) == ("", "")
    with closing(sqlite3.connect(run.folder / "app.db")) as db:
        db.execute("drop table contracts")
    assert run("run", "--quiet").code == 1
    assert run.out == ""
    assert "mrr failed: " in run.err


def test_a_run_where_some_metrics_fail_stores_the_rest_and_ends_with_1(run: Command) -> None:
    with closing(sqlite3.connect(run.folder / "app.db")) as db:
        db.execute("drop table contracts")
    assert run("run").code == 1
    assert "mrr failed: " in run.err
    assert "contracts" in run.err
    assert [row["signups"] for row in run("query", "signups", "--format", "json").json["rows"]][:2] == [1, 2]


def test_a_source_that_is_not_there_ends_with_4(run: Command) -> None:
    (run.folder / "app.db").rename(run.folder / "away.db")
    assert run("run").code == 4
    assert run.err.count("there is no file") == 1, "one cause is told once, for all its metrics"
    assert "signups, mrr failed:" in run.err
    assert run("plan").code == 4


def test_a_day_that_is_not_over_is_refused(run: Command) -> None:
    assert run("run", "--to", "today").code == 3
    assert run.err.startswith("refused: 2026-03-10 is not over")
    assert "--live --to today" in run.err


def test_of_two_runs_one_does_the_work_and_the_other_says_so(run: Command) -> None:
    with tallybook.open(run.folder) as book:
        lease = book.store.ledger.acquire("collect", now=datetime.now(UTC), seconds=60)
        run.now = datetime.now(UTC)
        assert run("run").code == 5
        book.store.ledger.release(lease)
    assert run.err.startswith("error: another run")
    assert run("run", "--format", "json").code == 0


def test_a_copy_needs_the_instant_it_was_taken(run: Command) -> None:
    (run.folder / "app.db").rename(run.folder / "copy.db")
    assert run("run", "--source", "app=sqlite:///copy.db").code == 4
    assert "--source-as-of 2026-03-01T04:00Z" in run.err
    copy = ["--source", "app=sqlite:///copy.db", "--source-as-of", "2026-03-08T04:00+00:00"]
    assert run("run", "signups", *copy, "--format", "json").json["metrics"][0]["last"] == "2026-03-07"
    assert run("run", "--source", "ap=sqlite:///copy.db").code == 2
    assert "did you mean 'app'?" in run.err


def test_from_and_to_collect_these_days_again_and_changes_are_counted(collected: Command) -> None:
    with closing(sqlite3.connect(collected.folder / "app.db")) as db:
        db.execute("delete from users where id = 2")
        db.commit()
    done = collected("run", "signups", "--from", "2026-03-02", "--to", "2026-03-02", "--format", "json").json
    assert [(m["days"], m["revisions"]) for m in done["metrics"]] == [(1, 1)]
    assert collected("run", "--from", "2026-03-05", "--to", "2026-03-02").code == 2


def test_a_run_that_is_interrupted_says_that_it_can_go_on(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tallybook.Book, "run", interrupted)
    assert run("run").code == 130
    assert "error: stopped" in run.err


# ------------------------------------------------------------------------------------------------ query


def test_a_table_ends_with_the_sentence_that_explains_it(collected: Command) -> None:
    assert collected("query", "signups", "--scope", "month").code == 0
    header, march, incomplete, explained = collected.out.splitlines()
    assert header.split() == ["month", "signups"]
    assert march.split() == ["2026-03*", "4"]
    assert incomplete == "* not complete: 2026-03 (9 of 31 days)"
    assert explained.startswith("signups: count(*) over all facts of each month; 2026-03-01 to 2026-03-09 in UTC")


def test_json_is_the_documented_shape(collected: Command) -> None:
    answer = collected(
        "query", "signups", "--by", "plan", "--from", "2026-03-02", "--to", "2026-03-02", "--format", "json"
    ).json
    assert answer["columns"][1]["name"] == "plan"
    assert [(row["period"], row["plan"], row["signups"]) for row in answer["rows"]] == [
        ("2026-03-02", "free", 1),
        ("2026-03-02", "pro", 1),
    ]


def test_the_other_formats_hold_the_same_rows(collected: Command) -> None:
    asked = ["query", "mrr", "--last", "2 days", "--format"]
    assert [json.loads(line)["mrr"] for line in collected(*asked, "ndjson").out.splitlines()] == [100, 100]
    assert [row["mrr"] for row in csv.DictReader(io.StringIO(collected(*asked, "csv").out))] == ["100", "100"]
    assert pq.read_table(io.BytesIO(collected(*asked, "parquet").bytes)).column("mrr").to_pylist() == [100, 100]
    assert "| 2026-03-09 | 100 |" in collected(*asked, "markdown").out
    assert collected(*asked, "json", "--exact").json["rows"][0]["mrr"] in (100, "100")


def test_metrics_and_dimensions_are_repeated_or_take_commas(collected: Command) -> None:
    one = collected("query", "signups,mrr", "--by", "plan", "--format", "json").out
    assert collected("query", "signups", "mrr", "--by", "plan", "--format", "json").out == one
    assert collected("query", "signups, mrr,", "signups", "--by=plan,plan", "--format=json").out == one


def test_filters_of_one_dimension_are_or_and_not_is_not(collected: Command) -> None:
    asked = ["query", "signups", "--scope", "all", "--format", "json"]
    assert collected(*asked, "--where", "plan=pro").json["rows"][0]["signups"] == 2
    assert collected(*asked, "--where", "plan=pro", "--where", "plan=free").json["rows"][0]["signups"] == 4
    assert collected(*asked, "--where", "plan!=pro").json["rows"][0]["signups"] == 2


def test_totals_and_fill_and_show_reach_the_book(collected: Command) -> None:
    asked = ["query", "mrr", "--by", "plan", "--scope", "month", "--format", "json"]
    assert collected(*asked, "--totals").json["rows"][-1]["total"] is True
    shown = collected("query", "mrr", "--scope", "month", "--show", "max", "--format", "json").json
    assert shown["columns"][-1]["show"] == "max"
    assert shown["rows"][0]["mrr"] == 110
    filled = collected("query", "signups", "--by", "plan", "--fill", "--format", "json").json
    assert [(row["plan"], row["signups"]) for row in filled["rows"]][:2] == [("free", 0), ("pro", 1)]


def test_explain_and_sql_say_how_and_nothing_else(collected: Command) -> None:
    assert collected("query", "signups", "--explain").out.startswith("signups: count(*) over all facts of each day;")
    assert len(collected.out.splitlines()) == 1
    assert collected("query", "signups", "--sql").out.startswith("SELECT ")
    assert set(collected("query", "signups", "--sql", "--explain", "--format", "json").json) == {"explain", "sql"}


def test_the_day_so_far_is_asked_from_the_source(collected: Command) -> None:
    asked = ["query", "signups", "--live", "--from", "today", "--to", "today", "--format", "json"]
    (row,) = collected(*asked).json["rows"]
    assert (row["period"], row["signups"], row["complete"]) == ("2026-03-10", 1, False)


def test_as_of_is_the_book_as_it_stood_that_day(collected: Command) -> None:
    collected.now = NOW + timedelta(days=1)
    assert collected("run", "--quiet").code == 0
    asked = ["query", "signups", "--format", "json"]
    assert collected(*asked).json["rows"][-1]["period"] == "2026-03-10"
    then = [row for row in collected(*asked, "--as-of", "2026-03-10").json["rows"] if row["signups"] is not None]
    assert then[-1]["period"] == "2026-03-09"


def test_a_definition_of_before_is_asked_by_its_id(collected: Command) -> None:
    before = collected("metrics", "signups", "--format", "json").json["definition"]
    collected.changed('measure = "count(*)"', 'measure = "count(distinct id)"')
    assert collected("query", "signups").code == 2
    assert f"tallybook query signups --definition {before}" in collected.err
    old = collected("query", "signups", "--definition", before, "--format", "json").json
    assert old["rows"][0]["signups"] == 1


def test_an_answer_goes_to_a_file_whose_ending_says_the_format(collected: Command) -> None:
    asked = ["query", "signups", "--last", "2 days"]
    assert collected(*asked, "-o", "signups.csv").code == 0
    assert collected.out == ""
    written = (collected.folder / "signups.csv").read_text()
    assert written == collected(*asked, "--format", "csv").out
    assert collected(*asked, "--to-file", "signups.txt", "--format", "json").code == 0
    assert json.loads((collected.folder / "signups.txt").read_text())["metrics"] == ["signups"]
    assert collected(*asked, "-o", "signups.parquet").code == 0
    assert pq.read_table(collected.folder / "signups.parquet").num_rows == 2
    assert collected(*asked, "-o", "signups.xlsx").code == 2
    assert "tallybook export" in collected.err
    assert collected(*asked, "-o", "nowhere/signups.csv").code == 2
    assert "there is no folder" in collected.err


def test_a_parquet_file_is_not_written_to_a_screen(collected: Command) -> None:
    assert collected("query", "signups", "--format", "parquet", screen=True).code == 2
    assert "-o metrics.parquet" in collected.err


def test_on_a_screen_what_is_incomplete_or_unknown_looks_so(collected: Command) -> None:
    collected("query", "signups", "--scope", "month", "--from", "2026-02-01", screen=True)
    february, march = collected.out.splitlines()[1:3]
    assert february.startswith("\x1b[2m2026-02")
    assert march.startswith("\x1b[3m2026-03")
    assert "\x1b[" not in collected("query", "signups", screen=True, NO_COLOR="1").out
    assert "\x1b[" not in collected("query", "signups").out


# ---------------------------------------------------------------------------------- refused and mistaken


def test_a_question_without_a_right_answer_is_refused_with_the_one_to_ask(collected: Command) -> None:
    assert collected("query", "mrr", "--scope", "week", "--show", "total").code == 3
    assert collected.out == ""
    assert collected.err.startswith("refused: 'mrr' is a level")
    assert "ask instead: tallybook query mrr --scope week --show last or --show average" in collected.err


def test_a_refusal_in_json_says_why_and_what_to_ask(collected: Command) -> None:
    refused = collected("query", "mrr", "--show", "total", "--format", "json").json
    assert collected.code == 3
    assert set(refused) == {"refused", "ask"}
    assert collected.err == ""


@pytest.mark.parametrize("asked", [["--format", "json"], ["--format=json"]])
def test_any_other_error_in_json_has_its_hint_and_problems(collected: Command, asked: list[str]) -> None:
    wrong = collected("query", "sinups", *asked).json
    assert collected.code == 2
    assert wrong["error"] == "there is no metric 'sinups'"
    assert "did you mean 'signups'?" in wrong["hint"]
    assert wrong["problems"] == []
    assert "no such option" in collected("query", "signups", "--skope", "day", *asked).json["error"]


def test_what_was_never_collected_is_a_gap_that_says_what_to_do(run: Command) -> None:
    assert run("query", "signups", "--last", "1 day").code == 0
    assert "tallybook run" in run.out
    assert not (run.folder / "book").exists(), "asking makes no book"


def test_a_bug_is_told_shortly_and_its_trace_only_on_demand(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> None:
        raise ZeroDivisionError("seven")

    monkeypatch.setattr(tallybook.Book, "metrics", broken)
    assert run("metrics").code == 70
    assert run.err.startswith("error: a bug in Tallybook: ZeroDivisionError: seven")
    assert "Traceback" not in run.err
    assert "Traceback" in run("metrics", TALLYBOOK_DEBUG="1").err


# ---------------------------------------------------------------------------------------------- secrets


@pytest.fixture
def secretive(run: Command) -> Command:
    """A project with a password in a URL, and a metric that blurts it out."""
    toml = TOML.replace("[metrics.signups]", '[metrics.signups]\nsource = "app"')
    toml = toml.replace("[metrics.mrr]", '[metrics.mrr]\nsource = "app"')
    run.declare(toml + '\n[sources.far]\nurl = "${FAR_URL}"\n')
    (run.folder / ".env").write_text(f"FAR_URL=postgresql://me:{PASSWORD}@127.0.0.1:1/far\n")
    (run.folder / "metrics").mkdir()
    (run.folder / "metrics" / "blurt.py").write_text(
        f"import tallybook\n@tallybook.metric(source='app')\ndef blurt(day, db):\n"
        f"    print('printed')\n    raise RuntimeError('no login with {PASSWORD}')\n"
    )
    return run


def test_no_output_shows_a_secret(secretive: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert secretive("run").code == 1
    assert "blurt failed:" in secretive.err
    for verb in (["run"], ["run", "--format", "json"], ["runs", "--format", "json"], ["plan"], ["check", "--source"]):
        secretive(*verb)
        assert "no login" in secretive.out + secretive.err or verb[0] in ("plan", "check")
        assert PASSWORD not in secretive.out + secretive.err, verb

    def broken(_: Any) -> None:
        raise RuntimeError(f"postgresql://me:{PASSWORD}@127.0.0.1:1/far")

    monkeypatch.setattr(tallybook.Book, "metrics", broken)
    for form in ("table", "json"):
        assert secretive("metrics", "--format", form, TALLYBOOK_DEBUG="1").code == 70
        assert "***" in secretive.err
        assert PASSWORD not in secretive.out + secretive.err


def test_the_password_of_a_copy_is_not_shown_either(run: Command) -> None:
    for url in (f"sqlite:///gone.db?password={PASSWORD}", f"postgresql://me:{PASSWORD}@host/db", f"me:{PASSWORD}@host"):
        assert run("run", "--source", f"app={url}", "--source-as-of", "2026-03-08T04:00Z").code in (2, 4)
        assert run.err
        assert PASSWORD not in run.out + run.err, url


def test_what_the_users_python_prints_stays_out_of_the_answer(secretive: Command) -> None:
    report = secretive("run", "--format", "json").json
    assert report["status"] == "some failed"
    assert "printed" in secretive.err


# ----------------------------------------------------------------------------------------------- export


def test_export_writes_a_workbook_with_dates_and_numbers(collected: Command) -> None:
    assert collected("export", "signups", "mrr", "--scope", "day", "--until", "2026-03-02", "--to", "m.xlsx").code == 0
    assert collected.out == "m.xlsx: signups, mrr by day, 2 rows.\n"
    sheet = openpyxl.load_workbook(collected.folder / "m.xlsx").worksheets[0]
    first = [cell.value for cell in sheet[2]]
    assert first[:3] == [datetime(2026, 3, 1), 1, 100]


def test_export_writes_csv_and_parquet_too(collected: Command) -> None:
    assert collected("export", "signups", "--last", "2 days", "--to", "m.csv").code == 0
    assert (collected.folder / "m.csv").read_text().startswith("period,signups")
    assert collected("export", "signups", "--by", "plan", "--to", "m.parquet").code == 0
    assert "plan" in pq.read_schema(collected.folder / "m.parquet").names


def test_export_says_which_files_it_writes_and_that_to_is_the_file(collected: Command) -> None:
    assert collected("export", "signups", "--to", "m.xslx").code == 2
    assert "did you mean 'xlsx'?" in collected.err
    assert collected("export", "signups", "--to", "2026-03-02").code == 2
    assert collected("export", "signups").code == 2
    assert "--to" in collected.err
    assert not list(collected.folder.glob("m.*"))


# ------------------------------------------------------------------------------------------------- keep


def test_metrics_are_listed_with_what_is_collected(collected: Command) -> None:
    lines = [line.split() for line in collected("metrics").out.splitlines()]
    assert lines[0] == ["metric", "kind", "unit", "by", "from", "to", "days", "gaps", "measure"]
    assert lines[1] == ["signups", "flow", "plan", "2026-03-01", "2026-03-09", "9", "count(*)"]
    assert lines[3][:2] == ["mrr_per_signup", "derived"]
    assert [m["metric"] for m in collected("metrics", "--format", "json").json] == ["signups", "mrr", "mrr_per_signup"]


def test_one_metric_is_told_with_its_definitions_and_gaps(run: Command) -> None:
    run("run", "signups", "--from", "2026-03-01", "--to", "2026-03-02")
    run("run", "signups", "--from", "2026-03-05", "--to", "2026-03-05")
    told = run("metrics", "signups").out
    assert "collected    2026-03-01 to 2026-03-02, 2026-03-05" in told
    assert "gaps         2026-03-03 to 2026-03-04" in told
    one = run("metrics", "signups", "--format", "json").json
    assert one["missing"] == [["2026-03-03", "2026-03-04"]]
    assert [(d["id"], d["days"]) for d in one["definitions"]] == [(one["definition"], 3)]
    assert "made of      mrr, signups" in run("metrics", "mrr_per_signup").out
    assert run("metrics", "sinups").code == 2


def test_runs_are_listed_newest_first(collected: Command) -> None:
    collected("run")
    rows = [line.split() for line in collected("runs").out.splitlines()]
    assert [row[0] for row in rows[1:]] == ["2", "1"]
    assert [run["run"] for run in collected("runs", "--limit", "1", "--format", "json").json] == [2]


def test_before_the_first_run_there_is_nothing_to_keep_and_that_is_well(run: Command) -> None:
    assert run("runs").out == "No runs yet: tallybook run\n"
    assert run("compact").out == "0 files merged, 0 files deleted.\n"
    assert run("doctor").code == 0
    assert "Nothing has been collected yet" in run("metrics").out
    assert not (run.folder / "book").exists()


def test_compact_says_how_many_files_it_folded_and_deleted(collected: Command) -> None:
    assert set(collected("compact", "--format", "json").json) == {"folded", "deleted"}
    assert collected("compact").code == 0


def test_the_doctor_finds_a_missing_file_and_says_what_to_do(collected: Command) -> None:
    assert collected("doctor").out == "The book is well.\n"
    next((collected.folder / "book" / "points").rglob("*.parquet")).unlink()
    assert collected("doctor").code == 1
    assert (
        "is missing: restore it from a backup; or collect its days again, without the old file: tallybook run"
        in collected.err
    )
    assert collected("doctor", "--format", "json").json["well"] is False


# ------------------------------------------------------------------------------------ the process itself


def process(folder: Path, *argv: str, code: str = "") -> subprocess.CompletedProcess[str]:
    typed = [sys.executable, "-c", code] if code else [sys.executable, "-m", "tallybook", *argv]
    return subprocess.run(typed, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_a_cold_query_imports_nothing_that_it_does_not_need(collected: Command) -> None:
    collected("check")  # the catalog is kept now that there is a book
    code = (
        "import sys; from tallybook.cli import invoke; "
        "ended = invoke(['query', 'signups,mrr,mrr_per_signup', '--by', 'plan', '--scope', 'week', '--totals']); "
        "print([m for m in ('sqlalchemy', 'sqlglot', 'pyarrow', 'rich', 'xlsxwriter', 'psycopg') if m in sys.modules], ended)"
    )
    assert process(collected.folder, code=code).stdout.splitlines()[-1] == "[] 0"


def test_help_imports_next_to_nothing(run: Command) -> None:
    code = (
        "import sys; from tallybook.cli import invoke; invoke(['--help']); "
        "print([m for m in ('msgspec', 'duckdb', 'tallybook.book', 'rich') if m in sys.modules])"
    )
    assert process(run.folder, code=code).stdout.splitlines()[-1] == "[]"


def test_the_command_ends_with_its_exit_code_and_all_of_its_output(collected: Command) -> None:
    rows = process(collected.folder, "query", "signups", "--to", "2026-03-09", "--format", "ndjson")
    assert (rows.returncode, len(rows.stdout.splitlines()), rows.stderr) == (0, 9, "")
    assert process(collected.folder, "query", "mrr", "--show", "total").returncode == 3


def test_a_reader_that_leaves_early_is_no_error(collected: Command) -> None:
    typed = f"{sys.executable} -m tallybook query signups --format csv | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", typed], cwd=collected.folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.stdout, ended.stderr) == ("0\n", "")


def test_a_run_counts_as_done_when_nobody_reads_its_summary(run: Command) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as unread:
        argv = ["run", "--project", str(run.folder)]
        assert invoke(argv, now=lambda: NOW, stdout=unread, stderr=io.StringIO(), env={}) == 0
