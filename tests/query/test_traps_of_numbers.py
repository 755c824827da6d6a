"""Traps of numbers: digits of money, overflow, division by zero, deviations and percentiles.

Each wrong number is acted out on a real database, beside the right one."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal

import duckdb
import pytest

from tests.projects import Project, everywhere, project, sampled_everywhere
from tests.trap_tables import days

__all__ = ["project"]


@sampled_everywhere
def test_0_1_and_0_2_are_0_3_in_money(project, kind):
    found = project(kind)
    found.table(
        "paid (day date, amount decimal(12, 2))",
        [("2024-01-01", "0.10"), ("2024-01-02", "0.20"), ("2024-02-01", "-0.01")],
    )
    found.declare("""
        [metrics.revenue]
        table = "paid"
        time = "day"
        measure = "sum(amount)"
    """)
    found.run()
    months = found.both("revenue", scope="month", from_="2024-01-01", to="2024-02-29")
    assert months == {"2024-01-01": Decimal("0.3"), "2024-02-01": Decimal("-0.01")}
    assert all(isinstance(value, Decimal) for value in months.values())
    assert found.both("revenue", scope="all", from_="2024-01-01", to="2024-02-29") == {"2024-01-01": Decimal("0.29")}


def test_sqlite_s_floats_are_answered_as_floats_unless_their_decimals_are_said(project):
    found = project()
    found.table("paid (day date, amount real)", [("2024-01-01", 0.1), ("2024-01-02", 0.2)])
    metric = '[metrics.{}]\ntable = "paid"\ntime = "day"\nmeasure = "sum(amount)"\n'
    found.declare(metric.format("as_float") + metric.format("as_money") + "decimals = 2\n")
    found.run()
    question = {"scope": "month", "from_": "2024-01-01", "to": "2024-01-31"}
    assert found.both("as_money", **question) == {"2024-01-01": Decimal("0.3")}
    assert found.both("as_float", **question) == {"2024-01-01": 0.1 + 0.2}
    columns = {c.name: c.type for c in found.book.query("as_float", "as_money", **question).metric_columns}
    assert columns == {"as_float": "float", "as_money": "decimal"}
    said = {look.metric: look.said for look in found.book.look()}
    assert any("floating-point" in line and "decimals = 2" in line for line in said["as_float"])
    assert not any("floating-point" in line for line in said["as_money"])


@pytest.mark.parametrize("kind", ["duckdb", "postgresql", "mariadb"])
def test_1_255_stays_1_255_beside_a_month_of_two_digits(project, kind):
    """DuckDB reads DECIMALs of different scale from several files as the first one's: 1.26, by file order."""
    found = project(kind, now="2024-02-01T12:00")
    found.table("paid (day date, amount decimal(12, 2))", [("2024-01-01", "10.25")])
    found.declare("""
        [metrics.revenue]
        table = "paid"
        time = "day"
        measure = "sum(amount)"
    """)
    found.run()
    change = "modify amount" if kind == "mariadb" else "alter column amount type"
    found.execute(f"alter table paid {change} decimal(12, 3)")
    found.insert("paid", [("2024-02-10", "1.255")])
    found.at("2024-03-06T12:00").run()
    question = {"from_": "2024-01-01", "to": "2024-02-29"}
    assert found.both("revenue", scope="month", **question) == {
        "2024-01-01": Decimal("10.25"),
        "2024-02-01": Decimal("1.255"),
    }
    assert found.both("revenue", scope="all", **question) == {"2024-01-01": Decimal("11.505")}
    found.book.compact()
    assert found.ask("revenue", scope="all", **question) == {"2024-01-01": Decimal("11.505")}


@everywhere
def test_sums_beyond_2_to_the_53_and_2_to_the_63_keep_their_last_digit(project, kind):
    """Parquet keeps DuckDB's integer sums (HUGEINT) as doubles: …995 came back as …996."""
    found = project(kind)
    most = 2**63 - 1
    found.table("big (day date, plan varchar(5), x bigint)", [
        ("2024-01-01", "a", 9007199254740993), ("2024-02-01", "a", 2),
        ("2024-01-01", "b", most), ("2024-01-01", "b", most), ("2024-02-01", "b", most), ("2024-02-01", "b", -1),
    ])  # fmt: skip
    found.declare("""
        [metrics.total]
        table = "big"
        time = "day"
        measure = "sum(x)"
        by = ["plan"]
    """.replace("metrics.total", "metrics.sum_of_x"))  # fmt: skip
    found.run()
    question = {"from_": "2024-01-01", "to": "2024-02-29", "by": ["plan"]}
    assert found.both("sum_of_x", scope="all", **question) == {
        ("2024-01-01", "a"): 9007199254740995,
        ("2024-01-01", "b"): 3 * most - 1,
    }
    assert found.both("sum_of_x", scope="month", where=["plan=b"], **question) == {
        ("2024-01-01", "b"): 2 * most,
        ("2024-02-01", "b"): most - 1,
    }
    result = found.book.query("sum_of_x", scope="all", **question)
    assert '"sum_of_x":27670116110564327420' in result.to_json().replace(" ", "")


@sampled_everywhere
def test_money_of_more_than_10_digits_is_refused_with_the_cast_to_write(project, kind):
    found = project(kind)
    found.table("paid (day date, amount decimal(20, 11))", [("2024-01-01", "0.12345678901")])
    found.declare("""
        [metrics.revenue]
        table = "paid"
        time = "day"
        measure = "sum(amount)"
    """)
    # A cast to decimal rounds nothing on SQLite.
    assert ("round(x, 10)" if kind == "sqlite" else "cast(x as decimal(38, 10))") in found.run_fails()


def test_sqlite_s_money_with_more_digits_than_declared_is_refused(project):
    found = project()
    found.table("paid (day date, amount decimal(10, 2))", [("2024-01-01", "1.255"), ("2024-01-01", "0.10")])
    found.declare("""
        [metrics.revenue]
        table = "paid"
        time = "day"
        measure = "sum(amount)"
    """)
    assert "decimals = " in found.run_fails()
    assert found.ask("revenue", from_="2024-01-01", to="2024-01-01") == {"2024-01-01": None}


@pytest.mark.cases(2)
@pytest.mark.parametrize("bad", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_what_is_no_number_is_refused_and_its_neighbours_are_not(project, kind, bad):
    found = project(kind, now="2024-01-05T12:00")
    rows = [("2024-01-01", 1, 1), ("2024-01-01", bad, 3)]
    found.table("m (day date, x double precision, y double precision)", rows)
    aggregates = ["sum({})", "avg({})", "stddev({})", "median({})", "sum(distinct {})", "avg(distinct {})"]
    aggregates.append("min({})" if bad == "-inf" else "max({})")  # at the other end is a number
    metric = '[metrics.{}]\ntable = "m"\ntime = "day"\nmeasure = "{}"\n'
    declared = {
        f"{name}{n}": aggregate.format(column)
        for n, aggregate in enumerate(aggregates)
        for name, column in (("before", "y"), ("odd", "x"), ("after", "y"))
    }
    found.declare("".join(metric.format(name, measure) for name, measure in declared.items()))
    report = found.book.run()
    assert sorted(m.metric for m in report.failed) == sorted(name for name in declared if "odd" in name)
    (row,) = found.rows(*declared, from_="2024-01-01", to="2024-01-01")
    for name, measure in declared.items():
        assert (row[name] is None) is ("odd" in name), measure


def test_postgresql_s_numeric_nan_is_refused(project):
    found = project("postgresql", now="2024-01-05T12:00")
    found.table("m (day date, x numeric)", [("2024-01-01", 1), ("2024-01-01", "NaN")])
    found.declare("""
        [metrics.odd]
        table = "m"
        time = "day"
        measure = "sum(x)"
    """)
    assert "NaN" in found.run_fails()


@everywhere
def test_7_by_2_is_3_5_outside_an_aggregate_and_the_database_s_own_inside(project, kind):
    found = project(kind)
    found.table("m (day date, a int, b int)", [("2024-01-01", 7, 2)])
    found.declare("""
        [metrics.outside]
        table = "m"
        time = "day"
        measure = "sum(a) / sum(b)"

        [metrics.inside]
        table = "m"
        time = "day"
        measure = "sum(a / b)"

        [metrics.half_away_from_zero]
        table = "m"
        time = "day"
        measure = "round((sum(a) - sum(b)) / sum(b))"
    """)
    found.run()
    one = {"from_": "2024-01-01", "to": "2024-01-01"}
    inside = {"sqlite": 3, "postgresql": 3, "mariadb": Decimal("3.5"), "duckdb": 3.5, "chdb": 3.5}
    assert found.values("outside", "inside", "half_away_from_zero", **one) == {
        "outside": [3.5],
        "inside": [inside[kind]],
        "half_away_from_zero": [3],  # also where the database rounds the double 2.5 to 2
    }


@sampled_everywhere
def test_a_division_by_zero_is_null_and_never_infinite(project, kind):
    found = project(kind)
    found.table("m (day date, a int, b int)", [("2024-01-01", 1, 0), ("2024-01-02", 0, 0), ("2024-01-03", 4, 2)])
    found.declare("""
        [metrics.ratio]
        table = "m"
        time = "day"
        measure = "sum(a) / sum(b)"

        [metrics.rest]
        table = "m"
        time = "day"
        measure = "sum(a) % sum(b)"

        [metrics.sum_of_a]
        table = "m"
        time = "day"
        measure = "sum(a)"

        [metrics.sum_of_b]
        table = "m"
        time = "day"
        measure = "sum(b)"

        [metrics.derived]
        measure = "sum_of_a / sum_of_b"
    """)
    found.run()
    three = {"from_": "2024-01-01", "to": "2024-01-03"}
    daily = found.values("ratio", "rest", "derived", **three)
    assert daily == {"ratio": [None, None, 2.0], "rest": [None, None, 0], "derived": [None, None, 2.0]}
    assert found.values("ratio", "derived", scope="week", **three) == {"ratio": [2.5], "derived": [2.5]}


@pytest.mark.parametrize("a", [1, 0], ids=["1/0 is inf", "0/0 is nan"])
def test_duckdb_s_own_division_by_zero_inside_an_aggregate_is_not_stored(project, a):
    found = project("duckdb")
    found.table("m (day date, a double, b double)", [("2024-01-01", a, 0)])
    found.declare("""
        [metrics.odd]
        table = "m"
        time = "day"
        measure = "sum(a / b)"
    """)
    assert found.run_fails()


@sampled_everywhere
def test_over_no_values_counts_and_sums_are_0_and_the_rest_is_null(project, kind):
    found = project(kind)
    found.table("m (day date, x int)", [("2024-01-01", None), ("2024-01-02", 0)])
    measures = {
        "count(x)": (0, 1), "sum(x)": (0, 0), "count(distinct x)": (0, 1), "sum(distinct x)": (0, 0), "avg(x)": (None, 0.0),
        "min(x)": (None, 0), "max(x)": (None, 0), "stddev(x)": (None, None), "median(x)": (None, 0.0),
        "avg(distinct x)": (None, 0.0), "sum(x) / count(x)": (None, 0.0), "count(*)": (1, 1),
    }  # fmt: skip
    metric = '[metrics.m{}]\ntable = "m"\ntime = "day"\nmeasure = "{}"\n'
    found.declare("".join(metric.format(n, measure) for n, measure in enumerate(measures)))
    found.run()
    values = found.values(*(f"m{n}" for n in range(len(measures))), from_="2024-01-01", to="2024-01-03")
    for n, (measure, (first, second)) in enumerate(measures.items()):
        without = 0 if measure.startswith(("count", "sum")) and "/" not in measure else None
        assert values[f"m{n}"] == [first, second, without], measure


NUM_ACC: dict[str, tuple[list[float], float]] = {
    "num_acc1": ([10000001.0, 10000003.0, 10000002.0], 1.0),
    "num_acc2": ([1.2] + [1.1, 1.3] * 500, 0.1),
    "num_acc3": ([1000000.2] + [1000000.1, 1000000.3] * 500, 0.1),
    "num_acc4": ([10000000.2] + [10000000.1, 10000000.3] * 500, 0.1),
}
"""NIST's data sets for the accuracy of a standard deviation, and the certified values."""


def duckdb_s_own(aggregate: str, values: list[float]) -> float:
    with closing(duckdb.connect()) as engine:
        listed = ", ".join(f"({n}, {value!r}::double)" for n, value in enumerate(values))
        found = engine.sql(f"select {aggregate}(x) from (values {listed}) v(n, x)").fetchall()
    return float(found[0][0])


@sampled_everywhere
def test_the_standard_deviation_of_nist_s_numbers_is_as_near_as_duckdb_s(project, kind):
    found = project(kind)
    metrics = ""
    for name, (values, _) in NUM_ACC.items():
        rows = [(f"2024-01-0{1 + n % 3}", value) for n, value in enumerate(values)]
        found.table(f"{name} (day date, x double precision)", rows)
        metrics += f'[metrics.{name}]\ntable = "{name}"\ntime = "day"\nmeasure = "stddev(x)"\n'
    found.declare(metrics)
    found.run()
    month = found.values(*NUM_ACC, scope="month", from_="2024-01-01", to="2024-01-31")
    for name, (values, certified) in NUM_ACC.items():
        (ours,) = month[name]
        assert abs(ours - certified) <= abs(duckdb_s_own("stddev", values) - certified) + 1e-10


@sampled_everywhere
def test_a_deviation_is_as_near_where_only_some_rows_of_the_table_count(project, kind):
    """K must be near the values that count: the rows of another kind come first here, and lie far away."""
    found = project(kind)
    values, certified = NUM_ACC["num_acc4"]
    rows = [("2024-01-01", "small", 0.5)] * 300 + [(f"2024-01-0{1 + n % 3}", "big", v) for n, v in enumerate(values)]
    found.table("m (day date, size varchar(10), x double precision)", rows)
    found.declare("""
        [metrics.where_outside]
        table = "m"
        time = "day"
        where = "size = 'big'"
        measure = "stddev(x)"

        [metrics.where_inside]
        table = "m"
        time = "day"
        measure = "stddev(x) filter (where size = 'big')"
    """)
    found.run()
    near = abs(duckdb_s_own("stddev", values) - certified) + 1e-10
    for metric in ("where_outside", "where_inside"):
        assert found.ask(metric, scope="month", to="2024-01-31") == {"2024-01-01": pytest.approx(certified, abs=near)}


def percentile(values: list[float], q: float) -> float:
    """percentile_cont: the two neighbouring ranks, interpolated."""
    ranked = sorted(values)
    at = q * (len(ranked) - 1)
    below = int(at)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (ranked[above] - ranked[below]) * (at - below)


def latencies(project: Project, by_day: dict[str, list[int]], measure: str = "p95(ms)") -> Project:
    project.table("calls (day date, ms int)", [(day, ms) for day, several in by_day.items() for ms in several])
    project.declare(f"""
        [metrics.latency]
        table = "calls"
        time = "day"
        measure = "{measure}"
    """)
    project.run()
    return project


def test_a_percentile_of_1000_different_values_a_day_is_exact(project):
    found = latencies(project(), {"2024-01-01": list(range(1, 1001)) * 3})
    (row,) = found.rows("latency", from_="2024-01-01", to="2024-01-01")
    assert row["latency"] == pytest.approx(percentile(list(range(1, 1001)) * 3, 0.95), rel=1e-12)
    assert row["approximate"] is False


def test_percentiles_of_days_with_few_values_stay_exact_over_a_month(project):
    by_day = {day: list(range(600 * n, 600 * (n + 1))) for n, day in enumerate(days("2024-01-01", "2024-01-05"))}
    found = latencies(project(), by_day)
    (row,) = found.rows("latency", scope="month", from_="2024-01-01", to="2024-01-31")
    assert row["latency"] == pytest.approx(percentile(list(range(3000)), 0.95), rel=1e-12)
    assert row["approximate"] is False


@pytest.mark.parametrize("shift", [0, -1500, -3000], ids=["positive", "mixed", "negative"])
def test_a_percentile_of_more_values_is_within_1_percent_and_says_so(project, shift):
    values = [n * 2 + shift for n in range(1, 1501)]
    asked = {"p50": 0.5, "p95": 0.95, "p99_9": 0.999, "p05": 0.05}
    found = project()
    found.table("calls (day date, ms int)", [("2024-01-01", ms) for ms in values])
    metric = '[metrics.its_{}]\ntable = "calls"\ntime = "day"\nmeasure = "{}(ms)"\n'
    found.declare("".join(metric.format(q, q) for q in asked))
    found.run()
    (row,) = found.rows(*(f"its_{q}" for q in asked), from_="2024-01-01", to="2024-01-01")
    assert row["approximate"] is True
    for q, fraction in asked.items():
        at = fraction * (len(values) - 1)
        larger = max(abs(values[int(at)]), abs(values[int(at) + 1]))
        assert abs(row[f"its_{q}"] - percentile(values, fraction)) <= 0.01 * larger + 1e-9, q
        assert row["notes"][f"its_{q}"]["error"] == 0.01
