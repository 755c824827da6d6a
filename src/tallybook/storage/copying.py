"""Copies a book to another place: every row of the ledger and every file of every version, all verified afterwards.

The target becomes a book in one transaction at the end. An interrupted copy is not a book, and can be started again."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from tallybook.core import BookError, Busy
from tallybook.storage.files import BadFile, FolderFiles, hash_of, on_disk, pieces_of, sync
from tallybook.storage.folder import Store
from tallybook.storage.ledger import Conflict, PointsFile, Tables
from tallybook.storage.ledger_files import LedgerFiles
from tallybook.storage.places import BookLocation, open_store
from tallybook.storage.sole_copies import TABLES as SOLE_COPIES, next_step, sole_copy
from tallybook.storage.tables import COLUMNS, EPOCH

ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class Copied:
    """The result of a copy: the current version, the number and bytes of copied files, and the number of files of older
    versions that were already missing in the original."""

    version: int
    files: int
    bytes: int
    missing: int


def copy_book(source: Store, place: BookLocation, *, alone: bool) -> Copied:
    """Copy a book into an empty place.

    `alone`: nobody may write to the original meanwhile. Otherwise the copy is a snapshot of the book at one moment.
    Raises BookError when the place already has a book, when a current file is missing or damaged, and when the copy
    differs from the original. Raises Busy when the book was written to during every attempt."""
    for _ in range(ATTEMPTS):
        with suppress(Conflict, FileNotFoundError):
            return _copied(source, place, alone=alone)
    raise Busy("the book was written to while it was copied", hint="run again when nobody writes to it")


def copy_points(source: Store, place: BookLocation) -> Copied:
    """Copy the files of a book to another place for the same ledger."""
    files, missing = _existing_files(source, source.ledger.export())
    if place.folder is not None:
        _into_folder(source, files, place.folder, place.access)
    target = open_store(place, over_points=True)
    try:
        if isinstance(target.files, LedgerFiles):
            target.files.ledger.keep_contents(files, lambda file: _checked(source, file))
        _hold_files(target, files)
        return _counted(target.ledger.version(), files, missing)
    finally:
        target.ledger.close()


def _copied(source: Store, place: BookLocation, *, alone: bool) -> Copied:
    original = _at_rest(source.ledger.export())
    files, missing = _existing_files(source, original)
    rows = _with_hashes(original, files)
    if place.folder is not None:
        _into_folder(source, files, place.folder, place.access)
    target = open_store(place, over_points=True)
    try:
        if target.ledger.where == source.ledger.where:
            raise BookError(f"the book is in {source.ledger.where} already", hint="name another place for the copy")
        contents = ((file.path, _checked(source, file)) for file in files) if place.folder is None else iter(())
        target.ledger.fill(rows, contents, still=lambda: not alone or _at_rest(source.ledger.export()) == original)
        if _at_rest(target.ledger.export()) != rows:
            raise BookError("the copy of the ledger is not what was copied", hint=_AWAY)
        _hold_files(target, files)
        return _counted(target.ledger.version(), files, missing)
    finally:
        target.ledger.close()


_AWAY = "take the copy away and copy again; the original is as it was"


def _counted(version: int, files: Sequence[PointsFile], missing: Sequence[PointsFile]) -> Copied:
    return Copied(version=version, files=len(files), bytes=sum(file.bytes for file in files), missing=len(missing))


# -- rows --------------------------------------------------------------------------------------------------------


def _at_rest(rows: Tables) -> Tables:
    """The rows of a book at rest: no lease is taken, and no host is active. Fencing numbers of leases are kept."""
    leases = [(job, None, fence, EPOCH, EPOCH) for job, _, fence, _, _ in rows["leases"]]
    keys = [(*row[:-1], None) for row in rows["keys"]]
    return {**rows, "leases": leases, "event_hosts": [], "keys": keys}


def _with_hashes(rows: Tables, files: Sequence[PointsFile]) -> Tables:
    """The rows with hashes added for files of old books that lack them."""
    known = {file.path: file.sha256 for file in files}
    names = COLUMNS["files"]

    def hashed(row: tuple[Any, ...]) -> tuple[Any, ...]:
        named = dict(zip(names, row, strict=True))
        return tuple((named | {"sha256": known.get(named["path"], named["sha256"])}).values())

    return {**rows, "files": [hashed(row) for row in rows["files"]]}


# -- files -------------------------------------------------------------------------------------------------------


def _existing_files(source: Store, rows: Tables) -> tuple[list[PointsFile], list[PointsFile]]:
    """(the files of every version, with their hashes; the unreadable files of older versions)."""
    named = [dict(zip(COLUMNS["files"], row, strict=True)) for row in rows["files"]]
    of_events = _event_files(source, rows)
    files = [_file(one) for one in named] + of_events
    current = {one["path"] for one in named if one["removed"] is None} | {file.path for file in of_events}
    problems = source.problems(files)
    for path, bad in problems.items():
        if path in current:
            hint = next_step(source, bad.file) if bad.file in of_events else bad.hint
            raise BadFile(bad.file, f"{bad.reason}, so that the book cannot be copied", hint=hint)
    missing = [file for file in files if file.path in problems]
    gone = {file.path for file in missing}
    kept = [file for file in files if file.path not in gone]
    return [file if file.sha256 else replace(file, sha256=hash_of(source.path(file))) for file in kept], missing


def _file(named: Mapping[str, Any]) -> PointsFile:
    return PointsFile(
        id=named["id"],
        path=named["path"],
        kind=named["kind"],
        metric=named["metric"],
        first=date.fromisoformat(named["first_day"]),
        last=date.fromisoformat(named["last_day"]),
        rows=named["row_count"],
        bytes=named["byte_count"],
        format=named["format"],
        sha256=named["sha256"] or "",
    )


def _event_files(source: Store, rows: Tables) -> list[PointsFile]:
    """The current files of events and of their ids, of attribute changes, and of rule states. They are copied like
    points files."""
    named = {table: [dict(zip(COLUMNS[table], row, strict=True)) for row in rows[table]] for table in SOLE_COPIES}
    found = [
        sole_copy(
            one["path"], one["rows"], one["bytes"], one["sha256"], one.get("first", EPOCH), one.get("last", EPOCH)
        )
        for table in SOLE_COPIES
        for one in named[table]
        if one.get("removed") is None
    ]
    return [file if file.sha256 else _with_its_hash(source, file) for file in found]


def _with_its_hash(source: Store, file: PointsFile) -> PointsFile:
    """The file with its size and hash, for files written before the ledger recorded hashes."""
    path = source.folder / file.path
    return replace(file, bytes=path.stat().st_size, sha256=hash_of(path))


def _into_folder(source: Store, files: Sequence[PointsFile], folder: Path, access: str) -> None:
    """Copy files into a folder. Files that an interrupted copy already wrote are kept."""
    target = FolderFiles(folder, access)
    for file in files:
        path = target.place(file)
        with on_disk(path):
            if not (path.is_file() and hash_of(path) == file.sha256):
                _copy_file(source, target, file)


def _copy_file(source: Store, target: FolderFiles, file: PointsFile) -> None:
    path = target.place(file)
    draft = target.new(Path(file.path)).with_name(f".{uuid.uuid4().hex}")
    try:
        with draft.open("wb") as writing:
            for piece in _checked(source, file):
                writing.write(piece)
        target.keep(file, draft)
        draft.replace(path)
        sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _checked(source: Store, file: PointsFile) -> Iterator[bytes]:
    """The bytes of a file, in pieces. Raises BookError after the last piece if they are not the bytes that were
    written."""
    seen = hashlib.sha256()
    for piece in pieces_of(source.path(file)):
        seen.update(piece)
        yield piece
    if seen.hexdigest() != file.sha256:
        raise BookError(
            f"{file.path} does not hold the bytes that were written, so that the book cannot be copied",
            hint="tallybook doctor",
        )


def _hold_files(target: Store, files: Sequence[PointsFile]) -> None:
    """Raise BookError unless the target contains every file, byte for byte."""
    for file in files:
        with on_disk(Path(file.path), "read"):
            kept = target.files.kept_hash(file)
        if kept != file.sha256:
            raise BookError(f"the copy of {file.path} is not what was copied", hint=_AWAY)
