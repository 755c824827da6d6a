"""Changes of attributes that arrive long after their time: what is true now, and what was true on any day."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from tallybook.core import ACCOUNTS, ADD, SET, SET_ONCE, UNSET, AttributeChange
from tallybook.storage import EntityHistory, EntityLedger, EntityMonths, FolderFiles, entities_at, stamp_of
from tallybook.storage.sqlite_ledger import SqliteLedger
from tests.storage.test_entity_rows import by_hand

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
Sent = tuple[str, int | None, int, int]
"""(action, value, day of the sender, day of receipt), days counted from the new year."""


class Attributes:
    """One account in a book without anything else, and the changes that were sent of its attribute."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.ledger = SqliteLedger(folder / "ledger.sqlite")
        files = FolderFiles(folder)
        self.entities, self.months = EntityLedger(self.ledger, files), EntityMonths(self.ledger, files)
        self.history = EntityHistory(self.ledger, files)
        self.sent: list[AttributeChange] = []

    def push(self, action: str, value: int | None, day: int, received: int, message: str = "") -> None:
        now = NEW_YEAR + timedelta(days=received, seconds=len(self.sent))
        time = stamp_of(NEW_YEAR + timedelta(days=day))
        id_ = message or (f"m{len(self.sent)}" if action == ADD else "")
        one = AttributeChange(attribute="x", action=action, value=value, time=time, received=stamp_of(now), id=id_)
        self.sent.append(one)
        self.entities.push(ACCOUNTS, {"7": [one]}, now=now)

    def keep_house(self, day: int) -> None:
        """Write the months that are over on a day to files."""
        self.months.keep_house(ACCOUNTS, days=None, zone="UTC", now=NEW_YEAR + timedelta(days=day))

    @property
    def now(self) -> Any:
        found = self.entities.get(ACCOUNTS, "7")
        return found.record.attribute("x").value if found else None

    def on(self, day: int) -> Any:
        """The value at the end of a day."""
        found = entities_at(self.history.rows(ACCOUNTS, "7"), end_of(day)).get("7")
        return found.record.attribute("x").value if found else None


def end_of(day: int) -> str:
    return stamp_of(NEW_YEAR + timedelta(days=day, hours=1))


def by_day(sent: Sequence[AttributeChange], day: int) -> Any:
    return by_hand([one for one in sent if one.time < end_of(day)])


@pytest.fixture
def attributes(tmp_path: Path) -> Iterator[Attributes]:
    found = Attributes(tmp_path)
    yield found
    found.ledger.close()


@pytest.mark.parametrize(
    ("sent", "now", "then"),
    [
        # A plan of March that is sent in August does not change the plan of April, and is that of March.
        ([(SET, 1, 90, 90), (SET, 2, 75, 210)], 1, {80: 2, 91: 1}),
        # The first of several set_once counts, also when it comes last.
        ([(SET_ONCE, 1, 10, 10), (SET_ONCE, 2, 60, 60), (SET_ONCE, 3, 5, 130)], 3, {7: 3, 60: 3}),
        # An addition of an older day belongs to the sum.
        ([(ADD, 5, 10, 10), (ADD, 5, 60, 60), (ADD, 1, 30, 130)], 11, {10: 5, 30: 6, 60: 11}),
        # A value that is set in the middle of a sum: what was added after it is left.
        ([(ADD, 5, 10, 10), (ADD, 6, 40, 40), (ADD, 7, 80, 80), (SET, 100, 30, 200)], 113, {30: 100, 40: 106}),
        ([(SET, 1, 5, 5), (SET_ONCE, 2, 40, 40), (SET_ONCE, 3, 80, 80), (UNSET, None, 30, 200)], 2, {30: None, 40: 2}),
        ([(SET_ONCE, 9, 10, 10), (ADD, 1, 20, 20), (ADD, 1, 25, 60), (SET_ONCE, 4, 15, 200)], 11, {15: 9, 20: 10}),
    ],
)
@pytest.mark.parametrize("has_files", [False, True])
def test_a_change_counts_from_the_time_of_its_sender_however_late_it_arrives(
    attributes: Attributes, sent: list[Sent], now: int, then: dict[int, int | None], has_files: bool
) -> None:
    for one in sent:
        attributes.push(*one)
        if has_files:
            attributes.keep_house(one[3] + 32)
    assert attributes.now == now
    assert {day: attributes.on(day) for day in then} == then


def test_what_is_sent_again_is_noted_once_also_where_a_later_value_hides_it(attributes: Attributes) -> None:
    attributes.push(SET, 1, 90, 90)
    for received in (91, 92, 93):
        attributes.push(SET, 2, 75, received)
    assert [row.changes[0][2] for row in attributes.history.rows(ACCOUNTS, "7")] == [2, 1]


def test_a_table_that_is_set_back_to_an_older_state_counts_from_then_on(attributes: Attributes) -> None:
    later = NEW_YEAR + timedelta(days=10)
    attributes.entities.collect(
        ACCOUNTS, "app", {"7": {"x": 1}}, times={"7": end_of(5)}, run=1, now=NEW_YEAR + timedelta(days=9)
    )
    attributes.entities.collect(ACCOUNTS, "app", {"7": {"x": 2}}, times={"7": end_of(3)}, run=2, now=later)
    found = attributes.entities.get(ACCOUNTS, "7")
    then = entities_at(attributes.history.rows(ACCOUNTS, "7"), stamp_of(later))["7"]
    assert found is not None
    assert found.record.effective() == then.record.effective() == {"x": 2}


def test_a_sum_of_years_is_a_few_changes_in_the_row(attributes: Attributes) -> None:
    for day in range(0, 400, 5):
        attributes.push(ADD, 1, day, day)
    found = attributes.entities.get(ACCOUNTS, "7")
    assert found is not None
    assert (attributes.now, len(found.record.pushed["x"])) == (80, 7)


ACTIONS = st.sampled_from([SET, UNSET, SET_ONCE, ADD])
STEPS = st.lists(
    st.tuples(
        ACTIONS,
        st.integers(1, 9),
        st.sampled_from([0, 1, 10, 35, 70]),  # days that pass
        st.sampled_from([0, 1, 20, 45, 100, 150]),  # days that it is late
        st.booleans(),  # months become files
        st.booleans(),  # the one before is sent again first
    ),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=300 if "TALLYBOOK_SOAK" in os.environ else 12,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_the_present_and_every_past_day_are_those_of_a_plain_loop(
    steps: list[tuple[str, int, int, int, bool, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    attributes = Attributes(tmp_path_factory.mktemp("late"))
    received = 200
    for action, value, days, late, has_files, is_doubled in steps:
        if is_doubled and attributes.sent:
            attributes.entities.push(
                ACCOUNTS, {"7": [attributes.sent[-1]]}, now=NEW_YEAR + timedelta(days=received, minutes=1)
            )
        received += days
        attributes.push(action, None if action == UNSET else value, received - late, received)
        if has_files:
            attributes.keep_house(received)
    assert attributes.now == by_hand(attributes.sent)
    for day in range(40, received + 1, 5):
        assert attributes.on(day) == by_day(attributes.sent, day)
    attributes.ledger.close()
