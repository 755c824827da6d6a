"""Default keys of a metric of an event: every event has the same columns, or declares them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from tallybook.config.catalog.rules import EVENTS
from tallybook.config.catalog.words import toml
from tallybook.core import EVERY_DAY, FLOW, LEVEL, SERIES_COLUMN, EventDeclaration, EventSettings, Metric, Problems


def with_event(keys: object, events: EventSettings) -> object:
    """The keys of a metric of an event, completed with defaults.

    A level, and a flow of a daily aggregate, counts the value received last for each day and series. A level over
    intervals counts every event."""
    if not isinstance(keys, Mapping) or "event" not in keys:
        return keys
    declared = events.of(str(keys["event"]))
    kind = keys.get("kind", FLOW)
    daily = keys.get("daily_aggregate", declared.daily_aggregate) is True
    latest = (kind == LEVEL and "from" not in keys) or (daily and kind == FLOW)
    found: dict[str, object] = {"source": EVENTS, **({"received": "received"} if latest else {})}
    if daily and kind == FLOW:
        found["daily_aggregate"] = True
    found |= keys
    if not {"time", "from"} & keys.keys():
        found["time"] = "day" if latest or daily else "time"
    if latest and "series" not in keys:
        by = keys.get("by")
        found["series"] = [*dict.fromkeys([*_series(declared), *(by if isinstance(by, list) else [])])]
    return found


def _series(declared: EventDeclaration) -> tuple[str, ...]:
    return declared.series or (SERIES_COLUMN,)


def with_expectations(metric: Metric, events: EventSettings) -> Metric:
    """A metric with the days on which its event's daily values are expected."""
    if metric.event is None or not metric.keeps_latest:
        return metric
    declared = events.of(metric.event)
    expect = EVERY_DAY if declared.expect is None else declared.expect
    return replace(metric, expect=expect, expect_keys=declared.expect_keys)


def refuse_contradictions(name: str, keys: object, events: EventSettings, problems: Problems) -> None:
    """Report keys of a metric that contradict the declaration of its event."""
    if not isinstance(keys, Mapping) or not isinstance(keys.get("event"), str):
        return
    declared = events.of(keys["event"])
    path, table = f"metrics.{name}", f"[events.{toml(declared.name)}]"
    daily = keys.get("daily_aggregate")
    if isinstance(daily, bool) and declared.daily_aggregate not in (None, daily):
        problems.add(
            f"{path}.daily_aggregate",
            "contradicts the declaration of its event",
            seen=f"daily_aggregate = {toml(daily)}",
            expected=f"{table} daily_aggregate = {toml(declared.daily_aggregate)}; one of the two lines must go",
            paste=f"daily_aggregate = {toml(declared.daily_aggregate)}",
        )
    series, by = keys.get("series"), keys.get("by", [])
    if not isinstance(series, list) or not isinstance(by, list) or not declared.series:
        return
    if {*map(str, series)} - {*map(str, by)} != {*declared.series} - {*map(str, by)}:
        problems.add(
            f"{path}.series",
            "contradicts the declaration of its event",
            seen=f"series = {toml(series)}",
            expected=f"{table} series = {toml(list(declared.series))}; one of the two lines must go",
            paste=f"series = {toml([*dict.fromkeys([*declared.series, *map(str, by)])])}",
        )
