"""An evaluation that is killed at any of its writes, and made again, is as if it had been made once: also where ids
are linked, wait and fire."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tallybook.storage import MessageLedger, OutboxLedger, RuleActions
from tests.act.test_rules_of_linked_users import HISTORY, HOOK, Site
from tests.crash import Driver
from tests.storage.test_safe import worth_a_kill

PARTS = 3
RULES = f"""
{HISTORY}
[rules.night]
when = "segment = 'big'"
quiet = "20:00-08:00"
{HOOK}
[rules.storm]
when = "segment = 'big'"
most_at_once = 1
then = [
    {{ to = "webhook", url = "http://127.0.0.1:9/a" }},
    {{ to = "table", url = "sqlite:///own.db", table = "inside", leave = "mark" }},
    {{ to = "webhook", url = "http://127.0.0.1:9/b", on = "leave" }},
]
"""
IDS = ("a", "b", "c", "u", "v", "w")
EVERYBODY, TOUCHED = {"do": "evaluate"}, {"do": "evaluate", "touched": True}
Change = Callable[[Site], None]


def big(*ids: str) -> Change:
    def change(site: Site) -> None:
        for id_ in ids:
            site.push(id_, segment="big", plan="pro")

    return change


def small(*ids: str) -> Change:
    def change(site: Site) -> None:
        for id_ in ids:
            site.push(id_, segment="small", plan="free")

    return change


def links(*pairs: str) -> Change:
    def change(site: Site) -> None:
        for pair in pairs:
            site.link(*pair)

    return change


HISTORY_OF_USERS: list[tuple[int, list[Change], dict[str, Any]]] = [
    (1, [small("u", "v", "w", "a", "b", "c")], EVERYBODY),
    (20, [big("a", "b", "c")], EVERYBODY),  # they fire, wait for the morning, and are held by a storm
    (2, [links("au"), small("c")], TOUCHED),
    (9, [big("w"), links("bv", "cw")], EVERYBODY),
    (1, [small("v")], {"do": "release", "rule": "storm"}),
    (20, [big("v"), links("uv")], TOUCHED),
    (30, [small("w", "v")], EVERYBODY),
]
"""(hours that pass, changes, what is done then)."""


@dataclass
class Lives:
    """A history of rules that was lived through once: the book before each deed, and what is in it after all."""

    site: Site
    driver: Driver
    steps: list[tuple[int, int]] = field(default_factory=list)
    """(deed, step) of all that are worth a kill."""
    before: list[tuple[Path, datetime]] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)

    def live(self, dice: random.Random) -> Lives:
        for place, (hours, changes, deed) in enumerate(HISTORY_OF_USERS):
            self.site.after(hours=hours)
            for change in changes:
                self.site.after(minutes=1)
                change(self.site)
            self.site.after(minutes=1)
            self.site.project.close()
            folder = self.site.project.folder
            self.before.append((shutil.copytree(folder, folder.with_name(f"before-{place}")), self.site.project.now))
            done = self.do(deed, trace=True)
            assert done["exit"] == 0, done
            self.steps += [(place, step) for step in worth_a_kill(done["steps"], dice)]
            once = shutil.copytree(folder, folder.with_name("once"))
            self.after.append(self.settled())
            shutil.rmtree(folder)
            once.rename(folder)
        return self

    def settled(self) -> Any:
        """What is in the book after one more evaluation: who was killed after the commit makes one more than others."""
        assert self.do(EVERYBODY)["exit"] == 0
        return self.found()

    def do(self, deed: dict[str, Any], **crash: Any) -> Any:
        now = f"{self.site.project.now:%Y-%m-%dT%H:%M:%S}"
        return self.driver.do(self.site.project.folder, now=now, **deed, **crash)

    def found(self) -> Any:
        """What rules did and remember, and what is sent."""
        book = self.site.project.book
        ledger, outbox = book.rules.evaluator.ledger, OutboxLedger(book.store.ledger)
        names = [one.delivery for one in RuleActions(book.store.ledger).known()]
        states = [
            (rule, id_, book.rules.explain(rule, id_).state)
            for rule in book.project.catalog.rules
            for id_ in IDS
            if book.entities("users").ledger.get("users", id_) is not None
        ]
        found = [
            ledger.firings(),
            ledger.collisions(),
            states,
            [(name, row.item, row.state, row.body) for name in names for row in outbox.rows(name)],
            [(name, outbox.wanted(name)) for name in names],
            MessageLedger(book.store.ledger).messages_of_rule("storm"),
            book.doctor(),
        ]
        self.site.project.close()
        return found

    def survives(self, place: int, step: int) -> None:
        """Kill a deed at a step, do it again, and compare with the book that nobody killed."""
        folder, (before, now) = self.site.project.folder, self.before[place]
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
        self.site.project.at(f"{now:%Y-%m-%dT%H:%M:%S}")
        self.site.project.close()
        killed = self.do(HISTORY_OF_USERS[place][2], at=step)
        assert killed["signal"] == signal.SIGKILL, (place, step, killed)
        again = self.do(HISTORY_OF_USERS[place][2])
        assert again["exit"] == 0, (place, step, again)
        assert self.settled() == self.after[place], (place, step)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Lives]:
    with Driver() as driver:
        site = Site(tmp_path_factory.mktemp("rules") / "book", RULES)
        yield Lives(site, driver).live(random.Random(seed))
        site.project.close()


def test_the_history_has_firings_that_wait_that_are_linked_and_that_leave(lives: Lives) -> None:
    firings = lives.after[-1][0]
    assert {one.state for one in firings} == {"fired", "dropped"}
    assert any(one.state == "waiting" for found in lives.after for one in found[0])
    assert {one.edge for one in firings} == {"enter", "leave"}
    assert any(one.why.startswith("linked to") for one in firings)


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_any_write_an_evaluation_fires_once(
    lives: Lives, part: int, seed: int, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    own = lives.steps[part::PARTS]
    chosen = own if soak else random.Random(f"{seed} {part}").sample(own, 2)
    for place, step in chosen:
        lives.survives(place, step)
    record_property("killed at steps", len(chosen))
