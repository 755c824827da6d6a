"""What a changed definition does to the numbers: the old one's beside the new one's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from tallybook.core import Metric, Result, Row, StoredDefinition, is_close

DiffNumber = int | float | Decimal


def changed_keys(old: StoredDefinition, new: Metric, zone: str) -> dict[str, tuple[Any, Any]]:
    """{key of the declaration: (old value, new value)} of all that a definition is a hash of."""
    before, after = _keys(old.metric, old.zone), _keys(new, zone)
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


def _keys(metric: Metric, zone: str) -> dict[str, Any]:
    names = ("kind", "source", "table", "sql", "where", "function", "time", "stored_zone", "until", "until_inclusive")
    found = {name: getattr(metric, name) for name in names}
    found |= {
        "from": metric.from_,
        "decimals": metric.decimals,
        "by": list(metric.series_dims),
        "per": metric.per,
        "then": metric.then,
        "timezone": zone,
    }
    found["measure"] = metric.parsed.text if metric.parsed else metric.measure
    found["join"] = [join.text for join in metric.join]
    found["function's text"] = metric.function_hash
    if metric.daily_aggregate:
        found |= {"series": sorted(metric.series), "received": metric.received}
    return {"series": None, "received": None} | found


def side_by_side(metric: str, old: Result, new: Result) -> list[dict[str, Any]]:
    """A row for each period and series of either: `old`, `new`, and their `difference` where both are known."""
    dims = [c.name for c in new.dimension_columns]
    before = {_place(row, dims): row for row in old.data}
    after = {_place(row, dims): row for row in new.data}
    places = sorted({*before, *after}, key=lambda place: tuple((part is None, str(part)) for part in place))
    return [_row(metric, dims, place, before.get(place), after.get(place)) for place in places]


def _place(row: Row, dims: list[str]) -> tuple[Any, ...]:
    return (row["period"], *(row[d] for d in dims))


def _row(metric: str, dims: list[str], place: tuple[Any, ...], old: Row | None, new: Row | None) -> dict[str, Any]:
    before, after = (row[metric] if row else None for row in (old, new))
    series = dict(zip(dims, place[1:], strict=True))
    row: dict[str, Any] = {"period": place[0], "series": series, "old": before, "new": after}
    row |= {"difference": None, "change": None, "same": before is None and after is None}
    if before is not None and after is not None:
        row["difference"] = _minus(after, before)
        row["change"] = float(row["difference"]) / abs(float(before)) if before else None
        row["same"] = _close(before, after)
    whys = {name: why for name, side in (("old", old), ("new", new)) if (why := _why(metric, side))}
    return row | ({"why": whys} if whys else {})


def _minus(a: DiffNumber, b: DiffNumber) -> DiffNumber:
    """The difference, exact unless one of them is a float."""
    if isinstance(a, float) or isinstance(b, float):
        return float(a) - float(b)
    return a - b


def _close(a: DiffNumber, b: DiffNumber) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        return is_close(a, b)
    return a == b


def _why(metric: str, row: Row | None) -> str | None:
    """Why a value is null; a row that is not there has no facts of its series."""
    if row is None:
        return "no facts"
    notes: Mapping[str, Any] = (row.get("notes") or {}).get(metric) or {}
    return notes.get("why") if row[metric] is None else None


def as_json(found: Mapping[str, Any]) -> dict[str, Any]:
    """One of `Book.diff` as plain values: days as ISO texts, decimals as numbers."""
    return {key: _plain(value) for key, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date) else value
