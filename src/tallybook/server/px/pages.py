"""Pages of lists of users and accounts.

A scroll id contains the record after which the next page begins, so any worker can answer it, even after a restart.
Without `sort`, records are ordered by id, so records stored meanwhile neither repeat nor hide a record."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from tallybook.core import USERS, RequestError
from tallybook.server.answers import Refusal
from tallybook.server.px.filters import bad_filter, field_of, sort_key, sorts_of, terms_of
from tallybook.server.px.records import ACCOUNT_ATTRIBUTE, USER_MODEL, PxModel, record_of
from tallybook.storage import EntityLedger

Query = Mapping[str, list[str]]
DEFAULT_SIZE, MAX_SIZE = 25, 1_000
MAX_CACHED = 4


@dataclass(frozen=True)
class _Listed:
    records: Sequence[dict[str, Any]]
    number: int


class EntityPages:
    """The lists. The ordered records are cached until users or accounts change."""

    def __init__(self, entities: EntityLedger) -> None:
        self.entities = entities
        self._cached: dict[tuple[Any, ...], _Listed] = {}
        self._counted: tuple[int, Counter[str]] = (-1, Counter())
        self._lock = Lock()

    def page(self, model: PxModel, query: Query, only: tuple[str, ...] | None) -> dict[str, Any]:
        """A page of a list. `only`: the ids that the key may see. Raises Refusal."""
        check_parameters(query, ("filter", "pageSize", "scrollId", "sort"))
        size = page_size(query)
        scroll = read_scroll(query)
        filters, sort = query.get("filter", []), query.get("sort", [""])[-1]
        if scroll is not None:
            filters, sort = scroll["filters"], scroll["sort"]
        # The id of a user is filtered through identifyId.
        excluded = ("id",) if model is USER_MODEL else ()
        terms = [found for one in filters if (found := terms_of(one, None, excluded))]
        sorts = sorts_of(sort, None)
        listed = self._listed(model, filters, sort, only, lambda record: _matches(record, terms), sorts)
        key = sort_key(sorts, model.key)
        start = 0
        if scroll is not None:
            after = key(_as_record(scroll["after"]))
            start = next((n for n, one in enumerate(listed.records) if key(one) > after), len(listed.records))
        shown = list(listed.records[start : start + size])
        last = shown[-1] if shown else (scroll["after"] if scroll else {model.key: ""})
        after_fields = {name: field_of(last, name) for name, _ in sorts} | {model.key: last[model.key]}
        next_scroll = write_scroll({"filters": filters, "sort": sort, "after": after_fields})
        return {model.kind: shown, "totalHits": len(listed.records), "scrollId": next_scroll}

    def _listed(
        self,
        model: PxModel,
        filters: Sequence[str],
        sort: str,
        only: tuple[str, ...] | None,
        matches: Callable[[Mapping[str, Any]], bool],
        sorts: Sequence[tuple[str, bool]],
    ) -> _Listed:
        asked = (model.kind, tuple(filters), sort, only)
        found = self._cached.get(asked)
        if found is not None and found.number == self.entities.number():
            return found
        number, entities = self.entities.every(model.kind)
        types = self.entities.types(model.kind)
        users = Counter[str]() if model is USER_MODEL else self.users_by_account()
        shown = [
            record_of(model, one, types, users[one.id])
            for one in entities
            if not one.deleted and (only is None or one.id in only)
        ]
        records = sorted([one for one in shown if matches(one)], key=sort_key(sorts, model.key))
        made = _Listed(records, number)
        with self._lock:
            self._cached[asked] = made
            while len(self._cached) > MAX_CACHED:
                del self._cached[next(iter(self._cached))]
        return made

    def users_by_account(self) -> Counter[str]:
        """The number of users per account."""
        number = self.entities.number()
        if self._counted[0] != number:
            at, users = self.entities.every(USERS)
            accounts = [one.record.effective().get(ACCOUNT_ATTRIBUTE) for one in users if not one.deleted]
            self._counted = (at, Counter(str(one) for one in accounts if one is not None))
        return self._counted[1]


def _matches(record: Mapping[str, Any], filters: Sequence[Sequence[Any]]) -> bool:
    return not filters or any(all(term.is_true(record) for term in terms) for terms in filters)


def _as_record(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a page's last record that decide its position. `customAttributes.x` and `location.y` are nested."""
    made: dict[str, Any] = {}
    for path, value in fields.items():
        if path.startswith("customAttributes."):
            made.setdefault("customAttributes", {})[path.removeprefix("customAttributes.")] = value
            continue
        *above, last = path.split(".")
        inner = made
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return made


def check_parameters(query: Query, known: Sequence[str]) -> None:
    """Raise Refusal for an unknown parameter."""
    for name in query:
        if name not in known:
            raise bad_filter(f"Unknown parameter {name[:40]}", name, ", ".join(known))


def page_size(query: Query) -> int:
    """The page size, by default 25 and at most 1,000. Raises Refusal."""
    text = query.get("pageSize", [""])[-1]
    if not text:
        return DEFAULT_SIZE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_SIZE):
        raise bad_filter(f"pageSize must be between 1 and {MAX_SIZE}", text, f"1 to {MAX_SIZE}")
    return int(text)


def write_scroll(state: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(state).encode()).decode().rstrip("=")


def read_scroll(query: Query) -> dict[str, Any] | None:
    """The state in a scroll id; None for the first page. Raises Refusal."""
    text = query.get("scrollId", [""])[-1]
    if not text:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(found, dict) or not isinstance(found["sort"], str):
            raise ValueError
        if not all(isinstance(one, str) for one in found["filters"]):
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        error = RequestError(
            status=400,
            code="bad_parameter",
            message="Unknown scrollId",
            seen=text[:40],
            expected="one that a page gave",
        )
        raise Refusal(error) from None
    return found
