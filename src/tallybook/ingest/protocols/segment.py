"""Segment's HTTP API, as used by the SDKs of Segment, RudderStack and Jitsu.

track, page and screen are events; identify and group are attributes of users and accounts; identify and alias link ids.
docs/segment.md describes how each field is stored."""

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
from tallybook.ingest.protocols.messages import as_object, first_of, objects_of, too_many
from tallybook.ingest.protocols.translated import SentEntity, SentEvent, SentItem, SentLink, Unreadable, decode_items
from tallybook.ingest.wire import WireProtocol

CALLS = ("track", "identify", "group", "page", "screen", "alias")
SHORT = {"t": "track", "i": "identify", "g": "group", "p": "page", "s": "screen", "a": "alias", "m": "metrics"}
BATCHES = ("/v1/batch", "/v1/import", "/v1/b", "/api/s/s2s/batch", "/api/s/batch")
EVENT_CALLS = ("track", "page", "screen")
PATHS = (
    *(f"/v1/{call}" for call in (*CALLS, *SHORT)),
    *(f"{start}/{call}" for start in ("/api/s", "/api/s/s2s") for call in CALLS),
    *BATCHES,
)


class SegmentProtocol(WireProtocol):
    kind = ProtocolKind(
        name="segment",
        title="Segment",
        paths=PATHS,
        prefix="/segment",
        key_headers=("x-write-key",),
        finds_repeats=True,
    )

    @classmethod
    def decode(cls, request: EventRequest) -> DecodedEvents:
        """The messages of a call or of a batch, in order."""
        found = objects_of(request)
        if isinstance(found, RequestError):
            return DecodedEvents(error=found)
        if request.path not in BATCHES:
            call = _call(request.path)
            messages = [{**one, "type": call} if isinstance(one, dict) else one for one in found]
            return decode_items(_items(messages, None), request)
        sent_at, messages = None, []
        for one in found:
            batch = one.get("batch") if isinstance(one, dict) else None
            if not isinstance(batch, list):
                error = RequestError(
                    status=400,
                    code="bad_json",
                    message="the body has no list `batch`",
                    expected='{"batch": [{"type": "track", …}]}',
                )
                return DecodedEvents(error=error)
            context = as_object(one.get("context"))
            messages += [_within_batch(each, context) for each in batch]
            sent_at = first_of(one, "sentAt", "sent_at")
        if len(messages) > (most := request.rules.limits.max_batch):
            return DecodedEvents(error=too_many(len(messages), most))
        return decode_items(_items(messages, sent_at), request)

    @staticmethod
    def key_of(request: EventRequest) -> str | None:
        """The `writeKey` of the batch or of its first message."""
        found = objects_of(request)
        for one in found if isinstance(found, list) else ():
            if isinstance(one, dict) and isinstance(key := first_of(one, "writeKey", "write_key"), str):
                return key
        return None

    @staticmethod
    def answered(request: EventRequest, verdicts: Mapping[str, Any]) -> ProtocolAnswer:
        """The answer to a request. A batch gets 200 with verdicts, because the SDKs drop a whole batch after a 400. A
        rejected single call gets 400."""
        rejected = verdicts["rejected"]
        kept = sum(verdicts.get(name, 0) for name in ("stored", "duplicates", "changed", "linked"))
        if request.path not in BATCHES and rejected and not kept:
            first = rejected[0]
            body = {"success": False, "code": first["code"], "message": first["reason"], **verdicts}
            return ProtocolAnswer(status=400, body=body)
        return ProtocolAnswer(status=200, body={"success": True, **verdicts})

    @staticmethod
    def refused(request: EventRequest, error: RequestError) -> ProtocolAnswer:
        """The answer to a refused request. The SDKs read `code` and `message`."""
        return ProtocolAnswer(status=error.status, body={"success": False, **error.as_json()})


def _call(path: str) -> str:
    last = path.rpartition("/")[2]
    return SHORT.get(last, last)


def _within_batch(message: Any, context: Mapping[str, Any]) -> Any:
    """A message of a batch, with the context that applies to the whole batch."""
    if not context or not isinstance(message, dict):
        return message
    return {**message, "context": {**context, **as_object(message.get("context"))}}


def _items(messages: list[Any], sent_at: Any) -> Iterator[tuple[int, SentItem]]:
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            yield index, Unreadable(code="bad_json", reason="a message is an object")
            continue
        for item in _message(message, sent_at):
            yield index, item


def _message(message: Mapping[str, Any], sent_at: Any) -> Iterator[SentItem]:
    """The contents of one message."""
    call = message.get("type")
    sent_at = _clock(message, sent_at)
    if call in EVENT_CALLS:
        yield _event(str(call), message, sent_at)
    elif call == "identify":
        yield from _identify(message, sent_at)
    elif call == "group":
        yield from _group(message, sent_at)
    elif call == "alias":
        message_id = first_of(message, "messageId", "message_id")
        yield SentLink(
            alias=first_of(message, "previousId", "previous_id", "anonymousId"),
            user=_user(message),
            merges=True,
            message=message_id,
        )
    else:
        known = ", ".join(CALLS)
        yield Unreadable(code="schema", reason=f"the type of a message is one of {known}", field="type")


def _event(call: str, message: Mapping[str, Any], sent_at: Any) -> SentEvent:
    properties = message.get("properties")
    if properties is None:
        properties = {}
    if call != "track" and isinstance(properties, dict):
        named = {"name": message.get("name"), "category": message.get("category")}
        properties = {**{name: value for name, value in named.items() if value not in (None, "")}, **properties}
    context = {name: value for name, value in as_object(message.get("context")).items() if name != "traits"}
    fields = {
        "event": message.get("event") if call == "track" else call,
        "time": _time(message),
        "user": _user(message),
        "account": _account(message),
        "id": first_of(message, "messageId", "message_id"),
        "properties": properties,
    }
    anonymous = first_of(message, "anonymousId", "anonymous_id")
    beside = anonymous if anonymous != fields["user"] else None
    return SentEvent(fields=fields, sent_at=sent_at, context={"context": context, "anonymousId": beside})


def _identify(message: Mapping[str, Any], sent_at: Any) -> Iterator[SentItem]:
    user, anonymous = first_of(message, "userId", "user_id"), first_of(message, "anonymousId", "anonymous_id")
    traits = message.get("traits")
    if not traits:
        traits = as_object(message.get("context")).get("traits")
    body = {"attributes": traits or {}, "time": _time(message), "id": first_of(message, "messageId", "message_id")}
    yield SentEntity(
        kind=USERS,
        id=user if user is not None else anonymous,
        body=body,
        account=_account(message),
        sent_at=sent_at,
    )
    if user is not None and anonymous is not None and str(user) != str(anonymous):
        yield SentLink(alias=anonymous, user=user, message=body["id"])


def _group(message: Mapping[str, Any], sent_at: Any) -> Iterator[SentItem]:
    group, user = first_of(message, "groupId", "group_id"), _user(message)
    traits = message.get("traits") or {}
    message_id, time = first_of(message, "messageId", "message_id"), _time(message)
    yield SentEntity(
        kind=ACCOUNTS, id=group, body={"attributes": traits, "time": time, "id": message_id}, sent_at=sent_at
    )
    if user is not None and group is not None:
        yield SentEntity(kind=USERS, id=user, body={"time": time, "id": message_id}, account=group, sent_at=sent_at)


def _time(message: Mapping[str, Any]) -> Any:
    """The time that the caller gave, or else the time of the SDK call."""
    return first_of(message, "timestamp", "originalTimestamp", "original_timestamp")


def _clock(message: Mapping[str, Any], sent_at: Any) -> Any:
    """The sender's clock. None if the caller gave a time other than that of the call, because that time is not from the
    sender's clock."""
    called, given = first_of(message, "originalTimestamp", "original_timestamp"), message.get("timestamp")
    is_own = called is not None and given not in (None, "", called)
    return None if is_own else first_of(message, "sentAt", "sent_at") or sent_at


def _user(message: Mapping[str, Any]) -> Any:
    return first_of(message, "userId", "user_id", "anonymousId", "anonymous_id")


def _account(message: Mapping[str, Any]) -> Any:
    """The account that the SDK knows for a user."""
    context = as_object(message.get("context"))
    return first_of(message, "groupId", "group_id") or first_of(context, "groupId", "group_id")
