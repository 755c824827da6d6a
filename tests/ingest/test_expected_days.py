"""Which days should bring a value: a missing one is late with its own next step, others are no gaps.

2026-03-02 is a Monday."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tests.ingest.test_event_metrics import EventBook

LEVEL = '\n[metrics.seats]\nevent = "seats"\nkind = "level"\nmeasure = "sum(value)"\n'
FLOW = '\n[metrics.calls]\nevent = "seats"\nmeasure = "sum(value)"\n'
DAILY = "\n[events.seats]\ndaily_aggregate = true\n"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[EventBook] = []

    def new(metrics: str) -> EventBook:
        made.append(EventBook(tmp_path / f"p{len(made)}", metrics))
        return made[-1]

    yield new
    for one in made:
        one.book.close()
        one.ingest.commit.close()


def push(book: EventBook, at: str, **by_day: float) -> None:
    book.now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    book.values("seats", **by_day)


def late(book: EventBook) -> list[str]:
    return [problem for problem in book.book.status().problems if "late" in problem]


def test_an_expected_day_without_a_value_is_late_and_says_what_to_send(make: Any) -> None:
    book = make(DAILY + FLOW)
    push(book, "2026-03-05T06:00", d02=160, d03=150)
    assert book.run().exit_code == 0
    assert late(book) == []  # the day before yesterday is due
    book.now += timedelta(days=2)
    assert book.run().exit_code == 0
    (metric,) = book.book.status().metrics
    assert (metric.days_late, metric.said) == (2, "no value was pushed for 2026-03-04 and 1 day more")
    assert metric.next == "send it to /v1/values, or close the day: PUT /v1/days/seats/2026-03-04"
    (problem,) = late(book)
    assert "tallybook run" not in problem
    book.ingest.events.close_day("seats", date(2026, 3, 4), "loader", now=book.now)
    push(book, "2026-03-07T06:30", d05=10)
    assert book.run().exit_code == 0
    assert late(book) == []
    assert book.ask("calls", "2026-03-02", "2026-03-05")["2026-03-04"] == 0


def test_a_day_of_a_year_that_was_mistyped_makes_no_days_late_that_no_run_collects(make: Any) -> None:
    book = make(DAILY + FLOW)
    push(book, "2026-03-05T06:00", d02=1, d03=2)
    book.ingest.events.close_day("seats", date(206, 3, 2), "loader", now=book.now)
    book.run()
    assert late(book) == []
    book.now += timedelta(days=1)
    (problem,) = late(book)
    assert problem.startswith("calls is 1 day late")


def test_a_day_that_is_missing_between_others_stays_late(make: Any) -> None:
    book = make(DAILY + FLOW)
    push(book, "2026-03-06T06:00", d02=1, d04=3, d05=4)
    book.run()
    (problem,) = late(book)
    assert "no value was pushed for 2026-03-03;" in problem


def test_days_that_are_not_expected_are_no_gaps_and_leave_a_week_complete(make: Any) -> None:
    book = make(DAILY + 'expect = "weekdays"\n' + FLOW + LEVEL)
    push(book, "2026-03-10T06:00", d02=10, d03=20, d04=30, d05=40, d06=50)
    assert book.run().exit_code == 0
    asked = {"scope": "week", "from_": "2026-03-02", "to": "2026-03-08"}
    (row,) = book.book.query("calls", **asked).rows()
    assert (row["calls"], row["days"], row["days_expected"], row["complete"]) == (150, 5, 5, True)
    (mean,) = book.book.query("calls", show="average", **asked).rows()
    assert mean["calls"] == 30
    (level,) = book.book.query("seats", **asked).rows()
    assert (level["seats"], level["complete"]) == (50, True), "the value of Friday is that of the week"
    assert late(book) == [], "the last day that is due is a Sunday"
    result = book.book.query("calls", from_="2026-03-06", to="2026-03-07")
    saturday = result.rows()[1]
    assert (saturday["calls"], saturday["complete"]) == (None, True)
    assert "no value is expected on 2026-03-07" in str(saturday["notes"])
    (calendar, _) = book.book.coverage("calls", "seats", from_="2026-03-02", to="2026-03-08")
    assert (calendar.days, calendar.expected, calendar.gaps) == (5, 5, [])


def test_a_value_of_a_day_that_is_not_expected_counts(make: Any) -> None:
    book = make(DAILY + 'expect = "weekdays"\n' + FLOW)
    push(book, "2026-03-10T06:00", d02=10, d03=20, d04=30, d05=40, d06=50, d07=150)
    book.run()
    (mean,) = book.book.query("calls", scope="week", show="average", from_="2026-03-02", to="2026-03-08").rows()
    assert (mean["calls"], mean["days"], mean["days_expected"]) == (50, 6, 6)


def test_a_change_over_a_weekend_is_that_since_friday(make: Any) -> None:
    book = make(DAILY + 'expect = ["mon", "tue", "wed", "thu", "fri"]\n' + LEVEL)
    push(book, "2026-03-12T06:00", d05=40, d06=50, d09=65, d10=70, d11=80)
    book.run()
    rows = book.book.query("seats", scope="week", show="change", from_="2026-03-02", to="2026-03-11").rows()
    assert rows[1]["seats"] == 30


def test_nothing_is_late_of_an_event_that_is_never_expected(make: Any) -> None:
    book = make(DAILY + 'expect = "none"\n' + FLOW + LEVEL)
    push(book, "2026-03-05T06:00", d02=160)
    book.run()
    book.now += timedelta(days=20)
    assert book.run().exit_code == 0
    assert late(book) == []
    (row,) = book.book.query("seats", scope="month", from_="2026-03-01", to="2026-03-31").rows()
    assert (row["seats"], row["complete"]) == (160, True)


def test_a_day_is_whole_when_each_expected_key_pushed(make: Any) -> None:
    book = make(DAILY + 'expect_keys = ["eu", "us"]\n' + FLOW)
    day = {"event": "seats", "day": "2026-03-02"}
    book.ingest.now = book.now
    book.ingest.send({**day, "value": 10, "dimensions": {"r": "eu"}}, path="/v1/values", key="eu")
    book.run()
    assert book.ask("calls", "2026-03-02", "2026-03-02") == {"2026-03-02": None}
    book.ingest.send({**day, "value": 5, "dimensions": {"r": "us"}}, path="/v1/values", key="us")
    book.run()
    assert book.ask("calls", "2026-03-02", "2026-03-02") == {"2026-03-02": 15}
    book.ingest.send({**day, "day": "2026-03-03", "value": 10}, path="/v1/values", key="eu")
    book.ingest.events.close_day("seats", date(2026, 3, 3), "us", now=book.now)
    book.ingest.events.close_day("seats", date(2026, 3, 4), "admin", now=book.now)
    book.run()
    assert book.ask("calls", "2026-03-03", "2026-03-04") == {"2026-03-03": 10, "2026-03-04": 0}


def test_live_answers_leave_silent_days_unknown_too(make: Any) -> None:
    book = make(DAILY + FLOW)
    push(book, "2026-03-05T06:00", d02=160, d04=150)
    rows = book.book.query("calls", from_="2026-03-02", to="2026-03-04", live=True).rows()
    assert [row["calls"] for row in rows] == [160, None, 150]


def test_a_pause_of_the_servers_is_noted_beside_the_number(make: Any) -> None:
    book = make('\n[metrics.signups]\nevent = "signup"\nmeasure = "count(*)"\n')
    book.send({"event": "signup", "time": "2026-03-02T12:00:00Z"})
    at = datetime(2026, 3, 2, tzinfo=UTC)
    for first, last in ((0, 30), (30.2, 60), (62, 90)):  # 12 minutes, then 2 hours
        served = at + timedelta(hours=first), at + timedelta(hours=last)
        book.ingest.events.seal("host-1", book.now, served)
    book.run()
    rows = book.book.query("signups", from_="2026-03-02", to="2026-03-04").rows()
    assert [row["signups"] for row in rows] == [1, 0, None]
    assert "no server ran from 2026-03-03 06:00 to 06:12 UTC" in str(rows[1]["notes"])
    assert "no server ran from 2026-03-04 12:00 to 14:00 UTC" in str(rows[2]["notes"])
    assert "PUT /v1/days/signup/2026-03-04" in str(rows[2]["notes"])


def test_downtime_says_how_long_a_pause_may_be(make: Any) -> None:
    book = make('\n[serve]\ndowntime = "3h"\n\n[metrics.signups]\nevent = "signup"\nmeasure = "count(*)"\n')
    book.send({"event": "signup", "time": "2026-03-02T12:00:00Z"})
    at = datetime(2026, 3, 2, tzinfo=UTC)
    book.ingest.events.seal("host-1", book.now, (at, at + timedelta(hours=30)))
    book.ingest.events.seal("host-1", book.now, (at + timedelta(hours=32), book.now))
    book.run()
    assert book.ask("signups")["2026-03-03"] == 0


# -- what is declared ------------------------------------------------------------------------------------------------


def problems(folder: Path, text: str) -> dict[str, tuple[str, str]]:
    (folder / "tallybook.toml").write_text('[book]\nname = "Acme"\ntimezone = "UTC"\n' + text)
    with pytest.raises(tallybook.DeclarationError) as failed:
        tallybook.open(folder)
    return {one.path: (one.expected, one.paste) for one in failed.value.problems}


@pytest.mark.parametrize(
    ("event", "metric", "path", "both"),
    [
        ("daily_aggregate = true", "daily_aggregate = false", "daily_aggregate", "[events.'seats'] daily_aggregate"),
        ("daily_aggregate = false", "daily_aggregate = true", "daily_aggregate", "[events.'seats'] daily_aggregate"),
        ('daily_aggregate = true\nseries = ["account"]', 'series = ["user"]', "series", "[events.'seats'] series"),
    ],
)
def test_a_metric_that_contradicts_its_event_is_refused_with_both_lines(
    tmp_path: Path, event: str, metric: str, path: str, both: str
) -> None:
    found = problems(tmp_path, f"[events.seats]\n{event}\n{FLOW}{metric}\n")
    expected, _ = found[f"metrics.calls.{path}"]
    assert both.replace("'", '"') in expected


def test_a_metric_inherits_the_series_of_its_event(make: Any) -> None:
    book = make(DAILY + 'series = ["account"]\n' + FLOW)
    day = {"event": "seats", "day": "2026-03-02", "account": "a"}
    book.send({**day, "value": 100, "dimensions": {"note": "first"}}, path="/v1/values")
    book.send({**day, "value": 110, "dimensions": {"note": "second"}}, path="/v1/values")
    book.run()
    assert book.ask("calls", "2026-03-02", "2026-03-02") == {"2026-03-02": 110}


@pytest.mark.parametrize(
    ("text", "path", "paste"),
    [
        ('[events]\ndedupe = "30d"', "events.dedupe", 'dedup = "30d"'),
        ('[events]\nnaive = "utcc"', "events.naive", 'naive = "utc"'),
        ('[events.seats]\nexpects = "daily"', "events.seats.expects", 'expect = "daily"'),
        ('[events.seats]\nexpect = "weekday"', "events.seats.expect", 'expect = "weekdays"'),
        ('[events.seats]\nexpect = ["mon", "tus"]', "events.seats.expect", 'expect = ["mon", "tuesday"]'),
        ('[events.seats]\nexpect_keys = "eu"', "events.seats.expect_keys", 'expect_keys = ["eu"]'),
        ('[events.seats]\nschema = "strikt"', "events.seats.schema", 'schema = "strict"'),
        ('[serve]\ndowntim = "1h"', "serve.downtim", 'downtime = "1h"'),
    ],
)
def test_a_wrong_key_of_events_is_reported_with_the_line_to_paste(
    tmp_path: Path, text: str, path: str, paste: str
) -> None:
    assert problems(tmp_path, text)[path][1] == paste


def test_a_level_of_an_event_counts_the_value_received_last_of_each_series(make: Any) -> None:
    book = make(DAILY + LEVEL)
    day = {"event": "seats", "day": "2026-03-02"}
    book.send(
        {**day, "value": 100, "account": "a"},
        {**day, "value": 50, "account": "b"},
        {**day, "value": 110, "account": "a"},
        path="/v1/values",
    )
    book.run()
    assert book.ask("seats", "2026-03-02", "2026-03-03") == {"2026-03-02": 160, "2026-03-03": None}


def test_values_received_in_one_instant_are_ordered_by_their_commits(make: Any) -> None:
    book = make(DAILY + LEVEL)
    for value in (100, 90, 110, 105):
        book.send({"event": "seats", "time": "2026-03-02T10:00:00Z", "properties": {"value": value}})
    book.run()
    assert book.ask("seats", "2026-03-02", "2026-03-02") == {"2026-03-02": 105}


def test_a_log_that_was_away_does_not_replace_values_that_were_received_after_its_own(make: Any) -> None:
    book = make(DAILY + LEVEL)
    day = {"event": "seats", "day": "2026-03-02", "account": "a"}
    push(book, "2026-03-04T06:00", d03=1)
    book.send({**day, "value": 160}, path="/v1/values")
    book.ingest.now = book.now - timedelta(hours=20)
    book.ingest.send({**day, "value": 150}, path="/v1/values")
    book.run()
    assert book.ask("seats", "2026-03-02", "2026-03-02") == {"2026-03-02": 160}
