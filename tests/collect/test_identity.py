"""A source is a database, not a name; a book belongs to one project."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.collect.sources.identity import Identity, decoded, file_identity
from tallybook.collect.sources.registry import open_source
from tallybook.core import SourceSettings
from tallybook.core.errors import DeclarationError, QueryError, SourceUnavailable
from tests import servers
from tests.projects import MakeProject, Project, project

__all__ = ["project"]

METRIC = '[metrics.m]\ntable = "payments"\ntime = "paid_at"\nmeasure = "sum(amount)"\n'
FIRST, LAST = "2024-03-01", "2024-03-05"


def with_payments(one: Project, amount: int = 1) -> Project:
    one.table("payments (paid_at timestamp, amount int)", [(f"2024-03-0{day} 10:00:00", amount) for day in range(1, 6)])
    return one


def pointed_at(one: Project, url: str, **options: Any) -> Project:
    """The same project with another URL, as from a shell with another DATABASE_URL."""
    one.url = url
    one.declare(METRIC, start=FIRST, **options)
    return one


def identities(one: Project) -> dict[str, str]:
    return {name: found.value for name, found in one.book.store.ledger.identities().items()}


@pytest.fixture
def moved(project: MakeProject) -> Callable[[str], tuple[Project, Project]]:
    """A collected project, and one with other rows under the same declaration."""

    def make(kind: str) -> tuple[Project, Project]:
        one, other = with_payments(project(kind)), with_payments(project(kind), amount=10)
        one.declare(METRIC, start=FIRST)
        one.run()
        return one, other

    return make


# ---------------------------------------------------------------------------------------------------------- sources


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgresql", "mariadb"])
def test_another_database_behind_the_name_is_refused_before_anything_is_read(moved: Any, kind: str) -> None:
    one, other = moved(kind)
    before = one.ask("m")
    report = pointed_at(one, other.url).book.run()
    assert report.exit_code == 4
    (failed,) = report.failed
    assert "is another database than in run 1: was " in failed.error
    assert "tallybook run --source-moved app" in failed.hint
    assert one.ask("m") == before
    report = one.book.run(source_moved=["app"])
    assert report.exit_code == 0
    assert any("source app moved: was " in note for note in report.metrics[0].notes)
    assert one.ask("m", from_="2024-03-05", to=LAST) == {LAST: 10}
    assert one.book.run().exit_code == 0, "it is recorded"


def test_what_else_reads_the_source_refuses_too(moved: Any) -> None:
    one, other = moved("sqlite")
    pointed_at(one, other.url)
    assert "another database" in next(iter(one.book.plan().reports.values())).error
    with pytest.raises(SourceUnavailable, match="another database"):
        one.book.query("m", live=True)


def test_a_live_question_before_the_first_run_reads_the_source_and_makes_no_book(project: MakeProject) -> None:
    one = with_payments(project("sqlite"))
    one.declare(METRIC, start=FIRST)
    live = one.ask("m", from_="2024-03-05", to=LAST, live=True)
    assert not (one.folder / "book").exists()
    assert live == one.ask("m", from_="2024-03-05", to=LAST, live=True), "also when it is asked again"
    one.run()
    assert live == one.ask("m", from_="2024-03-05", to=LAST)


def test_other_sources_are_collected_and_the_exit_code_is_1(moved: Any, project: MakeProject) -> None:
    one, other = moved("sqlite")
    second = with_payments(project("sqlite"))
    one.url = other.url
    one.declare(METRIC.replace("table", 'source = "app"\ntable') + METRIC.replace(".m]", '.n]\nsource = "two"'),
                start=FIRST, source=f'[sources.two]\nurl = "{second.url}"')  # fmt: skip
    report = one.book.run()
    assert (report.exit_code, [m.metric for m in report.failed]) == (1, ["m"])


def test_a_copy_is_neither_compared_nor_recorded(moved: Any) -> None:
    one, other = moved("sqlite")
    before = identities(one)
    report = one.book.run(sources={"app": other.url}, source_as_of=one.now)
    assert report.exit_code == 0
    assert identities(one) == before


def test_a_book_from_before_records_at_its_next_run(moved: Any) -> None:
    one, other = moved("sqlite")
    with closing(sqlite3.connect(one.folder / "book/ledger.sqlite")) as ledger:
        ledger.execute("delete from identities")
        ledger.commit()
    one.run()
    assert "source app" in identities(one)
    assert pointed_at(one, other.url).book.run().exit_code == 4


def test_a_database_that_gave_nothing_is_not_recorded(project: MakeProject) -> None:
    empty, right = project("sqlite"), with_payments(project("sqlite"))
    empty.declare(METRIC, start=FIRST)
    assert empty.book.run().exit_code == 1
    assert pointed_at(empty, right.url).book.run().exit_code == 0


def test_a_source_that_is_not_declared_has_not_moved(moved: Any) -> None:
    one, _ = moved("sqlite")
    with pytest.raises(QueryError, match="no source 'ap'") as error:
        one.book.run(source_moved=["ap"])
    assert "did you mean 'app'" in error.value.hint


def test_a_new_password_user_or_address_is_the_same_postgresql(moved: Any, postgresql_server: servers.Server) -> None:
    one, _other = moved("postgresql")
    one.execute("create role mover login password 'new'", "grant select on payments to mover")
    try:
        url = postgresql_server.url(one.url.rpartition("/")[2], user="mover", password="new")
        report = pointed_at(one, url.replace("127.0.0.1", "localhost")).book.run()
        assert report.exit_code == 0, report.failed
    finally:
        one.close()
        one.execute("drop owned by mover", "drop role mover")


def test_another_schema_of_the_same_database_is_another_source(moved: Any) -> None:
    one, _ = moved("postgresql")
    one.execute(
        "create schema staging", "create table staging.payments as select paid_at, amount * 10 as amount from payments"
    )
    report = pointed_at(one, f"{one.url}?options=-csearch_path%3Dstaging").book.run()
    assert report.exit_code == 4
    assert "schema public" in report.failed[0].error
    assert "schema staging" in report.failed[0].error


def test_a_file_is_its_path_within_the_project(moved: Any, tmp_path: Path) -> None:
    one, _ = moved("sqlite")
    shutil.copy(one.url.partition(":///")[2], one.folder / "app.db")
    pointed_at(one, "sqlite:///app.db").book.run(source_moved=["app"])
    one.close()
    shutil.copytree(one.folder, tmp_path / "elsewhere")
    with tallybook.open(tmp_path / "elsewhere", now=lambda: one.now, env={}) as book:
        assert book.run().exit_code == 0
        (look,) = book.look_at_sources()
    assert look.said[0].startswith(
        "it is recognized by file app.db; another file at the same path cannot be distinguished"
    )


def test_file_paths_are_as_declared_outside_of_the_project() -> None:
    folder = Path("/srv/project")
    found = [
        str(file_identity(path, folder))
        for path in ("/srv/project/data/../app.db", "/srv/project/../data/app.db", "/data/app.db")
    ]
    assert found == ["file app.db", "file ../data/app.db", "file /data/app.db"]


def mysql(schema: str, *servers_: str) -> Identity:
    return Identity(
        says={"schema": schema}, servers=servers_, address={"host": servers_[0], "port": "", "database": schema}
    )


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (mysql("app", "a"), mysql("app", "b", "a"), True),  # a replica: its own uuid, and the primary's of its GTIDs
        (mysql("app", "a", "b"), mysql("app", "b", "c"), True),
        (mysql("app", "a"), mysql("app", "b"), False),
        (mysql("app", "a"), mysql("staging", "a"), False),
        (Identity(address={"host": "a"}), Identity(address={"host": "a"}), True),
        (Identity(address={"host": "a"}), Identity(address={"host": "b"}), False),
        (
            Identity(says={"system": "1"}, address={"host": "a"}),
            Identity(address={"host": "a"}),
            True,
        ),  # a right was taken away
        (
            Identity(says={"system": "1"}, address={"host": "a"}),
            Identity(says={"system": "2"}, address={"host": "a"}),
            False,
        ),
    ],
)
def test_the_same_fingerprint_is_the_same_source(before: Identity, after: Identity, same: bool) -> None:
    assert decoded(before.encoded()).is_same(after) is same
    assert after.is_same(before) is same


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("snowflake://u:SECRET@account/db/schema?warehouse=w", "host account, database db/schema"),
        ("bigquery://project/dataset", "host project, database dataset"),
        ("mssql://u:SECRET@host:1433/db", "host host, port 1433, database db"),
        (
            "mssql+pyodbc:///?odbc_connect=Driver%3DX%3BServer%3Dtcp%3Ahost%3BDatabase%3Ddb%3BPwd%3DSECRET",
            "host tcp:host, database db",
        ),
        ("oracle://u:SECRET@host:1521/?service_name=s", "host host, port 1521, database s"),
        ("trino://u@host:8080/catalog/schema", "host host, port 8080, database catalog/schema"),
        ("redshift://u:SECRET@host:5439/db", "host host, port 5439, database db"),
        ("clickhouse://u:SECRET@Host/db", "host host, port 8123, database db"),
    ],
)
def test_where_the_server_does_not_say_it_is_the_address(url: str, shown: str) -> None:
    found = open_source(SourceSettings(name="app", url=url)).identity(None)
    assert str(found) == shown
    assert "--source-moved app" in found.cannot
    assert "SECRET" not in found.encoded()


def test_a_folder_of_chdb_is_its_path(tmp_path: Path) -> None:
    source = open_source(SourceSettings(name="app", url=f"chdb:///{tmp_path}/house"))
    assert str(source.identity(tmp_path)) == "file house"


def test_check_says_what_a_source_is_recognized_by(moved: Any) -> None:
    one, _ = moved("postgresql")
    (look,) = one.book.look_at_sources()
    assert "system " in look.said[0]
    assert "a copy of the whole server" in look.said[0]


# ---------------------------------------------------------------------------------------------------------- projects


def two_projects(project: MakeProject, first: str, second: str, ledger: str = "") -> tuple[Project, Project]:
    """Two projects with the same declarations, which keep their books in one place."""
    found = []
    for keys in (first, second):
        one = with_payments(project("sqlite"), amount=len(found) + 1)
        one.declare(METRIC, start=FIRST, **({"ledger": ledger, "store": "ledger"} if ledger else {"store": "../book"}))
        toml = one.folder / "tallybook.toml"
        toml.write_text(toml.read_text().replace("[book]", f"[book]\n{keys}"))
        found.append(one)
    return found[0], found[1]


@pytest.mark.parametrize("kept", ["folder", "postgresql"])
def test_two_projects_on_one_ledger_are_told_apart(project: MakeProject, make_database: Any, kept: str) -> None:
    ledger = make_database("postgresql") if kept == "postgresql" else ""
    a, b = two_projects(project, 'name = "Company a"', 'name = "Company b"', ledger)
    a.run()
    for verb in (b.book.run, lambda: b.book.query("m"), b.book.plan, b.book.deliver):
        with pytest.raises(DeclarationError, match="belongs to another project: the book is of Company a") as error:
            verb()
    assert "tallybook move" in error.value.hint
    assert ('schema = "company_b"' if ledger else 'store = "company_b"') in error.value.hint
    assert a.ask("m", scope="all") == {FIRST: 5}


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ('name = "A"\nid = "aaaa"', 'name = "B"\nid = "aaaa"', True),  # renamed
        ('name = "A"\nid = "aaaa"', 'name = "A"\nid = "bbbb"', False),
        ('id = "aaaa"', 'id = "bbbb"', False),
        ('name = "A"', 'name = "A"\nid = "bbbb"', True),  # an id is added
        ('name = "A"', 'name = "B"\nid = "bbbb"', False),
        ('name = "A"\nid = "aaaa"', 'name = "B"', False),
        ("", "", True),  # the default name proves nothing
        ("", 'name = "A"', True),
        ('name = "A"', "", True),
    ],
)
def test_a_book_belongs_to_an_id_or_a_declared_name(project: MakeProject, first: str, second: str, alike: bool) -> None:
    a, b = two_projects(project, first, second)
    a.run()
    refused = nullcontext() if alike else pytest.raises(DeclarationError, match="belongs to another project")
    with refused:
        b.book.metrics()


def test_a_draft_has_an_id_of_its_own(project: MakeProject) -> None:
    from datetime import UTC, datetime

    from tallybook.draft.drafting import draft

    one = with_payments(project("sqlite"))
    ids = {draft(one.url, folder=one.folder, now=datetime(2024, 1, 1, second=s, tzinfo=UTC)).id for s in range(2)}
    assert len(ids) == 2
    text = draft(one.url, folder=one.folder, now=datetime(2024, 1, 1, tzinfo=UTC)).text
    assert '[book]\nid = "' in text


def test_what_a_book_is_of_goes_along_when_it_is_copied(project: MakeProject, tmp_path: Path) -> None:
    a, b = two_projects(project, 'id = "aaaa"', 'id = "bbbb"')
    a.run()
    a.book.backup(tmp_path / "backup")
    b.close()
    toml = b.folder / "tallybook.toml"
    toml.write_text(toml.read_text().replace("../book", "own"))
    b.book.restore(tmp_path / "backup")
    b.close()
    with pytest.raises(DeclarationError, match="belongs to another project"):
        b.book.metrics()
