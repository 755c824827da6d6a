"""Numbers and values for programs: every digit, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from tallybook.core.result.values import Number, Type


def plain_number(value: Number) -> str:
    """All digits of a number and nothing else: no exponent, no trailing zeros after a decimal."""
    if isinstance(value, int):
        return str(value)
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    # format() and not normalize(): that one rounds to the caller's decimal context.
    text = format(exact, "f")
    if isinstance(value, Decimal) and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.removeprefix("-") if not exact else text


def as_json(value: Any, exact: bool = False) -> str:
    """JSON on one line, its numbers as in `Result.to_json`."""
    return msgspec.json.encode(raw(value, exact)).decode()


def plain(value: Any, exact: bool) -> Any:
    """As a JSON reader would see it."""
    if isinstance(value, Decimal):
        text = plain_number(value)
        return text if exact else float(text) if "." in text else int(text)
    return _mapped(value, exact, plain)


def raw(value: Any, exact: bool) -> Any:
    """As the JSON writer shall write it, digit by digit."""
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


# The last four are the full-width forms, which run in spreadsheets set to Japanese.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def looks_like_a_formula(text: str) -> bool:
    """Would a spreadsheet that opens a CSV file run this text (or has it been guarded before)?"""
    return text.lstrip("'").startswith(_FORMULA_STARTS)


def csv_text(text: str, guard: bool) -> str:
    if guard and looks_like_a_formula(text):
        text = "'" + text
    if text and text == text.strip() and not any(c in text for c in ',;"\t\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def csv_field(value: Any, guard: bool, decimal: str = ".") -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal | float):
        number = plain_number(value)
        return number if decimal == "." else number.replace(".", decimal)
    return value.isoformat() if isinstance(value, date) else csv_text(str(value), guard)


def arrow_type(pa: Any, kind: Type, values: list[Any]) -> Any:
    if kind == "integer":
        return _arrow_integer(pa, [v for v in values if v is not None])
    if kind == "decimal":
        return arrow_decimal(pa, [v for v in values if v is not None])
    return {"date": pa.date32(), "text": pa.string(), "float": pa.float64()}[kind]


def _arrow_integer(pa: Any, values: list[int]) -> Any:
    if all(-(2**63) <= v < 2**63 for v in values):
        return pa.int64()
    return pa.decimal128(38, 0) if all(abs(v) < 10**38 for v in values) else pa.decimal256(76, 0)


def arrow_decimal(pa: Any, values: list[Decimal]) -> Any:
    """The book's decimal(38,10), or a wider one when a value would not fit it exactly."""
    scale = max((decimals_in(v) for v in values), default=0)
    whole = max((v.adjusted() + 1 for v in values if v), default=0)
    if scale <= 10 and whole <= 28:
        return pa.decimal128(38, 10)
    return pa.decimal256(76, max(scale, 10))


def decimals_in(number: Decimal) -> int:
    """How many decimals it has, trailing zeros aside."""
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or exponent >= 0 or not number:
        return 0
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return max(0, -exponent - zeros)
