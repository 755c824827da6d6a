"""The Python client beside a real server: killed, hung, full and restarted, in forked, frozen and killed processes. What
was tracked is there once, or the caller has the count that is not."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tests.clients.environment import client_python
from tests.conftest import SOAK
from tests.ingest.servers import Server
from tests.servers import free_port

SOURCE = Path(tallybook.__file__).parents[1]
WEB = """
import os
import tallybook

client = tallybook.Client(os.environ["TALLY"], os.environ["KEY"], linger=60)
client.track("web", id="web-0")  # in the master, before it forks: its thread runs there and nowhere else


def app(environ, start_response):
    client.track("web", id=f"web-{environ['PATH_INFO'][1:]}")
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""
TASKS = """
import os
from celery import Celery
import tallybook

app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
client = tallybook.Client(os.environ["TALLY"], os.environ["KEY"], linger=60)


@app.task
def work(number):
    client.track("task", id=f"task-{number}")
    open(f"done/{number}", "w").close()
"""
MANY = 5100 if SOAK else 300
APP = """
import json, sys, time
import tallybook
url, key, event, count, pause, options, end = sys.argv[1:]
client = tallybook.Client(url, key, **json.loads(options))
for number in range(int(count)):
    client.track(event, id=f"{event}-{number}")
    print(number, flush=True)
    time.sleep(float(pause))
if end == "close":
    print(client.close(), flush=True)
"""


class Book:
    """A server, a key to send with, and what is stored."""

    def __init__(self, folder: Path) -> None:
        self.server = Server(folder)
        self.key = self.server.key("app", "write", "read")
        self.server.start()
        self.url = f"http://{self.server.address}"

    def client(self, **options: Any) -> tallybook.Client:
        return tallybook.Client(self.url, self.key, **{"linger": 0.01, **options})

    def app(
        self, event: str, count: int, *, url: str = "", pause: float = 0.0, end: str = "close", **options: Any
    ) -> Any:
        """A process of its own that tracks."""
        words = [url or self.url, self.key, event, str(count), str(pause), json.dumps(options), end]
        return subprocess.Popen([sys.executable, "-c", APP, *words], stdout=subprocess.PIPE, text=True)

    def pids(self) -> list[int]:
        assert self.server.process is not None
        return [self.server.process.pid, *self.server.children.values()]

    def signal(self, number: int) -> None:
        for pid in self.pids():
            os.kill(pid, number)

    def stored(self, event: str, least: int) -> list[str]:
        """The ids of an event that are stored, as often as they are, once at least so many can be read."""
        for _ in range(400):
            found, cursor = [], ""
            while True:
                path = f"/v1/events?event={event}&limit=1000{cursor and '&cursor=' + cursor}"
                page = self.server.ask("GET", path, key=self.key)[1]
                found += [one["id"] for one in page["events"]]
                cursor = page["cursor"]
                if len(page["events"]) < 1000:
                    break
            if len(found) >= least:
                break
            time.sleep(0.05)
        return sorted(found)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    made = Book(tmp_path_factory.mktemp("client") / "acme")
    yield made
    made.server.kill()


def ids(event: str, count: int) -> list[str]:
    return sorted(f"{event}-{number}" for number in range(count))


def reported(client: tallybook.Client, problem: str) -> Any:
    """The report of a flush that met a problem. On a busy machine the first may end before it has met it."""
    for _ in range(100):
        report = client.flush(0.7)
        if problem in (report.error or ""):
            return report
    raise AssertionError(report)


def test_a_server_that_is_killed_and_started_again_loses_and_doubles_nothing(book: Book) -> None:
    client = book.client()
    for number in range(MANY):
        client.track("killed", id=f"killed-{number}")
        if number == MANY // 2:
            book.server.kill()
        time.sleep(0.0002)
    assert reported(client, "Connection refused").waiting > 0
    book.server.start()
    assert client.close().stored == MANY
    assert book.stored("killed", MANY) == ids("killed", MANY)


def test_a_server_that_hangs_is_reported_and_sent_to_again(book: Book) -> None:
    client = book.client(timeout=0.2)
    book.signal(signal.SIGSTOP)
    try:
        for number in range(30):
            client.track("hung", id=f"hung-{number}")
        report = reported(client, "timed out")
        assert (report.stored, report.waiting) == (0, 30)
    finally:
        book.signal(signal.SIGCONT)
    assert client.close().stored == 30
    assert book.stored("hung", 30) == ids("hung", 30)


@pytest.mark.soak
def test_a_server_without_room_is_asked_again_when_it_says_so(book: Book) -> None:
    toml = book.server.folder / "tallybook.toml"
    text = toml.read_text()

    def until(status: int) -> None:
        book.server.reload()
        for _ in range(200):
            if book.server.ask("GET", "/readyz")[0] == status:
                return
            time.sleep(0.05)
        raise AssertionError("the settings are not applied")

    client = book.client()
    toml.write_text(text.replace('reserve = "1 MB"', 'reserve = "900 TB"'))
    until(503)
    client.track("full", id="full-0")
    report = client.flush(0.5)
    assert (report.waiting, "too little room" in report.error) == (1, True)
    toml.write_text(text)
    until(200)
    assert client.close().stored == 1
    assert book.stored("full", 1) == ["full-0"]


def test_forked_children_send_their_own_and_nothing_of_their_parent(book: Book) -> None:
    client = book.client(linger=60)
    for number in range(5):
        client.track("forked", id=f"forked-{number}")
    if (child := os.fork()) == 0:
        code = 1
        try:
            for number in range(5, 10):
                client.track("forked", id=f"forked-{number}")
            report = client.close()
            code = 0 if (report.stored, report.lost) == (5, 0) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    # Children of multiprocessing end without `atexit`, and nobody closes the client in them.
    several = [multiprocessing.get_context("fork").Process(target=_track, args=(client, n)) for n in (10, 20)]
    for one in several:
        one.start()
    for one in several:
        one.join(20)
        assert one.exitcode == 0
    assert client.close().stored == 5
    assert book.stored("forked", 30) == ids("forked", 30)


def _track(client: tallybook.Client, first: int) -> None:
    for number in range(first, first + 10):
        client.track("forked", id=f"forked-{number}")


def test_a_process_that_is_killed_leaves_its_events_to_the_next_one(book: Book, tmp_path: Path) -> None:
    spill = str(tmp_path / "spill")
    app = book.app("left", 10**6, url="http://127.0.0.1:9", pause=0.001, spill=spill)
    tracked = [app.stdout.readline() for _ in range(200)]
    app.kill()
    tracked += app.stdout.readlines()
    last = int([line for line in tracked if line.endswith("\n")][-1])
    client = book.client(spill=spill)
    report = client.close()
    assert report.lost == 0
    found = book.stored("left", last + 1)
    # It may have been killed after it wrote one more event, and before it printed the number.
    assert found in (ids("left", last + 1), ids("left", last + 2))
    assert list((tmp_path / "spill").iterdir()) == []


def test_a_process_that_is_frozen_goes_on_where_it_was(book: Book) -> None:
    app = book.app("frozen", 400, pause=0.001, linger=0.005)
    for _ in range(100):
        app.stdout.readline()
    app.send_signal(signal.SIGSTOP)
    if SOAK:  # Its connection is gone when it wakes.
        book.server.kill()
        book.server.start()
    app.send_signal(signal.SIGCONT)
    last = app.stdout.readlines()[-1]
    assert last == "400 stored, 0 rejected, 0 dropped, 0 waiting\n"
    assert app.wait(20) == 0
    assert book.stored("frozen", 400) == ids("frozen", 400)


def test_a_process_that_only_ends_has_sent_everything(book: Book) -> None:
    app = book.app("ended", 50, end="nothing", linger=60)
    app.stdout.read()
    assert app.wait(20) == 0
    assert book.stored("ended", 50) == ids("ended", 50)


def test_between_the_calls_of_a_lambda_nothing_waits(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "handler")
    threads = threading.active_count()
    client = book.client()
    for number in range(3):
        client.track("lambda", id=f"lambda-{number}")
        assert (client.report().stored, client.report().waiting) == (number + 1, 0)
    assert threading.active_count() == threads
    client.close()


def test_many_threads_track_at_once(book: Book, tmp_path: Path) -> None:
    for name, options in (("memory", {}), ("files", {"spill": tmp_path / "spill"})):
        client = book.client(linger=0, **options)

        def work(start: int, client: tallybook.Client = client, name: str = name) -> None:
            for number in range(start, start + MANY // 3):
                client.track(name, id=f"{name}-{number}")

        threads = [threading.Thread(target=work, args=(start,)) for start in range(0, MANY, MANY // 3)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert client.close().stored == MANY
        assert book.stored(name, MANY) == ids(name, MANY)


def test_without_http_events_values_attributes_and_days_go_into_the_book(tmp_path: Path) -> None:
    (tmp_path / "tallybook.toml").write_text('[book]\nname = "Acme"\nstart = "2026-01-01"\n[accounts]\n')
    with tallybook.Client(book=tmp_path) as client:
        client.track("signup", user="u-1", account="acme", time="2026-03-01T12:00:00Z", id="s-1")
        client.track("signup", id="s-1", time="2026-03-01T12:00:00Z")
        client.value("seats", "2026-03-01", 100, account="acme")
        client.value("seats", "2026-03-01", 160, account="acme")
        client.group("acme", {"plan": "pro"})
        client.close_day("seats", "2026-03-01")
        assert client.flush().stored == 6
    with tallybook.open(tmp_path) as opened:
        asked: dict[str, Any] = {"from_": "2026-03-01", "to": "2026-03-01"}
        assert opened.query(event="signup", count=True, **asked).rows()[0]["count"] == 1
        shown = opened.entities("accounts").show("acme").to_dict()
        assert shown["attributes"]["plan"]["value"] == "pro"
    with (
        pytest.raises(tallybook.EventsLost, match="has not begun in any time zone"),
        tallybook.Client(book=tmp_path) as client,
    ):
        client.close_day("seats", "9999-01-01")
    client = tallybook.Client(book=tmp_path / "nothing")
    client.track("x")
    with pytest.raises(tallybook.EventsLost, match=r"tallybook.toml"):
        client.close()


# --- gunicorn and celery fork after the client was made, and end in ways of their own ------------------------------------


def environment(book: Book) -> dict[str, str]:
    return {**os.environ, "TALLY": book.url, "KEY": book.key, "PYTHONPATH": str(SOURCE)}


def test_workers_of_gunicorn_that_were_forked_from_a_preloaded_application(book: Book, tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(WEB)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-b", f"127.0.0.1:{port}", "web:app"]
    server = subprocess.Popen(command, cwd=tmp_path, env=environment(book), stderr=subprocess.PIPE, text=True)
    for number in range(1, 40):
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}", timeout=10).close()
                break
            except OSError:
                time.sleep(0.05)
    server.send_signal(signal.SIGTERM)
    _, said = server.communicate(timeout=30)
    assert server.returncode == 0, said
    assert book.stored("web", 40) == ids("web", 40)


@pytest.mark.soak
def test_workers_of_celery_send_what_their_tasks_tracked_before_they_end(book: Book, tmp_path: Path) -> None:
    python = client_python("celery")
    (tmp_path / "tasks.py").write_text(TASKS)
    for folder in ("queue", "control", "done"):
        (tmp_path / folder).mkdir()
    # Of Tallybook, workers need nothing but its source: the client imports no other package.
    command = [python, "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork", "-c", "2", "--loglevel", "WARNING"]
    worker = subprocess.Popen(
        [*map(str, command), "--without-gossip", "--without-mingle"], cwd=tmp_path, env=environment(book)
    )
    code = "from tasks import work; [work.delay(number) for number in range(40)]"
    subprocess.run([str(python), "-c", code], cwd=tmp_path, env=environment(book), check=True, timeout=60)
    for _ in range(600):
        if len(list((tmp_path / "done").iterdir())) == 40:
            break
        time.sleep(0.05)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(40) == 0
    assert book.stored("task", 40) == ids("task", 40)
