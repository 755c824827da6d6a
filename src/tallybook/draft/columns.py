"""Chooses the dimensions of a metric: few values, about no person, and fixed when the fact happens."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from tallybook.collect import BOOL, INT, OTHER, TEXT
from tallybook.core import RESERVED_NAMES
from tallybook.draft.column_words import DIMENSIONS
from tallybook.draft.evidence import same_nulls, says_whether
from tallybook.draft.people import is_people
from tallybook.draft.private_words import PRIVATE, PROSE
from tallybook.draft.row_filters import is_flag, words_of_value
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.table_words import INTERNAL
from tallybook.draft.time_words import LATER
from tallybook.draft.value_words import ACCEPTED_VALUES, JUNK_FLAGS, LOST_VALUES, PAID_VALUES
from tallybook.draft.words import singular, stem, stems

MIN_VALUES, MAX_VALUES = 2, 50
MANY_VALUED = frozenset(("country", "currency", "locale", "language"))
"""Words of columns that are useful dimensions with more values, too."""
MAX_DRAFTED_DIMENSIONS = 2
MAX_SERIES = 200
"""Maximum product of the numbers of sampled values of all dimensions."""
CHANGING = frozenset(
    [
        "status",
        "state",
        "stage",
        "active",
        "inactive",
        "current",
        "enabled",
        "disabled",
        "suspended",
        "overdue",
        "reason",
        "outcome",
        "result",
        "redeemed",
        "resolution",
        "resolved",
        "verified",
        "confirmed",
        "deleted",
        "archived",
        "locked",
        "blocked",
        "banned",
        "expired",
        "paid",
        "processed",
        "published",
        "visible",
        "hidden",
        "read",
        "seen",
        "open",
        "closed",
        "latest",
        "next",
        "last",
        "step",
        "progress",
        "phase",
        "score",
        "level",
        "balance",
        "cancelation",
        "cancellation",
        "termination",
        "churn",
        "failure",
        "dispute",
        "decline",
        "delinquent",
        "cancel",
        "done",
        "decision",
    ]
)
"""Words of columns whose value on the day of the fact is later unknown."""
_LATER = stems(tuple(LATER))
_CODE = re.compile(r"[a-z0-9]+([_-][a-zA-Z0-9]+)*|[A-Z0-9]+([_-][A-Z0-9]+)*")
_OF_PERSONS = frozenset(("firstname", "lastname", "fullname", "surname", "birthday", "birthdate", "dob", "gender"))
_DIGITS = re.compile(r"[+\d][\d\s().-]{3,}")
_OF_ADDRESSES = frozenset(("billing", "shipping", "address", "home", "customer", "user", "us", "mailing"))
_STATES = (
    PAID_VALUES
    | ACCEPTED_VALUES
    | LOST_VALUES
    | frozenset(
        [
            "open",
            "closed",
            "new",
            "done",
            "active",
            "inactive",
            "cancelled",
            "canceled",
            "paid",
            "pending",
            "draft",
            "trial",
            "trialing",
            "resolved",
        ]
    )
)


def dimensions(table: SeenTable, without: Collection[str] = ()) -> list[SeenColumn]:
    """Useful dimensions, best first, at most two, with a bounded product of their values."""
    return within_bounds(all_dimensions(table, without))


def all_dimensions(table: SeenTable, without: Collection[str] = ()) -> list[SeenColumn]:
    """All useful dimensions of a table, best first, without those that have one of the words in `without`."""
    found: list[tuple[int, int, SeenColumn]] = []
    for column in table.columns:
        if not set(column.words) & set(without) and not changes(table, column) and _splits(table, column):
            place = min((DIMENSIONS.index(w) for w in column.words if w in DIMENSIONS), default=len(DIMENSIONS))
            found.append((place, len(found), column))
    return [column for _, _, column in sorted(found, key=lambda item: item[:2])]


def within_bounds(columns: Sequence[SeenColumn], taken: Sequence[SeenColumn] = ()) -> list[SeenColumn]:
    """The first columns that give few series together with the taken ones, without two columns of the same words."""
    chosen: list[SeenColumn] = []
    for column in columns:
        rivals = [*taken, *chosen]
        product = len(column.texts)
        for rival in rivals:
            product *= max(1, len(rival.texts))
        similar = any(column.words[-1] == rival.words[-1] for rival in rivals)
        if len(rivals) < MAX_DRAFTED_DIMENSIONS and product <= MAX_SERIES and not similar:
            chosen.append(column)
    return chosen


def changes(table: SeenTable, column: SeenColumn) -> bool:
    """Whether the value may change after the fact: by its words, its values, or because it is set with a later time."""
    named = {singular(word) for word in column.words}
    if named & CHANGING or "state" in named or "status" in named:
        return not _is_region(column)
    if is_flag(column) and (table_of_people(table) or any(word.endswith(("ed", "en")) for word in named)):
        return True  # a person's consent, preference or state, as of now
    later = [c for c in table.times if {stem(w) for w in c.words} & _LATER]
    if any(is_flag(column) and says_whether(column, time) for time in later):
        return True
    return any(same_nulls(column, time) for time in table.times)


def _is_region(column: SeenColumn) -> bool:
    """Whether `state` means a part of a country: no other word qualifies it, and its values are not states of work."""
    values = {word for text in column.texts for word in words_of_value(text)}
    return column.textual and set(column.words) - _OF_ADDRESSES == {"state"} and not values & _STATES


def _splits(table: SeenTable, column: SeenColumn) -> bool:
    kind, known = column.type.kind, bool({singular(w) for w in column.words} & set(DIMENSIONS))
    if column.words[-1:] == ("by",):
        return False  # who entered the row
    if column.an_id or column.time is not None or column.name.casefold() in RESERVED_NAMES:
        return False
    if is_private(column) or not re.fullmatch(r"[^\W\d]\w*", column.name):
        return False
    if kind not in (TEXT, BOOL, OTHER) and not (kind == INT and known and _enumerates(column)):
        return False
    if table_of_people(table) and column.textual and not known and not _are_codes(column):
        return False  # a text about a person whose column name says nothing more: it may be a name or a place
    if set(column.words) & (JUNK_FLAGS | INTERNAL | {"moderator", "superuser"}) and is_flag(column):
        return False
    if not all(isinstance(value, str | int | float) for value in column.values):
        return False  # arrays and documents
    texts = column.texts
    if not MIN_VALUES <= len(texts) <= (250 if set(column.words) & MANY_VALUED else MAX_VALUES):
        return False
    if any(len(t) > 40 or t[:1] in ("{", "[") or t.count(" ") > 4 or "://" in t for t in texts):
        return False
    return known or len(texts) * 3 <= table.rows


def is_private(column: SeenColumn) -> bool:
    """Whether a column is about a person, or is prose, judged by its words and the form of its values."""
    if {*column.words, *map(singular, column.words)} & (PRIVATE | PROSE):
        return True
    texts = column.texts[:50]
    if any("@" in text for text in texts):
        return True
    return column.textual and bool(texts) and all(_DIGITS.fullmatch(text) for text in texts)


def table_of_people(table: SeenTable) -> bool:
    """Whether each row is about one person: by the table, or by columns with names, addresses or telephone numbers."""
    return is_people(table) or any({singular(w) for w in column.words} & _OF_PERSONS for column in table.columns)


def _are_codes(column: SeenColumn) -> bool:
    """Whether all values are written like constants: basic, PRO, smb_2, de-AT."""
    return all(_CODE.fullmatch(text) for text in column.texts)


def _enumerates(column: SeenColumn) -> bool:
    """Whether it contains integers that encode words, or yes and no."""
    return bool(set(column.words) & {"type", "kind"}) or set(column.texts) == {"0", "1"}
