"""When things happen at the demo's company: office hours in Berlin, given as naive UTC."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# How busy each local hour is; machines call at night too.
HOURS = (3, 2, 2, 2, 2, 3, 6, 14, 30, 42, 46, 44, 30, 36, 44, 42, 36, 26, 16, 12, 9, 7, 5, 4)
# Monday to Sunday.
WEEKDAYS = (0.98, 1.04, 1.05, 1.02, 0.88, 0.30, 0.24)
# Month and day; the week from Christmas to New Year is even quieter.
HOLIDAYS = {(1, 1), (1, 6), (5, 1), (10, 3), (11, 1), (12, 24), (12, 25), (12, 26), (12, 31)}
MONTHS = {7: 0.92, 8: 0.84, 12: 0.95}


class Workday:
    """One local day: its 23, 24 or 25 hours as UTC instants, and how busy it is."""

    def __init__(self, day: date) -> None:
        self.day = day
        self.start = midnight(day)
        self.end = midnight(day + DAY)
        self.hours = [self.start + n * HOUR for n in range((self.end - self.start) // HOUR)]
        self.weights = list(accumulate(HOURS[local(hour).hour] for hour in self.hours))
        self.bustle = bustle(day)

    def moment(self, rng: Random) -> datetime:
        """A random instant of the day, more likely in office hours; naive UTC, whole seconds."""
        hour = rng.choices(self.hours, cum_weights=self.weights)[0]
        return hour + timedelta(seconds=int(rng.random() * 3600))


def midnight(day: date) -> datetime:
    """The instant `day` begins in Berlin, as naive UTC."""
    return datetime.combine(day, time(), ZONE).astimezone(UTC).replace(tzinfo=None)


def local(instant: datetime) -> datetime:
    """A naive UTC instant as Berlin's clock shows it."""
    return instant.replace(tzinfo=UTC).astimezone(ZONE)


def bustle(day: date) -> float:
    """How busy `day` is. 1.0 is an ordinary working day."""
    busy = WEEKDAYS[day.weekday()] * MONTHS.get(day.month, 1.0)
    if (day.month, day.day) in HOLIDAYS:
        busy = min(busy, 0.3)
    return busy * 0.6 if day.month == 12 and day.day >= 24 else busy


def days(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included."""
    return (first + n * DAY for n in range((last - first).days + 1))


def a_month_later(day: date) -> date:
    """The same day of the next month. The 28th for days that some months lack."""
    following = day.replace(day=1) + timedelta(days=31)
    return following.replace(day=min(day.day, 28))
