"""Writes the files of rule states, and removes entities from them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import BookError, Busy
from tallybook.storage.engines.duckdb import connect, literal
from tallybook.storage.files import engine_path, hash_of
from tallybook.storage.ledger import Lease
from tallybook.storage.rule_ledger import RULES_JOB, RuleLedger, RulesCommit, StatesFile

if TYPE_CHECKING:
    import duckdb

ATTEMPTS, PAUSE_SECONDS = 20, 0.25
"""Number of attempts to acquire the lease of rules, and the pause between them."""
LEASE_SECONDS = 60.0


def merged_states(ledger: RuleLedger, files: Sequence[StatesFile], newest: str = "") -> str:
    """A query for the latest state of each entity, from the files in order and an optional newest selection."""
    selects = [f"SELECT * FROM read_parquet({engine_path(ledger.path(file))})" for file in files]
    selects += [newest] if newest else []
    parts = " UNION ALL BY NAME ".join(f"(SELECT *, {n} AS part FROM ({one}))" for n, one in enumerate(selects))
    return f"SELECT * EXCLUDE (part) FROM ({parts}) QUALIFY part = max(part) OVER (PARTITION BY id)"


def write_states(
    engine: duckdb.DuckDBPyConnection, ledger: RuleLedger, select: str, *, kind: str, whole: bool
) -> StatesFile:
    """Write the rows of `select` to a new file, synced to disk. Raises BookError if that is not possible."""
    import duckdb

    relative = Path("rules", kind, f"{uuid.uuid4().hex[:16]}.parquet")
    try:
        path = ledger.files.new(relative)
    except OSError as error:
        raise BookError(f"the states of rules cannot be written: {error.strerror}", hint="tallybook doctor") from error
    try:
        copied = engine.execute(f"COPY ({select}) TO {engine_path(path)} (FORMAT parquet, COMPRESSION zstd)").fetchall()
        file = StatesFile(
            path=relative.as_posix(),
            kind=kind,
            whole=whole,
            rows=int(copied[0][0]),
            bytes=path.stat().st_size,
            sha256=hash_of(path),
        )
        ledger.files.keep(file.stored, path)
    except (OSError, duckdb.IOException) as error:
        path.unlink(missing_ok=True)
        raise BookError(f"the states of rules cannot be written: {error}", hint="tallybook doctor") from error
    return file


def forget_states(ledger: RuleLedger, kind: str, entity: str, *, now: datetime) -> int:
    """Rewrite the states of a kind without an entity, and delete the old files at once. Returns its number of rows.

    Raises Busy while another process evaluates rules."""
    files = ledger.snapshot().files.get(kind, ())
    with connect() as engine:
        if not _rows_of(engine, ledger, files, entity):
            return 0
        lease = _lease(ledger, now)
        try:
            return _without(engine, ledger, kind, entity, lease, now)
        finally:
            ledger.ledger.release(lease)


def _without(
    engine: duckdb.DuckDBPyConnection, ledger: RuleLedger, kind: str, entity: str, lease: Lease, now: datetime
) -> int:
    before = ledger.snapshot()
    files = before.files.get(kind, ())
    rows = _rows_of(engine, ledger, files, entity)
    left = f"SELECT * FROM ({merged_states(ledger, files)}) WHERE id <> {literal(entity)}"
    file = write_states(engine, ledger, left, kind=kind, whole=True)
    change = RulesCommit(
        day=ledger.last_day(),
        version=before.version,
        files=[file],
        removed=[one.path for one in files],
        report={**ledger.last_report(), "whole": False},
        contents=ledger.files.contents,
    )
    try:
        ledger.commit(before.number, change, lease=lease, now=now)
    except BaseException:
        ledger.files.delete(file.stored)
        raise
    ledger.forget_files(now + timedelta(seconds=1))
    return rows


def _rows_of(engine: duckdb.DuckDBPyConnection, ledger: RuleLedger, files: Sequence[StatesFile], entity: str) -> int:
    found = 0
    for file in files:
        asked = f"SELECT count(*) FROM read_parquet({engine_path(ledger.path(file))}) WHERE id = {literal(entity)}"
        found += int(engine.execute(asked).fetchall()[0][0])
    return found


def _lease(ledger: RuleLedger, now: datetime) -> Lease:
    for _ in range(ATTEMPTS - 1):
        with suppress(Busy):
            return ledger.ledger.acquire(RULES_JOB, now=now, seconds=LEASE_SECONDS)
        time.sleep(PAUSE_SECONDS)
    return ledger.ledger.acquire(RULES_JOB, now=now, seconds=LEASE_SECONDS)
