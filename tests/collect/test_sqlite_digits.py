"""Exact decimals in SQLite: right to the last digit or refused, in every aggregate. Compared with `decimal`."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tests.projects import project

__all__ = ["project"]

MEASURES = {
    "s": "sum(v)", "a": "avg(v)", "low": "min(v)", "high": "max(v)", "f": "first(v)", "l": "last(v)",
    "sd": "sum(distinct v)", "ad": "avg(distinct v)",
}  # fmt: skip
LEVELS = {"s": "sum(v)", "a": "avg(v)", "low": "min(v)", "high": "max(v)"}
DAY = "2024-01-02"
ON = {"from_": DAY, "to": DAY}
EXPECTED = {
    "s": sum, "low": min, "high": max, "a": lambda v: sum(v) / len(v), "f": min, "l": max,
    "sd": lambda v: sum(set(v)), "ad": lambda v: sum(set(v)) / len(set(v)),
}  # fmt: skip


def book(project, declared, values, decimals=None):
    found = project("sqlite", now="2024-01-04T06:00")
    found.execute(f"create table x (t text, e text, v {declared})")
    for value in values:
        found.execute(f"insert into x values ('{DAY} 10:00:00', null, {value})")
    digits = f"decimals = {decimals}\n" if decimals is not None else ""
    flows = [f'[metrics.{n}]\ntable = "x"\ntime = "t"\nmeasure = "{m}"\n{digits}' for n, m in MEASURES.items()]
    keys = 'table = "x"\nkind = "level"\nfrom = "t"\nuntil = "e"\n'
    levels = [f'[metrics.held_{n}]\n{keys}measure = "{m}"\n{digits}' for n, m in LEVELS.items()]
    found.declare("\n".join(flows + levels))
    return found


def check(project, declared, values, decimals=None):
    found = book(project, declared, values, decimals)
    found.run()
    exact, names = [Decimal(value) for value in values], [*MEASURES, *(f"held_{n}" for n in LEVELS)]
    for live in (False, True):
        (row,) = found.rows(*names, **ON, live=live)
        for name in names:
            value, right = row[name], EXPECTED[name.removeprefix("held_")](exact)
            if name.endswith(("a", "ad")):
                assert float(value) == pytest.approx(float(right), rel=1e-14), name
            else:
                assert (value, isinstance(value, float)) == (right, False), name


def check_refused(project, declared, values, *seen, decimals=None):
    report = book(project, declared, values, decimals).book.run()
    errors = {m.metric: f"{m.error} {m.hint}" for m in report.failed}
    assert set(errors) == {*MEASURES, *(f"held_{n}" for n in LEVELS)}
    for text in seen:
        assert [text in error for error in errors.values()] == [True] * len(errors), errors


def test_more_than_ten_digits_declared_and_fewer_used(project):
    check(project, "decimal(38,18)", ["0.5", "1.25", "1.5"])
    check(project, "decimal(30,12)", ["0.1", "0.1", "123456.7890123", "-7"])
    check(project, "decimal(20,11)", ["3", "900719.25", "1234567.8901"])


@pytest.mark.parametrize("value", ["0.12345678901", "0.00000000005", "1.00000000001"])
def test_more_than_ten_digits_are_refused(project, value):
    check_refused(project, "decimal(38,18)", [value], "needs more than 10 digits after the point", value)


def refused_large(project, declared, value, *hints, decimals=None):
    check_refused(project, declared, [value], "row needs more than", "cast(x as real)", *hints, decimals=decimals)


def test_numbers_beyond_63_bits_of_their_smallest_unit_are_refused(project):
    refused_large(project, "decimal(20,10)", "1500000000.5", "1500000000.5", "decimals = 9")
    refused_large(project, "real", "1500000000.5", "decimals = 9", decimals=10)
    refused_large(project, "decimal(20,2)", "-3e17", "-300000000000000000", "decimals = 1")
    refused_large(project, "decimal(20,2)", "1e30")
    refused_large(project, "decimal(20,2)", "1234567890123456.78")
    refused_large(project, "decimal(20,2)", "90071992547409.93")
    refused_large(project, "text", "'1234567890123456.78'", decimals=2)


def test_one_such_number_among_others_is_enough_for_a_sum(project):
    found = book(project, "decimal(20,10)", ["2.5", "1500000000.5"])
    errors = {m.metric for m in found.book.run().failed}
    assert errors >= {"s", "a", "high", "l", "sd", "ad", "low", "held_s", "held_a", "held_high", "held_low"}


def test_fewer_decimals_make_large_numbers_exact(project):
    check(project, "decimal(20,10)", ["1500000000.5", "2.5"], decimals=9)
    check(project, "real", ["1500000000.5", "2.5", "-0.123456789"], decimals=9)


def test_large_numbers_with_fifteen_digits_are_exact(project):
    check(
        project, "decimal(20,10)", ["12345678.9", "919999999.5", "1234567.12345678", "-1234567.89", "90071.9925474099"]
    )
    check(
        project,
        "decimal(20,2)",
        ["90000000000000000", "90000000000000001", "-5", "12345678901234.56", "90071992547409.9", "1"],
    )


def test_more_digits_than_declared_are_refused_by_every_aggregate(project):
    check_refused(project, "decimal(10,2)", ["0.125"], "row has more digits than decimal(10,2)", "0.125")
    check_refused(project, "real", ["0.125"], "row has more digits than decimals = 2", "0.125", decimals=2)


def test_random_decimals_of_fifteen_digits(project, seed):
    dice = random.Random(seed)
    for scale in (2, 12):
        most = 17 - min(scale, 10)
        values = []
        for _ in range(40):
            after = dice.randrange(0, min(scale, 10) + 1)
            number = Decimal(dice.randrange(10 ** min(15, most + after))).scaleb(-after)
            values.append(f"{number:f}")
        check(project, f"decimal(30,{scale})", values)
