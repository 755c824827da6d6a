"""Imports attributes of users or accounts from a CSV or Parquet file. Importing the same rows again changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tallybook.core import AttributeChange, QueryError, plain_attribute
from tallybook.ingest.attribute_files import file_rows
from tallybook.ingest.attribute_requests import decode_changes, in_order
from tallybook.storage import EntityLedger

IMPORT_BATCH = 2_000


@dataclass(frozen=True, kw_only=True)
class AttributeImport:
    """What to import. `columns` maps attributes to columns of the file; without it, all columns are imported."""

    kind: str
    file: Path
    key: str = "id"
    columns: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    """The column with the time since when a row is valid. Without it, rows are valid since the file was written."""
    dry_run: bool = False


@dataclass(kw_only=True)
class AttributesImported:
    """The result of an import. `errors`: the file with the rejected rows and the reasons, or None."""

    rows: int = 0
    changed: int = 0
    rejected: int = 0
    errors: str | None = None
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def import_attributes(asked: AttributeImport, entities: EntityLedger, *, now: datetime) -> AttributesImported:
    """Push the rows of a file. An import can be interrupted and repeated, because rows that are already stored change
    nothing.

    Raises QueryError if the file cannot be read or lacks a named column."""
    done = AttributesImported(dry_run=asked.dry_run)
    if not asked.file.is_file():
        raise QueryError(f"there is no file {asked.file}", hint="the path of a CSV or Parquet file")
    written = datetime.fromtimestamp(asked.file.stat().st_mtime, UTC)
    wrong: list[str] = []
    batch: dict[str, list[AttributeChange]] = {}
    types = {name: one.type for name, one in entities.types(asked.kind).items()}
    others = [asked.time] if asked.time else []
    for place, row in enumerate(file_rows(asked.file, asked.key, others, asked.columns, types), 1):
        done.rows += 1
        entity_id, sent = _request(asked, row, written)
        decoded = decode_changes(entity_id, sent, in_order(now, place), now=now)
        for one in decoded.rejected:
            wrong.append(json.dumps({"row": place, "id": entity_id, **one.as_json()}, ensure_ascii=False, default=str))
        if decoded.changes:
            batch.setdefault(entity_id, []).extend(decoded.changes)
        if len(batch) >= IMPORT_BATCH:
            done.changed += _pushed(asked, entities, batch, now)
            batch = {}
    done.changed += _pushed(asked, entities, batch, now)
    done.rejected = len(wrong)
    if wrong and not asked.dry_run:
        path = asked.file.with_name(f"{asked.file.name}.rejected.ndjson")
        path.write_text("\n".join(wrong) + "\n", encoding="utf-8")
        done.errors = str(path)
    return done


def _pushed(
    asked: AttributeImport, entities: EntityLedger, batch: Mapping[str, Sequence[AttributeChange]], now: datetime
) -> int:
    return 0 if asked.dry_run or not batch else entities.push(asked.kind, batch, now=now).changed


def _request(asked: AttributeImport, row: Mapping[str, Any], written: datetime) -> tuple[str, dict[str, Any]]:
    """The id in a row, and the body that a request would send for the row."""
    key = row[asked.key]
    sent: dict[str, Any] = {"attributes": {name: _value(row[column]) for name, column in _columns(asked, row).items()}}
    at = row[asked.time] if asked.time else None
    at = written if at is None else _value(at)
    sent["time"] = at.isoformat() if isinstance(at, datetime) else str(at)
    return "" if key is None else str(key), sent


def _columns(asked: AttributeImport, row: Mapping[str, Any]) -> Mapping[str, str]:
    own = {name: name for name in row if name not in (asked.key, asked.time)}
    return asked.columns or own


def _value(value: Any) -> Any:
    """A value of the file as an attribute. Days are midnights in UTC, and times without a zone are UTC."""
    return plain_attribute(value) if isinstance(value, (date, Decimal)) else value
