"""One worker: the HTTP door on a listening socket, its log, and a thread that watches keys and disk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import DeclarationError, RequestError, TallybookError
from tallybook.ingest import Compactor, GroupCommit, KeyRing, LogFolder, logs_to_write
from tallybook.storage import BookLocation, EntityLedger, EventLedger, open_store

if TYPE_CHECKING:
    from tallybook.core import ServeSettings

WATCH_SECONDS = 0.8
SEEN_INTERVAL = timedelta(minutes=1)
GRACE_SECONDS = 8
"""Requests in flight have this long to be answered after SIGTERM."""


def check_installed() -> None:
    """Raises DeclarationError with the line to paste where the HTTP server is not installed."""
    try:
        import uvicorn  # noqa: F401
        import zstandard  # noqa: F401
    except ImportError as error:
        raise DeclarationError(
            f"serving events needs the package {error.name}", hint="pip install 'tallybook[server]'"
        ) from None


def event_ledger(place: BookLocation) -> EventLedger:
    """The tables and files of events of a book, which is made where there is none."""
    store = open_store(place)
    return EventLedger(store.ledger, store.files)  # type: ignore[arg-type]


class Watch:
    """A thread that reads the keys again and looks at the room on the disk, about every second."""

    def __init__(self, keys: KeyRing, logs: LogFolder, folder: Path | None, settings: ServeSettings) -> None:
        self.keys, self.logs, self.folder, self.settings = keys, logs, folder, settings
        self.problem: RequestError | None = None
        self.seen: Mapping[str, datetime] = {}
        """By key: when it was last used. The door writes it."""
        self.noted: dict[str, datetime] = {}
        self.stop = threading.Event()
        self.look()
        threading.Thread(target=self._work, name="tallybook-watch", daemon=True).start()

    def look(self) -> None:
        # What could not be read is found out by whoever needs it: keys go stale after two seconds.
        with suppress(TallybookError):
            self.keys.refresh()
        with suppress(OSError, TallybookError):
            self.logs.beat()
            self.problem = self._problem()

    def _note_seen(self) -> None:
        """Record when keys were last used: at the first use, and then about every minute."""
        noted, found = self.noted, dict(self.seen)
        new = {name: at for name, at in found.items() if name not in noted or at - noted[name] > SEEN_INTERVAL}
        if new:
            # The next look tries again.
            with suppress(TallybookError):
                self.keys.events.note_seen(new)
                noted |= new

    def _problem(self) -> RequestError | None:
        waiting = self.logs.byte_count()
        if waiting > self.settings.backlog:
            return RequestError(
                status=503,
                code="backlog",
                message="too many events wait to be compacted",
                seen=f"{waiting:,} bytes",
                expected=f"at most {self.settings.backlog:,}",
            )
        if self.folder is None:
            return None
        free = shutil.disk_usage(self.folder).free
        if free < self.settings.reserve:
            return RequestError(
                status=503,
                code="disk",
                message="too little room is left on the disk",
                seen=f"{free:,} bytes free",
                expected=f"at least {self.settings.reserve:,}",
            )
        return None

    def _work(self) -> None:
        while not self.stop.wait(WATCH_SECONDS):
            self.look()
            self._note_seen()
        self.keys.events.close()


def run_worker(
    place: BookLocation, listener: socket.socket, settings: ServeSettings, zone: str, clock: Callable[[], datetime]
) -> None:
    """Serve until SIGTERM, then answer what is in flight and close the log."""
    import uvicorn

    from tallybook.server.app import EventsApp
    from tallybook.server.entities import EntityDoor
    from tallybook.server.reads import EventReads

    events = event_ledger(place)
    logs, keys = logs_to_write(place, events, settings.durable), KeyRing(events, clock)
    commit = GroupCommit(logs)
    watch = Watch(keys, logs, place.folder, settings)
    reads = EventReads(events=events, compactor=lambda: Compactor(events, logs, zone=zone, clock=clock))
    app = EventsApp(
        commit,
        keys,
        events,
        clock=clock,
        problem=lambda: watch.problem,
        reads=reads,
        entities=EntityDoor(EntityLedger(events.ledger), clock),
    )
    watch.seen = app.seen
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    # uvicorn raises the signal again when it is done; by then nothing is left to do.
    before = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        watch.stop.set()
        commit.close()
        events.close()
        for one, handler in before.items():
            signal.signal(one, handler)


def end_with_parent(pipe: int) -> None:
    """End this process when the other end of a pipe is closed, as it is when the parent was killed."""

    def watch() -> None:
        os.read(pipe, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(GRACE_SECONDS + 2)
        os._exit(1)

    threading.Thread(target=watch, name="tallybook-parent", daemon=True).start()
