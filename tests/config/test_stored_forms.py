"""How times are stored: declared forms of numbers and texts on each database.

Also declarations that the values refute."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.projects import everywhere, project

__all__ = ["project"]

TIMES = [
    "2024-02-28T22:59:59",
    "2024-02-28T23:00:00",
    "2024-02-29T22:59:59",
    "2024-02-29T23:00:00",
    "2024-03-01T22:59:59",
]
COUNTS = {"2024-02-28": 1, "2024-02-29": 2, "2024-03-01": 2}
"""In Berlin."""
UNITS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
METRIC = """
    [metrics.n]
    table = "o"
    time = "happened"
    measure = "count(*)"
    stored = "{stored}"
"""


def seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp())


def collected(p, stored, **book):
    p.declare(METRIC.format(stored=stored), timezone="Europe/Berlin", start="2024-02-28", **book)
    p.run()
    return p.ask("n", to="2024-03-01")


@everywhere
@pytest.mark.parametrize("type_", ["bigint", "varchar(30)"])
@pytest.mark.parametrize("stored", UNITS)
def test_numbers_count_from_1970_in_each_unit_also_as_text(project, kind, stored, type_):
    p = project(kind)
    p.table(f"o (happened {type_})")
    values = [seconds(time) * UNITS[stored] + (UNITS[stored] - 1) for time in TIMES]
    p.insert("o", [(value if type_ == "bigint" else str(value),) for value in values])
    assert collected(p, stored) == COUNTS


@everywhere
@pytest.mark.parametrize("type_", ["integer", "varchar(30)"])
def test_days_as_20260302_are_days_in_no_zone_and_30_february_is_none(project, kind, type_):
    p = project(kind)
    p.table(f"o (happened {type_})")
    values = [20240228, 20240229, 20240230, 20240299, 20240300, 20240301, 20240301, 20241301, 0, 20240229]
    p.insert("o", [(value if type_ == "integer" else f"{value:08}",) for value in values])
    assert collected(p, "yyyymmdd") == {"2024-02-28": 1, "2024-02-29": 2, "2024-03-01": 2}


@everywhere
def test_the_first_day_as_20260302_is_found(project, kind):
    p = project(kind)
    p.table("o (happened integer)", [(0,), (20240302,), (20240304,)])
    p.declare(METRIC.format(stored="yyyymmdd"), start="")
    p.run()
    assert p.ask("n", scope="all") == {"2024-03-02": 2}


REFUTED = [
    ("epoch_s", 1709373600000, "epoch_ms"),
    ("epoch_ms", 1709373600, "epoch_s"),
    ("epoch_ms", 1709373600000000, "epoch_us"),
    ("epoch_us", 1709373600000000000, "epoch_ns"),
    ("epoch_s", 20240302, "yyyymmdd"),
    ("yyyymmdd", 1709373600, "epoch_s"),
    ("epoch_s", 2024, "make a time of it"),
    ("epoch_s", 2460371, "make a time of it"),
]


@everywhere
@pytest.mark.parametrize(("stored", "value", "fits"), REFUTED)
def test_a_declared_form_is_refuted_by_the_values(project, kind, stored, value, fits):
    p = project(kind)
    p.table("o (happened bigint)")
    p.insert("o", [(value,), (value,)])
    p.declare(METRIC.format(stored=stored))
    said = p.run_fails()
    assert str(value) in said
    assert fits in said


@everywhere
@pytest.mark.parametrize(
    ("value", "fits"), [("20240302", "yyyymmdd"), ("1709373600", "epoch_s"), ("1709373600000", "epoch_ms")]
)
def test_text_that_is_no_date_is_not_collected_as_one(project, kind, value, fits):
    p = project(kind)
    p.table("o (happened varchar(30))", [(value,)])
    p.declare(METRIC.format(stored="date"))
    assert f'stored = "{fits}"' in p.run_fails()
    p.declare(METRIC.format(stored="date").replace('stored = "date"', ""))
    assert f'stored = "{fits}"' in p.run_fails()


@pytest.mark.parametrize("value", [-86400 * 365 * 20, 0, 253402300799, 4102444800])
def test_birthdays_zeros_and_the_far_future_refute_nothing(project, value):
    p = project("sqlite")
    p.table("o (happened bigint)", [(value,), (value,)])
    p.declare(METRIC.format(stored="epoch_s"))
    p.run()
