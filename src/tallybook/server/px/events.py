"""Stored events as PX's custom events, whatever protocol they arrived through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tallybook.core import RequestError
from tallybook.ingest import PX_PROPERTY, EventSearch, search_events
from tallybook.server.answers import Refusal
from tallybook.server.px.filters import EVENT_FILTERS, EVENT_SORTS, FilterTerm, milliseconds, sorts_of, terms_of
from tallybook.server.px.pages import Query, check_parameters, page_size, read_scroll, write_scroll
from tallybook.storage import ApiKey, EventLedger

PARAMETERS = ("dateRangeEnd", "dateRangeStart", "filter", "pageSize", "scrollId", "sort")
MAX_RANGE = timedelta(days=190)
USUAL_RANGE = timedelta(days=1)
TEXTS = ("propertyKey", "userType", "sessionId", "url", "referrer", "remoteHost", "eventType")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIX = f"{PX_PROPERTY}."
_CONTEXT = f"{_PREFIX}globalContext."


@dataclass(frozen=True)
class PxEvents:
    """Reads events. The methods block, so call them in a thread."""

    events: EventLedger
    clock: Callable[[], datetime]

    def page(self, key: ApiKey, query: Query) -> dict[str, Any]:
        """A page of the events that a key may see. Raises Refusal."""
        check_parameters(query, PARAMETERS)
        size = page_size(query)
        scroll = read_scroll(query)
        if scroll is not None and not isinstance(scroll.get("offset"), int):
            raise _unknown_scroll()
        state = scroll or self._first(query)
        search = self._search(state, key, size)
        found = search_events(self.events, search)
        shown = [px_event(one) for one in found.events]
        following = {**state, "offset": state["offset"] + len(shown), "until": found.until}
        return {"customEvents": shown, "totalHits": found.total, "scrollId": write_scroll(following)}

    def _first(self, query: Query) -> dict[str, Any]:
        filters = query.get("filter", [])
        terms = [found for one in filters if (found := terms_of(one, tuple(EVENT_FILTERS), times=("date",)))]
        start, end = self._range(query, terms)
        sort = query.get("sort", [""])[-1]
        return {"filters": filters, "sort": sort, "start": start, "end": end, "offset": 0, "until": None}

    def _range(self, query: Query, filters: Sequence[Sequence[FilterTerm]]) -> tuple[int, int]:
        """The range in milliseconds, both ends inclusive: from the parameters, or else from the filters, or else the
        last day."""
        now = round(self.clock().timestamp() * 1000)
        start, end = _bounds(filters, now)
        if text := query.get("dateRangeStart", [""])[-1]:
            start = milliseconds(text)
        if text := query.get("dateRangeEnd", [""])[-1]:
            end = milliseconds(text)
        end = now if end is None else end
        start = end - USUAL_RANGE // timedelta(milliseconds=1) if start is None else start
        if end - start > MAX_RANGE // timedelta(milliseconds=1):
            days = round((end - start) / 86_400_000)
            error = RequestError(
                status=400, code="bad_range", message="Exceeded date range190days", seen=f"{days} days", expected="190"
            )
            raise Refusal(error)
        return start, end

    def _search(self, state: Mapping[str, Any], key: ApiKey, size: int) -> EventSearch:
        filters = [terms_of(one, tuple(EVENT_FILTERS), times=("date",)) for one in state["filters"]]
        written = [[term.sql() for term in terms] for terms in filters if terms]
        alternatives = [" AND ".join(condition for condition, _ in terms) for terms in written]
        sorts = sorts_of(state["sort"], tuple(EVENT_SORTS))
        order = ", ".join(f"{EVENT_SORTS[name]} {'DESC' if down else 'ASC'} NULLS LAST" for name, down in sorts)
        try:
            start, end = _instant(state["start"]), _instant(state["end"])
        except (OverflowError, TypeError):
            raise _unknown_scroll() from None
        return EventSearch(
            start=start,
            # the end of its millisecond
            end=end + timedelta(microseconds=999),
            condition=" OR ".join(f"({one})" for one in alternatives) or "true",
            values=tuple(value for terms in written for _, values in terms for value in values),
            order=order,
            offset=max(state["offset"], 0),
            limit=size,
            until=state["until"],
            events=key.events or None,
            accounts=key.accounts or None,
        )


def px_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """A stored event in the format of PX."""
    own: dict[str, Any] = {}
    context: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, value in event["properties"].items():
        if name.startswith(_CONTEXT):
            context[name.removeprefix(_CONTEXT)] = value
        elif name.startswith(_PREFIX):
            own[name.removeprefix(_PREFIX)] = value
        else:
            attributes[name] = value
    texts = {name: str(own[name]) for name in TEXTS if name in own}
    made = {
        "eventId": event["id"],
        "eventName": event["event"],
        "identifyId": event["user"],
        "propertyKey": "",
        "userType": "USER",
        "date": round(datetime.fromisoformat(event["time"]).timestamp() * 1000),
        "eventType": "CUSTOM",
        "attributes": attributes,
        **texts,
    }
    account = {"accountId": event["account"]} if event["account"] is not None else {}
    return made | account | ({"globalContext": context} if context else {})


def _bounds(filters: Sequence[Sequence[FilterTerm]], now: int) -> tuple[int | None, int | None]:
    """The range of times in filters. (None, None) if one of them has no start."""
    found = []
    for terms in filters:
        times = [(term.operator, milliseconds(term.text)) for term in terms if term.field == "date"]
        starts = [at for sign, at in times if sign in (">", ">=", "==")]
        ends = [at for sign, at in times if sign in ("<", "<=", "==")]
        if not starts:
            return None, None
        found.append((max(starts), min(ends, default=now)))
    if not found:
        return None, None
    return min(start for start, _ in found), max(end for _, end in found)


def _instant(at: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at)


def _unknown_scroll() -> Refusal:
    return Refusal(RequestError(status=400, code="bad_parameter", message="Unknown scrollId"))
