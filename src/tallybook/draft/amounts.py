"""Scores the numeric columns of a table: which one is the amount of money, which one is a quantity."""

from __future__ import annotations

import re
from collections.abc import Callable

from tallybook.collect import INT
from tallybook.draft.column_words import AMOUNT_WORDS, AMOUNTS, LESSER_AMOUNTS, NO_AMOUNT
from tallybook.draft.evidence import Scored, best_of, null_share, numbers, scored
from tallybook.draft.row_filters import is_flag
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.words import MINOR_UNITS, singular, terms

MIN_SCORE = 0.2
_COUNT_WORDS = frozenset(("count", "times", "use", "used", "call", "request", "hit", "quantity", "number", "view"))
_PLACES = {tuple(singular(w) for w in name.split("_")): place for place, name in enumerate(AMOUNTS)}
NO_DIGITS = frozenset(("JPY", "KRW", "VND", "CLP", "ISK", "PYG", "UGX", "RWF", "XAF", "XOF", "XPF"))
"""Currencies without a smaller unit."""
THREE_DIGITS = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
MAX_CURRENCIES = 3
"""Maximum number of currencies named in a comment."""


def amount_candidates(table: SeenTable) -> list[Scored[SeenColumn]]:
    """Columns that can be an amount of money, with their scores, best first."""
    found = [c for c in table.columns if _may_be_amount(table, c)]
    scores = [_scored_amount(table, column, found) for column in found]
    return sorted(scores, key=lambda s: -s.score)


def amount_of(table: SeenTable) -> SeenColumn | None:
    """The best amount of money; None if no column is likely."""
    found = best_of(amount_candidates(table), MIN_SCORE)
    return found.candidate if found else None


def other_amounts(table: SeenTable, chosen: SeenColumn) -> list[SeenColumn]:
    """Further possible amounts, best first."""
    return [s.candidate for s in amount_candidates(table) if s.candidate is not chosen and s.score > 0][:3]


def _may_be_amount(table: SeenTable, column: SeenColumn) -> bool:
    named = set(terms(column.name, table.bare))
    money = bool((named | {singular(w) for w in column.words}) & (AMOUNT_WORDS | MINOR_UNITS))
    number = column.number and not column.an_id and column.time is None and not is_flag(column)
    return number and money and not named & NO_AMOUNT


def _scored_amount(table: SeenTable, column: SeenColumn, among: list[SeenColumn]) -> Scored[SeenColumn]:
    named = terms(column.name, table.bare)
    place = _PLACES.get(named)
    base = 1.0 - 0.4 * place / len(_PLACES) if place is not None else 0.5 + 0.1 * ("total" in named)
    nulls = null_share(column)
    return scored(
        column,
        (base, f"named {column.name}"),
        (-0.35 * len(set(named) & LESSER_AMOUNTS), "a part of the amount"),
        (-0.02 * len(column.words), ""),
        (-1.0 if not any(numbers(column.values)) else 0.0, "always zero or null"),
        (-0.8 * nulls if nulls > 0.5 else -0.2 * nulls, f"null in {nulls:.0%} of the rows"),
        (0.1 if _is_greatest(column, among) else 0.0, "the greatest amount of most rows"),
    )


def _is_greatest(column: SeenColumn, among: list[SeenColumn]) -> bool:
    """Whether no other amount is greater in most rows: a total contains its parts."""
    rivals = [c for c in among if c is not column and len(c.cells) == len(column.cells)]
    return bool(rivals) and all(_share_not_less(column, c) > 0.8 for c in rivals)


def _share_not_less(left: SeenColumn, right: SeenColumn) -> float:
    pairs = [(a, b) for a, b in zip(left.cells, right.cells, strict=True) if a is not None and b is not None]
    known = [(x[0], y[0]) for a, b in pairs if (x := numbers([a])) and (y := numbers([b]))]
    return sum(a >= b for a, b in known) / len(known) if known else 0.0


# --- quantities, lines -----------------------------------------------------------------------------------------


def quantity_of(table: SeenTable) -> SeenColumn | None:
    """The column with a quantity; None if no column has one."""
    named = {"quantity", "qty", "unit", "seat", "license"}
    wanted = [c for c in table.columns if c.number and not c.an_id and c.time is None and c.values]
    return next(
        (c for c in wanted if set(terms(c.name, table.bare)) & named and not set(c.words) & {"price", "cost"}), None
    )


def line_amount(table: SeenTable, as_sql: Callable[[str], str]) -> tuple[str, list[SeenColumn]] | None:
    """(SQL of the amount of a line, its columns): the total, or else price times quantity."""
    found = [s.candidate for s in amount_candidates(table) if s.score > 0]
    whole = next((c for c in found if _is_line_total(table, c)), None)
    if whole:
        return as_sql(whole.name), [whole]
    if not found:
        return None
    quantity = quantity_of(table)
    price = next((c for c in found if "price" in terms(c.name, table.bare)), found[0])
    if quantity is None:
        return as_sql(price.name), [price]
    return f"{as_sql(price.name)} * {as_sql(quantity.name)}", [price, quantity]


def _is_line_total(table: SeenTable, column: SeenColumn) -> bool:
    named = set(terms(column.name, table.bare))
    return bool(named & {"total", "amount", "subtotal", "revenue"}) and "unit" not in column.words


def count_column(table: SeenTable) -> SeenColumn | None:
    """The column with how often something was used in one row; None if one row is one use."""
    for column in table.columns:
        named = set(column.words) & _COUNT_WORDS
        found = numbers(column.values) if named and column.number else []
        if (
            column.number
            and not column.an_id
            and column.time is None
            and named
            and found
            and (
                min(found) >= 0
                and all(v == int(v) for v in found)
                and len(set(found)) > 2
                and {"times", "used"} & named
            )
        ):
            return column
    return None


# --- currencies ------------------------------------------------------------------------------------------------


def currency_of(table: SeenTable) -> SeenColumn | None:
    """The column with the currency of the amounts."""
    return next((c for c in table.columns if c.textual and _is_currency(c)), None)


def _is_currency(column: SeenColumn) -> bool:
    texts = column.texts
    named = "currency" in {singular(w) for w in column.words}
    return named and bool(texts) and all(re.fullmatch(r"[A-Za-z]{3}", text) for text in texts)


def counts_minor_units(column: SeenColumn) -> bool:
    """Whether the name says that the amount is in cents."""
    return column.type.kind == INT and bool({singular(w) for w in column.words} & MINOR_UNITS)


def minor_per_unit(currency: str) -> int:
    """How many smallest units are one unit of a currency: 100 for EUR, 1 for JPY."""
    code = currency.upper()
    return 1 if code in NO_DIGITS else 1000 if code in THREE_DIGITS else 100
