"""Tables that take longer to read than the source allows: what was read is kept, and the run says what would help."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from tallybook.collect.publishing import pause_after
from tallybook.collect.sources.sqlite import SqliteReader
from tallybook.core.errors import SourceError
from tests.projects import Project, project

__all__ = ["project"]
DAYS = 60
VISITS = [(f"{date(2024, 1, 1) + timedelta(days=i * 7 % DAYS)} 10:00:00", i % 11, i % 3) for i in range(500)]
METRICS = """
    [metrics.visits]
    table = "visits"
    time = "at"
    measure = "sum(weight)"

    [metrics.users]
    table = "visits"
    time = "at"
    measure = "count(distinct user_id)"
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """(shape, days) of each statement that is read; one over more than 9 days of ids takes too long."""
    found: list[tuple[str, int]] = []
    whole = SqliteReader.batches

    def batches(self: SqliteReader, sql: str, size: int = 50_000) -> Any:
        bounds = sorted(set(re.findall(r"'(\d{4}-\d\d-\d\d)", sql)))
        shape = "ids" if "GROUP BY 1, 2" in sql else "sums"
        days = (date.fromisoformat(bounds[-1]) - date.fromisoformat(bounds[0])).days
        found.append((shape, days))
        if shape == "ids" and days > 9:
            raise SourceError("source 'app': a statement took longer than 30 s")
        return whole(self, sql, size)

    monkeypatch.setattr(SqliteReader, "batches", batches)
    return found


def visits(project: Callable[..., Project]) -> Project:
    found = project(now="2024-03-01T12:00")
    found.table("visits (at text, user_id int, weight int)", VISITS)
    found.declare(METRICS)
    return found


def test_a_shape_that_takes_too_long_is_read_in_pieces_and_the_others_once(project, asked):
    found = visits(project)
    report = found.run()
    assert [one for one in asked if one[0] == "sums"] == [("sums", 60)]
    assert [days for shape, days in asked if shape == "ids"][:4] == [60, 15, 3, 3]
    assert sum(days for shape, days in asked if shape == "ids" and days <= 9) == 60
    sums, users = Counter(), {}  # type: ignore[var-annotated]
    for at, user, weight in VISITS:
        sums[at[:10]] += weight
        users.setdefault(at[:10], set()).add(user)
    rows = found.rows("visits", "users", to="2024-02-29")
    assert {r["period"]: (r["visits"], r["users"]) for r in rows} == {d: (sums[d], len(users[d])) for d in sums}
    assert {m.days for m in report.metrics} == {60}


def test_the_run_says_why_it_reads_in_pieces_and_which_index_would_help(project, asked):
    report = visits(project).run()
    for metric in report.metrics:
        (note,) = [note for note in metric.notes if "statement_timeout" in note]
        assert note == (
            "60 days at once take longer than statement_timeout = 30 s: read 3 at a time; "
            "an index would help: CREATE INDEX visits_at ON visits (at)"
        )


def test_days_that_are_published_are_not_read_again_when_a_metric_of_the_statement_fails(project):
    """`odd` breaks the statement in February, when January is published already."""
    found = visits(project)
    found.execute("create index visits_at on visits (at)")
    found.declare(
        METRICS.replace("[metrics.users]", "[metrics.odd]").replace("count(distinct user_id)", "sum(user_id)")
    )
    found.execute("update visits set user_id = 9223372036854775807.5 where at > '2024-02-10'")
    report = found.book.run(publish_seconds=0)
    ok, odd = sorted(report.metrics, key=lambda m: m.metric != "visits")
    assert (ok.days, ok.error) == (60, None)
    assert odd.error
    assert odd.days <= 31
    assert any("read one by one, because it failed" in note for note in (*ok.notes, *odd.notes))


@pytest.mark.parametrize(("cost", "least", "pause"), [(0.1, 10, 10), (3, 10, 60), (90, 10, 600), (5, 0, 0)])
def test_publications_are_as_rare_as_they_are_costly(cost: float, least: float, pause: float) -> None:
    assert pause_after(cost, least) == pause
