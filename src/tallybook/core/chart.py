"""A result as a Vega-Lite v5 specification: the documented JSON in, a chart as plain values out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tallybook.core.labels import OTHER, value_label

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
"""Names the language; nobody fetches it to draw."""
MIME = "application/vnd.vegalite.v5+json"
TIMES = {"day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m", "quarter": "%Y Q%q", "year": "%Y", "all": "%Y-%m-%d"}


def chart(facts: Mapping[str, Any], *, title: str | None = None) -> dict[str, Any]:
    """The chart of a result's JSON (`Result.to_dict`): a panel for each metric, a line for each series.

    Values that cannot be known break the line. Totals over all series are left out; what is not complete is
    drawn as a pale point."""
    metrics = [c for c in facts["columns"] if c["role"] == "metric"]
    dims = [c["name"] for c in facts["columns"] if c["role"] == "dimension"]
    panels = [_panel(facts, column, dims) for column in metrics]
    whole: dict[str, Any] = {"$schema": SCHEMA, "description": facts["explain"]}
    if title is not None:
        whole["title"] = title
    if len(panels) == 1:
        return whole | panels[0]
    return whole | {"vconcat": panels}


def _panel(facts: Mapping[str, Any], column: Mapping[str, Any], dims: Sequence[str]) -> dict[str, Any]:
    values = _values(facts, column["name"], dims)
    label = column.get("title") or column["name"]
    encoding: dict[str, Any] = {
        "x": {
            "field": "period",
            "type": "temporal",
            "title": None,
            "axis": {"format": TIMES[facts["scope"]], "labelOverlap": True},
        },
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": f"{label} ({column['unit']})" if column["unit"] else label,
        },
        "tooltip": [
            {"field": "label", "type": "nominal", "title": facts["scope"]},
            *([{"field": "series", "type": "nominal", "title": ", ".join(dims)}] if dims else []),
            {"field": "value", "type": "quantitative", "title": label},
            {"field": "says", "type": "nominal", "title": "note"},
        ],
    }
    if dims:
        encoding["color"] = {"field": "series", "type": "nominal", "title": ", ".join(dims)}
    complete = {"condition": {"test": "datum.complete", "value": 1}, "value": 0.3}
    points = {"mark": {"type": "point", "filled": True, "size": 30}, "encoding": {"opacity": complete}}
    return {
        "width": 640,
        "height": 240,
        "data": {"values": values},
        "encoding": encoding,
        # Null breaks a line, which is what Vega-Lite does unless it is told to filter.
        "layer": [{"mark": {"type": "line"}}, points],
    }


def _values(facts: Mapping[str, Any], metric: str, dims: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each period and series. A period that was not collected is a gap of every series."""
    rows = [row for row in facts["rows"] if not row.get("total") and row["period"] is not None]
    known = [row for row in rows if row[metric] is not None]
    every = list(dict.fromkeys(_series(row, dims) for row in known)) or [""]
    found = []
    for row in rows:
        gap = row.get("no_series", False)
        for series in every if gap else [_series(row, dims)]:
            found.append(_value(row, metric) | ({"series": series} if dims else {}))
    return found


def _series(row: Mapping[str, Any], dims: Sequence[str]) -> str:
    return OTHER if row.get("others") else ", ".join(value_label(row[d]) for d in dims)


def _value(row: Mapping[str, Any], metric: str) -> dict[str, Any]:
    note = row.get("notes", {}).get(metric, {})
    complete = note.get("complete", row["complete"])
    said = [str(note["why"])] if "why" in note else []
    said += (
        []
        if complete
        else [
            f"not complete: {note.get('days', row['days'])} of {note.get('days_expected', row['days_expected'])} days"
        ]
    )
    said += ["carried forward"] if note.get("carried") else []
    said += ["imported"] if note.get("imported") else []
    said += ["approximate"] if row["approximate"] else []
    # Midnight is said, because a bare day is one of UTC and would slip to the day before in the west.
    return {
        "period": f"{row['period']}T00:00:00",
        "label": row["period"],
        "value": row[metric],
        "complete": complete,
        "says": "; ".join(said),
    }
