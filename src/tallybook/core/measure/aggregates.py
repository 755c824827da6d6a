"""Finds the aggregate calls of a measure and reads each into a `Slot`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from tallybook.core.errors import MeasureError
from tallybook.core.measure.model import SPELLINGS, Slot
from tallybook.core.measure.tokens import (
    closing_bracket,
    is_balanced,
    is_quoted,
    opens_bracket,
    split_arguments,
    tokenize_sql,
)

if TYPE_CHECKING:
    from sqlglot import Token

PERCENTILE = re.compile(r"^p(\d{1,2})(?:_(\d+))?$")
AGGREGATE_WORDS = (
    "count(*), count(x), count(distinct x), count(distinct a, b), sum(x), avg(x), min(x), max(x), sum(distinct x), "
    "avg(distinct x), first(x), last(x), stddev(x), variance(x), median(x), p50(x) … p99_9(x), quantile(x, q), "
    "quantile_disc(x, q), percentile_cont(q) or percentile_disc(q) within group (order by x); "
    "each with filter (where …)"
)


def percentile_fraction(named: re.Match[str]) -> float:
    """The quantile of a name that PERCENTILE matches: 0.999 for p99_9."""
    return float(f"0.{int(named[1]):02d}{named[2] or ''}")


def cut_aggregate(text: str, tokens: list[Token], at: int) -> tuple[Slot, int] | None:
    """The slot of the aggregate call at token `at`, and the index of its last token; None if no aggregate begins
    there."""
    name = tokens[at].text.lower()
    if not opens_bracket(tokens, at + 1) or is_quoted(text, tokens[at]):
        return None
    agg, q = SPELLINGS.get(name), None
    if agg is None:
        named = PERCENTILE.match(name)
        if not named:
            return None
        agg, q = "quantile", percentile_fraction(named)
    close = closing_bracket(tokens, at + 1, text)
    inside = tokens[at + 2 : close]
    distinct = bool(inside) and inside[0].text.lower() == "distinct"
    args = split_arguments(text, inside[1:] if distinct else inside)
    if name == "median":
        q = 0.5
    end = close
    order: tuple[str, bool] | None = None
    while end + 1 < len(tokens) and tokens[end + 1].text.lower() == "within":
        order, end = _within_group(text, tokens, end + 1)
    where = None
    if end + 2 < len(tokens) and tokens[end + 1].text.lower() == "filter" and opens_bracket(tokens, end + 2):
        last = closing_bracket(tokens, end + 2, text)
        if tokens[end + 3].text.lower() != "where":
            raise MeasureError(f"in {text!r}: expected `where` after `filter (`")
        where, end = text[tokens[end + 3].end + 1 : tokens[last].start].strip(), last
    if end + 1 < len(tokens) and tokens[end + 1].text.lower() == "over":
        raise MeasureError(
            f"in {text!r}: a window function (over …) is not an aggregate of facts", hint="remove `over (…)`"
        )
    slot = _slot(text, name, agg, q, args, distinct, order)
    _refuse_nested(text, tokens[at + 2 : end])
    return msgspec.structs.replace(slot, filter=where), end


def _slot(
    text: str,
    name: str,
    agg: str,
    q: float | None,
    args: list[str],
    distinct: bool,
    order: tuple[str, bool] | None,
) -> Slot:
    if agg in ("quantile", "quantile_disc"):
        return msgspec.structs.replace(_quantile(text, name, q, args, distinct, order), agg=agg)
    if order:
        raise MeasureError(f"in {text!r}: within group is only for percentile_cont(q) and percentile_disc(q)")
    if distinct:
        if agg not in ("count", "sum", "avg", "min", "max"):
            raise MeasureError(f"in {text!r}: {name}(distinct …) is not supported; expected count, sum or avg")
        if agg in ("min", "max"):
            return Slot(agg=agg, args=_exactly(text, name, args, 1))
        return _distinct(text, name, agg, args)
    if agg == "count" and args == ["*"]:
        return Slot(agg="count")
    return Slot(agg=agg, args=_exactly(text, name, args, 1))


def _distinct(text: str, name: str, agg: str, args: list[str]) -> Slot:
    if agg != "count":
        return Slot(agg=f"{agg}_distinct", args=_exactly(text, name, args, 1))
    if not args or args == ["*"]:
        raise MeasureError(f"in {text!r}: count(distinct …) needs the column or columns to count")
    row = re.fullmatch(r"(?:row\s*)?\((.*)\)", args[0], re.IGNORECASE | re.DOTALL) if len(args) == 1 else None
    if row and is_balanced(row[1]):
        inner = tokenize_sql(row[1], "duckdb")
        parts = split_arguments(row[1], inner)
        if len(parts) > 1:
            return Slot(agg="count_distinct", args=tuple(parts), counts_null=True)
    return Slot(agg="count_distinct", args=tuple(args))


def _quantile(
    text: str, name: str, q: float | None, args: list[str], distinct: bool, order: tuple[str, bool] | None
) -> Slot:
    if distinct:
        raise MeasureError(f"in {text!r}: a percentile of distinct values is not supported")
    if name in ("percentile_cont", "percentile_disc"):
        if order is None:
            raise MeasureError(f"in {text!r}: expected {name}(q) within group (order by x)")
        value, descending = order
        if descending and name == "percentile_disc":
            raise MeasureError(
                f"in {text!r}: percentile_disc supports ascending order only",
                hint=f"percentile_disc(…) within group (order by {value})",
            )
        q = _fraction(text, _exactly(text, name, args, 1)[0])
        return Slot(agg="quantile", args=(value,), q=float(1 - Decimal(str(q))) if descending else q)
    if q is None:
        value, fraction = _exactly(text, name, args, 2)
        return Slot(agg="quantile", args=(value,), q=_fraction(text, fraction))
    return Slot(agg="quantile", args=_exactly(text, name, args, 1), q=q)


def _fraction(text: str, written: str) -> float:
    try:
        q = float(written)
    except ValueError:
        q = -1.0
    if not 0 <= q <= 1:
        raise MeasureError(f"in {text!r}: the quantile is {written!r}; expected a number from 0 to 1, such as 0.95")
    return q


def _within_group(text: str, tokens: list[Token], at: int) -> tuple[tuple[str, bool], int]:
    """`within group (order by x desc)` → ((x, True), index of its last token)."""
    words = [t.text.lower() for t in tokens[at : at + 5]]
    if words[:3] != ["within", "group", "("]:
        raise MeasureError(f"in {text!r}: expected within group (order by x)")
    close = closing_bracket(tokens, at + 2, text)
    inside = tokens[at + 3 : close]
    if inside and inside[0].text.lower() in ("order by", "order"):
        inside = inside[1:]
        if inside and inside[0].text.lower() == "by":
            inside = inside[1:]
    if not inside:
        raise MeasureError(f"in {text!r}: expected within group (order by x)")
    descending = inside[-1].text.lower() == "desc"
    if inside[-1].text.lower() in ("asc", "desc"):
        inside = inside[:-1]
    return (text[inside[0].start : inside[-1].end + 1], descending), close


def _refuse_nested(text: str, inside: list[Token]) -> None:
    for here, token in enumerate(inside):
        word = token.text.lower()
        if word == "select" and not is_quoted(text, token):
            raise MeasureError(
                f"in {text!r}: a measure cannot contain a query",
                hint="put the query into `sql`, and measure its column",
            )
        aggregate = word in SPELLINGS or PERCENTILE.match(word)
        # min(a, b) and max(a, b) of two values are SQLite's least and greatest
        if aggregate and opens_bracket(inside, here + 1) and not is_quoted(text, token) and word not in ("min", "max"):
            raise MeasureError(f"in {text!r}: {word}(…) is inside another aggregate")


def _exactly(text: str, name: str, args: list[str], number: int) -> tuple[str, ...]:
    if len(args) != number or "*" in args:
        raise MeasureError(f"in {text!r}: {name} takes {number} value{'s' if number > 1 else ''}, seen {len(args)}")
    return tuple(args)
