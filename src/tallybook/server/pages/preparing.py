"""A thread that computes what pages need as soon as the book has a new version, so that no reader waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tallybook.server.pages.door import PagesDoor

LOOK_SECONDS = 2.0
READ_SECONDS = 3600.0
"""Pages are prepared only if someone has read one within this time."""


class PagePreparing:
    """Checks the version every LOOK_SECONDS, from `start` to `stop`."""

    def __init__(self, door: PagesDoor, on_error: Callable[[Exception], None]) -> None:
        self.door, self.on_error = door, on_error
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tallybook-pages", daemon=True)
        self._failed: object = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Wait briefly for the current preparation to end."""
        self._stopped.set()
        self._thread.join(2)

    def _work(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            if time.monotonic() - self.door.last_read.at > READ_SECONDS:
                continue
            try:
                self.door.prepare()
                self._failed = None
            except Exception as error:  # noqa: BLE001  # logged once; readers get the error of their own page
                if self._failed != str(error) and not self._stopped.is_set():
                    self.on_error(error)
                self._failed = str(error)
