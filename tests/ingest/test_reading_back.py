"""Events read back in the order of their commits, and rejected ones decoded again."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.core import QueryError
from tallybook.ingest import (
    EventQuestion,
    LogRow,
    RejectedQuestion,
    SqliteLogs,
    Upkeep,
    read_events,
    read_rejected,
    replay_rejected,
)
from tallybook.ingest.reading import EventPage
from tallybook.storage import REJECTED, BadFile
from tests.ingest.test_event_log import NOW, Ingest


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingest]:
    made = Ingest(tmp_path / "book")
    yield made
    made.commit.close()
    made.events.close()


def event(id_: str, name: str = "signup", **fields: Any) -> dict[str, Any]:
    return {"event": name, "time": "2026-03-02T10:00:00Z", "id": id_, **fields}


def page(ingest: Ingest, **asked: Any) -> EventPage:
    return read_events(ingest.events, EventQuestion(**asked))


def ids(ingest: Ingest, **asked: Any) -> list[str]:
    return [one["id"] for one in page(ingest, **asked).events]


def followed(ingest: Ingest, cursor: str | None = None, limit: int = 2, **asked: Any) -> tuple[list[str], str]:
    """The ids of all pages from a cursor on, and the cursor after the last."""
    found = []
    while True:
        one = page(ingest, cursor=cursor, limit=limit, **asked)
        found += [event["id"] for event in one.events]
        cursor = one.cursor
        if not one.events:
            return found, cursor


def test_an_event_is_read_back_as_it_was_sent(ingest: Ingest) -> None:
    properties = {"plan": "pro", "n": 3, "utm": {"source": "ad"}, "time": "noon", "tags": [1, 2], "none": None}
    ingest.send(event("a", user="u1", account="acme", properties=properties))
    ingest.send(
        {"event": "seats", "day": "2026-03-01", "value": 2.5, "dimensions": {"region": "eu"}}, path="/v1/values"
    )
    ingest.compact()
    second, first = sorted(page(ingest).events, key=lambda one: str(one["event"]))
    assert first == {
        "event": "signup",
        "time": "2026-03-02T10:00:00.000000Z",
        "day": "2026-03-02",
        "user": "u1",
        "account": "acme",
        "id": "a",
        "key": "loader",
        "received": "2026-03-05T12:00:00.000000Z",
        "properties": {"plan": "pro", "n": 3, "utm.source": "ad", "time": "noon", "tags": [1, 2]},
    }
    assert (second["event"], second["day"], second["properties"]) == (
        "seats",
        "2026-03-01",
        {"value": 2.5, "region": "eu"},
    )


def test_a_value_of_another_type_is_shown_as_it_was_sent(ingest: Ingest) -> None:
    ingest.send(event("a", properties={"n": 1}), event("b", properties={"n": "many"}), event("c", properties={"N": 2}))
    ingest.send(event("d", properties={"a.b": 1, "a": {"b": 2}}), event("e", properties={"tallybook_commit": 99}))
    ingest.compact()
    shown = {one["id"]: (one["properties"], one.get("rest")) for one in page(ingest).events}
    assert shown == {
        "a": ({"n": 1}, None),
        "b": ({"n": "many"}, None),
        "c": ({"N": 2}, None),
        "d": ({"a.b": 1}, {"a.b": 2}),
        "e": ({"tallybook_commit": 99}, None),
    }


def test_filters_choose_exactly(ingest: Ingest) -> None:
    ingest.send(event("a", user="u1", account="x"), event("b", user="u2", account="x"), event("c", "login", user="u1"))
    ingest.now += timedelta(seconds=1)
    ingest.send({**event("d"), "time": "2026-03-01T23:30:00Z"}, {**event("e"), "time": "2026-03-04T22:59:59Z"})
    ingest.compact()
    assert ids(ingest, user="u1") == ["a", "c"]
    assert ids(ingest, user="u1", event="signup") == ["a"]
    assert ids(ingest, account="x", id="b") == ["b"]
    assert ids(ingest, event="Signup") == []
    # Days are those of the book, in Berlin: half past eleven in UTC is the next day there.
    assert ids(ingest, first=date(2026, 3, 2), last=date(2026, 3, 2)) == ["a", "b", "c", "d"]
    assert ids(ingest, first=date(2026, 3, 3)) == ["e"]
    assert ids(ingest, last=date(2026, 3, 1)) == []
    assert ids(ingest, end=NOW.replace(day=2, hour=10)) == ["d"]
    assert ids(ingest, start=NOW.replace(day=2, hour=10), limit=1) == ["a"]
    assert ids(ingest, events=("login",)) == ["c"]
    assert ids(ingest, accounts=("x",), event="signup") == ["a", "b"]


def test_who_follows_a_cursor_gets_each_event_once_also_late_ones_and_over_merges(ingest: Ingest) -> None:
    away = SqliteLogs(ingest.folder, "host-2")
    draw, cursor, got, number = random.Random(3), None, list[str](), 0
    late = away.new()
    for _ in range(8):
        for _ in range(draw.randrange(1, 4)):
            sent = event(str(number), draw.choice(["signup", "login"]))
            number += 1
            if draw.random() < 0.2:
                row = LogRow(
                    received=ingest.now - timedelta(hours=26),
                    key="loader",
                    protocol="tallybook",
                    path="/v1/events",
                    headers="{}",
                    body=json.dumps(sent).encode(),
                )
                late.append([row])
            else:
                ingest.send(sent)
        ingest.now += timedelta(minutes=1)
        if draw.random() < 0.7:
            ingest.compact()
        if draw.random() < 0.3:
            there, ingest.logs = ingest.logs, away
            ingest.compact()
            ingest.logs = there
        if draw.random() < 0.3:
            Upkeep(ingest.events, lambda: ingest.now, min_files=2).step()
        if draw.random() < 0.6:
            more, cursor = followed(ingest, cursor)
            got += more
    late.close()
    ingest.compact()
    ingest.logs = away
    ingest.compact()
    got += followed(ingest, cursor)[0]
    assert sorted(got, key=int) == [str(one) for one in range(number)]
    assert len(ids(ingest, limit=1000)) == number


@pytest.mark.cases(4)
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 12, 22, 23, 24])
def test_pages_of_any_size_show_all_events_of_files_with_several_pages(ingest: Ingest, limit: int) -> None:
    for first, last in ((0, 3), (3, 7), (7, 23)):
        ingest.send(*(event(str(number)) for number in range(first, last)))
        ingest.compact()
    everything = ids(ingest, limit=1000)
    assert sorted(everything, key=int) == [str(number) for number in range(23)]
    assert followed(ingest, limit=limit)[0] == everything


def test_the_newest_are_the_last_ones_and_a_cursor_goes_on_from_there(ingest: Ingest) -> None:
    for number in range(5):
        ingest.send(event(str(number)))
        ingest.compact()
    found = page(ingest, cursor="newest", limit=2)
    assert [one["id"] for one in found.events] == ["3", "4"]
    assert page(ingest, cursor=found.cursor).events == []
    ingest.send(event("5"))
    ingest.compact()
    assert ids(ingest, cursor=found.cursor) == ["5"]


def test_a_page_says_until_when_all_is_there_and_whether_more_is(ingest: Ingest) -> None:
    assert page(ingest).as_json() == {
        "events": [],
        "cursor": page(ingest).cursor,
        "until": None,
        "more": False,
        "kept_from": None,
    }
    ingest.send(event("a"), event("b"))
    ingest.compact()
    found = page(ingest, limit=1)
    assert found.more
    assert found.until == ingest.now - timedelta(seconds=2)
    assert not page(ingest, limit=1, cursor=found.cursor).more


@pytest.mark.parametrize(
    "cursor", ["x", "ä", "W10", "WzFd", "bnVsbA", "WzksICIwMDAxLTAxLTAxIiwgIiIsICIiXQ", "W" * 9999]
)
def test_a_cursor_of_nobody_is_refused(ingest: Ingest, cursor: str) -> None:
    with pytest.raises(QueryError, match="cursor"):
        page(ingest, cursor=cursor)
    with pytest.raises(QueryError, match="limit"):
        page(ingest, limit=1001)


# --- rejected ----------------------------------------------------------------------------------------------------------


def rejected(ingest: Ingest, **asked: Any) -> list[dict[str, Any]]:
    return read_rejected(ingest.events, RejectedQuestion(**asked)).rejected


def replay(ingest: Ingest, **asked: Any) -> dict[str, int]:
    return replay_rejected(ingest.compactor(), RejectedQuestion(**asked)).as_json()


def ahead(id_: str, days: int, **fields: Any) -> dict[str, Any]:
    return {**event(id_, **fields), "time": (NOW + timedelta(days=days)).isoformat()}


def test_a_rejected_event_is_shown_with_its_own_bytes(ingest: Ingest) -> None:
    ingest.send(event("good"), {"event": "x", "time": "noon"}, event("good 2"))
    body = b'{"event": "a"}\n{"event": \n{"event":"b", "id":  "x\xc3\xa9", "time": 7}'
    row = LogRow(received=NOW, key="other", protocol="tallybook", path="/v1/events", headers="{}", body=body)
    ingest.commit.append(row).result(10)
    ingest.compact()
    shown = [(one["key"], one["index"], one["code"], one.get("field"), one["body"]) for one in rejected(ingest)]
    assert sorted(shown) == [
        ("loader", 1, "bad_time", "time", '{"event": "x", "time": "noon"}'),
        ("other", 1, "bad_json", "", '{"event": '),
        ("other", 2, "bad_time", "time", '{"event":"b", "id":  "xé", "time": 7}'),
    ]
    assert [one["code"] for one in rejected(ingest, key="other", code="bad_json")] == ["bad_json"]


def test_pages_of_rejected_events_are_whole_and_the_newest_come_first(ingest: Ingest) -> None:
    for number in range(5):
        ingest.send(*({"event": "", "id": f"{number}-{one}"} for one in range(number % 3 + 1)))
        ingest.now += timedelta(minutes=1)
        ingest.compact()
    found, cursor = list[str](), None
    while True:
        one = read_rejected(ingest.events, RejectedQuestion(limit=2, cursor=cursor))
        found += [str(one["id"]) for one in one.rejected]
        if (cursor := one.cursor) is None:
            break
    assert found[0] == "4-1"
    assert sorted(found) == sorted(f"{number}-{one}" for number in range(5) for one in range(number % 3 + 1))


def test_a_missing_file_of_rejected_events_is_an_error_and_no_shorter_page(ingest: Ingest) -> None:
    ingest.send(ahead("a", 30))
    ingest.compact()
    (file,) = (one for one in ingest.events.snapshot().files if one.event == REJECTED)
    ingest.events.local_path(file).unlink()
    with pytest.raises((BadFile, FileNotFoundError), match=re.escape(file.path)):
        rejected(ingest)


def test_a_replay_stores_what_is_good_now_once_and_what_is_still_bad_stays(ingest: Ingest) -> None:
    ingest.send(event("a"), ahead("b", 2), {"event": ""}, ahead("c", 9), ahead("", 2, user="nameless"))
    ingest.compact()
    assert replay(ingest) == {"stored": 0, "duplicates": 0, "rejected": 4}
    assert len(rejected(ingest)) == 4
    ingest.now += timedelta(days=3)
    ingest.send(ahead("b", 2), event("d"))  # sent again meanwhile
    ingest.compact()
    assert replay(ingest) == {"stored": 1, "duplicates": 1, "rejected": 2}
    assert sorted(one["code"] for one in rejected(ingest)) == ["future", "no_event"]
    assert replay(ingest) == {"stored": 0, "duplicates": 0, "rejected": 2}
    found = page(ingest, user="nameless").events
    assert [one["received"][:10] for one in found] == ["2026-03-05"]  # its receipt is the true one
    assert sorted(ids(ingest)) == sorted(["a", "b", "d", found[0]["id"]])


def test_a_replay_of_some_leaves_the_others(ingest: Ingest) -> None:
    ingest.send(ahead("a", 2), key="one")
    ingest.send(ahead("b", 2), {"event": ""}, key="two")
    ingest.compact()
    ingest.now += timedelta(days=3)
    assert replay(ingest, key="two", code="no_event") == {"stored": 0, "duplicates": 0, "rejected": 1}
    assert replay(ingest, key="two") == {"stored": 1, "duplicates": 0, "rejected": 1}
    assert sorted(one["key"] for one in rejected(ingest)) == ["one", "two"]
    assert replay(ingest) == {"stored": 1, "duplicates": 0, "rejected": 1}


def test_a_replayed_daily_value_does_not_replace_a_later_one(ingest: Ingest) -> None:
    day = (NOW + timedelta(days=2)).date().isoformat()
    ingest.send({"event": "seats", "day": day, "value": 1}, path="/v1/values")
    ingest.now += timedelta(days=3)
    ingest.send({"event": "seats", "day": day, "value": 2}, path="/v1/values")
    ingest.compact()
    assert replay(ingest)["stored"] == 1
    assert ingest.stored("seats", "value, received > '2026-03-06'") == [(1, False), (2, True)]


def test_a_replay_is_stored_once_when_files_are_merged_or_committed_meanwhile(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        ingest.send(ahead(str(number), 2))
        ingest.compact()
    ingest.now += timedelta(days=3)
    compactor = ingest.compactor()
    publish = compactor.publish

    def interrupted(known: Any, change: Any) -> None:
        monkeypatch.setattr(compactor, "publish", publish)
        Upkeep(ingest.events, lambda: ingest.now, min_files=2).step()
        publish(known, change)

    monkeypatch.setattr(compactor, "publish", interrupted)
    assert replay_rejected(compactor).as_json() == {"stored": 3, "duplicates": 0, "rejected": 0}
    assert sorted(ids(ingest)) == ["0", "1", "2"]
    assert rejected(ingest) == []


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallybook.ingest.replaying.MAX_SLICE_ROWS", 2)


def test_a_replay_ends_in_time_and_goes_on_where_it_was(ingest: Ingest, small_slices: None) -> None:
    for number in range(7):
        ingest.send(ahead(str(number), 2), {"event": ""})
        ingest.now += timedelta(minutes=number % 2)  # some have the same receipt
        ingest.compact()
    Upkeep(ingest.events, lambda: ingest.now, min_files=2).step()
    ingest.now += timedelta(days=3)
    parts, cursor = [], None
    while not parts or cursor:
        one = replay_rejected(ingest.compactor(), RejectedQuestion(cursor=cursor), seconds=0).as_json()
        cursor = one.pop("cursor", None)
        parts.append(one)
        # What comes meanwhile, and files that are merged, neither repeat nor skip a request.
        ingest.send({"event": ""})
        ingest.compact()
        Upkeep(ingest.events, lambda: ingest.now, min_files=2).step()
    assert len(parts) > 3
    assert sum(one["stored"] for one in parts) == 7
    assert 7 <= sum(one["rejected"] for one in parts) < 7 + len(parts)
    assert sorted(ids(ingest, limit=100)) == [str(number) for number in range(7)]
    assert len(rejected(ingest)) == 7 + len(parts)
    with pytest.raises(QueryError, match="not one that a replay gave"):
        replay_rejected(ingest.compactor(), RejectedQuestion(cursor="x"))


def test_a_replay_ends_while_others_commit_between_its_slices(
    ingest: Ingest, small_slices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        ingest.send(ahead(str(number), 2))
        ingest.now += timedelta(minutes=1)
    ingest.compact()
    ingest.now += timedelta(days=3)
    compactor, publish, tries = ingest.compactor(), ingest.compactor().publish, []

    def interrupted(known: Any, change: Any) -> None:
        tries.append(len(change.files))
        if len(tries) % 2:
            ingest.send(event(f"other {len(tries)}"))
            ingest.compact()
        publish(known, change)

    monkeypatch.setattr(compactor, "publish", interrupted)
    assert replay_rejected(compactor).as_json() == {"stored": 5, "duplicates": 0, "rejected": 0}
    assert len(tries) == 6  # three slices, each of them twice
    assert rejected(ingest) == []
