"""Converts amounts stored in the smallest unit of their currency for people: 1050 cents become 10.50."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from tallybook.core import DECIMAL, EXACTLY, INTEGER, Metric, OperandValue, minor_digits
from tallybook.query.cells import Cell, Key, within_exact

if TYPE_CHECKING:
    from tallybook.query.questions import Query


def in_major_units(metric: Metric, query: Query, cells: Mapping[Key, Cell], type_: str) -> str:
    """Divide the merged values of a metric with `minor_units`, in place. Returns the resulting type.

    A value in an unknown currency becomes null, with a reason."""
    if not metric.minor_units:
        return type_
    code_of = _code_of(metric, query)
    for key, cell in cells.items():
        _divide(cell, code_of(key))
    return DECIMAL if type_ == INTEGER else type_


def _code_of(metric: Metric, query: Query) -> Callable[[Key], str | None]:
    """A function that returns the currency of a cell, from its series, the filter or the metric."""
    unit = metric.unit_from
    if unit is None:
        return lambda _: metric.unit
    if unit in query.by:
        place = query.by.index(unit)
        return lambda key: key[1][place]
    code = next((f.value for f in query.where if f.dimension == unit and f.equal), None)
    return lambda _: code


def _divide(cell: Cell, code: str | None) -> None:
    digits = minor_digits(code) if code else None
    if digits is None:
        cell.value, cell.bounds = None, None
        named = repr(code) if code else "null" if code is None else "the empty text"
        cell.why = cell.why or f"{named} is no currency of ISO 4217, so the size of its smallest unit is not known"
        return
    cell.value = _divided(cell.value, digits)
    if cell.bounds is not None:
        low, high = cell.bounds
        cell.bounds = _divided(low, digits), _divided(high, digits)
    exact = within_exact(cell)
    cell.value, cell.why = exact.value, cell.why or exact.why


def _divided(value: OperandValue, digits: int) -> OperandValue:
    if value is None or isinstance(value, float):
        return None if value is None else value / 10**digits
    return Decimal(value).scaleb(-digits, EXACTLY)
