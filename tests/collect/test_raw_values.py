"""Values that a database contains or sends in another way than their type says.

FLOAT and BIT of MySQL and MariaDB, text in a column of numbers in SQLite."""

from __future__ import annotations

import math
import random
import struct
from decimal import Decimal

import pytest

from tallybook.collect.sources.values import single_label
from tests.projects import everywhere, project

__all__ = ["project"]

METRIC = """
    [metrics.{name}]
    table = "o"
    time = "happened"
    measure = "{measure}"
    {more}
"""


def declared(measures, more=""):
    return "".join(METRIC.format(name=name, measure=measure, more=more) for name, measure in measures.items())


def of_all(project, name, **question):
    (value,) = project.ask(name, scope="all", **question).values()
    return value


@everywhere
def test_minus_zero_is_zero_as_the_database_says(project, kind):
    p = project(kind)
    p.table(
        "o (happened timestamp, x double precision, k int)"
        if kind != "chdb"
        else "o (happened timestamp, x Float64, k int)",
        [("2024-03-02 10:00:00", 0, 3), ("2024-03-02 10:00:00", 0.5, 1)],
    )
    p.execute("insert into o select happened, -1e0 * x, k + 1 from o where x = 0")
    p.declare(
        declared({"ids": "count(distinct x)", "pairs": "count(distinct x, 1)"})
        + METRIC.format(name="split", measure="count(*)", more='by = ["x"]')
        + METRIC.format(name="most", measure="sum(k)", more='per = "x"\n    then = "max"')
    )
    p.run()
    assert of_all(p, "ids") == of_all(p, "pairs") == 2
    assert of_all(p, "most") == 7
    assert {key[1]: value for key, value in p.ask("split", scope="all", by=["x"]).items()} == {"0": 2, "0.5": 1}
    assert p.ask("split", scope="all", where=["x=0"]) == {"2024-01-01": 2}


def test_a_float_of_mariadb_is_what_the_server_has_stored(project):
    p = project("mariadb")
    p.execute("create table o (happened datetime, price float, k int)")
    values = [1234.567, 1234.568, 16777217, 0.5]
    p.insert("o", [("2024-03-02 10:00:00", value, 1) for value in values])
    measures = {"ids": "count(distinct price)", "most": "max(price)", "least": "min(price) filter (where price > 1)",
                "med": "max(price) - min(price)", "adds": "sum(distinct price)"}  # fmt: skip
    p.declare(
        declared(measures)
        + METRIC.format(name="split", measure="count(*)", more='by = ["price"]')
        + METRIC.format(name="each", measure="count(*)", more='per = "price"\n    then = "count"')
    )
    p.run()
    with p.database.cursor() as cursor:
        cursor.execute("select max(price + 0e0), min(case when price > 1 then price + 0e0 end) from o")
        most, least = cursor.fetchone()
    assert of_all(p, "ids") == of_all(p, "each") == 4
    assert (of_all(p, "most"), of_all(p, "least")) == (most, least) == (16777216.0, 1234.5670166015625)
    assert of_all(p, "med") == 16777215.5
    series = {key[1] for key in p.ask("split", scope="all", by=["price"])}
    assert series == {"1234.567", "1234.568", "16777216", "0.5"}
    assert p.ask("split", scope="all", where=["price=1234.567"]) == {"2024-01-01": 1}


@pytest.mark.parametrize(
    ("kind", "type_"), [("postgresql", "real"), ("duckdb", "float"), ("mariadb", "float"), ("sqlite", "float")]
)
def test_a_label_of_single_precision_has_its_fewest_digits(project, kind, type_):
    p = project(kind)
    p.execute(f"create table o (happened {'datetime' if kind == 'mariadb' else 'timestamp'}, f {type_})")
    values = ["0.1", "1.3", "-0.3", "1234.567", "0.001", "16777216"]
    p.insert("o", [("2024-03-02 10:00:00", float(value)) for value in [*values, "0.1"]])
    p.declare(METRIC.format(name="n", measure="count(*)", more='by = ["f"]'))
    p.run()
    labels = {key[1] for key in p.ask("n", scope="all", by=["f"])}
    assert {float(label) for label in labels} == {float(value) for value in values}
    assert labels - {"16777216", "1.6777216e+07"} == set(values[:-1])
    assert p.ask("n", scope="all", where=["f=0.1"]) == {"2024-01-01": 2}
    assert p.ask("n", scope="all", where=["f!=0.1"]) == {"2024-01-01": 5}


def test_every_number_of_single_precision_has_a_label_of_its_own():
    bits = random.Random(1)
    for _ in range(3000):
        (number,) = struct.unpack("f", struct.pack("I", bits.getrandbits(32)))
        if math.isfinite(number):
            assert struct.unpack("f", struct.pack("f", float(single_label(number))))[0] == number


def test_a_bit_of_mariadb_is_a_number(project):
    p = project("mariadb")
    p.execute("create table o (happened datetime, b bit(1), wide bit(64), v int)")
    p.execute(
        "insert into o values ('2024-03-02 10:00', b'1', 18446744073709551615, 5), ('2024-03-02 10:00', b'0', 2, 7), "
        "('2024-03-03 10:00', b'1', 2, 1)"
    )
    measures = {"ids": "count(distinct b)", "wides": "count(distinct wide)", "most": "max(b)", "latest": "last(b)",
                "both": "count(distinct b, v)", "sums": "sum(b)", "med": "median(b)"}  # fmt: skip
    p.declare(declared(measures) + METRIC.format(name="split", measure="sum(v)", more='by = ["b"]'))
    p.run()
    found = {name: of_all(p, name) for name in measures}
    assert found == {"ids": 2, "wides": 2, "most": 1, "latest": 1, "both": 3, "sums": 2, "med": 1}
    assert p.ask("split", scope="all", by=["b"]) == {("2024-01-01", "0"): 7, ("2024-01-01", "1"): 6}
    assert of_all(p, "split", where=["b=1"]) == 6
    assert of_all(p, "split", where=["b=0"]) == 7
    assert (of_all(p, "split", where=["b=true"]), of_all(p, "split", where=["b!=TRUE"])) == (6, 7)


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_true_is_named_as_a_database_without_truth_values_writes_it(project, kind):
    p = project(kind)
    p.execute("create table o (happened datetime, b boolean)", "insert into o values ('2024-03-02 10:00', true)")
    p.declare(METRIC.format(name="n", measure="count(*)", more='by = ["b"]'))
    p.run()
    said = p.book.query("n", scope="all", where=["b=true"]).warnings
    assert said == ["no row of `n` ever had b = 'true'; did you mean '1'?"]


MEASURES = [
    "max({c})",
    "min({c})",
    "sum({c})",
    "avg({c})",
    "stddev({c})",
    "median({c})",
    "last({c})",
    "first({c})",
    "sum(distinct {c})",
    "count(distinct {c})",
    "p90({c}) filter (where {c} is not null)",
]


@pytest.mark.cases(3)
@pytest.mark.parametrize("type_", ["integer", "real", "decimal(10, 2)"])
@pytest.mark.parametrize("wrong", ["''", "'n/a'", "x'00'"])
def test_text_in_a_column_of_numbers_fails_its_metrics_with_the_reason(project, type_, wrong):
    p = project("sqlite")
    p.execute(f"create table o (happened text, c {type_})")
    p.execute(
        "insert into o values ('2024-03-01 10:00:00', 10), ('2024-03-02 10:00:00', 20), "
        f"('2024-03-02 11:00:00', {wrong})"
    )
    measures = {f"m{i}": measure.format(c="c") for i, measure in enumerate(MEASURES)}
    kept = {
        f"k{i}": f"{measure} filter (where typeof(c) <> 'text' and typeof(c) <> 'blob')"
        for i, measure in enumerate(["max(c)", "sum(c)", "avg(c)", "median(c)", "last(c)"])
    }
    p.declare(declared(measures | kept) + METRIC.format(name="n", measure="count(c)", more=""))
    report = p.book.run()
    failed = {m.metric: m.error for m in report.failed}
    allowed = {"m7"} | ({"m9"} if type_ != "integer" else set())  # the first value is a number; any value is an id
    assert set(measures) - allowed <= set(failed) <= set(measures)
    assert all("number" in error for error in failed.values()), failed
    assert of_all(p, "n") == 3
    assert [of_all(p, f"k{i}") for i in range(5)] == [20, 30, 15, 15, 20]


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_an_empty_text_is_no_zero_of_a_column_with_declared_decimals(project, kind):
    p = project(kind)
    p.execute("create table o (happened varchar(30), c varchar(20))")
    p.insert("o", [("2024-03-02 10:00:00", "1.50"), ("2024-03-02 11:00:00", " 2.5"), ("2024-03-02 11:00:00", "")])
    p.declare(declared({"bad": "avg(c)", "good": "avg(c) filter (where c <> '')"}, more="decimals = 2"))
    report = p.book.run()
    assert [m.metric for m in report.failed] == ["bad"]
    assert "no number" in report.failed[0].error
    assert of_all(p, "good") == Decimal(2)
