"""Checks whether a source is still the database that the book was collected from, and records its identity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tallybook.collect.sources.identity import decoded
from tallybook.core import SourceUnavailable

if TYPE_CHECKING:
    from tallybook.collect.report import MetricReport
    from tallybook.collect.run_context import RunContext


def check_identity(context: RunContext, name: str) -> None:
    """Raise SourceUnavailable, before anything is read, if a source is another database than the recorded one."""
    source = context.sources.get(name)
    if source is None or name in context.copies:
        return
    seen = context.identities[name] = source.identity(context.folder)
    known = context.store.ledger.identities().get(_key(name))
    if known is None or name in context.moved or decoded(known.value).is_same(seen):
        return
    raise SourceUnavailable(
        f"source {name!r} is another database than in run {known.run}: was {decoded(known.value)}; is {seen}",
        hint=f"nothing was read from it; is its url right (the environment comes before .env)? "
        f"If the database moved: tallybook run --source-moved {name}",
    )


def record_identities(context: RunContext, names: Iterable[str], run: int) -> None:
    """Record the identity of these sources, if it is new."""
    known = context.store.ledger.identities()
    for name in names:
        seen = context.identities.get(name)
        before = known.get(_key(name))
        if seen is not None and (before is None or before.value != seen.encoded()):
            context.store.ledger.identify(_key(name), seen.encoded(), run=run, now=context.clock())


def record_moved(context: RunContext, reports: Mapping[str, MetricReport], run: int) -> None:
    """Record the sources that are declared to have moved, and note it in the reports of their metrics."""
    known = context.store.ledger.identities()
    for name in context.moved:
        before, seen = known.get(_key(name)), context.identities.get(name)
        if before is None or seen is None or decoded(before.value).is_same(seen):
            continue
        for report in reports.values():
            if report.source == name:
                report.notes.append(f"source {name} moved: was {decoded(before.value)}; is {seen}")
    record_identities(context, context.moved, run)


def record_owner(context: RunContext, run: int) -> None:
    """Record the owner of this book, as currently declared."""
    known = context.store.ledger.identities()
    for name, value in context.owner.items():
        if value and (name not in known or known[name].value != value):
            context.store.ledger.identify(name, value, run=run, now=context.clock())


def _key(name: str) -> str:
    return f"source {name}"
