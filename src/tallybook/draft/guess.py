"""Suggests metrics for the tables of a database: evidence from rows and names, scores, then a choice.

Each choice has a reason, and alternatives as comments. A wrong guess costs the user one changed line, so a weak guess
is only a comment."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import log10

from tallybook.core import SourceError, SourceUnavailable, isolated
from tallybook.draft.active_people import rank_by_people
from tallybook.draft.amounts import amount_of, count_column, currency_of
from tallybook.draft.carts import money_time
from tallybook.draft.columns import dimensions
from tallybook.draft.daily_columns import is_calendar
from tallybook.draft.distant_people import distant_people
from tallybook.draft.evidence import null_share, numbers
from tallybook.draft.money_guesses import MoneyGuesses, with_unit
from tallybook.draft.people import is_people
from tallybook.draft.people_guesses import PeopleGuesses
from tallybook.draft.references import actor_of, actors_of, reference, referring, rows_per_actor
from tallybook.draft.remote_rows import local_flag, without_remote
from tallybook.draft.row_filters import counted_rows, states, words_of_value
from tallybook.draft.row_types import by_software
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.sides import coded_kind
from tallybook.draft.table_guesses import (
    Idea,
    Topic,
    example_values,
    is_negative,
    joined_words,
    singular_name,
)
from tallybook.draft.table_roles import (
    CATALOG,
    CONTRACT,
    DAY,
    LINE,
    MONEY_ROLE,
    PEOPLE_ROLE,
    USE_ROLE,
    is_activity,
    is_double_entry,
    is_spending,
    role_of,
)
from tallybook.draft.table_words import DEALS, MONEY, USAGE, WORK
from tallybook.draft.time_words import BORN, DONE, PAID
from tallybook.draft.times import end_column, is_deletion, is_planned, time_of, why_time
from tallybook.draft.words import RAW_LAYERS, head, layer, plainly, plural, singular, terms, words

MAX_RATING = 10
MIN_ROWS_PER_ACTOR = 1.5
MIN_GROWING_ROWS, ROWS_OF_A_CATALOG = 20, 20
"""A table with fewer rows, to each of which another table has at least this many rows, is a catalog."""
_CALLED = frozenset(("name", "title", "phone"))
_RIDES = ("trip", "ride")
_BILLED = frozenset(("invoice", "bill", "receipt", "payment", "charge"))
"""Being billed, or paying by a standing order, does not show that somebody was active."""
_EFFORT = frozenset(("hours", "minutes", "km", "kilometers", "miles", "distance", "kwh"))
_SPENT = frozenset(("spent", "worked", "total", "logged", "billed", "tracked"))
_WON = frozenset(("won", "customer", "signed"))
_RATING_WORDS = frozenset(("rating", "stars", "nps", "csat", "satisfaction"))


@dataclass
class Guesser(MoneyGuesses, PeopleGuesses):
    """Finds the metrics that the tables of one database suggest."""

    def ideas(self) -> list[Idea]:
        """All suggested metrics. Tables without one are recorded in `seen.skipped`."""
        ideas: list[Idea] = []
        self.references = referring(self.seen)
        people = [t for t in self.seen.tables if is_people(t)]
        customers = [t for t in people if self._may_sign_up(t) and not self._are_staff(t)] or people
        self.main = max(((self._people_score(t), t.name) for t in customers), default=(0.0, ""))[1]
        for table in self.seen.tables:
            if later := self._later_layer(table):
                self.seen.skipped[table.name] = f"is an earlier layer of {later}"
                continue
            try:
                with isolated():
                    suggested = list(self._of(table))
            except SourceUnavailable:
                raise
            except SourceError as error:
                self.seen.skipped[table.name] = f"cannot be drafted: {error.message}"
                continue
            if not suggested:
                self.seen.skipped[table.name] = self._why_nothing(table)
            for idea in suggested:
                self._doubt(table, idea)
            ideas += suggested
        known = {idea.entity for idea in ideas if idea.topic == Topic.ACTIVE and idea.score > 0}
        ideas += [idea for idea in distant_people(self) if idea.entity not in known]
        rank_by_people(ideas, self.people_since, self.seen)
        return ideas

    def _later_layer(self, table: SeenTable) -> str:
        """The table of a warehouse that contains the same rows, prepared for queries; empty if it has no such table."""
        if layer(table.name) not in RAW_LAYERS:
            return ""
        noun = {singular(word) for word in words(table.bare)}
        others = (t for t in self.seen.tables if layer(t.name) and layer(t.name) not in RAW_LAYERS)
        return next((t.name for t in others if {singular(word) for word in words(t.bare)} == noun), "")

    def _why_nothing(self, table: SeenTable) -> str:
        day = self._daily(table)
        if day is not None and is_calendar(table, day):
            return "is a calendar"
        if not table.times:
            return "has no time column"
        return f"has no creation time (time columns: {', '.join(c.name for c in table.times)})"

    def _doubt(self, table: SeenTable, idea: Idea) -> None:
        """Make a comment of a metric that nothing supports."""
        if is_negative(table):
            idea.doubt = idea.doubt or "by its name the table has what ended, failed or does not count"
        elif not is_activity(table) and idea.topic in (Topic.USE, Topic.OTHERS):
            idea.doubt = idea.doubt or "by its name the rows are made by software, or configure something"
        elif table.total < 2 and idea.topic in (Topic.OTHERS, Topic.ORGANIZATIONS):
            idea.doubt = idea.doubt or "the table has one row"

    def _of(self, table: SeenTable) -> Iterator[Idea]:
        role = role_of(self.seen, table)
        if role == DAY:
            day = self._daily(table)
            assert day is not None
            yield from self._days(table, day)
        elif role == LINE:
            yield from self._lines(table)
        elif role == MONEY_ROLE:
            yield from self._money(table)
            yield from self._buying(table)
            if is_spending(table) or head(table.bare) in _RIDES:
                yield from self._active(table, time_of(table, PAID + BORN), 0.8)
        elif role == PEOPLE_ROLE:
            yield from self._people(table)
        elif role == CONTRACT:
            yield from self._contracts(table)
        elif role == USE_ROLE:
            yield from self._usage(table)
        else:
            yield from self._others(table, catalog=role == CATALOG)

    # -- use ------------------------------------------------------------------------------------------------

    def _usage(self, table: SeenTable) -> Iterator[Idea]:
        time = time_of(table, DONE + BORN + PAID)
        if time is None:
            return
        counted = count_column(table)
        measure = f"sum({self.as_sql(counted.name)})" if counted else "count(*)"
        keys, why = self._facts(table, time, measure)
        why.setdefault("time", why_time(table, time, DONE + BORN + PAID))
        columns = dimensions(table)
        if columns:
            keys["by"] = [c.name for c in columns]
            why["by"] = "; ".join(f"{c.name} {example_values(c)}" for c in columns)
        named = head(table.bare) in (*USAGE, *MONEY)
        name = plainly(table.bare) if named else f"new_{plainly(table.bare)}"
        about = f"sum of {counted.name} of {table.name}" if counted else f"counts rows of {table.name}"
        idea = Idea(name, keys, why, about, topic=Topic.USE, of=table.name)
        idea.score = log10(max(1, table.total)) + 0.3 * named + 0.1 * min(5, self.references.get(table.name, 0))
        idea.other = [
            f'# measure = "p95({self.as_sql(c.name)})"' + " " * 4 + f"# duration: {c.name}"
            for c in table.columns
            if c.number and set(c.words) & {"duration", "latency", "elapsed", "ms", "seconds"}
        ]
        rows = counted_rows(table, self.as_sql, deleted_count=True)
        rows.unsure += by_software(table, self.as_sql)
        without_remote(table, self.as_sql, rows)
        self._filtered(idea, rows)
        yield idea
        yield from self._effort(table, idea)
        if head(table.bare) in _BILLED:
            yield from self._billed(table, time, idea)
            return
        yield from self._active(table, time, 0.8 * (head(table.bare) in USAGE))
        yield from self._rated(table, idea)

    def _effort(self, table: SeenTable, rows: Idea) -> Iterator[Idea]:
        """The hours, minutes or kilometers of the rows, if each row records some."""
        for column in table.columns:
            named = set(column.words) & _EFFORT
            if not named or not column.number or column.an_id or column.time is not None or column.nulls:
                continue
            if set(column.words) - _EFFORT - _SPENT or len(set(column.values)) < 3 or min(numbers(column.values)) < 0:
                continue
            keys = {**deepcopy(rows.keys), "measure": f"sum({self.as_sql(column.name)})"}
            name = joined_words(singular_name(table), *column.words)
            idea = Idea(name, keys, dict(rows.why), f"sum of {column.name} of {table.name}", topic=Topic.USE)
            idea.of, idea.score, idea.unsure = table.name, rows.score + 0.2, list(rows.unsure)
            self._decimals(table.name, keys, column.name, column, idea.why)
            yield idea
            return

    def _billed(self, table: SeenTable, time: SeenColumn, rows: Idea) -> Iterator[Idea]:
        """The number of different customers of bills or payments whose amounts are in another table."""
        found = self._customer_of(table)
        if found is None or is_negative(table):
            return
        idea = self._people_in(table, time, *found)
        idea.name, idea.topic, idea.score = f"paying_{plural(found[1])}", Topic.PAYMENTS, -0.5
        idea.score += 0.3 * (head(table.bare) in ("payment", "charge"))
        idea.entity, idea.unsure = found[1], list(rows.unsure)
        idea.keys |= {"where": rows.keys["where"]} if "where" in rows.keys else {}
        yield idea

    def _active(self, table: SeenTable, time: SeenColumn | None, points: float) -> Iterator[Idea]:
        """The number of different people in the rows of a table."""
        if time is None or is_negative(table):
            return
        by_staff = ""
        for column, entity in actors_of(self.seen, table)[:2]:
            other = reference(self.seen, table, column)
            if other is not None and self._are_staff(other[0]):
                by_staff = column.name
                continue
            idea = self._people_in(table, time, column, entity)
            idea.entity, idea.doubt = entity, "another table shows better who was active"
            repeated = rows_per_actor(self.seen, table, column)
            idea.score = points + log10(max(1, table.total)) + 0.5 * min(1.0, repeated / 5)
            idea.score -= null_share(column)
            if repeated < MIN_ROWS_PER_ACTOR:
                idea.score, idea.doubt = (
                    idea.score - 99.0,
                    f"only {repeated:.1f} rows for each {entity}: too few to show use",
                )
            elif other is not None and local_flag(other[0]) and not local_flag(table):
                idea.score, idea.doubt = idea.score - 99.0, f"some rows of {other[0].name} are of other servers"
            elif not is_activity(table) or _is_document(table):
                idea.score, idea.doubt = idea.score - 99.0, "its rows do not show that somebody was active"
            elif by_staff:
                idea.score, idea.doubt = idea.score - 99.0, f"{by_staff} is who did it: staff, and not the {entity}"
            yield idea

    def _buying(self, table: SeenTable) -> Iterator[Idea]:
        """The number of different customers with a payment or an order."""
        money = next((i for i in self._money(table) if i.topic == Topic.PAYMENTS), None)
        found, time = self._customer_of(table), money_time(table)
        if money is None or coded_kind(table) is not None or found is None or time is None or money.score < 0:
            return
        verb = "buying" if head(table.bare) in ("order", "sale", "purchase", "booking") else "paying"
        idea = self._people_in(table, time, *found)
        verb = "ordering" if found[1] in ("buyer", "shopper") else verb
        idea.name, idea.topic, idea.score = f"{verb}_{plural(found[1])}", Topic.PAYMENTS, money.score - 0.5
        idea.entity = found[1]
        idea.keys |= {"where": money.keys["where"]} if "where" in money.keys else {}
        yield idea

    def _customer_of(self, table: SeenTable) -> tuple[SeenColumn, str] | None:
        """The (column, entity) of the person who paid or ordered, not of the staff who entered it."""
        for column, entity in actors_of(self.seen, table):
            other = reference(self.seen, table, column)
            if other is None or not self._are_staff(other[0]):
                return column, entity
        return None

    def _people_in(self, table: SeenTable, time: SeenColumn, column: SeenColumn, entity: str) -> Idea:
        keys, why = self._facts(table, time, f"count(distinct {self.as_sql(column.name)})")
        columns = dimensions(table)[:1]
        if columns:
            keys["by"] = [c.name for c in columns]
        name = joined_words(singular_name(table), plural(entity))
        about = f"counts distinct {column.name} of {table.name}"
        idea = Idea(name, keys, why, about, topic=Topic.ACTIVE, of=table.name, actor=column.name)
        rows = counted_rows(table, self.as_sql, deleted_count=True, absent_count=False)
        without_remote(table, self.as_sql, rows)
        self._filtered(idea, rows)
        idea.unsure = list(rows.missed)
        return idea

    def _is_referred_to_often(self, table: SeenTable) -> bool:
        """Whether another table has many rows for each row of this one, as for each location of a clinic."""
        return any(
            other.total >= ROWS_OF_A_CATALOG * table.total
            for other in self.seen.tables
            for column in other.columns
            if column.an_id and self.refers(other, column)[0] is table
        )

    # -- the rest --------------------------------------------------------------------------------------------

    def _others(self, table: SeenTable, *, catalog: bool) -> Iterator[Idea]:
        born = time_of(table, BORN + DONE)
        if born is None:
            return
        noun, many = head(table.bare), plainly(table.bare)
        work = noun in WORK
        keys, why = self._facts(table, born, "count(*)")
        why.setdefault("time", why_time(table, born, BORN))
        self._by(table, keys, why)
        about = f"counts new {table.bare.replace('_', ' ')} by creation time"
        new = Idea(f"new_{many}", keys, why, about, topic=Topic.WORK if work else Topic.OTHERS, of=table.name)
        few = table.total < MIN_GROWING_ROWS and self._is_referred_to_often(table)
        new.score = 0.5 * log10(max(1, table.total)) + 0.3 * min(5, self.references.get(table.name, 0)) * (not few)
        new.score += 1.0 if (who := actor_of(self.seen, table)) and not who[0].textual else 0.0
        rows = counted_rows(table, self.as_sql, deleted_count=work)
        without_remote(table, self.as_sql, rows)
        self._filtered(new, rows)
        if catalog or (few and not work and actor_of(self.seen, table) is None):
            new.doubt = "the table is a list of what exists"
        elif is_double_entry(table):
            new.doubt = "entries of double-entry books: each amount is there twice"
        yield new
        if not catalog:
            yield from self._rated(table, new)
        ended = end_column(table, born)
        if work and ended and ended.values and not is_deletion(ended) and not is_planned(table, ended):
            yield from self._work(table, born, ended, new)
        if noun in DEALS:
            yield from self._won(table, born, ended)

    def _work(self, table: SeenTable, born: SeenColumn, ended: SeenColumn, new: Idea) -> Iterator[Idea]:
        many = plainly(table.bare)
        open_ = self._interval(table, born, ended, f"open_{many}", f"counts rows from {born.name} until {ended.name}")
        open_.topic, open_.score = Topic.WORK, new.score + 0.1
        self._filtered(open_, counted_rows(table, self.as_sql, deleted_count=False))
        yield open_
        verb = next((w for w in ended.words if w.endswith("ed")), "ended")
        keys = {**deepcopy(new.keys), "time": ended.name}
        keys.pop("stored", None)
        keys |= {"stored": ended.stored} if ended.stored else {}
        set_ = f"{self.as_sql(ended.name)} is not null"
        keys["where"] = f"{keys['where']} and {set_}" if "where" in keys else set_
        why = {"where": f"rows without {ended.name} are not {verb}"}
        done = Idea(
            f"{verb}_{many}", keys, why, f"counts {verb} {many.replace('_', ' ')} by {ended.name}", of=table.name
        )
        done.topic, done.score = Topic.WORK, new.score - 0.1
        yield done

    def _won(self, table: SeenTable, born: SeenColumn, ended: SeenColumn | None) -> Iterator[Idea]:
        """Won deals and their amount, by the day they were closed."""
        state = next((c for c in states(table) if any(words_of_value(v) & _WON for v in c.texts)), None)
        if state is None:
            return
        time = ended if ended is not None and ended.values else born
        won = [v for v in state.texts if words_of_value(v) & _WON]
        listed = ", ".join("'" + v.replace("'", "''") + "'" for v in won)
        where = f"{self.as_sql(state.name)} in ({listed})" if len(won) > 1 else f"{self.as_sql(state.name)} = {listed}"
        amount, many = amount_of(table), plainly(table.bare)
        for name, measure in (
            (f"won_{many}", "count(*)"),
            ("won_amount", f"sum({self.as_sql(amount.name)})" if amount else ""),
        ):
            if not measure:
                continue
            keys, why = self._facts(table, time, measure)
            keys["where"] = where
            why["time"] = f"won by {time.name}"
            self._by(table, keys, why)
            rows = counted_rows(table, self.as_sql, deleted_count=False)
            keys["where"] = " and ".join([where, *(part for part in rows.parts if part.partition(" ")[0] not in where)])
            idea = Idea(name, keys, why, f"{name.replace('_', ' ')} by {time.name}", topic=Topic.WORK, of=table.name)
            idea.score = 2.0
            if name == "won_amount" and amount:
                self._decimals(table.name, keys, amount.name, amount, why)
                idea = with_unit(idea, amount, currency_of(table), self.as_sql)
            yield idea

    def _rated(self, table: SeenTable, new: Idea) -> Iterator[Idea]:
        if any(column.textual and set(column.words) & _CALLED for column in table.columns):
            return  # a person or thing with its rating so far
        for column in table.columns:
            named = {singular(w) for w in column.words} | set(column.words)
            if not column.number or column.an_id or not named & _RATING_WORDS:
                continue
            if column.values and max(numbers(column.values), default=99) <= MAX_RATING:
                keys = {**deepcopy(new.keys), "measure": f"avg({self.as_sql(column.name)})"}
                name = joined_words(singular_name(table), "_".join(terms(column.name)))
                yield Idea(name, keys, dict(new.why), f"average {column.name}", topic=Topic.RATINGS, of=table.name)


def _is_document(table: SeenTable) -> bool:
    """Whether the rows are invoices or the like, which begin as drafts of the company's own staff."""
    drafts = any("draft" in words_of_value(text) for column in states(table) for text in column.texts)
    return drafts and amount_of(table) is not None
