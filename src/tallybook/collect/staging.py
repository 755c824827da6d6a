"""Stages rows from a source in the engine, and turns them into parts there.

`new_additive`, `new_ids` and `new_buckets` have the schemas of points files. `raw_values` has values with their counts,
before they become buckets. `delta_*` have what begins (+) and ends (−) for interval levels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from tallybook.collect.float_levels import accumulate_squares, accumulate_sums
from tallybook.collect.staging_tables import StagingTables
from tallybook.core import (
    ADDITIVE,
    BUCKETS,
    FLOAT,
    MERGE,
    PART_TYPES,
    PARTS_OF,
    SUM,
    SourceError,
    merge_sql,
    part_column,
)

if TYPE_CHECKING:
    from tallybook.collect.binding import BoundMetric


class Staging(StagingTables):
    """The tables of one run in its own engine. They have columns for `dims` dimensions, the maximum of its metrics."""

    # -- interval levels ---------------------------------------------------------------------------------

    def accumulate(self, members: Sequence[BoundMetric], first: date, last: date) -> None:
        """Turn deltas into absolute parts at the end of each day of first … last.

        The balance at the start of the window is staged under the day before `first`."""
        # Only parts merged by SUM can be subtracted. Parts merged by MIN or MAX are computed from the values
        # themselves.
        added = [part for part, rule in MERGE[ADDITIVE].items() if rule == SUM]
        levels = ", ".join(f"CAST({part} AS {PART_TYPES[ADDITIVE][part]}) AS {part}" for part in added)
        steps = ", ".join(f"{merge_sql(ADDITIVE, part)} AS {part}" for part in added)
        running = ", ".join(f"{merge_sql(ADDITIVE, part)} OVER w AS {part}" for part in added)
        self._summed(
            members,
            f"""INSERT INTO new_additive BY NAME
WITH steps AS (
  SELECT {self.keys}, day, {steps}
  FROM delta_additive
  GROUP BY {self.keys}, day
),
levels AS (
  SELECT {self.keys}, day, lead(day) OVER w AS following, {running}
  FROM steps
  WINDOW w AS (PARTITION BY {self.keys} ORDER BY day)
)
SELECT {self.keys}, {_days(first, last)}, {levels}
FROM levels
WHERE rows > 0""",
        )
        self.engine.execute("DELETE FROM delta_additive")
        self._accumulate_ids(first, last)
        self._accumulate_values(members, first, last)

    def _summed(self, members: Sequence[BoundMetric], sql: str) -> None:
        """Run a statement that adds exact numbers. Raises SourceError if their sum does not fit."""
        import duckdb

        try:
            self.engine.execute(sql).fetchall()
        except (duckdb.OutOfRangeException, duckdb.ConversionException):
            names = " or ".join(repr(facts.metric.name) for facts in members)
            raise SourceError(
                f"metric {names}: a sum at the end of a day needs more than 28 digits before the point",
                hint="sum floats: sum(cast(x as double precision))",
            ) from None

    def _accumulate_ids(self, first: date, last: date) -> None:
        keys = f"{self.keys}, id, value, value_f"
        levels = _levels_of("delta_ids", keys)
        self.engine.execute(
            f"INSERT INTO new_ids BY NAME\n{levels}\nSELECT {keys}, {_days(first, last)}\nFROM levels\nWHERE n > 0"
        ).fetchall()
        self.engine.execute("DELETE FROM delta_ids")

    def _accumulate_values(self, members: Sequence[BoundMetric], first: date, last: date) -> None:
        """Turn values with their counts into parts: buckets for percentiles, smallest and largest values for min and
        max."""
        self._refuse_infinite()
        for facts in members:
            for index, slot in enumerate(facts.bound.measure.slots):
                if slot.spread:
                    mine, held = _of_slot(facts, index), _days(first, last)
                    accumulate_squares(self.engine, self.keys, mine, held)
                elif slot.agg in ("sum", "avg") and facts.bound.slots[index].type == FLOAT:
                    mine, held = _of_slot(facts, index), _days(first, last)
                    accumulate_sums(self.engine, self.keys, mine, held, counted=slot.agg == "avg")
        keys = f"{self.keys}, low_f, value"
        self.engine.execute(
            f"CREATE OR REPLACE TEMP TABLE held AS\n{_levels_of('raw_values', keys)}\n"
            f"SELECT {keys}, {_days(first, last)}, n::BIGINT AS n\nFROM levels\nWHERE n > 0"
        ).fetchall()
        self.engine.execute("DELETE FROM raw_values")
        for facts in members:
            for index, slot in enumerate(facts.bound.measure.slots):
                mine = _of_slot(facts, index)
                if slot.shape == BUCKETS:
                    names = ", ".join([*self.keys.split(", "), "day", "low_f", "n"])
                    self.engine.execute(
                        f"INSERT INTO raw_values BY NAME SELECT {names} FROM held WHERE {mine}"
                    ).fetchall()
                elif slot.agg in ("min", "max"):
                    type_ = facts.bound.slots[index].type
                    column = part_column(PARTS_OF[slot.agg][0], type_)
                    value = "low_f" if type_ == FLOAT else "value"
                    self._merge_extreme(mine, merge_sql(ADDITIVE, column, value), column)
        self.engine.execute("DROP TABLE held")
        self.bucket()

    def _merge_extreme(self, mine: str, value: str, column: str) -> None:
        """Add the smallest or largest current value in a row of its own. The row count of slot 0 is in the row staged
        before."""
        self.engine.execute(
            f"INSERT INTO new_additive BY NAME\nSELECT {self.keys}, day, 0 AS rows, {value} AS {column}\n"
            f"FROM held\nWHERE {mine}\nGROUP BY {self.keys}, day"
        ).fetchall()


def _of_slot(facts: BoundMetric, index: int) -> str:
    return f"metric = '{facts.bound.key}' AND definition = '{facts.bound.definition}' AND slot = {index}"


def _levels_of(table: str, keys: str) -> str:
    """SQL of a WITH clause with the steps of a table of deltas and the levels that they reach, each until the day of
    the next step."""
    return f"""WITH steps AS (
  SELECT {keys}, day, sum(n) AS n
  FROM {table}
  GROUP BY {keys}, day
),
levels AS (
  SELECT {keys}, day, lead(day) OVER w AS following, sum(n) OVER w AS n
  FROM steps
  WINDOW w AS (PARTITION BY {keys} ORDER BY day)
)"""


def _days(first: date, last: date) -> str:
    """SQL of the days in the window on which a level reached on `day` is valid."""
    begin = f"greatest(day, DATE '{first}')"
    end = f"coalesce(following - 1, DATE '{last}')"
    return f"unnest(generate_series({begin}, least({end}, DATE '{last}'), INTERVAL 1 DAY))::DATE AS day"
