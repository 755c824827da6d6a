"""The texts of filters and of conditions on numbers, and what they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from tallybook.core import FILTER, QueryError


@dataclass(frozen=True, kw_only=True)
class Filter:
    """`dimension = value` or `dimension != value`; value None is null."""

    dimension: str
    equal: bool
    value: str | None
    group: int = 0
    """Filters of one dimension with = are alternatives only within a group."""


@dataclass(frozen=True, kw_only=True)
class Having:
    """Only rows in which `column` (a metric, or what it is compared with) is so."""

    column: str
    sign: str
    value: Decimal


EMPTY_TEXTS = ("''", '""')
"""How the empty text is written in a filter: a value without a letter is null."""

_HAVING = re.compile(
    r"^\s*(?P<column>[A-Za-z_]\w*)\s*(?P<sign><=|>=|!=|<|>|=)\s*(?P<value>[-+]?\d+(\.\d+)?)\s*(?P<percent>%?)\s*$"
)


def parse_having(text: str) -> Having:
    """`revenue < 0`, `signups_change <= -20%`. Raises QueryError with the form there is."""
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
    """`plan=pro`, `plan!=pro`, `plan=` (null), `plan=''` (the empty text).

    Raises QueryError with the forms there are."""
    found = FILTER.match(text)
    if not found:
        hint = "write dim=value, dim!=value, dim= for null, or dim='' for the empty text"
        raise QueryError(f"--where {text!r} is not understood", hint=hint, field="where")
    value = None if found["value"] == "" else "" if found["value"] in EMPTY_TEXTS else found["value"]
    return Filter(dimension=found["dim"], equal=found["sign"] == "=", value=value)
