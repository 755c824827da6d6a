"""The selection and colors of series in charts, the same in every chart of an answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zlib import crc32

COLORS = ("#1d56d8", "#dc7557", "#149b8e", "#a00076", "#7b6205", "#9175ff", "#d51e58", "#003444")
"""Distinct also for people who do not see red, green or blue: the smallest distance is 12 (CIEDE2000)."""
MAX_SERIES = 8
"""Maximum number of series that people can distinguish in a chart."""
SeriesKey = tuple[Any, ...]


def series_by_weight(
    rows: Iterable[Mapping[str, Any]], dimensions: Sequence[str], metrics: Sequence[str]
) -> list[SeriesKey]:
    """The series with any value, the heaviest first: by their mean share of all metrics, then by name."""
    shares: dict[SeriesKey, float] = {}
    known = list(rows)
    for metric in metrics:
        weights: dict[SeriesKey, float] = {}
        for row in known:
            if row[metric] is not None:
                key = tuple(row[name] for name in dimensions)
                weights[key] = weights.get(key, 0.0) + abs(float(row[metric]))
        total = sum(weights.values()) or 1.0
        for key, weight in weights.items():
            shares[key] = shares.get(key, 0.0) + weight / total
    return sorted(shares, key=lambda key: (-shares[key], tuple("" if part is None else str(part) for part in key)))


def series_colors(labels: Iterable[str]) -> dict[str, str]:
    """A color for each series, chosen by its name.

    A chart of other periods or metrics uses the same color for the same name, unless two names map to one color."""
    different = sorted(set(labels))
    taken: dict[int, str] = {}
    for label in different:
        slot = crc32(label.encode()) % len(COLORS)
        if len(taken) < len(COLORS):
            while slot in taken:
                slot = (slot + 1) % len(COLORS)
            taken[slot] = label
    places = {label: slot for slot, label in taken.items()}
    return {label: COLORS[places.get(label, crc32(label.encode()) % len(COLORS))] for label in different}


def metric_words(column: Mapping[str, Any]) -> str:
    """The title of a metric. Without a title, its name as words: `active_users` is "Active users"."""
    if title := column.get("title"):
        return str(title)
    words = str(column["name"]).replace("_", " ").strip()
    unit = column.get("unit")
    if unit and len(unit) <= 3 and words.casefold().endswith(f" {unit}".casefold()):
        words = words[: -len(unit)].strip()  # `latency_ms` in ms
    return words[:1].upper() + words[1:]


def words_and_unit(column: Mapping[str, Any]) -> str:
    """The title of a chart or axis: "Revenue (EUR)"."""
    unit = column.get("unit") or (f"by {column['unit_from']}" if column.get("unit_from") else "")
    return f"{metric_words(column)} ({unit})" if unit else metric_words(column)


def begins_at_zero(column: Mapping[str, Any]) -> bool:
    """Whether an axis that is cut would mislead: counts and amounts, but not averages and rates."""
    return str(column["type"]) != "float"
