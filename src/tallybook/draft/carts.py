"""Orders in whose table carts are, too: an order is placed when it is completed, and not when its cart was made."""

from __future__ import annotations

from tallybook.draft.evidence import null_share
from tallybook.draft.row_filters import states, words_of_value
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.time_words import BORN, PAID
from tallybook.draft.times import time_of
from tallybook.draft.words import head

_IN_A_CART = frozenset(("cart", "basket", "address"))
_PLACED = frozenset(("completed", "placed", "ordered"))


def money_time(table: SeenTable) -> SeenColumn | None:
    """The time at which an order was placed, an invoice was issued, or a payment was made."""
    return placed_time(table) or time_of(table, PAID + BORN)


def placed_time(table: SeenTable) -> SeenColumn | None:
    """The time at which a cart became an order; None if the table has no carts."""
    in_carts = any(words_of_value(text) & _IN_A_CART for column in states(table) for text in column.texts)
    if head(table.bare) not in ("order", "sale", "purchase") or not in_carts:
        return None
    return next((c for c in table.times if set(c.words) & _PLACED and 0 < null_share(c) < 1), None)
