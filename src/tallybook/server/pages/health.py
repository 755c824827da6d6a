"""Health: runs, gaps with the commands that close them, sources, deliveries, events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tallybook.core import Refused
from tallybook.server.pages.attention import calendars, gaps_of
from tallybook.server.pages.frame import page, status_of
from tallybook.server.pages.page import Page, PageWork
from tallybook.server.pages.words import days_phrase, listed, title_of
from tallybook.storage import EventLedger, OutboxLedger

MAX_GAPS = 12
RUNS, ALL_RUNS = 6, 50
SOUND = ("done", "some failed", "running")


@dataclass(frozen=True, kw_only=True)
class HealthTile:
    label: str
    value: str
    more: str
    tone: str = ""
    icon: str = ""


@dataclass(frozen=True, kw_only=True)
class GapLine:
    title: str
    words: str
    command: str
    why: str


@dataclass(frozen=True, kw_only=True)
class RunLine:
    run: int
    started: str
    status: str
    tone: str
    icon: str
    metrics: int
    days: int
    points: int
    revisions: int
    seconds: str
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class StateLine:
    """A source, a delivery, an outbox or an event with its state."""

    name: str
    more: str
    state: str
    tone: str
    icon: str
    when: str
    count: str = ""


def health(work: PageWork) -> Page:
    """The page `/health`. Raises Refused for a reader who sees only part of the book."""
    if work.reader.is_bound:
        raise Refused("this key sees a part of the book; health is about all of it")
    status = status_of(work)
    runs = work.book.runs(ALL_RUNS if work.ask.one("runs") == "all" else RUNS)
    gaps = gaps_of(work)
    missing = sum(gaps.values())
    through = max((one.to for one in status.metrics if one.to), default=None)
    words = f"Data is collected through {through}." if through else "Nothing is collected yet."
    if missing:
        metrics = f"{len(gaps)} metric{'s' if len(gaps) > 1 else ''}"
        words += f" {days_phrase(missing)} of {metrics} {'is' if missing == 1 else 'are'} missing."
    return page(
        work,
        "health.html",
        "health",
        "Health",
        words=words,
        tiles=_tiles(work, runs[:1], missing, str(through or "–")),
        problems=status.problems,
        gaps=_gap_lines(work),
        runs=[_run_line(run) for run in runs],
        shows_all=work.ask.one("runs") == "all",
        sources=_sources(work),
        deliveries=_deliveries(work),
        events=_events(work),
    )


def _tiles(work: PageWork, runs: Sequence[Any], missing: int, through: str) -> list[HealthTile]:
    status = status_of(work)
    late = [one for one in status.metrics if one.days_late or one.error]
    last = HealthTile(label="Last run", value="none", more="tallybook run", tone="warn", icon="waiting")
    if runs:
        line = _run_line(runs[0])
        more = f"run {line.run}, {line.started} UTC" + (f", {line.seconds} s" if line.seconds else "")
        last = HealthTile(label="Last run", value=line.status, more=more, tone=line.tone, icon=line.icon)
    on_time = f"{len(late)} of {len(status.metrics)} metrics late" if late else "all metrics on time"
    each = [f"{title_of(work.catalog.metrics[name])} {days:,}" for name, days in gaps_of(work).items()]
    waiting = [one for one in status.deliveries if one.waiting]
    done = len(status.deliveries) - len(waiting)
    delivered = f"up to date with version {status.version}" if not waiting else f"{len(waiting)} waiting"
    return [
        last,
        HealthTile(label="Data through", value=through, more=on_time, tone="warn" if late else ""),
        HealthTile(
            label="Missing days",
            value=f"{missing:,}",
            more=listed(each) if each else "no gaps",
            tone="warn" if missing else "good",
            icon="missing" if missing else "done",
        ),
        HealthTile(
            label="Deliveries",
            value=f"{done} of {len(status.deliveries)}" if status.deliveries else "none",
            more=delivered if status.deliveries else "none declared",
            tone=("warn" if waiting else "good") if status.deliveries else "",
            icon=("waiting" if waiting else "done") if status.deliveries else "",
        ),
    ]


def _gap_lines(work: PageWork) -> list[GapLine]:
    found = []
    for one in calendars(work):
        metric = work.catalog.metrics[one.metric]
        if metric.derived:
            continue
        for gap in one.gaps:
            days = f"{gap.from_} to {gap.to}, {days_phrase(gap.days)}" if gap.days > 1 else gap.from_
            found.append(GapLine(title=title_of(metric), words=days, command=gap.collect or "", why=gap.why or ""))
    return found[-MAX_GAPS:]


def _run_line(run: Any) -> RunLine:
    done = run.report.get("metrics", [])
    tone, icon = ("good", "done") if run.status == "done" else ("warn", "waiting")
    if run.status not in SOUND:
        tone, icon = "bad", "failed"
    seconds = ""
    if run.finished:
        took = datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)
        seconds = f"{run.report.get('seconds') or took.total_seconds():,.1f}"
    failed = [one["metric"] for one in done if one.get("error")]
    return RunLine(
        run=run.run,
        started=f"{datetime.fromisoformat(run.started):%Y-%m-%d %H:%M}",
        status=run.status.partition(":")[0][:40],
        tone=tone,
        icon=icon,
        metrics=len(done),
        days=sum(one.get("days", 0) for one in done),
        points=sum(one.get("points", 0) for one in done),
        revisions=sum(one.get("revisions", 0) for one in done),
        seconds=seconds,
        problem=f"{listed(failed)} failed" if failed else "",
    )


def _sources(work: PageWork) -> list[StateLine]:
    """Each source as of the last run: how far its metrics are collected, and whether one failed."""
    status, found = status_of(work), []
    for name in work.catalog.sources:
        own = [one for one in status.metrics if work.catalog.metrics[one.metric].source == name]
        failed = [one for one in own if one.error]
        reached = max((one.to for one in own if one.to), default=None)
        state = ("failed in the last run", "bad", "failed") if failed else ("read", "good", "done")
        state = state if own and reached else ("not read yet", "muted", "waiting")
        kind = "usage events of this book" if name == "events" else "only ever read"
        found.append(
            StateLine(name=name, more=kind, state=state[0], tone=state[1], icon=state[2], when=str(reached or "–"))
        )
    return found


def _deliveries(work: PageWork) -> list[StateLine]:
    counts = {}
    if work.book.reader.has_book:
        counts = OutboxLedger(work.book.reader.store.ledger).counts()
    found = []
    for one in status_of(work).deliveries:
        declared = work.catalog.deliveries[one.delivery]
        state = ("waiting", "warn", "waiting") if one.waiting else ("delivered", "good", "done")
        outbox = counts.get(one.delivery, {})
        said = ", ".join(f"{number:,} {name}" for name, number in outbox.items())
        found.append(
            StateLine(
                name=one.delivery,
                more=declared.to.replace("_", " "),
                state=state[0],
                tone=state[1],
                icon=state[2],
                when=_minute(one.at),
                count=said,
            )
        )
    return found


def _events(work: PageWork) -> list[StateLine]:
    """How much of each event was received, and problems with it."""
    if not work.book.reader.has_book:
        return []
    snapshot = EventLedger(work.book.reader.store.ledger).snapshot()
    rows: dict[str, int] = {}
    for file in snapshot.files:
        rows[file.event] = rows.get(file.event, 0) + file.rows
    last = snapshot.last_received
    wrong = {one.subject: f"{one.said}; {one.next}" for one in status_of(work).events if one.said}
    found = [
        StateLine(
            name=event,
            more="",
            state="received",
            tone="good",
            icon="done",
            when=_minute(last.get(event)),
            count=f"{n:,}",
        )
        for event, n in sorted(rows.items())
    ]
    problems = [
        StateLine(name=subject, more=said, state="look at it", tone="warn", icon="risk", when="")
        for subject, said in wrong.items()
    ]
    return [*problems, *found]


def _minute(instant: str | None) -> str:
    return f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M}" if instant else "–"
