"""Rules fire when an entity enters them, once, and never because a number is missing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.projects import Project, project

__all__ = ["project"]

METRICS = """
[metrics.calls]
table = "calls"
time = "day"
measure = "sum(n)"
by = ["account_id"]
lookback = "3d"

[accounts]
table = "accounts"
attributes = ["name", "plan"]

[accounts.metrics]
calls_7d = { metric = "calls", last = "7 days" }
"""
QUIET = """
[rules.quiet]
when = "plan = 'trial' and calls_7d < 10"
then = { to = "webhook", url = "http://127.0.0.1:9/" }
"""


@pytest.fixture
def made(project: Any) -> Project:
    found = project("sqlite", now="2024-01-11T04:00")
    found.table("calls (day date, account_id varchar(9), n int)", [("2024-01-10", "2", 50), ("2024-01-10", "1", 5)])
    found.table("accounts (id int, name varchar(9), plan varchar(9))", [(1, "A", "trial"), (2, "B", "trial")])
    found.declare(METRICS + QUIET)
    return found


def fired(found: Project, rule: str | None = None) -> list[tuple[str, str, str]]:
    """(entity, edge, day of the metrics) of each firing, in order."""
    return [(one.entity, one.edge, str(one.day)) for one in found.book.rules.evaluator.ledger.firings(rule)]


def states(found: Project, rule: str = "quiet", ids: str = "12") -> list[str]:
    return [found.book.rules.explain(rule, one).state for one in ids]


def test_nobody_who_is_inside_a_new_rule_fires_and_then_only_who_enters(made: Project) -> None:
    made.run()
    assert (states(made), fired(made)) == (["in", "out"], [])
    made.at("2024-01-18T04:00").run()  # the 50 calls are more than a week ago
    assert (states(made), fired(made)) == (["in", "in"], [("2", "enter", "2024-01-17")])
    made.run()
    assert len(fired(made)) == 1


def test_a_missed_collection_fires_nothing_and_afterwards_only_true_edges_do(made: Project) -> None:
    made.run()
    made.at("2024-01-18T04:00")
    made.book.rules.evaluate()
    assert (states(made), fired(made)) == (["unknown-was-in", "unknown-was-out"], [])
    made.insert("calls", [("2024-01-17", "1", 50)])
    made.run()
    assert (states(made), fired(made)) == (["out", "in"], [("2", "enter", "2024-01-17")])


def test_a_restated_value_neither_fires_again_nor_undoes_a_firing(made: Project) -> None:
    made.run()
    made.at("2024-01-18T04:00").run()
    made.insert("calls", [("2024-01-17", "2", 30)])
    made.run()
    (firing,) = made.book.rules.evaluator.ledger.firings("quiet")
    assert (dict(firing.values), dict(firing.restated)) == ({"plan": "trial", "calls_7d": 0}, {"calls_7d": 30})
    made.execute("delete from calls where n = 30")
    made.run()
    assert states(made) == ["in", "in"]
    assert len(fired(made)) == 1
    assert made.book.rules.show("quiet").collisions == {"restated": 1}


def test_only_the_metrics_that_were_restated_are_listed_beside_those_of_a_firing(made: Project) -> None:
    two = METRICS.replace("calls_7d = ", 'calls_1d = { metric = "calls", last = "1 day" }\ncalls_7d = ', 1)
    more = '[rules.both]\nwhen = \'calls_7d > 40 and calls_1d < 40\'\nthen = { to = "message", message = "m" }\n'
    made.declare(two + more + '[messages.m]\ntext = "Hi"\n')
    made.run()
    made.insert("calls", [("2024-01-16", "2", 50), ("2024-01-17", "2", 3)])
    made.at("2024-01-18T04:00").run()
    for number in (5, 6):
        made.insert("calls", [("2024-01-16", "2", number)])
        made.run()
    (firing,) = made.book.rules.evaluator.ledger.firings("both")
    assert (dict(firing.values), dict(firing.restated)) == ({"calls_7d": 53, "calls_1d": 3}, {"calls_7d": 64})


def test_an_empty_import_and_the_return_of_the_rows_are_no_edges(made: Project) -> None:
    made.run()
    made.execute("delete from accounts")
    made.at("2024-01-12T04:00").run()
    assert states(made) == ["unknown-was-in", "unknown-was-out"]
    made.insert("accounts", [(1, "A", "trial"), (2, "B", "trial")])
    made.at("2024-01-13T04:00").run()
    assert (states(made), fired(made)) == (["in", "out"], [])


def test_a_rule_over_a_metric_that_was_never_collected_does_not_fire_with_its_first_value(made: Project) -> None:
    made.run("calls")
    made.declare(
        METRICS
        + QUIET.replace("calls_7d < 10", "late_7d < 10")
        + """
[metrics.late]
table = "calls"
time = "day"
measure = "count(*)"
by = ["account_id"]

[accounts.metrics.late_7d]
metric = "late"
last = "7 days"
"""
    )
    made.run("calls")
    made.book.rules.evaluate()
    made.run()
    assert (states(made), fired(made)) == (["in", "in"], [])


def test_backfill_fires_for_those_already_inside(made: Project) -> None:
    made.declare(METRICS + QUIET + "backfill = true\n")
    made.run()
    assert fired(made) == [("1", "enter", "2024-01-10")]


def test_hysteresis_and_hold(made: Project) -> None:
    made.declare(METRICS + QUIET + 'leave = "calls_7d > 30"\nhold = "2d"\n')
    made.run()
    made.insert("calls", [("2024-01-11", "1", 15)])
    made.at("2024-01-12T04:00").run()
    assert states(made) == ["in", "out"]  # 20 calls are not more than 30
    made.insert("calls", [("2024-01-12", "1", 15)])
    made.at("2024-01-13T04:00").run()
    assert states(made) == ["out", "out"]
    made.at("2024-01-17T04:00").run()
    assert states(made) == ["out", "out"]
    made.at("2024-01-18T04:00").run()
    assert states(made) == ["out", "held"]
    made.at("2024-01-20T03:00").run()
    assert (states(made), fired(made)) == (["held", "held"], [])
    made.at("2024-01-20T04:00").run()
    assert fired(made) == [("2", "enter", "2024-01-19")]


def test_changed_and_crossed_are_true_at_the_evaluation_that_sees_them(made: Project) -> None:
    made.declare(
        METRICS
        + """
[rules.upgraded]
when = "changed(plan) and plan = 'pro'"
then = { to = "webhook", url = "http://127.0.0.1:9/" }

[rules.busy]
when = "crossed(calls_7d, 60)"
then = { to = "webhook", url = "http://127.0.0.1:9/" }
"""
    )
    made.run()
    made.execute("update accounts set plan = 'pro' where id = 1")
    made.insert("calls", [("2024-01-11", "2", 20)])
    made.at("2024-01-12T04:00").run()
    assert fired(made, "upgraded") == [("1", "enter", "2024-01-11")]
    assert fired(made, "busy") == [("2", "enter", "2024-01-11")]
    made.at("2024-01-13T04:00").run()
    assert states(made, "upgraded") == ["out", "out"]
    assert len(fired(made)) == 2


def test_what_a_rule_would_have_done_is_what_its_evaluations_did(made: Project) -> None:
    hysteresis = 'leave = "calls_7d > 12"\nhold = "1d"\nonce = "per 5 days"\nquiet = "03:00-05:00"\n'
    made.declare(METRICS + QUIET + hysteresis, history="")
    made.run()
    for day in range(12, 40):
        month, number = divmod(day - 1, 31)
        today = f"2024-{month + 1:02}-{number + 1:02}"
        if day % 11 == 0:
            made.insert("calls", [(f"2024-{month + 1:02}-{max(number, 1):02}", account, 15) for account in "12"])
        if day % 5 == 0:
            plan = "pro" if day % 2 else "trial"
            made.execute(f"update accounts set plan = '{plan}' where id = {1 + day // 10 % 2}")
        made.at(f"{today}T0{4 + day % 3}:00").run()
    real = made.book.rules.evaluator.ledger.firings("quiet")
    tried = made.book.rules.try_out("quiet", over="last 29 days")
    assert [(one.entity, one.at, one.day, one.state, one.edge, dict(one.values)) for one in tried.entered] == [
        (one.entity, one.at, one.day, one.state, one.edge, dict(one.values)) for one in real
    ]
    assert tried.fired
    assert tried.inside == [one for one in "12" if states(made, ids=one) in (["in"], ["unknown-was-in"])]


def test_a_rule_from_the_cache_is_the_same_rule(made: Project) -> None:
    made.run()
    made.close()
    first = made.book.project.catalog.rules["quiet"]
    made.close()
    assert (made.folder / "book" / "cache" / "catalog.msgpack").exists()
    again = made.book.project.catalog.rules["quiet"]
    assert (again.definition, again.then) == (first.definition, first.then)


def test_pushed_attributes_with_similar_names_are_no_misspellings(made: Project) -> None:
    made.declare(
        """
        [accounts]
        [rules.falling]
        when = "calls_7d < 10 and calls_30d > 100 and plan1 <> plan2"
        then = { to = "message", message = "m" }
        [messages.m]
        text = "Hi {calls_7d} {calls_30d}"
        """
    )
    assert [one.rule for one in made.book.rules.list()] == ["falling"]


# --- clocks that were ahead ---------------------------------------------------------------------------------------------

PLAN = """
[rules.quiet]
when = "plan = 'trial'"
leave = "plan = 'pro'"
then = { to = "webhook", url = "http://127.0.0.1:9/" }
"""


def move(made: Project, now: str, plan: str) -> None:
    made.execute(f"update accounts set plan = '{plan}' where id = 1")
    made.at(now).run()


@pytest.mark.parametrize(
    "caps",
    ['once = "per 7 days"', 'once = "every time"\ncool_down = "7d"', 'once = "every time"\nquiet = "20:00-08:00"'],
)
@pytest.mark.parametrize("ahead", ["2024-06-01", "2030-06-01"])
def test_a_firing_by_a_clock_that_was_ahead_is_one_of_now(made: Project, caps: str, ahead: str) -> None:
    """The days of a cap count from the first evaluation by the right clock on."""
    made.declare(METRICS + PLAN + caps)
    move(made, "2024-01-11T12:00", "pro")
    move(made, f"{ahead}T{'22' if 'quiet' in caps else '12'}:00", "trial")
    if "quiet" in caps:
        move(made, "2024-01-12T12:00", "trial")
        assert [(one.state, one.at[:16]) for one in made.book.rules.evaluator.ledger.firings()] == [
            ("fired", "2024-01-12T12:00")
        ]
        return
    move(made, "2024-01-12T12:00", "pro")
    move(made, "2024-01-13T12:00", "trial")
    assert len(fired(made)) == 1
    move(made, "2024-01-14T12:00", "pro")
    move(made, "2024-01-19T13:00", "trial")
    assert [one.at[:16] for one in made.book.rules.evaluator.ledger.firings()] == [
        f"{ahead}T12:00", "2024-01-19T13:00",
    ]  # fmt: skip


def test_a_clock_that_is_behind_fires_nothing_again_and_changes_no_firing(made: Project) -> None:
    made.declare(METRICS + PLAN + 'once = "every time"\ncool_down = "7d"')
    move(made, "2024-01-11T12:00", "pro")
    move(made, "2024-01-12T12:00", "trial")
    for now, plan in (("2000-01-01T00:00", "pro"), ("2000-01-05T00:00", "trial"), ("2024-01-13T00:00", "pro")):
        move(made, now, plan)
    move(made, "2024-01-14T12:00", "trial")
    assert [one.at[:16] for one in made.book.rules.evaluator.ledger.firings()] == ["2024-01-12T12:00"]


# --- one rule and the others --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "inside"),
    [
        ("n * n > 1", True), ("n + n + n > 1", True), ("-n - n - n < 0", True), ("n - 1 = 9223372036854775806", True),
        ("n * n * n * n > 1", False),
    ],
)  # fmt: skip
def test_a_value_out_of_range_ends_neither_the_run_nor_other_rules(project: Any, when: str, inside: bool) -> None:
    """64 bits hold no sum or product of such numbers; one that no number holds is null."""
    found = project("sqlite", now="2024-01-11T04:00")
    found.table("accounts (id int, n bigint, made timestamp)", [(1, 9223372036854775807, "2024-01-01 00:00:00")])
    rule = 'backfill = true\nthen = { to = "webhook", url = "http://127.0.0.1:9/" }\n'
    found.declare(
        '[accounts]\ntable = "accounts"\nattributes = ["n", "made"]\n'
        f'[rules.odd]\nfor = "account"\nwhen = "{when}"\n{rule}[rules.quiet]\nfor = "account"\nwhen = "n > 1"\n{rule}'
    )
    report = found.run()
    assert not report.rules.failed
    assert states(found, ids="1") == ["in"]
    assert states(found, "odd", ids="1") == ["in" if inside else "out"]
    assert len(found.book.entities("accounts").list(when).rows) == inside


def test_an_unforeseen_exception_of_rules_is_theirs(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    made.declare(METRICS + PLAN + '[deliveries.file]\nto = "csv"\npath = "calls.csv"\nmetrics = ["calls"]\n')

    def broken(*_: Any) -> Any:
        raise KeyError("unforeseen")

    monkeypatch.setattr("tallybook.act.evaluate.decide", broken)
    report = made.run()
    assert "a bug in Tallybook: KeyError: 'unforeseen'" in report.rules.error
    assert report.rules.failed
    assert (made.folder / "calls.csv").exists()


def test_an_unforeseen_exception_of_one_rule_leaves_the_others(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallybook.act import stepping

    whole = stepping.compile_condition

    def broken(text: str, *given: Any, **named: Any) -> Any:
        if "name" in text:
            raise KeyError("unforeseen")
        return whole(text, *given, **named)

    monkeypatch.setattr(stepping, "compile_condition", broken)
    made.declare(METRICS + PLAN + "backfill = true\n" + PLAN.replace("quiet", "named").replace("plan =", "name ="))
    rules = made.run().rules
    assert "KeyError" in rules.rules["named"].error
    assert len(fired(made, "quiet")) == 2


@pytest.mark.parametrize(
    ("when", "times"),
    [
        ("changed(plan)", 3),
        ("changed(plan) and name = 'A'", 3),
        ("(changed(plan) or changed(name)) and plan <> 'none'", 3),
        ("changed(plan) or calls_7d < 10", 1),  # it can be true for longer
        ("plan <> 'trial'", 1),
    ],
)
def test_each_change_is_an_edge_also_if_the_one_before_was_seen_by_the_last_evaluation(
    made: Project, when: str, times: int
) -> None:
    made.declare(METRICS + QUIET.replace("plan = 'trial' and calls_7d < 10", when))
    made.insert("calls", [("2024-01-10", "1", 50)])
    made.run()
    made.execute("delete from calls where n = 50 and account_id = '1'")
    for day, plan in enumerate(("team", "pro", "free"), 12):
        made.execute(f"update accounts set plan = '{plan}' where id = 1")
        made.at(f"2024-01-{day}T04:00").run()
    made.book.rules.evaluate()
    made.book.rules.touch("accounts", ["1"])
    assert len([one for one in fired(made, "quiet") if one[0] == "1"]) == times
    assert made.book.rules.show("quiet").collisions == {}


def test_two_changes_between_runs_are_two_edges(made: Project) -> None:
    made.declare(METRICS + QUIET.replace("plan = 'trial' and calls_7d < 10", "changed(segment)"))
    made.run()
    for hour, segment in enumerate(("a", "b", "c", "c", "d"), 5):
        made.at(f"2024-01-11T{hour:02d}:00")
        made.book.push_attributes("accounts", "1", attributes={"segment": segment})
        made.book.rules.touch("accounts", ["1"])
    assert [dict(one.values) for one in made.book.rules.evaluator.ledger.firings()] == [
        {"segment": "b"},
        {"segment": "c"},
        {"segment": "d"},
    ]
