"""What waits to be sent, in memory. `spill` has the one that is in files."""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from tallybook.client.records import SendRecord


class RecordQueue(Protocol):
    """Records in the order in which they came. May be used by several threads; those that take from it agree among
    themselves."""

    added: int
    removed: int
    """How many ever came, and how many of them are done."""

    def put(self, record: SendRecord) -> bool:
        """Add a record; False where there is no room for it."""

    def first(self, count: int, size: int) -> list[SendRecord]:
        """The first records, at most so many and of so many bytes; one at least, where any waits."""

    def done(self, count: int) -> None:
        """Remove the first records."""

    def adopt(self) -> None:
        """Take over what processes that have ended left behind."""

    def release(self) -> None:
        """Let go of files, in a forked child those of its parent. What waits stays there."""


class MemoryQueue:
    """Bounded by records and bytes. It ends with its process."""

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self.max_records, self.max_bytes = max_records, max_bytes
        self.lock = threading.RLock()
        self.records: deque[SendRecord] = deque()
        self.added = self.removed = self.bytes = 0

    def put(self, record: SendRecord) -> bool:
        with self.lock:
            if len(self.records) >= self.max_records or self.bytes + record.size > self.max_bytes:
                return False
            self.records.append(record)
            self.bytes += record.size
            self.added += 1
            return True

    def first(self, count: int, size: int) -> list[SendRecord]:
        found: list[SendRecord] = []
        with self.lock:
            for record in self.records:
                size -= record.size
                if found and (size < 0 or len(found) == count):
                    break
                found.append(record)
        return found

    def done(self, count: int) -> None:
        with self.lock:
            for _ in range(count):
                self.bytes -= self.records.popleft().size
            self.removed += count

    def adopt(self) -> None:
        """Nothing outlives a process."""

    def release(self) -> None:
        """There are no files."""
