"""Readers of days, times, spans and schedules. Each returns the value, or raises `Wrong`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time

from tallybook.config.catalog.values import Wrong, read_text
from tallybook.core import ONE_DAY, NeverDue, Timetable, calendar, cron_of, months_before

_A_DAY = 'a day such as "2023-01-31"'


def read_day(value: object) -> date:
    """A calendar day."""
    if isinstance(value, datetime):
        raise Wrong("is an instant, not a day", expected="a day", instead=value.date().isoformat())
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value.strip()):
        try:
            value = date.fromisoformat(value.strip())
        except ValueError:
            raise Wrong("is not a day of the calendar", expected=_A_DAY, instead=_end_of_month(str(value))) from None
    if not isinstance(value, date):
        from tallybook.core import days_meant

        meant = days_meant(value)
        instead = meant[0].isoformat() if meant else None
        raise Wrong("is not a day", expected=_A_DAY, instead=instead, hint=_other_day(meant))
    if not 1900 <= value.year <= 2200:
        raise Wrong("is out of range", expected="a day between 1900 and 2200")
    return value


def _end_of_month(text: str) -> str | None:
    """The last day of the month, if the text is a 29th, 30th or 31st that the month does not have."""
    year, month, day = map(int, text.strip().split("-"))
    if not (year and 1 <= month <= 12 and 28 < day <= 31):
        return None
    return (months_before(date(year, month, 1), -1) - ONE_DAY).isoformat()


def _other_day(meant: Sequence[date]) -> str:
    """A hint with the other reading of a date such as 08/01/2026, if its day comes first."""
    if len(meant) < 2:
        return ""
    from tallybook.core import day_in_words

    first, second = meant[:2]
    return f"that is {day_in_words(first)}; {day_in_words(second)} is {second.isoformat()}"


_SPAN = re.compile(r"(\d{1,9})\s*([a-z]+)")
_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400),
}
_MAX_SPAN_SECONDS = 36_500 * 86_400


def span_from(low: int, unit: str) -> Callable[[object], float]:
    """Create a reader of a span in seconds. `unit`: the probable unit of a bare number."""

    def read(value: object) -> float:
        found = _SPAN.fullmatch(value.strip().lower()) if isinstance(value, str) else None
        if not found or found[2] not in _UNITS:
            bare = re.fullmatch(r"\d{1,9}", str(value).strip()) and not isinstance(value, bool)
            meant = f"{value}{unit}" if bare else None
            raise Wrong("is not a span of time", expected="a number with s, m, h, d or w", instead=meant)
        seconds = int(found[1]) * _UNITS[found[2]]
        if not low <= seconds <= _MAX_SPAN_SECONDS:
            raise Wrong("is out of range", expected=f"a span from {low} seconds to a hundred years")
        return float(seconds)

    return read


def read_whole_days(value: object) -> int:
    """A span as a number of whole days."""
    seconds = span_from(0, "d")(value)
    if seconds % 86_400:
        days = int(seconds // 86_400) + 1
        raise Wrong("is not a number of whole days", expected="whole days", instead=f"{days}d")
    return int(seconds // 86_400)


def read_range_day(value: object) -> str:
    """A day as ISO text, "today" or "yesterday"."""
    return value if value in ("today", "yesterday") else read_day(value).isoformat()


def read_span(value: object) -> str:
    """A span of calendar periods, as text."""
    text = read_text(value)
    try:
        calendar.last_span(text, date(2024, 3, 1))
    except (ValueError, OverflowError) as error:
        bare = f"{text} days" if text.isdigit() else None
        raise Wrong(
            "is not a span of time", expected='a span such as "90 days"', instead=bare, hint=str(error)
        ) from None
    return text


_CLOCK = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d)(?::00)?")
_HOURS = re.compile(rf"{_CLOCK.pattern}\s*(?:-|–|to)\s*{_CLOCK.pattern}")


def read_quiet(value: object) -> tuple[int, int]:
    """(first minute, end minute) of the day. The end may be on the next day."""
    found = _HOURS.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Wrong("is not two times of day", expected='two times of day such as "22:00-07:00"')
    since, until = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if since == until:
        raise Wrong(
            "starts and ends at the same time", expected="two different times; to send nothing at all, leave `to` out"
        )
    return since, until


def whole_days_from(low: int, high: int) -> Callable[[object], int]:
    """Create a reader of a number of whole days in a range."""

    def read(value: object) -> int:
        days = read_whole_days(value)
        if not low <= days <= high:
            raise Wrong("is out of range", expected=f"from {low} to {high} days")
        return days

    return read


def read_time_of_day(value: object) -> str:
    """A time of every day, converted to a cron expression."""
    if isinstance(value, time):
        value = value.isoformat(timespec="minutes")
    found = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Wrong("is not a time of day", expected='hours and minutes such as "03:30"')
    return cron_of(time(int(found[1]), int(found[2])))


def read_cron(value: object) -> str:
    """A cron expression with five fields."""
    text = " ".join(read_text(value).split())
    try:
        Timetable(cron=text, zone="UTC")
    except NeverDue as error:
        expected = "five fields: minute, hour, day of the month, month, weekday"
        raise Wrong(f"is not a cron expression: {error}", expected=expected) from None
    return text


_HISTORY = re.compile(r"\s*(\d{1,4})\s*(d|w|m|y|days?|weeks?|months?|years?)\s*")
_DAYS_OF = {"d": 1, "w": 7, "m": 30, "y": 365}


def read_history(value: object) -> int:
    """A span such as "2y" or "18 months", in days."""
    found = _HISTORY.fullmatch(str(value))
    if found is None or not isinstance(value, str):
        raise Wrong("is not a span of time", expected='a number with d, w, m or y, such as "2y"')
    return int(found[1]) * _DAYS_OF[found[2][0]]


_MOST_DAYS_OF = {"d": 1, "w": 7, "m": 31, "y": 366}
_MIN_KEPT_DAYS, _MAX_KEPT_DAYS = 31, 36_600


def read_kept_days(value: object) -> int:
    """A span such as "36 months" in days, with the longest length of each unit: 31 days a month, 366 a year."""
    found = _HISTORY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Wrong("is not a span of time", expected='a number of days, weeks, months or years, such as "36 months"')
    days = int(found[1]) * _MOST_DAYS_OF[found[2][0]]
    if not _MIN_KEPT_DAYS <= days <= _MAX_KEPT_DAYS:
        raise Wrong("is out of range", expected="from 31 days to 100 years")
    return days
