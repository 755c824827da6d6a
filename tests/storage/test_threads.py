"""One Book asked by several threads, tasks and forked workers: every answer is that of a single thread."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.query import Question
from tests import warm
from tests.projects import MakeProject, Project, project

__all__ = ["project"]

METRICS = """
[metrics.n]
table = "facts"
time = "at"
measure = "count(*)"
by = ["plan"]

[metrics.u]
table = "facts"
time = "at"
measure = "count(distinct v)"

[metrics.top]
table = "facts"
time = "at"
measure = "p90(v)"
by = ["plan"]

[metrics.rate]
measure = "n / u"
"""
ROWS = [(f"2024-03-{day:02} 10:00:00", "abc"[i % 3], i % (day + 2)) for day in range(1, 29) for i in range(40)]
Asked = tuple[tuple[str, ...], dict[str, Any]]


def questions(seed: int, number: int) -> list[Asked]:
    dice = random.Random(seed)
    found: list[Asked] = []
    for _ in range(number):
        names = tuple(dice.sample(["n", "u", "top", "rate"], dice.randint(1, 3)))
        by = {"by": ["plan"]} if set(names) <= {"n", "top"} and dice.random() < 0.5 else {}
        last = dice.randint(1, 28)
        days = {"from_": f"2024-03-{dice.randint(1, last):02}", "to": f"2024-03-{last:02}"}
        found.append((names, {"scope": dice.choice(["day", "week", "month", "all"]), **by, **days}))
    return found


def asked(book: tallybook.Book, question: Asked) -> str:
    names, how = question
    return book.query(*names, **how).to_json()


def right(made: Project, several: list[Asked]) -> list[str]:
    """The answers of a Book that nobody else asks, each asked once."""
    with tallybook.open(made.folder, now=lambda: made.now) as book:
        return [asked(book, one) for one in several]


@pytest.fixture
def facts(project: MakeProject) -> Project:
    made = project("sqlite", now="2024-03-29T12:00")
    made.table("facts (at text, plan text, v integer)", ROWS)
    made.declare(METRICS, start="2024-03-01")
    made.run()
    return made


@pytest.mark.cases(1)
@pytest.mark.parametrize("ledger", ["sqlite", "postgresql"])
def test_threads_get_the_answers_of_a_single_thread_and_leave_none_other_in_the_cache(
    facts: Project, ledger: str, request: pytest.FixtureRequest
) -> None:
    if ledger == "postgresql":
        facts.declare(METRICS, start="2024-03-01", store="book-2", ledger=request.getfixturevalue("postgresql_url"))
        facts.run()
    several = questions(1, 60)
    expected = right(facts, several)
    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            found = list(pool.map(lambda one: asked(facts.book, one), several))
            assert found == expected
    assert [asked(facts.book, one) for one in several] == expected


def test_tasks_of_one_event_loop_get_the_answers_of_a_single_thread(facts: Project) -> None:
    several = questions(2, 60)

    async def together() -> list[str]:
        return list(await asyncio.gather(*(asyncio.to_thread(asked, facts.book, one) for one in several)))

    assert asyncio.run(together()) == right(facts, several)


def all_at_once(*works: Callable[[], Any]) -> list[Any]:
    """What several threads answered that began at the same moment."""
    start = threading.Barrier(len(works))

    def begun(work: Callable[[], Any]) -> Any:
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [one.result() for one in [pool.submit(begun, work) for work in works]]


def test_every_verb_that_reads_may_be_asked_by_several_threads(facts: Project, tmp_path: Path) -> None:
    book = facts.book
    verbs: dict[str, Callable[[], Any]] = {
        "query": lambda: asked(book, (("n", "u"), {"scope": "week"})),
        "query_many": lambda: [asked(book, one) for one in questions(3, 5)],
        "why": lambda: book.why("rate", "2024-03-05").behind,
        "runs": book.runs,
        "doctor": book.doctor,
        "coverage": book.coverage,
        "metrics": book.metrics,
        "status": lambda: book.status().to_dict(),
        "export": lambda: book.export(book.query("n"), tmp_path / f"{threading.get_ident()}.csv").read_text(),
        "live": lambda: book.query("n", scope="month", live=True).rows(),
        "plan": lambda: book.plan().reports["n"].error,
        "diff": book.diff,
        "goals": book.goals,
        "alerts": book.alerts,
    }
    expected = {name: verb() for name, verb in verbs.items()}
    for _ in range(2):
        found = all_at_once(*(verb for verb in verbs.values() for _ in range(2)))
        assert dict(zip(verbs, found[::2], strict=True)) == expected
        assert dict(zip(verbs, found[1::2], strict=True)) == expected


def test_questions_beside_a_run_of_the_same_book_get_the_numbers_of_one_version(facts: Project) -> None:
    """Each day has one more row after the run: every answer is wholly old or wholly new."""
    facts.insert("facts", [(f"2024-03-{day:02} 11:00:00", "a", 0) for day in range(1, 29)])
    question: Asked = (("n",), {"from_": "2024-03-01", "to": "2024-03-28"})
    ended = threading.Event()

    def running() -> Any:
        try:
            return facts.book.run(from_="2024-03-01", to="2024-03-28").exit_code
        finally:
            ended.set()

    def asking() -> set[tuple[int, ...]]:
        seen: set[tuple[int, ...]] = set()
        while not ended.is_set():
            seen.add(tuple(row["n"] for row in facts.book.query("n", **question[1]).rows()))
        return seen

    code, *seen = all_at_once(running, asking, asking, asking)
    assert code == 0
    assert set().union(*seen) <= {(40,) * 28, (41,) * 28}
    assert [row["n"] for row in facts.book.query("n", **question[1]).rows()] == [41] * 28


def test_an_answer_of_before_a_forgetting_is_not_kept_after_it(facts: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that began before the points of an old version changed ends after."""
    from tallybook.query import service as module

    whole, begun, forgotten = module.answer, threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        found = whole(*args)
        begun.set()
        forgotten.wait(30)
        return found

    question = {"as_of": "2024-03-29", "from_": "2024-03-05", "to": "2024-03-05"}
    facts.at("2024-03-30T12:00")
    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(module, "answer", slow)
        early = pool.submit(lambda: facts.ask("u", **question))
        begun.wait(30)
        facts.book.forget_person("3", metrics=["u"])
        forgotten.set()
        assert early.result() == {"2024-03-05": 7}
    assert facts.ask("u", **question) == {"2024-03-05": 6}


def test_who_only_looks_makes_no_book_and_hides_none_from_another_thread(project: MakeProject) -> None:
    made = project("sqlite", now="2024-03-29T12:00")
    made.table("facts (at text, plan text, v integer)", ROWS)
    made.declare(METRICS, start="2024-03-01")
    book = made.book
    with book.reader.only_reading():
        assert book.reader.has_book
        assert all_at_once(lambda: book.reader.has_book) == [False]
        assert all_at_once(lambda: book.run().exit_code) == [0]
    assert asked(book, (("n",), {"scope": "all"})) == right(made, [(("n",), {"scope": "all"})])[0]


def test_kept_points_of_older_versions_go_with_the_last_question_that_reads_them(facts: Project) -> None:
    held = facts.book.reader
    tables = "SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'kept_%'"
    with held.reading() as other:
        for round_ in range(4):
            for _ in range(3):
                facts.book.query("n", from_="2024-03-01", to=f"2024-03-{20 + round_}")
                facts.book.answers.forget_answers()
            facts.insert("facts", [("2024-03-28 11:00:00", "a", 0)])
            facts.run()
        assert other.engine.execute(tables).fetchall() == [(2,)]


# --- a server asks from many threads, while runs and others change the book --------------------------------------


def test_eight_threads_get_the_answers_of_their_version_while_a_run_publishes(facts: Project) -> None:
    """Equal questions at once, different ones, goals and metrics: each answer is that of one thread at the same version."""
    facts.insert("facts", [(f"2024-03-{day:02} 11:00:00", "b", day) for day in range(1, 29)])
    book, ended = facts.book, threading.Event()
    several = [Question(metrics=names, **how) for names, how in questions(4, 40)]

    def running() -> Any:
        try:
            return book.run(from_="2024-03-21", to="2024-03-28", publish_seconds=0).exit_code
        finally:
            ended.set()

    def asking(seed: int) -> list[tuple[int, int, str]]:
        dice, found = random.Random(seed), []
        while not ended.is_set() or len(found) < 12:
            number = dice.randrange(8 if seed % 2 else len(several))
            result = book.ask(several[number])
            found.append((number, result.version, result.to_json()))
            assert len(book.metrics()) == 4
        return found

    code, *found = all_at_once(running, *(functools.partial(asking, seed) for seed in range(8)))
    assert code == 0
    answers = {one for part in found for one in part}
    assert len({version for _, version, _ in answers}) > 1, "the run published while they asked"
    with tallybook.open(facts.folder, now=lambda: facts.now) as alone:
        for number, version, text in answers:
            service = alone.answers
            assert service.at_version(service.check(several[number]), version).to_json() == text
        assert [asked_of(book, one) for one in several] == [asked_of(alone, one) for one in several]


def asked_of(book: tallybook.Book, question: Question) -> str:
    return book.ask(question).to_json()


def test_a_question_that_reads_kept_points_while_somebody_is_forgotten_disturbs_no_other(facts: Project) -> None:
    """Its tables exist until it ends; those of later questions have names of their own."""
    book, tables = facts.book, "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'kept_%'"

    def total() -> int:
        book.answers.forget_answers()
        return book.query("n", scope="all").rows()[0]["n"]

    assert [total(), total(), total()] == [1120] * 3
    query = book.answers.check(Question(metrics=["n"], scope="all"))
    with book.reader.reading() as reading:
        early = book.reader.context_of(query, None, None, reading)
        before = set(reading.engine.execute(tables).fetchall())
        book.answers.read_again()
        assert [total(), total(), total()] == [1120] * 3
        relation = early.relation("totals", "n", date.min, date.max)
        assert reading.engine.execute(f"SELECT count(*) FROM {relation.sql}").fetchall()[0][0] > 0
        assert before < set(reading.engine.execute(tables).fetchall())
    with book.reader.reading() as reading:
        after = set(reading.engine.execute(tables).fetchall())
    assert after
    assert not after & before


def test_who_is_forgotten_by_another_process_is_in_no_answer_that_this_one_remembers(facts: Project) -> None:
    facts.at("2024-03-30T12:00")
    days = {"as_of": "2024-03-29", "from_": "2024-03-05", "to": "2024-03-05"}
    for _ in range(3):
        facts.book.answers.forget_answers()
        assert facts.ask("u", **days) == {"2024-03-05": 7}
    with tallybook.open(facts.folder, now=lambda: facts.now) as other:
        other.forget_person("3", metrics=["u"])
    assert facts.ask("u", **days) == {"2024-03-05": 6}
    assert facts.ask("n", **days) == {"2024-03-05": 40}


# --- forks -----------------------------------------------------------------------------------------------------

CHILD = """
import os, sys, threading, time
import tallybook
from datetime import datetime

folder, url = sys.argv[1:]
book = tallybook.open(folder, now=lambda: datetime.fromisoformat("2024-03-29T12:00+00:00"))
def asked():
    return repr(book.query("n", "u", scope="week").rows())
def other():
    return repr(book.query("top", scope="month").rows())
expected = asked(), other(), asked(), len(book.runs())
if url == "asking":  # another thread asks while the process forks
    ended = threading.Event()
    def work():
        while not ended.is_set():
            book.answers.forget_answers()
            asked()
    thread = threading.Thread(target=work); thread.start(); time.sleep(0.2)
children = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        book.answers.forget_answers()
        good = (asked(), other(), asked()) == expected[:3] and not book.doctor()
        good = good and len(book.runs()) - expected[3] in (0, 1)  # a sister runs meanwhile
        if number == 1:
            good = good and book.run().exit_code == 0
        sys.exit(0 if good else 3)  # a whole end of the interpreter, as a worker has it
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
if url == "asking":
    ended.set(); thread.join()
book.answers.forget_answers()
after = asked(), other(), asked()
assert after == expected[:3], (codes, after, expected)
book.close()
print(codes)
"""


@pytest.mark.cases(1)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(("parent", "ledger"), [("idle", "sqlite"), ("asking", "sqlite"), ("asking", "postgresql")])
def test_a_book_that_was_asked_answers_in_forked_children(
    facts: Project, parent: str, ledger: str, request: pytest.FixtureRequest
) -> None:
    if ledger == "postgresql":
        facts.declare(METRICS, start="2024-03-01", store="book-2", ledger=request.getfixturevalue("postgresql_url"))
        facts.run()
    facts.close()
    done = warm.run(["-c", CHILD, str(facts.folder), parent])
    assert (done.returncode, done.stdout.strip()) == (0, "[0, 0, 0]"), done.stderr
    if parent == "idle":
        assert not done.stderr
