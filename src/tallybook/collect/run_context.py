"""The context of a run, and how often it publishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tallybook.collect.report import OnProgress
from tallybook.collect.sources.base import Source
from tallybook.collect.sources.identity import Identity
from tallybook.core import Catalog, Metric, SourceError
from tallybook.storage import Store

PUBLISH_SECONDS = 10.0
"""How often staged days are published, unless publishing takes long, so that a run that dies has stored something."""


@dataclass(kw_only=True)
class RunContext:
    """The context of a run. `clock` is used only for stamps and leases. `now` is the start of the run."""

    catalog: Catalog
    store: Store
    sources: Mapping[str, Source]
    now: datetime
    clock: Callable[[], datetime]
    function_of: Callable[[Metric], Callable[..., Any]]
    as_of: Mapping[str, datetime] = field(default_factory=dict)
    unopened: Mapping[str, SourceError] = field(default_factory=dict)
    """Sources that could not be opened, with the error."""
    on_progress: OnProgress | None = None
    publish_seconds: float = PUBLISH_SECONDS
    folder: Path | None = None
    """The project's folder."""
    copies: frozenset[str] = frozenset()
    """Sources that are replaced by copies in this run. The identity of a copy is neither compared nor recorded."""
    moved: tuple[str, ...] = ()
    """Sources that are declared to be another database from now on."""
    identities: dict[str, Identity] = field(default_factory=dict)
    """The identity of each source that was queried."""
    owner: Mapping[str, str] = field(default_factory=dict)
    """The owner of the book, as stored in the ledger."""
    stop: Callable[[], bool] = bool
    """Called after each complete day. If it returns true, the run publishes that day and ends as interrupted."""
    mask: Callable[[str], str] = str
    """Removes secrets from messages of a driver or a user's function before they are stored."""
