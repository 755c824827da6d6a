"""Answers requests of Gainsight PX that depend on stored data: users, accounts, the catalog, and reading events back.

A request with the header `X-APTRINSIC-API-KEY` belongs to PX, even if another API has the same path. A request below
/px does too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from tallybook.core import ACCOUNTS, PUSHED, SET, USERS, AttributeChange, RequestError, TallybookError
from tallybook.ingest import PX_EVENTS_PATH, PX_KEY_HEADER, decode_changes, px_error, unpack
from tallybook.server.answers import HttpAnswer, Refusal, ledger_error
from tallybook.server.bodies import BodyRoom, body_of
from tallybook.server.gate import Gate
from tallybook.server.px.events import PxEvents
from tallybook.server.px.pages import EntityPages, Query
from tallybook.server.px.records import (
    ACCOUNT_ATTRIBUTE,
    MODELS,
    USER_MODEL,
    PxModel,
    attributes_of,
    catalogue_of,
    id_of,
    problems_of,
    record_of,
)
from tallybook.server.rates import Rates
from tallybook.server.requests import Request
from tallybook.storage import ApiKey, Entity, EntityLedger, EventLedger, stamp_of

GAINSIGHT_PX = "gainsight_px"
PREFIX = "/px"
KIND_OF_MODEL = {"user": USERS, "account": ACCOUNTS}
BY_BODY = {("PUT", "update"), ("DELETE", "delete")}
NOT_SERVED = (
    *("/v1/admin/monitoring", "/v1/admin/subscription", "/v1/articles", "/v1/engagement", "/v1/external_segment"),
    *("/v1/events/email", "/v1/events/engagementView", "/v1/events/feature_match", "/v1/events/formSubmit"),
    *("/v1/events/identify", "/v1/events/lead", "/v1/events/pageView", "/v1/events/segment_match"),
    *("/v1/events/session", "/v1/feature", "/v1/kcbot", "/v1/localization", "/v1/segment", "/v1/survey"),
    *("/v1/user/preferences", "/v2/user/preferences", "/v1/users/denylist"),
)
"""Paths of PX that are answered with 501. They are listed in docs/px-senders.md."""
MAX_BODY = 1_000_000


@dataclass
class PxDoor:
    """Answers in the format of PX. The methods of `entities` and `events` block, so they run in a thread."""

    entities: EntityLedger
    events: EventLedger
    clock: Callable[[], datetime]
    rates: Rates = field(default_factory=lambda: Rates(time.monotonic))
    room: BodyRoom = field(default_factory=lambda: BodyRoom(32_000_000))
    is_on: Callable[[], bool] = lambda: True
    """Whether `[events] protocols` includes PX."""

    def __post_init__(self) -> None:
        self.pages = EntityPages(self.entities)
        self.stored = PxEvents(self.events, self.clock)

    def takes(self, request: Request) -> bool:
        """Whether a request belongs to PX and does not send a new event, which is handled by the event protocol."""
        if not self.is_on():
            return False
        path = request.path.removeprefix(PREFIX)
        has_key = PX_KEY_HEADER in request.headers
        if path.rstrip("/") == PX_EVENTS_PATH:
            return request.method not in ("POST", "OPTIONS") or _has_both(request)
        return request.path.startswith(f"{PREFIX}/") or (has_key and path.startswith(("/v1/", "/v2/")))

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        """The answer. Refusals are in the format of PX."""
        try:
            return await self._answer(request, gate)
        except Refusal as refusal:
            return _refused(refusal)
        except TallybookError:
            return _refused(Refusal(ledger_error()))

    async def _answer(self, request: Request, gate: Gate) -> HttpAnswer:
        if _has_both(request):
            message = "the request has two keys: X-APTRINSIC-API-KEY and Authorization"
            raise _refusal(400, "two_keys", message, expected="one of them: it decides which API answers")
        path = request.raw_path.partition("?")[0].removeprefix(PREFIX).rstrip("/")
        scope = "read" if request.method in ("GET", "HEAD") else "write"
        key = await gate.key_of(request, scope, text=request.headers.get(PX_KEY_HEADER, "").strip() or None)
        self.rates.check(key)
        self.rates.take(key, scope == "write")
        run = self._route(request.method, path)
        body = await self._body(request) if request.method in ("PUT", "POST", "DELETE") else {}
        query = parse_qs(request.query, keep_blank_values=True, max_num_fields=200)
        return await asyncio.to_thread(run, key, query, body)

    def _route(self, method: str, path: str) -> Callable[[ApiKey, Query, dict[str, Any]], HttpAnswer]:
        """The function that answers a request. Raises Refusal 404, 405 or 501."""
        if any(path == start or path.startswith(f"{start}/") for start in NOT_SERVED):
            raise _refusal(501, "not_served", f"Tallybook does not serve {path}", expected="docs/px-senders.md")
        if path == PX_EVENTS_PATH:
            return self._of_method(method, {"GET": self._list_events})
        words = path.removeprefix("/").split("/")
        if path.startswith("/v1/admin/model/") and len(words) == 5 and words[4] == "attributes":
            return self._of_method(method, {"GET": lambda *_: self._catalogue(words[3])})
        if len(words) < 2 or words[0] != "v1" or words[1] not in MODELS:
            raise _refusal(404, "not_found", f"No handler found for {method} {path[:200]}", expected=PX_EVENTS_PATH)
        model = MODELS[words[1]]
        if len(words) == 2:
            listed = {
                "GET": lambda key, query, _: self._list(model, key, query),
                "POST": lambda key, _, body: self._create(model, key, body),
            }
            return self._of_method(method, listed)
        try:
            entity_id = unquote("/".join(words[2:]), errors="strict")
        except UnicodeDecodeError:
            raise _refusal(400, "bad_encoding", "the id in the path is not UTF-8") from None
        by_body = (method, entity_id) in BY_BODY and not (model is not USER_MODEL and method == "DELETE")
        named = None if by_body else entity_id
        one = {
            "GET": lambda key, _query, _body: self._get(model, key, entity_id),
            "PUT": lambda key, _, body: self._update(model, key, named, body),
            "DELETE": lambda key, query, body: self._delete(model, key, named, query, body),
        }
        return self._of_method(method, one)

    def _of_method(self, method: str, known: Mapping[str, Any]) -> Callable[..., HttpAnswer]:
        if method not in known:
            expected = ", ".join(known)
            raise _refusal(405, "bad_method", f"Request method '{method}' not supported", expected=expected)
        found: Callable[..., HttpAnswer] = known[method]
        return found

    async def _body(self, request: Request) -> dict[str, Any]:
        """The object in a body. An empty body counts as an empty object. Raises Refusal."""
        with self.room.share() as share:
            sent = await body_of(request.headers, request.receive, share, MAX_BODY)
        unpacked = unpack(sent, request.headers.get("content-encoding", ""))
        if isinstance(unpacked, RequestError):
            raise Refusal(unpacked)
        if not unpacked.strip():
            return {}
        try:
            found = msgspec.json.decode(unpacked)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _refusal(400, "bad_json", "Malformed JSON request", expected=str(error)) from None
        if not isinstance(found, dict):
            raise _refusal(400, "bad_json", "Malformed JSON request", expected="one JSON object")
        return found

    # -- reading -------------------------------------------------------------------------------------------------

    def _list_events(self, key: ApiKey, query: Query, _: dict[str, Any]) -> HttpAnswer:
        return HttpAnswer(200, self.stored.page(key, query))

    def _catalogue(self, word: str) -> HttpAnswer:
        kind = KIND_OF_MODEL.get(word)
        if kind is None:
            raise _refusal(404, "not_found", f"Type {word[:80]} was not found", expected="user or account")
        found = catalogue_of(MODELS[kind], self.entities.types(kind).values())
        return HttpAnswer(200, text=msgspec.json.encode(found))

    def _list(self, model: PxModel, key: ApiKey, query: Query) -> HttpAnswer:
        if key.events or (key.accounts and model is USER_MODEL):
            raise _not_bound(key, f"all {model.kind}")
        return HttpAnswer(200, self.pages.page(model, query, key.accounts or None))

    def _get(self, model: PxModel, key: ApiKey, entity_id: str) -> HttpAnswer:
        _check_bound(model, key, entity_id)
        entity = self.entities.get(model.kind, entity_id)
        if entity is None or entity.deleted:
            raise _missing(model, entity_id)
        users = None if model is USER_MODEL else self.pages.users_by_account()[entity_id]
        return HttpAnswer(200, record_of(model, entity, self.entities.types(model.kind), users))

    # -- writing -------------------------------------------------------------------------------------------------

    def _create(self, model: PxModel, key: ApiKey, body: dict[str, Any]) -> HttpAnswer:
        entity_id = id_of(model, body)
        changes = self._changes(model, entity_id, body, is_new=True)
        assert entity_id is not None  # the path requires it
        _check_bound(model, key, entity_id)
        if not self.entities.push_if(model.kind, entity_id, changes, is_there=False, now=self.clock()):
            message = f"Possible duplicate: {model.word.lower()} {entity_id[:80]} exists already"
            raise _refusal(400, "duplicate", message, expected=f"PUT /v1/{model.kind}/ID changes it")
        return HttpAnswer(201, {})

    def _update(self, model: PxModel, key: ApiKey, entity_id: str | None, body: dict[str, Any]) -> HttpAnswer:
        named = entity_id if entity_id is not None else id_of(model, body)
        changes = self._changes(model, named, body, is_new=False)
        if named is None:
            raise _invalid([f"{model.key} is required"])
        _check_bound(model, key, named)
        if not self.entities.push_if(model.kind, named, changes, is_there=True, now=self.clock()):
            raise _missing(model, named)
        return HttpAnswer(204)

    def _changes(
        self, model: PxModel, entity_id: str | None, body: dict[str, Any], *, is_new: bool
    ) -> Sequence[AttributeChange]:
        """The changes in a body. Raises Refusal with all its problems; then nothing is stored."""
        if problems := problems_of(model, body, is_new=is_new):
            raise _invalid(problems)
        now = self.clock()
        attributes = attributes_of(model, body)
        decoded = decode_changes(entity_id or "-", {"attributes": attributes}, now)
        if decoded.rejected:
            raise _invalid([f"{one.field}: {one.reason}" if one.field else one.reason for one in decoded.rejected])
        account = body.get("accountId") if model is USER_MODEL else None
        if account in (None, ""):
            return decoded.changes
        if isinstance(account, bool) or not isinstance(account, str | int):
            raise _invalid(["accountId is a text"])
        stamp = stamp_of(now)
        linked = AttributeChange(
            attribute=ACCOUNT_ATTRIBUTE, action=SET, value=str(account), time=stamp, received=stamp
        )
        return (*decoded.changes, linked)

    def _delete(
        self, model: PxModel, key: ApiKey, entity_id: str | None, query: Query, body: dict[str, Any]
    ) -> HttpAnswer:
        """Delete a user, or an account with its users. If it is created again within seven days, its attributes are
        restored, unless `hardDelete=true`."""
        named = entity_id if entity_id is not None else id_of(model, body)
        if named is None:
            raise _invalid([f"{model.key} is required"])
        _check_bound(model, key, named)
        found = self.entities.get(model.kind, named)
        if found is None or found.deleted:
            raise _missing(model, named)
        self._remove(model.kind, [named], query)
        if model is not USER_MODEL:
            _, users = self.entities.every(USERS)
            self._remove(USERS, [one.id for one in users if not one.deleted and account_of(one) == named], query)
        return HttpAnswer(204)

    def _remove(self, kind: str, ids: Sequence[str], query: Query) -> None:
        if query.get("hardDelete", [""])[-1].lower() == "true":
            for one in ids:
                self.entities.forget(kind, one)
        elif ids:
            self.entities.delete(kind, ids, origin=PUSHED, now=self.clock())


def account_of(user: Entity) -> str | None:
    """The account of a user."""
    found = user.record.effective().get(ACCOUNT_ATTRIBUTE)
    return None if found is None else str(found)


def _has_both(request: Request) -> bool:
    return PX_KEY_HEADER in request.headers and "authorization" in request.headers


def _refused(refusal: Refusal) -> HttpAnswer:
    usual = refusal.answer()
    headers = {name: value for name, value in usual.headers.items() if name == "retry-after"}
    details = getattr(refusal, "details", None)
    return HttpAnswer(refusal.error.status, px_error(refusal.error, details), headers, usual.closes)


class PxRefusal(Refusal):
    """A refusal with the problems of a body."""

    def __init__(self, error: RequestError, details: list[str]) -> None:
        super().__init__(error)
        self.details = details


def _invalid(problems: list[str]) -> Refusal:
    return PxRefusal(RequestError(status=400, code="schema", message="Validation error"), problems)


def _refusal(status: int, code: str, message: str, *, expected: str = "") -> Refusal:
    return Refusal(RequestError(status=status, code=code, message=message, expected=expected))


def _missing(model: PxModel, entity_id: str) -> Refusal:
    message = f"{model.word} was not found for parameters {{id={entity_id[:200]}}}"
    return _refusal(404, "not_found", message)


def _not_bound(key: ApiKey, what: str) -> Refusal:
    return _refusal(403, "not_bound", f"the key {key.name!r} is not for {what}")


def _check_bound(model: PxModel, key: ApiKey, entity_id: str) -> None:
    """Raise Refusal if a key is bound to events or to other accounts."""
    if not (key.events or key.accounts):
        return
    if model.kind == ACCOUNTS and not key.events and entity_id in key.accounts:
        return
    raise _not_bound(key, f"this one of {model.kind}")
