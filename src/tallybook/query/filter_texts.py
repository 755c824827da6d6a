"""Parses the texts of filters and of conditions on numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from tallybook.core import FILTER, QueryError


@dataclass(frozen=True, kw_only=True)
class Filter:
    """`dimension = value` or `dimension != value`. A value of None means null."""

    dimension: str
    equal: bool
    value: str | None
    group: int = 0
    """Filters on one dimension with = are alternatives only within the same group."""


@dataclass(frozen=True, kw_only=True)
class Having:
    """A condition on rows: the value of `column`, a metric or its comparison, compared with a number."""

    column: str
    sign: str
    value: Decimal


EMPTY_TEXTS = ("''", '""')
"""Notations for the empty text in a filter. A filter without any value means null."""

_HAVING = re.compile(
    r"^\s*(?P<column>[A-Za-z_]\w*)\s*(?P<sign><=|>=|!=|<|>|=)\s*(?P<value>[-+]?\d+(\.\d+)?)\s*(?P<percent>%?)\s*$"
)


def parse_having(text: str) -> Having:
    """Parse a condition such as `revenue < 0` or `signups_change <= -20%`. Raises QueryError with the expected form."""
    found = _HAVING.match(text)
    if not found:
        raise QueryError(
            f"--having {text!r} is not understood",
            hint='write METRIC, one of < <= > >= = !=, and a number: "revenue < 0"',
            field="having",
        )
    value = Decimal(found["value"]) / (100 if found["percent"] else 1)
    return Having(column=found["column"], sign=found["sign"], value=value)


def parse_filter(text: str) -> Filter:
    """Parse a filter: `plan=pro`, `plan!=pro`, `plan=` (null), or `plan=''` (the empty text).

    Raises QueryError with the expected forms."""
    found = FILTER.match(text)
    if not found:
        hint = "write dim=value, dim!=value, dim= for null, or dim='' for the empty text"
        raise QueryError(f"--where {text!r} is not understood", hint=hint, field="where")
    value = None if found["value"] == "" else "" if found["value"] in EMPTY_TEXTS else found["value"]
    return Filter(dimension=found["dim"], equal=found["sign"] == "=", value=value)
