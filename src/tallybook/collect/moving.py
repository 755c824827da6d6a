"""Copies a whole book: to another place, into a backup, and back from a backup. No run may write during a move."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tallybook.collect.run_lease import JOB
from tallybook.core import QueryError
from tallybook.query import BookReader
from tallybook.storage import BookLocation, Copied, backup_in, copy_book, copy_points, scratch_folder

MOVE_SECONDS = 3600.0
"""A run considers a move that lasts longer than this dead."""


def move_book(reader: BookReader, place: BookLocation, now: datetime) -> Copied:
    """Copy the book to another ledger, another folder, or both, and compare the copy with it.

    Raises QueryError if there is nothing to copy or the place is the same, BookError if the place already has a book,
    and Busy during a run."""
    same_ledger = _only_the_folder(reader, place)
    if not reader.has_book:
        raise QueryError(
            "there is no book to move yet", hint="write the place into tallybook.toml, then: tallybook run"
        )
    store = reader.store
    lease = store.ledger.acquire(JOB, now=now, seconds=MOVE_SECONDS)
    try:
        return copy_points(store, place) if same_ledger else copy_book(store, place, alone=True)
    finally:
        store.ledger.release(lease)


def _only_the_folder(reader: BookReader, place: BookLocation) -> bool:
    """Whether only the folder of `place` differs. Raises QueryError if the folder is the same."""
    here = reader.project.place
    if place == here:
        raise QueryError("the book is kept there already", hint="say where to: --to-ledger URL, --to-store FOLDER")
    if place.folder == here.folder and here.folder is not None:
        # Each book would take the other's files for leftovers of dead runs, and delete them.
        raise QueryError(
            f"two ledgers cannot share the points in {here.folder}",
            hint=f"let the copy have a folder of its own: --to-store {reader.project.catalog.book.store}-2",
        )
    return bool(place.ledger) and (place.ledger, place.schema) == (here.ledger, here.schema)


def back_up(reader: BookReader, folder: Path) -> Copied:
    """Copy the book, as of one moment, into a new folder. Raises QueryError for an empty book, and BookError if the
    folder has a book."""
    if not reader.has_book:
        raise QueryError("there is no book to back up yet", hint="tallybook run")
    to = BookLocation(folder=folder, access=reader.project.catalog.book.access)
    return copy_book(reader.store, to, alone=False)


def restore(reader: BookReader, folder: Path) -> Copied:
    """Copy a backup to the location of the book. Raises QueryError if the folder has no backup, and BookError if the
    location already has a book."""
    with scratch_folder() as elsewhere:
        found = backup_in(folder, elsewhere)
        if found is None:
            raise QueryError(f"there is no backup in {folder}", hint="name the folder that has ledger.sqlite in it")
        try:
            reader.close()
            return copy_book(found, reader.project.place, alone=False)
        finally:
            found.ledger.close()
