"""Identifies the process that owns a lease, and tests whether it is alive."""

from __future__ import annotations

import json
import os
import socket
import uuid
from typing import Any

PROCESS = uuid.uuid4().hex
"""Distinguishes this process from an earlier one with the same process id, as often happens after a container
restart."""


def is_process_alive(holder: str) -> bool:
    """Whether a process may be alive. False only for an ended process of this host; other hosts cannot be checked."""
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
    """This process as the holder of a lease, in the form that `is_process_alive` reads."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "process": PROCESS}
