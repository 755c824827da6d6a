"""Problems of usage events: what is rejected, keys that went silent, and events that feed no metric."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from tallybook.core import EVENTS_SOURCE, Catalog, calendar, table_parts
from tallybook.storage import REJECTED, EventLedger, connect, engine_path, literal, stamp_of

if TYPE_CHECKING:
    from tallybook.storage import EventFile, EventsSnapshot

REJECTED_WINDOW = timedelta(hours=24)
SILENCE_HISTORY = timedelta(days=28)
"""A key's silence is compared with its longest silence in this time."""
SILENCE_FACTOR = 2
MIN_SILENCE = timedelta(hours=24)
MIN_ACTIVE_DAYS = 5
"""A key that sent on fewer days is not expected to send again."""
SILENT, UNUSED = "silent", "unused"


@dataclass(frozen=True, kw_only=True)
class EventProblem:
    """One problem. If `said` is empty, the problem of this `id` does not exist now."""

    id: str
    kind: str
    subject: str
    said: str = ""
    next: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.subject} {self.said}; {self.next}"


def event_problems(events: EventLedger, catalog: Catalog, now: datetime) -> list[EventProblem]:
    """One result for each check of each key and event, whether it found a problem or not. Empty for a book without
    events."""
    if events.number() == 0:
        return []
    snapshot = events.snapshot()
    keys = {key.name: key.is_valid(now) for key in events.api_keys()}
    looking = _Looking(events, snapshot, catalog, now)
    return [*looking.rejected(keys), *looking.silent(keys), *looking.unused()]


class _Looking:
    """One check of the files of events."""

    def __init__(self, events: EventLedger, snapshot: EventsSnapshot, catalog: Catalog, now: datetime) -> None:
        self.events, self.snapshot, self.catalog, self.now = events, snapshot, catalog, now

    def _files(self, since: datetime, *, rejected: bool) -> list[EventFile]:
        oldest = stamp_of(since)
        files = self.snapshot.files
        return [one for one in files if (one.event == REJECTED) == rejected and one.received_last >= oldest]

    def _rows(self, files: Sequence[EventFile], select: str) -> list[tuple[object, ...]]:
        if not files:
            return []
        paths = ", ".join(engine_path(self.events.local_path(file)) for file in files)
        with connect() as engine:
            engine.execute("SET TimeZone = 'UTC'")
            return engine.execute(select.format(f"read_parquet([{paths}], union_by_name = true)")).fetchall()

    # -- rejected ------------------------------------------------------------------------------------------------

    def rejected(self, keys: Iterable[str]) -> list[EventProblem]:
        since = self.now - REJECTED_WINDOW
        after = f"TIMESTAMPTZ {literal(stamp_of(since))}"
        bad: dict[str, Counter[str]] = {}
        found = self._rows(self._files(since, rejected=True), f'SELECT key, rejected FROM {{}} WHERE "at" >= {after}')
        for key, why in found:
            codes = (str(one["code"]) for one in json.loads(str(why)))
            bad.setdefault(str(key), Counter()).update(codes)
        good: dict[str, int] = {}
        if bad:
            select = f"SELECT key, count(*) FROM {{}} WHERE received >= {after} GROUP BY key"
            good = {str(key): int(str(n)) for key, n in self._rows(self._files(since, rejected=False), select)}
        return [
            self._rejected(key, bad.get(key, Counter()), good.get(key, 0)) for key in {**dict.fromkeys(keys), **bad}
        ]

    def _rejected(self, key: str, bad: Counter[str], good: int) -> EventProblem:
        count, limit = bad.total(), self.catalog.alerts.rejected
        well = EventProblem(id=f"rejected {key}", kind=REJECTED_KIND, subject=f"key {key}")
        share = count / (count + good) if count else 0.0
        # A limit below one is a share, any other is a number.
        if not count or (share <= limit if limit < 1 else count < limit):
            return well
        code, most = bad.most_common(1)[0]
        return EventProblem(
            id=well.id,
            kind=well.kind,
            subject=well.subject,
            said=f"sent {count:,} events of {count + good:,} in the last 24 hours that were rejected ({share:.1%}; "
            f"{most:,} of them {code})",
            next=f"tallybook events rejected --key {key}",
        )

    # -- silent --------------------------------------------------------------------------------------------------

    def silent(self, keys: dict[str, bool]) -> list[EventProblem]:
        since = self.now - SILENCE_HISTORY
        hour = "epoch(date_trunc('hour', received))"
        select = f"SELECT key, {hour}, epoch(max(received)) FROM {{}} GROUP BY ALL ORDER BY ALL"
        times: dict[str, list[datetime]] = {}
        for key, first, last in self._rows(self._files(since, rejected=False), select):
            instants = (datetime.fromtimestamp(float(str(one)), UTC) for one in (first, last))
            times.setdefault(str(key), []).extend(one for one in instants if one >= since)
        return [self._silent(key, sorted(times.get(key, ())), valid=valid) for key, valid in keys.items()]

    def _silent(self, key: str, times: Sequence[datetime], *, valid: bool) -> EventProblem:
        well = EventProblem(id=f"silent {key}", kind=SILENT, subject=f"key {key}")
        days = {at.date() for at in times}
        if not valid or len(days) < MIN_ACTIVE_DAYS:
            return well
        longest = max((after - before for before, after in pairwise(times)), default=timedelta())
        silence = self.now - times[-1]
        if silence <= max(MIN_SILENCE, SILENCE_FACTOR * longest):
            return well
        local = times[-1].astimezone(calendar.zone(self.catalog.book.timezone))
        return EventProblem(
            id=well.id,
            kind=well.kind,
            subject=well.subject,
            said=f"sent no event since {local:%Y-%m-%d %H:%M}; before, it never was silent for more than "
            f"{_span(longest)} in four weeks",
            next=f"check its sender; tallybook keys revoke {key}, if it is not used any more",
        )

    # -- unused --------------------------------------------------------------------------------------------------

    def unused(self) -> list[EventProblem]:
        sources = [one for one in self.catalog.metrics.values() if one.source == EVENTS_SOURCE]
        fed = {table_parts(one.table)[0] for one in sources if one.table}
        texts = [f"{one.sql or ''} {' '.join(join.table for join in one.join)}" for one in sources]
        rows: Counter[str] = Counter()
        for file in self.snapshot.files:
            rows[file.event] += file.rows
        found = []
        for event in self.snapshot.events:
            is_used = event in fed or any(event in text for text in texts) or not rows[event]
            said = "" if is_used else f"feeds no metric ({rows[event]:,} stored)"
            ask = f'tallybook query --event "{event}" --count --scope week' if said else ""
            found.append(EventProblem(id=f"unused {event}", kind=UNUSED, subject=f"event {event}", said=said, next=ask))
        return found


REJECTED_KIND = "rejected"


def _span(length: timedelta) -> str:
    hours = max(1, round(length.total_seconds() / 3600))
    return f"{hours} hour{'' if hours == 1 else 's'}" if hours < 48 else f"{round(hours / 24)} days"
