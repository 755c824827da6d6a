"""Which process holds a lease, and whether it is alive."""

from __future__ import annotations

import json
import os
import socket
import uuid
from typing import Any

PROCESS = uuid.uuid4().hex
"""Tells this process from an earlier one with its number: in a container a restart often has the same."""


def is_process_alive(holder: str) -> bool:
    """False only for a process of this host that has ended. Nothing is known of other hosts."""
    who = json.loads(holder)
    if who["host"] != socket.gethostname():
        return True
    if who["pid"] == os.getpid() and who.get("process", PROCESS) != PROCESS:
        return False
    try:
        os.kill(who["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def this_process() -> list[Any]:
    return [socket.gethostname(), os.getpid()]


def this_holder() -> dict[str, Any]:
    """This process as the holder of a lease, for those who ask whether it is alive."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "process": PROCESS}
