"""Evaluates all rules over the current entities, with one pass per kind and one ledger transaction.

It is safe to run twice and to kill: state files are written first, then one transaction records them, the firings and
the outbox items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tallybook.act.caps import CapsContext, Decisions, Edge, decide
from tallybook.act.known_rules import KNOWN, NEW, stage_of, written_definition
from tallybook.act.memory import memory_of, with_memory
from tallybook.act.people import People, ended_ids, merge_states, with_linked_ids
from tallybook.act.restated import restated_firings
from tallybook.act.state import INSIDE, UNDECIDED, UNKNOWN_IN, UNKNOWN_OUT
from tallybook.act.state_files import StoredStates, read_states
from tallybook.act.state_sql import StateColumns, StepSql
from tallybook.act.state_writing import write_step
from tallybook.act.stepping import KindStep, RuleNames, names_of_rule, stored_types
from tallybook.core import (
    ENTER,
    LEAVE,
    ONE_DAY,
    SUBJECT_BOOK,
    USERS,
    Busy,
    Rule,
    RuleReport,
    RulesReport,
    TallybookError,
    calendar,
    isolated,
)
from tallybook.query import IS_GONE, QueryService, Subjects, SubjectsQuestion, load_subjects
from tallybook.storage import (
    FIRED,
    RULES_JOB,
    WAITING,
    EntityLedger,
    Firing,
    KnownRule,
    Lease,
    RuleLedger,
    RulesCommit,
    RulesSnapshot,
    firings_until,
    identifier,
)

if TYPE_CHECKING:
    import duckdb

COMMITS = "commits"
"""Key of the report. By kind, the last commit of users and accounts that the evaluations have seen."""
LEASE_SECONDS = 300.0
KEPT_FILES = timedelta(hours=1)
"""Replaced state files are deleted after this time, because a reader may still have them open."""


Enqueue = Callable[[Decisions, RulesCommit, int, datetime], None]
"""Adds the outbox items for decisions, and new actions, to the commit of an evaluation, given its number and time."""


class RuleEvaluator:
    """Evaluates the rules of a book. `enqueue` adds outbox items to the transaction of an evaluation."""

    def __init__(self, service: QueryService, clock: Callable[[], datetime], enqueue: Enqueue | None = None) -> None:
        self.service, self.clock, self.enqueue = service, clock, enqueue
        self.catalog, self.reader = service.catalog, service.reader

    @property
    def ledger(self) -> RuleLedger:
        store = self.reader.store
        return RuleLedger(store.ledger, store.files)

    def evaluate(
        self, *, kind: str | None = None, ids: Sequence[str] | None = None, commit: int | None = None
    ) -> RulesReport:
        """Evaluate all rules, or those of a kind for some ids; with `commit`, for all ids that changed up to this
        commit of users and accounts. Raises Busy while another process evaluates."""
        if not self.reader.has_book or not (self.catalog.rules or self.ledger.snapshot().rules):
            return RulesReport()
        with self.leased() as lease:
            return _Evaluation(self, lease, kind=kind, ids=ids, commit=commit).run()

    def release(self, name: str) -> RulesReport:
        """Fire for the entities that wait for a release of the rule and are still inside."""
        with self.leased() as lease:
            return _Evaluation(self, lease, released=name).run()

    @contextmanager
    def leased(self) -> Iterator[Lease]:
        ledger = self.reader.store.ledger
        try:
            lease = ledger.acquire(RULES_JOB, now=self.clock(), seconds=LEASE_SECONDS)
        except Busy as busy:
            raise Busy("another process evaluates the rules of this book", hint=busy.hint) from None
        try:
            yield lease
        finally:
            ledger.release(lease)


@dataclass(kw_only=True)
class _KindResult:
    """The result of one kind after its step: the edges, and access to the states."""

    edges: list[Edge]
    step: KindStep
    engine: duckdb.DuckDBPyConnection


class _Evaluation:
    """One evaluation in progress."""

    def __init__(
        self,
        evaluator: RuleEvaluator,
        lease: Lease,
        *,
        kind: str | None = None,
        ids: Sequence[str] | None = None,
        commit: int | None = None,
        released: str | None = None,
    ) -> None:
        self.evaluator, self.lease, self.released = evaluator, lease, released
        self.service, self.catalog, self.ledger = evaluator.service, evaluator.catalog, evaluator.ledger
        self.now = evaluator.clock()
        self.day = calendar.day_of(self.now, self.catalog.book.timezone) - ONE_DAY
        self.only = kind
        self.report = RulesReport()
        self.before: RulesSnapshot = self.ledger.snapshot()
        self.seen = commit if ids is not None else EntityLedger(self.ledger.ledger).number()
        # Only a full evaluation compares firings with a new version of the book.
        version = evaluator.reader.version if ids is None else self.before.version
        self.change = RulesCommit(day=self.day, version=version)
        self.change.contents = self.ledger.files.contents
        self.results: dict[str, _KindResult] = {}
        self.waiting = [one for one in self.believed(self.ledger.firings(state=WAITING)) if kind in (None, one.kind)]
        self.ids = ids if kind != USERS or ids is None else with_linked_ids(self.ledger, ids, self.waiting)

    def run(self) -> RulesReport:
        done = False
        try:
            with self.evaluator.reader.reading() as reading:
                for kind in self.kinds():
                    self.evaluate_kind(reading.engine, kind)
                decisions = self.decide()
                if self.ids is None:
                    self.change.restated = restated_firings(self.service, reading.engine, self.ledger, self.before)
            self.collect(decisions)
            self.commit(decisions)
            done = True
        finally:
            if not done:
                for file in self.change.files:
                    self.ledger.files.delete(file.stored)
        self.clean()
        return self.report

    def kinds(self) -> list[str]:
        """The kinds that have rules now or had rules in the last evaluation."""
        known = [*(rule.kind for rule in self.catalog.rules.values()), *(r.kind for r in self.before.rules.values())]
        return [kind for kind in dict.fromkeys(known) if self.only in (None, kind)]

    # -- one kind

    def evaluate_kind(self, engine: duckdb.DuckDBPyConnection, kind: str) -> None:
        names = {n: names_of_rule(self.catalog, rule) for n, rule in self.catalog.rules.items() if rule.kind == kind}
        rules = [rule for rule in self.catalog.rules.values() if rule.kind == kind]
        gone = [one.rule for one in self.before.rules.values() if one.kind == kind and one.rule not in names]
        definitions = {rule.name: written_definition(self.catalog, rule, names[rule.name]) for rule in rules}
        known = self.before.rules
        stages = {rule.name: stage_of(rule, known.get(rule.name), definitions[rule.name]) for rule in rules}
        if self.ids is not None:
            rules, gone = [rule for rule in rules if stages[rule.name] == KNOWN], []
        if not rules and not gone:
            return
        if kind != SUBJECT_BOOK and kind not in self.catalog.entities:
            # Its rules were removed together with the declaration of the kind.
            self.change.gone += gone
            self.change.removed += [file.path for file in self.before.files.get(kind, ())]
            return
        subjects = load_subjects(self.service, engine, self.question(kind, [names[rule.name] for rule in rules]))
        if self.ids is None and kind != SUBJECT_BOOK and not self.has_subjects(engine, subjects):
            # For a new rule, it is not known yet who is inside.
            rules = [rule for rule in rules if stages[rule.name] == KNOWN]
        step, states = self.prepared(engine, subjects, rules, names, stages)
        if states.lost and self.ids is not None:
            return  # the next full evaluation starts from nothing
        changed = step.run(engine)
        self.note(step, states)
        edges = step.edges(engine, self.ledger.inside) if changed else ()
        self.results[kind] = _KindResult(edges=list(edges), step=step, engine=engine)
        self.write(engine, step, changed, has_gone=bool(gone))
        self.change.gone += gone
        written = {name: one.definition for name, one in known.items()} if self.ids is None else definitions
        self.change.rules += [
            KnownRule(rule=one.name, kind=kind, definition=definitions[one.name], number=0)
            for one in step.rules
            if one.name in step.begins or written[one.name] != definitions[one.name]
        ]

    def question(self, kind: str, names: Sequence[RuleNames]) -> SubjectsQuestion:
        return SubjectsQuestion(
            kind=kind,
            names=list(dict.fromkeys(name for one in names for name in one.attributes)),
            earlier=list(dict.fromkeys(pair for one in names for pair in one.earlier)),
            now=self.now,
            ids=self.ids,
        )

    def has_subjects(self, engine: duckdb.DuckDBPyConnection, subjects: Subjects) -> bool:
        return bool(engine.execute(f"SELECT EXISTS (FROM {subjects.sql} e)").fetchall()[0][0])

    def prepared(
        self,
        engine: duckdb.DuckDBPyConnection,
        subjects: Subjects,
        rules: Sequence[Rule],
        names: Mapping[str, RuleNames],
        stages: Mapping[str, str],
    ) -> tuple[KindStep, StoredStates]:
        """The compiled step of a kind, with the stored states. A rule whose condition does not fit the types keeps its
        states."""
        sound = self.sound(rules, subjects, names)
        self.change.gone += [rule.name for rule in rules if rule.name not in sound and rule.name in self.before.rules]
        rules = [rule for rule in rules if rule.name in sound]
        begins = frozenset(rule.name for rule in rules if stages[rule.name] != KNOWN)
        memory = memory_of(subjects, [names[rule.name] for rule in rules])
        subjects = with_memory(subjects, memory)
        files = self.before.files.get(subjects.kind, ())
        columns = [StateColumns(rule=rule.name, holds=bool(rule.hold)) for rule in rules]
        types, some = stored_types(columns, memory), self.some_ids(engine, subjects)
        states = read_states(
            engine, self.ledger, files, types, kind=subjects.kind, some=some, with_others=self.ids is not None
        )
        if states.lost:
            self.report.notes.append(f"the states of rules are lost, so every rule begins again: {states.lost}")
            begins = frozenset(rule.name for rule in rules)
        linked = merge_states(engine, self.ledger, states.relation, {**types, **states.others}, subjects)
        gone = f"SELECT EXISTS (FROM {subjects.sql} e WHERE {identifier(IS_GONE)})"
        step = KindStep(
            subjects=subjects,
            rules=rules,
            names=names,
            begins=begins,
            states=states.relation,
            memory=memory,
            now=self.now,
            is_whole=bool(begins) or not files,
            some_gone=bool(engine.execute(gone).fetchall()[0][0]),
            restarts=frozenset(name for name in begins if stages[name] != NEW),
            others=states.others,
            linked=linked,
        )
        step.compile(sound)
        return step, states

    def some_ids(self, engine: duckdb.DuckDBPyConnection, subjects: Subjects) -> str:
        """The name of a table with the ids to evaluate, including those of waiting firings; empty text for all."""
        if self.ids is None:
            return ""
        waiting = [*self.ids, *(one.entity for one in self.waiting if one.kind == subjects.kind)]
        engine.execute(
            "CREATE OR REPLACE TEMP TABLE touched_ids AS "
            f"SELECT id FROM {subjects.sql} e UNION SELECT unnest(?::VARCHAR[])",
            [waiting],
        ).fetchall()
        return "touched_ids"

    def sound(self, rules: Sequence[Rule], subjects: Subjects, names: Mapping[str, RuleNames]) -> dict[str, StepSql]:
        """The compiled rules that can be evaluated. The other rules are reported and keep their states."""
        sound: dict[str, StepSql] = {}
        for rule in rules:
            report = self.report.rules.setdefault(rule.name, RuleReport(rule=rule.name))
            trial = KindStep(
                subjects=with_memory(subjects, memory_of(subjects, [names[rule.name]])),
                rules=[rule],
                names=names,
                begins=frozenset(),
                states="s",
                memory=(),
                now=self.now,
                is_whole=False,
            )
            try:
                with isolated():
                    trial.compile()
                sound[rule.name] = trial.steps[0]
            except TallybookError as error:
                report.error, report.hint = error.message, error.hint
        return sound

    def note(self, step: KindStep, states: StoredStates) -> None:
        """Report the conditions that are unknown for every entity, with the reasons."""
        whys = {name.casefold(): why for name, why in step.subjects.whys.items()}
        for rule in step.rules:
            report = self.report.rules[rule.name]
            report.is_new = rule.name in step.begins
            names = step.names[rule.name]
            asked = [name for name in names.attributes if name in names.conditions]
            named = [f"{name} is unknown: {whys[name]}" for name in asked if name in whys]
            report.unknown = "; ".join(named)

    def write(self, engine: duckdb.DuckDBPyConnection, step: KindStep, changed: int, *, has_gone: bool) -> None:
        """Write the states after the step: all of them, or only the changed ones as one more file."""
        files = self.before.files.get(step.subjects.kind, ())
        written, replaced = write_step(
            engine, self.ledger, step, files, changed=changed, has_gone=has_gone, is_partial=self.ids is not None
        )
        self.change.files += written
        self.change.removed += replaced

    # -- decisions

    def decide(self) -> Decisions:
        edges = [one for result in self.results.values() for one in result.edges]
        waiting = self.waiting
        if self.released is not None:
            waiting = [
                replace(one, due="0000") if one.rule == self.released and one.due is None else one for one in waiting
            ]
        past: dict[tuple[str, str], list[Firing]] = {}
        people, ended = People(), frozenset[str]()
        for kind, result in self.results.items():
            entities = [e.entity for e in edges if e.rule.kind == kind] + [w.entity for w in waiting if w.kind == kind]
            some = People.of(self.ledger, kind, entities)
            if kind == USERS:
                people, ended = some, ended_ids(result.engine, some.links, result.step.subjects)
            for one in self.believed(some.firings(self.ledger, kind, entities)):
                past.setdefault((kind, some.user(one.entity)), []).append(one)
        context = CapsContext(
            rules=self.catalog.rules,
            past=past,
            users={alias: one.canonical for alias, one in people.links.items()},
            ended=ended,
            waiting=waiting,
            is_inside=self.is_inside,
            now=self.now,
            day=self.day,
            zone=self.catalog.book.timezone,
        )
        return decide(edges, context)

    def believed(self, firings: Sequence[Firing]) -> list[Firing]:
        return firings_until(self.ledger.ledger, firings, self.now, self.catalog.book.timezone)

    def is_inside(self, firing: Firing) -> bool | None:
        """Whether the entity of a waiting firing is still inside; None if unknown. A condition that is true only for
        one evaluation counts as still true."""
        result = self.results.get(firing.kind)
        if result is None or firing.rule not in [rule.name for rule in result.step.rules]:
            return None
        if not result.step.names[firing.rule].lasts:
            return True
        code = result.step.codes(result.engine, firing.rule, [firing.entity]).get(firing.entity, 0)
        return None if code in (UNKNOWN_IN, UNKNOWN_OUT, UNDECIDED) else code == INSIDE

    def collect(self, decisions: Decisions) -> None:
        """Add the decisions to the commit and the report."""
        change = self.change
        change.firings, change.settled, change.collisions = decisions.firings, decisions.settled, decisions.collisions
        for result in self.results.values():
            for edge in result.edges:
                report = self.report.rules[edge.rule.name]
                report.entered += edge.edge == ENTER
                report.left += edge.edge == LEAVE
        for one in (*decisions.firings, *decisions.settled):
            report = self.report.rules.setdefault(one.rule, RuleReport(rule=one.rule))
            report.fired += one.state == FIRED
            report.waiting += one.state == WAITING
        for name, number in decisions.storms.items():
            self.report.notes.append(f"rule {name}: {number} entered at once and wait: tallybook rules release {name}")

    def commit(self, decisions: Decisions) -> None:
        change = self.change
        if self.evaluator.enqueue is not None:
            self.evaluator.enqueue(decisions, change, self.before.number + 1, self.now)
        touched = self.ids is not None or self.released is not None
        nothing = not (change.files or change.firings or change.settled or change.collisions or change.restated)
        if touched and nothing:
            return
        change.report = {"whole": not touched, COMMITS: self.commits(), **self.report.to_dict()}
        self.report.number = self.ledger.commit(self.before.number, change, lease=self.lease, now=self.now)

    def commits(self) -> dict[str, int]:
        """By kind, the last commit of users and accounts that the evaluations have seen, including this evaluation."""
        found: dict[str, int] = dict(self.ledger.last_report().get(COMMITS, {}))
        kinds = self.catalog.entities if self.only is None else [self.only]
        return found | (dict.fromkeys(kinds, self.seen) if self.seen is not None else {})

    def clean(self) -> None:
        if self.ids is None:
            self.ledger.forget_files(self.now - KEPT_FILES)
            self.ledger.forget_evaluations(self.now)
