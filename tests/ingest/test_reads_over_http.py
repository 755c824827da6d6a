"""Stored and rejected events over HTTP: parameters, pages, and what cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ingest.doors import HttpDoor


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpDoor]:
    made = HttpDoor(tmp_path_factory.mktemp("reads") / "book")
    day = "2026-03-0{}T23:30:00Z"
    sent = [{"event": "signup", "id": str(i), "user": f"u{i % 2}", "time": day.format(i)} for i in range(1, 5)]
    made.post(*sent, {"event": "", "id": "bad"}, {"event": "x", "time": "noon"})
    made.compact()
    yield made
    made.commit.close()
    made.events.close()


def read(door: HttpDoor, query: str) -> list[str]:
    answer = door.ask("GET", f"/v1/events?{query}", key=door.reader)
    assert answer.status == 200, answer.json
    return sorted(one["id"] for one in answer.json["events"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["1", "2", "3", "4"]),
        ("user=u1&limit=1000", ["1", "3"]),
        ("event=signup&id=2", ["2"]),
        ("event=&id=2&user=", ["2"]),
        ("event=%20", []),
        ("from=2026-03-02&to=2026-03-03", ["1", "2"]),  # days of Berlin, where it is an hour later
        ("from=2026-03-02T23:30:00Z", ["2", "3", "4"]),
        ("to=2026-03-02T23:30:00Z", ["1"]),
        ("from=2026-03-02T00:30:00%2B01:00&to=2026-03-03T00:30:00+01:00", ["1"]),
    ],
)
def test_events_are_filtered_by_parameters(door: HttpDoor, query: str, found: list[str]) -> None:
    assert read(door, query) == found


def test_pages_go_on_with_the_cursor(door: HttpDoor) -> None:
    found, cursor = list[str](), ""
    while True:
        page = door.ask("GET", f"/v1/events?limit=3&cursor={cursor}", key=door.reader).json
        assert page["until"] == "2026-03-05T11:59:58.000000Z"
        if not page["events"]:
            break
        found += [one["id"] for one in page["events"]]
        cursor = page["cursor"]
    assert found == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("query", "code", "seen"),
    [
        ("limit=0", "bad_number", "limit=0"),
        ("limit=1001", "bad_number", "limit=1001"),
        ("limit=%C2%B2", "bad_number", "limit=²"),
        ("limit=1&limit=2", "bad_name", "limit=2"),
        ("from=yesterday", "bad_time", "from=yesterday"),
        ("from=2026-02-30", "bad_time", "from=2026-02-30"),
        ("to=2026-03-01T00:00:00", "naive_time", "to=2026-03-01T00:00:00"),
        ("to=0001-01-01T00:00:00%2B14:00", "bad_time", "to=0001-01-01T00:00:00+14:00"),
        ("evnt=signup", "bad_name", "evnt=signup"),
        ("event=%ff", "bad_encoding", "query=event=%ff"),
        ("cursor=abc", "bad_text", None),
    ],
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/rejected"])
def test_a_parameter_that_cannot_be_read_is_400(
    door: HttpDoor, path: str, query: str, code: str, seen: str | None
) -> None:
    answer = door.ask("GET", f"{path}?{query}", key=door.reader)
    found: dict[str, Any] = answer.json
    if path == "/v1/rejected" and code in ("bad_time", "naive_time"):
        assert answer.status == 400
    else:
        assert (answer.status, found["code"], found.get("seen")) == (400, code, seen)


def test_rejected_events_are_listed_with_their_bodies(door: HttpDoor) -> None:
    found = door.ask("GET", "/v1/rejected", key=door.reader).json
    assert found["cursor"] is None
    shown = {(one["key"], one["protocol"], one["code"], one["field"], one["body"]) for one in found["rejected"]}
    assert shown == {
        ("loader", "tallybook", "no_event", "event", '{"event": "", "id": "bad"}'),
        ("loader", "tallybook", "bad_time", "time", '{"event": "x", "time": "noon"}'),
    }
    assert [one["at"] for one in found["rejected"]] == ["2026-03-05T12:00:00.000000Z"] * 2
    assert len(door.ask("GET", "/v1/rejected?code=bad_time&limit=1", key=door.reader).json["rejected"]) == 1
    assert door.ask("GET", "/v1/rejected?key=nobody", key=door.reader).json["rejected"] == []
    assert door.ask("GET", "/v1/rejected?from=2026-03-05T12:00:01Z", key=door.reader).json["rejected"] == []


def test_other_methods_are_named(door: HttpDoor) -> None:
    assert door.ask("PUT", "/v1/events", key=door.reader).headers["allow"] == "POST, GET"
    assert door.ask("GET", "/v1/rejected/replay", key=door.reader).headers["allow"] == "POST"
    assert door.ask("POST", "/v1/rejected", key=door.reader).headers["allow"] == "GET"
