"""API keys in the ledger, and the requests that were sent with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of

_KEY = "name, hash, scopes, events, accounts, limits, created, expires, revoked, seen"


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key as the ledger stores it: with a hash instead of its text."""

    name: str
    hash: str
    scopes: tuple[str, ...]
    created: str
    expires: str | None = None
    revoked: str | None = None
    seen: str | None = None
    """When it was last used, accurate to about a minute."""
    events: tuple[str, ...] = ()
    """The only events that it may send or read; empty: all events."""
    accounts: tuple[str, ...] = ()
    rate: int | None = None
    """Maximum events per second that it may send to one worker."""
    metrics: tuple[str, ...] = ()
    """The only metrics that it may read; empty: all metrics."""
    where: tuple[str, ...] = ()
    """Filters applied to every answer that it reads, such as `plan=pro`."""
    secret: str | None = field(default=None, repr=False)
    """The text of a share key, with which links are signed. It is stored because a link gives no more access than the
    ledger."""
    invited: str | None = None
    """For an invitation that has not been claimed: the instant until which it can be claimed."""

    @property
    def bounds(self) -> dict[str, list[str]]:
        """The restrictions that affect the decoding of its requests."""
        return {"events": list(self.events), "accounts": list(self.accounts)}

    def is_valid(self, now: datetime) -> bool:
        return self.revoked is None and (self.expires is None or stamp_of(now) < self.expires)


class ApiKeyTables:
    """The tables of keys in a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    def close(self) -> None:
        """Close the connections of the calling thread."""
        self.ledger.close()

    def api_keys(self) -> list[ApiKey]:
        """Every key, including revoked ones, by name."""
        with self.ledger._reading() as db:
            asked = f"SELECT {_KEY} FROM keys ORDER BY name"
            return [_key(*row) for row in db.execute(asked).fetchall()]

    def add_key(self, key: ApiKey) -> bool:
        """Store a new key. Returns False if a key with this name exists."""
        texts = [json.dumps(one) if one else "" for one in (key.events, key.accounts, _limits(key))]
        with self.ledger._writing() as db:
            if db.execute("SELECT 1 FROM keys WHERE name = ?", [key.name]).fetchone():
                return False
            db.execute(
                "INSERT INTO keys (name, hash, scopes, events, accounts, limits, created, expires) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [key.name, key.hash, " ".join(key.scopes), *texts, key.created, key.expires],
            )
        return True

    def claim_requests(self, claims: Sequence[tuple[str, str, str]], *, now: datetime, since: datetime) -> list[bool]:
        """For each (key, Idempotency-Key, hash of the body): whether the body equals that of the first such request.

        Requests before `since` are deleted first."""
        same = []
        with self.ledger._writing() as db:
            db.execute("DELETE FROM request_claims WHERE at < ?", [stamp_of(since)])
            for key, request, body in claims:
                asked = "SELECT body FROM request_claims WHERE key = ? AND request = ?"
                known = db.execute(asked, [key, request]).fetchone()
                if known is None:
                    row = [key, request, body, stamp_of(now)]
                    db.execute("INSERT INTO request_claims (key, request, body, at) VALUES (?, ?, ?, ?)", row)
                same.append(known is None or known[0] == body)
        return same

    def note_seen(self, seen: Mapping[str, datetime]) -> None:
        """Record when keys were last used, by name."""
        with self.ledger._writing() as db:
            for name, at in seen.items():
                asked = "UPDATE keys SET seen = ? WHERE name = ? AND (seen IS NULL OR seen < ?)"
                db.execute(asked, [stamp_of(at), name, stamp_of(at)])

    def replace_key(self, name: str, hash_: str, *, secret: str | None = None) -> bool:
        """Replace the text of a key that is not revoked. Returns False if there is no such key."""
        with self.ledger._writing() as db:
            asked = f"SELECT {_KEY} FROM keys WHERE name = ? AND revoked IS NULL"
            if (row := db.execute(asked, [name]).fetchone()) is None:
                return False
            limits = _limits(replace(_key(*row), secret=secret))
            values = [hash_, json.dumps(limits) if limits else "", name]
            db.execute("UPDATE keys SET hash = ?, limits = ? WHERE name = ?", values)
        return True

    def claim_invitation(self, hash_: str, new: str, *, now: datetime) -> ApiKey | None:
        """Convert an invitation to a key with a new text, once. None if it is not an invitation, or is used, revoked or
        expired."""
        with self.ledger._writing() as db:
            row = db.execute(f"SELECT {_KEY} FROM keys WHERE hash = ?", [hash_]).fetchone()
            key = _key(*row) if row is not None else None
            if key is None or not key.is_valid(now) or key.invited is None or key.invited <= stamp_of(now):
                return None
            claimed = replace(key, hash=new, invited=None)
            values = [new, json.dumps(_limits(claimed)) if _limits(claimed) else "", hash_]
            changed = db.execute("UPDATE keys SET hash = ?, limits = ? WHERE hash = ?", values)
            return claimed if changed.rowcount == 1 else None

    def revoke_key(self, name: str, *, now: datetime) -> bool:
        """Revoke a key permanently. Returns False if there is no such key."""
        with self.ledger._writing() as db:
            asked = "UPDATE keys SET revoked = coalesce(revoked, ?) WHERE name = ?"
            return db.execute(asked, [stamp_of(now), name]).rowcount == 1


def _limits(key: ApiKey) -> dict[str, object]:
    """The fields of a key that are stored in the column `limits`."""
    kept = {
        "rate": key.rate,
        "metrics": list(key.metrics),
        "where": list(key.where),
        "secret": key.secret,
        "invited": key.invited,
    }
    return {name: value for name, value in kept.items() if value}


def _key(
    name: str,
    hash_: str,
    scopes: str,
    events: str,
    accounts: str,
    limits: str,
    created: str,
    expires: str | None,
    revoked: str | None,
    seen: str | None,
) -> ApiKey:
    kept = json.loads(limits or "{}")
    return ApiKey(
        name=name,
        hash=hash_,
        scopes=tuple(scopes.split()),
        created=created,
        expires=expires,
        revoked=revoked,
        seen=seen,
        events=tuple(json.loads(events or "[]")),
        accounts=tuple(json.loads(accounts or "[]")),
        rate=kept.get("rate"),
        metrics=tuple(kept.get("metrics", ())),
        where=tuple(kept.get("where", ())),
        secret=kept.get("secret"),
        invited=kept.get("invited"),
    )
