"""What a run works with, and when it publishes."""

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
"""Staged days are published this often, unless publishing takes long: a run that dies has then done something."""


@dataclass(kw_only=True)
class RunContext:
    """What a run works with. `clock` is asked only for stamps and leases; `now` is when the run began."""

    catalog: Catalog
    store: Store
    sources: Mapping[str, Source]
    now: datetime
    clock: Callable[[], datetime]
    function_of: Callable[[Metric], Callable[..., Any]]
    as_of: Mapping[str, datetime] = field(default_factory=dict)
    unopened: Mapping[str, SourceError] = field(default_factory=dict)
    """Sources for which there is no connection to be made, and why."""
    on_progress: OnProgress | None = None
    publish_seconds: float = PUBLISH_SECONDS
    folder: Path | None = None
    """The project's."""
    copies: frozenset[str] = frozenset()
    """Sources that are read elsewhere this once: what they are is neither compared nor recorded."""
    moved: tuple[str, ...] = ()
    """Sources that are said to be another database from now on."""
    identities: dict[str, Identity] = field(default_factory=dict)
    """What each source that was asked is."""
    owner: Mapping[str, str] = field(default_factory=dict)
    """Whose book it is, by what the ledger calls it."""
    stop: Callable[[], bool] = bool
    """Asked after each day that is whole: whether to publish that and end, as an interrupted run."""
    mask: Callable[[str], str] = str
    """Takes secrets out of what a driver or a user's function said, before it is kept."""
