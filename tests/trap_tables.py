"""Tables and questions that several files of traps share."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

import tallybook
from tests.projects import Project


def days(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [str(start + timedelta(days=n)) for n in range((end - start).days + 1)]


def refused(project: Project, metric: str, **question: Any) -> tallybook.Refused:
    with pytest.raises(tallybook.Refused) as why:
        project.ask(metric, **question)
    return why.value


EVENTS = [
    (1, "2024-01-01 12:00:00"),
    (1, "2024-01-02 12:00:00"),
    (1, "2024-01-07 23:30:00"),
    (1, "2024-02-01 00:30:00"),
    (2, "2024-01-08 00:30:00"),
    (3, "2024-01-31 23:30:00"),
    (3, "2024-02-15 12:00:00"),
]


EVENT_METRICS = """
    [metrics.events]
    table = "events"
    time = "seen_at"
    measure = "count(*)"
    by = ["user_id"]

    [metrics.users]
    table = "events"
    time = "seen_at"
    measure = "count(distinct user_id)"
"""


def events(project: Project, **book: str) -> Project:
    project.table("events (user_id int, seen_at timestamp)", EVENTS)
    project.declare(EVENT_METRICS, **book)
    project.run()
    return project


VISITS = """
    [metrics.visits]
    table = "visits"
    time = "day"
    measure = "count(*)"
    by = ["plan"]
"""


LEVELS = """
    [metrics.seats]
    kind = "level"
    table = "daily_seats"
    time = "day"
    measure = "sum(seats)"
    by = ["plan"]

    [metrics.carried_seats]
    kind = "level"
    table = "daily_seats"
    time = "day"
    measure = "sum(seats)"
    by = ["plan"]
    carry = "2d"
"""


def seats(project: Project, rows: list[tuple[str, str, int]], **book: str) -> Project:
    project.table("daily_seats (day date, plan varchar(10), seats int)", rows)
    project.declare(LEVELS, **book)
    return project
