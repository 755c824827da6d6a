"""Guesses about tables of money: payments, invoices, orders and their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tallybook.collect import FLOAT, INT, NUMBERS, TEXT
from tallybook.draft.column_words import PAID_VALUES
from tallybook.draft.columns import amount_of, choices, dimensions, line_amount, quantity_of, time_of
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.table_guesses import MOVING, Idea, Keys, TableGuesses, example_values, join_text, singular_name
from tallybook.draft.table_words import (
    CONTRACTS,
    MONEY,
)
from tallybook.draft.time_words import (
    BORN,
    PAID,
)
from tallybook.draft.words import (
    head,
    plainly,
    words,
)


class MoneyGuesses(TableGuesses):
    """Metrics of tables of money."""

    def _money(self, table: SeenTable) -> Iterator[Idea]:
        amount, time = amount_of(table), time_of(table, PAID + BORN)
        if amount is None or time is None:
            return
        place = 100 + MONEY.index(head(table.name))
        keys, why = self._facts(table, time, f"sum({self.as_sql(amount.name)})")
        other = [f'# measure = "sum({self.as_sql(c.name)})"' for c in _more_amounts(table, amount)]
        status = self._only_paid(table, keys, why)
        self._unit(table, amount, keys, why, other)
        self._decimals(table.name, keys, amount.name, amount, why)
        self._by(table, keys, why)
        if time.nulls:
            why["time"] = f"rows without {time.name} do not count"
        name = f"{singular_name(table.name)}_{'_'.join(words(amount.name))}"
        yield Idea(name, keys, why, f"sum of {amount.name} by {time.name}", other, place=place)
        count: Keys = {**keys, "measure": "count(*)"}
        reasons = {k: v for k, v in why.items() if k not in ("measure", "unit")}
        for key in ("unit", "decimals"):
            count.pop(key, None)
        many = f"paid_{plainly(table.name)}" if status else plainly(table.name)
        yield Idea(many, count, reasons, f"counts {many.replace('_', ' ')}", place=place)

    def _only_paid(self, table: SeenTable, keys: Keys, why: dict[str, str]) -> SeenColumn | None:
        """Add a filter on the status column, if one tells paid rows from others; returns the column."""
        for column in table.columns:
            if column.type.kind != TEXT or not set(column.words) & {"status", "state"} or len(column.texts) > 50:
                continue
            paid = [v for v in column.texts if v.lower() in PAID_VALUES]
            if paid and len(column.texts) > 1:
                listed = ", ".join(_literal(v) for v in paid)
                sql = self.as_sql(column.name)
                keys["where"] = f"{sql} = {listed}" if len(paid) == 1 else f"{sql} in ({listed})"
                why["where"] = (
                    f"other values of {column.name}: {', '.join(v for v in column.texts[:6] if v not in paid)}"
                )
                return column
        return None

    def _unit(self, table: SeenTable, amount: SeenColumn, keys: Keys, why: dict[str, str], other: list[str]) -> None:
        currency = next((c for c in table.columns if "currency" in c.words and c.type.kind == TEXT), None)
        if currency and len(currency.texts) == 1 and re.fullmatch(r"[A-Za-z]{3}", currency.texts[0]):
            keys["unit"] = currency.texts[0].upper()
            why["unit"] = f"the only value of {currency.name}"
        if currency and len(currency.texts) > 1:
            other.append(f"# several currencies {example_values(currency)}: always query --by {currency.name}")
        if amount.type.kind == INT and (currency or "cents" in amount.words):
            smallest = "cents" if "cents" in amount.words else "perhaps the smallest unit, such as cents"
            why["measure"] = f"integers: {smallest}"
            other.append(f'# measure = "{keys["measure"]} / 100"')
            keys.pop("unit", None)

    def _lines(self, table: SeenTable) -> Iterator[Idea]:
        """Metrics of lines of an invoice or order, which have the time of their parent."""
        amount, quantity = line_amount(table, self.as_sql), quantity_of(table)
        parent, column = self._parent(table)
        if (amount or quantity) is None:
            return
        time = time_of(table, PAID + BORN) if parent is None else time_of(parent, PAID + BORN)
        if time is None:
            return
        for measure, name, about in (
            (amount or "", "revenue", f"sum of price times quantity of {table.name}"),
            (self.as_sql(quantity.name) if quantity else "", "sold", f"sum of quantities of {table.name}"),
        ):
            if measure:
                yield self._line(table, parent, column, time, measure, f"{singular_name(table.name)}_{name}", about)

    def _line(
        self,
        table: SeenTable,
        parent: SeenTable | None,
        column: SeenColumn | None,
        time: SeenColumn,
        measure: str,
        name: str,
        about: str,
    ) -> Idea:
        keys, why = self._facts(table, time, f"sum({measure})")
        idea = Idea(name, keys, why, about, place=150)
        needed = [c for c in table.columns if self.as_sql(c.name) in measure.split(" * ")]
        if parent is None or column is None:
            self._by(table, keys, why)
        else:
            self._over_parent(idea, table, parent, column, time, needed)
        if any(c.type.kind == FLOAT or (c.type.kind not in NUMBERS) for c in needed):
            relation = f"({keys['sql']}) f" if "sql" in keys else table.name
            self._decimals(relation, keys, measure, needed[0] if len(needed) == 1 else None, why)
        if any("discount" in c.words for c in table.columns):
            idea.other.append(
                "# discounts are not subtracted; to subtract them: unit_price * quantity * (1 - discount)"
            )
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
        status = self._only_paid(parent, idea.keys, idea.why)
        by = dimensions(table, MOVING)
        theirs = [c for c in dimensions(parent, MOVING) if table.column(c.name) is None][: 3 - min(3, len(by))]
        if by or theirs:
            idea.keys["by"] = [c.name for c in (*by, *theirs)]
        if not parent.unique_by(key):
            idea.keys["join"] = join_text(table, column, parent, key)
            idea.why["join"] = f"the time is in {parent.name}; every run checks that {key} is unique"
            if table.column(time.name):
                idea.keys["time"] = f"{parent.name}.{time.name}"
            return
        sql = self.as_sql
        shown = [c for c in parent.columns if c is time or c is status or c in theirs]
        picked = [f"l.{sql(c.name)}" for c in (*needed, *by)] + [f"p.{sql(c.name)}" for c in shown]
        text = f"select {', '.join(dict.fromkeys(picked))}\nfrom {sql(table.name)} l "
        text += f"join {sql(parent.name)} p on p.{sql(key)} = l.{sql(column.name)}"
        idea.keys.pop("table")
        idea.keys["sql"] = text
        idea.why["sql"] = f"the time is in {parent.name}; {key} is unique there, so no line counts twice"

    def _parent(self, table: SeenTable) -> tuple[SeenTable | None, SeenColumn | None]:
        if time_of(table, PAID + BORN):
            return None, None
        for column in table.columns:
            other, _ = self.refers(table, column)
            if (
                other
                and other.name != table.name
                and head(other.name) in (*MONEY, *CONTRACTS)
                and time_of(other, PAID + BORN)
            ):
                return other, column
        return None, None


def _more_amounts(table: SeenTable, amount: SeenColumn) -> list[SeenColumn]:
    return [c for c in choices(table) if c is not amount][:3]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
