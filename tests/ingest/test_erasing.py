"""A user or an account that is deleted for good is in no file, log, count or history any more; the others stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tallybook.cli import invoke
from tallybook.core.errors import QueryError
from tallybook.ingest import log_sqlite
from tallybook.ingest.erasing import names_id
from tests.ingest.test_event_metrics import EventBook

ADA, BOB = "ada@example.org", "bob@example.org"
DECLARED = """
[users]
dimension = ["visitor"]

[metrics.active]
event = "click"
measure = "count(distinct user)"

[metrics.clicks]
event = "click"
measure = "count(*)"
by = ["visitor"]

[metrics.accounts_seen]
event = "click"
measure = "count(distinct account)"
"""


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventBook]:
    """Clicks of two users on two days: collected, sent with a bad one, and still in the log of a server."""
    monkeypatch.setattr(log_sqlite, "host_name", lambda: "host-1")
    made = EventBook(tmp_path / "project", DECLARED)
    made.book.push_attributes("users", ADA, attributes={"plan": "pro"})
    made.book.push_attributes("users", BOB, attributes={"plan": "free"})
    made.send(click(ADA, 3), click(BOB, 3), click(ADA, 4))
    made.send(click(ADA, 4), {"event": "", "user": ADA}, {"event": "", "user": BOB})
    made.send({"event": "", "user": BOB})
    made.run()
    yield made
    made.book.close()
    made.ingest.commit.close()


def click(user: str, day: int, **more: Any) -> dict[str, Any]:
    return {
        "event": "click",
        "time": f"2026-03-0{day}T10:00:00Z",
        "user": user,
        "account": "acme",
        "properties": {"visitor": user},
        **more,
    }


def everything(folder: Path) -> str:
    """All texts in the files of the book: rows of Parquet, and the bytes of the rest."""
    found = []
    for file in sorted((folder / "book").rglob("*")):
        if file.suffix == ".parquet":
            found += [str(row) for row in duckdb.sql(f"SELECT * FROM read_parquet('{file}')").fetchall()]
        elif file.is_file():
            found.append(file.read_bytes().decode("latin-1"))
    return "\n".join(found)


def test_a_user_is_deleted_from_events_rejected_requests_logs_counts_and_attributes(book: EventBook) -> None:
    assert book.ask("active") == {"2026-03-01": 0, "2026-03-02": 0, "2026-03-03": 2, "2026-03-04": 1}
    gone = book.book.forget_entity("users", ADA)
    assert (gone.rows, gone.events, gone.rejected, gone.logged) == (2, 3, 1, 2)
    (counted,) = gone.metrics
    assert (counted.metric, counted.days) == ("active", 2)
    assert book.ask("active") == {"2026-03-01": 0, "2026-03-02": 0, "2026-03-03": 1, "2026-03-04": 0}
    assert [row[0] for row in book.book.entities("users").list().rows] == [BOB]
    assert book.ingest.stored("click", '"user"') == [(BOB,)]


def test_what_cannot_go_without_a_total_is_named(book: EventBook) -> None:
    gone = book.book.forget_entity("users", ADA)
    assert gone.kept == ["clicks"]
    book.book.forget("clicks")
    assert ADA not in everything(book.folder)
    assert BOB in everything(book.folder)


def test_the_log_that_a_server_still_writes_takes_more(book: EventBook) -> None:
    book.book.forget_entity("users", ADA)
    book.send(click(BOB, 4), click(ADA, 4))
    assert sorted(book.ingest.stored("click", '"user", day::text')) == [
        (ADA, "2026-03-04"),
        (BOB, "2026-03-03"),
        (BOB, "2026-03-04"),
    ]


def test_what_waits_in_the_log_is_deleted_too(book: EventBook) -> None:
    waiting = json.dumps([click(ADA, 4)]).encode()
    book.ingest.commit.append(
        log_sqlite.LogRow(
            received=book.now, key="loader", protocol="tallybook", path="/v1/events", headers="{}", body=waiting
        )
    ).result(10)
    assert book.book.forget_entity("users", ADA).events == 4


def test_an_account_is_deleted_by_the_account_of_events(book: EventBook) -> None:
    gone = book.book.forget_entity("accounts", "acme")
    assert (gone.events, gone.rows) == (4, 0)
    assert [one.metric for one in gone.metrics] == ["accounts_seen"]
    assert book.ingest.stored("click") == []


def test_deleting_again_finds_nothing(book: EventBook) -> None:
    book.book.forget_entity("users", ADA)
    again = book.book.forget_entity("users", ADA)
    assert (again.rows, again.events, again.rejected, again.logged) == (0, 0, 0, 0)


def test_an_unknown_metric_deletes_nothing(book: EventBook) -> None:
    with pytest.raises(QueryError, match="nope"):
        book.book.forget_entity("users", ADA, metrics=["nope"])
    assert len(book.ingest.stored("click")) == 4


def test_the_command_reports_what_was_deleted(book: EventBook, capsys: pytest.CaptureFixture[str]) -> None:
    asked, clock = ["forget", "--project", str(book.folder), "--user", ADA, "--yes"], {"now": lambda: book.now}
    assert invoke(asked, **clock) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == (
        f"user {ADA}: 2 rows of attributes and history, 3 events, 1 request with rejected events, 2 requests in logs "
        "deleted."
    )
    assert "Still a value of a dimension of clicks" in said
    assert invoke([*asked, "--account", "acme"], **clock) == 2


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"user": "4711"}', True),
        (b'{"user": 4711}', True),
        (b'{"user": "14711"}', False),
        (b'{"user": "4711-a"}', False),
        ('{"user": "jürgen"}'.encode(), False),
    ],
)
def test_an_id_is_found_as_a_word(body: bytes, found: bool) -> None:
    assert names_id(body, "4711") is found


@pytest.mark.parametrize("body", ['{"user": "jürgen"}', r'{"user": "j\u00fcrgen"}', r'{"user": "\u006a\u00fcrgen"}'])
def test_an_id_is_found_however_it_is_escaped(body: str) -> None:
    assert names_id(body.encode(), "jürgen")
