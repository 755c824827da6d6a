"""Checks the consistency of a book."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import SCHEMAS, count_phrase, schema_of
from tallybook.storage.clocks import taken_back
from tallybook.storage.entity_clocks import attributes_ahead
from tallybook.storage.files import FOLDER_MODES, GROUP, FolderFiles, engine_path
from tallybook.storage.folder import Store
from tallybook.storage.ledger import LOST, PointsFile, VersionSnapshot
from tallybook.storage.retention import STRAY_HOURS
from tallybook.storage.sole_copies import sole_copy_problems

if TYPE_CHECKING:
    import duckdb


def examine(store: Store, engine: duckdb.DuckDBPyConnection, *, now: datetime, zone: str = "UTC") -> list[str]:
    """Every inconsistency of a book as a sentence with its remedy; an empty list for a sound book."""
    if lacking := store.ledger.lacking():
        return [f"ledger: {problem}" for problem in lacking]
    found = [f"ledger: {problem}" for problem in store.ledger.problems()]
    snapshot = store.ledger.snapshot()
    problems = store.problems(snapshot.files)
    for file in snapshot.files:
        bad = problems.get(file.path)
        found += [f"{bad.message}: {bad.hint}"] if bad else _file_problems(store, engine, file)
    if not found:
        found += _uncovered_points(store, engine, snapshot)
    found += _missing_older(store, snapshot)
    found += sole_copy_problems(store)
    ahead = [*taken_back(store.ledger, now=now, zone=zone).in_words(), *attributes_ahead(store.ledger, now=now)]
    found += [f"{said}: tallybook run" for said in ahead]
    strays = store.strays(older_than_hours=STRAY_HOURS)
    if strays:
        found.append(
            f"{count_phrase(len(strays), 'points file belongs', 'points files belong')} to no version (runs "
            "that died left them): tallybook compact"
        )
    return found


def remarks(store: Store, access: str) -> list[str]:
    """Remarks about a book in a folder that are not defects: who may read it, and files of an older ledger."""
    if not isinstance(store.files, FolderFiles):
        return []
    found = _open_to_others(store.folder, access)
    return found if store.ledger.lacking() else [*found, *_of_an_older_ledger(store)]


def _open_to_others(folder: Path, access: str) -> list[str]:
    """Files whose modes allow more, or less, than `access` specifies."""
    wanted = FOLDER_MODES[access]
    more, less = [], []
    for path in (folder, *sorted(folder.rglob("*"))):
        with suppress(FileNotFoundError):
            if path.is_symlink():
                continue
            mode = path.stat().st_mode & 0o777
            own = wanted if path.is_dir() else wanted & 0o666
            more += [(path, mode)] if mode & ~own & 0o077 else []
            less += [(path, mode)] if own & ~mode & 0o070 else []
    letters = "u=rwX,g=rX,o=" if access == GROUP else "u=rwX,g=,o="
    found = []
    for several, what in ((more, "open to other users"), (less, "closed to the group")):
        if several:
            path, mode = several[0]
            number = count_phrase(len(several), "file or folder of the book is", "files and folders of the book are")
            found.append(
                f'{number} {what} (mode {mode:04o}: {path}), but access is "{access}"; '
                f"to change that: chmod -R {letters} {folder}"
            )
    return found


def _of_an_older_ledger(store: Store) -> list[str]:
    old = store.older_than_the_ledger()
    if not old:
        return []
    whose = "they may be those of a ledger that was lost (a backup of it needs them), or of a first run that was killed"
    return [
        (
            f"{count_phrase(len(old), 'points file', 'points files')} ({old[0]}{', …' if len(old) > 1 else ''}) are "
            f"older than the ledger and in no version of it; they stay: {whose}"
        )
    ]


def _file_problems(store: Store, engine: duckdb.DuckDBPyConnection, file: PointsFile) -> list[str]:
    import duckdb

    again = store.recovery_hint(file)
    target = engine_path(store.path(file))
    try:
        described = engine.execute(f"DESCRIBE SELECT * FROM read_parquet({target})").fetchall()
        rows, low, high = engine.execute(f"SELECT count(*), min(day), max(day) FROM read_parquet({target})").fetchall()[
            0
        ]
    except duckdb.Error as error:
        return [f"{file.path} cannot be read ({str(error).splitlines()[0]}): {again}"]
    found = []
    schema = tuple((row[0], row[1]) for row in described)
    if schema != schema_of(file.kind, file.format):
        found.append(f"{file.path} has columns of another form than {file.kind} points: {again}")
    if rows != file.rows:
        found.append(f"{file.path} has {count_phrase(rows, 'row', 'rows')}, the ledger says {file.rows}: {again}")
    if rows and (low < file.first or high > file.last):
        found.append(f"{file.path} contains days {low} to {high}, outside {file.first} to {file.last}: {again}")
    return found


def _missing_older(store: Store, snapshot: VersionSnapshot) -> list[str]:
    """Missing files of older versions. Without them only questions with --as-of fail. Files that were given up as lost
    are not reported again."""
    current = {file.id for file in snapshot.files}
    older = [file for file in store.ledger.known_files() if file.id not in current and file.sha256 != LOST]
    bad = store.problems(older)
    # Cleaning removes files from the ledger first. A second look at the ledger separates those from lost files.
    known = {file.id for file in store.ledger.known_files()} if bad else set()
    return [f"{one.message}; {one.hint}" for one in bad.values() if one.file.id in known]


def _uncovered_points(store: Store, engine: duckdb.DuckDBPyConnection, snapshot: VersionSnapshot) -> list[str]:
    """Points of days that are not covered, which are numbers without a known origin."""
    found = []
    for kind in SCHEMAS:
        files = [f for f in snapshot.files if f.kind == kind]
        if not files:
            continue
        rows = engine.execute(
            f"SELECT metric, definition, day FROM {store.scan(files)} GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        stray: dict[tuple[str, str], int] = {}
        for metric, definition, day in rows:
            stretches = snapshot.coverage.get((metric, definition), ())
            if not any(s.first <= day <= s.last for s in stretches):
                stray[(metric, definition)] = stray.get((metric, definition), 0) + 1
        found += [
            f"{kind} points of {m} ({d}) on {count_phrase(n, 'day that is', 'days that are')} not covered: "
            f"tallybook run {m} --from …"
            for (m, d), n in stray.items()
        ]
    return found
