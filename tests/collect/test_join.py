"""Columns of other tables beside the facts: not one fact more or less, whatever is joined."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tallybook.collect.gathering import by_index
from tallybook.core.errors import DeclarationError
from tests.conftest import DATABASES
from tests.projects import Project

pytestmark = pytest.mark.sampled

ACCOUNTS = [(1, "pro", "DE", 2), (2, "free", "FR", 3), (3, "pro", None, 5)]
INVOICES = [
    (1, 1, "2024-01-01 10:00:00", 10, "paid"),
    (2, 1, "2024-01-02 10:00:00", 20, "paid"),
    (3, 2, "2024-01-02 11:00:00", 40, "open"),
    (4, 3, "2024-01-03 12:00:00", 80, "paid"),
    (5, None, "2024-01-03 13:00:00", 160, "paid"),
    (6, 99, "2024-01-03 14:00:00", 320, "paid"),
]


def shop(project: Project, *, unique: str = " primary key") -> Project:
    project.table(f"accounts (id int{unique}, plan varchar(20), country varchar(2), rate int)", ACCOUNTS)
    project.table("invoices (id int, account_id int, created_at timestamp, amount int, status varchar(9))", INVOICES)
    return project


@pytest.fixture
def project(database_url: str, tmp_path: Path) -> Iterator[Project]:
    found = Project(tmp_path / "project", database_url, now="2024-01-06T12:00")
    yield found
    found.close()


@pytest.fixture
def lite(tmp_path: Path, make_database: Callable[[str], str]) -> Iterator[Project]:
    found = Project(tmp_path / "project", make_database("sqlite"), now="2024-01-06T12:00")
    yield found
    found.close()


REVENUE = """
    [metrics.revenue]
    table = "invoices"
    join = "accounts on accounts.id = account_id"
    time = "created_at"
    measure = "sum(amount)"
    by = ["plan", "accounts.country"]
"""


def test_a_fact_without_a_row_to_join_is_counted_under_null(project: Project) -> None:
    shop(project).declare(REVENUE)
    project.run()
    assert project.both("revenue", scope="month", by=["plan"]) == {
        ("2024-01-01", "free"): 40, ("2024-01-01", "pro"): 110, ("2024-01-01", None): 480,
    }  # fmt: skip
    by_country = project.both("revenue", scope="month", by=["accounts.country"], where=["plan=pro"])
    assert by_country == {("2024-01-01", "DE"): 30, ("2024-01-01", None): 80}
    assert project.both("revenue", scope="month") == {"2024-01-01": 630}


def test_columns_of_joined_tables_stand_in_measure_and_where(project: Project) -> None:
    shop(project).declare("""
        [metrics.weighted]
        table = "invoices"
        join = "accounts as a on a.id = invoices.account_id"
        time = "created_at"
        where = "a.plan = 'pro' and status = 'paid'"
        measure = "sum(invoices.amount * a.rate)"

        [metrics.accounts_with_invoices]
        table = "invoices"
        join = "accounts as a on a.id = account_id"
        time = "created_at"
        measure = "count(distinct case when plan <> 'free' then a.country end)"
    """)
    project.run()
    assert project.both("weighted", scope="month") == {"2024-01-01": 10 * 2 + 20 * 2 + 80 * 5}
    assert project.both("accounts_with_invoices", scope="month") == {"2024-01-01": 1}


def test_a_chain_of_joins_reaches_further_tables_and_their_time(project: Project) -> None:
    shop(project)
    project.table("items (invoice_id int, quantity int)", [(1, 1), (1, 2), (2, 4), (3, 8), (6, 16)])
    project.declare("""
        [metrics.sold]
        table = "items"
        join = ["invoices on invoices.id = invoice_id", "accounts on accounts.id = invoices.account_id"]
        time = "invoices.created_at"
        measure = "sum(quantity)"
        by = ["plan", "status"]
    """)
    project.run()
    assert project.both("sold", by=["plan"]) == {
        ("2024-01-01", "pro"): 3, ("2024-01-02", "free"): 8, ("2024-01-02", "pro"): 4, ("2024-01-03", None): 16,
    }  # fmt: skip


def test_a_level_of_intervals_is_split_by_a_joined_column(project: Project) -> None:
    shop(project)
    project.table(
        "seats (account_id int, n int, since timestamp, till timestamp)",
        [(1, 3, "2023-12-01 00:00:00", None), (2, 5, "2024-01-02 09:00:00", "2024-01-04 09:00:00")],
    )
    project.declare("""
        [metrics.seats]
        kind = "level"
        table = "seats"
        join = "accounts on accounts.id = account_id"
        from = "since"
        until = "till"
        measure = "sum(n)"
        by = ["plan"]
    """)
    project.run()
    assert project.both("seats", by=["plan"], from_="2024-01-03", to="2024-01-04") == {
        ("2024-01-03", "free"): 5, ("2024-01-03", "pro"): 3, ("2024-01-04", "pro"): 3,
    }  # fmt: skip


def test_a_key_that_is_not_unique_is_refused_with_both_counts(project: Project) -> None:
    shop(project, unique="").declare(REVENUE)
    project.run()
    project.insert("accounts", [(1, "pro", "AT", 7)])
    said = project.run_fails()
    assert "several rows of accounts have id = 1: a fact would be counted once for each of them" in said
    assert "6 rows of invoices would become 8" in said
    assert "select" in said


def test_chinooks_invoices_joined_to_their_lines_are_refused(tmp_path: Path, shared_data: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.sqlite").write_bytes((shared_data / "chinook.sqlite").read_bytes())
    project = Project(folder, f"sqlite:///{folder}/app.sqlite", now="2026-01-02T12:00")
    metric = """
        [metrics.revenue]
        table = "{table}"
        join = "{join}"
        time = "InvoiceDate"
        measure = "sum({measure})"
        decimals = 2
    """
    project.declare(
        metric.format(
            table="Invoice", join="InvoiceLine on InvoiceLine.InvoiceId = Invoice.InvoiceId", measure="Total"
        ),
        start="2021-01-01",
    )
    assert "412 rows of Invoice would become 2,240" in project.run_fails()
    project.declare(
        metric.format(
            table="InvoiceLine", join="Invoice on Invoice.InvoiceId = InvoiceId",
            measure="InvoiceLine.UnitPrice * Quantity",
        ),
        start="2021-01-01",
    )  # fmt: skip
    project.run()
    with closing(sqlite3.connect(folder / "app.sqlite")) as database:
        ((total,),) = database.execute("select round(sum(Total), 2) from Invoice").fetchall()
    assert float(project.ask("revenue", scope="all")["2021-01-01"]) == total == 2328.6
    project.close()


@pytest.mark.parametrize("key", ['by = ["status"]', "where = \"status = 'x'\""])
def test_a_name_that_two_tables_have_is_an_error_naming_both(lite: Project, key: str) -> None:
    shop(lite).execute("alter table accounts add column status text")
    lite.declare(REVENUE.replace('by = ["plan", "accounts.country"]', key))
    said = lite.run_fails()
    assert "'status' is a column of invoices and of accounts" in said
    assert "write invoices.status or accounts.status" in said


def test_a_qualified_name_says_which_is_meant(lite: Project) -> None:
    shop(lite).execute("alter table accounts add column status text", "update accounts set status = 'big'")
    lite.declare(REVENUE.replace('"accounts.country"', '"accounts.status", "invoices.status"'))
    lite.run()
    by = ["accounts.status", "invoices.status"]
    assert lite.both("revenue", scope="month", by=by, where=["invoices.status=open"]) == {
        ("2024-01-01", "big", "open"): 40
    }


def test_a_text_and_a_number_are_no_key(lite: Project) -> None:
    lite.table("accounts (id text primary key, plan text)", [("1", "pro"), ("01", "free")])
    lite.table("invoices (account_id int, created_at timestamp, amount int)", [(1, "2024-01-01 10:00:00", 5)])
    lite.declare(REVENUE.replace(', "accounts.country"', ""))
    assert "is of kind text, account_id of kind int" in lite.run_fails()


def test_an_index_over_some_of_the_rows_promises_nothing(project: Project) -> None:
    if project.kind in ("duckdb", "mariadb"):
        pytest.skip(f"{project.kind} has no such indexes")
    shop(project, unique="").execute("create unique index one on accounts (id) where rate < 5")
    project.insert("accounts", [(1, "pro", "AT", 7)])
    project.declare(REVENUE)
    assert "several rows of accounts have id = 1" in project.run_fails()


@pytest.mark.parametrize("kind", [k for k in DATABASES if k != "duckdb"])
def test_the_index_of_the_time_is_reached_through_the_join(
    kind: str, tmp_path: Path, make_database: Callable[[str], str]
) -> None:
    project = shop(Project(tmp_path / "project", make_database(kind), now="2024-01-06T12:00"))
    rows = [(i, i % 3 + 1, f"2024-01-0{i % 5 + 1} 1{i % 9}:00:00", i, "paid") for i in range(10, 3000)]
    project.insert("invoices", rows)
    project.declare(REVENUE)
    plan = project.book.plan("revenue")
    assert not by_index(plan.works[0].group, plan.works[0].stretches[0][0])
    project.execute("create index times on invoices (created_at)")
    project.execute(*{"postgresql": ["analyze"], "mariadb": ["analyze table invoices"]}.get(kind, []))
    (work,) = project.book.plan("revenue").works
    assert by_index(work.group, work.stretches[0][0])
    assert explained(project, work.group.select(["COUNT(*)"], *[work.stretches[0][0]] * 2, split=False))
    project.close()


def explained(project: Project, sql: str) -> bool:
    """Whether the whole statement, join and all, uses the index of that name."""
    with project.database.cursor() as cursor:
        cursor.execute(("explain query plan " if project.kind == "sqlite" else "explain ") + sql)
        return "times" in str(cursor.fetchall())


def test_columns_are_told_in_the_spelling_of_the_database(lite: Project) -> None:
    shop(lite).declare(REVENUE.replace('"plan"', '"Plan"'))
    assert "did you mean 'plan'" in lite.run_fails()
    lite.declare(
        REVENUE.replace('by = ["plan", "accounts.country"]', "where = \"Accounts.PLAN = 'pro' and Plan <> 'x'\"")
    )
    lite.run()
    assert lite.ask("revenue", scope="month") == {"2024-01-01": 110}


def test_the_join_belongs_to_the_definition(lite: Project) -> None:
    shop(lite)
    lite.table("customers (id int primary key, plan text, country text)", [(1, "pro", "DE")])
    hashes = set()
    for join in ("accounts on accounts.id = account_id", "customers as accounts on accounts.id = account_id"):
        lite.declare(REVENUE.replace("accounts on accounts.id = account_id", join))
        hashes.add(lite.run().metrics[0].definition)
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("line", "path", "words"),
    [
        ('join = "accounts"', "join", ["TABLE on TABLE.column = column"]),
        ('join = "left join accounts on accounts.id = account_id"', "join", ['"accounts on accounts.id = account_id"']),
        ('join = "accounts on id = account_id"', "join", ["which side", '"accounts on accounts.id = account_id"']),
        (
            'join = ["accounts on accounts.id = account_id", "plans on id = accounts.plan_id"]',
            "join",
            ['["accounts on accounts.id = account_id", "plans on plans.id = accounts.plan_id"]'],
        ),
        ('join = "accounts on accounts.id > account_id"', "join", ["TABLE on TABLE.column = column"]),
        ('join = "invoices on invoices.id = parent_id"', "join", ["is the name of two tables"]),
        ('join = "accounts on accounts.id = plans.id"', "join", ["not joined before"]),
        (
            'join = "accounts on accounts.id = account_id"\nby = ["acounts.plan"]',
            "by",
            ["did you mean 'accounts.plan'"],
        ),
        ('by = ["accounts.plan"]', "by", ["contains a table name", '["plan"]']),
    ],
)
def test_a_join_that_cannot_be_is_told_with_what_to_paste(
    tmp_path: Path, line: str, path: str, words: list[str]
) -> None:
    told = mistakes(tmp_path, f'table = "invoices"\ntime = "created_at"\nmeasure = "count(*)"\n{line}')
    assert list(told) == [f"metrics.x.{path}"]
    for word in words:
        assert word in told[f"metrics.x.{path}"]


def test_a_query_joins_by_itself(tmp_path: Path) -> None:
    sql = 'sql = "select t from a"\ntime = "t"\nmeasure = "count(*)"\njoin = "b on b.id = b_id"'
    assert "a query joins in its own SQL" in mistakes(tmp_path, sql)["metrics.x.join"]


def mistakes(folder: Path, metric: str) -> dict[str, Any]:
    import tallybook

    (folder / "tallybook.toml").write_text(f'[sources.app]\nurl = "sqlite:///app.db"\n[metrics.x]\n{metric}\n')
    with pytest.raises(DeclarationError) as error:
        tallybook.open(folder)
    return {problem.path: str(problem) for problem in error.value.problems}


def test_an_index_that_was_never_finished_promises_nothing(postgresql_url: str, tmp_path: Path) -> None:
    import psycopg

    project = shop(Project(tmp_path / "project", postgresql_url, now="2024-01-06T12:00"), unique="")
    project.insert("accounts", [(1, "pro", "AT", 7)])
    connection = project.database.connect()
    connection.autocommit = True
    with closing(connection), pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("create unique index concurrently one on accounts (id)")
    project.declare(REVENUE)
    assert "several rows of accounts have id = 1" in project.run_fails()
    project.close()


def test_times_with_an_offset_are_read_through_a_join(lite: Project) -> None:
    lite.table("accounts (id int primary key, plan text)", [(1, "pro")])
    lite.table(
        "invoices (account_id int, created_at text, amount int)",
        [(1, "2024-01-02T01:00:00+02:00", 5), (1, "2024-01-01T23:30:00-01:00", 7)],
    )
    lite.declare(REVENUE.replace(', "accounts.country"', "") + '    stored = "offset"\n')
    lite.run()
    assert lite.both("revenue", by=["plan"]) == {("2024-01-01", "pro"): 5, ("2024-01-02", "pro"): 7}


def test_a_type_or_a_unit_is_no_column(lite: Project) -> None:
    lite.table("accounts (id int primary key, date text, integer text)", [(1, "x", "y")])
    lite.table(
        "invoices (account_id int, created_at timestamp, date text, integer int)", [(1, "2024-01-01 10:00:00", "z", 3)]
    )
    lite.declare(
        REVENUE.replace('    by = ["plan", "accounts.country"]', "").replace("sum(amount)", "sum(cast('4' as integer))")
    )
    lite.run()
    assert lite.ask("revenue", scope="month") == {"2024-01-01": 4}
