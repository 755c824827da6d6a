"""PUT, GET and DELETE of one user or account over HTTP. After a 200 to PUT or DELETE, the change is in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import msgspec

from tallybook.core import ACCOUNTS, ENTITY_KINDS, PUSHED, RequestError
from tallybook.ingest import decode_changes
from tallybook.query import entity_details
from tallybook.server.answers import HttpAnswer, Refusal
from tallybook.storage import ApiKey, EntityLedger


def entity_of(raw_path: str) -> tuple[str, str] | None:
    """The (kind, id) in a path such as /v1/accounts/4711, or None for other paths. The id may contain an encoded
    slash."""
    for kind in ENTITY_KINDS:
        if raw_path.startswith(start := f"/v1/{kind}/"):
            try:
                entity_id = unquote(raw_path.removeprefix(start), errors="strict")
            except UnicodeDecodeError:  # else two ids were one
                return None
            return (kind, entity_id) if entity_id else None
    return None


@dataclass(frozen=True)
class EntityDoor:
    """Answers requests about one user or account. The methods block, so call them in a thread."""

    entities: EntityLedger
    clock: Callable[[], datetime]

    def answer(self, key: ApiKey, method: str, kind: str, entity_id: str, body: bytes) -> HttpAnswer:
        """The answer to a request. Raises Refusal for a request that cannot be read, and TallybookError if the ledger
        is unavailable."""
        check_bound(key, kind, entity_id)
        if method == "PUT":
            return self._put(kind, entity_id, body)
        if method == "DELETE":
            return self._delete(kind, entity_id)
        return self._get(kind, entity_id)

    def _put(self, kind: str, entity_id: str, body: bytes) -> HttpAnswer:
        try:
            sent = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = f"the body is not JSON: {error}"
            expected = '{"attributes": {"plan": "pro"}}'
            raise Refusal(RequestError(status=400, code="bad_json", message=message, expected=expected)) from None
        decoded = decode_changes(entity_id, sent, self.clock())
        rejected = [one.as_json() for one in decoded.rejected]
        if decoded.changes or not rejected:
            self.entities.push(kind, {entity_id: decoded.changes}, now=self.clock())
        found: dict[str, Any] = {"kept": len(decoded.changes), "rejected": rejected}
        return HttpAnswer(422 if rejected and not decoded.changes else 200, found)

    def _get(self, kind: str, entity_id: str) -> HttpAnswer:
        found = self.entities.get(kind, entity_id)
        if found is None:
            raise _nothing(kind, entity_id)
        return HttpAnswer(200, entity_details(kind, found).to_dict())

    def _delete(self, kind: str, entity_id: str) -> HttpAnswer:
        if self.entities.get(kind, entity_id) is None:
            raise _nothing(kind, entity_id)
        self.entities.delete(kind, [entity_id], origin=PUSHED, now=self.clock())
        return HttpAnswer(204)


def check_bound(key: ApiKey, kind: str, entity_id: str) -> None:
    """Raise Refusal if a key is bound to events or to other accounts."""
    if not (key.events or key.accounts):
        return
    if kind == ACCOUNTS and not key.events and entity_id in key.accounts:
        return
    message = f"the key {key.name!r} is not for this one of {kind}"
    raise Refusal(RequestError(status=403, code="not_bound", message=message, seen=entity_id[:80]))


def _nothing(kind: str, entity_id: str) -> Refusal:
    message = f"there is no {kind.removesuffix('s')} with this id"
    return Refusal(RequestError(status=404, code="not_found", message=message, seen=entity_id[:80]))
