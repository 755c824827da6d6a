"""Standard deviations and variances: right for every series at every time, however far the values of others are.

Compared with exact arithmetic over the same values (`statistics` computes with fractions)."""

from __future__ import annotations

import json
import math
import random
import statistics
from typing import Any

import pytest

from tests.projects import project, sampled_everywhere

__all__ = ["project"]

COLUMNS = "facts (happened timestamp, name varchar(30), value double precision)"
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
LAST = {"from_": DAYS[0], "to": DAYS[-1]}


def metric(name: str, measure: str, **keys: Any) -> str:
    declared = {"table": "facts", "time": "happened", "measure": measure, "by": ["name"], **keys}
    listed = [f"{key} = {json.dumps(value)}" for key, value in declared.items() if value]
    return "\n".join([f"[metrics.{name}]", *listed, ""])


def facts(project, kind, values, *metrics):
    """Facts of {(day, name): values}, collected."""
    found = project(kind, now="2024-01-04T06:00")
    found.table(COLUMNS)
    rows = [(f"{day} 10:00:00", name, repr(v)) for (day, name), several in values.items() for v in several]
    for place in range(0, len(rows), 2000):
        listed = ", ".join(f"('{at}', '{name}', {v})" for at, name, v in rows[place : place + 2000])
        found.execute(f"insert into facts values {listed}")
    found.declare("\n".join(metrics or [metric("m", "stddev(value)"), metric("v", "var_pop(value)")]))
    found.run()
    return found


def of(values, name=None, day=None):
    return [v for (d, n), several in values.items() for v in several if name in (None, n) and day in (None, d)]


def check(found, values, rel=1e-7, **more):
    """Every day, every series, all together, stored and live, from files and from memory."""
    names = sorted({name for _, name in values})
    for live in (False, False, False, True):
        for name, value in found.ask("m", by=["name"], scope="all", live=live, **LAST).items():
            expected = statistics.stdev(of(values, name[1]))
            assert value == pytest.approx(expected, rel=rel, abs=0), (name, value, expected)
        for (day, name), value in found.ask("v", by=["name"], live=live, **LAST).items():
            expected = statistics.pvariance(of(values, name, day))
            assert value == pytest.approx(expected, rel=2 * rel, abs=0), (day, name, value, expected)
        whole = found.ask("m", scope="all", live=live, **LAST)
        assert list(whole.values()) == [pytest.approx(statistics.stdev(of(values)), rel=rel)]
    totals = found.rows("m", by=["name"], totals=True, **LAST)
    assert totals[-1]["m"] == pytest.approx(statistics.stdev(of(values)), rel=rel)
    for name in names:
        where = [f"name={name}"]
        found_here = found.ask("m", scope="all", where=where, window="2 days", **LAST)
        two = [v for day in DAYS[1:] for v in of(values, name, day)]
        assert list(found_here.values()) == [pytest.approx(statistics.stdev(two), rel=rel, abs=0)]


# --- NIST's sets: https://www.itl.nist.gov/div898/strd/univ/homepage.html ---------------------------------------

NUMACC = {
    "NumAcc1": ([10000001.0, 10000003.0, 10000002.0], 1.0),
    "NumAcc2": ([1.2] + [1.1, 1.3] * 500, 0.1),
    "NumAcc3": ([1000000.2] + [1000000.1, 1000000.3] * 500, 0.1),
    "NumAcc4": ([10000000.2] + [10000000.1, 10000000.3] * 500, 0.1),
}
"""Values, and the certified standard deviation."""


@sampled_everywhere
def test_nist_s_sets_side_by_side_in_one_metric_and_spread_over_days(project, kind):
    values = {(DAYS[i % 3], name): several[i::3] for name, (several, _) in NUMACC.items() for i in range(3)}
    found = facts(project, kind, values, metric("m", "stddev(value)"))
    for name, (_, certified) in NUMACC.items():
        ((_, value),) = found.ask("m", by=["name"], scope="all", where=[f"name={name}"], **LAST).items()
        assert value == pytest.approx(certified, rel=1e-7), name
        # a value in a double is itself off by its last digit
        exact = statistics.stdev(of(values, name))
        assert value == pytest.approx(exact, rel=1e-7), name
    one_after_the_other = {(day, "x"): NUMACC[name][0] for day, name in zip(DAYS, list(NUMACC)[1:], strict=True)}
    found = facts(project, kind, one_after_the_other, metric("m", "stddev(value)"))
    daily = found.ask("m", **LAST)
    assert list(daily.values()) == [pytest.approx(0.1, rel=1e-7)] * 3


# --- series and times that differ ---------------------------------------------------------------------------------


@sampled_everywhere
def test_series_of_very_different_size_in_one_metric(project, kind):
    values = {
        (day, name): [make(i + 10 * d) for i in range(60)]
        for d, day in enumerate(DAYS)
        for name, make in {
            "memory": lambda i: 8e9 + (i % 7) * 3e7, "latency": lambda i: 120.0 + i % 11, "cpu": lambda i: 0.5 + (i % 5) * 0.05,
            "equal": lambda i: 7 / 3, "nothing": lambda i: 0.0,
        }.items()
    }  # fmt: skip
    found = facts(project, kind, values)
    check(found, values)
    assert set(found.ask("m", by=["name"], where=["name=equal"], **LAST).values()) == {0.0}
    assert set(found.ask("m", scope="all", where=["name=equal"], **LAST).values()) == {0.0}


@pytest.mark.parametrize("outlier", [1e12, 1e10, 1e8, 1e6])
@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_an_outlier_in_the_first_rows_changes_no_other_day(project, kind, outlier):
    values = {(DAYS[0], "ms"): [outlier], **{(day, "ms"): [100.0 + i % 7 for i in range(50)] for day in DAYS[1:]}}
    found = facts(project, kind, values)
    day = found.ask("m", **LAST)
    assert day[DAYS[1]] == pytest.approx(2.0445048300260873, rel=1e-12)
    assert found.ask("m", scope="all", from_=DAYS[1], to=DAYS[2]) == {
        DAYS[1]: pytest.approx(statistics.stdev(of(values, day=DAYS[1]) * 2), rel=1e-12)
    }


@sampled_everywhere
def test_values_that_move_far_away_over_time(project, kind):
    dice = random.Random(1)
    values = {(DAYS[0], "x"): [5.0] * 100}
    values |= {(day, "x"): [1e9 + round(dice.gauss(0, 1), 3) for _ in range(100)] for day in DAYS[1:]}
    found = facts(project, kind, values)
    check(found, values)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgresql", "mariadb"])
def test_random_worlds_of_series_a_billion_apart(project, kind, seed):
    dice = random.Random(f"{seed} {kind}")
    values = {}
    for name in "abcdef":
        mid, width = dice.choice([0, 1, 1e3, 1e6, 1e9, -1e9]), dice.choice([1e-2, 1, 30, 1e6])
        for day in DAYS:
            drift = dice.choice([0, 0, 10 * width])
            values[(day, name)] = [mid + drift + dice.gauss(0, width) for _ in range(dice.choice([1, 2, 40]))]
    measures = [
        metric("m", "stddev(value)"), metric("v", "var_pop(value)"),
        metric("some", "stddev(value) filter (where name <> 'a')"), metric("per", "stddev(value)", by=[], per="name", then="max"),
        metric("share", "stddev(value) / avg(value)"),
    ]  # fmt: skip
    found = facts(project, kind, values, *measures)
    found_days = found.ask("v", by=["name"], **LAST)
    for (day, name), value in found_days.items():
        variance = statistics.pvariance(values[(day, name)])
        # A float a billion away keeps no more of a small difference than its last digit.
        last_digit = max(map(math.ulp, values[(day, name)]))
        assert value == pytest.approx(variance, rel=1e-4, abs=4 * math.sqrt(variance) * last_digit), (day, name)
    for (_, name), value in found.ask("m", by=["name"], scope="all", **LAST).items():
        assert value == pytest.approx(statistics.stdev(of(values, name)), rel=1e-4), name
    (most,) = found.ask("per", scope="all", **LAST).values()
    assert most == pytest.approx(max(statistics.stdev(of(values, n)) for n in "abcdef"), rel=1e-4)
    (some,) = found.ask("some", scope="all", **LAST).values()
    assert some == pytest.approx(statistics.stdev([v for n in "bcdef" for v in of(values, n)]), rel=1e-4)


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_equal_values_have_no_deviation_at_all(project, kind):
    values = {(day, "x"): [1 / 3] * 7 for day in DAYS}
    found = facts(project, kind, values, metric("m", "case when stddev(value) = 0 then 1 else 0 end"))
    assert set(found.ask("m", **LAST).values()) == {1}
    assert set(found.ask("m", scope="all", **LAST).values()) == {1}


# --- levels -------------------------------------------------------------------------------------------------------

HELD = "held (began timestamp, ended timestamp, name varchar(30), value double precision)"


def level(project, kind, rows, measure="stddev_pop(value)", now="2024-01-08T06:00"):
    found = project(kind, now=now)
    found.table(HELD)
    found.insert("held", rows)
    keys = 'table = "held"\nkind = "level"\nfrom = "began"\nuntil = "ended"\nby = ["name"]\n'
    found.declare(f'[metrics.m]\n{keys}measure = "{measure}"\n[metrics.n]\n{keys}measure = "count(*)"\n')
    found.run()
    return found


def held_on(rows, day, name=None):
    return [
        v
        for began, ended, n, v in rows
        if began[:10] <= day and (ended is None or ended[:10] > day) and name in (None, n)
    ]


@sampled_everywhere
def test_a_level_after_a_far_value_has_left(project, kind):
    rows = [
        ("2024-01-01 01:00:00", None, "a", 100.0), ("2024-01-01 01:00:00", None, "a", 103.0), ("2024-01-01 02:00:00", None, "a", 104.5),
        ("2024-01-02 01:00:00", "2024-01-04 01:00:00", "a", 1e12), ("2024-01-05 01:00:00", None, "a", 101.0),
        ("2024-01-01 01:00:00", "2024-01-03 01:00:00", "b", 1 / 3), ("2024-01-01 01:00:00", None, "b", 0.1),
        ("2024-01-02 01:00:00", None, "b", 0.1), ("2024-01-03 01:00:00", "2024-01-05 01:00:00", "c", 5e-3),
    ]  # fmt: skip
    found = level(project, kind, rows)
    for live in (False, True):
        answer = found.ask("m", by=["name"], from_="2024-01-01", to="2024-01-07", live=live)
        for (day, name), value in answer.items():
            held = held_on(rows, day, name)
            expected = statistics.pstdev(held) if held else None
            assert value == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=0)), (day, name)
    for day, value in found.ask("m", from_="2024-01-01", to="2024-01-07").items():
        assert value == pytest.approx(statistics.pstdev(held_on(rows, day)), rel=1e-9), day
    assert found.ask("m", by=["name"], where=["name=b"], from_="2024-01-04", to="2024-01-04") == {
        ("2024-01-04", "b"): 0.0
    }


def test_random_levels_a_billion_apart(project, seed):
    dice = random.Random(seed)
    rows = []
    for _ in range(120):
        began, name = dice.randrange(1, 7), dice.choice("abc")
        ended = dice.choice([None, f"2024-01-{began + dice.randrange(1, 4):02d} 05:00:00"])
        value = {"a": 0, "b": 1e9, "c": dice.choice([5, 1e10])}[name] + dice.choice([dice.gauss(0, 1), 3])
        rows.append((f"2024-01-{began:02d} 01:00:00", ended, name, value))
    found = level(project, "sqlite", rows)
    for (day, name), value in found.ask("m", by=["name"], from_="2024-01-01", to="2024-01-07").items():
        held = held_on(rows, day, name)
        assert value == (pytest.approx(statistics.pstdev(held), rel=1e-6, abs=0) if held else None), (day, name)


# --- what is stored -----------------------------------------------------------------------------------------------


def test_each_part_has_its_own_k_within_its_values_and_anyone_can_merge_them(project):
    import duckdb

    values = {(day, name): [mid + i for i in range(5)] for day in DAYS for name, mid in (("a", 1e9), ("b", 0.0))}
    found = facts(project, "sqlite", values, metric("m", "var_pop(value)"))
    files = [str(found.book.store.path(f)) for f in found.book.store.snapshot().files if f.kind == "additive"]
    parts = duckdb.sql(
        f"SELECT d1, n, s1, s2, k FROM read_parquet({files}) WHERE s2 IS NOT NULL ORDER BY d1"
    ).fetchall()
    assert set(parts) == {("a", 5, 0.0, 10.0, 1e9 + 2), ("b", 5, 0.0, 10.0, 2.0)}
    # as docs/book.md says: move all to one K, then add
    ((variance,),) = duckdb.sql(f"""
        WITH parts AS (SELECT n, k, s1, s2 FROM read_parquet({files}) WHERE s2 IS NOT NULL),
        middle AS (SELECT sum(n * k + s1) / sum(n) AS m FROM parts)
        SELECT sum(s2 + 2 * (k - m) * s1 + n * (k - m) ** 2) / sum(n) FROM parts, middle
    """).fetchall()
    assert variance == pytest.approx(statistics.pvariance(of(values)), rel=1e-12)
    found.close()


def test_the_same_values_in_another_order_are_no_revision(project):
    dice = random.Random(5)
    several = [1e9 + dice.gauss(0, 1) for _ in range(200)]
    found = facts(project, "sqlite", {(DAYS[2], "x"): several}, metric("m", "stddev(value)"))
    found.execute("delete from facts")
    dice.shuffle(several)
    found.insert("facts", [(f"{DAYS[2]} 11:00:00", "x", v) for v in several])
    found.run()
    assert found.book.store.ledger.revisions() == []
    found.execute("update facts set value = value + 1 where value = (select max(value) from facts)")
    found.run()
    assert len(found.book.store.ledger.revisions()) == 1


def test_compacting_forgetting_and_copying_keep_every_k(project, tmp_path):
    values = {(day, name): [mid + i for i in range(5)] for day in DAYS for name, mid in (("a", 1e9), ("b", 0.0))}
    found = facts(project, "sqlite", values)
    before = found.ask("m", by=["name"], **LAST)
    found.at("2025-02-01T06:00")
    found.book.compact()
    assert found.ask("m", by=["name"], **LAST) == before
    found.close()
    found.book.backup(tmp_path / "copy")
    assert found.ask("m", by=["name"], **LAST) == before
    assert found.book.doctor() == []
