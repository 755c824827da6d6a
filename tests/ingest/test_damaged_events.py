"""Files of events and ids that are missing, cut off or altered: each is named, with the next command, and nothing that was
acknowledged is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tallybook.core.errors import BookError, TallybookError
from tallybook.ingest import EventQuestion, read_events
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
