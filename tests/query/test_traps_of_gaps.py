"""Traps of gaps: what was not collected is not zero, and what is not over is not complete.

Each wrong number is acted out on a real database, beside the right one."""

from __future__ import annotations

from tests.projects import project
from tests.trap_tables import VISITS, days, seats

__all__ = ["project"]


def test_a_day_that_was_not_collected_is_a_gap_with_its_why_and_not_0(project):
    found = project(now="2024-01-11T12:00")
    found.table("visits (day date, plan varchar(10))", [(d, "pro") for d in days("2024-01-01", "2024-01-10")])
    found.declare(VISITS)
    found.run(from_="2024-01-01", to="2024-01-03")
    found.run(from_="2024-01-06", to="2024-01-10")
    daily = found.ask("visits", from_="2024-01-03", to="2024-01-06")
    assert daily == {"2024-01-03": 1, "2024-01-04": None, "2024-01-05": None, "2024-01-06": 1}
    gap = found.rows("visits", from_="2024-01-04", to="2024-01-04", by=["plan"])
    assert [(row["plan"], row["visits"], row["days"], row["complete"]) for row in gap] == [(None, None, 0, False)]
    assert "tallybook run visits --from 2024-01-04" in gap[0]["notes"]["visits"]["why"]
    week = found.rows("visits", scope="week", from_="2024-01-01", to="2024-01-07")
    assert [(row["visits"], row["days"], row["days_expected"], row["complete"]) for row in week] == [(5, 5, 7, False)]


def test_fill_gives_every_series_in_covered_periods_and_nothing_in_gaps(project):
    found = project(now="2024-01-11T12:00")
    found.table("visits (day date, plan varchar(10))", [("2024-01-01", "pro"), ("2024-01-03", "free")])
    found.declare(VISITS)
    found.run(from_="2024-01-01", to="2024-01-03")
    question = {"by": ["plan"], "from_": "2024-01-01", "to": "2024-01-04"}
    assert found.ask("visits", **question) == {
        ("2024-01-01", "pro"): 1,
        ("2024-01-03", "free"): 1,
        ("2024-01-04", None): None,
    }
    filled = found.ask("visits", fill=True, **question)
    by_day = {day: [filled[day, "free"], filled[day, "pro"]] for day in days("2024-01-01", "2024-01-03")}
    assert by_day == {"2024-01-01": [0, 1], "2024-01-02": [0, 0], "2024-01-03": [1, 0]}
    assert {value for (day, _), value in filled.items() if day == "2024-01-04"} == {None}


def test_a_metric_that_was_never_collected_is_a_gap(project):
    found = project(now="2024-01-11T12:00")
    found.table("visits (day date, plan varchar(10))")
    found.declare(VISITS)
    (row,) = found.rows("visits", from_="2024-01-01", to="2024-01-01")
    assert row["visits"] is None
    assert "tallybook run" in row["notes"]["visits"]["why"]


def test_the_last_value_of_a_week_whose_last_day_was_not_collected_is_unknown(project):
    found = seats(project(now="2024-01-17T12:00"), [(d, "pro", 9) for d in days("2024-01-01", "2024-01-16")])
    found.run(from_="2024-01-01", to="2024-01-06")
    found.run(from_="2024-01-08", to="2024-01-16")
    first, second, running = found.rows("seats", scope="week", from_="2024-01-01", to="2024-01-21")
    assert first["seats"] is None
    assert first["notes"]["seats"]["why"] == "2024-01-07 was not collected"
    assert (second["seats"], second["complete"]) == (9, True)
    assert (running["seats"], running["complete"], running["days"]) == (9, False, 2)
    assert running["notes"]["seats"]["as_of"] == "2024-01-16"
    (mean, *_) = found.rows("seats", scope="week", show="average", from_="2024-01-01", to="2024-01-07")
    assert (mean["seats"], mean["days"], mean["complete"]) == (9, 6, False), "over covered days only"
    (carried, *_) = found.rows("carried_seats", scope="week", from_="2024-01-01", to="2024-01-07")
    assert (carried["carried_seats"], carried["notes"]["carried_seats"]["carried"]) == (9, True)


def test_the_running_week_shows_the_last_covered_day_with_its_date(project):
    found = seats(
        project(now="2024-01-11T12:00"),
        [(d, "pro", n) for n, d in enumerate(days("2024-01-01", "2024-01-10"))],
    )
    found.run(from_="2024-01-01", to="2024-01-09")
    (row,) = found.rows("seats", scope="week", from_="2024-01-08", to="2024-01-10")
    assert (row["seats"], row["complete"], row["notes"]["seats"]["as_of"]) == (8, False, "2024-01-09")


def test_a_series_is_carried_over_missed_days_for_as_long_as_declared_and_then_gone(project):
    rows = [(d, "pro", 5) for d in days("2024-01-01", "2024-01-08")] + [
        ("2024-01-01", "free", 1),
        ("2024-01-02", "free", 1),
    ]
    found = seats(project(now="2024-01-09T12:00"), rows)
    found.run()
    by_plan = found.ask("carried_seats", by=["plan"], from_="2024-01-01", to="2024-01-08")
    assert [day for day, plan in by_plan if plan == "free"] == days("2024-01-01", "2024-01-04")
    assert list(found.ask("carried_seats").values()) == [6, 6, 6, 6, 5, 5, 5, 5]
    assert list(found.ask("seats").values()) == [6, 6, 5, 5, 5, 5, 5, 5], "without carry: gone at once"


def test_nothing_is_carried_over_a_gap_longer_than_declared(project):
    found = seats(project(now="2024-01-09T12:00"), [(d, "pro", 5) for d in days("2024-01-01", "2024-01-08")])
    found.run(from_="2024-01-01", to="2024-01-02")
    found.run(from_="2024-01-08", to="2024-01-08")
    assert list(found.ask("carried_seats", from_="2024-01-01", to="2024-01-08").values()) == [
        *(5, 5),
        *(5, 5),  # carried
        *(None, None, None),
        5,
    ]
