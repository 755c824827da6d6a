"""What a forked child must not touch: connections and engines of its parent.

A child has a copy of them, without the threads that serve them. Using one hangs, and destroying one may crash or write
into the parent's connection. So `keep_from_children` lets the child forget them without ever destroying them, and an
owner that is `watch`ed is told before and after a fork.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Owner(Protocol):
    """Holds what a child must not touch. Each method is called in the thread that forks."""

    def before_fork(self) -> None: ...

    def after_fork_in_parent(self) -> None: ...

    def after_fork_in_child(self) -> None: ...


_owners: weakref.WeakSet[Owner] = weakref.WeakSet()
_kept: weakref.WeakSet[object] = weakref.WeakSet()
_lock = threading.Lock()
_during_fork: list[object] = []
"""Strong references, so that the end of other threads in the child destroys nothing."""
_hooked: list[bool] = []


def watch(owner: Owner) -> None:
    """Tell `owner` of forks, as long as it exists."""
    _hook()
    with _lock:
        _owners.add(owner)


def keep_from_children(connection: object) -> None:
    """In a child of this process the connection is never destroyed."""
    _hook()
    with _lock:
        _kept.add(connection)


def abandon(connection: object) -> None:
    """Never destroy it."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _hook() -> None:
    if _hooked or not hasattr(os, "register_at_fork"):
        return
    _hooked.append(True)
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


def _before() -> None:
    _lock.acquire()
    _during_fork[:] = [*_owners, *_kept]
    for owner in list(_owners):
        owner.before_fork()


def _after_in_parent() -> None:
    for owner in list(_owners):
        owner.after_fork_in_parent()
    _during_fork.clear()
    _lock.release()


def _after_in_child() -> None:
    for connection in list(_kept):
        abandon(connection)
    for owner in list(_owners):
        owner.after_fork_in_child()
    _kept.clear()
    _during_fork.clear()
    _lock.release()
