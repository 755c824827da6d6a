"""`[rules.NAME]` and `[messages.NAME]`: actions for when a user, an account or the book meets a condition."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from tallybook.core.entities import ACCOUNTS, USERS

ACCOUNT, USER, SUBJECT_BOOK = "account", "user", "book"
RULE_SUBJECTS = (ACCOUNT, USER, SUBJECT_BOOK)
SUBJECT_KINDS = {ACCOUNT: ACCOUNTS, USER: USERS, SUBJECT_BOOK: SUBJECT_BOOK}
"""The kind of entities for each value of `for` in a rule."""
BOOK_ENTITY = "book"
"""The only entity of rules for the book."""
EVER, EVERY_TIME = "ever", "every time"
ENTER, LEAVE = "enter", "leave"
RULE_EDGES = (ENTER, LEAVE)
MESSAGE_KINDS = ("dialog", "banner", "slider")
SHOW_ONCE, UNTIL_DISMISSED, SHOW_ALWAYS = "once", "until_dismissed", "always"
MESSAGE_SHOWS = (SHOW_ONCE, UNTIL_DISMISSED, SHOW_ALWAYS)
TO_MESSAGE, TO_PX, TO_TABLE = "message", "gainsight_px", "table"
KEEP_ROW, MARK_ROW, DELETE_ROW = "keep", "mark", "delete"
ROW_LEAVES = (KEEP_ROW, MARK_ROW, DELETE_ROW)
"""Treatment of the table row of an entity that leaves."""
DEFAULT_MOST_AT_ONCE = 1000


class RuleAction(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `then`: the receiver, the edge (enter or leave), and the receiver's options, which may be secret."""

    to: str
    on: str = ENTER
    options: dict[str, Any] = {}
    target: str = ""
    """A hash of where to, as it is written in the file: a variable has its name there, not its value."""

    @property
    def identity(self) -> str:
        """What the action is, wherever it is in `then`."""
        return f"{self.kind_and_edge} {self.target}"

    @property
    def kind_and_edge(self) -> str:
        return f"{self.to} {self.on}"

    @property
    def has_leave(self) -> bool:
        """Whether it acts when an entity leaves."""
        own = self.options.get("leave")
        return (
            self.on == LEAVE
            or self.to == TO_MESSAGE
            or (own is not None and not (self.to == TO_TABLE and own == KEEP_ROW))
        )

    def __repr__(self) -> str:
        return f"RuleAction({self.to!r}, on={self.on!r})"


class OncePer(msgspec.Struct, frozen=True):
    """How often a rule may fire for one entity: once per calendar month (`months`), or per number of days."""

    months: int = 0
    days: int = 0


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """`[rules.NAME]`: a condition over attributes and metrics, and the actions when an entity enters it."""

    name: str
    for_: str = ACCOUNT
    when: str = ""
    leave: str | None = None
    """The condition for leaving. Without it, an entity leaves when `when` is no longer true."""
    hold: float = 0
    """Seconds for which `when` must be true before the rule fires."""
    once: OncePer | str = EVERY_TIME
    priority: int | None = None
    """When several rules with a priority fire for one entity at the same time, only the one with the highest priority
    fires."""
    quiet: tuple[int, int] | None = None
    """(first minute, end minute) of the day in which no action is taken. Actions wait until it ends."""
    quiet_zone: str | None = None
    """The attribute with the time zone of the entity. Without it: the zone of the book."""
    cool_down: float = 0
    """Seconds after any rule fired for an entity during which this rule does not fire for it."""
    most_at_once: int = DEFAULT_MOST_AT_ONCE
    backfill: bool = False
    holdout: float = 0
    """The share of entities for which no action is taken."""
    draft: bool = False
    then: tuple[RuleAction, ...] = ()

    @property
    def kind(self) -> str:
        """The kind of entities that the rule selects: accounts, users or book."""
        return SUBJECT_KINDS[self.for_]

    @property
    def definition(self) -> str:
        """A hash of the conditions. A rule with another definition counts as a new rule."""
        parts = [self.for_, self.when, self.leave, float(self.hold)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @property
    def has_leave_actions(self) -> bool:
        """Whether leaving is recorded, because it triggers an action or hides a message."""
        return any(one.has_leave for one in self.then)


class InAppMessage(msgspec.Struct, frozen=True, kw_only=True):
    """`[messages.NAME]`: a message in the product's front end. `{name}` in its texts inserts an attribute of the
    entity."""

    name: str
    kind: str = "banner"
    title: str = ""
    text: str = ""
    link: str | None = None
    link_text: str = ""
    show: str = SHOW_ONCE
