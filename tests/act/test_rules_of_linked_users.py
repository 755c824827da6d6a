"""An anonymous id that is linked to a user is one person with it for the rules: one state, and one firing per `once`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tallybook.act import RuleWatch, Viewer, people
from tallybook.act.caps import in_holdout
from tallybook.core import IdentityLink
from tallybook.storage import EntityHistory, IdentityLinks, NewLinks, RuleLedger, apply_links, merge_linked
from tests.conftest import COSTLY
from tests.projects import Project

USERS = """
[metrics.calls]
table = "calls"
time = "day"
measure = "sum(n)"
by = ["account_id"]

[users]
"""
HOOK = 'then = { to = "webhook", url = "http://127.0.0.1:9/" }'
SHOWN = 'then = { to = "message", message = "m" }\n[messages.m]\ntext = "Hi"\n'


class Site:
    """A book whose users send attributes, some of them before they sign in."""

    def __init__(self, folder: Path, rules: str) -> None:
        self.project = Project(folder, f"sqlite:///{folder}/app.db", now="2024-01-11T04:00")
        self.project.table("calls (day date, account_id varchar(9), n int)")
        self.project.declare(USERS + rules.replace("when = ", 'for = "user"\nwhen = '))
        self.project.run()
        self.links = 0
        self.push("other", segment="small", plan="free", visits=0)
        self.evaluate()

    @property
    def rules(self) -> Any:
        return self.project.book.rules

    def push(self, id_: str, **attributes: Any) -> None:
        self.project.book.push_attributes("users", id_, attributes=attributes)

    def link(self, alias: str, user: str, *, merges: bool = False) -> None:
        store, now = self.project.book.reader.store, self.project.now
        self.links += 1
        link = IdentityLink(alias=alias, user=user, merges=merges)
        with store.ledger._writing() as db:
            made = apply_links(db, NewLinks(links=[("key", now, link)]), number=self.links)
            merge_linked(db, made, history=EntityHistory(store.ledger, store.files), now=now)

    def after(self, **span: float) -> Site:
        self.project.at((self.project.now + timedelta(**span)).isoformat())
        return self

    def evaluate(self) -> None:
        """Evaluate everybody."""
        self.rules.evaluate()

    def touch(self) -> None:
        """Evaluate those who changed, as a server does."""
        RuleWatch(self.rules).step()

    def fired(self) -> list[tuple[str, str]]:
        return [(one.entity, one.state) for one in self.rules.evaluator.ledger.firings()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    made: list[Site] = []

    def make(rules: str) -> Site:
        made.append(Site(tmp_path, rules))
        return made[-1]

    yield make
    for one in made:
        one.project.close()


how = pytest.mark.parametrize("look", [Site.evaluate, Site.touch], ids=["everybody", "touched"])


@how
def test_a_rule_that_fired_for_an_anonymous_id_does_not_fire_again_for_its_user(site: Any, look: Any) -> None:
    made = site(f"[rules.big]\nwhen = \"segment = 'big'\"\n{HOOK}\n")
    made.push("u", segment="small")
    made.after(hours=1).push("anon", segment="big")
    look(made)
    assert made.fired() == [("anon", "fired")]
    made.after(hours=1).link("anon", "u")
    look(made)
    assert made.fired() == [("anon", "fired")]
    assert [made.rules.explain("big", id_).state for id_ in ("u", "anon")] == ["in", "in"]
    made.after(hours=1).push("u", segment="small")
    look(made)
    assert made.rules.explain("big", "u").state == "out"
    made.after(hours=1).push("anon", segment="big")
    look(made)
    assert made.fired() == [("anon", "fired"), ("u", "fired")]  # it left and entered again


@how
def test_once_is_once_for_a_person(site: Any, look: Any) -> None:
    made = site(f'[rules.big]\nwhen = "segment = \'big\'"\nonce = "ever"\n{HOOK}\n')
    for id_, segment in (("anon", "big"), ("anon", "small"), ("u", "small")):
        made.after(hours=1).push(id_, segment=segment)
        look(made)
    made.link("anon", "u")
    made.after(hours=1).push("u", segment="big")
    look(made)
    assert made.fired() == [("anon", "fired")]
    (collision,) = made.rules.explain("big", "u").collisions
    assert (collision.entity, collision.why) == ("u", "once")
    assert [one.entity for one in made.rules.firings_of("users", "u")] == ["anon"]
    assert [one.entity for one in made.rules.explain("big", "anon").firings] == ["anon"]


def test_a_cool_down_counts_the_firings_of_every_id(site: Any) -> None:
    made = site(
        f"[rules.big]\nwhen = \"segment = 'big'\"\n{HOOK}\n"
        f'[rules.paid]\nwhen = "plan = \'pro\'"\ncool_down = "7d"\n{HOOK}\n'
    )
    made.push("anon", segment="big")
    made.evaluate()
    made.after(days=2).link("anon", "u")
    made.push("u", plan="pro")
    made.evaluate()
    assert made.fired() == [("anon", "fired")]


def test_a_person_stays_in_the_group_of_its_first_firing(site: Any) -> None:
    made = site(f'[rules.big]\nwhen = "segment = \'big\'"\nholdout = "50 %"\n{HOOK}\n')
    rule = made.project.book.project.catalog.rules["big"]
    held = next(id_ for id_ in map("anon{}".format, range(99)) if in_holdout(rule, id_))
    user = next(id_ for id_ in map("u{}".format, range(99)) if not in_holdout(rule, id_))
    for id_, segment in ((held, "big"), (held, "small")):
        made.after(hours=1).push(id_, segment=segment)
        made.evaluate()
    made.link(held, user)
    made.after(hours=1).push(user, segment="big")
    made.evaluate()
    assert made.fired() == [(held, "holdout"), (user, "holdout")]


@how
def test_what_waits_for_the_end_of_quiet_hours_waits_for_the_user(site: Any, look: Any) -> None:
    made = site(f'[rules.big]\nwhen = "segment = \'big\'"\nquiet = "20:00-08:00"\n{HOOK}\n')
    made.after(hours=1)
    for id_ in ("anon1", "anon2"):
        made.push(id_, segment="big")
    look(made)
    assert made.fired() == [("anon1", "waiting"), ("anon2", "waiting")]
    made.link("anon1", "u")
    made.link("anon2", "u")
    look(made)
    assert made.fired() == [("anon1", "dropped"), ("anon2", "dropped"), ("u", "waiting")]
    made.after(hours=9)
    look(made)
    assert made.fired() == [("anon1", "dropped"), ("anon2", "dropped"), ("u", "fired")]


def test_a_message_that_was_dismissed_before_the_sign_in_is_not_shown_after_it(site: Any) -> None:
    made = site(f"[rules.big]\nwhen = \"segment = 'big'\"\n{SHOWN}")
    made.push("anon", segment="big")
    made.evaluate()
    messages = made.rules.engagements
    (shown,) = messages.messages(Viewer(user="anon"))
    made.after(hours=1).link("anon", "u")
    made.evaluate()
    assert [one["id"] for one in messages.messages(Viewer(user="u"))] == [shown["id"]]
    messages.react(Viewer(user="u"), shown["id"], "shown")
    messages.react(Viewer(user="anon"), shown["id"], "dismissed")
    assert messages.messages(Viewer(user="u")) == []


def test_a_message_ends_when_the_person_leaves(site: Any) -> None:
    made = site(f"[rules.big]\nwhen = \"segment = 'big'\"\n{SHOWN}")
    made.push("anon", segment="big")
    made.evaluate()
    made.after(hours=1).link("anon", "u")
    made.after(hours=1).push("u", segment="small")
    made.evaluate()
    assert made.rules.engagements.messages(Viewer(user="u")) == []


# ---------------------------------------------------------------------------------------- random histories

HISTORY = f"""
[rules.once]
when = "segment = 'big'"
once = "ever"
{HOOK}
[rules.each]
when = "segment = 'big'"
{HOOK}
[rules.slow]
when = "segment = 'big'"
leave = "segment = 'small'"
hold = "1d"
{HOOK}
[rules.moved]
when = "changed(plan)"
{HOOK}
[rules.paid]
when = "plan = 'pro'"
cool_down = "3d"
{HOOK}
"""
IDS = ("a", "b", "u", "v")
STEP = st.tuples(
    st.integers(1, 30),  # hours that pass
    st.lists(
        st.one_of(
            st.tuples(st.just("segment"), st.sampled_from(IDS), st.sampled_from(["small", "big", "mid"])),
            st.tuples(st.just("plan"), st.sampled_from(IDS), st.sampled_from(["free", "pro"])),
            st.sampled_from([("link", "a", "u"), ("link", "b", "u"), ("link", "a", "v"), ("merge", "u", "v")]),
        ),
        max_size=3,
    ),
    st.sampled_from(["everybody", "everybody", "killed", "a", "b", "u", "v"]),
)


@dataclass
class Person:
    """What is stored of one id: attributes, and what rules remember."""

    attributes: dict[str, Any] = field(default_factory=dict)
    states: dict[str, tuple[str, Any]] = field(default_factory=dict)
    plan: tuple[date, Any] | None = None
    """(day, value) that was seen last."""


@dataclass
class Plain:
    """What rules should do about linked ids, as a loop that anybody can read."""

    people: dict[str, Person] = field(default_factory=dict)
    ended: dict[str, Person] = field(default_factory=dict)
    """Ids that were linked, until the evaluation that sees it."""
    links: dict[str, str] = field(default_factory=dict)
    times: dict[tuple[str, str], int] = field(default_factory=dict)
    fired: list[tuple[str, str, datetime]] = field(default_factory=list)
    count: int = 0

    def who(self, id_: str) -> str:
        return self.links.get(id_, id_)

    def push(self, id_: str, name: str, value: str) -> None:
        self.count += 1
        self.people.setdefault(self.who(id_), Person()).attributes[name] = value
        self.times[self.who(id_), name] = self.count

    def link(self, alias: str, user: str, *, merges: bool) -> None:
        one, other = self.who(alias), self.who(user)
        if one == other or (one != alias and not merges):
            return
        self.links = {id_: other if to == one else to for id_, to in self.links.items()} | {one: other}
        if one not in self.people:
            return
        self.ended[one] = self.people.pop(one)
        whole = self.people.setdefault(other, Person())
        for name, value in self.ended[one].attributes.items():
            if self.times[one, name] > self.times.get((other, name), 0):
                whole.attributes[name], self.times[other, name] = value, self.times[one, name]

    def evaluate(self, now: datetime, only: str | None = None) -> None:
        day = now.date() - timedelta(days=1)
        chosen = sorted(self.people) if only is None else [self.who(only)]
        for id_ in [one for one in chosen if one in self.people]:
            self.merge(id_)
        entered = []
        for rule in ("once", "each", "slow", "moved", "paid"):
            for id_ in [one for one in chosen if one in self.people]:
                one = self.people[id_]
                before = one.states.get(rule, ("out", None))
                one.states[rule] = after = self.step(rule, before, one, now)
                if after[0] == "in" and (before[0] != "in" or rule == "moved"):
                    entered.append((rule, id_))
        for id_ in [one for one in chosen if one in self.people]:
            one = self.people[id_]
            if one.plan is None or one.plan[1] != one.attributes.get("plan"):
                one.plan = (day, one.attributes.get("plan"))
        for rule, id_ in entered:
            mine = [(name, at) for name, other, at in self.fired if self.who(other) == id_]
            if rule == "once" and any(name == "once" for name, _ in mine):
                continue
            if rule == "paid" and any(now - at < timedelta(days=3) for _, at in mine):
                continue
            self.fired.append((rule, id_, now))

    def merge(self, id_: str) -> None:
        """The strongest state of all ids, and the plan that was seen last: the user's own where there is one."""
        parts = {one: self.ended.pop(one) for one in sorted(self.ended) if self.who(one) == id_}
        mine = self.people[id_]
        for one in parts.values():
            for rule, state in one.states.items():
                own = mine.states.get(rule, ("out", None))
                if ("in", "held", "out").index(state[0]) < ("in", "held", "out").index(own[0]):
                    mine.states[rule] = state
                elif state[0] == own[0] == "held":
                    mine.states[rule] = min(state, own)
        seen = [one.plan for _, one in sorted(parts.items()) if one.plan is not None]
        if mine.plan is None and seen:
            mine.plan = max(seen, key=lambda plan: plan[0])

    def step(self, rule: str, before: tuple[str, Any], one: Person, now: datetime) -> tuple[str, Any]:
        segment, plan = one.attributes.get("segment"), one.attributes.get("plan")
        if rule == "slow":
            if before[0] == "in":
                return ("out", None) if segment == "small" else before
            if segment != "big":
                return "out", None
            since = before[1] if before[0] == "held" else now
            return ("in", None) if before[0] == "held" and now - since >= timedelta(days=1) else ("held", since)
        if rule == "moved":
            return ("in" if one.plan is not None and one.plan[1] != plan else "out"), None
        return ("in" if (plan == "pro" if rule == "paid" else segment == "big") else "out"), None


def _die(*_: Any, **__: Any) -> int:
    raise KeyboardInterrupt


@COSTLY
@given(st.lists(STEP, min_size=2, max_size=10))
def test_random_histories_of_links_fire_as_a_plain_loop_says(steps: list[Any]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        made, plain = Site(Path(folder), HISTORY), Plain()
        for hours, changes, look in steps:
            made.after(hours=hours)
            for what, one, other in changes:
                made.after(seconds=1)
                if what in ("link", "merge"):
                    made.link(one, other, merges=what == "merge")
                    plain.link(one, other, merges=what == "merge")
                else:
                    made.push(one, **{what: other})
                    plain.push(one, what, other)
            if look == "killed":
                with monkeypatch.context() as patched:
                    patched.setattr(RuleLedger, "commit", _die)
                    with pytest.raises(KeyboardInterrupt):
                        made.evaluate()
            else:
                ids = None if look == "everybody" else look
                made.evaluate() if ids is None else made.rules.touch("users", [ids])
                plain.evaluate(made.project.now, ids)
        real = [
            (one.rule, one.entity, datetime.fromisoformat(one.at))
            for one in made.rules.evaluator.ledger.firings()
            if one.edge == "enter"
        ]
        made.project.close()
        assert sorted(real) == sorted(plain.fired)


@pytest.mark.parametrize("share", [0, 1], ids=["all links", "those of ended ids"])
def test_states_are_handed_over_however_links_are_read(site: Any, monkeypatch: pytest.MonkeyPatch, share: int) -> None:
    made = site(f"[rules.big]\nwhen = \"segment = 'big'\"\n{HOOK}\n")
    made.push("u", segment="small")
    for id_ in ("anon-1", "anon-2"):
        made.after(hours=1).push(id_, segment="big")
    made.evaluate()
    made.link("anon-1", "u")
    made.link("anon-2", "u")
    monkeypatch.setattr(people, "MIN_ENDED", 1)
    monkeypatch.setattr(people, "SHARE_OF_LINKS", share)
    made.after(hours=1).evaluate()
    assert made.fired() == [("anon-1", "fired"), ("anon-2", "fired")]
    assert made.rules.explain("big", "u").state == "in"


def test_an_evaluation_of_everybody_asks_only_for_links_of_ids_that_have_something_to_hand_over(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = site(f"[rules.big]\nwhen = \"segment = 'big'\"\n{HOOK}\n")
    for number in range(30):
        made.push(f"anon-{number}", segment="big" if number == 7 else "small")
    made.evaluate()
    for number in range(30):
        made.link(f"anon-{number}", f"user-{number}")
    asked: list[list[str]] = []
    links_of = IdentityLinks.pairs_of
    monkeypatch.setattr(IdentityLinks, "pairs_of", lambda self, ids: (asked.append(list(ids)), links_of(self, ids))[1])
    monkeypatch.delattr(IdentityLinks, "every")
    monkeypatch.delattr(IdentityLinks, "pairs")
    made.after(hours=1).evaluate()
    made.after(hours=1).evaluate()
    assert asked == [["anon-7"]]
    assert made.rules.explain("big", "user-7").state == "in"
