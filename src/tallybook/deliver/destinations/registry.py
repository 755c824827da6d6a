"""The registry of destinations. Each destination is one module and one line of
`tallybook.core.adapters.registry.DESTINATIONS`.

Another package adds one with an entry point in the group `tallybook.destinations`: its name is the name of the kind,
its value "module:Class". A module is imported when its destination is first needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tallybook.core import (
    DELIVER,
    DESTINATIONS,
    EXPORT,
    AdapterError,
    DestinationError,
    DestinationKind,
    destination_kinds,
    did_you_mean,
)

if TYPE_CHECKING:
    from tallybook.deliver.destinations.base import Destination, FileDestination

LOCKS = ("~${}", ".~lock.{}#")
"""Prefixes of the lock files that Excel and LibreOffice create beside an open file."""


def open_destination(name: str) -> Destination:
    """The destination with a name, such as "xlsx", "csv", "google_sheets" or a name from another package.

    Raises DestinationError for an unknown name, and if the package for the destination is not installed."""
    if name not in DESTINATIONS:
        unknown = _unknown(name, [kind.name for kind in destination_kinds(DELIVER)])
        raise DestinationError(unknown.message, hint=f"install the package that it comes with; {unknown.hint}")
    try:
        made: Destination = DESTINATIONS.adapter(name)()
    except AdapterError as error:
        raise DestinationError(error.message, hint=error.hint) from error
    return made


def writer_for(path: Path, use: str = EXPORT) -> FileDestination:
    """The destination for the extension of a file: `metrics.xlsx` is a workbook.

    Raises DestinationError if no destination with this `use` has that extension."""
    found = kind_of_file(path, use)
    if found is None:
        endings = [ending.lstrip(".") for kind in destination_kinds(use) for ending in kind.endings]
        if not path.suffix:
            raise DestinationError(
                f"{path} has no ending that says what to write",
                hint=f"call it {path.name}{destination_kinds(use)[0].endings[0]}, or one of: {', '.join(endings)}",
            )
        raise _unknown(path.suffix.lstrip(".").lower(), endings)
    made: FileDestination = DESTINATIONS.adapter(found.name)()
    return made


def kind_of_file(path: Path, use: str) -> DestinationKind | None:
    """The destination with this use for the extension of `path`. The longest matching extension wins."""
    name = path.name.lower()
    fits = [(len(e), kind) for kind in destination_kinds(use) for e in kind.endings if name.endswith(e.lower())]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def _unknown(kind: str, known: list[str]) -> DestinationError:
    hint = f"{did_you_mean(kind, known)} there are: {', '.join(known)}".strip()
    return DestinationError(f"no destination {kind!r}", hint=hint)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that atomically replaces `path` when the block succeeds.

    On any error `path` is unchanged. An error of the operating system becomes a DestinationError."""
    target = Path(os.path.realpath(path))  # follows a link to the file that it names
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
    """Raise DestinationError while a spreadsheet program has the file open, because its next save would discard the
    delivery. Excel and LibreOffice create a lock file beside an open file."""
    real = Path(os.path.realpath(path))
    places = dict.fromkeys(place.with_name(name.format(place.name)) for place in (path, real) for name in LOCKS)
    for lock in places:
        if lock.exists():
            raise DestinationError(
                f"cannot write {path}: it is open in another program{_who(lock)}",
                hint=f"close it there; it is delivered by the next run. If nobody has it open: rm '{lock}'",
            )


def _who(lock: Path) -> str:
    """The user who has the file open, read from the lock file of LibreOffice."""
    with suppress(OSError, UnicodeDecodeError):
        names = [part for part in lock.read_text(encoding="utf-8").split(",") if part.strip("\0 ;")]
        if lock.name.startswith(".~lock") and names:
            return f" (by {names[0]})"
    return ""


def _refuse_what_cannot_be_replaced(target: Path) -> None:
    if target.is_dir():
        raise IsADirectoryError
    # A rename needs no permission to write to the replaced file. A file made read-only was made so on purpose.
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError


def _sync_folder(folder: Path) -> None:
    """Sync the folder, so that the rename survives a power failure. Not on Windows, where folders cannot be opened."""
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
