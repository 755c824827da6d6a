"""Finds out which ids were stored before, with files of hashes: one file per compaction, merged when there are many."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from tallybook.core import INSTANT_TYPE, ArrowTable, arrow_column
from tallybook.ingest.files import own_engine, write_rows, write_table
from tallybook.storage import EventLedger, IdRun, PointsFile, engine_path, stamp_of

MAX_RUNS = 12
"""Maximum number of runs. Beyond it, they are merged."""


def id_hash(key: str, id_: str) -> bytes:
    """The 128-bit hash that identifies an id of a key."""
    return hashlib.blake2b(f"{key}\0{id_}".encode(), digest_size=16).digest()


def id_hashing(key: str) -> Callable[[str], bytes]:
    """A function that returns `id_hash` for many ids of one key."""
    begun = hashlib.blake2b(f"{key}\0".encode(), digest_size=16)

    def hashed(id_: str) -> bytes:
        one = begun.copy()
        one.update(id_.encode())
        return one.digest()

    return hashed


def latest_receipts(
    events: EventLedger, runs: Sequence[IdRun], ids: Mapping[bytes, datetime], window: timedelta
) -> dict[bytes, datetime]:
    """The last receipt of each id that was stored in the window before the given receipt. Other ids are left out."""
    if not ids:
        return {}
    oldest = stamp_of(min(ids.values()) - window)
    paths = [events.local_path(run) for run in runs if run.last >= oldest]
    if not paths:
        return {}
    for path in paths:
        path.stat()  # Raises OSError if another process replaced the file.

    with own_engine() as engine:
        engine.register("asked", _table(list(ids), list(ids.values())))
        found = engine.execute(
            f"SELECT asked.id, max(stored.at) FROM read_parquet([{', '.join(map(engine_path, paths))}]) stored "
            "JOIN asked ON stored.id = asked.id "
            f"WHERE stored.at >= asked.at - INTERVAL {int(window.total_seconds())} SECOND GROUP BY asked.id"
        ).fetchall()
    return {bytes(id_): at.astimezone(UTC) for id_, at in found}


def write_run(events: EventLedger, ids: Mapping[bytes, datetime]) -> IdRun:
    """Write a file with ids and their receipts."""
    order = sorted(ids)
    file = write_table(events.files, _table(order, [ids[one] for one in order]), "ids")
    return _run(file, stamp_of(min(ids.values())), stamp_of(max(ids.values())))


def _run(file: PointsFile, first: str, last: str) -> IdRun:
    return IdRun(path=file.path, first=first, last=last, rows=file.rows, bytes=file.bytes, sha256=file.sha256)


def merged_runs(
    events: EventLedger, runs: Sequence[IdRun], now: datetime, window: timedelta
) -> tuple[list[IdRun], list[str]]:
    """Merge many runs into one, without ids that have left the window. Returns the new runs and the paths of the runs
    that they replace."""
    if len(runs) <= MAX_RUNS:
        return [], []
    # The largest run is left as it is until the others together are as large.
    by_size = sorted(runs, key=lambda run: run.rows)
    small = by_size[:-1] if sum(run.rows for run in by_size[:-1]) < by_size[-1].rows else by_size
    paths = ", ".join(engine_path(events.local_path(run)) for run in small)
    kept = f"\"at\" >= TIMESTAMPTZ '{stamp_of(now - window)}'"
    rows = f'SELECT id, "at" FROM read_parquet([{paths}]) WHERE {kept}'
    gone = [run.path for run in small]
    with own_engine() as engine:
        if not engine.execute(f"{rows} LIMIT 1").fetchall():
            return [], gone
        file = write_rows(events.files, engine, f"{rows} ORDER BY id", "ids")
    return [_run(file, min(run.first for run in small), max(run.last for run in small))], gone


def _table(ids: Sequence[bytes], at: Sequence[datetime]) -> ArrowTable:
    return ArrowTable.of({"id": arrow_column(ids, "BLOB"), "at": arrow_column(at, INSTANT_TYPE)})
