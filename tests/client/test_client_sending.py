"""What the Python client does with every answer, with full queues and with files that were left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import tallybook
from tallybook.client.over_http import seconds_of
from tallybook.client.queues import MemoryQueue, RecordQueue
from tallybook.client.records import SendRecord, event_record
from tallybook.client.sending import MAX_RETRY_AFTER_SECONDS, Sender, SendProblem
from tallybook.client.spill import FileQueue
from tallybook.client.tally import Tally
from tallybook.client.transports import TransportAnswer, TransportFailed, TransportPlace

Answer = TransportAnswer | TransportFailed | Callable[[list[Any]], TransportAnswer]
GONE = TransportFailed("no answer")


class Scripted:
    """A server that gives the answers of a list, and then stores everything. `stored`: each id, as often as it came."""

    def __init__(self, answers: Sequence[Answer] = ()) -> None:
        self.answers = list(answers)
        self.stored: list[str] = []
        self.requests: list[tuple[str, str, int]] = []

    def request(self, method: str, path: str, body: bytes, seconds: float) -> TransportAnswer:
        sent = json.loads(body) if body else None
        self.requests.append((method, path, len(sent) if isinstance(sent, list) else 1))
        answer: Answer = self.answers.pop(0) if self.answers else self.store
        if isinstance(answer, TransportFailed):
            raise answer
        return answer if isinstance(answer, TransportAnswer) else answer(sent)

    def store(self, sent: Any) -> TransportAnswer:
        if not isinstance(sent, list):
            return (
                TransportAnswer(status=200, body={"kept": 1, "rejected": []}) if sent else TransportAnswer(status=204)
            )
        new = {one["id"] for one in sent} - set(self.stored)
        self.stored += sorted(new)
        return TransportAnswer(
            status=200, body={"stored": len(new), "duplicates": len(sent) - len(new), "rejected": []}
        )

    def settle(self) -> None: ...

    def close(self) -> None: ...


def sender(queue: RecordQueue, *answers: Answer) -> tuple[Sender, Scripted]:
    made, server = Sender(queue, TransportPlace(kind="http", address="http://x", key="k"), Tally()), Scripted(answers)
    made.transport = server
    return made, server


def waiting(count: int, queue: RecordQueue | None = None) -> RecordQueue:
    queue = queue or MemoryQueue(100_000, 10**9)
    for number in range(count):
        assert queue.put(event_record("signup", {"id": f"e{number}"}, None))
    return queue


def unsent() -> tuple[tallybook.Client, Sender, Scripted]:
    """A client without a thread that sends, its sender and its server."""
    client = tallybook.Client("http://127.0.0.1:9", "k")
    made, server = sender(MemoryQueue(100, 10**6))
    client._queue, client._sender, client._tally = made.queue, made, made.tally
    client._thread = threading.current_thread()
    return client, made, server


def send_all(made: Sender) -> list[SendProblem]:
    """Every problem until nothing waits."""
    problems = []
    for _ in range(200):
        if made.queue.added == made.queue.removed:
            return problems
        if (problem := made.step(1)) is not None:
            problems.append(problem)
    raise AssertionError("it does not end")


def status(code: int, retry_after: float | None = None, body: Any = None) -> TransportAnswer:
    return TransportAnswer(status=code, retry_after=retry_after, body=body)


def of_attributes(answer: TransportAnswer) -> tuple[int, int]:
    """(stored, waiting) after an answer to changed attributes and a closed day."""
    client, made, server = unsent()
    client.identify("u-1", {"a": 1})
    client.close_day("x", "2026-03-01")
    server.answers = [answer, answer]
    made.step(1), made.step(1)
    report = client.report()
    return report.stored, report.waiting


@pytest.mark.parametrize(("code", "body"), [(200, None), (200, {"ok": True}), (204, None), (200, {"kept": 1})])
def test_an_answer_of_somebody_else_does_not_count_as_stored(code: int, body: Any) -> None:
    assert of_attributes(status(code, body=body)) == (0, 2)


AGAIN = {
    "429 with Retry-After": status(429, 7),
    "503 with Retry-After": status(503, 0),
    "503 without": status(503),
    "500": status(500),
    "408": status(408),
    "a cut connection": GONE,
    "no key": status(401, body={"message": "the key is not valid"}),
    "another path": status(404),
    "a redirect": status(301),
    "a page of a proxy": status(200, body=None),
    "JSON of somebody else": status(200, body={"ok": True}),
    "verdicts on fewer events": status(200, body={"stored": 2, "duplicates": 0, "rejected": []}),
    "a verdict on another event": status(200, body={"stored": 2, "duplicates": 0, "rejected": [{"index": 9}]}),
}


@pytest.mark.parametrize("answer", AGAIN.values(), ids=AGAIN)
def test_what_was_not_acknowledged_is_sent_again_and_stored_once(answer: Answer) -> None:
    made, server = sender(waiting(3), answer, answer)
    problems = send_all(made)
    assert len(problems) == 2
    assert server.stored == ["e0", "e1", "e2"]
    assert str(made.tally.report(0, is_kept=False)) == "3 stored, 0 rejected, 0 dropped, 0 waiting"


def test_an_answer_that_came_too_late_stores_nothing_twice() -> None:
    queue = waiting(3)
    made, server = sender(queue)

    def stored_but_cut(sent: list[Any]) -> TransportAnswer:
        server.store(sent)
        raise GONE

    server.answers = [stored_but_cut, stored_but_cut]
    send_all(made)
    assert server.stored == ["e0", "e1", "e2"]


def test_pauses_grow_have_jitter_and_obey_the_server() -> None:
    made, _ = sender(waiting(1), *[GONE] * 12, status(503, 40), status(429, 10**9), status(503, 0))
    pauses = [problem.pause for problem in send_all(made)]
    for number, pause in enumerate(pauses[:12]):
        most = min(30.0, 0.2 * 2**number)
        assert most / 2 <= pause <= most
    assert 40 <= pauses[12] <= 48
    assert MAX_RETRY_AFTER_SECONDS <= pauses[13] <= 1.2 * MAX_RETRY_AFTER_SECONDS
    assert pauses[14] == 0


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("0", 0), ("-3", 0), ("1.5", 1.5), ("soon", None), (None, None), ("", None)]
)
def test_retry_after_is_a_number_or_an_instant(text: str | None, seconds: float | None) -> None:
    assert seconds_of(text) == seconds
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert 3500 < (seconds_of(later) or 0) <= 3600


@pytest.mark.parametrize("code", [400, 413, 422])
def test_one_record_that_is_refused_does_not_take_the_others_with_it(code: int) -> None:
    made, server = sender(waiting(50))

    def refuse_e17(sent: Any) -> TransportAnswer:
        if any(one["id"] == "e17" for one in sent):
            return status(code, body={"code": "too_large", "message": "too large"})
        return server.store(sent)

    server.answers = [refuse_e17] * 100
    assert send_all(made) == []
    assert sorted(server.stored) == sorted(f"e{n}" for n in range(50) if n != 17)
    report = made.tally.report(0, is_kept=False)
    assert (report.stored, report.rejected, report.lost) == (49, 1, 1)
    assert report.reasons == (f"the server answered {code}: too large",)


def test_rejections_are_counted_with_their_reasons() -> None:
    verdict = [{"index": 1, "code": "bad_name", "reason": "no such name"}] * 2
    made, _ = sender(waiting(3), status(200, body={"stored": 1, "duplicates": 0, "rejected": verdict}))
    send_all(made)
    report = made.tally.report(0, is_kept=False)
    assert (report.stored, report.rejected, report.reasons) == (2, 1, ("bad_name: no such name",))
    made, _ = sender(waiting(1), status(422, body={"stored": 0, "duplicates": 0, "rejected": verdict[:1] and [
        {"index": 0, "code": "future", "reason": "ahead"}]}))  # fmt: skip
    send_all(made)
    assert made.tally.report(0, is_kept=False).rejected == 1


def test_a_day_of_which_something_is_lost_is_not_closed() -> None:
    client, made, server = unsent()
    client.value("seats", "2026-03-01", 5)
    client.value("seats", date(2026, 3, 2), 6)
    for day in ("2026-03-01", "2026-03-02"):
        client.close_day("seats", day)
    verdicts = {"stored": 1, "duplicates": 0, "rejected": [{"index": 0, "code": "schema", "reason": "no"}]}
    server.answers = [status(200, body=verdicts)]
    send_all(made)
    assert [path for _, path, _ in server.requests] == ["/v1/values", "/v1/days/seats/2026-03-02"]
    assert made.tally.report(0, is_kept=False).rejected == 2


def test_order_is_kept_between_events_values_attributes_and_days() -> None:
    client, made, server = unsent()
    client.track("a"), client.track("b")
    client.value("v", "2026-03-01", 1)
    client.identify("u/1", {"plan": "pro"})
    client.group(7, add={"seats": 2})
    client.close_day("a b", "2026-03-01")
    client.track("c")
    send_all(made)
    assert server.requests == [
        ("POST", "/v1/events", 2),
        ("POST", "/v1/values", 1),
        ("PUT", "/v1/users/u%2F1", 1),
        ("PUT", "/v1/accounts/7", 1),
        ("PUT", "/v1/days/a%20b/2026-03-01", 1),
        ("POST", "/v1/events", 1),
    ]


def test_what_is_tracked_while_a_client_closes_is_in_its_report_or_raises() -> None:
    client, _, server = unsent()
    client.track("first", id="first")

    def track_meanwhile(sent: Any) -> TransportAnswer:
        with pytest.raises(tallybook.DeclarationError, match="closed"):
            client.track("second")
        return server.store(sent)

    server.answers = [track_meanwhile]
    report = client.close()
    assert (report.stored, report.lost, server.stored) == (1, 0, ["first"])


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_a_full_queue_drops_what_is_new_and_counts_it(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = (
        {"max_queue": 3} if kind == "memory" else {"spill": tmp_path / "spill", "max_spill_bytes": 400}
    )
    client = tallybook.Client("http://127.0.0.1:9", "k", linger=60, **options)
    for number in range(10):
        client.track("signup", id=f"e{number}")
    with pytest.raises(tallybook.EventsLost) as raised:
        client.close(timeout=0)
    report = raised.value.report
    assert (report.waiting + report.dropped, report.waiting > 0, report.dropped > 0) == (10, True, True)
    assert report.lost == (10 if kind == "memory" else report.dropped)
    assert "full" in str(raised.value)
    with pytest.raises(tallybook.DeclarationError, match="closed"):
        client.track("signup")


def names(queue: RecordQueue) -> list[str]:
    found = []
    while batch := queue.first(7, 10**6):
        found += [json.loads(one.body)["id"] for one in batch]
        queue.done(len(batch))
    return found


def test_what_waits_in_files_is_taken_over_once_its_process_has_ended(tmp_path: Path) -> None:
    first = waiting(20, FileQueue(str(tmp_path), 10**6))
    assert FileQueue(str(tmp_path), 10**6).added == 0  # its process lives
    first.done(len(first.first(7, 10**6)))
    first.release()
    (own,) = tmp_path.glob("*.queue")
    with own.open("ab") as file:
        file.write(b'POST /v1/events\t{"event": "half')  # a line that was not finished when its process was killed
    second, third = FileQueue(str(tmp_path), 10**6), FileQueue(str(tmp_path), 10**6)
    assert (second.added, third.added) == (20, 0)  # sent again from the beginning of the file: ids make it harmless
    assert second.put(event_record("signup", {"id": "new"}, None))
    assert names(second) == [*(f"e{n}" for n in range(20)), "new"]
    second.release()
    third.adopt()
    assert (third.added, list(tmp_path.iterdir())) == (0, [])


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_files_are_bounded_and_turned_over(tmp_path: Path, size: int) -> None:
    queue = FileQueue(str(tmp_path), 20_000_000)
    count = 0
    while queue.put(SendRecord("POST /v1/events", json.dumps({"id": f"e{count}", "text": "x" * size}))) and count < 500:
        count += 1
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000_000
    found = []
    while batch := queue.first(500, 1_000_000):
        found += [json.loads(one.body)["id"] for one in batch]
        queue.done(len(batch))
    assert found == [f"e{n}" for n in range(queue.added)]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_what_is_tracked_is_written_down_at_once() -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    properties: dict[str, Any] = {
        "at": moment, "day": date(2026, 3, 1), "price": Decimal("9.99"), "seats": Decimal(5), "tags": {"b", "a"},
        "id": UUID(int=7), "pair": (1, 2), "nested": {"x": None},
    }  # fmt: skip
    record = event_record("signup", {"user": 7, "account": None, "time": "2026-03-01T13:00:00+01:00"}, properties)
    properties["price"] = 0
    body = json.loads(record.body)
    assert len(body.pop("id")) == 32
    assert body == {
        "event": "signup", "user": 7, "time": "2026-03-01T12:00:00Z",
        "properties": {
            "at": "2026-03-01T12:00:00Z", "day": "2026-03-01", "price": 9.99, "seats": 5, "tags": ["a", "b"],
            "id": str(UUID(int=7)), "pair": [1, 2], "nested": {"x": None},
        },
    }  # fmt: skip


MISTAKES: dict[str, Callable[[tallybook.Client], None]] = {
    "no name": lambda c: c.track(""),
    "a name that is no text": lambda c: c.track(7),  # type: ignore[arg-type]
    "a naive time": lambda c: c.track("x", time=datetime(2026, 3, 1)),
    "a time that is none": lambda c: c.track("x", time="soon"),
    "not a number": lambda c: c.track("x", properties={"a": float("nan")}),
    "an object": lambda c: c.track("x", properties={"a": object()}),
    "a broken text": lambda c: c.track("x", properties={"a": "\ud800"}),
    "a list in itself": lambda c: c.track("x", properties={"a": (loop := [], loop.append(loop))[0]}),  # type: ignore[func-returns-value]
    "a naive time in properties": lambda c: c.track("x", properties={"a": datetime(2026, 3, 1)}),
    "a day that is none": lambda c: c.value("x", "2026-02-30", 1),
    "an instant as a day": lambda c: c.value("x", datetime(2026, 3, 1, tzinfo=UTC), 1),
    "no value": lambda c: c.value("x", "2026-03-01"),
    "two kinds of values": lambda c: c.value("x", "2026-03-01", 1, properties={"a": 1}),
    "nobody": lambda c: c.identify("", {"a": 1}),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_raised_where_it_is_made(mistake: Callable[[tallybook.Client], None]) -> None:
    client = tallybook.Client("http://127.0.0.1:9", "k")
    with pytest.raises(tallybook.DeclarationError):
        mistake(client)
    assert client.close().lost == 0


@pytest.mark.parametrize(
    "arguments", [{}, {"url": "http://x"}, {"url": "ftp://x", "key": "k"}, {"book": ".", "key": "k"},
                  {"url": "http://x", "key": "é"}],
)  # fmt: skip
def test_a_client_without_a_place_is_not_made(arguments: dict[str, str]) -> None:
    with pytest.raises(tallybook.DeclarationError):
        tallybook.Client(**arguments)  # type: ignore[arg-type]


def test_the_client_imports_no_engine() -> None:
    code = """
import sys
import threading
before = set(sys.modules)
import tallybook
client = tallybook.Client("http://127.0.0.1:9", "key")
client.track("signup", user="u-1", properties={"plan": "pro"})
print(*sorted(set(sys.modules) - before), flush=True)
__import__("os")._exit(0)
"""
    made = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(Path(tallybook.__file__).parents[1])})  # fmt: skip
    loaded = made.stdout.split()
    heavy = {"msgspec", "duckdb", "sqlalchemy", "sqlglot", "pyarrow", "numpy", "click", "sqlite3", "asyncio", "pathlib"}
    assert {name.partition(".")[0] for name in loaded} & heavy == set()
    assert "http.client" not in loaded  # imported by the first request
    ours = [name for name in loaded if name.startswith("tallybook")]
    assert len(ours) <= 14, ours
    assert len(loaded) <= 130, len(loaded)
