"""Processes of `tallybook serve` that start at once, because they are forked from one that has imported everything; and
that kill themselves at a named step.

`python -m tests.ingest.forked` reads one JSON line for each process to start from stdin, and prints its number."""

from __future__ import annotations

import functools
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

BEFORE, AFTER = "before", "after"
STEPS = {
    "ingest": ("append", "turn", "close"),
    "compact": ("read", "write", "merge ids", "commit", "seal", "drop", "merge files", "forget", "delete"),
}
"""By role: the steps at which it can be killed, before or after."""


def _places() -> dict[str, list[tuple[Any, str]]]:
    """By step: the functions that do it."""
    from tallybook.ingest import compaction, files, group_commit, log_ledger, log_sqlite, upkeep
    from tallybook.storage.event_ledger import EventLedger
    from tallybook.storage.files import FolderFiles

    logs = (log_sqlite.SqliteLog, log_ledger.LedgerLog)
    return {
        **{name: [(log, name) for log in logs] for name in ("append", "read", "drop", "close")},
        "turn": [(group_commit.GroupCommit, "_turn")],
        "write": [(files, "hash_of")],
        "merge ids": [(compaction, "merged_runs")],
        "commit": [(EventLedger, "commit")],
        "seal": [(EventLedger, "seal")],
        "merge files": [(upkeep.Upkeep, "_merge")],
        "forget": [(EventLedger, "forget_files")],
        "delete": [(FolderFiles, "delete")],
    }


def _deadly(function: Callable[..., Any], when: str, countdown: list[int]) -> Callable[..., Any]:
    @functools.wraps(function)
    def dying(*given: Any, **named: Any) -> Any:
        countdown[0] -= 1
        if countdown[0] == 0 and when == BEFORE:
            os.kill(os.getpid(), signal.SIGKILL)
        found = function(*given, **named)
        if countdown[0] == 0 and when == AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return dying


def _small_steps() -> None:
    """Logs turn, ids and files are merged after a few requests."""
    from tallybook.cli import event_serving
    from tallybook.ingest import compaction, id_runs, log_ledger, log_sqlite, upkeep

    log_sqlite.SqliteLogs.max_log_bytes = log_ledger.LedgerLogs.max_log_bytes = 20_000
    compaction.Compactor.__init__.__kwdefaults__["max_bytes"] = 5_000
    upkeep.Upkeep.__init__.__kwdefaults__["min_files"] = 4
    id_runs.MAX_RUNS = 3
    event_serving.COMMIT_SECONDS = event_serving.IDLE_SECONDS = 0.05
    event_serving.UPKEEP_SECONDS = 0.3


def _run(asked: dict[str, Any]) -> None:
    from tallybook.cli import main

    if asked["dies"]:
        step, when, countdown = asked["dies"]
        for owner, name in _places()[step]:
            setattr(owner, name, _deadly(getattr(owner, name), when, [countdown]))
    main(asked["command"])


def _forking() -> None:
    for name in ("psycopg", "uvicorn", "tallybook.book", "tallybook.cli.scheduling", "tallybook.server.app"):
        importlib.import_module(name)
    for room in ("config", "core", "ingest", "query", "storage"):
        package = importlib.import_module(f"tallybook.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    _places()
    _small_steps()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(2, 1)
            _run(json.loads(line))
        print(pid, flush=True)


class Forking:
    """The process from which others are forked. `keeps` are descriptors that they may use."""

    def __init__(self, keeps: list[int], log: Path) -> None:
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.ingest.forked"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                pass_fds=keeps,
                text=True,
            )

    def start(self, *command: str, dies: tuple[str, str, int] | None = None) -> int:
        """The number of a new process with this command of `tallybook`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"command": ["serve", *command, "--log", "json"], "dies": dies}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


if __name__ == "__main__":
    _forking()
