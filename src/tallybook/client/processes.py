"""What a client must know of its process: it was forked, it is about to end, it is frozen between two calls."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import Protocol


class OpenClient(Protocol):
    def after_fork(self) -> None:
        """Called in a child: nothing of the parent may be used."""

    def at_exit(self) -> None:
        """Called before the process ends: send what waits."""


_clients: weakref.WeakSet[OpenClient] = weakref.WeakSet()
_kept: set[OpenClient] = set()
"""Those with something to send. They live until it is sent."""
_hooked: list[int] = []
_pool_hooked: list[int] = []
"""The processes in which the hooks are set."""


def watch(client: OpenClient) -> None:
    """Call a client in forked children, as long as it exists."""
    if not _hooked and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)
    if not _hooked:
        atexit.register(_at_exit)
        _hooked.append(os.getpid())
    _clients.add(client)


def keep(client: OpenClient) -> None:
    """Call a client before this process ends."""
    _kept.add(client)
    _hook_pools()


def forget(client: OpenClient) -> None:
    _kept.discard(client)


def is_frozen_between_calls() -> bool:
    """Whether threads of this process are frozen unless a call is being answered, as in AWS Lambda."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def _after_fork() -> None:
    _kept.clear()
    for client in list(_clients):
        client.after_fork()


def _at_exit() -> None:
    for client in list(_kept):
        client.at_exit()


def _hook_pools() -> None:
    """Children of multiprocessing and of celery end without atexit. Each has a word of its own for it."""
    if _pool_hooked[-1:] == [os.getpid()]:
        return
    _pool_hooked.append(os.getpid())
    for name in ("multiprocessing.util", "billiard.util"):
        if (module := sys.modules.get(name)) is not None:
            module.Finalize(None, _at_exit, exitpriority=100)
    if (signals := sys.modules.get("celery.signals")) is not None:
        signals.worker_process_shutdown.connect(_at_pool_exit, weak=False)


def _at_pool_exit(**_: object) -> None:
    _at_exit()
