"""What the verbs of a book return: frozen values whose fields are the documented JSON."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

D = TypeVar("D")


class BookRecord(msgspec.Struct, frozen=True, kw_only=True, rename=lambda name: name.rstrip("_")):
    """A value that a verb of `Book` returns. A field `from_` is `from` in JSON."""

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON as plain values: days as ISO texts."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


class RunRecord(BookRecord, frozen=True, kw_only=True):
    """A run, an import or a forgetting, as the ledger keeps it. Instants are ISO texts in UTC; `finished` is None
    while it lasts. `report` is what it did, metric by metric."""

    run: int
    what: str
    started: str
    finished: str | None
    status: str
    host: str | None
    pid: int | None
    report: dict[str, Any]


class KnownDefinition(BookRecord, frozen=True, kw_only=True):
    """A definition of a metric that the book contains: since when, and how many days under it."""

    id: str
    created: str
    days: int


class DescribedMetric(BookRecord, Generic[D], frozen=True, kw_only=True):
    """A declared metric, with how much of it is collected under today's definition.

    `from_` and `to` are the first and the last collected day, `gaps` the days missing between them."""

    metric: str
    kind: str
    source: str | None
    measure: str | None
    by: list[str]
    unit: str | None
    show: str
    title: str | None
    description: str | None
    definition: str | None
    definitions: list[D]
    from_: str | None
    to: str | None
    days: int
    gaps: int


class MetricDescription(DescribedMetric[str], frozen=True, kw_only=True):
    """A declared metric, with the ids of its definitions, newest first."""


class MetricDetails(DescribedMetric[KnownDefinition], frozen=True, kw_only=True):
    """A declared metric with every definition, newest first, and the collected and missing ranges of days, both ends
    included. `operands` are the metrics that a derived one is made of."""

    operands: list[str]
    coverage: list[tuple[str, str]]
    missing: list[tuple[str, str]]
