"""The errors of Tallybook, one class for each way in which a caller can react.

The message of an error has the operation, the object, the reason, and the values seen and expected. `hint` is the
next command, or a line to paste. `exit_code` is the exit code of the command line."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

DONE, SOME_FAILED, USAGE, REFUSED, NOT_READY, BUSY, BUG = 0, 1, 2, 3, 4, 5, 70


class TallybookError(Exception):
    """The base class of all errors of Tallybook."""

    exit_code = BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in a declaration: its place, the values seen and expected, and the line to paste instead."""

    path: str
    message: str
    seen: str = ""
    expected: str = ""
    hint: str = ""
    paste: str = ""

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.message}"]
        lines += [f"    seen:     {self.seen}"] if self.seen else []
        lines += [f"    expected: {self.expected}"] if self.expected else []
        lines += [f"    {self.hint}"] if self.hint else []
        lines += ["    paste:    " + line for line in self.paste.splitlines()]
        return "\n".join(lines)


class DeclarationError(TallybookError):
    """`tallybook.toml`, a metric file or an argument contains an invalid declaration."""

    exit_code = USAGE

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *map(str, self.problems)])


class MeasureError(DeclarationError):
    """A measure cannot be split into mergeable parts."""


class QueryError(TallybookError):
    """The question is invalid: an unknown metric, dimension, day or option. `field` names the option, if known."""

    exit_code = USAGE

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class Refused(TallybookError):
    """The question has no correct answer. `why` is the reason, and `ask` the arguments to use instead.

    `changes` is `ask` for programs: for each question to ask instead, the options that differ; None removes an
    option."""

    exit_code = REFUSED

    def __init__(self, why: str, *, ask: str = "", changes: Sequence[Mapping[str, object]] = ()) -> None:
        super().__init__(why, hint=f"ask instead: {ask}" if ask else "")
        self.why = why
        self.ask = ask
        self.changes = tuple(changes)


class SourceError(TallybookError):
    """A statement failed in a source; other metrics can still be collected."""

    exit_code = SOME_FAILED


class SourceUnavailable(SourceError):
    """The source is unreachable or not ready; nothing was read."""

    exit_code = NOT_READY


class NotFinite(SourceError):
    """A value is NaN or infinite. `metric` (its key in the book) and `slot` identify the aggregate, if known."""

    def __init__(self, value: object, metric: str = "", slot: int = 0) -> None:
        super().__init__(f"a number is {value}", hint="leave such rows out with a filter inside the measure")
        self.value, self.metric, self.slot = value, metric, slot


class Unforeseen(SourceError):
    """An unexpected exception of one metric or source. `traceback` is the text for a bug report."""

    traceback = ""


class Inseparable(SourceError):
    """One statement answers several keys and its rows cannot be assigned to them. Read each key in its own
    statement."""


class Busy(TallybookError):
    """Another run is using this book."""

    exit_code = BUSY


class BookError(TallybookError):
    """The book on disk is damaged, or cannot be read or written (a full disk)."""

    exit_code = SOME_FAILED


class BookUnavailable(BookError):
    """The server of the book's ledger is unreachable or the connection was lost. Retrying is safe."""

    exit_code = NOT_READY


class DestinationError(TallybookError):
    """Writing to a destination failed."""

    exit_code = USAGE


class CellError(DestinationError):
    """A cell of the destination cannot contain a value unchanged: it is too long, too exact or of an unknown type."""


class DestinationRefused(DestinationError):
    """A service refused permanently: not shared, not found, protected, or full. Retrying does not help."""


class SignInError(DestinationRefused):
    """A service does not accept the credentials: wrong client, consent refused, token revoked or expired. Connect
    again."""


class DestinationUnavailable(DestinationError):
    """A service is unreachable or too busy. Retry after `retry_after` seconds."""

    exit_code = NOT_READY

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Overtaken(DestinationUnavailable):
    """Another writer wrote first, and this write was not made. Read the content again, then write."""


class OutcomeUnknown(DestinationUnavailable):
    """A write was sent, no response came, and its outcome could not be determined.

    Retrying with the same stamp is safe: the outcome is checked first."""


class EventsLost(TallybookError):
    """`Client.close`: some tracked events are not stored. `report` has the counts and reasons."""

    exit_code = SOME_FAILED

    def __init__(self, message: str, report: object, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.report = report


@dataclass
class Problems:
    """Collects mistakes so that all of them are reported together."""

    found: list[Problem] = field(default_factory=list)

    def add(self, path: str, message: str, **details: str) -> None:
        """Record one mistake; `details` are fields of Problem."""
        self.found.append(Problem(path=path, message=message, **details))

    def raise_if_any(self, what: str) -> None:
        """Raise DeclarationError with all mistakes; `what` begins its message."""
        if self.found:
            n = len(self.found)
            raise DeclarationError(f"{what}: {n} problem{'s' if n > 1 else ''}", problems=self.found)


ADAPTER_MODULES: dict[str, str] = {}
"""Imported modules of other packages' adapters, and the name of each adapter in messages."""


def bug_report(error: BaseException) -> TallybookError:
    """An unexpected exception as a TallybookError with the text for a bug report: its type, message and location.

    If the code of another package's adapter raised it, the text names the adapter and the line."""
    if place := _place_in_adapter(error):
        adapter, line = place
        return TallybookError(
            f"{adapter} failed: {describe_error(error)}",
            hint=f"{line}; TALLYBOOK_DEBUG=1 before the command shows the rest",
        )
    return TallybookError(
        f"a bug in Tallybook: {describe_error(error)}",
        hint=f"please report it with this text{_place_of(error)}; TALLYBOOK_DEBUG=1 before the command shows the rest",
    )


def system_error(error: OSError) -> TallybookError:
    """An error of the operating system as a TallybookError: the operation, the file and the reason."""
    number = error.errno or 0
    file = error.filename2 or error.filename or "the output"
    message = f"cannot {_OPERATIONS.get(number, 'access')} {file}: {error.strerror or error}"
    return TallybookError(message, hint=_NO_SPACE if number in (errno.ENOSPC, errno.EDQUOT) else "")


_OPERATIONS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG), "write"),
    **dict.fromkeys((errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EMFILE), "open"),
}
_NO_SPACE = "free some space there, then run the same command again; what was stored is kept"


def describe_error(error: BaseException) -> str:
    """The type and message of an exception; for SystemExit, the call that raised it."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({'' if error.code is None else repr(error.code)})"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # __str__ of a foreign exception class can raise anything
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def describe_os_error(error: OSError) -> str:
    """The file and the reason of an OSError: `cannot read or write a.parquet: No space left on device`."""
    reason = error.strerror or describe_error(error)
    return f"cannot read or write {error.filename}: {reason}" if error.filename else reason


_PACKAGE = __file__.replace("\\", "/").removesuffix("core/errors.py")


def _place_in_adapter(error: BaseException) -> tuple[str, str] | None:
    """The adapter of another package that raised an exception, and its function and line; None if Tallybook raised
    it."""
    trace, place = error.__traceback__, None
    while trace is not None:
        code, module = trace.tb_frame.f_code, str(trace.tb_frame.f_globals.get("__name__", ""))
        if module in ADAPTER_MODULES:
            place = ADAPTER_MODULES[module], f"{code.co_filename}, {code.co_name}, line {trace.tb_lineno}"
        elif code.co_filename.replace("\\", "/").startswith(_PACKAGE):
            place = None
        trace = trace.tb_next
    return place


def _place_of(error: BaseException) -> str:
    """The innermost function of Tallybook in the traceback of an exception."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if (path := code.co_filename.replace("\\", "/")).startswith(_PACKAGE):
            path = path.removeprefix(_PACKAGE)
            place = f" (tallybook/{path}, {code.co_name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place
