"""Usage events in the demo: a server receives some, is killed, and has lost none."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

WAIT_SECONDS = 20.0
Events = list[dict[str, Any]]


class SendingError(Exception):
    """The server did something other than what the demo says."""


class EventServer:
    """`tallybook serve` of the demo's folder, on a free port of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder, ""
        self.process: subprocess.Popen[str] | None = None
        self.pids: list[int] = []
        self.port = 0

    @staticmethod
    def is_installed() -> bool:
        return all(find_spec(name) is not None for name in ("uvicorn", "httptools", "zstandard"))

    def start(self) -> None:
        command = [sys.executable, "-m", "tallybook", "serve", "--log", "json"]
        command += ["--listen", f"127.0.0.1:{self.port}", "--only", "ingest,compact"]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.pids = [self.process.pid]
        assert self.process.stderr is not None
        while len(self.pids) < 3:
            line = self.process.stderr.readline()
            if not line:
                raise SendingError("the server did not start")
            said = json.loads(line)
            if said["event"] == "error":
                raise SendingError(f"the server did not start: {said['error']}; {said.get('hint', '')}")
            if said["event"] == "listening":
                self.port = int(said["address"].rpartition(":")[2])
            if said["event"] == "child_started":
                self.pids.append(said["pid"])
        self.wait(lambda: self.ask("GET", "/readyz")[0] == 200, "the server is not ready")

    def kill(self) -> None:
        """Kill the server and its children with kill -9."""
        assert self.process is not None
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.end()

    def stop(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        self.end()

    def end(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        self.process.stderr.read()
        self.process.stderr.close()
        self.process.wait()

    def send(self, events: Events) -> dict[str, Any]:
        """The answer to the given events. Raises SendingError unless they are stored."""
        status, said = self.ask("POST", "/v1/events", json.dumps(events))
        if status != 200:
            raise SendingError(f"the server answered {status}: {said}")
        return said

    def stored(self, event: str) -> int:
        """How many of the first 1,000 events of a name can be queried now."""
        status, said = self.ask("GET", f"/v1/events?event={event}&limit=1000")
        return len(said["events"]) if status == 200 else 0

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def wait(self, reached: Callable[[], bool], otherwise: str) -> None:
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            with suppress(OSError, http.client.HTTPException):
                if reached():
                    return
            time.sleep(0.05)
        raise SendingError(otherwise)


@contextmanager
def served(folder: Path) -> Iterator[EventServer]:
    """A server that is stopped at the end, whatever happens."""
    server = EventServer(folder)
    try:
        yield server
    finally:
        if server.process is not None:
            server.stop()
