"""The currency of an amount that another table has: the table of currencies, or the bill that a refund refers to."""

from __future__ import annotations

import re

from tallybook.draft.amounts import currency_of
from tallybook.draft.references import reference
from tallybook.draft.seen import Seen, SeenColumn, SeenTable
from tallybook.draft.sides import sides_of
from tallybook.draft.table_words import MONEY
from tallybook.draft.words import head

MAX_STEPS = 2
"""How many references lead from an amount to the table with its currency."""


def currency_link(table: SeenTable) -> SeenColumn | None:
    """The column that refers to a currency: id_currency, currency_id; None if the table has the currency itself."""
    if currency_of(table) is not None:
        return None
    return next((c for c in table.columns if set(c.words) in ({"currency", "id"}, {"currency"}) and c.number), None)


def code_of_currencies(other: SeenTable) -> SeenColumn | None:
    """The column of a table of currencies with their codes, such as EUR."""
    texts = (c for c in other.columns if c.textual and c.texts)
    return next((c for c in texts if all(re.fullmatch(r"[A-Za-z]{3}", text) for text in c.texts)), None)


def currencies_far_away(seen: Seen, table: SeenTable, steps: int = MAX_STEPS) -> str:
    """The column with several currencies in a table to which an amount refers, such as "orders.currency". Empty
    without such a column."""
    for column in table.columns if steps else ():
        found = reference(seen, table, column) if column.an_id and not column.key else None
        if found is None or found[0] is table or not _has_money(found[0]):
            continue
        other = found[0]
        own = currency_of(other) or currency_link(other)
        if own is not None and len(own.texts) > 1:
            return f"{other.name}.{own.name}"
        if own is None and (further := currencies_far_away(seen, other, steps - 1)):
            return further
    return ""


def _has_money(table: SeenTable) -> bool:
    return head(table.bare) in MONEY or sides_of(table) is not None
