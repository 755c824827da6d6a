"""`serve` with a listener: the roles of this process, and the commands of its children."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from tallybook.act import RuleWatch
from tallybook.book import Book
from tallybook.cli.failures import as_dict, as_ours
from tallybook.cli.signals import Hangup, Stop
from tallybook.cli.terminal import Terminal
from tallybook.core import DeclarationError, EventRules, ServeSettings, TallybookError
from tallybook.ingest import Compactor, Expiry, Upkeep, create_key, logs_to_compact
from tallybook.server import (
    LISTENING,
    ROLES,
    Processes,
    SharedBook,
    WorkerPlan,
    check_certificate,
    check_installed,
    close_listener,
    end_with_parent,
    event_ledger,
    listening_socket,
    run_worker,
    shown_address,
)

FILES = ("certificate", "private_key")
NEED_RESTART = ("listen", "insecure", "durable", "workers", "access_log", "audit", "max_rows")
"""Settings that SIGHUP does not change."""
IDLE_SECONDS = 0.25
COMMIT_SECONDS = 0.75
"""Seconds that events wait for others, so that a file has more than one event. With many events there is no wait."""
UPKEEP_SECONDS = 30.0
AGAIN_SECONDS = 1.0
WATCH_SECONDS = 1.0
"""Seconds between evaluations of the rules for changed users and accounts."""


def chosen_roles(only: str | None, *, scheduled: bool) -> tuple[str, ...]:
    """The roles of this process. Raises DeclarationError for an unknown role."""
    if only is None:
        return tuple(role for role in ROLES if role != "schedule" or scheduled)
    wanted = [one.strip() for one in only.split(",") if one.strip()]
    if wrong := [one for one in wanted if one not in ROLES]:
        raise DeclarationError(f"there is no role {wrong[0]!r}", hint=f"--only {','.join(ROLES)}, or some of them")
    return tuple(role for role in ROLES if role in wanted)


@dataclass(frozen=True, kw_only=True)
class ChildArguments:
    """The arguments that a parent passes to a child: the listener, the child's number, and the folder of the
    counters."""

    listener: int | None = None
    number: int = 0
    shared: Path | None = None


class EventServing:
    """A server of usage events for one project."""

    def __init__(
        self, terminal: Terminal, listen: str | None, child: ChildArguments, workers: int | None = None
    ) -> None:
        self.terminal, self.child = terminal, child
        self.project = terminal.book().project
        self.settings = self._absolute(self.project.catalog.serve)
        self.listen = listen or self.settings.listen or "127.0.0.1:8321"
        self.workers = workers or self.settings.workers

    def serve(self, roles: Sequence[str], cron: str | None) -> None:
        """Do the work of one role, or keep a child running for each of several roles."""
        check_installed()
        is_one = set(roles) <= {*LISTENING} and (self.child.listener is not None or self.workers == 1)
        if is_one:
            self._work(tuple(roles))
        elif roles == ("compact",):
            self._compact()
        else:
            self._parent(roles, cron)

    def _absolute(self, settings: ServeSettings) -> ServeSettings:
        """The settings with absolute file paths. Relative paths start at the project folder."""
        folder = self.terminal.folder
        files = {name: str(folder / path) for name in FILES if (path := getattr(settings, name)) is not None}
        return msgspec.structs.replace(settings, **files)

    def _listener(self) -> socket.socket:
        if self.child.listener is not None:
            return socket.socket(fileno=self.child.listener)
        check_certificate(self.settings)
        return listening_socket(self.listen, self.settings)

    def _work(self, roles: tuple[str, ...]) -> None:
        listener = self._listener()
        if self.child.listener is None:
            self.terminal.event("listening", address=shown_address(listener, self.settings))
            self._make_first_key()
        plan = WorkerPlan(
            place=self.project.place,
            settings=self.settings,
            rules=EventRules(settings=self.project.catalog.events, zone=self.project.catalog.book.timezone),
            clock=self.terminal.clock,
            reload=self._reread,
            on_error=self._log_error,
            book=SharedBook(self.terminal.folder, self._open_book, on_error=self._log_error),
            roles=roles,
            number=self.child.number,
            shared=self.child.shared,
        )
        run_worker(plan, listener)
        if self.child.listener is None:
            close_listener(listener, self.listen)

    def _reread(self) -> tuple[ServeSettings, EventRules]:
        """`[serve]` and `[events]` as currently in the file. Raises TallybookError."""
        with self._open_book() as book:
            catalog = book.project.catalog
            return self._absolute(catalog.serve), EventRules(settings=catalog.events, zone=catalog.book.timezone)

    def _open_book(self) -> Book:
        """The book as currently declared. Raises TallybookError."""
        from tallybook.book import open_book

        book = open_book(self.terminal.folder, now=self.terminal.now, env=self.terminal.env)
        self.terminal.hide(book.project.secrets)
        return book

    def _log_error(self, error: Exception) -> None:
        self.terminal.event("error", level="error", **as_dict(as_ours(error)))

    def _compact(self) -> None:
        place, clock = self.project.place, self.terminal.clock
        events = event_ledger(place)
        zone, settings = self.project.catalog.book.timezone, self.project.catalog.events
        logs = logs_to_compact(place, events, self.settings.durable)
        compactors = [Compactor(events, one, zone=zone, clock=clock, settings=settings) for one in logs]
        upkeep, upkeep_at = Upkeep(events, clock, expiry=Expiry(events, clock, settings, zone)), 0.0
        with Stop() as stop, self._watching_rules():
            pause = 0.0
            while not stop.wait(pause):
                try:
                    stored = max(list(map(Compactor.step, compactors)))
                    has_more = any(one.has_more for one in compactors)
                    pause = 0.0 if has_more else COMMIT_SECONDS if stored else IDLE_SECONDS
                    if not has_more and time.monotonic() >= upkeep_at:
                        upkeep.step()
                        upkeep_at = time.monotonic() + UPKEEP_SECONDS
                except Exception as error:  # noqa: BLE001  # logged; nothing is half done, the next step tries again
                    self.terminal.event("error", level="error", **as_dict(as_ours(error)))
                    pause = AGAIN_SECONDS
        events.close()

    @contextmanager
    def _watching_rules(self) -> Iterator[None]:
        """While the block runs, evaluate the rules for changed users and accounts in a thread, and send the actions."""
        stop = threading.Event()

        def watch() -> None:
            with self._open_book() as book:
                watch = RuleWatch(book.rules)
                while not stop.wait(WATCH_SECONDS):
                    try:
                        if any(report.fired for report in watch.step()):
                            book.deliver_actions()
                    except Exception as error:  # noqa: BLE001  # logged; the next step tries again
                        self._log_error(error)

        thread = threading.Thread(target=watch, name="tallybook-rules", daemon=True)
        if self.project.catalog.rules:
            thread.start()
        try:
            yield
        finally:
            stop.set()

    def _parent(self, roles: Sequence[str], cron: str | None) -> None:
        serves = tuple(role for role in roles if role in LISTENING)
        listener = self._listener() if serves else None
        if listener is not None:
            self.terminal.event("listening", address=shown_address(listener, self.settings))
            self._make_first_key()
        slots = [(role, 0) for role in roles if role not in LISTENING]
        slots = [*((serves[0], number) for number in range(self.workers if serves else 0)), *slots]
        keeps = [listener.fileno()] if listener is not None else []
        with TemporaryDirectory(prefix="tallybook-") as shared:

            def command(role: str, number: int, pipe: int) -> list[str]:
                only = ",".join(serves) if role in LISTENING else role
                made = [sys.executable, "-m", "tallybook", "serve", "--only", only, "--parent-pipe", str(pipe)]
                made += ["--project", str(self.terminal.folder), "--log", self.terminal.log or "text"]
                if role in LISTENING and listener is not None:
                    made += ["--listener", str(listener.fileno()), "--number", str(number), "--shared", shared]
                return made + (["--schedule", cron] if role == "schedule" and cron else [])

            made = Processes(slots, command, keeps=keeps, event=lambda what, said: self.terminal.event(what, **said))
            self._keep(made, listener)
        self.terminal.event("stopped")

    def _keep(self, processes: Processes, listener: socket.socket | None) -> None:
        with Stop() as stop, Hangup() as hangup:

            def at_end() -> None:
                # While it is open, the system accepts connections that nobody answers.
                if listener is not None:
                    close_listener(listener, self.listen)

            def meanwhile() -> None:
                if hangup.taken():
                    self._reload(processes)

            processes.run(stop.wait, meanwhile=meanwhile, at_end=at_end)

    def _reload(self, processes: Processes) -> None:
        """Read the settings again, and make the children read them. If they are invalid, the previous settings stay."""
        try:
            settings, _ = self._reread()
            check_certificate(settings)
        except TallybookError as error:
            self._log_error(error)
            return
        fixed = [name for name in NEED_RESTART if getattr(settings, name) != getattr(self.settings, name)]
        self.settings = settings
        self.terminal.event("reloaded", needs_restart=fixed)
        processes.signal(LISTENING, signal.SIGHUP)
        # It has no connections, so it is restarted.
        processes.signal(("compact",), signal.SIGTERM)

    def _make_first_key(self) -> None:
        """Create a first key if there is no valid one, because nobody can send without a key. A person at a terminal
        sees the key once. Otherwise the command that creates one is logged, because a journal or container log would
        keep the key itself."""
        events = event_ledger(self.project.place)
        now = self.terminal.clock()
        try:
            if any(key.is_valid(now) for key in events.api_keys()):
                return
            if not self.terminal.is_watched:
                self.terminal.event("no_key", level="warning", hint="tallybook keys create NAME")
                return
            name = "first"
            text = create_key(events, name, ("write", "read"), now=now)
        except TallybookError as error:
            self.terminal.event("no_key", level="warning", reason=error.message, hint="tallybook keys create NAME")
            return
        finally:
            events.close()
        self.terminal.show(f"A key that may send and read events, shown this once: {text}")
        self.terminal.show(f"It is named {name!r}. Send it as: Authorization: Bearer KEY")


def watch_parent(pipe: int | None) -> None:
    """If this process is a child, end it when its parent ends. The parent handles a hangup of the terminal."""
    if pipe is not None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        end_with_parent(pipe)
