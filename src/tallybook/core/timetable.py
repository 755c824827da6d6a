"""When something is due, and when it has to wait: by the wall clock of a zone. Pure: no clock.

A time that the clock jumps over is due once, at the first moment after the jump; a time that comes twice is due
the first time only. So an expression for every day is due exactly once for each day that the zone has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from tallybook.core import calendar

_AMBIGUOUS = timedelta(hours=26)
"""No zone ever turned its clock back by more: so far back may lie what the wall clock says is still to come."""
_DAILY = re.compile(r"(\d{1,2})\s+(\d{1,2})\s+\*\s+\*\s+\*")


class NeverDue(ValueError):
    """A text that is no cron expression, or one that never comes."""


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """A cron expression of five fields (minute, hour, day, month, weekday) in a zone.

    Raises NeverDue for what is none."""

    cron: str
    zone: str

    def __post_init__(self) -> None:
        next(_walls(self.cron, datetime(2000, 1, 1)))

    def after(self, instant: datetime) -> datetime:
        """The first due instant (UTC) later than the aware `instant`."""
        wall = instant.astimezone(calendar.zone(self.zone)).replace(tzinfo=None)
        found = (due for one in _walls(self.cron, wall) if (due := _instant_of(one, self.zone)) is not None)
        return next(due for due in found if due > instant)

    def before(self, instant: datetime) -> datetime:
        """The last due instant (UTC) that is not later than the aware `instant`."""
        wall = instant.astimezone(calendar.zone(self.zone)).replace(tzinfo=None) + _AMBIGUOUS
        found = (due for one in _walls(self.cron, wall, back=True) if (due := _instant_of(one, self.zone)) is not None)
        return next(due for due in found if due <= instant)

    @property
    def daily_at(self) -> time | None:
        """The time of day, where the expression is one time on every day."""
        found = _DAILY.fullmatch(self.cron.strip())
        return time(int(found[2]), int(found[1])) if found else None


@dataclass(frozen=True)
class Quiet:
    """From one minute of the day until another, perhaps of the next, as the clocks of a zone show them: on the days
    when those are turned, quiet hours are an hour longer or shorter."""

    since: int
    until: int
    zone: str

    def at(self, now: datetime) -> bool:
        return self.covers(now.astimezone(calendar.zone(self.zone)).time())

    def covers(self, clock: time) -> bool:
        """Whether they hold when clocks show this."""
        minute = clock.hour * 60 + clock.minute
        if self.since < self.until:
            return self.since <= minute < self.until
        return minute >= self.since or minute < self.until

    def ends(self, now: datetime) -> datetime:
        """When they next end (UTC)."""
        return self._end.after(now)

    def holds(self, moment: datetime, now: datetime) -> bool:
        """Whether what came up at `moment` has to wait. What came up before the quiet hours last ended was to be told
        then; nobody did, as where only a run in the night looks: it is late already, and does not wait for ever."""
        return self.at(now) and self._end.before(now) <= moment <= now

    @property
    def end(self) -> time:
        return time(self.until // 60, self.until % 60)

    @property
    def _end(self) -> Timetable:
        return Timetable(cron=cron_of(self.end), zone=self.zone)

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.since, self.until))


def cron_of(at: time) -> str:
    """The expression for a time of every day."""
    return f"{at.minute} {at.hour} * * *"


def _walls(cron: str, wall: datetime, *, back: bool = False) -> Iterator[datetime]:
    """The times of the expression on a wall clock that nobody turns, from `wall` on."""
    from cronsim import CronSim, CronSimError

    if len(cron.split()) != 5:
        raise NeverDue(f"{len(cron.split())} fields instead of five: minute, hour, day, month, weekday")
    try:
        walls = CronSim(cron, wall.replace(fold=0), reverse=back)
    except CronSimError as error:
        raise NeverDue(str(error).lower().replace("bad ", "no ")) from None
    try:
        first = next(walls)
    except StopIteration:
        raise NeverDue("a day that never comes") from None
    yield first
    yield from walls


def _instant_of(wall: datetime, zone: str) -> datetime | None:
    """When the clocks of the zone show `wall`, the first time; right after the jump where they skip it; None on a
    day that the zone left out."""
    tz = calendar.zone(zone)
    instant = wall.replace(tzinfo=tz).astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) == wall:
        return instant
    if calendar.start_of(wall.date(), zone) == calendar.end_of(wall.date(), zone):
        return None
    return _first_after(wall, instant, zone)


def _first_after(wall: datetime, guess: datetime, zone: str) -> datetime:
    """The instant at which the clocks jump over `wall`, halved to the second."""
    tz = calendar.zone(zone)
    low, high = guess - _AMBIGUOUS, guess + _AMBIGUOUS
    while high - low > timedelta(seconds=1):
        middle = low + ((high - low) / 2 // timedelta(seconds=1)) * timedelta(seconds=1)
        if middle.astimezone(tz).replace(tzinfo=None) > wall:
            high = middle
        else:
            low = middle
    return high
