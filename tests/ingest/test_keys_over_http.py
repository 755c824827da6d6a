"""What each key may do over HTTP: scopes, bounds, rates, expiry, and the same request sent again."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.core import DeclarationError, EventDeclaration, EventRules, EventSettings
from tallybook.ingest import KeyRing, KeyTerms, create_key, revoke_key, rotate_key
from tallybook.server.entities import EntityDoor
from tallybook.storage import EntityLedger
from tests.ingest.doors import NOW, HttpDoor


@pytest.fixture
def door(tmp_path: Path) -> Iterator[HttpDoor]:
    made = HttpDoor(tmp_path / "book")
    yield made
    made.commit.close()
    made.events.close()


def event(id_: str | None = None, name: str = "signup", **fields: Any) -> dict[str, Any]:
    return {"event": name, **({"id": id_} if id_ else {}), **fields}


# --- scopes ------------------------------------------------------------------------------------------------------------

PATHS = {
    ("POST", "/v1/events"): {"write", "browser"},
    ("POST", "/v1/values"): {"write"},
    ("PUT", "/v1/days/x/2026-03-01"): {"write"},
    ("DELETE", "/v1/days/x/2026-03-01"): {"write"},
    ("GET", "/v1/events"): {"read"},
    ("GET", "/v1/events/schema"): {"read"},
    ("GET", "/v1/rejected"): {"read"},
    ("POST", "/v1/rejected/replay"): {"write"},
}


def test_each_path_takes_its_scopes_and_no_other(door: HttpDoor) -> None:
    keys = {
        scope: door.new_key(f"key-{scope}", scopes=(scope,)) for scope in ("write", "browser", "read", "share", "admin")
    }
    door.keys.refresh()
    door.app.set_rules(EventRules(settings=EventSettings(declared={"x": EventDeclaration(name="x")})))
    for (method, path), scopes in PATHS.items():
        body = {"event": "x", "day": "2026-03-01", "value": 1} if path == "/v1/values" else {"event": "x"}
        for scope, key in keys.items():
            answer = door.ask(method, path, body if method == "POST" else None, key)
            if scope in {*scopes, "admin"}:
                assert answer.status in (200, 204), (method, path, scope, answer.json)
            else:
                assert (answer.status, answer.json["code"]) == (403, "wrong_scope"), (method, path, scope)
        assert door.ask(method, path).status == 401


@pytest.mark.parametrize("header", ["Bearer {}", "bearer  {} ", "Basic {}"])
def test_a_key_is_sent_as_bearer_or_as_the_user_of_basic(door: HttpDoor, header: str) -> None:
    text = base64.b64encode(f"{door.writer}:".encode()).decode() if header.startswith("Basic") else door.writer
    assert door.ask("POST", "/v1/events", event(), Authorization=header.format(text)).status == 200


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer  ", "Basic", "Basic !", "Basic gA==", "Token x", "Bearer é", "Digest a=b"]
)
def test_what_is_no_key_is_401(door: HttpDoor, header: str) -> None:
    answer = door.ask("POST", "/v1/events", event(), Authorization=header)
    assert (answer.status, answer.json["code"], answer.headers["www-authenticate"]) == (401, "no_key", "Bearer")


def test_a_key_that_was_just_made_is_taken_at_once_although_keys_were_just_read(door: HttpDoor) -> None:
    async def story() -> list[int]:
        other = KeyRing(door.events, lambda: door.now)
        app = door.another(other)
        assert (await door.asked("POST", "/v1/events", event(), "tb_w_nobody", app=app)).status == 401
        new = door.new_key("new")  # less than a tenth of a second after the keys were read
        many = [door.asked("POST", "/v1/events", event(), key, app=app) for key in [new, "tb_w_nobody"] * 20]
        before = other.tried_at
        found = [answer.status for answer in await asyncio.gather(*many)]
        assert other.tried_at > before
        return found

    assert door.run(story()) == [200, 401] * 20


def test_unknown_keys_cause_few_readings(door: HttpDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = []
    real = door.events.api_keys
    monkeypatch.setattr(door.events, "api_keys", lambda: readings.append(1) or real())

    async def story() -> None:
        await asyncio.gather(*(door.asked("POST", "/v1/events", event(), f"tb_w_{i}") for i in range(200)))

    door.run(story())
    assert len(readings) <= 2


def test_a_revoked_rotated_or_expired_key_is_refused_everywhere_after_the_next_reading(door: HttpDoor) -> None:
    brief = door.new_key("brief", expires=NOW + timedelta(hours=1))
    gone = door.new_key("gone")
    old = door.new_key("turned")
    door.keys.refresh()
    assert [door.ask("POST", "/v1/events", event(), key).status for key in (brief, gone, old)] == [200] * 3
    revoke_key(door.events, "gone", now=door.now)
    new = rotate_key(door.events, "turned")
    door.later(hours=1)
    assert [door.ask("POST", "/v1/events", event(), key).status for key in (brief, gone, old, new)] == [
        401,
        401,
        401,
        200,
    ]


def test_when_keys_were_last_used_is_noted(door: HttpDoor) -> None:
    door.post(event())
    assert door.app.gate.seen == {"loader": door.now}
    door.events.note_seen(door.app.gate.seen)
    door.events.note_seen({"loader": door.now - timedelta(days=1)})
    assert {key.name: key.seen for key in door.events.api_keys()} == {
        "loader": "2026-03-05T12:00:00.000000Z",
        "reader": None,
    }


# --- bounds ------------------------------------------------------------------------------------------------------------


def test_a_bound_key_sends_only_its_events_and_accounts(door: HttpDoor) -> None:
    bound = door.new_key("bound", events=("login", "logout"), accounts=("acme",))
    door.keys.refresh()
    sent = [
        event("a", "login", account="acme"),
        event("b", "signup", account="acme"),
        event("c", "login", account="other"),
        event("d", "login"),
        event("e", "logout", account="acme"),
    ]
    answer = door.post(*sent, key=bound)
    assert (answer.status, answer.json["stored"]) == (200, 2)
    refused = [(one["index"], one["code"], one["field"], one["id"]) for one in answer.json["rejected"]]
    assert refused == [
        (1, "not_bound", "event", "b"),
        (2, "not_bound", "account", "c"),
        (3, "not_bound", "account", "d"),
    ]
    door.compact()
    assert [id_ for name in ("login", "logout", "signup") for (id_,) in door.stored(name)] == ["a", "e"]
    assert door.post(event("x"), key=bound).status == 422
    assert door.ask("PUT", "/v1/days/login/2026-03-01", key=bound).json["code"] == "not_bound"


def test_a_key_that_is_given_more_replays_what_it_was_refused(door: HttpDoor) -> None:
    bound = door.new_key("bound", events=("login",))
    door.keys.refresh()
    door.post(event("a", "login"), event("b", "signup"), key=bound)
    door.compact()
    with door.events.ledger._writing() as db:
        db.execute("UPDATE keys SET events = '' WHERE name = 'bound'")
    door.later(hours=1)
    assert door.ask("POST", "/v1/rejected/replay", key=door.writer).json == {
        "stored": 0,
        "duplicates": 0,
        "rejected": 0,
    }
    assert door.ask("POST", "/v1/rejected/replay?key=bound", key=door.writer).json["code"] == "wrong_scope"
    assert door.ask("POST", "/v1/rejected/replay", key=bound).json == {"stored": 1, "duplicates": 0, "rejected": 0}
    assert door.stored("signup", "id, key") == [("b", "bound")]


def test_a_bound_reader_sees_only_its_events_and_accounts(door: HttpDoor) -> None:
    door.post(event("a", account="acme"), event("b", account="other"), event("c", "login", account="acme"))
    door.compact()
    by_event = door.new_key("by-event", scopes=("read",), events=("login",))
    by_account = door.new_key("by-account", scopes=("read",), accounts=("acme",))
    door.keys.refresh()

    def ids(path: str, key: str) -> Any:
        answer = door.ask("GET", path, key=key)
        return sorted(one["id"] for one in answer.json["events"]) if answer.status == 200 else answer.json["code"]

    assert ids("/v1/events", by_event) == ["c"]
    assert ids("/v1/events", by_account) == ["a", "c"]
    assert ids("/v1/events?event=signup", by_event) == "not_bound"
    assert ids("/v1/events?account=other", by_account) == "not_bound"
    assert door.ask("GET", "/v1/events/schema", key=by_event).json["events"].keys() == {"login"}
    assert door.ask("GET", "/v1/rejected", key=by_event).json["code"] == "not_bound"


def test_a_key_with_a_rate_gets_429_with_an_integer_to_wait(door: HttpDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    key = door.new_key("slow", rate=10)
    door.keys.refresh()
    seconds = [100.0]
    monkeypatch.setattr(door.app.rates, "seconds", lambda: seconds[0])
    assert door.post(*(event() for _ in range(25)), key=key).status == 200  # a request is not cut
    answer = door.post(event(), key=key)
    assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (429, "rate_limit", "2")
    assert door.post(event()).status == 200
    seconds[0] += 1.7
    assert door.post(event(), key=key).status == 200
    assert door.post(*(event() for _ in range(10_000)), key=key).status == 200
    assert door.post(event(), key=key).headers["retry-after"] == "10"


PX_USER = {"identifyId": "u-1", "propertyKeys": ["AP-X-1"], "type": "USER"}
WRITES: dict[str, tuple[str, str, Any]] = {
    "an event": ("POST", "/v1/events", {"event": "signup"}),
    "attributes": ("PUT", "/v1/users/u-1", {"attributes": {"plan": "pro"}}),
    "a day": ("PUT", "/v1/days/seats/2026-03-01", None),
    "a file of users": ("POST", "/v1/import/csv?type=users", b"id,plan\n7,pro\n"),
    "a user of Gainsight PX": ("POST", "/v1/users", PX_USER),
}


@pytest.mark.parametrize("first", WRITES)
@pytest.mark.parametrize("then", WRITES)
def test_a_key_has_one_rate_for_all_that_it_writes(
    door: HttpDoor, monkeypatch: pytest.MonkeyPatch, first: str, then: str
) -> None:
    door.app.entities = EntityDoor(EntityLedger(door.events.ledger), lambda: door.now)
    key = door.new_key("slow", rate=1)
    door.keys.refresh()
    monkeypatch.setattr(door.app.rates, "seconds", lambda: 0.0)

    def write(what: str) -> int:
        method, path, body = WRITES[what]
        if body is PX_USER:
            return door.ask(method, path, body, x_aptrinsic_api_key=key).status
        return door.ask(method, path, body, key).status

    assert write(first) in (200, 201, 204)
    assert write(then) == 429


def test_ids_and_names_in_paths_that_are_not_utf_8_are_refused(door: HttpDoor) -> None:
    assert door.ask("PUT", "/v1/days/a%FF/2026-03-01", key=door.writer).json["code"] == "bad_encoding"
    for method in ("GET", "PUT", "DELETE"):
        assert door.ask(method, "/px/v1/users/a%FF", {}, x_aptrinsic_api_key=door.writer).status in (400, 403)


def test_an_event_with_one_name_too_many_is_not_called_stored(door: HttpDoor) -> None:
    settings = EventSettings(max_events=2)
    door.app.set_rules(EventRules(settings=settings))
    clock = [0.0]
    door.app.names.seconds = lambda: clock[0]
    assert door.post(event("1", "a"), event("2", "b")).json["stored"] == 2
    door.compact(settings=settings)
    clock[0] += 5
    answer = door.post(event("3", "c"), event("4", "a"), event("5", "d"))
    assert (answer.status, answer.json["stored"]) == (200, 1)
    assert [(one["index"], one["id"], one["code"]) for one in answer.json["rejected"]] == [
        (0, "3", "too_many_events"),
        (2, "5", "too_many_events"),
    ]
    assert door.post(event("6", "c")).status == 422
    assert door.post(event("7", "e"), path="/segment/v1/track").status == 400
    door.compact(settings=settings)
    assert [door.stored(name) for name in "abcd"] == [[("1",), ("4",)], [("2",)], [], []]
    kept = door.ask("GET", "/v1/rejected", key=door.reader).json["rejected"]
    assert {one["code"] for one in kept} == {"too_many_events"}
    assert len(kept) == 4
    wider = EventSettings(max_events=3)
    door.app.set_rules(EventRules(settings=wider))
    assert door.post(event("8", "c")).json["stored"] == 1


def test_an_event_with_a_new_name_does_not_wait_for_the_ledger(door: HttpDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    is_free = threading.Event()
    monkeypatch.setattr(door.events, "names", lambda: is_free.wait(60) and frozenset())

    async def story() -> int:
        try:
            return (await door.asked("POST", "/v1/events", [event("1", "new")], door.writer)).status
        finally:
            assert not is_free.is_set()
            is_free.set()

    assert door.run(story()) == 200


def test_a_day_that_has_not_begun_cannot_be_complete(door: HttpDoor) -> None:
    tomorrow, later = (NOW + timedelta(days=days) for days in (1, 2))
    assert door.ask("PUT", f"/v1/days/seats/{tomorrow:%Y-%m-%d}", key=door.writer).status == 204
    refused = door.ask("PUT", f"/v1/days/seats/{later:%Y-%m-%d}", key=door.writer)
    assert (refused.status, refused.json["code"]) == (400, "future")
    assert door.ask("DELETE", f"/v1/days/seats/{later:%Y-%m-%d}", key=door.writer).status == 204


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"scopes": ("all",)}, "scope 'all'"),
        ({"scopes": ("browser", "read")}, "public"),
        ({"expires": NOW}, "past"),
        ({"rate": 0}, "no use"),
    ],
)
def test_terms_that_make_no_sense_are_refused(door: HttpDoor, terms: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        create_key(door.events, "new", KeyTerms(**terms), now=NOW)


# --- the same request again --------------------------------------------------------------------------------------------


def test_an_idempotency_key_with_another_body_is_422_in_every_worker(door: HttpDoor) -> None:
    again = {"Idempotency_Key": "batch-7"}
    body = [event(), event()]
    assert door.post(*body, **again).status == 200
    assert door.post(*body, **again).status == 200
    packed = gzip.compress(json.dumps(body).encode())
    assert door.ask("POST", "/v1/events", packed, door.writer, Content_Encoding="gzip", **again).status == 200
    other = door.another()

    async def elsewhere(*events: dict[str, Any]) -> Any:
        return await door.asked("POST", "/v1/events", list(events), door.writer, app=other, **again)

    assert door.run(elsewhere(*body)).status == 200
    answer = door.run(elsewhere(*body, event()))
    assert (answer.status, answer.json["code"], answer.json["seen"]) == (422, "idempotency_key", "batch-7")
    second = door.new_key("second")
    door.keys.refresh()
    assert door.post(event("z"), key=second, **again).status == 200  # another key is another sender
    door.compact()
    assert len(door.stored("signup")) == 3


def test_an_idempotency_key_is_known_for_as_long_as_ids_are(door: HttpDoor) -> None:
    again = {"Idempotency_Key": "batch-7"}
    assert door.post(event(), **again).status == 200
    door.later(days=29)
    assert door.post(event("b"), **again).status == 422
    door.later(days=2)
    assert door.post(event("b"), **again).status == 200


def test_an_idempotency_key_is_forgotten_after_the_declared_window(door: HttpDoor) -> None:
    door.app.set_rules(EventRules(settings=EventSettings(dedup=3600.0)))
    assert door.post(event(), Idempotency_Key="one").status == 200
    door.later(hours=2)
    assert door.post(event("b"), Idempotency_Key="one").status == 200


def test_of_two_bodies_at_once_with_one_idempotency_key_one_is_stored(door: HttpDoor) -> None:
    async def story() -> list[int]:
        apps = [door.another(), door.another()]
        asks = [
            door.asked("POST", "/v1/events", [event(str(i))], door.writer, app=apps[i % 2], Idempotency_Key="one")
            for i in range(12)
        ]
        return [answer.status for answer in await asyncio.gather(*asks)]

    assert sorted(door.run(story())) == [200] + [422] * 11
    door.compact()
    assert len(door.stored("signup")) == 1


def test_a_request_that_is_refused_claims_no_idempotency_key(door: HttpDoor) -> None:
    again = {"Idempotency_Key": "one"}
    assert door.ask("POST", "/v1/events", b"{", door.writer, **again).status == 400
    assert door.post(event(), **again).status == 200
    assert door.ask("POST", "/v1/events", event(), door.writer, Idempotency_Key="x" * 513).json["code"] == "bad_text"
