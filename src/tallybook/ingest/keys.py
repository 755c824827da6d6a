"""Keys of the HTTP API: shown once, stored as a hash, and checked without reading the ledger for each request."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tallybook.core import DeclarationError, QueryError
from tallybook.storage import ApiKey, EventLedger, stamp_of

SCOPES = ("write", "browser", "read", "share", "admin")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
PAUSE_SECONDS = 0.1
"""Minimum time between two reads of the keys, however many requests come with an unknown key."""
HIDDEN = b"[key]"
"""Replaces the text of a key."""
STALE = timedelta(seconds=2)
"""Keys that were read longer ago than this are not trusted."""


class KeysUnknown(Exception):
    """The ledger cannot be read, so no key can be checked."""


@dataclass(frozen=True, kw_only=True)
class KeyTerms:
    """The permissions of a new key: scopes, allowed events and accounts, events per second, and expiry."""

    scopes: tuple[str, ...] = ("write",)
    events: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    rate: int | None = None
    expires: datetime | None = None
    metrics: tuple[str, ...] = ()
    """The only metrics that the key may read; empty for all."""
    where: tuple[str, ...] = ()
    """Filters applied to every answer that the key reads."""


def create_key(events: EventLedger, name: str, terms: KeyTerms | tuple[str, ...], *, now: datetime) -> str:
    """Create a key and return its text, which is stored nowhere. `terms` may be just the scopes."""
    if not isinstance(terms, KeyTerms):
        terms = KeyTerms(scopes=terms)
    _check(name, terms, now)
    text = _new_text(terms.scopes)
    key = ApiKey(
        name=name,
        hash=hash_key(text),
        scopes=terms.scopes,
        created=stamp_of(now),
        expires=stamp_of(terms.expires) if terms.expires else None,
        events=terms.events,
        accounts=terms.accounts,
        rate=terms.rate,
        metrics=terms.metrics,
        where=terms.where,
        secret=text if "share" in terms.scopes else None,
    )
    if not events.add_key(key):
        raise QueryError(
            f"there is a key {name!r} already, perhaps a revoked one",
            hint=f"for a new text of it: tallybook keys rotate {name}",
        )
    return text


def _check(name: str, terms: KeyTerms, now: datetime) -> None:
    if not _NAME.fullmatch(name):
        raise DeclarationError(
            f"{name!r} cannot be the name of a key",
            hint="letters, digits, _ . and -, beginning with a letter or digit: tallybook keys create loader-eu",
        )
    if wrong := [scope for scope in terms.scopes if scope not in SCOPES]:
        raise DeclarationError(f"there is no scope {wrong[0]!r}", hint=f"one of {', '.join(SCOPES)}")
    if "browser" in terms.scopes and len(terms.scopes) > 1:
        raise DeclarationError(
            "a browser key is public: it cannot have another scope too",
            hint=f"tallybook keys create {name} --scope browser",
        )
    if "share" in terms.scopes and len(terms.scopes) > 1:
        raise DeclarationError(
            "a share key signs links, and the book keeps its text: it cannot have another scope too",
            hint=f"tallybook keys create {name} --scope share",
        )
    if terms.expires is not None and terms.expires <= now:
        raise DeclarationError(
            f"the key would expire at {stamp_of(terms.expires)}, which is past", hint="--expires 90d"
        )
    if terms.rate is not None and terms.rate < 1:
        raise DeclarationError("a key that may send no events is of no use", hint="--rate 1000")


def rotate_key(events: EventLedger, name: str) -> str:
    """Replace the text of a key and return the new one. The old text is refused within two seconds. Event ids still
    belong to the same key, because they are stored under its name."""
    scopes = next((key.scopes for key in events.api_keys() if key.name == name), ("write",))
    text = _new_text(scopes)
    if not events.replace_key(name, hash_key(text), secret=text if "share" in scopes else None):
        raise _no_key(name)
    return text


def invite(events: EventLedger, name: str, terms: KeyTerms, *, until: datetime, now: datetime) -> str:
    """Create a read key that works only after it is claimed. Returns the text of its invitation. Whoever opens the link
    with this text claims the key, once and before `until`; `terms.expires` then ends the access."""
    _check(name, terms, now)
    text = f"tb_i_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        name=name,
        hash=hash_key(text),
        scopes=("read",),
        created=stamp_of(now),
        expires=stamp_of(terms.expires) if terms.expires else None,
        accounts=terms.accounts,
        events=terms.events,
        metrics=terms.metrics,
        where=terms.where,
        invited=stamp_of(until),
    )
    if not events.add_key(key):
        raise QueryError(f"there is a key {name!r} already, perhaps a revoked one", hint="give the person another name")
    return text


def claim_invitation(events: EventLedger, text: str, *, now: datetime) -> ApiKey | None:
    """Claim an invitation. Returns its read key with a new text that nobody knows, or None if the invitation is
    unknown, used or expired."""
    return events.claim_invitation(hash_key(text), hash_key(_new_text(("read",))), now=now)


def revoke_key(events: EventLedger, name: str, *, now: datetime) -> None:
    """Refuse a key from now on. Its events are kept."""
    if not events.revoke_key(name, now=now):
        raise _no_key(name)


def _no_key(name: str) -> QueryError:
    return QueryError(f"there is no valid key {name!r}", hint="tallybook keys list")


def _new_text(scopes: tuple[str, ...]) -> str:
    return f"tb_{scopes[0][0]}_{secrets.token_urlsafe(32)}"


def hash_key(text: str) -> str:
    """The stored form of a key. The text has 256 random bits, so a plain hash cannot be reversed."""
    return hashlib.sha256(text.encode()).hexdigest()


def key_text(headers: Mapping[str, str]) -> str | None:
    """The text of the key in a request: `Authorization: Bearer KEY`, or `Basic` with the key as the user name."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def without_text(body: bytes, key: str) -> bytes:
    """A body without the text of a key, including a text written with JSON escapes. Logged bodies can be read later."""
    text = key.encode()
    if not text or len(text) < 8:
        return body
    if text in body:
        body = body.replace(text, HIDDEN)
    if b"\\u" not in body:
        return body
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return body
    hidden = _hidden(found, key)
    return body if hidden == found else msgspec.json.encode(hidden)


def _hidden(value: Any, key: str) -> Any:
    if isinstance(value, str):
        return value.replace(key, HIDDEN.decode())
    if isinstance(value, list):
        return [_hidden(one, key) for one in value]
    if isinstance(value, dict):
        return {name.replace(key, HIDDEN.decode()): _hidden(one, key) for name, one in value.items()}
    return value


class KeyRing:
    """The keys of the ledger, as of the last `refresh`. May be used from several threads."""

    def __init__(self, events: EventLedger, clock: Callable[[], datetime]) -> None:
        self.events, self.clock = events, clock
        self.by_hash: Mapping[str, ApiKey] = {}
        self.read_at: datetime | None = None
        self.tried_at = -PAUSE_SECONDS
        self.lock = threading.Lock()

    @property
    def is_stale(self) -> bool:
        return self.read_at is None or self.clock() - self.read_at > STALE

    def refresh(self) -> None:
        """Read the keys. If that fails, the previous keys are trusted for two seconds."""
        with self.lock:
            at = self.clock()
            self.tried_at = time.monotonic()
            self.by_hash = {key.hash: key for key in self.events.api_keys()}
            self.read_at = at

    def seconds_to_wait(self) -> float:
        """Seconds until the keys may be read again."""
        return max(0.0, self.tried_at + PAUSE_SECONDS - time.monotonic())

    def find(self, text: str) -> ApiKey | None:
        """The valid key with this text. Raises KeysUnknown if the keys could not be read for too long."""
        if self.is_stale:
            raise KeysUnknown
        key = self.by_hash.get(hash_key(text))
        return key if key is not None and key.is_valid(self.clock()) and not key.invited else None

    def valid_keys(self, scope: str) -> list[ApiKey]:
        """The valid keys with a scope. Raises like `find`."""
        if self.is_stale:
            raise KeysUnknown
        now = self.clock()
        return [one for one in self.by_hash.values() if one.is_valid(now) and not one.invited and scope in one.scopes]
