"""Parses the text typed into a cell: number, date, percentage, boolean, formula or text.

ValueInputOption at https://developers.google.com/workspace/sheets/api/reference/rest/v4/ValueInputOption; USER_ENTERED
follows the rules of the spreadsheet page in the spreadsheet's locale."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from typing import Any

from tallybook_emulators.sheets.errors import invalid
from tallybook_emulators.sheets.locales import Locale
from tallybook_emulators.sheets.model import CHARACTER_LIMIT

EPOCH = date(1899, 12, 30).toordinal()
TIME = re.compile(r"^(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?\s*(am|pm)?$", re.IGNORECASE)
DURATION_LIMIT = 24

Entered = tuple[dict[str, Any] | None, dict[str, str] | None]
"""An ExtendedValue (None clears the cell) and the number format that the text implies."""


def serial(moment: date | datetime) -> float:
    """Days since 1899-12-30, as spreadsheets count them."""
    days = moment.toordinal() - EPOCH
    if isinstance(moment, datetime):
        seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
        return days + seconds / 86400
    return float(days)


def raw(value: Any) -> Entered:
    """The cell value for an item of a ValueRange, unparsed (RAW)."""
    if isinstance(value, bool):
        return {"boolValue": value}, None
    if isinstance(value, int | float):
        # Numbers are doubles: integers beyond 2^53 lose their last digits, as at Google.
        return {"numberValue": float(value) if abs(value) > 2**53 else value}, None
    if value == "":
        return None, None
    return {"stringValue": checked(str(value))}, None


def checked(text: str) -> str:
    if len(text) > CHARACTER_LIMIT:
        raise invalid(f"Your input contains more than the maximum of {CHARACTER_LIMIT} characters in a single cell.")
    return text


def typed(value: Any, of: Locale, today: date, *, as_text: bool = False) -> Entered:
    """The cell value for a text that a person types (USER_ENTERED). `as_text`: the format of the cell is text."""
    if not isinstance(value, str) or value == "":
        return raw(value)
    text = checked(value)
    if text.startswith("'"):
        return {"stringValue": text[1:]}, None
    if text.startswith("=") and len(text) > 1:
        return {"formulaValue": text}, None
    if as_text:
        return {"stringValue": text}, None
    return _guessed(text.strip(), of, today) or ({"stringValue": text}, None)


def _guessed(text: str, of: Locale, today: date) -> Entered | None:
    if text.upper() in ("TRUE", of.true):
        return {"boolValue": True}, None
    if text.upper() in ("FALSE", of.false):
        return {"boolValue": False}, None
    return _number(text, of) or _moment(text, of, today)


def _number(text: str, of: Locale) -> Entered | None:
    for mark, kind in (("%", "PERCENT"), (of.currency, "CURRENCY")):
        if mark in text and (bare := text.replace(mark, "", 1).strip()) and _placed(text, mark, kind):
            if (number := plain_number(bare, of)) is None:
                return None
            if kind == "CURRENCY":
                return {"numberValue": number}, {"type": kind, "pattern": of.currency_pattern}
            pattern = "0.00%" if of.decimal in bare else "0%"
            return {"numberValue": number / 100}, {"type": kind, "pattern": pattern}
    if (number := plain_number(text, of)) is None:
        return None
    if "e" in text.lower():
        return {"numberValue": number}, {"type": "SCIENTIFIC", "pattern": "0.00E+00"}
    grouped = {"type": "NUMBER", "pattern": "#,##0.00" if of.decimal in text else "#,##0"}
    return {"numberValue": number}, grouped if of.thousands in text else None


def _placed(text: str, mark: str, kind: str) -> bool:
    bare = text.lstrip("+-")
    return bare.endswith(mark) or (kind == "CURRENCY" and bare.startswith(mark))


def plain_number(text: str, of: Locale) -> float | None:
    """The number of a text with the locale's separators. None for any other text."""
    decimal, thousands = re.escape(of.decimal), re.escape(of.thousands)
    whole = rf"(?:\d{{1,3}}(?:{thousands}\d{{3}})+|\d+)"
    if not re.fullmatch(rf"[+-]?(?:{whole}(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?", text):
        return None
    number = float(text.replace(of.thousands, "").replace(of.decimal, "."))
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _moment(text: str, of: Locale, today: date) -> Entered | None:
    clock = _clock(text)
    if clock is not None:
        return {"numberValue": clock}, {"type": "TIME", "pattern": of.time}
    head, _, tail = text.partition(" ")
    day = _day(text, of, today)
    if day:
        return {"numberValue": serial(day[0])}, {"type": "DATE", "pattern": day[1]}
    while tail:
        day, clock = _day(head, of, today), _clock(tail)
        if day and clock is not None:
            return {"numberValue": serial(day[0]) + clock}, {"type": "DATE_TIME", "pattern": f"{day[1]} {of.time}"}
        more, _, tail = tail.partition(" ")
        head = f"{head} {more}"
    return None


def _clock(text: str) -> float | None:
    """A time of day as a fraction of a day."""
    match = TIME.match(text)
    if not match:
        return None
    hour, minute, second = int(match[1]), int(match[2]), float(match[3] or 0)
    if match[4]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[4].lower() == "pm" else 0)
    if hour >= DURATION_LIMIT or minute > 59 or second >= 60:
        return None
    return (hour * 3600 + minute * 60 + second) / 86400


def _day(text: str, of: Locale, today: date) -> tuple[date, str] | None:
    """A date, and the pattern that formats it as it was typed."""
    if match := re.fullmatch(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})", text):
        mark = match[2]
        return _dated(int(match[1]), int(match[3]), int(match[4]), f"yyyy{mark}mm{mark}dd")
    marks = re.escape(of.date_marks)
    if match := re.fullmatch(rf"(\d{{1,2}})([{marks}])(\d{{1,2}})(?:\2(\d{{4}}|\d{{2}}))?", text):
        first, second = int(match[1]), int(match[3])
        month, day = (first, second) if of.order == "mdy" else (second, first)
        year = today.year if match[4] is None else _century(int(match[4]))
        return _dated(year, month, day, of.date)
    return _named_day(text, of, today)


def _named_day(text: str, of: Locale, today: date) -> tuple[date, str] | None:
    words = re.fullmatch(r"(\d{1,2})\.?\s+([^\W\d]+)\.?,?(?:\s+(\d{4}))?", text)
    if words:
        day, name, year = int(words[1]), words[2], words[3]
    elif words := re.fullmatch(r"([^\W\d]+)\.?\s+(\d{1,2})(?:,?\s+(\d{4}))?", text):
        name, day, year = words[1], int(words[2]), words[3]
    else:
        return None
    months = [m for m, full in enumerate(of.months, 1) if len(name) >= 3 and full.lower().startswith(name.lower())]
    if len(months) != 1:
        return None
    return _dated(
        int(year) if year else today.year, months[0], day, "mmm d, yyyy" if of.order == "mdy" else "d mmm yyyy"
    )


def _century(year: int) -> int:
    return year if year >= 100 else year + (2000 if year < 30 else 1900)


def _dated(year: int, month: int, day: int, pattern: str) -> tuple[date, str] | None:
    try:
        return date(year, month, day), pattern
    except ValueError:
        return None
