"""One worker: the HTTP door on a listening socket, its log, and a thread that watches keys and disk."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import DeclarationError, RequestError, TallybookError
from tallybook.ingest import Compactor, GroupCommit, KeyRing, LogFolder, logs_to_write
from tallybook.server.listeners import needs_proxy
from tallybook.storage import AuditLines, BookLocation, EntityLedger, EventLedger, open_store

if TYPE_CHECKING:
    import uvicorn

    from tallybook.core import EventRules, ServeSettings
    from tallybook.server.app import EventsApp
    from tallybook.server.audit_log import AuditLog
    from tallybook.server.books import SharedBook
    from tallybook.server.counts import Counts
    from tallybook.server.doors import Door
    from tallybook.server.pages.preparing import PagePreparing

MAX_FILES = 20_000
WATCH_SECONDS = 0.8
SEEN_INTERVAL = timedelta(minutes=1)
GRACE_SECONDS = 8
"""Time for requests in flight to be answered after SIGTERM, in seconds."""


def check_installed() -> None:
    """Raise DeclarationError, with the command that installs it, if the HTTP server is missing."""
    try:
        import httptools  # noqa: F401
        import uvicorn  # noqa: F401
        import zstandard  # noqa: F401
    except ImportError as error:
        raise DeclarationError(
            f"serving events needs the package {error.name}", hint="pip install 'tallybook[server]'"
        ) from None


def event_ledger(place: BookLocation) -> EventLedger:
    """The tables and files of a book's events. The book is created if it does not exist."""
    store = open_store(place)
    return EventLedger(store.ledger, store.files)


class Watch:
    """A thread that reads the keys again and checks the free disk space, about every second."""

    def __init__(self, keys: KeyRing, logs: LogFolder, folder: Path | None, settings: ServeSettings) -> None:
        self.keys, self.logs, self.folder, self.settings = keys, logs, folder, settings
        self.problem: RequestError | None = None
        self.seen: Mapping[str, datetime] = {}
        """The last use of each key. The door writes it."""
        self.noted: dict[str, datetime] = {}
        self.counts: Counts | None = None
        self.gauges: dict[str, tuple[str, float]] = {}
        self.meanwhile: Callable[[], None] = lambda: None
        self.stop = threading.Event()
        self.look()
        threading.Thread(target=self._work, name="tallybook-watch", daemon=True).start()

    def look(self) -> None:
        # A failed read shows where it matters: keys become stale after two seconds.
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
            # The next check tries again.
            with suppress(TallybookError):
                self.keys.events.note_seen(new)
                noted |= new

    def _problem(self) -> RequestError | None:
        waiting = self.logs.byte_count()
        self.gauges["log_bytes"] = ("Bytes that wait to be compacted.", waiting)
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
        self.gauges["disk_free_bytes"] = ("Free bytes on the disk of the book.", free)
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
            self.meanwhile()
            if self.counts is not None:
                self.counts.publish()
        self.keys.events.close()


@dataclass(frozen=True, kw_only=True)
class WorkerPlan:
    """What one worker serves. With the role `ingest` it takes and reads events; with `web` it only reads. `number` and
    `shared` identify it among the workers."""

    place: BookLocation
    settings: ServeSettings
    rules: EventRules
    """`[events]` and the zone of the book."""
    clock: Callable[[], datetime]
    reload: Callable[[], tuple[ServeSettings, EventRules]]
    """Reads the settings again. Raises TallybookError."""
    on_error: Callable[[Exception], None]
    book: SharedBook | None = None
    """The Book that answers queries, or None if this worker answers none."""
    roles: tuple[str, ...] = ("ingest", "web")
    number: int = 0
    shared: Path | None = None


def run_worker(plan: WorkerPlan, listener: socket.socket) -> None:
    """Serve until SIGTERM, then answer requests in flight and close the log. SIGHUP reloads settings and
    certificate."""
    import uvicorn

    _raise_file_limit()
    events = event_ledger(plan.place)
    logs, keys = logs_to_write(plan.place, events, plan.settings.durable), KeyRing(events, plan.clock)
    commit = GroupCommit(logs) if "ingest" in plan.roles else None
    watch = Watch(keys, logs, plan.place.folder, plan.settings)
    app = _app(plan, events, logs, commit, watch)
    config = _config(app, plan.settings)
    preparing = _preparing(plan, app)
    reload = _Reload(plan, watch, app, config, needs_proxy(listener, plan.settings))
    watch.meanwhile = reload.step
    # uvicorn raises SIGTERM again when it is done. By then there is nothing left to do.
    handlers = {signal.SIGTERM: reload.nothing, signal.SIGINT: reload.nothing, signal.SIGHUP: reload.ask}
    before = {one: signal.signal(one, handler) for one, handler in handlers.items()}
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        watch.stop.set()
        if preparing is not None:
            preparing.stop()
        if commit is not None:
            commit.close()
        if app.watching.access is not None:
            app.watching.access.close()
        if app.watching.audit is not None:
            app.watching.audit.close()
        if plan.book is not None:
            plan.book.close()
        events.close()
        for one, handler in before.items():
            signal.signal(one, handler)


def _app(plan: WorkerPlan, events: EventLedger, logs: LogFolder, commit: GroupCommit | None, watch: Watch) -> EventsApp:
    from tallybook.server.access_log import AccessLog
    from tallybook.server.app import EventsApp
    from tallybook.server.counts import Counts
    from tallybook.server.entities import EntityDoor
    from tallybook.server.px.door import GAINSIGHT_PX, PxDoor
    from tallybook.server.reads import EventReads
    from tallybook.server.watching import Watching

    def compactor() -> Compactor:
        return Compactor(events, logs, zone=plan.rules.zone, clock=plan.clock, settings=plan.rules.settings)

    px = PxDoor(EntityLedger(events.ledger, events.files), events, plan.clock)
    app = EventsApp(
        commit,
        watch.keys,
        events,
        clock=plan.clock,
        problem=lambda: watch.problem,
        reads=EventReads(events=events, compactor=compactor),
        rules=plan.rules,
        entities=EntityDoor(EntityLedger(events.ledger, events.files), plan.clock),
        first_doors=[px],
        doors=_doors(plan),
        watching=Watching(
            counts=Counts(plan.number, plan.shared),
            access=AccessLog() if plan.settings.access_log else None,
            gauges=lambda: watch.gauges,
            on_error=plan.on_error,
            audit=_audit_log(plan),
        ),
    )
    px.rates = app.rates  # a key has one quota in all protocols
    px.is_on = lambda: GAINSIGHT_PX in (app.rules.settings.protocols or (GAINSIGHT_PX,))
    watch.seen, watch.counts = app.gate.seen, app.watching.counts
    return app


def _preparing(plan: WorkerPlan, app: EventsApp) -> PagePreparing | None:
    """The started thread that prepares pages, or None if no pages are served."""
    from tallybook.server.pages.door import PagesDoor
    from tallybook.server.pages.preparing import PagePreparing

    door = next((one for one in app.doors if isinstance(one, PagesDoor)), None)
    if door is None:
        return None
    made = PagePreparing(door, plan.on_error)
    made.start()
    return made


def _audit_log(plan: WorkerPlan) -> AuditLog | None:
    """The audit log of readers, or None if it is turned off."""
    from tallybook.server.audit_log import AuditFiles, AuditLog, AuditTable

    if not plan.settings.audit or plan.book is None:
        return None
    keep = timedelta(seconds=plan.settings.audit)
    if plan.place.folder is not None:
        return AuditLog(AuditFiles(plan.place.folder, plan.place.access), keep, plan.clock)
    return AuditLog(AuditTable(AuditLines(event_ledger(plan.place).ledger)), keep, plan.clock)


def _doors(plan: WorkerPlan) -> list[Door]:
    """The doors besides events, in the order in which a path is tried."""
    if plan.book is None:
        return []
    from tallybook.server.book_api import BookDoor
    from tallybook.server.engagements import EngagementDoor
    from tallybook.server.hooks import HookDoor
    from tallybook.server.mcp_door import AssistantDoor
    from tallybook.server.pages.door import PagesDoor
    from tallybook.server.pages.shared import SharedPageDoor
    from tallybook.server.queries import QueryDoor
    from tallybook.server.sessions import SessionDoor
    from tallybook.server.shares import SharedDataDoor

    return [
        QueryDoor(book=plan.book, clock=plan.clock, on_error=plan.on_error, max_rows=plan.settings.max_rows),
        EngagementDoor(book=plan.book, clock=plan.clock),
        HookDoor(book=plan.book, clock=plan.clock, on_error=plan.on_error),
        BookDoor(book=plan.book, on_error=plan.on_error),
        AssistantDoor(book=plan.book, on_error=plan.on_error),
        SharedDataDoor(book=plan.book, on_error=plan.on_error),
        SharedPageDoor(book=plan.book, clock=plan.clock, on_error=plan.on_error),
        SessionDoor(),
        PagesDoor(book=plan.book, clock=plan.clock, on_error=plan.on_error),
    ]


def _config(app: EventsApp, settings: ServeSettings) -> uvicorn.Config:
    import uvicorn

    from tallybook.server.framing import protocol_class

    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        http=protocol_class(lambda: app.watching.counts.add("invalid_http_total")),
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
    )
    config.load()
    return config


class _Reload:
    """Applies the settings again after a SIGHUP."""

    def __init__(
        self, plan: WorkerPlan, watch: Watch, app: EventsApp, config: uvicorn.Config, needs_proxy: bool
    ) -> None:
        self.plan, self.watch, self.app, self.config, self.needs_proxy = plan, watch, app, config, needs_proxy
        self.is_asked = False
        self._apply(plan.settings)

    def nothing(self, *_: object) -> None:
        pass

    def ask(self, *_: object) -> None:
        self.is_asked = True

    def step(self) -> None:
        if self.is_asked:
            self.is_asked = False
            try:
                settings, rules = self.plan.reload()
                if self.config.ssl is not None and settings.certificate is not None:
                    check_certificate(settings)
                    self.config.ssl.load_cert_chain(settings.certificate, settings.private_key)
                self._apply(settings)
                self.app.set_rules(rules)
            except Exception as error:  # noqa: BLE001  # logged; the settings of before stay
                self.plan.on_error(error)

    def _apply(self, settings: ServeSettings) -> None:
        from tallybook.server.clients import DoorPolicy

        self.watch.settings = settings
        self.app.policy = DoorPolicy.of(settings, needs_proxy=self.needs_proxy)


def check_certificate(settings: ServeSettings) -> None:
    """Raise DeclarationError for a certificate or private key that cannot be used."""
    if settings.certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.certificate, settings.private_key, password="")
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise DeclarationError(
            f"cannot use the certificate {settings.certificate} with the private key {settings.private_key}: {reason}",
            hint='PEM files, the key without a password, in [serve]: certificate = "cert.pem", private_key = "key.pem"',
        ) from None


def _raise_file_limit() -> None:
    """Raise the limit on open files, because every connection is a file. The usual soft limit is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if most == resource.RLIM_INFINITY else min(MAX_FILES, most)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def end_with_parent(pipe: int) -> None:
    """End this process when the other end of a pipe is closed, which happens when the parent is killed."""

    def watch() -> None:
        os.read(pipe, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(GRACE_SECONDS + 2)
        os._exit(1)

    threading.Thread(target=watch, name="tallybook-parent", daemon=True).start()
