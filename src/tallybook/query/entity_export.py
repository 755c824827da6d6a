"""Selected users or accounts, and writing them to CSV, NDJSON or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tallybook.config import ConditionColumn
from tallybook.core import csv_field, csv_text
from tallybook.query.entity_table import shown_column
from tallybook.storage import engine_path, identifier

if TYPE_CHECKING:
    import duckdb

ROWS_AT_A_TIME = 5_000
BYTES_AT_A_TIME = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ChosenEntities:
    """Rows of users or accounts that have not been fetched. `unknown`: the number for which the condition is
    unknown."""

    engine: duckdb.DuckDBPyConnection
    columns: Mapping[str, ConditionColumn]
    relation: str
    """The text after FROM: the relation, the condition, the order and the limit."""
    matching: str
    """The text after FROM, without the order and the limit."""
    order: str
    everybody: str
    """The text after FROM, without the condition."""
    unknown: int
    number: int
    """The commit of users and accounts that is read."""
    whys: dict[str, str]
    """Why the values of an attribute are unknown, by attribute."""

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor over the rows, with times as texts in UTC."""
        shown = ", ".join(shown_column(name, column) for name, column in self.columns.items())
        return self.engine.execute(f"SELECT {shown} FROM {self.relation}")


def write_entities(found: ChosenEntities, form: str, write: Callable[[bytes], object]) -> int:
    """Write the rows as `csv`, `ndjson` or `parquet`. Returns the number of rows. Unknown values are empty or null.

    In CSV, a single quote precedes text that a spreadsheet would run as a formula."""
    return FORMS[form](found, write)


def _csv(found: ChosenEntities, write: Callable[[bytes], object]) -> int:
    write((",".join(csv_text(name, guard=True) for name in found.columns) + "\n").encode())
    return _lines(found, write, lambda row: ",".join(csv_field(value, guard=True) for value in row))


def _ndjson(found: ChosenEntities, write: Callable[[bytes], object]) -> int:
    names = [*found.columns]
    return _lines(
        found, write, lambda row: json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=str)
    )


def _lines(found: ChosenEntities, write: Callable[[bytes], object], line: Callable[[Sequence[Any]], str]) -> int:
    count = 0
    for rows in _batches(found.cursor()):
        write("".join(f"{line(row)}\n" for row in rows).encode())
        count += len(rows)
    return count


def _batches(cursor: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(ROWS_AT_A_TIME):
        yield rows


def _parquet(found: ChosenEntities, write: Callable[[bytes], object]) -> int:
    shown = ", ".join(f"{column.sql} AS {identifier(name)}" for name, column in found.columns.items())
    with TemporaryDirectory() as beside:
        whole = Path(beside) / "entities.parquet"
        copy = f"COPY (SELECT {shown} FROM {found.relation}) TO {engine_path(whole)} (FORMAT parquet, COMPRESSION zstd)"
        (count,) = found.engine.execute(copy).fetchone() or (0,)
        with whole.open("rb") as file:
            while piece := file.read(BYTES_AT_A_TIME):
                write(piece)
    return int(count)


FORMS: Mapping[str, Callable[[ChosenEntities, Callable[[bytes], object]], int]] = {
    "csv": _csv,
    "ndjson": _ndjson,
    "parquet": _parquet,
}
