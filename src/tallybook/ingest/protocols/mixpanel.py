"""Mixpanel's ingestion API: /track, /import, /engage and /groups, as forms, base64, JSON, lines and GET.

docs/mixpanel.md describes how each field is stored."""

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
from tallybook.ingest.protocols.groups import is_account_type, other_group
from tallybook.ingest.protocols.messages import as_object, first_of, form_fields, form_value, kept_count, objects_of
from tallybook.ingest.protocols.translated import SentEntity, SentEvent, SentItem, SentLink, Unreadable, decode_items
from tallybook.ingest.wire import WireProtocol

IMPORT_PATH = "/import"
PROFILE_PATHS = {"/engage": USERS, "/groups": ACCOUNTS}
OPERATIONS = {"$set": "attributes", "$set_once": "set_once", "$add": "add", "$unset": "unset"}
LISTS = ("$append", "$union", "$remove", "$delete")
TAKEN_OUT = ("token", "time", "distinct_id", "$insert_id", "$user_id")
"""Properties that become fields of an event."""


class MixpanelProtocol(WireProtocol):
    kind = ProtocolKind(
        name="mixpanel",
        title="Mixpanel",
        paths=("/track", IMPORT_PATH, *PROFILE_PATHS),
        prefix="/mixpanel",
        methods=("POST", "GET"),
        finds_repeats=True,
    )

    @classmethod
    def decode(cls, request: EventRequest) -> DecodedEvents:
        """The events or profiles of a request, in order."""
        found = objects_of(request)
        if isinstance(found, RequestError):
            return DecodedEvents(error=found)
        return decode_items(_items(found, request), request)

    @staticmethod
    def plain(request: EventRequest) -> bytes:
        return form_value(request.body, "data")

    @staticmethod
    def key_of(request: EventRequest) -> str | None:
        """The token, from an event's properties or from a profile."""
        found = objects_of(request)
        for one in found if isinstance(found, list) else ():
            for place in (as_object(as_object(one).get("properties")), as_object(one)):
                if isinstance(key := first_of(place, "token", "$token"), str):
                    return key
        return form_fields(request.body).get("api_key")

    @staticmethod
    def answered(request: EventRequest, verdicts: Mapping[str, Any]) -> ProtocolAnswer:
        """The answer to a request. The clients accept only the text `1`, or `status` 1 if they asked for a verbose
        answer."""
        rejected, kept = verdicts["rejected"], kept_count(verdicts)
        fields = _asked(request)
        if request.path == IMPORT_PATH and "data" not in fields:
            return _imported(verdicts, kept, is_strict=fields.get("strict") == "1")
        is_good = bool(kept) or not rejected
        status = 200 if is_good else 400
        if fields.get("verbose") != "1":
            return ProtocolAnswer(status=status, text="1" if is_good else "0")
        error = None if is_good else f"{rejected[0]['code']}: {rejected[0]['reason']}"
        return ProtocolAnswer(status=status, body={"status": int(is_good), "error": error, **verdicts})

    @staticmethod
    def refused(request: EventRequest, error: RequestError) -> ProtocolAnswer:
        fields = _asked(request)
        named = {"error": f"{error.code}: {error.message}", "tallybook_code": error.code}
        if request.path == IMPORT_PATH and "data" not in fields:
            return ProtocolAnswer(status=error.status, body={"code": error.status, "status": "error", **named})
        # Always JSON: the body may say whether the client asked for JSON, but a refused body may be unreadable.
        return ProtocolAnswer(status=error.status, body={"status": 0, **named})


def _asked(request: EventRequest) -> dict[str, str]:
    """The fields of the query string and of a form."""
    return {**form_fields(request.query.encode("ascii", "ignore")), **form_fields(request.body)}


def _imported(verdicts: Mapping[str, Any], kept: int, *, is_strict: bool) -> ProtocolAnswer:
    """The answer to an import as JSON or lines. It lists the failures by index."""
    failed = [
        {"index": one["index"], "insert_id": one.get("id"), "field": one.get("field"), "message": one["reason"]}
        for one in verdicts["rejected"]
    ]
    if failed and (is_strict or not kept):
        body = {"code": 400, "error": "some data points in the request failed validation", "failed_records": failed}
        counts = {"num_records_imported": kept, "status": "Bad Request"}
        return ProtocolAnswer(status=400, body={**body, **counts, "tallybook_code": verdicts["rejected"][0]["code"]})
    body = {"code": 200, "num_records_imported": kept, "status": "OK", "failed_records": failed}
    return ProtocolAnswer(status=200, body=body)


def _items(found: list[Any], request: EventRequest) -> Iterator[tuple[int, SentItem]]:
    for index, one in enumerate(found):
        if not isinstance(one, dict):
            yield index, Unreadable(code="bad_json", reason="a message is an object")
            continue
        kind = PROFILE_PATHS.get(request.path)
        for item in _event(one, request) if kind is None else _profile(kind, one, request):
            yield index, item


def _event(one: Mapping[str, Any], request: EventRequest) -> Iterator[SentItem]:
    """The contents of one event."""
    given = one.get("properties")
    properties, name = as_object(given), one.get("event")
    id_ = first_of(properties, "$insert_id")
    link = _link(name, properties, id_)
    if link is not None:
        yield link
        return
    kept: Any = {key: value for key, value in properties.items() if key not in TAKEN_OUT}
    yield SentEvent(
        fields={
            "event": name,
            "time": properties.get("time"),
            "user": first_of(properties, "$user_id", "distinct_id", "$device_id"),
            "account": _account(properties, request),
            "id": id_,
            "properties": kept if given is None or isinstance(given, dict) else given,
        }
    )


def _link(name: Any, properties: Mapping[str, Any], id_: Any) -> SentItem | None:
    """The link between ids that an event declares, or None."""
    if name == "$create_alias":
        return SentLink(alias=first_of(properties, "alias"), user=first_of(properties, "distinct_id"), message=id_)
    if name == "$identify":
        user = first_of(properties, "$identified_id", "$user_id", "distinct_id")
        return SentLink(alias=first_of(properties, "$anon_id", "$anon_distinct_id"), user=user, message=id_)
    if name == "$merge":
        ids = properties.get("$distinct_ids")
        if not isinstance(ids, list) or len(ids) != 2:
            return Unreadable(code="schema", reason="$distinct_ids are two ids", field="$distinct_ids")
        return SentLink(alias=ids[1], user=ids[0], merges=True, message=id_)
    return None


def _account(properties: Mapping[str, Any], request: EventRequest) -> Any:
    """The account: the value of the property named after the group type. Mixpanel events do not mark groups, so the
    type must be declared."""
    named = request.rules.settings.groups
    found = properties.get(named) if named else None
    if isinstance(found, list):
        found = found[0] if len(found) == 1 else None
    return found


def _profile(kind: str, one: Mapping[str, Any], request: EventRequest) -> Iterator[SentItem]:
    """The changes of a user or an account."""
    if kind == ACCOUNTS:
        if not is_account_type(one.get("$group_key"), request):
            yield other_group(one.get("$group_key"))
            return
        entity = first_of(one, "$group_id")
    else:
        entity = first_of(one, "$distinct_id", "$user_id")
    body: dict[str, Any] = {"time": first_of(one, "$time", "time"), "id": first_of(one, "$insert_id")}
    for name, field in OPERATIONS.items():
        if name in one:
            given = one[name]
            body[field] = list(given) if name == "$unset" and isinstance(given, dict) else given
    account = _account(as_object(one.get("$set")), request) if kind == USERS else None
    listed = [name for name in LISTS if name in one]
    if not listed or len(body) > 2:
        yield SentEntity(kind=kind, id=entity, body=body, account=account)
    for name in listed:
        hint = "; delete it with DELETE /v1/users/{id}" if name == "$delete" else ": an attribute is one value"
        yield Unreadable(code="schema", reason=f"{name} is not kept{hint}", field=name)
