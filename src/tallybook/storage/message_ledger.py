"""What viewers did with messages in the product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import quoted_names, stamp_of

_MESSAGE = ("message", "rule", "entity", "viewer", "number", "shown", "clicked", "dismissed", "times")


@dataclass(frozen=True, kw_only=True)
class MessageState:
    """What a viewer did with a message that a firing shows. `number`: the firing. Stamps are texts."""

    message: str
    rule: str
    entity: str
    viewer: str
    number: int
    shown: str | None = None
    clicked: str | None = None
    dismissed: str | None = None
    times: int = 0
    """The number of times it was shown."""


def both_states(one: MessageState, other: MessageState) -> MessageState:
    """The combined state of one viewer under two ids: the earliest time of each action counts."""
    return replace(
        one,
        shown=_first(one.shown, other.shown),
        clicked=_first(one.clicked, other.clicked),
        dismissed=_first(one.dismissed, other.dismissed),
        times=one.times + other.times,
    )


def _first(one: str | None, other: str | None) -> str | None:
    return min(one, other) if one and other else one or other


class MessageLedger:
    """The table of messages in a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    def message_states(self, rule: str, entity: str, viewers: Sequence[str], number: int) -> dict[str, MessageState]:
        """What a viewer, who may have several ids, did with each message."""
        marks = ", ".join("?" * len(viewers))
        asked = f"WHERE rule = ? AND entity = ? AND viewer IN ({marks}) AND number = ?"
        found: dict[str, MessageState] = {}
        for one in self._messages(asked, [rule, entity, *viewers, number]):
            other = found.get(one.message)
            found[one.message] = one if other is None else both_states(one, other)
        return found

    def messages_of_rule(self, rule: str) -> list[MessageState]:
        """What all viewers did with the messages of a rule."""
        return self._messages("WHERE rule = ?", [rule])

    def _messages(self, asked: str, values: list[Any]) -> list[MessageState]:
        with self.ledger._reading() as db:
            rows = db.execute(f"SELECT {quoted_names(_MESSAGE)} FROM message_states {asked}", values).fetchall()
        return [MessageState(**dict(zip(_MESSAGE, row, strict=True))) for row in rows]

    def note_message(self, state: MessageState, what: str, *, now: datetime) -> None:
        """Record that a message was `shown`, `clicked` or `dismissed`. Only the first time of each is kept."""
        key = [state.message, state.rule, state.entity, state.viewer, state.number]
        assert what in ("shown", "clicked", "dismissed")
        with self.ledger._writing() as db:
            db.execute(
                "INSERT INTO message_states (message, rule, entity, viewer, number, times) VALUES (?, ?, ?, ?, ?, 0) "
                "ON CONFLICT (message, rule, entity, viewer, number) DO NOTHING",
                key,
            )
            times = ", times = times + 1" if what == "shown" else ""
            db.execute(
                f"UPDATE message_states SET {what} = coalesce({what}, ?){times} "
                "WHERE message = ? AND rule = ? AND entity = ? AND viewer = ? AND number = ?",
                [stamp_of(now), *key],
            )
