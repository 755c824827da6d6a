"""The states of an entity in a rule, and the steps between them. Pure.

A condition is true, false or unknown (None). While it is unknown, the entity keeps its state and nothing fires."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tallybook.core import ENTER, LEAVE

OUT, INSIDE, UNKNOWN_OUT, UNKNOWN_IN, HOLDING, UNDECIDED = range(6)
"""Codes of states in files. UNDECIDED: unknown since the rule was new, so the first known outcome is not an edge."""
STATE_NAMES = {
    OUT: "out",
    INSIDE: "in",
    UNKNOWN_OUT: "unknown-was-out",
    UNKNOWN_IN: "unknown-was-in",
    HOLDING: "held",
    UNDECIDED: "unknown-was-in",
}


@dataclass(frozen=True, kw_only=True)
class EntityState:
    """A state. `since`: start of the wait for a condition that must last. `paused`: since when the condition is
    unknown."""

    code: int = OUT
    since: datetime | None = None
    paused: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """How a rule moves its entities between states. `has_leave`: the rule has a separate condition for leaving."""

    hold: timedelta = timedelta(0)
    has_leave: bool = False
    backfill: bool = False

    @property
    def first(self) -> EntityState:
        """The state of every entity before the first evaluation of a rule."""
        return EntityState(code=UNKNOWN_OUT if self.backfill else UNDECIDED)

    def step(
        self, before: EntityState, *, when: bool | None, leave: bool | None, now: datetime
    ) -> tuple[EntityState, str | None]:
        """Return the state after an evaluation, and the edge if there is one."""
        if before.code in (INSIDE, UNKNOWN_IN):
            gone = leave if self.has_leave else None if when is None else not when
            if gone is None:
                return EntityState(code=UNKNOWN_IN), None
            return (EntityState(), LEAVE) if gone else (EntityState(code=INSIDE), None)
        if before.code == HOLDING:
            return self._held(before, when, now)
        if when is None:
            return EntityState(code=UNKNOWN_OUT if before.code == OUT else before.code), None
        if not when:
            return EntityState(), None
        if before.code == UNDECIDED:
            return EntityState(code=INSIDE), None
        if self.hold:
            return EntityState(code=HOLDING, since=now), None
        return EntityState(code=INSIDE), ENTER

    def _held(self, before: EntityState, when: bool | None, now: datetime) -> tuple[EntityState, str | None]:
        """Return the next state of an entity that waits for a condition to last. Time in which the condition is unknown
        does not count."""
        assert before.since is not None
        if when is None:
            return replace(before, paused=before.paused or now), None
        if not when:
            return EntityState(), None
        since = before.since + (now - before.paused if before.paused else timedelta(0))
        if now - since >= self.hold:
            return EntityState(code=INSIDE), ENTER
        return EntityState(code=HOLDING, since=since), None
