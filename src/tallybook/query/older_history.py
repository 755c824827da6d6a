"""Days that the book stores under an older definition or another name of a metric, so that no answer contains them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tallybook.core import IMPORTED, Metric, calendar, count_of, merge_stretches, subtract_stretches

if TYPE_CHECKING:
    from tallybook.query.reader import BookReader
    from tallybook.storage import VersionSnapshot

Stretches = Sequence[tuple[date, date]]


@dataclass(frozen=True, kw_only=True)
class OlderHistory:
    """Stored days of a metric that its current declaration does not cover.

    `definition`: the older definition, or `old_name`: the name under which they are stored. `metric` is None if no
    declared metric has the definition of `old_name`."""

    metric: str | None
    days: int
    first: date
    last: date
    definition: str = ""
    old_name: str = ""
    can_collect: bool = True
    """Whether the source can still provide these days; a snapshot cannot."""
    is_started: bool = False
    """Whether the metric has collected days under its own name."""

    @property
    def finding(self) -> str:
        """A sentence that describes these days."""
        where = f"the name {self.old_name}" if self.old_name else f"the older definition {self.definition}"
        whose = f" of {self.metric}" if self.metric else ""
        are = "is" if self.days == 1 else "are"
        return f"{count_of(self.days, 'day')}{whose} ({self.first} to {self.last}) {are} stored under {where}"

    @property
    def resolution(self) -> str:
        """The command or line that resolves the finding."""
        if self.old_name:
            line = f'renamed_from = "{self.old_name}"'
            if self.metric is None:
                return f"renamed? {line} in its table; not wanted? tallybook forget {self.old_name}"
            before = f"tallybook forget {self.metric}, then " if self.is_started else ""
            return f"{before}{line} in [metrics.{self.metric}]; not wanted? tallybook forget {self.old_name}"
        if not self.can_collect:
            return f"tallybook query {self.metric} --definition {self.definition}"
        again = f"tallybook run {self.metric} --from {self.first} --to {self.last}"
        return f"compare: tallybook diff {self.metric}; collect again: {again}"

    @property
    def sentence(self) -> str:
        """The finding with its resolution."""
        return f"{self.finding}: {self.resolution}"

    @property
    def decision(self) -> str:
        """The sentence, extended by the line that keeps older days as they are."""
        if self.old_name:
            return self.sentence
        start = calendar.plus_days(self.last, 1)
        return f'{self.sentence}; leave them: start = "{start}" in [metrics.{self.metric}]'


def older_histories(reader: BookReader) -> list[OlderHistory]:
    """The older days of all declared metrics, then the stored names that no declared metric has."""
    catalog = reader.project.catalog
    if not reader.has_book:
        return []
    collected = [name for name, metric in catalog.metrics.items() if not metric.derived]
    keys = reader.keys(collected)
    known = reader.snapshot(keys, None)
    found = older_of(reader, keys, known)
    renamed = {one.old_name for one in found}
    for name, (stretches, _) in _undeclared(reader, None).items():
        if name not in renamed and stretches:
            found.append(_history(stretches, old_name=name))
    return found


def older_of(reader: BookReader, keys: Mapping[str, str], known: VersionSnapshot) -> list[OlderHistory]:
    """The older days of some declared metrics, given by storage key, at the version of `known`."""
    catalog = reader.project.catalog
    found: list[OlderHistory] = []
    others = _undeclared(reader, known.version) if keys else {}
    for name, key in keys.items():
        metric = catalog.metrics[name]
        own, every = reader.coverages(metric, key, known)
        collected = [d.id for d in reader.collected(key, known)]
        begun = metric.start or catalog.book.start
        older, definition = _older(own.stretches, {d: every[d].stretches for d in collected if d in every})
        if left := _since(older, begun):
            found.append(_history(left, metric=metric, definition=definition))
        declared = metric.fingerprint(catalog.book.timezone, {})
        for old, (stretches, definitions) in others.items():
            left = subtract_stretches(_since(stretches, begun), own.stretches) if declared in definitions else []
            if left:
                found.append(_history(left, metric=metric, old_name=old, is_started=bool(own.stretches)))
    return found


def _since(stretches: Stretches, first: date | None) -> list[tuple[date, date]]:
    return [(max(a, first), b) for a, b in stretches if b >= first] if first else list(stretches)


def _older(own: Stretches, every: Mapping[str, Stretches]) -> tuple[list[tuple[date, date]], str]:
    """(days of older definitions that `own` lacks, the definition with most of them)."""
    left = {definition: subtract_stretches(stretches, own) for definition, stretches in every.items()}
    most = max(left, key=lambda definition: _count(left[definition]), default="")
    return merge_stretches(one for stretches in left.values() for one in stretches), most


def _undeclared(reader: BookReader, version: int | None) -> dict[str, tuple[list[tuple[date, date]], set[str]]]:
    """Stored names that no declared metric has: their stored days, and the declarations that collected them."""
    if not reader.has_book:
        return {}
    declared, ledger = list(reader.project.catalog.metrics), reader.store.ledger
    others = ledger.stored_metrics().difference(reader.keys(declared).values())
    names = {key: key for key in others}
    names |= {name: key for name, key in ledger.metric_keys().items() if key in others and name not in declared}
    names = {name: key for name, key in names.items() if name not in declared}
    if not names:
        return {}
    known = reader.snapshot(names, version)
    found = {}
    for name, key in names.items():
        collected = {d.id: d.declared for d in known.definitions.get(key, ()) if d.declared != IMPORTED}
        days = _merged(reader.covered(key, definition, known) for definition in collected)
        found[name] = days, set(collected.values())
    return found


def _merged(several: Iterable[Stretches]) -> list[tuple[date, date]]:
    return merge_stretches(one for stretches in several for one in stretches)


def _count(stretches: Stretches) -> int:
    return sum((b - a).days + 1 for a, b in stretches)


def _history(
    stretches: Stretches,
    *,
    metric: Metric | None = None,
    definition: str = "",
    old_name: str = "",
    is_started: bool = False,
) -> OlderHistory:
    return OlderHistory(
        metric=metric.name if metric else None,
        days=_count(stretches),
        first=stretches[0][0],
        last=stretches[-1][1],
        definition=definition,
        old_name=old_name,
        can_collect=metric is None or not metric.snapshot,
        is_started=is_started,
    )
