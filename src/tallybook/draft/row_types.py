"""What a type says about the rows of a table: groups and bots among people, taxes and adjustments among lines."""

from __future__ import annotations

from tallybook.draft.row_conditions import AsSql, RowFilter, none_of
from tallybook.draft.row_filters import MAX_STATES, words_of_value
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.words import terms

_TYPES = frozenset(("type", "kind"))
_NOBODY = frozenset(("group", "anonymous", "bot", "robot", "system", "service", "machine"))
"""Words of types of accounts that are no person."""
_NO_SALE = frozenset(("tax", "vat", "adj", "adjustment", "credit", "discount", "rounding"))
"""Words of types of lines that change the sum of an invoice, and are nothing that was sold."""


def without_nobody(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Leave out groups, bots and anonymous accounts of a table of people, if its type names them beside others."""
    for column in _types(table):
        nobody = [v for v in column.texts if words_of_value(v) & _NOBODY]
        number = sum(column.counts[v] for v in nobody)
        if nobody and 2 * number < len(column.values):
            listed = ", ".join(f"{v} ({column.counts[v]})" for v in nobody)
            found.add(none_of(column, as_sql(column.name), nobody), f"no people: {listed}")


def by_software(table: SeenTable, as_sql: AsSql) -> list[str]:
    """What is unsure about use: rows whose type says that software wrote them."""
    lines = []
    for column in _types(table):
        written = [v for v in column.texts if words_of_value(v) & {"system", "bot", "automated"}]
        if written and len(written) < len(column.texts):
            without = none_of(column, as_sql(column.name), written)
            listed = ", ".join(f"{v} ({column.counts[v]})" for v in written[:4])
            lines.append(f'{column.name} {listed} counts, too; without these rows: where = "{without}"')
    return lines


def no_sales(table: SeenTable) -> str:
    """The types of lines that are nothing that was sold; empty without such types."""
    for column in _types(table):
        listed = [f"{v} ({column.counts[v]})" for v in column.texts if words_of_value(v) & _NO_SALE]
        if listed:
            return f"{column.name} is also {', '.join(listed[:4])}"
    return ""


def _types(table: SeenTable) -> list[SeenColumn]:
    """The columns with the type of a row as a text."""
    found = (c for c in table.columns if c.textual and set(terms(c.name, table.bare)) & _TYPES)
    return [c for c in found if 1 < len(c.texts) <= MAX_STATES]
