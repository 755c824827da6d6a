"""`[events] keep`: events go after the kept time, days stay collected, and questions about days before it say so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tallybook.cli import invoke
from tallybook.ingest import EventQuestion, Expiry, Upkeep, read_events
from tests.ingest.test_event_metrics import EventBook

KEPT = """
[events]
keep = "60 days"

[metrics.signups]
event = "signup"
measure = "count(*)"
start = "2026-02-01"

[metrics.seats]
event = "seats"
daily_aggregate = true
measure = "sum(value)"
start = "2026-02-01"
"""


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[EventBook]:
    """Two events on each of three days in February and March, and values of two days, collected; then it is 31 May."""
    book = EventBook(tmp_path / "p", KEPT)
    for day in ("2026-02-10", "2026-02-28", "2026-03-01"):
        book.send(*({"event": "signup", "time": f"{day}T22:30:00Z", "id": f"{day}-{i}"} for i in range(2)))
    book.send({"event": "signup", "time": "2026-02-28T23:30:00Z", "id": "of March in Berlin"})
    book.values("seats", d01=7)
    book.send({"event": "seats", "day": "2026-02-27", "value": 5}, path="/v1/values")
    book.send({"event": ""})
    book.run()
    book.now = datetime(2026, 5, 15, 12, tzinfo=UTC)
    used_on(book, "2026-05-13", "2026-05-14", "2026-08-13", "2026-08-14")
    yield book
    book.book.close()
    book.ingest.commit.close()


def used_on(book: EventBook, *days: str) -> None:
    """Commits on these days: a clock that shows a later one has not jumped there."""
    first = book.ingest.events.number() + 1
    with book.ingest.events.ledger._writing() as db:
        for number, day in enumerate(days, first):
            db.execute("INSERT INTO event_commits (number, at) VALUES (?, ?)", [number, f"{day}T12:00:00.000000Z"])


def delete_old(book: EventBook) -> None:
    book.ingest.now = book.now
    catalog = book.book.project.catalog
    expiry = Expiry(book.ingest.events, lambda: book.now, catalog.events, catalog.book.timezone)
    Upkeep(book.ingest.events, lambda: book.now, expiry=expiry).step()


def days_in_files(book: EventBook, event: str) -> list[date]:
    return [day for (day,) in book.ingest.stored(event, "day")]


def test_events_are_deleted_by_whole_months_in_the_zone_of_the_book(kept: EventBook) -> None:
    delete_old(kept)
    assert days_in_files(kept, "signup") == [date(2026, 3, 1)] * 3
    assert days_in_files(kept, "seats") == [date(2026, 3, 1)]
    assert kept.ingest.events.kept_from() == date(2026, 3, 1)
    number = kept.ingest.events.number()
    delete_old(kept)
    assert kept.ingest.events.number() == number
    kept.now = datetime(2026, 8, 15, tzinfo=UTC)
    delete_old(kept)
    assert (days_in_files(kept, "signup"), days_in_files(kept, "seats")) == ([], [])
    assert not kept.ingest.events.snapshot().files  # rejected requests, too


def test_days_that_were_collected_stay_and_no_run_replaces_them_by_what_is_left(kept: EventBook) -> None:
    before = kept.ask("signups", "2026-02-01", "2026-03-04")
    assert (before["2026-02-10"], before["2026-02-28"], before["2026-03-01"]) == (2, 2, 3)
    delete_old(kept)
    kept.run()
    kept.book.run("signups", from_="2026-02-01", to="2026-03-04")
    assert kept.ask("signups", "2026-02-01", "2026-03-04") == before
    assert kept.ask("seats", "2026-02-27", "2026-02-27") == {"2026-02-27": 5}
    audit = kept.book.audit(sample=100)
    assert not audit.drifted
    assert not audit.failed


def test_a_run_of_days_before_it_says_that_their_events_are_gone(kept: EventBook) -> None:
    delete_old(kept)
    report = kept.book.run("signups", from_="2026-02-01", to="2026-03-04")
    notes = " ".join(note for one in report.metrics for note in one.notes)
    assert "events of days before 2026-03-01 are no longer kept ([events] keep)" in notes


@pytest.mark.parametrize("asked", [{"event": "signup", "count": True}, {"metrics": "signups", "live": True}])
def test_a_question_about_events_before_it_says_so(kept: EventBook, asked: dict[str, Any]) -> None:
    delete_old(kept)
    metrics = [name] if (name := asked.pop("metrics", None)) else []
    answer = kept.book.query(*metrics, from_="2026-02-10", to="2026-03-01", scope="day", **asked)
    rows = {str(row["period"]): next(v for k, v in row.items() if k in ("count", "signups")) for row in answer.rows()}
    assert rows.get("2026-02-10") is None
    assert rows["2026-03-01"] == 3
    assert "events of days before 2026-03-01 are no longer kept" in str(answer.to_dict())


def test_an_event_that_is_older_when_it_comes_is_rejected_and_not_stored_for_a_moment(kept: EventBook) -> None:
    kept.ingest.rules = kept.book.project.catalog.events
    kept.ingest.now = kept.now
    old = [{"event": "signup", "time": "2026-02-10T12:00:00Z"}, {"event": "signup", "time": "2026-05-10T12:00:00Z"}]
    kept.ingest.send(*old)
    kept.ingest.send({"event": "seats", "day": "2026-03-01", "value": 9}, path="/v1/values")
    kept.ingest.compact(settings=kept.book.project.catalog.events)
    assert days_in_files(kept, "signup").count(date(2026, 5, 10)) == 1
    assert days_in_files(kept, "signup").count(date(2026, 2, 10)) == 2
    assert days_in_files(kept, "seats") == [date(2026, 2, 27), date(2026, 3, 1)]


@pytest.mark.parametrize("verb", ["run", "compact"])
def test_old_events_are_deleted_where_no_server_runs(kept: EventBook, verb: str) -> None:
    before = kept.ask("signups", "2026-02-01", "2026-03-04")
    getattr(kept.book, verb)()
    assert days_in_files(kept, "signup") == [date(2026, 3, 1)] * 3
    assert kept.ask("signups", "2026-02-01", "2026-03-04") == before
    paths = {file.path for file in kept.ingest.events.snapshot().files}
    kept.now = datetime(2026, 5, 15, 14, tzinfo=UTC)
    getattr(kept.book, verb)()
    there = {
        p.relative_to(kept.folder / "book").as_posix() for p in (kept.folder / "book/events/files").rglob("*.parquet")
    }
    assert there == {path for path in paths if "/files/" in path}, "the replaced files are deleted an hour later"


def test_who_reads_events_back_learns_from_which_day_on_they_are_kept(kept: EventBook) -> None:
    assert read_events(kept.ingest.events, EventQuestion()).as_json()["kept_from"] is None
    delete_old(kept)
    assert read_events(kept.ingest.events, EventQuestion()).as_json()["kept_from"] == "2026-03-01"
    said = {}
    for typed in ("tail", "export", "export --from 2026-03-01"):
        out, err = StringIO(), StringIO()
        arguments = ["events", *typed.split(), "--project", str(kept.folder)]
        assert invoke(arguments, now=lambda: kept.now, stdout=out, stderr=err) == 0
        said[typed] = "events of days before 2026-03-01 are no longer kept" in err.getvalue()
    assert said == {"tail": True, "export": True, "export --from 2026-03-01": False}


def test_a_clock_that_jumps_ahead_deletes_no_event(kept: EventBook) -> None:
    """Runs and servers of one day do not confirm it; those of two earlier days do."""
    right = kept.now
    for day in (1, 2):
        kept.now = datetime(2030, 1, day, 12, tzinfo=UTC)
        delete_old(kept)
        kept.book.run("signups")
        assert len(days_in_files(kept, "signup")) == 7
        assert kept.ingest.events.kept_from() is None
    kept.now = right
    delete_old(kept)
    assert days_in_files(kept, "signup") == [date(2026, 3, 1)] * 3
    kept.now = datetime(2030, 1, 3, 12, tzinfo=UTC)
    delete_old(kept)
    assert days_in_files(kept, "signup") == []
