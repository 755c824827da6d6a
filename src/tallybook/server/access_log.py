"""The access log: one line of JSON per answer. It leaves out query strings, headers and bodies, because they contain
secrets."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any

import msgspec

MAX_WAITING = 20_000
"""Maximum number of lines waiting for a slow reader. Further lines are dropped, and a line reports their number."""
MAX_WRITE_BYTES = 4096
"""Maximum size that a pipe takes without mixing it with the lines of other processes."""
FLUSH_SECONDS = 0.25


class AccessLog:
    """Writes lines in its own thread, so that a slow reader of the log delays no request."""

    def __init__(self, descriptor: int = 1) -> None:
        self.descriptor = descriptor
        self.waiting: deque[bytes] = deque()
        self.dropped = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._work, name="tallybook-access", daemon=True)
        self.thread.start()

    def write(self, line: dict[str, Any]) -> None:
        if len(self.waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self.waiting.append(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Write the waiting lines, for at most a second."""
        self.stop.set()
        self.thread.join(1)

    def _work(self) -> None:
        try:
            while not self.stop.wait(FLUSH_SECONDS):
                self._flush()
            self._flush()
        except OSError:  # The log has no reader any more.
            self.waiting.clear()

    def _flush(self) -> None:
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            self.waiting.append(msgspec.json.encode({"event": "access_log_dropped", "lines": dropped}) + b"\n")
        piece = b""
        while self.waiting:
            line = self.waiting.popleft()
            if piece and len(piece) + len(line) > MAX_WRITE_BYTES:
                _write_all(self.descriptor, piece)
                piece = b""
            piece += line
        if piece:
            _write_all(self.descriptor, piece)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
