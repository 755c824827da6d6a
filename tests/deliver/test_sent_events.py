"""Segment and Mixpanel: daily values as events, each under one id."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tallybook.core.errors import DeclarationError
from tallybook.storage import OutboxLedger
from tests.projects import Project, project
from tests.receivers import Web

__all__ = ["project"]

GIVEN_UP_SAID = "given up after 1 attempt, because the receiver no longer knows its id: it may have arrived at 2024-03-06T12:00:00.000000Z: 500"


def declared(project: Any, web: Web, to: str, more: str = "", identify: str = "{account}") -> Project:
    made: Project = project(now="2024-03-06T12:00")
    made.table(
        "calls (at timestamp, account varchar(9), n int)",
        [("2024-03-04 10:00:00", "a1", 2), ("2024-03-04 10:00:00", "a2", 3), ("2024-03-05 10:00:00", "a1", 5)],
    )
    made.declare(
        f"""
        [metrics.calls]
        table = "calls"
        time = "at"
        measure = "sum(n)"
        by = ["account"]
        [deliveries.out]
        to = "{to}"
        api = "{web.url}"
        key = "k3y"
        metrics = ["calls"]
        by = ["account"]
        event = "dailyCalls"
        identify = "{identify}"
        {more}
        """,
        start="2024-03-04",
        timezone="Europe/Berlin",
    )
    return made


def test_segment_gets_an_event_for_each_day_and_account(project):
    with Web() as web:
        made = declared(project, web, "segment", identify="tallybook@{account}")
        made.run()
        ((path, body),) = web.posts
        assert path == "/v1/batch"
        assert base64.b64decode(web.headers[0]["Authorization"].split()[1]) == b"k3y:"
        first = min(body["batch"], key=lambda one: (one["timestamp"], one["userId"]))
        assert (first["event"], first["userId"]) == ("dailyCalls", "tallybook@a1")
        assert first["timestamp"] == "2024-03-04T12:00:00+01:00"
        assert first["properties"] == {"account": "a1", "calls": 2}
        assert len({one["messageId"] for one in body["batch"]}) == 3
        made.book.deliver()
        assert len(web.posts) == 1


@pytest.mark.parametrize("restated", ["alert", "event"])
def test_a_value_that_changes_later_is_reported_or_sent_as_a_correction(project, restated):
    with Web() as web:
        made = declared(project, web, "mixpanel", f'restated = "{restated}"')
        made.run()
        made.insert("calls", [("2024-03-05 12:00:00", "a1", 1)])
        made.run()
        refused = OutboxLedger(made.book.store.ledger).rows("out", ("refused",))
        if restated == "alert":
            assert len(web.posts) == 1
            assert [row.answer for row in refused] == ["changed after it was sent: calls 5 → 6"]
        else:
            ((event,),) = [body for _, body in web.posts[1:]]
            assert (event["event"], event["properties"]["calls"]) == ("dailyCalls.corrected", 6)
            assert event["properties"]["previous_calls"] == 5
            assert not refused


@pytest.mark.parametrize("now", ["2024-03-06T12:00", "2024-03-08T12:00"])
def test_zeros_that_were_sent_are_not_sent_again_when_another_value_of_their_day_changes(project, now):
    with Web() as web:
        made = declared(project, web, "mixpanel", 'restated = "event"\nfill = true')
        made.run()
        first = [
            (one["properties"]["distinct_id"], one["properties"]["calls"]) for _, body in web.posts for one in body
        ]
        assert sorted(first) == [("a1", 2), ("a1", 5), ("a2", 0), ("a2", 3)]
        before = len(web.posts)
        made.insert("calls", [("2024-03-05 12:00:00", "a1", 1)])
        made.at(now).run()
        later = [one for _, body in web.posts[before:] for one in body]
        assert [one["properties"]["calls"] for one in later if one["event"] == "dailyCalls.corrected"] == [6]
        ids = [one["properties"]["$insert_id"] for _, body in web.posts for one in body]
        assert len(ids) == len(set(ids))
        days = {one["properties"]["time"] for one in later if one["event"] == "dailyCalls"}
        zeros = [
            (one["properties"]["distinct_id"], one["properties"]["calls"])
            for one in later
            if one["event"] == "dailyCalls"
        ]
        assert sorted(zeros) == sorted([("a1", 0), ("a2", 0)] * len(days))


def test_a_series_that_is_new_in_a_month_makes_zeros_of_its_days_once(project):
    with Web() as web:
        made = declared(project, web, "mixpanel", 'restated = "event"\nfill = true')
        made.run()
        for n, at in enumerate(["2024-03-04", "2024-03-05", "2024-03-04", "2024-03-05"]):
            made.insert("calls", [(f"{at} 13:00:00", "a1", 1), (f"{at} 13:00:00", f"b{n}", 1)])
            made.run()
        sent = [one for _, body in web.posts for one in body if one["event"] == "dailyCalls"]
        ids = [one["properties"]["$insert_id"] for one in sent]
        assert len(ids) == len(set(ids))
        days = [(one["properties"]["time"], one["properties"]["distinct_id"]) for one in sent]
        assert len(days) == len(set(days)) == 2 * len({who for _, who in days})


def test_days_wait_until_they_are_settled(project):
    with Web() as web:
        made = declared(project, web, "mixpanel", 'settle = "1d"')
        made.run()
        (body,) = [body for _, body in web.posts]
        assert sorted(one["properties"]["distinct_id"] for one in body) == ["a1", "a2"]
        made.at("2024-03-07T12:00").run()
        assert len(web.posts) == 2


def test_what_is_missing_is_reported_at_once(project):
    with Web() as web, pytest.raises(DeclarationError) as caught:
        _ = declared(project, web, "segment", 'scope = "week"', identify="{user}").book
    said = str(caught.value)
    assert "identify names {user}" in said
    assert 'by = ["account", "user"]' in said
    assert "events are of days" in said


@pytest.mark.parametrize(
    ("to", "again", "taken"), [("segment", "20:00", 3), ("segment", "35:30", 0), ("mixpanel", "35:30", 3)]
)
def test_an_event_that_may_have_arrived_is_not_sent_by_itself_once_its_id_is_forgotten(project, to, again, taken):
    with Web() as web:
        made = declared(project, web, to)
        web.answers = [500]
        made.run()
        hours, minutes = map(int, again.split(":"))
        made.now = datetime(2024, 3, 6, tzinfo=UTC) + timedelta(hours=hours, minutes=minutes)
        made.book.deliver()
        assert sum(len(body["batch"] if to == "segment" else body) for _, body in web.posts) == taken
        refused = OutboxLedger(made.book.store.ledger).rows("out", ("refused",))
        assert {row.answer for row in refused} == (set() if taken else {GIVEN_UP_SAID})
        assert made.book.replay_delivery("out") == 3 - taken
        made.book.deliver()
        assert sum(len(body["batch"] if to == "segment" else body) for _, body in web.posts) == 3


def test_an_event_that_was_on_its_way_when_its_process_ended_waits_for_somebody_after_a_day(project, monkeypatch):
    with Web() as web:
        made = declared(project, web, "segment")
        with monkeypatch.context() as ended:
            ended.setattr(OutboxLedger, "settle", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                made.run()
        assert len(web.posts) == 1
        made.at("2024-03-07T12:00").book.deliver()
        assert len(web.posts) == 1
        refused = OutboxLedger(made.book.store.ledger).rows("out", ("refused",))
        assert {row.answer for row in refused} == {GIVEN_UP_SAID.removesuffix(": 500")}


@pytest.mark.parametrize(
    ("to", "dimension", "metric", "said"),
    [
        ("mixpanel", "time", "calls", "Mixpanel uses the property 'time' itself"),
        ("mixpanel", "distinct_id", "calls", "Mixpanel uses the property 'distinct_id' itself"),
        (
            "segment",
            "previous_calls",
            "calls",
            "a correction uses the property 'previous_calls' for the previous value",
        ),
        ("segment", "time", "calls", ""),
    ],
)
def test_a_dimension_that_would_replace_a_property_is_refused(project, to, dimension, metric, said):
    made = project(now="2024-03-06T12:00")
    made.table(f"facts (at timestamp, {dimension} varchar(9))", [("2024-03-04 10:00:00", "a")])
    made.declare(
        f'[metrics.{metric}]\ntable = "facts"\ntime = "at"\nmeasure = "count(*)"\nby = ["{dimension}"]\n'
        f'[deliveries.out]\nto = "{to}"\napi = "https://events.acme.com"\nkey = "k"\nmetrics = ["{metric}"]\n'
        f'by = ["{dimension}"]\nevent = "daily"\nidentify = "{{{dimension}}}"\n',
        start="2024-03-04",
    )
    if not said:
        assert made.book.project.catalog.deliveries
        return
    with pytest.raises(DeclarationError) as caught:
        _ = made.book
    assert f"deliveries.out.by: {said}" in str(caught.value)
