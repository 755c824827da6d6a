"""The words of a question, the tolerances of numbers, and the two ways in which there is no answer."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any, Literal

Dialect = Literal["sqlite", "duckdb", "postgresql", "mysql"]
Scope = Literal["day", "week", "month", "quarter", "year", "all"]
Show = Literal["total", "average", "last", "first", "min", "max", "change"]
Row = dict[str, Any]
Key = tuple[Any, ...]

DAY = timedelta(days=1)
SCOPES: tuple[Scope, ...] = ("day", "week", "month", "quarter", "year", "all")
SHOWS: tuple[Show, ...] = ("total", "average", "last", "first", "min", "max", "change")
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DERIVED = "derived"

FLOAT = Fraction(1, 10**12)
"""How far a float may be off, of Σ|x|."""
ROUNDING = Fraction(1, 10**14)
"""What a few roundings of an exact number to the nearest float may cost, of its size."""
TINY = Fraction(1, 10**290)
"""Below it floats lose digits, and in the end are 0."""
EXACT_VALUES = 1000
"""A (day, series) cell with more different values answers percentiles from buckets."""
BUCKET = Fraction(1, 100)
EXACT_LIMIT = 10**28
"""Exact numbers from here on do not fit DECIMAL(38,10) and are null."""
PRODUCT = Fraction(1, 10**10)
"""Exact products are rounded to so many digits after the point."""
GAP_DAYS = 366
"""Days so far outside of what is collected are shown as gaps; a bound further away is an open end."""


class Refusal(Exception):
    """The question has no right answer: the book must refuse it."""


class Undecided(Exception):
    """Nobody has said what the right answer is: nothing can be judged."""
