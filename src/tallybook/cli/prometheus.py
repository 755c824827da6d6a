"""A status in the text format of Prometheus, for the textfile collector of its node exporter."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from tallybook.core import calendar

if TYPE_CHECKING:
    from tallybook.monitor import Status

Sample = tuple[dict[str, str], float]


def exposition(found: Status) -> str:
    """The gauges of a status. Their names begin with `tallybook_`, and each has the label `book`. Instants are seconds
    since 1970."""
    lines: list[str] = []
    for name, about, samples in _gauges(found):
        samples_ = [
            f"tallybook_{name}{_labels({'book': found.book, **labels})} {value:.15g}" for labels, value in samples
        ]
        if samples_:
            lines += [f"# HELP tallybook_{name} {about}", f"# TYPE tallybook_{name} gauge", *samples_]
    return "\n".join(lines) + "\n"


def _gauges(found: Status) -> Iterable[tuple[str, str, list[Sample]]]:
    last, metrics = found.last_run, found.metrics
    yield "well", "1 when nothing is late, failed or waiting.", [({}, found.well)]
    yield "problems", "The number of problems.", [({}, len(found.problems))]
    yield "status_timestamp_seconds", "When this status was written.", [({}, found.now.timestamp())]
    yield "book_version", "The version of the book.", [({}, found.version)]
    yield "running", "1 while a run is in progress.", [({}, found.running)]
    if last is not None:
        yield "last_run_started_timestamp_seconds", "When the last run began.", [({}, _seconds(last["started"]))]
        ended: list[Sample] = [({}, _seconds(last["finished"]))] if last["finished"] else []
        yield "last_run_finished_timestamp_seconds", "When the last run ended.", ended
        yield "last_run_failed_metrics", "How many metrics failed in the last run.", [({}, len(last["failed"]))]
    if found.next_due is not None:
        yield "next_due_timestamp_seconds", "When the next run is due.", [({}, found.next_due.timestamp())]
    covered = [
        ({"metric": m.metric}, calendar.end_of(m.to, found.timezone).timestamp()) for m in metrics if m.to is not None
    ]
    yield "metric_collected_until_timestamp_seconds", "The end of the last day that is collected.", covered
    yield (
        "metric_late_days",
        "Days that should be collected by now and are not.",
        _each((m.metric, m.days_late) for m in metrics),
    )
    yield (
        "metric_gap_days",
        "Days before the last one that are not collected.",
        _each((m.metric, m.gaps) for m in metrics),
    )
    yield (
        "metric_failed",
        "1 when the last run that tried to collect it failed.",
        _each((m.metric, bool(m.error)) for m in metrics),
    )
    yield (
        "delivery_waiting",
        "1 when the last run collected more than was delivered.",
        [({"delivery": d.delivery}, d.waiting) for d in found.deliveries],
    )


def _each(values: Iterable[tuple[str, float]]) -> list[Sample]:
    return [({"metric": name}, value) for name, value in values]


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _labels(labels: dict[str, str]) -> str:
    quoted = {k: v.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for k, v in labels.items()}
    return "{" + ",".join(f'{key}="{value}"' for key, value in quoted.items()) + "}"
