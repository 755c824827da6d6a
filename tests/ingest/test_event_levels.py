"""Levels of events from intervals: an event counts from a time of its own until another."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.ingest.test_event_metrics import make

__all__ = ["make"]

SUBSCRIPTIONS = """
[events.subscribed]
properties = { until = "time", plan = "text", mrr = "integer" }

[metrics.mrr]
kind = "level"
event = "subscribed"
from = "time"
until = "until"
measure = "sum(mrr)"
by = ["plan"]
"""


def subscribed(day: int, mrr: int, until: int | None = None) -> dict[str, Any]:
    ended = f"2026-03-{until:02}T10:00:00Z" if until else None
    properties = {"plan": "pro", "mrr": mrr, "until": ended}
    return {"event": "subscribed", "time": f"2026-03-{day:02}T10:00:00Z", "properties": properties}


def test_a_level_counts_the_events_whose_interval_contains_the_end_of_the_day(make: Any) -> None:
    book = make(SUBSCRIPTIONS)
    book.send(subscribed(1, 100, until=3), subscribed(2, 50), subscribed(2, 7))
    book.run()
    assert book.ask("mrr") == {"2026-03-01": 100, "2026-03-02": 157, "2026-03-03": 57, "2026-03-04": 57}


def test_a_late_event_changes_a_level_from_its_day_on(make: Any) -> None:
    book = make(SUBSCRIPTIONS)
    book.send(subscribed(1, 100))
    book.run()
    book.now += timedelta(days=20)
    book.run()
    book.send(subscribed(2, 50, until=4))
    book.run()
    assert book.ask("mrr") == {"2026-03-01": 100, "2026-03-02": 150, "2026-03-03": 150, "2026-03-04": 100}
