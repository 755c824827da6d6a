"""Levels of floats: the sum and the mean of what holds, whatever has ended before. Compared with exact decimals."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tests.projects import project, sampled_everywhere

__all__ = ["project"]

WEEK = [f"2024-01-0{day}" for day in range(1, 8)]
MEASURES = {
    "s": "sum(value)",
    "a": "avg(value)",
    "both": "sum(value) + min(value)",
    "few": "sum(value) filter (where value < 1000)",
}


def level(project, kind, rows):
    found = project(kind, now="2024-01-08T06:00")
    found.table("held (began timestamp, ended timestamp, name varchar(30), value double precision)", rows)
    keys = 'table = "held"\nkind = "level"\nfrom = "began"\nuntil = "ended"\nby = ["name"]\n'
    found.declare("".join(f'[metrics.{name}]\n{keys}measure = "{m}"\n' for name, m in MEASURES.items()))
    found.run()
    return found


def held(rows, day, name=None):
    return [
        Decimal(repr(v))
        for began, ended, n, v in rows
        if v is not None and began[:10] <= day and (ended is None or ended[:10] > day) and name in (None, n)
    ]


def close(value):
    return pytest.approx(float(value), rel=1e-11, abs=0)


def check(found, rows):
    for live in (False, True):
        for metric, number in (("s", sum), ("a", lambda v: sum(v) / len(v))):
            answer = found.ask(metric, from_=WEEK[0], to=WEEK[-1], live=live)
            for day in WEEK:
                values = held(rows, day)
                assert answer[day] == (close(number(values)) if values else None if metric == "a" else 0), (metric, day)
        for (day, name), value in found.ask("s", by=["name"], from_=WEEK[0], to=WEEK[-1], live=live).items():
            assert (value or 0) == close(sum(held(rows, day, name), Decimal(0))), (day, name)
        answer = found.ask("both", from_=WEEK[0], to=WEEK[-1], live=live)
        assert answer == {d: close(sum(held(rows, d)) + min(held(rows, d))) for d in WEEK if held(rows, d)}
        answer = found.ask("few", from_=WEEK[0], to=WEEK[-1], live=live)
        assert answer == {
            d: close(sum((v for v in held(rows, d) if v < 1000), Decimal(0))) for d in WEEK if held(rows, d)
        }


def row(first, end, value, name="a"):
    return (f"2024-01-0{first} 01:00:00", end and f"2024-01-0{end} 01:00:00", name, value)


@sampled_everywhere
def test_a_far_value_that_has_ended_leaves_nothing_behind(project, kind):
    rows = [row(1, None, 0.3), row(1, None, 49.9), row(2, 4, 1e17), row(6, None, 10.0), row(1, None, 7.25, "b")]
    found = level(project, kind, rows)
    check(found, rows)
    only_a = found.ask("s", where=["name=a"], from_=WEEK[0], to=WEEK[-1])
    assert [only_a[day] for day in WEEK[3:]] == [close("50.2"), close("50.2"), close("60.2"), close("60.2")]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_where_a_zero_is_left_the_sum_is_zero(project, kind):
    rows = [row(1, 5, 0.1), row(1, 4, 0.2), row(2, 3, 1e9), row(1, None, 0.0)]
    found = level(project, kind, rows)
    check(found, rows)
    assert [found.ask("s", from_=WEEK[4], to=WEEK[-1])[day] for day in WEEK[4:]] == [0.0] * 3


def test_the_variance_of_what_is_left_has_all_its_digits(project):
    rows = [row(1, 3, 900.0), row(1, 4, -20000.0), row(1, None, 142.0), row(2, None, 1.0)]
    found = project("sqlite", now="2024-01-08T06:00")
    found.table("held (began timestamp, ended timestamp, name varchar(30), value double precision)", rows)
    found.declare(
        '[metrics.spread]\ntable = "held"\nkind = "level"\nfrom = "began"\nuntil = "ended"\nmeasure = "var_samp(value)"'
    )
    found.run()
    answer = found.ask("spread", from_=WEEK[3], to=WEEK[-1])
    assert [answer[day] for day in WEEK[3:]] == [pytest.approx(9940.5, rel=1e-13)] * 4


def test_values_that_cancel_each_other_while_they_hold(project):
    rows = [row(1, None, 1e17), row(2, 6, 0.3), row(2, None, -1e17), row(3, None, 0.25), row(3, None, 0.25)]
    found = level(project, "sqlite", rows)
    answer = found.ask("s", from_=WEEK[0], to=WEEK[-1])
    assert [answer[d] for d in WEEK] == [1e17, close("0.3"), *[close("0.8")] * 3, 0.5, 0.5]


def test_rows_without_a_value_add_nothing(project):
    rows = [row(1, None, 5.5), row(1, 3, None), row(2, 4, 1e16), row(1, None, None, "b")]
    check(level(project, "sqlite", rows), rows)


def test_random_levels_of_very_different_size(project, seed):
    dice, rows = random.Random(seed), [row(1, None, 0.5, "c")]
    for _ in range(150):
        began, size = dice.randrange(1, 7), dice.choice([1, 1, 1e6, 1e15])
        ended = dice.choice([None if size == 1 else began + 1, min(began + dice.randrange(1, 4), 9)])
        rows.append(row(began, ended, round(dice.uniform(0, 1), 3) * size, dice.choice("ab")))
    check(level(project, "sqlite", rows), rows)
