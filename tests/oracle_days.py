"""Which days a comparison or a window is about, worked out from the words of docs/querying.md alone."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

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


def window_start(window: str, last: date, weekday: int, earliest: date | None) -> date:
    """The first day of the window that ends with `last`; `weekday`: the day weeks begin on, Monday is 0."""
    if window == "all":
        return min(earliest or last, last)
    if window.endswith(" to date"):
        unit = window.removesuffix(" to date")
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
