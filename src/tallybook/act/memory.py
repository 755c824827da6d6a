"""The last known values of attributes that `changed` and `crossed` name: columns beside the states.

For a metric, the value of the previous day is kept as well. A value that is restated later the same day is compared
with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from tallybook.config import SINCE_LAST, ConditionColumn
from tallybook.core import EVENT_TYPES, NUMBER_VALUE
from tallybook.query import Subjects
from tallybook.storage import identifier

if TYPE_CHECKING:
    from tallybook.act.stepping import RuleNames


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """The memory of one attribute. `name` is in lower case. `column` has the current value, or is None if the value is
    unknown for every entity."""

    name: str
    type: str
    is_metric: bool
    column: ConditionColumn | None

    @property
    def value(self) -> str:
        return f"m:{self.name}"

    @property
    def day(self) -> str:
        """The column with the day of the last change. It is null if no value was ever known."""
        return f"d:{self.name}"

    @property
    def previous(self) -> str:
        """The column with the value before that day, for metrics only."""
        return f"v:{self.name}"

    @property
    def has_previous(self) -> str:
        return f"q:{self.name}"

    @property
    def has_changed(self) -> str:
        """The column that says whether the value changed. It is a column of the step and is not stored in files."""
        return f"c:{self.name}"

    @property
    def types(self) -> dict[str, str]:
        found = {self.value: self.type, self.day: "DATE"}
        return found | ({self.previous: self.type, self.has_previous: "BOOLEAN"} if self.is_metric else {})

    def _old(self, name: str) -> str:
        return f"s.{identifier(name)}"

    def before(self, day: date) -> str:
        """SQL of the value at the last evaluation. For a metric, this is the last value of a day before `day`. If no
        value is known, it is the current value, so that nothing has changed."""
        now = self.column.sql if self.column else "NULL"
        value, then = self._old(self.value), self._old(self.day)
        if not self.is_metric:
            return f"CASE WHEN {then} IS NULL THEN {now} ELSE {value} END"
        previous = f"CASE WHEN {self._old(self.has_previous)} THEN {self._old(self.previous)} ELSE {now} END"
        return f"CASE WHEN {then} IS NULL THEN {now} WHEN {then} < DATE '{day}' THEN {value} ELSE {previous} END"

    def after(self, day: date) -> list[str]:
        """SQL of the columns after an evaluation, including the one that says whether the value changed."""
        value, then = self._old(self.value), self._old(self.day)
        if self.column is None:
            kept = [f"{self._old(name)} AS {identifier(name)}" for name in self.types]
            return [*kept, f"FALSE AS {identifier(self.has_changed)}"]
        known = f'({self.column.known or "TRUE"} AND NOT e."is gone")'
        new = f"({known} AND ({then} IS NULL OR {value} IS DISTINCT FROM {self.column.sql}))"
        found = [
            f"CASE WHEN {new} THEN CAST({self.column.sql} AS {self.type}) ELSE {value} END AS {identifier(self.value)}",
            f"CASE WHEN {new} THEN DATE '{day}' ELSE {then} END AS {identifier(self.day)}",
            f"{new} AS {identifier(self.has_changed)}",
        ]
        if self.is_metric:
            replaced = f"({new} AND {then} < DATE '{day}')"
            has, previous = self._old(self.has_previous), self._old(self.previous)
            found += [
                f"CASE WHEN {replaced} THEN {value} ELSE {previous} END AS {identifier(self.previous)}",
                f"coalesce({replaced}, FALSE) OR coalesce({has}, FALSE) AS {identifier(self.has_previous)}",
            ]
        return found


def remembered(name: str, column: ConditionColumn | None, *, is_metric: bool) -> Remembered:
    """The memory of an attribute. The memory of a metric is always a number, whatever type its current column has."""
    type_ = NUMBER_VALUE if is_metric or column is None else column.type
    usable = column if column is not None and column.type in EVENT_TYPES else None
    engine_type = EVENT_TYPES.get(type_, "VARCHAR")
    return Remembered(name=name, type=engine_type, is_metric=is_metric, column=usable)


def memory_of(subjects: Subjects, names: Sequence[RuleNames]) -> list[Remembered]:
    """The memory of the attributes used by `changed` and `crossed`."""
    folded = {name.casefold(): column for name, column in subjects.columns.items()}
    wanted = dict.fromkeys(name for one in names for name, span in one.earlier if span == SINCE_LAST)
    return [remembered(name, folded.get(name), is_metric=name in subjects.metrics) for name in wanted]


def with_memory(subjects: Subjects, memory: Sequence[Remembered]) -> Subjects:
    """The subjects, with the values of the last evaluation added as earlier values."""
    columns = {(one.name, SINCE_LAST): ConditionColumn(sql=one.before(subjects.day), type=one.type) for one in memory}
    return replace(subjects, earlier={**subjects.earlier, **columns})
