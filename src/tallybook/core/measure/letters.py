"""Formulas of several series, which are named A, B, C and D: `B / A`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tallybook.core.errors import MeasureError, QueryError
from tallybook.core.measure.model import Measure
from tallybook.core.measure.parse import parse_derived

MAX_FORMULA = 200
ALLOWED = re.compile(r"[A-Da-d0-9.+\-−*/×÷() ]*")


def parsed_formula(text: str, letters: Sequence[str]) -> Measure:
    """Parse a formula whose operands are letters. Raises QueryError with the allowed letters and operators."""
    plain = text.upper().replace("−", "-").replace("×", "*").replace("÷", "/")
    used = set(re.findall(r"[A-D]", plain))
    hint = f"use the letters {', '.join(letters)} with + - * / ( )"
    if len(text) > MAX_FORMULA or not ALLOWED.fullmatch(text):
        raise QueryError("the formula has signs that it cannot have", hint=hint, field="formula")
    if not used:
        raise QueryError("the formula names no series", hint=hint, field="formula")
    if unknown := sorted(used - set(letters)):
        raise QueryError(f"there is no series {unknown[0]}", hint=hint, field="formula")
    try:
        return parse_derived(plain)
    except (MeasureError, RecursionError):
        raise QueryError(f"the formula {text!r} cannot be read", hint=hint, field="formula") from None
