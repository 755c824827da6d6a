"""Guesses about levels: contracts with a begin and an end, recurring revenue, and tables with one row a day."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from tallybook.collect import INT
from tallybook.config import toml
from tallybook.draft.amounts import amount_of, counts_minor_units, currency_of, quantity_of
from tallybook.draft.column_words import REVENUE_NAMES
from tallybook.draft.columns import dimensions, within_bounds
from tallybook.draft.contract_filters import MAX_OPEN_PLANNED, begun_after, canceled_contracts, started_contracts
from tallybook.draft.daily_columns import (
    FLOW,
    HIGHEST,
    LOWEST,
    PEOPLE_COUNT,
    PERCENTILE,
    SHARE,
    STATE,
    UNKNOWN,
    DailyNumber,
    daily_number,
    day_column,
    is_calendar,
    is_monthly,
    is_part_of_day,
    series_of,
)
from tallybook.draft.evidence import null_share
from tallybook.draft.money_guesses import with_unit
from tallybook.draft.recurring import Price, currency_column, items_of, measure_of, price_of, quantity_sql
from tallybook.draft.references import actor_of
from tallybook.draft.row_conditions import RowFilter, literal
from tallybook.draft.row_filters import is_flag, states, words_of_value
from tallybook.draft.seen import SeenColumn, SeenTable, by_day
from tallybook.draft.table_guesses import (
    Idea,
    Keys,
    TableGuesses,
    Topic,
    in_join,
    is_negative,
    join_text,
    joined_words,
    singular_name,
)
from tallybook.draft.time_words import BEGUN, BORN, PAID
from tallybook.draft.times import end_candidates, end_column, is_deletion, is_planned, time_of, why_time
from tallybook.draft.words import head, plainly, singular, terms, words

AGGREGATES = {SHARE: "avg", PERCENTILE: "avg", HIGHEST: "max", LOWEST: "min"}
"""How daily numbers that are neither sums nor states are aggregated over days."""


class LevelGuesses(TableGuesses):
    """Metrics of levels."""

    def _contracts(self, table: SeenTable) -> Iterator[Idea]:
        for idea in self._of_contracts(table):
            idea.noun = head(table.bare)
            yield idea

    def _of_contracts(self, table: SeenTable) -> Iterator[Idea]:
        applied = time_of(table, BEGUN + BORN)
        if applied is None:
            return
        begun = begun_after(table, applied) or applied
        ended = end_column(table, begun)
        many, rows = plainly(table.bare), started_contracts(table, self.as_sql)
        spoken = many.replace("_", " ")
        holding = started_contracts(table, self.as_sql, ended)
        base = self._level(table, begun, ended, f"active_{many}", f"counts active {spoken}", holding)
        if base is not None:
            yield base
            priced = list(self._priced(table, base)) or list(self._items_priced(table, base, ended))
            yield from priced
            yield from self._seats(table, base)
        made = (time_of(table, BORN + PAID) if is_planned(table, begun) else None) or applied
        keys, why = self._facts(table, made, "count(*)")
        why.setdefault("time", why_time(table, made, BEGUN + BORN))
        self._by(table, keys, why)
        about = f"counts new {spoken} by {'start time' if made is begun else made.name}"
        new = Idea(f"new_{many}", keys, why, about, topic=Topic.NEW_CONTRACTS, of=table.name)
        self._filtered(new, rows)
        planned = ended is None or null_share(ended) < MAX_OPEN_PLANNED
        new.unsure += canceled_contracts(table, self.as_sql) if planned else []
        yield new
        if head(table.bare) == "loan" and begun is not applied:
            yield from self._lent(table, begun)
        if ended is not None and ended.values and not is_deletion(ended):
            yield self._ended(table, ended, new, many, holding.where if planned else "")

    def _lent(self, table: SeenTable, begun: SeenColumn) -> Iterator[Idea]:
        """The amount of loans by the day they were paid out."""
        amount = amount_of(table)
        if amount is None:
            return
        keys, why = self._facts(table, begun, f"sum({self.as_sql(amount.name)})")
        self._by(table, keys, why)
        self._decimals(table.name, keys, amount.name, amount, why)
        name = f"{singular_name(table)}_amount_disbursed"
        idea = Idea(name, keys, why, f"sum of {amount.name} by {begun.name}", topic=Topic.NEW_CONTRACTS, of=table.name)
        idea.score = 0.5
        yield with_unit(idea, amount, currency_of(table), self.as_sql)

    def _ended(self, table: SeenTable, ended: SeenColumn, new: Idea, many: str, held: str) -> Idea:
        """A metric of contracts that end, by the time of their end. `held`: the condition of active contracts, if the
        end is planned."""
        verb = next((w for w in ended.words if w.endswith("ed")), "ended")
        keys, why = self._facts(table, ended, "count(*)")
        for key in ("by", "join", "where"):
            if key in new.keys:
                keys[key] = deepcopy(new.keys[key])
        if held:
            keys["where"], why["where"] = held, "as for the active ones"
        else:
            set_ = f"{self.as_sql(ended.name)} is not null"
            keys["where"] = f"{keys['where']} and {set_}" if "where" in keys else set_
            why["where"] = f"rows without {ended.name} have not ended"
        about = f"counts {verb} {many.replace('_', ' ')} by {ended.name}"
        return Idea(f"{verb}_{many}", keys, why, about, topic=Topic.NEW_CONTRACTS, score=-1.0, of=table.name)

    # -- amounts of contracts -----------------------------------------------------------------------------

    def _priced(self, table: SeenTable, base: Idea) -> Iterator[Idea]:
        """The recurring revenue of subscriptions; the amounts of other contracts."""
        price = price_of(self.seen, table)
        if price is None:
            return
        recurring = head(table.bare) in ("subscription", "membership", "contract", "license", "licence")
        qualifier, join = self._joined(table, price)
        column = self._writer(table, price, qualifier)
        quantity = "" if price.table is table and not price.interval else quantity_sql(table, column)
        found = measure_of(price, quantity if recurring else "", column)
        made = deepcopy(base)
        made.name = "mrr" if recurring else joined_words(singular_name(table), *terms(price.amount.name, table.bare))
        made.topic = Topic.RECURRING if recurring else Topic.CONTRACTS
        made.keys["measure"], made.why["measure"] = found.measure, found.why
        made.about = f"sum of {price.amount.name} over active {plainly(table.bare).replace('_', ' ')}"
        made.about += f" at the price of {price.table.name}, as of the run" if join else ""
        made.unsure += price.unsure if recurring else []
        made.doubt = made.doubt or price.doubt
        if price.unsure and not recurring:
            made.doubt = f"{price.amount.name} may be the amount of the whole {head(table.bare)}, and not of a month"
        if price.unsure:
            made.score -= 0.5
        if join:
            made.keys["join"] = join
            made.why["join"] = "the price is there"
            _unambiguous_dimensions(made, table, price.table)
        self._decimals(price.table.name, made.keys, price.amount.name, price.amount, made.why)
        currency = currency_column(price, table)
        place = f"{qualifier}" if currency and currency[1] is price.table and join else ""
        yield with_unit(made, price.amount, currency[0] if currency else None, self.as_sql, place)

    def _items_priced(self, table: SeenTable, base: Idea, ended: SeenColumn | None) -> Iterator[Idea]:
        """The recurring revenue of subscriptions whose prices are those of their items, at the prices of the run."""
        items = items_of(self.seen, table)
        if items is None or ended is None or "from" not in base.keys:
            return
        price, sql = items.price, self.as_sql
        begun = table.column(base.keys["from"])
        used = [c for c in table.columns if sql(c.name) in base.keys.get("where", "")]
        mine = {c.name: c for c in (begun, ended, *used) if c is not None}
        if price.link is None or price.key is None or not price.table.unique_by(price.key.name):
            return
        quantity = quantity_of(items.table)
        found = currency_column(price, table)
        theirs = [c for c in (price.amount, price.interval, price.interval_count) if c is not None]
        theirs += [found[0]] if found and found[1] is price.table else []
        if {c.name for c in theirs} & {*mine, quantity.name if quantity else ""}:
            return  # two columns of one name
        picked = [f"s.{sql(name)}" for name in mine]
        picked += [f"i.{sql(quantity.name)}"] if quantity else []
        picked += [f"p.{sql(c.name)}" for c in theirs]
        text = f"select {', '.join(picked)}\nfrom {sql(items.table.name)} i "
        text += f"join {sql(table.name)} s on s.{sql(items.contract_key.name)} = i.{sql(items.contract.name)}\n"
        text += f"join {sql(price.table.name)} p on p.{sql(price.key.name)} = i.{sql(price.link.name)}"
        recurring = measure_of(price, sql(quantity.name) if quantity else "", lambda c: sql(c.name))
        made = deepcopy(base)
        for key in ("table", "by", "join"):
            made.keys.pop(key, None)
        made.name, made.topic, made.unsure = "mrr", Topic.RECURRING, [*made.unsure, *price.unsure]
        made.keys |= {"sql": text, "measure": recurring.measure}
        made.why = {"measure": recurring.why, "sql": "a price for each item, as of the run; both keys are unique"}
        made.about = f"sum of {price.amount.name} over the items of active {plainly(table.bare).replace('_', ' ')}"
        made.doubt = made.doubt or price.doubt
        yield with_unit(made, price.amount, found[0] if found else None, self.as_sql)

    def _joined(self, table: SeenTable, price: Price) -> tuple[str, str]:
        """(the qualifier of columns of the price's table, the join); empty if the price is in the contract."""
        if price.link is None or price.key is None:
            return "", ""
        return f"{in_join(price.table.name)}.", join_text(table, price.link, price.table, price.key.name)

    def _writer(self, table: SeenTable, price: Price, qualifier: str) -> object:
        def column(which: SeenColumn) -> str:
            own = any(c is which for c in table.columns) and price.table is not table
            return (
                f"{qualifier if not own else in_join(table.name) + '.' if qualifier else ''}{self.as_sql(which.name)}"
            )

        return column

    def _seats(self, table: SeenTable, base: Idea) -> Iterator[Idea]:
        named = {"seat", "license", "quantity"}
        found = next((c for c in table.columns if c.number and not c.an_id and set(terms(c.name)) & named), None)
        if found is None or len(set(found.values)) < 2:
            return
        made = deepcopy(base)
        made.name = joined_words(singular_name(table), "_".join(words(found.name)))
        made.keys["measure"] = f"sum({self.as_sql(found.name)})"
        made.about, made.score = f"sum of {found.name} over active {plainly(table.bare).replace('_', ' ')}", -0.5
        self._decimals(table.name, made.keys, found.name, found, made.why)
        yield made

    def _level(
        self,
        table: SeenTable,
        begun: SeenColumn,
        ended: SeenColumn | None,
        name: str,
        about: str,
        rows: RowFilter,
    ) -> Idea | None:
        """A level from begin and end; without an end, from a status, whose past values are unknown."""
        if ended is not None:
            idea = self._interval(table, begun, ended, name, about)
            self._filtered(idea, rows)
        else:
            found = ((c, t) for c in states(table) for t in c.texts if words_of_value(t) == {"active"})
            status, active = next(found, (None, ""))
            if status is None:
                return None
            where = f"{self.as_sql(status.name)} = {literal(active)}"
            idea = Idea(
                name, {"kind": "level", "table": table.name, "where": where, "measure": "count(*)"}, about=about
            )
            idea.why["where"] = "no column has the end time, so only the present state is known"
            self._by(table, idea.keys, idea.why)
        idea.topic, idea.of = Topic.CONTRACTS, table.name
        return idea

    def _interval(self, table: SeenTable, begun: SeenColumn, ended: SeenColumn, name: str, about: str) -> Idea:
        keys: Keys = {
            "kind": "level",
            "table": table.name,
            "from": begun.name,
            "until": ended.name,
            "measure": "count(*)",
        }
        why = {"until": f"null = still active ({ended.nulls} of {table.rows} sampled rows)"}
        if begun.stored:
            keys["stored"] = begun.stored
        self._by(table, keys, why)
        other = ["# until_inclusive = true    # if it is the last active day"] if by_day(ended) else []
        rivals = [s.candidate for s in end_candidates(table, begun) if s.candidate is not ended and s.candidate.values]
        other += [f'# until = "{c.name}"    # set in {len(c.values)} of {table.rows} sampled rows' for c in rivals[:3]]
        return Idea(name, keys, why, about, other, topic=Topic.CONTRACTS, of=table.name)

    # -- one row a day --------------------------------------------------------------------------------------

    def _daily(self, table: SeenTable) -> SeenColumn | None:
        amount = amount_of(table)
        return day_column(table, has_amount=amount is not None and actor_of(self.seen, table) is not None)

    def _days(self, table: SeenTable, day: SeenColumn) -> Iterator[Idea]:
        series = [c.name for c in series_of(table, day)]
        if is_calendar(table, day):
            return
        whole = self._whole_of(table)
        for column in table.columns:
            if not column.number or column.an_id or column is day or column.name in series or column.time:
                continue
            if is_flag(column) or is_part_of_day(day, column):
                continue
            idea = self._of_a_day(table, day, column, series)
            if whole is not None and whole.column(column.name):
                idea.doubt = idea.doubt or f"{whole.name} has the same number, not split further"
            yield idea

    def _whole_of(self, table: SeenTable) -> SeenTable | None:
        """The daily table with the same numbers, without the split that is at the end of this table's name."""
        mine = tuple(map(singular, words(table.name)))
        for other in self.seen.tables:
            theirs = tuple(map(singular, words(other.name)))
            if len(theirs) < len(mine) and mine[: len(theirs)] == theirs and self._daily(other) is not None:
                return other
        return None

    def _of_a_day(self, table: SeenTable, day: SeenColumn, column: SeenColumn, series: list[str]) -> Idea:
        found = daily_number(table, day, column)
        minor = counts_minor_units(column) and amount_of(table) is not column
        measure = f"{AGGREGATES.get(found.sort, 'sum')}({self.as_sql(column.name)}){' / 100' if minor else ''}"
        if found.quotient:
            above, below, factor = found.quotient
            measure = f"sum({self.as_sql(above.name)}) / sum({self.as_sql(below.name)})"
            measure += f" * {factor}" if factor > 1 else ""
        keys, why = self._facts(table, day, measure)
        period = "month" if is_monthly(day) else "day"
        about = f"{column.name} per {period}"
        idea = Idea(_of_table(table.bare, column), keys, why, about, topic=Topic.DAYS, of=table.name)
        self._by_sort(idea, found, table, series)
        if found.sort == STATE and {"mrr", "arr"} & set(column.words) and not is_negative(table):
            idea.topic, idea.name = Topic.RECURRING, "mrr" if "mrr" in column.words else "arr"
        if found.sort == FLOW and set(terms(column.name, table.bare)) & REVENUE_NAMES and not is_negative(table):
            idea.topic, idea.score = Topic.REVENUE, 0.9
        columns = within_bounds(dimensions(table))
        if columns:
            idea.keys["by"] = [c.name for c in columns]
        if column.type.kind != INT and found.sort not in AGGREGATES:
            self._decimals(table.name, idea.keys, column.name, column, why)
        if period == "month":
            _of_a_month(idea)
        if amount_of(table) is column:
            with_unit(idea, column, currency_of(table), self.as_sql)
        return idea

    def _by_sort(self, idea: Idea, found: DailyNumber, table: SeenTable, series: list[str]) -> None:
        """Add what the behavior of the number requires: a kind, a series, or a comment instead of a metric."""
        if found.sort in (STATE, UNKNOWN):
            idea.keys = {"kind": "level", **idea.keys}
            idea.why["kind"] = found.why
            if series:
                idea.keys["series"] = series
            idea.other.append('# carry = "3d"    # if a day can lack a row: repeat the last one for this long')
            if found.counter:
                idea.other.append("# a lifetime counter: query it with --show change for the number of each period")
        elif found.sort == PEOPLE_COUNT:
            idea.keys = {"kind": "uniques", **idea.keys}
            idea.why["kind"] = f"{found.why}; otherwise remove kind"
        elif found.quotient:
            idea.why["measure"] = found.why
        elif found.sort == SHARE:
            idea.why["measure"] = f"{found.why}; the mean of the rows, each with the same weight"
        elif found.sort in AGGREGATES:
            idea.why["measure"] = found.why
            idea.doubt = found.why if found.sort == PERCENTILE else ""
        if found.sort == UNKNOWN:
            idea.doubt = f"{found.why}; if it adds up over days, remove kind"
        if found.sort == FLOW:
            self._sent_again(idea, table, series)

    def _sent_again(self, idea: Idea, table: SeenTable, series: list[str]) -> None:
        idea.other.append('# kind = "level"    # if it is a state at the end of a day, which does not add up over days')
        day = idea.keys["time"]
        received = next(
            (c for c in table.times if c.name != day and set(c.words) & {"received", "reported", "sent"}), None
        )
        if received:
            listed = ", ".join(toml(name) for name in series or [c.name for c in dimensions(table)]) or '"…"'
            idea.other.append(
                "# daily_aggregate = true    # if the source sends a day again when it changes: "
                f"with series = [{listed}]"
            )
            idea.other.append(f"# received = {toml(received.name)}")


def _of_a_month(idea: Idea) -> None:
    """A metric of a table with one row for each month: a level lasts until the next row, a flow is on one day."""
    if idea.keys.get("kind") == "level":
        for key in ("series", "by"):  # a series without a row in the next month would be carried into it
            idea.keys.pop(key, None)
        idea.keys["carry"] = "30d"
        idea.why["carry"] = "one row for each month, which lasts until the next"
        idea.other = [line for line in idea.other if not line.startswith("# carry")]
    else:
        idea.other.append("# one row for each month: query it with --scope month")


def _unambiguous_dimensions(idea: Idea, table: SeenTable, other: SeenTable) -> None:
    """Keep the dimensions that only one table of a join has. If none is left, use the name column of the joined one."""
    idea.keys["by"] = [name for name in idea.keys.get("by", []) if table.column(name) and not other.column(name)]
    if not idea.keys["by"]:
        named = next((c for c in other.columns if c.name in ("name", "code", "slug", "title")), None)
        if named is not None and 2 <= len(named.texts) <= 20:
            idea.keys["by"] = [f"{in_join(other.name)}.{named.name}"]
        else:
            idea.keys.pop("by")
            idea.why.pop("by", None)


def _of_table(table: str, column: SeenColumn) -> str:
    """The name of a metric for a column: with the name of the table before it, unless that repeats words."""
    others = [w for w in words(table) if w not in ("daily", "per", "day", "export")]
    known = {singular(w) for w in column.words}
    before = [w for w in others if singular(w) not in known]
    return "_".join((*before[:-1], *(singular(w) for w in before[-1:]), *column.words)) or column.name
