"""What becomes of the messages of CloudEvents, PostHog, Amplitude and Mixpanel: events, users, accounts and links."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.core import EventRules, EventSettings
from tallybook.ingest import GroupCommit, LogRow
from tallybook.storage import EntityLedger, IdentityLinks
from tests.ingest.doors import HttpDoor

AT = "2026-03-05T11:00:00Z"
AT_MS = 1772708400000


@pytest.fixture
def door(tmp_path: Path) -> Iterator[HttpDoor]:
    door = HttpDoor(tmp_path)
    yield door
    door.commit.close()
    door.events.close()


def attributes(door: HttpDoor, kind: str, id_: str) -> dict[str, Any]:
    found = EntityLedger(door.events.ledger).get(kind, id_)
    return {} if found is None else found.record.effective()


def links(door: HttpDoor) -> dict[str, str]:
    return {one.alias: one.canonical for one in IdentityLinks(door.events.ledger).every()}


def test_cloud_events_are_known_by_source_and_id(door: HttpDoor) -> None:
    one = {"specversion": "1.0", "id": "1", "source": "shop", "type": "order", "time": AT, "subject": "acme"}
    events = [
        {**one, "data": {"total": 5}, "userid": "u-1"},
        {**one, "source": "other", "data": {"total": 7}},
        {**one, "id": "2", "data_base64": "eyJ0b3RhbCI6IDl9", "datacontenttype": "application/json"},
        {**one, "id": "3", "data": "plain words", "datacontenttype": "text/plain"},
        {**one, "id": ""},
        {**one, "specversion": "0.3"},
    ]
    for _ in range(2):
        answer = door.ask(
            "POST", "/cloudevents", events, door.writer, content_type="application/cloudevents-batch+json"
        )
        assert [(one["index"], one["code"], one["field"]) for one in answer.json["rejected"]] == [
            (4, "schema", "id"),
            (5, "schema", "specversion"),
        ]
        door.compact()
    refused = door.ask("POST", "/api/v1/events", events, door.writer)
    assert (refused.status, refused.json["code"], refused.json["duplicates"] + refused.json["stored"]) == (
        400,
        "schema",
        4,
    )
    binary = {"ce_specversion": "1.0", "ce_id": "4", "ce_source": "shop", "ce_type": "order", "ce_subject": "a%C3%A9"}
    assert door.ask("POST", "/api/v1/events", b'{"total": 11}', door.writer, **binary).status == 204
    door.compact()
    assert sorted(door.stored("order", 'id, account, "user", total, data, source'), key=str) == [
        ("other 1", "acme", None, 7, None, "other"),
        ("shop 1", "acme", "u-1", 5, None, "shop"),
        ("shop 2", "acme", None, 9, None, "shop"),
        ("shop 3", "acme", None, None, "plain words", "shop"),
        ("shop 4", "aé", None, 11, None, "shop"),
    ]


def test_posthog_events_say_things_of_users_and_of_the_account_group(door: HttpDoor) -> None:
    batch = [
        {"event": "signup", "distinct_id": "u-1", "uuid": "1", "timestamp": AT,
         "properties": {"plan": "pro", "$groups": {"company": "acme", "project": "p"}, "$set_once": {"first": "a"}},
         "$set": {"email": "a@b.c"}},
        {"event": "$identify", "distinct_id": "u-1", "uuid": "2", "timestamp": AT,
         "properties": {"$anon_distinct_id": "cookie-1"}, "$set": {"age": 30}},
        {"event": "$groupidentify", "distinct_id": "x", "uuid": "3", "timestamp": AT,
         "properties": {"$group_type": "company", "$group_key": "acme", "$group_set": {"seats": 12}}},
        {"event": "$groupidentify", "distinct_id": "x", "uuid": "4", "timestamp": AT,
         "properties": {"$group_type": "project", "$group_key": "p"}},
        {"event": "$create_alias", "distinct_id": "u-1", "uuid": "5", "timestamp": AT,
         "properties": {"distinct_id": "u-1", "alias": "old-1"}},
        {"event": "$set", "distinct_id": "u-1", "uuid": "6", "timestamp": AT, "properties": {"$unset": ["age"]}},
    ]  # fmt: skip
    for _ in range(2):
        answer = door.ask("POST", "/posthog/batch/", {"api_key": door.writer, "batch": batch})
        assert (answer.status, answer.json["status"]) == (200, 1)
        assert [(one["index"], one["code"]) for one in answer.json["rejected"]] == [(3, "schema")]
        door.compact()
    assert door.stored("signup", '"user", account, id, plan') == [("u-1", "acme", "1", "pro")]
    assert attributes(door, "users", "u-1") == {"email": "a@b.c", "first": "a", "account": "acme"}
    assert attributes(door, "accounts", "acme") == {"seats": 12}
    assert links(door) == {"cookie-1": "u-1", "old-1": "u-1"}


@pytest.mark.parametrize(
    ("sent", "time"),
    [
        ({"offset": 90_000}, "11:58:30"),  # as pages send it: milliseconds ago
        ({"offset": 90_000, "timestamp": AT}, "11:00:00"),
        ({"offset": -5}, "12:00:00"),
        ({"offset": True}, "12:00:00"),
        ({"offset": 1e300}, "12:00:00"),
    ],
)
def test_an_event_of_a_page_says_how_long_ago_it_was(door: HttpDoor, sent: dict[str, Any], time: str) -> None:
    one = {"event": "seen", "distinct_id": "u", "uuid": "1", **sent}
    assert door.ask("POST", "/e/", {"api_key": door.writer, "batch": [one]}).status == 200
    door.compact()
    assert [str(at)[11:19] for (at,) in door.stored("seen", "time AT TIME ZONE 'UTC'")] == [time]


def test_posthog_names_the_events_that_are_dropped(door: HttpDoor) -> None:
    batch = [{"event": "a", "uuid": "1", "distinct_id": "u"}, {"event": "", "uuid": "2", "distinct_id": "u"}]
    answer = door.ask("POST", "/i/v1/analytics/events", {"batch": batch}, door.writer)
    assert answer.json["results"]["1"] == {"result": "ok"}
    assert answer.json["results"]["2"] == {"result": "drop", "details": "no_event: the event has no name"}


def test_amplitude_s_rejected_events_are_named_by_index_and_the_others_are_stored_once(door: HttpDoor) -> None:
    events = [
        {"event_type": "signup", "user_id": "u-1", "insert_id": "1", "time": AT_MS, "event_properties": {"plan": "pro"},
         "groups": {"company": "acme"}, "price": 2.5},
        {"event_type": "", "user_id": "u-1", "insert_id": "2", "time": AT_MS},
        {"event_type": "$identify", "user_id": "u-1", "device_id": "d-1", "insert_id": "3", "time": AT_MS,
         "user_properties": {"$set": {"email": "a@b.c"}, "$setOnce": {"first": "a"}, "$add": {"logins": 2}}},
        {"event_type": "$groupidentify", "insert_id": "4", "time": AT_MS, "groups": {"company": "acme"},
         "group_properties": {"$set": {"seats": 12}}},
    ]  # fmt: skip
    first = door.ask("POST", "/2/httpapi", {"api_key": door.writer, "events": events})
    assert (first.status, first.json["code"], first.json["events_with_invalid_fields"]) == (400, 400, {"event": [1]})
    again = door.ask("POST", "/2/httpapi", {"api_key": door.writer, "events": [events[0], *events[2:]]})
    assert (again.status, again.json["code"]) == (200, 200)
    door.compact()
    assert door.stored("signup", '"user", account, id, plan, price') == [("u-1", "acme", "1", "pro", 2.5)]
    assert attributes(door, "users", "u-1") == {"email": "a@b.c", "first": "a", "logins": 2}
    assert attributes(door, "accounts", "acme") == {"seats": 12}
    assert links(door) == {"d-1": "u-1"}
    key = door.ask("POST", "/2/httpapi", {"api_key": "nothing", "events": events})
    assert (key.status, key.json["error"][:16], key.json["tallybook_code"]) == (400, "Invalid API key:", "no_key")


def test_mixpanel_events_and_profiles(door: HttpDoor) -> None:
    door.app.set_rules(EventRules(settings=EventSettings(groups="company")))
    about = {"token": door.writer, "time": AT_MS, "distinct_id": "u-1"}
    events = [
        {"event": "signup", "properties": {**about, "$insert_id": "1", "plan": "pro", "company": "acme"}},
        {"event": "$create_alias", "properties": {"token": door.writer, "distinct_id": "u-1", "alias": "old-1"}},
        {"event": "$merge", "properties": {"token": door.writer, "$distinct_ids": ["u-1", "u-2"]}},
    ]
    assert door.ask("POST", "/track?verbose=1", events).json["status"] == 1
    profiles = [
        {"$token": door.writer, "$distinct_id": "u-1", "$time": AT_MS, "$set": {"email": "a@b.c"}},
        {"$token": door.writer, "$distinct_id": "u-1", "$time": AT_MS, "$add": {"logins": 2}},
        {"$token": door.writer, "$distinct_id": "u-1", "$time": AT_MS, "$append": {"tags": "x"}},
    ]
    for _ in range(2):  # sent again: added once
        assert door.ask("POST", "/engage", profiles).json == "1"
    group = {"$token": door.writer, "$group_key": "company", "$group_id": "acme", "$set": {"seats": 12}}
    assert door.ask("POST", "/groups?verbose=1", [group]).json["status"] == 1
    other = door.ask("POST", "/groups?verbose=1", [{**group, "$group_key": "project"}])
    assert (other.status, other.json["status"], other.json["error"][:7]) == (400, 0, "schema:")
    settings = EventSettings(groups="company")
    door.compact(settings=settings)
    assert door.stored("signup", '"user", account, id, plan') == [("u-1", "acme", "1", "pro")]
    assert attributes(door, "users", "u-1") == {"email": "a@b.c", "logins": 2}
    assert attributes(door, "accounts", "acme") == {"seats": 12}
    assert links(door) == {"old-1": "u-1", "u-2": "u-1"}


def test_a_mixpanel_import_names_what_failed(door: HttpDoor) -> None:
    good = {"event": "a", "properties": {"time": AT_MS, "distinct_id": "u", "$insert_id": "1"}}
    bad = {"event": "", "properties": {"time": AT_MS, "$insert_id": "2"}}
    answer = door.ask("POST", "/import?strict=1", [good, bad], door.writer)
    assert (answer.status, answer.json["num_records_imported"]) == (400, 1)
    assert answer.json["failed_records"] == [
        {"index": 1, "insert_id": "2", "field": "event", "message": "the event has no name"}
    ]
    assert door.ask("POST", "/import", [good, bad], door.writer).status == 200


@pytest.mark.parametrize(
    ("minutes", "sent", "expected"),
    [
        (1, [10, 10], [10]),  # sent again
        (11, [10, 10], [10, 10]),  # a fact of its own
        (1, [100, 110, 100], [100, 110, 100]),  # a value that came back
    ],
)
def test_events_without_an_id_are_one_only_where_a_request_is_sent_again(
    door: HttpDoor, minutes: int, sent: list[int], expected: list[int]
) -> None:
    for value in sent:
        event = {"event": "v", "properties": {"token": door.writer, "time": AT_MS, "distinct_id": "u", "n": value}}
        assert door.ask("POST", "/track", [event]).status == 200
        door.compact()
        door.later(minutes=minutes)
    assert [n for _, n in sorted(door.stored("v", "received, n"))] == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_a_value_that_came_back_is_kept_also_where_workers_took_turns(door: HttpDoor, workers: int) -> None:
    commits = [door.commit, GroupCommit(door.logs)]
    for second, value in enumerate((100, 110, 100)):
        properties = {"time": AT_MS, "distinct_id": "u", "n": value}
        body = json.dumps([{"event": "v", "properties": properties}]).encode()
        at = door.now + timedelta(seconds=second)
        row = LogRow(received=at, key="web", protocol="mixpanel", path="/track", headers="{}", body=body)
        commits[second % workers].append(row).result(10)
    door.compact()
    commits[1].close()
    assert [n for _, n in sorted(door.stored("v", "received, n"))] == [100, 110, 100]


def test_equal_events_of_one_request_and_those_without_a_time_are_facts_of_their_own(door: HttpDoor) -> None:
    timed = {"event": "v", "properties": {"token": door.writer, "time": AT_MS, "distinct_id": "u"}}
    timeless = {"event": "w", "properties": {"token": door.writer, "distinct_id": "u"}}
    for _ in range(2):
        door.ask("POST", "/track", [timed, timed, timeless])
    door.compact()
    assert (len(door.stored("v")), len(door.stored("w"))) == (2, 2)


def test_an_equal_value_of_a_day_is_received_again(door: HttpDoor) -> None:
    settings = EventSettings(daily=("v",))
    for value in (100, 110, 100, 100):
        event = {"event": "v", "properties": {"token": door.writer, "time": AT_MS, "distinct_id": "u", "n": value}}
        door.ask("POST", "/track", [event])
        door.later(seconds=1)
    door.compact(settings=settings)
    assert [n for _, n in sorted(door.stored("v", "received, n"))] == [100, 110, 100, 100]


def test_an_id_of_one_user_is_not_given_to_another_except_by_a_merge(door: HttpDoor) -> None:
    def said(call: str, **fields: Any) -> None:
        assert door.ask("POST", f"/v1/{call}", fields, door.writer).status == 200
        door.compact()

    said("identify", userId="u-1", anonymousId="shared")
    said("identify", userId="u-2", anonymousId="shared")
    assert links(door) == {"shared": "u-1"}
    said("identify", userId="u-2", anonymousId="00000000-0000-0000-0000-000000000000")
    assert links(door) == {"shared": "u-1"}
    said("alias", userId="u-2", previousId="u-1")
    assert links(door) == {"shared": "u-2", "u-1": "u-2"}
    said("alias", userId="u-1", previousId="u-2")
    assert links(door) == {"shared": "u-2", "u-1": "u-2"}
