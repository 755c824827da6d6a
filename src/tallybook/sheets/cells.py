"""Converts Python values to typed cells of Google Sheets: text is text, dates are dates, in any locale.

A cell contains a bool, a string or a double (ExtendedValue in the Sheets reference); a date is a serial number, the
days since 1899-12-30 in local civil time, with a number format."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from tallybook.core import CellError

Cell = Mapping[str, Any]
"""CellData of the Sheets reference."""
EMPTY: Cell = {}
MAX_CELL_CHARACTERS = 50_000
"""Maximum length of text in a cell."""
MAX_EXACT_INTEGER = 2**53
"""Largest integer up to which a double represents every integer."""
_DAY = timedelta(days=1)
_FIRST = datetime(1899, 12, 30)
_OFFSET = re.compile(r"(?:GMT|UTC|Etc/GMT)?([+-])(\d{1,2}):?(\d{2})")


def cell(value: object, zone: tzinfo = UTC) -> Cell | None:
    """The cell for a value; None for None: the cell stays as it is. `zone`: the time zone of the document.

    An aware datetime is converted to the zone of the document; a naive one is used as it is. Raises CellError for a
    value that the sheet would change."""
    match value:
        case None:
            return None
        case bool():
            return {"userEnteredValue": {"boolValue": value}}
        case str():
            return _text(value)
        case datetime() | date() | time() | timedelta():
            return _moment(value, zone)
        case Decimal():
            return _number(_decimal(value))
        case Integral():
            return _number(_whole(int(value)))
        case Real():
            return _number(_float(float(value)))
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return cell(value.item(), zone)  # a number of NumPy
    raise CellError(
        f"a cell cannot contain {_shorten(value)}, a {type(value).__name__}",
        hint=(
            "supported are text, numbers, True and False, dates, times and durations; str(…) converts anything to text"
        ),
    )


def _text(value: str) -> Cell:
    if len(value) > MAX_CELL_CHARACTERS:
        raise CellError(
            f"a cell can contain {MAX_CELL_CHARACTERS:,} characters; this text has {len(value):,}: {_shorten(value)}"
        )
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise CellError(f"a text with a lone surrogate cannot be sent: {_shorten(value)}")
    return {"userEnteredValue": {"stringValue": value}} if value else EMPTY


def _number(value: float) -> Cell:
    return {"userEnteredValue": {"numberValue": value}}


def _whole(value: int) -> int:
    if abs(value) > MAX_EXACT_INTEGER:
        raise _too_exact(value, "2**53, above which Sheets rounds")
    return value


def _float(value: float) -> float:
    if not math.isfinite(value):
        raise CellError(f"Sheets has no {value}", hint="None leaves the cell empty")
    return value


def _decimal(value: Decimal) -> float | int:
    """The double with exactly these digits; integers stay integers."""
    if not value.is_finite():
        raise CellError(f"Sheets has no {value}", hint="None leaves the cell empty")
    if value == value.to_integral_value() and abs(value) <= MAX_EXACT_INTEGER:
        return int(value)
    number = float(value)
    if not math.isfinite(number) or Decimal(repr(number)) != value:
        raise _too_exact(value, "a double can represent (15 are always safe)")
    return number


def _too_exact(value: object, limit: str) -> CellError:
    return CellError(
        f"{_shorten(value)} has more digits than {limit}",
        hint="round it, or write it as text: str(…)",
    )


def _moment(value: datetime | date | time | timedelta, zone: tzinfo) -> Cell:
    """A serial number with a number format, which the locale of the document defines."""
    if value != value:  # pandas' NaT is a datetime
        raise CellError(f"Sheets has no {value}", hint="None leaves the cell empty")
    match value:
        case datetime():
            local = value.astimezone(zone).replace(tzinfo=None) if value.tzinfo else value
            return _serial((local - _FIRST) / _DAY, {"type": "DATE_TIME"}, value)
        case date():
            return _serial(serial(value), {"type": "DATE"}, value)
        case time():
            if value.tzinfo is not None:
                raise CellError(f"the time of day {value} has a time zone but no date", hint="write a datetime")
            return _serial((datetime.combine(_FIRST, value) - _FIRST) / _DAY, {"type": "TIME"}, value)
    return {
        "userEnteredValue": {"numberValue": value / _DAY},
        "userEnteredFormat": {"numberFormat": {"type": "TIME", "pattern": "[h]:mm:ss"}},
    }


def serial(day: date) -> int:
    """The serial number of a day: days since 1899-12-30."""
    return (day - _FIRST.date()).days


def _serial(days: float, form: Cell, value: object) -> Cell:
    if days < 0:
        raise CellError(
            f"{value} is before 1899-12-30, where the dates of Sheets begin", hint="write it as text: str(…)"
        )
    return {"userEnteredValue": {"numberValue": days}, "userEnteredFormat": {"numberFormat": dict(form)}}


def zone_of(name: str) -> tzinfo:
    """The time zone of a document, given by a CLDR name or an offset such as GMT-07:00. Raises CellError."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        match = _OFFSET.fullmatch(name)
        if match:
            offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
            return timezone(-offset if match[1] == "-" else offset)
    raise CellError(
        f"unknown time zone of the document: {name!r}",
        hint="change it in File ▸ Settings of the document, or write datetimes without a time zone",
    )


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
