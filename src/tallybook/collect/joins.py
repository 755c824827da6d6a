"""Turns a table joined to others into one relation, with their columns beside its own and no additional rows.

A subquery provides the joined columns under the names by which they are used, `accounts.plan` or `plan`, so that the
statements around it need not know about the join. The subquery is flat, so the database can use the index of the time
column. A join that could give a fact two rows is refused before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from msgspec.structs import replace

from tallybook.collect.sources.base import Source
from tallybook.collect.sources.values import BOOL, DATE, NUMBERS, TEXT, TIMESTAMP, TIMESTAMPTZ
from tallybook.core import Join, Metric, Slot, SourceError, schema_and_table

_CAST = {*NUMBERS, BOOL, DATE, TIMESTAMP, TIMESTAMPTZ}
"""Types that a text is cast to for comparison."""
_NO_COLUMN = frozenset(("STRING", "NUMBER", "DOT", "L_PAREN"))
"""Tokens next to which a word is not a bare column."""


@dataclass(frozen=True)
class Joined:
    """A metric as its source is queried: the relation, and the metric with its expressions rewritten for that
    relation."""

    relation: str
    metric: Metric
    reach: tuple[str, str]
    """The table and the column through which a day's facts are found."""


def joined(source: Source, metric: Metric) -> Joined:
    """Join the tables of a metric. Raises SourceError if a table or column does not exist or is ambiguous, or if a fact
    could get several rows."""
    scope = _Scope.of(source, metric)
    for place in range(len(metric.join)):
        _refuse_fan_out(source, scope, metric, place)
    asked = _texts_over(scope, metric)
    for name in (metric.time, metric.from_, metric.until, *metric.received_columns, metric.changed):
        scope.expose_time(name)
    for name in (*metric.by, *metric.series):
        scope.expose(name, "by")
    if metric.per:
        scope.expose(metric.per, "per")
    return Joined(scope.relation(), asked, scope.home(metric.time or metric.from_))


@dataclass
class _Scope:
    """The names that can be used: the fact's columns, and those of each joined table by its name."""

    source: Source
    metric: Metric
    own: str
    facts: list[str]
    others: dict[str, list[str]]
    exposed: dict[str, str] = field(default_factory=dict)
    """Column inside the subquery, by its name outside."""

    @classmethod
    def of(cls, source: Source, metric: Metric) -> _Scope:
        assert metric.table is not None
        facts = _columns(source, metric, metric.table)
        others = {join.name: _columns(source, metric, join.table) for join in metric.join}
        return cls(source, metric, schema_and_table(metric.table)[1], facts, others)

    def where(self, message: str, hint: str = "") -> SourceError:
        return SourceError(f"metrics.{self.metric.name}.join: {message}", hint=hint)

    def column(self, table: str, name: str) -> str:
        """The column of a table as written inside the subquery. Raises SourceError with the existing names."""
        if table.casefold() == self.own.casefold():
            column = _matching_name(name, self.facts) or self._no_column(table, name)
            return f"{self.source.quote(self.own)}.{self.source.quote(column)}"
        there = _matching_name(table, self.others)
        if there is None:
            raise self.where(f"there is no table {table!r} here", hint=f"one of {', '.join((self.own, *self.others))}")
        column = _matching_name(name, self.others[there]) or self._no_column(there, name)
        return f"{self.source.quote(there)}.{self.source.quote(column)}"

    def _no_column(self, table: str, name: str) -> NoReturn:
        columns = self.others.get(table, self.facts)
        raise self.where(f"{table} has no column {name!r}", hint=f"its columns: {', '.join(columns[:30])}")

    def holders(self, name: str) -> list[str]:
        """The tables that have a column with this name."""
        found = [self.own] if _matching_name(name, self.facts) else []
        return found + [table for table, columns in self.others.items() if _matching_name(name, columns)]

    def expose_time(self, name: str | None) -> None:
        """Expose the time column. If several tables have a column with that name, it is the facts' own."""
        if name and ("." in name or not _matching_name(name, self.facts)):
            self.expose(name, "time")

    def expose(self, name: str, key: str) -> None:
        """Make a column available outside under `name`, which is `column` or `table.column`."""
        table, _, column = name.rpartition(".")
        holders = [table] if table else self.holders(column)
        if len(holders) > 1:
            raise self.ambiguous(name, holders, key)
        if not holders:
            return  # the database reports that it does not exist
        inside, there = self.column(holders[0], column), self.spelled(holders[0], column)
        if there.rpartition(".")[2] != column or (table and there != name):
            meant = there if table else there.rpartition(".")[2]
            raise SourceError(
                f"metrics.{self.metric.name}.{key}: there is no column {name!r}", hint=f"did you mean {meant!r}?"
            )
        if table or holders[0] != self.own:
            self.exposed[name] = inside

    def spelled(self, table: str, column: str) -> str:
        """`table.column` as the database and the join spell them."""
        there = _matching_name(table, self.others) or self.own
        return f"{there}.{_matching_name(column, self.others.get(there, self.facts)) or column}"

    def ambiguous(self, name: str, holders: list[str], key: str) -> SourceError:
        meant = " or ".join(f"{table}.{name}" for table in holders)
        return SourceError(
            f"metrics.{self.metric.name}.{key}: {name!r} is a column of {' and of '.join(holders)}",
            hint=f"write {meant}",
        )

    def home(self, time: str | None) -> tuple[str, str]:
        table, _, column = (time or "").rpartition(".")
        if not table:
            own = _matching_name(column, self.facts) or not self.holders(column)
            table = self.own if own else self.holders(column)[0]
        for join in self.metric.join:
            if join.name.casefold() == table.casefold():
                return join.table, _matching_name(column, self.others[join.name]) or column
        return self.metric.table or "", column

    def from_(self, joins: int) -> str:
        """The FROM clause with the first `joins` joins."""
        quote = self.source.quote
        text = f"{self.source.table_name(self.metric.table or '')} {quote(self.own)}"
        for join in self.metric.join[:joins]:
            on = " AND ".join(f"{self.column(join.name, own)} = {self.other(other)}" for own, other in join.on)
            text += f" LEFT JOIN {self.source.table_name(join.table)} {quote(join.name)} ON {on}"
        return text

    def other(self, name: str) -> str:
        table, _, column = name.rpartition(".")
        return self.column(table or self.own, column)

    def relation(self) -> str:
        quote = self.source.quote
        more = "".join(f", {inside} AS {quote(name)}" for name, inside in self.exposed.items())
        select = f"SELECT {quote(self.own)}.*{more} FROM {self.from_(len(self.metric.join))}"
        return f"({self.source.with_null_on_no_match(select)}) {quote(self.own)}"


def _columns(source: Source, metric: Metric, table: str) -> list[str]:
    columns: list[str] = source.remembered.get(("columns", table)) or source.columns(table)
    source.remembered["columns", table] = columns
    if not columns:
        raise SourceError(
            f"metrics.{metric.name}.join: there is no table {table!r}", hint=f"one of {', '.join(source.tables()[:20])}"
        )
    return columns


def _unique_keys(source: Source, table: str) -> list[tuple[str, ...]]:
    key = ("unique keys", table)
    if key not in source.remembered:
        source.remembered[key] = source.unique_keys(table)
    found: list[tuple[str, ...]] = source.remembered[key]
    return found


def _matching_name(name: str, names: list[str] | Mapping[str, object]) -> str | None:
    """The name as spelled in the database: an exact match, or else one that differs only in case."""
    return name if name in names else next((n for n in names if n.casefold() == name.casefold()), None)


# --- no row more ----------------------------------------------------------------------------------------------


def _refuse_fan_out(source: Source, scope: _Scope, metric: Metric, place: int) -> None:
    """Raise SourceError unless the joined key is unique: by the catalog, or else by checking every row."""
    join = metric.join[place]
    keys = [_matching_name(key, scope.others[join.name]) or scope._no_column(join.name, key) for key in join.keys]
    settled = ("joined", metric.table or "", *(j.text for j in metric.join[: place + 1]))
    if settled in source.remembered:
        return
    _refuse_other_kinds(source, scope, metric, join)
    if any(set(unique) <= set(keys) for unique in _unique_keys(source, join.table)):
        source.remembered[settled] = True
        return
    listed = ", ".join(source.quote(key) for key in keys)
    known = " AND ".join(f"{source.quote(key)} IS NOT NULL" for key in keys)
    twice = f"SELECT {listed} FROM {source.table_name(join.table)} WHERE {known} GROUP BY {listed} HAVING COUNT(*) > 1"
    with source.snapshot() as reader:
        found = reader.rows(source.limited(twice, 1))
    if not found:
        source.remembered[settled] = True
        return
    shown = ", ".join(f"{key} = {value!r}" for key, value in zip(keys, found[0], strict=True))
    raise scope.where(
        f"several rows of {join.table} have {shown}: a fact would be counted once for each of "
        f"them{_counts(source, scope, place)}",
        hint=f"join it by a key that is unique, or measure {join.table} itself and join {metric.table} to it; "
        f"one row for each key can be made in `sql`: (select {listed}, max(…) from {join.table} group by {listed})",
    )


def _refuse_other_kinds(source: Source, scope: _Scope, metric: Metric, join: Join) -> None:
    """Raise SourceError if a number is compared with a text, because it may equal several texts: '1' and '01' are two
    keys and one number."""
    for own, other in join.on:
        table, _, column = scope.other(other).rpartition(".")
        tables = {source.quote(scope.own): metric.table or "", **{source.quote(j.name): j.table for j in metric.join}}
        (left,) = source.probe(source.table_name(join.table), [scope.column(join.name, own).rpartition(".")[2]])
        (right,) = source.probe(source.table_name(tables[table]), [column])
        kinds = {left.kind, right.kind}
        if TEXT in kinds and kinds & _CAST:
            raise scope.where(
                f"{join.name}.{own} is of kind {left.kind}, {other} of kind {right.kind}: what is equal to what "
                "is a guess",
                hint="cast one of them in `sql` and join there",
            )


def _counts(source: Source, scope: _Scope, place: int) -> str:
    """The number of rows before and after the join, in words. Empty if counting takes too long."""
    try:
        with source.snapshot() as reader:
            before = reader.rows(f"SELECT COUNT(*) FROM {scope.from_(place)}")[0][0]
            after = reader.rows(f"SELECT COUNT(*) FROM {scope.from_(place + 1)}")[0][0]
    except SourceError:
        return ""
    return f" ({before:,} rows of {scope.metric.table} would become {after:,})"


# --- columns in texts -----------------------------------------------------------------------------------------


def _texts_over(scope: _Scope, metric: Metric) -> Metric:
    """The metric with `accounts.plan` in its expressions replaced by the name of a column of the relation."""
    parsed = metric.parsed
    assert parsed is not None
    where = _over(scope, metric.where, "where") if metric.where else None
    slots = tuple(_slot_over(scope, slot) for slot in parsed.slots)
    return replace(metric, where=where, parsed=replace(parsed, slots=slots))


def _slot_over(scope: _Scope, slot: Slot) -> Slot:
    args = tuple(_over(scope, arg, "measure") for arg in slot.args)
    return replace(slot, args=args, filter=_over(scope, slot.filter, "measure") if slot.filter else None)


def _over(scope: _Scope, text: str, key: str) -> str:
    """The text unchanged except for qualified names of joined tables."""
    parts, behind = [], 0
    for start, end, table, column in _names(text, scope.source.dialect):
        if table is None:
            for holder in scope.holders(column)[:1]:
                scope.expose(_matching_name(column, scope.others.get(holder, scope.facts)) or column, key)
        elif there := _matching_name(table, scope.others):
            name = scope.spelled(there, column)
            scope.expose(name, key)
            parts += [text[behind:start], scope.source.quote(name)]
            behind = end
    return "".join([*parts, text[behind:]])


def _names(text: str, dialect: str) -> Iterator[tuple[int, int, str | None, str]]:
    """The possible columns in a text: (start, end, table or None, column)."""
    from sqlglot import tokenize

    tokens = tokenize(text, dialect=dialect)
    kinds = ["", *(t.token_type.name for t in tokens), "", ""]
    for i, token in enumerate(tokens):
        kind, before, after = kinds[i + 1], kinds[i], kinds[i + 2]
        if kind in _NO_COLUMN or not (token.text[:1].isalpha() or token.text[:1] == "_" or kind == "IDENTIFIER"):
            continue
        if before in ("DOT", "ALIAS", "STRING") or after in ("STRING", "L_PAREN", "FROM"):
            continue  # part of a name, a type (cast(x as date)), a unit (interval '1' day), or a function
        if after == "DOT" and i + 2 < len(tokens):
            yield token.start, tokens[i + 2].end + 1, token.text, tokens[i + 2].text
        else:
            yield token.start, token.end + 1, None, token.text
