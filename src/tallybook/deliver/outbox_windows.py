"""The ranges of days that the items of a delivery are read in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from tallybook.core import ONE_DAY, BookCalendar, Delivery

DAYS_AT_ONCE = 31
"""Days that are read together."""


@dataclass(frozen=True, kw_only=True)
class QuestionWindow:
    """The days `first` to `last` are asked for; periods that begin on `begin` to `end` are used."""

    first: date
    last: date
    begin: date
    end: date

    def contains(self, period: str) -> bool:
        """Whether a period, by its first day, is used."""
        return str(self.begin) <= period <= str(self.end)


def windows(
    first: date, last: date, delivery: Delivery, periods: BookCalendar, yesterday: date
) -> Iterator[QuestionWindow]:
    """The windows of a stretch of days, in order.

    With `fill` the rows of a period depend on which series are in the range that is asked for. There a period is always
    read in the same range, whatever else is planned: a day in its month and the month before, any longer period in its
    year. Otherwise a zero that was sent before would look new and be sent again."""
    if not delivery.fill or delivery.scope == "all":
        yield from _pieces(first, last, DAYS_AT_ONCE if delivery.scope == "day" else None)
        return
    day = first
    while day <= last:
        begin, end = _two_months(day) if delivery.scope == "day" else _year(day, delivery.scope, periods)
        yield QuestionWindow(first=begin, last=max(min(end, yesterday), min(end, last)), begin=day, end=min(end, last))
        day = end + ONE_DAY


def _pieces(first: date, last: date, days: int | None) -> Iterator[QuestionWindow]:
    day = first
    while day <= last:
        end = last if days is None else min(last, day + timedelta(days=days - 1))
        yield QuestionWindow(first=day, last=end, begin=day, end=end)
        day = end + ONE_DAY


def _two_months(day: date) -> tuple[date, date]:
    """The month of a day, with the one before it, so that a series is there on the first day of a month too."""
    begin = day.replace(day=1)
    return (begin - ONE_DAY).replace(day=1), (begin + timedelta(days=31)).replace(day=1) - ONE_DAY


def _year(day: date, scope: str, periods: BookCalendar) -> tuple[date, date]:
    """The periods that begin in the calendar year of the one that contains the day."""
    year = periods.period_start(day, scope).year
    begin = periods.period_start(date(year, 1, 1), scope)
    begin = begin if begin.year == year else periods.period_end(begin, scope) + ONE_DAY
    following = periods.period_start(date(year + 1, 1, 1), scope)
    end = following if following.year > year else periods.period_end(following, scope) + ONE_DAY
    return begin, end - ONE_DAY
