"""Values with what floats may be off, and how they are computed with."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from tests.oracle.terms import EXACT_LIMIT, PRODUCT, ROUNDING, TINY


@dataclass(frozen=True)
class Value:
    """A number and the interval that an answer may lie in; `middle` None is null, `free` is anything."""

    middle: Fraction | None
    low: Fraction | None = None
    high: Fraction | None = None
    approximate: bool = False
    free: bool = False
    real: bool = False
    """A float of the machine: exact as it is, but what is computed from it is rounded."""

    @property
    def exact(self) -> bool:
        return not self.free and self.low == self.high

    @property
    def interval(self) -> tuple[Fraction, Fraction, Fraction]:
        """Middle, low and high of what is neither null nor free."""
        assert self.middle is not None, self
        return self.middle, self.low or Fraction(0), self.high or Fraction(0)

    @property
    def number(self) -> int | Decimal | float | None:
        """As a test would write it: int or Decimal when exact, else the nearest float."""
        if self.middle is None:
            return None
        if self.exact and self.middle.denominator == 1:
            return int(self.middle)
        if self.exact and is_decimal(self.middle):
            with localcontext() as context:
                context.prec = 200
                written = Decimal(self.middle.numerator) / Decimal(self.middle.denominator)
            # A tiny float has more digits than that.
            return written if Fraction(written) == self.middle else float(self.middle)
        return float(self.middle)

    def accepts(self, got: Any) -> bool:
        """Whether `got` (int, Decimal, float or None) is a right answer."""
        if self.free:
            return True
        if got is None and self.middle is not None:
            return abs(self.middle) >= EXACT_LIMIT
        if self.middle is None or got is None:
            return self.middle is None and got is None
        if isinstance(got, bool) or not isinstance(got, int | float | Decimal):
            return False
        if isinstance(got, float | Decimal) and (got != got or abs(got) == float("inf")):
            return False
        _, low, high = self.interval
        return low <= Fraction(got) <= high

    def __str__(self) -> str:
        if self.free:
            return "anything"
        if self.middle is None:
            return "null"
        if self.exact:
            return f"{self.number} exactly"
        middle, low, high = self.interval
        return f"{self.number!r} ± {float(max(high - middle, middle - low)):.3g}"


NULL = Value(None)
FREE = Value(None, free=True)


def is_decimal(x: Fraction) -> bool:
    rest = x.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def near(x: Fraction | int, slack: Fraction | int = 0, *, approximate: bool = False) -> Value:
    x = Fraction(x)
    return Value(x, x - slack, x + slack, approximate=approximate)


def widened(value: Value, share: Fraction = ROUNDING, least: Fraction = Fraction(0)) -> Value:
    """`value` after a rounding to the nearest float, which is 0 for what is nearer to it than any other float."""
    if value.free or value.middle is None:
        return value
    _, low, high = value.interval
    slack = max(least, share * max(abs(low), abs(high)))
    return replace(value, low=low - slack, high=high + slack)


def root(x: Fraction) -> Fraction:
    with localcontext() as context:
        context.prec = 60
        return Fraction((Decimal(x.numerator) / Decimal(x.denominator)).sqrt())


def rounded(x: Fraction, digits: int) -> Fraction:
    """Half away from zero."""
    scaled = abs(x) * 10**digits
    whole_number = int(scaled + Fraction(1, 2))
    return Fraction(whole_number if x >= 0 else -whole_number) / 10**digits


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def arithmetic(op: str, left: Value, right: Value) -> Value:
    """`left op right` on intervals; by zero is null, and null stays null."""
    if any(side.middle is None and not side.free for side in (left, right)):
        return NULL
    if op == "/" and right.exact and right.middle == 0:
        return NULL
    if left.free or right.free:
        return FREE
    left_middle, *left_ends = left.interval
    right_middle, *right_ends = right.interval
    if op == "/" and right_ends[0] <= 0 <= right_ends[1]:
        return FREE
    corners = [OPERATORS[op](a, b) for a in left_ends for b in right_ends]
    if max(map(abs, corners)) > sys.float_info.max:
        return FREE
    approximate = left.approximate or right.approximate
    real = left.real or right.real
    result = Value(OPERATORS[op](left_middle, right_middle), min(corners), max(corners), approximate, real=real)
    keeps = left.exact and right.exact and not real and (op in "+-" or (op == "*" and is_integer(right, left)))
    least = TINY if any(0 < abs(c) < TINY for c in corners) else Fraction(0)
    return result if keeps else widened(result, least=max(least, PRODUCT / 2) if op == "*" else least)


def is_integer(*values: Value) -> bool:
    return any(value.middle is not None and value.middle.denominator == 1 for value in values)


def mean(values: Sequence[Value], n: int) -> Value:
    """Σ values / n, a float even where it is 0. The slack is a share of Σ|values|: they may be added as floats."""
    if any(value.free for value in values):
        return FREE
    middles = [value.middle for value in values if value.middle is not None]
    lows = [value.low for value in values if value.low is not None]
    highs = [value.high for value in values if value.high is not None]
    slack = ROUNDING * sum(map(abs, middles))
    approximate = any(value.approximate for value in values)
    ends = (sum(lows) - slack) / n, (sum(highs) + slack) / n
    return Value(sum(middles) / Fraction(n), *ends, approximate, real=True)


def extreme(values: Sequence[Value], choose: Callable[..., Any]) -> Value:
    """The smallest or largest (`choose` is min or max) of values that are not null."""
    if any(value.free for value in values):
        return FREE
    known = [value for value in values if value.middle is not None]
    if not known:
        return NULL
    return Value(
        choose(value.middle for value in known),
        choose(value.low for value in known),
        choose(value.high for value in known),
        any(value.approximate for value in known),
        real=any(value.real for value in known),
    )
