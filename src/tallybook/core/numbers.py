"""Comparison of floats. Pure."""

from __future__ import annotations

from decimal import Decimal

RELATIVE_TOLERANCE = 1e-9
"""Two floats that differ by less, relative to the larger one, are the same number computed in a different order."""


def is_close(a: float | Decimal, b: float | Decimal, tolerance: float = RELATIVE_TOLERANCE) -> bool:
    """Whether two numbers are equal but for the rounding of floats."""
    return abs(float(a) - float(b)) <= tolerance * max(abs(float(a)), abs(float(b)))
