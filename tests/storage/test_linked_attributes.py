"""Attributes of ids that are linked: the latest by the sender's time, whichever of link and changes comes first."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

import tallybook.storage.entity_changes as entity_changes
from tallybook.core import ADD, SET, SET_ONCE, UNSET, USERS, AttributeChange, IdentityLink
from tallybook.storage import (
    EntityHistory,
    EntityLedger,
    EntityMonths,
    FolderFiles,
    NewLinks,
    apply_links,
    entities_at,
    merge_linked,
    stamp_of,
)
from tallybook.storage.sqlite_ledger import SqliteLedger
from tests.storage.test_entity_rows import NOON, by_hand, change

Step = AttributeChange | IdentityLink


class Users:
    """A book that gets changes of ids and links between them."""

    def __init__(self, folder: Path) -> None:
        self.ledger, files = SqliteLedger(folder / "ledger.sqlite"), FolderFiles(folder)
        self.entities, self.history = EntityLedger(self.ledger, files), EntityHistory(self.ledger, files)
        self.months, self.now, self.links = EntityMonths(self.ledger, files), NOON + timedelta(days=2), 0

    def do(self, id_: str, step: Step) -> None:
        self.now += timedelta(minutes=1)
        if isinstance(step, AttributeChange):
            self.entities.push(USERS, {id_: [step]}, now=self.now)
            return
        self.links += 1
        with self.ledger._writing() as db:
            made = apply_links(db, NewLinks(links=[("key", self.now, step)]), number=self.links)
            merge_linked(db, made, history=self.history, now=self.now)

    def of(self, id_: str) -> dict[str, Any]:
        found = self.entities.get(USERS, id_)
        return found.record.effective() if found and not found.deleted else {}

    def at(self, id_: str, hour: int) -> dict[str, Any]:
        until = stamp_of(NOON + timedelta(hours=hour, minutes=1))
        found = entities_at(self.history.rows(USERS, id_), until).get(id_)
        return found.record.effective() if found else {}


def link(alias: str, user: str, *, merges: bool = False) -> tuple[str, IdentityLink]:
    return alias, IdentityLink(alias=alias, user=user, merges=merges)


@pytest.mark.parametrize("link_place", [0, 1, 2, 3, 4])
def test_attributes_of_an_anonymous_id_are_the_users_whenever_the_link_comes(tmp_path: Path, link_place: int) -> None:
    users = Users(tmp_path)
    steps: list[tuple[str, Step]] = [
        ("anon", change(SET, "pro", 3, name="plan")),
        ("u1", change(SET, "free", 1, name="plan")),
        ("anon", change(SET_ONCE, "ad", 2, name="origin")),
        ("u1", change(SET_ONCE, "mail", 5, name="origin")),
        ("anon", change(ADD, 5, 4, "m1", name="credits")),
        ("u1", change(ADD, 2, 6, "m2", name="credits")),
        ("u1", change(ADD, 5, 4, "m1", name="credits")),
    ]
    steps.insert(link_place * 2 if link_place < 4 else len(steps), link("anon", "u1"))
    for id_, step in steps:
        users.do(id_, step)
    left = {"plan": "pro", "origin": "ad", "credits": 7}
    assert users.of("u1") == users.of("anon") == users.at("u1", 100) == left
    assert users.at("u1", 2) == {"plan": "free", "origin": "ad"}
    (there,) = (one.id for one in users.entities.every(USERS)[1] if one.deleted is None)
    assert there == "u1"


@pytest.mark.parametrize("link_place", range(4))
def test_three_changes_of_one_time_leave_the_same_whenever_the_link_comes(tmp_path: Path, link_place: int) -> None:
    users = Users(tmp_path)
    steps: list[tuple[str, Step]] = [
        ("anon", change(SET, "a", 3, received=4)),
        ("anon", change(SET, "b", 3, received=5)),
        ("anon", change(SET, "a", 3, received=6)),  # the first, sent again
    ]
    steps.insert(link_place, link("anon", "u1"))
    for id_, step in steps:
        users.do(id_, step)
    assert users.of("u1") == users.at("u1", 4) == {"plan": "b"}


def test_a_past_value_counts_a_change_as_first_received_also_when_a_link_brings_the_first(tmp_path: Path) -> None:
    users = Users(tmp_path)
    users.do("phone", change(UNSET, None, 2, received=20))
    users.do("u1", change(SET, 2, 2, received=21))
    users.do("u1", change(UNSET, None, 2, received=22))  # the first, sent again
    users.do("u1", change(SET, 1, 4, received=23))
    assert users.at("u1", 2) == {}
    users.do(*link("phone", "u1"))
    assert (users.at("u1", 2), users.of("u1")) == ({"plan": 2}, {"plan": 1})


def test_who_is_in_a_table_stays_when_it_is_linked(tmp_path: Path) -> None:
    users = Users(tmp_path)
    users.entities.collect(USERS, "app", {"5": {"email": "a@b.c"}}, times={}, run=1, now=users.now)
    users.do("5", change(SET, "pro", 1))
    users.do(*link("5", "7", merges=True))
    assert (users.of("5"), users.of("7")) == ({"email": "a@b.c", "plan": "pro"}, {"plan": "pro"})


def test_a_sum_that_was_settled_goes_to_the_user_with_the_parts_of_all_its_months(tmp_path: Path) -> None:
    users = Users(tmp_path)
    for number, (added, message) in enumerate(((5, "m1"), (2, "m2"), (0, "m3"))):
        users.now += timedelta(days=35)
        received = 24 * 60 * 35 * (number + 1)
        users.do("anon", change(ADD, added, 24 * 35 * (number + 1), message, received=received, name="credits"))
    users.months.keep_house(USERS, days=None, zone="UTC", now=users.now + timedelta(days=40))
    users.now += timedelta(days=60)
    users.do(*link("anon", "u1"))
    assert users.of("u1") == {"credits": 7}


IDS = st.sampled_from(["anon", "phone", "u1"])
STEPS = st.lists(
    st.tuples(
        IDS,
        st.sampled_from([SET, SET_ONCE, UNSET, ADD]),
        st.integers(1, 2),
        st.integers(0, 4),  # the hour of the sender
        st.booleans(),  # is sent twice
    ),
    max_size=7,
)


@settings(
    max_examples=300 if "TALLYBOOK_SOAK" in os.environ else 15,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, places=st.lists(st.integers(0, 9), min_size=2, max_size=2), has_files=st.booleans())
def test_the_order_of_links_and_changes_does_not_matter(
    steps: list[tuple[str, str, int, int, bool]],
    places: list[int],
    has_files: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    users = Users(tmp_path_factory.mktemp("linked"))
    sent = [
        (
            id_,
            change(action, None if action == UNSET else value, hour, f"m{n}" if action == ADD else "", received=20 + n),
        )
        for n, (id_, action, value, hour, _) in enumerate(steps)
    ]
    doubled: list[tuple[str, Step]] = []
    for (id_, one), step in zip(sent, steps, strict=True):
        doubled += [(id_, one)] * (1 + step[4])
    for place, made in zip(places, (link("anon", "u1"), link("phone", "anon", merges=True)), strict=True):
        doubled.insert(place, made)
    for id_, step in doubled:
        users.do(id_, step)
    if has_files:
        users.months.keep_house(USERS, days=None, zone="UTC", now=users.now + timedelta(days=40))
    changes = [one for _, one in sent]
    expected = by_hand(changes)
    assert users.of("u1").get("plan") == users.at("u1", 100).get("plan") == expected
    for hour in range(10):
        until = stamp_of(NOON + timedelta(hours=hour, minutes=1))
        assert users.at("u1", hour).get("plan") == by_hand([one for one in changes if one.time < until])
    users.ledger.close()


def test_files_are_read_once_for_all_ids_that_are_linked_together(tmp_path: Path, monkeypatch: Any) -> None:
    users = Users(tmp_path)
    for number in range(3):
        alias = f"anonymous-{number}"
        users.do(alias, change(SET, number, number))
        users.do(alias, change(SET, number + 10, number + 3))
    users.months.keep_house(USERS, days=None, zone="UTC", now=users.now + timedelta(days=40))
    users.now += timedelta(days=41)
    read: list[int] = []
    real = entity_changes.connect
    monkeypatch.setattr(entity_changes, "connect", lambda: (read.append(1), real())[1])
    with users.ledger._writing() as db:
        links = [("key", users.now, link(f"anonymous-{n}", f"user-{n}")[1]) for n in range(3)]
        made = apply_links(db, NewLinks(links=links), number=1)
        merge_linked(db, made, history=users.history, now=users.now)
    monkeypatch.undo()
    assert len(read) == 1
    assert [list(users.of(f"user-{n}").values()) for n in range(3)] == [[10], [11], [12]]
    assert [list(users.at(f"user-{n}", n + 1).values()) for n in range(3)] == [[0], [1], [2]]
