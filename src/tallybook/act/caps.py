"""Decides which entries into rules lead to an action: caps, priorities, quiet hours, storms and the holdout. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from tallybook.core import ENTER, EVER, EVERY_TIME, LEAVE, USERS, OncePer, QuietHours, Rule, calendar
from tallybook.storage import DROPPED, FIRED, HOLDOUT, WAITING, Collision, Firing, stamp_of

PRIORITY, COOL_DOWN, ONCE, RESTATED = "priority", "cool_down", "once", "restated"
"""Reasons why a rule did not fire for an entity."""
RULE_CHANGED = "the rule was changed"
"""Why an entity left. Nobody is called for it; only messages, attributes and rows follow."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """An entity that has entered or left a rule, with the values of the attributes that the rule names."""

    rule: Rule
    entity: str
    edge: str
    values: Mapping[str, Any]
    has_metrics: bool = False
    """Whether a condition of the rule names a metric."""
    is_of_change: bool = False
    """Whether it left because the rule was changed."""


@dataclass(frozen=True, kw_only=True)
class CapsContext:
    """The inputs of a decision besides the edges. `past` is in the order of evaluations. `is_inside` says whether the
    entity of a waiting firing is still inside."""

    rules: Mapping[str, Rule]
    past: Mapping[tuple[str, str], Sequence[Firing]]
    """Firings by (kind, entity)."""
    waiting: Sequence[Firing]
    is_inside: Callable[[Firing], bool | None]
    """Returns None if the current state is unknown."""
    now: datetime
    day: date
    zone: str
    users: Mapping[str, str] = field(default_factory=dict)
    """User ids that were linked, each with the id of its user. In `past`, the firings of a linked id are listed under
    its user."""
    ended: Collection[str] = ()
    """Linked ids that are no longer users of their own."""

    def person(self, kind: str, entity: str) -> tuple[str, str]:
        """The (kind, entity) under which the firings of an entity and its linked ids are counted together."""
        return kind, self.users.get(entity, entity) if kind == USERS else entity


@dataclass(kw_only=True)
class Decisions:
    """The decisions of one evaluation."""

    firings: list[Firing] = field(default_factory=list)
    settled: list[Firing] = field(default_factory=list)
    collisions: list[Collision] = field(default_factory=list)
    storms: dict[str, int] = field(default_factory=dict)
    """By rule, how many entities entered at once and now wait for a release."""
    restored: list[Firing] = field(default_factory=list)
    """Earlier firings that count again because the later leave was undone. Their attributes and rows are written again.
    """

    @property
    def done(self) -> list[Firing]:
        """The firings whose actions must be carried out now."""
        return [one for one in (*self.firings, *self.settled) if one.state == FIRED]


def decide(edges: Iterable[Edge], context: CapsContext) -> Decisions:
    """Decide for each edge and each waiting firing whether to act now."""
    return _Deciding(context).decide(list(edges))


def in_holdout(rule: Rule, entity: str) -> bool:
    """Whether an entity is in the holdout group, for which the rule takes no action. An entity never changes groups."""
    if not rule.holdout:
        return False
    digest = hashlib.sha256(f"{rule.name}\x00{entity}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < rule.holdout


class _Deciding:
    def __init__(self, context: CapsContext) -> None:
        self.context, self.now, self.found = context, context.now, Decisions()
        self.stamp = stamp_of(context.now)
        self.fired: dict[tuple[str, str], Firing] = {}
        """By person, the last firing of this evaluation that led to an action."""
        self.entered: set[tuple[str, tuple[str, str]]] = set()
        """The (rule, person) pairs that entered in this evaluation."""

    def decide(self, edges: Sequence[Edge]) -> Decisions:
        self.settle()
        entered: dict[str, list[Edge]] = {}
        for one in edges:
            if one.rule.draft:
                continue
            if one.edge == LEAVE:
                self.leave(one)
            elif self.is_new(one):
                entered.setdefault(one.rule.name, []).append(one)
        calm = [one for several in entered.values() for one in self.without_storms(several)]
        for one in self.winners(calm):
            self.fire(one)
        return self.found

    # -- waiting firings of earlier evaluations

    def settle(self) -> None:
        for one in self.context.waiting:
            rule = self.context.rules.get(one.rule)
            if rule is None:
                self.found.settled.append(replace(one, state=DROPPED, why="the rule is no longer declared"))
                continue
            if one.kind == USERS and one.entity in self.context.ended:
                self.move(rule, one)
                continue
            inside = self.context.is_inside(one)
            if inside is False:
                self.found.settled.append(replace(one, state=DROPPED, why="it has left the rule since"))
            elif inside and one.due is not None and one.due <= self.stamp:
                self.settled(rule, one)

    def settled(self, rule: Rule, one: Firing) -> None:
        """Settle a waiting firing whose wait is over: fire it, drop it, or let it wait for the end of quiet hours."""
        self.found.settled.append(self.no_longer_waiting(rule, one))

    def no_longer_waiting(self, rule: Rule, one: Firing) -> Firing:
        if (winner := self.cooling(rule, one.kind, one.entity)) is not None:
            return replace(one, state=DROPPED, why=f"cool-down after {winner.rule}")
        until = self.quiet_until(rule, one.values)
        if until is not None:
            return replace(one, due=until)
        done = replace(one, state=FIRED, at=self.stamp, due=None)
        self.fired[self.context.person(one.kind, one.entity)] = done
        return done

    def move(self, rule: Rule, one: Firing) -> None:
        """Move the waiting firing of an ended id to the user that the id was linked to, unless that user has already
        fired."""
        person = self.context.person(one.kind, one.entity)
        self.found.settled.append(replace(one, state=DROPPED, why=f"linked to {person[1]}"))
        others = [past for past in self.context.past.get(person, ()) if past.rule == one.rule and counts(past)]
        others = [past for past in others if (past.entity, past.number) != (one.entity, one.number)]
        if (rule.name, person) in self.entered or (others and not self.may_again(rule, others[-1])):
            return
        own = replace(one, entity=person[1], number=0)
        inside = self.context.is_inside(own)
        if inside is False:
            return
        if inside and one.due is not None and one.due <= self.stamp:
            own = self.no_longer_waiting(rule, own)
        self.found.firings.append(own)
        self.entered.add((rule.name, person))

    # -- edges

    def past(self, edge: Edge) -> list[Firing]:
        """The firings of the rule that count for the entity and its linked ids, in order."""
        several = self.context.past.get(self.context.person(edge.rule.kind, edge.entity), ())
        return [one for one in several if one.rule == edge.rule.name and one.state != DROPPED]

    def own_past(self, edge: Edge) -> list[Firing]:
        """The past firings of this id only, without those of other ids of the same user."""
        return [one for one in self.past(edge) if one.entity == edge.entity]

    def is_new(self, edge: Edge) -> bool:
        """Whether an entry counts. An entry that is stopped by a cap or held out is recorded."""
        past = [one for one in self.past(edge) if one.edge == ENTER]
        person = self.context.person(edge.rule.kind, edge.entity)
        own = [one for one in past if one.entity == edge.entity]
        if edge.has_metrics and any(one.day == self.context.day for one in own):
            self.collide(edge, RESTATED)
            self.restore(edge)
            return False
        again = (edge.rule.name, person) in self.entered
        if again or (past and not self.may_again(edge.rule, past[-1])):
            self.collide(edge, ONCE)
            return False
        self.entered.add((edge.rule.name, person))
        if self.is_held_out(edge, past):
            self.found.firings.append(self.firing(edge, HOLDOUT))
            return False
        return True

    def is_held_out(self, edge: Edge, past: Sequence[Firing]) -> bool:
        """Whether the entity is in the holdout group. All ids of a user are in the group of the user's first firing."""
        if edge.rule.holdout and past and past[0].entity != edge.entity:
            return past[0].state == HOLDOUT
        return in_holdout(edge.rule, edge.entity)

    def restore(self, edge: Edge) -> None:
        """Undo a leave caused by metrics of the same day: the entity is inside, as it was when the rule fired."""
        done = [one for one in self.own_past(edge) if one.state == FIRED]
        if len(done) > 1 and done[-1].edge == LEAVE and done[-1].day == self.context.day and done[-2].edge == ENTER:
            why = "it entered again over the metrics of the same day"
            self.found.settled.append(replace(done[-1], state=DROPPED, why=why))
            self.found.restored.append(done[-2])

    def may_again(self, rule: Rule, last: Firing) -> bool:
        once = rule.once
        if once == EVERY_TIME:
            return True
        if once == EVER or not isinstance(once, OncePer):
            return False
        at = datetime.fromisoformat(last.at)
        if once.days:
            return self.now - at >= timedelta(days=once.days)
        today, then = (calendar.day_of(one, self.context.zone) for one in (self.now, at))
        return (today.year * 12 + today.month - 1) // once.months > (then.year * 12 + then.month - 1) // once.months

    def without_storms(self, edges: list[Edge]) -> list[Edge]:
        rule = edges[0].rule
        if len(edges) <= rule.most_at_once:
            return edges
        self.found.storms[rule.name] = len(edges)
        why = f"{len(edges)} entered at once, and most_at_once is {rule.most_at_once}"
        self.found.firings += [replace(self.firing(one, WAITING), why=why) for one in edges]
        return []

    def winners(self, edges: Sequence[Edge]) -> list[Edge]:
        """The edges in order of priority. Among rules with a priority, only the first edge of each person is kept."""
        order = list(self.context.rules)
        ranked = sorted(edges, key=lambda one: (-rank(one.rule), order.index(one.rule.name), one.entity))
        best: dict[tuple[str, str], Edge] = {}
        kept = []
        for one in ranked:
            key = self.context.person(one.rule.kind, one.entity)
            if one.rule.priority is None or best.setdefault(key, one) is one:
                kept.append(one)
            else:
                self.collide(one, PRIORITY, best[key].rule.name)
        return kept

    def fire(self, edge: Edge) -> None:
        if (winner := self.cooling(edge.rule, edge.rule.kind, edge.entity)) is not None:
            self.collide(edge, COOL_DOWN, winner.rule)
            return
        until = self.quiet_until(edge.rule, edge.values)
        if until is not None:
            self.found.firings.append(replace(self.firing(edge, WAITING), due=until, why="quiet hours"))
            return
        done = self.firing(edge, FIRED)
        self.found.firings.append(done)
        self.fired[self.context.person(edge.rule.kind, edge.entity)] = done

    def leave(self, edge: Edge) -> None:
        """Fire for a leave, if the rule has leave actions and fired when the entity entered."""
        past = self.past(edge)
        if edge.rule.has_leave_actions and past and past[-1].edge == ENTER and past[-1].state == FIRED:
            done = self.firing(edge, FIRED)
            self.found.firings.append(replace(done, why=RULE_CHANGED) if edge.is_of_change else done)

    def cooling(self, rule: Rule, kind: str, entity: str) -> Firing | None:
        """The firing whose cool-down still blocks the entity, or None."""
        if not rule.cool_down:
            return None
        person = self.context.person(kind, entity)
        several = self.context.past.get(person, ())
        done = [one for one in several if one.state == FIRED and one.edge == ENTER]
        latest = self.fired.get(person) or max(done, key=lambda one: one.at, default=None)
        if latest is None:
            return None
        return latest if self.now - datetime.fromisoformat(latest.at) < timedelta(seconds=rule.cool_down) else None

    def quiet_until(self, rule: Rule, values: Mapping[str, Any]) -> str | None:
        """The end of the quiet hours if it is quiet now, else None."""
        if rule.quiet is None:
            return None
        named = (rule.quiet_zone or "").casefold()
        own = next((value for name, value in values.items() if name.casefold() == named), None)
        for zone in (own, self.context.zone):
            try:
                quiet = QuietHours(*rule.quiet, str(calendar.zone(zone).key)) if zone else None
            except (ZoneInfoNotFoundError, ValueError, KeyError, OSError, TypeError, AttributeError):
                continue
            if quiet is not None:
                return stamp_of(quiet.ends(self.now)) if quiet.at(self.now) else None
        return None

    def firing(self, edge: Edge, state: str) -> Firing:
        return Firing(
            rule=edge.rule.name,
            entity=edge.entity,
            number=0,
            edge=edge.edge,
            kind=edge.rule.kind,
            at=self.stamp,
            day=self.context.day,
            values=edge.values,
            why="",
            state=state,
        )

    def collide(self, edge: Edge, why: str, winner: str | None = None) -> None:
        self.found.collisions.append(
            Collision(
                rule=edge.rule.name,
                entity=edge.entity,
                number=0,
                kind=edge.rule.kind,
                at=self.stamp,
                why=why,
                winner=winner,
            )
        )


def counts(firing: Firing) -> bool:
    """Whether a firing is an entry that fired, waits, or was held out."""
    return firing.edge == ENTER and firing.state != DROPPED


def rank(rule: Rule) -> float:
    """The rank of a rule among rules that fire at once. The highest rank goes first."""
    return float("-inf") if rule.priority is None else rule.priority
