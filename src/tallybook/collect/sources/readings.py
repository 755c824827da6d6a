"""Possible readings of a value in a time column: numbers by their range, texts by their form. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

EPOCHS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
"""Units per second, by form."""
UNITS = {"epoch_s": "seconds", "epoch_ms": "milliseconds", "epoch_us": "microseconds", "epoch_ns": "nanoseconds"}
DIGITS = {"epoch_s": 10, "epoch_ms": 13, "epoch_us": 16, "epoch_ns": 19}
"""Number of digits of a time between 2001 and 2286, by form."""
YYYYMMDD = "yyyymmdd"
NUMBERS = (YYYYMMDD, *EPOCHS)
_PLAUSIBLE = date(1971, 1, 1), date(2200, 1, 1)
_NEVER = date(9999, 12, 31)
FIRST_POSSIBLE, LAST_POSSIBLE = date(1000, 1, 1), date(9999, 12, 29)
"""Days outside of this range are not times of facts: zero dates, years BC, infinity, and unset dates of programming
languages. Within it, offsets from UTC stay inside the calendar."""
_ZERO = re.compile(
    r"\s*|0000-00-00.*|0+(?:[T ]?0*)?|-?inf(?:inity)?|s?nan|.*\bBC\b.*|.*\(BC\).*", re.IGNORECASE | re.DOTALL
)
_DAY = re.compile(r"(\d{4,})-(\d\d)-(\d\d)(?:[T ].*)?", re.DOTALL | re.ASCII)


def number_of(day: date, form: str) -> int:
    """The number that `form` uses for the beginning of a day in UTC."""
    if form == YYYYMMDD:
        return int(f"{day:%Y%m%d}")
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * EPOCHS[form]


def plausible(form: str) -> tuple[int, int]:
    """The range of numbers that `form` reads as times from 1971 until before 2200. The ranges of two forms do not
    overlap."""
    first, last = _PLAUSIBLE
    return number_of(first, form), number_of(last, form)


def misread(form: str) -> Iterator[tuple[str, int, int]]:
    """(another form, from, before) for numbers that `form` reads as before 1971 or after 9999, and the other form reads
    as 1971 to 2200."""
    lowest, highest = number_of(_PLAUSIBLE[0], form), number_of(_NEVER, form)
    for other in NUMBERS:
        low, high = plausible(other)
        if other != form and low < lowest:
            yield other, low, min(high, lowest)
        elif other != form and high > highest:
            yield other, max(low, highest + EPOCHS.get(form, 0) * 86_400 + 1), high


def number_form(number: float | Decimal) -> str | None:
    """The value of `stored` for which a number is a plausible time, or None."""
    if not Decimal(number).is_finite():
        return None
    for form in NUMBERS:
        low, high = plausible(form)
        if low <= number < high and (form != YYYYMMDD or day_of_digits(f"{number:.0f}")):
            return form
    return None


def day_of_digits(text: str) -> date | None:
    """The day of digits such as 20260302."""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 else None
    except ValueError:
        return None


def digits(value: Any) -> Decimal | None:
    """The number in a value or in its text."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return number if (number := Decimal(value)).is_finite() else None
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return Decimal(text) if isinstance(text, str) and re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) else None


def is_unset(value: Any, form: str) -> bool:
    """Whether a value is one that programs write for a missing time: 0, or the last day of the calendar in this
    form."""
    number = digits(value)
    if number is None or form not in NUMBERS:
        return number == 0
    last = number_of(_NEVER, form)
    return number == 0 or last <= number <= last + EPOCHS.get(form, 0) * 86_400


def is_no_instant(value: Any) -> bool:
    """Whether a value is not an instant: empty text, a zero date, a day that its month does not have, infinity, NaN, or
    a day outside of FIRST_POSSIBLE to LAST_POSSIBLE."""
    if value is None:
        return True
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    if _ZERO.fullmatch(text):
        return True
    if re.fullmatch(r"\d{8}", text, re.ASCII):
        return day_of_digits(text) is None
    found = _DAY.fullmatch(text)
    if found is None:
        return False
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
    except (ValueError, OverflowError):
        return True
    return not FIRST_POSSIBLE <= day <= LAST_POSSIBLE
