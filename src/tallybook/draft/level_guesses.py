"""Guesses about levels: contracts with a begin and an end, and tables with one row a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tallybook.collect import DEC, INT
from tallybook.config import toml
from tallybook.draft.column_words import COUNTS_OF_PEOPLE, STATES_OF_A_DAY
from tallybook.draft.columns import amount_of, dimensions, time_of
from tallybook.draft.seen import SeenColumn, SeenTable, by_day
from tallybook.draft.table_guesses import Idea, Keys, TableGuesses, singular_name
from tallybook.draft.table_words import (
    DAILY,
)
from tallybook.draft.time_words import (
    BEGUN,
    BORN,
    ENDED,
    LATER,
    NOT_AN_END,
)
from tallybook.draft.words import (
    plainly,
    rank,
    singular,
    words,
)


class LevelGuesses(TableGuesses):
    """Metrics of levels."""

    def _contracts(self, table: SeenTable) -> Iterator[Idea]:
        begun = time_of(table, BEGUN + BORN)
        if begun is None:
            return
        ended = end_column(table, begun)
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
        yield from self._level(
            table, begun, ended, name, "count(*)", f"counts active {plainly(table.name).replace('_', ' ')}"
        )
        for column in (amount, seats):
            if column:
                metric = "mrr" if "mrr" in column.words else f"{singular_name(table.name)}_{'_'.join(column.words)}"
                about = f"sum of {column.name} over active {plainly(table.name).replace('_', ' ')}"
                yield from self._level(table, begun, ended, metric, f"sum({self.as_sql(column.name)})", about, column)
        keys, why = self._facts(table, begun, "count(*)")
        self._by(table, keys, why)
        yield Idea(
            f"new_{plainly(table.name)}",
            keys,
            why,
            f"counts new {plainly(table.name).replace('_', ' ')} by start time",
            place=301,
        )

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
        """A level from begin and end; without an end, from a status, whose past values are unknown."""
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
            idea.why["where"] = "no column has the end time, so only the present state is known"
            self._by(table, idea.keys, idea.why)
        idea.place = 300
        if column is not None:
            self._decimals(table.name, idea.keys, column.name, column, idea.why)
        yield idea

    def _interval(
        self, table: SeenTable, begun: SeenColumn, ended: SeenColumn, name: str, measure: str, about: str
    ) -> Idea:
        keys: Keys = {"kind": "level", "table": table.name, "from": begun.name, "until": ended.name, "measure": measure}
        why = {"until": f"null = still active ({ended.nulls} of {table.rows} sampled rows)"}
        if begun.stored:
            keys["stored"] = begun.stored
        self._by(table, keys, why)
        other = ["# until_inclusive = true    # if it is the last active day"] if by_day(ended) else []
        return Idea(name, keys, why, about, other, place=302)

    def _daily(self, table: SeenTable) -> SeenColumn | None:
        """The day column of a table with one row per day and series; None for other tables."""
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
        named = set(column.words)
        name = _of_table(table.name, column)
        people, stock = named & COUNTS_OF_PEOPLE, named & STATES_OF_A_DAY
        idea = Idea(name, keys, why, f"{column.name} per day", place=400)
        if stock or (named & {"count", "total"} and set(words(table.name)) & {"balance", "snapshot"}):
            idea.keys = {"kind": "level", **keys}
            why["kind"] = (
                f"{column.name} is a state at the end of a day, which does not add up over days; otherwise remove kind"
            )
            if series:
                idea.keys["series"] = series
            idea.other.append('# carry = "3d"    # if a day can lack a row: repeat the last one for this long')
        elif people:
            idea.keys = {"kind": "uniques", **keys}
            why["kind"] = "daily counts of people overlap, so they do not add up over days; otherwise remove kind"
        else:
            idea.other.append(
                '# kind = "level"    # if it is a state at the end of a day, which does not add up over days'
            )
        received = next(
            (c for c in table.times if c is not day and set(c.words) & {"received", "reported", "sent"}), None
        )
        if received and "kind" not in idea.keys:
            listed = ", ".join(toml(name) for name in series or [c.name for c in dimensions(table, ())]) or '"…"'
            idea.other.append(
                "# daily_aggregate = true    # if the source sends a day again when it changes: "
                f"with series = [{listed}]"
            )
            idea.other.append(f"# received = {toml(received.name)}")
        columns = dimensions(table, ())
        if columns:
            idea.keys["by"] = [c.name for c in columns]
        self._decimals(table.name, idea.keys, column.name, column, why) if column.type.kind not in (INT, DEC) else None
        return idea


def end_column(table: SeenTable, begun: SeenColumn) -> SeenColumn | None:
    """The column with the end of what `begun` starts."""
    fits = [
        (rank(c.name, ENDED), c)
        for c in table.times
        if c is not begun
        and c.stored == begun.stored
        and not set(c.words) & NOT_AN_END
        and rank(c.name, ENDED) is not None
    ]
    return min(fits, key=lambda fit: fit[0] or 0)[1] if fits else None


def _of_table(table: str, column: SeenColumn) -> str:
    """The name of a metric for a column: with the name of the table before it, unless that repeats words."""
    others = [w for w in words(table) if w not in ("daily", "per", "day")]
    known = {singular(w) for w in column.words}
    before = [w for w in others if singular(w) not in known]
    return "_".join((*before[:-1], *(singular(w) for w in before[-1:]), *column.words)) or column.name
