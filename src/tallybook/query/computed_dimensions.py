"""Dimensions that are computed from a point and its day, such as the plan of the account with the stored id.

They are computed after carry and before points are merged, so that distinct things are counted once per value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tallybook.core import StoredDefinition
from tallybook.storage import identifier


@dataclass(frozen=True, kw_only=True)
class ComputedDimension:
    """The SQL of a computed dimension.

    `value`: SQL over the point `p` and the relation added by `join`. `{alias}` is replaced by the name of the joined
    relation, `{stored}` by the column of a dimension in `stored`."""

    name: str
    value: str
    join: str = ""
    stored: tuple[str, ...] = ()
    """Stored dimensions from which it can be computed; a metric needs one of them."""
    said: str = ""
    """The text about it in the explanation of an answer."""

    @property
    def column(self) -> str:
        return identifier(self.name)

    def stored_in(self, bound: StoredDefinition) -> str:
        """The stored dimension of a metric that it is computed from."""
        return next(name for name in self.stored if name in bound.metric.dims)


Computed = Mapping[str, ComputedDimension]


def with_computed(relation: str, bound: StoredDefinition, dimensions: Sequence[ComputedDimension]) -> str:
    """The relation of points, with a column for each computed dimension."""
    if not dimensions:
        return relation
    columns, joins = [], []
    for place, one in enumerate(dimensions):
        names = {"alias": f"m{place}", "stored": ""}
        if one.stored:
            names["stored"] = f"p.{bound.column(one.stored_in(bound))}"
        columns.append(f"{one.value.format(**names)} AS {one.column}")
        joins += [one.join.format(**names)] if one.join else []
    joined = "".join(f"\n  LEFT JOIN {join}" for join in joins)
    return f"(\n  SELECT p.*, {', '.join(columns)}\n  FROM {relation} p{joined}\n)"
