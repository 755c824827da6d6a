"""`[accounts]` and `[users]`: where they are read, and which dimensions of metrics contain their ids."""

from __future__ import annotations

import msgspec


class MetricAttribute(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute that is a metric over the days up to now."""

    metric: str
    last: str | None = None
    """A span such as "7 days". Without it: all days of a flow, and the last day of a level."""
    show: str | None = None
    where: tuple[str, ...] = ()


class EntitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[accounts]` or `[users]`. Without a `table` nothing is read: attributes are only pushed or imported."""

    kind: str
    """accounts or users."""
    source: str | None = None
    table: str | None = None
    key: str = "id"
    """The column with the id. It is unique."""
    attributes: tuple[str, ...] = ()
    """Columns that are attributes. They cannot be pushed."""
    changed: str | None = None
    """A column with the instant of the last change of a row."""
    account: str | None = None
    """For users: the column with the id of the account."""
    dimension: tuple[str, ...] = ()
    """Names of metric dimensions that contain the id."""
    groups: str | None = None
    """The group type that other protocols use for accounts."""
    metrics: dict[str, MetricAttribute] = {}
    """Attributes that are metrics, by name."""
    history: int | None = None
    """Days for which changes are kept; None: forever."""
