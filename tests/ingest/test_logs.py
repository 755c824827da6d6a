"""What both logs promise: rows in order while they are written, nothing lost, nothing dropped that is not compacted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tallybook.core import DeclarationError
from tallybook.ingest import Compactor, GroupCommit, LogAway, LogFailed, LogFull, LogRow, Upkeep
from tallybook.ingest.log_ledger import LedgerLogs
from tallybook.ingest.log_sqlite import SqliteLogs
from tallybook.ingest.logs import logs_to_compact, logs_to_write
from tallybook.storage import BookLocation, ConsumedLog, EventCommit, EventLedger, RequestLog, open_store
from tests.ledgers import LEDGERS, STORES, place_of

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
ROW = LogRow(received=NOW, key="k", protocol="tallybook", path="/v1/events", headers="{}", body=b'{"event": "x"}')
LOGS = ("disk", "ledger")


def logs_in(folder: Path, kind: str) -> Any:
    if kind == "disk":
        return SqliteLogs(folder, "host-1")
    return LedgerLogs(RequestLog(LEDGERS["postgresql"](folder)))  # type: ignore[arg-type]


@pytest.fixture(params=LOGS)
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return logs_in(tmp_path, request.param)


def is_silent(logs: Any, name: str) -> None:
    """The writer of a log in the ledger was not heard of for a minute."""
    with logs.requests._transaction() as db:
        db.execute("UPDATE event_writers SET seen = seen - interval '1 minute' WHERE file = ?", [name])


def test_rows_are_read_in_order_with_their_bytes_while_they_are_written(logs: Any) -> None:
    log = logs.new()
    every = [replace(ROW, body=bytes(range(256)) * i, headers='{"encoding": "gzip"}') for i in range(1, 6)]
    numbers = log.append(every[:3])
    numbers += log.append(every[3:])
    assert numbers == sorted(set(numbers))
    found = logs.open(log.name).read(0, 10**9)
    assert found == [replace(row, n=n) for row, n in zip(every, numbers, strict=True)]
    assert [row.n for row in logs.open(log.name).read(numbers[1], 1)] == numbers[2:3]
    assert [row.n for row in logs.open(log.name).read(0, 256 * 2)] == numbers[:2]
    assert logs.open(log.name).read(numbers[-1], 1) == []
    assert logs.byte_count() >= 15 * 256


def test_a_log_has_a_writer_until_it_is_closed_and_is_gone_when_it_is_dropped(logs: Any) -> None:
    log = logs.new()
    assert logs.names() == [log.name]
    assert logs.has_writer(log.name)
    log.close()
    assert not logs.has_writer(log.name)
    logs.open(log.name).drop()
    assert logs.names() == []
    assert not logs.has_writer(log.name)


def test_a_writer_goes_on_in_another_log_when_one_is_full(logs: Any) -> None:
    commit = GroupCommit(logs, max_bytes=30)
    names = [commit.append(ROW).result(10)[0] for _ in range(6)]
    commit.close()
    assert len(set(names)) == 2
    assert logs.names() == [*dict.fromkeys(names), logs.names()[-1]]


def test_two_writers_do_not_wait_for_each_other(logs: Any, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    others = logs_in(tmp_path, request.node.callspec.params["logs"])
    first, second = logs.new(), others.new()
    assert len({*first.append([ROW, ROW]), *second.append([ROW])}) >= 2
    assert logs.names() == sorted([first.name, second.name])
    assert [len(logs.open(one.name).read(0, 10**6)) for one in (first, second)] == [2, 1]


# --- the ledger --------------------------------------------------------------------------------------------------------


@pytest.fixture
def in_ledger(tmp_path: Path) -> Any:
    return logs_in(tmp_path, "ledger")


def test_a_log_whose_writer_is_silent_is_kept_until_it_is_compacted(in_ledger: Any) -> None:
    log = in_ledger.new()
    (n,) = log.append([ROW])
    assert in_ledger.has_writer(log.name)
    is_silent(in_ledger, log.name)
    assert not in_ledger.has_writer(log.name)
    in_ledger.open(log.name).drop()
    assert [row.n for row in in_ledger.open(log.name).read(0, 10)] == [n]
    events = EventLedger(in_ledger.requests.ledger)
    consumed = ConsumedLog(host="ledger", file=log.name, consumed=n, before=0)
    events.commit(0, EventCommit(logs=[consumed]), now=NOW)
    assert in_ledger.byte_count() == 0
    in_ledger.beat()
    in_ledger.open(log.name).drop()
    assert in_ledger.names() == [log.name]  # it lives after all
    is_silent(in_ledger, log.name)
    in_ledger.open(log.name).drop()
    with pytest.raises(LogFailed, match="taken for dead"):
        log.append([ROW])


@contextlib.contextmanager
def with_trigger(logs: Any, body: str, *, at_commit: bool = False) -> Iterator[None]:
    """A trigger that does something when a row is written, or when it is committed."""
    kind = "CONSTRAINT TRIGGER fails AFTER" if at_commit else "TRIGGER fails BEFORE"
    timing = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW" if at_commit else "FOR EACH STATEMENT"
    with logs.requests.ledger._writing() as db:
        db.execute(f"CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$")
        db.execute(f"CREATE {kind} INSERT ON event_requests {timing} EXECUTE FUNCTION fails()")
    yield
    with logs.requests.ledger._writing() as db:
        db.execute("DROP FUNCTION fails CASCADE")


def test_a_server_without_room_keeps_nothing_and_recovers(in_ledger: Any) -> None:
    log = in_ledger.new()
    with (
        with_trigger(in_ledger, "RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'"),
        pytest.raises(LogFull, match="no space"),
    ):
        log.append([ROW])
    assert log.read(0, 10) == []
    assert len(log.append([ROW])) == 1


def test_a_server_that_goes_away_during_an_append_acknowledges_nothing_and_is_reached_again(in_ledger: Any) -> None:
    log = in_ledger.new()
    with (
        with_trigger(in_ledger, "PERFORM pg_terminate_backend(pg_backend_pid())"),
        pytest.raises(LogAway),
    ):
        log.append([ROW])
    assert log.read(0, 10) == []
    assert len(log.append([ROW])) == 1


def test_a_commit_is_flushed_although_the_server_does_not_by_itself(in_ledger: Any) -> None:
    log = in_ledger.new()
    ledger = in_ledger.requests.ledger
    with ledger._writing() as db:
        db.execute("CREATE TABLE seen (setting TEXT)")
    note = "INSERT INTO seen VALUES (current_setting('synchronous_commit'))"
    with with_trigger(in_ledger, note, at_commit=True):
        ledger._held.execute("SET synchronous_commit = off")
        log.append([ROW])
    with ledger._reading() as db:
        assert db.execute("SELECT setting FROM seen").fetchall() == [("on",)]


# --- which log ---------------------------------------------------------------------------------------------------------


def test_a_book_without_a_folder_keeps_its_log_in_the_ledger(tmp_path: Path) -> None:
    place = place_of(tmp_path / "book", "ledger")
    store = open_store(place)
    events = EventLedger(store.ledger, store.files)  # type: ignore[arg-type]
    assert isinstance(logs_to_write(place, events, None), LedgerLogs)
    with pytest.raises(DeclarationError, match='durable = "disk" in \\[serve\\] needs a folder'):
        logs_to_write(place, events, "disk")
    store.ledger.close()


def test_a_book_in_a_folder_may_name_the_ledger_and_compacts_what_is_left_elsewhere(tmp_path: Path) -> None:
    place = place_of(tmp_path / "book")
    store = open_store(place)
    events = EventLedger(store.ledger, store.files)  # type: ignore[arg-type]
    assert isinstance(logs_to_write(place, events, None), SqliteLogs)
    assert [type(one) for one in logs_to_compact(place, events, None)] == [SqliteLogs]
    written = logs_to_write(place, events, "ledger")
    written.new().append([ROW])
    assert [type(one) for one in logs_to_compact(place, events, "disk")] == [SqliteLogs, LedgerLogs]
    store.ledger.close()
    here = BookLocation(folder=tmp_path / "other")
    store = open_store(here)
    with pytest.raises(DeclarationError, match="needs a PostgreSQL ledger"):
        logs_to_write(here, EventLedger(store.ledger), "ledger")  # type: ignore[arg-type]
    store.ledger.close()


# --- a whole book ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [name for name in STORES if name.startswith("postgresql")])
def test_events_in_a_postgresql_ledger_are_stored_once_by_two_compactors(tmp_path: Path, where: str) -> None:
    kind, store_of = STORES[where]
    stores = [store_of(tmp_path / name, LEDGERS[kind](tmp_path)) for name in ("a", "a" if "folder" in where else "b")]
    first, second = [EventLedger(one.ledger, one.files) for one in stores]  # type: ignore[arg-type]
    logs = [LedgerLogs(RequestLog(one.ledger)) for one in (first, second)]  # type: ignore[arg-type]
    compactors = [
        Compactor(e, one, zone="UTC", clock=lambda: NOW) for e, one in zip((first, second), logs, strict=True)
    ]
    writers = [one.new() for one in logs]
    for round_ in range(8):
        body = f'[{{"event": "x", "id": "{round_}", "properties": {{"n": {round_}}}}}, {{"event": "x", "id": "same"}}]'
        writers[round_ % 2].append([replace(ROW, body=body.encode()), replace(ROW, body=b"[]")])
        for compactor in compactors if round_ % 3 else reversed(compactors):
            compactor.step()
    assert Upkeep(first, lambda: NOW, min_files=4).step() == 8
    files = second.snapshot().files
    import pyarrow.parquet as pq

    tables = [pq.read_table(second.local_path(file), columns=["id"]) for file in files]
    assert sorted(one for table in tables for one in table["id"].to_pylist()) == [*map(str, range(8)), "same"]
    for one in stores:
        one.ledger.close()
