"""URLs of sources: what of them is shown, and which parameters they have."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import make_url

import tallybook
from tallybook.collect.sources import mysql
from tallybook.config.proper_urls import proper_url
from tallybook.config.urls import masked, masked_url, secrets_of, wrong_url
from tallybook.core import SourceSettings, SourceUnavailable
from tallybook.core.errors import DeclarationError, TallybookError

SECRET = "hunter2secret"
MALFORMED = [
    f"postgresql:/u:{SECRET}@h/d",
    f"postgresql//u:{SECRET}@h/d",
    f"postgresql:u:{SECRET}@h/d",
    f"postgresql:\\\\u:{SECRET}@h/d",
    f"postgresql+psycopg:/u:{SECRET}@h/d",
    f"host=h user=u password={SECRET}",
    f"dbname=d host=h password='{SECRET}'",
    f"u:{SECRET}@h/d",
    SECRET,
    f"postgresql://u:{SECRET}",
    f"postgresql://u:{SECRET}@h:port/d",
    f"mysql:///u:{SECRET}@h/d",
    f"postgresql://h/d password={SECRET}",
    f"postgresql://h/d;password={SECRET}",
    f"postgresql://h/d?sslmode=require password={SECRET}",
    f"jdbc:postgresql://h/d?user=u&password={SECRET}",
    f"sqlserver://h;user=sa;password={SECRET}",
    f"sqlite://u:{SECRET}@h/d",
]


@pytest.mark.parametrize("url", MALFORMED)
def test_of_a_url_that_cannot_be_read_no_more_than_its_first_letters_is_shown(url: str) -> None:
    wrong = wrong_url(url)
    assert wrong is not None
    assert SECRET not in masked_url(url) + str(wrong)
    if "sqlite" not in url:
        assert masked_url(url) in ("…", f"{url.partition(':')[0].partition('+')[0].partition('//')[0]}:…")
    assert secrets_of(url, {})[url] == masked_url(url)


@pytest.mark.parametrize("url", MALFORMED)
def test_no_message_repeats_a_malformed_url(url: str, tmp_path: Path) -> None:
    """In tallybook.toml, from the environment, as a replica, a ledger, a store, a copy and for `init`."""
    from datetime import UTC, datetime

    from tallybook.draft.drafting import draft

    quoted = f"'''{url}'''"
    tomls = {
        "url": f"[sources.app]\nurl = {quoted}\n",
        "environment": '[sources.app]\nurl = "${SOME_URL}"\n',
        "replica": f"[sources.app]\nurl = 'postgresql://h/d'\nreplica = {quoted}\n",
        "ledger": f"[book]\nledger = {quoted}\n",
        "misspelled": f"[sources.app]\nurll = {quoted}\n",
    }
    said = {name: refused(lambda toml=toml: opened(tmp_path, toml, url)) for name, toml in tomls.items()}
    book = opened(tmp_path, "[sources.app]\nurl = 'postgresql://h/d'\n", url)
    said["copy"] = refused(lambda: book.run(sources={"app": url}, source_as_of=datetime(2024, 1, 1, tzinfo=UTC)))
    said["init"] = refused(lambda: draft(url, folder=tmp_path, now=datetime(2024, 1, 1, tzinfo=UTC)))
    assert {name: text for name, text in said.items() if SECRET in text or not text} == {}
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "tallybook.toml"
            and SECRET.encode() in path.read_bytes()] == []  # fmt: skip


def test_a_store_that_is_a_malformed_url_is_not_repeated(tmp_path: Path) -> None:
    said = refused(lambda: opened(tmp_path, f'[book]\nstore = "postgresql:/u:{SECRET}@h/d"\n', ""))
    assert "is a URL" in said
    assert SECRET not in said


def opened(folder: Path, toml: str, url: str) -> tallybook.Book:
    (folder / "tallybook.toml").write_text(toml)
    return tallybook.open(folder, env={"SOME_URL": url})


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(TallybookError) as error:
        act()
    return f"{error.value!s} {error.value!r} {error.value.hint}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql://u:x@h1:5432,h2/d?target_session_attrs=any",
            "postgresql://u:***@h1:5432,h2/d?target_session_attrs=any",
        ),
        ("postgresql:///d?host=/var/run/postgresql", "postgresql:///d?host=/var/run/postgresql"),
        ("postgresql://u:a/b?c@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u@[::1]:5432/my database", "postgresql://u@[::1]:5432/my database"),
        ("postgresql://u@h/d?options=-c app.tenant=t1", "postgresql://u@h/d?options=-c app.tenant=t1"),
        ("mssql+pyodbc:///?odbc_connect=Driver%3DX%3BPwd%3Dx", "mssql+pyodbc:///?odbc_connect=***"),
        ("mssql://u:x@host\\instance/d", "mssql://u:***@host\\instance/d"),
        ("snowflake://u:x@account/d/s?warehouse=w&role=r", "snowflake://u:***@account/d/s?warehouse=w&role=r"),
        ("oracle://u:x@h:1521/?service_name=s", "oracle://u:***@h:1521/?service_name=s"),
        ("bigquery://project/dataset", "bigquery://project/dataset"),
        ("trino://u@h:8080/catalog/schema", "trino://u@h:8080/catalog/schema"),
        ("sqlite:////srv/a b@c:d/app.db", "sqlite:////srv/a b@c:d/app.db"),
        ("sqlite:///C:/data/app.db", "sqlite:///C:/data/app.db"),
        ("duckdb:///app.duckdb", "duckdb:///app.duckdb"),
    ],
)
def test_a_url_that_can_be_read_is_shown_without_its_password(url: str, shown: str) -> None:
    assert wrong_url(url) is None
    assert masked_url(url) == shown


# ------------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("url", "name", "hint"),
    [
        ("sqlite:///app.db?mod=ro", "mod", "did you mean 'mode'?"),
        ("duckdb:///app.duckdb?threads=4", "threads", ""),
        ("duckdb:///app.duckdb?acces_mode=read_only", "acces_mode", "did you mean 'access_mode'?"),
        ("chdb:///data?database=app", "database", 'table = "app.orders"'),
        ("clickhouse://h/d?verfy=false", "verfy", "did you mean 'verify'?"),
        ("clickhouse://h?database=d", "database", "the path"),
        ("postgresql://h/d?ssl_mode=require", "ssl_mode", "did you mean 'sslmode'?"),
        ("postgres+psycopg://h/d?option=-c%20x%3D1", "option", "did you mean 'options'?"),
        ("mysql://h/d?charst=utf8mb4", "charst", "did you mean 'charset'?"),
        ("mariadb+pymysql://h/d?sslca=x", "sslca", "did you mean 'ssl_ca'?"),
    ],
)
def test_a_parameter_that_nobody_reads_is_refused(url: str, name: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError) as error:
        opened(tmp_path, f"[sources.app]\nurl = '{url}'\n", "")
    (problem,) = error.value.problems
    assert f"has a parameter {name!r}" in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///app.db?mode=ro&timeout=5",
        "sqlite:///file:app.db?mode=ro&uri=true",
        "duckdb:///app.duckdb?access_mode=READ_ONLY",
        "clickhouse://h/d?secure=true&verify=false",
        (
            "postgresql://h/d?sslmode=verify-full&sslrootcert=ca.pem&"
            "application_name=x&connect_timeout=5&options=-csearch_path%3Da"
        ),
        "mysql://h/d?charset=utf8mb4&ssl_ca=ca.pem&read_timeout=5&init_command=select+1",
        "snowflake://h/d?anything=1",
    ],
)
def test_parameters_that_a_driver_reads_stay(url: str) -> None:
    assert wrong_url(url) is None


def test_the_list_has_all_that_the_installed_drivers_know() -> None:
    import inspect

    import pymysql
    from psycopg.pq import Conninfo

    from tallybook.config.parameters import wrong_parameter

    ours = {"self", "conv", "cursorclass", "defer_connect"}
    names = {
        "postgresql": {option.keyword.decode() for option in Conninfo.get_defaults()},
        "mysql": set(inspect.signature(pymysql.connections.Connection.__init__).parameters) - ours,
    }
    missing = {(s, name) for s, several in names.items() for name in several if wrong_parameter(s, "", f"{name}=1")}
    assert missing == {("mysql", "ssl")}  # a dict, which no URL contains


HARD_PASSWORDS = [
    "a@b:hunter2/x",
    "p@ss:w/ord",
    "S3cr@et99",
    "p@ss/w#rd",
    "50%off",
    "what?now@1",
    "a b&c=d",
    "p[1]#@/",
    "ü@ñ",
]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "mysql", "mariadb", "clickhouse"])
@pytest.mark.parametrize("password", HARD_PASSWORDS)
def test_a_password_may_contain_any_character_and_no_driver_sees_a_piece_of_it(scheme: str, password: str) -> None:
    read = make_url(proper_url(f"{scheme}://reader:{password}@127.0.0.1:1/app?connect_timeout=3"))
    assert (read.username, read.password, read.host, read.port, read.database) == (
        "reader",
        password,
        "127.0.0.1",
        1,
        "app",
    )
    assert read.query == {"connect_timeout": "3"}


@pytest.mark.parametrize("password", HARD_PASSWORDS)
def test_an_encoded_password_stays_as_it_is(password: str) -> None:
    url = f"postgresql://reader:{quote(password, safe='')}@[::1]:5432/app"
    assert make_url(proper_url(url)).password == password
    assert proper_url(proper_url(url)) == proper_url(url)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("postgresql+psycopg2://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgres+asyncpg://u@h/d", "postgres://u@h/d"),
        ("mysql+mysqldb://u:p@h/d", "mysql://u:p@h/d"),
        ("sqlite+aiosqlite:///app.db", "sqlite:///app.db"),
        ("mssql+pyodbc://u:p@h/d?driver=x", "mssql+pyodbc://u:p@h/d?driver=x"),
        ("postgresql://u:p@h1:1,h2:5432/app", "postgresql://u:p@/app?host=h1:1&host=h2:5432"),
        ("postgresql://u@%2Fvar%2Frun:5432/app", "postgresql://u@/app?host=/var/run&port=5432"),
        ("postgresql://u:p@h/d?options=-c%20a.b=x@y", "postgresql://u:p@h/d?options=-c%20a.b=x@y"),
        ("postgresql://h/d", "postgresql://h/d"),
        ("bigquery://project/dataset", "bigquery://project/dataset"),
        ("events:///store", "events:///store"),
        ("no url", "no url"),
    ],
)
def test_urls_of_other_tools_are_read(url: str, read: str) -> None:
    assert proper_url(url) == read


@pytest.mark.parametrize("password", HARD_PASSWORDS)
def test_no_piece_of_a_hard_password_is_printed_when_its_server_does_not_answer(password: str, tmp_path: Path) -> None:
    secrets = secrets_of(f"postgresql://reader:{password}@127.0.0.1:1/db", {})
    shown = proper_url(f"postgresql://reader:{password}@127.0.0.1:1/db")
    assert password not in masked(f"failed: {shown} and {password}", secrets)
    assert quote(password, safe="!$&'()*+,;=-._~") not in masked(f"failed: {shown}", secrets)


@pytest.mark.parametrize(
    ("parameters", "hint"),
    [
        ("ssl=true", "ssl_ca="),
        ("sslmode=required", "ssl_ca="),
        ("useSSL=false", "remove it"),
        ("reconnect=true", "remove"),
    ],
)
def test_parameters_of_other_tools_are_named_with_what_to_do(parameters: str, hint: str) -> None:
    wrong = wrong_url(f"mysql://u:p@h/d?{parameters}")
    assert wrong is not None
    assert repr(parameters.partition("=")[0]) in wrong["message"]
    assert hint in wrong["hint"]


def test_a_port_where_no_mysql_server_listens_is_reported_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "HANDSHAKE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mysql://u:secretpw@127.0.0.1:{silent.getsockname()[1]}/app"
        with pytest.raises(SourceUnavailable) as failed:
            mysql.MysqlSource(SourceSettings(name="app", url=url)).raw()
    assert "does a MySQL or MariaDB server listen at this port?" in failed.value.hint
    assert "secretpw" not in str(failed.value)


@pytest.mark.parametrize(
    ("url", "port"),
    [("mysql://u:p@h:99999/d", "99999"), ("postgresql://u@h1:1,h2:70000/d", "70000"), ("postgresql://u:1@h:0/d", "0")],
)
def test_a_port_that_cannot_exist_is_named_before_a_driver_sees_it(url: str, port: str) -> None:
    wrong = wrong_url(url)
    assert wrong is not None
    assert (wrong["message"], wrong["expected"]) == (f"has the port {port}", "a port from 1 to 65535")
    assert wrong_url(url.replace(port, "5432")) is None


def test_numbers_that_are_no_ports_are_none() -> None:
    assert wrong_url("postgresql://u:p%3A99999@[::1]:5432/d") is None
    assert wrong_url("postgresql://u:99999@h/70000") is None
