"""SIGTERM and Ctrl-C for a daemon: the first signal asks it to end, and the second one interrupts it."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType


class Stop:
    """A context in which signals ask this process to end. Outside of it, signals are handled as before."""

    def __enter__(self) -> Stop:
        self.asked = False
        self.receiver, self.sender = os.pipe()
        self.before = {one: signal.signal(one, self._on_signal) for one in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self.before.items():
            signal.signal(one, handler)
        os.close(self.receiver)
        os.close(self.sender)

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # A pipe instead of a lock, because the interrupted thread may be holding a lock.
        os.write(self.sender, b".")

    def __call__(self) -> bool:
        return self.asked

    def wait(self, seconds: float) -> bool:
        """Wait this long, or until asked to end. Returns whether it was asked."""
        select.select([self.receiver], [], [], seconds)
        return self.asked


class Hangup:
    """A context in which SIGHUP asks this process to read its settings again."""

    def __enter__(self) -> Hangup:
        self.asked = False
        self.before = signal.signal(signal.SIGHUP, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGHUP, self.before)

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        self.asked = True

    def taken(self) -> bool:
        """Whether it was asked since the last call."""
        asked, self.asked = self.asked, False
        return asked
