"""Of an attribute that changed several times while its receiver could not be reached, only the newest value is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tallybook.storage import OutboxLedger, OutboxRow
from tallybook_emulators.gainsight_px import PxEmulator
from tests.projects import Project, project

__all__ = ["project"]

DECLARED = """
[metrics.calls]
table = "calls"
time = "day"
measure = "sum(n)"

[accounts]

[deliveries.px]
to = "gainsight_px"
api = "{api}"
key = "{key}"
for = "account"
attributes = {{ plan = "plan__c" }}
"""


@pytest.fixture
def px() -> Iterator[PxEmulator]:
    with PxEmulator(limits=None) as found:
        found.attribute("account", "plan__c", "STRING")
        found.add_account("1")
        yield found


@pytest.fixture
def made(project: Any, px: PxEmulator) -> Project:
    found: Project = project("sqlite", now="2024-01-11T04:00")
    found.table("calls (day date, n int)", [("2024-01-10", 5)])
    found.declare(DECLARED.format(api=px.api, key=px.key))
    push(found, "04:00", "pro")
    found.run()
    return found


def push(made: Project, now: str, plan: str) -> None:
    made.at(f"2024-01-11T{now}").book.push_attributes("accounts", "1", attributes={"plan": plan})


def sent(px: PxEmulator) -> list[str]:
    return [seen.body.decode().split('"')[-2] for seen in px.requests if seen.verb == "PUT"]


@pytest.mark.parametrize("fault", [{"answer": 401}, {"answer": 503}, {"reset": True, "after": True}])
def test_a_value_that_came_back_before_it_was_sent_is_not_sent_late(made: Project, px: PxEmulator, fault: Any) -> None:
    px.fault(**fault, path="/v1/accounts/.*")
    push(made, "05:00", "trial")
    made.book.deliver()
    push(made, "06:00", "pro")
    made.book.deliver(force=True)
    made.book.deliver(force=True)
    assert sent(px) == ["pro", "trial", "pro"]
    assert OutboxLedger(made.book.store.ledger).counts() == {}


def test_a_process_that_ended_while_it_sent_leaves_no_older_value_to_the_next(made: Project, px: PxEmulator) -> None:
    outbox = OutboxLedger(made.book.store.ledger)
    px.fault(answer=401, path="/v1/accounts/.*")
    push(made, "05:00", "trial")
    made.book.deliver()
    with made.book.store.ledger._writing() as db:
        db.execute("UPDATE outbox SET state = 'sending', attempts = 1")
    push(made, "06:00", "free")
    made.book.deliver(force=True)
    assert sent(px) == ["pro", "trial", "free"]
    assert outbox.counts() == {}


def test_a_dry_run_shows_the_newest_value(made: Project, px: PxEmulator) -> None:
    px.fault(answer=401, path="/v1/accounts/.*")
    push(made, "05:00", "trial")
    made.book.deliver()
    push(made, "06:00", "pro")
    (report,) = made.book.deliver(dry_run=True)
    assert [one["column"] for one in report.changes] == ['{"customAttributes": {"plan__c": "pro"}}']
    (row,) = OutboxLedger(made.book.store.ledger).rows("px")
    assert isinstance(row, OutboxRow)
    assert '"trial"' in row.body
