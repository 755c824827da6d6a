"""A month in which days of the past change with every run: what receivers get is what a plain loop over the days says."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta
from typing import Any

from tallybook.storage import OutboxLedger
from tests.conftest import SOAK
from tests.deliver.test_returned_values import METRIC, MIXPANEL, Returning, px_delivery, returning
from tests.projects import project

__all__ = ["project"]

FIRST = date(2024, 3, 4)
RUNS = 31 if SOAK else 5
USERS = ("u1", "u2", "u3")
Key = tuple[str, str]
Event = tuple[str, Key, int | None, int | None]


class Loop:
    """What was sent, by the words of the documentation alone."""

    def __init__(self) -> None:
        self.has: dict[Key, int | None] = {}
        """What a receiver of corrections has, of everything that was ever sent to it."""
        self.first: dict[Key, int] = {}
        """What a receiver without corrections has."""
        self.events: list[Event] = []

    def run(self, values: dict[Key, int], last: str) -> None:
        for key in sorted({*values, *self.has}):
            new = values.get(key)
            if key[0] > last or (key not in self.has and new is None):
                continue
            if key not in self.has:
                self.events.append(("", key, new, None))
                assert new is not None
                self.first[key] = new
            elif new != self.has[key]:
                self.events.append((".corrected", key, new, self.has[key]))
            self.has[key] = new

    def restated(self, values: dict[Key, int]) -> set[Key]:
        return {key for key, value in self.first.items() if values.get(key) != value}


def revise(world: Returning, dice: random.Random, day: date) -> None:
    """A new day, and three changes to any day."""
    for user in USERS[:2]:
        world.put(str(day), user, dice.randint(1, 4))
    for _ in range(3):
        past = FIRST + timedelta(days=dice.randint(0, (day - FIRST).days))
        world.put(str(past), dice.choice(USERS), dice.choice((None, None, 1, 2, 3, 4)))


def px_events(world: Returning, name: str) -> Counter[Event]:
    found: Counter[Event] = Counter()
    for one in world.px.events:
        event, said = one["eventName"], one["attributes"]
        if event.startswith(name):
            key = (said["day"], one["identifyId"])
            found[event.removeprefix(name), key, said.get("calls"), said.get("calls_before")] += 1
    return found


def mixpanel_events(world: Returning) -> Counter[tuple[str, str, Any, Any]]:
    found: Counter[tuple[str, str, Any, Any]] = Counter()
    for _, body in world.mix.posts:
        for one in body:
            said = one["properties"]
            found[one["event"].removeprefix("calls"), said["user_id"], said["calls"], said.get("previous_calls")] += 1
    return found


def test_a_month_of_revisions_gives_the_corrections_and_reports_of_a_plain_loop(project):
    dice, loop = random.Random(RUNS), Loop()
    with returning(project) as world:
        deliveries = px_delivery(world, "event", "corrected") + px_delivery(world, "alert", "reported")
        metric = METRIC.replace('by = ["user_id"]', 'by = ["user_id"]\n    lookback = "60d"')
        world.made.declare(metric + deliveries + MIXPANEL.format(url=world.mix.url), start=str(FIRST))
        for number in range(RUNS):
            day = FIRST + timedelta(days=number)
            revise(world, dice, day)
            world.made.at(f"{day + timedelta(days=1)}T12:00").run()
            loop.run(world.kept, str(day))
            rows = OutboxLedger(world.made.book.store.ledger).rows("reported", ("refused",))
            assert {(row.day, row.parts[3]) for row in rows} == loop.restated(world.kept), day
        assert px_events(world, "corrected") == Counter(loop.events)
        assert px_events(world, "reported") == Counter(("", key, value, None) for key, value in loop.first.items())
        assert mixpanel_events(world) == Counter((kind, key[1], new, old) for kind, key, new, old in loop.events)
        sums: Counter[Key] = Counter()
        for _, key, new, old in loop.events:
            sums[key] += (new or 0) - (old or 0)
        book = {(row["period"], row["user_id"]): row["calls"] for row in world.made.rows("calls", by=["user_id"])}
        assert {key: value for key, value in sums.items() if value} == {k: int(v) for k, v in book.items() if v}
