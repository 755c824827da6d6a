"""Tests whether two conditions can be true together, by trying values around the constants in them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

MAX_TRIALS = 20_000
OTHER_TEXT = "(another text)"
_SIGNS = {
    "EQ": lambda a, b: a == b,
    "NEQ": lambda a, b: a != b,
    "LT": lambda a, b: a < b,
    "LTE": lambda a, b: a <= b,
    "GT": lambda a, b: a > b,
    "GTE": lambda a, b: a >= b,
}


class _NotSimple(Exception):
    """The condition contains more than comparisons of attributes with constants."""


def common_example(one: str, other: str) -> dict[str, Any] | None:
    """Values for which both conditions are true; None if no such values exist or if this cannot be determined."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        trees: list[Any] = [sqlglot.parse_one(text, read="duckdb") for text in (one, other)]
        candidates = _candidates(trees)
    except (SqlglotError, _NotSimple):
        return None
    for row in _rows(candidates):
        try:
            if all(_truth(tree, row) is True for tree in trees):
                return row
        except (_NotSimple, TypeError):
            return None
    return None


def _rows(candidates: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    count = 1
    for values in candidates.values():
        count *= len(values)
    if count > MAX_TRIALS:
        return
    for chosen in product(*candidates.values()):
        yield dict(zip(candidates, chosen, strict=True))


def _candidates(trees: list[Any]) -> dict[str, list[Any]]:
    """Values to try for each attribute: its constants, values between and around them, and null."""
    from sqlglot import exp

    constants: dict[str, set[Any]] = {}
    for tree in trees:
        for column in tree.find_all(exp.Column):
            constants.setdefault(column.name.casefold(), set())
        for node in tree.find_all(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In):
            sides = [one for one in node.iter_expressions() if isinstance(one, exp.Expression)]
            names = [one.name.casefold() for one in sides if isinstance(one, exp.Column)]
            for name in names:
                constants[name] |= {_constant(one) for one in sides if not isinstance(one, exp.Column)}
    return {name: [*_around(values), None] for name, values in constants.items()}


def _around(values: set[Any]) -> list[Any]:
    numbers = sorted(one for one in values if isinstance(one, Fraction))
    texts = sorted(one for one in values if isinstance(one, str))
    if numbers and texts:
        raise _NotSimple
    if texts:
        return [*texts, OTHER_TEXT]
    between = [(a + b) / 2 for a, b in pairwise(numbers)]
    ends = [numbers[0] - 1, numbers[-1] + 1] if numbers else []
    return sorted({*numbers, *between, *ends}) or [True, False]


def _constant(node: Any) -> Any:
    from sqlglot import exp

    match node:
        case exp.Literal():
            return node.name if node.is_string else Fraction(node.name)
        case exp.Neg():
            return -_constant(node.this)
        case exp.Paren():
            return _constant(node.this)
    raise _NotSimple


def _truth(node: Any, row: Mapping[str, Any]) -> bool | None:
    from sqlglot import exp

    match node:
        case exp.Paren():
            return _truth(node.this, row)
        case exp.And():
            both = [_truth(node.left, row), _truth(node.right, row)]
            return False if False in both else None if None in both else True
        case exp.Or():
            both = [_truth(node.left, row), _truth(node.right, row)]
            return True if True in both else None if None in both else False
        case exp.Not():
            inner = _truth(node.this, row)
            return None if inner is None else not inner
        case exp.Is() if isinstance(node.expression, exp.Null):
            return _value(node.this, row) is None
        case exp.Between():
            value, low, high = (_value(one, row) for one in (node.this, node.args["low"], node.args["high"]))
            return None if value is None else low <= value <= high
        case exp.In() if node.expressions:
            value = _value(node.this, row)
            return None if value is None else value in [_value(one, row) for one in node.expressions]
        case exp.Column():
            found = row[node.name.casefold()]
            return found if isinstance(found, bool) else None
    sign = _SIGNS.get(type(node).__name__)
    if sign is None:
        raise _NotSimple
    left, right = _value(node.left, row), _value(node.right, row)
    return None if left is None or right is None else bool(sign(left, right))


def _value(node: Any, row: Mapping[str, Any]) -> Any:
    from sqlglot import exp

    return row[node.name.casefold()] if isinstance(node, exp.Column) else _constant(node)
