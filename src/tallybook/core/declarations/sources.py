"""Settings of a source."""

from __future__ import annotations

from typing import Any

import msgspec

from tallybook.core.declarations.entities import EntitySettings
from tallybook.core.declarations.events import EventSettings

REFUSE, APPLY = "refuse", "apply"
POLICIES = (REFUSE, APPLY)
"""What to do when a row-level policy of the server hides rows from the user of a source: fail, or read the rest."""


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[sources.NAME]`: a database that is only ever read. `url` is secret; show it with `masked_url`."""

    name: str
    url: str
    statement_timeout: float = 30.0
    """Seconds."""
    lock_timeout: float = 5.0
    """Seconds."""
    fresh: str | None = None
    """A statement that returns one value: the instant up to which the source is known to be complete."""
    max_load: float = 600.0
    """Maximum seconds that a run spends on days collected again because their facts changed."""
    replica: str = ""
    """The URL of a replica, which audits read. Secret, as `url`."""
    policies: str = REFUSE
    options: dict[str, Any] = {}
    """The source's own keys, as its `kind` names them, with the values of the file."""
    ledger: str = ""
    """For usage events: the URL of the book's ledger; empty for one in its folder. Secret, as `url`."""
    schema: str = "tallybook"
    """The schema of that ledger."""
    in_ledger: bool = False
    """For usage events: whether their files are bytes in that ledger."""
    events: EventSettings = EventSettings()
    """Of the source of usage events: `[events]`."""
    entity: EntitySettings | None = None
    """Of the source of users or accounts: `[users]` or `[accounts]`, where it is declared."""
    folder: str = ""
    """The project folder. Relative paths among `options` are below it."""

    def __repr__(self) -> str:
        return f"SourceSettings(name={self.name!r}, url=…)"
