"""Everything that can go wrong, by what the caller can do about it.

Every error carries what happened, where, the value seen and the value expected in its message, and the
next command or line to paste in `hint`. `exit_code` is what the command line returns for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

DONE, SOME_FAILED, USAGE, REFUSED, NOT_READY, BUSY, BUG = 0, 1, 2, 3, 4, 5, 70


class TallybookError(Exception):
    """The root: catch this to catch all of ours."""

    exit_code = BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in a declaration: where it stands, what was seen and expected, what to paste instead."""

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
    """`tallybook.toml`, a metric file or an argument declares something that cannot be."""

    exit_code = USAGE

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *map(str, self.problems)])


class MeasureError(DeclarationError):
    """A measure that cannot be taken apart into mergeable parts."""


class QueryError(TallybookError):
    """The question is not well formed: an unknown metric, dimension, day or option."""

    exit_code = USAGE


class Refused(TallybookError):
    """The question has no right answer. `why` says so; `ask` holds the arguments to use instead."""

    exit_code = REFUSED

    def __init__(self, why: str, *, ask: str = "") -> None:
        super().__init__(why, hint=f"ask instead: {ask}" if ask else "")
        self.why = why
        self.ask = ask


class SourceError(TallybookError):
    """A statement failed in a source; other metrics can still be collected."""

    exit_code = SOME_FAILED


class SourceUnavailable(SourceError):
    """The source cannot be reached or is not ready; nothing was read."""

    exit_code = NOT_READY


class NotFinite(SourceError):
    """A value is NaN or infinite. `metric` (its key in the book) and `slot` say of which aggregate, once that is known."""

    def __init__(self, value: object, metric: str = "", slot: int = 0) -> None:
        super().__init__(f"a number is {value}", hint="leave such rows out with a filter inside the measure")
        self.value, self.metric, self.slot = value, metric, slot


class Unforeseen(SourceError):
    """An exception that nobody foresaw, of one metric or source: `traceback` is the text for a bug report."""

    traceback = ""


class Inseparable(SourceError):
    """Rows of one statement that answers for several keys cannot be told apart: ask for each alone."""


class Busy(TallybookError):
    """Another run is at work on this book."""

    exit_code = BUSY


class BookError(TallybookError):
    """The book on disk is not what it should be, or cannot be read or written (a full disk)."""

    exit_code = SOME_FAILED


class BookUnavailable(BookError):
    """The ledger of the book is on a server that cannot be reached, or was lost; the same may be asked again."""

    exit_code = NOT_READY


class DestinationError(TallybookError):
    """A place to write to did not take what was written."""

    exit_code = USAGE


class CellError(DestinationError):
    """A value that a cell of the destination cannot hold as it is: too long, too exact, of no known kind."""


class DestinationRefused(DestinationError):
    """A service refused, and will refuse the same again: not shared, not there, protected, no room."""


class SignInError(DestinationRefused):
    """A service does not know who asks: a wrong client, a consent refused, a token revoked or expired. Connect again."""


class DestinationUnavailable(DestinationError):
    """A service cannot be reached, or is too busy; the same may be asked again after `retry_after` seconds."""

    exit_code = NOT_READY

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Overtaken(DestinationUnavailable):
    """Somebody else wrote first; nothing was written. Look again at what is there, then write."""


class OutcomeUnknown(DestinationUnavailable):
    """A write was sent, no answer came, and it could not be looked up either whether it was done.

    Asking again with the same stamp is safe: it is looked up first."""


@dataclass
class Problems:
    """Collects mistakes so that all of them are told at once."""

    found: list[Problem] = field(default_factory=list)

    def add(self, path: str, message: str, **details: str) -> None:
        self.found.append(Problem(path=path, message=message, **details))

    def raise_if_any(self, what: str) -> None:
        if self.found:
            n = len(self.found)
            raise DeclarationError(f"{what}: {n} problem{'s' if n > 1 else ''}", problems=self.found)


def bug(error: BaseException) -> TallybookError:
    """An unforeseen exception as an error of ours, with the text for a bug report: its type, message and place."""
    return TallybookError(
        f"a bug in Tallybook: {in_words(error)}",
        hint=f"please report it with this text{_place_of(error)}; TALLYBOOK_DEBUG=1 before the command shows the rest",
    )


def in_words(error: BaseException) -> str:
    """The type of an exception and what it says; an exit as the call that was made."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({'' if error.code is None else repr(error.code)})"
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  # an exception of somebody else's class may raise here what it likes
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _place_of(error: BaseException) -> str:
    """Where it was raised: the innermost function of ours."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        _, ours, path = code.co_filename.replace("\\", "/").rpartition("/tallybook/")
        found = f" (tallybook/{path}, {code.co_name}, line {trace.tb_lineno})" if ours else found
        trace = trace.tb_next
    return found
