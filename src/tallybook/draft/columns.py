"""Chooses the time, the amount and the dimensions among the columns of a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from tallybook.collect import BOOL, INT, OTHER, TEXT
from tallybook.core import RESERVED_NAMES
from tallybook.draft.column_words import (
    AMOUNT_WORDS,
    AMOUNTS,
    DIMENSIONS,
    NO_AMOUNT,
    PRIVATE,
    PROSE,
)
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.time_words import LATER
from tallybook.draft.words import rank

MIN_VALUES, MAX_VALUES = 2, 50
MANY_VALUED = frozenset(("country", "currency", "locale", "language"))
"""Words of columns that are useful dimensions with more values, too."""
MAX_DRAFTED_DIMENSIONS = 4
_STATES = frozenset(
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


def time_of(table: SeenTable, wanted: Sequence[tuple[str, ...]], *, named_only: bool = False) -> SeenColumn | None:
    """The column with the time of the fact: by the wanted words, else the only time that is not a later one."""
    ranked = [(rank(c.name, wanted), c) for c in table.times if not set(c.words) & LATER]
    named = [(place, c) for place, c in ranked if place is not None]
    if named:
        return min(named, key=lambda pair: (pair[0], pair[1].nulls))[1]
    rest = [c for _, c in ranked]
    return rest[0] if len(rest) == 1 and not named_only else None


def choices(table: SeenTable) -> list[SeenColumn]:
    """Columns that can be an amount of money, best first."""

    def place(column: SeenColumn) -> int:
        name = "_".join(column.words)
        return AMOUNTS.index(name) if name in AMOUNTS else len(AMOUNTS)

    found = [
        c
        for c in table.columns
        if c.number and not c.an_id and c.time is None and set(c.words) & AMOUNT_WORDS and not set(c.words) & NO_AMOUNT
    ]
    return sorted(found, key=place)


def amount_of(table: SeenTable) -> SeenColumn | None:
    """The best amount of money; None if there is none."""
    return next((c for c in choices(table) if any(c.values)), None)


def quantity_of(table: SeenTable) -> SeenColumn | None:
    """The column with a quantity; None if there is none."""
    return next((c for c in table.columns if c.number and not c.an_id and set(c.words) & {"quantity", "qty"}), None)


def line_amount(table: SeenTable, as_sql: Callable[[str], str]) -> str | None:
    """SQL for the amount of a line: its total, else price times quantity."""
    quantity = quantity_of(table)
    found = choices(table)
    whole = next((c for c in found if set(c.words) & {"total", "amount", "subtotal"} and "unit" not in c.words), None)
    if whole or not found:
        return as_sql(whole.name) if whole else None
    price = as_sql(found[0].name)
    return f"{price} * {as_sql(quantity.name)}" if quantity else price


def dimensions(table: SeenTable, without: Collection[str]) -> list[SeenColumn]:
    """Useful dimensions, best first: few different values, no ids, no prose, no personal data, none of the words
    `without`."""
    found: list[tuple[int, int, SeenColumn]] = []
    for column in table.columns:
        if not set(column.words) & set(without) and not _moves(column, without) and _splits(column, table.rows):
            place = min((DIMENSIONS.index(w) for w in column.words if w in DIMENSIONS), default=len(DIMENSIONS))
            found.append((place, len(found), column))
    return [column for _, _, column in sorted(found, key=lambda item: item[:2])][:MAX_DRAFTED_DIMENSIONS]


def _splits(column: SeenColumn, rows: int) -> bool:
    kind, known = column.type.kind, bool(set(column.words) & set(DIMENSIONS))
    if column.an_id or column.time is not None or column.name.casefold() in RESERVED_NAMES:
        return False
    if set(column.words) & (PRIVATE | PROSE) or not re.fullmatch(r"[^\W\d]\w*", column.name):
        return False
    if kind not in (TEXT, BOOL, OTHER) and not (kind == INT and known and _enumerates(column)):
        return False
    if not all(isinstance(value, str | int | float) for value in column.values):
        return False  # arrays and documents
    texts = column.texts
    if not MIN_VALUES <= len(texts) <= (250 if set(column.words) & MANY_VALUED else MAX_VALUES):
        return False
    if any(len(t) > 40 or t[:1] in ("{", "[") or t.count(" ") > 4 or "@" in t or "://" in t for t in texts):
        return False
    return known or len(texts) * 3 <= rows


def _moves(column: SeenColumn, without: Collection[str]) -> bool:
    """Whether it is a state of work (not of a country), which changes later."""
    return "status" in without and "state" in column.words and bool(set(column.texts) & _STATES)


def _enumerates(column: SeenColumn) -> bool:
    """Whether it contains integers as codes for words, or for yes and no."""
    return bool(set(column.words) & {"status", "type", "kind"}) or set(column.texts) == {"0", "1"}
