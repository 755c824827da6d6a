"""Of several rows of a day and series the one received last counts: in flows and in levels, also long after the day."""

from __future__ import annotations

from typing import Any

import pytest

import tallybook
from tests.projects import Project, everywhere, project

__all__ = ["project"]

SEATS = "seats (id int, day date, account varchar(10), region varchar(10), n int, received_at timestamp)"
FLOW = 'daily_aggregate = true\nseries = ["account"]'
LEVEL = 'kind = "level"\nseries = ["account"]'
METRIC = """
[metrics.seats]
table = "seats"
time = "day"
measure = "sum(n)"
received = {received}
{keys}
"""


def metric(keys: str, received: str = '"received_at"') -> str:
    return METRIC.format(keys=keys, received=received)


def seat(number: int, account: str, n: int, received: str, *, day: str = "2024-01-10", region: str = "eu") -> Any:
    return number, day, account, region, n, f"2024-{received}:00"


FIRST = [seat(1, "a", 100, "01-10 20:00"), seat(2, "b", 50, "01-10 20:00")]


def asked(project: Project, **more: Any) -> Any:
    found = project.both("seats", from_="2024-01-10", to="2024-01-10", **more)
    return found["2024-01-10"] if not more else found


@everywhere
def test_a_level_and_a_flow_count_the_row_received_last_160_not_260(project, kind):
    project = project(kind, now="2024-01-12T06:00")
    project.table(SEATS, [*FIRST, seat(3, "a", 110, "01-10 21:00")])
    project.declare(metric(LEVEL) + metric(FLOW).replace("metrics.seats", "metrics.sent"))
    project.run()
    assert asked(project) == 160
    assert project.both("sent", from_="2024-01-10", to="2024-01-10") == {"2024-01-10": 160}
    (whole,) = project.both("seats", scope="month", from_="2024-01-01", to="2024-01-10").values()
    assert whole == 160


@everywhere
@pytest.mark.parametrize("keys", [FLOW, LEVEL], ids=["flow", "level"])
def test_a_row_received_after_the_lookback_restates_its_day(project, kind, keys):
    project = project(kind, now="2024-01-12T06:00")
    project.table(SEATS, FIRST)
    project.declare(metric(keys))
    project.run()
    project.at("2024-03-07T06:00").run()
    project.insert("seats", [seat(3, "a", 110, "03-07 20:00")])
    project.at("2024-03-08T06:00").run()
    assert asked(project) == 160
    (revision,) = project.book.store.ledger.revisions()
    assert (revision.old, revision.new) == ("150", "160")


@everywhere
def test_two_rows_received_at_the_same_time_are_refused_with_the_line_to_add(project, kind):
    project = project(kind, now="2024-01-13T06:00")
    tied = [seat(4, "a", 90, "01-11 20:00", day="2024-01-11"), seat(3, "a", 70, "01-11 20:00", day="2024-01-11")]
    project.table(SEATS, [*FIRST, *tied])
    project.declare(metric(LEVEL))
    (failed,) = project.book.run().failed
    assert "1 series has two rows that are the last by received_at, on 2024-01-11" in failed.error
    assert 'received = ["received_at", "id"]' in failed.hint
    assert asked(project) == 150, "other days are collected"
    project.declare(metric(LEVEL, '["received_at", "id"]'))
    project.run()
    assert project.both("seats", from_="2024-01-11", to="2024-01-11") == {"2024-01-11": 90}


@pytest.mark.parametrize("received", ["", 'received = "received_at"\n'])
def test_a_daily_aggregate_without_an_order_of_its_rows_is_refused(project, received):
    project = project("duckdb", now="2024-01-12T06:00")
    project.table(SEATS, [FIRST[0], seat(2, "a", 50, "01-10 20:00")])
    project.declare(metric(FLOW).replace('received = "received_at"\n', received))
    (failed,) = project.book.run().failed
    assert ("received = [" if received else 'received = "received_at"') in failed.hint


@everywhere
def test_a_row_without_a_receipt_is_older_than_the_others(project, kind):
    project = project(kind, now="2024-01-12T06:00")
    project.table(SEATS, [FIRST[0], (2, "2024-01-10", "a", "eu", 7, None)])
    project.declare(metric(LEVEL))
    project.run()
    assert asked(project) == 100


def test_a_level_of_entities_keeps_a_row_of_each(project):
    project = project("duckdb", now="2024-01-12T06:00")
    rows = [*FIRST, seat(3, "b", 70, "01-10 21:00"), seat(4, "c", 5, "01-10 20:00")]
    project.table(SEATS, rows)
    project.declare(metric('kind = "level"\nseries = ["region"]\nby = ["region"]\nper = "account"\nthen = "max"'))
    project.run()
    assert asked(project) == 100
    assert project.both("seats", by=["region"], from_="2024-01-10", to="2024-01-10") == {("2024-01-10", "eu"): 100}


def test_numbers_that_order_rows_need_not_be_times(project):
    project = project("duckdb", now="2024-01-12T06:00")
    project.table(SEATS, [*FIRST, seat(3, "a", 110, "01-10 20:00")])
    project.declare(metric(LEVEL, '"id"'))
    assert project.run().exit_code == 0
    assert asked(project) == 160


@pytest.mark.parametrize(
    ("keys", "key", "line"),
    [
        ('kind = "level"', "series", 'series = ["account_id"]'),
        ('kind = "level"\nseries = ["account"]\nby = ["region"]', "series", 'series = ["account", "region"]'),
        (LEVEL + '\ncarry = "3d"', "carry", 'by = ["account"]'),
        (LEVEL + '\nby = ["account"]\ncarry = "3d"', "", ""),
    ],
)
def test_a_level_that_would_guess_its_series_is_refused_with_the_line_to_add(tmp_path, keys, key, line):
    head = '[book]\nname = "Acme"\ntimezone = "UTC"\n[sources.app]\nurl = "duckdb:///app.db"\n'
    (tmp_path / "tallybook.toml").write_text(head + metric(keys))
    if not key:
        tallybook.open(tmp_path).close()
        return
    with pytest.raises(tallybook.DeclarationError) as failed:
        tallybook.open(tmp_path)
    (problem,) = failed.value.problems
    assert (problem.path, problem.paste) == (f"metrics.seats.{key}", line)


def test_a_level_carries_a_series_that_was_sent_again(project):
    project = project("duckdb", now="2024-01-13T06:00")
    more = [seat(3, "a", 110, "01-10 21:00"), seat(4, "b", 60, "01-11 20:00", day="2024-01-11")]
    project.table(SEATS, [*FIRST, *more])
    project.declare(metric(LEVEL + '\nby = ["account"]\ncarry = "3d"'))
    project.run()
    assert project.both("seats", from_="2024-01-10", to="2024-01-11") == {"2024-01-10": 160, "2024-01-11": 170}
