"""Values for programs: numbers with all their digits, for JSON, CSV and Arrow."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from tallybook.core.arrow import decimal_type
from tallybook.core.points import EXACT_DIGITS
from tallybook.core.result.values import Number, Type


def plain_number(value: Number) -> str:
    """All digits of a number: no exponent, no trailing zeros after a decimal point."""
    if isinstance(value, int):
        return str(value)
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    # format() is used because normalize() rounds to the caller's decimal context.
    text = format(exact, "f")
    if isinstance(value, Decimal) and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.removeprefix("-") if not exact else text


def as_json(value: Any, exact: bool = False) -> str:
    """JSON on one line, with numbers as in `Result.to_json`."""
    return msgspec.json.encode(raw(value, exact)).decode()


def to_plain(value: Any, exact: bool) -> Any:
    """A value in the form that a JSON reader returns."""
    if isinstance(value, Decimal):
        text = plain_number(value)
        return text if exact else float(text) if "." in text else int(text)
    return _mapped(value, exact, to_plain)


def raw(value: Any, exact: bool) -> Any:
    """A value for the JSON writer, which keeps every digit."""
    if isinstance(value, Decimal):
        text = plain_number(value)
        return text if exact else msgspec.Raw(text.encode())
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return msgspec.Raw(str(value).encode())
    return _mapped(value, exact, raw)


def _mapped(value: Any, exact: bool, each: Callable[[Any, bool], Any]) -> Any:
    if isinstance(value, dict):
        return {key: each(item, exact) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [each(item, exact) for item in value]
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# The last four are the full-width forms, which spreadsheets run in a Japanese locale.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def looks_like_a_formula(text: str) -> bool:
    """Whether a spreadsheet that opens a CSV file would run this text, or would after a guard is removed."""
    return text.lstrip("'").startswith(_FORMULA_STARTS)


def unguarded_text(text: str) -> str:
    """A field of a CSV file without the single quote that `csv_text` writes before text that looks like a formula."""
    return text[1:] if text.startswith("'") and looks_like_a_formula(text) else text


def csv_text(text: str, guard: bool) -> str:
    """A text as a CSV field, in quotes if it needs them. `guard`: prevent spreadsheets from running it."""
    if guard and looks_like_a_formula(text):
        text = "'" + text
    if text and text == text.strip() and not any(c in text for c in ',;"\t\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def csv_field(value: Any, guard: bool, decimal: str = ".") -> str:
    """A value as a CSV field; empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal | float):
        number = plain_number(value)
        return number if decimal == "." else number.replace(".", decimal)
    return value.isoformat() if isinstance(value, date) else csv_text(str(value), guard)


def arrow_type(kind: Type, values: list[Any]) -> str:
    """The Arrow type of a column with these values; wider than usual if a value needs it."""
    known = [value for value in values if value is not None]
    if kind == "integer":
        if all(-(2**63) <= value < 2**63 for value in known):
            return "BIGINT"
        return decimal_type(38 if all(abs(value) < 10**38 for value in known) else 76, 0)
    if kind == "decimal":
        return arrow_decimal(known)
    return {"date": "DATE", "text": "VARCHAR", "float": "DOUBLE"}[kind]


def arrow_decimal(values: list[Decimal]) -> str:
    """decimal(38,10) as in the book, or a wider type when a value does not fit exactly."""
    scale = max((decimals_in(v) for v in values), default=0)
    whole = max((v.adjusted() + 1 for v in values if v), default=0)
    if scale <= 10 and whole <= 28:
        return decimal_type(*EXACT_DIGITS)
    return decimal_type(76, max(scale, 10))


def decimals_in(number: Decimal) -> int:
    """The number of decimals, without trailing zeros."""
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or exponent >= 0 or not number:
        return 0
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return max(0, -exponent - zeros)
