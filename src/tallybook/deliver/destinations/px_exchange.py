"""Sends requests to Gainsight PX and interprets its answers. Only this module knows how PX refuses."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tallybook.core import ACCOUNTS, USERS, DestinationRefused, DestinationUnavailable, OutcomeUnknown, SignInError
from tallybook.deliver.destinations.outbox import RESTATED_WORDS
from tallybook.deliver.destinations.px_declared import KINDS
from tallybook.deliver.destinations.px_values import (
    PX_FLAG,
    PX_NUMBER,
    PX_TEXT,
    PX_TIME,
    RESTATEMENT,
    event_body,
    milliseconds_of_instant,
    restated_words,
    values_of,
)
from tallybook.deliver.outgoing.channel import OutgoingRequest
from tallybook.deliver.outgoing.failures import (
    ARRIVED,
    REJECTED,
    STOPPED,
    TRY_LATER,
    UNCERTAIN,
    HttpReply,
    SendVerdict,
    verdict_of,
)
from tallybook.storage import ATTRIBUTE, PLANNED, SENT, OutboxRow

if TYPE_CHECKING:
    from tallybook.deliver.destinations.gainsight_px import GainsightPx
    from tallybook.deliver.destinations.outbox import OutboxTask
    from tallybook.deliver.outgoing.channel import Channel

KEY_HEADER = "X-APTRINSIC-API-KEY"
EVENTS = "/events/custom"
PAGE = 500
MAX_PAGES = 2_000
MAX_PAGE_BYTES = 50_000_000
SECOND_MS = 1_000
MAX_TEXT = 1_024
"""Maximum number of characters of a text value. The limit comes from an older page of PX; no page states a larger
one."""
PLAIN_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~@+")
WORDS = {USERS: "user", ACCOUNTS: "account"}
ID_FIELDS = {USERS: "identifyId", ACCOUNTS: "id"}
FILTER_SPECIAL = frozenset(";*?~")


class PxPace:
    """Limits how many requests begin within any second, however the scheduler treats the threads."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait(self, place: str, per_second: float) -> None:
        """Wait until one more request may begin. It keeps slightly more than a second, to allow for the time on the
        network."""
        while True:
            with self._lock:
                recent = self._recent.setdefault(place, deque())
                now = time.monotonic()
                while recent and recent[0] <= now - 1.05:
                    recent.popleft()
                if len(recent) < max(1, int(per_second)):
                    recent.append(now)
                    return
                left = recent[0] + 1.05 - now
            time.sleep(max(left, 0.001))


PACE = PxPace()


@dataclass(frozen=True)
class PxExchange:
    """The requests of one delivery over one connection."""

    destination: GainsightPx
    task: OutboxTask
    channel: Channel

    # -- the catalogue -------------------------------------------------------------------------------------------

    def check_catalogue(self) -> None:
        """Read which attributes PX has. Raises DestinationRefused with all mismatches."""
        wanted: Mapping[str, str] = self.task.options["attributes"]
        if not wanted:
            return
        kind = KINDS[self.task.options["for"]]
        reply = self._read(f"/admin/model/{WORDS[kind]}/attributes", {})
        known = {one["apiName"]: one for one in json.loads(reply.body)}
        self.task.shared["catalogue"] = known
        types = self.task.shared.get("types", {})
        found = [said for ours, theirs in wanted.items() if (said := _misfit(ours, theirs, known, types.get(ours)))]
        if found:
            name = self.task.delivery.name
            raise DestinationRefused(
                f"[deliveries.{name}] attributes do not fit PX: {'; '.join(found)}",
                hint="PX: Administration > Attributes; or another apiName in tallybook.toml",
            )

    # -- sending -------------------------------------------------------------------------------------------------

    def send(self, rows: Sequence[OutboxRow]) -> SendVerdict:
        """Send an event, or the attributes of one user or account."""
        if rows[0].kind == RESTATEMENT:
            # Someone who sends it again has read it.
            is_read = rows[0].answer.startswith(RESTATED_WORDS)
            return SendVerdict(outcome=ARRIVED if is_read else REJECTED, said=restated_words(rows[0]))
        if rows[0].kind == ATTRIBUTE:
            said = _unfit_values(rows, self.task)
            return SendVerdict(outcome=REJECTED, said=said) if said else self._send_attributes(rows)
        if said := _unfit(rows[0], self.task):
            return SendVerdict(outcome=REJECTED, said=said)
        return event_verdict(self._exchange(first_request(rows, self.task)), self.task)

    def _send_attributes(self, rows: Sequence[OutboxRow]) -> SendVerdict:
        """Change a user or account, or create it if PX does not have it. Both are safe to repeat."""
        try:
            reply = self._exchange(first_request(rows, self.task))
            if reply.status != 404:
                return self._attribute_verdict(reply)
            if not self.task.options["create"]:
                word = WORDS[KINDS[self.task.options["for"]]]
                said = f"PX has no {word} {json.loads(rows[0].body)['entity']!r}; create = true creates it"
                return SendVerdict(outcome=REJECTED, said=said, status=404)
            self._reserve()
            reply = self._exchange(_creation(rows, self.task))
        except OutcomeUnknown as error:
            return SendVerdict(outcome=TRY_LATER, said=error.message)
        if reply.status == 400 and b"uplicate" in reply.body:
            return SendVerdict(outcome=TRY_LATER, said="it was created meanwhile", status=400)
        return self._attribute_verdict(reply)

    def _attribute_verdict(self, reply: HttpReply) -> SendVerdict:
        """The verdict on an attribute request. An uncertain outcome is sent again, because the last value wins."""
        verdict = verdict_of(reply, self.task.clock())
        if verdict.outcome != UNCERTAIN:
            return verdict
        return SendVerdict(outcome=TRY_LATER, said=verdict.said, status=verdict.status, seconds=verdict.seconds)

    def _exchange(self, request: OutgoingRequest) -> HttpReply:
        rate = self.destination.rate(self.task)
        PACE.wait(rate.place, rate.per_second)
        return self.channel.exchange(request)

    def _reserve(self) -> None:
        """Reserve one more request of the shared rate. Raises DestinationUnavailable if the day's limit is reached."""
        rate = self.destination.rate(self.task)
        reserved = self.task.outbox.reserve(
            rate.place, 1, per_second=rate.per_second, per_day=rate.per_day, now=self.task.clock()
        )
        if not reserved.granted:
            raise DestinationUnavailable(f"the limit of {rate.per_day:,} requests a day is reached", retry_after=3600)
        time.sleep(max(reserved.after, 0.0))

    # -- reading back --------------------------------------------------------------------------------------------

    def look_up(self, rows: Sequence[OutboxRow]) -> dict[str, str]:
        """Find the state of items with an unknown outcome. PX may need a moment until an event can be read, so an event
        that is not found at first is looked up again before it counts as lost."""
        found = {row.item: PLANNED for row in rows if row.kind in (ATTRIBUTE, RESTATEMENT)}
        events = [row for row in rows if row.item not in found]
        there = self._arrived(events)
        missing = [row for row in events if row.item not in there]
        if missing and self.task.options["read_back"]:
            time.sleep(self.task.options["read_back"])
            there |= self._arrived(missing)
        return found | {row.item: SENT if row.item in there else PLANNED for row in events}

    def _arrived(self, rows: Sequence[OutboxRow]) -> set[str]:
        """The items whose event PX has."""
        asked: dict[tuple[str, str, int], list[tuple[str, dict[str, Any]]]] = {}
        for row in rows:
            body = event_body(row, self.task)
            if body["identifyId"] is not None:
                key = (body["eventName"], body["identifyId"], body["date"])
                asked.setdefault(key, []).append((row.item, body))
        there: set[str] = set()
        for (name, user, at), wanted in asked.items():
            stored = self._stored(name, user, at)
            for item, body in wanted:
                match = next((one for one in stored if _is_same(one, body)), None)
                if match is not None:
                    stored.remove(match)
                    there.add(item)
        return there

    def _stored(self, name: str, user: str, at: int) -> list[dict[str, Any]]:
        """All events of a user and name at about an instant, from all pages."""
        terms = [
            f"{field}=={value}"
            for field, value in (("identifyId", user), ("eventName", name))
            if not FILTER_SPECIAL & set(value) and value == value.strip()
        ]
        query: dict[str, Any] = {"dateRangeStart": at - SECOND_MS, "dateRangeEnd": at + SECOND_MS, "pageSize": PAGE}
        query |= {"filter": ";".join(terms)} if terms else {}
        found: list[dict[str, Any]] = []
        for _ in range(MAX_PAGES):
            page = json.loads(self._read(EVENTS, query).body)
            events = page.get("customEvents") or []
            found += events
            if len(events) < PAGE or not page.get("scrollId"):
                return found
            query = {"pageSize": PAGE, "scrollId": page["scrollId"]}
        raise DestinationUnavailable(f"PX has more than {PAGE * MAX_PAGES:,} events of one moment")

    def _read(self, path: str, query: Mapping[str, Any]) -> HttpReply:
        """The complete answer to a GET. Raises SignInError, DestinationRefused or DestinationUnavailable."""
        self._reserve()
        before, self.channel.max_answer = self.channel.max_answer, MAX_PAGE_BYTES
        try:
            reply = self._exchange(_get(path, query, self.task))
        finally:
            self.channel.max_answer = before
        verdict = verdict_of(reply, self.task.clock())
        if verdict.outcome == ARRIVED:
            try:
                json.loads(reply.body)
            except ValueError:
                raise DestinationUnavailable(f"PX answered {path} with something that is not JSON") from None
            return reply
        if verdict.outcome == STOPPED:
            raise SignInError(f"PX refuses the key: {verdict.said}", hint="a key with the permissions read and write")
        if verdict.outcome == REJECTED:
            raise DestinationRefused(f"PX refuses to answer {path}: {verdict.said}")
        raise DestinationUnavailable(f"PX does not answer {path}: {verdict.said}", retry_after=verdict.retry_after)


def event_verdict(reply: HttpReply, task: OutboxTask) -> SendVerdict:
    """The verdict on an event. Unless PX clearly refuses it, its outcome is unknown: a gateway may answer 429, 503 or a
    page with 403 after PX stored it, and a second event could not be taken back."""
    verdict = verdict_of(reply, task.clock())
    if verdict.outcome not in (TRY_LATER, UNCERTAIN):
        return verdict
    return SendVerdict(
        outcome=UNCERTAIN,
        said=verdict.said,
        status=verdict.status,
        retry_after=verdict.retry_after,
        seconds=verdict.seconds,
    )


# -- requests -------------------------------------------------------------------------------------------------------


def first_request(rows: Sequence[OutboxRow], task: OutboxTask) -> OutgoingRequest:
    """The request for a group of items."""
    if rows[0].kind == RESTATEMENT:
        return OutgoingRequest(method="ALERT", path="", body=restated_words(rows[0]).encode())
    if rows[0].kind != ATTRIBUTE:
        return _request("POST", EVENTS, event_body(rows[0], task), task)
    kind = KINDS[task.options["for"]]
    entity, fields = json.loads(rows[0].body)["entity"], _fields(rows, task)
    if set(entity) <= PLAIN_ID and entity not in ("update", "delete", ".", ".."):
        return _request("PUT", f"/{kind}/{quote(entity, safe='')}", fields, task)
    return _request("PUT", f"/{kind}/update", {ID_FIELDS[kind]: entity, **fields}, task)


def _creation(rows: Sequence[OutboxRow], task: OutboxTask) -> OutgoingRequest:
    """The request that creates a user or account with its attributes."""
    kind = KINDS[task.options["for"]]
    first = json.loads(rows[0].body)
    body: dict[str, Any] = {ID_FIELDS[kind]: first["entity"], "propertyKeys": [task.options["product"]]}
    if kind == ACCOUNTS:
        body["name"] = first.get("name") or first["entity"]
    return _request("POST", f"/{kind}", body | _fields(rows, task), task)


def _fields(rows: Sequence[OutboxRow], task: OutboxTask) -> dict[str, Any]:
    """The fields of a user or account. PX's own fields keep their names; the others go below customAttributes."""
    known = task.shared.get("catalogue", {})
    fields: dict[str, Any] = {}
    for name, value in _sent_values(rows, task).items():
        if known.get(name, {}).get("origin") == "DEFAULT":
            fields[name] = value
        else:
            fields.setdefault("customAttributes", {})[name] = value
    return fields


def _request(method: str, path: str, body: Mapping[str, Any], task: OutboxTask) -> OutgoingRequest:
    return OutgoingRequest(
        method=method,
        path=_base(task) + path,
        body=json.dumps(body, ensure_ascii=False, allow_nan=False).encode(),
        headers={KEY_HEADER: task.options["key"]},
    )


def _get(path: str, query: Mapping[str, Any], task: OutboxTask) -> OutgoingRequest:
    asked = f"?{urlencode(query)}" if query else ""
    return OutgoingRequest(method="GET", path=_base(task) + path + asked, headers={KEY_HEADER: task.options["key"]})


def _base(task: OutboxTask) -> str:
    from urllib.parse import urlsplit

    return str(urlsplit(task.options["api"]).path.rstrip("/"))


# -- what fits ------------------------------------------------------------------------------------------------------


def _misfit(ours: str, theirs: str, known: Mapping[str, Mapping[str, Any]], type_: str | None) -> str:
    """The reason why an attribute cannot be sent; empty if it can."""
    found = known.get(theirs)
    if found is None:
        near = next((name for name in known if name.casefold() == theirs.casefold()), "")
        return f"{ours}: PX has no attribute {theirs!r}" + (f", but {near!r}" if near else "")
    if found.get("state", "ENABLED") != "ENABLED":
        return f"{ours}: {theirs!r} is {found['state']} in PX"
    if type_ is not None and found.get("type") != type_:
        return f"{ours}: {theirs!r} is a {found.get('type')} in PX, and {ours} is a {type_}"
    return ""


def _unfit(row: OutboxRow, task: OutboxTask) -> str:
    """The reason why PX would not accept an event; empty if it would."""
    body = event_body(row, task)
    if not body["identifyId"]:
        properties = json.dumps(body["attributes"])[:200]
        return f"PX takes no event without a user, and this one of {row.day} has none: {properties}"
    for name, value in body["attributes"].items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            return f"the property {name!r} of {row.day} has {len(value):,} characters; PX takes {MAX_TEXT:,}"
    return ""


def _unfit_values(rows: Sequence[OutboxRow], task: OutboxTask) -> str:
    """The reason why PX would not store values of attributes; empty if it would. PX silently drops values of another
    type."""
    known = task.shared.get("catalogue", {})
    for name, value in _sent_values(rows, task).items():
        type_ = known.get(name, {}).get("type")
        if type_ in VALUE_TYPES and not _has_type(value, type_):
            return f"{name!r} is a {type_} in PX, and the value is {json.dumps(value)[:100]}"
    return ""


def _sent_values(rows: Sequence[OutboxRow], task: OutboxTask) -> dict[str, Any]:
    """The values of attributes by their apiName. An instant given as text is converted to the form that PX takes."""
    known = task.shared.get("catalogue", {})
    found = values_of(rows)
    for name, value in found.items():
        if isinstance(value, str) and known.get(name, {}).get("type") == PX_TIME:
            with suppress(ValueError):
                found[name] = milliseconds_of_instant(datetime.fromisoformat(value))
    return found


VALUE_TYPES = {PX_NUMBER: (int, float), PX_TEXT: (str,), PX_FLAG: (bool,), PX_TIME: (int,)}


def _has_type(value: Any, type_: str) -> bool:
    return isinstance(value, VALUE_TYPES[type_]) and (isinstance(value, bool) == (type_ == PX_FLAG))


def _is_same(stored: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Whether an event that was read back is the one that was sent: same millisecond, same properties."""
    same = all(stored.get(name) == sent[name] for name in ("eventName", "identifyId", "date"))
    if not same or stored.get("accountId", sent.get("accountId")) != sent.get("accountId"):
        return False
    theirs = {name.casefold(): value for name, value in (stored.get("attributes") or {}).items()}
    mine = {name.casefold(): value for name, value in sent["attributes"].items()}
    return theirs.keys() == mine.keys() and all(_equal(theirs[name], value) for name, value in mine.items())


def _equal(stored: Any, sent: Any) -> bool:
    if isinstance(stored, bool) or isinstance(sent, bool):
        return stored is sent
    if isinstance(sent, int | float) and isinstance(stored, int | float):
        return float(stored) == float(sent)
    return bool(stored == sent)
