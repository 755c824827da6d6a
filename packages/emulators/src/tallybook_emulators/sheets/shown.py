"""Formats values for display: number formats in the spreadsheet's locale.

https://developers.google.com/workspace/sheets/api/guides/formats"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from tallybook_emulators.sheets.locales import Locale

DATES = ("DATE", "TIME", "DATE_TIME")
TOKENS = re.compile(
    r"\"([^\"]*)\"|\\(.)|\[(h+|m+|s+)\]|(am/pm|a/p)|(y+|m+|d+|h+|s+)(?![a-z]*])|(\.0+)|(.)", re.IGNORECASE | re.DOTALL
)
Value = bool | float | str | None


def shown(value: Value, number_format: Mapping[str, str] | None, of: Locale) -> str:
    """The displayed text of a value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return of.true if value else of.false
    if isinstance(value, str):
        return value
    kind = (number_format or {}).get("type", "")
    pattern = (number_format or {}).get("pattern") or _default(kind, of)
    if kind in DATES:
        return moment(value, pattern, of)
    if not pattern or kind == "TEXT" or pattern == "General":
        return general(value, of)
    return number(value, pattern, of)


def _default(kind: str, of: Locale) -> str:
    return {
        "NUMBER": "#,##0.00",
        "PERCENT": "0.00%",
        "CURRENCY": of.currency_pattern,
        "SCIENTIFIC": "0.00E+00",
        "DATE": of.date,
        "TIME": of.time,
        "DATE_TIME": f"{of.date} {of.time}",
    }.get(kind, "")


def general(value: float, of: Locale) -> str:
    """A number without a format: about ten significant digits, and an exponent beyond 10^15."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    if abs(value) >= 1e15 or abs(value) < 1e-9:
        mantissa, _, exponent = f"{value:.9E}".partition("E")
        mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}E{exponent[0]}{exponent[1:].zfill(2)}".replace(".", of.decimal)
    places = max(0, 10 - len(str(int(abs(value))).lstrip("0")))
    return f"{value:.{places}f}".rstrip("0").rstrip(".").replace(".", of.decimal)


def number(value: float, pattern: str, of: Locale) -> str:
    """A number in a pattern such as `#,##0.00;(#,##0.00)`, `0.0%`, `0.00E+00`, `"$"#,##0`."""
    sections = re.sub(r"\[[^\]]*\]", "", pattern).split(";")
    section = sections[0]
    negative = value < 0
    if negative and len(sections) > 1:
        section, negative = sections[1], False
    elif value == 0 and len(sections) > 2:
        section = sections[2]
    return ("-" if negative else "") + _filled(abs(value), section, of)


def _filled(value: float, section: str, of: Locale) -> str:
    literals: list[str] = []

    def keep(match: re.Match[str]) -> str:
        literals.append(match[1] if match[1] is not None else match[2])
        return "\0"

    bare = re.sub(r"\"([^\"]*)\"|\\(.)", keep, section)
    digits = re.search(r"[0#?][0#?,]*(?:\.[0#?]*)?,*(?:[eE][+-]?0+)?", bare)
    if "%" in bare:
        value *= 100
    if digits:
        bare = bare[: digits.start()] + _digits(value, digits[0], of) + bare[digits.end() :]
    parts = bare.split("\0")
    return "".join(part + literal for part, literal in zip(parts, [*literals, ""], strict=False))


def _digits(value: float, pattern: str, of: Locale) -> str:
    if exponent := re.search(r"[eE]([+-]?)(0+)$", pattern):
        places = len(pattern[: exponent.start()].partition(".")[2])
        mantissa, _, power = f"{value:.{places}E}".partition("E")
        sign = "-" if power[0] == "-" else ("+" if exponent[1] == "+" else "")
        return f"{mantissa}E{sign}{power[1:].lstrip('0').zfill(len(exponent[2]))}".replace(".", of.decimal)
    while pattern.endswith(","):
        pattern, value = pattern[:-1], value / 1000
    whole, _, fraction = pattern.partition(".")
    text = f"{value:.{len(fraction)}f}"
    integer, _, behind = text.partition(".")
    least = len(fraction.rstrip("#?"))
    while len(behind) > least and behind.endswith("0"):
        behind = behind[:-1]
    integer = integer.zfill(whole.count("0")) if whole.count("0") else integer.lstrip("0")
    if "," in whole:
        integer = re.sub(r"(?<=\d)(?=(\d{3})+$)", of.thousands, integer)
    return integer + (of.decimal + behind if behind else "")


def moment(value: float, pattern: str, of: Locale) -> str:
    """A serial number in a pattern such as `yyyy-mm-dd hh:mm:ss`. Next to hours or seconds, `m` means minutes."""
    try:
        at = datetime(1899, 12, 30) + timedelta(seconds=round(value * 86400))
    except OverflowError:  # before the year 1 or after 9999
        return general(value, of)
    pieces = [match.groups() for match in TOKENS.finditer(pattern)]
    clocks = [(piece[4] or piece[2] or "").lower()[:1] for piece in pieces]
    half = any(piece[3] for piece in pieces)
    out: list[str] = []
    for index, (literal, escaped, elapsed, ampm, token, fraction, other) in enumerate(pieces):
        if literal is not None or escaped is not None or other is not None:
            out.append(literal if literal is not None else escaped or other)
        elif elapsed:
            out.append(_elapsed(value, elapsed.lower()))
        elif ampm:
            out.append(("AM" if at.hour < 12 else "PM") if ampm.lower() == "am/pm" else ("A" if at.hour < 12 else "P"))
        elif fraction:
            out.append(of.decimal + "0" * (len(fraction) - 1))
        else:
            before = next((c for c in reversed(clocks[:index]) if c), "")
            after = next((c for c in clocks[index + 1 :] if c), "")
            minutes = token.lower()[0] == "m" and (before == "h" or after == "s") and len(token) <= 2
            out.append(_token(at, token.lower(), of, half=half, minutes=minutes))
    return "".join(out)


def _elapsed(value: float, token: str) -> str:
    whole = int(value * 86400 // {"h": 3600, "m": 60, "s": 1}[token[0]])
    return str(whole).zfill(len(token))


def _token(at: datetime, token: str, of: Locale, *, half: bool, minutes: bool) -> str:
    if minutes:
        return str(at.minute).zfill(len(token))
    match token[0], len(token):
        case "y", n:
            return f"{at.year % 100:02}" if n <= 2 else f"{at.year:04}"
        case "m", n if n >= 3:
            name = of.months[at.month - 1]
            return name[:3] if n == 3 else name[:1] if n == 5 else name
        case "d", n if n >= 3:
            name = of.weekdays[at.weekday()]
            return name[:3] if n == 3 else name
        case "h", n:
            return str((at.hour % 12 or 12) if half else at.hour).zfill(n)
        case kind, n:
            known: dict[str, Any] = {"m": at.month, "d": at.day, "s": at.second}
            return str(known[kind]).zfill(n)
