"""`tallybook serve` whose children are forked as the server itself is: they start at once, each as a process of its own.

    warm.start(["-m", "tests.ingest.forked_server", warm.address(), "serve", …], cwd=ROOT)

A child has what a started one has: its arguments, the files that its parent keeps for it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from tallybook.cli import main
from tallybook.server import processes
from tests import warm


def fork_children(address: str) -> None:
    """Let the parent's children be forked from the process that listens at `address`."""

    def forked(command: Sequence[str], *, pass_fds: Sequence[int]) -> warm.Program:
        files = {number: number for number in (0, 1, 2, *pass_fds)}
        return warm.Program(command[1:], files, cwd=Path.cwd(), socket_path=address)

    processes.subprocess = SimpleNamespace(Popen=forked, TimeoutExpired=subprocess.TimeoutExpired)  # type: ignore[attr-defined]


if __name__ == "__main__":
    fork_children(sys.argv.pop(1))
    main(sys.argv[1:])
