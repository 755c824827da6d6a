"""A source is only read: whatever stands in `sql`, `fresh` or a Python metric, in whichever dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tallybook.collect.sources.base import Reader, Source
from tallybook.collect.sources.registry import open_source
from tallybook.config.catalog.building import build
from tallybook.core import SourceSettings
from tallybook.core.errors import DeclarationError, SourceError
from tests import servers
from tests.kinds import kinds_of
from tests.projects import MakeProject, Project, project
from tests.storage.test_pooler import Pooler, pooler

__all__ = ["pooler", "project"]

BREAKING_OUT = (
    "select created_at from users) f; commit; insert into victims values ('x'); "
    "select * from (select created_at from users"
)
COUNTED = 'time = "created_at"\nmeasure = "count(*)"'


def problem_of(dialect: str, *, sql: str | None = None, fresh: str | None = None, measure: str | None = None) -> str:
    """What `check` says of a text without its database; empty when it is fine."""
    source: dict[str, Any] = {"url": "x"} | ({"fresh": fresh} if fresh else {})
    metric = {"sql": sql, "time": "created_at", "measure": "count(*)"} if sql else {}
    metric |= {"table": "users", "time": "created_at", "measure": measure} if measure else {}
    raw: dict[str, Any] = {"sources": {"app": source}, "metrics": {"m": metric} if metric else {}}
    try:
        build(raw, kinds=kinds_of({"app": dialect}))
    except DeclarationError as error:
        return " ".join(problem.message for problem in error.problems)
    return ""


# ------------------------------------------------------------------------------------------- the words themselves

DIALECTS = (
    "postgres",
    "mysql",
    "sqlite",
    "duckdb",
    "clickhouse",
    "bigquery",
    "tsql",
    "oracle",
    "redshift",
    "snowflake",
    "trino",
)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "text",
    [
        BREAKING_OUT,
        "select now() where 'a' ~<~ 'x'; commit; insert into victims values ('x'); select now()",
        "select created_at from users where a ^@ b; copy (select 1) to '/some/where.csv'",
        "select created_at from users) f --",
        "select created_at from (users",
        "select created_at from users where a = 'open",
        "select created_at from users /* open",
        "select created_at into outfile '/tmp/x' from users",
        "select created_at from users where a ~<~ 'b' for update",
    ],
)
def test_what_leaves_its_brackets_or_writes_is_refused_in_every_dialect(dialect: str, text: str) -> None:
    assert problem_of(dialect, sql=text)
    assert problem_of(dialect, fresh=text)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("postgres", "select created_at from users where a = E'it\\';' or b = $$;($$ or c = $x$;$$($x$"),
        ("postgres", "select created_at from users /* ; ( /* nested */ ) */ where \"a;(\" = 'b;'"),
        ("postgres", "select created_at from users where a ~<~ 'x' and b ^@ 'y' and @ -4 = 4 -- ; ("),
        ("postgres", "select created_at from users where path = 'c:\\' or path = ';('"),
        ("mysql", "select created_at from users # ; (\nwhere a = 'it\\';' and b = \"\\\";(\" and `c;(` = 5--1"),
        ("sqlite", "select created_at, [a;(] from users where `b;(` = 'c;('"),
        ("duckdb", "select created_at from users where a = $$;($$"),
        ("clickhouse", "select created_at from users where a = 'it\\';(' # ; ("),
        ("bigquery", "select created_at from users where a = '''it's ;(''' and b = r'\\';(' # ; ("),
        ("tsql", "select created_at, [a];(]]b] as b from users where c = 'insert; ('".replace("[a];(]]b]", "[a;(]]b]")),
        ("tsql", "select created_at, [update], inserted_at from users where note = 'drop table x'"),
        ("snowflake", "select created_at from users // ; (\nwhere a = 'it\\';(' and b = $$;($$"),
        ("oracle", "select created_at from users where a = q'[it's ;(]' and b = q'!;(!'"),
    ],
)
def test_a_semicolon_or_bracket_in_quotes_and_comments_is_fine(dialect: str, text: str) -> None:
    assert problem_of(dialect, sql=text) == problem_of(dialect, fresh=text) == ""


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("postgres", "select created_at from users where a = 'it\\'; drop table users; --'"),  # \ escapes nothing
        ("postgres", "select foo$$ from users; drop table users; select $$"),  # foo$$ is a name
        ("mysql", "select created_at from users --; drop table users"),  # -- needs a blank behind it
        ("mysql", "select created_at from users /*! ; drop table users */"),  # the server runs it
        ("mysql", "select 'a\\' from users; drop table users; select '\\'"),
        ("sqlite", "select created_at from users where a = 'it\\'; drop table users; --'"),
        ("oracle", "select q'[a]' from dual; drop table users"),
        ("tsql", "select created_at from users insert victims values ('x')"),  # needs no ;
        ("tsql", "select max(created_at) from users exec('drop table users')"),
        ("trino", "select created_at from users /* a /* b */; drop table users"),  # comments do not nest
        ("clickhouse", "select created_at from users /* a /* b */; drop table users /* */ */"),
    ],
)
def test_the_quotes_and_comments_of_another_dialect_hide_nothing(dialect: str, text: str) -> None:
    assert problem_of(dialect, sql=text)
    assert problem_of(dialect, fresh=text)


def test_a_measure_with_a_comment_that_the_server_runs_is_refused() -> None:
    assert "has a comment that the server executes" in problem_of("mysql", measure="sum(id /*! + 1 */)")
    assert "has a comment that the server executes" in problem_of("mysql", measure="sum(id /*M!100100 + 1 */)")
    assert problem_of("mysql", measure="sum(id /* of users */)") == ""
    assert problem_of("mysql", measure="count(case when name = '/*! x */' then 1 end)") == ""
    assert problem_of("postgres", measure="sum(id /*! + 1 */)") == ""


def test_a_file_that_ends_in_a_semicolon_is_a_query(project: MakeProject) -> None:
    one = with_users(project("sqlite"))
    (one.folder / "metrics").mkdir()
    (one.folder / "metrics/m.sql").write_text(
        '-- time = "created_at"\n-- measure = "count(*)"\nselect created_at from users;\n'
    )
    one.declare("")
    one.run()
    assert one.ask("m", scope="all") == {"2024-01-01": 1}


# ------------------------------------------------------------------------------------------------- the databases


def with_users(one: Project) -> Project:
    one.table("users (created_at timestamp)", [("2024-01-01 10:00:00",)])
    one.table("victims (word varchar(9))")
    one.declare(f'[metrics.m]\ntable = "users"\n{COUNTED}')
    return one


def victims(one: Project) -> int:
    with one.database.cursor() as cursor:
        cursor.execute("select count(*) from victims")
        return int(cursor.fetchone()[0])


def source_of(one: Project) -> Source:
    return open_source(SourceSettings(name="app", url=one.url))


@pytest.mark.cases(4)
@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgresql", "mariadb", "chdb"])
@pytest.mark.parametrize("end", ["", "commit; ", "rollback; "])
def test_a_database_takes_one_statement_at_a_time(project: MakeProject, kind: str, end: str) -> None:
    """As if nothing had looked at the words before."""
    one = with_users(project(kind))
    several = f"select 1; {end}insert into victims values ('x')"
    ways: list[Callable[[Reader], object]] = [
        lambda reader: reader.rows(several),
        lambda reader: list(reader.batches(several)),
        lambda reader: list(reader.several([several])),
        lambda reader: reader.table(several, ["int"]),
    ]
    with closing(source_of(one)) as source:
        for read in ways:
            with source.snapshot() as reader, pytest.raises(SourceError):
                read(reader)
    assert victims(one) == 0


def test_a_copy_of_postgresql_takes_one_statement_too(project: MakeProject) -> None:
    one = with_users(project("postgresql"))
    with closing(source_of(one)) as source, pytest.raises(SourceError), source.snapshot() as reader:
        reader.table("select 1) to stdout; commit; insert into victims values ('x'); copy (select 1", ["int"])
    assert victims(one) == 0


PYTHON = """
import contextlib
import tallybook

INSERT = "insert into victims values ('x')"

def tried(write):
    with contextlib.suppress(Exception):
        write()

def elsewhere(db, **options):
    with db.engine.connect().execution_options(**options) as other:
        other.exec_driver_sql(INSERT)
        other.commit()

"""
WRITES = """
@tallybook.metric
def writes_{number}(day, db):
    {body}
    return 1
"""
BODIES = {
    "commit": "tried(lambda: (db.commit(), db.exec_driver_sql(INSERT), db.commit()))",
    "raw commit": (
        'tried(lambda: (db.exec_driver_sql("commit"), db.exec_driver_sql(INSERT), db.exec_driver_sql("commit")))'
    ),
    "another connection": "tried(lambda: elsewhere(db))",
    "several": 'tried(lambda: db.exec_driver_sql("select 1; commit; " + INSERT + "; commit"))',
    "driver": "tried(lambda: (db.commit(), db.connection.cursor().execute(INSERT), db.connection.commit()))",
    "autocommit": 'tried(lambda: elsewhere(db, isolation_level="AUTOCOMMIT"))',
}


def declare_python(folder: Path, bodies: Iterable[str]) -> None:
    """A metric for each way to write."""
    (folder / "metrics").mkdir()
    metrics = [WRITES.format(number=number, body=BODIES[body]) for number, body in enumerate(bodies)]
    (folder / "metrics/python.py").write_text("".join([PYTHON, *metrics]))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_a_python_metric_cannot_write_after_a_commit(project: MakeProject, kind: str) -> None:
    one = with_users(project(kind))
    declare_python(one.folder, BODIES)
    one.declare("", start="2024-03-05")
    one.run()
    assert victims(one) == 0


def test_a_python_metric_cannot_write_behind_a_pooler(pooler: Pooler, tmp_path: Path) -> None:
    import tallybook

    with closing(pooler.connect()) as database:
        database.execute("create table victims (word text)")
        before = pooler.settings()
        (tmp_path / "tallybook.toml").write_text(f'[book]\nstart = "2024-03-05"\n[sources.app]\nurl = "{pooler.url}"\n')
        declare_python(tmp_path, sorted(BODIES.keys() - {"autocommit"}))
        with tallybook.open(tmp_path, now=lambda: datetime(2024, 3, 6, 12, tzinfo=UTC), env={}) as book:
            assert not book.run().failed
        assert database.execute("select count(*) from victims").fetchone() == (0,)
    assert pooler.settings() == before


def test_a_session_of_postgresql_is_read_only_where_it_is_ours_alone(
    postgresql_server: servers.Server, make_database: Callable[[str], str], pooler: Pooler
) -> None:
    asked = "select current_setting('default_transaction_read_only'), current_setting('transaction_read_only')"
    found = {}
    for name, url in {"direct": make_database("postgresql"), "pooled": pooler.url}.items():
        with closing(open_source(SourceSettings(name="app", url=url))) as source, source.snapshot() as reader:
            found[name] = reader.rows(asked)
    assert found == {"direct": [("on", "on")], "pooled": [("off", "on")]}


# ------------------------------------------------------------------------------------------------- files of DuckDB


@pytest.fixture
def lake(project: MakeProject) -> Project:
    """A DuckDB project with CSV files in `exports` and elsewhere, and a view over each."""
    one = project("duckdb")
    for folder in ("exports", "elsewhere"):
        (one.folder / folder).mkdir()
        (one.folder / folder / "sold.csv").write_text("created_at,v\n2024-01-01 10:00:00,5\n2024-01-02 10:00:00,6\n")
        one.execute(f"create view {folder} as select created_at, v from read_csv('{one.folder / folder}/*.csv')")
    one.table("users (created_at timestamp)", [("2024-01-01 10:00:00",)])
    return one


SUM = '[metrics.m]\n{facts}\ntime = "created_at"\nmeasure = "sum(v)"\n'
FILES = 'files = ["exports/"]'


@pytest.mark.parametrize(
    "facts", ['table = "exports"', "sql = \"select created_at, v from read_csv('{folder}/exports/sold.csv')\""]
)
def test_declared_files_are_read(lake: Project, facts: str) -> None:
    lake.declare(SUM.format(facts=facts.format(folder=lake.folder)), source=FILES)
    lake.run()
    assert lake.ask("m", scope="all") == {"2024-01-01": 11}


@pytest.mark.parametrize(
    "facts",
    [
        'table = "elsewhere"',
        "sql = \"select created_at, v from read_csv('{folder}/elsewhere/sold.csv')\"",
        "sql = \"select created_at, v from '{folder}/exports/../elsewhere/sold.csv'\"",
    ],
)
def test_a_file_that_is_not_declared_is_not_read_and_the_line_is_there_to_paste(lake: Project, facts: str) -> None:
    lake.declare(SUM.format(facts=facts.format(folder=lake.folder)), source=FILES)
    said = lake.run_fails()
    assert "[sources.app]\nfiles = [" in said
    assert "elsewhere/" in said.partition("files = ")[2]
    assert any("files = [" in problem.hint for look in lake.book.look() for problem in look.problems)


def test_the_pasted_line_is_enough(lake: Project) -> None:
    metrics = SUM.format(facts='table = "elsewhere"')
    lake.declare(metrics)
    pasted = lake.run_fails().partition("[sources.app]\n")[2].strip()
    lake.declare(metrics, source=pasted)
    lake.run()
    assert lake.ask("m", scope="all") == {"2024-01-01": 11}


def test_the_line_to_paste_of_a_relative_path_is_right_in_every_project(lake: Project, monkeypatch: Any) -> None:
    monkeypatch.chdir(lake.folder / "elsewhere")
    metrics = SUM.format(facts="sql = \"select created_at, v from '../exports/sold.csv'\"")
    lake.declare(metrics)
    pasted = lake.run_fails().partition("[sources.app]\n")[2].strip()
    lake.declare(metrics, source=pasted)
    lake.run()
    assert lake.ask("m", scope="all") == {"2024-01-01": 11}


@pytest.mark.parametrize("path", ["exports/sold.csv", "exports/*.csv"])
def test_a_relative_path_from_another_folder_is_answered_with_the_whole_path(
    lake: Project, monkeypatch: Any, path: str
) -> None:
    monkeypatch.chdir("/")
    lake.declare(SUM.format(facts=f"sql = \"select created_at, v from read_csv('{path}')\""), source=FILES)
    said = lake.run_fails()
    assert f"write the whole path, '{lake.folder}/{path}'" in said
    lake.declare(
        SUM.format(facts=f"sql = \"select created_at, v from read_csv('{lake.folder}/{path}')\""), source=FILES
    )
    lake.run()


def test_a_single_file_can_be_declared(lake: Project) -> None:
    lake.declare(SUM.format(facts='table = "exports"'), source='files = ["exports/sold.csv"]')
    assert "files = [" in lake.run_fails(), "the view reads the folder"
    facts = f"sql = \"select created_at, v from read_csv('{lake.folder}/exports/sold.csv')\""
    lake.declare(SUM.format(facts=facts), source='files = ["exports/sold.csv"]')
    lake.run()


@pytest.mark.cases(6)
@pytest.mark.parametrize(
    "text",
    [
        "select * from read_csv('http://127.0.0.1:9/x.csv')",
        "select * from 's3://bucket/x.parquet'",
        "select * from read_text('/etc/hostname')",
        "select * from glob('/etc/*')",
        "select * from sqlite_scan('x.db', 't')",
        "select st_point(1, 2)",
        "set enable_external_access = true",
        "copy (select 1) to 'x.csv'",
        "install httpfs",
        "load httpfs",
        "attach 'other.duckdb'",
        "pragma database_size",
    ],
)
def test_nothing_else_can_be_reached_from_a_duckdb_source(lake: Project, text: str) -> None:
    with closing(source_of(lake)) as source, pytest.raises(SourceError), source.snapshot() as reader:
        reader.rows(text)


def test_python_variables_are_no_tables(lake: Project) -> None:
    import pyarrow as pa

    secrets = pa.table({"word": ["x"]})
    assert secrets.num_rows == 1
    with closing(source_of(lake)) as source, pytest.raises(SourceError, match="does not exist"), source.snapshot() as r:
        r.rows("select * from secrets")


def test_a_database_that_was_not_closed_well_and_one_larger_than_memory_are_read(lake: Project) -> None:
    lake.execute("create table many as select range v, repeat('x', 40) || range w from range(400000)")
    lake.database.close() if hasattr(lake.database, "close") else None
    with closing(source_of(lake)) as source, source.snapshot() as reader:
        source.connection().execute("set memory_limit = '40MB'")  # type: ignore[attr-defined]
        assert (
            reader.rows("select count(*), max(w) from (select w, row_number() over (order by w) n from many)")[0][0]
            == 400000
        )


@pytest.mark.parametrize(
    ("kind", "written", "said"),
    [
        ("sqlite", 'files = ["exports/"]', "only a DuckDB source"),
        ("duckdb", 'files = "exports/"', "is not a list"),
        ("duckdb", 'files = ["https://example.com/x/"]', "is a URL"),
        ("duckdb", 'files = ["exports/*.csv"]', "is a pattern"),
    ],
)
def test_files_are_folders_and_files_of_a_duckdb_source(
    project: MakeProject, kind: str, written: str, said: str
) -> None:
    one = project(kind)
    one.declare("", source=written)
    with pytest.raises(DeclarationError, match=said):
        one.book.metrics()
