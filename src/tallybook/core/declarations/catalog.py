"""The catalog: all declarations of a project together."""

from __future__ import annotations

import msgspec

from tallybook.core.declarations.alerts import AlertSettings
from tallybook.core.declarations.book import BookSettings, ScheduleSettings, ServeSettings
from tallybook.core.declarations.deliveries import Delivery
from tallybook.core.declarations.entities import EntitySettings
from tallybook.core.declarations.events import EventSettings
from tallybook.core.declarations.goals import Goal
from tallybook.core.declarations.metrics import Metric
from tallybook.core.declarations.pages import Board, Note
from tallybook.core.declarations.rules import InAppMessage, Rule
from tallybook.core.declarations.sources import SourceSettings

RESERVED_NAMES = frozenset(
    [
        "period",
        "complete",
        "days",
        "days_expected",
        "approximate",
        "total",
        "others",
        "no_series",
        "notes",
        "metric",
        "metrics",
        "scope",
        "timezone",
        "columns",
        "rows",
        "explain",
    ]
)
"""Keys of a result or of its rows. A metric or dimension with such a name would collide with them."""


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """All declarations, checked as a whole."""

    book: BookSettings
    sources: dict[str, SourceSettings]
    metrics: dict[str, Metric]
    deliveries: dict[str, Delivery] = {}
    goals: dict[str, Goal] = {}
    boards: dict[str, Board] = {}
    notes: tuple[Note, ...] = ()
    schedule: ScheduleSettings = ScheduleSettings()
    alerts: AlertSettings = AlertSettings()
    serve: ServeSettings = ServeSettings()
    entities: dict[str, EntitySettings] = {}
    """The declared ones of `accounts` and `users`."""
    events: EventSettings = EventSettings()
    rules: dict[str, Rule] = {}
    messages: dict[str, InAppMessage] = {}

    def operands(self, name: str) -> tuple[str, ...]:
        """The collected metrics that `name` is computed from, each once, in order; `name` when it is not derived."""
        metric = self.metrics[name]
        if not metric.derived:
            return (name,)
        assert metric.parsed is not None
        names: dict[str, None] = {}
        for operand in metric.parsed.operands:
            names.update(dict.fromkeys(self.operands(operand.metric)))
        return tuple(names)

    def unit_dims(self, name: str) -> tuple[str, ...]:
        """The dimensions that contain the units of `name`, or of the metrics it is computed from."""
        units = [self.metrics[operand].unit_from for operand in self.operands(name)]
        return tuple(dict.fromkeys(unit for unit in units if unit))

    def queryable_dims(self, name: str) -> tuple[str, ...]:
        """The dimensions by which `name` can be split or filtered. For a derived metric: the dimensions that all
        operands have."""
        metric = self.metrics[name]
        if not metric.derived:
            return (*metric.by, *(d for d in metric.series_dims if d not in metric.by))
        first, *others = self.operands(name)
        return tuple(d for d in self.queryable_dims(first) if all(d in self.queryable_dims(o) for o in others))
