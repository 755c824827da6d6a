"""The ledger's data about the days of an event: days with events, and interruptions of the servers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from tallybook.core import ONE_DAY, Catalog, Metric, start_of
from tallybook.storage import EventLedger, IdentityLinks, day_path, not_kept

if TYPE_CHECKING:
    from tallybook.storage import Ledger

_USER = re.compile(r"\buser\b")
SHORT = timedelta(minutes=1)
"""Interruptions shorter than this are not reported: a restart takes seconds."""


@dataclass(frozen=True)
class EventDays:
    """The days of the event that a metric reads."""

    metric: Metric
    zone: str
    downtime: timedelta
    sent: frozenset[date]
    pauses: Sequence[tuple[datetime, datetime]]
    """The periods without a running server, after the first server started."""
    linked: frozenset[date] = frozenset()
    """Days that were collected before ids of their users were linked."""
    kept_from: date | None = None
    """The first day whose events are kept; events of earlier days are deleted."""

    def why_uncovered(self, first: date, last: date) -> str:
        """Why a run cannot cover these days; empty if it can."""
        if self.kept_from is not None and first < self.kept_from:
            return not_kept(self.kept_from)
        if self.metric.expect is not None:
            if any(first <= day <= last for day in self.sent):
                return ""
            when = f"on {first}" if first == last else f"from {first} to {last}"
            return f"no value was pushed {when}: {next_push(self.metric, first)}"
        long = [pause for pause in self._within(first, last) if pause[1] - pause[0] > self.downtime]
        if not long:
            return ""
        return f"{_in_words(long[0])}; where no event is missing: {_closing(self.metric, first)}"

    def remark(self, first: date, last: date) -> str | None:
        """A remark that events may be missing on these days, although they are covered; None if there is nothing to
        remark."""
        if earlier := self._before_links(first, last):
            return earlier
        found = [] if self.metric.expect is not None else self._within(first, last)
        if not found:
            return None
        more = f", and {len(found) - 1} more times" if len(found) > 1 else ""
        return f"{_in_words(found[0])}{more}: events that were sent only then are missing"

    def _before_links(self, first: date, last: date) -> str:
        """A remark about days on which one user may be counted under two ids; empty without such days."""
        days = sorted(day for day in self.linked if first <= day <= last)
        if not days:
            return ""
        which = f"{days[0]} was" if len(days) == 1 else f"{len(days)} days, {days[0]} the first, were"
        again = f"tallybook run {self.metric.name} --from {days[0]} --to {days[-1]}"
        return f"{which} collected before ids of users were linked; to collect again: {again}"

    def _within(self, first: date, last: date) -> list[tuple[datetime, datetime]]:
        start, end = start_of(first, self.zone), start_of(last + ONE_DAY, self.zone)
        cut = [(max(a, start), min(b, end)) for a, b in self.pauses]
        return [(a, b) for a, b in cut if b - a >= SHORT]


def known_event_days(
    catalog: Catalog, names: Sequence[str], ledger: Ledger, keys: Mapping[str, str] | None = None
) -> Mapping[str, EventDays]:
    """The event days of the metrics that read an event. `keys`: the keys of metrics in the ledger, by name."""
    metrics = {name: catalog.metrics[name] for name in names}
    chosen = {name: metric for name, metric in metrics.items() if metric.event}
    if not chosen:
        return {}
    events = EventLedger(ledger)  # type: ignore[arg-type]
    pauses, kept = events.pauses(), events.kept_from()
    return {
        name: EventDays(
            metric=metric,
            zone=catalog.book.timezone,
            downtime=timedelta(seconds=catalog.events.downtime),
            sent=frozenset(events.whole_days(metric.event or "", metric.expect_keys)),
            pauses=pauses,
            linked=_linked_days(metric, (keys or {}).get(name, name), ledger, events, kept or date.min),
            kept_from=kept,
        )
        for name, metric in chosen.items()
    }


def _linked_days(metric: Metric, key: str, ledger: Ledger, events: EventLedger, kept_from: date) -> frozenset[date]:
    """The days of a metric of users that were collected before ids of their users were linked, and that can be
    collected again."""
    texts = (metric.measure, metric.where, metric.per, *metric.by, *metric.series)
    if not metric.keeps_latest and not any(_USER.search(text) for text in texts if text):
        return frozenset()
    changed = {
        day: number
        for day, number in IdentityLinks(events.ledger).changed_days(metric.event).items()
        if day >= kept_from
    }
    if not changed:
        return frozenset()
    seen = events.numbers_of_runs()
    covered = ledger.covered_days(key, min(changed), max(changed))
    return frozenset(one.day for one in covered if changed.get(one.day, 0) > seen.get(one.run or 0, 0))


def next_push(metric: Metric, day: date) -> str:
    """The instruction for a day without a value."""
    return f"send it to /v1/values, or close the day: {_closing(metric, day)}"


def _closing(metric: Metric, day: date) -> str:
    return f"PUT {day_path(metric.event or '', day)}"


def _in_words(pause: tuple[datetime, datetime]) -> str:
    first, last = (at.astimezone(UTC) for at in pause)
    until = f"{last:%H:%M}" if last.date() == first.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"no server ran from {first:%Y-%m-%d %H:%M} to {until} UTC"
