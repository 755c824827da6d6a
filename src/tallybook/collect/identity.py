"""Whether a source is still the database that the book was collected from, and what it was recorded as."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tallybook.collect.sources.identity import decoded
from tallybook.core import SourceUnavailable

if TYPE_CHECKING:
    from tallybook.collect.report import MetricReport
    from tallybook.collect.run_context import RunContext


def check_identity(means: RunContext, name: str) -> None:
    """Raise SourceUnavailable, before anything is read, when a source is another database than the one recorded."""
    source = means.sources.get(name)
    if source is None or name in means.copies:
        return
    seen = means.identities[name] = source.identity(means.folder)
    known = means.store.ledger.identities().get(_key(name))
    if known is None or name in means.moved or decoded(known.value).is_same(seen):
        return
    raise SourceUnavailable(
        f"source {name!r} is another database than in run {known.run}: was {decoded(known.value)}; is {seen}",
        hint=f"nothing was read from it; is its url right (the environment comes before .env)? "
        f"If the database moved: tallybook run --source-moved {name}",
    )


def record_identities(means: RunContext, names: Iterable[str], run: int) -> None:
    """Record what these sources are, where that is new."""
    known = means.store.ledger.identities()
    for name in names:
        seen = means.identities.get(name)
        before = known.get(_key(name))
        if seen is not None and (before is None or before.value != seen.encoded()):
            means.store.ledger.identify(_key(name), seen.encoded(), run=run, now=means.clock())


def record_moved(means: RunContext, reports: Mapping[str, MetricReport], run: int) -> None:
    """Record the sources that are said to have moved, and say so in the reports of their metrics."""
    known = means.store.ledger.identities()
    for name in means.moved:
        before, seen = known.get(_key(name)), means.identities.get(name)
        if before is None or seen is None or decoded(before.value).is_same(seen):
            continue
        for report in reports.values():
            if report.source == name:
                report.notes.append(f"source {name} moved: was {decoded(before.value)}; is {seen}")
    record_identities(means, means.moved, run)


def record_owner(means: RunContext, run: int) -> None:
    """Record whose book this is, as it is declared now."""
    known = means.store.ledger.identities()
    for name, value in means.owner.items():
        if value and (name not in known or known[name].value != value):
            means.store.ledger.identify(name, value, run=run, now=means.clock())


def _key(name: str) -> str:
    return f"source {name}"
