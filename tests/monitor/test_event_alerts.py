"""Alerts and status of usage events: rejected ones, a key that went silent, an event that feeds no metric."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.cli import invoke
from tallybook.core import DeclarationError
from tallybook.ingest import create_key, revoke_key
from tests.ingest.test_event_metrics import EventBook

SIGNUPS = """
[metrics.signups]
event = "signup"
measure = "count(*)"
"""


@pytest.fixture
def book(tmp_path: Path) -> Iterator[EventBook]:
    made = EventBook(tmp_path / "p", SIGNUPS)
    create_key(made.ingest.events, "loader", ("write",), now=made.now)
    yield made
    made.book.close()
    made.ingest.commit.close()


def signup(at: datetime, **more: Any) -> dict[str, Any]:
    return {"event": "signup", "time": at.isoformat(), **more}


def told(book: EventBook, kind: str) -> dict[str, str]:
    return {one.cause.subject: one.cause.said for one in book.book.alerts() if one.cause.kind == kind and not one.over}


def test_rejected_events_are_reported_beyond_a_share_or_a_number(book: EventBook) -> None:
    naive = {"event": "signup", "time": "2026-03-05T10:00:00"}
    book.send(*[signup(book.now) for _ in range(98)], naive, naive)
    assert told(book, "rejected") == {
        "key loader": "sent 2 events of 100 in the last 24 hours that were rejected (2.0%; 2 of them naive_time)"
    }
    assert any("events rejected --key loader" in problem for problem in book.book.status().problems)
    book.declare('\n[alerts]\nto = ["http://127.0.0.1:9/x"]\nrejected = "2%"\n')
    assert told(book, "rejected") == {}
    for number, count in ((2, 1), (3, 0)):
        text = (book.folder / "tallybook.toml").read_text()
        (book.folder / "tallybook.toml").write_text(text.rpartition("rejected")[0] + f"rejected = {number}\n")
        book.declare("")
        assert len(told(book, "rejected")) == count
    (book.folder / "tallybook.toml").write_text(text.rpartition("rejected")[0])
    book.now += timedelta(hours=25)
    book.declare("")
    assert told(book, "rejected") == {}


@pytest.mark.parametrize("value", ["0", '"101%"', "0.5", '"x%"', "true"])
def test_a_limit_of_rejected_events_is_a_share_or_a_number(book: EventBook, value: str) -> None:
    with pytest.raises(DeclarationError, match="rejected"):
        book.declare(f'\n[alerts]\nto = ["http://127.0.0.1:9/x"]\nrejected = {value}\n')


def test_a_key_that_is_silent_for_longer_than_ever_is_reported_until_it_sends_or_is_revoked(book: EventBook) -> None:
    start = book.now
    for day in range(7):
        book.now = start + timedelta(days=day)
        book.send(signup(book.now))
    book.now = start + timedelta(days=8)
    assert told(book, "silent") == {}
    book.now = start + timedelta(days=8, hours=2)
    (said,) = told(book, "silent").values()
    assert (
        said == "sent no event since 2026-03-11 13:00; before, it never was silent for more than 24 hours in four weeks"
    )
    book.send(signup(book.now))
    assert told(book, "silent") == {}
    book.now += timedelta(days=9)
    assert list(told(book, "silent")) == ["key loader"]
    revoke_key(book.ingest.events, "loader", now=book.now)
    assert told(book, "silent") == {}


def test_an_event_that_feeds_no_metric_is_an_alert_and_a_remark_of_status(book: EventBook) -> None:
    book.send(signup(book.now), {"event": "page view", "time": book.now.isoformat()})
    book.run()
    assert told(book, "unused") == {"event page view": "feeds no metric (1 stored)"}
    status = book.book.status()
    assert (status.problems, len(status.remarks)) == ([], 1)
    import io

    out = io.StringIO()
    code = invoke(["status", "--project", str(book.folder)], now=lambda: book.now, stdout=out, env={})
    assert (code, 'tallybook query --event "page view" --count --scope week' in out.getvalue()) == (0, True)
    assert json.loads(json.dumps(status.to_dict()))["events"][0]["kind"] == "unused"
    book.declare('\n[metrics.views]\nevent = "page view"\nmeasure = "count(*)"\n')
    assert told(book, "unused") == {}


def test_a_book_without_events_has_nothing_to_say_about_them(book: EventBook) -> None:
    assert book.book.status().events == ()
    assert datetime.now(UTC) > book.now
