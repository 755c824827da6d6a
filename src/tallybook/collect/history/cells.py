"""Reads columns of tables that people filled: days and numbers. Nothing is guessed: a value that can be read in two
ways is refused, with the option that decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Generic, TypeVar

T = TypeVar("T")
Cell = str | float | None
"""A cell as read: a text, the number in a workbook's cell, or nothing."""


class UnreadableCell(str):
    """A cell whose content is not known; the text says why."""

    __slots__ = ()


Column = Mapping[int, Cell]
"""Cells by line number."""


@dataclass
class Read(Generic[T]):
    """The values read from a column, by line, and the reason for each line that could not be read."""

    values: dict[int, T] = field(default_factory=dict)
    wrong: dict[int, str] = field(default_factory=dict)


def is_blank(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


# --- days ---------------------------------------------------------------------------------------------------

DMY, MDY = "dmy", "mdy"
_ISO = re.compile(r"(\d{4})([-/.]?)(\d{2})\2(\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|\+00:00)?)?")
_TWO_WAYS = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_SERIAL = re.compile(r"\d{5}(?:\.0+)?")
_LONGER = re.compile(r"\d{4}-(?:\d{2}|(?P<week>W\d{2})|(?P<quarter>Q[1-4]))")
_TOTALS = ("total", "totals", "grand total", "subtotal", "sum", "summe", "gesamt", "gesamtergebnis", "somme", "totale")
_FIRST_SERIAL, _LAST_SERIAL = 18_264, 73_050
"""1 January 1950 and 31 December 2099 as spreadsheets count days."""


def days_of(column: Column, order: str | None = None, *, from_1904: bool = False) -> Read[date]:
    """The days of a column. `order` (DMY or MDY) decides how 01/02/2024 is read. Without it, the column itself must
    make this clear."""
    found: Read[date] = Read()
    order = order or _order_of(column, found)
    for line, cell in column.items():
        if line in found.wrong:
            continue
        day = _day(cell, order, from_1904=from_1904)
        if isinstance(day, date):
            found.values[line] = day
        else:
            found.wrong[line] = day
    return found


def _day(cell: Cell, order: str | None, *, from_1904: bool) -> date | str:
    """A day, or the reason why the cell is not a day."""
    text = _text(cell)
    if isinstance(cell, UnreadableCell):
        return str(cell)
    if not text:
        return "no day"
    if isinstance(cell, float) or _SERIAL.fullmatch(text):
        return _serial(float(text), from_1904=from_1904)
    if found := _ISO.fullmatch(text):
        return _made(text, int(found[1]), int(found[3]), int(found[4]))
    if found := _TWO_WAYS.fullmatch(text):
        first, second = int(found[1]), int(found[3])
        if found[2] == "." or order == DMY:  # with dots the day comes first in every country that uses them
            return _made(text, int(found[4]), second, first)
        if order == MDY:
            return _made(text, int(found[4]), first, second)
        return f"{text!r} can be read as two days"
    if found := _LONGER.fullmatch(text):
        longer = "a week" if found["week"] else "a quarter" if found["quarter"] else "a month"
        return (
            f"{text!r} is {longer}; an import takes finished values of days, which no value of {longer} can be "
            "split into"
        )
    if text.casefold() in _TOTALS:
        return f"{text!r} is no day; lines of totals are left out with --ignore {text!r}"
    return f"{text!r} is no day; expected 2024-01-31 or 31.01.2024"


def _serial(number: float, *, from_1904: bool) -> date | str:
    """The day of a number that counts days from the end of 1899, as spreadsheets do, or from 1904."""
    days = number + (1462 if from_1904 else 0)
    if days != int(days):
        return f"{_instant(days) or f'{number:.15g}'} is an instant, not a day"
    if not _FIRST_SERIAL <= days <= _LAST_SERIAL:
        return f"{number:g} is no day; expected 2024-01-31 or 31.01.2024"
    return date(1899, 12, 30) + timedelta(days=int(days))


def _instant(days: float) -> str:
    """A spreadsheet number as the time that the spreadsheet shows; "" if it cannot be a time."""
    if not _FIRST_SERIAL <= days < _LAST_SERIAL + 1:
        return ""
    at = datetime(1899, 12, 30) + timedelta(seconds=round(days * 86_400))
    return f"{at:%Y-%m-%d %H:%M}"


def _made(text: str, year: int, month: int, day: int) -> date | str:
    try:
        made = datetime(year, month, day).date()
    except ValueError:
        return f"{text!r} is no day of the calendar"
    return made if 1950 <= year <= 2099 else f"{text!r} is too far away"


def _order_of(column: Column, found: Read[date]) -> str | None:
    """The order of days with slashes, inferred from the column: a number above 12 is the day. Lines that contradict
    each other, or that nothing decides, are recorded as wrong."""
    votes: dict[str, list[int]] = {DMY: [], MDY: []}
    open_ = []
    for line, cell in column.items():
        parts = _TWO_WAYS.fullmatch(_text(cell))
        if not parts or parts[2] == ".":
            continue
        first, second = int(parts[1]), int(parts[3])
        if first > 12 >= second:
            votes[DMY].append(line)
        elif second > 12 >= first:
            votes[MDY].append(line)
        elif first != second:
            open_.append(line)
    if votes[DMY] and votes[MDY]:
        for line in min(votes.values(), key=len):
            found.wrong[line] = f"{_text(column[line])!r} has day and month the other way round than other lines"
        return DMY if len(votes[DMY]) > len(votes[MDY]) else MDY
    if not votes[DMY] and not votes[MDY]:
        for line in open_:
            found.wrong[line] = (
                f"{_text(column[line])!r} can be read as two days, and no line decides which: --dates dmy or "
                "--dates mdy"
            )
    return DMY if votes[DMY] else MDY if votes[MDY] else None


# --- numbers ------------------------------------------------------------------------------------------------

POINT, COMMA = ".", ","
_MONEY = re.compile(r"^(?:[€$£¥]|[A-Z]{3})?\s*([-+−]?)\s*(?:[€$£¥]\s*)?(.*?)\s*(?:[€$£¥]|[A-Z]{3})?$", re.DOTALL)
_NEGATIVE = re.compile(
    r"(?P<before>(?:[€$£¥]|[A-Z]{3})?\s*)(?:\((?P<bracketed>[^()]+)\)|(?P<signed>\d[^()]*?)\s*[-−])"
    r"(?P<after>\s*(?:[€$£¥]|[A-Z]{3})?)"
)
_SPACES = re.compile(r"(?<=\d)[\s\u00a0\u2009\u202f'’_](?=\d{3}(?!\d))")


def numbers_of(column: Column, point: str | None = None) -> Read[Decimal]:
    """The numbers of a column. `point` is the decimal separator. Without it, the column itself must make it clear."""
    found: Read[Decimal] = Read()
    point = point or _point_of(column, found)
    for line, cell in column.items():
        if line in found.wrong:
            continue
        number = _number(cell, point)
        if isinstance(number, Decimal):
            found.values[line] = number
        else:
            found.wrong[line] = number
    return found


def _number(cell: Cell, point: str | None) -> Decimal | str:
    """A number, or the reason why the cell is not a number."""
    if isinstance(cell, float):
        return Decimal(f"{cell:.15g}")  # as many digits as a spreadsheet shows of 0.1 + 0.2
    if isinstance(cell, UnreadableCell):
        return str(cell)
    text = _text(cell)
    if not text:
        return "no number; write 0 where it was 0, and leave the line out where it is not known"
    bare = _bare(text)
    if bare is None:
        return f"{text!r} is no number"
    sign, digits = bare
    group = {POINT: COMMA, COMMA: POINT}.get(point or POINT, COMMA)
    whole, _, decimals = digits.partition(point or POINT)
    if not re.fullmatch(rf"\d+|\d{{1,3}}(?:{re.escape(group)}\d{{3}})+", whole) or not re.fullmatch(r"\d*", decimals):
        return f"{text!r} is no number with {point or POINT!r} before its decimals"
    return Decimal(f"{sign}{whole.replace(group, '')}" + (f".{decimals}" if decimals else ""))


def _bare(text: str) -> tuple[str, str] | None:
    """The sign of a number and its digits with separators, without currency and blanks between thousands."""
    is_negative = False
    if found := _NEGATIVE.fullmatch(text):  # accounting notation: (5), 5-
        text, is_negative = f"{found['before']}{found['bracketed'] or found['signed']}{found['after']}", True
    found = _MONEY.match(text)
    if not found or (is_negative and found[1]):
        return None
    digits = _SPACES.sub("", found[2])
    if not re.fullmatch(r"\d[\d.,]*", digits):
        return None
    return ("-" if is_negative or found[1] in ("-", "−") else ""), digits


def _point_of(column: Column, found: Read[Decimal]) -> str | None:
    """The decimal separator, inferred from numbers that can be read in only one way."""
    votes: dict[str, list[int]] = {POINT: [], COMMA: []}
    open_: list[int] = []
    for line, cell in column.items():
        bare = _bare(_text(cell)) if isinstance(cell, str) else None
        if bare is None:
            continue
        said = _point_in(bare[1])
        if said == "?":
            open_.append(line)
        elif said:
            votes[said].append(line)
    if votes[POINT] and votes[COMMA]:
        for line in min(votes.values(), key=len):
            found.wrong[line] = f"{_text(column[line])!r} has another sign before its decimals than other lines"
        return max(votes, key=lambda sign: len(votes[sign]))
    if not votes[POINT] and not votes[COMMA]:
        for line in open_:
            found.wrong[line] = (
                f"{_text(column[line])!r} can be read as two numbers, and no line decides which: "
                "--decimal , or --decimal ."
            )
    return POINT if votes[POINT] else COMMA if votes[COMMA] else None


def _point_in(digits: str) -> str:
    """The decimal separator of a number: "" if it has none, "?" if its separator may be the one for thousands."""
    signs = [sign for sign in digits if sign in ".,"]
    if not signs:
        return ""
    if len(set(signs)) == 2:
        return signs[-1]
    if len(signs) > 1:
        return COMMA if signs[0] == POINT else POINT
    whole, _, decimals = digits.partition(signs[0])
    thousands = len(decimals) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")
    return "?" if thousands else signs[0]


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return str(cell).strip() if isinstance(cell, str) else repr(cell).removesuffix(".0")
