"""Isolation of failures: an exception of one metric, source or delivery does not stop the others.

    try:
        with isolated(f"metric {name!r} raised"):
            call_the_users_function()
    except SourceError as error:
        report.failed(error.message, error.hint)

Only a signal of the process (Ctrl-C, SIGTERM) passes through. `sys.exit()` or a KeyboardInterrupt raised by the code
itself does not: `_noted_signals` distinguishes the two.
"""

from __future__ import annotations

import functools
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tallybook.core.errors import (
    BookError,
    Busy,
    Refused,
    SourceError,
    TallybookError,
    Unforeseen,
    bug_report,
    describe_error,
    describe_os_error,
)

MAX_TRACEBACK_CHARACTERS = 6000
TRACEBACK_HINT = "TALLYBOOK_DEBUG=1 before the command shows where"


@contextmanager
def isolated(what: str = "") -> Iterator[None]:
    """Turn any exception of the block into a SourceError. `what` begins its message when user code may have raised it;
    without `what`, an unknown exception is reported as a bug in Tallybook.

    Exceptions of signal handlers pass unchanged, even if the block swallowed them. Without `what`, so do Busy,
    BookError and Refused, which concern the whole run or question."""
    with _noted_signals() as raised:
        try:
            yield
        except BaseException as error:
            if raised:
                raise raised[-1] from None
            if isinstance(error, SourceError) or (not what and isinstance(error, Busy | BookError | Refused)):
                raise
            raise as_failure(error, what) from error
        if raised:
            raise raised[-1]


def as_failure(error: BaseException, what: str = "") -> SourceError:
    """Convert any exception to the failure of one metric or source. An unexpected exception keeps its traceback for a
    bug report."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, TallybookError):
        return SourceError(f"{what}: {error.message}" if what else error.message, hint=error.hint)
    failure = Unforeseen(f"{what}: {describe_error(error)}", hint=TRACEBACK_HINT) if what else _unforeseen(error)
    failure.traceback = "".join(traceback.format_exception(error))[-MAX_TRACEBACK_CHARACTERS:].strip()
    return failure


def _unforeseen(error: BaseException) -> Unforeseen:
    if isinstance(error, OSError):
        return Unforeseen(describe_os_error(error))
    report = bug_report(error)
    return Unforeseen(report.message, hint=report.hint)


@contextmanager
def _noted_signals() -> Iterator[list[BaseException]]:
    """Yield the list of exceptions that signal handlers raise during the block.

    Python runs handlers in the main thread only: in any other thread no exception comes from a signal. Handlers that
    the block installs itself belong to the block."""
    raised: list[BaseException] = []
    if threading.current_thread() is not threading.main_thread():
        yield raised
        return
    noting: dict[int, tuple[Any, Any]] = {}
    try:
        for number in _signals():
            handler = signal.getsignal(number)
            if callable(handler):
                noting[number] = (_noting(handler, raised), handler)
                signal.signal(number, noting[number][0])
        yield raised
    finally:
        for noted, (ours, handler) in noting.items():
            if signal.getsignal(noted) is ours:
                signal.signal(noted, handler)


@functools.cache
def _signals() -> tuple[int, ...]:
    """The numbers of all signals, cached: Python rebuilds the set at each call, and this function is called often."""
    return tuple(map(int, signal.valid_signals()))


def _noting(
    handler: Callable[[int, FrameType | None], Any], raised: list[BaseException]
) -> Callable[[int, FrameType | None], Any]:
    def note(number: int, frame: FrameType | None) -> Any:
        try:
            return handler(number, frame)
        except BaseException as error:
            raised.append(error)
            raise

    return note
