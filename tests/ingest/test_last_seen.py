"""When users were last seen: their latest event of any name, under any of their ids, and none of the future."""

from __future__ import annotations

from pathlib import Path

from tallybook.ingest import LastSeen
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
