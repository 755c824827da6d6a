"""Policies of a server that hide rows: an error, unless they are meant, and then part of what a number means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest

from tallybook.collect.sources import clickhouse, mssql, oracle, snowflake
from tallybook.collect.sources.policies import check_policies
from tallybook.collect.sources.registry import open_source
from tallybook.config.catalog.building import build
from tallybook.core import SourceSettings
from tallybook.core.errors import DeclarationError, SourceError
from tests import servers
from tests.kinds import kinds_of
from tests.projects import MakeProject, Project, project

__all__ = ["project"]

ORDERS = '[metrics.m]\ntable = "orders"\ntime = "created_at"\nmeasure = "sum(v)"\n'
APPLY = 'policies = "apply"'
DAY = "2024-01-01"


@pytest.fixture
def tenants(project: MakeProject, postgresql_server: servers.Server) -> Iterator[Project]:
    one = project("postgresql")
    one.table("orders (created_at timestamp, tenant text, v int)",
              [("2024-01-01 10:00:00", "t1", 1), ("2024-01-01 11:00:00", "t2", 10)])  # fmt: skip
    one.table("free (created_at timestamp, v int)", [("2024-01-01 10:00:00", 5)])
    role = f"reader_{one.folder.name}_{id(one)}"
    one.execute(
        f"create role {role} login password 'x'", f"grant select on orders, free to {role}",
        "alter table orders enable row level security",
    )  # fmt: skip
    database = one.url.rpartition("/")[2]
    one.url = postgresql_server.url(database, user=role, password="x")
    yield one
    one.close()
    one.execute(f"drop owned by {role}", f"drop role {role}")


def with_policy(one: Project) -> Project:
    one.execute("create policy own on orders using (tenant = current_setting('app.tenant', true))")
    return one


def as_tenant(one: Project, tenant: str) -> None:
    one.url = one.url.partition("?")[0] + f"?options={quote(f'-c app.tenant={tenant}')}"


def test_rows_that_a_policy_hides_are_an_error_with_the_line_to_paste(tenants: Project) -> None:
    tenants.declare(ORDERS)
    said = tenants.run_fails()
    assert 'row-level security policy for table "orders"' in said
    assert '[sources.app]\npolicies = "apply"' in said
    (look,) = tenants.book.look()
    assert 'policies = "apply"' in look.problems[0].hint


@pytest.mark.parametrize(
    "more",
    [
        (
            '[metrics.m]\nsql = "select created_at, v from (select * from orders) o"\n'
            'time = "created_at"\nmeasure = "sum(v)"'
        ),
        '[metrics.m]\nsql = "select created_at, v from seen"\ntime = "created_at"\nmeasure = "count(distinct v)"',
        '[metrics.m]\nkind = "level"\ntable = "orders"\nmeasure = "count(*)"',
        (
            '[metrics.m]\ntable = "free"\njoin = "orders on orders.v = v"\n'
            'time = "created_at"\nmeasure = "count(*)"\nby = ["orders.tenant"]'
        ),
        '[metrics.m]\nfunction = "orders.py:counted"',
    ],
)
def test_every_way_to_read_filtered_rows_is_an_error(tenants: Project, more: str) -> None:
    role = tenants.url.partition("//")[2].partition(":")[0]
    tenants.execute(
        "create view seen with (security_invoker) as select * from orders"
        if _version(tenants) >= 15
        else "create view seen as select * from orders"
    )
    tenants.execute(f"grant select on seen to {role}")
    (tenants.folder / "orders.py").write_text(
        "def counted(day, db):\n    return db.exec_driver_sql('select count(*) from orders').scalar()\n"
    )
    tenants.declare(more, start="2024-03-05")
    assert "row-level security" in tenants.run_fails()


def _version(one: Project) -> int:
    with one.database.cursor() as cursor:
        cursor.execute("show server_version_num")
        return int(cursor.fetchone()[0]) // 10000


def test_fresh_is_not_filtered_in_silence(tenants: Project) -> None:
    tenants.declare('[metrics.m]\ntable = "free"\ntime = "created_at"\nmeasure = "count(*)"',
                    source='fresh = "select max(created_at) from orders"')  # fmt: skip
    assert "row-level security" in tenants.run_fails()


def test_a_draft_says_of_a_filtered_table_why_nothing_was_made_of_it(tenants: Project) -> None:
    from datetime import UTC, datetime

    from tallybook.draft.drafting import draft

    made = draft(tenants.url, folder=tenants.folder, now=datetime(2024, 1, 3, tzinfo=UTC))
    assert "row-level security" in made.skipped["orders"]
    assert [metric.keys["table"] for metric in made.metrics] in (["free"], [])


def test_policies_that_are_meant_are_applied(tenants: Project) -> None:
    as_tenant(with_policy(tenants), "t1")
    tenants.declare(ORDERS, source=APPLY)
    tenants.run()
    assert tenants.both("m", scope="all") == {DAY: 1}
    (look,) = tenants.book.look_at_sources()
    assert "public.orders" in " ".join(look.said)
    assert "only the rows that this user may see" in " ".join(look.said)


def test_another_tenant_is_another_definition(tenants: Project) -> None:
    found = {}
    as_tenant(with_policy(tenants), "t1")
    tenants.declare(ORDERS, source=APPLY)
    tenants.run()
    found["t1"] = tenants.book.metric("m").definition
    tenants.book.close()
    as_tenant(tenants, "t2")
    tenants.declare(ORDERS, source=APPLY)
    report = tenants.run()
    found["t2"] = tenants.book.metric("m").definition
    assert len(set(found.values())) == 2
    assert "only under an older definition" in " ".join(report.metrics[0].notes)
    assert tenants.ask("m", scope="all", definition=found["t1"]) == {DAY: 1}
    tenants.run(from_=DAY, to=DAY)
    assert tenants.ask("m", scope="day", from_=DAY, to=DAY) == {DAY: 10}


def test_a_copy_with_other_session_options_is_another_tenant(tenants: Project) -> None:
    as_tenant(with_policy(tenants), "t1")
    tenants.declare(ORDERS, source=APPLY)
    copy = tenants.url.replace("t1", "t2")
    with pytest.raises(DeclarationError, match="different session options"):
        tenants.book.run(sources={"app": copy})


@pytest.mark.parametrize("right", ["superuser", "bypassrls", "owner"])
def test_who_sees_all_rows_sees_no_difference(tenants: Project, right: str) -> None:
    role = tenants.url.partition("//")[2].partition(":")[0]
    given = {"superuser": f"alter role {role} superuser", "bypassrls": f"alter role {role} bypassrls",
             "owner": f"alter table orders owner to {role}"}  # fmt: skip
    tenants.execute(given[right])
    tenants.declare(ORDERS)
    tenants.run()
    assert tenants.ask("m", scope="all") == {DAY: 11}
    (look,) = tenants.book.look_at_sources()
    assert "none of them filters" in " ".join(look.said)
    if right == "owner":
        tenants.execute("alter table orders force row level security")
        assert "row-level security" in tenants.book.run(from_=DAY, to=DAY).failed[0].error


def test_refusing_changes_no_definition(project: MakeProject) -> None:
    one = project("postgresql")
    one.table("orders (created_at timestamp, v int)", [("2024-01-01 10:00:00", 1)])
    found = []
    for source in ("", 'policies = "refuse"'):
        one.declare(ORDERS, source=source)
        one.run()
        found.append(one.book.metric("m").definition)
    assert len(set(found)) == 1


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb", "mysql", "redshift", "bigquery", "trino"])
def test_a_server_without_policies_that_can_be_seen_has_no_such_key(dialect: str) -> None:
    with pytest.raises(DeclarationError, match="has no row-level policies"):
        build({"sources": {"app": {"url": "x", "policies": "apply"}}}, kinds=kinds_of({"app": dialect}))


# ------------------------------------------------------------------------------------- servers without such a switch


class Policied:
    """A source whose catalogue says so much of policies and views."""

    filtered: ClassVar = [("app.orders", True), ("app.other", True), ("app.open", False)]

    def __init__(self, policies: str = "refuse") -> None:
        self.settings = SourceSettings(name="app", url="x", policies=policies)
        self.remembered: dict[Any, Any] = {}

    def policies(self) -> Any:
        return self.filtered

    def view_texts(self) -> list[tuple[str, str]]:
        return [("Seen", "select * from deeper"), ("deeper", "select * from app.[Orders]")]


@pytest.mark.parametrize(
    "text", ["orders", '"Orders"', "(select * from app.orders) f", "seen", "(select 1 from SEEN) f"]
)
def test_sql_that_reads_a_filtered_table_is_refused_also_through_views(text: str) -> None:
    with pytest.raises(SourceError, match=r"a policy filters the rows of app\.orders"):
        check_policies(Policied(), text)  # type: ignore[arg-type]
    check_policies(Policied("apply"), text)  # type: ignore[arg-type]
    check_policies(Policied(), "reorders, open")  # type: ignore[arg-type]


def test_clickhouse_is_asked_for_row_policies(project: MakeProject) -> None:
    """chDB keeps no policies, so rows of the same columns are asked in their place."""
    kept = [
        ("everybody", 1, "", ""),
        ("but_us", 1, "", "'default'"),
        ("us", 0, "'default'", ""),
        ("others", 0, "'x'", ""),
    ]
    rows = " union all ".join(
        f"select 'app' as database, '{table}' as table, {all_} as apply_to_all, "
        f"[{to}]::Array(String) as apply_to_list, [{but}]::Array(String) as apply_to_except"
        for table, all_, to, but in kept
    )
    one = project("chdb")
    with closing(open_source(SourceSettings(name="app", url=one.url))) as source, source.snapshot() as reader:
        asked = clickhouse.POLICIES.replace("system.row_policies", f"({rows}) AS r")
        found = {table: bool(filtered) for _, table, filtered in reader.rows(asked)}
        assert found == {"everybody": True, "but_us": False, "us": True, "others": False}
        assert source.policies() in ([], None)
        source.view_texts()


def test_the_catalogues_of_warehouses_are_asked_word_for_word() -> None:
    """Not run: none of them can be had here."""
    warehouses = (mssql.MssqlSource, oracle.OracleSource, snowflake.SnowflakeSource)
    asked = "".join(f"-- {one.kind.dialect}\n{one.policy_query};\n{one.view_query};\n" for one in warehouses)
    golden = Path(__file__).parents[1] / "data/golden/policies.sql"
    if os.environ.get("TALLYBOOK_GOLDEN") == "write":
        golden.write_text(asked)
    assert asked == golden.read_text()
