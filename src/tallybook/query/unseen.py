"""Detects filter values that no row ever had, because a typing error would look like a true zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from tallybook.core import ADDITIVE, StoredDefinition, closest_match
from tallybook.query.cells import Solved
from tallybook.query.context import QueryContext
from tallybook.query.filter_texts import Filter
from tallybook.query.questions import Query
from tallybook.storage import literal

MAX_SUGGESTED = 10_000
"""Maximum number of values of a dimension among which the closest is searched."""

_LOGICAL = {"true": "1", "false": "0", "yes": "1", "no": "0", "1": "true", "0": "false", "t": "true", "f": "false"}
"""Other spellings of boolean values, by people or other databases."""


def unseen_values(
    context: QueryContext, query: Query, solved: Mapping[str, Solved] | None = None
) -> dict[str, list[str]]:
    """A sentence for each filter value that no row of a metric ever had, by metric.

    `solved`: the answers. If an answer shows that the filters matched something, points are not read for it."""
    found: dict[str, list[str]] = {}
    for name in query.metrics:
        filters = _unseen_filters(query.where, solved[name] if solved else None)
        whys = [why for one in filters if (why := _why_unseen(context, name, one))]
        if whys:
            found[name] = whys
    return found


def _unseen_filters(where: Sequence[Filter], solved: Solved | None) -> list[Filter]:
    """The filters that may have matched nothing.

    Without an answer: all filters. Otherwise: filters with alternatives on the same dimension, and excluding
    filters."""
    equal = [one.dimension for one in where if one.equal]
    nothing = solved is None or not solved.cells
    return [one for one in dict.fromkeys(where) if nothing or not one.equal or equal.count(one.dimension) > 1]


def _why_unseen(context: QueryContext, name: str, one: Filter) -> str:
    operands = [o for o in context.catalog.operands(name) if o in context.bounds and o in context.coverage]
    bounds = [context.bounds[o] for o in operands if context.coverage[o].stretches]
    bounds += [context.past[name][0]] if name in context.past else []
    bounds = [b for b in bounds if one.dimension in b.metric.series_dims]
    if not bounds or any(_has(context, bound, one) for bound in bounds):
        return ""
    text = "null" if one.value is None else repr(one.value)
    if context.running_until:  # only these days were read
        return f"no row of `{name}` that was read has {one.dimension} = {text}"
    meant = _nearest(one.value, {v for bound in bounds for v in _values(context, bound, one.dimension)})
    hint = f"; did you mean {meant}?" if meant else ""
    return f"no row of `{name}` ever had {one.dimension} = {text}{hint}"


def _has(context: QueryContext, bound: StoredDefinition, one: Filter) -> bool:
    column, value = bound.column(one.dimension), literal(bound.label(one.dimension, one.value))
    return bool(context.rows(f"{_points(context, bound, '1')} AND {column} IS NOT DISTINCT FROM {value} LIMIT 1"))


def _values(context: QueryContext, bound: StoredDefinition, dimension: str) -> list[str | None]:
    rows = context.rows(f"{_points(context, bound, f'DISTINCT {bound.column(dimension)}')} LIMIT {MAX_SUGGESTED}")
    return [value for (value,) in rows]


def _points(context: QueryContext, bound: StoredDefinition, what: str) -> str:
    """SELECT over all days of a metric under one definition."""
    relation = context.relation(ADDITIVE, bound.key, date.min, date.max)
    return (
        f"SELECT {what} FROM {relation.sql} WHERE metric = {literal(bound.key)} "
        f"AND definition = {literal(bound.definition)} AND rows > 0"
    )


def _nearest(value: str | None, values: Iterable[str | None]) -> str:
    """The value that was probably meant, as written in a filter; '' if none is close."""
    there = set(values)
    if not value:
        other = "" if value is None else None
        return ("null (write dim=)" if other is None else "the empty text (write dim='')") if other in there else ""
    folded: dict[str, str] = {}
    for one in sorted(v for v in there if v):
        folded.setdefault(one.strip().casefold(), one)
    as_logical = _LOGICAL.get(value.strip().casefold())
    if as_logical is not None and as_logical in there:
        return repr(as_logical)
    match = closest_match(value.strip(), folded)
    return repr(folded[match]) if match else ""


def with_unseen(rows: Sequence[dict[str, Any]], unseen: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The rows, with the reason in the notes of each value that such a filter produced."""
    return [_noted(row, unseen) for row in rows] if unseen else list(rows)


def _noted(row: dict[str, Any], unseen: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    notes = dict(row.get("notes") or {})
    for name, whys in unseen.items():
        own = notes.get(name, {})
        if row[name] is not None or "why" not in own:
            notes[name] = {**own, "why": "; ".join([*([own["why"]] if "why" in own else []), *whys])}
    return {**row, "notes": notes} if notes else row
