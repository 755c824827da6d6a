"""PostHog's capture API: /batch, /capture, /e and /i/v0/e, and the newer /i/v1/analytics/events with its verdicts.

docs/posthog.md describes how each field is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from tallybook.core import (
    ACCOUNTS,
    USERS,
    DecodedEvents,
    EventRequest,
    ProtocolAnswer,
    ProtocolKind,
    RequestError,
)
from tallybook.ingest.protocols.groups import account_in, is_account_type, other_group
from tallybook.ingest.protocols.messages import as_object, first_of, form_value, kept_count, objects_of, too_many
from tallybook.ingest.protocols.translated import SentEntity, SentEvent, SentItem, SentLink, Unreadable, decode_items
from tallybook.ingest.wire import WireProtocol

V1_PATH = "/i/v1/analytics/events"
BATCH_PATH = "/batch"
MAX_OFFSET = 30 * 86_400_000
"""Milliseconds that an event of a page may wait."""
CLOCK_HEADER = "posthog-request-timestamp"
NOT_STORED = ("$identify", "$create_alias", "$merge_dangerously", "$groupidentify", "$set", "$unset")
"""Events that only describe users and accounts."""
SAID_OF_USERS = ("$set", "$set_once", "$unset")
TAKEN_OUT = ("token", "api_key", "distinct_id", "$distinct_id", *SAID_OF_USERS)
ALIASES = {"$create_alias": False, "$merge_dangerously": True}


class PosthogProtocol(WireProtocol):
    kind = ProtocolKind(
        name="posthog",
        title="PostHog",
        paths=(BATCH_PATH, "/capture", "/e", "/i/v0/e", V1_PATH),
        prefix="/posthog",
        headers=(CLOCK_HEADER,),
        finds_repeats=True,
    )

    @classmethod
    def decode(cls, request: EventRequest) -> DecodedEvents:
        """The events of a batch, of a list, or a single event."""
        found = _messages(request)
        if isinstance(found, RequestError):
            return DecodedEvents(error=found)
        messages, sent_at = found
        return decode_items(_items(messages, sent_at, request), request)

    @staticmethod
    def plain(request: EventRequest) -> bytes:
        return form_value(request.body, "data")

    @staticmethod
    def is_own(request: EventRequest) -> bool:
        found = objects_of(request)
        return isinstance(found, list) and any(isinstance(one, dict) and "batch" in one for one in found)

    @staticmethod
    def key_of(request: EventRequest) -> str | None:
        """The `api_key` or `token` of the batch, of an event, or of its properties."""
        found = objects_of(request)
        for one in found if isinstance(found, list) else ():
            for place in (as_object(one), as_object(as_object(one).get("properties"))):
                if isinstance(key := first_of(place, "api_key", "token"), str):
                    return key
        return None

    @staticmethod
    def answered(request: EventRequest, verdicts: Mapping[str, Any]) -> ProtocolAnswer:
        """The answer to a request. Version 1 gets a verdict for each event. Clients of earlier versions accept only
        200."""
        if request.path == V1_PATH:
            return ProtocolAnswer(status=200, body={"results": _results(request, verdicts), **verdicts})
        rejected = verdicts["rejected"]
        if request.path != BATCH_PATH and rejected and not kept_count(verdicts):
            first = rejected[0]
            body = {"status": 0, "type": "validation_error", "code": first["code"], "detail": first["reason"]}
            return ProtocolAnswer(status=400, body={**body, **verdicts})
        return ProtocolAnswer(status=200, body={"status": 1, **verdicts})

    @staticmethod
    def refused(request: EventRequest, error: RequestError) -> ProtocolAnswer:
        kinds = {401: "authentication_error", 403: "authentication_error", 429: "throttled_error"}
        kind = kinds.get(error.status, "validation_error" if error.status < 500 else "server_error")
        body = {"status": 0, "type": kind, "code": error.code, "detail": error.message, "attr": None}
        if request.path == V1_PATH:
            body |= {"error": error.code, "error_description": error.message}
        return ProtocolAnswer(status=error.status, body={**error.as_json(), **body})


def _messages(request: EventRequest) -> tuple[list[Any], Any] | RequestError:
    """The events of a body, and the clock time at which it was sent."""
    found = objects_of(request)
    if isinstance(found, RequestError):
        return found
    sent_at: Any = request.headers.get(CLOCK_HEADER)
    messages: list[Any] = []
    for one in found:
        batch = one.get("batch") if isinstance(one, dict) else None
        if isinstance(one, dict) and "batch" in one:
            if not isinstance(batch, list):
                return RequestError(status=400, code="bad_json", message="`batch` is not a list of events")
            messages += batch
        elif request.path in (BATCH_PATH, V1_PATH):
            expected = '{"batch": [{"event": "…", "distinct_id": "…"}]}'
            message = "the body has no list `batch`"
            return RequestError(status=400, code="bad_json", message=message, expected=expected)
        else:
            messages.append(one)
        sent_at = first_of(as_object(one), "sent_at", "sentAt") or sent_at
    if len(messages) > (most := request.rules.limits.max_batch):
        return too_many(len(messages), most)
    return messages, sent_at


def _results(request: EventRequest, verdicts: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict on each event, by uuid."""
    found = _messages(request)
    messages = [] if isinstance(found, RequestError) else found[0]
    ids = [str(as_object(one).get("uuid") or f"#{index}") for index, one in enumerate(messages)]
    results: dict[str, Any] = {id_: {"result": "ok"} for id_ in ids}
    for word, name in (("warning", "warnings"), ("drop", "rejected")):
        for one in verdicts.get(name, ()):
            if 0 <= one["index"] < len(ids):
                results[ids[one["index"]]] = {"result": word, "details": f"{one['code']}: {one['reason']}"}
    return results


def _items(messages: list[Any], sent_at: Any, request: EventRequest) -> Iterator[tuple[int, SentItem]]:
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            yield index, Unreadable(code="bad_json", reason="an event is an object")
            continue
        for item in _message(message, sent_at, request):
            yield index, item


def _message(message: Mapping[str, Any], sent_at: Any, request: EventRequest) -> Iterator[SentItem]:
    """The contents of one event."""
    given = message.get("properties")
    properties, name = as_object(given), message.get("event")
    user = first_of(message, "distinct_id", "$distinct_id") or first_of(properties, "distinct_id", "$distinct_id")
    if properties.get("$ignore_sent_at") is True or as_object(message.get("options")).get("disable_skew_correction"):
        sent_at = None
    time, id_ = _time(message, request), first_of(message, "uuid")
    account = account_in(properties.get("$groups"), request)
    if name == "$groupidentify":
        yield _group(properties, time, id_, sent_at, request)
        return
    if isinstance(name, str) and name in ALIASES:
        alias = first_of(properties, "alias")
        own = first_of(properties, "distinct_id") or user
        yield SentLink(alias=alias, user=own, merges=ALIASES[name], message=id_)
        return
    if name == "$identify" and (anonymous := first_of(properties, "$anon_distinct_id")) not in (None, user):
        yield SentLink(alias=anonymous, user=user, message=id_)
    body = _attributes_in(message, properties)
    if body or name in NOT_STORED:
        said = {**body, "time": time, "id": id_}
        yield SentEntity(kind=USERS, id=user, body=said, account=account, sent_at=sent_at)
    if name not in NOT_STORED:
        kept: Any = {key: value for key, value in properties.items() if key not in TAKEN_OUT}
        fields = {
            "event": name,
            "time": time,
            "user": user,
            "account": account,
            "id": id_,
            "properties": kept if given is None or isinstance(given, dict) else given,
        }
        session = {f"${key}": message.get(key) for key in ("session_id", "window_id")}
        yield SentEvent(fields=fields, sent_at=sent_at, context=session)


def _time(message: Mapping[str, Any], request: EventRequest) -> Any:
    """The time of an event. Pages send how long ago it was instead, in milliseconds."""
    time, offset = first_of(message, "timestamp"), message.get("offset")
    if time is not None or isinstance(offset, bool) or not isinstance(offset, int | float):
        return time
    return (request.received - timedelta(milliseconds=offset)).isoformat() if 0 <= offset <= MAX_OFFSET else time


def _attributes_in(message: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes in an event about its user, as the fields of `PUT /v1/users/{id}`."""
    found: dict[str, Any] = {}
    for field, name in (("attributes", "$set"), ("set_once", "$set_once"), ("unset", "$unset")):
        given = properties.get(name) or message.get(name)
        if given:
            found[field] = list(given) if field == "unset" and isinstance(given, dict) else given
    return found


def _group(
    properties: Mapping[str, Any], time: Any, id_: Any, sent_at: Any, request: EventRequest
) -> SentEntity | Unreadable:
    group_type = properties.get("$group_type")
    if not is_account_type(group_type, request):
        return other_group(group_type)
    body = {"attributes": properties.get("$group_set") or {}, "time": time, "id": id_}
    return SentEntity(kind=ACCOUNTS, id=properties.get("$group_key"), body=body, sent_at=sent_at)
