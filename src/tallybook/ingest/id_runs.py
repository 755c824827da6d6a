"""Which ids were stored before: files of hashes, one for each compaction, merged when there are many."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tallybook.ingest.files import write_table
from tallybook.storage import EventLedger, IdRun, connect, engine_path, stamp_of

if TYPE_CHECKING:
    import pyarrow as pa

MAX_RUNS = 12
"""Runs are merged when there are more."""


def id_hash(key: str, id_: str) -> bytes:
    """128 bits that stand for an id of a key."""
    return hashlib.blake2b(f"{key}\0{id_}".encode(), digest_size=16).digest()


def seen_before(
    events: EventLedger, runs: Sequence[IdRun], ids: Mapping[bytes, datetime], window: timedelta
) -> set[bytes]:
    """Those of the ids that were stored in the window before the instant at which each was received."""
    if not ids:
        return set()
    oldest = stamp_of(min(ids.values()) - window)
    paths = [events.local_path(run) for run in runs if run.last >= oldest]
    if not paths:
        return set()
    import pyarrow as pa

    for path in paths:
        path.stat()  # Raises OSError for one that somebody replaced.

    with connect() as engine:
        asked = pa.table({"id": pa.array(list(ids), pa.binary()), "at": pa.array(list(ids.values()), _instant_type())})
        engine.register("asked", asked)
        found = engine.execute(
            f"SELECT DISTINCT asked.id FROM read_parquet([{', '.join(map(engine_path, paths))}]) stored "
            "JOIN asked ON stored.id = asked.id "
            f"WHERE stored.at >= asked.at - INTERVAL {int(window.total_seconds())} SECOND"
        ).fetchall()
    return {bytes(row[0]) for row in found}


def write_run(events: EventLedger, ids: Mapping[bytes, datetime]) -> IdRun:
    """A file with ids and when they were received."""
    import pyarrow as pa

    order = sorted(ids)
    table = pa.table({"id": pa.array(order, pa.binary()), "at": pa.array([ids[one] for one in order], _instant_type())})
    return _run(events, table, stamp_of(min(ids.values())), stamp_of(max(ids.values())))


def _run(events: EventLedger, table: pa.Table, first: str, last: str) -> IdRun:
    file = write_table(events.files, table, "ids")
    return IdRun(path=file.path, first=first, last=last, rows=file.rows, bytes=file.bytes, sha256=file.sha256)


def merged_runs(
    events: EventLedger, runs: Sequence[IdRun], now: datetime, window: timedelta
) -> tuple[list[IdRun], list[str]]:
    """(new runs, paths of those that they replace): of many runs one, without ids that left the window."""
    if len(runs) <= MAX_RUNS:
        return [], []
    # The largest stays as it is until the others together are as large.
    by_size = sorted(runs, key=lambda run: run.rows)
    small = by_size[:-1] if sum(run.rows for run in by_size[:-1]) < by_size[-1].rows else by_size
    paths = ", ".join(engine_path(events.local_path(run)) for run in small)
    kept = f"\"at\" >= TIMESTAMPTZ '{stamp_of(now - window)}'"
    with connect() as engine:
        table: pa.Table = engine.sql(
            f'SELECT id, "at" FROM read_parquet([{paths}]) WHERE {kept} ORDER BY id'
        ).to_arrow_table()
    gone = [run.path for run in small]
    if not table.num_rows:
        return [], gone
    return [_run(events, table, min(run.first for run in small), max(run.last for run in small))], gone


def _instant_type() -> pa.DataType:
    import pyarrow as pa

    return pa.timestamp("us", tz="UTC")
