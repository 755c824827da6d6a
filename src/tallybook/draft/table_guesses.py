"""What all guesses share: a metric of one table, its dimensions, its joins and its decimals."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tallybook.collect import DEC, INT, Source
from tallybook.draft.columns import dimensions
from tallybook.draft.seen import Seen, SeenColumn, SeenTable, by_day
from tallybook.draft.table_words import (
    PEOPLE,
)
from tallybook.draft.words import (
    head,
    words,
)

Keys = dict[str, Any]

MOVING = frozenset(("status", "active", "current"))
"""Words of columns that change later: their value on the day of the fact is no longer known."""


@dataclass
class Idea:
    """A suggested metric: its keys, the reason for each, and alternatives as comments."""

    name: str
    keys: Keys
    why: dict[str, str] = field(default_factory=dict)
    about: str = ""
    other: list[str] = field(default_factory=list)
    """Lines to use instead of a key, or to add."""
    first: date | None = None
    """The day of the earliest fact."""
    place: int = 9
    """Its position in the file: signups, revenue, usage, subscriptions, balances, the rest."""


@dataclass
class TableGuesses:
    """Guesses about one database. `as_sql` writes a column name in its SQL."""

    source: Source
    seen: Seen
    as_sql: Callable[[str], str]

    exact: Callable[[str, str, int], bool] = lambda *_: False
    """Whether all values of an expression have at most this many decimals; set by `draft`."""

    def _facts(self, table: SeenTable, time: SeenColumn, measure: str) -> tuple[Keys, dict[str, str]]:
        keys: Keys = {"table": table.name, "time": time.name}
        why = {}
        if time.stored:
            keys["stored"] = time.stored
            why["stored"] = f"as {time.values[0]}" if time.values else ""
        elif by_day(time) and time.time is not None and not time.time.by_day:
            why["time"] = "always midnight, so read as days in UTC"
        keys["measure"] = measure
        return keys, why

    def _by(self, table: SeenTable, keys: Keys, why: dict[str, str]) -> None:
        """Add the dimensions of the table; if there are few, also those of the people in its rows."""
        columns = dimensions(table, MOVING)
        examples = [f"{c.name} {example_values(c)}" for c in columns]
        by = [c.name for c in columns]
        if len(by) < 3:
            for join, names, reason in self._from_others(table, by)[:1]:
                keys["join"], why["join"] = join, reason
                by += names
        if by:
            keys["by"] = by
            why["by"] = "; ".join(examples)

    def _from_others(self, table: SeenTable, own: Sequence[str]) -> list[tuple[str, list[str], str]]:
        """(join, dimensions, reason) for tables of people that rows refer to by a unique key."""
        joins = []
        for column in table.columns:
            other, key = self.refers(table, column)
            if other is None or head(other.name) not in PEOPLE or other.name == table.name:
                continue
            taken = {c.name.casefold() for c in table.columns}
            known = {word for name in own for word in words(name)}
            if any(other.column(name) for name in own):
                continue  # the name would be ambiguous
            fits = [c for c in dimensions(other, MOVING) if c.name.casefold() not in taken and not set(c.words) & known]
            names = [c.name for c in fits][: 3 - len(own)]
            if names:
                why = "is unique in" if other.unique_by(key) else "seems to be unique in"
                reason = f"{key} {why} {other.name}; adds {', '.join(names)}, as of the run"
                joins.append((join_text(table, column, other, key), names, reason))
        return joins

    def refers(self, table: SeenTable, column: SeenColumn) -> tuple[SeenTable | None, str]:
        """(table, key) that a column refers to: by a foreign key, else by its name.

        The key may not be declared unique; `join` checks it."""
        if column.refers:
            return self.seen.table(column.refers[0]), column.refers[1]
        if column.key or column.words[-1:] != ("id",) or len(column.words) < 2:
            return None, ""
        for other in self.seen.tables:
            key = other.column("id") or other.column(column.name)
            if (
                key
                and head(other.name) == column.words[-2]
                and key.type.kind == column.type.kind
                and _may_be_key(other, key)
            ):
                return other, key.name
        return None, ""

    def _decimals(
        self, table: str, keys: Keys, expression: str, column: SeenColumn | None, why: dict[str, str]
    ) -> None:
        """Add `decimals` if the column does not declare them and no value has more."""
        if column and (column.type.kind == INT or (column.type.kind == DEC and column.type.scale is not None)):
            return
        sql = expression if column is None else self.source.quote(column.name)
        relation = table if table.startswith("(") else self.source.table_name(table)
        for digits in (2, 4):
            if self.exact(relation, sql, digits):
                keys["decimals"] = digits
                why["decimals"] = "the column does not declare its decimals; no value has more"
                return
        why["measure"] = "floats without a fixed number of decimals, so their sum is not exact"


def example_values(column: SeenColumn) -> str:
    """Examples of its values, the most frequent first."""
    texts = [t if len(t) <= 20 else f"{t[:18]}…" for t in column.texts]
    return f"({', '.join(texts[:4])}{f', … {len(texts)}' if len(texts) > 4 else ''})"


def join_text(table: SeenTable, column: SeenColumn, other: SeenTable, key: str) -> str:
    """The `join` of a table with the one that its column refers to."""
    plain = _in_join(column.name)
    if other.column(column.name):
        plain = f"{_in_join(table.name)}.{plain}"
    return f"{_in_join(other.name)} on {_in_join(other.name)}.{_in_join(key)} = {plain}"


def _may_be_key(table: SeenTable, key: SeenColumn) -> bool:
    return table.unique_by(key.name) or (len(set(key.values)) == len(key.values) and not table.unique)


def _in_join(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else f'"{name}"'


def singular_name(table: str) -> str:
    """The name of one row of a table: `invoice_line`."""
    parts = words(table)
    return "_".join((*parts[:-1], head(table)))
