"""The values that methods of `Book` return: frozen structs whose fields are the documented JSON."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

D = TypeVar("D")


class BookRecord(msgspec.Struct, frozen=True, kw_only=True, rename=lambda name: name.rstrip("_")):
    """A value that a method of `Book` returns. A field `from_` is called `from` in JSON."""

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON as plain values. Days are ISO texts."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


class RunRecord(BookRecord, frozen=True, kw_only=True):
    """A run, an import or a deletion (forget), as stored in the ledger. Instants are ISO texts in UTC.

    `finished`: None while it is running. `report`: its results, by metric."""

    run: int
    what: str
    started: str
    finished: str | None
    status: str
    host: str | None
    pid: int | None
    report: dict[str, Any]


class KnownDefinition(BookRecord, frozen=True, kw_only=True):
    """A definition of a metric in the book: since when it exists, and the number of its days."""

    id: str
    created: str
    days: int


class DescribedMetric(BookRecord, Generic[D], frozen=True, kw_only=True):
    """A declared metric, and the days collected under its current definition.

    `from_` and `to`: the first and last collected day. `gaps`: the number of missing days between them."""

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
    """A declared metric with every definition, newest first, and its collected and missing ranges of days, both ends
    included.

    `operands`: the metrics from which a derived metric is computed."""

    operands: list[str]
    coverage: list[tuple[str, str]]
    missing: list[tuple[str, str]]
