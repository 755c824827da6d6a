"""The transitions of `state` as engine expressions, which step all entities through all rules in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tallybook.act.state import HOLDING, INSIDE, OUT, UNDECIDED, UNKNOWN_IN, UNKNOWN_OUT, Transitions
from tallybook.config import Condition
from tallybook.storage import identifier, literal


@dataclass(frozen=True, kw_only=True)
class StateColumns:
    """The columns of one rule in a state file."""

    rule: str
    holds: bool

    @property
    def code(self) -> str:
        return f"s:{self.rule}"

    @property
    def since(self) -> str:
        return f"h:{self.rule}"

    @property
    def paused(self) -> str:
        return f"p:{self.rule}"

    @property
    def types(self) -> dict[str, str]:
        """The engine type of each column."""
        times = {self.since: "TIMESTAMPTZ", self.paused: "TIMESTAMPTZ"} if self.holds else {}
        return {self.code: "UTINYINT", **times}


@dataclass(frozen=True, kw_only=True)
class StepSql:
    """The step of one rule, as SQL. `old` reads the columns of the previous states from the relation `s`."""

    columns: StateColumns
    transitions: Transitions
    when: Condition
    leave: Condition | None
    begins: bool
    now: datetime
    some_gone: bool
    """Whether there are deleted entities. Deleted entities keep their states."""

    @property
    def old(self) -> str:
        """SQL of the code before the step."""
        if self.begins:
            return str(self.transitions.first.code)
        return f"coalesce(s.{identifier(self.columns.code)}, 0)"

    @property
    def instant(self) -> str:
        return f"TIMESTAMPTZ {literal(self.now.isoformat())}"

    def _outcome(self, condition: Condition) -> tuple[str, str]:
        """SQL of (true, unknown). For deleted entities the condition is unknown."""
        unknown = condition.unknown or ""
        if not self.some_gone:
            return condition.true, unknown
        gone = 'e."is gone"'
        return f"(NOT {gone} AND {condition.true})", f"({gone} OR {unknown})" if unknown else gone

    @property
    def new(self) -> str:
        """SQL of the code after the step."""
        true, unknown = self._outcome(self.when)
        entered = HOLDING if self.transitions.hold else INSIDE
        outside = f"CASE WHEN {true} THEN {entered} ELSE {OUT} END"
        undecided = f"CASE WHEN {true} THEN {INSIDE} ELSE {OUT} END"
        inside = f"CASE WHEN {true} THEN {INSIDE} ELSE {OUT} END"
        if unknown:
            outside = f"CASE WHEN {unknown} THEN {UNKNOWN_OUT} WHEN {true} THEN {entered} ELSE {OUT} END"
            undecided = f"CASE WHEN {unknown} THEN {UNDECIDED} WHEN {true} THEN {INSIDE} ELSE {OUT} END"
            inside = f"CASE WHEN {unknown} THEN {UNKNOWN_IN} WHEN {true} THEN {INSIDE} ELSE {OUT} END"
        if self.leave is not None:
            left, undone = self._outcome(self.leave)
            kept = f"WHEN {undone} THEN {UNKNOWN_IN} " if undone else ""
            inside = f"CASE {kept}WHEN {left} THEN {OUT} ELSE {INSIDE} END"
        if self.begins:
            return outside if self.transitions.backfill else undecided
        if not self.transitions.hold and self.leave is None and not unknown:
            return inside
        held = ""
        if self.transitions.hold:
            stays = f"WHEN {unknown} THEN {HOLDING} " if unknown else ""
            due = f"{self.instant} - {self.counted} >= INTERVAL '{self.transitions.hold.total_seconds():.0f} seconds'"
            done = f"CASE {stays}WHEN NOT {true} THEN {OUT} WHEN {due} THEN {INSIDE} ELSE {HOLDING} END"
            held = f"WHEN {HOLDING} THEN {done} "
        return (
            f"CASE {self.old} WHEN {OUT} THEN {outside} WHEN {UNKNOWN_OUT} THEN {outside} "
            f"WHEN {UNDECIDED} THEN {undecided} {held}ELSE {inside} END"
        )

    @property
    def counted(self) -> str:
        """SQL of the start of the wait for a condition that must last, moved later by the time in which the condition
        was unknown."""
        since, paused = (f"s.{identifier(name)}" for name in (self.columns.since, self.columns.paused))
        return f"({since} + coalesce({self.instant} - {paused}, INTERVAL 0 SECOND))"

    def times(self, code: str) -> dict[str, str]:
        """By column of a rule whose condition must last, SQL of its value after the step. `code` is SQL of the new
        code."""
        if not self.transitions.hold:
            return {}
        _, unknown = self._outcome(self.when)
        since, paused = (f"s.{identifier(name)}" for name in (self.columns.since, self.columns.paused))
        if self.begins:
            since, paused, counted = "NULL", "NULL", self.instant
        else:
            counted = f"CASE WHEN {self.old} = {HOLDING} THEN {self.counted} ELSE {self.instant} END"
        is_unknown = unknown or "FALSE"
        kept = f"CASE WHEN {is_unknown} THEN {since} ELSE {counted} END"
        pause = f"CASE WHEN {is_unknown} THEN coalesce({paused}, {self.instant}) END"
        return {
            self.columns.since: f"CASE WHEN {code} = {HOLDING} THEN {kept} END",
            self.columns.paused: f"CASE WHEN {code} = {HOLDING} THEN {pause} END",
        }
