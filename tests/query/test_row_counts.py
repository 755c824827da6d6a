"""An answer that is certainly too large is refused before it is computed; no other answer is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from tallybook.query import Question, rows_at_least
from tests.projects import Project
from tests.server.served import Served

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(60)]
METRICS = """
[metrics.orders]
table = "orders"
time = "day"
measure = "count(*)"
by = ["shop", "plan"]

[metrics.buyers]
table = "orders"
time = "day"
measure = "count(distinct shop)"
by = ["plan"]

[metrics.stock]
kind = "level"
table = "stock"
time = "day"
measure = "sum(n)"
by = ["shop"]

[metrics.share]
measure = "orders / stock"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("rows") / "book"
    made = Project(folder, f"sqlite:///{folder.with_suffix('.db')}", now="2024-03-01T12:00")
    shops = [f"s{n}" for n in range(20)]
    orders = [(day, shop, "ab"[n % 2]) for i, day in enumerate(DAYS) for n, shop in enumerate(shops) if (i + n) % 3]
    made.table("orders (day date, shop text, plan text)", orders)
    stock = [(day, shop, n) for day in DAYS for n, shop in enumerate(shops) if day.day != n]
    made.table("stock (day date, shop text, n int)", stock)
    made.declare(METRICS)
    made.run()
    yield made
    made.close()


ASKED: list[dict[str, Any]] = [
    {"metrics": ["orders"], "by": ["shop"]},
    {"metrics": ["orders"], "by": ["shop", "plan"], "scope": "week"},
    {"metrics": ["stock"], "by": ["shop"], "scope": "month"},
    {"metrics": ["orders", "stock"], "by": ["shop"], "scope": "day", "from_": "2024-01-10", "to": "2024-02-03"},
    {"metrics": ["orders"], "by": ["shop"], "where": ["plan=a"], "totals": True},
    {"metrics": ["orders"], "by": ["shop"], "compare": "previous", "scope": "week"},
    {"metrics": ["stock"], "by": ["shop"], "scope": "week", "show": "average"},
    {"metrics": ["buyers"], "by": ["plan"], "scope": "day"},
    {"metrics": ["share"], "by": ["shop"], "scope": "day"},
    {"metrics": ["orders"], "by": ["shop"], "top": 3},
    {"metrics": ["orders"], "by": ["shop"], "limit": 5},
    {"metrics": ["orders"], "by": ["shop"], "having": ["orders > 100"]},
    {"metrics": ["orders"], "by": ["shop"], "window": "7 days"},
    {"metrics": ["orders"], "by": ["weekday"], "scope": "month"},
    {"metrics": ["orders"], "by": ["shop"], "where": ["weekday=monday"]},
    {"metrics": ["orders"], "by": ["shop"], "segments": ["a: plan=a", "b: plan=b"]},
    {"metrics": ["orders"], "scope": "day"},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_no_answer_has_fewer_rows_than_are_certain(project: Project, asked: dict[str, Any]) -> None:
    question = Question(**asked)
    certain = project.book.answers.read(question, lambda query, context: rows_at_least(query, context, 5))
    rows = [row for row in project.book.ask(question).data if not row.get("total")]
    assert certain <= len(rows)
    plain = {*asked} <= {"metrics", "by", "scope", "from_", "to"} and {*asked["metrics"]} <= {"orders", "stock"}
    if plain and asked.get("by") != ["weekday"] and "by" in asked:
        assert certain >= len(rows) / len(asked["metrics"])


def test_a_certainly_large_answer_is_refused_before_it_is_computed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served(project)
    served.doors[0].__dict__["max_rows"] = 300
    small = served.query(metrics=["orders"], by=["plan"], scope="day")
    assert small.status == 200
    with served.book.using() as book:
        monkeypatch.setattr(type(book), "ask", lambda *_: pytest.fail("it was computed"))
    answer = served.query(metrics=["orders"], by=["shop"], scope="day")
    assert (answer.status, answer.json["code"]) == (422, "too_many_rows")
    assert answer.json["seen"] == "800 rows"
    monkeypatch.undo()
    served.close()
