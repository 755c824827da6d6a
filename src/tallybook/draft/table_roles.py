"""Determines what the rows of a table are (people, money, contracts, use, days …), first by shape and then by noun."""

from __future__ import annotations

from tallybook.draft.amounts import amount_of, line_amount, quantity_of
from tallybook.draft.column_words import OBJECTS, REVENUE_NAMES
from tallybook.draft.daily_columns import day_column
from tallybook.draft.people import is_people
from tallybook.draft.references import actor_of, reference, rows_per_actor
from tallybook.draft.seen import Seen, SeenTable
from tallybook.draft.sides import sides_of
from tallybook.draft.table_words import CATALOGS, CONTRACTS, LINES, MONEY, NOT_ACTIVITY, USAGE, WORK
from tallybook.draft.time_words import BORN, DONE, PAID
from tallybook.draft.times import time_of
from tallybook.draft.words import head, singular, terms, words

DAY, LINE, MONEY_ROLE, PEOPLE_ROLE, CONTRACT = "day", "line", "money", "people", "contract"
USE_ROLE, CATALOG, OTHER_ROLE = "use", "catalog", "other"
_SIDES_NAMED = frozenset(("direction", "side", "type", "kind"))
_SIDES = ({"debit", "credit"}, {"d", "c"}, {"dr", "cr"})
_BOOKS, _OF_BOOKS = frozenset(("journal", "gl")), frozenset(("entry", "line", "item", "posting"))
"""Words of tables of entries of books, which are double-entry whatever names their sides have."""
_OF_QUEUES = ({"class", "name"}, {"processing", "state"}, {"processing", "owner"}, {"log", "level"})
"""Words of columns of rows that a queue, a bus or a log of a program writes."""
MIN_ROWS_PER_ACTOR = 1.5
"""A table with fewer rows per person does not show use."""


def role_of(seen: Seen, table: SeenTable) -> str:
    """What the rows of a table are."""
    if is_double_entry(table):
        return OTHER_ROLE
    noun, amount = head(table.bare), amount_of(table)
    actor = actor_of(seen, table)
    if day_column(table, has_amount=amount is not None and actor is not None) is not None:
        return DAY
    sold = line_amount(table, str) or quantity_of(table)
    if sold and (noun in LINES or _is_line(seen, table)) and _has_parent(seen, table):
        return LINE
    paid = time_of(table, PAID + BORN)
    if amount is not None and paid is not None and (noun in MONEY or sides_of(table) is not None):
        return MONEY_ROLE
    if is_people(table):
        return PEOPLE_ROLE
    if noun in CONTRACTS:
        return CONTRACT
    if (
        amount is not None
        and paid is not None
        and set(terms(amount.name, table.bare)) & REVENUE_NAMES
        and noun not in WORK
    ):
        return MONEY_ROLE
    if noun in CATALOGS and actor is None:
        return CATALOG
    if noun in WORK and noun not in USAGE:
        return OTHER_ROLE
    if noun in USAGE or (noun in MONEY and table.times):
        return USE_ROLE
    repeated = actor is not None and rows_per_actor(seen, table, actor[0]) >= MIN_ROWS_PER_ACTOR
    return USE_ROLE if repeated and time_of(table, DONE + BORN) is not None and noun not in WORK else OTHER_ROLE


def is_activity(table: SeenTable) -> bool:
    """Whether rows of the table can show that a person was active. Notifications, jobs, settings and audit trails
    cannot."""
    named = {singular(word) for word in words(table.bare)}
    audited = any(column.words[-1:] == ("type",) and set(column.words) & OBJECTS for column in table.columns)
    audited = audited and "activity" not in named
    by_software = head(table.bare) == "log" and (
        named & {"task", "job", "cron", "error", "system"} or any("severity" in c.words for c in table.columns)
    )
    by_software = by_software or (head(table.bare) == "activity" and table.column("ap_id") is not None)
    if head(table.bare) in ("account", "transfer") and amount_of(table) is None:
        return False  # accounts that are opened, and pairs of transactions
    of_objects = "log" in named and table.column("object_id") is not None
    queued = any(set(c.words) >= pair for c in table.columns for pair in _OF_QUEUES)
    return not audited and not by_software and not queued and not of_objects and not named & NOT_ACTIVITY


def is_double_entry(table: SeenTable) -> bool:
    """Whether the rows are double-entry bookkeeping, in which each amount occurs twice, once on either side."""
    columns = {singular(word) for column in table.columns if column.number for word in column.words}
    sides = (c for c in table.columns if c.textual and set(c.words) & _SIDES_NAMED)
    named = {singular(word) for word in words(table.bare)}
    if named & _BOOKS and head(table.bare) in _OF_BOOKS:
        return True
    return {"debit", "credit"} <= columns or any({t.lower() for t in c.texts} in _SIDES for c in sides)


def is_spending(table: SeenTable) -> bool:
    """Whether a row is a payment to a merchant, such as by a bank card, which is not revenue of the company."""
    return any(
        "mcc" in c.words or {"merchant", "name"} <= set(c.words) or {"merchant", "category"} <= set(c.words)
        for c in table.columns
    )


def _is_line(seen: Seen, table: SeenTable) -> bool:
    """Whether a row is a quantity of an order: it has a quantity and no time, and is named after a table of money."""
    nouns = {singular(word) for word in words(table.bare)[:-1]}
    named = bool(nouns & set(MONEY)) and quantity_of(table) is not None
    return named and time_of(table, PAID + BORN) is None and _has_parent(seen, table)


def _has_parent(seen: Seen, table: SeenTable) -> bool:
    """Whether a line refers to a table of money or contracts, or has a time of its own."""
    if time_of(table, PAID + BORN) is not None:
        return True
    found = (reference(seen, table, column) for column in table.columns)
    return any(other is not None and head(other[0].bare) in (*MONEY, *CONTRACTS) for other in found)
