"""Keys of the HTTP API: shown once, stored as a hash, checked without reading the ledger for each request."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from tallybook.core import DeclarationError, QueryError
from tallybook.storage import ApiKey, EventLedger, stamp_of

SCOPES = ("write", "read", "admin")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
RECENT = timedelta(milliseconds=100)
"""Keys are not read again within this time, however many requests come with an unknown key."""
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
    if not events.add_key(ApiKey(name=name, hash=hash_key(text), scopes=scopes, created=stamp_of(now))):
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
    """The keys of the ledger, as of the last `refresh`. May be used from several threads."""

    def __init__(self, events: EventLedger, clock: Callable[[], datetime]) -> None:
        self.events, self.clock = events, clock
        self.by_hash: Mapping[str, ApiKey] = {}
        self.read_at: datetime | None = None
        self.lock = threading.Lock()

    @property
    def is_stale(self) -> bool:
        return self.read_at is None or self.clock() - self.read_at > STALE

    def refresh(self) -> None:
        """Read the keys, unless they were read just now. An error leaves those of before, which are relied on for two
        seconds."""
        with self.lock:
            at = self.clock()
            if self.read_at is None or at - self.read_at >= RECENT:
                self.by_hash = {key.hash: key for key in self.events.api_keys()}
                self.read_at = at

    def find(self, text: str) -> ApiKey | None:
        """The valid key with this text. Raises KeysUnknown when keys could not be read for too long."""
        if self.is_stale:
            raise KeysUnknown
        key = self.by_hash.get(hash_key(text))
        return key if key is not None and key.is_valid(self.clock()) else None
