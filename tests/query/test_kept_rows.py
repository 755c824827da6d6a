"""Values that are kept between versions: those of a period are computed again when one of its days changed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.query import Question, kept_rows
from tests.projects import Project

FIRST = date(2024, 1, 1)
METRICS = """
[metrics.orders]
table = "orders"
time = "day"
measure = "count(*)"
by = ["plan"]

[metrics.revenue]
table = "orders"
time = "day"
measure = "sum(amount)"

[metrics.basket]
table = "orders"
time = "day"
measure = "avg(amount)"

[metrics.buyers]
table = "orders"
time = "day"
measure = "count(distinct user_id)"

[metrics.known_buyers]
kind = "uniques"
table = "orders"
time = "day"
measure = "count(distinct user_id)"

[metrics.seats]
kind = "level"
table = "seats"
time = "day"
measure = "sum(seats)"

[metrics.carried_seats]
kind = "level"
table = "seats"
time = "day"
by = ["plan"]
measure = "sum(seats)"
carry = "3d"

[metrics.share]
measure = "revenue / orders"
"""
NAMES = ("orders", "revenue", "basket", "buyers", "known_buyers", "seats", "carried_seats", "share")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path / "book", f"sqlite:///{tmp_path}/app.db", now="2024-04-10T12:00")
    days = [FIRST + timedelta(days=n) for n in range(130)]
    made.table(
        "orders (day date, plan text, user_id int, amount int)",
        [(day, "ab"[n % 2], n % 9, n % 11 - 3) for n, day in enumerate(days) for _ in range(2)],
    )
    made.table("seats (day date, plan text, seats int)", [(day, "ab"[n % 2], n) for n, day in enumerate(days) if n % 6])
    made.declare(METRICS)
    made.run()
    yield made
    made.close()


def kept(project: Project, *metrics: str, **options: Any) -> list[Mapping[str, Any]]:
    return list(project.book.answers.period_rows(Question(metrics=metrics, **options)).rows)


def fresh(project: Project, *metrics: str, **options: Any) -> list[Mapping[str, Any]]:
    """The rows of a book that was opened just now, without the reasons why values are missing."""
    with tallybook.open(project.folder, now=lambda: project.now) as book:
        return [without_reasons(row) for row in book.query(*metrics, **options).data]


def without_reasons(row: Mapping[str, Any]) -> Mapping[str, Any]:
    notes = {name: {k: v for k, v in note.items() if k != "why"} for name, note in row.get("notes", {}).items()}
    rest = {key: value for key, value in row.items() if key != "notes"}
    found = {name: note for name, note in notes.items() if note}
    return {**rest, "notes": found} if found else rest


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The days of the questions that are computed, as `first … last`."""
    found: list[str] = []
    answer = kept_rows.answer

    def noted(query: Any, context: Any) -> Any:
        found.append(f"{query.first} … {query.last}")
        return answer(query, context)

    monkeypatch.setattr(kept_rows, "answer", noted)
    return found


def test_only_the_periods_with_changed_days_are_computed_again(project: Project, asked: list[str]) -> None:
    def ask() -> None:
        rows = kept(project, "orders", "share", scope="week", from_="2024-01-01", to="2024-04-30")
        assert rows == fresh(project, "orders", "share", scope="week", from_="2024-01-01", to="2024-04-30")

    ask()
    ask()
    project.at("2024-04-12T12:00").run()
    ask()
    project.execute("UPDATE orders SET amount = 1000 WHERE day = '2024-02-14'")
    project.run("revenue", from_="2024-02-14", to="2024-02-14")
    ask()
    assert asked[0] == "2024-01-01 … 2024-04-30"
    assert asked[1] == "2024-04-08 … 2024-04-30", "the same version: only days that are not over"
    assert asked[2] > "2024-03-31", "days of April are in one file"
    assert "2024-01-29" <= asked[3] < "2024-02-13", "the days of February, from the week of its first one"


def test_values_that_may_be_those_of_an_earlier_day_are_asked_for_as_a_whole(
    project: Project, asked: list[str]
) -> None:
    both = ("carried_seats", "orders")
    assert kept(project, *both, scope="week") == fresh(project, *both, scope="week")
    assert kept(project, "seats", scope="week", show="change") == fresh(project, "seats", scope="week", show="change")
    assert not asked


def test_days_without_facts_are_known_to_be_zero_once_they_are_collected(tmp_path: Path) -> None:
    """No points file says so: the days are covered, that is all."""
    project = Project(tmp_path / "book", f"sqlite:///{tmp_path}/app.db", now="2024-02-01T12:00")
    project.table("orders (day date, plan text, user_id int, amount int)", [("2024-01-02", "a", 1, 5)])
    project.declare(METRICS.partition("[metrics.revenue]")[0])
    project.run(to="2024-01-09")
    project.run(from_="2024-01-20")
    assert [row["orders"] for row in kept(project, "orders", from_="2024-01-08", to="2024-01-11")] == [0, 0, None, None]
    project.run(from_="2024-01-10", to="2024-01-19")
    rows = kept(project, "orders", from_="2024-01-08", to="2024-01-11")
    assert rows == fresh(project, "orders", from_="2024-01-08", to="2024-01-11")
    assert [row["orders"] for row in rows] == [0, 0, 0, 0]
    project.close()


def test_values_of_a_version_are_computed_again_after_its_points_were_changed(
    project: Project, asked: list[str]
) -> None:
    kept(project, "orders", scope="month")
    project.book.forget("buyers")
    assert kept(project, "orders", scope="month") == fresh(project, "orders", scope="month")
    assert asked[-1].startswith("2024-01-01")


QUESTIONS: Sequence[tuple[Sequence[str], Mapping[str, Any]]] = (
    (("orders", "revenue", "seats"), {"scope": "day", "fill": True}),
    (("orders", "basket", "share", "buyers"), {"scope": "week"}),
    (("seats", "known_buyers"), {"scope": "month"}),
    (("orders", "carried_seats"), {"scope": "week"}),
    (("orders", "revenue"), {"scope": "week", "show": "average"}),
    (("seats", "revenue"), {"scope": "month", "show": "max"}),
    (("orders", "seats"), {"scope": "week", "show": "first"}),
    (("orders", "seats"), {"scope": "quarter", "show": "last"}),
)


def changed(project: Project, dice: random.Random) -> None:
    """Something happens to the book: facts change, days pass, a run collects some of them, a metric is forgotten."""
    day = FIRST + timedelta(days=dice.randrange(110))
    what = dice.randrange(8)
    if what == 0:
        project.execute(f"UPDATE orders SET amount = amount + {dice.randrange(-900, 900)} WHERE day = '{day}'")
    elif what == 1:
        project.execute(f"DELETE FROM orders WHERE day = '{day}'", f"DELETE FROM seats WHERE day = '{day}'")
    elif what == 2:
        project.execute(f"INSERT INTO orders VALUES ('{day}', 'c', 77, 5)")
    elif what == 3:
        project.at(f"{project.now.date() + timedelta(days=dice.randrange(-3, 9))}T12:00")
    elif what == 4:
        project.book.forget(dice.choice(["orders", "seats", "buyers"]))
    last = min(day + timedelta(days=dice.randrange(40)), project.now.date() - timedelta(days=1))
    if dice.randrange(3) and day <= last:
        names = dice.sample(NAMES[:-1], dice.randrange(1, 6))
        project.book.run(*names, from_=str(day), to=str(last))
    elif dice.randrange(2):
        project.book.run()


@pytest.mark.parametrize("seed", range(6))
def test_kept_values_are_those_of_a_book_that_keeps_none(project: Project, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(5):
        changed(project, dice)
        for names, asked in QUESTIONS:
            begin = FIRST + timedelta(days=dice.choice([-30, -3, 0, 17, 60]))
            options = {**asked, "from_": str(begin), **({"to": "2024-05-20"} if dice.randrange(2) else {})}
            assert kept(project, *names, **options) == fresh(project, *names, **options), (names, options)
