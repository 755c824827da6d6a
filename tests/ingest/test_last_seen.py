"""When users were last seen: their latest event of any name, under any of their ids, and none of the future."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tallybook.ingest import LastSeen, SeenSummaries
from tallybook.storage import EventLedger
from tests.ingest.test_event_metrics import EventBook
from tests.ingest.test_identities import METRICS, segment, visit


def test_a_user_was_last_seen_at_the_latest_event_under_a_linked_id(tmp_path: Path) -> None:
    book = EventBook(tmp_path / "p", METRICS)
    seen = LastSeen(events=book.ingest.events, kind="users", now=book.now)
    assert seen.of(["u-1"]) == {}
    book.send(visit("01", "u-1"), visit("02", "other"), {**visit("03", "cookie"), "event": "click"})
    assert seen.of(["u-1", "other", "nobody"]) == {"u-1": "2026-03-01 10:00", "other": "2026-03-02 10:00"}
    segment(book, {"type": "identify", "userId": "u-1", "anonymousId": "cookie", "messageId": "m-1"})
    assert seen.of(["u-1", "cookie"]) == {"u-1": "2026-03-03 10:00"}
    earlier = LastSeen(events=book.ingest.events, kind="users", now=book.now.replace(day=1, hour=12))
    assert earlier.of(["u-1", "other"]) == {"u-1": "2026-03-01 10:00"}
    book.book.close()
    book.ingest.commit.close()


def test_the_files_of_earlier_days_are_read_once_and_a_summary_is_what_they_say(tmp_path: Path) -> None:
    book = EventBook(tmp_path / "p", METRICS)
    place = book.book.project.place
    summaries = SeenSummaries.of(place)

    def seen(kind: str = "users") -> LastSeen:
        events = EventLedger(book.book.reader.store.ledger, book.book.reader.store.files)
        return LastSeen(events=events, kind=kind, now=book.now, summaries=summaries)

    def read() -> dict[str, str]:
        """What a page shows, which is what all files say."""
        ids = ["u-1", "u-2", "cookie", "late", "future"]
        found = seen().of(ids)
        assert found == replace(seen(), summaries=None).of(ids)
        return found

    for day in range(1, 13):
        book.now = book.now.replace(day=day, hour=12)
        book.send({**visit(f"{day:02}", f"u-{day % 3}"), "event": f"event_{day}"})

    def kept() -> list[str]:
        return sorted(path.name for path in summaries.folder.glob("users-*"))

    assert read() == {"u-1": "2026-03-10 10:00", "u-2": "2026-03-11 10:00"}
    first = kept()
    assert len(first) == 1
    book.send(visit("12", "u-2"), {**visit("02", "late"), "event": "click"})
    assert read() == {"u-1": "2026-03-10 10:00", "u-2": "2026-03-12 10:00", "late": "2026-03-02 10:00"}
    assert kept() == first, "what arrives today is read from its files"
    book.now = book.now.replace(day=13)
    assert read()["late"] == "2026-03-02 10:00"
    assert kept() != first
    assert len(kept()) == 1, "the one of yesterday is deleted"
    segment(book, {"type": "identify", "userId": "u-1", "anonymousId": "late", "messageId": "m-1"})
    assert read()["u-1"] == "2026-03-10 10:00"
    book.book.forget_entity("users", "u-2")
    assert not kept(), "no file of the cache has the id of somebody who was erased"
    assert "u-2" not in read()
    summaries.drop()
    summaries.folder.rmdir()
    summaries.folder.write_text("not a folder")
    assert "u-1" in read(), "a folder that cannot be written is done without"
    book.book.close()
    book.ingest.commit.close()
