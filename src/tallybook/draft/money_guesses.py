"""Guesses about tables of money: payments, invoices, orders and their lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace

from tallybook.collect import DEC, FLOAT, INT, NUMBERS
from tallybook.draft.amounts import (
    amount_of,
    counts_minor_units,
    currency_of,
    line_amount,
    minor_per_unit,
    other_amounts,
    quantity_of,
)
from tallybook.draft.carts import money_time
from tallybook.draft.column_words import AMOUNT_WORDS, REVENUE_NAMES
from tallybook.draft.columns import dimensions, within_bounds
from tallybook.draft.currencies import code_of_currencies, currencies_far_away, currency_link
from tallybook.draft.evidence import null_share, numbers
from tallybook.draft.row_conditions import RowFilter
from tallybook.draft.row_filters import money_rows
from tallybook.draft.row_types import no_sales
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.sides import coded_kind, on_side, sides_of, two_ways
from tallybook.draft.table_guesses import (
    Idea,
    TableGuesses,
    Topic,
    example_values,
    in_join,
    is_negative,
    join_text,
    joined_words,
    singular_name,
)
from tallybook.draft.table_roles import is_spending
from tallybook.draft.table_words import CONTRACTS, LINES, MONEY, NOT_REVENUE
from tallybook.draft.time_words import BORN, PAID
from tallybook.draft.times import time_of, why_time
from tallybook.draft.words import head, plainly, singular, terms, words

_SELLERS = frozenset(("seller", "vendor", "merchant", "host", "driver", "courier", "creator", "supplier"))
_SCRIP = frozenset(
    ("credit", "wallet", "gift", "coupon", "voucher", "discount", "point", "reward", "token", "gem", "coin")
)
"""Words of tables with balances inside the application, which are not money."""
_KEPT = frozenset(("fee", "commission", "take", "cut"))
_MONEY = AMOUNT_WORDS | _KEPT | {"payout"}
_OF_A_MARKET = frozenset(("platform", "marketplace", "application", "commission", "take"))
MAX_BELOW_ZERO = 0.2
"""With a larger share of negative amounts, the rows are money in two directions instead of sales with some returns."""
_LOWER = "integers beside a currency in lower-case letters: payment providers send cents so"


class MoneyGuesses(TableGuesses):
    """Metrics of tables of money."""

    def _money(self, table: SeenTable) -> Iterator[Idea]:
        amount, time = amount_of(table), money_time(table)
        if amount is None or time is None:
            return
        rows = money_rows(self.seen, table, self.as_sql, amount)
        sides = sides_of(table)
        if sides is not None:
            rows.add(on_side(sides[0], sides[1], self.as_sql), f"left out: {', '.join(sides[2])}, which is paid out")
            rows.settled = True
        keys, why = self._facts(table, time, f"sum({self.as_sql(amount.name)})")
        self._decimals(table.name, keys, amount.name, amount, why)
        self._by(table, keys, why)
        why.setdefault("time", why_time(table, time, PAID + BORN))
        if time.nulls:
            why["time"] = f"rows without {time.name} do not count ({null_share(time):.0%})"
        name = joined_words(singular_name(table), *(terms(amount.name, table.bare) or words(amount.name)))
        total = Idea(name, keys, why, f"sum of {amount.name} by {time.name}", topic=Topic.REVENUE, of=table.name)
        total.score = self._revenue_score(table, amount, time, rows)
        total.other = [f'# measure = "sum({self.as_sql(c.name)})"' for c in other_amounts(table, amount)]
        self._filtered(total, rows)
        if sides is None and (ways := two_ways(table)) is not None:
            total.doubt = f"adds what came in and what went out: {ways.name} is {', '.join(ways.texts[:4])}"
        elif (below := _share_below_zero(amount)) > MAX_BELOW_ZERO:
            total.doubt = f"adds what came in and what went out: {below:.0%} of the rows are below zero"
        if (kind := coded_kind(table)) is not None:
            total.doubt = f"adds rows of several kinds: {kind.name} is {', '.join(sorted(kind.texts)[:6])}"
        total.unsure += _of_others(table, self.as_sql)
        named = {singular(word) for word in words(table.bare)}
        if named & _SCRIP and "note" not in named:
            total.doubt = total.doubt or "by its name it counts credits or vouchers, and not money"
        count = self._count_of_money(table, total, rows)
        if sides is not None and len(sides[1]) == 1 and head(table.bare) not in MONEY:
            count.name = plainly(sides[1][0])
        yield self._in_currency(table, total, amount)
        yield count
        if sides is not None:
            yield self._paid_out(table, total, amount, sides)

    def _paid_out(
        self, table: SeenTable, total: Idea, amount: SeenColumn, sides: tuple[SeenColumn, list[str], list[str]]
    ) -> Idea:
        """The sum of the rows of the other side, such as expenses."""
        column, incoming, outgoing = sides
        keys, why = self._facts(table, money_time(table) or amount, total.keys["measure"].partition(" / ")[0])
        keys |= {key: total.keys[key] for key in ("decimals",) if key in total.keys}
        where = total.keys["where"].replace(
            on_side(column, incoming, self.as_sql), on_side(column, outgoing, self.as_sql)
        )
        keys["where"], why["where"] = where, f"the other side: {', '.join(outgoing)}"
        name = plainly(outgoing[0]) if len(outgoing) == 1 else f"{singular_name(table)}_paid_out"
        about = f"sum of {amount.name} of {', '.join(outgoing)}"
        return self._in_currency(
            table, Idea(name, keys, why, about, topic=Topic.WORK, of=table.name, score=1.0), amount
        )

    def _in_currency(self, table: SeenTable, total: Idea, amount: SeenColumn) -> Idea:
        """The sum in its currency, which the table or what its rows refer to has, as refunds refer to payments."""
        own = currency_of(table)
        if (link := currency_link(table)) is not None:
            return self._in_linked_currency(table, total, amount, link)
        for column in table.columns if own is None else ():
            other, key = self.refers(table, column)
            theirs = currency_of(other) if other is not None and head(other.bare) in MONEY else None
            if other is None or theirs is None or table.column(theirs.name):
                continue
            if len(theirs.texts) > 1:
                for name in ("by", "join"):
                    total.keys.pop(name, None)
                    total.why.pop(name, None)
                total.keys["join"] = join_text(table, column, other, key)
                total.why["join"] = "the currency is there"
                return with_unit(total, amount, theirs, self.as_sql, f"{in_join(other.name)}.")
            return with_unit(total, amount, theirs, self.as_sql)
        if own is None and (far := currencies_far_away(self.seen, table)):
            total.doubt = total.doubt or f"adds amounts of several currencies: theirs is in {far}"
        return with_unit(total, amount, own, self.as_sql)

    def _in_linked_currency(self, table: SeenTable, total: Idea, amount: SeenColumn, link: SeenColumn) -> Idea:
        """The sum in the currency that a column refers to by its key."""
        other, key = self.refers(table, link)
        codes = code_of_currencies(other) if other is not None else None
        if other is None or codes is None:
            if len(link.texts) > 1:
                total.doubt = f"adds amounts of several currencies: {link.name} is {', '.join(link.texts[:4])}"
            return total
        keys = other.column(key)
        names = dict(zip(map(str, keys.cells), codes.cells, strict=True)) if keys is not None else {}
        used = [str(names[text]) for text in link.texts if text in names]
        seen = replace(codes, values=tuple(used), cells=tuple(used))
        if len(used) < 2:
            return with_unit(total, amount, seen, self.as_sql)
        for name in ("by", "join"):
            total.keys.pop(name, None)
            total.why.pop(name, None)
        total.keys["join"], total.why["join"] = join_text(table, link, other, key), "the currency is there"
        return with_unit(total, amount, seen, self.as_sql, f"{in_join(other.name)}.")

    def _count_of_money(self, table: SeenTable, total: Idea, rows: RowFilter) -> Idea:
        keys = {k: v for k, v in total.keys.items() if k not in ("decimals", "unit")} | {"measure": "count(*)"}
        reasons = {k: v for k, v in total.why.items() if k not in ("measure", "unit", "decimals")}
        paid = rows.settled and "paid" in str(rows.where) and head(table.bare) == "invoice"
        many = f"paid_{plainly(table.bare)}" if paid else plainly(table.bare)
        count = Idea(
            many, deepcopy(keys), reasons, f"counts {many.replace('_', ' ')}", topic=Topic.PAYMENTS, of=table.name
        )
        count.unsure = list(rows.unsure)
        count.score = total.score
        return count

    def _revenue_score(self, table: SeenTable, amount: SeenColumn, time: SeenColumn, rows: RowFilter) -> float:
        """How likely the sum of an amount is the company's revenue. Below 0, it is not."""
        from math import log10

        named = {singular(word) for word in words(table.bare)} - self._bought_by_customers(table)
        if is_negative(table) or named & NOT_REVENUE or is_spending(table):
            return -1.0
        noun = head(table.bare)
        sold = noun in MONEY or sides_of(table) is not None
        score = 1.3 if set(terms(amount.name)) & REVENUE_NAMES else 0.8 if sold else -1.0
        noun = "" if sides_of(table) is not None else noun
        score += {"transaction": -0.3, "receipt": -0.1, "booking": -0.05}.get(noun, 0.0)
        score -= 0.2 * (len(words(table.bare)) - 1)
        score += 0.3 * any(self._is_main(table, c) for c in table.columns)
        score += 0.3 * rows.settled - 0.3 * bool(rows.unsure and not rows.settled) - 0.5 * null_share(time)
        return score + 0.1 * log10(max(1, table.total))

    def _bought_by_customers(self, table: SeenTable) -> set[str]:
        """Words that cause no doubt in this table, because what customers purchase is revenue, and so are their
        payments."""
        bought = (self.refers(table, column)[0] for column in table.columns)
        of_bills = [other for other in bought if other is not None and head(other.bare) in MONEY]
        customers = any(self._is_main(t, column) for t in (table, *of_bills) for column in t.columns)
        return {"purchase", "bill"} if customers else set()

    def _is_main(self, table: SeenTable, column: SeenColumn) -> bool:
        """Whether a column refers to the people whose new rows are the signups."""
        other, _ = self.refers(table, column)
        return other is not None and other.name == self.main

    # -- lines --------------------------------------------------------------------------------------------

    def _lines(self, table: SeenTable) -> Iterator[Idea]:
        """Metrics of lines of an invoice or order, which have the time of their parent."""
        amount, quantity = line_amount(table, self.as_sql), quantity_of(table)
        parent, column = self._parent(table)
        if amount is None and quantity is None:
            return
        time = money_time(table if parent is None else parent)
        if time is None:
            return
        of_revenue = f"sum of {amount[0]} of {table.name}" if amount else ""
        parts = [(*amount, "revenue", of_revenue)] if amount else []
        if quantity:
            sold = (self.as_sql(quantity.name), [quantity], "sold", f"sum of {quantity.name} of {table.name}")
            parts.insert(0 if parent is not None and amount_of(parent) else 1, sold)
        for measure, columns, name, about in parts:
            idea = self._line(table, parent, column, time, measure, columns)
            if name == "revenue":
                whole = parent is not None and amount_of(parent) is None and self._sells(parent)
                idea.score = 1.0 if whole else 0.0
                if quantity is None and _is_list_price(table, columns[0], parent):
                    idea.doubt = f"{columns[0].name} is the price of one unit, and no column has the number of units"
                elif parent is None and (bill := self._bill_of(table)):
                    idea.doubt = f"no column leads to {bill}, so lines of canceled ones would count, too"
                elif types := no_sales(table):
                    idea.doubt = f"{types}: no sale, and a part of the sum"
            idea.name, idea.about = joined_words(singular_name(table), name), about
            if (sides := sides_of(table)) is not None:
                idea.doubt = f"adds both sides: {sides[0].name} is {', '.join(sides[0].texts[:4])}"
            far = currencies_far_away(self.seen, table) if currency_of(table) is None else ""
            if name == "revenue" and far and (parent is None or currency_of(parent) is None):
                idea.doubt = idea.doubt or f"adds amounts of several currencies: theirs is in {far}"
            if name == "revenue":
                with_unit(
                    idea, columns[0], currency_of(table) or (currency_of(parent) if parent else None), self.as_sql
                )
            if name == "revenue" and any("discount" in c.words for c in table.columns) and " * " in measure:
                idea.other.append("# discounts are not subtracted; if discount is a share: … * (1 - discount)")
            yield idea

    def _bill_of(self, table: SeenTable) -> str:
        """The table of money whose name begins that of a table of lines; empty without one."""
        mine = words(table.bare)
        found = (t.name for t in self.seen.tables if head(t.bare) in MONEY and words(t.bare) == mine[:-1])
        return next(found, "")

    def _sells(self, parent: SeenTable) -> bool:
        """Whether what a table of money contains is sold by the company."""
        named = {singular(word) for word in words(parent.bare)} - self._bought_by_customers(parent)
        return head(parent.bare) in MONEY and not named & NOT_REVENUE and not is_negative(parent)

    def _line(
        self,
        table: SeenTable,
        parent: SeenTable | None,
        column: SeenColumn | None,
        time: SeenColumn,
        measure: str,
        needed: Sequence[SeenColumn],
    ) -> Idea:
        keys, why = self._facts(table, time, f"sum({measure})")
        idea = Idea("", keys, why, topic=Topic.LINES, of=table.name)
        if parent is not None and head(parent.bare) not in MONEY:
            idea.doubt = f"a line of {parent.name} is no sale: it is valid as long as its contract"
        if parent is None or column is None:
            self._by(table, keys, why)
            self._filtered(idea, money_rows(self.seen, table, self.as_sql))
        else:
            self._over_parent(idea, table, parent, column, time, needed)
        if any(c.type.kind == FLOAT or (c.type.kind not in NUMBERS) for c in needed):
            relation = f"({keys['sql']}) f" if "sql" in keys else table.name
            self._decimals(relation, keys, measure, needed[0] if len(needed) == 1 else None, why)
        return idea

    def _over_parent(
        self,
        idea: Idea,
        table: SeenTable,
        parent: SeenTable,
        column: SeenColumn,
        time: SeenColumn,
        needed: Sequence[SeenColumn],
    ) -> None:
        """Add the time and dimensions of the parent table. No line counts twice: the catalog declares the key unique,
        or `join` checks it on every run."""
        _, key = self.refers(table, column)
        rows = money_rows(self.seen, parent, self.as_sql)
        self._filtered(idea, rows)
        by = dimensions(table)
        theirs = within_bounds([c for c in dimensions(parent) if table.column(c.name) is None], by)
        if by or theirs:
            idea.keys["by"] = [c.name for c in (*by, *theirs)]
        if not parent.unique_by(key):
            idea.keys["join"] = join_text(table, column, parent, key)
            idea.why["join"] = f"the time is in {parent.name}; every run checks that {key} is unique"
            if table.column(time.name):
                idea.keys["time"] = f"{parent.name}.{time.name}"
            return
        sql = self.as_sql
        used = [c for c in parent.columns if sql(c.name) in rows.where]
        used += [c for c in (currency_of(parent),) if c is not None and currency_of(table) is None]
        needed = [*needed, *(c for c in (currency_of(table),) if c is not None)]
        shown = [c for c in parent.columns if c is time or c in used or c in theirs]
        picked = [f"l.{sql(c.name)}" for c in (*needed, *by)]
        picked += [f"p.{sql(c.name)}" for c in shown if c.name not in {n.name for n in (*needed, *by)}]
        text = f"select {', '.join(dict.fromkeys(picked))}\nfrom {sql(table.name)} l "
        text += f"join {sql(parent.name)} p on p.{sql(key)} = l.{sql(column.name)}"
        idea.keys.pop("table")
        idea.keys["sql"] = text
        idea.why["sql"] = f"the time is in {parent.name}; {key} is unique there, so no line counts twice"

    def _parent(self, table: SeenTable) -> tuple[SeenTable | None, SeenColumn | None]:
        nouns = {singular(word) for word in words(table.bare)[:-1]} - set(LINES)
        found: list[tuple[bool, SeenTable, SeenColumn]] = []
        for column in table.columns:
            other, _ = self.refers(table, column)
            fits = other and other.name != table.name and head(other.bare) in (*MONEY, *CONTRACTS)
            if other and fits and time_of(other, PAID + BORN):
                found.append((head(other.bare) in nouns or not nouns, other, column))
        found.sort(key=lambda item: not item[0])
        if not found or (not found[0][0] and time_of(table, PAID + BORN)):
            return None, None
        return found[0][1], found[0][2]


def _is_list_price(table: SeenTable, column: SeenColumn, parent: SeenTable | None) -> bool:
    """Whether a price is that of one unit, or of a thing that can be sold, and not of a sale."""
    things = parent is None and "price" in column.words and len(words(table.bare)) == 1
    return things or bool({"unit", "list"} & set(column.words))


def _share_below_zero(amount: SeenColumn) -> float:
    known = numbers(amount.values)
    return sum(value < 0 for value in known) / len(known) if known else 0.0


def _of_others(table: SeenTable, as_sql: Callable[[str], str]) -> list[str]:
    """A doubt if a part of the amount goes to sellers and the company keeps only the rest."""
    amounts = [c for c in table.columns if c.number and not c.an_id and any(numbers(c.values)) and _is_money(c)]
    theirs = next((c for c in amounts if "payout" in c.words or set(c.words) & _SELLERS), None)
    kept = next((c for c in amounts if set(c.words) & _KEPT and c is not theirs), None)
    if theirs is None and (kept is None or not set(kept.words) & _OF_A_MARKET):
        return []
    reason = f"{theirs.name} goes to others" if theirs else f"{kept.name if kept else ''} is a share of the amount"
    ours = f": what the company keeps may be sum({as_sql(kept.name)})" if kept else ""
    return [f"{reason}{ours}"]


def _is_money(column: SeenColumn) -> bool:
    return column.type.kind == DEC or counts_minor_units(column) or bool({singular(w) for w in column.words} & _MONEY)


def with_unit(
    idea: Idea, amount: SeenColumn, currency: SeenColumn | None, as_sql: Callable[[str], str], table: str = ""
) -> Idea:
    """The metric in its currency. With several currencies each answer must be split by the column or filtered to one.

    `table`: the qualifier of the currency, if it is a column of a joined table."""
    whole, texts = amount.type.kind == INT, currency.texts if currency else []
    if whole and {"micro", "micros"} & set(amount.words):
        idea.keys["measure"], whole = f"{idea.keys['measure']} / 1000000", False
        idea.why["measure"] = f"{amount.name} counts millionths"
    lower = whole and bool(texts) and all(text.islower() for text in texts)
    minor = counts_minor_units(amount) or lower
    if currency and len(texts) > 1:
        column = f"{table}{currency.name}"
        idea.keys["unit_from"], idea.currencies = column, texts
        idea.why["unit_from"] = f"{example_values(currency)} do not add up: query --by {column}"
        idea.keys["by"] = [name for name in idea.keys.get("by", []) if name != currency.name]
        shown = [part for part in idea.why.get("by", "").split("; ") if not part.startswith(f"{currency.name} (")]
        idea.why["by"] = "; ".join(shown)
        if not idea.keys["by"]:
            idea.keys.pop("by")
            idea.why.pop("by", None)
        if minor:
            idea.keys["minor_units"] = True
            idea.why |= {"minor_units": _LOWER} if lower else {}
        if whole and not minor:
            idea.other.append("# minor_units = true    # if the integers are cents, or another smallest unit")
        return idea
    code = texts[0].upper() if texts else ""
    units = minor_per_unit(code) if code else 100
    if minor and units != 1:
        measure, slash, number = idea.keys["measure"].rpartition(" / ")
        yearly = slash and number.isdigit()  # the amounts of a year, divided by 12
        idea.keys["measure"] = f"{measure} / {units * int(number)}" if yearly else f"{idea.keys['measure']} / {units}"
        idea.why["measure"] = _LOWER if lower else f"{amount.name} is in the smallest unit"
    elif whole and currency and not minor:
        idea.why["measure"] = "integers: perhaps the smallest unit, such as cents"
        idea.other.append(f'# measure = "{idea.keys["measure"]} / {units}"')
    if code and currency and (minor or not whole):
        idea.keys["unit"] = code
        idea.why["unit"] = f"the only value of {currency.name}"
    return idea
