"""Segment and Mixpanel: daily values as events, each under one id."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tallybook.core.errors import DeclarationError
from tallybook.storage import OutboxLedger
from tests.projects import Project, project
from tests.receivers import Web

__all__ = ["project"]


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
