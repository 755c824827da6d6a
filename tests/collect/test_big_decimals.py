"""Numbers with more digits than DECIMAL(38,10) has, in every measure and source: exact, or refused in our words."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from tests.projects import project

__all__ = ["project"]

METRIC = '[metrics.{name}]\ntable = "o"\ntime = "happened"\nmeasure = "{measure}"\n'
MEASURES = {"adds": "sum(x)", "mean": "avg(x)", "least": "min(x)", "most": "max(x)", "begins": "first(x)", "ends": "last(x)",
            "different": "sum(distinct x)"}  # fmt: skip
RAW = re.compile(r"Conversion Error|Invalid Input|Overflow|Traceback|no room for", re.IGNORECASE)
LARGE, FINE, KEPT = (
    "99999999999999999999999999999999999999",
    "1.234567890123456",
    "9999999999999999999999999999.0123456789",
)
TYPES = {
    LARGE: {"duckdb": "decimal(38,0)", "postgresql": "numeric", "mariadb": "decimal(38,0)"},
    FINE: {
        "duckdb": "decimal(20,15)",
        "postgresql": "numeric",
        "mariadb": "decimal(20,15)",
        "sqlite": "decimal(20,15)",
    },
    KEPT: {"duckdb": "decimal(38,10)", "postgresql": "numeric", "mariadb": "decimal(38,10)"},
}
CASES = [(kind, value) for value, types in TYPES.items() for kind in types]


def collected(p, value, type_):
    """({metric: value} of what was collected, {metric: (error, hint)} of what was refused)."""
    p.execute(f"create table o (happened {'timestamp' if p.kind != 'mariadb' else 'datetime'}, x {type_})")
    p.execute(f"insert into o values ('2024-03-01 10:00:00', 1), ('2024-03-02 10:00:00', {value})")
    p.declare("".join(METRIC.format(name=name, measure=measure) for name, measure in MEASURES.items()))
    failed = {m.metric: (m.error, m.hint) for m in p.book.run().failed}
    return {name: p.ask(name, scope="all")["2024-01-01"] for name in MEASURES if name not in failed}, failed


@pytest.mark.cases(5)
@pytest.mark.parametrize(("kind", "value"), CASES)
def test_a_number_is_exact_or_refused_with_what_to_write(project, kind, value):
    found, failed = collected(project(kind), value, TYPES[value][kind])
    number = Decimal(value)
    right = {"adds": 1 + number, "mean": (1 + number) / 2, "least": 1, "most": number, "begins": 1, "ends": number,
             "different": 1 + number}  # fmt: skip
    for name, seen in found.items():
        assert seen is None or float(seen) == pytest.approx(float(right[name]), rel=1e-15)
        if name not in ("mean", "adds", "different"):
            assert seen == right[name], name
    for error, hint in failed.values():
        assert re.search(r"needs? more than (28 digits before or )?10 (digits )?after the point", error), error
        assert not RAW.search(error + hint)
        if value == LARGE:
            assert "cast(x as double precision)" in hint
    assert bool(failed) == (value != KEPT)
    if value != KEPT:
        assert {"ends", "most", "different"} <= set(failed)  # no digit is dropped without a word


def test_nan_in_a_numeric_column_is_named_by_every_measure(project):
    p = project("postgresql")
    _, failed = collected(p, "'NaN'", "numeric")
    assert {"ends", "adds", "most", "different"} <= set(failed)
    for error, hint in failed.values():
        assert re.search(r"x is nan in some rows", error, re.IGNORECASE), error
        assert "filter (where" in hint


@pytest.mark.parametrize("type_", ["hugeint", "uhugeint", "ubigint", "bigint", "decimal(38,10)", "decimal(18,3)"])
def test_whole_numbers_of_duckdb_are_exact_in_every_measure(project, type_):
    found, failed = collected(project("duckdb"), "9223372036854775807" if "int" in type_ else "123456789012345", type_)
    assert not failed
    most = 9223372036854775807 if "int" in type_ else 123456789012345
    assert [found[name] for name in ("adds", "most", "ends", "different")] == [most + 1, most, most, most + 1]


def test_a_wide_bit_field_is_a_positive_number_in_medians_and_deviations(project):
    p = project("mariadb")
    p.execute("create table o (happened datetime, x bit(64))")
    p.execute(f"insert into o values ('2024-03-01 10:00:00', {2**64 - 1}), ('2024-03-01 11:00:00', {2**63})")
    p.declare(METRIC.format(name="med", measure="median(x)") + METRIC.format(name="dev", measure="stddev_pop(x)"))
    p.run()
    assert p.ask("med", scope="all") == {"2024-01-01": float(2**63 + 2**62)}
    assert p.ask("dev", scope="all") == {"2024-01-01": pytest.approx(2**62)}


NO_NUMBERS = [("boolean", "true", "case when x then 1 else 0 end"), ("date", "'2024-03-01'", "extract(year from x)"),
              ("uuid", "'00000000-0000-0000-0000-000000000001'", "count(distinct x)"), ("text", "'5'", "cast(x as decimal")]  # fmt: skip


@pytest.mark.parametrize(("type_", "value", "hint"), NO_NUMBERS)
def test_what_is_no_number_comes_with_a_number_that_can_be_made_of_it(project, type_, value, hint):
    p = project("duckdb")
    p.execute(f"create table o (happened timestamp, x {type_})")
    p.execute(f"insert into o values ('2024-03-01 10:00:00', {value})")
    p.declare(METRIC.format(name="adds", measure="sum(x)"))
    assert hint in p.run_fails()
    p.declare(
        METRIC.format(name="adds", measure=f"sum({hint})" if hint.startswith(("case", "extract")) else "count(*)")
    )
    p.run()
