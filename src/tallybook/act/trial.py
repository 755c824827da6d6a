"""Tries out a rule: who would enter now or would have entered, day by day with the values of that day, through the same
steps and caps as an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace as with_changes

from tallybook.act.caps import CapsContext, decide, rank
from tallybook.act.memory import memory_of, with_memory
from tallybook.act.people import People
from tallybook.act.showing import firing_dict
from tallybook.act.state import INSIDE, OUT, UNDECIDED, UNKNOWN_IN, UNKNOWN_OUT
from tallybook.act.stepping import KindStep, names_of_rule
from tallybook.core import ENTER, ONE_DAY, SUBJECT_BOOK, QueryError, Rule, calendar
from tallybook.query import Subjects, SubjectsQuestion, load_subjects
from tallybook.storage import FIRED, WAITING, Firing, identifier

if TYPE_CHECKING:
    import duckdb

    from tallybook.act.evaluate import RuleEvaluator

WEEK = "7 days"


@dataclass(kw_only=True)
class RuleTrial:
    """The result of a trial: what a rule would have done over some days, and who is inside at the end."""

    rule: str
    first: date
    last: date
    inside: list[str] = field(default_factory=list)
    entered: list[Firing] = field(default_factory=list)
    """Every entry that the caps let through, including entries that wait or are in the holdout group."""
    stopped: dict[str, int] = field(default_factory=dict)
    """By reason, how many entries the caps stopped."""
    unknown: dict[date, str] = field(default_factory=dict)
    """By day of evaluation, why the condition was unknown for every entity."""

    @property
    def fired(self) -> list[Firing]:
        return [one for one in self.entered if one.state == FIRED and one.edge == ENTER]

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "first": str(self.first),
            "last": str(self.last),
            "inside": self.inside,
            "fired": len(self.fired),
            "firings": [firing_dict(one) for one in self.entered],
            "stopped": self.stopped,
            "unknown": {str(day): why for day, why in self.unknown.items()},
        }


def try_rule(evaluator: RuleEvaluator, rule: Rule, *, over: str | None) -> RuleTrial:
    """Try a rule over a span of days that ends today. The rule starts on the first day, so entities that are inside
    then do not enter. For the other rules, only firings that really happened count."""
    if not evaluator.reader.has_book:
        raise QueryError("nothing is collected yet", hint="tallybook run")
    return _Trial(evaluator, with_changes(rule, draft=False), (over or WEEK).removeprefix("last ")).run()


class _Trial:
    """A trial in progress."""

    def __init__(self, evaluator: RuleEvaluator, rule: Rule, span: str) -> None:
        self.evaluator, self.rule = evaluator, rule
        self.zone, self.today = evaluator.catalog.book.timezone, evaluator.reader.today
        try:
            first, _ = calendar.last_span(span, self.today)
        except (ValueError, OverflowError) as error:
            raise QueryError(f"--over {span!r} is not a span of time", hint=f"--over '90 days' ({error})") from None
        self.found = RuleTrial(rule=rule.name, first=first, last=self.today)
        self.names = {rule.name: names_of_rule(evaluator.catalog, rule)}
        self.firings: list[Firing] = []
        self.others = [one for one in evaluator.ledger.firings(kind=rule.kind) if one.rule != rule.name]

    def run(self) -> RuleTrial:
        with self.evaluator.reader.reading() as reading:
            engine = reading.engine
            states = ""
            for instant in self.instants():
                states = self.step(engine, instant, states)
            if states:
                code = identifier(f"s:{self.rule.name}")
                asked = f'SELECT "s id" FROM {states} WHERE {code} IN ({INSIDE}, {UNKNOWN_IN}) ORDER BY "s id"'
                inside = [id_ for (id_,) in engine.execute(asked).fetchall()]
                people = People.of(self.evaluator.ledger, self.rule.kind, inside)
                # Of several ids of one person only the user is named.
                self.found.inside = [id_ for id_ in inside if people.user(id_) == id_ or people.user(id_) not in inside]
        self.found.entered = self.firings
        return self.found

    def instants(self) -> list[datetime]:
        """The instants at which rules were evaluated; midnight for days without an evaluation. The last one is now."""
        begin = calendar.start_of(self.found.first, self.zone)
        by_day: dict[date, list[datetime]] = {}
        for at, _, report in self.evaluator.ledger.evaluations(begin):
            if report.get("whole", True):
                by_day.setdefault(calendar.day_of(at, self.zone), []).append(at)
        now = self.evaluator.reader.now
        found = []
        day = self.found.first
        while day <= self.today:
            found += [at for at in by_day.get(day, [calendar.start_of(day, self.zone)]) if at < now]
            day += ONE_DAY
        return [*found, now]

    def step(self, engine: duckdb.DuckDBPyConnection, now: datetime, states: str) -> str:
        """Run one evaluation. Returns the relation of the states after it."""
        names = self.names[self.rule.name]
        question = SubjectsQuestion(
            kind=self.rule.kind, names=names.attributes, earlier=names.earlier, now=now, as_of=True
        )
        subjects = load_subjects(self.evaluator.service, engine, question)
        if not states and self.rule.kind != SUBJECT_BOOK:
            there = engine.execute(f"SELECT EXISTS (FROM {subjects.sql} e)").fetchall()[0][0]
            if not there:
                self.found.unknown[calendar.day_of(now, self.zone)] = f"no {self.rule.kind} are known then"
                return ""
        memory = memory_of(subjects, [names])
        step = KindStep(
            subjects=with_memory(subjects, memory),
            rules=[self.rule],
            names=self.names,
            begins=frozenset() if states else frozenset([self.rule.name]),
            states=states or "tried_nothing",
            memory=memory,
            now=now,
            is_whole=True,
        )
        step.compile()
        if not states:
            columns = ", ".join(f"{identifier(name)} {type_}" for name, type_ in step.stored_types.items())
            engine.execute(f'CREATE OR REPLACE TEMP TABLE tried_nothing ("s id" VARCHAR, {columns})').fetchall()
        step.run(engine)
        self.note(subjects, now)
        self.decide(engine, step, now)
        return self.after(engine, step, states)

    def after(self, engine: duckdb.DuckDBPyConnection, step: KindStep, states: str) -> str:
        names = ", ".join(identifier(name) for name in step.stored_types)
        select = f'SELECT id AS "s id", {names} FROM {step.table}'
        if states:
            select += f' UNION ALL SELECT "s id", {names} FROM {states} b ANTI JOIN {step.table} t ON t.id = b."s id"'
        engine.execute(f"CREATE OR REPLACE TEMP TABLE tried_next AS {select}").fetchall()
        engine.execute("CREATE OR REPLACE TEMP TABLE tried_states AS FROM tried_next").fetchall()
        return "tried_states"

    def note(self, subjects: Subjects, now: datetime) -> None:
        named = self.names[self.rule.name].conditions
        whys = [f"{name}: {why}" for name, why in subjects.whys.items() if name.casefold() in named]
        if whys:
            self.found.unknown[calendar.day_of(now, self.zone)] = "; ".join(whys)

    def is_before(self, other: Firing, now: datetime) -> bool:
        """Whether the firing of another rule was decided before this rule's turn, also within the same evaluation."""
        at = datetime.fromisoformat(other.at)
        rules = self.evaluator.catalog.rules
        if at != now or other.rule not in rules:
            return at <= now
        order = list(rules)
        own, its = ((-rank(rules[name]), order.index(name)) for name in (self.rule.name, other.rule))
        return its < own

    def decide(self, engine: duckdb.DuckDBPyConnection, step: KindStep, now: datetime) -> None:
        """Apply the caps as an evaluation does."""
        past: dict[tuple[str, str], list[Firing]] = {}
        edges, waiting = list(step.edges(engine)), [one for one in self.firings if one.state == WAITING]
        entities = [*(one.entity for one in edges), *(one.entity for one in waiting)]
        people = People.of(self.evaluator.ledger, self.rule.kind, entities)
        others = [one for one in self.others if self.is_before(one, now)]
        for one in [*others, *self.firings]:
            past.setdefault((one.kind, people.user(one.entity)), []).append(one)

        def is_inside(one: Firing) -> bool | None:
            if not step.names[one.rule].lasts:
                return True
            code = step.codes(engine, one.rule, [one.entity]).get(one.entity, OUT)
            return None if code in (UNKNOWN_IN, UNKNOWN_OUT, UNDECIDED) else code == INSIDE

        context = CapsContext(
            rules={self.rule.name: self.rule},
            past=past,
            users={alias: one.canonical for alias, one in people.links.items()},
            waiting=waiting,
            is_inside=is_inside,
            now=now,
            day=step.subjects.day,
            zone=self.zone,
        )
        found = decide(edges, context)
        settled = {(one.entity, one.number): one for one in found.settled}
        self.firings = [settled.get((one.entity, one.number), one) for one in self.firings]
        number = len(self.firings)
        self.firings += [replace(one, number=number + place) for place, one in enumerate(found.firings, 1)]
        for collision in found.collisions:
            self.found.stopped[collision.why] = self.found.stopped.get(collision.why, 0) + 1
