"""`tallybook status`: when it says that all is well, when not, and as monitors read it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tallybook.cli import invoke
from tests.projects import MakeProject, Project, project

__all__ = ["project"]  # a fixture

SIGNUPS = """
[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
"""
BROKEN = """
[metrics.broken]
table = "no_such_table"
time = "created_at"
measure = "count(*)"
"""
SCHEDULE = """
[schedule]
at = "03:30"
"""
DAILY = """
[deliveries.daily]
to = "csv"
path = "out/daily.csv"
metrics = ["signups"]
"""


@pytest.fixture
def book(project: MakeProject) -> Project:
    """A metric with facts of every day, in Berlin; the clock shows 6 March, ten in the morning there."""
    made = project("sqlite", now="2024-03-06T09:00")
    made.table("users (created_at timestamp)", [(f"2024-0{m}-01 12:00:00",) for m in (1, 2, 3)])
    made.declare(SIGNUPS, timezone="Europe/Berlin", name="Acme")
    return made


def declare(book: Project, *parts: str, name: str = "Acme") -> None:
    book.declare("".join((SIGNUPS, *parts)), timezone="Europe/Berlin", name=name)


def say(book: Project, *argv: str) -> tuple[int, str]:
    said = io.StringIO()
    command = ["status", *argv, "--project", str(book.folder)]
    return invoke(command, now=lambda: book.now, stdout=said, stderr=said, env={}), said.getvalue()


def problems(book: Project) -> list[str]:
    """What is not well; the exit code says the same."""
    code, said = say(book, "--format", "json")
    told = json.loads(said)
    assert (code, told["well"]) == ((1, False) if told["problems"] else (0, True))
    found: list[str] = told["problems"]
    return found


def test_a_new_book_is_told_to_run(book: Project) -> None:
    assert problems(book) == ["nothing has been collected yet: tallybook run"]
    assert not (book.folder / "book").exists()  # who only looks makes none


def test_all_is_well_after_a_run(book: Project) -> None:
    book.run()
    assert problems(book) == []
    code, said = say(book)
    assert code == 0
    assert said.startswith("All is well.\n\nlast run  1, 2024-03-06 09:00 UTC: done\n")
    assert "signups  2024-03-05" in said


def test_days_that_are_missing_in_between_are_a_problem_until_they_are_collected(book: Project) -> None:
    book.book.run("signups", from_="2024-01-01", to="2024-01-31")
    book.book.run("signups", from_="2024-02-15", to="2024-03-05")
    assert problems(book) == ["14 days of signups are missing between collected days: tallybook run signups"]
    book.run("signups")
    assert problems(book) == []


def test_unusual_values_and_goals_that_are_off_have_a_line_each_and_are_no_problem(book: Project) -> None:
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(65)]
    book.execute("create table visits (at timestamp, plan varchar(9))")
    book.insert(
        "visits", [(f"{d} 12:00:00", "pro") for d in days for _ in range(90 if d == days[-1] else 20 + d.day % 3)]
    )
    goal = '[goals.many]\nmetric = "visits"\nscope = "month"\ntarget = 9000\n'
    declare(book, '[metrics.visits]\ntable = "visits"\ntime = "at"\nmeasure = "count(*)"\n', goal)
    book.run()
    assert problems(book) == []
    code, said = say(book)
    assert code == 0
    assert said.startswith("No problems, but 1 metric with unusual values, 1 goal behind or missed.\n")
    assert "visits is unusual: 90 on Tuesday 2024-03-05; usual on a Tuesday is" in said
    assert said.count("tallybook why visits 2024-03-05") == 1
    assert "goal many is behind: 174 of 9,000 in 2024-03; tallybook goals many" in said
    found = json.loads(say(book, "--format", "json")[1])
    assert len(found["unusual"]) == len(found["goals_off"]) == 1
    assert book.book.status().goals_off == tuple(found["goals_off"])


def test_days_that_no_run_can_collect_are_named_and_no_problem(book: Project) -> None:
    declare(book, '[metrics.people]\nkind = "level"\ntable = "users"\nmeasure = "count(*)"\n')
    book.at("2024-03-04T23:30").run()
    book.at("2024-03-06T23:30").run()
    assert problems(book) == []
    code, said = say(book)
    assert code == 0
    assert said.startswith("No problems, but some days are lost.\n")
    assert "people lacks 1 day that no run can collect; tallybook coverage people shows which" in said


@pytest.mark.parametrize(
    ("now", "late"),
    [
        ("2024-03-07T03:00+01:00", False),  # not due yet
        ("2024-03-07T04:00+01:00", False),  # due, with an hour of grace
        ("2024-03-07T04:31+01:00", True),
        ("2024-03-08T04:31+01:00", True),
    ],
)
def test_a_metric_is_late_when_it_lacks_a_day_that_a_run_should_have_collected(
    book: Project, now: str, late: bool
) -> None:
    declare(book, SCHEDULE)
    book.run()
    days = 2 if "08T" in now else 1
    told = f"signups is {days} day{'s' * (days > 1)} late: collected to 2024-03-05, due to 2024-03-0{5 + days}"
    found = problems(book.at(now))
    assert [text.partition(";")[0] for text in found] == ([told] if late else [])


def test_without_a_schedule_a_day_may_take_a_day(book: Project) -> None:
    book.run()
    assert problems(book.at("2024-03-07T23:59+01:00")) == []
    assert len(problems(book.at("2024-03-08T00:01+01:00"))) == 1


def test_a_late_run_makes_it_well_again(book: Project) -> None:
    declare(book, SCHEDULE)
    book.run()
    assert problems(book.at("2024-04-15T12:00+02:00"))
    book.run()
    assert problems(book) == []


def test_a_metric_that_failed_is_told_until_a_run_collects_it(book: Project) -> None:
    declare(book, BROKEN)
    book.book.run()
    (told,) = problems(book)
    assert told.startswith("broken failed: ")
    book.book.run("signups")  # says nothing about the other
    assert problems(book) == [told]
    book.execute("create table no_such_table (created_at text)")
    book.run()
    assert problems(book) == []


def test_a_metric_that_is_declared_anew_was_never_collected(book: Project) -> None:
    book.run()
    declare(book, SIGNUPS.replace("metrics.signups", "metrics.members"))
    assert problems(book) == ["members was never collected as it is declared now: tallybook run members"]


def test_a_run_that_was_killed_is_told_and_one_at_work_is_not(book: Project) -> None:
    book.run()
    ledger = book.book.store.ledger
    lease = ledger.acquire("collect", now=book.now, seconds=60)
    ledger.start_run("collect", now=book.now)
    assert problems(book) == []
    ledger.release(lease)
    assert problems(book) == ["run 2 failed: its process ended without a report"]


def test_a_delivery_waits_until_it_says_what_the_last_run_collected(book: Project) -> None:
    declare(book, DAILY)
    waits = ["daily is not delivered yet: tallybook deliver daily"]
    book.run()
    assert problems(book) == waits  # there is no folder for it
    (book.folder / "out").mkdir()
    book.book.deliver()
    assert problems(book) == []
    assert problems(book.at("2024-03-07T00:30+01:00")) == []  # another day alone makes nothing new
    book.book.compact()
    assert problems(book) == []
    declare(book, DAILY.replace('metrics = ["signups"]', 'metrics = ["signups"]\nscope = "week"'))
    assert problems(book) == waits
    book.run()
    assert problems(book) == []


def test_the_next_run_is_told_in_the_zone_of_the_book(book: Project) -> None:
    declare(book, SCHEDULE)
    book.run()
    assert "next due  2024-03-07 03:30 in Europe/Berlin\n" in say(book)[1]
    assert json.loads(say(book, "--format", "json")[1])["next_due"] == "2024-03-07T02:30:00Z"


# ------------------------------------------------------------------------------------------- for monitors


def gauges(text: str) -> dict[str, Any]:
    """{name or (name, metric): value}, as Prometheus reads it."""
    found: dict[Any, float] = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            assert sample.labels["book"]
            about = sample.labels.get("metric") or sample.labels.get("delivery")
            found[(sample.name, about) if about else sample.name] = sample.value
    return found


def test_prometheus_reads_what_is_written(book: Project) -> None:
    declare(book, SCHEDULE, BROKEN, DAILY)
    book.book.run()
    book.at("2024-03-08T09:00")
    code, said = say(book, "--format", "prometheus")
    assert code == 1
    found = gauges(said)
    assert found["tallybook_well"] == 0
    assert found["tallybook_problems"] == len(problems(book)) == 3
    assert found["tallybook_metric_failed", "broken"] == 1
    assert found["tallybook_metric_failed", "signups"] == 0
    assert found["tallybook_metric_late_days", "signups"] == 2
    assert found["tallybook_delivery_waiting", "daily"] == 1
    end = datetime(2024, 3, 5, 23, tzinfo=UTC)  # of 5 March, in Berlin
    assert found["tallybook_metric_collected_until_timestamp_seconds", "signups"] == end.timestamp()
    assert found["tallybook_status_timestamp_seconds"] == book.now.timestamp()


def test_any_name_of_a_book_is_a_label(book: Project) -> None:
    name = r"The \"Acme\" \\ Söhne"
    declare(book, name=name)
    (family, *_) = text_string_to_metric_families(say(book, "--format", "prometheus")[1])
    assert family.samples[0].labels["book"] == 'The "Acme" \\ Söhne'


def test_a_file_for_the_collector_is_replaced_in_one_step(book: Project, tmp_path: Path) -> None:
    out = tmp_path / "collector" / "tallybook.prom"
    code, said = say(book, "--format", "prometheus", "--out", str(out))
    assert code == 2
    assert "mkdir -p" in said
    out.parent.mkdir()
    out.write_text("old")
    book.run()
    assert say(book, "--format", "prometheus", "--out", str(out)) == (0, "")
    assert gauges(out.read_text())["tallybook_well"] == 1
    assert list(out.parent.iterdir()) == [out]


def test_a_glance_imports_nothing_heavy(book: Project) -> None:
    book.run()
    say(book)  # the catalog is kept now that there is a book
    code = (
        "import sys; from tallybook.cli import invoke; invoke(['status']); "
        "print([m for m in ('sqlalchemy', 'sqlglot', 'pyarrow', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=book.folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
