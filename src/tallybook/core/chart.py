"""Vega-Lite v5 charts of results: takes the documented JSON, returns plain values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tallybook.core.labels import OTHER, value_label
from tallybook.core.palette import COLORS, begins_at_zero, metric_words, series_colors, words_and_unit
from tallybook.core.result.values import Row, is_complete_for

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
"""Identifies the language; drawing does not fetch it."""
MIME = "application/vnd.vegalite.v5+json"
MAX_TICKS = 12
LABEL_FORMATS = {
    "day": "%Y-%m-%d",
    "week": "%Y-%m-%d",
    "month": "%Y-%m",
    "quarter": "%Y Q%q",
    "year": "%Y",
    "all": "%Y-%m-%d",
}


def chart(facts: Mapping[str, Any], *, title: str | None = None) -> dict[str, Any]:
    """The chart of a result's JSON (`Result.to_dict`): a panel for each metric, a line for each series.

    Null values break the line. Totals over all series are left out. Incomplete values are hollow points beside the
    line. Each series has one color in all panels."""
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
    label = metric_words(column)
    encoding: dict[str, Any] = {
        "x": {"field": "period", "type": "temporal", "title": None, "axis": _period_axis(facts)},
        "tooltip": [
            {"field": "label", "type": "nominal", "title": facts["scope"]},
            *([{"field": "series", "type": "nominal", "title": ", ".join(dims)}] if dims else []),
            {"field": "value", "type": "quantitative", "title": label},
            {"field": "says", "type": "nominal", "title": "note"},
        ],
    }
    if dims:
        encoding["color"] = {
            "field": "series",
            "type": "nominal",
            "title": ", ".join(dims),
            "scale": _colors(facts, dims),
        }
    else:
        encoding["color"] = {"value": COLORS[0]}
    zero = {"zero": begins_at_zero(column)}
    y = {"type": "quantitative", "title": words_and_unit(column), "scale": zero}
    point = {"type": "point", "size": 30, "opacity": 1}
    return {
        "width": 640,
        "height": 240,
        "data": {"values": _values(facts, column["name"], dims)},
        "encoding": encoding,
        # Vega-Lite breaks a line at null unless a filter is configured.
        "layer": [
            {"mark": {"type": "line", "strokeJoin": "round"}, "encoding": {"y": {"field": "whole", **y}}},
            {"mark": point | {"filled": True}, "encoding": {"y": {"field": "whole", **y}}},
            {"mark": point | {"filled": False, "size": 50}, "encoding": {"y": {"field": "part", **y}}},
        ],
    }


def _period_axis(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Ticks at the first days of periods, at most `MAX_TICKS`: a week begins on the book's day and not on Sunday."""
    axis = {"format": LABEL_FORMATS["day" if _fiscal(facts) else facts["scope"]], "labelOverlap": True}
    if facts["scope"] in ("day", "all") and not _fiscal(facts):
        return axis
    days = sorted({str(row["period"]) for row in facts["rows"] if row["period"] is not None})
    step = -(-len(days) // MAX_TICKS) or 1
    shown = days[(len(days) - 1) % step :: step]
    values = [{"year": int(d[:-6]), "month": int(d[-5:-3]), "date": int(d[-2:])} for d in shown]
    return axis | {"values": values}


def _colors(facts: Mapping[str, Any], dims: Sequence[str]) -> dict[str, Any]:
    """The color of each series, the same in all panels."""
    rows = [row for row in facts["rows"] if not row.get("total") and not row.get("no_series")]
    colors = series_colors(_series(row, dims) for row in rows)
    return {"domain": list(colors), "range": list(colors.values())}


def _fiscal(facts: Mapping[str, Any]) -> bool:
    """Whether rows have fiscal labels, which replace the date format of the axis."""
    columns = [column["name"] for column in facts["columns"]]
    return "label" not in columns and any("label" in row for row in facts["rows"])


def _values(facts: Mapping[str, Any], metric: str, dims: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each period and series. A period that was not collected is a gap in every series."""
    rows = [row for row in facts["rows"] if not row.get("total") and row["period"] is not None]
    known = [row for row in rows if row[metric] is not None]
    every = list(dict.fromkeys(_series(row, dims) for row in known)) or [""]
    found, fiscal = [], _fiscal(facts)
    for row in rows:
        gap = row.get("no_series", False)
        for series in every if gap else [_series(row, dims)]:
            name = {"label": row["label"]} if fiscal else {}
            found.append(_value(row, metric) | name | ({"series": series} if dims else {}))
    return found


def _series(row: Mapping[str, Any], dims: Sequence[str]) -> str:
    return OTHER if row.get("others") else ", ".join(value_label(row[d]) for d in dims)


def _value(row: Row, metric: str) -> dict[str, Any]:
    note = row.get("notes", {}).get(metric, {})
    complete = is_complete_for(row, metric)
    remarks = [str(note["why"])] if "why" in note else []
    remarks += (
        []
        if complete
        else [
            f"not complete: {note.get('days', row['days'])} of {note.get('days_expected', row['days_expected'])} days"
        ]
    )
    remarks += ["carried forward"] if note.get("carried") else []
    remarks += ["imported"] if note.get("imported") else []
    remarks += ["approximate"] if row["approximate"] else []
    # The time of day is needed because Vega reads a bare date as UTC: west of Greenwich it would be the day before.
    return {
        "period": f"{row['period']}T00:00:00",
        "label": row["period"],
        "value": row[metric],
        # The line connects whole periods; a period that is still running is a hollow point beside the line.
        "whole": row[metric] if complete else None,
        "part": None if complete else row[metric],
        "complete": complete,
        "says": "; ".join(remarks),
    }
