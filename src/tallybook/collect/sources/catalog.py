"""The catalog of a database for all tables at once: columns, keys, and an estimated number of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CatalogTable:
    """A table without its rows."""

    name: str
    columns: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    """The unique keys, the primary key first. Nulls count as different."""
    foreign_keys: tuple[tuple[str, str, str], ...] = ()
    """(column, referenced table, referenced column) of foreign keys of one column."""
    estimated_rows: int | None = None
    """The server's estimate, or None."""


def catalog_tables(
    tables: Iterable[tuple[str, Any]],
    columns: Iterable[tuple[str, str]],
    unique: Iterable[tuple[str, Sequence[str]]],
    foreign: Iterable[tuple[str, str, str, str]],
) -> list[CatalogTable]:
    """The tables in the rows of four catalog queries. Each result must be in the order that the tables should have.

    tables: (name, estimate). columns: (table, column). unique: (table, columns). foreign: (table, column, referenced
    table, referenced column)."""
    of_columns, of_unique, of_foreign = (defaultdict[str, list[Any]](list) for _ in range(3))
    for table, column in columns:
        of_columns[table].append(column)
    for table, key in unique:
        of_unique[table].append(tuple(key))
    for table, *key in foreign:
        of_foreign[table].append(tuple(key))
    return [
        CatalogTable(
            name=name,
            columns=tuple(of_columns[name]),
            unique_keys=tuple(of_unique[name]),
            foreign_keys=tuple(of_foreign[name]),
            estimated_rows=int(estimate) if estimate is not None and estimate >= 0 else None,
        )
        for name, estimate in tables
    ]
