"""Where days begin when midnight comes twice, and instants that are given with an offset."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tallybook.core.calendar import start_of, zone
from tests.projects import project

__all__ = ["project"]


@pytest.mark.parametrize(
    ("name", "day", "begins"),
    [
        ("America/St_Johns", "2006-10-29", "2006-10-29T03:30"),  # back at 00:01
        ("America/St_Johns", "2010-11-07", "2010-11-07T03:30"),
        ("America/Goose_Bay", "2006-10-29", "2006-10-29T04:00"),
        ("America/Havana", "2024-11-03", "2024-11-03T04:00"),  # back at 01:00: both midnights are of one day
        ("America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00"),  # back at 00:00
        ("Europe/Berlin", "2024-10-27", "2024-10-26T22:00"),
    ],
)
def test_a_day_begins_at_the_midnight_after_which_its_date_stays(name, day, begins):
    first = date.fromisoformat(day)
    start = start_of(first, name)
    assert start == datetime.fromisoformat(begins).replace(tzinfo=UTC)
    shown = [(start + timedelta(minutes=m)).astimezone(zone(name)).date() for m in range(180)]
    assert set(shown) == {first}


def test_the_repeated_hour_counts_for_the_day_that_it_shows(project):
    p = project("sqlite")
    p.table("o (happened text)", [("2006-10-29 02:00:00",), ("2006-10-29 03:00:00",), ("2006-10-29 03:31:00",)])
    p.declare("""
        [metrics.n]
        table = "o"
        time = "happened"
        measure = "count(*)"
    """, start="2006-10-27", timezone="America/St_Johns")  # fmt: skip
    p.run(to="2006-10-30")
    assert p.ask("n", to="2006-10-30") == {"2006-10-27": 0, "2006-10-28": 2, "2006-10-29": 1, "2006-10-30": 0}


def test_the_instant_of_a_copy_is_said_in_utc(project):
    p = project("sqlite")
    p.table("o (happened text)", [("2024-03-02 10:00:00",)])
    p.declare("""
        [metrics.n]
        table = "o"
        time = "happened"
        measure = "count(*)"
    """)
    report = p.book.run(sources={"app": p.url}, source_as_of=datetime.fromisoformat("2024-03-04T04:00+05:00"))
    assert "known only until 2024-03-03 23:00 UTC" in report.metrics[0].notes[0]
