"""Rows on their way from a source into points: staged in the engine, turned into parts there.

`new_additive`, `new_ids` and `new_buckets` have the schemas of points files. `raw_values` holds values with how
often they occur, before they become buckets; `delta_*` hold what begins (+) and ends (−) for interval levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.calendar import ONE_DAY
from tallybook.errors import NotFinite, SourceError
from tallybook.measure import ADDITIVE, BUCKETS, FLOAT, IDS
from tallybook.points import DIM_COLUMNS, DIMS, EXACT_VALUES, GAMMA, SCHEMAS, columns, ddl, hashed_id

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from tallybook.collect.bind import Facts
    from tallybook.metrics import BoundSlot

LAST_DIGIT = 2.0**-50
"""How far a running sum of squares may be off, as a fraction of all squares that it has seen."""
WORST = 1e-6
"""How far squares may be off, as a fraction of them."""
_PARTS = ("n", "total", "total_f", "low", "high", "low_f", "high_f", "s1", "s2", "k")


class Staging:
    """Tables of one run in its own engine, with the columns of `dims` dimensions: the most that a metric of it has."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, dims: int = DIMS) -> None:
        self.engine = engine
        self.keys = ", ".join(["metric", "definition", "slot", *DIM_COLUMNS[:dims]])
        for kind in SCHEMAS:
            engine.execute(ddl(kind, f"new_{kind}", dims))
        engine.execute(ddl(ADDITIVE, "delta_additive", dims))
        engine.execute(ddl(IDS, "delta_ids", dims))
        engine.execute("ALTER TABLE delta_ids ADD COLUMN n BIGINT")
        engine.execute(ddl(BUCKETS, "raw_values", dims))
        engine.execute("ALTER TABLE raw_values ADD COLUMN value DECIMAL(38,10)")

    def clear(self) -> None:
        """Forget everything: it is published."""
        for table in ("new_additive", "new_ids", "new_buckets", "delta_additive", "delta_ids", "raw_values"):
            self.engine.execute(f"DELETE FROM {table}")

    def drop_deltas(self) -> None:
        """Forget what begins and ends in a window that could not be gathered."""
        for table in ("delta_additive", "delta_ids", "raw_values"):
            self.engine.execute(f"DELETE FROM {table}")

    def drop(self, key: str, definition: str, days: Iterable[date] | None = None) -> None:
        """Forget one metric, or some of its days: it failed. Of what is not yet made into points nothing stays: it is
        of the statement that failed, and an opening balance is kept under the day before the first."""
        own = f"metric = '{key}' AND definition = '{definition}'"
        only = "" if days is None else f" AND day IN ({', '.join(repr(str(d)) for d in days) or 'NULL'})"
        for table in ("new_additive", "new_ids", "new_buckets"):
            self.engine.execute(f"DELETE FROM {table} WHERE {own}{only}")
        for table in ("delta_additive", "delta_ids", "raw_values"):
            self.engine.execute(f"DELETE FROM {table} WHERE {own}")

    def size(self) -> int:
        return sum(int(self.engine.execute(f"SELECT count(*) FROM new_{kind}").fetchall()[0][0]) for kind in SCHEMAS)

    # -- additive ----------------------------------------------------------------------------------

    def additive(self, table: str, found: AdditiveRows) -> None:
        """Stage additive parts gathered row by row."""
        if found.keys:
            self._insert(f"INSERT INTO {table} BY NAME SELECT * FROM staged", found.table())

    def _insert(self, sql: str, table: pa.Table) -> None:
        self.engine.register("staged", table)
        try:
            self.engine.execute(sql).fetchall()
        finally:
            self.engine.unregister("staged")

    # -- ids and values --------------------------------------------------------------------------------

    def keyed(
        self, facts: Facts, index: int, shape: str, table: pa.Table, *, first: date, split: bool, sign: int = 1,
        count: str, keys: Sequence[str], unit: int, counts_null: bool, only: str = "",
    ) -> None:  # fmt: skip
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
        self.engine.execute(
            f"INSERT INTO new_buckets BY NAME WITH merged AS ("
            f"  SELECT {cell}, low_f AS v, sum(n) AS n FROM raw_values GROUP BY {cell}, low_f), "
            f"sized AS (SELECT *, count(*) OVER (PARTITION BY {cell}) AS different FROM merged), "
            f"placed AS (SELECT *, CASE WHEN different <= {EXACT_VALUES} OR v = 0 THEN v "
            f"  ELSE sign(v) * ceil(ln(abs(v)) / ln({GAMMA!r})) END AS place FROM sized) "
            f"SELECT {cell}, min(v) AS low_f, max(v) AS high_f, sum(n)::BIGINT AS n FROM placed "
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

    def accumulate(self, members: Sequence[Facts], first: date, last: date) -> None:
        """Deltas → absolute parts at the end of each day of first … last.

        What held when the window opened is staged under the day before `first`."""
        whole = "DECIMAL(38,10)"
        sums = ", ".join(f"{part} AS {part}" for part in ("rows", "n", "total", "total_f", "s1", "s2"))
        steps = ", ".join(f"sum({part}) AS {part}" for part in ("rows", "n", "total", "total_f", "s1", "s2"))
        running = ", ".join(f"sum({part}) OVER w AS {part}" for part in ("rows", "n", "total", "total_f", "s1", "s2"))
        self._summed(
            members,
            f"INSERT INTO new_additive BY NAME WITH steps AS (SELECT {self.keys}, day, {steps} FROM delta_additive GROUP BY {self.keys}, day), "
            f"levels AS (SELECT {self.keys}, day, lead(day) OVER w AS following, {running} FROM steps "
            f"WINDOW w AS (PARTITION BY {self.keys} ORDER BY day)) "
            f"SELECT {self.keys}, {_days(first, last)}, {sums.replace('total AS total', f'total::{whole} AS total')} "
            f"FROM levels WHERE rows > 0",
        )
        self.engine.execute("DELETE FROM delta_additive")
        self._accumulate_ids(first, last)
        self._accumulate_values(members, first, last)

    def _summed(self, members: Sequence[Facts], sql: str) -> None:
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

    def _accumulate_values(self, members: Sequence[Facts], first: date, last: date) -> None:
        """Values with how often they hold: buckets for percentiles, least and greatest for min and max."""
        self._refuse_infinite()
        for facts in members:
            for index, slot in enumerate(facts.bound.measure.slots):
                if slot.spread:
                    self._accumulate_spread(_of_slot(facts, index), first, last)
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
                    source, part = (
                        ("low_f", slot.agg) if facts.bound.slots[index].type == FLOAT else ("value", slot.agg)
                    )
                    column = ("low" if part == "min" else "high") + ("_f" if source == "low_f" else "")
                    self._merge_extreme(mine, f"{part}({source})", column)
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
    """Additive parts gathered in columns, to be handed to the engine at once."""

    def __init__(self) -> None:
        self.keys: list[tuple[str, str, int, date]] = []
        self.dims: list[Sequence[str | None]] = []
        self.rows: list[int] = []
        self.parts: dict[str, list[Any]] = {part: [] for part in _PARTS}

    def add(
        self,
        facts: Facts,
        slot: int,
        day: date,
        dims: Sequence[str | None],
        rows: int,
        parts: dict[str, Any],
        sign: int = 1,
    ) -> None:
        """One series of one slot on one day; `sign` −1 takes it away."""
        self.keys.append((facts.bound.key, facts.bound.definition, slot, day))
        self.dims.append(dims)
        self.rows.append(sign * rows)
        for part, values in self.parts.items():
            value = parts.get(part)
            values.append(value if value is None or sign == 1 or part == "k" else -value)

    def table(self) -> pa.Table:
        import pyarrow as pa

        metric, definition, slot, day = zip(*self.keys, strict=True)
        width = max(len(d) for d in self.dims)
        data: dict[str, Any] = {
            "metric": pa.array(metric, pa.string()),
            "definition": pa.array(definition, pa.string()),
            "slot": pa.array(slot, pa.int16()),
            "day": pa.array(day, pa.date32()),
        }
        for place in range(width):
            values = [d[place] if place < len(d) else None for d in self.dims]
            data[f"d{place + 1}"] = pa.array(values, pa.string())
        data["rows"] = pa.array(self.rows, pa.int64())
        for part, numbers in self.parts.items():
            exact = (
                pa.decimal128(38, 10)
                if part in ("total", "low", "high")
                else pa.int64()
                if part == "n"
                else pa.float64()
            )
            data[part] = pa.array([_at_scale(v) if part in ("total", "low", "high") else v for v in numbers], exact)
        return pa.table(data)


def _of_slot(facts: Facts, index: int) -> str:
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


def _value_sql(facts: Facts, index: int, shape: str, keys: Sequence[str], unit: int, counts_null: bool) -> str:
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
    if bound.type == FLOAT:
        return f"{key} AS value_f"
    exact = f"CAST({key} AS DECIMAL(28,0)) * CAST({1 / unit!r} AS DECIMAL(10,10))" if unit > 1 else key
    return f"CAST({exact} AS DECIMAL(38,10)) AS value"


def _time_sql(facts: Facts, key: str) -> str:
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


__all__ = ["AdditiveRows", "Staging", "columns", "opening_day"]
