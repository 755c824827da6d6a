"""Shows the state of rules: states, firings, collisions, and why an entity is in its state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tallybook.act.caps import in_holdout
from tallybook.act.known_rules import is_condition_of
from tallybook.act.people import People, ended_ids
from tallybook.act.state import HOLDING, INSIDE, OUT, STATE_NAMES, UNDECIDED, UNKNOWN_IN, UNKNOWN_OUT
from tallybook.act.state_files import read_states
from tallybook.act.state_sql import StateColumns
from tallybook.act.stepping import names_of_rule
from tallybook.config import compile_condition
from tallybook.core import SUBJECT_BOOK, QueryError, Rule
from tallybook.query import SubjectsQuestion, load_subjects, shown_column
from tallybook.storage import FIRED, HOLDOUT, WAITING, Collision, Firing, identifier, literal

if TYPE_CHECKING:
    import duckdb

    from tallybook.act.evaluate import RuleEvaluator

SHOWN = 20
"""Maximum number of firings shown for a rule."""


@dataclass(frozen=True, kw_only=True)
class RuleLine:
    """A rule in a list. `status`: draft, not evaluated yet, changed, or live."""

    rule: str
    for_: str
    status: str
    inside: int = 0
    unknown: int = 0
    held: int = 0
    fired: int = 0
    waiting: int = 0
    last: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {name.rstrip("_"): value for name, value in vars(self).items()}


@dataclass(frozen=True, kw_only=True)
class RuleDetails:
    """A rule with its latest firings, newest first."""

    line: RuleLine
    when: str
    leave: str | None
    firings: list[Firing]
    collisions: Mapping[str, int]
    """By reason, how many entries did not lead to a firing."""

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.line.to_dict(),
            "when": self.when,
            "leave": self.leave,
            "firings": [firing_dict(one) for one in self.firings],
            "collisions": dict(self.collisions),
        }


@dataclass(frozen=True, kw_only=True)
class RuleOfEntity:
    """A rule and one entity: its state, the current outcome of the condition, the values, and its firings."""

    rule: str
    entity: str
    state: str
    outcome: str
    """The current outcome of the condition: true, false or unknown."""
    values: Mapping[str, Any]
    whys: Mapping[str, str] = field(default_factory=dict)
    """By attribute, why its value is unknown."""
    is_holdout: bool = False
    firings: list[Firing] = field(default_factory=list)
    collisions: list[Collision] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "entity": self.entity,
            "state": self.state,
            "condition": self.outcome,
            "values": dict(self.values),
            "why": dict(self.whys),
            "holdout": self.is_holdout,
            "firings": [firing_dict(one) for one in self.firings],
            "collisions": [vars(one) for one in self.collisions],
        }


@dataclass(frozen=True, kw_only=True)
class InsideRules:
    """Users or accounts inside rules. `entities` is the number of entities inside at least one rule."""

    entities: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    """By rule, how many entities are inside. Drafts and rules that were never evaluated are left out."""
    rules_of: Mapping[str, list[str]] = field(default_factory=dict)
    """By requested id, the rules that the entity is inside."""


def firing_dict(one: Firing) -> dict[str, Any]:
    """A firing as JSON."""
    found = {"rule": one.rule, "entity": one.entity, "edge": one.edge, "at": one.at, "day": str(one.day)}
    found |= {"state": one.state}
    more = {"why": one.why or None, "due": one.due, "restated": one.restated}
    return {**found, "values": dict(one.values), **{name: value for name, value in more.items() if value is not None}}


class Showing:
    """Answers questions about the rules of a book."""

    def __init__(self, evaluator: RuleEvaluator) -> None:
        self.evaluator, self.catalog, self.reader = evaluator, evaluator.catalog, evaluator.reader

    def lines(self) -> list[RuleLine]:
        """All rules in the order of the file."""
        if not self.reader.has_book:
            return [
                RuleLine(rule=one.name, for_=one.for_, status=_status(one, None)) for one in self.catalog.rules.values()
            ]
        counts = self.counts()
        firings = self.evaluator.ledger.firings()
        return [self.line(rule, counts.get(rule.name, Counter()), firings) for rule in self.catalog.rules.values()]

    def line(self, rule: Rule, codes: Counter[int], firings: list[Firing]) -> RuleLine:
        own = [one for one in firings if one.rule == rule.name]
        known = self.evaluator.ledger.snapshot().rules.get(rule.name)
        return RuleLine(
            rule=rule.name,
            for_=rule.for_,
            status=_status(rule, known.definition if known else None),
            inside=codes[INSIDE] + codes[UNKNOWN_IN],
            unknown=codes[UNKNOWN_IN] + codes[UNKNOWN_OUT] + codes[UNDECIDED],
            held=codes[HOLDING],
            fired=sum(one.state == FIRED for one in own),
            waiting=sum(one.state == WAITING for one in own),
            last=max((one.at for one in own if one.state in (FIRED, HOLDOUT)), default=None),
        )

    def counts(self) -> dict[str, Counter[int]]:
        """By rule, how many entities have each state code except out."""
        before = self.evaluator.ledger.snapshot()
        found: dict[str, Counter[int]] = {}
        with self.reader.reading() as reading:
            for kind in {rule.kind for rule in self.catalog.rules.values()}:
                rules = [r for r in self.catalog.rules.values() if r.kind == kind and r.name in before.rules]
                relation = self.states(reading.engine, kind, rules)
                for rule in rules:
                    code = identifier(f"s:{rule.name}")
                    asked = f"SELECT {code}, count(*) FROM {relation} WHERE {code} <> {OUT} GROUP BY 1"
                    rows = reading.engine.execute(asked).fetchall()
                    found[rule.name] = Counter({int(value): number for value, number in rows})
        return found

    def states(self, engine: duckdb.DuckDBPyConnection, kind: str, rules: list[Rule]) -> str:
        """The stored states of some rules as a relation."""
        ledger = self.evaluator.ledger
        wanted = {name: t for rule in rules for name, t in StateColumns(rule=rule.name, holds=False).types.items()}
        return read_states(engine, ledger, ledger.snapshot().files.get(kind, ()), wanted, kind=kind).relation

    def inside(self, kind: str, ids: Sequence[str] = ()) -> InsideRules:
        """How many entities of a kind are inside the rules, and which rules the given ids are inside."""
        if not self.reader.has_book:
            return InsideRules()
        before = self.evaluator.ledger.snapshot()
        rules = [
            one
            for one in self.catalog.rules.values()
            if one.kind == kind and not one.draft and one.name in before.rules
        ]
        if not rules:
            return InsideRules()
        flags = [f"coalesce({identifier(f's:{one.name}')} IN ({INSIDE}, {UNKNOWN_IN}), FALSE)" for one in rules]
        with self.reader.reading() as reading:
            relation = self.states(reading.engine, kind, rules)
            counted = ", ".join(f"count(*) FILTER ({flag})" for flag in [f"({' OR '.join(flags)})", *flags])
            entities, *counts = reading.engine.execute(f"SELECT {counted} FROM {relation}").fetchall()[0]
            asked = f'SELECT "s id", {", ".join(flags)} FROM {relation} WHERE "s id" IN (SELECT unnest(?))'
            rows = reading.engine.execute(asked, [list(ids)]).fetchall() if ids else []
        names = [one.name for one in rules]
        return InsideRules(
            entities=entities,
            counts=dict(zip(names, counts, strict=True)),
            rules_of={id_: [name for name, is_in in zip(names, found, strict=True) if is_in] for id_, *found in rows},
        )

    def details(self, rule: Rule) -> RuleDetails:
        line = next(one for one in self.lines() if one.rule == rule.name)
        firings, collisions = [], []
        if self.reader.has_book:
            firings = self.evaluator.ledger.firings(rule.name)
            collisions = self.evaluator.ledger.collisions(rule.name)
        return RuleDetails(
            line=line,
            when=rule.when,
            leave=rule.leave,
            firings=firings[::-1][:SHOWN],
            collisions=Counter(one.why for one in collisions),
        )

    def entity(self, rule: Rule, entity: str) -> RuleOfEntity:
        """The state of one entity in a rule. Raises QueryError if the entity does not exist."""
        if not self.reader.has_book:
            raise QueryError("nothing is collected yet", hint="tallybook run")
        names = names_of_rule(self.catalog, rule)
        people = People.of(self.evaluator.ledger, rule.kind, [entity])
        question = SubjectsQuestion(
            kind=rule.kind,
            names=names.attributes,
            earlier=[pair for pair in names.earlier if pair[1]],
            now=self.reader.now,
            ids=None if rule.kind == SUBJECT_BOOK else people.every_id([entity]),
        )
        with self.reader.reading() as reading:
            subjects = load_subjects(self.evaluator.service, reading.engine, question)
            if entity in ended_ids(reading.engine, people.links, subjects):
                entity = people.user(entity)
            folded = {name.casefold(): name for name in subjects.columns}
            shown = [folded[name] for name in names.attributes if name in folded]
            columns = [shown_column(name, subjects.columns[name]) for name in shown]
            flags = [subjects.columns[name].known or "TRUE" for name in shown]
            asked = ", ".join(["id", *columns, *flags])
            rows = reading.engine.execute(
                f"SELECT {asked} FROM {subjects.sql} e WHERE id = {literal(entity)}"
            ).fetchall()
            if not rows:
                raise QueryError(
                    f"there is no {rule.for_} {entity!r}", hint=f"`tallybook {rule.kind} list` shows their ids"
                )
            _, *row = rows[0]
            outcome = self.outcome(reading.engine, rule, subjects, entity) if names.lasts else "only at an evaluation"
            state = self.state(reading.engine, rule, entity)
        values = dict(zip(shown, row[: len(shown)], strict=True))
        unknown = [name for name, is_known in zip(shown, row[len(shown) :], strict=True) if not is_known]
        whys = {name: subjects.whys.get(name, "it was not read yet for this one") for name in unknown}
        ledger = self.evaluator.ledger
        return RuleOfEntity(
            rule=rule.name,
            entity=entity,
            state=state,
            outcome=outcome,
            values=values,
            whys=whys,
            is_holdout=in_holdout(rule, entity),
            firings=[one for one in people.firings(ledger, rule.kind, [entity]) if one.rule == rule.name],
            collisions=[one for id_ in people.every_id([entity]) for one in ledger.collisions(rule.name, entity=id_)],
        )

    def outcome(self, engine: duckdb.DuckDBPyConnection, rule: Rule, subjects: Any, entity: str) -> str:
        now = f"TIMESTAMPTZ {literal(self.reader.now.isoformat())}"
        condition = compile_condition(rule.when, subjects.columns, now=now, earlier=subjects.earlier_column)
        outcomes = f"{condition.true}, {condition.unknown or 'FALSE'}"
        asked = f"SELECT {outcomes} FROM {subjects.sql} e WHERE id = {literal(entity)}"
        true, unknown = engine.execute(asked).fetchall()[0]
        return "unknown" if unknown else "true" if true else "false"

    def state(self, engine: duckdb.DuckDBPyConnection, rule: Rule, entity: str) -> str:
        if rule.name not in self.evaluator.ledger.snapshot().rules:
            return "not evaluated yet"
        relation = self.states(engine, rule.kind, [rule])
        code = identifier(f"s:{rule.name}")
        rows = engine.execute(f'SELECT {code} FROM {relation} WHERE "s id" = {literal(entity)}').fetchall()
        return STATE_NAMES[int(rows[0][0] or 0) if rows else OUT]


def _status(rule: Rule, definition: str | None) -> str:
    if rule.draft:
        return "draft"
    if definition is None:
        return "not evaluated yet"
    return "live" if is_condition_of(rule, definition) else "changed"
