"""`/openapi.json` and the server agree: examples are executed, and whatever is asked gets a documented answer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from jsonschema import Draft202012Validator

from tallybook.core import PROTOCOLS
from tallybook.server.api_types import ProblemBody
from tallybook.server.entities import EntityDoor
from tallybook.server.openapi import OPERATIONS, PROBLEM, Operation, document, every_operation
from tallybook.server.protocol_operations import protocol_paths
from tallybook.server.watching import KNOWN_PATHS
from tallybook.storage import EntityLedger
from tests.ingest.doors import Answer, HttpDoor

SOAK = os.environ.get("TALLYBOOK_SOAK") == "1"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpDoor]:
    made = HttpDoor(tmp_path_factory.mktemp("api") / "book")
    made.app.entities = EntityDoor(EntityLedger(made.events.ledger), lambda: made.now)
    made.all = made.new_key("all", scopes=("admin",))  # type: ignore[attr-defined]
    made.post({"event": "signup", "id": "1", "properties": {"a": {"b": 1}}}, {"event": ""}, {"event": "x", "time": 7})
    made.compact()
    made.keys.refresh()
    yield made
    made.commit.close()
    made.events.close()


def check(each: Operation, answer: Answer) -> None:
    """The answer is one of those that the document names, and its body is of the documented type."""
    assert answer.status in {*each.answers, *each.problems, 405}, (each.method, each.path, answer.status, answer.json)
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind == PROBLEM:
        msgspec.convert(answer.json, ProblemBody)
        assert answer.json["status"] == answer.status
    elif (body := each.answers[answer.status]) is None:
        assert answer.json is None
    else:
        assert kind == each.media
        msgspec.convert(answer.json, body)


def path_of(each: Operation, *, event: str = "seats", day: str = "2026-03-01", entity: str = "acme") -> str:
    return each.path.format(event=quote(event, safe=""), day=quote(day, safe=""), id=quote(entity, safe=""))


def named(each: Operation) -> str:
    return f"{each.method} {each.path}"


def test_the_document_is_what_the_server_answers_and_its_schemas_are_schemas(door: HttpDoor) -> None:
    found = door.ask("GET", "/openapi.json").json
    assert found == json.loads(json.dumps(document()))
    assert found["openapi"].startswith("3.1")
    for name, schema in found["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema["description"], name
    referred = set(json.dumps(found).split('"#/components/schemas/')[1:])
    assert {one.partition('"')[0] for one in referred} <= found["components"]["schemas"].keys()
    pages = {"/login", "/logout", "/mcp"}
    assert {each.path for each in every_operation()} >= KNOWN_PATHS - pages


def test_the_document_has_the_paths_of_every_protocol_and_of_the_beacon(door: HttpDoor) -> None:
    paths = door.ask("GET", "/openapi.json").json["paths"]
    assert {path for kind in PROTOCOLS.kinds() for path in kind.paths} <= paths.keys()
    for path in protocol_paths():
        assert door.ask("PATCH", path, b"").status in (401, 405), path  # before an unknown method PX wants its key
    assert "Amplitude" in paths["/batch"]["post"]["summary"]
    assert paths["/v1/beacon"]["post"]["security"] == []
    ids = [one["operationId"] for each in paths.values() for one in each.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("each", OPERATIONS, ids=named)
def test_the_example_of_each_operation_does_what_the_document_says(door: HttpDoor, each: Operation) -> None:
    if "{id}" in each.path:
        assert door.ask("PUT", path_of(each), {"attributes": {"plan": "pro"}}, door.all).status == 200  # type: ignore[attr-defined]
    body = each.text.encode() or each.example
    answer = door.ask(each.method.upper(), path_of(each), body, door.all)  # type: ignore[attr-defined]
    assert answer.status == min(each.answers), answer.json
    check(each, answer)
    if each.scopes and each.path != "/metrics":
        assert door.ask(each.method.upper(), path_of(each), body).status == 401


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(
    ["", "signup", "2026-03-01", "2026-03-01T00:00:00Z", "0", "-1", "1000", "newest", "é", "\0", "%"]
)
FIELDS = st.sampled_from(
    ["event", "time", "user", "account", "id", "properties", "day", "value", "dimensions", "attributes", "add", "unset"]
)
BODIES = (
    st.binary(max_size=30)
    | JSON.map(lambda one: json.dumps(one).encode())
    | st.lists(st.dictionaries(FIELDS, JSON, max_size=5), max_size=3).map(lambda one: json.dumps(one).encode())
    | st.dictionaries(FIELDS, JSON, max_size=5).map(lambda one: json.dumps(one).encode())
)


@settings(max_examples=3_000 if SOAK else 60, deadline=None)
@given(st.data())
def test_whatever_is_asked_gets_a_documented_answer(door: HttpDoor, data: st.DataObject) -> None:
    each: Operation = data.draw(st.sampled_from(OPERATIONS))
    query = data.draw(st.dictionaries(st.sampled_from([*each.query, "x"]), WORDS | st.text(max_size=9), max_size=3))
    text = WORDS | st.text(min_size=1, max_size=12)
    entity = data.draw(text.filter(bool))
    path = path_of(each, event=data.draw(text.filter(bool)), day=data.draw(WORDS.filter(bool)), entity=entity)
    key = data.draw(st.sampled_from([door.all, door.all, door.reader, door.writer, None]))  # type: ignore[attr-defined]
    headers: dict[str, Any] = {}
    if each.many:
        encoding = st.sampled_from(["", "gzip", "zstd", "deflate", "br", "é"])
        headers = {
            "Content_Encoding": data.draw(encoding),
            "Idempotency_Key": data.draw(st.sampled_from(["", "k", "é"])),
        }
    body = data.draw(BODIES) if each.body is not None or each.text else None
    asked = f"{path}?{urlencode(query, errors='replace')}" if query else path
    answer = door.ask(each.method.upper(), asked, body, key, **headers)
    assert answer.status != 503, answer.json
    check(each, answer)
