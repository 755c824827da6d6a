"""Where results are put: one file and one line of `DESTINATIONS` for each kind.

Another package adds a kind with an entry point in the group `tallybook.destinations`, named like the kind,
with the same value: `module:Class`. Nothing is imported before it is used."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tallybook.errors import DestinationError

if TYPE_CHECKING:
    from tallybook.result import Result

DESTINATIONS = {
    "xlsx": "tallybook.destinations.xlsx:Xlsx",
    "csv": "tallybook.destinations.csv:Csv",
    "parquet": "tallybook.destinations.parquet:Parquet",
}
LOCKS = ("~${}", ".~lock.{}#")
"""What Excel and LibreOffice put beside a file that they have open."""
ENTRY_POINTS = "tallybook.destinations"


class Destination(Protocol):
    """Writes a result to a file, made by calling its class without arguments."""

    def write(self, result: Result, path: Path, *, created: datetime | None = None) -> None:
        """Put `result` at `path`, in place of what was there; readers see the old file or the new one,
        never a part (`replacing`). The same result and `created` give the same file: no clock in here;
        `created` is for formats with a place for it. Every text stays text, null is not zero.

        Raises DestinationError, and then nothing at `path` has changed."""


def open_destination(kind: str) -> Destination:
    """The destination of a kind: "xlsx", "csv", "parquet" or one from an entry point."""
    place = DESTINATIONS.get(kind) or _entry_points().get(kind)
    if place is None:
        raise _unknown(kind)
    module, _, name = place.partition(":")
    try:
        made: Destination = getattr(importlib.import_module(module), name)()
    except ImportError as error:
        missing = error.name or module
        raise DestinationError(
            f"{kind!r} needs the package {missing}, which is not installed here",
            hint=f"pip install {missing}",
        ) from error
    return made


def destination_for(path: Path) -> Destination:
    """The destination that the end of a file's name asks for: `metrics.xlsx` is a workbook."""
    kind = path.suffix.lstrip(".").lower()
    if not kind:
        raise DestinationError(
            f"{path} has no ending that says what to write",
            hint=f"call it {path.name}.xlsx, or one of: {', '.join(kinds())}",
        )
    return open_destination(kind)


def kinds() -> list[str]:
    """Every kind there is, ours first."""
    return [*DESTINATIONS, *sorted(set(_entry_points()) - set(DESTINATIONS))]


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}


def _unknown(kind: str) -> DestinationError:
    from difflib import get_close_matches

    close = get_close_matches(kind, kinds(), n=1)
    question = f"did you mean {close[0]!r}? " if close else ""
    return DestinationError(f"no destination {kind!r}", hint=f"{question}there are: {', '.join(kinds())}")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when the block ends well, in one step and on disk.

    On any error `path` keeps what it had, and what the system refuses becomes a DestinationError."""
    target = Path(os.path.realpath(path))  # through a link, to the file it names
    beside = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
    try:
        _refuse_what_cannot_be_replaced(target)
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            beside.chmod(target.stat().st_mode & 0o777)
        beside.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def refuse_while_open(path: Path) -> None:
    """Raises DestinationError while a spreadsheet program has the file open: what it saves next would be the
    file without what was delivered. Excel and LibreOffice say so by a file beside it."""
    real = Path(os.path.realpath(path))
    places = dict.fromkeys(place.with_name(name.format(place.name)) for place in (path, real) for name in LOCKS)
    for lock in places:
        if lock.exists():
            raise DestinationError(
                f"cannot write {path}: it is open in another program{_who(lock)}",
                hint=f"close it there; it is delivered by the next run. If nobody has it open: rm '{lock}'",
            )


def _who(lock: Path) -> str:
    """By whom, as LibreOffice writes it."""
    with suppress(OSError, UnicodeDecodeError):
        names = [part for part in lock.read_text(encoding="utf-8").split(",") if part.strip("\0 ;")]
        if lock.name.startswith(".~lock") and names:
            return f" (by {names[0]})"
    return ""


def _refuse_what_cannot_be_replaced(target: Path) -> None:
    if target.is_dir():
        raise IsADirectoryError
    # A rename needs no right to write to the file it replaces; who took that right away meant it.
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError


def _sync_folder(folder: Path) -> None:
    """Make the rename last through a power cut, where the system lets folders be opened (not Windows)."""
    with suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _explained(error: OSError, path: Path) -> DestinationError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return DestinationError(
            f"cannot write {path}: there is no folder {path.parent}", hint=f"mkdir -p '{path.parent}'"
        )
    if isinstance(error, IsADirectoryError):
        return DestinationError(
            f"cannot write {path}: it is a folder", hint=f"name a file in it: {path / 'metrics.xlsx'}"
        )
    if isinstance(error, PermissionError):
        return DestinationError(
            f"cannot write {path}: no permission, or the file is open in another program",
            hint="close it there, or write to another file or folder",
        )
    return DestinationError(f"cannot write {path}: {error.strerror or error}")
