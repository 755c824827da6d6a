"""Suggests metrics for the tables of a database, by names of columns, their types and some of their values.

Each choice has a reason, and alternatives as comments. A wrong guess costs the user one changed line, so a weak guess
is only a comment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tallybook.core import SourceError, SourceUnavailable, isolated
from tallybook.draft.column_words import ACTORS
from tallybook.draft.columns import amount_of, dimensions, time_of
from tallybook.draft.level_guesses import LevelGuesses, end_column
from tallybook.draft.money_guesses import MoneyGuesses
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.table_guesses import Idea, example_values, singular_name
from tallybook.draft.table_words import (
    CONTRACTS,
    LINES,
    MONEY,
    PEOPLE,
    USAGE,
    WORK,
)
from tallybook.draft.time_words import (
    BORN,
    DONE,
    PAID,
)
from tallybook.draft.words import (
    head,
    plainly,
    plural,
)

LEVELS = 300
"""Positions from here on are for levels and the rest."""


@dataclass
class Guesser(MoneyGuesses, LevelGuesses):
    """Finds the metrics that the tables of one database suggest."""

    def ideas(self) -> list[Idea]:
        """All suggested metrics, in the order of the file. Tables without one are recorded in `seen.skipped`."""
        ideas: list[Idea] = []
        for table in self.seen.tables:
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
            ideas += suggested
        ideas.sort(key=lambda idea: idea.place)
        return ideas

    def _why_nothing(self, table: SeenTable) -> str:
        if not table.times:
            return "has no time column"
        return f"has no creation time (time columns: {', '.join(c.name for c in table.times)})"

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

    def _people(self, table: SeenTable) -> Iterator[Idea]:
        born = time_of(table, (*BORN, ("create",)), named_only=True)
        if born is None:
            return
        keys, why = self._facts(table, born, "count(*)")
        self._by(table, keys, why)
        place = PEOPLE.index(head(table.name))
        yield Idea(f"new_{plainly(table.name)}", keys, why, f"counts new {table.name.replace('_', ' ')}", place=place)
        ended = end_column(table, born)
        if ended:
            about = f"counts current {table.name.replace('_', ' ')}: from {born.name} until {ended.name}"
            yield self._interval(table, born, ended, f"current_{plainly(table.name)}", "count(*)", about)

    def _usage(self, table: SeenTable) -> Iterator[Idea]:
        time = time_of(table, DONE + BORN + PAID)
        if time is None:
            return
        keys, why = self._facts(table, time, "count(*)")
        other = [
            f'# measure = "p95({self.as_sql(c.name)})"' + " " * 4 + f"# duration: {c.name}"
            for c in table.columns
            if c.number and set(c.words) & {"duration", "latency", "elapsed", "ms", "seconds"}
        ]
        columns = dimensions(table, ())
        if columns:
            keys["by"] = [c.name for c in columns]
            why["by"] = "; ".join(f"{c.name} {example_values(c)}" for c in columns)
        place = 200 + (USAGE.index(head(table.name)) if head(table.name) in USAGE else 50)
        yield Idea(plainly(table.name), keys, why, f"counts rows of {table.name}", other, place=place)
        for column in _actors(table)[:2]:
            who = plural(column.words[0] if column.words[-1:] != ("id",) else column.words[-2])
            counted = {**keys, "measure": f"count(distinct {self.as_sql(column.name)})"}
            about = f"counts distinct {column.name}"
            yield Idea(f"{singular_name(table.name)}_{who}", counted, dict(why), about, place=place)

    def _others(self, table: SeenTable) -> Iterator[Idea]:
        born = time_of(table, BORN)
        if born is None:
            return
        work = head(table.name) in WORK
        keys, why = self._facts(table, born, "count(*)")
        self._by(table, keys, why)
        name = f"new_{plainly(table.name)}"
        yield Idea(
            name, keys, why, f"counts new {table.name.replace('_', ' ')} by creation time", place=500 - 10 * work
        )
        for column in table.columns:
            if column.number and not column.an_id and set(column.words) & {"rating", "score", "stars"}:
                rated = {**keys, "measure": f"avg({self.as_sql(column.name)})"}
                yield Idea(
                    f"{singular_name(table.name)}_{'_'.join(column.words)}",
                    rated,
                    dict(why),
                    f"average {column.name}",
                    place=501,
                )
        ended = end_column(table, born)
        if ended:
            yield self._interval(
                table,
                born,
                ended,
                f"{'open' if work else 'current'}_{plainly(table.name)}",
                "count(*)",
                f"counts rows from {born.name} until {ended.name}",
            )


def _actors(table: SeenTable) -> list[SeenColumn]:
    """Columns of actors, best first."""
    columns = [(ACTORS.index(w), c) for c in table.columns if c.an_id and not c.key for w in c.words[:1] if w in ACTORS]
    return [column for _, column in sorted(columns, key=lambda pair: pair[0])]
