"""Rows on their way from a source into points: staged in the engine, turned into parts there.

`new_additive`, `new_ids` and `new_buckets` have the schemas of points files. `raw_values` holds values with how
often they occur, before they become buckets; `delta_*` hold what begins (+) and ends (−) for interval levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.collect.float_levels import accumulate_sums
from tallybook.core import (
    ADDITIVE,
    BUCKETS,
    DIM_COLUMNS,
    EXACT,
    EXACT_DIGITS,
    EXACT_VALUES,
    FLOAT,
    GAMMA,
    IDS,
    MAX_DIMENSIONS,
    MERGE,
    ONE_DAY,
    PART_TYPES,
    PARTS_OF,
    SCHEMAS,
    SUM,
    NotFinite,
    SourceError,
    ddl,
    hashed_id,
    merge_sql,
    part_column,
)

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from tallybook.collect.binding import BoundMetric
    from tallybook.core import BoundSlot


_COMPRESSED = "tallybook_staging"
COMPRESS_ROWS = 500_000
"""A row that is not compressed takes 160 bytes of memory, in the engine's format for tables in memory; one that is
takes about 5."""
LAST_DIGIT = 2.0**-50
"""How far a running sum of squares may be off, as a fraction of all squares that it has seen."""
WORST = 1e-6
"""How far squares may be off, as a fraction of them."""


class Staging:
    """Tables of one run in its own engine, with the columns of `dims` dimensions: the most that a metric of it has."""

    def __init__(
        self, engine: duckdb.DuckDBPyConnection, dims: int = MAX_DIMENSIONS, *, compressed: bool = False
    ) -> None:
        """`compressed`: the engine is a run's own, and what is staged stays small in memory."""
        self.engine = engine
        self.uncompressed = 0 if compressed else None
        """Rows since the last compression; None: nothing is compressed."""
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
        """Forget everything: it is published."""
        for kind in SCHEMAS:
            self.engine.execute(f"DELETE FROM new_{kind}")
        self.abandon()

    def abandon(self) -> None:
        """Forget what is not yet turned into parts: the step that it belongs to failed."""
        for table in ("delta_additive", "delta_ids", "raw_values"):
            self.engine.execute(f"DELETE FROM {table}")

    def drop(
        self,
        key: str,
        definition: str,
        among: Iterable[tuple[date, date]] | None = None,
        kinds: Iterable[str] = tuple(SCHEMAS),
    ) -> None:
        """Forget one metric, or its days in some stretches: it failed."""
        own = f"metric = '{key}' AND definition = '{definition}'"
        days = [f"day BETWEEN DATE '{first}' AND DATE '{last}'" for first, last in among or ()]
        only = "" if among is None else f" AND ({' OR '.join(days) or 'FALSE'})"
        for kind in kinds:
            self.engine.execute(f"DELETE FROM new_{kind} WHERE {own}{only}")

    def size(self) -> int:
        return sum(int(self.engine.execute(f"SELECT count(*) FROM new_{kind}").fetchall()[0][0]) for kind in SCHEMAS)

    # -- additive ----------------------------------------------------------------------------------

    def additive(self, table: str, found: AdditiveRows) -> None:
        """Stage the additive parts that were gathered."""
        if found.number:
            self._insert(f"INSERT INTO {table} BY NAME SELECT * FROM staged", found.taken())

    def _insert(self, sql: str, table: pa.Table) -> None:
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

    # -- ids and values --------------------------------------------------------------------------------

    def keyed(
        self,
        facts: BoundMetric,
        index: int,
        shape: str,
        table: pa.Table,
        *,
        first: date,
        split: bool,
        sign: int = 1,
        count: str,
        keys: Sequence[str],
        unit: int,
        counts_null: bool,
        only: str = "",
    ) -> None:
        """Stage rows (day?, dims…, keys…, counts…) of a statement, those that meet `only`, as ids or values of one
        slot.

        For flows a row with count > 0 is one id; for intervals `sign` × count goes into the deltas."""
        bound = facts.bound
        n_dims = len(facts.metric.dims)
        at = 1 if split else 0
        day = f"DATE '{first}' + CAST(c0 AS INTEGER)" if split else f"DATE '{first}'"
        dims = ", ".join(f"c{at + i} AS d{i + 1}" for i in range(n_dims))
        head = f"'{bound.key}' AS metric, '{bound.definition}' AS definition, {index} AS slot, {day} AS day{', ' if dims else ''}{dims}"
        value = _value_sql(facts, index, shape, keys, unit, counts_null)
        where = f"WHERE {count} > 0{' AND ' if only else ''}{only}"
        interval = facts.metric.interval
        if shape == IDS and not interval:
            sql = f"INSERT INTO new_ids BY NAME SELECT {head}, {value} FROM staged {where}"
        elif shape == IDS:
            sql = f"INSERT INTO delta_ids BY NAME SELECT {head}, {value}, {sign} * {count} AS n FROM staged {where}"
        else:
            sql = f"INSERT INTO raw_values BY NAME SELECT {head}, {value}, {sign} * {count} AS n FROM staged {where}"
        self._insert(sql, table)
        if shape == IDS and bound.slots[index].ids in ("value", "time") and bound.slots[index].type == FLOAT:
            self._refuse_infinite("delta_ids" if interval else "new_ids", "value_f")

    def bucket(self) -> None:
        """Turn the staged values of flows into bucket rows: as they are while a cell has few, else 1 % wide."""
        if not self.engine.execute("SELECT 1 FROM raw_values LIMIT 1").fetchall():
            return
        self._refuse_infinite()
        cell = f"{self.keys}, day"
        columns = {"low_f": "v", "high_f": "v", "n": "n"}
        edges = ", ".join(
            f"CAST({merge_sql(BUCKETS, part, column)} AS {PART_TYPES[BUCKETS][part]}) AS {part}"
            for part, column in columns.items()
        )
        self.engine.execute(
            f"INSERT INTO new_buckets BY NAME WITH merged AS ("
            f"  SELECT {cell}, low_f AS v, {merge_sql(BUCKETS, 'n')} AS n FROM raw_values GROUP BY {cell}, low_f), "
            f"sized AS (SELECT *, count(*) OVER (PARTITION BY {cell}) AS different FROM merged), "
            f"placed AS (SELECT *, CASE WHEN different <= {EXACT_VALUES} OR v = 0 THEN v "
            f"  ELSE sign(v) * CAST(ceil(ln(abs(v)) / ln({GAMMA!r})) AS INTEGER) END AS place FROM sized) "
            f"SELECT {cell}, {edges} FROM placed "
            f"GROUP BY {cell}, place, sign(v)"
        ).fetchall()
        self.engine.execute("DELETE FROM raw_values")

    def _refuse_infinite(self, table: str = "raw_values", column: str = "low_f") -> None:
        found = self.engine.execute(
            f"SELECT {column}, metric, slot FROM {table} WHERE isinf({column}) OR isnan({column}) LIMIT 1"
        ).fetchall()
        if found:
            raise NotFinite(*found[0])

    # -- interval levels ---------------------------------------------------------------------------------

    def accumulate(self, members: Sequence[BoundMetric], first: date, last: date) -> None:
        """Deltas → absolute parts at the end of each day of first … last.

        What held when the window opened is staged under the day before `first`."""
        # Only what is added can also be taken away: what is merged by MIN or MAX comes from the values themselves.
        added = [part for part, rule in MERGE[ADDITIVE].items() if rule == SUM]
        levels = ", ".join(f"CAST({part} AS {PART_TYPES[ADDITIVE][part]}) AS {part}" for part in added)
        steps = ", ".join(f"{merge_sql(ADDITIVE, part)} AS {part}" for part in added)
        running = ", ".join(f"{merge_sql(ADDITIVE, part)} OVER w AS {part}" for part in added)
        self._summed(
            members,
            f"INSERT INTO new_additive BY NAME WITH steps AS (SELECT {self.keys}, day, {steps} FROM delta_additive GROUP BY {self.keys}, day), "
            f"levels AS (SELECT {self.keys}, day, lead(day) OVER w AS following, {running} FROM steps "
            f"WINDOW w AS (PARTITION BY {self.keys} ORDER BY day)) "
            f"SELECT {self.keys}, {_days(first, last)}, {levels} "
            f"FROM levels WHERE rows > 0",
        )
        self.engine.execute("DELETE FROM delta_additive")
        self._accumulate_ids(first, last)
        self._accumulate_values(members, first, last)

    def _summed(self, members: Sequence[BoundMetric], sql: str) -> None:
        """Run a statement that adds exact numbers. Raises SourceError where their sum does not fit."""
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
        self.engine.execute(
            f"INSERT INTO new_ids BY NAME WITH steps AS (SELECT {keys}, day, sum(n) AS n FROM delta_ids GROUP BY {keys}, day), "
            f"levels AS (SELECT {keys}, day, lead(day) OVER w AS following, sum(n) OVER w AS n FROM steps "
            f"WINDOW w AS (PARTITION BY {keys} ORDER BY day)) "
            f"SELECT {keys}, {_days(first, last)} FROM levels WHERE n > 0"
        ).fetchall()
        self.engine.execute("DELETE FROM delta_ids")

    def _accumulate_values(self, members: Sequence[BoundMetric], first: date, last: date) -> None:
        """Values with how often they hold: buckets for percentiles, least and greatest for min and max."""
        self._refuse_infinite()
        for facts in members:
            for index, slot in enumerate(facts.bound.measure.slots):
                if slot.spread:
                    self._accumulate_spread(_of_slot(facts, index), first, last)
                elif slot.agg in ("sum", "avg") and facts.bound.slots[index].type == FLOAT:
                    mine, held = _of_slot(facts, index), _days(first, last)
                    accumulate_sums(self.engine, self.keys, mine, held, counted=slot.agg == "avg")
        keys = f"{self.keys}, low_f, value"
        self.engine.execute(
            f"CREATE OR REPLACE TEMP TABLE held AS WITH steps AS (SELECT {keys}, day, sum(n) AS n FROM raw_values GROUP BY {keys}, day), "
            f"levels AS (SELECT {keys}, day, lead(day) OVER w AS following, sum(n) OVER w AS n FROM steps "
            f"WINDOW w AS (PARTITION BY {keys} ORDER BY day)) "
            f"SELECT {keys}, {_days(first, last)}, n::BIGINT AS n FROM levels WHERE n > 0"
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

    def _accumulate_spread(self, mine: str, first: date, last: date) -> None:
        """Values that begin and end → count, K and squares at the end of each day, by running sums around one K for each
        series. Where a value that left was so far away that too few digits remain, by the values that are left."""
        keys, series = self.keys, "WINDOW p AS (PARTITION BY series)"
        self.engine.execute(
            f"CREATE OR REPLACE TEMP TABLE spread_deltas AS WITH changes AS (SELECT {keys}, day, low_f AS v, sum(n)::BIGINT AS n "
            f"FROM raw_values WHERE {mine} GROUP BY {keys}, day, low_f HAVING sum(n) <> 0), "
            f"numbered AS (SELECT *, dense_rank() OVER (ORDER BY {keys}) AS series FROM changes), "
            f"placed AS (SELECT *, min(v) OVER p AS origin FROM numbered {series}) "
            f"SELECT *, origin + sum(abs(n) * (v - origin)) OVER p / sum(abs(n)) OVER p AS mid FROM placed {series}"
        ).fetchall()
        self.engine.execute(f"DELETE FROM raw_values WHERE {mine}")
        self.engine.execute(
            f"CREATE OR REPLACE TEMP TABLE spread_levels AS WITH steps AS (SELECT {keys}, series, mid, day, sum(n) AS n, "
            "sum(n * (v - mid)) AS s1, sum(n * (v - mid) * (v - mid)) AS s2, sum(abs(n) * (v - mid) * (v - mid)) AS seen "
            f"FROM spread_deltas GROUP BY {keys}, series, mid, day), "
            f"levels AS (SELECT {keys}, series, mid, day, lead(day) OVER o AS following, sum(n) OVER o AS n, "
            "sum(s1) OVER o AS s1, sum(s2) OVER o AS s2, sum(seen) OVER o AS seen "
            "FROM steps WINDOW o AS (PARTITION BY series ORDER BY day)), "
            "held AS (SELECT *, greatest(s2 - s1 * s1 / n, 0) AS squares FROM levels WHERE n > 0) "
            f"SELECT *, row_number() OVER () AS id, seen * {LAST_DIGIT!r} <= {WORST!r} * squares AS sure FROM held"
        ).fetchall()
        self.engine.execute(
            "INSERT INTO new_additive BY NAME WITH left_over AS (SELECT l.id, d.v, sum(d.n) AS n FROM spread_levels l "
            "JOIN spread_deltas d ON d.series = l.series AND d.day <= l.day WHERE NOT l.sure "
            "GROUP BY l.id, d.v HAVING sum(d.n) > 0), "
            "placed AS (SELECT *, min(v) OVER p AS origin FROM left_over WINDOW p AS (PARTITION BY id)), "
            "centered AS (SELECT *, origin + sum(n * (v - origin)) OVER p / sum(n) OVER p AS k FROM placed "
            "WINDOW p AS (PARTITION BY id)), "
            "direct AS (SELECT id, k, sum(n * (v - k)) AS s1, sum(n * (v - k) * (v - k)) AS s2 FROM centered GROUP BY id, k) "
            f"SELECT {keys}, {_days(first, last)}, 0 AS rows, l.n, coalesce(x.k, mid + l.s1 / l.n) AS k, coalesce(x.s1, 0) AS s1, "
            "coalesce(x.s2, squares) AS s2 FROM spread_levels l LEFT JOIN direct x USING (id)"
        ).fetchall()
        self.engine.execute("DROP TABLE spread_deltas")
        self.engine.execute("DROP TABLE spread_levels")

    def _merge_extreme(self, mine: str, value: str, column: str) -> None:
        """Least or greatest held value: its own row; slot 0's count of rows stands in the row staged before."""
        self.engine.execute(
            f"INSERT INTO new_additive BY NAME SELECT {self.keys}, day, 0 AS rows, {value} AS {column} FROM held WHERE {mine} "
            f"GROUP BY {self.keys}, day"
        ).fetchall()


class AdditiveRows:
    """Additive parts gathered in columns, handed to the engine many at a time."""

    def __init__(self) -> None:
        self.number = 0
        """Rows gathered so far."""
        self._tables: list[pa.Table] = []
        self._keys: list[tuple[str, str, int, int]] = []
        """(metric, definition, slot, rows) of each table."""
        self._single: dict[tuple[str, str, int, int, tuple[str, ...]], _Column] = {}

    def add(
        self, facts: BoundMetric, slot: int, day: date, dims: Sequence[str | None], rows: int, parts: Mapping[str, Any]
    ) -> None:
        """One series of one slot on one day."""
        known = {part: value for part, value in parts.items() if value is not None}
        key = (facts.bound.key, facts.bound.definition, slot, len(dims), tuple(known))
        column = self._single.setdefault(key, _Column([], [], [], {part: [] for part in known}))
        column.days.append(day)
        column.dims.append(dims)
        column.rows.append(rows)
        for part, value in known.items():
            column.parts[part].append(value)
        self.number += 1

    def column(
        self,
        facts: BoundMetric,
        slot: int,
        days: pa.Array,
        dims: Sequence[pa.Array],
        rows: Sequence[int],
        parts: Mapping[str, Sequence[Any]],
    ) -> None:
        """Many series and days of one slot."""
        self._keep((facts.bound.key, facts.bound.definition, slot), days, dims, rows, parts)
        self.number += len(rows)

    def _keep(
        self,
        key: tuple[str, str, int],
        days: pa.Array,
        dims: Sequence[pa.Array],
        rows: Sequence[int],
        parts: Mapping[str, Sequence[Any]],
    ) -> None:
        import pyarrow as pa

        columns = [days, *dims, pa.array(rows, pa.int64()), *(_part_column(*part) for part in parts.items())]
        names = ["day", *(f"d{place}" for place in range(1, len(dims) + 1)), "rows", *parts]
        self._tables.append(pa.table(columns, names))
        self._keys.append((*key, len(rows)))

    def taken(self) -> pa.Table:
        """All that was gathered, which is then forgotten."""
        import pyarrow as pa

        for (metric, definition, slot, width, _), one in self._single.items():
            dims = [pa.array([d[place] for d in one.dims], pa.string()) for place in range(width)]
            self._keep((metric, definition, slot), pa.array(one.days, pa.date32()), dims, one.rows, one.parts)
        table = pa.concat_tables(self._tables, promote_options="default").combine_chunks()
        whose = pa.array([place for place, key in enumerate(self._keys) for _ in range(key[-1])], pa.int32())
        for place, name in enumerate(("metric", "definition")):
            values = pa.array([key[place] for key in self._keys], pa.string())
            table = table.append_column(name, pa.DictionaryArray.from_arrays(whose, values))
        table = table.append_column("slot", pa.array([key[2] for key in self._keys], pa.int16()).take(whose))
        self._tables, self._keys, self._single, self.number = [], [], {}, 0
        return table


@dataclass
class _Column:
    """Rows of one slot that came one by one and have the same parts."""

    days: list[date]
    dims: list[Sequence[str | None]]
    rows: list[int]
    parts: dict[str, list[Any]]


def _part_column(part: str, values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    type_ = PART_TYPES[ADDITIVE][part]
    if type_ == EXACT:
        return pa.array([_at_scale(value) for value in values], pa.decimal128(*EXACT_DIGITS))
    return pa.array(values, pa.int64() if type_ == "BIGINT" else pa.float64())


def _of_slot(facts: BoundMetric, index: int) -> str:
    return f"metric = '{facts.bound.key}' AND definition = '{facts.bound.definition}' AND slot = {index}"


def _at_scale(value: Any) -> Any:
    from decimal import Decimal

    if value is None:
        return None
    return value if isinstance(value, Decimal) else Decimal(value)


def _days(first: date, last: date) -> str:
    """The days on which a level that was reached on `day` holds, within the window."""
    begin = f"greatest(day, DATE '{first}')"
    end = f"coalesce(following - 1, DATE '{last}')"
    return f"unnest(generate_series({begin}, least({end}, DATE '{last}'), INTERVAL 1 DAY))::DATE AS day"


def _value_sql(facts: BoundMetric, index: int, shape: str, keys: Sequence[str], unit: int, counts_null: bool) -> str:
    """The id or value columns made of a statement's key columns."""
    bound = facts.bound.slots[index]
    if bound.ids == "time":
        return f"{_time_sql(facts, keys[0])} AS id, {_number_sql(bound, keys[1], unit)}"
    if shape == IDS and bound.ids == "int":
        return f"{keys[0]} AS id"
    if shape == IDS and bound.ids == "hash":
        return f"{hashed_id(keys, counts_null=counts_null)} AS id"
    if shape == BUCKETS:
        return f"{keys[0]} AS low_f"
    column = _number_sql(bound, keys[0], unit)
    if shape == IDS:
        return f"{column}, NULL::BIGINT AS id"
    return column.replace("AS value_f", "AS low_f") if bound.type == FLOAT else f"{column}, 0.0 AS low_f"


def _number_sql(bound: BoundSlot, key: str, unit: int) -> str:
    """A number as it is kept: `value` where it is exact, else `value_f`."""
    from decimal import Decimal

    if bound.type == FLOAT:
        return f"{key} AS value_f"
    exact = f"CAST({key} AS DECIMAL(28,0)) * CAST('{Decimal(1) / unit:f}' AS DECIMAL(10,10))" if unit > 1 else key
    return f"CAST({exact} AS {EXACT}) AS value"


def _time_sql(facts: BoundMetric, key: str) -> str:
    """What a source says about a time, as microseconds that rise as its times do."""
    assert facts.time is not None
    if facts.time.name in ("epoch_s", "epoch_ms"):
        unit = 1_000_000 if facts.time.name == "epoch_s" else 1000
        return f"CAST(CAST({key} AS DECIMAL(38,6)) * {unit} AS BIGINT)"
    type_ = "TIMESTAMPTZ" if facts.time.name in ("instant", "text_offset") else "TIMESTAMP"
    return f"epoch_us(CAST(replace({key}, ',', '.') AS {type_}))"


def opening_day(first: date) -> date:
    """The day under which an interval's opening balance is staged."""
    return first - ONE_DAY
