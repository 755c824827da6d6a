"""Types of properties of events and of attributes of users and accounts: the first value determines the type. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from tallybook.core.events import FLAG_VALUE, INSTANT_VALUE, INTEGER_VALUE, NUMBER_VALUE, TEXT_VALUE

MAX_EXACT = 2**53


def property_type(value: Any) -> str | None:
    """The type that a first value determines; None for values that cannot be a column: lists, objects and nulls."""
    if isinstance(value, bool):
        return FLAG_VALUE
    if isinstance(value, int):
        return INTEGER_VALUE
    if isinstance(value, float):
        return NUMBER_VALUE
    if isinstance(value, datetime):
        return INSTANT_VALUE
    return TEXT_VALUE if isinstance(value, str) else None


def fitted(value: Any, type_: str) -> Any:
    """The value as its type stores it, without loss; None if it does not fit."""
    if type_ == INTEGER_VALUE and isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT:
        return int(value)
    if type_ == NUMBER_VALUE and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_EXACT:
        return float(value)
    if type_ == INSTANT_VALUE and isinstance(value, str):
        return _instant(value)
    return value if property_type(value) == type_ else None


def _instant(text: str) -> datetime | None:
    """A text with a time and a zone as an instant; None for other texts."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def plain_attribute(value: Any) -> Any:
    """A database value as an attribute: text, number, flag or aware instant; None for null.

    A day becomes its midnight in UTC, and a time without a zone is read as UTC."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < MAX_EXACT else float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
