"""The tables of a run in its own engine, in which rows of a source are staged and become points."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from tallybook.collect.additive_rows import AdditiveRows
from tallybook.collect.keyed_values import KeyedRows
from tallybook.core import (
    ADDITIVE,
    BUCKETS,
    DIM_COLUMNS,
    EXACT,
    EXACT_VALUES,
    FLOAT,
    GAMMA,
    IDS,
    MAX_DIMENSIONS,
    PART_TYPES,
    SCHEMAS,
    ArrowTable,
    NotFinite,
    ddl,
    merge_sql,
)

if TYPE_CHECKING:
    import duckdb


_COMPRESSED = "tallybook_staging"


COMPRESS_ROWS = 500_000
"""Number of uncompressed rows after which tables are compressed. In the engine's memory format, a row takes 160 bytes
uncompressed and about 5 compressed."""


class StagingTables:
    """The tables of one run. They have columns for `dims` dimensions, the maximum of its metrics."""

    def __init__(
        self, engine: duckdb.DuckDBPyConnection, dims: int = MAX_DIMENSIONS, *, compressed: bool = False
    ) -> None:
        """`compressed`: the engine belongs to the run, and staged rows are compressed in memory."""
        self.engine = engine
        self.uncompressed = 0 if compressed else None
        """Number of rows since the last compression. None if nothing is compressed."""
        if compressed:
            engine.execute(f"ATTACH ':memory:' AS {_COMPRESSED} (COMPRESS)")
            engine.execute(f"USE {_COMPRESSED}")
        self.keys = ", ".join(["metric", "definition", "slot", *DIM_COLUMNS[:dims]])
        for kind in SCHEMAS:
            engine.execute(ddl(kind, f"new_{kind}", dims))
        engine.execute(ddl(ADDITIVE, "delta_additive", dims))
        engine.execute(ddl(IDS, "delta_ids", dims))
        engine.execute("ALTER TABLE delta_ids ADD COLUMN n BIGINT")
        engine.execute(ddl(BUCKETS, "raw_values", dims))
        engine.execute(f"ALTER TABLE raw_values ADD COLUMN value {EXACT}")

    def clear(self) -> None:
        """Delete all staged rows, because they are published."""
        for kind in SCHEMAS:
            self.engine.execute(f"DELETE FROM new_{kind}")
        self.abandon()

    def abandon(self) -> None:
        """Delete the rows that are not parts yet, because their step failed."""
        for table in ("delta_additive", "delta_ids", "raw_values"):
            self.engine.execute(f"DELETE FROM {table}")

    def drop(
        self,
        key: str,
        definition: str,
        among: Iterable[tuple[date, date]] | None = None,
        kinds: Iterable[str] = tuple(SCHEMAS),
    ) -> None:
        """Delete one metric, or its days in some ranges, because it failed."""
        own = f"metric = '{key}' AND definition = '{definition}'"
        days = [f"day BETWEEN DATE '{first}' AND DATE '{last}'" for first, last in among or ()]
        only = "" if among is None else f" AND ({' OR '.join(days) or 'FALSE'})"
        for kind in kinds:
            self.engine.execute(f"DELETE FROM new_{kind} WHERE {own}{only}")

    def size(self) -> int:
        return sum(int(self.engine.execute(f"SELECT count(*) FROM new_{kind}").fetchall()[0][0]) for kind in SCHEMAS)

    def additive(self, table: str, found: AdditiveRows) -> None:
        """Stage the gathered additive parts."""
        if found.number:
            self._insert(f"INSERT INTO {table} BY NAME SELECT * FROM staged", found.taken())

    def _insert(self, sql: str, table: ArrowTable) -> None:
        self.engine.register("staged", table)
        try:
            self.engine.execute(sql).fetchall()
        finally:
            self.engine.unregister("staged")
        if self.uncompressed is not None:
            self.uncompressed += table.num_rows
            if self.uncompressed > COMPRESS_ROWS:
                self.engine.execute(f"CHECKPOINT {_COMPRESSED}")
                self.uncompressed = 0

    def distinct(self, table: ArrowTable, column: str) -> set[int]:
        """The distinct values of one column."""
        self.engine.register("staged", table)
        try:
            return {row[0] for row in self.engine.execute(f"SELECT DISTINCT {column} FROM staged").fetchall()}
        finally:
            self.engine.unregister("staged")

    def keyed(self, rows: KeyedRows, table: ArrowTable) -> None:
        """Stage the rows of a statement as ids or values of one slot.

        For flows, a row with a count above 0 is one id. For intervals, the count with its sign is a delta."""
        interval, counted = rows.facts.metric.interval, f", {rows.sign} * {rows.count} AS n"
        target = ("delta_ids" if interval else "new_ids") if rows.shape == IDS else "raw_values"
        columns = f"{rows.heads}, {rows.values}{'' if target == 'new_ids' else counted}"
        where = " AND ".join([f"{rows.count} > 0", *([rows.only] if rows.only else [])])
        self._insert(f"INSERT INTO {target} BY NAME\nSELECT {columns}\nFROM staged\nWHERE {where}", table)
        if rows.shape == IDS and rows.type.ids in ("value", "time") and rows.type.type == FLOAT:
            self._refuse_infinite(target, "value_f")

    def bucket(self) -> None:
        """Turn the staged values of flows into bucket rows: single values while a cell has few, otherwise buckets 1 %
        wide."""
        if not self.engine.execute("SELECT 1 FROM raw_values LIMIT 1").fetchall():
            return
        self._refuse_infinite()
        cell = f"{self.keys}, day"
        columns = {"low_f": "v", "high_f": "v", "n": "n"}
        edges = ", ".join(
            f"CAST({merge_sql(BUCKETS, part, column)} AS {PART_TYPES[BUCKETS][part]}) AS {part}"
            for part, column in columns.items()
        )
        place = f"sign(v) * CAST(ceil(ln(abs(v)) / ln({GAMMA!r})) AS INTEGER)"
        self.engine.execute(
            f"""INSERT INTO new_buckets BY NAME
WITH merged AS (
  SELECT {cell}, low_f AS v, {merge_sql(BUCKETS, "n")} AS n
  FROM raw_values
  GROUP BY {cell}, low_f
),
sized AS (
  SELECT *, count(*) OVER (PARTITION BY {cell}) AS different
  FROM merged
),
placed AS (
  SELECT *, CASE WHEN different <= {EXACT_VALUES} OR v = 0 THEN v ELSE {place} END AS place
  FROM sized
)
SELECT {cell}, {edges}
FROM placed
GROUP BY {cell}, place, sign(v)"""
        ).fetchall()
        self.engine.execute("DELETE FROM raw_values")

    def _refuse_infinite(self, table: str = "raw_values", column: str = "low_f") -> None:
        found = self.engine.execute(
            f"SELECT {column}, metric, slot FROM {table} WHERE isinf({column}) OR isnan({column}) LIMIT 1"
        ).fetchall()
        if found:
            raise NotFinite(*found[0])
