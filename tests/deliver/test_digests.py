"""Digests by mail: once at each time, with the numbers of then and a picture of their chart."""

from __future__ import annotations

import textwrap
import threading
from datetime import UTC, date, datetime

import pytest

from tallybook.core import DeclarationError
from tallybook.deliver.destinations import notification
from tallybook.deliver.destinations.digest import last_due
from tallybook.deliver.outgoing.failures import TRY_LATER
from tests.ingest.test_event_metrics import EventBook
from tests.ingest.test_identities import METRICS, visit
from tests.projects import project
from tests.receivers import Web

__all__ = ["project"]
VISITS = [("03", "u-1", 1), ("03", "u-1", 2), ("03", "u-2", 1), ("04", "u-1", 1)]


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2024-03-04T06:59", None),
        ("2024-03-04T07:00", "2024-03-04"),
        ("2024-03-04T18:59", "2024-03-04"),
        ("2024-03-04T19:00", None),
    ],
)
def test_a_digest_is_due_for_a_day_from_its_time_in_the_zone_of_the_book(now, due):
    found = last_due(datetime.fromisoformat(now).replace(tzinfo=UTC), "Europe/Berlin", "08:00", (0,))
    assert found == (date.fromisoformat(due) if due else None)


def test_a_board_is_sent_once_at_its_time_with_a_picture(project):
    pytest.importorskip("apprise")
    made = project(now="2024-03-06T07:00")
    made.table("visits (at timestamp, n int)", [("2024-03-04 10:00:00", 2), ("2024-03-05 10:00:00", 5)])
    with Web() as web:
        made.declare(
            f"""
            [metrics.visits]
            table = "visits"
            time = "at"
            measure = "sum(n)"
            [boards.sales]
            title = "Sales"
            scope = "day"
            last = "2 days"
            views = [
              {{ metrics = ["visits"] }},
              {{ title = "Twice", series = [{{ metric = "visits" }}, {{ metric = "visits" }}], formula = "A + B" }},
            ]
            [deliveries.morning]
            to = "digest"
            board = "sales"
            recipients = ["json://127.0.0.1:{web.port}/s3cr3tpath"]
            at = "08:00"
            """,
            start="2024-03-04",
        )
        assert [one.error for one in made.run().deliveries] == [None]
        assert web.posts == []
        made.at("2024-03-06T08:05")
        assert [one.status for one in made.book.deliver_rest()] == ["delivered"]
        ((_, body),) = web.posts
        assert "Sales" in body["title"]
        assert "2024-03-05" in body["message"]
        assert "Twice, A + B\n2024-03-05  10.00\n2024-03-04  4.00" in body["message"]
        pictures = [one["filename"] for one in body["attachments"]]
        assert pictures == ["1-visits.png", "2-Twice-A-visits.png", "3-Twice-B-visits.png"]
        assert made.book.deliver_rest() == []
        assert [one.status for one in made.run().deliveries] == ["up to date"]
        made.at("2024-03-07T08:05").run()
        assert len(web.posts) == 2
        assert "s3cr3tpath" not in str(made.book.status().to_dict())


def test_views_of_events_have_their_numbers_in_a_digest(tmp_path):
    pytest.importorskip("apprise")
    with Web() as web:
        board = f"""
            [boards.usage]
            scope = "day"
            last = "2 days"
            views = [
              {{ title = "Visits a user", formula = "A / B", series = [
                  {{ event = "visit" }}, {{ event = "visit", measure = "distinct", property = "user" }} ] }},
              {{ title = "Never", series = [{{ event = "never_sent" }}] }},
            ]
            [deliveries.morning]
            to = "digest"
            board = "usage"
            recipients = ["json://127.0.0.1:{web.port}/"]
            at = "08:00"
            """
        book = EventBook(tmp_path / "p", METRICS + textwrap.dedent(board))
        book.send(*(visit(day, user) | {"id": f"{day}-{user}-{n}"} for day, user, n in VISITS))
        book.run()
        ((_, body),) = web.posts
        lines = body["message"].splitlines()
        place = lines.index("Visits a user, A visit")
        assert [line.split() for line in lines[place + 2 : place + 4]] == [["2026-03-03", "3"], ["2026-03-04", "1"]]
        place = lines.index("Visits a user, A / B")
        assert lines[place + 1 : place + 3] == ["2026-03-04  1.00", "2026-03-03  1.50"]
        assert "Never\nno event 'never_sent' was ever received" in body["message"]
        book.book.close()
        book.ingest.commit.close()


def test_a_digest_of_an_unknown_board_is_reported_by_check(project):
    made = project(now="2024-03-06T07:00")
    made.declare(
        """
        [metrics.visits]
        table = "visits"
        time = "at"
        measure = "count(*)"
        [boards.sales]
        views = [{ metrics = ["visits"] }]
        [deliveries.morning]
        to = "digest"
        board = "sale"
        recipients = ["json://127.0.0.1:9/x"]
        """
    )
    with pytest.raises(DeclarationError) as raised:
        _ = made.book
    text = str(raised.value) + str(raised.value.hint)
    assert "there is no board 'sale'" in text
    assert 'board = "sales"' in text


def test_a_message_that_is_never_taken_ends_at_its_deadline(monkeypatch):
    monkeypatch.setattr(notification, "SEND_SECONDS", 0.05)
    hangs = threading.Event()

    class Service:
        def notify(self, **_):
            hangs.wait(5)
            return True

    class Broken:
        def notify(self, **_):
            raise RuntimeError("mailto://user:s3cr3t@host")

    for service, said in (
        (Service(), "no complete answer within 0.05 seconds"),
        (Broken(), "Apprise failed: RuntimeError"),
    ):
        verdict = notification.notified(service, title="A", body="B")
        assert (verdict.outcome, verdict.said) == (TRY_LATER, said)
    hangs.set()
