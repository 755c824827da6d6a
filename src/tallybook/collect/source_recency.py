"""Compares how recent reads of a source are. A later run may read older data, because a copy or a replica may lag
behind what was read before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from tallybook.collect.late import CATCH_UP, EPOCH, MARGIN
from tallybook.core import Metric, Refused
from tallybook.storage import Ledger, last_true_before


class SourceRecency:
    """How far each source was known when the days of the book were last read."""

    def __init__(self, ledger: Ledger | None, now: datetime) -> None:
        self.ledger, self.now = ledger, now
        self._runs: dict[tuple[str, datetime], dict[int, datetime]] = {}
        self._days: dict[tuple[str, datetime], dict[tuple[str, str], dict[date, datetime]]] = {}

    def older(self, source: str, until: datetime) -> bool:
        """Whether an earlier run knew the source beyond `until`."""
        return bool(self._further(source, until))

    def further(self, own: tuple[str, str], source: str, until: datetime) -> Mapping[date, datetime]:
        """The days of a metric's definition that were last read when their source was known further, each with how
        far."""
        if self.ledger is None or not (runs := self._further(source, until)):
            return {}
        if (source, until) not in self._days:
            days = self._days.setdefault((source, until), {})
            for metric, definition, run, day in self.ledger.days_of_runs(runs):
                days.setdefault((metric, definition), {})[day] = runs[run]
        return self._days[(source, until)].get(own, {})

    def seen(self, seen: datetime, source: str, until: datetime) -> datetime:
        """The instant from which to search for changes. `seen` may have been recorded under a clock that was ahead."""
        if self.ledger is None or seen + MARGIN <= until:
            return seen
        true = last_true_before(self.ledger.ahead(self.now), source, self.now)
        since = until - CATCH_UP if true is None else max(true, EPOCH + MARGIN) - MARGIN
        return min(seen, since)

    def _further(self, source: str, until: datetime) -> dict[int, datetime]:
        if self.ledger is None:
            return {}
        if (source, until) not in self._runs:
            self._runs[(source, until)] = self.ledger.known_further(source, until, now=self.now)
        return self._runs[(source, until)]


def older_source_note(metric: Metric, until: datetime, days: Mapping[date, datetime]) -> str:
    """The note about days that are left unchanged."""
    one = len(days) == 1
    several = f"{min(days)} was" if one else f"{len(days)} days from {min(days)} to {max(days)} were"
    return (
        f"{several} last read when source {metric.source} was known until {max(days.values()):%Y-%m-%d %H:%M} "
        "UTC; now it is known "
        f"until {until:%Y-%m-%d %H:%M} UTC: left as {'it is' if one else 'they are'}"
    )


def refuse_older(metric: Metric, until: datetime, days: Mapping[date, datetime]) -> None:
    """Raise Refused if days are requested that an older source would overwrite."""
    if days:
        raise Refused(
            f"{metric.name}: {older_source_note(metric, until, days)}",
            ask=(
                f"the same with --older-source, to overwrite {'them' if len(days) > 1 else 'it'} with what the "
                "older source holds"
            ),
        )
