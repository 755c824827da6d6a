"""`/openapi.json`: the HTTP API as OpenAPI 3.1, built from the types of its bodies and one table of operations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_origin

import msgspec

from tallybook.ingest import MAX_PAGE
from tallybook.server.api_types import (
    ChangesBody,
    EntityBody,
    EventBody,
    EventPageBody,
    KeptBody,
    Operation,
    ProblemBody,
    Query,
    RejectedPageBody,
    ReplayedBody,
    SchemaBody,
    StatusBody,
    ValueBody,
    VerdictsBody,
)
from tallybook.server.csv_imports import CSV_PARAMETERS
from tallybook.server.protocol_operations import protocol_paths

PROBLEM = "application/problem+json"
TEXT: Mapping[str, Any] = {"type": "string"}
INSTANT: Mapping[str, Any] = {"type": "string", "format": "date-time"}
RANGE: Query = {
    "from": ({"type": "string"}, "a day, inclusive, or an instant"),
    "to": ({"type": "string"}, "a day, inclusive, or an instant, exclusive"),
}
INSTANTS: Query = {"from": (INSTANT, "received then or later"), "to": (INSTANT, "received before then")}
PAGE: Query = {
    "cursor": (TEXT, "what the page before gave"),
    "limit": ({"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 100}, "how many"),
}
ONLY: Query = {name: (TEXT, f"only this {name}") for name in ("event", "user", "account", "id")}
KEYS: Query = {"key": (TEXT, "the name of the key that sent them"), "code": (TEXT, "the code of the rejection")}
SENT_AGAIN = "The same request sent again stores events without an id of their own once; another body is 422."
STORED, REFUSED = {200: VerdictsBody, 422: VerdictsBody}, (400, 401, 403, 408, 413, 429, 503)
EVENT = {"event": "signup", "time": "2026-03-01T12:00:00Z", "id": "s-1", "properties": {"plan": "pro"}}
VALUE = {"event": "seats", "day": "2026-03-01", "value": 160, "account": "acme", "dimensions": {"region": "eu"}}
CHANGES = {"attributes": {"plan": "pro"}, "time": "2026-03-01T12:00:00Z"}


def _entity(kind: str) -> list[Operation]:
    one, path = kind.removesuffix("s"), f"/v1/{kind}/{{id}}"
    return [
        Operation(
            method="put",
            path=path,
            summary=f"Change attributes of one {one}",
            answers={200: KeptBody, 422: KeptBody},
            problems=(400, 401, 403, 408, 413, 429, 503),
            scopes=("write", "browser"),
            body=ChangesBody,
            example=CHANGES,
        ),
        Operation(
            method="get",
            path=path,
            summary=f"One {one} with its attributes",
            answers={200: EntityBody},
            problems=(401, 403, 404, 429, 503),
            scopes=("read",),
        ),
        Operation(
            method="delete",
            path=path,
            summary=f"Delete one {one}",
            answers={204: None},
            problems=(401, 403, 404, 429, 503),
            scopes=("write",),
        ),
    ]


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="post",
        path="/v1/events",
        summary="Store events; a 2xx means that they are on disk",
        answers=STORED,
        problems=REFUSED,
        scopes=("write", "browser"),
        body=EventBody,
        many=True,
        example=EVENT,
    ),
    Operation(
        method="get",
        path="/v1/events",
        summary="Stored events, in the order in which they were stored",
        answers={200: EventPageBody},
        problems=(400, 401, 403, 503),
        scopes=("read",),
        query=ONLY | RANGE | PAGE,
    ),
    Operation(
        method="post",
        path="/v1/values",
        summary="Store daily values; the same day again replaces",
        answers=STORED,
        problems=REFUSED,
        scopes=("write",),
        body=ValueBody,
        many=True,
        example=VALUE,
    ),
    Operation(
        method="post",
        path="/v1/import/csv",
        summary="Store the rows of a CSV file; the query string says what its columns are",
        answers={200: dict, 422: dict},
        problems=REFUSED,
        scopes=("write",),
        query={name: (TEXT, about) for name, about in CSV_PARAMETERS.items()},
        text="event,time,plan\nsignup,2026-03-01T12:00:00Z,pro\n",
    ),
    Operation(
        method="put",
        path="/v1/days/{event}/{day}",
        summary="This day of the event is complete, even if it is empty",
        answers={204: None},
        problems=(400, 401, 403, 503),
        scopes=("write",),
    ),
    Operation(
        method="delete",
        path="/v1/days/{event}/{day}",
        summary="This day of the event is not complete after all",
        answers={204: None},
        problems=(400, 401, 403, 503),
        scopes=("write",),
    ),
    Operation(
        method="get",
        path="/v1/events/schema",
        summary="The types of every event's properties",
        answers={200: SchemaBody},
        problems=(400, 401, 403, 503),
        scopes=("read",),
    ),
    Operation(
        method="get",
        path="/v1/rejected",
        summary="Rejected events, the newest first",
        answers={200: RejectedPageBody},
        problems=(400, 401, 403, 503),
        scopes=("read",),
        query=KEYS | INSTANTS | PAGE,
    ),
    Operation(
        method="post",
        path="/v1/rejected/replay",
        summary="Decode rejected events again",
        answers={200: ReplayedBody},
        problems=(400, 401, 403, 503),
        scopes=("write",),
        query=KEYS | INSTANTS | {"cursor": (TEXT, "the cursor that the previous replay returned")},
    ),
    *_entity("users"),
    *_entity("accounts"),
    Operation(method="get", path="/healthz", summary="Whether the process answers", answers={200: StatusBody}),
    Operation(
        method="get",
        path="/readyz",
        summary="Whether events can be stored now",
        answers={200: StatusBody},
        problems=(503,),
    ),
    Operation(
        method="get",
        path="/metrics",
        summary="Counters for Prometheus; without a key on this machine",
        answers={200: str},
        problems=(401, 403, 503),
        scopes=("read",),
        media="text/plain",
    ),
    Operation(
        method="get",
        path="/tallybook.js",
        summary="The script with which pages send events",
        answers={200: str},
        media="text/javascript",
    ),
    Operation(method="get", path="/openapi.json", summary="This document", answers={200: dict}),
)


def every_operation() -> tuple[Operation, ...]:
    """All operations: those of events and those of reading."""
    from tallybook.server.read_operations import READ_OPERATIONS

    return (*OPERATIONS, *READ_OPERATIONS)


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document as a dict, for JSON."""
    from tallybook import __version__

    types = sorted(
        {one for each in every_operation() for one in _types(each)} | {ProblemBody}, key=lambda one: one.__name__
    )
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths = protocol_paths()
    for each in every_operation():
        paths.setdefault(each.path, {})[each.method] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tallybook",
            "version": __version__,
            "description": "Questions, and usage events that are on disk before a 2xx.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "the key as the user"},
            },
        },
    }


def _types(each: Operation) -> list[type]:
    found = [*map(_item, each.answers.values()), each.body]
    return [one for one in found if one is not None and issubclass(one, msgspec.Struct)]


def _item(body: Any) -> Any:
    """The type of an answer, or of the items of a list."""
    return get_args(body)[0] if get_origin(body) is list else body


def _operation(each: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": f"{each.method}{each.path.replace('/', '_').replace('{', '').replace('}', '')}",
        "summary": each.summary,
        "responses": {str(status): _answer(each, status, body) for status, body in each.answers.items()},
        "security": [{"bearer": []}, {"basic": []}] if each.scopes else [],
    }
    for status in (*each.problems, 405):
        described = {"description": "refused", "content": {PROBLEM: {"schema": _ref(ProblemBody)}}}
        if status in (429, 503):
            described["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1, "maximum": 10}}}
        if str(status) in found["responses"]:
            continue
        found["responses"][str(status)] = described
    if each.scopes:
        found["description"] = f"Scope of the key: {' or '.join(each.scopes)}."
    if parameters := _parameters(each):
        found["parameters"] = parameters
    if each.body is not None:
        found["requestBody"] = _request(each)
    if each.text:
        content = {"text/csv": {"schema": TEXT, "example": each.text}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _answer(each: Operation, status: int, body: Any) -> dict[str, Any]:
    if body is None:
        return {"description": "unchanged" if status == 304 else "done"}
    if get_origin(body) is list:
        schema = {"type": "array", "items": _ref(_item(body))}
        return {"description": "done", "content": {each.media: {"schema": schema}}}
    if not issubclass(body, msgspec.Struct):
        words: dict[type, str] = {dict: "object", list: "array"}
        word = words.get(body, "string")
        return {"description": "done", "content": {each.media: {"schema": {"type": word}}}}
    content: dict[str, Any] = {"application/json": {"schema": _ref(body)}}
    if status == 200:
        content |= each.more_content
    if each.many and status == 422:
        content[PROBLEM] = {"schema": _ref(ProblemBody)}  # an Idempotency-Key that was sent with another body
    return {"description": "done", "content": content}


def _ref(body: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{body.__name__}"}


def _parameters(each: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "date"} if name == "day" else {"type": "string", "minLength": 1},
            "example": {"day": "2026-03-01", "event": "seats", "metric": "seats"}.get(name, "acme"),
        }
        for name in ("event", "day", "id", "metric")
        if f"{{{name}}}" in each.path
    ]
    found += [
        {"name": name, "in": "query", "schema": schema, "description": about}
        for name, (schema, about) in each.query.items()
    ]
    if each.many:
        found.append({"name": "Idempotency-Key", "in": "header", "schema": TEXT, "description": SENT_AGAIN})
    return found


def _request(each: Operation) -> dict[str, Any]:
    assert each.body is not None
    one = _ref(each.body)
    schema: dict[str, Any] = {"anyOf": [one, {"type": "array", "items": one}]} if each.many else one
    content: dict[str, Any] = {"application/json": {"schema": schema, "example": each.example}}
    if each.many:
        content["application/x-ndjson"] = {"schema": {"type": "string"}}
    return {"required": True, "content": content}
