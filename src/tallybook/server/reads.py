"""Reads over HTTP: stored events, rejected events and their replay, and the types of properties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qsl

from tallybook.core import QueryError, RequestError
from tallybook.ingest import (
    DEFAULT_PAGE,
    MAX_PAGE,
    Compactor,
    EventQuestion,
    RejectedQuestion,
    read_events,
    read_rejected,
    replay_rejected,
)
from tallybook.server.answers import Refusal, bad_parameter, refused_query
from tallybook.storage import ApiKey, EventLedger

EVENT_PARAMETERS = ("event", "user", "account", "id", "from", "to", "cursor", "limit")
REJECTED_PARAMETERS = ("key", "code", "from", "to", "cursor", "limit")
REPLAY_PARAMETERS = ("key", "code", "from", "to", "cursor")
REPLAY_SECONDS = 5.0
"""Maximum time of a replay, in seconds. Then it answers with a cursor for the rest."""


@dataclass(frozen=True, kw_only=True)
class EventReads:
    """Answers requests about the events of a book. `compactor` creates the compactor for a replay."""

    events: EventLedger
    compactor: Callable[[], Compactor]

    def stored(self, key: ApiKey, query: str) -> Mapping[str, Any]:
        """A page of stored events that the key may see."""
        given = _parameters(query, EVENT_PARAMETERS)
        if key.events and given.get("event", key.events[0]) not in key.events:
            raise _not_bound(key, "event", given["event"], key.events)
        if key.accounts and given.get("account", key.accounts[0]) not in key.accounts:
            raise _not_bound(key, "account", given["account"], key.accounts)
        text = given.get
        question = replace(
            EventQuestion(
                event=text("event"),
                user=text("user"),
                account=text("account"),
                id=text("id"),
                cursor=text("cursor"),
                limit=_limit(given),
                events=key.events or None,
                accounts=key.accounts or None,
            ),
            **_range(given),
        )
        try:
            return read_events(self.events, question).as_json()
        except QueryError as error:
            raise refused_query(error) from None

    def rejected(self, key: ApiKey, query: str) -> Mapping[str, Any]:
        """A page of rejected events, newest first."""
        given = _parameters(query, REJECTED_PARAMETERS)
        self._check_unbound(key)
        question = replace(_rejected(given), limit=_limit(given), cursor=given.get("cursor"))
        try:
            return read_rejected(self.events, question).as_json()
        except QueryError as error:
            raise refused_query(error) from None

    def replay(self, key: ApiKey, query: str) -> Mapping[str, Any]:
        """Decode rejected events again: those that the key sent, or with the scope admin those of all keys."""
        given = _parameters(query, REPLAY_PARAMETERS)
        asked = replace(_rejected(given), cursor=given.get("cursor"))
        if "admin" not in key.scopes:
            if asked.key not in (None, key.name):
                raise _wrong_scope(key, f"replay what the key {asked.key!r} sent", "admin")
            asked = replace(asked, key=key.name)
        try:
            return replay_rejected(self.compactor(), asked, seconds=REPLAY_SECONDS).as_json()
        except QueryError as error:
            if error.field == "cursor":
                raise refused_query(error) from None
            raise Refusal(RequestError(status=503, code="ledger", message=error.message)) from None

    def schema(self, key: ApiKey, query: str) -> Mapping[str, Any]:
        """The events that the key may see, with the types of their properties."""
        _parameters(query, ())
        found = self.events.snapshot()
        last = found.last_received
        return {
            "events": {
                event: {
                    "properties": {one.spelled: one.type for one in properties},
                    "conflicts": {one.spelled: one.conflicts for one in properties if one.conflicts},
                    "last": last.get(event),
                }
                for event, properties in found.properties.items()
                if not key.events or event in key.events
            }
        }

    def _check_unbound(self, key: ApiKey) -> None:
        """Raise Refusal for a bound key, because rejected bytes may be about any event and account."""
        if key.events or key.accounts:
            raise Refusal(
                RequestError(
                    status=403,
                    code="not_bound",
                    message=f"the key {key.name!r} is bound to events or accounts, and rejected bytes may be of any",
                    expected="a read key without --event and --account",
                )
            )


def _wrong_scope(key: ApiKey, what: str, scope: str) -> Refusal:
    message = f"the key {key.name!r} may not {what}"
    return Refusal(
        RequestError(status=403, code="wrong_scope", message=message, seen=" ".join(key.scopes), expected=scope)
    )


def _not_bound(key: ApiKey, what: str, seen: str, bound: tuple[str, ...]) -> Refusal:
    return Refusal(
        RequestError(
            status=403,
            code="not_bound",
            message=f"the key {key.name!r} is not for this {what}",
            seen=seen[:80],
            expected=", ".join(bound)[:500],
        )
    )


# -- parameters -------------------------------------------------------------------------------------------------------


def _parameters(query: str, known: tuple[str, ...]) -> dict[str, str]:
    """The parameters of a query string. A parameter with an empty value counts as missing."""
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise bad_parameter("bad_encoding", "query", "the query string cannot be read", query, "UTF-8") from None
    for name, value in pairs:
        if name not in known:
            raise bad_parameter("bad_name", name[:40], "there is no such parameter", value, ", ".join(known))
        if name in found:
            raise bad_parameter("bad_name", name, "the parameter is given twice", value, "once")
        if value:
            found[name] = value
    return found


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("limit")
    if text is None:
        return DEFAULT_PAGE
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_PAGE):
        raise bad_parameter("bad_number", "limit", "limit is a number of events", text, f"1 to {MAX_PAGE}")
    return int(text)


def _range(given: Mapping[str, str]) -> dict[str, Any]:
    """`from` and `to`: as days, both inclusive, or as instants with `to` exclusive."""
    found: dict[str, Any] = {}
    for name, day, instant in (("from", "first", "start"), ("to", "last", "end")):
        if name in given:
            value = _day_or_instant(name, given[name])
            found[instant if isinstance(value, datetime) else day] = value
    return found


def _rejected(given: Mapping[str, str]) -> RejectedQuestion:
    instants: dict[str, Any] = {}
    for name, field in (("from", "start"), ("to", "end")):
        if name in given:
            instants[field] = _day_or_instant(name, given[name])
            if not isinstance(instants[field], datetime):
                raise _bad_time(name, given[name], "2026-03-01T00:00:00Z")
    return RejectedQuestion(key=given.get("key"), code=given.get("code"), **instants)


def _day_or_instant(name: str, text: str) -> date | datetime:
    # A plus sign in a query string is decoded as a space.
    written = text.replace(" ", "+") if "T" in text else text
    try:
        if len(written) == 10:
            return date.fromisoformat(written)
        found = datetime.fromisoformat(written)
        found.utctimetuple()
    except (ValueError, OverflowError):
        raise _bad_time(name, text, "2026-03-01 or 2026-03-01T12:00:00Z") from None
    if found.tzinfo is None:
        message = f"{name} has no zone"
        raise bad_parameter("naive_time", name, message, text, "2026-03-01T12:00:00Z")
    return found


def _bad_time(name: str, seen: str, expected: str) -> Refusal:
    return bad_parameter("bad_time", name, f"{name} cannot be read", seen, expected)
