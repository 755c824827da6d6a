"""The parent of `tallybook serve`: it binds the socket, starts a process for each role, and starts again what ends."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tallybook.core import DeclarationError

ROLES = ("ingest", "compact", "schedule")
END_SECONDS = 10.0
"""After SIGTERM the children have this long; then they are killed."""
RESTART_SECONDS = 1.0
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})")


def listening_socket(listen: str, *, insecure: bool) -> socket.socket:
    """A socket that listens at `host:port` or `unix:/path`. Raises DeclarationError for an address that others reach,
    because keys would be sent in the clear."""
    if listen.startswith("unix:"):
        return _unix(listen.removeprefix("unix:"))
    found = _ADDRESS.fullmatch(listen)
    if found is None or int(found[2]) > 65535:
        raise DeclarationError(
            f"cannot listen at {listen!r}", hint='an address and a port: listen = "127.0.0.1:8321", or "unix:/path"'
        )
    host, port = found[1].strip("[]"), int(found[2])
    if not insecure and not _is_loopback(host):
        raise DeclarationError(
            f"{listen} can be reached by others, and this listener has no TLS: keys would travel in the clear",
            hint="listen on 127.0.0.1 behind a proxy with TLS, or in [serve]: insecure = true",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise DeclarationError(
            f"cannot listen at {listen}: {error.strerror}", hint="name another port: --listen 127.0.0.1:8322"
        ) from None
    made.listen(2048)
    return made


def _unix(path: str) -> socket.socket:
    with suppress(OSError):
        os.unlink(path)  # noqa: PTH108  # of a server that was killed
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(path)
    except OSError as error:
        made.close()
        raise DeclarationError(f"cannot listen at unix:{path}: {error.strerror}") from None
    made.listen(2048)
    return made


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown_address(listener: socket.socket) -> str:
    """Where a socket listens, as it is pasted into a URL."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    return f"http://[{name[0]}]:{name[1]}" if ":" in name[0] else f"http://{name[0]}:{name[1]}"


@dataclass
class Child:
    """A process of one role."""

    role: str
    process: subprocess.Popen[bytes]
    started: float


class Processes:
    """The children of a server. `command` makes the command of a role, given the fd of the pipe to the parent."""

    def __init__(
        self,
        roles: Sequence[str],
        command: Callable[[str, int], Sequence[str]],
        *,
        keeps: Sequence[int],
        event: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self.roles, self.command, self.keeps, self.event = roles, command, keeps, event
        self.reads, self.writes = os.pipe()
        self.children: list[Child] = []

    def run(self, wait: Callable[[float], bool]) -> None:
        """Keep a child for each role until `wait` says that this process shall end."""
        due = dict.fromkeys(self.roles, 0.0)
        try:
            while True:
                for role in [role for role, at in due.items() if at <= time.monotonic()]:
                    self._start(role)
                    del due[role]
                if wait(0.2):
                    return
                for child in [one for one in self.children if one.process.poll() is not None]:
                    self.children.remove(child)
                    self.event("child_ended", {"role": child.role, "code": child.process.returncode})
                    due[child.role] = max(time.monotonic(), child.started + RESTART_SECONDS)
        finally:
            self._end()

    def _start(self, role: str) -> None:
        process = subprocess.Popen(self.command(role, self.reads), pass_fds=[self.reads, *self.keeps])
        self.children.append(Child(role, process, time.monotonic()))
        self.event("child_started", {"role": role, "pid": process.pid})

    def _end(self) -> None:
        for child in self.children:
            with suppress(ProcessLookupError):
                child.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + END_SECONDS - 1
        for child in self.children:
            try:
                child.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        os.close(self.reads)
        os.close(self.writes)
