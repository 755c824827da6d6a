"""Recurring revenue: finds the price of a contract per month, in the contract or in the table of plans that it refers
to."""

from __future__ import annotations

from dataclasses import dataclass, field

from tallybook.collect import INT
from tallybook.draft.amounts import amount_candidates, currency_of, quantity_of
from tallybook.draft.references import reference
from tallybook.draft.row_conditions import literal
from tallybook.draft.seen import Seen, SeenColumn, SeenTable
from tallybook.draft.table_words import LINES, PERIODS_PER_YEAR
from tallybook.draft.words import head, singular, terms, words

_INTERVAL_WORDS = frozenset(("interval", "period", "cycle", "frequency", "billing", "recurrence", "term", "cadence"))


@dataclass
class Price:
    """The price of a contract: its table (None: the contract's own), columns, and how often it is paid."""

    amount: SeenColumn
    table: SeenTable
    link: SeenColumn | None = None
    """The column of the contract that refers to `table`."""
    key: SeenColumn | None = None
    interval: SeenColumn | None = None
    interval_count: SeenColumn | None = None
    monthly: bool = False
    """Whether the name says that the amount is per month."""
    unsure: list[str] = field(default_factory=list)
    doubt: str = ""
    """Why the monthly price is unknown."""


def price_of(seen: Seen, table: SeenTable) -> Price | None:
    """The price of a table's contracts: their own amount, or else that of a table with prices."""
    own = _monthly(table) or next((s.candidate for s in amount_candidates(table) if s.score > 0.2), None)
    if own is not None:
        return _price(own, table)
    for column in table.columns:
        found = reference(seen, table, column)
        if found is None or found[0].name == table.name:
            continue
        other, key = found
        if not _has_prices(other):
            continue
        amount = _monthly(other) or next((s.candidate for s in amount_candidates(other) if s.score > 0), None)
        if amount is not None:
            return _price(amount, other, column, key)
    return _price_by_code(seen, table)


def _price_by_code(seen: Seen, table: SeenTable) -> Price | None:
    """The price in a table of plans that contracts name by a code, such as a slug or the id at a payment provider."""
    for other in seen.tables:
        if other is table or not _has_prices(other) or other.total > other.rows:
            continue
        amount = _monthly(other) or next((s.candidate for s in amount_candidates(other) if s.score > 0), None)
        for column in (c for c in table.columns if c.textual and len(c.texts) > 1) if amount is not None else ():
            key = next((k for k in other.columns if _names_rows(k, other) and set(column.texts) <= set(k.texts)), None)
            if key is not None and amount is not None:
                return _price(amount, other, column, key)
    return None


def _has_prices(table: SeenTable) -> bool:
    return bool(set(terms(table.bare)) & {"plan", "price", "product", "tier", "package", "offer"})


def _names_rows(column: SeenColumn, table: SeenTable) -> bool:
    """Whether each row of a table has a different code in a column."""
    return column.textual and not column.nulls and len(column.texts) == table.rows


def _monthly(table: SeenTable) -> SeenColumn | None:
    """The column with a monthly amount."""
    return next(
        (c for c in table.columns if c.number and not c.an_id and set(c.words) & {"mrr", "monthly"} and any(c.values)),
        None,
    )


def _price(
    amount: SeenColumn, table: SeenTable, link: SeenColumn | None = None, key: SeenColumn | None = None
) -> Price:
    monthly = bool(set(amount.words) & {"mrr", "monthly", "month"})
    interval = None if monthly else next((c for c in table.columns if _is_interval(c)), None)
    count = next((c for c in table.columns if c.type.kind == INT and {"interval", "count"} <= set(c.words)), None)
    found = Price(amount, table, link, key, interval, count if interval else None, monthly)
    if interval is None and not monthly:
        codes = next((c for c in table.columns if c.type.kind == INT and set(c.words) & {"interval"}), None)
        if codes is not None and codes is not count:
            listed = ", ".join(f"{value} ({number})" for value, number in list(codes.counts.items())[:6])
            found.doubt = f"{codes.name} is {listed}: which of them are months and years is not known"
        else:
            found.unsure.append("no column has the interval of the price, which is taken for a month")
    return found


def _is_interval(column: SeenColumn) -> bool:
    named = {singular(w) for w in column.words}
    return (
        column.textual
        and bool(named & _INTERVAL_WORDS)
        and bool(column.texts)
        and all(_per_year(text) is not None for text in column.texts)
    )


def _per_year(text: str) -> int | None:
    return PERIODS_PER_YEAR.get(text.lower().replace("-", "").replace("_", "").replace(" ", "").removeprefix("every"))


@dataclass(frozen=True)
class Recurring:
    """The measure of recurring revenue: exact sums of yearly amounts, divided once."""

    measure: str
    why: str


def measure_of(price: Price, quantity: str, column: object, as_name: object = None) -> Recurring:
    """The measure of a price. `quantity`: SQL of the number of units; empty for one. `column`: writes a column name."""
    assert callable(column)
    amount = column(price.amount)
    each = f"{amount} * {quantity}" if quantity else amount
    if price.interval is None:
        return Recurring(f"sum({each})", "the amount of a month")
    texts = price.interval.texts
    if {_per_year(text) for text in texts} == {12} and price.interval_count is None:
        return Recurring(f"sum({each})", f"{price.interval.name} is always {texts[0]}")
    cases = " ".join(f"when {literal(text)} then {each} * {_per_year(text)}" for text in texts)
    count = "" if price.interval_count is None else f" / {column(price.interval_count)}"
    body = f"case {column(price.interval)} {cases} end{count}"
    return Recurring(f"sum({body}) / 12", "amounts of a year, divided by 12")


def quantity_sql(table: SeenTable, column: object) -> str:
    """SQL of the number of units of a contract; empty if it has none."""
    assert callable(column)
    found = quantity_of(table)
    return str(column(found)) if found is not None else ""


def currency_column(price: Price, table: SeenTable) -> tuple[SeenColumn, SeenTable] | None:
    """The (column, table) with the currency of a price."""
    for place in (price.table, table):
        if found := currency_of(place):
            return found, place
    return None


@dataclass(frozen=True)
class Items:
    """The items of contracts, each with a number of units of a price."""

    table: SeenTable
    contract: SeenColumn
    """The column that refers to the contract."""
    contract_key: SeenColumn
    price: Price


def items_of(seen: Seen, table: SeenTable) -> Items | None:
    """The items of the contracts of a table: rows that refer to a contract and to a price."""
    noun = head(table.bare)
    for other in seen.tables:
        if other is table or head(other.bare) not in LINES or noun not in map(singular, words(other.bare)):
            continue
        links = [(c, found) for c in other.columns if (found := reference(seen, other, c)) is not None]
        contract = next(((c, key) for c, (to, key) in links if to.name == table.name), None)
        price = price_of(seen, other)
        if contract is not None and price is not None and table.unique_by(contract[1].name):
            return Items(other, *contract, price)
    return None
