"""Renames the folder of a book whose ledger is lost, so that a new book can start in its place."""

from __future__ import annotations

import errno
import itertools
from datetime import date
from pathlib import Path

from tallybook.core import QueryError
from tallybook.storage.files import make_folder, on_disk, sync
from tallybook.storage.ledger import LedgerLost
from tallybook.storage.places import BookLocation, find_store, open_store


def set_aside(place: BookLocation, today: date) -> Path:
    """Rename the folder of a book whose ledger is missing, empty or damaged, and create a new book.

    Returns the new name of the old folder. Raises QueryError if the ledger can be read, or if there is no folder."""
    if place.folder is None:
        raise QueryError("the points of this book are in its ledger: there is no folder to set aside")
    if not _is_lost(place):
        raise QueryError("the ledger of the book can be read: there is nothing to set aside", hint="tallybook doctor")
    aside = _free_name(place.folder, today)
    with on_disk(aside):
        _rename(place.folder, aside)
    open_store(place).ledger.close()
    return aside if aside.exists() else place.folder / aside.name


def _is_lost(place: BookLocation) -> bool:
    """Whether the ledger of the book is lost. Raises QueryError if there is no book."""
    try:
        found = find_store(place)
        if found is None:
            raise QueryError("there is no book yet, so there is nothing to set aside", hint="tallybook run")
        try:
            return bool(found.ledger.lacking() or found.ledger.damage())
        finally:
            found.ledger.close()
    except LedgerLost:
        return True


def _free_name(folder: Path, today: date) -> Path:
    names = (f"{folder.name}-set-aside-{today}{f'-{i}' if i > 1 else ''}" for i in itertools.count(1))
    return next(path for name in names if not (path := folder.with_name(name)).exists())


def _rename(folder: Path, aside: Path) -> None:
    try:
        folder.rename(aside)
        sync(aside.parent)
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EXDEV, errno.EACCES):
            raise
        # The folder is a mount point and cannot be renamed: move its content into a folder inside it.
        within = folder / aside.name
        make_folder(within, 0o700)
        for path in [path for path in folder.iterdir() if path != within and path.name != "lost+found"]:
            path.rename(within / path.name)
        sync(folder)
