"""What the HTTP door acknowledges: nothing before the disk has it, nothing after the disk failed, nothing without a key."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.ingest import GroupCommit, KeyRing, LogFailed, LogFull, LogRow, SqliteLogs, create_key
from tallybook.server.app import EventsApp
from tallybook.storage import EventLedger
from tests.ingest.test_event_log import NOW, ROW, Ingest
from tests.ledgers import LEDGERS


class SlowLog:
    """A log whose disk takes rows once `has_disk` is set, and then raises `error` where there is one."""

    name = "slow"

    def __init__(self) -> None:
        self.has_disk, self.is_asked = threading.Event(), threading.Event()
        self.has_disk.set()
        self.error: Exception | None = None
        self.rows: list[LogRow] = []

    def append(self, rows: Sequence[LogRow]) -> list[int]:
        self.is_asked.set()
        assert self.has_disk.wait(10)
        if self.error is not None:
            raise self.error
        self.rows += rows
        return list(range(len(rows)))

    def close(self) -> None:
        pass


class Door:
    """An `EventsApp` on a SlowLog, called without a network."""

    def __init__(self, folder: Path) -> None:
        self.log, self.failures, self.now = SlowLog(), list[LogFailed](), NOW
        logs: Any = SqliteLogs(folder)
        logs.new = lambda: self.log
        self.events = EventLedger(LEDGERS["sqlite"](folder))  # type: ignore[arg-type]
        self.key = create_key(self.events, "loader", ("write",), now=NOW)
        self.keys = KeyRing(self.events, lambda: self.now)
        self.keys.refresh()
        self.commit = GroupCommit(logs, on_failure=self.failures.append)
        self.app = EventsApp(self.commit, self.keys, self.events, clock=lambda: self.now)

    async def send(self, id_: str = "a") -> tuple[int, dict[str, Any], dict[bytes, bytes]]:
        """Send one event: the status, the JSON and the headers of the answer."""
        sent: list[Any] = []
        body = json.dumps({"event": "signup", "id": id_}).encode()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"authorization", f"Bearer {self.key}".encode())]
        await self.app({"type": "http", "method": "POST", "path": "/v1/events", "headers": headers}, receive, send)
        start, end = sent
        return start["status"], json.loads(end["body"]), dict(start["headers"])


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    yield made
    made.log.has_disk.set()
    made.commit.close()
    made.events.close()


def test_an_answer_waits_for_the_sync_of_its_row(door: Door) -> None:
    async def story() -> None:
        door.log.has_disk.clear()
        answer = asyncio.create_task(door.send())
        await asyncio.to_thread(door.log.is_asked.wait, 10)
        await asyncio.sleep(0.02)
        assert not answer.done()
        door.log.has_disk.set()
        assert (await answer)[0] == 200
        assert len(door.log.rows) == 1

    asyncio.run(story())


def test_a_request_that_is_cancelled_during_the_sync_takes_nothing_from_others(door: Door) -> None:
    async def story() -> None:
        door.log.has_disk.clear()
        gone = asyncio.create_task(door.send("gone"))
        await asyncio.to_thread(door.log.is_asked.wait, 10)
        other = asyncio.create_task(door.send("other"))
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        door.log.has_disk.set()
        assert (await other)[0] == 200

    asyncio.run(story())
    assert len(door.log.rows) == 2


def test_a_full_disk_is_a_503_and_recovers(door: Door) -> None:
    door.log.error = LogFull("no space")
    status, said, headers = asyncio.run(door.send())
    assert (status, said["code"], headers[b"retry-after"]) == (503, "disk", b"2")
    door.log.error = None
    assert asyncio.run(door.send())[0] == 200
    assert not door.failures


@pytest.mark.parametrize("error", [LogFailed("EIO"), MemoryError()], ids=["failed sync", "unexpected error"])
def test_after_a_failed_sync_every_request_is_refused(door: Door, error: Exception) -> None:
    door.log.error = error
    assert asyncio.run(door.send())[0] == 503
    door.log.error = None
    assert asyncio.run(door.send())[0] == 503
    assert len(door.failures) == 1
    assert not door.log.rows


def test_without_a_ledger_no_key_is_accepted(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallybook.core import BookUnavailable

    def unreachable() -> list[Any]:
        raise BookUnavailable("the ledger is away")

    monkeypatch.setattr(door.events, "api_keys", unreachable)
    assert asyncio.run(door.send())[0] == 200
    door.now += timedelta(seconds=3)
    status, said, _ = asyncio.run(door.send())
    assert (status, said["code"]) == (503, "ledger")


def test_a_known_key_is_checked_without_reading_the_ledger(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.events, "ledger", None)
    assert [asyncio.run(door.send())[0] for _ in range(3)] == [200] * 3


# --- the file ----------------------------------------------------------------------------------------------------------


def test_a_log_syncs_at_every_commit(tmp_path: Path) -> None:
    log = SqliteLogs(tmp_path).new()
    asked = {name: log.db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert asked == {"journal_mode": "wal", "synchronous": 2}  # FULL: SQLite syncs before a commit returns
    log.close()


def test_a_log_on_a_full_disk_keeps_nothing_of_the_append_and_works_again(tmp_path: Path) -> None:
    log = SqliteLogs(tmp_path).new()
    log.append([ROW])
    log.db.execute("PRAGMA max_page_count = 5").fetchall()
    with pytest.raises(LogFull):
        log.append([ROW, replace(ROW, body=b"x" * 100_000)])
    assert log.append([ROW]) == [2]
    assert [row.n for row in log.read(0, 10**6)] == [1, 2]
    log.close()


def test_a_log_whose_file_fails_says_so(tmp_path: Path) -> None:
    log = SqliteLogs(tmp_path).new()
    log.db.execute("DROP TABLE requests")
    with pytest.raises(LogFailed):
        log.append([ROW])
    log.close()


def test_a_log_that_cannot_be_made_leaves_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = SqliteLogs(tmp_path)
    logs.new().close()

    def full(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("tallybook.ingest.log_sqlite.sqlite3.connect", full)
    with pytest.raises(LogFull):
        logs.new()
    monkeypatch.undo()
    assert not any(logs.has_writer(lock.with_suffix(".sqlite").name) for lock in logs.folder.glob("*.lock"))


def test_a_log_whose_writer_was_killed_while_it_made_it_has_no_row_and_is_dropped(tmp_path: Path) -> None:
    ingest = Ingest(tmp_path / "book")
    for name in ("0-empty.sqlite", "1-empty.sqlite"):
        (ingest.logs.folder / name).touch()
    (ingest.logs.folder / "0-empty.lock").touch()
    ingest.send({"event": "x", "id": "a"})
    ingest.compact()
    assert ingest.stored("x") == [("a",)]
    assert ingest.logs.names() == [ingest.commit.log.name]
    ingest.commit.close()
    ingest.events.close()
