"""The same promise with a ledger on PostgreSQL: processes that deliver, or send the rest as `serve` does, are killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tallybook.storage import OutboxLedger
from tests.conftest import sampled
from tests.crash import Driver
from tests.deliver.test_outbox_faults import FAULTS, ITEMS, Faulty, values
from tests.deliver.test_webhooks import declared
from tests.ledgers import database, schema_of
from tests.projects import Project, project

__all__ = ["project"]

AGAIN = ("2024-03-06T18:00", "2024-03-06T23:00", "2024-03-07T05:00")


def collected(project: Any, url: str) -> Project:
    """A project with three items that nobody has sent, and its own ledger."""
    made: Project = project(now="2024-03-06T12:00")
    made.table(
        "visits (at timestamp, plan varchar(9), n int)",
        [(f"{day} 10:00:00", plan, n) for day, plan, n in sorted(ITEMS)],
    )
    place = {"start": "2024-03-04", "ledger": database(), "schema": schema_of(made.folder)}
    metric, _, delivery = declared(url).partition("[deliveries.hook]")
    made.declare(metric, **place)
    made.run()
    made.declare(f"{metric}[deliveries.hook]{delivery}", **place)
    made.close()
    return made


def test_each_item_arrives_wherever_processes_of_a_book_on_postgresql_are_killed(project):
    receiver = Faulty()
    with Driver() as driver:
        steps = driver.do(collected(project, receiver.url).folder, "deliver", now="2024-03-06T12:00")["steps"]
        assert values(receiver.taken) == ITEMS
        every = [
            (fault, at, deed, step)
            for fault in FAULTS for at in (0, 1) for deed in ("deliver", "deliver_rest")
            for step in range(1 + (len(deed) + at) % 3, steps + 1, 3)
        ]  # fmt: skip
        for scenario in sampled(every, 3, "outbox faults on postgresql"):
            fault, at, deed, step = scenario
            receiver.begin(fault, at)
            made = collected(project, receiver.url)
            driver.do(made.folder, "deliver", now="2024-03-06T12:00", at=step)
            driver.do(made.folder, deed, now="2024-03-06T13:30", at=step // 2 + 1)
            said = [driver.do(made.folder, "deliver", now=now) for now in AGAIN]
            seen = (scenario, said, outbox_of(made.folder))
            assert said[-1]["said"]["statuses"] == {"hook": "up to date"}, seen
            assert values(receiver.taken) == ITEMS, seen
            assert len({id_ for id_, _ in receiver.taken}) == len(ITEMS), seen
    receiver.listener.close()


def outbox_of(folder: Path) -> list[Any]:
    import tallybook

    with tallybook.open(folder) as book:
        return OutboxLedger(book.store.ledger).rows("hook")
