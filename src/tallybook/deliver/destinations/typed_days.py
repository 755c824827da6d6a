"""Finds the days that a text typed by a person can mean: "2026-01-03", "03.01.2026", "1/3/2026 14:00", "3 Jan 2026".
Pure.

Spreadsheets keep dates that they do not recognize as text, and each locale recognizes other forms. A text that was
pasted or imported has the form of its origin."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

MONTH_FIRST = ("en_US", "en_PH", "es_PR", "en")
"""Locales that write the month before the day."""
_MONTHS = {
    "jan": 1,
    "ene": 1,
    "gen": 1,
    "feb": 2,
    "fev": 2,
    "mar": 3,
    "mrz": 3,
    "mrt": 3,
    "apr": 4,
    "abr": 4,
    "avr": 4,
    "mai": 5,
    "may": 5,
    "mag": 5,
    "mei": 5,
    "jun": 6,
    "juin": 6,
    "giu": 6,
    "jul": 7,
    "juil": 7,
    "lug": 7,
    "aug": 8,
    "ago": 8,
    "aou": 8,
    "sep": 9,
    "set": 9,
    "oct": 10,
    "okt": 10,
    "ott": 10,
    "out": 10,
    "nov": 11,
    "dec": 12,
    "dez": 12,
    "dic": 12,
}
"""The first letters of month names, without accents, in the languages of western Europe."""
_OTHER_WORDS = {"st", "nd", "rd", "th", "de", "of", "the"} | set("年月日년월일")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(
    r"(?:T|[\s,]+)\d{1,2}[:h]\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[ap]\.?m\.?)?\s*(?:z|utc|gmt|[+-]\d{2}:?\d{2})?$",
    re.IGNORECASE,
)


def days_of(text: str, *, month_first: bool, scope: str = "day") -> list[date]:
    """The days that a text can mean, most likely first. Empty if it is not a date. A period means its first day.

    `month_first` decides how "1/3/2026" is read. The other order comes second, because the rows may rule out the
    first."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    plain = unicodedata.normalize("NFC", plain)
    plain = _TIME.sub("", plain.strip().lstrip("'").strip()).casefold()
    words = re.findall(r"[^\W\d_]+", plain)
    digits = re.findall(r"\d+", plain)
    months = [month for word in words if (month := _month(word))]
    others = [word for word in words if not (_month(word) or word in _OTHER_WORDS or word[:3] in _WEEKDAYS)]
    if not re.search(r"[-/.,\s年월月]", plain) and len(digits) == 1:
        found = _of_one_number(digits[0], scope)
    elif others in (["q"], ["w"]) and len(digits) == 2:
        found = _of_a_part(others[0], digits)
    elif others or len(months) > 1:
        found = []
    elif months:
        found = _of_a_name(months[0], digits)
    else:
        found = _of_numbers(digits, plain, month_first=month_first)
    return list(dict.fromkeys(day for one in found if (day := _date(*one))))


def _month(word: str) -> int | None:
    return _MONTHS.get(word[:4]) or _MONTHS.get(word[:3])


def _of_one_number(digits: str, scope: str) -> list[tuple[int, int, int]]:
    if len(digits) == 8:
        return [(int(digits[:4]), int(digits[4:6]), int(digits[6:]))]
    return [(int(digits), 1, 1)] if scope == "year" and len(digits) == 4 else []


def _of_a_part(word: str, digits: list[str]) -> list[tuple[int, int, int]]:
    """The first day of a quarter or an ISO week: "Q1 2026", "2026-W03"."""
    number, year = sorted(digits, key=len)
    if len(year) != 4:
        return []
    if word == "q":
        return [(int(year), int(number) * 3 - 2, 1)] if 1 <= int(number) <= 4 else []
    try:
        monday = date.fromisocalendar(int(year), int(number), 1)
    except ValueError:
        return []
    return [(monday.year, monday.month, monday.day)]


def _of_a_name(month: int, digits: list[str]) -> list[tuple[int, int, int]]:
    years = [one for one in digits if len(one) == 4]
    if len(digits) == 1 and years:
        return [(int(years[0]), month, 1)]
    if len(digits) != 2 or len(years) > 1:
        return []
    year = years[0] if years else digits[1]
    day = next((one for one in digits if one is not year), "0")
    return [(_year(year), month, int(day))]


def _of_numbers(digits: list[str], plain: str, *, month_first: bool) -> list[tuple[int, int, int]]:
    if len(digits) == 2 and len(digits[0]) == 4:
        return [(int(digits[0]), int(digits[1]), 1)]
    if len(digits) == 2 and len(digits[1]) == 4:
        return [(int(digits[1]), int(digits[0]), 1)]
    if len(digits) != 3 or max(map(len, digits)) > 4:
        return []
    if len(digits[0]) == 4:
        return [(int(digits[0]), int(digits[1]), int(digits[2]))]
    first, second, year = int(digits[0]), int(digits[1]), _year(digits[2])
    orders = [(year, second, first), (year, first, second)]
    return orders[:1] if "." in plain else orders[::-1] if month_first else orders


def _year(digits: str) -> int:
    return int(digits) + 2000 if len(digits) <= 2 else int(digits)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        return None
