"""Reads the result of a Python metric for one day as numbers with their dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Context, Decimal, InvalidOperation
from fractions import Fraction
from numbers import Number, Rational
from typing import Any

from tallybook.collect.sources.values import as_text
from tallybook.core import Metric, SourceError

DIGITS = 10
"""Number of digits after the decimal point of every stored number."""
MAX_LOSS = Decimal("1e-6")
"""Maximum share of a number that rounding to DIGITS may remove."""
MAX_ADJUSTED = 28
VALUE = "value"
_WIDE = Context(prec=80)


def rows_of(metric: Metric, day: date, answered: Any) -> list[tuple[list[str | None], Decimal | None]]:
    """(dimension values, number) for each row. Raises SourceError, with a hint in Python, for any other result."""
    return [_row(metric, day, row) for row in _listed(metric, answered)]


def _listed(metric: Metric, answered: Any) -> Iterator[Mapping[str, Any]]:
    if answered is None:
        return
    if (row := _as_mapping(answered)) is not None:
        yield row
    elif isinstance(answered, Number):
        yield {VALUE: answered}
    elif isinstance(answered, Iterable) and not isinstance(answered, str | bytes):
        for one in answered:
            row = _as_mapping(one)
            if row is None:
                raise _unreadable(metric, one)
            yield row
    else:
        raise _unreadable(metric, answered)


def _as_mapping(row: Any) -> Mapping[str, Any] | None:
    """A row as a mapping: a mapping, a row of SQLAlchemy, a named tuple or a dataclass. None for any other row."""
    if isinstance(row, Mapping):
        return row
    named = getattr(row, "_mapping", None)
    if isinstance(named, Mapping):
        return named
    as_dict = getattr(row, "_asdict", None)
    return as_dict() if isinstance(row, tuple) and callable(as_dict) else None


def _unreadable(metric: Metric, seen: Any) -> SourceError:
    rows = f"[{{{', '.join(f'{name!r}: …' for name in (*metric.dims, VALUE))}}}, …]"
    said = f"metric {metric.name!r} returned {_shown(seen)}, of type {type(seen).__name__}"
    return SourceError(said, hint=f"return a number, None, or rows with names: {rows}")


def _row(metric: Metric, day: date, row: Mapping[str, Any]) -> tuple[list[str | None], Decimal | None]:
    keys = ", ".join(map(repr, row))
    expected = f"expected the keys {', '.join(map(repr, (*metric.dims, VALUE)))}"
    lacking = [name for name in (VALUE, *metric.dims) if name not in row]
    if lacking:
        what = "" if lacking[0] == VALUE else "dimension "
        raise SourceError(
            f"metric {metric.name!r} returned a row without the {what or 'key '}{lacking[0]!r} for {day}: its "
            f"keys are {keys or 'none'}",
            hint=f"{expected}; None is a value of a dimension too",
        )
    unknown = sorted(str(name) for name in row if name not in {*metric.dims, VALUE})
    if unknown:
        raise SourceError(
            f"metric {metric.name!r} returned {unknown[0]!r}, which is not in its by",
            hint=f"by = {[*metric.dims, unknown[0]]}",
        )
    return [_dimension(metric, name, row[name]) for name in metric.dims], _number(metric, day, row[VALUE])


def _dimension(metric: Metric, name: str, value: Any) -> str | None:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        raise SourceError(
            f"metric {metric.name!r} returned {_shown(value)} as the value of dimension {name!r}, of type "
            f"{type(value).__name__}",
            hint=f"return one text or number: {name} = str(…), or a row for each of them",
        )
    item = getattr(value, "item", None)  # a scalar of numpy
    return as_text(item() if callable(item) and not isinstance(value, str | bytes) else value)


def _number(metric: Metric, day: date, value: Any) -> Decimal | None:
    """The number as stored: rounded to `decimals`, or to 10 digits after the decimal point."""
    if value is None:
        return None
    exact = _exact(value)
    if exact is None:
        raise _unreadable(metric, value)
    if not exact.is_finite():
        raise SourceError(
            f"metric {metric.name!r} returned {value} for {day}", hint="return None where there is no number"
        )
    if exact and exact.adjusted() >= MAX_ADJUSTED:
        raise SourceError(
            f"metric {metric.name!r} returned {value} for {day}, which has more than {MAX_ADJUSTED} digits "
            "before the point",
            hint="return it in a larger unit: value / 1_000_000",
        )
    if metric.decimals is not None:
        return exact.quantize(Decimal(1).scaleb(-metric.decimals), context=_WIDE)
    kept = exact.quantize(Decimal(1).scaleb(-DIGITS), context=_WIDE)
    if abs(kept - exact) > MAX_LOSS * abs(exact):
        raise SourceError(
            f"metric {metric.name!r} returned {value} for {day}, which is too small to be kept with {DIGITS} "
            "digits after the point",
            hint="return it in a smaller unit: value * 1_000_000, or say how it is rounded: decimals = 10",
        )
    return kept


def _exact(value: Any) -> Decimal | None:
    """The exact value of a number, for a float by its shortest text. None if it is not a number."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool):
        return Decimal(int(value))
    if isinstance(value, Rational):
        fraction = Fraction(int(value.numerator), int(value.denominator))
        return _WIDE.divide(Decimal(fraction.numerator), Decimal(fraction.denominator))
    if not isinstance(value, Number) or isinstance(value, complex):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
