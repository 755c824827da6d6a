"""Finds tables about people: by their noun, or because each row has an address and other rows refer to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tallybook.draft.evidence import MIN_ROWS, distinct_share, null_share
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.table_words import (
    ACCOUNTS,
    CATALOGS,
    CONTRACTS,
    LINES,
    MONEY,
    NOT_ACTIVITY,
    PEOPLE,
    USAGE,
    WORK,
)
from tallybook.draft.words import head, singular, words

_NOT_PEOPLE = frozenset((*MONEY, *LINES, *USAGE, *CONTRACTS, *WORK, *CATALOGS, *NOT_ACTIVITY, "invitation", "invite"))
UNNAMED_RANK = 10
"""The rank, among the nouns of people, of a table recognized only by its rows."""
MIN_ADDRESSES = 0.5
"""The share of rows with an address."""


def is_people(table: SeenTable) -> bool:
    """Whether the rows of a table are people or their organizations."""
    return (head(table.bare) in PEOPLE or table.has_people) and not _keeps_money(table)


def _keeps_money(table: SeenTable) -> bool:
    """Whether the accounts are those of a bank, in which a company keeps its money."""
    opened = any({"opening", "balance"} <= set(c.words) for c in table.columns)
    return head(table.bare) == "account" and opened


def has_accounts(table: SeenTable) -> bool:
    """Whether the rows of a table of people can be signups."""
    noun, whole = head(table.bare), [singular(word) for word in words(table.bare)]
    if noun == "profile" and whole[-2:-1] and whole[-2] in ACCOUNTS:
        return any("password" in column.words for column in table.columns)
    return noun in ACCOUNTS or (table.has_people and noun not in PEOPLE)


def people_rank(table: SeenTable) -> int:
    """The place of a table of people among the nouns, best first."""
    noun = head(table.bare)
    return PEOPLE.index(noun) if noun in PEOPLE else UNNAMED_RANK


def with_people(tables: Sequence[SeenTable]) -> list[SeenTable]:
    """The tables, each marked if its rows show that they are people."""
    return [replace(table, has_people=_shows_people(table, tables)) for table in tables]


def _shows_people(table: SeenTable, tables: Sequence[SeenTable]) -> bool:
    if head(table.bare) in _NOT_PEOPLE or not any(map(_has_addresses, table.columns)):
        return False
    return any(_refers(other, column, table) for other in tables if other is not table for column in other.columns)


def has_contacts(table: SeenTable) -> bool:
    """Whether the rows of a table of work, such as leads, are people with an address each."""
    return head(table.bare) in WORK and any(map(_has_addresses, table.columns))


def _has_addresses(column: SeenColumn) -> bool:
    """Whether the values are e-mail addresses, a different one in nearly each row."""
    values = column.values if column.textual and len(column.values) >= MIN_ROWS else ()
    addresses = bool(values) and all("@" in str(value).strip("@") and " " not in str(value).strip() for value in values)
    return addresses and distinct_share(values) > 0.9 and null_share(column) <= 1 - MIN_ADDRESSES


def _refers(other: SeenTable, column: SeenColumn, table: SeenTable) -> bool:
    """Whether a column is a reference to a table, by the catalog or by its name."""
    if column.refers:
        return column.refers[0].casefold() == table.name.casefold()
    named = tuple(singular(word) for word in column.words)
    return len(named) > 1 and named[-1] in ("id", "uuid", "guid") and named[-2] == head(table.bare) and not column.key
