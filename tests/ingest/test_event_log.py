"""The log of events, its compaction, and what the ledger keeps of them: exactly once, whatever is sent again."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tallybook.core import PROTOCOLS, BookError, EventRequest
from tallybook.ingest import (
    Compactor,
    GroupCommit,
    KeyRing,
    KeysUnknown,
    LogRow,
    SqliteLogs,
    Upkeep,
    id_runs,
)
from tallybook.ingest.keys import create_key, hash_key, revoke_key, rotate_key
from tallybook.storage import (
    REJECTED,
    BookLocation,
    Conflict,
    ConsumedLog,
    EventCommit,
    EventLedger,
    FolderFiles,
    open_store,
)
from tests.ledgers import LEDGERS

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


class Ingest:
    """A book that takes events, without HTTP: `send` is what a worker does with a request that it accepted."""

    def __init__(self, folder: Path, ledger: str = "sqlite") -> None:
        self.folder, self.now = folder, NOW
        folder.mkdir(parents=True, exist_ok=True)
        self.events = EventLedger(LEDGERS[ledger](folder), FolderFiles(folder))  # type: ignore[arg-type]
        self.logs = SqliteLogs(folder, "host-1")
        self.commit = GroupCommit(self.logs)

    def send(self, *events: dict[str, Any], key: str = "loader", path: str = "/v1/events", **headers: str) -> None:
        body = json.dumps(list(events)).encode()
        if headers.get("encoding") == "gzip":
            body = gzip.compress(body)
        row = LogRow(
            received=self.now, key=key, protocol="tallybook", path=path, headers=json.dumps(headers), body=body
        )
        self.commit.append(row).result(10)

    def compactor(self, **options: Any) -> Compactor:
        return Compactor(self.events, self.logs, zone="Europe/Berlin", clock=lambda: self.now, **options)

    def compact(self, **options: Any) -> None:
        compactor = self.compactor(**options)
        while compactor.step():
            pass

    def stored(self, event: str, columns: str = "id") -> list[tuple[Any, ...]]:
        """The rows of an event, read by DuckDB from the files that the ledger names."""
        files = [str(self.folder / one.path) for one in self.events.snapshot().files if one.event == event]
        if not files:
            return []
        with duckdb.connect() as engine:
            engine.execute("SET TimeZone = 'UTC'")
            return engine.execute(
                f"SELECT {columns} FROM read_parquet(?, union_by_name = true) ORDER BY ALL", [files]
            ).fetchall()


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingest]:
    made = Ingest(tmp_path / "book")
    yield made
    made.commit.close()
    made.events.close()


def signup(id_: str | None = None, **properties: Any) -> dict[str, Any]:
    found = {"event": "signup", "time": "2026-03-04T23:30:00Z", "user": "u1", "properties": properties}
    return found if id_ is None else {**found, "id": id_}


def test_an_event_of_the_log_becomes_a_typed_row_of_its_day_in_the_zone_of_the_book(ingest: Ingest) -> None:
    ingest.send(signup("a", plan="pro", seats=3, price=9.5, paid=True, utm={"source": "x"}, tags=["q"]))
    ingest.compact()
    row = ingest.stored("signup", 'day, "user", id, key, plan, seats, price, paid, "utm.source", rest')
    assert row == [(date(2026, 3, 5), "u1", "a", "loader", "pro", 3, 9.5, True, "x", '{"tags": ["q"]}')]
    assert ingest.events.touched("signup") == {date(2026, 3, 5): 1}


def test_what_is_sent_again_is_stored_once_also_in_another_commit_or_after_the_runs_are_merged(ingest: Ingest) -> None:
    for round_ in range(15):
        ingest.send(signup("same"), signup(f"own-{round_}"), signup("same"))
        ingest.compact()
    assert sorted(row[0] for row in ingest.stored("signup", "id")) == sorted(["same", *(f"own-{i}" for i in range(15))])
    assert len(ingest.events.snapshot().runs) < 15


def test_an_id_belongs_to_its_key_and_is_forgotten_after_the_window(ingest: Ingest) -> None:
    ingest.send(signup("a"), key="eu")
    ingest.send(signup("a"), key="us")
    ingest.compact()
    assert len(ingest.stored("signup")) == 2
    ingest.now += timedelta(days=29)
    ingest.send(signup("a"), key="eu")
    ingest.compact()
    assert len(ingest.stored("signup")) == 2
    ingest.now += timedelta(days=2)
    ingest.send(signup("a"), key="eu")
    ingest.compact()
    assert len(ingest.stored("signup")) == 3


def test_an_id_is_forgotten_after_the_window_although_later_ids_are_in_its_file(ingest: Ingest) -> None:
    ingest.send(signup("a"))
    ingest.now += timedelta(days=20)
    ingest.send(signup("b"))
    ingest.compact()
    ingest.now += timedelta(days=11)
    ingest.send(signup("a"), signup("b"))
    ingest.compact()
    assert sorted(ingest.stored("signup")) == [("a",), ("a",), ("b",)]


def test_a_file_of_ids_that_another_compactor_replaced_and_deleted_is_a_conflict_and_no_error(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest.send(signup("a"))
    ingest.compact()
    before = ingest.events.snapshot()
    ingest.send(signup("a"), signup("b"))
    slow = ingest.compactor()
    batch = slow._batch()
    ingest.compact()
    (run,) = before.runs

    def asked_after_the_merge(*ids: Any) -> Any:
        (ingest.folder / run.path).unlink()
        return made(*ids)

    made = id_runs._table
    monkeypatch.setattr(id_runs, "_table", asked_after_the_merge)
    with pytest.raises(Conflict):
        slow._commit(batch, before)
    monkeypatch.undo()
    assert not slow.step()
    assert ingest.stored("signup") == [("a",), ("b",)]


def test_with_an_idempotency_key_events_without_an_id_are_stored_once(ingest: Ingest) -> None:
    for _ in range(2):
        ingest.send(signup(), signup(), idempotency_key="batch-1")
    ingest.compact()
    assert len(ingest.stored("signup")) == 2
    ingest.send(signup(), signup())
    ingest.send(signup(), signup())
    ingest.compact()
    assert len(ingest.stored("signup")) == 6


def test_the_first_value_pins_a_type_and_others_are_kept_in_rest_and_counted(ingest: Ingest) -> None:
    ingest.send(signup("a", amount=5, plan="pro"))
    ingest.compact()
    ingest.send(signup("b", amount=5.5), signup("c", amount="6"), signup("d", amount=7.0), signup("e", Plan="x"))
    ingest.compact()
    assert ingest.stored("signup", "id, amount, plan, rest") == [
        ("a", 5, "pro", None),
        ("b", None, None, '{"amount": 5.5}'),
        ("c", None, None, '{"amount": "6"}'),
        ("d", 7, None, None),
        ("e", None, None, '{"Plan": "x"}'),
    ]
    found = {one.name: (one.type, one.conflicts) for one in ingest.events.snapshot().properties["signup"]}
    assert found == {"amount": ("integer", 2), "plan": ("text", 1)}


def test_a_property_with_the_name_of_a_column_does_not_replace_it(ingest: Ingest) -> None:
    ingest.send(signup("a", user="property", Time=1, rest="r"))
    ingest.compact()
    columns = 'user, "properties.user", "properties.Time", "properties.rest"'
    assert ingest.stored("signup", columns) == [("u1", "property", 1, "r")]


def test_a_crash_between_files_and_commit_loses_and_doubles_nothing(ingest: Ingest) -> None:
    ingest.send(signup("a"), signup())
    compactor = ingest.compactor()
    real, ingest.events.commit = ingest.events.commit, _crash  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        compactor.step()
    ingest.events.commit = real  # type: ignore[method-assign]
    ingest.compact()
    ingest.compact()
    assert len(ingest.stored("signup")) == 2


def _crash(*_: Any, **__: Any) -> int:
    raise KeyboardInterrupt


def test_rejected_events_are_kept_with_their_bytes_and_the_others_are_stored(ingest: Ingest) -> None:
    ingest.send(signup("a"), {"event": "signup", "time": "yesterday", "id": "b"}, encoding="gzip")
    ingest.compact()
    assert [row[0] for row in ingest.stored("signup", "id")] == ["a"]
    ((why, body),) = ingest.stored(REJECTED, "rejected, body")
    assert [(one["index"], one["code"], one["field"]) for one in json.loads(why)] == [(1, "bad_time", "time")]
    assert json.loads(gzip.decompress(body))[1]["id"] == "b"


def test_a_log_is_deleted_when_it_is_consumed_and_its_writer_has_gone(ingest: Ingest) -> None:
    ingest.send(signup("a"))
    ingest.compact()
    assert len(ingest.logs.names()) == 1
    ingest.commit.close()
    ingest.compact()
    assert list(ingest.logs.folder.iterdir()) == []
    ingest.commit = GroupCommit(ingest.logs, max_bytes=10)
    for id_ in "bcd":  # each fills a log
        ingest.send(signup(id_))
    ingest.compact()
    assert len(ingest.stored("signup")) == 4
    assert len(ingest.logs.names()) == 1


def test_a_host_is_sealed_until_just_before_its_logs_were_read_to_the_end(ingest: Ingest) -> None:
    ingest.send(signup("a"))
    ingest.compact()
    snapshot = ingest.events.snapshot()
    assert snapshot.sealed == {"host-1": NOW - timedelta(seconds=2)}
    assert snapshot.served == ((NOW, NOW),)


def test_many_small_files_become_one_with_the_same_rows_and_are_deleted_after_an_hour(ingest: Ingest) -> None:
    for i in range(5):
        ingest.send(signup(f"{i}", **{f"p{i}": i}), signup("again"), {"event": "bad id", "id": True})
        ingest.compact()
    columns = "id, p0, p4, rest"
    before, number = ingest.stored("signup", columns), ingest.events.number()
    old = [ingest.folder / file.path for file in ingest.events.snapshot().files]
    upkeep = Upkeep(ingest.events, lambda: ingest.now, min_files=5)
    assert upkeep.step() == 10
    assert ingest.stored("signup", columns) == before
    assert [file.rows for file in ingest.events.snapshot().files] == [5, 6]
    assert ingest.events.touched("signup") == {date(2026, 3, 5): number}
    assert all(path.exists() for path in old)
    ingest.now += timedelta(hours=2)
    assert upkeep.step() == 0
    assert not any(path.exists() for path in old)
    ingest.send(signup("again"))
    ingest.compact()
    assert ingest.stored("signup", columns) == before


ROW = LogRow(received=NOW, key="k", protocol="tallybook", path="/v1/events", headers="{}", body=b"{}")


def test_a_client_that_has_gone_does_not_take_the_answers_of_others(ingest: Ingest) -> None:
    gone = ingest.commit.append(ROW)
    gone.cancel()
    assert ingest.commit.append(ROW).result(10)[1] >= 1


# --- the ledger --------------------------------------------------------------------------------------------------------


def test_a_log_that_cannot_be_read_is_not_skipped(ingest: Ingest) -> None:
    ingest.send(signup("a"))
    (ingest.logs.folder / "0-broken.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(BookError, match=r"0-broken\.sqlite: file is not a database"):
        ingest.compact()
    assert ingest.events.snapshot().sealed == {}


@pytest.mark.parametrize("ledger", LEDGERS)
def test_a_log_is_consumed_once_on_every_ledger(tmp_path: Path, ledger: str) -> None:
    ingest = Ingest(tmp_path / "book", ledger)
    ingest.send(signup("a", plan="pro"))
    ingest.compact()
    assert [row[0] for row in ingest.stored("signup", "id")] == ["a"]
    (file,) = ingest.logs.names()
    again = ConsumedLog(host="host-1", file=file, consumed=1, before=0)
    with pytest.raises(Conflict):  # of another compactor, which read the log before
        ingest.events.commit(1, EventCommit(logs=[again]), now=NOW)
    assert ingest.events.number() == 1
    ingest.events.close_day("signup", date(2026, 3, 1), "loader", now=NOW)
    ingest.events.close_day("signup", date(2026, 3, 1), "loader", now=NOW)
    assert ingest.events.closed_days("signup") == {date(2026, 3, 1)}
    ingest.events.open_day("signup", date(2026, 3, 1))
    assert ingest.events.closed_days("signup") == set()
    ingest.commit.close()
    ingest.events.close()


@pytest.mark.parametrize("ledger", LEDGERS)
def test_a_key_is_kept_as_a_hash_and_revoked_within_two_seconds(tmp_path: Path, ledger: str) -> None:
    events = EventLedger(LEDGERS[ledger](tmp_path))  # type: ignore[arg-type]
    now = [NOW]
    ring = KeyRing(events, lambda: now[0])
    text = create_key(events, "loader-eu", ("write",), now=NOW)
    assert text.startswith("tb_w_")
    assert [key.hash for key in events.api_keys()] == [hash_key(text)]
    with pytest.raises(KeysUnknown):
        ring.find(text)
    ring.refresh()
    found = ring.find(text)
    assert found is not None
    assert found.name == "loader-eu"
    rotated = rotate_key(events, "loader-eu")
    now[0] += timedelta(seconds=1)
    ring.refresh()
    assert ring.find(text) is None
    found = ring.find(rotated)
    assert found is not None
    assert found.name == "loader-eu"
    revoke_key(events, "loader-eu", now=now[0])
    now[0] += timedelta(seconds=1)
    ring.refresh()
    assert ring.find(rotated) is None
    events.close()


def test_a_copy_of_a_book_has_its_events(ingest: Ingest, tmp_path: Path) -> None:
    from tallybook.storage.copying import copy_book

    ingest.send(signup("a"))
    ingest.compact()
    store = open_store(ingest.folder)
    copied = copy_book(store, BookLocation(folder=tmp_path / "copy"), alone=False)
    assert copied.files == 2  # events, and their ids
    copy = Ingest(tmp_path / "copy")
    (file,) = copy.events.snapshot().files
    assert (copy.folder / file.path).read_bytes() == (ingest.folder / file.path).read_bytes()
    copy.send(signup("a"), signup("b"))
    copy.compact()
    assert copy.stored("signup") == [("a",), ("b",)]
    store.ledger.close()
    copy.commit.close()
    copy.events.close()


def test_a_ledger_of_number_4_gets_the_tables_of_events(tmp_path: Path) -> None:
    from tallybook.storage import tables
    from tallybook.storage.sqlite_ledger import SqliteLedger

    SqliteLedger(tmp_path / "ledger.sqlite").close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        for name in (*reversed(tables.EVENT_TABLES), *tables.ENTITY_TABLES, *tables.ACTION_TABLES):
            db.execute(f"DROP TABLE {name}")
        db.execute("PRAGMA user_version = 4")
    db.close()
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    assert ledger.lacking() == []
    assert EventLedger(ledger).number() == 0
    ledger.close()


def test_id_runs_of_a_ledger_of_number_5_have_no_hash_and_count(ingest: Ingest, tmp_path: Path) -> None:
    from tallybook.storage import tables
    from tallybook.storage.copying import copy_book

    ingest.send(signup("a"))
    ingest.compact()
    ingest.events.close()
    with sqlite3.connect(ingest.folder / "ledger.sqlite") as db:
        for column in ("bytes", "sha256"):
            db.execute(f"ALTER TABLE id_runs DROP COLUMN {column}")
        for name in (*tables.ENTITY_TABLES, *tables.ACTION_TABLES):
            db.execute(f"DROP TABLE {name}")
        db.execute("PRAGMA user_version = 5")
    db.close()
    store = open_store(ingest.folder)
    assert copy_book(store, BookLocation(folder=tmp_path / "copy"), alone=False).files == 2
    ingest.send(signup("a"))
    ingest.compact()
    assert ingest.stored("signup") == [("a",)]
    store.ledger.close()


def test_the_protocol_is_found_by_its_name_in_the_registry() -> None:
    kind = PROTOCOLS.kind("tallybook")
    assert kind.paths == ("/v1/events", "/v1/values")
    request = EventRequest(body=b'{"event": "x"}', path="/v1/events", received=NOW)
    assert [event.name for _, event in PROTOCOLS.adapter("tallybook").decode(request).events] == ["x"]
