"""Whatever happens to a request, and wherever a process is killed: after a rerun each item arrived, under one id."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tallybook.core.errors import Busy
from tallybook.deliver.destinations.webhook import Webhook
from tallybook.deliver.past import PastAnswers
from tallybook.storage import OutboxLedger, OutboxPlan
from tests.conftest import sampled
from tests.crash import Driver, job
from tests.deliver.test_webhooks import declared
from tests.projects import Project, project

__all__ = ["project"]

ITEMS = {("2024-03-04", "pro", 2), ("2024-03-04", "free", 3), ("2024-03-05", "pro", 5)}
FAULTS = ("none", "before", "after", "cut", "reset", "429", "500", "503", "html 403", "redirect")
ANSWERS = {
    "429": b"HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\n",
    "500": b"HTTP/1.1 500 Oops\r\n",
    "503": b"HTTP/1.1 503 Busy\r\n",
    "html 403": b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n",
}


class Faulty:
    """A receiver that does something wrong with one of its requests, and takes all the others."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.fault, self.at, self.seen = "none", 0, 0
        self.taken: list[tuple[str, bytes]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/hook"

    def begin(self, fault: str, at: int) -> None:
        self.fault, self.at, self.seen, self.taken = fault, at, 0, []

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            reader = connection.makefile("rb")
            while line := reader.readline():
                assert line.startswith(b"POST ")
                headers = {}
                while (header := reader.readline().strip()) != b"":
                    name, _, value = header.partition(b":")
                    headers[name.decode().lower()] = value.strip().decode()
                self._answer(connection, headers["webhook-id"], reader.read(int(headers["content-length"])))

    def _answer(self, connection: socket.socket, id_: str, body: bytes) -> None:
        fault = self.fault if self.seen == self.at else "none"
        self.seen += 1
        if fault == "before":
            raise OSError
        if fault in ANSWERS:
            connection.sendall(ANSWERS[fault] + b"Content-Length: 0\r\n\r\n")
            return
        self.taken.append((id_, body))
        if fault == "after":
            raise OSError
        if fault == "cut":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
            raise OSError
        if fault == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raise OSError
        connection.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def faulty(project: Any) -> Iterator[tuple[Faulty, Project]]:
    receiver = Faulty()
    made: Project = project(now="2024-03-06T12:00")
    made.table(
        "visits (at timestamp, plan varchar(9), n int)",
        [(f"{day} 10:00:00", plan, n) for day, plan, n in sorted(ITEMS)],
    )
    made.declare(declared(receiver.url).replace("[deliveries.hook]", "[x]"), start="2024-03-04")
    text = (made.folder / "tallybook.toml").read_text()
    (made.folder / "tallybook.toml").write_text(text.partition("[x]")[0])
    made.run()
    made.declare(declared(receiver.url), start="2024-03-04")
    yield receiver, made
    receiver.listener.close()


@contextmanager
def copied(made: Project, number: int) -> Iterator[Path]:
    """A copy of a project."""
    made.close()
    folder = made.folder.parent / f"copy{number}"
    shutil.copytree(made.folder, folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def outbox_of(folder: Path) -> dict[str, list[Any]]:
    """Everything that the ledger keeps of a delivery, for a test that fails."""
    tables = ("outbox", "outbox_folded", "outbox_trace", "outbox_deliveries")
    with closing(sqlite3.connect(folder / "book" / "ledger.sqlite")) as db:
        return {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


def values(taken: list[tuple[str, bytes]]) -> set[tuple[str, str, int]]:
    found = [json.loads(body)["data"] for _, body in taken]
    return {(one["period"], one["dimensions"]["plan"], one["value"]) for one in found}


def test_each_item_arrives_under_one_id_whatever_fails_and_wherever_it_is_killed(faulty):
    receiver, made = faulty
    with Driver() as driver:
        with copied(made, 0) as folder:
            steps = driver.do(folder, "deliver", now="2024-03-06T12:00")["steps"]
            assert values(receiver.taken) == ITEMS
            assert len(receiver.taken) == len(ITEMS)
        every = [(fault, at, step) for fault in FAULTS for at in range(3) for step in [None, *range(1, steps + 1)]]
        for number, (fault, at, step) in enumerate(sampled(every, 4, "outbox faults"), 1):
            receiver.begin(fault, at)
            with copied(made, number) as folder:
                said = [driver.do(folder, "deliver", now="2024-03-06T12:00", **({"at": step} if step else {}))]
                for again in ("2024-03-06T13:30", "2024-03-06T18:00", "2024-03-06T23:00"):
                    said.append(driver.do(folder, "deliver", now=again))
                seen = (fault, at, step, said, receiver.seen, outbox_of(folder))
                assert said[-1]["said"]["statuses"] == {"hook": "up to date"}, seen
                assert values(receiver.taken) == ITEMS, seen
                ids = {id_ for id_, _ in receiver.taken}
                assert len(ids) == len(ITEMS), (fault, at, step)
                extra = len(receiver.taken) - len(ITEMS)
                assert extra == 0 or fault in ("after", "cut", "reset") or step, (fault, at, step)


def test_each_item_arrives_where_the_next_process_is_killed_too_or_stands_still_and_goes_on_much_later(faulty):
    receiver, made = faulty
    every = [
        (fault, first, then, name)
        for fault in ("500", "after") for first in range(7, 36, 4) for then in range(4, 40, 5) for name in ("KILL", "STOP")
    ]  # fmt: skip
    with Driver() as driver:
        for number, scenario in enumerate(sampled(every, 3, "outbox faults, twice")):
            fault, first, then, name = scenario
            receiver.begin(fault, 1)
            with copied(made, number) as folder:
                driver.do(folder, "deliver", now="2024-03-06T12:00", at=first)
                second = driver.do(folder, "deliver", now="2024-03-06T13:30", at=then, signal=name)
                driver.do(folder, "deliver", now="2024-03-06T18:00")
                if "stopped" in second:
                    driver.resume(second["stopped"])
                for again in ("2024-03-06T23:00", "2024-03-07T05:00"):
                    last = driver.do(folder, "deliver", now=again)
                seen = (scenario, last, receiver.seen, outbox_of(folder))
                assert last["said"]["statuses"] == {"hook": "up to date"}, seen
                assert values(receiver.taken) == ITEMS, seen
                assert len({id_ for id_, _ in receiver.taken}) == len(ITEMS), seen


def test_two_processes_at_once_send_each_item_once(faulty):
    receiver, made = faulty
    with Driver() as driver, copied(made, 0) as folder:
        jobs = [job(folder, "deliver", now="2024-03-06T12:00", delay=delay) for delay in (0, 0.02, 0.05)]
        said = driver.together(jobs)
        assert {one["exit"] for one in said} <= {0, 5}
        assert (values(receiver.taken), len(receiver.taken)) == (ITEMS, len(ITEMS))


def test_a_process_that_lost_its_lease_changes_nothing(faulty):
    _, made = faulty
    ledger = made.book.store.ledger
    outbox, now = OutboxLedger(ledger), made.now
    lease = ledger.acquire("deliver hook", now=now, seconds=60)
    made.at("2024-03-06T12:10")
    other = ledger.acquire("deliver hook", now=made.now, seconds=60)
    for act in (
        lambda: outbox.recover("hook", lease, now=now),
        lambda: outbox.claim("hook", lease, now=now, limit=1),
        lambda: outbox.settle("hook", lease, [], now=now),
        lambda: outbox.fold("hook", lease),
    ):
        with pytest.raises(Busy):
            act()
    ledger.release(other)


def test_a_process_that_slept_longer_than_its_lease_sends_nothing_more(faulty):
    """The machine slept: its own seconds stood still, and another process has the delivery by now."""
    receiver, made = faulty
    original = Webhook.send

    def asleep(destination, rows, task, channel):
        verdict = original(destination, rows, task, channel)
        made.at("2024-03-06T12:02")
        return verdict

    with pytest.MonkeyPatch.context() as night:
        night.setattr(Webhook, "send", asleep)
        night.setattr(Webhook, "threads", 1)
        with pytest.raises(Busy):
            made.book.deliver()
    assert len(receiver.taken) == 1
    assert [one.rows for one in made.book.deliver()] == [len(ITEMS)]
    assert values(receiver.taken) == ITEMS


def test_a_receiver_that_hangs_delays_nobody(faulty, monkeypatch):
    from tallybook.deliver.outgoing import channel

    receiver, made = faulty
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
    text = declared(receiver.url) + declared(url).partition("[deliveries.hook]")[2].join(["[deliveries.slow]", ""])
    made.declare(text, start="2024-03-04")
    monkeypatch.setattr(channel.Channel.__init__, "__defaults__", (0.5, *channel.Channel.__init__.__defaults__[1:]))
    reports = {one.delivery: one for one in made.book.deliver()}
    assert reports["hook"].status == "delivered"
    assert "within 0.5 seconds" in reports["slow"].error
    assert reports["hook"].seconds < reports["slow"].seconds
    silent.close()


def test_a_day_that_takes_several_transactions_is_sent_when_it_is_planned_whole(faulty, monkeypatch):
    from tallybook.deliver import outbox_plan

    receiver, made = faulty
    monkeypatch.setattr(outbox_plan, "ROWS_AT_ONCE", 1)
    with monkeypatch.context() as cut_off:
        cut_off.setattr(OutboxPlan, "day", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            made.book.deliver()
    outbox, ledger = OutboxLedger(made.book.store.ledger), made.book.store.ledger
    assert outbox.counts() == {"hook": {"planned": 1}}
    lease = ledger.acquire("deliver hook", now=made.now, seconds=60)
    assert outbox.claim("hook", lease, now=made.now, limit=9) == []
    ledger.release(lease)
    assert [one.rows for one in made.book.deliver()] == [len(ITEMS)]
    assert (values(receiver.taken), len(receiver.taken)) == (ITEMS, len(ITEMS))


def test_rows_that_one_reading_of_a_version_lacks_are_not_withdrawn(faulty, monkeypatch):
    """The first day is planned, the process ends, and the next one reads only the first row of the same version."""
    receiver, made = faulty
    with monkeypatch.context() as cut_off:
        cut_off.setattr(OutboxPlan, "done", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            made.book.deliver()
    read = PastAnswers.rows
    readings = iter([1])

    def short(answers, question, version):
        return itertools.islice(read(answers, question, version), next(readings, None))

    monkeypatch.setattr(PastAnswers, "rows", short)
    (report,) = made.book.deliver()
    assert (report.status, report.error) == (
        "failed",
        "version 1 of the book gave 1 rows for 2024-03-04, and 2 when it was read again; nothing of that day was planned",
    )
    assert [one.rows for one in made.book.deliver()] == [len(ITEMS)]
    assert values(receiver.taken) == ITEMS
