"""Python values as cells of Google Sheets, typed and never guessed: text is text, dates are dates, in any locale.

A cell holds a bool, a string or a double (ExtendedValue in the Sheets reference); a date is a serial number, the days
since 1899-12-30 in local civil time, with a number format.
"""

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
LONGEST = 50_000
"""Characters a cell can hold."""
EXACT = 2**53
"""Up to here a double holds every whole number."""
_DAY = timedelta(days=1)
_FIRST = datetime(1899, 12, 30)
_OFFSET = re.compile(r"(?:GMT|UTC|Etc/GMT)?([+-])(\d{1,2}):?(\d{2})")


def cell(value: object, zone: tzinfo = UTC) -> Cell | None:
    """The cell of a value; None for None: a cell that is left as it is. `zone` is that of the document.

    A datetime that knows its zone is shown in the document's, as Sheets shows its own times; one without is taken as it
    is. Raises CellError for what would not come out of the sheet as it went in."""
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
        f"a cell cannot hold {_shown(value)}: a {type(value).__name__}",
        hint="it holds text, numbers, True and False, dates, times and durations; str(…) makes text of anything",
    )


def _text(value: str) -> Cell:
    if len(value) > LONGEST:
        raise CellError(f"a cell holds {LONGEST:,} characters; this text has {len(value):,}: {_shown(value)}")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise CellError(f"half a character (a surrogate) cannot be sent: {_shown(value)}")
    return {"userEnteredValue": {"stringValue": value}} if value else EMPTY


def _number(value: float) -> Cell:
    return {"userEnteredValue": {"numberValue": value}}


def _whole(value: int) -> int:
    if abs(value) > EXACT:
        raise _too_exact(value, "2**53, above which Sheets rounds")
    return value


def _float(value: float) -> float:
    if not math.isfinite(value):
        raise CellError(f"Sheets has no {value}", hint="None leaves the cell empty")
    return value


def _decimal(value: Decimal) -> float | int:
    """The double whose digits are just these; whole numbers stay whole."""
    if not value.is_finite():
        raise CellError(f"Sheets has no {value}", hint="None leaves the cell empty")
    if value == value.to_integral_value() and abs(value) <= EXACT:
        return int(value)
    held = float(value)
    if not math.isfinite(held) or Decimal(repr(held)) != value:
        raise _too_exact(value, "what a double holds, 15 digits for certain")
    return held


def _too_exact(value: object, limit: str) -> CellError:
    return CellError(
        f"{_shown(value)} has more digits than {limit}",
        hint="round it, or write it as text: str(…)",
    )


def _moment(value: datetime | date | time | timedelta, zone: tzinfo) -> Cell:
    """A serial number with the number format that shows it; the document's locale says how."""
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
                raise CellError(f"a time of day with a zone, {value}, needs its day", hint="write a datetime")
            return _serial((datetime.combine(_FIRST, value) - _FIRST) / _DAY, {"type": "TIME"}, value)
    return {
        "userEnteredValue": {"numberValue": value / _DAY},
        "userEnteredFormat": {"numberFormat": {"type": "TIME", "pattern": "[h]:mm:ss"}},
    }


def serial(day: date) -> int:
    """The days from 1899-12-30: how a sheet counts them."""
    return (day - _FIRST.date()).days


def _serial(days: float, form: Cell, value: object) -> Cell:
    if days < 0:
        raise CellError(
            f"{value} is before 1899-12-30, where the dates of Sheets begin", hint="write it as text: str(…)"
        )
    return {"userEnteredValue": {"numberValue": days}, "userEnteredFormat": {"numberFormat": dict(form)}}


def zone_of(name: str) -> tzinfo:
    """The time zone of a document, as Sheets names it: of the CLDR, or GMT-07:00. Raises CellError."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        found = _OFFSET.fullmatch(name)
        if found:
            offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
            return timezone(-offset if found[1] == "-" else offset)
    raise CellError(
        f"the document's time zone {name!r} is not known here",
        hint="File ▸ Settings in the document; or write datetimes without a zone",
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
