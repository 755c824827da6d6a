"""Days in the forms that people write, such as 08/31/2026, 31.8.2026 and Aug 31, 2026."""

from __future__ import annotations

import re
from datetime import date

_NAMES = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONTHS = tuple(name[:3].lower() for name in _NAMES)
_YEAR_FIRST = re.compile(r"(\d{4})(?:[-/.](\d{1,2}))?(?:[-/.](\d{1,2}))?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)")
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])\s*(\d{1,2})\2\s*(\d{4}|\d\d)")
_CLOCK = re.compile(r"(?i)(?<=\d)[T ]\s*\d{1,2}:\d\d.*")


def days_meant(written: object) -> tuple[date, ...]:
    """The days that a text in another form than 2026-08-31 can mean, the most probable one first.

    08/01/2026 is August 1, as in the USA, or January 8. A month or a year means its first day."""
    text = _CLOCK.sub("", str(written).strip())
    found = _COMPACT.fullmatch(text) or _YEAR_FIRST.fullmatch(text)
    if found:
        return _possible((found[1], found[2] or "1", found[3] or "1"))
    if found := _YEAR_LAST.fullmatch(text):
        first, mark, second, year = found.groups()
        orders = [(year, first, second), (year, second, first)]
        return _possible(*(orders if mark == "/" else reversed(orders)))
    return _with_month_name(text)


def day_in_words(day: date) -> str:
    """The day and month of a date, such as 8 January."""
    return f"{day.day} {_NAMES[day.month - 1]}"


def _with_month_name(text: str) -> tuple[date, ...]:
    words = [word.lower() for word in re.findall(r"[A-Za-z]+|\d+", text)]
    months = [_MONTHS.index(word[:3]) + 1 for word in words if word[:3] in _MONTHS]
    numbers = [word for word in words if word.isdigit()]
    if len(months) != 1 or not 1 <= len(numbers) <= 2:
        return ()
    days, years = [n for n in numbers if len(n) < 3], [n for n in numbers if len(n) == 4]
    return _possible((years[0], str(months[0]), days[0] if days else "1")) if len(years) == 1 else ()


def _possible(*orders: tuple[str, str, str]) -> tuple[date, ...]:
    found: dict[date, None] = {}
    for year, month, day in orders:
        full = int(year) if len(year) == 4 else 2000 + int(year)
        try:
            found[date(full, int(month), int(day))] = None
        except ValueError:
            continue
    return tuple(found)
