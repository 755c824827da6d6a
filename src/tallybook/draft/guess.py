"""Which metrics a table suggests: by the names of its columns, their types and some of their values.

Each choice says why, and what else it could be. A wrong guess costs a line that somebody changes, so a guess is
made where there is a good reason, and left in a comment where there is half of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tallybook.collect import DEC, FLOAT, INT, NUMBERS, TEXT, Source
from tallybook.config import toml
from tallybook.core import SourceError, SourceUnavailable, isolated
from tallybook.draft.columns import amount_of, choices, dimensions, line_amount, quantity_of, time_of
from tallybook.draft.seen import Seen, SeenColumn, SeenTable, by_day
from tallybook.draft.words import (
    ACTORS,
    BEGUN,
    BORN,
    CONTRACTS,
    DAILY,
    DONE,
    ENDED,
    LATER,
    LINES,
    MONEY,
    NOT_AN_END,
    PAID,
    PAID_VALUES,
    PEOPLE,
    USAGE,
    WORK,
    head,
    plainly,
    plural,
    rank,
    singular,
    words,
)

Keys = dict[str, Any]
MOVING = frozenset(("status", "active", "current"))
"""Words of columns that change after the fact: what they said on its day is not known any more."""
LEVELS = 300
"""Places from there on are of levels and of the rest."""


@dataclass
class Idea:
    """A metric to declare: its keys, why each was chosen, and in comments what else could be meant."""

    name: str
    keys: Keys
    why: dict[str, str] = field(default_factory=dict)
    about: str = ""
    other: list[str] = field(default_factory=list)
    """Lines that may take the place of one of the keys, or be added."""
    first: date | None = None
    """The day of the earliest fact."""
    place: int = 9
    """Where it stands in the file: signups, revenue, usage, subscriptions, balances, the rest."""


@dataclass
class Guesser:
    """Ideas about one database; names are sql of its dialect."""

    source: Source
    seen: Seen
    as_sql: Callable[[str], str]

    def ideas(self) -> list[Idea]:
        found: list[Idea] = []
        for table in self.seen.tables:
            try:
                with isolated():
                    mine = list(self._of(table))
            except SourceUnavailable:
                raise
            except SourceError as error:
                self.seen.skipped[table.name] = f"cannot be drafted: {error.message}"
                continue
            if not mine:
                self.seen.skipped[table.name] = self._why_nothing(table)
            found += mine
        found.sort(key=lambda idea: idea.place)
        return found

    def _why_nothing(self, table: SeenTable) -> str:
        if not table.times:
            return "has no column that says when something happened"
        return f"its times ({', '.join(c.name for c in table.times)}) do not say when a row came to be"

    # -- what a table is ---------------------------------------------------------------------------

    def _of(self, table: SeenTable) -> Iterator[Idea]:
        noun = head(table.name)
        if self._daily(table):
            yield from self._days(table)
        elif noun in LINES:
            yield from self._lines(table)
        elif noun in MONEY and amount_of(table):
            yield from self._money(table)
        elif noun in PEOPLE:
            yield from self._people(table)
        elif noun in CONTRACTS:
            yield from self._contracts(table)
        elif noun in USAGE or (noun in MONEY and table.times):
            yield from self._usage(table)
        else:
            yield from self._others(table)

    def _facts(self, table: SeenTable, time: SeenColumn, measure: str) -> tuple[Keys, dict[str, str]]:
        keys: Keys = {"table": table.name, "time": time.name}
        why = {}
        if time.stored:
            keys["stored"] = time.stored
            why["stored"] = f"as {time.values[0]}" if time.values else ""
        elif by_day(time) and time.time is not None and not time.time.by_day:
            why["time"] = "always midnight: days, read as UTC"
        keys["measure"] = measure
        return keys, why

    def _by(self, table: SeenTable, keys: Keys, why: dict[str, str]) -> None:
        """Dimensions of the table itself; if they are few, also those of whom the fact is about."""
        own = dimensions(table, MOVING)
        said = [f"{c.name} {_some(c)}" for c in own]
        by = [c.name for c in own]
        if len(by) < 3:
            for join, names, told in self._from_others(table, by)[:1]:
                keys["join"], why["join"] = join, told
                by += names
        if by:
            keys["by"] = by
            why["by"] = "; ".join(said)

    def _from_others(self, table: SeenTable, own: Sequence[str]) -> list[tuple[str, list[str], str]]:
        """(join, dimensions, why) of tables of people that a row refers to by a unique key."""
        found = []
        for column in table.columns:
            other, key = self.refers(table, column)
            if other is None or head(other.name) not in PEOPLE or other.name == table.name:
                continue
            taken = {c.name.casefold() for c in table.columns}
            known = {word for name in own for word in words(name)}
            if any(other.column(name) for name in own):
                continue  # which of the two is meant would have to be said in every question
            fits = [c for c in dimensions(other, MOVING) if c.name.casefold() not in taken and not set(c.words) & known]
            names = [c.name for c in fits][: 3 - len(own)]
            if names:
                why = "is unique in" if other.unique_by(key) else "seems to be unique in"
                told = f"{key} {why} {other.name}; gives {', '.join(names)}, as of the run"
                found.append((_join_of(table, column, other, key), names, told))
        return found

    def refers(self, table: SeenTable, column: SeenColumn) -> tuple[SeenTable | None, str]:
        """The table with the one row that a column names: by a foreign key, else by its name; and the key there.

        The key may not be promised to be unique: `join` looks."""
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

    # -- people ------------------------------------------------------------------------------------

    def _people(self, table: SeenTable) -> Iterator[Idea]:
        born = time_of(table, (*BORN, ("create",)), named_only=True)
        if born is None:
            return
        keys, why = self._facts(table, born, "count(*)")
        self._by(table, keys, why)
        place = PEOPLE.index(head(table.name))
        yield Idea(f"new_{plainly(table.name)}", keys, why, f"a row of {table.name} is somebody who came", place=place)
        ended = _end_of(table, born)
        if ended:
            about = f"who came ({born.name}) and has not left ({ended.name})"
            yield self._interval(table, born, ended, f"current_{plainly(table.name)}", "count(*)", about)

    # -- money -------------------------------------------------------------------------------------

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
            why["time"] = f"rows without {time.name} are not counted"
        name = f"{_one(table.name)}_{'_'.join(words(amount.name))}"
        yield Idea(name, keys, why, f"money beside a time: {amount.name} of {table.name}", other, place=place)
        count: Keys = {**keys, "measure": "count(*)"}
        reasons = {k: v for k, v in why.items() if k not in ("measure", "unit")}
        for key in ("unit", "decimals"):
            count.pop(key, None)
        many = f"paid_{plainly(table.name)}" if status else plainly(table.name)
        yield Idea(many, count, reasons, f"how many {many.replace('_', ' ')}", place=place)

    def _only_paid(self, table: SeenTable, keys: Keys, why: dict[str, str]) -> SeenColumn | None:
        """Where a status says what was paid, only that counts. Returns the column."""
        for column in table.columns:
            if column.type.kind != TEXT or not set(column.words) & {"status", "state"} or len(column.texts) > 50:
                continue
            paid = [v for v in column.texts if v.lower() in PAID_VALUES]
            if paid and len(column.texts) > 1:
                listed = ", ".join(_literal(v) for v in paid)
                sql = self.as_sql(column.name)
                keys["where"] = f"{sql} = {listed}" if len(paid) == 1 else f"{sql} in ({listed})"
                why["where"] = f"{column.name} is also {', '.join(v for v in column.texts[:6] if v not in paid)}"
                return column
        return None

    def _unit(self, table: SeenTable, amount: SeenColumn, keys: Keys, why: dict[str, str], other: list[str]) -> None:
        currency = next((c for c in table.columns if "currency" in c.words and c.type.kind == TEXT), None)
        if currency and len(currency.texts) == 1 and re.fullmatch(r"[A-Za-z]{3}", currency.texts[0]):
            keys["unit"] = currency.texts[0].upper()
            why["unit"] = f"{currency.name} is always this"
        if currency and len(currency.texts) > 1:
            other.append(
                f"# amounts of several currencies {_some(currency)} do not add up: always ask --by {currency.name}"
            )
        if amount.type.kind == INT and (currency or "cents" in amount.words):
            smallest = "cents" if "cents" in amount.words else "the smallest unit, as cents"
            why["measure"] = f"whole numbers: {smallest}?"
            other.append(f'# measure = "{keys["measure"]} / 100"')
            keys.pop("unit", None)

    def _decimals(
        self, table: str, keys: Keys, expression: str, column: SeenColumn | None, why: dict[str, str]
    ) -> None:
        """Digits after the point, where the column does not declare them and no value has more."""
        if column and (column.type.kind == INT or (column.type.kind == DEC and column.type.scale is not None)):
            return
        sql = expression if column is None else self.source.quote(column.name)
        relation = table if table.startswith("(") else self.source.table_name(table)
        for digits in (2, 4):
            if self.exact(relation, sql, digits):
                keys["decimals"] = digits
                why["decimals"] = "the column does not declare its digits; no value has more"
                return
        why["measure"] = "floating-point numbers: no fixed number of digits, so their sum is not exact"

    exact: Callable[[str, str, int], bool] = lambda *_: False
    """Whether all values of an expression have at most so many digits; set by `draft`."""

    def _lines(self, table: SeenTable) -> Iterator[Idea]:
        """Lines of an invoice or order: their time is that of what they belong to."""
        amount, quantity = line_amount(table, self.as_sql), quantity_of(table)
        parent, column = self._parent(table)
        if (amount or quantity) is None:
            return
        time = time_of(table, PAID + BORN) if parent is None else time_of(parent, PAID + BORN)
        if time is None:
            return
        for measure, name, about in (
            (amount or "", "revenue", f"price times quantity of {table.name}"),
            (self.as_sql(quantity.name) if quantity else "", "sold", f"pieces of {table.name}"),
        ):
            if measure:
                yield self._line(table, parent, column, time, measure, f"{_one(table.name)}_{name}", about)

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
            idea.other.append("# a discount is not taken off: say how, as unit_price * quantity * (1 - discount)")
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
        """The lines with the time and dimensions of their parent: no line becomes two, because its key is unique by the
        catalogue, or because `join` looks at every run."""
        _, key = self.refers(table, column)
        status = self._only_paid(parent, idea.keys, idea.why)
        by = dimensions(table, MOVING)
        theirs = [c for c in dimensions(parent, MOVING) if table.column(c.name) is None][: 3 - min(3, len(by))]
        if by or theirs:
            idea.keys["by"] = [c.name for c in (*by, *theirs)]
        if not parent.unique_by(key):
            idea.keys["join"] = _join_of(table, column, parent, key)
            idea.why["join"] = f"{table.name} has no time of its own; every run looks whether {key} is unique"
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
        idea.why["sql"] = (
            f"{table.name} has no time of its own; {key} is unique in {parent.name}, so no line counts twice"
        )

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

    # -- usage -------------------------------------------------------------------------------------

    def _usage(self, table: SeenTable) -> Iterator[Idea]:
        time = time_of(table, DONE + BORN + PAID)
        if time is None:
            return
        keys, why = self._facts(table, time, "count(*)")
        other = [
            f'# measure = "p95({self.as_sql(c.name)})"' + " " * 4 + f"# how long: {c.name}"
            for c in table.columns
            if c.number and set(c.words) & {"duration", "latency", "elapsed", "ms", "seconds"}
        ]
        own = dimensions(table, ())
        if own:
            keys["by"], why["by"] = [c.name for c in own], "; ".join(f"{c.name} {_some(c)}" for c in own)
        place = 200 + (USAGE.index(head(table.name)) if head(table.name) in USAGE else 50)
        yield Idea(plainly(table.name), keys, why, f"how often: rows of {table.name}", other, place=place)
        for column in _actors(table)[:2]:
            who = plural(column.words[0] if column.words[-1:] != ("id",) else column.words[-2])
            counted = {**keys, "measure": f"count(distinct {self.as_sql(column.name)})"}
            about = f"how many different {column.name} had one"
            yield Idea(f"{_one(table.name)}_{who}", counted, dict(why), about, place=place)

    # -- what holds for a while --------------------------------------------------------------------

    def _contracts(self, table: SeenTable) -> Iterator[Idea]:
        begun = time_of(table, BEGUN + BORN)
        if begun is None:
            return
        ended = _end_of(table, begun)
        amount = next(
            (c for c in table.columns if c.number and not c.an_id and set(c.words) & {"mrr", "arr", "monthly"}), None
        )
        amount = amount or amount_of(table)
        seats = next(
            (
                c
                for c in table.columns
                if c.number and not c.an_id and set(c.words) & {"seats", "seat", "licenses", "quantity"}
            ),
            None,
        )
        name = f"active_{plainly(table.name)}"
        yield from self._level(table, begun, ended, name, "count(*)", f"how many {plainly(table.name)} hold")
        for column in (amount, seats):
            if column:
                mine = "mrr" if "mrr" in column.words else f"{_one(table.name)}_{'_'.join(column.words)}"
                about = f"{column.name} of what holds"
                yield from self._level(table, begun, ended, mine, f"sum({self.as_sql(column.name)})", about, column)
        keys, why = self._facts(table, begun, "count(*)")
        self._by(table, keys, why)
        yield Idea(f"new_{plainly(table.name)}", keys, why, f"{plainly(table.name)} that began", place=301)

    def _level(
        self,
        table: SeenTable,
        begun: SeenColumn,
        ended: SeenColumn | None,
        name: str,
        measure: str,
        about: str,
        column: SeenColumn | None = None,
    ) -> Iterator[Idea]:
        """From an interval; without an end from a status, of which only the present can be seen."""
        if ended is not None:
            idea = self._interval(table, begun, ended, name, measure, about)
        else:
            status = next(
                (c for c in table.columns if set(c.words) & {"status", "state"} and "active" in c.texts), None
            )
            if status is None:
                return
            where = f"{self.as_sql(status.name)} = 'active'"
            idea = Idea(name, {"kind": "level", "table": table.name, "where": where, "measure": measure}, about=about)
            idea.why["where"] = "there is no column that says when one ended: only the present can be seen"
            self._by(table, idea.keys, idea.why)
        idea.place = 300
        if column is not None:
            self._decimals(table.name, idea.keys, column.name, column, idea.why)
        yield idea

    def _interval(
        self, table: SeenTable, begun: SeenColumn, ended: SeenColumn, name: str, measure: str, about: str
    ) -> Idea:
        keys: Keys = {"kind": "level", "table": table.name, "from": begun.name, "until": ended.name, "measure": measure}
        why = {"until": f"null is still; {ended.nulls} of {table.rows} rows seen"}
        if begun.stored:
            keys["stored"] = begun.stored
        self._by(table, keys, why)
        other = ["# until_inclusive = true    # if it names the last day a row holds"] if by_day(ended) else []
        return Idea(name, keys, why, about, other, place=302)

    # -- one row a day -------------------------------------------------------------------------------

    def _daily(self, table: SeenTable) -> SeenColumn | None:
        """The day of a table with one row a day and something else."""
        days = [c for c in table.times if by_day(c) and not set(c.words) & LATER]
        for column in days:
            keys = [
                key for key in table.unique if len(key) > 1 and column.name.casefold() in (k.casefold() for k in key)
            ]
            if keys or (set(words(table.name)) & DAILY and not amount_of(table)):
                return column
        counted = any(c.number and not c.an_id for c in table.columns) and not any(c.key for c in table.columns)
        named = set(words(table.name)) & {"daily", "snapshot", "balance"}
        return next((c for c in days if named or (counted and c.words in (("day",), ("date",)))), None)

    def _days(self, table: SeenTable) -> Iterator[Idea]:
        day = self._daily(table)
        assert day is not None
        key = next((k for k in table.unique if len(k) > 1 and day.name in k), ())
        series = [c.name for c in table.columns if (c.name in key or c.an_id) and c is not day and not c.key]
        for column in table.columns:
            if not column.number or column.an_id or column is day or column.name in series or column.time:
                continue
            yield self._of_a_day(table, day, column, series)

    def _of_a_day(self, table: SeenTable, day: SeenColumn, column: SeenColumn, series: Sequence[str]) -> Idea:
        keys, why = self._facts(table, day, f"sum({self.as_sql(column.name)})")
        found = set(column.words)
        name = _of_table(table.name, column)
        people = found & {"users", "people", "visitors", "uniques", "accounts", "sessions_users"}
        stock = found & {
            "seats",
            "seat",
            "balance",
            "stock",
            "members",
            "mrr",
            "arr",
            "storage",
            "headcount",
            "open",
            "size",
            "level",
            "quantity",
        }
        idea = Idea(name, keys, why, f"{column.name} of each day", place=400)
        if stock or (found & {"count", "total"} and set(words(table.name)) & {"balance", "snapshot"}):
            idea.keys = {"kind": "level", **keys}
            why["kind"] = f"{column.name} holds at the end of a day and does not add up over days; else take kind away"
            if series:
                idea.keys["series"] = series
            idea.other.append('# carry = "3d"    # if a day may have no row, show the last one so long')
        elif people:
            idea.keys = {"kind": "uniques", **keys}
            why["kind"] = "daily counts of people overlap: they do not add up over days; else take kind away"
        else:
            idea.other.append('# kind = "level"    # if it holds at the end of a day and does not add up over days')
        received = next(
            (c for c in table.times if c is not day and set(c.words) & {"received", "reported", "sent"}), None
        )
        if received and "kind" not in idea.keys:
            listed = ", ".join(toml(name) for name in series or [c.name for c in dimensions(table, ())]) or '"…"'
            idea.other.append(
                f"# daily_aggregate = true    # if a day is sent again when it grew: with series = [{listed}]"
            )
            idea.other.append(f"# received = {toml(received.name)}")
        own = dimensions(table, ())
        if own:
            idea.keys["by"] = [c.name for c in own]
        self._decimals(table.name, idea.keys, column.name, column, why) if column.type.kind not in (INT, DEC) else None
        return idea

    # -- the rest ------------------------------------------------------------------------------------

    def _others(self, table: SeenTable) -> Iterator[Idea]:
        born = time_of(table, BORN)
        if born is None:
            return
        work = head(table.name) in WORK
        keys, why = self._facts(table, born, "count(*)")
        self._by(table, keys, why)
        name = f"new_{plainly(table.name)}"
        yield Idea(name, keys, why, f"rows of {table.name} by when they came", place=500 - 10 * work)
        for column in table.columns:
            if column.number and not column.an_id and set(column.words) & {"rating", "score", "stars"}:
                rated = {**keys, "measure": f"avg({self.as_sql(column.name)})"}
                yield Idea(
                    f"{_one(table.name)}_{'_'.join(column.words)}", rated, dict(why), f"mean {column.name}", place=501
                )
        ended = _end_of(table, born)
        if ended:
            yield self._interval(
                table,
                born,
                ended,
                f"{'open' if work else 'current'}_{plainly(table.name)}",
                "count(*)",
                f"came ({born.name}) and not yet {ended.words[0]}",
            )


def _end_of(table: SeenTable, begun: SeenColumn) -> SeenColumn | None:
    """The time that closes what `begun` opens."""
    fits = [
        (rank(c.name, ENDED), c)
        for c in table.times
        if c is not begun
        and c.stored == begun.stored
        and not set(c.words) & NOT_AN_END
        and rank(c.name, ENDED) is not None
    ]
    return min(fits, key=lambda fit: fit[0] or 0)[1] if fits else None


def _actors(table: SeenTable) -> list[SeenColumn]:
    """Columns that say who did it, best first."""
    found = [(ACTORS.index(w), c) for c in table.columns if c.an_id and not c.key for w in c.words[:1] if w in ACTORS]
    return [column for _, column in sorted(found, key=lambda pair: pair[0])]


def _more_amounts(table: SeenTable, amount: SeenColumn) -> list[SeenColumn]:
    return [c for c in choices(table) if c is not amount][:3]


def _some(column: SeenColumn) -> str:
    """Some of its values, the most frequent first."""
    texts = [t if len(t) <= 20 else f"{t[:18]}…" for t in column.texts]
    return f"({', '.join(texts[:4])}{f', … {len(texts)}' if len(texts) > 4 else ''})"


def _join_of(table: SeenTable, column: SeenColumn, other: SeenTable, key: str) -> str:
    plain = _in_join(column.name)
    if other.column(column.name):
        plain = f"{_in_join(table.name)}.{plain}"
    return f"{_in_join(other.name)} on {_in_join(other.name)}.{_in_join(key)} = {plain}"


def _may_be_key(table: SeenTable, key: SeenColumn) -> bool:
    return table.unique_by(key.name) or (len(set(key.values)) == len(key.values) and not table.unique)


def _in_join(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else f'"{name}"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _of_table(table: str, column: SeenColumn) -> str:
    """A column's name as that of a metric; with the table's before it, where that says something else."""
    others = [w for w in words(table) if w not in ("daily", "per", "day")]
    said = {singular(w) for w in column.words}
    before = [w for w in others if singular(w) not in said]
    return "_".join((*before[:-1], *(singular(w) for w in before[-1:]), *column.words)) or column.name


def _one(table: str) -> str:
    """A table's name for one of its rows: `invoice_line`."""
    found = words(table)
    return "_".join((*found[:-1], head(table)))
