"""Writes the states of a kind after a step: a new file with all states, or a file with the changed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tallybook.act.state_files import MAX_PARTIAL_FILES
from tallybook.act.stepping import KindStep
from tallybook.storage import RuleLedger, StatesFile, identifier, merged_states, write_states

if TYPE_CHECKING:
    import duckdb

SHARE_OF_CHANGES = 0.2
"""If a larger share of the rows has changed, all states are written again."""


def write_step(
    engine: duckdb.DuckDBPyConnection,
    ledger: RuleLedger,
    step: KindStep,
    files: Sequence[StatesFile],
    *,
    changed: int,
    has_gone: bool,
    is_partial: bool,
) -> tuple[list[StatesFile], list[str]]:
    """Write the states of a kind. Returns the new files and the paths of the files that they replace. `has_gone`: some
    rules are no longer declared. `is_partial`: only some entities were stepped."""
    kind = step.subjects.kind
    names = [identifier(name) for name in step.stored_types]
    columns = ", ".join(["id", *names])
    stepped = f"SELECT {columns} FROM {step.table}"
    if step.is_whole:
        return [write_states(engine, ledger, stepped, kind=kind, whole=True)], [file.path for file in files]
    if not changed and not has_gone:
        return [], []
    if not is_partial and (has_gone or _is_large(files, changed)):
        before = ", ".join(['"s id" AS id', *names])
        kept = f'SELECT {before} FROM {step.states} b ANTI JOIN {step.table} t ON t.id = b."s id"'
        known = f"SEMI JOIN {step.subjects.sql} e USING (id)"
        select = f"SELECT {columns} FROM ({kept} UNION ALL {stepped}) {known}"
        return [write_states(engine, ledger, select, kind=kind, whole=True)], [file.path for file in files]
    if len(files) > MAX_PARTIAL_FILES:
        select = merged_states(ledger, files[1:], stepped)
        return [write_states(engine, ledger, select, kind=kind, whole=False)], [file.path for file in files[1:]]
    return [write_states(engine, ledger, stepped, kind=kind, whole=False)], []


def _is_large(files: Sequence[StatesFile], changed: int) -> bool:
    rows = sum(file.rows for file in files[1:]) + changed
    return len(files) >= MAX_PARTIAL_FILES or rows > SHARE_OF_CHANGES * (files[0].rows if files else 0)
