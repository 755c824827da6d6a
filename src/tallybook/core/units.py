"""Units of metrics: the dimension with the unit of each row, currencies and their smallest units. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tallybook.core.measure.model import Slot, Then, Tree, is_literal

_SQUARES = ("var_samp", "var_pop")
_COUNTS = ("count", "count_distinct")
_ALIKE = ("coalesce", "greatest", "least", "nullif")
"""Functions whose arguments all have the same unit."""


def mixed_unit(units: Sequence[str], by: Collection[str], single: Collection[str], *, together: bool) -> str | None:
    """The first dimension in `units` whose different units the answer would add up, or None.

    `by`: the dimensions of the answer. `single`: dimensions filtered to one value. `together`: the answer also has
    rows over several series, such as totals."""
    return next((unit for unit in units if unit not in single and (together or unit not in by)), None)


@functools.cache
def minor_digits(code: str) -> int | None:
    """The decimals of the smallest unit of an ISO 4217 currency: 2 for EUR, 0 for JPY. None for an unknown code."""
    from iso4217 import Currency

    try:
        digits: int | None = Currency(code.upper()).exponent
    except ValueError:
        return None
    return digits


def amount_degree(shell: Tree, slots: Sequence[Slot], second: Then | None = None) -> int | None:
    """The degree of a measure in its amounts: 1 like an amount, 0 like a count, 2 like a square. None for any other.

    Amounts in cents are 100 times as large, and only a measure of degree 1 grows by the same factor."""
    degree = _degree(shell, [0 if s.agg in _COUNTS else 2 if s.agg in _SQUARES else 1 for s in slots])
    if second is None or degree is None:
        return degree
    return 0 if second.agg == "count" else 2 * degree if second.agg in _SQUARES else degree


def _degree(tree: Tree, slots: Sequence[int]) -> int | None:
    match tree:
        case ["slot", index]:
            return slots[index]
        case ["neg" | "float", inner]:
            return _degree(inner, slots)
        case ["*" | "/" as sign, left, right]:
            a, b = _degree(left, slots), _degree(right, slots)
            return None if a is None or b is None else a + b if sign == "*" else a - b
        case ["+" | "-" | "%", *parts] | ["fn", "coalesce" | "greatest" | "least", *parts]:
            return _same([_degree(part, slots) for part in parts if not _is_zero(part)])
        case ["fn", "nullif", inner, ["num", "0"]] | ["fn", "abs", inner]:
            return _degree(inner, slots)
        case ["case", branches, default]:
            values = [value for _, value in branches] + ([] if default == ["null"] else [default])
            return _same([_degree(value, slots) for value in values if not _is_zero(value)])
    return 0 if is_literal(tree) else None


def _is_zero(tree: Tree) -> bool:
    return tree[0] == "null" or (tree[0] == "num" and Decimal(tree[1]) == 0)


def _same(degrees: Sequence[int | None]) -> int | None:
    return degrees[0] if len(set(degrees)) == 1 else None


# --- units of formulas ---------------------------------------------------------------------------------


@dataclass
class FormulaUnits:
    """The unit of a formula of metrics. `unit_of` returns the unit of an operand, or None if it is not declared."""

    unit_of: Callable[[int], str | None]
    added: list[tuple[str, str]] = field(default_factory=list)
    """Pairs of different units that are added or compared."""

    def of(self, tree: Tree) -> str | None:
        """The unit of a tree; None if it is unknown or has no unit."""
        match tree:
            case ["slot", index]:
                return self.unit_of(index)
            case ["neg" | "float" | "trunc" | "round", inner, *_]:
                return self.of(inner)
            case ["+" | "-" | "%", *parts]:
                return self._one(parts)
            case ["fn", name, *parts]:
                return self._one(parts) if name in _ALIKE or len(parts) == 1 else None
            case ["case", branches, default]:
                return self._one([*(value for _, value in branches), default])
            case ["*", left, right]:
                a, b = self.of(left), self.of(right)
                return a if is_literal(right) else b if is_literal(left) else None
            case ["/", left, right]:
                a, _ = self.of(left), self.of(right)
                return a if is_literal(right) else None
        return None

    def _one(self, parts: Sequence[Tree]) -> str | None:
        known = [unit for part in parts if (unit := self.of(part)) is not None]
        self.added += [(known[0], other) for other in known[1:] if other != known[0]]
        return known[0] if known else None
