"""The Python client in the processes of gunicorn and celery, which fork after it was made and end in ways of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import tallybook
from tests.client.test_client_processes import Book, ids
from tests.clients.environment import client_python
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


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    made = Book(tmp_path_factory.mktemp("workers") / "acme")
    yield made
    made.server.kill()


def environment(book: Book) -> dict[str, str]:
    return {**os.environ, "TALLY": book.url, "KEY": book.key, "PYTHONPATH": str(SOURCE)}


def test_workers_of_gunicorn_that_were_forked_from_a_preloaded_application(book: Book, tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(WEB)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-b", f"127.0.0.1:{port}", "web:app"]
    server = subprocess.Popen(command, cwd=tmp_path, env=environment(book), stderr=subprocess.PIPE, text=True)
    for number in range(1, 40):
        for _ in range(200):
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
