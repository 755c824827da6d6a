"""The parent process of `tallybook serve`. It starts processes for each role, and restarts those that end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

ROLES = ("ingest", "web", "compact", "schedule")
LISTENING = ("ingest", "web")
"""Roles with a single process, which has the listener."""
END_SECONDS = 10.0
"""Time for the children to end after SIGTERM, in seconds. Then they are killed."""
RESTART_SECONDS = 1.0


@dataclass
class Child:
    """A process of one role. `number` distinguishes the processes of a role."""

    role: str
    number: int
    process: subprocess.Popen[bytes]
    started: float


class Processes:
    """The children of a server. `command` returns the command for (role, number), given the fd of the pipe to the
    parent."""

    def __init__(
        self,
        slots: Sequence[tuple[str, int]],
        command: Callable[[str, int, int], Sequence[str]],
        *,
        keeps: Sequence[int],
        event: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self.slots, self.command, self.keeps, self.event = slots, command, keeps, event
        self.reads, self.writes = os.pipe()
        self.children: list[Child] = []

    def run(
        self,
        wait: Callable[[float], bool],
        *,
        meanwhile: Callable[[], None] = lambda: None,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep a child running for each slot until `wait` returns that this process must end. Then call `at_end` and
        ask the children to end."""
        due = dict.fromkeys(self.slots, 0.0)
        try:
            while True:
                for slot in [slot for slot, at in due.items() if at <= time.monotonic()]:
                    self._start(*slot)
                    del due[slot]
                if wait(0.2):
                    return
                meanwhile()
                for child in [one for one in self.children if one.process.poll() is not None]:
                    self.children.remove(child)
                    self.event("child_ended", {"role": child.role, "code": child.process.returncode})
                    due[child.role, child.number] = max(time.monotonic(), child.started + RESTART_SECONDS)
        finally:
            at_end()
            self._end()

    def signal(self, roles: Sequence[str], which: signal.Signals) -> None:
        """Send a signal to the children of some roles."""
        for child in self.children:
            if child.role in roles:
                with suppress(ProcessLookupError):
                    child.process.send_signal(which)

    def _start(self, role: str, number: int) -> None:
        process = subprocess.Popen(self.command(role, number, self.reads), pass_fds=[self.reads, *self.keeps])
        self.children.append(Child(role, number, process, time.monotonic()))
        self.event("child_started", {"role": role, "pid": process.pid, "worker": number or None})

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
