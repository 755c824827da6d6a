"""Whether a book is what it says it is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tallybook.errors import BookError
from tallybook.points import SCHEMAS
from tallybook.store.files import hash_of
from tallybook.store.folder import STRAY_HOURS, Store
from tallybook.store.ledger import File, Snapshot

if TYPE_CHECKING:
    import duckdb


def examine(store: Store, engine: duckdb.DuckDBPyConnection, *, now: datetime) -> list[str]:
    """Every inconsistency in words, with what to do; empty when all is well."""
    found = [f"ledger: {problem}" for problem in store.ledger.problems()]
    snapshot = store.ledger.snapshot()
    lost = store.files.missing(snapshot.files)
    for file in snapshot.files:
        found += _file_problems(store, engine, file, missing=file in lost)
    if not found:
        found += _uncovered_points(store, engine, snapshot)
    found += _missing_older(store, snapshot)
    strays = store.strays(older_than_hours=STRAY_HOURS)
    if strays:
        found.append(f"{len(strays)} points files belong to no version (runs that died left them): tallybook compact")
    return found


def _file_problems(store: Store, engine: duckdb.DuckDBPyConnection, file: File, *, missing: bool) -> list[str]:
    import duckdb

    again = (
        f"collect its days again: tallybook run --from {file.first} --to {file.last}, or restore the file from a backup"
    )
    if missing:
        return [f"{file.path} is missing: {again}"]
    try:
        path = store.path(file)
    except BookError as error:
        return [f"{error.message}: {again}"]
    if path.stat().st_size != file.bytes:
        return [f"{file.path} has {path.stat().st_size} bytes, the ledger says {file.bytes}: {again}"]
    target = str(path).replace("'", "''")
    try:
        described = engine.execute(f"DESCRIBE SELECT * FROM read_parquet('{target}')").fetchall()
        rows, low, high = engine.execute(
            f"SELECT count(*), min(day), max(day) FROM read_parquet('{target}')"
        ).fetchall()[0]
    except duckdb.Error as error:
        return [f"{file.path} cannot be read ({str(error).splitlines()[0]}): {again}"]
    found = []
    schema = tuple((row[0], row[1]) for row in described)
    if schema != SCHEMAS[file.kind]:
        found.append(f"{file.path} has columns of another form than {file.kind} points: {again}")
    if rows != file.rows:
        found.append(f"{file.path} has {rows} rows, the ledger says {file.rows}: {again}")
    if rows and (low < file.first or high > file.last):
        found.append(f"{file.path} holds days {low} to {high}, outside {file.first} to {file.last}: {again}")
    if not found and file.sha256 and hash_of(path) != file.sha256:
        found.append(f"{file.path} does not hold the bytes that were written: {again}")
    return found


def _missing_older(store: Store, snapshot: Snapshot) -> list[str]:
    """Files of older versions: without them no question of today fails, only --as-of."""
    current = {file.id for file in snapshot.files}
    lost = store.files.missing([f for f in store.ledger.known_files() if f.id not in current])
    # Who cleans takes files out of the ledger first; a second look tells those from the lost.
    known = {file.id for file in store.ledger.known_files()} if lost else set()
    return [
        f"{file.path} is missing; today's answers do not need it, --as-of before it was replaced does: restore it from a backup"
        for file in lost
        if file.id in known
    ]


def _uncovered_points(store: Store, engine: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> list[str]:
    """Points of days that are not covered would be numbers nobody vouches for."""
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
            f"{kind} points of {m} ({d}) on {n} days that are not covered: tallybook run {m} --from …"
            for (m, d), n in stray.items()
        ]
    return found
