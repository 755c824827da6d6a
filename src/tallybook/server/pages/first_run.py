"""The page of a book without a run: the steps already done, and the commands to run next."""

from __future__ import annotations

from tallybook.server.pages.frame import page, status_of
from tallybook.server.pages.page import Page, PageWork
from tallybook.server.pages.words import listed


def first_run(work: PageWork) -> Page:
    """The steps to the first number."""
    catalog = work.catalog
    groups = list(dict.fromkeys(m.group for m in catalog.metrics.values() if m.group))
    counts = [
        _count(len(catalog.metrics), "metric"),
        _count(len(catalog.sources), "source"),
        *([_count(len(catalog.goals), "goal")] if catalog.goals else []),
        *([_count(len(catalog.deliveries), "delivery", "deliveries")] if catalog.deliveries else []),
    ]
    return page(
        work,
        "first_run.html",
        "overview",
        "First run",
        counts=", ".join(counts),
        sources=list(catalog.sources),
        is_running=status_of(work).running,
        is_scheduled=bool(catalog.schedule.cron),
        metrics=len(catalog.metrics),
        groups=listed(groups, 8),
    )


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
