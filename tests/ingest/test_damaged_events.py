"""Files of events and ids that are missing, cut off or altered: each is named, with the next command, and nothing that was
acknowledged is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.core import DEFAULT_EVENTS
from tallybook.core.errors import BookError, TallybookError
from tallybook.ingest import EventQuestion, Upkeep, read_events, rebuild_ids
from tallybook.storage import EventLedger, LedgerFiles
from tests.ingest.test_event_log import Ingest
from tests.ingest.test_event_metrics import EventBook

SIGNUPS = """
[metrics.signups]
event = "signup"
measure = "count(*)"
start = "2026-02-28"

[metrics.seats]
event = "seats"
daily_aggregate = true
measure = "sum(value)"
start = "2026-02-28"
"""


def altered(data: bytes) -> bytes:
    """The end of a Parquet file says where its columns are."""
    return data[:-60] + bytes(byte ^ 0xFF for byte in data[-60:-8]) + data[-8:]


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "missing": Path.unlink,
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "empty": lambda path: path.write_bytes(b""),
    "altered": lambda path: path.write_bytes(altered(path.read_bytes())),
}


@pytest.fixture
def sent(tmp_path: Path) -> Iterator[EventBook]:
    book = EventBook(tmp_path / "p", SIGNUPS)
    book.send(*({"event": "signup", "time": "2026-03-01T12:00:00Z", "id": f"e{i}"} for i in range(3)))
    book.values("seats", d01=7)
    book.run()
    yield book
    book.book.close()
    book.ingest.commit.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_events_is_named_with_the_next_command(sent: EventBook, damage: str) -> None:
    (file,) = [one for one in sent.ingest.events.snapshot().files if one.event == "signup"]
    path = sent.ingest.events.local_path(file)
    DAMAGES[damage](path)
    book = sent.book
    stored = sent.ask("signups", "2026-03-01", "2026-03-01")
    assert stored == {"2026-03-01": 3}  # collected days are of the book
    for read in (
        lambda: book.query(event="signup", from_="2026-03-01", to="2026-03-01"),
        lambda: book.query("signups", live=True, from_="2026-03-01", to="2026-03-01"),
        *([] if damage == "altered" else [lambda: read_events(sent.ingest.events, EventQuestion())]),
    ):
        with pytest.raises(TallybookError) as raised:
            read()
        assert file.path in raised.value.message, raised.value.message
        assert "tallybook doctor" in str(raised.value.hint)
    report = book.run(from_="2026-03-01", to="2026-03-01")
    failed = {one.metric: one for one in report.failed}
    assert file.path in str(failed["signups"].error)
    assert "tallybook doctor" in str(failed["signups"].hint)
    assert sent.ask("signups", "2026-03-01", "2026-03-01") == stored
    assert any(file.path in line for line in book.doctor())


@pytest.mark.parametrize("damage", DAMAGES)
def test_events_wait_in_the_log_until_a_damaged_file_of_ids_is_restored(sent: EventBook, damage: str) -> None:
    """Without it nobody knows which events are there already."""
    run = next(run for run in sent.ingest.events.snapshot().runs if run.rows == 3)
    path = sent.ingest.events.local_path(run)
    whole = path.read_bytes()
    DAMAGES[damage](path)
    with pytest.raises(BookError) as raised:
        sent.send(*({"event": "signup", "time": "2026-03-01T12:00:00Z", "id": f"e{i}"} for i in (2, 3)))
    assert run.path in raised.value.message
    assert "tallybook doctor" in str(raised.value.hint)
    assert any(run.path in line for line in sent.book.doctor())
    path.write_bytes(whole)
    sent.send({"event": "signup", "time": "2026-03-01T12:00:00Z", "id": "e4"})
    assert sorted(id_ for (id_,) in sent.ingest.stored("signup", "id")) == ["e0", "e1", "e2", "e3", "e4"]


def test_a_lost_ledger_beside_events_is_no_new_book_and_nothing_is_deleted(sent: EventBook) -> None:
    """Also where nothing was ever collected, so that there are no points."""
    sent.book.close()
    shutil.rmtree(sent.folder / "book" / "points")
    for path in (sent.folder / "book").glob("ledger.sqlite*"):
        path.unlink()
    before = sorted((sent.folder / "book" / "events").rglob("*.parquet"))
    verbs: list[Callable[[Any], Any]] = [
        lambda book: book.run(), lambda book: book.query("signups"), lambda book: book.doctor(),
        lambda book: book.compact(), lambda book: book.status(),
    ]  # fmt: skip
    for verb in verbs:
        with tallybook.open(sent.folder) as book, pytest.raises(BookError) as raised:
            verb(book)
        assert f"is missing or empty, but {len(before)} event files are in" in raised.value.message
        assert "tallybook doctor --set-aside" in raised.value.hint
    assert sorted((sent.folder / "book" / "events").rglob("*.parquet")) == before
    assert not (sent.folder / "book" / "ledger.sqlite").exists()


def test_files_that_were_there_before_the_ledger_are_never_strays(sent: EventBook) -> None:
    events = sent.ingest.events
    began = events.first_at()
    assert began is not None
    old, mine = (events.files.folder / "events" / "files" / "2026-03" / f"{name}.parquet" for name in ("old", "mine"))
    for path, at in ((old, began.timestamp() - 60), (mine, began.timestamp() + 60)):
        path.write_bytes(b"")
        os.utime(path, (at, at))
    Upkeep(events, lambda: sent.now).step()
    assert (old.exists(), mine.exists()) == (True, False)


@pytest.mark.parametrize("damage", DAMAGES)
def test_ids_are_written_again_from_the_events_without_a_backup(sent: EventBook, damage: str) -> None:
    run = next(run for run in sent.ingest.events.snapshot().runs if run.rows == 3)
    DAMAGES[damage](sent.ingest.events.local_path(run))
    again = [{"event": "signup", "time": "2026-03-01T12:00:00Z", "id": f"e{i}"} for i in (1, 2, 3)]
    with pytest.raises(BookError):
        sent.send(*again)
    (line,) = [line for line in sent.book.doctor() if run.path in line]
    assert "without a backup: tallybook doctor --rebuild-ids" in line
    done = sent.book.rebuild_ids()
    assert (done.files, done.ids, done.unread) == ((run.path,), 4, ())  # and the id that the value of seats was given
    assert sent.book.doctor() == []
    sent.send({"event": "signup", "time": "2026-03-01T12:00:00Z", "id": "e4"})
    # e1 and e2 were known; e3 waited in the log and was sent once more.
    assert sorted(id_ for (id_,) in sent.ingest.stored("signup", "id")) == ["e0", "e1", "e2", "e3", "e4"]
    sent.send(*again)
    assert len(sent.ingest.stored("signup", "id")) == 5
    assert sent.book.rebuild_ids().files == ()


def test_of_several_lost_files_of_ids_each_is_written_again_and_a_lost_file_of_events_is_named(sent: EventBook) -> None:
    sent.send({"event": "login", "time": "2026-03-02T12:00:00Z", "id": "e8"})
    sent.send({"event": "signup", "time": "2026-03-02T12:00:00Z", "id": "e9"})
    for run in sent.ingest.events.snapshot().runs:
        sent.ingest.events.local_path(run).unlink()
    (logins,) = [one for one in sent.ingest.events.snapshot().files if one.event == "login"]
    sent.ingest.events.local_path(logins).unlink()
    done = sent.book.rebuild_ids()
    assert done.unread == (logins.path,)
    sent.send(*({"event": "signup", "time": "2026-03-02T12:00:00Z", "id": f"e{i}"} for i in (0, 8, 9)))
    stored = sorted(id_ for (id_,) in sent.ingest.stored("signup", "id"))
    assert stored == ["e0", "e1", "e2", "e8", "e9"]  # e8 was that of the login, whose file is lost


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_ids_in_a_ledger_are_written_again_too(tmp_path: Path, damage: str) -> None:
    """Also on a host that has the file in its cache."""
    from tests.ledgers import LEDGERS

    ingest = Ingest(tmp_path / "book", "postgresql")
    ledger: Any = LEDGERS["postgresql"](tmp_path / "book")
    ingest.events = EventLedger(ledger, LedgerFiles(ledger, tmp_path / "cache"))
    ingest.send(*({"event": "signup", "time": "2026-03-01T12:00:00Z", "id": f"e{i}"} for i in range(3)))
    ingest.compact()
    (run,) = ingest.events.snapshot().runs
    change = {"missing": "DELETE FROM event_contents", "altered": "UPDATE event_contents SET body = '\\x00'::bytea"}
    with ledger._writing() as db:
        db.execute(f"{change[damage]} WHERE path = ?", [run.path])
    if damage == "altered":
        for file in (tmp_path / "cache").rglob("*.parquet"):
            file.unlink()
    done = rebuild_ids(ingest.events, lambda: ingest.now, DEFAULT_EVENTS)
    assert (done.files, done.ids) == ((run.path,), 3)
    ingest.send(*({"event": "signup", "time": "2026-03-01T12:00:00Z", "id": f"e{i}"} for i in (2, 3)))
    ingest.compact()
    assert sum(file.rows for file in ingest.events.snapshot().files) == 4
    ingest.commit.close()
    ingest.events.close()
