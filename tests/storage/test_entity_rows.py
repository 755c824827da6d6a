"""Attributes of users and accounts: the latest by the sender's time wins, whatever the order of arrival."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import Phase, given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tallybook.core import ACCOUNTS, ADD, SET, SET_ONCE, UNSET, AttributeChange, PushedAttribute
from tallybook.storage import EntityHistory, EntityLedger, EntityMonths, FolderFiles, HistoryRow, entities_at, stamp_of
from tallybook.storage.sqlite_ledger import SqliteLedger

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def change(
    action: str, value: Any, hour: int, message: str = "", received: int = 0, name: str = "plan"
) -> AttributeChange:
    at = stamp_of(NOON + timedelta(hours=hour))
    return AttributeChange(
        attribute=name,
        action=action,
        value=value,
        time=at,
        id=message,
        received=stamp_of(NOON + timedelta(hours=received)),
    )


def after(*changes: AttributeChange) -> Any:
    attribute = PushedAttribute()
    for one in changes:
        attribute = attribute.after(one)
    return attribute.value


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ([change(SET, "pro", 2), change(SET, "free", 1)], "pro"),
        ([change(SET, "pro", 1, received=1), change(SET, "free", 1, received=2)], "free"),
        ([change(SET, "pro", 1), change(UNSET, None, 2)], None),
        ([change(UNSET, None, 2), change(SET_ONCE, "a", 3), change(SET_ONCE, "b", 4), change(SET, "x", 1)], "a"),
        ([change(SET_ONCE, "late", 5), change(SET_ONCE, "early", 1)], "early"),
        ([change(ADD, 2, 1, "m1"), change(ADD, 3, 2, "m2"), change(ADD, 2, 1, "m1")], 5),
        ([change(ADD, 5, 3, "m1"), change(SET, 10, 2)], 15),
        ([change(SET, 10, 2), change(ADD, 5, 1, "m1"), change(ADD, 5, 9, "m1")], 10),
        ([change(SET, "a", 1, received=n) if n != 2 else change(SET, "b", 1, received=2) for n in (1, 2, 3)], "b"),
        ([change(SET, "b" if n == 2 else "a", 1, f"m{n}", received=n) for n in (1, 2, 3)], "a"),
        ([change(SET_ONCE, "a", 1), change(UNSET, None, 1, received=1), change(SET_ONCE, "a", 1, received=2)], None),
    ],
)
def test_what_changes_leave(changes: list[AttributeChange], value: Any) -> None:
    assert after(*changes) == after(*reversed(changes)) == value


CHANGES = st.lists(
    st.one_of(
        st.builds(change, st.sampled_from([SET, SET_ONCE]), st.integers(0, 3), st.integers(0, 4), received=st.integers(0, 2)),
        st.builds(change, st.just(UNSET), st.none(), st.integers(0, 4)),
        st.builds(
            change, st.just(ADD), st.integers(1, 3), st.integers(0, 4), st.sampled_from(["", "m1", "m2"]),
            received=st.integers(0, 2),
        ),
    ),
    max_size=7,
)  # fmt: skip


@given(changes=CHANGES, data=st.data())
def test_the_order_of_arrival_and_repetitions_do_not_matter(
    changes: list[AttributeChange], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations([*changes, *data.draw(st.lists(st.sampled_from(changes)))] if changes else []))
    assert after(*shuffled) == by_hand(changes)


ONE_TIME = st.lists(
    st.builds(
        change,
        st.sampled_from([SET, SET, SET, SET_ONCE, UNSET]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 1),
        st.sampled_from(["", "", "m1"]),
        received=st.integers(0, 6),
    ).map(lambda one: replace(one, value=None if one.action == UNSET else one.value)),
    min_size=2,
    max_size=6,
)


@given(changes=ONE_TIME, data=st.data())
def test_changes_of_one_time_leave_the_same_in_every_order(changes: list[AttributeChange], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(changes))
    assert after(*shuffled) == PushedAttribute.of(shuffled).value == by_hand(changes)


def by_hand(changes: list[AttributeChange]) -> Any:
    """A plain loop over the changes in their order; of additions with one id, and of changes that were sent again within
    30 days, the earliest counts."""
    value, ids, sent = None, set(), {}
    for one in sorted(set(changes), key=lambda c: c.order):
        again = (one.action, one.time, one.id, one.value)
        received = datetime.fromisoformat(one.received)
        if one.action != ADD and again in sent and received - sent[again] <= timedelta(days=30):
            continue
        sent[again] = received
        if one.action == ADD and one.id:
            if one.id in ids:
                continue
            ids.add(one.id)
        if one.action == SET:
            value = one.value
        elif one.action == UNSET:
            value = None
        elif one.action == SET_ONCE:
            value = one.value if value is None else value
        else:
            value = (value or 0) + one.value
    return value


def changes_of(entities: EntityLedger, entity_id: str | None = None) -> list[HistoryRow]:
    ledger = entities.ledger
    assert isinstance(ledger, SqliteLedger)
    return list(EntityHistory(ledger, FolderFiles(ledger.path.parent)).rows(ACCOUNTS, entity_id))


@pytest.fixture
def entities(tmp_path: Path) -> Iterator[EntityLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    yield EntityLedger(ledger)
    ledger.close()


def test_what_is_read_owns_its_attributes_and_a_push_is_kept_beside(entities: EntityLedger) -> None:
    entities.collect(ACCOUNTS, "app", {"7": {"plan": "pro", "seats": 3}}, times={}, run=1, now=NOON)
    entities.push(ACCOUNTS, {"7": [change(SET, "free", 1), change(SET, "Ann", 1, name="owner")]}, now=NOON)
    found = entities.get(ACCOUNTS, "7")
    assert found is not None
    assert found.record.effective() == {"plan": "pro", "seats": 3, "owner": "Ann"}
    assert found.record.attribute("plan").value == "free"


def test_reading_the_same_again_is_no_commit(entities: EntityLedger) -> None:
    rows = {"7": {"plan": "pro"}, "8": {"plan": None}}
    assert entities.collect(ACCOUNTS, "app", rows, times={}, run=1, now=NOON).changed == 2
    again = entities.collect(ACCOUNTS, "app", rows, times={}, run=2, now=NOON + timedelta(days=1))
    assert (again.changed, again.number, entities.number()) == (0, 1, 1)


def test_changes_have_a_history_with_origin_run_and_time(entities: EntityLedger) -> None:
    entities.collect(ACCOUNTS, "app", {"7": {"plan": "free"}}, times={}, run=1, now=NOON)
    later, changed = NOON + timedelta(days=1), stamp_of(NOON + timedelta(hours=5))
    entities.collect(ACCOUNTS, "app", {"7": {"plan": "pro"}}, times={"7": changed}, run=2, now=later)
    assert [(one.time, one.origin, one.run, one.changes) for one in changes_of(entities, "7")] == [
        (stamp_of(NOON), "app", 1, [("plan", SET, "free", "", stamp_of(NOON))]),
        (changed, "app", 2, [("plan", SET, "pro", "", changed)]),
    ]


def test_a_value_of_another_type_is_kept_beside_and_counted(entities: EntityLedger) -> None:
    entities.push(ACCOUNTS, {"7": [change(SET, 3, 1, name="seats")]}, now=NOON)
    done = entities.push(ACCOUNTS, {"7": [change(SET, "many", 2, name="Seats")]}, now=NOON)
    found = entities.get(ACCOUNTS, "7")
    assert found is not None
    assert (found.record.effective(), found.record.other) == ({"seats": 3}, {"seats": "many"})
    assert (done.conflicts, entities.types(ACCOUNTS)["seats"].conflicts) == ({"seats": 1}, 1)


@pytest.mark.parametrize(("days", "left"), [(6, {"owner": "Ann", "plan": "pro"}), (8, {"plan": "pro"})])
def test_a_deleted_account_comes_back_with_its_attributes_within_seven_days(
    entities: EntityLedger, days: int, left: dict[str, str]
) -> None:
    entities.push(ACCOUNTS, {"7": [change(SET, "Ann", 1, name="owner")]}, now=NOON)
    entities.delete(ACCOUNTS, ["7"], origin="pushed", now=NOON)
    gone = entities.get(ACCOUNTS, "7")
    assert gone is not None
    assert gone.deleted == stamp_of(NOON)
    entities.push(ACCOUNTS, {"7": [change(SET, "pro", 2)]}, now=NOON + timedelta(days=days))
    found = entities.get(ACCOUNTS, "7")
    assert found is not None
    assert (found.deleted, found.record.effective()) == (None, left)


def test_forgetting_leaves_nothing_of_an_entity(entities: EntityLedger) -> None:
    entities.push(ACCOUNTS, {"7": [change(SET, "pro", 1)], "8": [change(SET, "pro", 1)]}, now=NOON)
    assert entities.forget(ACCOUNTS, "7") == 2
    assert entities.get(ACCOUNTS, "7") is None
    assert [one.id for one in changes_of(entities)] == ["8"]
    assert entities.number() == 2


# --- a life of one account, against a plain dictionary -----------------------------------------------------------------

HOURS = st.integers(0, 40)


class Life(RuleBasedStateMachine):
    """Sets, additions, late and doubled changes, readings of a table, deletions and returns."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.ledger = SqliteLedger(Path(self.folder.name) / "ledger.sqlite")
        self.entities = EntityLedger(self.ledger)
        self.twin = SqliteLedger(Path(self.folder.name) / "twin" / "ledger.sqlite")
        self.both = (self.entities, EntityLedger(self.twin))
        self.months = EntityMonths(self.ledger, FolderFiles(Path(self.folder.name)))
        self.era = 0
        self.now = NOON + timedelta(days=10)
        self.pushed: list[AttributeChange] = []
        self.read: dict[str, Any] | None = None
        self.deleted: datetime | None = None
        self.exists = False
        self.pasts: list[tuple[datetime, dict[str, Any] | None]] = []

    def teardown(self) -> None:
        self.ledger.close()
        self.twin.close()
        self.folder.cleanup()

    @rule(hours=st.integers(1, 100))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def wait_for_weeks(self) -> None:
        self.now += timedelta(days=40)
        self.era += 1  # after 30 days an id that is sent again counts again

    @rule(days=st.sampled_from([None, 0, 30]))
    def keep_house(self, days: int | None) -> None:
        self.months.keep_house(ACCOUNTS, days=days, zone="Europe/Berlin", now=self.now)

    def come_back(self) -> None:
        if self.deleted is not None:
            self.pushed = self.pushed if self.deleted >= self.now - timedelta(days=7) else []
            self.read, self.deleted = None, None
        self.exists = True

    @rule(
        action=st.sampled_from([SET, SET_ONCE, UNSET, ADD]), value=st.integers(1, 5), late=HOURS,
        message=st.sampled_from(["", "m1", "m2"]), name=st.sampled_from(["plan", "seats"]), twice=st.booleans(),
    )  # fmt: skip
    def push(self, action: str, value: int, late: int, message: str, name: str, twice: bool) -> None:
        sent = AttributeChange(
            attribute=name, action=action, value=None if action == UNSET else value, id=message and f"{message}-{self.era}",
            time=stamp_of(self.now - timedelta(hours=late)), received=stamp_of(self.now),
        )  # fmt: skip
        self.come_back()
        self.pushed.append(sent)
        for _ in range(1 + twice):
            for entities in self.both:
                entities.push(ACCOUNTS, {"7": [sent]}, now=self.now)

    @rule(plan=st.sampled_from([None, 1, 2]))
    def collect(self, plan: int | None) -> None:
        self.come_back()
        self.read = {"plan": plan}
        for entities in self.both:
            entities.collect(ACCOUNTS, "app", {"7": self.read}, times={}, run=1, now=self.now)

    @rule()
    def delete(self) -> None:
        for entities in self.both:
            entities.delete(ACCOUNTS, ["7"], origin="pushed", now=self.now)
        if self.exists and self.deleted is None:
            self.deleted = self.now

    def expected(self) -> dict[str, Any]:
        found = {name: by_hand([one for one in self.pushed if one.attribute == name]) for name in ("plan", "seats")}
        return {name: value for name, value in found.items() if value is not None} | (self.read or {})

    @invariant()
    def the_current_row_is_that_of_a_dictionary(self) -> None:
        found = self.entities.get(ACCOUNTS, "7")
        if not self.exists:
            assert found is None
            return
        assert found is not None
        assert (found.deleted is not None) == (self.deleted is not None)
        assert found.record.effective() == self.expected()

    @invariant()
    def the_history_ends_with_the_current_row(self) -> None:
        then = entities_at(changes_of(self.entities), stamp_of(self.now + timedelta(seconds=1))).get("7")
        if self.exists:
            assert then is not None
            assert then.record.effective() == self.expected()
            assert (then.deleted is not None) == (self.deleted is not None)

    @rule(hours=st.integers(0, 2500))
    def the_past_is_the_same_whatever_left_the_ledger(self, hours: int) -> None:
        until = stamp_of(self.now - timedelta(hours=hours))
        if until <= (self.months.history.begins(ACCOUNTS) or ""):
            return
        then = [entities_at(changes_of(one), until).get("7") for one in self.both]
        kept, plain = ((one and (one.record.effective(), one.deleted is None)) for one in then)
        assert kept == plain


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=300 if "TALLYBOOK_SOAK" in os.environ else 8,
    stateful_step_count=20,
    phases=[Phase.generate],
    deadline=None,
)
