"""Evaluates a shell, the expression around the aggregates of a measure: as SQL of the engine, and in Python.

Both follow the same rules. `/` is real division, and null for a zero divisor. A null operand gives null. `round` rounds
half away from zero. Exact values stay exact. A property test compares the two.
"""

from __future__ import annotations

import math
import operator
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any

from tallybook.core.errors import MeasureError
from tallybook.core.measure.model import DECIMAL, FLOAT, INTEGER, Tree, is_literal
from tallybook.core.points import EXACT

# --- in the engine's SQL -------------------------------------------------------------------

MAX_DECIMALS = 28
"""Maximum decimals of a literal number. Its product with a DECIMAL(38,10) has 38 decimals, the maximum of the
engine."""


def render(shell: Tree, leaves: list[tuple[str, str]]) -> tuple[str, str]:
    """The shell as DuckDB SQL, and its type (integer, decimal or float).

    `leaves` are (sql, type) of the slots; exact ones are DECIMAL(38,10). Division is real division, and any
    division by zero is null. Exact values stay exact under + - % round, case and multiplication by a literal number."""
    match shell:
        case ["slot", index]:
            return leaves[index]
        case ["num", written]:
            if is_float_number(written):
                return f"CAST({written} AS DOUBLE)", FLOAT
            return written, INTEGER if written.isdigit() else DECIMAL
        case ["null"]:
            return f"CAST(NULL AS {EXACT})", INTEGER
        case ["neg", inner]:
            sql, kind = render(inner, leaves)
            return f"(-{sql})", kind
        case ["+" | "-" as sign, left, right]:
            (a, b), kind = _to_common_type([render(left, leaves), render(right, leaves)])
            return f"({a} {sign} {b})", kind
        case ["%", left, right]:
            (a, b), kind = _to_common_type([render(left, leaves), render(right, leaves)])
            return f"({a} % nullif({b}, 0))", kind
        case ["*", left, right]:
            return _product(left, right, leaves)
        case ["/", left, right]:
            a, b = _as_float(render(left, leaves)), _as_float(render(right, leaves))
            return f"({a} / nullif({b}, 0))", FLOAT
        case ["float", inner]:
            return _as_float(render(inner, leaves)), FLOAT
        case ["trunc", inner]:
            return f"CAST(trunc({render(inner, leaves)[0]}) AS {EXACT})", INTEGER
        case ["round", inner, digits]:
            return _round(render(inner, leaves), digits)
        case ["fn", name, *args]:
            sqls, kind = _to_common_type([render(a, leaves) for a in args])
            return f"{name}({', '.join(sqls)})", kind
        case ["case", branches, default]:
            values, kind = _to_common_type([*(render(value, leaves) for _, value in branches), render(default, leaves)])
            when = " ".join(f"WHEN {_test(c, leaves)} THEN {v}" for (c, _), v in zip(branches, values, strict=False))
            return f"(CASE {when} ELSE {values[-1]} END)", kind
    raise MeasureError(f"unknown expression: {shell!r}")


def is_float_number(written: str) -> bool:
    """Whether a literal number is a float: it has an exponent, or more digits than DECIMAL arithmetic supports."""
    whole, _, decimals = written.partition(".")
    return "e" in written.lower() or len(decimals) > MAX_DECIMALS or len(whole) + len(decimals) > 38


def type_of(shell: Tree, types: list[str]) -> str:
    """The type of the value of `evaluate`, from the types of the leaves: float, or decimal for every exact type."""
    match shell:
        case ["slot", index]:
            return FLOAT if types[index] == FLOAT else DECIMAL
        case ["num", written]:
            return FLOAT if is_float_number(written) else DECIMAL
        case ["null"]:
            return DECIMAL
        case ["/", *_] | ["float", _]:
            return FLOAT
        case ["trunc", _]:
            return DECIMAL
        case ["round", inner, _]:
            return type_of(inner, types)
        case ["case", branches, default]:
            parts = [*(value for _, value in branches), default]
        case ["fn", _, *parts]:
            pass
        case [_, *parts]:
            pass
    return FLOAT if FLOAT in [type_of(part, types) for part in parts] else DECIMAL


def _test(tree: Tree, leaves: list[tuple[str, str]]) -> str:
    match tree:
        case ["cmp", sign, left, right]:
            (a, b), _ = _to_common_type([render(left, leaves), render(right, leaves)])
            return f"({a} {sign} {b})"
        case ["and" | "or" as word, left, right]:
            return f"({_test(left, leaves)} {word} {_test(right, leaves)})"
        case ["not", inner]:
            return f"(NOT {_test(inner, leaves)})"
        case ["isnull", inner]:
            return f"({render(inner, leaves)[0]} IS NULL)"
    raise MeasureError(f"unknown condition: {tree!r}")


def _to_common_type(rendered: list[tuple[str, str]]) -> tuple[list[str], str]:
    """The values converted to one type: floats if one of them is a float, else exact decimals."""
    kinds = {kind for _, kind in rendered}
    if FLOAT in kinds:
        return [_as_float(r) for r in rendered], FLOAT
    return [f"CAST({sql} AS {EXACT})" for sql, _ in rendered], DECIMAL if DECIMAL in kinds else INTEGER


def _as_float(rendered: tuple[str, str]) -> str:
    return rendered[0] if rendered[1] == FLOAT and rendered[0].startswith("CAST(") else f"CAST({rendered[0]} AS DOUBLE)"


def _product(left: Tree, right: Tree, leaves: list[tuple[str, str]]) -> tuple[str, str]:
    a, b = render(left, leaves), render(right, leaves)
    written = is_literal(left) or is_literal(right)
    if FLOAT in (a[1], b[1]) or not written:
        return f"({_as_float(a)} * {_as_float(b)})", FLOAT
    return f"CAST({a[0]} * {b[0]} AS {EXACT})", DECIMAL if DECIMAL in (a[1], b[1]) else INTEGER


def _round(rendered: tuple[str, str], digits: int) -> tuple[str, str]:
    sql, kind = rendered
    if kind == FLOAT:
        return f"round({sql}, {digits})", FLOAT
    return f"CAST(round(CAST({sql} AS {EXACT}), {digits}) AS {EXACT})", INTEGER if digits <= 0 else DECIMAL


# --- in Python -----------------------------------------------------------------------

OperandValue = Decimal | float | None
EXACTLY = Context(prec=400)
"""A context that keeps all digits; Python's default rounds to 28."""


def evaluate(shell: Tree, leaves: list[OperandValue]) -> OperandValue:
    """The value of a shell over finished leaves, by the same rules as `render`. Raises OverflowError when a step
    overflows a float."""
    with localcontext(EXACTLY):
        return _evaluated(shell, leaves)


def _evaluated(shell: Tree, leaves: list[OperandValue]) -> OperandValue:
    match shell:
        case ["slot", index]:
            return leaves[index]
        case ["num", written]:
            return float(written) if is_float_number(written) else Decimal(written)
        case ["null"]:
            return None
        case ["case", branches, default]:
            for condition, value in branches:
                if _is_true(condition, leaves):
                    return _evaluated(value, leaves)
            return _evaluated(default, leaves)
        case ["fn", name, *args]:
            return _function(name, [_evaluated(a, leaves) for a in args])
        case ["round", inner, digits]:
            return _rounded(_evaluated(inner, leaves), digits)
        case [word, *args]:
            values = [_evaluated(a, leaves) for a in args]
            return None if None in values else _finite(_arithmetic(word, values))
    raise MeasureError(f"unknown expression: {shell!r}")


def _finite(value: OperandValue) -> OperandValue:
    """`value`. Raises OverflowError for infinity, because 1 / infinity would be a silent 0."""
    if isinstance(value, float) and not math.isfinite(value):
        raise OverflowError(f"{value} is not a finite number")
    return value


def _arithmetic(word: str, values: list[Any]) -> OperandValue:
    a = values[0]
    if word == "neg":
        return -a  # type: ignore[no-any-return]
    if word == "float":
        return float(a)
    if word == "trunc":
        return Decimal(int(a))
    a, b = _same_kind(values)
    match word:
        case "+":
            return a + b  # type: ignore[no-any-return]
        case "-":
            return a - b  # type: ignore[no-any-return]
        case "*":
            return a * b  # type: ignore[no-any-return]
        case "/":
            return float(a) / float(b) if b else None
        case "%":
            return math.fmod(a, b) if isinstance(a, float) and b else a % b if b else None
    raise MeasureError(f"unknown expression: {word!r}")


def _same_kind(values: list[Any]) -> list[Any]:
    return [float(v) for v in values] if any(isinstance(v, float) for v in values) else values


def _function(name: str, values: list[Any]) -> OperandValue:
    known = _same_kind([v for v in values if v is not None])
    if name == "coalesce":
        return known[0] if known else None
    if name in ("least", "greatest"):
        return (min if name == "least" else max)(known) if known else None
    if name == "nullif":
        return None if len(known) == 2 and known[0] == known[1] else values[0]
    return abs(values[0]) if values[0] is not None else None


def _rounded(value: OperandValue, digits: int) -> OperandValue:
    if value is None:
        return None
    exact = Decimal(value)
    wide = Context(prec=60 + max(0, exact.adjusted() + digits))
    half_away = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, wide)
    return float(half_away) if isinstance(value, float) else half_away


def _is_true(condition: Tree, leaves: list[OperandValue]) -> bool | None:
    """The value of a condition in three-valued logic: True, False or None (unknown)."""
    match condition:
        case ["cmp", sign, left, right]:
            a, b = _evaluated(left, leaves), _evaluated(right, leaves)
            if a is None or b is None:
                return None
            a, b = _same_kind([a, b])
            return bool(_COMPARE[sign](a, b))
        case ["isnull", inner]:
            return _evaluated(inner, leaves) is None
        case ["not", inner]:
            value = _is_true(inner, leaves)
            return None if value is None else not value
        case ["and", left, right]:
            both = (_is_true(left, leaves), _is_true(right, leaves))
            return False if False in both else None if None in both else True
        case ["or", left, right]:
            both = (_is_true(left, leaves), _is_true(right, leaves))
            return True if True in both else None if None in both else False
    raise MeasureError(f"unknown condition: {condition!r}")


_COMPARE = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
