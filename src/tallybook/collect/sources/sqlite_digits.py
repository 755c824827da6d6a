"""Exact decimals in SQLite, which stores them as integers and doubles. They are read as whole numbers of the smallest
unit.

A double means the nearest decimal with up to 15 digits. A number with more digits, or that does not fit into 63 bits as
a number of units, is refused, because SQLite would silently return the largest integer instead."""

from __future__ import annotations

import math
from decimal import Decimal

from tallybook.collect.sources.values import KEPT_DIGITS, LOST, ColumnType, digits_lost
from tallybook.core import NotFinite, SourceError, TallybookError, count_phrase

_DOUBLE = "2251799813685248.0"
"""2^51. Up to here a product is off by less than half a unit, even if the number itself is the nearest double."""
_LARGEST = 9.2e18
"""Slightly less than 2^63."""


def scale_of(type_: ColumnType) -> int:
    """The number of declared digits after the decimal point that are stored."""
    return min(type_.scale or 0, KEPT_DIGITS)


def whole(x: str, type_: ColumnType) -> str:
    """SQL of a number as a number of units. `inexact` values give something else."""
    scale = scale_of(type_)
    if not scale:
        return f"CAST({x} AS INTEGER)"
    most = (2**63 - 1) // 10**scale
    size = f"ABS({x}) * {10**scale}.0"
    large = " ".join(
        f"WHEN {size} < 1e{15 + less} THEN CAST(ROUND({_scaled(x, scale - less)}) AS INTEGER) * {10**less}"
        for less in (1, 2, 3)
    )
    return (
        f"CASE WHEN typeof({x}) = 'integer' THEN CASE WHEN {x} BETWEEN -{most} AND {most} THEN {x} * {10**scale} END "
        f"WHEN {size} < {_DOUBLE} THEN CAST(ROUND({x} * {10**scale}.0) AS INTEGER) {large} "
        f"ELSE CAST(ROUND({_scaled(x, scale - 4)}) AS INTEGER) * 10000 END"
    )


def _scaled(x: str, scale: int) -> str:
    return f"{x} * {10**scale}.0" if scale >= 0 else f"{x} / {10**-scale}.0"


def inexact(x: str, type_: ColumnType) -> str:
    """The condition that a number has more digits than declared, or more than can be read exactly."""
    scale = scale_of(type_)
    if not scale:
        return f"{x} <> CAST({x} AS INTEGER)"
    most, units = (2**63 - 1) // 10**scale, f"{x} * {10**scale}.0"
    off = f"ABS({units} - ROUND({units})) > 0.000001 * MAX(1.0, ABS({units}) * 0.000000001)"
    return (
        f"CASE WHEN typeof({x}) = 'integer' THEN {x} NOT BETWEEN -{most} AND {most} "
        f"WHEN ABS({units}) < {_DOUBLE} THEN {off} "
        f"ELSE ABS({units}) >= {_LARGEST!r} OR CAST({x} AS REAL) <> CAST(printf('%.15g', {x}) AS REAL) END"
    )


def counted(expression: str, type_: ColumnType) -> list[str]:
    """SQL of the number of inexact values, and of one of them, so that none is rounded silently."""
    x = f"({expression})"
    wrong = inexact(x, type_)
    return [f"COUNT(CASE WHEN {wrong} THEN 1 END)", f"MAX(CASE WHEN {wrong} THEN {x} END)"]


def marked(expression: str, type_: ColumnType) -> str:
    """SQL of a number as a number of units, or a text that is refused on arrival; see `base.as_integer`."""
    x = f"({expression})"
    said = f"{LOST}{scale_of(type_)} {type_.scale or 0} {type_.declared}".replace("'", "''")
    return f"CASE WHEN {inexact(x, type_)} THEN '{said}|' || printf('%!.17g', {x}) ELSE {whole(x, type_)} END"


def refused(rows: int, example: object, type_: ColumnType) -> TallybookError:
    """The error about inexact values."""
    scale, number = scale_of(type_), float(str(example))
    if not math.isfinite(number):
        return NotFinite(number)
    exact = Decimal(example) if isinstance(example, int) else Decimal(repr(number))
    if abs(exact) * 10**scale >= 2**51:
        fewer = [n for n in range(scale) if abs(exact) * 10**n < _LARGEST and exact == round(exact, n)]
        declare = f"declare fewer digits after the point: decimals = {fewer[-1]}, or " if fewer else ""
        allowed = f"{scale} digits after and {max(0, 18 - scale)} before the point, or more than 15 in all"
        return SourceError(
            f"{count_phrase(rows, 'row needs', 'rows need')} more than {allowed}, "
            f"which SQLite does not give exactly: {exact:f}",
            hint=f"{declare}use floats: cast(x as real) in place of x",
        )
    if (type_.scale or 0) > KEPT_DIGITS:
        return SourceError(
            f"{count_phrase(rows, 'row needs', 'rows need')} more than {KEPT_DIGITS} digits after the point: {exact:f}",
            hint="say how it is to be rounded: round(x, 10), or use floats: cast(x as real) in place of x",
        )
    lost = digits_lost(rows, type_)
    return SourceError(f"{lost.message}: {exact:f}", hint=lost.hint)


def refused_text(text: str) -> TallybookError:
    """The error about a text that `marked` created."""
    said, _, example = text.removeprefix(LOST).rpartition("|")
    _, scale, declared = said.split(" ", 2)
    return refused(1, example, ColumnType("decimal", int(scale), declared))
