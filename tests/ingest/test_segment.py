"""Segment's protocol over HTTP: events, users and accounts of one request, stored once, with the answers SDKs need."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tallybook.ingest import LogRow
from tallybook.storage import EntityLedger, IdentityLinks
from tests.ingest.doors import HttpDoor
from tests.ingest.test_event_log import Ingest
from tests.ledgers import LEDGERS


@pytest.fixture
def door(tmp_path: Path) -> Iterator[HttpDoor]:
    door = HttpDoor(tmp_path)
    yield door
    door.commit.close()
    door.events.close()


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def message(type_: str, **fields: Any) -> dict[str, Any]:
    return {"type": type_, "timestamp": "2026-03-05T11:00:00Z", **fields}


BATCH = [
    message("track", event="signup", userId="u-1", messageId="m-1", properties={"plan": "pro", "seats": 5}),
    message("page", name="Pricing", anonymousId="a-1", messageId="m-2", properties={"path": "/pricing"}),
    message("identify", userId="u-1", anonymousId="a-1", messageId="m-3", traits={"email": "a@b.c", "age": 30}),
    message("group", userId="u-1", groupId="acme", messageId="m-4", traits={"plan": "pro", "seats": 12}),
    message("alias", previousId="old-1", userId="u-1", messageId="m-5"),
]


def send(door: HttpDoor, *batch: Any, path: str = "/v1/batch", **headers: str) -> Any:
    return door.ask("POST", path, {"batch": list(batch)}, authorization=basic(door.writer), **headers)


def attributes(door: HttpDoor, kind: str, id_: str) -> dict[str, Any]:
    found = EntityLedger(door.events.ledger).get(kind, id_)
    return {} if found is None else found.record.effective()


@pytest.mark.parametrize("time", [{}, {"timestamp": "2026-03-05T11:00:00Z"}], ids=["without a time", "of one time"])
def test_of_several_changes_in_one_batch_the_last_holds_whatever_their_ids(
    door: HttpDoor, time: dict[str, str]
) -> None:
    said = [("m-3", "free"), ("m-2", "pro"), ("m-1", "team")]
    users = [{"type": "identify", "userId": "u-1", "messageId": f"i{id_}", "traits": {"plan": p}} for id_, p in said]
    groups = [{"type": "group", "groupId": "acme", "messageId": f"g{id_}", "traits": {"plan": p}} for id_, p in said]
    assert send(door, *[one | time for one in (*users, *groups)]).status == 200
    door.compact()
    assert (attributes(door, "users", "u-1"), attributes(door, "accounts", "acme")) == ({"plan": "team"},) * 2


def test_a_batch_is_events_users_and_accounts_and_what_is_sent_again_counts_once(door: HttpDoor) -> None:
    for _ in range(2):
        answer = send(door, *BATCH)
        assert (answer.status, answer.json["success"]) == (200, True)
        assert (answer.json["stored"], answer.json["changed"], answer.json["linked"]) == (2, 2, 2)
    door.compact()
    send(door, *BATCH)
    door.compact()
    assert door.stored("signup", '"user", id, plan, seats') == [("u-1", "m-1", "pro", 5)]
    assert door.stored("page", '"user", name, path') == [("a-1", "Pricing", "/pricing")]
    assert attributes(door, "users", "u-1") == {"email": "a@b.c", "age": 30, "account": "acme"}
    assert attributes(door, "accounts", "acme") == {"plan": "pro", "seats": 12}
    with door.events.ledger._reading() as db:
        changes = "SELECT count(*) FROM attribute_changes WHERE kind = 'users' AND id = 'u-1'"
        assert db.execute(changes).fetchone()[0] == 1
    links = {one.alias: one.canonical for one in IdentityLinks(door.events.ledger).every()}
    assert links == {"a-1": "u-1", "old-1": "u-1"}


def test_a_batch_with_one_bad_event_is_200_with_verdicts_and_the_others_are_stored(door: HttpDoor) -> None:
    bad = message("track", event="", userId="u-2", messageId="m-9")
    answer = send(door, bad, BATCH[0], 5, message("identify", traits={}))
    assert (answer.status, answer.json["stored"]) == (200, 1)
    assert [(one["index"], one["code"]) for one in answer.json["rejected"]] == [
        (0, "no_event"),
        (2, "bad_json"),
        (3, "schema"),
    ]
    assert send(door, bad).status == 200


@pytest.mark.parametrize("prefix", ["", "/segment"])
def test_single_calls_are_the_same_as_messages_of_a_batch(door: HttpDoor, prefix: str) -> None:
    for call in ("track", "identify", "group", "page", "alias"):
        sent = next(one for one in BATCH if one["type"] == call)
        without = {name: value for name, value in sent.items() if name != "type"}
        answer = door.ask("POST", f"{prefix}/v1/{call}", without, authorization=basic(door.writer))
        assert (answer.status, answer.json["success"]) == (200, True)
    door.compact()
    assert door.stored("signup", '"user"') == [("u-1",)]
    assert attributes(door, "accounts", "acme")["seats"] == 12
    refused = door.ask("POST", f"{prefix}/v1/track", {"userId": "u"}, authorization=basic(door.writer))
    assert (refused.status, refused.json["success"], refused.json["code"]) == (400, False, "no_event")


def test_the_key_may_be_in_basic_bearer_a_header_or_the_body_and_is_never_logged(door: HttpDoor) -> None:
    key = door.writer
    body = {"batch": [BATCH[0]], "writeKey": key}
    assert door.ask("POST", "/v1/batch", body).status == 200
    assert door.ask("POST", "/v1/batch", body, authorization=basic(key)).status == 200
    assert door.ask("POST", "/v1/batch", body, key).status == 200
    assert door.ask("POST", "/v1/batch", {"batch": [BATCH[0]]}, X_Write_Key=key).status == 200
    assert door.ask("POST", "/v1/track", {**BATCH[0], "event": "", "writeKey": key}).status == 400
    escaped = json.dumps(body).replace("tb_w_", "\\u0074b_w_").encode()
    assert door.ask("POST", "/v1/batch", escaped).status == 200
    packed = gzip.compress(json.dumps(body).encode())
    assert door.ask("POST", "/v1/batch", packed, content_type="application/x-www-form-urlencoded").status == 200
    files = b"".join(path.read_bytes() for path in (door.folder / "events" / "log").rglob("*.sqlite*"))
    assert key.encode() not in files
    assert b"\\u0074b_w_" not in files
    door.compact()
    assert door.stored("signup", '"user"') == [("u-1",)]
    assert not any(key.encode() in path.read_bytes() for path in door.folder.rglob("*") if path.is_file())


def test_refusals_are_in_the_shape_that_the_sdks_read(door: HttpDoor) -> None:
    for headers in ({}, {"authorization": basic("nothing")}):
        answer = door.ask("POST", "/v1/batch", {"batch": []}, **headers)
        assert (answer.status, answer.json["success"], answer.json["code"]) == (401, False, "no_key")
        assert answer.json["message"]
    unread = door.ask("POST", "/v1/batch", b"{nonsense", authorization=basic(door.writer))
    assert (unread.status, unread.json["success"], unread.json["code"]) == (400, False, "bad_json")
    unknown = door.ask("POST", "/segment/v1/zap", {}, authorization=basic(door.writer))
    assert (unknown.status, unknown.json["success"], unknown.json["code"]) == (404, False, "not_found")
    other = door.ask("GET", "/segment/v1/batch", authorization=basic(door.writer))
    assert (other.status, other.json["code"], other.headers["allow"]) == (405, "bad_method", "POST")
    slow = door.new_key("slow", rate=1)
    door.keys.refresh()
    assert door.ask("POST", "/v1/batch", {"batch": BATCH}, slow).status == 200
    limited = door.ask("POST", "/v1/batch", {"batch": BATCH}, slow)
    assert (limited.status, limited.json["code"]) == (429, "rate_limit")
    assert 1 <= int(limited.headers["retry-after"]) <= 10


def test_a_clock_that_is_off_is_corrected_where_it_is_sent_and_both_times_are_kept(door: HttpDoor) -> None:
    # The sender's clock is an hour ahead: it sends at 13:00 what is received at 12:00.
    early = message("track", event="a", messageId="1", userId="u")
    ahead = {**early, "timestamp": "2026-03-05T12:59:00+00:00"}
    body = {"batch": [ahead], "sentAt": "2026-03-05T13:00:00Z"}
    assert door.ask("POST", "/v1/batch", body, door.writer).status == 200
    assert door.ask("POST", "/v1/batch", {"batch": [{**early, "messageId": "2"}]}, door.writer).status == 200
    near = {"batch": [{**early, "messageId": "3"}], "sentAt": "2026-03-05T12:00:10Z"}
    assert door.ask("POST", "/v1/batch", near, door.writer).status == 200
    door.compact()
    times = "strftime(time, '%H:%M:%S'), sent_time"
    assert door.stored("a", times) == [
        ("11:00:00", None),
        ("11:00:00", None),
        ("11:59:00", "2026-03-05T12:59:00.000000Z"),
    ]


def test_a_bound_key_says_nothing_of_others(door: HttpDoor) -> None:
    bound = door.new_key("acme-only", accounts=("acme",))
    door.keys.refresh()
    answer = door.ask("POST", "/v1/batch", {"batch": BATCH}, bound)
    codes = {one["index"]: one["code"] for one in answer.json["rejected"]}
    assert codes == {0: "not_bound", 1: "not_bound", 2: "not_bound", 3: "not_bound", 4: "not_bound"}
    assert answer.json["changed"] == 1
    door.compact()
    assert attributes(door, "accounts", "acme") == {"plan": "pro", "seats": 12}
    assert attributes(door, "users", "u-1") == {}
    assert IdentityLinks(door.events.ledger).every() == []


def test_what_was_rejected_is_replayed_with_its_users_and_links(door: HttpDoor) -> None:
    ahead = {**BATCH[2], "timestamp": "2026-03-07T11:00:00Z"}
    assert send(door, ahead).json["rejected"][0]["code"] == "future"
    door.compact()
    assert attributes(door, "users", "u-1") == {}
    door.later(days=2)
    replayed = door.ask("POST", "/v1/rejected/replay", key=door.writer)
    assert replayed.json["rejected"] == 0
    assert attributes(door, "users", "u-1") == {"email": "a@b.c", "age": 30}
    assert [one.alias for one in IdentityLinks(door.events.ledger).every()] == ["a-1"]


def test_protocols_that_are_not_allowed_are_not_there(door: HttpDoor) -> None:
    from tallybook.core import EventRules, EventSettings

    door.app.set_rules(EventRules(settings=EventSettings(protocols=("tallybook",))))
    assert send(door, *BATCH).status == 404
    assert door.post({"event": "a"}).status == 200


@pytest.mark.parametrize("ledger", LEDGERS)
def test_users_and_links_are_kept_in_every_ledger(tmp_path: Path, ledger: str) -> None:
    ingest = Ingest(tmp_path / "book", ledger)
    ingest.send({"event": "visit", "time": "2026-03-04T10:00:00Z", "user": "a-1", "id": "1"})
    ingest.compact()
    for _ in range(2):
        body = json.dumps({"batch": BATCH}).encode()
        row = LogRow(received=ingest.now, key="web", protocol="segment", path="/v1/batch", headers="{}", body=body)
        ingest.commit.append(row).result(10)
        ingest.compact()
    links = IdentityLinks(ingest.events.ledger)
    assert {one.alias: one.canonical for one in links.every()} == {"a-1": "u-1", "old-1": "u-1"}
    assert links.aliases_of("u-1") == ["a-1", "old-1"]
    assert links.changed_days("visit") == {date(2026, 3, 4): 2}
    found = EntityLedger(ingest.events.ledger).get("users", "u-1")
    assert found is not None
    assert found.record.effective() == {"email": "a@b.c", "age": 30, "account": "acme"}
    ingest.commit.close()
    ingest.events.close()
