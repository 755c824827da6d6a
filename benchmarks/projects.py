"""Projects to be measured: a folder with a tallybook.toml, and a book whose clock stands still."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import tallybook

Metrics = Mapping[str, Mapping[str, Any]]


def write_project(folder: Path, url: str, metrics: Metrics, *, start: date) -> Path:
    """A folder whose source `app` is `url`, with these metrics."""
    folder.mkdir(parents=True)
    lines = ["[book]", f'start = "{start}"', 'lookback = "1d"', "[sources.app]", f"url = {json.dumps(url)}"]
    lines += ['statement_timeout = "300s"']
    for name, declared in metrics.items():
        lines += [f"[metrics.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in declared.items())]
    (folder / "tallybook.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def open_at(folder: Path, last: date) -> Any:
    """The book of a project, on the morning after the day `last`."""
    now = datetime.combine(last + timedelta(days=1), time(6), UTC)
    return tallybook.open(folder, now=lambda: now)


def collect(folder: Path, last: date) -> Any:
    """Run, and see that nothing failed. Returns the report."""
    with open_at(folder, last) as book:
        report = book.run()
    assert not report.failed, [f"{m.metric}: {m.error} {m.hint}" for m in report.failed]
    return report


# Seven numbers that add up, three that do not, and a percentile.
ADDITIVE = {
    "calls": "count(*)",
    "errors": "count(*) filter (where status >= 500)",
    "error_rate": "100.0 * count(*) filter (where status >= 500) / count(*)",
    "traffic": "sum(bytes)",
    "mean_latency": "avg(latency_ms)",
    "worst_latency": "max(latency_ms)",
    "slow_calls": "count(case when latency_ms > 100 then 1 end)",
}
NOT_ADDITIVE = {
    "active_users": "count(distinct user_id)",
    "active_accounts": "count(distinct account_id)",
    "users_with_errors": "count(distinct user_id) filter (where status >= 500)",
    "p95_latency": "p95(latency_ms)",
}


def on_api_calls(measures: Mapping[str, str], by: list[str]) -> Metrics:
    """Metrics of the table api_calls."""
    shared = {"table": "api_calls", "time": "called_at", "by": by}
    return {name: {**shared, "measure": measure} for name, measure in measures.items()}
