"""Exact sums that detect overflow."""

from __future__ import annotations

from tallybook.core import EXACT

MAX_WHOLE = 10**28 - 10**12
"""Limit for the whole part of a sum. With the fractions of 10¹² values added, it still fits DECIMAL(38,10)."""


def wide_sum(column: str, own: str = "") -> tuple[str, str]:
    """(the exact sum of a DECIMAL(38,10) column, or null on overflow; the sum as a float)."""
    whole = f"sum(CAST(trunc({column}) AS HUGEINT)){own}"
    rest = f"sum({column} - trunc({column})){own}"
    exact = f"CASE WHEN {whole} BETWEEN -{MAX_WHOLE} AND {MAX_WHOLE} THEN CAST({whole} AS {EXACT}) + {rest} END"
    return exact, f"(CAST({whole} AS DOUBLE) + CAST({rest} AS DOUBLE))"
