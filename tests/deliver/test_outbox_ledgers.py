"""The outbox is the same on every ledger: days that are held, items that are gone, and what rules want."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tallybook.storage import OutboxItem, OutboxLedger, Settled, item_key, want_in
from tallybook_emulators.gainsight_px import PxEmulator
from tests.act.test_rule_edges import METRICS
from tests.act.test_rule_states import action, attributes, change, rows, table as state_table
from tests.deliver.test_returned_values import HOOK, METRIC, MIXPANEL, px_delivery, returning
from tests.ledgers import LEDGERS, database, schema_of
from tests.projects import project

__all__ = ["project"]

NOW = datetime(2024, 3, 6, 12, tzinfo=UTC)
DAY = date(2024, 3, 5)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_days_are_held_and_items_are_gone_and_wanted(tmp_path: Path, kind: str) -> None:
    ledger = LEDGERS[kind](tmp_path)
    outbox = OutboxLedger(ledger)  # type: ignore[arg-type]
    lease = ledger.acquire("deliver px", now=NOW, seconds=6000)
    items = [OutboxItem(item_key("value", "calls", str(DAY), user), str(DAY), f'{{"n":"{user}"}}') for user in "ab:%"]
    with outbox.planning("px", lease, now=NOW) as plan:
        plan.hold(DAY)
        plan.put(items[:2], version=1)
    assert outbox.claim("px", lease, now=NOW, limit=9) == []
    with outbox.planning("px", lease, now=NOW) as plan:
        plan.put(items[2:], version=1)
        plan.day(DAY, version=1, hash_="1")
        plan.release()
    claimed = outbox.claim("px", lease, now=NOW, limit=9)
    assert sorted(row.parts[3] for row in claimed) == ["%", ":", "a", "b"]
    outbox.settle("px", lease, [Settled(item=row.item, state="sent") for row in claimed], now=NOW)
    assert outbox.fold("px", lease) == 4
    with outbox.planning("px", lease, now=NOW) as plan:
        plan.lose(DAY, [items[0].key, items[1].key, items[3].key], [])
        plan.lose(DAY, [items[0].key], [items[1].key])
    assert outbox.gone("px", DAY) == {items[0].key, items[3].key}
    assert outbox.forget("%") == 1
    assert outbox.gone("px", DAY) == {items[0].key}
    with ledger._writing() as db:  # type: ignore[attr-defined]
        want_in(db, "rules.a.0", [("1", '"new"'), ("2", '"two"')], number=5)
        want_in(db, "rules.a.0", [("1", '"old"')], number=4)
    assert outbox.wanted("rules.a.0") == [("1", '"new"'), ("2", '"two"')]
    assert outbox.wanted_state("rules.a.0") == (5, 2)
    assert outbox.forget("2") == 1
    assert outbox.wanted("rules.a.0") == [("1", '"new"')]
    ledger.close()


def on_postgresql(folder: Path) -> dict[str, str]:
    return {"ledger": database(), "schema": schema_of(folder)}


def test_deliveries_from_a_book_on_postgresql_send_correct_and_fold(project: Any) -> None:
    with returning(project) as world:
        more = HOOK.format(url=world.hook.url) + MIXPANEL.format(url=world.mix.url)
        toml = METRIC + px_delivery(world, "event") + px_delivery(world, "alert", "told") + more
        world.made.declare(toml, start="2024-03-04", **on_postgresql(world.made.folder))
        for value in (7, None, 9):
            world.run(value)
        assert world.px_events("px") == [("", 7, None), (".corrected", None, 7), (".corrected", 9, None)]
        assert [body["data"]["value"] for _, body in world.hook.posts] == [7, None, 9]
        assert [event["properties"]["calls"] for _, body in world.mix.posts for event in body] == [7, None, 9]
        assert len(world.refused("told")) == 1
        outbox = OutboxLedger(world.made.book.store.ledger)
        assert outbox.counts() == {"told": {"refused": 1}}
        assert {name: [one.items for one in outbox.folded(name).values()] for name in ("px", "hook")} == {
            "px": [3], "hook": [3],
        }  # fmt: skip
        assert [one.status for one in world.made.book.deliver()] == ["up to date"] * 4


def test_rules_of_a_book_on_postgresql_set_attributes_and_rows(project: Any, make_database: Any) -> None:
    url = make_database("sqlite")
    made = project("sqlite", now="2024-01-11T04:00")
    made.table("calls (day date, account_id varchar(9), n int)", [("2024-01-10", "1", 5)])
    made.table("accounts (id int, name varchar(20), plan varchar(9))", [(1, "N1", "pro"), (2, "N2", "pro")])
    with PxEmulator(limits=None) as px:
        px.attribute("account", "quiet__c", "BOOLEAN")
        px.add_account("1")
        marked = state_table(url, ', leave = "mark"')
        then = f"[{action(px, 'leave = false')}, {marked}]"
        toml = METRICS + f"[rules.quiet]\nwhen = \"plan = 'trial'\"\nthen = {then}\n"
        made.declare(toml, **on_postgresql(made.folder))
        made.run()
        change(made, "trial", "1", "2024-01-12T04:00")
        change(made, "pro", "1", "2024-01-13T04:00")
        assert attributes(px, "quiet__c") == {"1": False}
        assert [row[2] for row in rows(url)] == ["left"]
        assert OutboxLedger(made.book.store.ledger).counts() == {}
        made.close()
