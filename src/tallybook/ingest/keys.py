"""Keys of the HTTP API: shown once, stored as a hash, checked without reading the ledger for each request."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from tallybook.core import DeclarationError, QueryError
from tallybook.storage import ApiKey, EventLedger

SCOPES = ("write", "read", "admin")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
REFRESH = timedelta(seconds=1)
"""Keys are read again after so long, so that a revoked one is refused within two seconds."""
RECENT = timedelta(milliseconds=100)
"""An unknown key has the keys read again, not more often than this: it may be new."""
STALE = timedelta(seconds=2)
"""Keys that were read longer ago are not relied on."""


class KeysUnknown(Exception):
    """The ledger cannot be read, so that no key can be checked."""


def create_key(events: EventLedger, name: str, scopes: tuple[str, ...], *, now: datetime) -> str:
    """Make a key and return its text, which is kept nowhere."""
    if not _NAME.fullmatch(name):
        raise DeclarationError(
            f"{name!r} cannot be the name of a key",
            hint="letters, digits, _ . and -, beginning with a letter or digit: tallybook keys create loader-eu",
        )
    if wrong := [scope for scope in scopes if scope not in SCOPES]:
        raise DeclarationError(f"there is no scope {wrong[0]!r}", hint=f"one of {', '.join(SCOPES)}")
    text = _new_text(scopes)
    created = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if not events.add_key(ApiKey(name=name, hash=hash_key(text), scopes=scopes, created=created)):
        raise QueryError(
            f"there is a key {name!r} already, perhaps a revoked one",
            hint=f"for a new text of it: tallybook keys rotate {name}",
        )
    return text


def rotate_key(events: EventLedger, name: str) -> str:
    """Give a key another text and return it. The old text is refused within two seconds. Ids of events stay those of
    the same key, because they go by its name."""
    scopes = next((key.scopes for key in events.api_keys() if key.name == name), ("write",))
    text = _new_text(scopes)
    if not events.replace_key(name, hash_key(text)):
        raise _no_key(name)
    return text


def revoke_key(events: EventLedger, name: str, *, now: datetime) -> None:
    """Refuse a key from now on. Its events stay."""
    if not events.revoke_key(name, now=now):
        raise _no_key(name)


def _no_key(name: str) -> QueryError:
    return QueryError(f"there is no valid key {name!r}", hint="tallybook keys list")


def _new_text(scopes: tuple[str, ...]) -> str:
    return f"tb_{scopes[0][0]}_{secrets.token_urlsafe(32)}"


def hash_key(text: str) -> str:
    """What is kept of a key. Its text has 256 random bits, so that a plain hash cannot be reversed."""
    return hashlib.sha256(text.encode()).hexdigest()


def key_text(headers: Mapping[str, str]) -> str | None:
    """The text of the key in a request: `Authorization: Bearer KEY`, or `Basic` with the key as the user."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


class KeyRing:
    """The keys of the ledger, read again when they are older than a second. May be used from several threads."""

    def __init__(self, events: EventLedger, clock: Callable[[], datetime]) -> None:
        self.events, self.clock = events, clock
        self.by_hash: Mapping[str, ApiKey] = {}
        self.read_at: datetime | None = None
        self.lock = threading.Lock()

    @property
    def is_stale(self) -> bool:
        return self.read_at is None or self.clock() - self.read_at > STALE

    @property
    def is_fresh(self) -> bool:
        return self._is_younger(REFRESH)

    def _is_younger(self, age: timedelta) -> bool:
        return self.read_at is not None and self.clock() - self.read_at < age

    def refresh(self, *, soon: bool = False) -> None:
        """Read the keys, unless they were read in this second; with `soon` unless just now. An error leaves those of
        before, which are relied on for two seconds."""
        with self.lock:
            if not self._is_younger(RECENT if soon else REFRESH):
                at = self.clock()
                self.by_hash = {key.hash: key for key in self.events.api_keys()}
                self.read_at = at

    def find(self, text: str) -> ApiKey | None:
        """The valid key with this text. Raises KeysUnknown when keys could not be read for too long."""
        if self.is_stale:
            raise KeysUnknown
        key = self.by_hash.get(hash_key(text))
        return key if key is not None and key.is_valid(self.clock()) else None
