"""API keys in the ledger, and the requests that they claimed."""

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
    """A key as the ledger keeps it: its text is not there, only a hash."""

    name: str
    hash: str
    scopes: tuple[str, ...]
    created: str
    expires: str | None = None
    revoked: str | None = None
    seen: str | None = None
    """When it was last used, to the minute or so."""
    events: tuple[str, ...] = ()
    """The only events that it may send or read; all of them where it is empty."""
    accounts: tuple[str, ...] = ()
    rate: int | None = None
    """Events a second that it may send to one worker."""
    metrics: tuple[str, ...] = ()
    """The only metrics that it may read; all of them where it is empty."""
    where: tuple[str, ...] = ()
    """Filters of every answer that it reads, as `plan=pro`."""
    secret: str | None = field(default=None, repr=False)
    """The text of a share key, with which links are signed. A link shows no more than the ledger contains."""
    invited: str | None = None
    """Of an invitation that nobody claimed yet: until when it can be."""

    @property
    def bounds(self) -> dict[str, list[str]]:
        """What the decoding of its requests depends on."""
        return {"events": list(self.events), "accounts": list(self.accounts)}

    def is_valid(self, now: datetime) -> bool:
        return self.revoked is None and (self.expires is None or stamp_of(now) < self.expires)


class ApiKeyTables:
    """The tables of keys in a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    def close(self) -> None:
        """Close what the calling thread has open."""
        self.ledger.close()

    def api_keys(self) -> list[ApiKey]:
        """Every key, also those that are revoked, by name."""
        with self.ledger._reading() as db:
            asked = f"SELECT {_KEY} FROM keys ORDER BY name"
            return [_key(*row) for row in db.execute(asked).fetchall()]

    def add_key(self, key: ApiKey) -> bool:
        """Keep a new key; False where there is one of this name already."""
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
        """For each (key, Idempotency-Key, hash of the body): whether it is the body with which it came first since
        then."""
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
        """Give a key that is not revoked another text; False where there is none."""
        with self.ledger._writing() as db:
            asked = f"SELECT {_KEY} FROM keys WHERE name = ? AND revoked IS NULL"
            if (row := db.execute(asked, [name]).fetchone()) is None:
                return False
            limits = _limits(replace(_key(*row), secret=secret))
            values = [hash_, json.dumps(limits) if limits else "", name]
            db.execute("UPDATE keys SET hash = ?, limits = ? WHERE name = ?", values)
        return True

    def claim_invitation(self, hash_: str, new: str, *, now: datetime) -> ApiKey | None:
        """Make an invitation a key with another text, once; None where it is none, is used, revoked or too old."""
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
        """Revoke a key for good; False where there is no such key."""
        with self.ledger._writing() as db:
            asked = "UPDATE keys SET revoked = coalesce(revoked, ?) WHERE name = ?"
            return db.execute(asked, [stamp_of(now), name]).rowcount == 1


def _limits(key: ApiKey) -> dict[str, object]:
    """What the column `limits` has of a key."""
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
