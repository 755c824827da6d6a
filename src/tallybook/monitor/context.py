"""The context for watching over a book."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tallybook.config import Project
from tallybook.monitor.event_health import EventProblem, event_problems
from tallybook.monitor.health import COLLECT, MAX_RUNS, Status, status
from tallybook.query import BookReader, QueryService, days_without_value, describe_metrics, older_histories
from tallybook.storage import EventLedger, attributes_ahead

if TYPE_CHECKING:
    from tallybook.deliver import DeliveryContext


@dataclass(frozen=True)
class MonitorContext:
    """The project, the reader of its book, the query service, the clock, and what makes deliveries."""

    project: Project
    reader: BookReader
    answers: QueryService
    clock: Callable[[], datetime]
    delivery: Callable[[], DeliveryContext]

    def status(self) -> Status:
        """The status of the book now."""
        from tallybook.deliver import outbox_progress, up_to_date_deliveries

        ledger, now = self.reader.store.ledger if self.reader.has_book else None, self.clock()
        return status(
            self.project.catalog,
            now=now,
            version=ledger.version() if ledger else 0,
            running=COLLECT in ledger.leased(now=now) if ledger else False,
            runs=self.reader.runs(MAX_RUNS),
            metrics=describe_metrics(self.reader),
            delivered={name: (d.version, d.at) for name, d in ledger.delivered().items()} if ledger else {},
            answered=up_to_date_deliveries(self.delivery()) if ledger else [],
            boxed=outbox_progress(self.delivery()) if ledger else {},
            older=[one.decision for one in older_histories(self.reader)],
            ahead=[*self.reader.taken_back.in_words(), *(attributes_ahead(ledger, now=now) if ledger else [])],
            unpushed=lambda due: days_without_value(self.reader, due),
            events=self._events(now),
        )

    def _events(self, now: datetime) -> list[EventProblem]:
        """Problems of usage events, for a book that has some."""
        if not self.reader.has_book:
            return []
        store = self.reader.store
        events = EventLedger(store.ledger, store.files)
        return event_problems(events, self.project.catalog, now)
