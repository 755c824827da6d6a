"""Days, weeks and months in a time zone, and the instants at which they begin. Pure: no clock.

A day is a calendar day of a zone; it may last 23, 23½, 24, 24½ or 25 hours, and in zones that crossed the
date line a day may not exist at all (its bounds are then equal).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MONTHS = {"month": 1, "quarter": 3, "year": 12}
"""Units of whole months, with their number of months."""
DAYS = {"day": 1, "week": 7}
"""Units of whole days, with their number of days."""
WEEKDAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SCOPES = ("day", "week", "month", "quarter", "year", "all")
ONE_DAY = timedelta(days=1)
_SURE_FIRST, _SURE_LAST = date.min + 3 * ONE_DAY, date.max - 3 * ONE_DAY
"""Between these days, datetime can represent every instant in every time zone."""


@functools.lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone `name`. Raises ZoneInfoNotFoundError or ValueError for an unknown name."""
    return ZoneInfo(name)


@functools.lru_cache(maxsize=20_000)
def start_of(day: date, zone_name: str) -> datetime:
    """The instant (UTC) at which `day` begins in the zone: from then on the local date is `day` or later."""
    tz = zone(zone_name)
    if not _SURE_FIRST <= day <= _SURE_LAST:  # an offset would leave the range of datetime
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    naive = datetime(day.year, day.month, day.day)
    candidates = [naive.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1)]
    guess, moment = min(candidates), timedelta(microseconds=1)
    latest = max(candidates)
    if latest.astimezone(tz).date() == day and (latest - moment).astimezone(tz).date() < day:
        return latest  # when a clock goes back over midnight, the hour before midnight comes twice
    if guess.astimezone(tz).date() == day and (guess - moment).astimezone(tz).date() < day:
        return guess
    return _first_instant_on(day, tz, guess)


def _first_instant_on(day: date, tz: ZoneInfo, guess: datetime) -> datetime:
    """The first instant of a day whose midnight does not exist or comes twice, by bisection."""
    low, high = guess - timedelta(hours=30), guess + timedelta(hours=30)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        middle = middle.replace(microsecond=0)
        if middle <= low:
            break
        if middle.astimezone(tz).date() >= day:
            high = middle
        else:
            low = middle
    return high


def end_of(day: date, zone_name: str) -> datetime:
    """The instant (UTC) at which `day` ends: the first that does not belong to it."""
    return start_of(plus_days(day, 1), zone_name)


def day_of(instant: datetime, zone_name: str) -> date:
    """The day an aware `instant` falls on in the zone."""
    return instant.astimezone(zone(zone_name)).date()


def last_closed_day(known_until: datetime, zone_name: str) -> date:
    """The latest day that has ended completely at `known_until` (aware)."""
    return day_of(known_until, zone_name) - ONE_DAY


def utc_text(instant: datetime) -> str:
    """An aware instant as text, in UTC to the second: 2026-03-02T00:00:00Z."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def plus_days(day: date, number: int) -> date:
    """The day `number` days later; earlier where it is negative. Stops at the first and last day of the calendar."""
    return date.fromordinal(min(max(day.toordinal() + number, date.min.toordinal()), date.max.toordinal()))


def months_before(day: date, months: int) -> date:
    """The same day of the month `months` months earlier, or that month's last day where the month is shorter.

    Stops at the first day of the calendar."""
    index = day.year * 12 + day.month - 1 - months
    if index < date.min.year * 12:
        return date.min
    start = date(index // 12, index % 12 + 1, 1)
    return min(start + (day.day - 1) * ONE_DAY, period_end(start, "month"))


def days(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included."""
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield date.fromordinal(ordinal)


def period_start(day: date, scope: str, week_starts: int = 0, first: date | None = None) -> date:
    """The first day of the `scope`-sized period that contains `day`; for scope all it is `first`.

    `week_starts` counts from 0, Monday."""
    match scope:
        case "day":
            return day
        case "week":
            return plus_days(day, -((day.weekday() - week_starts) % 7))
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case "year":
            return day.replace(month=1, day=1)
        case "all":
            return first or day
    raise ValueError(f"no scope {scope!r}")


def next_period(start: date, scope: str) -> date:
    """The first day after the period of `scope` that begins on `start`. Not for scope all."""
    match scope:
        case "day":
            return start + ONE_DAY
        case "week":
            return start + timedelta(days=7)
        case "month":
            return _plus_months(start, 1)
        case "quarter":
            return _plus_months(start, 3)
        case "year":
            return _plus_months(start, 12)
    raise ValueError(f"scope {scope!r} has no next period")


def period_end(start: date, scope: str) -> date:
    """The last day of the period of `scope` that begins on `start`, at most the last day of the calendar."""
    try:
        return next_period(start, scope) - ONE_DAY
    except (OverflowError, ValueError):
        if scope not in SCOPES or scope == "all":
            raise
        return date.max


def _plus_months(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def periods(first: date, last: date, scope: str, week_starts: int = 0) -> list[tuple[date, date]]:
    """(first day, last day) of every period that overlaps first..last, in order. For scope all: the range."""
    if scope == "all":
        return [(first, last)]
    bounds = []
    start = period_start(first, scope, week_starts)
    while True:
        end = period_end(start, scope)
        bounds.append((start, end))
        if end >= last:
            return bounds
        start = end + ONE_DAY


def stretches(some_days: Iterable[date]) -> list[tuple[date, date]]:
    """Stretches of consecutive days: (first, last) of each, in order."""
    merged: list[tuple[date, date]] = []
    for day in sorted(set(some_days)):
        if merged and merged[-1][1] + ONE_DAY == day:
            merged[-1] = (merged[-1][0], day)
        else:
            merged.append((day, day))
    return merged


def merge_stretches(several: Iterable[tuple[date, date]]) -> list[tuple[date, date]]:
    """The fewest stretches that contain the same days, in order. Both ends of a stretch are included."""
    merged: list[tuple[date, date]] = []
    for first, last in sorted(several):
        if merged and first <= merged[-1][1] + ONE_DAY:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def subtract_stretches(
    several: Iterable[tuple[date, date]], taken: Iterable[tuple[date, date]]
) -> list[tuple[date, date]]:
    """The days of `several` that are in none of the stretches `taken`, as the fewest stretches, in order."""
    left = merge_stretches(several)
    for first, last in merge_stretches(taken):
        pieces = [[(a, min(b, first - ONE_DAY)), (max(a, last + ONE_DAY), b)] for a, b in left]
        left = [(a, b) for pair in pieces for a, b in pair if a <= b]
    return merge_stretches(left)


_SPAN = re.compile(r"^\s*(\d{1,12})\s*(d|days?|w|weeks?|m|months?|q|quarters?|y|years?)\s*$", re.IGNORECASE)


def parse_span(text: str) -> tuple[int, str]:
    """The number and unit of a span: '12 weeks' → (12, 'week'). Raises ValueError with the expected form."""
    match = _SPAN.match(text)
    if not match or int(match[1]) < 1:
        raise ValueError(
            f"{text!r} is not a span: expected a number and days, weeks, months, quarters or years, such as '12 weeks'"
        )
    unit = {"d": "day", "w": "week", "m": "month", "q": "quarter", "y": "year"}[match[2][0].lower()]
    return int(match[1]), unit


def last_span(text: str, until: date, week_starts: int = 0) -> tuple[date, date]:
    """(first day, last day) of the span `text` that ends on `until`, from the start of its first period.

    '12 weeks' is the week of `until` and the eleven before it. Stops at the first day of the calendar."""
    number, unit = parse_span(text)
    start = period_start(until, unit, week_starts)
    if unit in MONTHS:
        return months_before(start, (number - 1) * MONTHS[unit]), until
    return plus_days(start, -(number - 1) * DAYS[unit]), until


@dataclass(frozen=True, kw_only=True)
class Period:
    """A half-open range of days, the argument of a Python metric: `start` belongs to it, `end` does not.

    `from_utc` and `until_utc` are the instants of its bounds in the book's zone."""

    start: date
    end: date
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"period ends {self.end}, not after its start {self.start}")

    @property
    def from_utc(self) -> datetime:
        """The instant at which it begins."""
        return start_of(self.start, self.zone)

    @property
    def until_utc(self) -> datetime:
        """The instant at which it ends: the first that does not belong to it."""
        return start_of(self.end, self.zone)
