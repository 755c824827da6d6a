"""The hours in which nobody wants to hear."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time

from tallybook import calendar
from tallybook.timetable import Timetable, cron_of


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
        return self.at(now) and moment >= self._end.before(now)

    @property
    def end(self) -> time:
        return time(self.until // 60, self.until % 60)

    @property
    def _end(self) -> Timetable:
        return Timetable(cron=cron_of(self.end), zone=self.zone)

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.since, self.until))
