"""Conversions between values and the rows of a ledger's tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from tallybook.storage.ledger import PointsFile

FILE_COLUMNS = "id, path, kind, metric, first_day, last_day, row_count, byte_count, format, sha256"


def file_of_row(row: Sequence[Any]) -> PointsFile:
    return PointsFile(
        id=row[0],
        path=row[1],
        kind=row[2],
        metric=row[3],
        first=date.fromisoformat(row[4]),
        last=date.fromisoformat(row[5]),
        rows=row[6],
        bytes=row[7],
        format=row[8],
        sha256=row[9] or "",
    )


def row_of_file(file: PointsFile) -> tuple[Any, ...]:
    return (
        file.path,
        file.kind,
        file.metric,
        str(file.first),
        str(file.last),
        file.rows,
        file.bytes,
        file.format,
        file.sha256 or None,
    )


def all_rows_sql(table: str, columns: Sequence[str]) -> str:
    order = ", ".join(str(place) for place in range(1, len(columns) + 1))
    return f"SELECT {quoted_names(columns)} FROM {table} ORDER BY {order}"


def quoted_names(columns: Sequence[str]) -> str:
    """Columns as a quoted list in SQL, because `values` is a keyword."""
    return ", ".join(f'"{name}"' for name in columns)


def metric_condition(word: str, metrics: list[str] | None) -> str:
    """The SQL condition that selects some metrics; an empty list selects nothing, None selects all."""
    if metrics is None:
        return ""
    return f" {word} metric IN ({', '.join('?' * len(metrics)) or 'NULL'})"


def stamp_of(instant: datetime) -> str:
    """An instant in the form of ledgers, in UTC with microseconds: 2026-03-02T00:00:00.000000Z."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
