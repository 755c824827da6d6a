"""A value that was sent, is lost, and is there again is corrected at its receiver, and never counted twice."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tallybook.deliver.destinations.webhook import message_id
from tallybook.storage import OutboxItem, OutboxLedger, OutboxRow, tables
from tallybook.storage.sqlite_ledger import SqliteLedger
from tallybook_emulators.gainsight_px import PxEmulator
from tests.conftest import SOAK, sampled
from tests.projects import Project, project
from tests.receivers import Web

__all__ = ["project"]

DAYS, USERS = ("2024-03-04", "2024-03-05"), ("u1", "u2")
METRIC = """
    [metrics.calls]
    table = "calls"
    time = "at"
    measure = "sum(n)"
    by = ["user_id"]
    [users]
    dimension = ["user_id"]
"""
PX = """
    [deliveries.{name}]
    to = "gainsight_px"
    api = "{api}"
    key = "px-emulator-key"
    product = "AP-X-2"
    metrics = ["calls"]
    event = "{name}"
    identify = "{{user}}"
    restated = "{restated}"
    read_back = 0
    rate = 2000
"""
HOOK = """
    [deliveries.hook]
    to = "webhook"
    url = "{url}/hook"
    metrics = ["calls"]
    by = ["user_id"]
"""
MIXPANEL = """
    [deliveries.mix]
    to = "mixpanel"
    api = "{url}"
    key = "k3y"
    metrics = ["calls"]
    by = ["user_id"]
    event = "calls"
    identify = "{{user_id}}"
    restated = "event"
"""


class Returning:
    """A project with the values of two users on two days, and the receivers of its deliveries."""

    def __init__(self, made: Project, px: PxEmulator, hook: Web, mix: Web) -> None:
        self.made, self.px, self.hook, self.mix = made, px, hook, mix
        self.kept: dict[tuple[str, str], int] = {}
        self.unknown: set[tuple[str, str]] = set()
        """(delivery, day) of reports that nobody knows what was sent."""
        made.table("calls (at timestamp, user_id varchar(9), n int)")

    def declare(self, deliveries: str) -> None:
        self.made.declare(METRIC + deliveries, start=DAYS[0])

    def put(self, day: str, user: str, value: int | None) -> None:
        """Replace a value in the database; None deletes it."""
        self.made.execute(f"delete from calls where user_id = '{user}' and at = '{day} 10:00:00'")
        self.kept.pop((day, user), None)
        if value is not None:
            self.made.insert("calls", [(f"{day} 10:00:00", user, value)])
            self.kept[day, user] = value

    def run(self, value: int | None, day: str = DAYS[1], user: str = USERS[0]) -> None:
        self.put(day, user, value)
        self.made.run()

    def later(self, hours: float) -> None:
        self.made.at((self.made.now + timedelta(hours=hours)).isoformat())

    def clean(self) -> None:
        """Delete the files of every version but the current one, once they are an hour old."""
        self.made.book.store.clean(now=self.made.now, keep_days=0, zone="UTC")

    def px_events(self, name: str) -> list[tuple[str, Any, Any]]:
        """(event without its name, value, value before) of each event, in their order."""
        found = [(one["eventName"].removeprefix(name), one["attributes"]) for one in self.px.events]
        mine = [(kind, one) for kind, one in found if kind in ("", ".corrected")]
        return [(kind, one.get("calls"), one.get("calls_before")) for kind, one in mine]

    def run_anyhow(self) -> None:
        """Run, whatever receivers do, and note which days were reported as a whole."""
        self.made.book.run()
        outbox = OutboxLedger(self.made.book.store.ledger)
        for name in ("corrected", "reported", "mix"):
            rows = outbox.rows(name, ("refused",))
            self.unknown |= {(name, row.day) for row in rows if row.kind == "restated" and row.parts[1] == ""}

    def refused(self, name: str) -> list[str]:
        return [row.answer for row in OutboxLedger(self.made.book.store.ledger).rows(name, ("refused",))]


@contextmanager
def returning(project: Any) -> Iterator[Returning]:
    with PxEmulator(limits=None) as px, Web() as hook, Web() as mix:
        yield Returning(project(now="2024-03-06T12:00"), px, hook, mix)


def px_delivery(world: Returning, restated: str, name: str = "px") -> str:
    return PX.format(name=name, api=world.px.api, restated=restated)


@pytest.mark.parametrize("again", sampled([7, 9], 1, "returned as before"))
def test_an_event_that_is_lost_and_returns_is_corrected_each_time(project, again):
    with returning(project) as world:
        world.declare(px_delivery(world, "event"))
        for value in (7, None, again, None, None, again):
            world.run(value)
            world.made.run()
        kind = ".corrected"
        assert world.px_events("px") == [
            ("", 7, None), (kind, None, 7), (kind, again, None), (kind, None, again), (kind, again, None),
        ]  # fmt: skip
        assert len({one["attributes"].get("correction") for one in world.px.events}) == 5


def test_an_event_that_is_lost_and_returns_is_reported_and_the_report_ends_where_both_agree(project):
    with returning(project) as world:
        world.declare(px_delivery(world, "alert"))
        said = "restated after it was sent: px of 2024-03-05, user u1: calls was 7 and is {} now"
        for value, expected in ((7, None), (None, "not known"), (9, "9"), (7, None), (None, "not known")):
            world.run(value)
            assert world.refused("px") == ([said.format(expected)] if expected else [])
        assert world.px_events("px") == [("", 7, None)]
        world.made.book.replay_delivery("px")
        world.made.book.deliver()
        world.run(7)
        assert world.refused("px") == [said.format("7").replace("was 7", "was not known")]
        assert world.px_events("px") == [("", 7, None)]


def test_a_value_that_returns_before_its_loss_was_sent_is_one_correction_or_none(project):
    with returning(project) as world:
        world.declare(px_delivery(world, "event"))
        world.run(7)
        world.px.fault(401, times=None, path="/v1/events/custom")
        for value in (None, 9, None, 12):
            world.run(value)
        world.px.faults.clear()
        world.made.book.deliver(force=True)
        assert world.px_events("px") == [("", 7, None), (".corrected", 12, 7)]
        world.px.fault(401, times=None, path="/v1/events/custom")
        for value in (None, 12):
            world.run(value)
        world.px.faults.clear()
        world.made.book.deliver(force=True)
        assert world.px_events("px")[2:] == []


def test_an_event_that_never_arrived_is_withdrawn_with_its_value(project):
    with returning(project) as world:
        world.declare(px_delivery(world, "event") + MIXPANEL.format(url=world.mix.url))
        world.px.fault(401, times=None, path="/v1/events/custom")
        world.mix.answers = [401]
        world.run(7)
        world.run(None)
        world.px.faults.clear()
        world.mix.answers = []
        world.made.book.deliver(force=True)
        assert (world.px_events("px"), world.mix.posts) == ([], [])
        world.run(9)
        assert world.px_events("px") == [("", 9, None)]
        assert [event["properties"]["calls"] for _, body in world.mix.posts for event in body] == [9]


def test_a_loss_is_known_after_the_version_of_the_book_that_had_it_is_cleaned(project):
    with returning(project) as world:
        world.declare(px_delivery(world, "event"))
        world.run(7)
        world.run(None)
        for _ in range(3):
            world.later(3)
            world.run(None)
            world.clean()
        world.run(7)
        assert world.px_events("px") == [("", 7, None), (".corrected", None, 7), (".corrected", 7, None)]


@pytest.mark.parametrize("restated", sampled(["event", "alert"], 1, "unknown days"))
def test_a_day_whose_sent_values_nobody_knows_any_more_is_reported_and_not_sent_again(project, restated):
    with returning(project) as world:
        deliveries = px_delivery(world, restated) + MIXPANEL.format(url=world.mix.url)
        world.declare(deliveries)
        world.put(DAYS[1], "u2", 3)
        world.run(7)
        world.declare("")
        for value in (8, 9):
            world.later(3)
            world.run(value)
            world.clean()
        world.declare(deliveries)
        world.made.run()
        assert sorted(value for _, value, _ in world.px_events("px")) == [3, 7]
        assert len(world.mix.posts) == 1
        for name in ("px", "mix"):
            (said,) = world.refused(name)
            assert "values of 2024-03-05 changed" in said
            assert world.made.book.replay_delivery(name) == 1
        assert {one.status for one in world.made.book.deliver()} == {"delivered"}
        assert (len(world.px.events), len(world.mix.posts)) == (2, 1)
        world.run(10)
        assert world.px_events("px")[2:] == ([(".corrected", 10, 9)] if restated == "event" else [])


def test_a_webhook_says_that_a_returned_value_is_a_correction_and_each_message_has_its_own_id(project):
    with returning(project) as world:
        world.declare(HOOK.format(url=world.hook.url))
        for value in (5, None, 5, None, 5, 6, 5, 6):
            world.run(value)
        found = [(body["type"], body["data"]["value"], body["data"].get("previous")) for _, body in world.hook.posts]
        corrected = [(None, 5), (5, None), (None, 5), (5, None), (6, 5), (5, 6), (6, 5)]
        assert found == [("metric.value", 5, None), *(("metric.corrected", *one) for one in corrected)]
        assert len({headers["webhook-id"] for headers in world.hook.headers}) == 8


def test_ids_of_events_differ_where_a_value_goes_back_and_forth(project):
    with returning(project) as world:
        world.declare(MIXPANEL.format(url=world.mix.url))
        for value in (5, 6, 5, 6, None, 6, None, 6):
            world.run(value)
        events = [event["properties"] for _, body in world.mix.posts for event in body]
        assert [(one["calls"], one.get("previous_calls")) for one in events] == [
            (5, None), (6, 5), (5, 6), (6, 5), (None, 6), (6, None), (None, 6), (6, None),
        ]  # fmt: skip
        assert len({one["$insert_id"] for one in events}) == 8


def test_a_dimension_or_an_attribute_that_is_called_previous_makes_no_correction():
    value = OutboxRow.of("hook", OutboxItem("value:a:b:c:d", "2024-03-04", '{"dimensions":{"previous":"x"},"value":7}'))
    firing = OutboxRow.of("hook", OutboxItem("firing:a:b:c:d", "2024-03-04", '{"values":{},"previous":1}'))
    correction = OutboxRow.of("hook", OutboxItem("value:a:b:c:d", "2024-03-04", '{"value":7,"previous":null}'))
    ids = [[message_id(replace(row, version=version)) for version in (1, 2)] for row in (value, firing, correction)]
    assert [len(set(one)) for one in ids] == [1, 1, 2]


def test_a_person_that_is_forgotten_leaves_no_name_of_an_item_behind(project):
    with returning(project) as world:
        world.declare(HOOK.format(url=world.hook.url) + px_delivery(world, "event"))
        world.run(7, user="ä:%_1")
        world.run(None, user="ä:%_1")
        outbox = OutboxLedger(world.made.book.store.ledger)
        lost = {name: [day for day in outbox.folded(name) if outbox.gone(name, day)] for name in ("hook", "px")}
        assert {name: len(days) for name, days in lost.items()} == {"hook": 1, "px": 1}
        assert outbox.forget("ä:%_1") == 2
        assert not any(outbox.gone(name, day) for name in lost for day in outbox.folded(name))


def test_a_ledger_of_number_6_gets_the_tables_of_the_outbox(tmp_path):
    path = tmp_path / "ledger.sqlite"
    SqliteLedger(path).close()
    with sqlite3.connect(path) as db:
        for name in tables.ACTION_TABLES:
            db.execute(f"DROP TABLE {name}")
        db.execute("DROP INDEX entities_by_version")
        db.execute("PRAGMA user_version = 6")
    db.close()
    ledger = SqliteLedger(path)
    assert ledger.lacking() == []
    assert OutboxLedger(ledger).gone("px", date(2024, 3, 5)) == set()
    ledger.close()


# -- anything in any order -----------------------------------------------------------------------------------------------


def everything(world: Returning) -> str:
    more = px_delivery(world, "event", "corrected") + px_delivery(world, "alert", "reported")
    return more + HOOK.format(url=world.hook.url) + MIXPANEL.format(url=world.mix.url)


def play(world: Returning, dice: random.Random) -> None:
    """One step: a value changes, is lost or returns, a receiver fails, or time passes; then a run, or none."""
    step = dice.choice(("put", "put", "lose", "fail", "time", "replay", "clean"))
    day, user = dice.choice(DAYS), dice.choice(USERS)
    if step in ("put", "lose"):
        world.put(day, user, dice.randint(1, 3) if step == "put" else None)
    elif step == "fail":
        world.hook.answers = dice.choice(([], [503] * 2, [422], [401] * 2))
        world.mix.answers = dice.choice(([], [503], [422], [401]))
        code, after = dice.choice((429, 503, 400, 401)), dice.random() < 0.5
        world.px.fault(code, after=after and code in (429, 503), times=dice.randint(1, 3), path="/v1/events/custom")
    elif step == "time":
        world.later(dice.choice((0.2, 3)))
    elif step == "replay":
        world.made.book.replay_delivery(dice.choice(("corrected", "hook", "mix")))
    else:
        world.clean()
    if dice.random() < 0.7:
        world.run_anyhow()


def finish(world: Returning) -> None:
    """Let every receiver answer, and deliver until nothing is left."""
    world.hook.answers, world.mix.answers = [], []
    world.px.faults.clear()
    for _ in range(4):
        for name in ("corrected", "hook", "mix"):
            world.made.book.replay_delivery(name)
        world.later(3)
        world.made.book.deliver(force=True)
        world.run_anyhow()
    left = OutboxLedger(world.made.book.store.ledger).counts()
    assert set(left) <= {"reported"}, left


def check_sums(world: Returning, name: str, events: list[tuple[tuple[str, str], Any, Any]]) -> None:
    """A receiver that adds values up, and takes those before a correction away, has the numbers of the book."""
    sums: Counter[tuple[str, str]] = Counter()
    for key, value, before in events:
        sums[key] += (value or 0) - (before or 0)
    for day in DAYS:
        if (name, day) not in world.unknown:
            has = {key: value for key, value in sums.items() if value and key[0] == day}
            assert has == {key: value for key, value in world.kept.items() if key[0] == day}, (name, events)


@pytest.mark.parametrize("seed", sampled(range(30), 1, "returned values"))
def test_receivers_have_the_numbers_of_the_book_whatever_was_lost_returned_or_failed(project, monkeypatch, seed):
    monkeypatch.setattr("tallybook.deliver.outbox_send.PAUSE_SECONDS", 0.0)
    dice = random.Random(seed)
    with returning(project) as world:
        world.declare(everything(world))
        for day in DAYS:
            world.put(day, USERS[0], dice.randint(1, 3))
        for _ in range(10 if SOAK else 6):
            play(world, dice)
        finish(world)
        sent = [(e["eventName"], (e["attributes"]["day"], e["identifyId"]), e["attributes"]) for e in world.px.events]
        for name in ("corrected", "reported"):
            firsts = Counter(key for event, key, _ in sent if event == name)
            assert set(firsts.values()) <= {1}, (name, firsts)
        check_sums(
            world, "corrected", [(k, e.get("calls"), e.get("calls_before")) for n, k, e in sent if n != "reported"]
        )
        check_reports(world, {key: one["calls"] for event, key, one in sent if event == "reported"})
        check_hook(world)
        check_mixpanel(world)


def check_mixpanel(world: Returning) -> None:
    events = {e["properties"]["$insert_id"]: e for _, body in world.mix.posts for e in body}.values()
    found = [
        (e["event"], str(datetime.fromtimestamp(e["properties"]["time"] / 1000, UTC).date()), e["properties"])
        for e in events
    ]
    firsts = Counter((day, one["user_id"]) for event, day, one in found if event == "calls")
    assert set(firsts.values()) <= {1}, found
    check_sums(
        world, "mix", [((day, one["user_id"]), one["calls"], one.get("previous_calls")) for _, day, one in found]
    )


def check_reports(world: Returning, there: dict[tuple[str, str], int]) -> None:
    """Each value of PX that differs from the book is reported, and no other."""
    rows = OutboxLedger(world.made.book.store.ledger).rows("reported", ("refused",))
    reported = {(row.day, row.parts[3]) for row in rows if row.kind == "restated"}
    differ = {key for key in {*there, *world.kept} if there.get(key) != world.kept.get(key)}
    clear = {key for key in there if ("reported", key[0]) not in world.unknown}
    assert differ & clear == reported & clear


def check_hook(world: Returning) -> None:
    """The last message of each value is the value of the book, and each names the one before it."""
    has: dict[tuple[str, str], Any] = {}
    seen = set()
    for _, body in world.hook.posts:
        if body["id"] in seen:
            continue
        seen.add(body["id"])
        data = body["data"]
        key = (data["period"], data["dimensions"]["user_id"])
        if "previous" in data and key in has:
            assert data["previous"] == has[key], world.hook.posts
        has[key] = data["value"]
    assert {key: value for key, value in has.items() if value is not None} == world.kept
