"""Steps all entities of one kind through all rules of that kind in one engine statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.act.caps import Edge
from tallybook.act.memory import Remembered
from tallybook.act.state import HOLDING, INSIDE, OUT, UNDECIDED, UNKNOWN_IN, UNKNOWN_OUT, Transitions
from tallybook.act.state_sql import StateColumns, StepSql
from tallybook.config import SINCE_LAST, Condition, compile_condition, fields_of, names_in, template_fields
from tallybook.core import ENTER, LEAVE, TO_MESSAGE, TO_PX, Catalog, Rule
from tallybook.query import Subjects, shown_column
from tallybook.storage import identifier, literal

if TYPE_CHECKING:
    import duckdb

CHANGED = "changed"
"""In place of an edge: outside of a rule that was changed."""


@dataclass(frozen=True, kw_only=True)
class RuleNames:
    """Names used by a rule. `attributes`: in its conditions, texts and values. `conditions`: in its conditions.
    `earlier`: earlier values. `lasts`: whether the condition can be true for longer than one evaluation.
    `is_momentary`: it cannot, so each evaluation in which it is true is an edge."""

    attributes: tuple[str, ...]
    conditions: frozenset[str]
    earlier: tuple[tuple[str, str], ...]
    lasts: bool
    is_momentary: bool = False


def names_of_rule(catalog: Catalog, rule: Rule) -> RuleNames:
    """The names of the attributes that a rule and its messages use, in lower case."""
    parts = [names_in(text) for text in (rule.when, rule.leave) if text]
    conditions = [name for part in parts for name in part.attributes]
    attributes = [*conditions]
    attributes += [rule.quiet_zone.casefold()] if rule.quiet_zone else []
    for action in rule.then:
        if action.to == TO_MESSAGE and (message := catalog.messages.get(action.options["message"])) is not None:
            attributes += [name.casefold() for name in fields_of(message)]
        for key in ("value", "leave") if action.to == TO_PX else ():
            attributes += [name.casefold() for name in template_fields(action.options.get(key))]
    return RuleNames(
        attributes=tuple(dict.fromkeys(attributes)),
        conditions=frozenset(conditions),
        earlier=tuple(dict.fromkeys(pair for part in parts for pair in part.earlier)),
        lasts=all(part.lasts for part in parts),
        is_momentary=rule.leave is None and parts[0].is_momentary,
    )


@dataclass(frozen=True, kw_only=True)
class KindStep:
    """One step of the rules of a kind. `begins`: rules that start with this step. `restarts`: those of them that were
    evaluated before, and that do not fire for entities already inside. `states`: the relation of the states before the
    step."""

    subjects: Subjects
    rules: Sequence[Rule]
    names: Mapping[str, RuleNames]
    begins: frozenset[str]
    states: str
    memory: Sequence[Remembered]
    now: datetime
    is_whole: bool
    """Whether the result has every entity with a state, or only the changed ones."""
    some_gone: bool = True
    restarts: frozenset[str] = frozenset()
    others: Mapping[str, str] = field(default_factory=dict)
    """Columns of states that are copied unchanged, with their types. They belong to rules that only other processes
    know."""
    steps: list[StepSql] = field(default_factory=list)
    linked: str = ""
    """A relation of ids whose states were merged and must be written again."""

    @property
    def table(self) -> str:
        return f"{self.subjects.kind}_stepped"

    def compile(self, compiled: Mapping[str, StepSql] | None = None) -> None:
        """Compile the conditions of the rules that are not in `compiled`. Raises QueryError if a condition does not fit
        the types of its attributes."""
        for rule in self.rules:
            if compiled is not None and rule.name in compiled:
                self.steps.append(
                    replace(
                        compiled[rule.name],
                        transitions=self._transitions(rule),
                        begins=rule.name in self.begins,
                        some_gone=self.some_gone,
                    )
                )
                continue
            leave = self._condition(rule.leave) if rule.leave else None
            self.steps.append(
                StepSql(
                    columns=StateColumns(rule=rule.name, holds=bool(rule.hold)),
                    transitions=self._transitions(rule),
                    when=self._condition(rule.when),
                    leave=leave,
                    begins=rule.name in self.begins,
                    now=self.now,
                    some_gone=self.some_gone,
                )
            )

    def _transitions(self, rule: Rule) -> Transitions:
        backfill = rule.backfill and rule.name not in self.restarts
        return Transitions(hold=timedelta(seconds=rule.hold), has_leave=rule.leave is not None, backfill=backfill)

    def _condition(self, text: str) -> Condition:
        return compile_condition(
            text,
            self.subjects.columns,
            now=f"TIMESTAMPTZ {literal(self.now.isoformat())}",
            earlier=self.subjects.earlier_column,
        )

    def run(self, engine: duckdb.DuckDBPyConnection) -> int:
        """Create the table of the states after the step. Returns the number of changed rows."""
        shown, changed, kept = ["e.id AS id"], ["FALSE"], ["FALSE"]
        for step in self.steps:
            code, old = identifier(step.columns.code), identifier(f"o:{step.columns.rule}")
            shown += [f"CAST({step.old} AS UTINYINT) AS {old}", f"CAST({step.new} AS UTINYINT) AS {code}"]
            changed.append(f"{old} <> {code}")
            kept.append(f"{code} <> {OUT}")
            for name, value in step.times(f"({step.new})").items():
                shown += [f"{value} AS {identifier(name)}", f"s.{identifier(name)} AS {identifier(f'o{name}')}"]
                changed.append(f"{identifier(name)} IS DISTINCT FROM {identifier(f'o{name}')}")
        shown += [f"s.{identifier(name)} AS {identifier(name)}" for name in self.others]
        kept += [f"{identifier(name)} IS NOT NULL" for name in self.others]
        for one in self.memory:
            shown += one.after(self.subjects.day)
            changed.append(identifier(one.has_changed))
            kept.append(f"{identifier(one.day)} IS NOT NULL")
        if self.linked:
            changed.append(f"id IN (SELECT id FROM {self.linked})")
        wanted = [*changed, *kept] if self.is_whole else changed
        inner = f'SELECT {", ".join(shown)} FROM {self.subjects.sql} e LEFT JOIN {self.states} s ON s."s id" = e.id'
        made = (
            f"CREATE OR REPLACE TEMP TABLE {self.table} AS SELECT *, ({' OR '.join(changed)}) AS moved FROM ({inner})"
        )
        engine.execute(f"{made} WHERE {' OR '.join(wanted)}").fetchall()
        if self.linked:
            gone = f"SELECT id, TRUE AS moved FROM {self.linked} ANTI JOIN {self.table} t USING (id)"
            engine.execute(f"INSERT INTO {self.table} BY NAME {gone}").fetchall()
        return int(engine.execute(f"SELECT count(*) FROM {self.table} WHERE moved").fetchall()[0][0])

    @property
    def stored_types(self) -> dict[str, str]:
        """The columns of a state file, with their types."""
        return {**stored_types([step.columns for step in self.steps], self.memory), **self.others}

    def edges(
        self, engine: duckdb.DuckDBPyConnection, inside_before: Callable[[str], Sequence[str]] = lambda _: ()
    ) -> Iterator[Edge]:
        """The entities that have entered or left, by rule and then by id. If a rule was changed, also those that it had
        fired for and that are outside of it now. `inside_before`: the entities that a rule had fired for."""
        there = self._with_edges(engine)
        for rule, step in zip(self.rules, self.steps, strict=True):
            for edge, where in ((ENTER, self._entered(step)), (LEAVE, self._left(step))):
                if (rule.name, edge) in there:
                    yield from self._edges_of(engine, rule, edge, where)
            asks = rule.has_leave_actions and (rule.name, CHANGED) in there
            if asks and (ids := inside_before(rule.name)):
                where = f"{self._outside_of_changed(step)} AND id IN (SELECT unnest(?::VARCHAR[]))"
                for one in self._edges_of(engine, rule, LEAVE, where, [list(ids)]):
                    yield replace(one, is_of_change=True)

    def _edges_of(
        self, engine: duckdb.DuckDBPyConnection, rule: Rule, edge: str, where: str, given: Sequence[Any] = ()
    ) -> Iterator[Edge]:
        folded = {name.casefold(): name for name in self.subjects.columns}
        named = [folded[name] for name in self.names[rule.name].attributes if name in folded and name != "id"]
        columns = [shown_column(name, self.subjects.columns[name]) for name in named]
        has_metrics = bool(self.subjects.metrics & self.names[rule.name].conditions)
        ids = f"SELECT id FROM {self.table} WHERE moved AND {where}"
        asked = f"SELECT {', '.join(['id', *columns])} FROM {self.subjects.sql} WHERE id IN ({ids}) ORDER BY id"
        for id_, *values in engine.execute(asked, given).fetchall():
            found: dict[str, Any] = dict(zip(named, values, strict=True))
            yield Edge(rule=rule, entity=id_, edge=edge, values=found, has_metrics=has_metrics)

    def _with_edges(self, engine: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
        """The (rule, edge) pairs with at least one entity, found in one scan of the table."""
        asked: dict[tuple[str, str], str] = {}
        for rule, step in zip(self.rules, self.steps, strict=True):
            asked |= {(rule.name, ENTER): self._entered(step), (rule.name, LEAVE): self._left(step)}
            asked[rule.name, CHANGED] = self._outside_of_changed(step)
        if not asked:
            return set()
        shown = ", ".join(f"coalesce(bool_or({where}), FALSE)" for where in asked.values())
        (row,) = engine.execute(f"SELECT {shown} FROM {self.table} WHERE moved").fetchall()
        return {key for key, is_there in zip(asked, row, strict=True) if is_there}

    def _entered(self, step: StepSql) -> str:
        old, new = identifier(f"o:{step.columns.rule}"), identifier(step.columns.code)
        entered = f"{old} IN ({OUT}, {UNKNOWN_OUT}, {HOLDING})"
        names = self.names[step.columns.rule]
        seen = {name for name, span in names.earlier if span == SINCE_LAST}
        again = [identifier(one.has_changed) for one in self.memory if one.name in seen]
        if names.is_momentary and again:
            # A second change is another edge, though the entity has not been outside in between.
            entered = f"({entered} OR {old} IN ({INSIDE}, {UNKNOWN_IN}) AND ({' OR '.join(again)}))"
        return f"{new} = {INSIDE} AND {entered}"

    def _left(self, step: StepSql) -> str:
        old, new = identifier(f"o:{step.columns.rule}"), identifier(step.columns.code)
        return f"{new} = {OUT} AND {old} IN ({INSIDE}, {UNKNOWN_IN})"

    def _outside_of_changed(self, step: StepSql) -> str:
        """Who is outside of a rule that begins, or of whom that was not known since it began."""
        old, new = identifier(f"o:{step.columns.rule}"), identifier(step.columns.code)
        return f"{new} = {OUT}" + ("" if step.columns.rule in self.begins else f" AND {old} = {UNDECIDED}")

    def codes(self, engine: duckdb.DuckDBPyConnection, rule: str, ids: Sequence[str]) -> dict[str, int]:
        """The codes of the given entities after the step. Entities that are out may be missing."""
        code, listed = identifier(f"s:{rule}"), ", ".join(map(literal, ids))
        found: dict[str, int] = {}
        if rule not in self.begins:
            before = f'SELECT "s id", {code} FROM {self.states} WHERE "s id" IN ({listed})'
            found = {id_: int(value or 0) for id_, value in engine.execute(before).fetchall()}
        after = f"SELECT id, {code} FROM {self.table} WHERE id IN ({listed})"
        return found | {id_: int(value or 0) for id_, value in engine.execute(after).fetchall()}


def stored_types(columns: Sequence[StateColumns], memory: Sequence[Remembered]) -> dict[str, str]:
    """The columns of a state file, with their types."""
    found: dict[str, str] = {}
    for one in columns:
        found |= one.types
    for kept in memory:
        found |= kept.types
    return found
