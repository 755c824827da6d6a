"""Keys of the HTTP API as the ledger keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tallybook.storage.stored_rows import stamp_of


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key as the ledger keeps it: its text is not there, only a hash."""

    name: str
    hash: str
    scopes: tuple[str, ...]
    created: str
    expires: str | None = None
    revoked: str | None = None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked is None and (self.expires is None or stamp_of(now) < self.expires)
