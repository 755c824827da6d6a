"""Changes of attributes: closed months are files, `history` ends them, and every verb of the book knows the files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.core.errors import QueryError
from tallybook.storage import EntityHistory, EntityLedger, EntityMonths, open_store
from tallybook.storage.sole_copies import sole_copy_problems
from tests.ledgers import database, place_of, schema_of
from tests.projects import Project

DECLARED = """
    [accounts]
    history = "{days}d"

    [metrics.orders]
    table = "orders"
    time = "at"
    measure = "count(*)"
    by = ["account_id"]
"""
CHANGES = [("a", 1, "free"), ("a", 2, "team"), ("b", 2, "free"), ("a", 3, "pro"), ("b", 3, "pro")]
"""(account, month of 2024, plan from the 5th on)."""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    found = Project(tmp_path / "acme", f"sqlite:///{tmp_path}/app.sqlite", now="2024-01-02T12:00")
    found.table("orders (at text, account_id text)", [(f"2024-0{month}-10 10:00:00", "a") for month in (1, 2, 3)])
    found.declare(DECLARED.format(days=3650))
    for account, month, plan in CHANGES:
        push(found.at(f"2024-0{month}-05T12:00"), account, plan)
        if month < 3:
            found.run()
    found.run()
    yield found
    found.close()


def push(project: Project, account: str, plan: str, time: datetime | None = None) -> None:
    project.book.push_attributes("accounts", account, attributes={"plan": plan}, time=time or project.now)


def plans(project: Project, day: str) -> dict[str, Any]:
    return dict(project.book.entities("accounts").list(columns=["plan"], as_of=day).rows)


def files(project: Project) -> list[str]:
    return sorted(one.name.rpartition("-")[0] for one in (project.folder / "book" / "entities").rglob("*.parquet"))


def fresh(project: Project) -> int:
    with project.book.store.ledger._reading() as db:
        return int(db.execute("SELECT count(*) FROM attribute_changes").fetchone()[0])


def months(project: Project) -> EntityMonths:
    return EntityMonths(project.book.store.ledger, project.book.store.files)


THEN = {
    "2024-01-04": {},
    "2024-01-05": {"a": "free"},
    "2024-02-04": {"a": "free"},
    "2024-02-06": {"a": "team", "b": "free"},
    "2024-03-05": {"a": "pro", "b": "pro"},
}


def test_closed_months_are_files_and_the_past_is_the_same(project: Project) -> None:
    assert files(project) == ["2024-01", "2024-02"]
    assert fresh(project) == 2
    assert {day: plans(project, day) for day in THEN} == THEN
    shown = project.book.entities("accounts").show("a", as_of="2024-02-06").attributes["plan"]
    assert (shown.value, shown.time) == ("team", "2024-02-05T12:00:00.000000Z")
    by_day = project.ask("orders", by=["accounts.plan@day"], scope="month", to="2024-03-04")
    assert {key: value for key, value in by_day.items() if value} == {
        ("2024-01-01", "free"): 1,
        ("2024-02-01", "team"): 1,
    }


def test_older_changes_go_and_what_is_asked_before_says_since_when_it_is_known(project: Project) -> None:
    project.declare(DECLARED.format(days=20))
    project.at("2024-03-06T12:00").run()
    assert files(project)[-1] == "state"
    assert {day: plans(project, day) for day in ("2024-02-04", "2024-02-06")} == {
        "2024-02-04": {"a": "free"},
        "2024-02-06": {"a": "team", "b": "free"},
    }
    with pytest.raises(QueryError, match="known from 2024-02-01 on") as refused:
        plans(project, "2024-01-31")
    assert "--as-of 2024-02-01" in refused.value.hint
    with pytest.raises(QueryError, match="known from 2024-02-01 on"):
        project.book.query("orders", by=["accounts.plan"], as_of="2024-01-20")
    by_day = project.ask("orders", by=["accounts.plan@day"], scope="month")
    assert by_day[("2024-01-01", "(not known)")] == 1
    assert by_day[("2024-02-01", "team")] == 1
    said = project.book.query("orders", by=["accounts.plan@day"]).explain
    assert "known from 2024-02-01 on" in said


def test_a_change_that_arrives_after_the_cut_counts_from_where_the_history_begins(project: Project) -> None:
    project.declare(DECLARED.format(days=20))
    project.at("2024-03-06T12:00").run()
    push(project, "c", "old", datetime(2024, 1, 3, tzinfo=UTC))
    project.book.push_attributes("accounts", "a", attributes={"owner": "Ann"}, time=datetime(2024, 1, 3, tzinfo=UTC))
    assert plans(project, "2024-02-04") == {"a": "free", "c": "old"}
    assert project.book.entities("accounts").show("a", as_of="2024-02-01").attributes["owner"].value == "Ann"
    assert len(project.book.entities("accounts").list().rows) == 3


def test_many_changes_leave_the_ledger_before_the_month_is_over(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallybook.storage.entity_months.MAX_FRESH", 1)
    project.at("2024-03-06T12:00").run()
    assert (fresh(project), files(project)[-1]) == (0, "2024-03")
    push(project, "a", "x")
    push(project, "a", "y")
    project.at("2024-04-06T12:00").run()
    project.at("2024-04-07T12:00").run()
    assert files(project) == ["2024-01", "2024-02", "2024-03"]
    assert plans(project, "2024-04-07") == {"a": "y", "b": "pro"}


def test_a_deleted_account_is_in_no_file(project: Project) -> None:
    assert project.book.forget_entity("accounts", "a").rows >= 4
    assert {day: plans(project, day) for day in THEN} == {
        day: {id_: plan for id_, plan in found.items() if id_ != "a"} for day, found in THEN.items()
    }
    for file in (project.folder / "book" / "entities").rglob("*.parquet"):
        assert b"free" not in file.read_bytes() or file.name.startswith("2024-02")


def test_an_account_that_is_forgotten_while_a_month_is_written_does_not_come_back(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.at("2024-04-02T12:00")
    keeping, write = months(project), EntityMonths._write

    def forgotten_meanwhile(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(EntityMonths, "_write", write)
        project.book.forget_entity("accounts", "a")
        return write(*given, **named)

    monkeypatch.setattr(EntityMonths, "_write", forgotten_meanwhile)
    keeping.keep_house("accounts", days=None, zone="UTC", now=project.now)
    assert {row.id for row in keeping.history.rows("accounts")} == {"b"}
    keeping.keep_house("accounts", days=None, zone="UTC", now=project.now)
    assert {row.id for row in keeping.history.rows("accounts")} == {"b"}


def test_a_copy_and_a_backup_have_the_past(project: Project, tmp_path: Path) -> None:
    project.book.backup(tmp_path / "backup")
    copied = sorted(one.name for one in (tmp_path / "backup").rglob("entities/accounts/*.parquet"))
    assert [one.rpartition("-")[0] for one in copied] == ["2024-01", "2024-02"]


def test_the_doctor_names_a_file_of_changes_that_is_missing(project: Project) -> None:
    assert project.book.doctor() == []
    lost = next((project.folder / "book" / "entities" / "accounts").glob("2024-01-*"))
    lost.unlink()
    (said,) = project.book.doctor()
    assert f"entities/accounts/{lost.name} is missing" in said
    assert "backup" in said


def test_a_book_without_a_disk_keeps_changes_in_its_ledger(tmp_path: Path) -> None:
    store = open_store(place_of(tmp_path, "ledger"))
    entities, keeping = EntityLedger(store.ledger), EntityMonths(store.ledger, store.files)
    noon = datetime(2024, 1, 5, 12, tzinfo=UTC)
    for n, plan in enumerate(["free", "team", "pro"]):
        at = noon + timedelta(days=31 * n)
        entities.collect("accounts", "app", {"a": {"plan": plan}}, times={}, run=1, now=at)
    now = noon + timedelta(days=100)
    keeping.keep_house("accounts", days=None, zone="UTC", now=now)
    before = list(keeping.history.rows("accounts"))
    assert [one.changes[0][2] for one in before] == ["free", "team", "pro"]
    keeping.keep_house("accounts", days=30, zone="UTC", now=now)
    (state, last) = keeping.history.rows("accounts", "a")
    assert (state.time, last.time) == ("2024-03-01T00:00:00.000000Z", before[2].time)
    assert sole_copy_problems(store) == []
    assert keeping.forget("accounts", "a", now=now) == 2
    assert list(keeping.history.rows("accounts")) == []
    with store.ledger._reading() as db:
        paths = {path for (path,) in db.execute("SELECT DISTINCT path FROM event_contents").fetchall()}
    assert paths == {one.path for one in keeping.history.current()}
    store.ledger.close()


def test_a_clock_that_jumps_ahead_deletes_no_change(project: Project) -> None:
    project.declare(DECLARED.format(days=20))
    for _ in range(3):
        project.at("2031-03-06T12:00").run()
    project.at("2024-03-06T12:00")
    assert {day: plans(project, day) for day in THEN} == THEN


def test_files_that_were_replaced_are_deleted_after_a_while(project: Project) -> None:
    project.declare(DECLARED.format(days=20))
    project.at("2024-03-06T12:00").run()
    before = len(files(project))
    project.at("2024-03-06T14:00").run()
    assert len(files(project)) < before
    current = EntityHistory(project.book.store.ledger, project.book.store.files).current()
    assert len(files(project)) == len(current)


# --- a clock that was ahead -----------------------------------------------------------------------------

READ = """
    [accounts]
    table = "accounts"
    attributes = ["plan"]

    [metrics.orders]
    table = "orders"
    time = "at"
    measure = "count(*)"
"""


@pytest.fixture(params=["folder", "ledger"])
def read(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """A table of accounts that is read on the 4th, on the 6th by a clock that is 30 days ahead, and on the 8th."""
    found = Project(tmp_path / "acme", f"sqlite:///{tmp_path}/app.sqlite", now="2024-01-04T12:00")
    book = {"store": "ledger", "ledger": database(), "schema": schema_of(tmp_path)} if request.param == "ledger" else {}
    found.table("orders (at text)", [("2024-01-02 10:00:00",)])
    found.table("accounts (id text, plan text)", [("a", "free"), ("b", "free"), ("c", "free")])
    found.declare(READ, **book)
    found.run()
    found.execute("update accounts set plan = 'team' where id in ('a', 'b')")
    found.execute("insert into accounts values ('d', 'free')")
    found.at("2024-02-05T12:00").run()
    found.execute("update accounts set plan = 'pro' where id = 'b'")
    found.execute("delete from accounts where id = 'c'")
    found.at("2024-01-08T12:00")
    yield found
    found.close()


def test_attributes_that_were_read_by_a_clock_that_was_ahead_count_from_the_next_run(read: Project) -> None:
    said = "changes of attributes of accounts are dated up to 2024-02-05 12:00 UTC, which is in the future"
    assert any(said in line for line in read.book.doctor())
    assert any(said in line for line in read.book.status().problems)
    report = read.run()
    assert any(said in note and "count from now on" in note for note in report.notes)
    assert not any(said in line for line in read.book.doctor())
    right = {
        "2024-01-05": {"a": "free", "b": "free", "c": "free"},
        "2024-01-08": {"a": "team", "b": "pro", "d": "free"},
    }
    assert {day: plans(read, day) for day in right} == right
    read.execute("update accounts set plan = 'top' where id = 'a'")
    read.at("2024-01-10T12:00").run()
    later = right | {"2024-01-09": right["2024-01-08"], "2024-01-10": {"a": "top", "b": "pro", "d": "free"}}
    assert {day: plans(read, day) for day in later} == later
    # Also when the false instant has come and gone, and months are files.
    read.at("2024-03-08T12:00").run()
    assert {day: plans(read, day) for day in later} == later
    assert plans(read, "2024-03-07") == plans(read, "2024-02-05") == later["2024-01-10"]


def test_a_history_in_files_is_corrected_too(read: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallybook.storage.entity_months.MAX_FRESH", 1)
    months(read).keep_house("accounts", days=None, zone="UTC", now=datetime(2024, 2, 5, 13, tzinfo=UTC))
    assert [one.label for one in months(read).history.current("accounts")] == ["2024-01", "2024-02"]
    assert any("of accounts are dated up to 2024-02-05" in line for line in read.book.doctor())
    read.run()
    assert plans(read, "2024-01-05") == {"a": "free", "b": "free", "c": "free"}
    assert plans(read, "2024-01-08") == {"a": "team", "b": "pro", "d": "free"}
    assert not read.book.doctor()
    assert months(read).correct_ahead("accounts", now=read.now) == 0


def test_what_was_pushed_under_a_clock_that_was_ahead_loses_to_what_is_pushed_later(read: Project) -> None:
    for day, seats in (("2024-02-05T13:00", 1), ("2024-02-05T14:00", 2)):
        read.at(day).book.push_attributes("accounts", "a", attributes={"seats": seats})
    read.at("2024-01-08T12:00").run()
    assert read.book.entities("accounts").show("a").attributes["seats"].value == 2
    read.at("2024-01-09T12:00").book.push_attributes("accounts", "a", attributes={"seats": 3})
    assert read.book.entities("accounts").show("a").attributes["seats"].value == 3
    for day, seats in (("2024-01-05", None), ("2024-01-08", 2), ("2024-01-09", 3)):
        shown = read.book.entities("accounts").show("a", as_of=day).attributes.get("seats")
        assert (shown.value if shown else None) == seats
