"""Tables whose rows are of two sides, such as invoices and bills or income and expenses, by a type in each row; and
transactions whose type is a number."""

from __future__ import annotations

from tallybook.collect import INT
from tallybook.draft.row_conditions import AsSql, literal
from tallybook.draft.row_filters import MAX_STATES
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.words import head, singular, terms, words

_TYPES = frozenset(("type", "kind", "direction"))
_IN = frozenset(("income", "invoice", "sale", "revenue", "receivable"))
_OUT = frozenset(("expense", "bill", "purchase", "cost", "spending", "payable"))
_NEITHER = frozenset(
    ("transfer", "recurring", "template", "quote", "estimate", "proforma", "credit", "refund", "return", "note")
)
"""Words of values that are no finished sale and no purchase, whatever else they name."""
_MOVES = frozenset(("transaction", "entry", "movement", "posting", "operation"))
"""Nouns of rows that are of several kinds, unlike payments."""
_OPPOSITES = tuple(
    map(frozenset, (("inbound", "outbound"), ("in", "out"), ("incoming", "outgoing"), ("debit", "credit")))
)
MAX_SIDES = 12


def sides_of(table: SeenTable) -> tuple[SeenColumn, list[str], list[str]] | None:
    """(the type of a row, its values of money that comes in, those of money that goes out); None unless rows have
    both."""
    for column in table.columns:
        if not column.textual or not set(terms(column.name, table.bare)) & _TYPES or len(column.texts) > MAX_SIDES:
            continue
        named = {text: {singular(word) for word in words(text)} for text in column.texts}
        clear = {text: found for text, found in named.items() if not found & _NEITHER}
        incoming = [text for text, found in clear.items() if found & _IN and not found & _OUT]
        outgoing = [text for text, found in clear.items() if found & _OUT and not found & _IN]
        if incoming and outgoing:
            return column, incoming, outgoing
    return None


def on_side(column: SeenColumn, values: list[str], as_sql: AsSql) -> str:
    """The condition for the rows of one side."""
    sql, listed = as_sql(column.name), ", ".join(map(literal, values))
    return f"{sql} in ({listed})" if len(values) > 1 else f"{sql} = {listed}"


def coded_kind(table: SeenTable) -> SeenColumn | None:
    """The number that says of which kind a transaction is, if the rows are of several kinds: a sum over all of them
    adds deposits and withdrawals."""
    if head(table.bare) not in _MOVES:
        return None
    numbers = (c for c in table.columns if c.type.kind == INT and not c.key and {"type", "kind"} & set(c.words))
    return next((c for c in numbers if 1 < len(c.texts) <= MAX_SIDES), None)


def two_ways(table: SeenTable) -> SeenColumn | None:
    """The column that says whether money came in or went out, if the rows have both."""
    for column in table.columns:
        named = {word for text in column.texts for word in words(text)} if column.textual else set()
        if len(column.texts) <= MAX_STATES and any(pair <= named for pair in _OPPOSITES):
            return column
    return None
