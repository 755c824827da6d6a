"""Bounds and signs that a small change of the code would move: descending percentiles, each comparison at its edge, what is
approximate, several keys in one statement, zeros and ±1 in wide percentiles."""

from __future__ import annotations

import operator

import pytest

from tests.projects import project

__all__ = ["project"]

DAY = {"from_": "2024-01-01", "to": "2024-01-01"}


def values(project, numbers, metrics, kind="sqlite"):
    found = project(kind, now="2024-01-02T06:00")
    found.table("facts (happened timestamp, who integer, x double precision)")
    rows = [("2024-01-01 10:00:00", i, x) for i, x in enumerate(numbers)]
    for place in range(0, len(rows), 1000):
        found.insert("facts", rows[place : place + 1000])
    found.declare(
        "".join(f'[metrics.{name}]\ntable = "facts"\ntime = "happened"\n{keys}\n' for name, keys in metrics.items())
    )
    found.run()
    return found


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_percentile_of_values_in_descending_order_counts_from_the_greatest(project, kind):
    group = "percentile_cont({}) within group (order by x {})"
    found = values(project, range(1, 12), {
        "desc90": f'measure = "{group.format(0.9, "desc")}"', "asc10": f'measure = "{group.format(0.1, "asc")}"',
        "plain10": f'measure = "{group.format(0.1, "")}"', "desc25": f'measure = "{group.format(0.25, "desc")}"',
    }, kind)  # fmt: skip
    (row,) = found.rows("desc90", "asc10", "plain10", "desc25", **DAY)
    assert [row[name] for name in ("desc90", "asc10", "plain10", "desc25")] == [2.0, 2.0, 2.0, 8.5]


COMPARED = {
    "=": operator.eq, "<>": operator.ne, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip


@pytest.mark.parametrize("number", [2, 3, 4])
def test_each_comparison_in_a_measure_at_and_beside_its_edge(project, number):
    measures = {f"own{i}": f"case when count(*) {sign} 3 then 1 else 0 end" for i, sign in enumerate(COMPARED)}
    metrics = {name: f'measure = "{measure}"' for name, measure in measures.items()}
    metrics["n"] = 'measure = "count(*)"'
    metrics["between"] = 'measure = "case when count(*) between 3 and 3 then 1 else 0 end"'
    metrics["turned"] = 'measure = "case when 3 <= count(*) and not 3 >= count(*) then 1 else 0 end"'
    found = values(project, range(number), metrics)
    found.close()
    derived = "".join(
        f'[metrics.derived{i}]\nmeasure = "case when n {sign} 3 then 1 else 0 end"\n' for i, sign in enumerate(COMPARED)
    )
    path = found.folder / "tallybook.toml"
    path.write_text(path.read_text() + derived)
    names = [f"{kind}{i}" for kind in ("own", "derived") for i in range(len(COMPARED))]
    (row,) = found.rows(*names, "between", "turned", **DAY)
    for i, (sign, holds) in enumerate(COMPARED.items()):
        assert (row[f"own{i}"], row[f"derived{i}"]) == (int(holds(number, 3)),) * 2, sign
    assert (row["between"], row["turned"]) == (int(number == 3), int(number > 3))


def test_a_percentile_of_two_steps_is_as_approximate_as_its_entities(project):
    found = values(project, [1.5 ** (i % 30) + i for i in range(1200)], {"one": 'measure = "median(x)"'})
    found.execute(
        "alter table facts add column part integer", "update facts set part = case when who < 1100 then 0 else 1 end"
    )
    keys = 'table = "facts"\ntime = "happened"\nmeasure = "median(x)"\nthen = "max"\n'
    found.declare(f'[metrics.wide]\n{keys}per = "part"\n[metrics.exact]\n{keys}per = "who"\n')
    found.run()
    (row,) = found.rows("wide", "exact", **DAY)
    assert row["approximate"] is True
    assert row["notes"]["wide"]["error"] == 0.01
    (row,) = found.rows("exact", **DAY)
    assert row["approximate"] is False


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_several_distinct_counts_and_percentiles_of_one_statement_keep_apart(project, kind):
    found = project(kind, now="2024-01-04T06:00")
    found.table("facts (happened timestamp, plan varchar(5), a integer, b integer, c integer, x double precision)")
    rows = [
        (f"2024-01-0{d} 10:00:00", plan, i % 2, i % 5 if i % 3 else None, i % 11, i * d)
        for d in (1, 2, 3) for plan in ("pro", "free") for i in range(22)
    ]  # fmt: skip
    found.insert("facts", rows)
    text = "select happened, plan, a, b, c, x from facts where happened >= {{from}} and happened < {{to}}"
    measures = {
        "as": "count(distinct a)", "bs": "count(distinct b)", "cs": "count(distinct c)", "mid": "median(x)",
        "sums": "sum(distinct c)", "some": "count(distinct c) filter (where x > 20)",
    }  # fmt: skip
    head = f'sql = "{text}"\ntime = "happened"\nby = ["plan"]\n'
    found.declare("".join(f'[metrics.m_{name}]\n{head}measure = "{m}"\n' for name, m in measures.items()))
    found.run()
    names = [f"m_{name}" for name in measures]
    for row in found.rows(*names, by=["plan"], from_="2024-01-01", to="2024-01-03"):
        day = int(row["period"][-1])
        some = len({i % 11 for i in range(22) if i * day > 20})
        assert [row[name] for name in names] == [2, 5, 11, 10.5 * day, 55, some], row


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_zeros_and_ones_of_both_signs_among_more_than_a_thousand_different_values(project, kind):
    spread = [s * 1.003**i * 2 for s in (1, -1) for i in range(600)]  # 1,200 different values beyond ±2
    numbers = [*spread, *[0.0] * 400, *[1.0] * 300, *[-1.0] * 300]
    quantiles = {f"q{q}": f'measure = "quantile(x, 0.{q:02d})"' for q in (5, 20, 30, 35, 45, 50, 55, 65, 70, 80, 95)}
    found = values(project, numbers, quantiles, kind)
    (row,) = found.rows(*quantiles, **DAY)
    assert row["approximate"] is True
    ordered = sorted(numbers)
    for name in quantiles:
        at = int(name[1:]) / 100 * (len(ordered) - 1)
        low, high = ordered[int(at)], ordered[min(int(at) + 1, len(ordered) - 1)]
        expected = low + (high - low) * (at - int(at))
        assert row[name] == pytest.approx(expected, rel=0.0101, abs=0), name
    assert (row["q45"], row["q50"], row["q55"]) == (0.0, 0.0, 0.0)
    assert (row["q35"], row["q65"]) == (-1.0, 1.0)
