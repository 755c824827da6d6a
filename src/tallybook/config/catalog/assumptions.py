"""Describes in one sentence how a metric is interpreted, so that people can check it."""

from __future__ import annotations

from tallybook.core import UNIQUES, Metric


def explain_assumptions(metric: Metric, zone: str | None = None) -> str:
    """One sentence: the kind of metric, its time and zone, and the value of a wider scope.

    `zone`: the time zone of the book."""
    if metric.derived and metric.parsed:
        shown = ", ".join(f"{o.show or 'its own show'} of {o.metric}" for o in metric.parsed.operands)
        return f"{metric.name}: derived; {shown}, over the days that all of them cover, then computed."
    parts = _facts_words(metric), _time_words(metric, zone or "the book's zone"), _show_words(metric)
    return f"{metric.name}: {'; '.join(parts)}."


_STORED_WORDS = {
    None: "times without a zone are read as UTC, dates as they are",
    "utc": "times are read as UTC",
    "local": "times are read as local times of {zone}",
    "offset": "times have their own offset",
    "epoch_s": "times are seconds since 1970 (UTC)",
    "epoch_ms": "times are milliseconds since 1970 (UTC)",
    "epoch_us": "times are microseconds since 1970 (UTC)",
    "epoch_ns": "times are nanoseconds since 1970 (UTC)",
    "yyyymmdd": "dates written as 20260302, without a zone",
    "date": "dates without a zone",
}


def _facts_words(metric: Metric) -> str:
    what = metric.measure or "the value of the function"
    if metric.per:
        what += f" per {metric.per}, then {metric.then},"
    place = " with ".join([metric.table or "", *dict.fromkeys(j.table for j in metric.join)]) or (
        "a query" if metric.sql else metric.function
    )
    kind = "a snapshot (the source shows only the present)" if metric.snapshot else f"a {metric.kind}"
    if metric.kind == UNIQUES:
        kind = "daily counts of distinct things"
    return f"{kind}, {what} of {place}" + (f" in {metric.source}" if metric.source else "")


def _time_words(metric: Metric, zone: str) -> str:
    stored = _STORED_WORDS[metric.stored].format(zone=metric.stored_zone or zone)
    days = f"days of {zone}"
    if metric.interval:
        reach = "inclusive" if metric.until_inclusive else "exclusive"
        end = f"until {metric.until} ({reach})" if metric.until else "without end"
        return f"a row is valid from {metric.from_} {end}; {stored}; {days}"
    if metric.time:
        return f"by {metric.time}; {stored}; {days}"
    if metric.snapshot:
        hours = metric.snapshot_grace / 3600
        return f"read up to {hours:g} h after midnight it counts for the day before; {days}"
    return days


def _show_words(metric: Metric) -> str:
    meaning = {
        "total": "over all facts of the period",
        "average": "the mean of the days covered",
        "last": "of the last closed day",
        "first": "of the first day",
        "min": "of the daily values",
        "max": "of the daily values",
        "change": "since the end of the previous period",
    }
    shown = f"a wider scope shows {metric.default_show} ({meaning[metric.default_show]})"
    if metric.kind == UNIQUES and metric.default_show == "total":
        shown = "a wider scope shows only bounds: daily distinct counts do not add up"
    if metric.unit_from:
        shown += f"; its unit is in {metric.unit_from}, so an answer is split by it or filtered to one value"
    if metric.keeps_latest:
        shown += f"; the latest value of a day and ({', '.join(metric.series)}) counts"
    if metric.carry:
        shown += f"; a missing series is carried {metric.carry} days"
    return shown
