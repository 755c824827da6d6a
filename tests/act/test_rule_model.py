"""Random histories of a company against a plain loop: the same firings, at the same times, with the same values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tallybook.core import Busy
from tallybook.storage import RuleLedger
from tests.conftest import COSTLY
from tests.projects import Project

IDS = ("1", "2", "3")
METRICS = """
[metrics.calls]
table = "calls"
time = "day"
measure = "sum(n)"
by = ["account_id"]
lookback = "60d"

[accounts]
table = "accounts"
attributes = ["plan"]

[accounts.metrics]
calls_3d = { metric = "calls", last = "3 days" }
"""
RULES = """
[rules.quiet]
when = "plan = 'trial' and calls_3d < 10"
leave = "calls_3d > 15"
hold = "1d"
then = { to = "message", message = "m" }

[rules.busy]
when = "crossed(calls_3d, 20)"
then = { to = "message", message = "m" }

[rules.moved]
when = "changed(plan)"
then = { to = "message", message = "m" }

[rules.dark]
when = "calls_3d is unknown or plan = 'free'"
then = { to = "message", message = "m" }

[messages.m]
text = "Hi"
"""
STEP = st.tuples(
    st.sampled_from(["run", "run", "run", "evaluate", "killed", "twice", "calls only", "redeclare"]),
    st.integers(1, 40),  # hours that pass
    st.lists(
        st.one_of(
            st.tuples(st.just("calls"), st.sampled_from(IDS), st.integers(0, 4), st.sampled_from([0, 4, 12, 30])),
            st.tuples(st.just("plan"), st.sampled_from(IDS), st.sampled_from(["trial", "pro", "free", None])),
            st.tuples(st.just("gone"), st.sampled_from(IDS)),
        ),
        max_size=3,
    ),
)


@dataclass
class Plain:
    """What rules should do, as one loop over accounts that anybody can read."""

    source_calls: dict[tuple[date, str], int] = field(default_factory=dict)
    source_plans: dict[str, Any] = field(default_factory=dict)
    calls: dict[tuple[date, str], int] = field(default_factory=dict)
    """As collected."""
    until: date | None = None
    """The last collected day."""
    plans: dict[str, Any] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    began: bool = False
    states: dict[tuple[str, str], Any] = field(default_factory=dict)
    memory: dict[tuple[str, str], Any] = field(default_factory=dict)
    fired: list[tuple[Any, ...]] = field(default_factory=list)

    def collect(self, now: datetime, *, accounts: bool) -> None:
        self.calls, self.until = dict(self.source_calls), now.date() - timedelta(days=1)
        if accounts:
            self.gone = set(self.plans) - set(self.source_plans)
            self.plans |= self.source_plans

    def value(self, id_: str, day: date) -> int | None:
        if self.until is None or self.until < day:
            return None
        return sum(self.calls.get((day - timedelta(days=back), id_), 0) for back in range(3))

    def evaluate(self, now: datetime) -> None:
        if not self.plans:
            return
        day, begins = now.date() - timedelta(days=1), not self.began
        self.began = True
        for id_ in sorted(self.plans):
            calls, plan, gone = self.value(id_, day), self.plans[id_], id_ in self.gone
            self.quiet(id_, calls, plan, gone, now, day, begins)
            last_seen = self.memory.get(("calls", id_), [])[-1:]
            again = calls is not None and not gone and any(value != calls for _, value in last_seen)
            before = self.remembered(id_, calls, gone, day)
            crossed = None if gone or calls is None else before is not None and before < 20 <= calls
            self.simple("busy", id_, crossed, {"calls_3d": calls}, day, now, begins, metric=True, again=again)
            last = self.memory.get(("plan", id_), plan) if not begins else plan
            changed = None if gone else plan != last
            self.simple("moved", id_, changed, {"plan": plan}, day, now, begins, metric=False, again=True)
            if not gone:
                self.memory["plan", id_] = plan
            dark = None if gone else calls is None or plan == "free"
            self.simple("dark", id_, dark, {"calls_3d": calls, "plan": plan}, day, now, begins, metric=True)

    def remembered(self, id_: str, calls: int | None, gone: bool, day: date) -> int | None:
        """The last known value with the metrics of a day before; the present one is remembered."""
        history: list[tuple[date, int]] = self.memory.setdefault(("calls", id_), [])
        earlier = [value for then, value in history if then < day]
        if calls is not None and not gone:
            history[:] = [(then, value) for then, value in history if then < day]
            history.append((day, calls))
        return earlier[-1] if earlier else None

    def quiet(self, id_: str, calls: Any, plan: Any, gone: bool, now: datetime, day: date, begins: bool) -> None:
        few = None if calls is None or gone else calls < 10
        trial = None if gone else plan == "trial"
        when = False if trial is False or few is False else None if None in (trial, few) else True
        leave = None if calls is None or gone else calls > 15
        state, since, paused = self.states.get(("quiet", id_), ("new" if begins else "out", None, None))
        after: tuple[Any, ...] = (state, since, paused)
        if state == "in":
            after = ("out", None, None) if leave else after
        elif state == "held":
            if when is None:
                after = (state, since, paused or now)
            elif not when:
                after = ("out", None, None)
            else:
                since += (now - paused) if paused else timedelta(0)
                after = (state, since, None)
                if now - since >= timedelta(days=1):
                    after = ("in", None, None)
                    self.fire("quiet", id_, {"plan": plan, "calls_3d": calls}, day, now, metric=True)
        elif when is not None:
            entered = ("in", None, None) if state == "new" else ("held", now, None)
            after = entered if when else ("out", None, None)
        self.states["quiet", id_] = after

    def simple(
        self,
        rule: str,
        id_: str,
        when: bool | None,
        values: Any,
        day: date,
        now: datetime,
        begins: bool,
        *,
        metric: bool,
        again: bool = False,
    ) -> None:
        """`again`: what is true for one evaluation only is true once more."""
        state = self.states.get((rule, id_), "new" if begins else "out")
        if when is None:
            self.states[rule, id_] = state
            return
        if when and (state == "out" or (state == "in" and again)):
            self.fire(rule, id_, values, day, now, metric=metric)
        self.states[rule, id_] = "in" if when else "out"

    def fire(self, rule: str, id_: str, values: Any, day: date, now: datetime, *, metric: bool) -> None:
        if not (metric and any(one[:2] == (rule, id_) and one[3] == day for one in self.fired)):
            self.fired.append((rule, id_, now, day, values))


def company(folder: Path) -> Project:
    made = Project(folder, f"sqlite:///{folder}/app.db", now="2024-01-10T04:00")
    made.table("calls (day date, account_id varchar(9), n int)")
    made.table("accounts (id int, plan varchar(9))", [(1, "trial"), (2, "pro")])
    made.declare(METRICS + RULES)
    return made


def change(made: Project, plain: Plain, what: tuple[Any, ...]) -> None:
    kind, id_ = what[:2]
    if kind == "calls":
        day = made.now.date() - timedelta(days=what[2])
        made.insert("calls", [(day.isoformat(), id_, what[3])])
        plain.source_calls[day, id_] = plain.source_calls.get((day, id_), 0) + what[3]
    elif kind == "gone":
        made.execute(f"delete from accounts where id = {id_}")
        plain.source_plans.pop(id_, None)
    else:
        made.execute(f"delete from accounts where id = {id_}")
        made.insert("accounts", [(int(id_), what[2])])
        plain.source_plans[id_] = what[2]


def step(made: Project, plain: Plain, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step of the company and of the plain loop."""
    if how == "redeclare":
        made.declare(METRICS + RULES)
    if how in ("run", "redeclare", "twice"):
        made.run()
        plain.collect(made.now, accounts=True)
        plain.evaluate(made.now)
        if how == "twice":
            made.book.rules.evaluate()
            plain.evaluate(made.now)
    elif how == "calls only":
        made.run("calls")
        plain.collect(made.now, accounts=False)
        plain.evaluate(made.now)
    elif how == "evaluate":
        made.book.rules.evaluate()
        plain.evaluate(made.now)
    else:
        with monkeypatch.context() as patched:
            patched.setattr(RuleLedger, "commit", _die)
            with pytest.raises(KeyboardInterrupt):
                made.book.rules.evaluate()


def _die(*_: Any, **__: Any) -> int:
    raise KeyboardInterrupt


@COSTLY
@given(st.lists(STEP, min_size=2, max_size=7))
def test_random_histories_fire_as_a_plain_loop_says(steps: list[Any]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        made, plain = company(Path(folder)), Plain()
        plain.source_plans = {"1": "trial", "2": "pro"}
        step(made, plain, "run", monkeypatch)
        for how, hours, changes in steps:
            made.now += timedelta(hours=hours)
            for one in changes:
                change(made, plain, one)
            step(made, plain, how, monkeypatch)
        real = [
            (one.rule, one.entity, datetime.fromisoformat(one.at), one.day, dict(one.values))
            for one in made.book.rules.evaluator.ledger.firings()
            if one.edge == "enter"
        ]
        made.close()
        assert sorted(real, key=str) == sorted(plain.fired, key=str)


def test_a_second_evaluator_waits_or_is_refused(tmp_path: Path) -> None:
    made = company(tmp_path)
    made.run()
    with made.book.rules.evaluator.leased(), pytest.raises(Busy, match="another process evaluates the rules"):
        made.book.rules.evaluate()
    made.book.rules.evaluate()
