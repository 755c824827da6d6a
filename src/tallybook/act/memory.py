"""The last known values of attributes that `changed` and `crossed` name: columns beside the states.

Of a metric the value of the day before is remembered too: what is restated later the same day is compared with that."""

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
    """One attribute, in lower case, and its column now; None where it is unknown for everybody."""

    name: str
    type: str
    is_metric: bool
    column: ConditionColumn | None

    @property
    def value(self) -> str:
        return f"m:{self.name}"

    @property
    def day(self) -> str:
        """The day of the last change; null where no value was ever known."""
        return f"d:{self.name}"

    @property
    def previous(self) -> str:
        """Of metrics: the value before that day."""
        return f"v:{self.name}"

    @property
    def has_previous(self) -> str:
        return f"q:{self.name}"

    @property
    def has_changed(self) -> str:
        """A column of the step, not of files."""
        return f"c:{self.name}"

    @property
    def types(self) -> dict[str, str]:
        found = {self.value: self.type, self.day: "DATE"}
        return found | ({self.previous: self.type, self.has_previous: "BOOLEAN"} if self.is_metric else {})

    def _old(self, name: str) -> str:
        return f"s.{identifier(name)}"

    def before(self, day: date) -> str:
        """SQL of the value at the last evaluation; of a metric, with the metrics of a day before `day`. The present
        value where none is known: then nothing has changed."""
        now = self.column.sql if self.column else "NULL"
        value, then = self._old(self.value), self._old(self.day)
        if not self.is_metric:
            return f"CASE WHEN {then} IS NULL THEN {now} ELSE {value} END"
        previous = f"CASE WHEN {self._old(self.has_previous)} THEN {self._old(self.previous)} ELSE {now} END"
        return f"CASE WHEN {then} IS NULL THEN {now} WHEN {then} < DATE '{day}' THEN {value} ELSE {previous} END"

    def after(self, day: date) -> list[str]:
        """The columns after an evaluation, and whether they have changed."""
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
    """What is kept of an attribute. Metrics are numbers, whatever they are today."""
    type_ = NUMBER_VALUE if is_metric or column is None else column.type
    usable = column if column is not None and column.type in EVENT_TYPES else None
    engine_type = EVENT_TYPES.get(type_, "VARCHAR")
    return Remembered(name=name, type=engine_type, is_metric=is_metric, column=usable)


def memory_of(subjects: Subjects, names: Sequence[RuleNames]) -> list[Remembered]:
    """What is remembered of the attributes that `changed` and `crossed` name."""
    folded = {name.casefold(): column for name, column in subjects.columns.items()}
    wanted = dict.fromkeys(name for one in names for name, span in one.earlier if span == SINCE_LAST)
    return [remembered(name, folded.get(name), is_metric=name in subjects.metrics) for name in wanted]


def with_memory(subjects: Subjects, memory: Sequence[Remembered]) -> Subjects:
    """The subjects with the values of the last evaluation as earlier ones."""
    columns = {(one.name, SINCE_LAST): ConditionColumn(sql=one.before(subjects.day), type=one.type) for one in memory}
    return replace(subjects, earlier={**subjects.earlier, **columns})
