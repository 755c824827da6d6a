"""Descriptors and registry of destinations.

A destination is one module and one line of `DESTINATIONS`. Another package adds one by an entry point in the group
`tallybook.destinations`: its name is the name of the kind, its value "module:Class". Modules of destinations are light:
their functions import heavy libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tallybook.core.adapters.registry import AdapterError, Option, Registry

DELIVER, EXPORT, QUERY = "deliver", "export", "query"
"""Uses of a destination: `[deliveries.NAME]`, `tallybook export`, `tallybook query --format` and `-o`."""


@dataclass(frozen=True, kw_only=True)
class OptionProblem:
    """A key of a delivery whose value conflicts with others: the mistake, the expected value, and a line to paste."""

    key: str
    message: str
    expected: str = ""
    paste: str = ""


@dataclass(frozen=True, kw_only=True)
class DestinationKind:
    """The descriptor of a destination.

    `noun`: what it writes, such as "a CSV file". `endings`: its file extensions, the usual one first. `update_endings`:
    extensions of files that it updates but does not create. `place`: the key with the place it writes to: `path`, or
    one of its options. `tabs`: several deliveries can share a place, each in a tab. `layouts`: supported layouts, the
    usual one first. `reads_back`: it can compare the current content with what was delivered, cell by cell. `extra`:
    the extra of Tallybook that it needs. `variables`: optional environment variables with its credentials."""

    name: str
    noun: str
    endings: tuple[str, ...] = ()
    update_endings: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    place: str = "path"
    uses: tuple[str, ...] = (DELIVER, EXPORT, QUERY)
    tabs: bool = False
    layouts: tuple[str, ...] = ("columns",)
    is_text: bool = True
    """Its output can be shown on a terminal."""
    reads_back: bool = False
    extra: str = ""
    variables: tuple[str, ...] = ()
    outbox: bool = False
    """Its items are planned in the ledger, and each is sent once: it cannot be rewritten."""

    has_subscribers: bool = False
    """Its rows are sent by the deliveries of its subscribers, each row once."""

    is_shared: bool = False
    """Several deliveries may write to one place."""
    is_timed: bool = False
    """It sends at times of its own, also without new numbers."""
    instead_of_metrics: str = ""
    """The option that a delivery may have instead of metrics."""

    def __post_init__(self) -> None:
        for ending in (*self.endings, *self.update_endings):
            if not ending.startswith(".") and isinstance(self.endings, tuple):
                raise ValueError(f"the ending {ending!r} of {self.name} has no dot: write {'.' + ending!r}")

    def option(self, name: str) -> Option | None:
        """The option with this name, or None."""
        return next((option for option in self.options if option.name == name), None)

    def with_defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The values of all options, with defaults for those not given."""
        return {option.name: given.get(option.name, option.default) for option in self.options}


DESTINATIONS: Registry[DestinationKind] = Registry(
    "tallybook.destinations",
    {
        "xlsx": "tallybook.deliver.destinations.excel.destination:Xlsx",
        "table": "tallybook.deliver.destinations.texts:Table",
        "json": "tallybook.deliver.destinations.texts:Json",
        "ndjson": "tallybook.deliver.destinations.texts:Ndjson",
        "csv": "tallybook.deliver.destinations.csv:Csv",
        "parquet": "tallybook.deliver.destinations.parquet:Parquet",
        "markdown": "tallybook.deliver.destinations.texts:Markdown",
        "prometheus": "tallybook.deliver.destinations.prometheus:Prometheus",
        "gainsight_px": "tallybook.deliver.destinations.gainsight_px:GainsightPx",
        "google_sheets": "tallybook.deliver.destinations.google_sheets.destination:GoogleSheets",
        "webhook": "tallybook.deliver.destinations.webhook:Webhook",
        "notification": "tallybook.deliver.destinations.notification:Notification",
        "rule_table": "tallybook.deliver.destinations.rule_table:RuleTable",
        "digest": "tallybook.deliver.destinations.digest:Digest",
        "rest_hooks": "tallybook.deliver.destinations.rest_hooks:RestHooks",
        "segment": "tallybook.deliver.destinations.segment:Segment",
        "mixpanel": "tallybook.deliver.destinations.mixpanel:Mixpanel",
    },
    methods=("bring_up_to_date", "problems"),
)


def known_destination(name: object) -> DestinationKind | None:
    """The destination with this name; None for an unknown name or a package that cannot be imported."""
    try:
        return DESTINATIONS.kind(name) if isinstance(name, str) and name in DESTINATIONS else None
    except AdapterError:
        return None


def destination_kinds(use: str) -> list[DestinationKind]:
    """The destinations with this use, built-in ones first."""
    return [kind for kind in DESTINATIONS.kinds() if use in kind.uses]
