"""Metrics that share a statement: the same measure declared several times in one book gives the same numbers."""

from __future__ import annotations

import pytest

from tests.projects import project, sampled_everywhere

__all__ = ["project"]

ROWS = [
    # began, ended, who, amount
    ("2024-01-01 10:00:00", None, "ada", 5),
    ("2024-01-01 11:00:00", None, "bob", 8),
    ("2024-01-02 10:00:00", None, "ada", 6),
    ("2024-01-02 12:00:00", None, "ada", 9),
]
DAYS = {"from_": "2024-01-01", "to": "2024-01-02"}
FLOW = {
    "count(*)": [2, 2],
    "sum(amount)": [13, 15],
    "avg(amount)": [6.5, 7.5],
    "min(amount)": [5, 6],
    "max(amount)": [8, 9],
    "stddev(amount)": [4.5**0.5, 4.5**0.5],
    "var_pop(amount)": [2.25, 2.25],
    "count(distinct who)": [2, 1],
    "sum(distinct amount)": [13, 15],
    "avg(distinct amount)": [6.5, 7.5],
    "first(amount)": [5, 6],
    "last(amount)": [8, 9],
    "median(amount)": [6.5, 7.5],
    "quantile_disc(amount, 0.5)": [5, 6],
}
LEVEL = {
    "count(*)": [2, 4],
    "sum(amount)": [13, 28],
    "avg(amount)": [6.5, 7.0],
    "min(amount)": [5, 5],
    "max(amount)": [8, 9],
    "var_pop(amount)": [2.25, 2.5],
    "count(distinct who)": [2, 2],
    "sum(distinct amount)": [13, 28],
    "median(amount)": [6.5, 7.0],
}
NO_TIME = ("first(amount)", "last(amount)")


def twice(measures, keys):
    """Each measure under three names: as it is, again, and 100 times it."""
    return "\n".join(
        f'[metrics.{name}{i}]\nmeasure = "{factor}{measure}"\n{keys}'
        for i, measure in enumerate(measures)
        for name, factor in (("a", ""), ("b", ""), ("c", "100 * "))
    )


def check(found, measures, **asked):
    names = [f"{name}{i}" for i in range(len(measures)) for name in "abc"]
    rows = found.rows(*names, **asked)
    for i, (measure, expected) in enumerate(measures.items()):
        right = [pytest.approx(value, rel=1e-9) for value in expected]
        assert [row[f"a{i}"] for row in rows] == right, measure
        assert [row[f"b{i}"] for row in rows] == right, measure
        assert [row[f"c{i}"] for row in rows] == [pytest.approx(100 * v, rel=1e-9) for v in expected], measure


def facts(project, kind):
    found = project(kind, now="2024-01-03T06:00")
    found.table("facts (began timestamp, ended timestamp, who varchar(10), amount integer)", ROWS)
    return found


@sampled_everywhere
def test_the_same_measure_of_flows_several_times(project, kind):
    found = facts(project, kind)
    found.declare(twice(FLOW, 'table = "facts"\ntime = "began"\n'))
    found.run()
    check(found, FLOW, **DAYS)


@sampled_everywhere
def test_the_same_measure_of_daily_levels_several_times(project, kind):
    found = facts(project, kind)
    found.declare(twice(FLOW, 'table = "facts"\ntime = "began"\nkind = "level"\n'))
    found.run()
    check(found, FLOW, **DAYS)


@sampled_everywhere
def test_the_same_measure_of_levels_from_intervals_several_times(project, kind):
    found = facts(project, kind)
    found.declare(twice(LEVEL, 'table = "facts"\nfrom = "began"\nuntil = "ended"\nkind = "level"\n'))
    found.run()
    check(found, LEVEL, **DAYS)


@sampled_everywhere
def test_the_same_measure_of_snapshots_several_times(project, kind):
    found = facts(project, kind)
    found.declare(twice(LEVEL, 'table = "facts"\nkind = "level"\n'))
    found.run()
    check(found, {m: v[1:] for m, v in LEVEL.items()}, from_="2024-01-02", to="2024-01-02")


@sampled_everywhere
def test_the_same_measure_of_entities_several_times(project, kind):
    found = facts(project, kind)
    measures = {"count(*)": [1, 2], "last(amount)": [8, 9], "first(amount)": [8, 6], "sum(amount)": [8, 15]}
    found.declare(twice(measures, 'table = "facts"\ntime = "began"\nper = "who"\nthen = "max"\n'))
    found.run()
    check(found, measures, **DAYS)


@pytest.mark.parametrize("measure", NO_TIME)
def test_metrics_that_start_on_different_days_go_on_together(project, measure):
    """The first runs collect them one by one, later ones together."""
    found = facts(project, "sqlite")
    keys = 'table = "facts"\ntime = "began"\n'
    found.declare(
        f'[metrics.a]\nmeasure = "{measure}"\n{keys}\n'
        f'[metrics.b]\nmeasure = "{measure}"\nstart = "2024-01-02"\n{keys}\n'
        f'[metrics.ok]\nmeasure = "count(*)"\n{keys}'
    )
    found.run()
    found.insert("facts", [("2024-01-08 01:00:00", None, "cyd", 7)])
    found.at("2024-01-08T06:00").run()
    found.at("2024-01-09T06:00").run()
    assert found.ask("a", from_="2024-01-08", to="2024-01-08") == {"2024-01-08": 7}
    assert found.ask("b", from_="2024-01-08", to="2024-01-08") == {"2024-01-08": 7}
    assert found.ask("ok", from_="2024-01-08", to="2024-01-08") == {"2024-01-08": 1}


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_new_metric_beside_an_old_one_has_no_revisions_and_the_old_one_keeps_its_own(project, place):
    found = facts(project, "sqlite")
    old = '[metrics.old]\ntable = "facts"\ntime = "began"\nmeasure = "sum(amount)"\n'
    new = '[metrics.new]\ntable = "facts"\ntime = "began"\nmeasure = "count(*)"\nstart = "2024-01-01"\n'
    found.declare(old)
    found.run()
    found.execute("update facts set amount = 7 where amount = 6")
    found.declare(new + old if place == "before" else old + new)
    found.run()
    revisions = [(r.metric, r.old, r.new) for r in found.book.store.ledger.revisions()]
    assert revisions == [("old", "15", "16")]
