"""Deliveries to Gainsight PX: which events and attributes the emulator gets, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tallybook.core import DeclarationError
from tallybook.deliver.destinations.gainsight_px import GainsightPx
from tallybook.storage import OutboxLedger
from tallybook_emulators.gainsight_px import PxEmulator
from tests.projects import Project, project

__all__ = ["project"]

CALLS = [
    ("2024-03-04 10:00:00", "u1", "acme", "rest", 5), ("2024-03-04 11:00:00", "u1", "acme", "soap", 2),
    ("2024-03-04 11:00:00", "u2", "beta", "rest", 3), ("2024-03-05 10:00:00", "u1", "acme", "rest", 7),
]  # fmt: skip
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def px() -> Iterator[PxEmulator]:
    with PxEmulator(limits=None) as made:
        made.attribute("account", "calls__c", "NUMBER")
        made.attribute("account", "plan__c", "STRING")
        made.attribute("account", "since__c", "DATE_TIME")
        yield made
        assert made.mistakes == []


def calling(project: Any, px: PxEmulator, more: str, *, now: str = "2024-03-06T12:00") -> Project:
    made: Project = project(now=now)
    made.table("calls (at timestamp, user_id varchar(9), account_id varchar(9), kind varchar(9), n int)", CALLS)
    made.table(
        "accounts (id varchar(9) primary key, name varchar(9), plan varchar(9), since timestamp)",
        [("acme", "Acme", "pro", "2023-01-02 03:04:05"), ("beta", "Beta", "free", "2023-01-02 03:04:05")],
    )
    made.declare(declared(px, more), start="2024-03-04")
    return made


def declared(px: PxEmulator, more: str) -> str:
    return f"""
        [metrics.calls]
        table = "calls"
        time = "at"
        measure = "sum(n)"
        by = ["user_id", "account_id", "kind"]
        [accounts]
        table = "accounts"
        key = "id"
        attributes = ["name", "plan", "since"]
        [accounts.metrics]
        calls_7d = {{ metric = "calls", last = "2 days" }}
        [users]
        dimension = ["user_id"]
        {more.replace("API", px.api)}
        """


EVENTS = """
        [deliveries.px]
        to = "gainsight_px"
        api = "API"
        key = "px-emulator-key"
        product = "AP-X-2"
        metrics = ["calls"]
        event = "dailyApiCalls"
        identify = "{user}"
        by = ["kind"]
        properties = { calls = "apiCalls", kind = "apiType" }
        read_back = 0
        rate = 2000
"""
ATTRIBUTES = """
        [deliveries.px_accounts]
        to = "gainsight_px"
        api = "API"
        key = "px-emulator-key"
        for = "account"
        attributes = { calls_7d = "calls__c", plan = "plan__c", since = "since__c" }
        read_back = 0
        rate = 2000
"""


def shown(px: PxEmulator) -> list[tuple[Any, ...]]:
    """(event, user, day, properties without the day) of each event, sorted."""
    found = []
    for one in px.events:
        properties = {name: value for name, value in one["attributes"].items() if name != "day"}
        found.append((one["eventName"], one["identifyId"], one["attributes"]["day"], dict(sorted(properties.items()))))
    return sorted(found, key=str)


def test_each_value_of_a_complete_day_is_one_event_of_its_user(project, px):
    made = calling(project, px, EVENTS)
    report = made.run()
    assert [(d.status, d.rows, d.error) for d in report.deliveries] == [("delivered", 4, None)]
    assert shown(px) == [
        ("dailyApiCalls", "u1", "2024-03-04", {"apiCalls": 2, "apiType": "soap"}),
        ("dailyApiCalls", "u1", "2024-03-04", {"apiCalls": 5, "apiType": "rest"}),
        ("dailyApiCalls", "u1", "2024-03-05", {"apiCalls": 7, "apiType": "rest"}),
        ("dailyApiCalls", "u2", "2024-03-04", {"apiCalls": 3, "apiType": "rest"}),
    ]
    first = next(one for one in px.events if one["attributes"]["day"] == "2024-03-04")
    zone = ZoneInfo(made.book.project.catalog.book.timezone)
    assert first["date"] == datetime(2024, 3, 4, 12, tzinfo=zone).timestamp() * 1000
    assert (first["propertyKey"], first["userType"]) == ("AP-X-2", "USER")
    made.run()
    assert [d.status for d in made.book.deliver()] == ["up to date"]
    assert (len(px.events), len(px.requests)) == (4, 4)
    assert OutboxLedger(made.book.store.ledger).counts() == {}


def test_latest_values_are_attributes_and_only_changed_ones_are_sent_again(project, px):
    for account in ("acme", "beta"):
        px.add_account(account)
    made = calling(project, px, ATTRIBUTES)
    report = made.run()
    assert [(d.status, d.rows, d.error) for d in report.deliveries] == [("delivered", 6, None)]
    since = 1672628645000
    assert px.accounts["acme"]["customAttributes"] == {"calls__c": 14, "plan__c": "pro", "since__c": since}
    assert px.accounts["beta"]["customAttributes"] == {"calls__c": 3, "plan__c": "free", "since__c": since}
    assert px.dropped == []
    assert sorted((seen.verb, seen.path) for seen in px.requests) == [
        ("GET", "/v1/admin/model/account/attributes"),
        ("PUT", "/v1/accounts/acme"),
        ("PUT", "/v1/accounts/beta"),
    ]
    px.forget_requests()
    made.run()
    made.book.deliver()
    assert px.requests == []
    made.execute("update accounts set plan = 'pro' where id = 'beta'")
    made.run()
    assert [seen.body for seen in px.requests if seen.verb == "PUT"] == [b'{"customAttributes": {"plan__c": "pro"}}']


# -- what changes later ------------------------------------------------------------------------------------------------


def test_all_attributes_of_an_account_go_in_one_request_however_few_items_are_claimed(project, px, monkeypatch):
    monkeypatch.setattr(GainsightPx, "claimed", 1)
    for account in ("acme", "beta"):
        px.add_account(account)
    made = calling(project, px, ATTRIBUTES)
    assert [(d.status, d.rows) for d in made.run().deliveries] == [("delivered", 6)]
    puts = sorted(seen.path for seen in px.requests if seen.verb == "PUT")
    assert puts == ["/v1/accounts/acme", "/v1/accounts/beta"]
    assert px.accounts["acme"]["customAttributes"]["plan__c"] == "pro"


def test_a_value_that_changes_after_it_was_sent_is_reported_and_the_event_stays(project, px):
    made = calling(project, px, EVENTS)
    made.run()
    made.insert("calls", [("2024-03-05 12:00:00", "u1", "acme", "rest", 4)])
    report = made.run()
    assert len(px.events) == 4
    assert report.deliveries[0].warnings == [
        "restated after it was sent: dailyApiCalls of 2024-03-05, user u1: calls was 7 and is 11 now"
    ]
    status = made.book.status().deliveries[0]
    assert (status.waiting, status.restated) == (False, tuple(report.deliveries[0].warnings))
    made.book.replay_delivery("px")
    made.book.deliver()
    assert (made.book.status().deliveries[0].restated, len(px.events)) == ((), 4)


def test_a_corrected_event_has_the_value_and_the_one_before(project, px):
    made = calling(project, px, EVENTS + 'restated = "event"\n')
    made.run()
    for calls in (4, -4, 4):
        made.insert("calls", [("2024-03-05 12:00:00", "u1", "acme", "rest", calls)])
        made.run()
        made.run()
    corrected = [
        (one["eventName"], one["attributes"]["apiCalls"], one["attributes"]["apiCalls_before"]) for one in px.events[4:]
    ]
    name = "dailyApiCalls.corrected"
    assert corrected == [(name, 11, 7), (name, 7, 11), (name, 11, 7)]
    assert len({one["attributes"]["correction"] for one in px.events[4:]}) == 3


def test_a_day_is_sent_once_it_is_settled(project, px):
    made = calling(project, px, EVENTS + 'settle = "2d"\n')
    made.run()
    assert px.events == []
    made.insert("calls", [("2024-03-04 12:00:00", "u2", "beta", "rest", 1)])
    made.at("2024-03-07T12:00").run()
    assert [one["attributes"]["apiCalls"] for one in px.events if one["identifyId"] == "u2"] == [4]
    assert {one["attributes"]["day"] for one in px.events} == {"2024-03-04"}


def test_a_backfill_sends_the_days_before_and_each_once(project, px):
    made = calling(project, px, EVENTS + 'from = "2024-03-05"\n')
    made.run()
    assert {one["attributes"]["day"] for one in px.events} == {"2024-03-05"}
    for _ in range(2):
        made.book.deliver("px", from_="2024-03-04")
        assert len(px.events) == 4
    assert len(shown(px)) == 4
    made.run()
    assert len(px.events) == 4


def test_a_dry_run_shows_the_requests_and_makes_none(project, px):
    made = calling(project, px, "")
    made.run()
    made.declare(declared(px, EVENTS), start="2024-03-04")
    report = made.book.deliver("px", dry_run=True)[0]
    assert (report.status, report.rows, report.hint) == ("would be delivered", 4, "4 requests")
    assert '"apiCalls": 7' in str(report.changes)
    assert "px-emulator-key" not in str(report.changes)
    assert px.requests == []
    assert OutboxLedger(made.book.store.ledger).planned("px") is None


# -- users and accounts ------------------------------------------------------------------------------------------------


def test_a_service_user_of_each_account_gets_the_events_of_an_account(project, px):
    made = calling(project, px, EVENTS.replace('"{user}"', '"tallybook@{account}"'))
    made.run()
    assert {(one["identifyId"], one["accountId"]) for one in px.events} == {
        ("tallybook@acme", "acme"),
        ("tallybook@beta", "beta"),
    }


def test_accounts_that_px_does_not_have_are_refused_or_created(project, px):
    px.add_account("acme")
    made = calling(project, px, ATTRIBUTES)
    report = made.run().deliveries[0]
    assert list(px.accounts) == ["acme"]
    assert "3 refused" in report.hint
    (row,) = {row.answer for row in OutboxLedger(made.book.store.ledger).rows("px_accounts")}
    assert "PX has no account 'beta'; create = true creates it" in row


def test_accounts_are_created_with_their_name_and_attributes(project, px):
    made = calling(project, px, ATTRIBUTES + 'create = true\nproduct = "AP-X-2"\n')
    made.run()
    assert {one["name"]: one["customAttributes"]["plan__c"] for one in px.accounts.values()} == {
        "Acme": "pro",
        "Beta": "free",
    }
    assert px.accounts["acme"]["propertyKeys"] == ["AP-X-2"]


def test_what_does_not_fit_the_catalogue_is_reported_at_once_before_anything_is_sent(project, px):
    px.attribute("account", "plan__c", "NUMBER")
    px.attribute("account", "since__c", "DATE_TIME", state="DISABLED")
    made = calling(project, px, ATTRIBUTES.replace('"calls__c"', '"Calls__c"'))
    error = made.run().deliveries[0].error
    assert "calls_7d: PX has no attribute 'Calls__c', but 'calls__c'" in error
    assert "plan: 'plan__c' is a NUMBER in PX, and plan is a STRING" in error
    assert "since: 'since__c' is DISABLED in PX" in error
    assert [seen.verb for seen in px.requests] == ["GET"]


def test_an_event_without_a_user_is_refused_and_the_others_are_sent(project, px):
    made = calling(project, px, EVENTS)
    made.insert("calls", [("2024-03-05 10:00:00", None, "acme", "rest", 1)])
    report = made.run().deliveries[0]
    assert (report.status, len(px.events)) == ("delivered", 4)
    assert "1 refused" in report.hint


# -- declarations ------------------------------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_reported_at_once_with_lines_to_paste(project, px):
    wrong = """
        [deliveries.px]
        to = "gainsight_px"
        api = "http://px.example.org/v1"
        product = "AP-X-2"
        metrics = ["calls"]
        identify = "{person}"
        scope = "week"
        properties = { calls = "Day" }

        [deliveries.attributes]
        to = "gainsight_px"
        api = "API"
        key = "k"
        for = "account"
        attributes = { plam = "plan__c" }
        create = true

        [deliveries.again]
        to = "gainsight_px"
        api = "API"
        key = "k"
        for = "account"
        attributes = { plan = "plan__c" }
"""
    with pytest.raises(DeclarationError) as caught:
        _ = calling(project, px, wrong).book
    said = str(caught.value)
    for words in (
        "deliveries.px.api",
        "a delivery needs key",
        "{person} is no dimension of 'calls'",
        'identify = "{user_id}"',
        'scope = "day"',
        "two properties are called",
        "accounts have no attribute 'plam'",
        "[deliveries.attributes] already sends account attribute plan__c",
        "created with a product key",
    ):
        assert words in said, said


def test_an_attribute_that_is_declared_later_is_sent_although_nothing_else_is_new(project, px):
    for account in ("acme", "beta"):
        px.add_account(account)
    made = calling(project, px, ATTRIBUTES.replace(', plan = "plan__c"', ""))
    made.run()
    px.forget_requests()
    assert made.book.deliver()[0].status == "up to date"
    assert px.requests == []
    made.declare(declared(px, ATTRIBUTES), start="2024-03-04")
    made.book.deliver()
    assert px.accounts["acme"]["customAttributes"]["plan__c"] == "pro"
    made.book.push_attributes("accounts", "beta", attributes={"tier": "gold"})
    assert made.book.deliver()[0].status == "up to date"
