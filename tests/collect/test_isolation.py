"""One metric, source or table fails in any way: it is its own failure, and the others go on."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tallybook.cli import invoke
from tallybook.collect import gathering as gather, planning as plan, revise
from tallybook.collect.sources import sqlite
from tallybook.core.errors import SourceError, Unforeseen
from tallybook.core.isolation import isolated
from tests.projects import MakeProject, Project, project

__all__ = ["project"]

OK = """
[metrics.ok]
table = "facts"
time = "at"
measure = "count(*)"
"""
OTHER = """
[metrics.other]
table = "others"
time = "at"
measure = "sum(n)"
"""


class Panic(BaseException):
    """As an extension module may raise, which is no Exception."""


def broken(function: Callable[..., Any], *, when: Callable[..., bool], error: BaseException) -> Callable[..., Any]:
    """`function`, which raises `error` where `when` says so of its arguments."""

    def called(*args: Any, **kwargs: Any) -> Any:
        if when(*args, **kwargs):
            raise error
        return function(*args, **kwargs)

    return called


@pytest.fixture
def two(project: MakeProject) -> Project:
    """Two tables of one database, with one row a day from 1 to 5 March each."""
    made = project("sqlite", now="2024-03-06T12:00")
    made.table("facts (at text)", [(f"2024-03-0{day} 10:00:00",) for day in range(1, 6)])
    made.table("others (at text, n integer)", [(f"2024-03-0{day} 10:00:00", 7) for day in range(1, 6)])
    made.declare(OK + OTHER, start="2024-03-01")
    return made


def the_others_are_stored(made: Project, failed: str = "other", **options: Any) -> Any:
    """Collect; see that one metric failed, with the exit code 1, and that the other is whole. Returns its report."""
    report = made.book.run(**options)
    assert report.exit_code == 1
    assert [one.metric for one in report.failed] == [failed]
    assert list(made.ask("ok").values()) == [1, 1, 1, 1, 1]
    return report.failed[0]


# --- what a Python metric may do -------------------------------------------------------------------------------

LEAVING = {
    "sys.exit()": "it called sys.exit()",
    "sys.exit(3)": "it called sys.exit(3)",
    "exit('enough')": "it called sys.exit('enough')",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise StopIteration": "StopIteration",
    "raise BaseException('x')": "BaseException: x",
    "raise tallybook.core.errors.Refused('no')": "no",
    "raise tallybook.core.errors.Busy('at work')": "at work",
    "raise Mute()": "Mute",
    "return 1 / 0": "ZeroDivisionError: division by zero",
}
HEAD = """
import os, signal, sys, tallybook

class Mute(Exception):
    def __str__(self):
        raise ValueError
"""


@pytest.mark.cases(5)
@pytest.mark.parametrize("code", LEAVING)
def test_what_a_python_metric_raises_ends_only_that_metric(two: Project, code: str) -> None:
    (two.folder / "metrics").mkdir()
    body = f"{HEAD}\n@tallybook.metric(source='app')\ndef leave(day, db):\n    {code}\n"
    (two.folder / "metrics/leave.py").write_text(body)
    failed = the_others_are_stored(two, "leave")
    assert failed.error == f"metric 'leave' raised on 2024-03-01: {LEAVING[code]}"
    assert list(two.ask("other").values()) == [7, 7, 7, 7, 7]


@pytest.mark.parametrize("code", ["sys.exit(0)", "raise KeyboardInterrupt", "raise GeneratorExit", "1 / 0"])
def test_a_module_that_leaves_when_it_is_imported_fails_its_metric(two: Project, code: str) -> None:
    (two.folder / "leaving.py").write_text(
        f"import os, sys\nif os.environ.get('LEAVE'):\n    {code}\ndef leave(day, db):\n    return 1\n"
    )
    two.declare(OK + '[metrics.leave]\nfunction = "leaving.py:leave"\nsource = "app"\n', start="2024-03-01")
    two.run()
    two.close()
    assert (
        two.book
    )  # the checked project is kept beside the book: from now on the module is imported when its metric is collected
    two.close()
    os.environ["LEAVE"] = "1"
    try:
        failed = the_others_are_stored(two, "leave")
    finally:
        del os.environ["LEAVE"]
    assert "leaving.py:3 cannot be imported" in failed.error


@pytest.mark.parametrize("code", ["sys.exit(0)", "raise KeyboardInterrupt", "raise GeneratorExit"])
def test_a_module_that_leaves_is_a_problem_of_the_declarations(two: Project, code: str, capsys: Any) -> None:
    (two.folder / "metrics").mkdir()
    (two.folder / "metrics/leave.py").write_text(f"import sys\n{code}\n")
    assert invoke(["run", "--project", str(two.folder)]) == 2
    assert "metrics/leave.py:2 cannot be imported" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("body", ["{kill}", "try:\n        {kill}\n    except BaseException:\n        return 1"])
def test_a_signal_interrupts_the_run_also_where_a_function_swallows_it(two: Project, number: str, body: str) -> None:
    kill = f"os.kill(os.getpid(), signal.{number})"
    (two.folder / "metrics").mkdir()
    (two.folder / "metrics/slow.py").write_text(
        f"{HEAD}\n@tallybook.metric(source='app')\ndef slow(day, db):\n    {body.format(kill=kill)}\n    return 1\n"
    )
    sent = signal.Signals[number]
    before = signal.signal(sent, signal.default_int_handler)  # a shell's background jobs ignore SIGINT
    try:
        with pytest.raises(KeyboardInterrupt):
            two.book.run()
        assert signal.getsignal(sent) is signal.default_int_handler
    finally:
        signal.signal(sent, before)
    assert two.book.runs()[0].status == "interrupted"


def test_a_function_may_use_a_signal_handler_of_its_own(two: Project) -> None:
    (two.folder / "metrics").mkdir()
    (two.folder / "metrics/own.py").write_text(f"""{HEAD}
def late(*_):
    raise TimeoutError("too slow")

@tallybook.metric(source="app")
def own(day, db):
    before = signal.signal(signal.SIGUSR1, late)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
""")
    assert "TimeoutError: too slow" in the_others_are_stored(two, "own").error


def test_in_another_thread_every_exception_is_the_codes_own() -> None:
    found: list[BaseException] = []

    def work() -> None:
        try:
            with isolated("metric 'x' raised"):
                raise KeyboardInterrupt
        except SourceError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert str(found[0]).startswith("metric 'x' raised: KeyboardInterrupt")


# --- where Tallybook or a driver may fail ----------------------------------------------------------------------


def about_others(*args: Any, **_: Any) -> bool:
    """Whether a call is about the metric `other`, its table or its source."""
    return any("other" in repr(getattr(arg, "metric", None) or getattr(arg, "bound", None) or arg) for arg in args)


PLACES: dict[str, tuple[Any, str]] = {
    "its binding": (plan, "bind"),
    "its columns": (sqlite.SqliteSource, "probe"),
    "its gathering": (gather, "_read_additive"),
    "its first fact": (plan.Planner, "_start"),
}


@pytest.mark.parametrize("error", [TypeError("odd"), Panic("odd"), SystemExit(0)], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("place", PLACES)
def test_any_exception_of_one_metric_is_its_own(
    two: Project, monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException
) -> None:
    owner, name = PLACES[place]
    monkeypatch.setattr(owner, name, broken(getattr(owner, name), when=about_others, error=error))
    failed = the_others_are_stored(two)
    assert failed.error.startswith("a bug in Tallybook: ")
    assert type(error).__name__ in failed.traceback
    assert "report it" in failed.hint


def test_a_statement_of_several_metrics_is_taken_apart_when_one_of_them_breaks_it(
    two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.declare(OK + OK.replace("ok", "other").replace("count(*)", "max(rowid)"), start="2024-03-01")
    whole = gather._read_additive

    def read(group: Any, *rest: Any, **more: Any) -> None:
        if any(facts.metric.name == "other" for facts in group.members):
            raise OverflowError("too large")
        whole(group, *rest, **more)

    monkeypatch.setattr(gather, "_read_additive", read)
    assert "OverflowError: too large" in the_others_are_stored(two).error


def test_points_of_one_metric_that_cannot_be_stored_keep_no_other_from_being_stored(
    two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.run()
    two.execute("insert into others values ('2024-03-05 11:00:00', 1)", "insert into facts values ('2024-03-05 11:00')")
    failing = broken(revise.revisions, when=lambda _, bound, *__: bound.key == "other", error=ValueError("odd"))
    monkeypatch.setattr("tallybook.collect.publishing.revisions", failing)
    report = two.book.run()
    assert report.exit_code == 1
    assert "it was collected and cannot be stored: a bug in Tallybook: ValueError: odd" in report.failed[0].error
    assert two.ask("ok")["2024-03-05"] == 2
    assert two.ask("other")["2024-03-05"] == 7
    assert {m.metric: m.days for m in report.metrics} == {"ok": 3, "other": 0}


@pytest.fixture
def apart(two: Project, tmp_path: Path) -> Project:
    """`other` in a database of its own."""
    with sqlite3.connect(tmp_path / "second.db") as db:
        db.execute("create table others (at text, n integer)")
        db.execute("insert into others values ('2024-03-05 10:00', 7)")
    source = f'[sources.second]\nurl = "sqlite:///{tmp_path}/second.db"\n'
    metric = OK.replace("[metrics.ok]", '[metrics.ok]\nsource = "app"') + OTHER + 'source = "second"\n'
    two.declare(metric, source=source, start="2024-03-01")
    return two


@pytest.mark.parametrize("place", ["__init__", "known_until", "snapshot", "close"])
@pytest.mark.parametrize("error", [ValueError("odd"), Panic("odd")], ids=lambda e: type(e).__name__)
def test_any_exception_of_one_source_is_its_own(
    apart: Project, monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException
) -> None:
    def of_second(self: Any, *settings: Any) -> bool:
        return (settings[0] if place == "__init__" else self.settings).name == "second"

    whole = getattr(sqlite.SqliteSource, place)
    monkeypatch.setattr(sqlite.SqliteSource, place, broken(whole, when=of_second, error=error))
    if place == "close":
        assert apart.book.run().exit_code == 0
    else:
        assert "odd" in the_others_are_stored(apart).error
        seen = place == "known_until" or any(
            "odd" in problem.message for look in apart.book.look() for problem in look.problems
        )
        assert seen  # `check --source` does not ask how far a source is known
        assert "odd" in apart.book.plan().reports["other"].error
    assert list(apart.ask("ok").values()) == [1, 1, 1, 1, 1]


def test_all_metrics_that_fail_in_unknown_ways_end_with_1(two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "bind", broken(plan.bind, when=lambda *_, **__: True, error=RuntimeError("odd")))
    report = two.book.run()
    assert (report.exit_code, len(report.failed)) == (1, 2)
    assert invoke(["run", "--project", str(two.folder)], now=lambda: two.now) == 1


def test_the_command_prints_the_traceback_where_it_is_asked_for(
    two: Project, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(plan, "bind", broken(plan.bind, when=about_others, error=RuntimeError("odd")))
    arguments = ["run", "--project", str(two.folder)]
    invoke(arguments, now=lambda: two.now, env={})
    said = capsys.readouterr().err
    assert "other failed: a bug in Tallybook: RuntimeError: odd" in said
    assert "Traceback" not in said
    invoke(arguments, now=lambda: two.now, env={"TALLYBOOK_DEBUG": "1"})
    assert "Traceback (most recent call last)" in capsys.readouterr().err


# --- who only looks --------------------------------------------------------------------------------------------


def test_a_live_question_answers_for_the_metrics_that_can_be_read(
    two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.run()
    monkeypatch.setattr(plan, "bind", broken(plan.bind, when=about_others, error=TypeError("odd")))
    row = two.rows("ok", "other", from_="2024-03-05", to="2024-03-05", live=True)[0]
    assert (row["ok"], row["other"]) == (1, None)
    assert "TypeError: odd" in row["notes"]["other"]["why"]
    with pytest.raises(Unforeseen, match="odd"):
        two.book.query("other", live=True)


def test_an_audit_counts_the_metrics_that_can_be_read(two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    two.run()
    monkeypatch.setattr(plan, "bind", broken(plan.bind, when=about_others, error=TypeError("odd")))
    two.at("2024-03-20T12:00")
    found = two.book.audit(sample=10, seed=1)
    assert {one.metric: bool(one.error) for one in found.counted} == {"ok": False, "other": True}


def test_why_tells_what_is_behind_the_operands_that_can_be_read(two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    two.declare(OK + OTHER + '[metrics.rate]\nmeasure = "other / ok"\n', start="2024-03-01")
    two.run()
    from tallybook.query.behind import why

    def of_other(reader: Any, metric: Any, *_: Any) -> bool:
        return bool(metric.name == "other")

    monkeypatch.setattr(why, "_evidence", broken(why._evidence, when=of_other, error=TypeError("odd")))
    behind = two.book.why("rate", "2024-03-05").behind
    assert ["odd" in (one.error or "") for one in behind] == [True, False]


def test_one_table_does_not_end_a_draft(two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallybook.draft import guess, seen
    from tallybook.draft.drafting import draft

    def of_others(*args: Any, **_: Any) -> bool:
        return any("others" in (arg if isinstance(arg, str) else getattr(arg, "name", "")) for arg in args)

    for owner, name, said in ((seen, "_table", "cannot be read"), (guess.Guesser, "_facts", "cannot be drafted")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken(getattr(owner, name), when=of_others, error=OverflowError("odd")))
            made = draft(two.url, folder=two.folder, now=two.now)
            assert said in made.skipped["others"]
            assert [idea.keys["table"] for idea in made.metrics] == ["facts"]


def test_alerts_are_sent_of_the_metrics_that_can_be_read(two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    two.run()
    from tallybook.query import QueryService

    failing = broken(
        QueryService.period_rows, when=lambda _, question: "other" in question.metrics, error=TypeError("odd")
    )
    monkeypatch.setattr(QueryService, "period_rows", failing)
    metrics = list(two.book.project.catalog.metrics.values())
    assert list(two.book._alerting().series(metrics)) == ["ok"]


def test_a_level_that_is_asked_for_again_is_counted_once(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project("sqlite", now="2024-03-06T12:00")
    rows = [("2024-02-01", "2024-03-03", 1), ("2024-02-01", None, 2), ("2024-03-02", None, 9)]
    made.table("plans (since text, until text, price integer)", rows)
    metric = (
        '[metrics.NAME]\nkind = "level"\ntable = "plans"\nfrom = "since"\nuntil = "until"\nmeasure = "p50(price ADD)"\n'
    )
    made.declare(
        metric.replace("NAME", "a").replace("ADD", "") + metric.replace("NAME", "b").replace("ADD", "+ 1"),
        start="2024-03-01",
    )
    calls, whole = [], gather._take_keyed

    def fails_once(group: Any, *rest: Any, **more: Any) -> None:
        calls.append(len(group.members))
        if calls.count(2) == 3 and len(group.members) == 2:
            raise SourceError("lost")
        whole(group, *rest, **more)

    monkeypatch.setattr(gather, "_take_keyed", fails_once)
    made.run()
    assert calls[:3] == [2, 2, 2]
    # 1 and 2 hold on 1 March, 1, 2 and 9 on the 2nd, 2 and 9 from the 3rd on.
    assert list(made.ask("a", from_="2024-03-01").values()) == pytest.approx([1.5, 2, 5.5, 5.5, 5.5])
    assert list(made.ask("b", from_="2024-03-01").values()) == pytest.approx([2.5, 3, 6.5, 6.5, 6.5])
