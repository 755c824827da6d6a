"""`[events]` and `[events.NAME]`: how usage events are taken, and what is declared of each."""

from __future__ import annotations

from datetime import timedelta

import msgspec

EVENTS_SOURCE = "events"
"""The name of the source of usage events."""
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
WORKDAYS = (0, 1, 2, 3, 4)
STRICT, WARN, OFF = "strict", "warn", "off"
SCHEMA_MODES = (STRICT, WARN, OFF)
"""What happens to an event that is not as declared: it is rejected, it is stored and counted, nothing."""
NAIVE_TIMES = ("refuse", "utc", "book")
"""What a time without a zone means."""


class EventLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of requests and events; each is a key of `[events]`."""

    max_body: int = 5_000_000
    """Bytes of a request as it is sent."""
    max_unpacked: int = 20_000_000
    max_ratio: int = 100
    """Unpacked bytes for each byte sent."""
    max_batch: int = 10_000
    """Events of a request."""
    max_event: int = 1_000_000
    """Bytes of an event."""
    max_properties: int = 500
    max_depth: int = 5
    max_name: int = 2_000
    """Characters of the name of an event."""
    max_key: int = 1_024
    max_text: int = 10_000
    max_id: int = 512


class EventDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """`[events.NAME]`."""

    name: str
    daily_aggregate: bool | None = None
    """Whether an event is the value of a day, which a later one replaces. None: each metric declares it."""
    series: tuple[str, ...] = ()
    """The columns by which one value of a day replaces another."""
    expect: tuple[int, ...] | None = None
    """Weekdays on which a value should come, Monday is 0. None: every day of a daily aggregate."""
    expect_keys: tuple[str, ...] = ()
    """A day is whole when each of these keys sent something for it."""
    schema: str = WARN
    required: tuple[str, ...] = ()
    """Properties that each event has."""
    types: dict[str, str] = {}
    """Types of properties, by case-folded name."""
    allowed: dict[str, tuple[str, ...]] = {}
    """Texts that a property may have, by case-folded name."""
    spelled: dict[str, str] = {}
    """How declared properties are written, by case-folded name."""


class EventSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[events]`. Spans are seconds."""

    dedup: float = 30 * 86400.0
    """An id of a key is stored once within this time of its receipt."""
    future: float = 86400.0
    """An event may be this far ahead of its receipt."""
    retry_window: float = 600.0
    """Equal events with a time and without an id are one event within this time of receipt."""
    naive: str = "refuse"
    protocols: tuple[str, ...] | None = None
    """Names of the wire protocols that are taken; None: all that are there."""
    groups: str | None = None
    """`groups` of `[accounts]`: the group type of other protocols that is the account."""
    daily: tuple[str, ...] = ()
    """Events of which metrics take the latest value of a day."""
    max_events: int = 2_000
    """Names of events."""
    keep: int | None = None
    """Days for which events are kept; None: for ever."""
    limits: EventLimits = EventLimits()
    declared: dict[str, EventDeclaration] = {}
    """By name of the event."""
    downtime: float = 900.0
    """`downtime` of `[serve]`: so long no server may have run for a day to be complete."""

    def is_daily(self, event: str) -> bool:
        """Whether an event is the value of a day, so that an equal one is a value that was received again."""
        return event in self.daily or bool(self.of(event).daily_aggregate)

    def of(self, event: str) -> EventDeclaration:
        """What is declared of an event; defaults where nothing is."""
        return self.declared.get(event) or EventDeclaration(name=event)


class EventRules(msgspec.Struct, frozen=True, kw_only=True):
    """What events may be: `[events]` of a book, and its zone."""

    settings: EventSettings = EventSettings()
    zone: str = "UTC"

    @property
    def is_usual(self) -> bool:
        """Whether limits and times are as without `[events]`."""
        usual = EventSettings()
        return (self.limits, self.settings.future, self.naive) == (usual.limits, usual.future, usual.naive)

    @property
    def limits(self) -> EventLimits:
        return self.settings.limits

    @property
    def future(self) -> timedelta:
        """An event may be this far ahead of its receipt."""
        return timedelta(seconds=self.settings.future)

    @property
    def keep(self) -> timedelta | None:
        """An event may be this old when it is received."""
        return None if self.settings.keep is None else timedelta(days=self.settings.keep)

    @property
    def naive(self) -> str:
        """What a time without a zone means."""
        return self.settings.naive


DEFAULT_EVENTS = EventSettings()
DEFAULT_RULES = EventRules()
