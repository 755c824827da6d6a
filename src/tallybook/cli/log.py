"""The log: one line for each event, as text or as JSON. The only place that formats events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.cli.terminal import Terminal
from tallybook.core import utc_text

if TYPE_CHECKING:
    from tallybook.collect import OnProgress, RunProgress, RunReport
    from tallybook.core import AlertReport

PROGRESS_INTERVAL = timedelta(seconds=10)
"""The time between two progress lines of a run."""


def line(now: datetime, level: str, event: str, facts: Mapping[str, Any], *, as_json: bool) -> str:
    """One log line: the instant in UTC, the event, and its non-empty facts."""
    stamp = utc_text(now)
    given = {key: value for key, value in facts.items() if value not in (None, "", [], ())}
    if as_json:
        return json.dumps({"time": stamp, "level": level, "event": event, **given}, ensure_ascii=False, default=str)
    about = [f"{key}={_word(value)}" for key, value in given.items()]
    return " ".join([stamp, *([level] if level != "info" else []), event, *about])


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    plain = text and not any(letter.isspace() or letter in '"=' for letter in text)
    return text if plain or not isinstance(value, str) else json.dumps(text, ensure_ascii=False)


def log_run(terminal: Terminal, report: RunReport) -> None:
    """Log a line for each metric and delivery of a run, and one for its end."""
    for metric in report.metrics:
        facts = metric.to_dict()
        if metric.error:
            terminal.event("failed", level="error", **facts)
        else:
            terminal.event("collected", **facts)
    for delivery in report.deliveries:
        level = "error" if delivery.failed else "info"
        terminal.event("delivery", level=level, **{k: v for k, v in delivery.to_dict().items() if k != "changes"})
    log_alerts(terminal, report.alerts)
    ended = {k: v for k, v in report.to_dict().items() if k not in ("metrics", "deliveries", "alerts")}
    terminal.event("run_ended", level="error" if report.exit_code else "info", **ended)


def log_alerts(terminal: Terminal, report: AlertReport) -> None:
    """Log a line for each address with its result, and lines for waiting alerts and for the heartbeat."""
    for sent in report.told:
        terminal.event("alerted", **sent)
    for failed in report.failed:
        terminal.event("not_alerted", level="error", **failed)
    if report.quiet_until:
        terminal.event("alerts_wait", until=utc_text(report.quiet_until), waiting=report.waiting)
    if report.heartbeat:
        level = "info" if report.heartbeat == "sent" else "error"
        terminal.event("heartbeat", level=level, said=report.heartbeat)


def logged_progress(terminal: Terminal) -> OnProgress:
    """A callback that logs the progress of a run at most every PROGRESS_INTERVAL."""
    last = terminal.clock()

    def log(seen: RunProgress) -> None:
        nonlocal last
        if terminal.clock() - last >= PROGRESS_INTERVAL:
            last = terminal.clock()
            terminal.event("progress", done=seen.done, of=seen.of, points=seen.points, metric=seen.what)

    return log
