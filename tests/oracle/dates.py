"""Which days a comparison or a window is about, worked out from the words of docs/querying.md alone."""

from __future__ import annotations

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

UNITS = {"day": 1, "week": 7}
MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Days:
    """The days from `first` to `last`, both included; not kept one by one, because there may be a million."""

    first: date
    last: date

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __iter__(self) -> Iterator[date]:
        return (date.fromordinal(n) for n in range(self.first.toordinal(), self.last.toordinal() + 1))

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last


@dataclass(frozen=True)
class SomeDays(Days):
    """Those days from `first` to `last` that are of some weekdays; Monday is 0. Both ends are of them."""

    weekdays: frozenset[int]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[date]:
        return (day for day in Days(self.first, self.last) if day.weekday() in self.weekdays)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last and day.weekday() in self.weekdays


def of_weekdays(days: Days, weekdays: frozenset[int]) -> SomeDays | None:
    """The days of some weekdays; None where there is none."""
    near = list(Days(days.first, min(days.last, date.fromordinal(days.first.toordinal() + 6))))
    far = list(Days(max(days.first, days_before(days.last, 6)), days.last))
    first = next((day for day in near if day.weekday() in weekdays), None)
    last = next((day for day in reversed(far) if day.weekday() in weekdays), None)
    return None if first is None or last is None else SomeDays(first, last, weekdays)


# --- fiscal calendars ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fiscal:
    """A fiscal calendar: the number of its first month, and the weeks of the months of a quarter ("": calendar months).

    `weekday`: the day on which years of weeks begin."""

    month: int
    weeks: str = ""
    weekday: int = 0

    def moves(self, scope: str) -> bool:
        return scope in ("quarter", "year") or (scope == "month" and bool(self.weeks))


@cache
def fiscal_months(fiscal: Fiscal) -> list[date]:
    """The first days of all fiscal months from 1900 to 2200, in order, beginning with a year."""
    found = []
    for year in range(1900, 2201):
        start = fiscal_year(fiscal, year)
        for number in range(12):
            found.append(start)
            weeks = [int(n) for n in fiscal.weeks.split("-")] * 4 if fiscal.weeks else []
            start = start + timedelta(weeks=weeks[number]) if weeks else _next_month(start)
    return found


def fiscal_year(fiscal: Fiscal, year: int) -> date:
    """The first day of the fiscal year that begins around that month of a calendar year."""
    first = date(year, fiscal.month, 1)
    if not fiscal.weeks:
        return first
    near = [first + timedelta(days=number) for number in range(-3, 4)]
    return next(day for day in near if day.weekday() == fiscal.weekday)


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def fiscal_place(day: date, scope: str, fiscal: Fiscal) -> tuple[list[date], int]:
    """(the first days of all periods of `scope`, the place of the one that contains `day`)."""
    starts = fiscal_months(fiscal)[:: MONTHS[scope]]
    return starts, bisect_right(starts, day) - 1


def fiscal_start(day: date, scope: str, fiscal: Fiscal) -> date | None:
    """The first day of the period of `scope` that contains `day`; None where that is too far away to say."""
    starts, place = fiscal_place(day, scope, fiscal)
    return starts[place] if 0 <= place < len(starts) - 1 else None


def week_before(day: date, fiscal: Fiscal) -> date | None:
    """The same week and weekday of the fiscal year before; None for a week 53 without one."""
    years, place = fiscal_place(day, "year", fiscal)
    then = years[place - 1] + (day - years[place])
    return then if then < years[place] else None


def fiscal_corresponding(day: date, scope: str, back: int, fiscal: Fiscal) -> date:
    """The day as far into the period `back` periods earlier; last days correspond, and so does what is beyond them."""
    starts, place = fiscal_place(day, scope, fiscal)
    end, other_end = (starts[number + 1] - timedelta(days=1) for number in (place, place - back))
    return other_end if day == end else min(starts[place - back] + (day - starts[place]), other_end)


def fiscal_compared(text: str, scope: str, first: date, last: date, fiscal: Fiscal) -> tuple[date, date] | str | None:
    """The days that `first` to `last` are compared with in years of weeks; None where there is no such week; "" where
    the calendar has no part in it."""
    if scope in UNITS:
        if text != "year":
            return ""
        begin, end = week_before(first, fiscal), week_before(last, fiscal)
        return None if begin is None or end is None else (begin, end)
    if scope == "all":
        unit, back = "month", 12 if text == "year" else 0
    else:
        months = {"previous": MONTHS[scope], "year": 12}.get(text) or span_of(text)[1]
        unit, back = scope, months // MONTHS[scope]
    if not back:
        return ""
    return fiscal_corresponding(first, unit, back, fiscal), fiscal_corresponding(last, unit, back, fiscal)


def days_before(day: date, number: int) -> date:
    """So many days earlier, at most at the first day of the calendar."""
    return date.fromordinal(max(day.toordinal() - number, 1))


def same_day(day: date, months: int) -> date:
    """The same day so many months earlier, at most that month's last day."""
    years, month = divmod(day.month - 1 - months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1])) if year > 0 else date.min


def corresponding(day: date, months: int) -> date:
    """As `same_day`, but the last day of a month corresponds to the last day of the other."""
    then = same_day(day, months)
    ends = day.day == monthrange(day.year, day.month)[1] and then != date.min
    return then.replace(day=monthrange(then.year, then.month)[1]) if ends else then


def span_of(text: str) -> tuple[int, int]:
    """(days, months) of a span such as "2 months"; one of the two is 0."""
    number, unit = text.split()
    unit = unit.removesuffix("s")
    return (int(number) * UNITS[unit], 0) if unit in UNITS else (0, int(number) * MONTHS[unit])


def shift_of(text: str, scope: str, length: int) -> tuple[int, int]:
    """(days, months) back to what a period of `scope` is compared with; `length`: the days of the range."""
    if text == "previous":
        if scope == "all":
            return length, 0
        return (UNITS[scope], 0) if scope in UNITS else (0, MONTHS[scope])
    if text == "year":
        return (364, 0) if scope in UNITS else (0, 12)
    return span_of(text)


def meets(text: str, scope: str) -> bool:
    """Whether a period of `scope`, so far back, is a period."""
    days, months = shift_of(text, scope, 1)
    if scope in ("day", "all"):
        return True
    return not months and days % 7 == 0 if scope == "week" else not days and months % MONTHS[scope] == 0


def compared_days(text: str, scope: str, first: date, last: date) -> tuple[date, date]:
    """The days that `first` to `last` are compared with: both ends by the same rule."""
    days, months = shift_of(text, scope, (last - first).days + 1)
    if months:
        return corresponding(first, months), corresponding(last, months)
    return days_before(first, days), days_before(last, days)


def window_start(window: str, last: date, weekday: int, earliest: date | None, fiscal: Fiscal | None = None) -> date:
    """The first day of the window that ends with `last`; `weekday`: the day weeks begin on, Monday is 0."""
    if window == "all":
        return min(earliest or last, last)
    if window.endswith(" to date"):
        unit = window.removesuffix(" to date")
        if fiscal is not None and fiscal.moves(unit):
            return fiscal_start(last, unit, fiscal) or last
        starts = {
            "week": days_before(last, (last.weekday() - weekday) % 7),
            "month": last.replace(day=1),
            "quarter": last.replace(month=(last.month - 1) // 3 * 3 + 1, day=1),
            "year": last.replace(month=1, day=1),
        }
        return starts[unit]
    days, months = span_of(window)
    if not months:
        return days_before(last, days - 1)
    same = same_day(last, months)
    return same if same == date.max else date.fromordinal(same.toordinal() + 1)
