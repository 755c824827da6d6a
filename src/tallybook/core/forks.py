"""Protects connections and engines of a process from its forked children.

A child gets a copy of them without the threads that serve them. Using the copy hangs, and destroying it can crash or
write into the parent's connection. `keep_from_children` makes the child forget a connection without destroying it.
`watch` calls an owner before and after each fork."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Owner(Protocol):
    """An object with resources that a child must not use. Each method is called in the thread that forks."""

    def before_fork(self) -> None:
        """Called in the parent before the fork."""

    def after_fork_in_parent(self) -> None:
        """Called in the parent after the fork."""

    def after_fork_in_child(self) -> None:
        """Called in the child, after its kept connections are abandoned."""


_owners: weakref.WeakSet[Owner] = weakref.WeakSet()
_kept: weakref.WeakSet[object] = weakref.WeakSet()
_lock = threading.Lock()
_during_fork: list[object] = []
"""Strong references, so that other threads ending in the child destroy nothing."""
_hooked: list[bool] = []


def watch(owner: Owner) -> None:
    """Call the methods of `owner` on every fork, as long as it exists."""
    _hook()
    with _lock:
        _owners.add(owner)


def keep_from_children(connection: object) -> None:
    """Make children of this process abandon the connection instead of destroying it."""
    _hook()
    with _lock:
        _kept.add(connection)


def abandon(connection: object) -> None:
    """Leak a connection on purpose: its destructor never runs."""
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
