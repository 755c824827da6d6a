"""Finds changes in days that were collected before: the old value of each series beside the new one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core import FLOAT, RELATIVE_TOLERANCE, StoredDefinition
from tallybook.query import Parts, Points, Steps
from tallybook.storage import Revision, widened

if TYPE_CHECKING:
    import duckdb

MAX_REVISIONS = 10_000
"""Maximum number of revisions kept per metric and publication. Those of the first days are kept."""


def revisions(
    engine: duckdb.DuckDBPyConnection, bound: StoredDefinition, days: Sequence[date], old: Callable[[str], str | None]
) -> list[Revision]:
    """Series whose value on one of `days` has changed.

    `old(kind)` is the relation of the points published before. The new points are in new_<kind>."""
    if not days:
        return []
    # Carried values are not stored, so a day changes only with its own rows.
    bound = msgspec.structs.replace(bound, metric=msgspec.structs.replace(bound.metric, carry=0))
    kinds = {"additive", *(slot.shape for slot in bound.measure.slots)}
    dims = bound.metric.series_dims
    before = Parts(bound, {k: Points(old(k) or f"(SELECT * FROM new_{k} WHERE FALSE)") for k in kinds}, dims)
    after = Parts(bound, {k: Points(f"new_{k}") for k in kinds}, dims)
    first, last = min(days), max(days)
    keys = ["g", *(f"k{i}" for i in range(len(dims)))]
    same = " AND ".join(f"a.{key} IS NOT DISTINCT FROM b.{key}" for key in keys)
    listed = ", ".join(f"coalesce(a.{key}, b.{key})" for key in keys)
    chosen = ", ".join(f"DATE '{d}'" for d in days)

    def changed(wide: bool) -> list[tuple[Any, ...]]:
        new, then = (replace(parts, wide=wide).finished("day", first, last) for parts in (after, before))
        steps = Steps()
        collected, published = steps.add("collected", new), steps.add("published", then)
        sql = steps.select(
            f"SELECT {listed}, b.value, a.value\nFROM {collected} a FULL JOIN {published} b ON {same}\n"
            f"WHERE coalesce(a.g, b.g) IN ({chosen}) AND ({_differ(bound, after.value_type())})\n"
            f"ORDER BY 1\nLIMIT {MAX_REVISIONS}"
        )
        return engine.execute(sql).fetchall()

    return [
        Revision(
            metric=bound.key,
            definition=bound.definition,
            day=row[0],
            series=json.dumps(dict(zip(dims, row[1:-2], strict=True)), ensure_ascii=False),
            old=_text(row[-2]),
            new=_text(row[-1]),
        )
        for row in widened(changed)
    ]


def _differ(bound: StoredDefinition, type_: str) -> str:
    if type_ != FLOAT:
        return "a.value IS DISTINCT FROM b.value"
    # The last digits of a float sum depend on the source's order of addition. Squares lose more digits.
    tolerance = RELATIVE_TOLERANCE if any(slot.spread for slot in bound.measure.slots) else 1e-12
    return (
        "(a.value IS NULL) <> (b.value IS NULL) "
        f"OR abs(a.value - b.value) > {tolerance!r} * greatest(abs(a.value), abs(b.value))"
    )


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = format(value, "f") if not isinstance(value, float) else repr(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
