"""`serve` with a listener: which roles this process has, and the commands of its children."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Sequence

from tallybook.cli.failures import as_dict, as_ours
from tallybook.cli.signals import Stop
from tallybook.cli.terminal import Terminal
from tallybook.core import DeclarationError, ServeSettings, TallybookError
from tallybook.ingest import Compactor, Upkeep, create_key, logs_to_compact
from tallybook.server import (
    ROLES,
    Processes,
    check_installed,
    end_with_parent,
    event_ledger,
    listening_socket,
    run_worker,
    shown_address,
)

IDLE_SECONDS = 0.25
COMMIT_SECONDS = 0.75
"""Events wait this long for others, so that a file has more than one, unless there are many."""
UPKEEP_SECONDS = 30.0
AGAIN_SECONDS = 1.0


def chosen_roles(only: str | None, *, scheduled: bool) -> tuple[str, ...]:
    """The roles of this process. Raises DeclarationError for a word that is none."""
    if only is None:
        return tuple(role for role in ROLES if role != "schedule" or scheduled)
    wanted = [one.strip() for one in only.split(",") if one.strip()]
    if wrong := [one for one in wanted if one not in ROLES]:
        raise DeclarationError(f"there is no role {wrong[0]!r}", hint=f"--only {','.join(ROLES)}, or some of them")
    return tuple(role for role in ROLES if role in wanted)


class EventServing:
    """A server of usage events for one project."""

    def __init__(self, terminal: Terminal, listen: str | None, handed: int | None) -> None:
        self.terminal, self.handed = terminal, handed
        self.project = terminal.book().project
        self.settings: ServeSettings = self.project.catalog.serve
        self.listen = listen or self.settings.listen or "127.0.0.1:8321"

    def serve(self, roles: Sequence[str], cron: str | None) -> None:
        """Do the work of one role, or keep a child for each of several."""
        check_installed()
        if roles == ("ingest",):
            zone = self.project.catalog.book.timezone
            run_worker(self.project.place, self._listener(), self.settings, zone, self.terminal.clock)
        elif roles == ("compact",):
            self._compact()
        else:
            self._parent(roles, cron)

    def _listener(self) -> socket.socket:
        if self.handed is not None:
            return socket.socket(fileno=self.handed)
        return listening_socket(self.listen, insecure=self.settings.insecure)

    def _compact(self) -> None:
        place, clock = self.project.place, self.terminal.clock
        events = event_ledger(place)
        zone = self.project.catalog.book.timezone
        logs = logs_to_compact(place, events, self.settings.durable)
        compactors = [Compactor(events, one, zone=zone, clock=clock) for one in logs]
        upkeep, upkeep_at = Upkeep(events, clock), 0.0
        with Stop() as stop:
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

    def _parent(self, roles: Sequence[str], cron: str | None) -> None:
        listener = self._listener() if "ingest" in roles else None
        if listener is not None:
            self.terminal.event("listening", address=shown_address(listener))
            self._make_first_key()
        keeps = [listener.fileno()] if listener is not None else []

        def command(role: str, pipe: int) -> list[str]:
            made = [sys.executable, "-m", "tallybook", "serve", "--only", role, "--parent-pipe", str(pipe)]
            made += ["--project", str(self.terminal.folder), "--log", self.terminal.log or "text"]
            if role == "ingest" and listener is not None:
                made += ["--listener", str(listener.fileno())]
            return made + (["--schedule", cron] if role == "schedule" and cron else [])

        processes = Processes(roles, command, keeps=keeps, event=lambda what, said: self.terminal.event(what, **said))
        with Stop() as stop:
            processes.run(stop.wait)
        self.terminal.event("stopped")

    def _make_first_key(self) -> None:
        """Without a valid key nobody can send. A person at a terminal gets one, shown once; otherwise the command that
        makes one is logged, because a journal or the log of a container would keep the key itself."""
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
    """End with the parent, where this process is a child."""
    if pipe is not None:
        end_with_parent(pipe)
