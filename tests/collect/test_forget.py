"""Taking things out of the book for good, and metrics that are called otherwise than before."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tallybook.core.errors import Busy, QueryError, Refused
from tests.projects import Project
from tests.query.test_why import said, source_rows, told

VISITS = [
    # at, user_id, email, device, plan
    ("2024-02-28 10:00:00", 7, "ada@example.org", "phone", "pro"),
    ("2024-02-28 11:00:00", 8, "bob@example.org", "phone", "pro"),
    ("2024-03-01 10:00:00", 7, "ada@example.org", "laptop", "pro"),
    ("2024-03-01 11:00:00", 7, "ada@example.org", "phone", "free"),
    ("2024-03-02 11:00:00", 8, "bob@example.org", "phone", "pro"),
]
METRICS = """
    [metrics.visits]
    table = "visits"
    time = "at"
    measure = "count(*)"

    [metrics.users]
    table = "visits"
    time = "at"
    measure = "count(distinct user_id)"
    by = ["plan"]

    [metrics.emails]
    table = "visits"
    time = "at"
    measure = "count(distinct email)"

    [metrics.devices]
    table = "visits"
    time = "at"
    measure = "count(distinct email, device)"

    [metrics.most_visits]
    table = "visits"
    time = "at"
    measure = "count(*)"
    per = "user_id"
    then = "max"

    [metrics.visits_per_user]
    measure = "visits / users"
"""


@pytest.fixture
def visited(tmp_path: Path, make_database: Any) -> Project:
    """A project of visits, collected in February and again in March, so that its files have old versions."""
    project = Project(tmp_path / "project", make_database("sqlite"), now="2024-02-29T12:00")
    project.table("visits (at text, user_id integer, email text, device text, plan text)", VISITS)
    project.declare(METRICS, start="2024-02-28")
    project.run()
    project.at("2024-03-03T12:00").run()
    return project


def files(project: Project, kind: str = "*") -> list[Path]:
    return sorted((project.folder / "book" / "points").glob(f"{kind}/**/*.parquet"))


def rows_of(project: Project, condition: str) -> int:
    """Rows in any points file there is on disk, of whatever version."""
    return sum(
        duckdb.sql(f"select count(*) from read_parquet('{path}') where {condition}").fetchall()[0][0]
        for path in files(project, "ids" if "id " in condition else "*")
    )


def without(rows: list[tuple[Any, ...]], *, user: int) -> dict[str, int]:
    """How many users each day had, but for one; by plain Python over the raw rows."""
    days: dict[str, set[int]] = {"2024-02-28": set(), "2024-02-29": set(), "2024-03-01": set(), "2024-03-02": set()}
    for at, user_id, *_ in rows:
        days[at[:10]] |= {user_id} - {user}
    return {day: len(users) for day, users in days.items()}


# -------------------------------------------------------------------------------------------------- a metric


def test_nothing_of_a_forgotten_metric_stays_in_any_file_of_any_version(visited: Project) -> None:
    assert rows_of(visited, "metric = 'users'") > 0
    done = visited.book.forget("users")
    assert (done.from_, done.to, done.days) == ("2024-02-28", "2024-03-02", 4)
    assert rows_of(visited, "metric = 'users'") == 0
    ledger = (visited.folder / "book" / "ledger.sqlite").read_bytes()
    assert b"count(distinct user_id)" not in ledger
    assert visited.book.doctor() == []


def test_other_metrics_keep_their_numbers_now_and_in_the_past(visited: Project) -> None:
    before = visited.ask("visits"), visited.ask("visits", as_of="2024-02-29")
    visited.book.forget("users")
    visited.close()
    assert (visited.ask("visits"), visited.ask("visits", as_of="2024-02-29")) == before
    assert before[0] == dict(source_rows(
        visited, "select d, count(at) from (select '2024-02-28' d union select '2024-02-29' union select "
        "'2024-03-01' union select '2024-03-02') left join visits on substr(at, 1, 10) = d group by d",
    ))  # fmt: skip


def test_a_forgotten_metric_that_is_still_declared_is_collected_again(visited: Project) -> None:
    before = visited.ask("users")
    assert "the next run collects it again" in said(visited, "forget", "users", "--yes")
    assert visited.book.metric("users").days == 0
    visited.run()
    assert visited.ask("users") == before


def test_a_metric_that_is_no_longer_declared_can_be_forgotten(visited: Project) -> None:
    visited.declare(METRICS.replace("[metrics.emails]", "[metrics.addresses]"), start="2024-02-28")
    said(visited, "forget", "emails", "--yes")
    assert rows_of(visited, "metric = 'emails'") == 0
    assert visited.book.forget("emails").days == 0


def test_forgetting_again_is_done_already(visited: Project) -> None:
    """So that a script may repeat what was killed, after its end too."""
    version = visited.book.store.ledger.version()
    for name in ("users", "emails"):
        said(visited, "forget", name, "--yes")
        assert "not in the book" in said(visited, "forget", name, "--yes")
    visited.declare(METRICS.replace("[metrics.emails]", "[metrics.addresses]"), start="2024-02-28")
    assert "not in the book" in said(visited, "forget", "emails", "--yes")
    assert "not in the book" in said(visited, "forget", "addresses", "--yes"), "declared, never collected"
    assert "holds nothing of 'usres'" in said(visited, "forget", "usres", "--yes", code=2)
    assert visited.book.store.ledger.version() == version + 2


def test_what_cannot_be_forgotten_is_told(visited: Project) -> None:
    with pytest.raises(QueryError, match="is a formula"):
        visited.book.forget("visits_per_user")
    with pytest.raises(QueryError, match="holds nothing of 'usres'"):
        visited.book.forget("usres")


def test_nobody_is_asked_without_a_terminal_so_yes_must_be_said(visited: Project) -> None:
    assert "--yes" in said(visited, "forget", "users", code=2)
    assert visited.book.metric("users").days == 4


def test_a_run_at_work_is_waited_for_by_the_caller(visited: Project) -> None:
    ledger = visited.book.store.ledger
    lease = ledger.acquire("collect", now=visited.now, seconds=60)
    with pytest.raises(Busy):
        visited.book.forget("users")
    ledger.release(lease)
    visited.book.forget("users")


def test_forgetting_is_a_run_like_any_other(visited: Project) -> None:
    visited.book.forget("users")
    latest = visited.book.runs(1)[0]
    assert (latest.what, latest.status) == ("forget", "done")
    assert latest.report["metrics"][0]["days"] == 4


# -------------------------------------------------------------------------------------------------- a person


def test_an_id_goes_from_all_days_and_the_counts_are_those_without_it(visited: Project) -> None:
    (done,) = visited.book.forget_person("7", metrics=["users"])
    assert done.to_dict() == {"metric": "users", "days": 2, "points": 3, "revisions": 3}
    assert visited.ask("users") == without(VISITS, user=7)
    assert visited.ask("users", scope="all") == {"2024-02-28": 1}
    assert visited.ask("visits", scope="all") == {"2024-02-28": 5}


def test_the_id_stands_in_no_file_of_any_version(visited: Project) -> None:
    assert rows_of(visited, "id = 7") > 0
    visited.book.forget_person("7", metrics=["users"])
    assert rows_of(visited, "id = 7") == 0
    assert visited.ask("users", as_of="2024-02-29") == {"2024-02-28": 1}
    assert visited.book.doctor() == []


def test_what_changed_is_kept_as_revisions_that_do_not_name_the_person(visited: Project) -> None:
    visited.book.forget_person("7", metrics=["users"])
    revisions = visited.book.store.ledger.revisions("users")
    assert sorted((str(r.day), r.series, r.old, r.new) for r in revisions) == [
        ("2024-02-28", '{"plan": "pro"}', "2", "1"),
        ("2024-03-01", '{"plan": "free"}', "1", "0"),
        ("2024-03-01", '{"plan": "pro"}', "1", "0"),
    ]
    (one,) = told(visited, "why", "users", "2024-02-28")["behind"]
    assert one["revisions"][0]["run"] == visited.book.runs(1)[0].run


def test_a_text_id_and_an_id_of_several_columns_are_found(visited: Project) -> None:
    (emails,) = visited.book.forget_person("ada@example.org", metrics=["emails"])
    assert emails.days == 2
    assert visited.ask("emails") == without(VISITS, user=7)
    (devices,) = visited.book.forget_person("ada@example.org", "phone", metrics=["devices"])
    assert devices.points == 2
    assert visited.ask("devices", scope="all") == {"2024-02-28": 2}


def test_an_entity_that_is_measured_by_itself_goes_with_all_its_facts(visited: Project) -> None:
    """Of the visitor who came three times the book held a row for each day; now the most is two, of the other."""
    assert visited.ask("most_visits", scope="all") == {"2024-02-28": 3}
    assert rows_of(visited, "metric = 'most_visits' and d1 = '7'") > 0
    (done,) = visited.book.forget_person("7", metrics=["most_visits"])
    assert (done.days, done.revisions) == (2, 1), "on 2 March, and 28 February, somebody else came as often"
    assert rows_of(visited, "metric = 'most_visits' and d1 = '7'") == 0
    assert visited.ask("most_visits", scope="all") == {"2024-02-28": 2}
    assert visited.ask("visits", scope="all") == {"2024-02-28": 5}


def test_a_metric_without_such_ids_is_refused(visited: Project) -> None:
    with pytest.raises(Refused, match="keeps no such id"):
        visited.book.forget_person("7", metrics=["visits"])
    with pytest.raises(Refused, match="keeps no ids of 2 parts"):
        visited.book.forget_person("7", "phone", metrics=["users"])


def test_somebody_who_was_never_counted_changes_nothing(visited: Project) -> None:
    before = visited.ask("users")
    (done,) = visited.book.forget_person("99", metrics=["users"])
    assert (done.days, done.points, done.revisions) == (0, 0, 0)
    assert visited.ask("users") == before


def test_the_command_tells_the_counts(visited: Project) -> None:
    text = said(visited, "forget", "--person", "7", "--in", "users", "--yes")
    assert text == "users: deleted from 2 days, 3 points; 3 values changed.\n"


# ------------------------------------------------------------------------------------------------- new names


def renamed(text: str, old: str, new: str, *, still: bool = True) -> str:
    head = f"[metrics.{new}]\n" + (f'    renamed_from = "{old}"\n' if still else "")
    return text.replace(f"[metrics.{old}]\n", head).replace(f"/ {old}", f"/ {new}")


def test_a_renamed_metric_keeps_its_history_before_and_after_the_next_run(visited: Project) -> None:
    before, by_plan = visited.ask("users"), visited.ask("users", by=["plan"])
    visited.declare(renamed(METRICS, "users", "people"), start="2024-02-28")
    assert visited.ask("people") == before
    assert visited.ask("people", by=["plan"]) == by_plan
    assert told(visited, "coverage", "people")[0]["gaps"] == []
    visited.at("2024-03-04T12:00").run()
    assert visited.ask("people", to="2024-03-02") == before
    assert visited.ask("visits_per_user", scope="all", to="2024-03-02") == {"2024-02-28": 2.5}


def test_once_a_run_has_been_the_old_name_need_not_be_said_any_more(visited: Project) -> None:
    before = visited.ask("users")
    visited.declare(renamed(METRICS, "users", "people"), start="2024-02-28")
    visited.run()
    visited.declare(renamed(METRICS, "users", "people", still=False), start="2024-02-28")
    assert visited.ask("people") == before
    visited.declare(renamed(METRICS, "users", "folks").replace('"users"', '"people"'), start="2024-02-28")
    assert visited.ask("folks") == before
    (one,) = told(visited, "why", "folks", "2024-02-28")["behind"]
    assert one["kept_as"] == "users"


@pytest.mark.parametrize("nothing_new", ["no lookback", "another metric is named", "the source cannot be reached"])
def test_a_run_that_collects_nothing_of_a_renamed_metric_notes_its_name_too(
    visited: Project, nothing_new: str, tmp_path: Path
) -> None:
    before, there = visited.ask("users"), visited.folder.parent / "elsewhere.sqlite"
    visited.declare(renamed(METRICS, "users", "people"), start="2024-02-28", lookback="0d")
    database = Path(visited.url.partition(":///")[2]) if nothing_new.startswith("the source") else None
    if database:
        database.rename(there)
    visited.book.run(*(["visits"] if nothing_new.startswith("another") else []))
    if database:
        there.rename(database)
    visited.declare(renamed(METRICS, "users", "people", still=False), start="2024-02-28", lookback="0d")
    assert visited.ask("people") == before


def test_a_new_metric_of_an_old_name_is_another_metric(visited: Project) -> None:
    before = visited.ask("users")
    visited.declare(renamed(METRICS, "users", "people"), start="2024-02-28")
    visited.run()
    again = '\n[metrics.users]\ntable = "visits"\ntime = "at"\nmeasure = "count(distinct email)"\n'
    visited.declare(renamed(METRICS, "users", "people", still=False) + again, start="2024-02-28")
    assert visited.ask("people") == before
    report = visited.run()
    assert not [note for metric in report.metrics for note in metric.notes]
    assert visited.ask("users") == visited.ask("emails")
    assert visited.ask("people") == before


def test_what_is_called_otherwise_now_is_forgotten_under_its_name_of_today(visited: Project) -> None:
    visited.declare(renamed(METRICS, "users", "people"), start="2024-02-28")
    visited.run()
    with pytest.raises(QueryError, match="what was 'users' is 'people' now"):
        visited.book.forget("users")
    visited.book.forget("people")
    assert rows_of(visited, "metric = 'users'") == 0


def test_a_no_at_the_terminal_changes_nothing(visited: Project, monkeypatch: Any) -> None:
    from tallybook.cli import invoke
    from tests.cli.test_cli import Screen

    class Answer(Screen):
        """A keyboard with somebody at it."""

    monkeypatch.setattr("sys.stdin", Answer("n\n"))
    out, err = Screen(), Screen()
    visited.close()
    code = invoke(
        ["forget", "users", "--project", str(visited.folder)], now=lambda: visited.now, stdout=out, stderr=err, env={}
    )
    assert code == 130
    assert "cannot be undone" in err.getvalue()
    assert visited.book.metric("users").days == 4
    assert isinstance(out, io.StringIO)
