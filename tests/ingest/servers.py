"""A `tallybook serve` in processes of its own, and a plain HTTP client. The long run starts the processes as users do, the
everyday run forks them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import warm
from tests.conftest import ROOT, SOAK

FORKED = ("-m", "tests.ingest.forked_server")

TOML = """
[book]
name = "Acme"
timezone = "UTC"
start = "2020-01-01"

[serve]
reserve = "1 MB"
"""


class Server:
    """`start`, `kill` and `stop` a server of the project in `folder`, on one port that stays."""

    def __init__(self, folder: Path, metrics: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tallybook.toml").write_text(TOML + metrics)
        self.process: subprocess.Popen[str] | warm.Program | None = None
        self.children: dict[str, int] = {}
        """By role: the process of the child."""
        self.address = ""
        self.port = 0

    @classmethod
    def of(cls, folder: Path) -> Server:
        """One for a project that is there."""
        text = (folder / "tallybook.toml").read_text()
        made = cls(folder)
        (folder / "tallybook.toml").write_text(text)
        return made

    def cli(self, *arguments: str) -> str:
        done = warm.run(["-m", "tallybook", *arguments, "--project", str(self.folder)])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def key(self, name: str = "loader", *scopes: str) -> str:
        options = [word for scope in scopes for word in ("--scope", scope)]
        found: str = json.loads(self.cli("keys", "create", name, *options, "--format", "json"))["key"]
        return found

    def start(self) -> Server:
        command = ["serve", "--project", str(self.folder.resolve()), "--log", "json"]
        command += ["--listen", f"127.0.0.1:{self.port}", "--only", "ingest,compact"]
        self.process = started(command) if SOAK else warm.start([*FORKED, warm.address(), *command], cwd=ROOT)
        self.children = {}
        assert self.process.stderr is not None
        while len(self.children) < 2:
            self._read_log()
        self.until_ready()
        return self

    def _read_log(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        said = json.loads(self.process.stderr.readline())
        if said["event"] == "listening":
            self.address = said["address"].removeprefix("http://")
            self.port = int(self.address.rpartition(":")[2])
        if said["event"] == "child_started":
            self.children[said["role"]] = said["pid"]

    def until_restarted(self, role: str) -> None:
        """Wait until the parent has another child of a role, after the one known was killed."""
        self._next_child(role)
        self.until_ready()

    def reload(self) -> None:
        """SIGHUP, and wait until the parent has another child that compacts: it has the settings of its start."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)
        self._next_child("compact")

    def _next_child(self, role: str) -> None:
        before = self.children[role]
        while self.children[role] == before:
            self._read_log()

    def until_ready(self) -> None:
        for _ in range(1200):
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            time.sleep(0.05)
        raise AssertionError("the server is not ready")

    def kill(self) -> None:
        """kill -9 of the parent and its children, and wait until all are gone."""
        assert self.process is not None
        for pid in [self.process.pid, *self.children.values()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        for pid in self.children.values():
            for _ in range(200):
                if not is_running(pid):
                    break
                time.sleep(0.01)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr is not None
        self.process.stderr.read()
        self.process.stderr.close()
        return self.process.wait(60)

    def ask(
        self, method: str, path: str, body: bytes | Any = None, key: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        status, found, _ = self.answer(method, path, body, key, **headers)
        return status, found

    def answer(
        self, method: str, path: str, body: bytes | Any = None, key: str | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        text = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, text, sent)
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw) if raw else None, {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()


def started(command: Sequence[str]) -> subprocess.Popen[str]:
    """A `tallybook` that is started, with its imports, as users start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "tallybook", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
