"""`[events]` and `[events.NAME]`: limits and rules for receiving usage events, and the declaration of each event."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec

EVENTS_SOURCE = "events"
"""The name of the source of usage events."""
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
WORKDAYS = (0, 1, 2, 3, 4)
STRICT, WARN, OFF = "strict", "warn", "off"
SCHEMA_MODES = (STRICT, WARN, OFF)
"""Treatment of an event that does not match its declaration: strict rejects it, warn stores and counts it, off stores
it without a check."""
NAIVE_TIMES = ("refuse", "utc", "book")
"""Treatment of times without a zone: refuse them, or read them in UTC or in the zone of the book."""


class EventLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits on requests and events; each is a key of `[events]`."""

    max_body: int = 5_000_000
    """Bytes of the request body as it is sent."""
    max_unpacked: int = 20_000_000
    max_ratio: int = 100
    """Maximum ratio of unpacked bytes to sent bytes."""
    max_batch: int = 10_000
    """Events per request."""
    max_event: int = 1_000_000
    """Bytes of an event."""
    max_properties: int = 500
    max_depth: int = 5
    max_name: int = 2_000
    """Characters of an event name."""
    max_key: int = 1_024
    max_text: int = 10_000
    max_id: int = 512


class EventDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """`[events.NAME]`."""

    name: str
    daily_aggregate: bool | None = None
    """Whether an event is the value of a day, which a later event replaces. None: each metric declares it."""
    series: tuple[str, ...] = ()
    """The columns that identify a daily value: a new value replaces an earlier one with equal columns."""
    expect: tuple[int, ...] | None = None
    """Weekdays on which a value is expected; 0 is Monday. None: every day, for a daily aggregate."""
    expect_keys: tuple[str, ...] = ()
    """Keys that must each send something for a day to count as complete."""
    schema: str = WARN
    required: tuple[str, ...] = ()
    """Properties that every event must have."""
    types: dict[str, str] = {}
    """Types of properties, by case-folded name."""
    allowed: dict[str, tuple[str, ...]] = {}
    """Allowed texts of a property, by its case-folded name."""
    spelled: dict[str, str] = {}
    """The declared spelling of each property, by its case-folded name."""


class EventSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[events]`. Durations are in seconds."""

    dedup: float = 30 * 86400.0
    """Time after receipt in which another event with the same id and key counts as a duplicate."""
    future: float = 86400.0
    """Maximum time by which an event's time may be after its receipt."""
    retry_window: float = 600.0
    """Time after receipt in which an equal event with a time and without an id counts as a duplicate."""
    naive: str = "refuse"
    protocols: tuple[str, ...] | None = None
    """Names of the accepted wire protocols; None: all available ones."""
    groups: str | None = None
    """`groups` of `[accounts]`: the group type that identifies the account in other protocols."""
    daily: tuple[str, ...] = ()
    """Names of events for which metrics use the latest value of each day."""
    max_events: int = 2_000
    """Maximum number of different event names."""
    keep: int | None = None
    """Days for which events are kept; None: forever."""
    limits: EventLimits = EventLimits()
    declared: dict[str, EventDeclaration] = {}
    """Declared events by name."""
    downtime: float = 900.0
    """`downtime` of `[serve]`: a longer interruption of the server makes its day incomplete."""

    def is_daily(self, event: str) -> bool:
        """Whether an event is the value of a day, so that an equal event is the same value received again."""
        return event in self.daily or bool(self.of(event).daily_aggregate)

    def of(self, event: str) -> EventDeclaration:
        """The declaration of an event; the defaults if it is not declared."""
        return self.declared.get(event) or EventDeclaration(name=event)


class EventRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules for events of one book: its `[events]` and its time zone."""

    settings: EventSettings = EventSettings()
    zone: str = "UTC"

    @property
    def is_usual(self) -> bool:
        """Whether limits and times are the defaults."""
        usual = EventSettings()
        return (self.limits, self.settings.future, self.naive) == (usual.limits, usual.future, usual.naive)

    @property
    def limits(self) -> EventLimits:
        return self.settings.limits

    @property
    def future(self) -> timedelta:
        """Maximum time by which an event's time may be after its receipt."""
        return timedelta(seconds=self.settings.future)

    def last_day(self, now: datetime) -> date:
        """The last day of which something may be said."""
        return (now + self.future).date()

    @property
    def keep(self) -> timedelta | None:
        """Maximum age of an event when it is received; None without a limit."""
        return None if self.settings.keep is None else timedelta(days=self.settings.keep)

    @property
    def naive(self) -> str:
        """Treatment of times without a zone: one of `NAIVE_TIMES`."""
        return self.settings.naive


DEFAULT_EVENTS = EventSettings()
DEFAULT_RULES = EventRules()
