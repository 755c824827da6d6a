"""Turns requests into answers: the key, limits, faults, the contract, and the effect of each operation."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tallybook_emulators.gainsight_px.clock import PxClock
from tallybook_emulators.gainsight_px.contract import (
    CAPS,
    FACTS,
    MESSAGES,
    PxOperation,
    check_answer,
    check_query,
    checked_body,
    operation_of,
)
from tallybook_emulators.gainsight_px.errors import FORBIDDEN_PAGE, PxError
from tallybook_emulators.gainsight_px.faults import PxFault, PxFaults, PxRequest
from tallybook_emulators.gainsight_px.filters import PxTerm, matching, milliseconds, ordered, terms_of
from tallybook_emulators.gainsight_px.model import DAY_MS, MODELS, Subscription
from tallybook_emulators.gainsight_px.paging import Scrolls, page_size
from tallybook_emulators.gainsight_px.quotas import PxQuotas

Json = dict[str, Any]
Query = Mapping[str, list[str]]
CONTROL = "/emulator"
KEYS = {"users": "user", "accounts": "account"}


@dataclass
class PxAnswer:
    """The answer to send. `cut` closes the connection instead, and `reset` closes it with a TCP reset."""

    status: int
    body: bytes = b""
    content_type: str = "application/json;charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    reset: bool = False


def in_json(status: int, body: Any) -> PxAnswer:
    return PxAnswer(status, json.dumps(body).encode())


class PxApi:
    """The whole service. Only one request at a time changes it."""

    def __init__(self, clock: PxClock, keys: Mapping[str, frozenset[str]], quotas: PxQuotas, faults: PxFaults) -> None:
        self.clock, self.keys, self.quotas, self.faults = clock, dict(keys), quotas, faults
        self.subscription = Subscription(clock)
        self.log: list[PxRequest] = []
        self.lock = threading.RLock()
        self.control: Callable[[str, str, bytes], Any] = lambda *_: None
        self._scrolls = Scrolls()

    def handle(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> PxAnswer:
        """Record a request and return its answer."""
        if target.startswith(CONTROL):
            return self._controlled(verb, target, body)
        seen = PxRequest(verb, target, body, headers, self.clock.timestamp(), time.monotonic())
        fault = self.faults.due(seen)
        answer = self._faulted(fault, seen) if fault is not None else self._answer(seen)
        closed = answer.cut or answer.reset
        with self.lock:
            self.log.append(replace(seen, status=0 if closed else answer.status, fault=fault is not None))
        return answer

    def _controlled(self, verb: str, target: str, body: bytes) -> PxAnswer:
        try:
            return in_json(200, self.control(verb, target, body))
        except PxError as error:
            return in_json(error.code, error.body())

    def _faulted(self, fault: PxFault, seen: PxRequest) -> PxAnswer:
        real = self._answer(seen) if fault.after or fault.only_delays else None
        if fault.delay:
            time.sleep(fault.delay)
        if real is not None and fault.only_delays:
            return real
        if fault.cut or fault.reset:
            return PxAnswer(0, cut=fault.cut, reset=fault.reset)
        answer = _refused(PxError(fault.answer or 503, fault.message))
        answer.headers |= dict(fault.headers)
        return answer

    def _answer(self, seen: PxRequest) -> PxAnswer:
        parts = urlsplit(seen.path)
        try:
            permissions = self.keys.get(seen.headers.get(FACTS["header"].lower(), ""))
            if permissions is None:
                raise PxError(401, MESSAGES["unauthorized"])
            with self.lock:
                self.quotas.take()
                operation, entity_id = operation_of(seen.verb, parts.path.removeprefix("/px"))
                if operation.permission not in permissions:
                    raise PxError(403)
                query = parse_qs(parts.query, keep_blank_values=True)
                check_query(operation, list(query))
                status, made = self._run(operation, unquote(entity_id), query, seen)
                check_answer(operation, status, made)
                # Encoded while the lock is held, because the records belong to the subscription.
                return PxAnswer(204) if status == 204 else in_json(status, made)
        except PxError as error:
            return _refused(error)

    def _run(self, operation: PxOperation, entity_id: str, query: Query, seen: PxRequest) -> tuple[int, Any]:
        body = checked_body(operation, seen.body) if operation.body else {}
        if operation.lists:
            return 200, self._list(operation, query)
        if operation.array:
            return 200, self._catalogue(entity_id)
        if operation.path == "/v1/events/custom":
            self.subscription.add_event(body)
            return 201, {}
        return self._entity(operation, KEYS[operation.path.split("/")[2]], entity_id, query, body)

    def _entity(
        self, operation: PxOperation, model: str, entity_id: str, query: Query, body: Json
    ) -> tuple[int, Json | None]:
        if not entity_id and operation.verb != "POST":
            given = body.get("identifyId" if model == "user" else "id")
            if given in (None, ""):
                raise PxError(400, "Validation error", details=["the id is missing in the body"])
            entity_id = str(given)
        match operation.verb:
            case "POST":
                self.subscription.create(model, body)
                return 201, {}
            case "PUT":
                self.subscription.update(model, entity_id, body)
                return 204, None
            case "DELETE":
                hard = _last(query, "hardDelete").lower() == "true"
                self.subscription.delete(model, entity_id, hard=hard)
                return 204, None
        return 200, self.subscription.as_answered(model, self.subscription.one(model, entity_id))

    def _catalogue(self, model: str) -> list[Json]:
        if model not in MODELS:
            raise PxError(404, f"Type {model} was not found")
        return list(self.subscription.attributes[model].values())

    # --- lists -----------------------------------------------------------------------------------------------

    def _list(self, operation: PxOperation, query: Query) -> Json:
        size = page_size(_last(query, "pageSize"))
        if scroll_id := _last(query, "scrollId"):
            return self._scrolls.next(operation.lists, scroll_id, size)
        filters = [terms_of(one, operation.filters, operation.not_filters) for one in query.get("filter", [])]
        filters = [terms for terms in filters if terms]
        if operation.lists == "customEvents":
            start, end = self._range(query, filters)
            records = [one for one in self.subscription.events if start <= one["date"] <= end]
        else:
            records = self.subscription.shown(KEYS[operation.lists])
        found = ordered(matching(records, filters), _last(query, "sort"), operation.sorts)
        return self._scrolls.first(operation.lists, found, size)

    def _range(self, query: Query, filters: list[list[PxTerm]]) -> tuple[int, int]:
        """The range of an event read in milliseconds, both ends included: from the parameters, or else the filters, or
        else the last day.

        Raises PxError 400 for a range of more than 190 days."""
        now = self.clock.milliseconds()
        bounds = [bounds_of(terms, now) for terms in filters]
        start = min((one[0] for one in bounds if one), default=None)
        end = max((one[1] for one in bounds if one), default=None)
        if not all(bounds):
            start = end = None
        if text := _last(query, "dateRangeStart"):
            start = milliseconds(text)
        if text := _last(query, "dateRangeEnd"):
            end = milliseconds(text)
        end = now if end is None else end
        start = end - CAPS["event_range_days_default"] * DAY_MS if start is None else start
        if end - start > CAPS["event_range_days"] * DAY_MS:
            raise PxError(400, MESSAGES["event_range"])
        return start, end


def bounds_of(terms: list[PxTerm], now: int) -> tuple[int, int] | None:
    """The range of dates in a filter, or None if it has no start."""
    start = end = None
    for term in terms:
        if term.field != "date":
            continue
        at = milliseconds(term.text)
        if term.operator in (">", ">=", "=="):
            start = at if start is None else max(start, at)
        if term.operator in ("<", "<=", "=="):
            end = at if end is None else min(end, at)
    return None if start is None else (start, now if end is None else end)


def _last(query: Query, name: str) -> str:
    return query.get(name, [""])[-1]


def _refused(error: PxError) -> PxAnswer:
    if error.code == 403:
        return PxAnswer(403, FORBIDDEN_PAGE.encode(), "text/html; charset=UTF-8")
    return in_json(error.code, error.body())
