"""The second step of a measure: one number from the values of all entities."""

from __future__ import annotations

from tallybook.core import FLOAT, INTEGER, Then
from tallybook.query.exact_sums import wide_sum

MAX_SQUARE = 1e150
"""Limit for a value whose square must fit a DOUBLE."""


def second_step(second: Then, kind: str, own: str, *, wide: bool = False) -> tuple[str, str]:
    """(SQL, type) of an aggregate over the `value`, of type `kind`, of every entity that meets the condition `own`.

    On overflow the result is null with `wide`; without it, the engine raises an error."""
    value = "CAST(value AS DOUBLE)"
    if wide and kind != FLOAT and second.agg in ("sum", "avg"):
        exact, rounded = wide_sum("value", f" {own}")
        if second.agg == "sum":
            return f"CASE WHEN count(value) {own} = 0 THEN 0 ELSE {exact} END", kind
        return f"({rounded} / nullif(count(value) {own}, 0))", FLOAT
    if wide and second.agg.startswith(("stddev", "var")):
        value = f"CASE WHEN abs({value}) < {MAX_SQUARE} THEN {value} END"
        return f"CASE WHEN count(value) {own} = count({value}) {own} THEN {second.agg}({value}) {own} END", FLOAT
    match second.agg:
        case "count":
            return f"count(value) {own}", INTEGER
        case "sum":
            return f"coalesce(sum(value) {own}, 0)", kind
        case "min" | "max":
            return f"{second.agg}(value) {own}", kind
        case "avg":
            return f"(CAST(sum(value) {own} AS DOUBLE) / nullif(count(value) {own}, 0))", FLOAT
        case "quantile":
            return f"quantile_cont({value}, {second.q!r}) {own}", FLOAT
    return f"{second.agg}({value}) {own}", FLOAT
