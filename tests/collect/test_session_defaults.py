"""Settings that a server has for every session of a user or database change no number."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tallybook.collect.sources.registry import open_source
from tests.loading import open_database
from tests.projects import project

__all__ = ["project"]

METRIC = '[metrics.{name}]\ntable = "o"\ntime = "happened"\nmeasure = "{measure}"\n'
MEASURES = {"adds": "sum(f)", "med": "median(f)", "ids": "count(distinct f)", "ends": "last(f)", "dev": "stddev(f)"}


def administer(url: str, statement: str) -> None:
    """Run a statement that cannot be in a transaction."""
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as database:
        database.execute(statement)


def test_a_limit_that_a_server_sets_for_every_session_cuts_no_result(project):
    p = project("mariadb")
    p.execute("create table o (happened datetime, x int, plan varchar(9))")
    p.execute("insert into o values " + ", ".join(f"('2024-03-0{1 + i % 5} 10:00:00', {i}, 'p{i}')" for i in range(20)))
    limits = "set session sql_select_limit = 3, session max_join_size = 4, session tx_isolation = 'READ-COMMITTED'"
    p.url += f"?init_command={quote(limits)}"
    p.declare(
        METRIC.format(name="adds", measure="sum(x)")
        + 'by = ["plan"]\n'
        + METRIC.format(name="ids", measure="count(distinct x)")
    )
    p.run()
    assert len(p.ask("adds", scope="all", by=["plan"])) == 20
    assert p.ask("ids", scope="all") == {"2024-01-01": 20}
    assert p.ask("adds", scope="all") == {"2024-01-01": 190}
    source = open_source(p.book.project.catalog.sources["app"])
    with source.snapshot() as reader:
        ((isolation, limit),) = reader.rows("select @@tx_isolation, @@sql_select_limit")
    source.close()
    assert (isolation, limit) == ("REPEATABLE-READ", 2**64 - 1)  # without which a snapshot is none


@pytest.mark.parametrize("digits", [-15, 0, 3])
def test_floats_of_postgresql_arrive_with_all_their_digits(project, digits):
    p = project("postgresql")
    p.execute("create table o (happened timestamp, f double precision)")
    values = [1 / 3, 0.1, 0.1 + 2**-54, 12345678.123456789, 5e-324]
    p.insert("o", [(f"2024-03-0{1 + place} 10:00:00", value) for place, value in enumerate(values)])
    p.url += f"?options={quote(f'-c extra_float_digits={digits}')}"
    p.declare("".join(METRIC.format(name=name, measure=measure) for name, measure in MEASURES.items())
              + METRIC.format(name="split", measure="count(*)") + 'by = ["f"]\n')  # fmt: skip
    p.run()
    assert p.ask("ids", scope="all") == {"2024-01-01": 5}
    assert p.ask("med", scope="all") == {"2024-01-01": 0.1 + 2**-54}
    assert p.ask("ends", scope="all") == {"2024-01-01": 5e-324}
    assert {float(key[1]) for key in p.ask("split", scope="all", by=["f"])} == set(values)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_texts_arrive_as_utf_8_whatever_the_encoding_of_the_database(project, encoding):
    p = project("postgresql")
    name = p.url.rpartition("/")[2] + encoding.lower()
    administer(p.url, f"create database {name} template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'")
    server, p.url = p.url, p.url.rpartition("/")[0] + f"/{name}"
    try:
        with open_database(p.url).cursor() as cursor:
            cursor.execute("set client_encoding to 'UTF8'")
            cursor.execute("create table o (happened timestamp, d text, n int)")
            cursor.execute("insert into o values ('2024-03-01 10:00:00', 'é', 5), ('2024-03-01 11:00:00', 'plain', 7)")
        split = 'by = ["d"]\n'
        p.declare(
            METRIC.format(name="ids", measure="count(distinct d)")
            + METRIC.format(name="med", measure="median(n)") + split
            + METRIC.format(name="adds", measure="sum(n)") + split
            + METRIC.format(name="one", measure="sum(n)") + "where = \"d = 'é'\"\n"
        )  # fmt: skip
        p.run()
        assert p.ask("ids", scope="all") == {"2024-01-01": 2}
        assert p.ask("one", scope="all") == {"2024-01-01": 5}
        for metric in ("med", "adds"):
            assert p.ask(metric, scope="all", by=["d"]) == {("2024-01-01", "é"): 5, ("2024-01-01", "plain"): 7}
        if encoding == "SQL_ASCII":
            with open_database(p.url).cursor() as cursor:
                cursor.execute("insert into o select '2024-03-04', convert_from('\\xe9', 'SQL_ASCII'), 1")
            report = p.book.run()
            assert {m.metric for m in report.failed} == {"ids", "med", "adds"}
            for failed in report.failed:
                assert failed.error == "source 'app': a text contains bytes that are not UTF-8"
                assert "'LATIN1') as label from" in failed.hint
    finally:
        p.book.close()
        administer(server, f"drop database {name} with (force)")


def test_bytes_that_are_no_text_are_refused_on_sqlite_with_what_to_write(project):
    p = project("sqlite")
    p.execute("create table o (happened text, d text)")
    p.execute("insert into o values ('2024-03-01 10:00:00', cast(x'e9' as text)), ('2024-03-01 11:00:00', 'plain')")
    metric = METRIC.format(name="ids", measure="count(distinct d)")
    p.declare(metric)
    failed = p.run_fails()
    assert failed.startswith("source 'app': a text contains bytes that are not UTF-8")
    assert "hex(x) as label from" in failed
    facts = metric.replace('table = "o"', 'sql = "select *, hex(d) as label from o"').replace(
        "(distinct d)", "(distinct label)"
    )
    p.declare(facts)
    p.run()
    assert p.ask("ids", scope="all") == {"2024-01-01": 2}
