"""Two ids of one user: the relation has the linked id as of the collection, and answers name the days before the link."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.ingest import GroupCommit, LogRow
from tallybook.storage import IdentityLinks
from tests.ingest.test_event_metrics import EventBook

METRICS = """
[metrics.visitors]
event = "visit"
measure = "count(distinct user)"

[metrics.visits]
event = "visit"
measure = "count(*)"

[metrics.sent_ids]
event = "visit"
measure = "count(distinct sent_user)"
"""


@pytest.fixture
def book(tmp_path: Path) -> Iterator[EventBook]:
    made = EventBook(tmp_path / "p", METRICS)
    yield made
    made.book.close()
    made.ingest.commit.close()


def segment(book: EventBook, *messages: dict[str, Any]) -> None:
    book.ingest.now = book.now
    body = json.dumps({"batch": list(messages)}).encode()
    row = LogRow(received=book.now, key="web", protocol="segment", path="/v1/batch", headers="{}", body=body)
    book.ingest.commit.append(row).result(10)
    book.ingest.compact()


def visit(day: str, user: str) -> dict[str, Any]:
    return {"event": "visit", "time": f"2026-03-{day}T10:00:00Z", "user": user, "id": f"{day}-{user}"}


def test_a_link_restates_the_lookback_and_the_answer_names_the_days_before_it(book: EventBook) -> None:
    both = [visit(day, user) for day in ("01", "03", "04") for user in ("cookie", "u-1", "other")]
    book.send(*both)
    # As if servers had run all the time.
    book.ingest.events.seal("host-1", book.now, (book.now - timedelta(days=30), book.now))
    book.run()
    three = {"2026-03-01": 3, "2026-03-03": 3, "2026-03-04": 3}
    assert {day: n for day, n in book.ask("visitors").items() if n} == three
    segment(book, {"type": "identify", "userId": "u-1", "anonymousId": "cookie", "messageId": "m-1"})
    book.ingest.events.seal("host-1", book.now, None)
    book.book.close()
    book.book = __import__("tallybook").open(book.folder, now=lambda: book.now)
    book.run()
    assert {day: n for day, n in book.ask("visitors").items() if n} == {
        "2026-03-01": 3,  # collected before the link, and older than the lookback
        "2026-03-03": 2,
        "2026-03-04": 2,
    }
    assert {day: n for day, n in book.ask("sent_ids").items() if n} == three
    result = book.book.query("visitors", from_="2026-03-01", to="2026-03-04")
    notes = json.dumps([row.get("notes") for row in result.to_dict()["rows"]])
    assert "2026-03-01 was collected before ids of users were linked" in notes
    assert "tallybook run visitors --from 2026-03-01 --to 2026-03-01" in notes
    assert "were linked" not in json.dumps(book.book.query("visits", from_="2026-03-01", to="2026-03-04").to_dict())
    assert "2026-03-03 was" not in notes
    book.book.run("visitors", from_="2026-03-01", to="2026-03-01")
    assert book.ask("visitors")["2026-03-01"] == 2
    again = book.book.query("visitors", from_="2026-03-01", to="2026-03-04").to_dict()
    assert "were linked" not in json.dumps(again)


def test_the_first_link_of_an_id_counts_also_among_several_workers(book: EventBook) -> None:
    first, second = book.ingest.commit, GroupCommit(book.ingest.logs)
    at = book.now
    for commit, seconds, user in ((second, 1, "u-1"), (first, 2, "u-2")):
        said = {"type": "identify", "userId": user, "anonymousId": "cookie", "messageId": user}
        row = LogRow(
            received=at + timedelta(seconds=seconds), key="web", protocol="segment", path="/v1/batch", headers="{}",
            body=json.dumps({"batch": [said]}).encode(),
        )  # fmt: skip
        commit.append(row).result(10)
    book.ingest.compact()
    second.close()
    assert {one.alias: one.canonical for one in IdentityLinks(book.ingest.events.ledger).every()} == {"cookie": "u-1"}


def test_links_of_links_end_at_one_id(book: EventBook) -> None:
    book.send(*[visit("04", user) for user in ("a", "b", "c", "d")])
    for alias, user in (("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")):
        segment(book, {"type": "alias", "previousId": alias, "userId": user})
    book.ingest.events.seal("host-1", book.now, (book.now - timedelta(days=30), book.now))
    book.run()
    assert book.ask("visitors")["2026-03-04"] == 1
    assert book.ask("visits")["2026-03-04"] == 4


def test_an_event_that_has_a_property_sent_user_keeps_it(book: EventBook) -> None:
    book.send(
        {**visit("04", "a"), "properties": {"sent_user": "x"}}, {**visit("04", "b"), "properties": {"sent_user": "x"}}
    )
    book.ingest.events.seal("host-1", book.now, (book.now - timedelta(days=30), book.now))
    book.run()
    assert book.ask("sent_ids")["2026-03-04"] == 1


def test_who_is_forgotten_is_forgotten_under_every_id(book: EventBook) -> None:
    book.send(visit("04", "cookie"), visit("04", "u-1"), visit("04", "other"))
    segment(book, {"type": "identify", "userId": "u-1", "anonymousId": "cookie", "messageId": "m-1"})
    book.ingest.events.seal("host-1", book.now, (book.now - timedelta(days=30), book.now))
    book.run()
    found = book.book.forget_entity("users", "u-1")
    assert found.events == 2
    assert [user for (user,) in book.ingest.stored("visit", '"user"')] == ["other"]
    assert b"cookie" not in (book.folder / "book" / "ledger.sqlite").read_bytes()


def test_who_is_forgotten_is_found_in_the_headers_of_binary_events_too() -> None:
    from tallybook.ingest.erasing import _unpacked, names_id

    headers = json.dumps({"http": {"ce-id": "1", "ce-userid": "u%2d9"}})
    assert names_id(_unpacked(b"{}", headers), "u-9")
    assert not names_id(_unpacked(b"{}", headers), "u-8")


def test_a_log_is_emptied_with_its_headers(book: EventBook) -> None:
    http = {"ce-id": "1", "ce-source": "shop", "ce-specversion": "1.0", "ce-type": "visit", "ce-userid": "secret-9"}
    noted = json.dumps({"http": http})
    row = LogRow(received=book.now, key="web", protocol="cloudevents", path="/cloudevents", headers=noted, body=b"{}")
    book.ingest.commit.append(row).result(10)
    (name,) = book.ingest.logs.names()
    log = book.ingest.logs.open(name)
    log.erase([1])
    assert log.read(0, 10**6)[0].headers == "{}"
    log.close()
    logs = b"".join(path.read_bytes() for path in (book.folder / "book" / "events").rglob("*.sqlite*"))
    assert b"secret-9" not in logs
