"""`init` asks the catalog of a server few questions on one connection, whatever the number of tables."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tallybook.cli import invoke
from tests.projects import Project

TABLES = 40


@contextmanager
def counted(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[str]]]:
    """The connections and statements of the driver inside the block."""
    seen: dict[str, list[str]] = {"connections": [], "statements": []}
    with monkeypatch.context() as patch:
        if kind == "mariadb":
            import pymysql.connections
            import pymysql.cursors

            connect, query = pymysql.connections.Connection.connect, pymysql.cursors.Cursor._query

            def connected(self: Any, sock: Any = None) -> Any:
                seen["connections"].append("")
                return connect(self, sock)

            def asked(self: Any, sql: Any) -> Any:
                seen["statements"].append(str(sql))
                return query(self, sql)

            patch.setattr(pymysql.connections.Connection, "connect", connected)
            patch.setattr(pymysql.cursors.Cursor, "_query", asked)
        else:
            import psycopg

            opened, execute = psycopg.Connection.connect, psycopg.Cursor.execute

            def connecting(*args: Any, **options: Any) -> Any:
                seen["connections"].append("")
                return opened(*args, **options)

            def executing(self: Any, sql: Any, *args: Any, **options: Any) -> Any:
                seen["statements"].append(str(sql))
                return execute(self, sql, *args, **options)

            patch.setattr(psycopg.Connection, "connect", connecting)
            patch.setattr(psycopg, "connect", connecting)
            patch.setattr(psycopg.Cursor, "execute", executing)
        yield seen


def questions(statements: list[str]) -> list[str]:
    """The statements without those that set up a session or a snapshot."""
    setup = ("SET ", "START TRANSACTION", "BEGIN", "ROLLBACK", "COMMIT", "SELECT CASE WHEN PG_BACKEND_PID")
    return [s for s in statements if not s.strip().upper().startswith(setup)]


def init(project: Project, folder: Path, *words: str) -> tuple[int, str]:
    out = io.StringIO()
    arguments = ["init", project.url, "--project", str(folder), *words]
    code = invoke(arguments, now=lambda: project.now, stdout=out, stderr=out, env={"DATABASE_URL": project.url})
    return code, out.getvalue()


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_many_tables_are_read_on_one_connection_by_few_statements(
    kind: str, make_database: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "elsewhere", make_database(kind))
    project.execute(
        *(
            f"create table part_{i} (id int primary key, owner_id int unique, created_at timestamp null)"
            for i in range(TABLES)
        )
    )
    with counted(kind, monkeypatch) as empty:
        code, printed = init(project, tmp_path)
    assert code == 1
    assert f"all {TABLES} tables of this database are empty" in printed
    assert not (tmp_path / "tallybook.toml").exists()
    assert len(empty["connections"]) == 1
    assert len(questions(empty["statements"])) <= 12

    project.insert("part_1", [(1, 1, "2024-01-01 10:00:00"), (2, 2, "2024-01-02 10:00:00")])
    with counted(kind, monkeypatch) as filled:
        code, printed = init(project, tmp_path)
    assert code == 0, printed
    assert f"{TABLES - 1} tables without rows" in printed
    assert len(filled["connections"]) == 2  # one for the draft, one for the preview
    text = (tmp_path / "tallybook.toml").read_text()
    assert f"# {TABLES - 1} tables without rows: part_0, part_10, part_11, part_12, part_13, …" in text


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgresql", "mariadb"])
def test_the_catalog_as_a_whole_is_that_of_each_table(
    kind: str, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    from tallybook.collect import open_source
    from tallybook.core import SourceSettings

    project = Project(tmp_path, make_database(kind))
    project.execute(
        "create table owners (id int primary key, code varchar(9) unique, note varchar(9))",
        "create table parts (a int, b int, owner_id int references owners (id), c int, primary key (a, b), "
        "unique (c, owner_id), foreign key (owner_id) references owners (id))",
    )
    source = open_source(SourceSettings(name="app", url=project.url))
    try:
        for table in source.catalog():
            assert list(table.columns) == source.columns(table.name)
            assert set(table.unique_keys) == set(source.unique_keys(table.name))
            assert table.unique_keys[0] == source.unique_keys(table.name)[0]
            assert set(table.foreign_keys) == set(source.foreign_keys(table.name))
        assert [table.name for table in source.catalog()] == ["owners", "parts"]
    finally:
        source.close()


def test_an_empty_database_is_reported_in_json(tmp_path: Path, make_database: Callable[[str], str]) -> None:
    project = Project(tmp_path / "elsewhere", make_database("sqlite"))
    project.execute("create table users (id integer primary key, created_at text)")
    code, printed = init(project, tmp_path, "--format", "json")
    assert code == 1
    assert json.loads(printed) == {"file": None, "metrics": [], "tables": 1, "empty": ["users"]}
