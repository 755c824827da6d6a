"""Tests of metrics, as people who declare them write them: `tallybook test`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Project
from tests.query.test_why import said, told

METRICS = """
    [metrics.signups]
    table = "users"
    time = "created_at"
    measure = "count(*)"
    by = ["plan"]

    [metrics.revenue]
    table = "payments"
    time = "paid_at"
    measure = "sum(amount)"

    [metrics.mrr]
    kind = "level"
    table = "contracts"
    from = "since"
    until = "until"
    measure = "sum(price)"

    [metrics.revenue_per_signup]
    measure = "revenue / signups"
"""
GIVEN = """
now = 2026-03-04T12:00:00Z

[given]
users = [
  { id = 1, created_at = 2026-03-01T10:00:00, plan = "pro" },
  { id = 2, created_at = 2026-03-02T10:00:00, plan = "it's" },
  { id = 3, created_at = 2026-03-02T11:00:00 },
]
payments = [
  { paid_at = 2026-03-02T09:00:00, amount = 10.10 },
  { paid_at = 2026-03-02T10:00:00, amount = 0.20 },
]
contracts = [ { since = 2026-03-01T00:00:00, until = 2026-03-03T00:00:00, price = 50 } ]
"""
ASKED = """
[[test]]
name = "signups are counted by plan"
query = "signups"
by = ["plan"]
expect = [
  { period = "2026-03-01", plan = "pro", signups = 1 },
  { period = "2026-03-02", plan = "it's", signups = 1 },
  { period = "2026-03-02", plan = "", signups = 1 },
]

[[test]]
name = "money is exact"
query = "revenue"
scope = "all"
expect = 10.3

[[test]]
name = "a contract holds until the day before it ends"
query = "mrr"
from = 2026-03-01
expect = [
  { period = "2026-03-01", mrr = 50 },
  { period = "2026-03-02", mrr = 50 },
  { period = "2026-03-03", mrr = 0 },
]

[[test]]
name = "seats do not add up"
query = "mrr"
show = "total"
refused = "is a level"

[[test]]
name = "nobody signed up"
query = "revenue_per_signup"
from = 2026-03-03
expect = [ { period = "2026-03-03", revenue_per_signup = "–" } ]
"""


@pytest.fixture
def project(tmp_path: Path, make_database: Any) -> Project:
    """A project whose own database has none of the tables that the tests are given."""
    made = Project(tmp_path / "project", make_database("sqlite"))
    made.declare(METRICS, start="2026-03-01")
    (made.folder / "tests").mkdir()
    return made


def write(project: Project, text: str, name: str = "metrics.toml") -> Path:
    path = project.folder / "tests" / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_what_is_expected_comes_of_the_rows_that_are_given(tmp_path: Path, make_database: Any, kind: str) -> None:
    project = Project(tmp_path / "project", make_database(kind))
    project.declare(METRICS, start="2026-03-01")
    (project.folder / "tests").mkdir()
    write(project, GIVEN + ASKED)
    assert said(project, "test").splitlines()[-1] == "5 tests, none failed."


def test_rows_that_are_given_need_not_say_when_they_were_written(project: Project) -> None:
    project.declare(METRICS.replace('by = ["plan"]', 'by = ["plan"]\n    changed = "updated_at"'), start="2026-03-01")
    write(project, GIVEN + ASKED)
    assert said(project, "test").splitlines()[-1] == "5 tests, none failed."


def test_a_failure_ends_with_1_and_shows_which_rows_differ(project: Project) -> None:
    write(project, GIVEN + ASKED.replace('"it\'s", signups = 1', '"it\'s", signups = 2'))
    text = said(project, "test", code=1)
    assert "FAILED metrics.toml: signups are counted by plan" in text
    assert '- { period = "2026-03-02", plan = "it\'s", signups = 2 }' in text
    assert '+ { period = "2026-03-02", plan = "it\'s", signups = 1 }' in text
    assert text.splitlines()[-1] == "5 tests, 1 failed."


def test_a_row_too_many_is_a_failure(project: Project) -> None:
    few = '[[test]]\nquery = "mrr"\nfrom = 2026-03-01\nexpect = [ { period = "2026-03-01", mrr = 50 } ]\n'
    write(project, GIVEN + few)
    assert "expected 1 row, 3 came" in said(project, "test", code=1)


def test_the_declared_source_and_the_book_are_not_touched(project: Project) -> None:
    project.table("users (id integer, created_at text, plan text)", [(1, "2026-03-01 10:00:00", "own")])
    file = Path(project.url.removeprefix("sqlite:///"))
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    write(project, GIVEN + ASKED)
    said(project, "test")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    assert not (project.folder / "book").exists()


def test_the_source_need_not_even_be_there(project: Project) -> None:
    Path(project.url.removeprefix("sqlite:///")).unlink()
    write(project, GIVEN + ASKED)
    said(project, "test")


def test_a_test_may_give_tables_of_its_own(project: Project) -> None:
    write(
        project,
        GIVEN
        + """
[[test]]
query = "mrr"
from = 2026-03-03
given.contracts = [ { since = 2026-03-01T00:00:00, until = 2026-04-01T00:00:00, price = 7 } ]
expect = [ { mrr = 7 } ]
""",
    )
    said(project, "test")


def test_types_are_said_where_they_matter(project: Project) -> None:
    asked = '[[test]]\nquery = "revenue"\nscope = "all"\nexpect = [ { revenue = 0, days = 3 } ]\n'
    types = '[types.payments]\npaid_at = "text"\namount = "decimal(10, 2)"\n'
    write(project, f"now = 2026-03-04T12:00:00Z\n{types}{asked}")
    said(project, "test")


def test_a_refusal_for_another_reason_is_a_failure(project: Project) -> None:
    write(project, GIVEN + '[[test]]\nquery = "mrr"\nshow = "total"\nrefused = "of the moon"\n')
    assert "refused, but not for that" in said(project, "test", code=1)
    write(project, GIVEN + '[[test]]\nquery = "mrr"\nrefused = "is a level"\n')
    assert "is answered" in said(project, "test", code=1)


def test_every_mistake_of_a_file_is_told_at_once(project: Project) -> None:
    write(project, 'nwo = 1\n[[test]]\nname = "first"\nexpct = 1\n')
    text = said(project, "test", code=2)
    assert "did you mean 'now'?" in text
    assert "did you mean 'expect'?" in text
    assert "asks for nothing" in text
    assert "does not say when it is" in text


def test_without_tests_the_first_one_is_shown(project: Project) -> None:
    assert "[[test]]" in said(project, "test", code=2)


def test_outcomes_as_json(project: Project) -> None:
    write(project, GIVEN + ASKED)
    outcomes = told(project, "test")
    assert [one["passed"] for one in outcomes] == [True] * 5
    assert outcomes[1]["test"] == "money is exact"


# ------------------------------------------------------------------------------------------------------ servers


@pytest.fixture
def on_server(tmp_path: Path) -> Project:
    """A project of a PostgreSQL that does not exist."""
    project = Project(tmp_path / "project", "sqlite:///" + str(tmp_path / "unused.db"))
    project.url = "postgresql://reader@127.0.0.1:1/production"
    project.declare(METRICS, start="2026-03-01")
    (project.folder / "tests").mkdir()
    return project


def test_a_server_needs_a_scratch_database_and_says_so(on_server: Project) -> None:
    write(on_server, GIVEN + ASKED)
    assert "tallybook test --source app=" in said(on_server, "test", code=1)


def test_metrics_of_a_server_run_elsewhere_where_the_test_says_so(on_server: Project) -> None:
    write(on_server, 'dialect = "duckdb"\n' + GIVEN + ASKED)
    said(on_server, "test")


@pytest.mark.cases(2)
@pytest.mark.parametrize(
    "url", ["clickhouse://h/d", "snowflake://u:p@account/d/s", "mssql://u:p@h/d", "chdb:///folder"]
)
def test_a_source_that_no_test_needs_may_be_of_any_kind(on_server: Project, url: str) -> None:
    toml = on_server.folder / "tallybook.toml"
    toml.write_text(toml.read_text().replace("[metrics.", f'[sources.other]\nurl = "{url}"\n\n[metrics.', 1))
    written = toml.read_text().replace("table = ", 'source = "app"\ntable = ')
    toml.write_text(written)
    write(on_server, 'dialect = "duckdb"\n' + GIVEN + ASKED)
    said(on_server, "test")


@pytest.mark.cases(1)
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_tables_are_made_in_an_empty_scratch_database_and_dropped_again(
    tmp_path: Path, make_database: Any, kind: str
) -> None:
    scratch = make_database(kind)
    project = Project(tmp_path / "project", scratch)
    scheme = "postgresql" if kind == "postgresql" else "mysql"
    project.url = f"{scheme}://reader@127.0.0.1:1/production"
    project.declare(METRICS, start="2026-03-01")
    (project.folder / "tests").mkdir()
    write(project, GIVEN + ASKED)
    said(project, "test", "--source", f"app={scratch}")
    said(project, "test", "--source", f"app={scratch}")
    project.table("customers (id int)", [(1,)])
    text = said(project, "test", "--source", f"app={scratch}", code=1)
    assert "the database is not empty, it holds customers" in text


def test_a_declared_source_is_never_the_scratch_database(on_server: Project) -> None:
    write(on_server, GIVEN + ASKED)
    text = said(on_server, "test", "--source", f"app={on_server.url}", code=2)
    assert "is a declared source itself" in text
