"""Amplitude's HTTP API: /2/httpapi and /batch, /identify and /groupidentify.

docs/amplitude.md describes how each field is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from tallybook.ingest.protocols.messages import (
    as_object,
    first_of,
    form_fields,
    form_value,
    kept_count,
    objects_of,
    only_object,
)
from tallybook.ingest.protocols.translated import SentEntity, SentEvent, SentItem, SentLink, Unreadable, decode_items
from tallybook.ingest.wire import WireProtocol

SIDE_PATHS = {"/identify": "$identify", "/groupidentify": "$groupidentify"}
FORM_FIELDS = {"/identify": "identification", "/groupidentify": "identification"}
OPERATIONS = {"$set": "attributes", "$setOnce": "set_once", "$add": "add", "$unset": "unset"}
LISTS = ("$append", "$prepend", "$preInsert", "$postInsert", "$remove", "$clearAll")
OWN = frozenset(
    (
        *("user_id", "device_id", "event_type", "time", "event_properties", "user_properties", "groups", "event_id"),
        *("group_properties", "insert_id", "api_key", "retry", "callback", "group_type", "group_value"),
    )
)
SOLD = ("price", "quantity", "revenue", "productId", "product_id", "revenueType", "revenue_type", "currency")
"""Measured fields. They become properties even if the event has no properties."""


class AmplitudeProtocol(WireProtocol):
    kind = ProtocolKind(
        name="amplitude",
        title="Amplitude",
        paths=("/2/httpapi", "/batch", "/identify", "/groupidentify"),
        prefix="/amplitude",
        finds_repeats=True,
    )

    @classmethod
    def decode(cls, request: EventRequest) -> DecodedEvents:
        """The events of a request, in its order."""
        found = _events(request)
        if isinstance(found, RequestError):
            return DecodedEvents(error=found)
        events, sent_at = found
        return decode_items(_items(events, sent_at, request), request)

    @staticmethod
    def plain(request: EventRequest) -> bytes:
        name = FORM_FIELDS.get(request.path)
        return form_value(request.body, name) if name else request.body

    @staticmethod
    def is_own(request: EventRequest) -> bool:
        found = objects_of(request)
        return isinstance(found, list) and any(isinstance(one, dict) and "events" in one for one in found)

    @staticmethod
    def key_of(request: EventRequest) -> str | None:
        found = objects_of(request)
        one = as_object(found[0]) if isinstance(found, list) and found else {}
        key = one.get("api_key") or form_fields(request.body).get("api_key")
        return key if isinstance(key, str) else None

    @staticmethod
    def answered(request: EventRequest, verdicts: Mapping[str, Any]) -> ProtocolAnswer:
        """The answer to a request. If events were rejected it is 400 and names them. The clients then remove these and
        send the others again, which are stored once by their `insert_id`."""
        rejected = verdicts["rejected"]
        if not rejected:
            said = {"code": 200, "events_ingested": kept_count(verdicts), "payload_size_bytes": len(request.body)}
            uploaded = int(request.received.timestamp() * 1000)
            return ProtocolAnswer(status=200, body={**said, "server_upload_time": uploaded, **verdicts})
        fields: dict[str, list[int]] = {}
        for one in rejected:
            fields.setdefault(one.get("field") or "event", []).append(one["index"])
        body: dict[str, Any] = {
            "code": 400,
            "error": f"{len(rejected)} events are rejected: {rejected[0]['reason']}",
            "missing_field": None,
            "events_with_invalid_fields": fields,
            "events_with_missing_fields": {},
            "tallybook_code": rejected[0]["code"],
        }
        return ProtocolAnswer(status=400, body={**body, **verdicts})

    @staticmethod
    def refused(request: EventRequest, error: RequestError) -> ProtocolAnswer:
        """The answer to a refused request. `code` is the status. An invalid key gets 400; `missing_field` keeps the
        clients from sending again twelve times."""
        is_key = error.status in (401, 403)
        status = 400 if is_key else error.status
        message = f"Invalid API key: {error.message}" if is_key else error.message
        body: dict[str, Any] = {"code": status, "error": message, "tallybook_code": error.code, "detail": error.message}
        if status == 400 and not is_key:
            body["missing_field"] = "events"
        if status == 429:
            body |= {"eps_threshold": 0, "throttled_devices": {}, "throttled_users": {}, "throttled_events": []}
        return ProtocolAnswer(status=status, body=body)


def _events(request: EventRequest) -> tuple[list[Any], Any] | RequestError:
    """The events of a body, and the clock time at which it was sent."""
    if request.path not in SIDE_PATHS:
        found = only_object(request, "events")
        return found if isinstance(found, RequestError) else (found[1], found[0].get("client_upload_time"))
    listed = objects_of(request)
    if isinstance(listed, RequestError):
        return listed
    events: list[Any] = []
    for one in listed:
        inner = one.get("identification", one.get("events")) if isinstance(one, dict) else None
        events += inner if isinstance(inner, list) else [one if inner is None else inner]
    call = SIDE_PATHS[request.path]
    return [{**one, "event_type": call} if isinstance(one, dict) else one for one in events], None


def _items(events: list[Any], sent_at: Any, request: EventRequest) -> Iterator[tuple[int, SentItem]]:
    for index, event in enumerate(events):
        if not isinstance(event, dict):
            yield index, Unreadable(code="bad_json", reason="an event is an object")
            continue
        for item in _event(event, sent_at, request):
            yield index, item


def _event(event: Mapping[str, Any], sent_at: Any, request: EventRequest) -> Iterator[SentItem]:
    """The contents of one event."""
    user, device = first_of(event, "user_id"), first_of(event, "device_id")
    user = device if user is None else user
    name, time = event.get("event_type"), event.get("time")
    id_ = first_of(event, "insert_id")
    account = account_in(event.get("groups"), request)
    said = as_object(event.get("user_properties"))
    if name == "$groupidentify":
        yield from _groups(event, time, id_, sent_at, request)
        return
    if name == "$identify" and device is not None and str(device) != str(user):
        yield SentLink(alias=device, user=user, message=id_)
    if said or name == "$identify":
        yield from _user(user, said, {"time": time, "id": id_}, account, sent_at)
    if name == "$identify":
        return
    given = event.get("event_properties")
    sold = {key: event[key] for key in SOLD if event.get(key) is not None}
    context = {key: value for key, value in event.items() if key not in OWN and key not in SOLD}
    fields = {
        "event": name,
        "time": time,
        "user": user,
        "account": account,
        "id": id_,
        "properties": {**sold, **(given or {})} if given is None or isinstance(given, dict) else given,
    }
    beside = {"device_id": device if device != user else None, "groups": event.get("groups"), "context": context}
    yield SentEvent(fields=fields, sent_at=sent_at, context=beside)


def _user(
    user: Any, said: Mapping[str, Any], about: Mapping[str, Any], account: Any, sent_at: Any
) -> Iterator[SentEntity | Unreadable]:
    body = _operations(said)
    yield SentEntity(kind=USERS, id=user, body={**body, **about}, account=account, sent_at=sent_at)
    yield from _lists(said)


def _groups(
    event: Mapping[str, Any], time: Any, id_: Any, sent_at: Any, request: EventRequest
) -> Iterator[SentEntity | Unreadable]:
    """The account whose attributes an event sets."""
    groups = as_object(event.get("groups"))
    if not groups and event.get("group_type") is not None:
        groups = {str(event["group_type"]): event.get("group_value")}
    said = as_object(event.get("group_properties"))
    account = account_in(groups, request)
    if account is None:
        yield other_group(next((one for one in groups if not is_account_type(one, request)), None))
        return
    body = {**_operations(said), "time": time, "id": id_}
    yield SentEntity(kind=ACCOUNTS, id=account, body=body, sent_at=sent_at)
    yield from _lists(said)


def _operations(said: Mapping[str, Any]) -> dict[str, Any]:
    """Amplitude's operations, as the fields of `PUT /v1/users/{id}`. Properties without an operation are set."""
    found: dict[str, Any] = {}
    for name, value in said.items():
        if name in OPERATIONS:
            found[OPERATIONS[name]] = list(value) if name == "$unset" and isinstance(value, dict) else value
    plain = {name: value for name, value in said.items() if not name.startswith("$")}
    if plain:
        found["attributes"] = {**plain, **as_object(found.get("attributes"))}
    return found


def _lists(said: Mapping[str, Any]) -> Iterator[Unreadable]:
    """Operations on lists. They cannot be stored, because an attribute is one value."""
    for name in said:
        if name in LISTS:
            reason = f"{name} is not kept: an attribute is one value; $set, $setOnce, $add and $unset are"
            yield Unreadable(code="schema", reason=reason, field=name)
