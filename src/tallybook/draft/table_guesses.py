"""The common part of all guesses: a metric of one table, its dimensions, its joins and its decimals."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum
from typing import Any

from tallybook.collect import DEC, INT, Source
from tallybook.draft.column_words import DIMENSIONS
from tallybook.draft.columns import MAX_DRAFTED_DIMENSIONS, all_dimensions, dimensions, within_bounds
from tallybook.draft.people import is_people
from tallybook.draft.references import reference
from tallybook.draft.row_conditions import RowFilter
from tallybook.draft.seen import Seen, SeenColumn, SeenTable, by_day
from tallybook.draft.table_words import INTERNAL, NEGATIVE
from tallybook.draft.words import head, singular, words

Keys = dict[str, Any]


class Topic(IntEnum):
    """What a metric is about, in the order of importance."""

    SIGNUPS = 10
    REVENUE = 20
    RECURRING = 30
    ACTIVE = 40
    CONTRACTS = 50
    PAYMENTS = 60
    NEW_CONTRACTS = 70
    WORK = 80
    DAYS = 90
    USE = 100
    LINES = 110
    RATINGS = 115
    ORGANIZATIONS = 120
    OTHERS = 130
    REST = 140


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
    topic: Topic = Topic.OTHERS
    score: float = 0.0
    """How likely it is the best metric of its topic."""
    entity: str = ""
    """Who is counted, in a metric of active people."""
    actor: str = ""
    """The column of who is counted."""
    currencies: list[str] = field(default_factory=list)
    """The values of its `unit_from`, the most frequent first."""
    of: str = ""
    """The table of its facts."""
    noun: str = ""
    """What a row of a table of contracts is."""
    unsure: list[str] = field(default_factory=list)
    doubt: str = ""
    """Why it is only a comment."""


@dataclass
class TableGuesses:
    """Guesses about one database. `as_sql` writes a column name in its SQL."""

    source: Source
    seen: Seen
    as_sql: Callable[[str], str]
    exact: Callable[[str, str, int], bool] = lambda *_: False
    """Whether all values of an expression have at most this many decimals; set by `draft`."""
    people_since: Callable[[Idea, datetime], int | None] = lambda *_: None
    """The number of people in a metric since an instant; set by `draft`."""
    keeps_any_number: bool = False
    """Whether the source stores numbers with more decimals than their column declares, as SQLite does."""
    main: str = ""
    """The table of the people whose new rows are the signups."""
    references: dict[str, int] = field(default_factory=dict)
    """How many columns of other tables refer to each table."""

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

    def _filtered(self, idea: Idea, rows: RowFilter) -> None:
        """Add the condition for the rows that count."""
        if rows.where:
            idea.keys["where"] = rows.where
            idea.why["where"] = rows.why
            _without_fixed(idea)
        idea.unsure += rows.unsure

    def _by(self, table: SeenTable, keys: Keys, why: dict[str, str]) -> None:
        """Add the dimensions of the table; if there are few, also those of the people in its rows."""
        columns = dimensions(table)
        examples = [f"{c.name} {example_values(c)}" for c in columns]
        by = [c.name for c in columns]
        if len(by) < MAX_DRAFTED_DIMENSIONS:
            for join, names, reason in self._from_others(table, columns)[:1]:
                keys["join"], why["join"] = join, reason
                by += names
        if by:
            keys["by"] = by
            why["by"] = "; ".join(examples)

    def _from_others(self, table: SeenTable, own: Sequence[SeenColumn]) -> list[tuple[str, list[str], str]]:
        """(join, dimensions, reason) for tables of people that rows refer to by a unique key."""
        joins = []
        for column in table.columns:
            found = reference(self.seen, table, column)
            if found is None or found[0].name == table.name or not is_customer_table(found[0]):
                continue
            other, key = found
            if any(other.column(c.name) for c in own):
                continue  # the name would be ambiguous
            names = [c.name for c in self._shared_dimensions(table, other, own)]
            if names:
                why = "is unique in" if other.unique_by(key.name) else "seems to be unique in"
                reason = f"{key.name} {why} {other.name}; adds {', '.join(names)}, as of the run"
                joins.append((join_text(table, column, other, key.name), names, reason))
        return joins

    def _shared_dimensions(self, table: SeenTable, other: SeenTable, own: Sequence[SeenColumn]) -> list[SeenColumn]:
        """Dimensions of a joined table of people, beside those of the table itself."""
        taken = {c.name.casefold() for c in table.columns}
        known = {word for column in own for word in column.words}
        fits = [
            c
            for c in all_dimensions(other)
            if c.name.casefold() not in taken
            and not set(c.words) & known
            and {singular(w) for w in c.words} & set(DIMENSIONS)
        ]
        return within_bounds(fits, own)

    def refers(self, table: SeenTable, column: SeenColumn) -> tuple[SeenTable | None, str]:
        """(table, key) that a column refers to. The key may not be declared unique; `join` checks it."""
        found = reference(self.seen, table, column)
        return (found[0], found[1].name) if found else (None, "")

    def _decimals(
        self, table: str, keys: Keys, expression: str, column: SeenColumn | None, why: dict[str, str]
    ) -> None:
        """Add `decimals` if the column does not declare them and no value has more."""
        if column and column.type.kind == INT:
            return
        declared = column.type.scale if column and column.type.kind == DEC else None
        if declared is not None and not self.keeps_any_number:
            return
        sql = expression if column is None else self.source.quote(column.name)
        relation = table if table.startswith("(") else self.source.table_name(table)
        if declared is not None and self.exact(relation, sql, declared):
            return
        for digits in (2, 4):
            if self.exact(relation, sql, digits):
                keys["decimals"] = digits
                why["decimals"] = "the column does not declare its decimals; no value has more"
                if declared is not None:
                    why["decimals"] = f"the column declares {declared}, and some values have more"
                return
        if declared is not None and column is not None:
            name = re.escape(self.as_sql(column.name))
            keys["measure"] = re.sub(rf"(?<![\w.])(?:\w+\.)?{name}(?!\w)", r"cast(\g<0> as real)", keys["measure"])
        why["measure"] = "floats without a fixed number of decimals, so their sum is not exact"


def _without_fixed(idea: Idea) -> None:
    """Remove dimensions of which the condition leaves one value."""
    parts = idea.keys["where"].split(" and ")
    fixed = {found[1] for part in parts if (found := re.fullmatch(r"(\w+) = (?:\w+|'[^']*')", part))}
    kept = [name for name in idea.keys.get("by", []) if name not in fixed]
    if kept:
        idea.keys["by"] = kept
    else:
        idea.keys.pop("by", None)


def is_negative(table: SeenTable) -> bool:
    """Whether the table contains what ended, failed or does not count."""
    return bool({singular(word) for word in words(table.bare)} & NEGATIVE or set(words(table.bare)) & NEGATIVE)


def is_customer_table(table: SeenTable) -> bool:
    """Whether the rows are customers, users or their organizations."""
    internal = {singular(w) for w in words(table.bare)} & INTERNAL
    return is_people(table) and not internal and not is_negative(table)


def example_values(column: SeenColumn) -> str:
    """Examples of its values, the most frequent first."""
    texts = [t if len(t) <= 20 else f"{t[:18]}…" for t in column.texts]
    return f"({', '.join(texts[:4])}{f', … {len(texts)}' if len(texts) > 4 else ''})"


def join_text(table: SeenTable, column: SeenColumn, other: SeenTable, key: str) -> str:
    """The `join` of a table with the one that its column refers to."""
    plain = in_join(column.name)
    if other.column(column.name):
        plain = f"{in_join(table.name)}.{plain}"
    return f"{in_join(other.name)} on {in_join(other.name)}.{in_join(key)} = {plain}"


def in_join(name: str) -> str:
    """A name in a `join`, in quotes only where needed."""
    return name if re.fullmatch(r"\w+", name) else f'"{name}"'


_TEXTS = re.compile(r"('(?:[^']|'')*')")


def qualified(text: str, table: SeenTable, other: SeenTable) -> str:
    """SQL over a table that is joined with another: columns that both have are written with their table."""
    parts = _TEXTS.split(text)
    for column in table.columns:
        if other.column(column.name):
            name = re.escape(column.name)
            bare = re.compile(rf"""(?<![\w."`\[])({name}|"{name}"|`{name}`|\[{name}\])(?![\w("`\]])""")
            parts[::2] = [bare.sub(rf"{in_join(table.name)}.\1", part) for part in parts[::2]]
    return "".join(parts)


def singular_name(table: SeenTable) -> str:
    """The name of one row of a table: `invoice_line`."""
    parts = words(table.bare)
    return "_".join((*parts[:-1], head(table.bare)))


def joined_words(*parts: str) -> str:
    """A metric name of several parts, without a word twice in a row."""
    found: list[str] = []
    for word in "_".join(parts).split("_"):
        if word and found[-1:] != [word]:
            found.append(word)
    return "_".join(found)
