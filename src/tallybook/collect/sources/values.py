"""Types and values of sources: the types of columns, and the conversion of values to what is stored, or an error."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.readings import FIRST_POSSIBLE, LAST_POSSIBLE
from tallybook.core import NotFinite, SourceError, count_phrase

if TYPE_CHECKING:
    pass


INT, DEC, FLOAT, TEXT, BOOL = "int", "decimal", "float", "text", "bool"

TIMESTAMP, TIMESTAMPTZ, DATE, UUID, BYTES, OTHER = (
    "timestamp",
    "timestamptz",
    "date",
    "uuid",
    "bytes",
    "other",
)

NUMBERS = (INT, DEC, FLOAT)


@dataclass(frozen=True)
class ColumnType:
    """The type of a column or expression, according to the source. `scale`: digits after the decimal point, if
    declared."""

    kind: str
    scale: int | None = None
    declared: str = ""


SINGLE, BIT, WIDE_BIT = "MySQL FLOAT", "MySQL BIT", "MySQL BIT UNSIGNED"
"""The values of `declared` for types that MySQL and MariaDB do not send as stored."""

SINGLE_MARK = "tallybook: single "
"""Prefix of a single-precision number that must become a text. Its digits in double precision follow."""

Moments = tuple[float | None, float | None]
"""(mean, population variance). None over no values."""

DECLARED = "decimals of "
"""Prefix of `declared` for a column whose metric has `decimals = …`. The original kind follows."""

KEPT_DIGITS = 10
"""Number of digits after the decimal point that are stored for an exact number."""

LOST = "tallybook: digits lost: "
"""Prefix of the text that SQLite returns instead of a number that it cannot give exactly."""

_TEXT_TIME = re.compile(
    r"^(?P<day>\d{4}-\d\d-\d\d)(?:(?P<sep>[T ])\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s*(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?)?$",
    re.ASCII,
)


def text_form(value: str) -> str | None:
    """The form of a text: text_date, text_offset, text_space or text_t, the last two with _z if a 'Z' marks them as
    UTC. None if it is not a known time."""
    found = _TEXT_TIME.match(value)
    if not found:
        return None
    if found["sep"] is None:
        return "text_date"
    if found["zone"] and found["zone"] != "Z":
        return "text_offset"
    form = "text_t" if found["sep"] == "T" else "text_space"
    return form + "_z" if found["zone"] else form


def as_instant(value: Any, what: str = "`fresh` answered") -> datetime:
    """A value of a source as an aware instant. Naive times are UTC, and numbers are seconds or milliseconds since 1970.

    Raises SourceError, with a message starting with `what`, if it is not an instant of the calendar: infinity, a zero
    date, a year before 1 or after 9999."""
    try:
        parsed = _instant(value)
        parsed.astimezone(UTC)  # at the ends of the calendar, an offset may lead outside of it
    except (ValueError, OverflowError, OSError):
        raise SourceError(f"{what} {value!s:.60}; expected a time, as 2026-03-01 04:00:00+00:00") from None
    if not FIRST_POSSIBLE <= parsed.date() <= LAST_POSSIBLE:
        raise SourceError(f"{what} {value!s:.60}; expected a time between {FIRST_POSSIBLE} and {LAST_POSSIBLE}")
    return parsed


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        parsed = value
    elif isinstance(value, date):
        parsed = datetime(value.year, value.month, value.day)
    elif isinstance(value, int | float | Decimal):
        seconds = float(value)
        parsed = datetime.fromtimestamp(seconds / 1000 if abs(seconds) > 1e11 else seconds, UTC)
    else:
        parsed = datetime.fromisoformat(str(value))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def as_text(value: Any) -> str | None:
    """A dimension value as text, as a person would write it."""
    if isinstance(value, str):
        return single_label(float(value.removeprefix(SINGLE_MARK))) if value.startswith(SINGLE_MARK) else value
    if value is None:
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, Decimal):
        plain = format(value, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    return str(value)


def single_label(number: float) -> str | None:
    """A single-precision number with the fewest digits: 0.1 instead of 0.10000000149011612."""
    texts = (f"{number:.{count}g}" for count in range(1, 10))
    return as_text(next((float(text) for text in texts if _as_single(float(text)) == number), number))


def _as_single(number: float) -> float | None:
    """The nearest single-precision number, or None if it is too large."""
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return None


def as_integer(value: Any) -> int | None:
    """An id or a count. Raises SourceError for a value that is not a 64-bit integer."""
    if value is None or (isinstance(value, int) and _fits(value)):
        return value
    if isinstance(value, float | Decimal) and value == int(value) and _fits(int(value)):
        return int(value)
    _refuse_lost(value)
    raise SourceError(
        f"a column of whole numbers contains {value!r}",
        hint="make a text of it in the measure, as cast(x as text); in MySQL and MariaDB cast(x as char)",
    )


def _refuse_lost(value: Any) -> None:
    if isinstance(value, str) and value.startswith(LOST):
        from tallybook.collect.sources.sqlite_digits import refused_text

        raise refused_text(value)


def _fits(number: int) -> bool:
    return -(2**63) <= number < 2**63


def as_exact(value: Any) -> Decimal | None:
    """An exact number that fits DECIMAL(38,10). If it does not fit, raises SourceError with the cast to write."""
    if value is None:
        return None
    number: Any = Decimal(value) if isinstance(value, int) else value
    if isinstance(number, float) and number.is_integer():
        number = Decimal(int(number))
    if isinstance(number, float) and not math.isfinite(number):
        raise NotFinite(number)
    if isinstance(number, str | bytes):
        _refuse_lost(number)
        raise no_number(number)
    if not isinstance(number, Decimal):
        raise SourceError(f"an exact number was expected, seen {value!r}", hint="cast it: cast(x as decimal(38, 10))")
    if not number.is_finite():
        raise NotFinite(number)
    if number != 0 and (number.adjusted() >= 28 or number != number.quantize(_SMALLEST, context=_WIDE)):
        raise too_many_digits(number)
    return number


def too_many_digits(number: Decimal) -> SourceError:
    """The error for a number that DECIMAL(38,10) cannot store exactly, with what to write instead."""
    rounded = "say in the measure how it is to be rounded: cast(x as decimal(38, 10))"
    smaller = "take a larger unit, as x / 1000000, or a float: cast(x as double precision), in MySQL cast(x as double)"
    return SourceError(
        f"{number} needs more than 28 digits before or 10 after the point",
        hint=smaller if number.adjusted() >= 28 else rounded,
    )


def as_float(value: Any) -> float | None:
    """A floating-point number. Raises SourceError if it is not finite."""
    if value is None:
        return None
    if not isinstance(value, int | float | Decimal):
        raise no_number(value)
    number = float(value)
    if not math.isfinite(number):
        raise NotFinite(number)
    return number


_SMALLEST = Decimal("1e-10")

_WIDE = Context(prec=60)

CONVERT: dict[str, Callable[[Any], Any]] = {TEXT: as_text, INT: as_integer, DEC: as_exact, FLOAT: as_float}


def no_number(value: object, rows: int = 1) -> SourceError:
    """The error for a column of numbers that contains something else, which SQLite allows."""
    counted = f"{rows} {'rows contain' if rows > 1 else 'row contains'} {value!r:.60}, which is no number"
    return SourceError(
        f"a column of numbers: {counted}",
        hint="leave such rows out of the measure: case when typeof(x) in ('integer', 'real') then x end",
    )


def digits_lost(rows: int, type_: ColumnType) -> SourceError:
    """The error for values with more digits than their column or metric declares. No value is rounded silently."""
    said = f"decimals = {type_.scale}" if type_.declared.startswith(DECLARED) else type_.declared or "whole numbers"
    return SourceError(
        f"{count_phrase(rows, 'row has', 'rows have')} more digits than {said}",
        hint="declare how many digits follow the point: decimals = 4, or sum floats: sum(cast(x as real))",
    )
