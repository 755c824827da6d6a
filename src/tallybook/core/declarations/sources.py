"""Settings of a source."""

from __future__ import annotations

from typing import Any

import msgspec

from tallybook.core.declarations.entities import EntitySettings
from tallybook.core.declarations.events import EventSettings

REFUSE, APPLY = "refuse", "apply"
POLICIES = (REFUSE, APPLY)
"""Reaction to a row-level policy of the server that hides rows from the user of a source: fail, or read the other
rows."""


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[sources.NAME]`: a database that Tallybook only reads. `url` is secret; show it with `masked_url`."""

    name: str
    url: str
    statement_timeout: float = 30.0
    """Seconds."""
    lock_timeout: float = 5.0
    """Seconds."""
    fresh: str | None = None
    """A statement that returns one value: the instant up to which the source is complete."""
    max_load: float = 600.0
    """Maximum seconds per run for collecting days again whose facts changed."""
    replica: str = ""
    """The URL of a replica that audits read. Secret, like `url`."""
    policies: str = REFUSE
    options: dict[str, Any] = {}
    """The source's own keys, named by its `kind`, with the values in the file."""
    ledger: str = ""
    """For usage events: the URL of the book's ledger; empty if the ledger is in the book's folder. Secret, like
    `url`."""
    schema: str = "tallybook"
    """The schema of that ledger."""
    in_ledger: bool = False
    """For usage events: whether their files are stored as bytes in that ledger."""
    events: EventSettings = EventSettings()
    """For the source of usage events: `[events]`."""
    entity: EntitySettings | None = None
    """For the source of users or accounts: `[users]` or `[accounts]`, if declared."""
    folder: str = ""
    """The project folder, which relative paths in `options` start from."""

    def __repr__(self) -> str:
        return f"SourceSettings(name={self.name!r}, url=…)"
