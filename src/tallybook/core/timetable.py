"""Cron schedules and quiet hours, by the wall clock of a time zone. Pure: no clock.

A time that the clock skips is due once, at the first moment after the jump. A time that occurs twice is due only the
first time. So a daily expression is due exactly once on each day of the zone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from tallybook.core import calendar

_AMBIGUOUS = timedelta(hours=26)
"""The largest shift of any time zone: the maximum distance back to an instant whose wall-clock time is still ahead."""
_DAILY = re.compile(r"(\d{1,2})\s+(\d{1,2})\s+\*\s+\*\s+\*")


class NeverDue(ValueError):
    """A text is not a cron expression, or is never due."""


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """A cron expression of five fields (minute, hour, day, month, weekday) in a zone.

    Raises NeverDue for an invalid expression."""

    cron: str
    zone: str

    def __post_init__(self) -> None:
        next(_walls(self.cron, datetime(2000, 1, 1)))

    def after(self, instant: datetime) -> datetime:
        """The first due instant (UTC) later than the aware `instant`."""
        wall = instant.astimezone(calendar.zone(self.zone)).replace(tzinfo=None)
        dues = (due for time in _walls(self.cron, wall) if (due := _instant_of(time, self.zone)) is not None)
        return next(due for due in dues if due > instant)

    def before(self, instant: datetime) -> datetime:
        """The last due instant (UTC) that is not later than the aware `instant`."""
        wall = instant.astimezone(calendar.zone(self.zone)).replace(tzinfo=None) + _AMBIGUOUS
        walls = _walls(self.cron, wall, back=True)
        dues = (due for time in walls if (due := _instant_of(time, self.zone)) is not None)
        return next(due for due in dues if due <= instant)

    @property
    def daily_at(self) -> time | None:
        """The time of day if the expression is due once a day, every day; else None."""
        match = _DAILY.fullmatch(self.cron.strip())
        return time(int(match[2]), int(match[1])) if match else None


@dataclass(frozen=True)
class QuietHours:
    """Hours without alerts: from minute `since` of the day until minute `until`, perhaps of the next day.

    They follow the wall clock of the zone, so they are an hour longer or shorter when the clock changes."""

    since: int
    until: int
    zone: str

    def at(self, now: datetime) -> bool:
        """Whether `now` is within the quiet hours."""
        return self.covers(now.astimezone(calendar.zone(self.zone)).time())

    def covers(self, clock: time) -> bool:
        """Whether a wall-clock time is within the quiet hours."""
        minute = clock.hour * 60 + clock.minute
        if self.since < self.until:
            return self.since <= minute < self.until
        return minute >= self.since or minute < self.until

    def ends(self, now: datetime) -> datetime:
        """The instant (UTC) at which they next end."""
        return self._end.after(now)

    def defers(self, moment: datetime, now: datetime) -> bool:
        """Whether an alert from `moment` has to wait at `now`.

        An alert from before the last end of the quiet hours is overdue and is sent at once. Without this rule it
        would wait forever if only a nightly run checks for alerts."""
        return self.at(now) and self._end.before(now) <= moment <= now

    @property
    def end(self) -> time:
        """The time of day at which they end."""
        return time(self.until // 60, self.until % 60)

    @property
    def _end(self) -> Timetable:
        return Timetable(cron=cron_of(self.end), zone=self.zone)

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.since, self.until))


def cron_of(at: time) -> str:
    """The cron expression for one time on every day."""
    return f"{at.minute} {at.hour} * * *"


def _walls(cron: str, wall: datetime, *, back: bool = False) -> Iterator[datetime]:
    """The times of the expression on a wall clock without shifts, from `wall` on."""
    from cronsim import CronSim, CronSimError

    if len(cron.split()) != 5:
        raise NeverDue(f"{len(cron.split())} fields; expected five: minute, hour, day, month, weekday")
    try:
        walls = CronSim(cron, wall.replace(fold=0), reverse=back)
    except CronSimError as error:
        raise NeverDue(str(error).lower().replace("bad ", "no ")) from None
    try:
        first = next(walls)
    except StopIteration:
        raise NeverDue("it names a day that does not exist") from None
    yield first
    yield from walls


def _instant_of(wall: datetime, zone: str) -> datetime | None:
    """The first instant at which clocks of the zone show `wall`, or the end of the jump that skips it.

    None on a day that the zone skipped."""
    tz = calendar.zone(zone)
    instant = wall.replace(tzinfo=tz).astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) == wall:
        return instant
    if calendar.start_of(wall.date(), zone) == calendar.end_of(wall.date(), zone):
        return None
    return _first_after(wall, instant, zone)


def _first_after(wall: datetime, guess: datetime, zone: str) -> datetime:
    """The instant of the clock change that skips `wall`, to the second, by bisection."""
    tz = calendar.zone(zone)
    low, high = guess - _AMBIGUOUS, guess + _AMBIGUOUS
    while high - low > timedelta(seconds=1):
        middle = low + ((high - low) / 2 // timedelta(seconds=1)) * timedelta(seconds=1)
        if middle.astimezone(tz).replace(tzinfo=None) > wall:
            high = middle
        else:
            low = middle
    return high
