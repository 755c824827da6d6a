"""SIGTERM and Ctrl-C for a command that stays: the first one asks it to end, the second one insists."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType


class Stop:
    """Whether this process was asked to end. A context manager: outside of it signals are what they were."""

    def __enter__(self) -> Stop:
        self.asked = False
        self.hears, self.tells = os.pipe()
        self.before = {one: signal.signal(one, self._heard) for one in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self.before.items():
            signal.signal(one, handler)
        os.close(self.hears)
        os.close(self.tells)

    def _heard(self, _: int, __: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # A pipe and not a lock: a handler may run while the thread it interrupts holds one.
        os.write(self.tells, b".")

    def __call__(self) -> bool:
        return self.asked

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until asked to end; whether it was."""
        select.select([self.hears], [], [], seconds)
        return self.asked
