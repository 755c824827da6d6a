"""Refuses answers that would add up or compare values of different units. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import TYPE_CHECKING

from tallybook.core import Catalog, Refused, mixed_unit

if TYPE_CHECKING:
    from tallybook.query.filter_texts import Filter
    from tallybook.query.question import Question
    from tallybook.query.questions import Query


def single_values(filters: Iterable[Filter]) -> frozenset[str]:
    """The dimensions that are filtered to one value."""
    found: dict[str, set[str | None]] = {}
    for one in filters:
        if one.equal:
            found.setdefault(one.dimension, set()).add(one.value)
    return frozenset(dimension for dimension, values in found.items() if len(values) == 1)


def check_units(catalog: Catalog, name: str, query: Query, typed: str, *, ranked: Sequence[str]) -> None:
    """Refuse an answer that would add up values of different units, whatever the units of the rows.

    `ranked`: columns with values of the metric, which must not be compared across units either."""
    units, single = catalog.unit_dims(name), single_values(query.where)
    if unit := mixed_unit(units, query.by, single, together=False):
        raise Refused(
            f"the unit of {name!r} is in {unit!r}, and values of different units do not add up",
            ask=f"tallybook query {typed} --by {unit}, or with --where {unit}=… for one of them",
            changes=[{"by": [*query.by, unit]}],
        )
    together = "--totals" if query.totals else "--top" if query.top else ""
    if together and (unit := mixed_unit(units, query.by, single, together=True)):
        raise Refused(
            f"{together} of {name!r} would add up or compare values of different units, which are in {unit!r}",
            ask=f"the same question without {together}, or with --where {unit}=…",
            changes=[{together.removeprefix("--"): None}],
        )
    if option := _ranked_by(ranked, query, set(units) - single):
        raise Refused(
            f"{option} would compare values of {name!r} in different units",
            ask=f"the same question with --where {units[0]}=…",
        )


def check_units_of_segments(catalog: Catalog, question: Question, queries: Sequence[Query]) -> None:
    """Refuse a sort or a condition that would compare values of different segments in different units."""
    ranked = {key.removeprefix("-") for key in question.sort} | {one.column for one in queries[0].having}
    for name in queries[0].metrics:
        units = [unit for unit in catalog.unit_dims(name) if unit not in queries[0].by]
        values = {
            frozenset((f.dimension, f.value) for f in q.where if f.dimension in units and f.equal) for q in queries
        }
        if len(values) > 1 and ranked & {name, f"{name}_previous"}:
            raise Refused(
                f"--sort and --having would compare values of {name!r} in different units, of different segments",
                ask="the same question without --sort and --having",
                changes=[{"sort": None, "having": None}],
            )


def _ranked_by(columns: Sequence[str], query: Query, mixed: Set[str]) -> str:
    """The option that compares values of one metric with each other or with a number; '' without such an option."""
    sorted_by = [key.removeprefix("-") for key in query.sort]
    if not mixed:
        return ""
    if any(one.column in columns for one in query.having):
        return "--having"
    first = next((place for place, key in enumerate(sorted_by) if key in columns), None)
    return "--sort" if first is not None and not mixed <= set(sorted_by[:first]) else ""
