"""The verb that shows the status of the book: `status`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tallybook.cli.options import form, verb
from tallybook.cli.terminal import Terminal, count, table
from tallybook.core import DONE, SOME_FAILED

if TYPE_CHECKING:
    from tallybook.monitor import DeliveryStatus, Status


@verb(
    form("table", "json", "prometheus"),
    click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to this file, atomically."),
)
def status(terminal: Terminal, form: str, out: Path | None) -> int:
    """Show the last run, how far each metric is collected, what failed or waits, and when the next run is due.
    Below, one line for each metric with unusual values and each goal that is behind or missed.

    \b
      tallybook status
      tallybook status --format json
      tallybook status --format prometheus --out textfile_collector/tallybook.prom

    A metric is late if a day is missing that was over when a run was last due ([schedule] of tallybook.toml, plus one
    hour). Without [schedule] it is late if a day is missing that ended more than a day ago. Exit code 1 if there are
    problems."""
    found = terminal.book().status(values=form != "prometheus")
    text = _FORMS[form](found)  # stored errors contain no secrets
    if out is None:
        terminal.data(text)
    else:
        from tallybook.deliver import replacing

        with replacing(out) as file:
            file.write(text.encode())
    return DONE if found.well else SOME_FAILED


def _as_json(found: Status) -> str:
    return json.dumps(found.to_dict(), ensure_ascii=False, indent=2) + "\n"


def _as_prometheus(found: Status) -> str:
    from tallybook.cli.prometheus import exposition

    return exposition(found)


def _as_table(found: Status) -> str:
    problems = found.problems
    well = f"No problems, but {_seen(found)}." if _seen(found) else "All is well."
    lines = [f"{count(len(problems), 'problem')}:", *(f"- {p}" for p in problems)] if problems else [well]
    lines += ["", *_runs(found), ""]
    header = ("metric", "collected to", "days late", "gaps", "failed")
    rows = [
        (m.metric, m.to or "never", m.days_late or "", m.gaps or "", "yes" if m.error else "") for m in found.metrics
    ]
    lines += table(header, rows, numbers=("days late", "gaps"))
    if found.deliveries:
        rows_ = [(d.delivery, _state(d), _minute(d.at)) for d in found.deliveries]
        lines += ["", *table(("delivery", "", "last (UTC)"), rows_)]
    lines += ["", *found.remarks] if found.remarks else []
    return "\n".join(lines) + "\n"


def _seen(found: Status) -> str:
    """What is no problem of the book, in a few words."""
    parts = [f"{count(len(found.unusual), 'metric')} with unusual values"] if found.unusual else []
    parts += [f"{count(len(found.goals_off), 'goal')} behind or missed"] if found.goals_off else []
    parts += ["some days are lost"] if found.losses else []
    return ", ".join(parts)


def _state(delivery: DeliveryStatus) -> str:
    state = "waiting" if delivery.waiting else "delivered"
    return f"{state}: {delivery.progress}" if delivery.progress else state


def _runs(found: Status) -> list[str]:
    last, running = found.last_run, " (in progress)" if found.running else ""
    lines = [f"last run  {last['run']}, {_minute(last['started'])} UTC: {last['status']}{running}"] if last else []
    if found.next_due is not None:
        from tallybook.core import zone

        local = found.next_due.astimezone(zone(found.timezone))
        lines.append(f"next due  {local:%Y-%m-%d %H:%M} in {found.timezone}")
    return [*lines, f"expected  all metrics collected to {found.due}"]


def _minute(stamp: str | None) -> str:
    return f"{datetime.fromisoformat(stamp):%Y-%m-%d %H:%M}" if stamp else ""


_FORMS = {"table": _as_table, "json": _as_json, "prometheus": _as_prometheus}
