"""The properties that metrics must share so that one statement collects them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tallybook.collect.binding import BoundMetric

FLOW_PLAN, INTERVAL_PLAN, SNAPSHOT_PLAN = "days", "interval", "snapshot"


@dataclass(frozen=True)
class GroupKey:
    """The properties that metrics must share to be collected by one statement."""

    source: str
    relation: str
    plan: str
    time: tuple[Any, ...]
    dims: tuple[str, ...]
    latest: tuple[Any, ...] = ()
    """(where, series, received), if only the row received last counts."""


def group_key(facts: BoundMetric) -> GroupKey:
    metric = facts.metric
    plan = INTERVAL_PLAN if metric.interval else SNAPSHOT_PLAN if metric.snapshot else FLOW_PLAN
    latest = (metric.where, metric.latest_series, metric.received) if metric.keeps_latest else ()
    time = (
        metric.time,
        facts.time,
        metric.from_,
        facts.since,
        metric.until,
        facts.until,
        metric.until_inclusive,
    )
    return GroupKey(metric.source or "", facts.relation, plan, time, metric.dims, latest)
