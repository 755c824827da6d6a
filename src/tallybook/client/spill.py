"""Events that wait to be sent, in files of a folder. They survive a killed process; the next process sends them.

Each process writes its own files and keeps them locked while it runs. An unlocked file was left behind by a process
that ended; the next process that opens the folder takes it over. A file is deleted after all of it was sent. After a
kill some events are therefore sent again, and their ids make that harmless. Data that the operating system has not yet
written to disk survives the end of the process, but not a crash of the machine."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from tallybook.client.records import SendRecord
from tallybook.core import DeclarationError

SEGMENT_BYTES = 4_000_000
_READ_BYTES = 1_500_000
ENDING, DRAFT = ".queue", ".draft"


@dataclass
class _Segment:
    """One file. `read` is how far it is sent."""

    path: str
    file: int
    size: int = 0
    read: int = 0
    lines: deque[bytes] = field(default_factory=deque)
    """Those behind `read` that were read ahead."""

    def ahead(self, size: int) -> None:
        """Read ahead until there are so many bytes, or all that there are."""
        have = sum(map(len, self.lines))
        while have < size and self.read + have < self.size:
            at, rest = self.read + have, self.size - self.read - have
            piece = os.pread(self.file, min(_READ_BYTES, rest), at)
            if b"\n" not in piece:  # A line that is longer.
                piece = os.pread(self.file, rest, at)
            whole = piece[: piece.rfind(b"\n") + 1]
            if not whole:
                raise OSError(f"{self.path} was changed by somebody else")
            self.lines.extend(line + b"\n" for line in whole[:-1].split(b"\n"))
            have += len(whole)

    def close(self) -> None:
        os.close(self.file)

    def empty(self) -> None:
        """All of it is sent, and it is still written."""
        if self.size:
            os.ftruncate(self.file, 0)
            self.size = self.read = 0

    def drop(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.path)  # noqa: PTH108  # pathlib is not imported for the client
        self.close()


class FileQueue:
    """Bounded by the bytes of its files."""

    def __init__(self, folder: str, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self.lock = threading.RLock()
        self.segments: deque[_Segment] = deque()
        self.own: _Segment | None = None
        """The one that is written: the last of `segments`."""
        self.added = self.removed = self.bytes = 0
        try:
            os.makedirs(folder, 0o700, exist_ok=True)  # noqa: PTH103
        except OSError as error:
            raise DeclarationError(f"cannot make the spill folder {folder}: {error.strerror}") from None
        self.adopt()

    def put(self, record: SendRecord) -> bool:
        line = f"{record.to}\t{record.body}\n".encode()
        with self.lock:
            if self.bytes + len(line) > self.max_bytes:
                return False
            try:
                own = self._writable()
                if os.write(own.file, line) != len(line):
                    os.ftruncate(own.file, own.size)
                    return False
            except OSError:  # No room, or no rights: the caller counts it.
                return False
            own.size += len(line)
            self.bytes += len(line)
            self.added += 1
            return True

    def _writable(self) -> _Segment:
        if self.own is None or self.own.size > SEGMENT_BYTES:
            self.own = self._new()
            self.segments.append(self.own)
        return self.own

    def _new(self) -> _Segment:
        name = os.path.join(self.folder, f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(4).hex()}")  # noqa: PTH118
        file = os.open(name + DRAFT, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
        _lock(file)
        # Locked before it can be found: nobody takes it over between the two.
        os.rename(name + DRAFT, name + ENDING)  # noqa: PTH104
        return _Segment(name + ENDING, file)

    def first(self, count: int, size: int) -> list[SendRecord]:
        found: list[SendRecord] = []
        with self.lock:
            for segment in self.segments:
                segment.ahead(size)
                for line in itertools.islice(segment.lines, count - len(found)):
                    size -= len(line)
                    if found and size < 0:
                        return found
                    to, _, body = line.decode(errors="replace").rstrip("\n").partition("\t")
                    found.append(SendRecord(to, body))
                if len(found) >= count or size < 0:
                    break
        return found

    def done(self, count: int) -> None:
        with self.lock:
            for _ in range(count):
                while not self.segments[0].lines:
                    self.segments.popleft().drop()
                segment = self.segments[0]
                length = len(segment.lines.popleft())
                segment.read += length
                self.bytes -= length
            self.removed += count
            while self.segments and self.segments[0].read >= self.segments[0].size:
                if self.segments[0] is self.own:
                    self.own.empty()
                    return
                self.segments.popleft().drop()

    def adopt(self) -> None:
        with self.lock:
            left: list[_Segment] = []
            known = {segment.path for segment in self.segments}
            for name in sorted(os.listdir(self.folder)):  # noqa: PTH208
                path = os.path.join(self.folder, name)  # noqa: PTH118
                if name.endswith(ENDING) and path not in known:
                    with suppress(OSError):
                        left += self._taken(path)
            self.segments.extendleft(reversed(left))

    def _taken(self, path: str) -> list[_Segment]:
        """A file that was left behind; nothing where it is empty, or another process has it."""
        file = os.open(path, os.O_RDWR)
        try:
            _lock(file)
            is_there = os.fstat(file).st_nlink > 0
        except OSError:
            is_there = False
        if not is_there:
            os.close(file)
            return []
        lines = at = end = 0
        while piece := os.pread(file, _READ_BYTES, at):
            lines += piece.count(b"\n")
            if b"\n" in piece:
                end = at + piece.rfind(b"\n") + 1  # What follows is a line that its process did not finish.
            at += len(piece)
        made = _Segment(path, file, end)
        if not lines:
            made.drop()
            return []
        self.added += lines
        self.bytes += end
        return [made]

    def release(self) -> None:
        for segment in self.segments:
            segment.close()
        self.segments.clear()
        self.own = None


def _lock(file: int) -> None:
    """Lock a file until it is closed. Raises OSError where another process has it."""
    try:
        import fcntl
    except ImportError:
        raise DeclarationError("a spill folder needs locks of files, which this system does not have") from None
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
