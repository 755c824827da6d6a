"""Worlds for the judge: tables, definitions, histories and questions, as nasty as real ones.

A `World` is everything of one example: a book's settings, tables with rows, metrics over them, what happens
(rows come late, are changed in place, are deleted; the book runs up to a day, again, or over chosen days) and
what is asked in the end. `worlds("sqlite")` draws them.

Times lie close to the bounds of local days, in zones with half-hour offsets, with days of 23, 24.5 and 25
hours, with midnights that do not exist and with a day that does not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests import oracle
from tests.oracle import (
    DAY,
    DERIVED,
    SCOPES,
    SHOWS,
    Agg,
    And,
    Ask,
    BookSpec,
    Call,
    Case,
    Column,
    Covered,
    Dialect,
    Expression,
    Judge,
    Measure,
    MetricSpec,
    Num,
    Op,
    Or,
    Pred,
    Predicate,
    Ref,
    Row,
    Table,
    Tables,
    Undecided,
    columns_shown,
    days_between,
    end_of_day,
    leaves_of,
    parts_of,
    start_of_day,
)
from tests.oracle.dates import Fiscal
from tests.oracle.goals import GoalSpec

# ---------------------------------------------------------------------------------------- zones and days

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",  # +05:30
    "Australia/Lord_Howe",  # its summer time is half an hour
    "America/St_Johns",  # -03:30
    "America/Sao_Paulo",  # until 2018 summer time began at midnight: that midnight does not exist
    "America/Havana",  # winter time begins at one o'clock: midnight comes twice
    "Africa/Cairo",  # since 2023 summer time begins at midnight
    "Pacific/Apia",  # 2011-12-30 was skipped
    "Pacific/Kiritimati",  # +14
    "Asia/Kathmandu",  # +05:45
)
APIA = date(2011, 12, 30)
ENDS = tuple(date(*day) for day in [(2023, 12, 31), (2024, 2, 29), (2025, 2, 28), (2024, 6, 30), (2021, 1, 3)])


@cache
def clock_changes(timezone: str) -> tuple[date, ...]:
    """The days from 2016 to 2025 that are not 24 hours long."""
    days = days_between(date(2016, 1, 1), date(2025, 12, 31))
    uneven = [d for d in days if start_of_day(d + DAY, timezone) - start_of_day(d, timezone) != DAY]
    return tuple(uneven) + ((APIA,) if timezone == "Pacific/Apia" else ())


@st.composite
def ranges(draw: st.DrawFn, timezone: str) -> tuple[date, date]:
    """The first and last day of a book: 5 to 70 days around a change of the clock or the end of a month."""
    changes = clock_changes(timezone)
    anchor = draw(st.sampled_from(changes + ENDS if changes else ENDS))
    before = draw(st.one_of(st.integers(2, 8), st.integers(2, 40)))
    after = draw(st.one_of(st.integers(2, 8), st.integers(2, 29)))
    return anchor - DAY * before, anchor + DAY * after


SECOND = timedelta(seconds=1)
INSTANT = timedelta(microseconds=1)
CLOSE_TO_MIDNIGHT = (
    timedelta(0),
    timedelta(0),
    timedelta(0),
    -INSTANT,
    INSTANT,
    -SECOND,
    SECOND,
    timedelta(milliseconds=-1),
)
WITHIN_A_DAY = tuple(timedelta(hours=h) for h in (12, 1, 1.5, 2, 2.5, 3, 22.5, 23, 23.5))


@st.composite
def moments(draw: st.DrawFn, column: Column, timezone: str, first: date, last: date) -> Any:
    """A value of a time column, on a day from `first` to `last` or hardly outside."""
    day = first + DAY * draw(st.integers(0, (last - first).days))
    if column.type == "date":
        return day
    offset = draw(st.sampled_from(CLOSE_TO_MIDNIGHT + WITHIN_A_DAY))
    if column.type == "timestamp_local":
        return datetime.combine(day, time(0)) + offset
    instant = start_of_day(day, timezone) + offset
    if column.type == "epoch_s":
        return int(instant.timestamp() // 1)
    if column.type == "epoch_ms":
        return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return instant.replace(tzinfo=None) if column.type == "timestamp" else instant


# ----------------------------------------------------------------------------------------- kinds of value

TEXTS = (
    *(
        "a",
        "A",
        "a ",
        " a",
        "b",
        "",
        "ß",
        "ss",
        "🙂",
        "é",
        "e\u0301",
        "o'neil",
        'say "hi"',
        "=1+1",
        "x=y",
        "x!=y",
    ),
    *(
        "!",
        "null",
        "NULL",
        "None",
        "0",
        "00",
        "true",
        "back\\slash",
        "100%",
        "a,b",
        "two\nlines",
        "Ω",
        "total",
        "-",
    ),
)
ACCOUNTS = (1, 2, 3, 0, -1, 10, 2**40)
STATUSES = ("paid", "open", "void")
BIG = (0, 1, -1, 2**53 + 1, -(2**53) - 1, 2**62, -(2**62), 2**62 - 1, 10**15 + 7)
TAME = (0.0, 0.1, 0.2, 0.3, -0.3, 1.5, 2.5, 1234.5678, -7.0, 1e6)
FAR_APART = (1e9, 1e9 + 1, 1e9 + 0.01, 0.01, 0.02, 0.03, -0.01)
WILD = (*TAME, 1e-300, -1e-300, 1e150, -1e150, 1e16, 1e16 + 2, 3.0e-5)


@st.composite
def decimals(draw: st.DrawFn, scale: int) -> Decimal:
    """A decimal that also SQLite keeps: up to 14 digits."""
    unscaled = draw(
        st.one_of(st.integers(-999, 999), st.integers(-123456, 123456), st.sampled_from([10**13 - 1, 1 - 10**13]))
    )
    return Decimal(unscaled).scaleb(-scale)


@dataclass(frozen=True)
class Values:
    """What the columns of one world hold: few different values, so that they meet again."""

    scale: int
    pools: dict[str, tuple[Any, ...]]

    def columns(self, dialect: Dialect) -> tuple[Column, ...]:
        """The columns that every table has, but for `id` and its times."""
        text_ids = isinstance(self.pools["user_id"][0], str)
        return (
            Column(name="plan", type="text"),
            Column(name="group", type="text"),
            Column(name="account_id", type="bigint"),
            Column(name="user_id", type="text" if text_ids else "bigint"),
            Column(name="status", type="text"),
            Column(name="n", type="int"),
            Column(name="big", type="bigint"),
            Column(name="amount", type="decimal", scale=self.scale, real=dialect == "sqlite"),
            Column(name="ratio", type="float"),
        )

    def rows(self, used: Collection[str]) -> dict[str, st.SearchStrategy[Any]]:
        """How to draw each column. One draw a value, none for columns that nothing reads: rows stay cheap."""
        return {
            name: st.sampled_from([*pool, None]) if name in used else st.none() for name, pool in self.pools.items()
        }


def few(pool: Sequence[Any], least: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(pool), min_size=least, max_size=4, unique=True).map(tuple)


@st.composite
def values(draw: st.DrawFn) -> Values:
    scale = draw(st.integers(0, 6))
    texts = draw(few(TEXTS, 1))
    floats = st.floats(-1e150, 1e150, allow_subnormal=False).map(lambda x: x + 0.0 or 0.0)
    wild = st.lists(st.one_of(st.sampled_from(WILD), floats), min_size=3, max_size=8)
    return Values(
        scale=scale,
        pools={
            "plan": texts,
            "group": texts[:2],
            "account_id": draw(few(ACCOUNTS, 2)),
            "user_id": draw(st.one_of(few((*range(6), *BIG), 3), few(TEXTS, 3))),
            "status": STATUSES,
            "n": tuple(
                draw(st.lists(st.one_of(st.integers(-3, 5), st.integers(-20000, 20000)), min_size=3, max_size=8))
            ),
            "big": BIG,
            "amount": tuple(draw(st.lists(decimals(scale), min_size=3, max_size=8))),
            "ratio": tuple(draw(st.one_of(wild, st.just(TAME), st.just(FAR_APART)))),
        },
    )


# ------------------------------------------------------------------------------------------------ tables


@dataclass(frozen=True)
class Place:
    """Where a world's tables lie in time, and in which database."""

    dialect: Dialect
    timezone: str
    first: date
    last: date

    def time_column(self, name: str, kinds: Sequence[str]) -> st.SearchStrategy[Column]:
        return st.builds(lambda t, f: Column(name=name, type=t, form=f), st.sampled_from(kinds), st.sampled_from(" T"))


TIMES = ("timestamp", "timestamptz", "timestamp_local", "date", "epoch_s", "epoch_ms")
DATES = ("date", "date", "timestamp")
WRITTEN = "written"
"""The column that every write sets."""
ACCOUNTS_TABLE = "accounts"


@dataclass(frozen=True)
class Source:
    """A table without rows, and what its rows will hold."""

    shape: str
    table: Table
    place: Place
    kinds: Values
    shuffle: int = 1
    """Values of a daily aggregate are received in the order of id * shuffle, modulo a prime."""

    def moments(self, column: str, earlier: int, later: int) -> st.SearchStrategy[Any]:
        place = self.place
        first, last = place.first - DAY * earlier, place.last + DAY * later
        return moments(self.table.column(column), place.timezone, first, last)

    def numbered(self, row: Row, number: int) -> Row:
        """`row` with its id, and what follows from it. When it was written is known once that happens."""
        row = {"id": number, **row}
        row |= {column.name: None for column in self.table.columns if column.name == WRITTEN}
        if self.shape == "daily_aggregate":
            row["received"] = number * self.shuffle % 1_000_003
        return row

    def row(self, used: Collection[str]) -> st.SearchStrategy[Row]:
        """A row, of which only the columns `used` matter."""
        return ROWS[self.shape](self, self.kinds.rows(used))

    def filled(self, used: Collection[str]) -> st.SearchStrategy[Table]:
        """The table with rows."""
        return MANY[self.shape](self, used).map(
            lambda rows: replace(self.table, rows=[self.numbered(row, i) for i, row in enumerate(rows, 1)])
        )


@st.composite
def sources(draw: st.DrawFn, shape: str, place: Place, kinds: Values, *, whole: bool = True) -> Source:
    """A table for facts, intervals, daily levels or daily aggregates. `whole`: perhaps with the time of each write."""
    name, times, allowed = {
        "facts": ("facts", ["at"], TIMES),
        "interval": ("spans", ["started", "ended"], TIMES),
        "daily": ("daily", ["day"], DATES),
        "daily_aggregate": ("sent", ["at"], TIMES),
    }[shape]
    time_column = draw(place.time_column("", allowed))
    columns = [Column(name="id", type="int"), *(replace(time_column, name=name) for name in times)]
    columns += [Column(name="received", type="int")] if shape == "daily_aggregate" else []
    if whole and shape != "daily_aggregate" and draw(st.integers(0, 2)) == 2:
        columns.append(draw(place.time_column(WRITTEN, ("timestamp", "timestamptz", "epoch_s"))))
    table = Table(name=name, columns=(*columns, *kinds.columns(place.dialect)), rows=[])
    return Source(shape, table, place, kinds, draw(st.sampled_from([1, 1_000_002, 7919, 611_953])))


def accounts_source(place: Place, kinds: Values) -> Source:
    """The table of accounts, which facts may be joined to. Some facts are of accounts that it does not have."""
    columns = (Column(name="id", type="int"), Column(name="tier", type="text"), Column(name="region", type="text"))
    return Source(ACCOUNTS_TABLE, Table(name=ACCOUNTS_TABLE, columns=columns, rows=[]), place, kinds)


def account_row(source: Source, columns: dict[str, Any]) -> st.SearchStrategy[Row]:
    texts = st.sampled_from([*source.kinds.pools["plan"], None])
    return st.fixed_dictionaries({"tier": texts, "region": texts})


def few_rows(source: Source, used: Collection[str]) -> st.SearchStrategy[list[Row]]:
    return st.lists(source.row(used), max_size=4)


def fact_row(source: Source, columns: dict[str, Any]) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries({"at": null_seldom(source.moments("at", 2, 2)), **columns})


def interval_row(source: Source, columns: dict[str, Any]) -> st.SearchStrategy[Row]:
    """Open, reversed, empty, long ago or ending at midnight."""
    since = st.one_of(
        source.moments("started", 3, 2), source.moments("started", 3, 2), source.moments("started", 400, 0)
    )
    until = st.one_of(source.moments("ended", 3, 5), source.moments("ended", 3, 5), since, st.none())
    row = st.fixed_dictionaries({"started": null_seldom(since), "ended": until, **columns})
    return st.integers(0, 12).flatmap(lambda n: row.map(instant_interval) if n == 12 else row)


def instant_interval(row: Row) -> Row:
    return {**row, "ended": row["started"]}


def daily_row(source: Source, columns: dict[str, Any]) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries({"day": source.moments("day", 0, 0), **columns})


def aggregate_row(source: Source, columns: dict[str, Any]) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries({"at": source.moments("at", 0, 0), **columns})


def many_rows(source: Source, used: Collection[str]) -> st.SearchStrategy[list[Row]]:
    return some(source.row(used), 40)


@st.composite
def many_daily_rows(draw: st.DrawFn, source: Source, used: Collection[str]) -> list[Row]:
    """A row a day for each of a few accounts, from some day to another, with gaps; and a few more."""
    place, columns = source.place, source.kinds.rows(used)
    length = (place.last - place.first).days
    rows = []
    for _ in range(draw(st.integers(0, 4))):
        account = draw(st.fixed_dictionaries(columns))
        since = draw(st.integers(0, length))
        count = draw(st.one_of(st.integers(1, 10), st.integers(1, length + 1)))
        missed = draw(st.sets(st.integers(since, since + min(count, 10)), max_size=6))
        for i in range(since, min(since + count, length + 1)):
            if i not in missed:
                day = at_noon(source.table.column("day"), place.first + DAY * i, place.timezone)
                rows.append({**account, "day": day})
    return rows + draw(st.lists(source.row(used), max_size=6))


@st.composite
def many_aggregate_rows(draw: st.DrawFn, source: Source, used: Collection[str]) -> list[Row]:
    """Several are sent again, with another value."""
    numbers = {name: drawn for name, drawn in source.kinds.rows(used).items() if name in NUMBERS}
    rows = []
    for sent in draw(some(source.row(used), 20)):
        again = draw(st.integers(0, 2))
        rows += [sent, *({**sent, **draw(st.fixed_dictionaries(numbers))} for _ in range(again))]
    return rows


ROWS: dict[str, Callable[[Source, dict[str, Any]], st.SearchStrategy[Row]]] = {
    "facts": fact_row,
    "interval": interval_row,
    "daily": daily_row,
    "daily_aggregate": aggregate_row,
    ACCOUNTS_TABLE: account_row,
}
MANY: dict[str, Callable[[Source, Collection[str]], st.SearchStrategy[list[Row]]]] = {
    "facts": many_rows,
    "interval": many_rows,
    "daily": many_daily_rows,
    "daily_aggregate": many_aggregate_rows,
    ACCOUNTS_TABLE: few_rows,
}
SHAPES = ("daily", "daily_aggregate", "facts", "interval")


def some(row: st.SearchStrategy[Row], most: int) -> st.SearchStrategy[list[Row]]:
    """A few rows, or many: left to itself, Hypothesis prefers few."""
    return st.sampled_from([0, most // 3, most // 2, most]).flatmap(
        lambda least: st.lists(row, min_size=least, max_size=most)
    )


def null_seldom(drawn: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 24).flatmap(lambda n: st.none() if n == 24 else drawn)


def at_noon(column: Column, day: date, timezone: str) -> Any:
    if column.type == "date":
        return day
    return datetime.combine(day, time(12), ZoneInfo(timezone)).astimezone(UTC).replace(tzinfo=None)


# ---------------------------------------------------------------------------------------------- measures

PREDICATES: tuple[Predicate, ...] = (
    Pred("status", "=", "paid"),
    Pred("status", "<>", "void"),
    Pred("status", "is null"),
    Pred("n", ">", 0),
    Pred("n", ">=", 1),
    Pred("n", "<", 1),
    Pred("n", "<=", 1),
    Pred("n", "<>", 1),
    Pred("amount", ">", 0),
    Pred("amount", "<=", 0),
    Pred("ratio", ">=", 0),
    Pred("ratio", ">", 0),
    Pred("account_id", "=", 1),
    Pred("account_id", "<", 2),
    Pred("group", "is not null"),
    And(Pred("status", "=", "paid"), Pred("n", ">", 0)),
    Or(Pred("status", "=", "open"), Pred("amount", ">", 0)),
)
NUMBERS = ("n", "n", "big", "amount", "amount", "ratio")
INNER: tuple[Expression, ...] = (("*", "n", 3), ("+", "n", "n"), ("-", "n", 1), ("*", "n", "account_id"))
DISTINCT: tuple[tuple[Expression, ...], ...] = (
    ("user_id",),
    ("plan",),
    ("amount",),
    ("n",),
    ("account_id",),
    ("plan", "account_id"),
    ("user_id", "status"),
)
QUANTILES = ("0.5", "0.9", "0.95", "0.999", "0.25", "0", "1")


@st.composite
def aggregates(draw: st.DrawFn, dialect: Dialect, *, linear: bool = False, by_time: bool = False) -> Agg:
    """One aggregate of any sort; only counts, sums and distincts when `linear`; first and last when `by_time`."""
    names = ["count", "sum", "sum", "count_distinct", "count_distinct", "sum_distinct"]
    if not linear:
        names += ["first", "last"] if by_time else []
        names += ["avg", "min", "max", "stddev", "variance", "avg_distinct", "quantile", "quantile"]
    fn = draw(st.sampled_from(names))
    args: tuple[Expression, ...] = (draw(st.sampled_from(NUMBERS)),)
    if fn == "count":
        args = draw(st.sampled_from([(), (), ("user_id",), ("amount",)]))
    elif fn == "count_distinct":
        args = draw(st.sampled_from(DISTINCT))
    elif draw(st.integers(0, 7)) == 7:
        args = (draw(st.sampled_from(INNER[:3] if dialect == "sqlite" else INNER)),)
    where = draw(st.one_of(st.none(), st.none(), st.sampled_from(PREDICATES)))
    spelling = draw(st.sampled_from(spellings(fn, args, where, dialect)))
    return Agg(fn, args, where, draw(quantile_for(spelling)), spelling)


def spellings(fn: str, args: tuple[Expression, ...], where: Predicate | None, dialect: Dialect) -> list[str]:
    """How this aggregate may be written in `dialect`."""
    if fn == "quantile":
        return ["median", "p", "", "percentile_cont", "desc", "disc"]
    if fn in ("stddev", "variance"):
        return ["samp"] if dialect == "mysql" else ["samp", ""]  # MySQL's own STDDEV is the population's
    # A decimal inside a CASE has no declared type in SQLite: nothing says that it is money.
    whole = dialect != "sqlite" or "amount" not in args
    return ["", "case"] if where is not None and len(args) < 2 and whole else [""]


def quantile_for(spelling: str) -> st.SearchStrategy[str]:
    if spelling == "median":
        return st.just("0.5")
    return st.sampled_from(QUANTILES[:5] if spelling == "p" else QUANTILES)


@st.composite
def measures(draw: st.DrawFn, dialect: Dialect, *, by_time: bool) -> Measure:
    """One aggregate mostly, or arithmetic of a few."""
    one, any_other = aggregates(dialect, by_time=by_time), aggregates(dialect, by_time=by_time)
    linear = aggregates(dialect, linear=True)
    constants = st.sampled_from(["100", "100.0", "0.5", "1.25", "-3", "7"]).map(Num)
    shape = draw(st.integers(0, 16))
    if shape <= 8:
        return draw(one)
    if shape == 9:
        return Op("/", draw(one), draw(any_other))
    if shape == 10:
        return Op(draw(st.sampled_from("+-")), draw(linear), draw(linear))
    if shape == 11:
        return Op(draw(st.sampled_from("*/")), draw(linear), draw(constants))
    if shape == 12:
        return Op("/", Op("*", draw(constants), draw(linear)), draw(linear))
    if shape == 13:
        return Call("coalesce", (draw(one), Num("0")))
    if shape == 14:
        return draw(
            st.one_of(
                st.builds(lambda a: Op("/", Num("1"), Call("nullif", (a, Num("0")))), one),
                st.builds(lambda a, d: Call("round", (a, Num(d))), one, st.sampled_from("0123")),
                st.builds(lambda a: Call("abs", (a,)), one),
            )
        )
    if shape == 16:
        distinct = aggregates(dialect, linear=True).filter(lambda agg: agg.fn == "count_distinct")
        return Op("+", Op("-", draw(distinct), draw(distinct)), draw(distinct))
    return Case(draw(linear), Num("1"), draw(one), draw(st.one_of(st.none(), one)))


# ----------------------------------------------------------------------------------------------- metrics

DIMS = (
    ("plan",),
    ("account_id", "plan"),
    ("plan", "group"),
    ("group",),
    ("account_id",),
    ("plan", "group", "account_id"),
    (),
)


THEN = ("avg", "p90", "median", "p25", "max", "min", "sum", "count", "stddev")


@st.composite
def metrics(draw: st.DrawFn, source: Source, name: str, dims: tuple[str, ...]) -> MetricSpec:
    """A metric over the source's table, of a kind that fits its shape; its dimensions are mostly `dims`."""
    by = draw(st.sampled_from([dims, dims, dims, *DIMS]))
    dialect = source.place.dialect
    spec = MetricSpec(
        name=name,
        measure=draw(measures(dialect, by_time=source.shape in ("facts", "daily"))),
        shape=source.shape,
        table=source.table.name,
        where=draw(st.one_of(st.none(), st.none(), st.sampled_from(PREDICATES))),
        by=by,
    )
    spec = draw(FITTED[source.shape](spec, source.table))
    if any(column.name == WRITTEN for column in source.table.columns) and draw(st.integers(0, 3)) > 0:
        spec = replace(spec, changed=WRITTEN)
    entities = [name for name in ("user_id", "account_id", "plan") if name not in spec.by]
    if spec.kind == "uniques" or spec.shape == "daily_aggregate" or not entities or draw(st.integers(0, 4)) < 4:
        return spec
    return replace(spec, per=draw(st.sampled_from(entities)), then=draw(st.sampled_from(THEN)))


def fitted_facts(spec: MetricSpec, table: Table) -> st.SearchStrategy[MetricSpec]:
    return st.just(replace(spec, time="at"))


@st.composite
def fitted_interval(draw: st.DrawFn, spec: MetricSpec, table: Table) -> MetricSpec:
    inclusive = table.column("started").type == "date" and draw(st.booleans())
    return replace(
        spec,
        kind="level",
        from_="started",
        until="ended",
        until_inclusive=inclusive,
        over_time=draw(st.sampled_from([None, None, "average", "first", "min", "max"])),
    )


@st.composite
def fitted_daily(draw: st.DrawFn, spec: MetricSpec, table: Table) -> MetricSpec:
    """A level mostly; a count of unique things sometimes."""
    spec = replace(spec, time="day")
    if draw(st.integers(0, 4)) == 4:
        counted = Agg("sum", ("n",), None)
        return replace(spec, kind="uniques", shape="facts", measure=counted)
    return replace(
        spec,
        kind="level",
        carry=draw(st.sampled_from([None, None, 1, 2, 3, 10])),
        over_time=draw(st.sampled_from([None, None, "average"])),
    )


@st.composite
def fitted_aggregate(draw: st.DrawFn, spec: MetricSpec, table: Table) -> MetricSpec:
    others = draw(st.lists(st.sampled_from(("plan", "account_id", "user_id")), unique=True, max_size=2))
    series = tuple(dict.fromkeys([*spec.by, *others])) or ("account_id",)
    return replace(spec, time="at", received="received", series=series)


FITTED = {
    "facts": fitted_facts,
    "interval": fitted_interval,
    "daily": fitted_daily,
    "daily_aggregate": fitted_aggregate,
}


@st.composite
def derived(draw: st.DrawFn, name: str, operands: Sequence[MetricSpec]) -> MetricSpec:
    """A metric made of two others."""
    refs = []
    for _ in range(2):
        spec = draw(st.sampled_from(operands))
        shows = ["average", "last", "first", "min", "max"] if spec.kind == "level" else []
        refs.append(Ref(spec.name, draw(st.sampled_from([None, None, *shows]))))
    measure: Measure = Op(draw(st.sampled_from("/+-*")), refs[0], refs[1])
    measure = draw(st.sampled_from([measure, Op("*", Num("100"), measure), Call("coalesce", (measure, Num("0")))]))
    return MetricSpec(name=name, measure=measure, shape=DERIVED, kind=DERIVED)


# --------------------------------------------------------------------------------------------- histories


@dataclass(frozen=True)
class Insert:
    table: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Change:
    """The row with this id now reads so."""

    table: str
    row: Row


@dataclass(frozen=True)
class Delete:
    table: str
    id: int


@dataclass(frozen=True)
class Run:
    """The book runs when `closed` is the last day that has closed: what is due, or the days it is told."""

    closed: date
    from_: date | None = None
    to: date | None = None


@dataclass(frozen=True)
class Rename:
    """Until now the metric was declared as `was_NAME`; from now on it has its name."""

    metric: str


@dataclass(frozen=True)
class Forget:
    """Everything that the book has of the metric is dropped from every version of it."""

    metric: str


@dataclass(frozen=True)
class Redefine:
    """From now on the metric is declared like this."""

    spec: MetricSpec

    @property
    def metric(self) -> str:
        return self.spec.name


@dataclass(frozen=True)
class Move:
    """The book is moved to another folder."""

    folder: str


@dataclass(frozen=True)
class Import:
    """A file of finished values of a metric is imported, by some of its dimensions."""

    metric: str
    dims: tuple[str, ...]
    values: tuple[tuple[date, oracle.Key, Decimal], ...]

    def csv(self) -> str:
        """The file."""
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(["day", *self.dims, "value"])
        rows.writerows([day, *("" if one is None else one for one in key), value] for day, key, value in self.values)
        return text.getvalue()


Deed = Rename | Forget | Redefine | Move
Step = Insert | Change | Delete | Run | Import | Deed


@st.composite
def histories(
    draw: st.DrawFn,
    place: Place,
    sources: Sequence[Source],
    tables: dict[str, Table],
    used: Collection[str],
    names: Sequence[str],
    imported: Sequence[MetricSpec] = (),
    redefined: Sequence[MetricSpec] = (),
) -> tuple[Step, ...]:
    """A first run, then up to three rounds of changed rows and another run; time never goes back. `redefined`: in this
    order, each once."""
    span = (place.last - place.first).days
    closed = draw(st.one_of(st.integers(span * 2 // 3, span), st.integers(1, span)))
    steps: list[Step] = [draw(runs(place, closed))]
    alive = {name: [row["id"] for row in table.rows] for name, table in tables.items()}
    latest_id = {name: len(ids) for name, ids in alive.items()}
    deeds = draw(st.permutations([*map(Rename, names), *map(Forget, names), Move("moved"), Move("further")]))
    redefinitions = list(redefined)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        for _ in range(draw(st.integers(0, 3))):
            source = draw(st.sampled_from(sources))
            steps.append(draw(changes(source, used, alive[source.table.name], latest_id)))
        if names and draw(st.integers(0, 2)) == 2:
            steps.append(deeds.pop())
        if redefinitions and draw(st.integers(0, 3)) > 0:
            steps.append(Redefine(redefinitions.pop(0)))
        if imported and draw(st.booleans()):
            steps.append(draw(imports(draw(st.sampled_from(imported)), place, closed, sources[0].kinds)))
        closed = draw(st.integers(closed, span))
        steps.append(draw(runs(place, closed)))
    for spec in imported:
        steps.append(draw(imports(spec, place, closed, sources[0].kinds)))
    return tuple(steps)


PAST_DAYS = 45
"""How long before a book history is imported."""


@st.composite
def imports(draw: st.DrawFn, spec: MetricSpec, place: Place, closed: int, kinds: Values) -> Import:
    """Values of days before the book, and of some in it; split by dimensions where they may be added."""
    by = sorted(spec.by) if oracle.adds_up(spec) else []
    dims = tuple(draw(st.sampled_from([tuple(by), tuple(by), (), tuple(by[:1])])))
    first = draw(st.integers(-PAST_DAYS, closed))
    last = draw(st.integers(first, min(closed, first + PAST_DAYS + 3)))
    pools = {"account_id": kinds.pools["account_id"]}
    texts = [text for text in kinds.pools["plan"] if text.strip() == text != ""]
    key = st.tuples(*(st.sampled_from([*pools.get(dim, texts), None]) for dim in dims))
    keys = draw(st.lists(key, min_size=1, max_size=3, unique=True))
    is_count = isinstance(spec.measure, Agg) and spec.measure.fn in ("count", "count_distinct") and not spec.per
    numbers = st.integers(0, 50) if is_count else st.one_of(st.integers(-50, 50), st.sampled_from(["0.5", "12.25"]))
    number, missed = numbers.map(Decimal), draw(st.sets(st.integers(first, last), max_size=4))
    days = [day for day in range(first, last + 1) if day not in missed] or [first]
    values = tuple((place.first + DAY * day, one, draw(number)) for day in days for one in keys)
    return Import(spec.name, dims, values)


@st.composite
def runs(draw: st.DrawFn, place: Place, closed: int) -> Run:
    until = place.first + DAY * closed
    if end_of_day(until, place.timezone) == end_of_day(until + DAY, place.timezone):
        until += DAY  # Samoa left a day out in 2011: it is over the moment it begins
    if draw(st.integers(0, 3)) < 3:
        return Run(until)
    first = draw(st.integers(0, closed))
    last = draw(st.integers(first, closed))
    return Run(until, place.first + DAY * first, place.first + DAY * last)


@st.composite
def changes(
    draw: st.DrawFn, source: Source, used: Collection[str], alive: list[int], latest_id: dict[str, int]
) -> Step:
    name, row = source.table.name, source.row(used)
    what = draw(st.sampled_from(["insert", "change", "delete"])) if alive else "insert"
    if what == "insert":
        rows = draw(st.lists(row, min_size=1, max_size=5))
        numbered = tuple(source.numbered(row, latest_id[name] + i) for i, row in enumerate(rows, 1))
        latest_id[name] += len(rows)
        alive += [row["id"] for row in numbered]
        return Insert(name, numbered)
    chosen = draw(st.sampled_from(alive))
    if what == "change":
        return Change(name, source.numbered(draw(row), chosen))
    alive.remove(chosen)
    return Delete(name, chosen)


# ------------------------------------------------------------------------------------------------- asks


@st.composite
def asks(draw: st.DrawFn, place: Place, closed: date, metrics: dict[str, MetricSpec], texts: Sequence[str]) -> Ask:
    """A question about one to three metrics."""
    size = min(draw(st.sampled_from([1, 1, 1, 1, 2, 3])), len(metrics))
    names = draw(st.lists(st.sampled_from(sorted(metrics)), min_size=size, max_size=size, unique=True))
    shared = sorted(set.intersection(*(dims_of(metrics, name) for name in names)))
    past = PAST_DAYS if any(metrics[name].history for name in names) and draw(st.booleans()) else 0
    first, last = draw(asked_days(replace(place, first=place.first - DAY * past), closed))
    by = draw(breakdowns([*shared, "weekday"] if draw(st.integers(0, 7)) == 7 else shared))
    compare = draw(seldom(COMPARED)) if "weekday" not in by else None
    return Ask(
        metrics=tuple(names),
        scope=draw(st.sampled_from(SCOPES)),
        by=by,
        where=(*(draw(wheres(shared, texts)) if shared else ()), *draw(weekday_filters())),
        from_=first,
        to=last,
        show=draw(shows([metrics[name] for name in names])),
        fill=draw(st.booleans()),
        totals=draw(st.booleans()),
        compare=compare,
        window=draw(seldom(WINDOWS)),
        top=draw(seldom((1, 1, 2, 3))) if by else None,
        week_starts=draw(seldom(("monday", "sunday", "saturday", "wednesday"))),
        having=draw(havings(names, compare)),
    )


COMPARED = (
    *("previous", "previous", "year", "1 month", "1 month", "2 months", "1 year", "1 quarter", "4 weeks", "10 days"),
    "2100 years",
)
WINDOWS = (
    *("1 day", "7 days", "28 days", "2 weeks", "1 month", "2 months", "1 quarter", "all", "week to date"),
    *("month to date", "quarter to date", "year to date", "9999 years"),
)


def seldom(pool: Sequence[Any]) -> st.SearchStrategy[Any]:
    """One of `pool` in a quarter of all cases, else None."""
    return st.integers(0, 3).flatmap(lambda n: st.sampled_from(pool) if n == 3 else st.none())


@st.composite
def havings(draw: st.DrawFn, names: Sequence[str], compare: str | None) -> tuple[tuple[str, str, str], ...]:
    """Conditions on the columns of numbers, seldom."""
    columns = [*names, *(f"{name}_{what}" for name in names for what in ("previous", "change") if compare)]
    one = st.tuples(
        st.sampled_from(columns),
        st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
        st.sampled_from(["0", "1", "-1", "2", "0.5", "-0.25", "12345.678"]),
    )
    return tuple(draw(st.lists(one, max_size=2))) if draw(st.integers(0, 4)) == 4 else ()


MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
    *("november", "december"),
)
FAR = (date.min, date(1900, 1, 1), date(9999, 12, 31), date(2100, 1, 1))


@st.composite
def asked_days(draw: st.DrawFn, place: Place, closed: date) -> tuple[date, date]:
    """Everything that has closed, a part of it, more than there is, or as BI tools ask for all of it."""
    span = (closed - place.first).days
    what = draw(st.sampled_from([*["all", "all", "part", "part", "beyond"] * 3, "far"]))
    if what == "all":
        return place.first, closed
    if what == "far":
        near = [place.first - DAY * 367, place.first - DAY * 366, place.first, closed, closed + DAY * 366]
        ends = draw(st.lists(st.sampled_from([*FAR, *near, closed + DAY * 367]), min_size=2, max_size=2))
        return min(ends), max(ends)
    low, high = (0, span) if what == "part" else (-4, span + 12)
    first = draw(st.integers(low, high))
    return place.first + DAY * first, place.first + DAY * draw(st.integers(first, high))


def breakdowns(dims: Sequence[str]) -> st.SearchStrategy[tuple[str, ...]]:
    """None of the dimensions, some, or all, in any order."""
    some_of = [chosen for size in range(len(dims) + 1) for chosen in permutations(dims, size)]
    return st.sampled_from(sorted(some_of, key=len))


def dims_of(metrics: dict[str, MetricSpec], name: str) -> set[str]:
    spec = metrics[name]
    if spec.kind != DERIVED:
        return set(spec.by)
    return set.intersection(*(dims_of(metrics, ref.metric) for ref in leaves_of(spec.measure, Ref)))


@st.composite
def shows(draw: st.DrawFn, chosen: Sequence[MetricSpec]) -> Any:
    """Mostly one that makes sense; the refused ones seldom."""
    if draw(st.integers(0, 3)) == 0 or any(spec.kind in (DERIVED, "uniques") for spec in chosen):
        return None
    if draw(st.integers(0, 9)) == 9:
        return draw(st.sampled_from(SHOWS))
    kinds = {spec.kind for spec in chosen}
    sensible = ["last", "first", "min", "max"]
    sensible += ["change", "change", "change", "average"] if kinds == {"level"} else []
    sensible += ["total"] if kinds == {"flow"} else []
    if "flow" in kinds and all(spec.kind != "flow" or adds_up(spec) for spec in chosen):
        sensible += ["average", "average"]
    return draw(st.sampled_from(sensible))


def of_one_measure(metrics: dict[str, MetricSpec], declared: Sequence[MetricSpec]) -> dict[str, MetricSpec]:
    """The metrics that have the same measure under each of their definitions."""
    measures_of = {name: {spec.measure for spec in declared if spec.name == name} for name in metrics}
    return {name: spec for name, spec in metrics.items() if len(measures_of[name]) == 1}


def adds_up(spec: MetricSpec) -> bool:
    try:
        return spec.linear
    except Undecided:
        return False


def weekday_filters() -> st.SearchStrategy[tuple[tuple[str, str, str | None], ...]]:
    """Conditions on the weekday, seldom."""
    one = st.tuples(st.just("weekday"), st.sampled_from(["=", "=", "!="]), st.sampled_from(oracle.WEEKDAYS))
    return st.integers(0, 11).flatmap(
        lambda n: st.lists(one, min_size=1, max_size=2).map(tuple) if n == 11 else st.just(())
    )


def fiscals(week_starts: str) -> st.SearchStrategy[Fiscal | None]:
    """A fiscal calendar in a third of all books."""
    months, weeks = st.integers(1, 12), st.sampled_from(["", "4-4-5", "4-5-4", "5-4-4"])
    fiscal = st.builds(Fiscal, months, weeks, st.just(oracle.WEEKDAYS.index(week_starts)))
    return st.integers(0, 2).flatmap(lambda n: fiscal if n == 2 else st.none())


@st.composite
def wheres(draw: st.DrawFn, dims: Sequence[str], texts: Sequence[str]) -> tuple[tuple[str, str, str | None], ...]:
    """Conditions on dimensions: `plan=` means null, `plan=""` the empty text."""
    found = []
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2, 3]))):
        dim = draw(st.sampled_from(dims))
        pool = [str(n) for n in ACCOUNTS[:4]] if dim == "account_id" else list(texts)
        value = draw(st.sampled_from([None, *pool, "no such value"]))
        found.append((dim, draw(st.sampled_from(["=", "!="])), value))
    return tuple(found)


@st.composite
def goals(draw: st.DrawFn, metrics: dict[str, MetricSpec], texts: Sequence[str]) -> tuple[GoalSpec, ...]:
    """Up to three goals, in a third of all worlds."""
    found = []
    able = sorted(n for n, spec in metrics.items() if spec.kind != DERIVED and not (spec.unit_from or spec.history))
    for number in range(draw(st.sampled_from([0, 0, 2, 3])) if able else 0):
        spec = metrics[draw(st.sampled_from(able))]
        level = ["last", "average", "first", "change", "max"]
        flow = ["total", "max", "min", "last", *(["average"] if adds_up(spec) else [])]
        shows = {"level": level, "flow": flow}.get(spec.kind, [])
        goal = GoalSpec(
            name=f"g{number}",
            metric=spec.name,
            scope=draw(st.sampled_from(["week", "week", "month", "month", "quarter", "year"])),
            target=draw(st.sampled_from(["0", "1", "3", "10", "0.5", "-2", "500"])),
            where=draw(wheres(sorted(spec.by), texts)) if spec.by and draw(st.booleans()) else (),
            show=draw(st.sampled_from([None, None, *shows])),
            at_most=draw(st.integers(0, 2)) == 2,
        )
        found.append(goal)
    return tuple(found)


# ------------------------------------------------------------------------------------------------ worlds


@dataclass(frozen=True, repr=False)
class World:
    """One example; see the module's docstring."""

    dialect: Dialect
    book: BookSpec
    start: date
    lookback: int
    tables: dict[str, Table]
    metrics: dict[str, MetricSpec]
    steps: tuple[Step, ...]
    asks: tuple[Ask, ...]
    goals: tuple[GoalSpec, ...] = ()
    closing: timedelta = field(default=timedelta(seconds=1))
    """How long after the end of a day the book runs."""

    def toml(self, url: str, *, old: Collection[str] = (), renamed: Collection[str] = (), store: str = "") -> str:
        """The whole `tallybook.toml`. `old`: metrics that have the name of before; `renamed`: those that had it until
        the last run; `store`: where the book was moved to."""
        head = [
            "[book]",
            'name = "Judged"',
            f'timezone = "{self.book.timezone}"',
            f'week_starts = "{self.book.week_starts}"',
            *self.fiscal_toml(),
            f'start = "{self.start}"',
            f'lookback = "{self.lookback}d"',
            *([f'store = "{store}"'] if store else []),
            "",
            "[sources.app]",
            f'url = "{url}"',
            "",
        ]
        shown = [name for name in self.metrics if not self.made_of(name) & set(old)]
        goals = [goal.toml() for goal in self.goals if goal.metric in set(shown) - set(old)]
        return "\n".join([*head, *(self.metric_toml(name, old=old, renamed=renamed) for name in shown), *goals])

    def goal_days(self, closed: date) -> list[date]:
        """The days on which its goals are looked at: the last one, and two before."""
        return sorted({closed, self.start + (closed - self.start) // 2, max(self.start, closed - DAY * 9)})

    def made_of(self, name: str) -> set[str]:
        """The metrics that a derived one is made of."""
        return {ref.metric for ref in leaves_of(self.metrics[name].measure, Ref)}

    def fiscal_toml(self) -> list[str]:
        """The keys of a fiscal calendar."""
        fiscal = self.book.fiscal
        if fiscal is None:
            return []
        month = f'fiscal_year_starts = "{MONTH_NAMES[fiscal.month - 1]}"'
        return [month, *([f'calendar = "{fiscal.weeks}"'] if fiscal.weeks else [])]

    def metric_toml(self, name: str, *, old: Collection[str] = (), renamed: Collection[str] = ()) -> str:
        spec = self.metrics[name]
        if name in old:
            spec = replace(spec, name=f"was_{name}")
        text = spec.toml(self.tables.get(spec.table), self.dialect)
        return text + (f'renamed_from = "was_{name}"\n' if name in renamed else "")

    def __repr__(self) -> str:
        rows = sum(len(table.rows) for table in self.tables.values())
        return f"<a world of {len(self.metrics)} metrics, {rows} rows and {len(self.asks)} questions>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis shows it."""
        printer.text(repr(self))

    def story(self) -> str:
        """All of it, to be read."""
        tables = [f"table {table.name}: {described(table)}" for table in self.tables.values()]
        steps = [f"  {number}. {told(step)}" for number, step in enumerate(self.steps, 1)]
        asked = [f"  {ask.command()}" for ask in self.asks]
        return "\n".join([self.toml("…"), *tables, "then", *steps, "asked", *asked])


@dataclass
class Life:
    """A world after some of its steps: its tables, and how they were when each day was collected last."""

    world: World
    tables: dict[str, Table]
    specs: dict[str, MetricSpec]
    """The metrics as they are declared now."""
    believed: dict[str, dict[date, Tables]]
    closed: date
    shelved: dict[str, list[tuple[MetricSpec, dict[date, Tables]]]] = field(default_factory=dict)
    """The days of each metric that were collected under other definitions than that of now."""
    judges: dict[bool, Judge] = field(default_factory=dict)
    clock: datetime | None = None
    """When the last run began."""
    followed: dict[MetricSpec, datetime] = field(default_factory=dict)
    """Since when what is written was not looked for, of each definition that follows changes."""
    old: set[str] = field(default_factory=set)
    renamed: set[str] = field(default_factory=set)
    store: str = ""
    imported: dict[str, oracle.Imported] = field(default_factory=dict)
    """What was imported last of each metric."""
    files: dict[tuple[str, tuple[str, ...]], dict[tuple[date, oracle.Key], Decimal]] = field(default_factory=dict)
    """All that was imported, by metric and dimensions."""

    @classmethod
    def begun(cls, world: World) -> Life:
        names = [name for name, spec in world.metrics.items() if spec.kind != DERIVED]
        life = cls(world, {}, dict(world.metrics), {name: {} for name in names}, world.start)
        life.old = {step.metric for step in world.steps if isinstance(step, Rename)}
        life.tables = {
            name: replace(t, rows=[life.stamped(t, row) for row in t.rows]) for name, t in world.tables.items()
        }
        return life

    def stamped(self, table: Table, row: Row) -> Row:
        """A row with the time at which it is written: an hour and a half after the last run."""
        if all(column.name != WRITTEN for column in table.columns):
            return row
        before = end_of_day(self.world.start, self.world.book.timezone) - DAY * 3
        moment = (self.clock or before) + timedelta(hours=1.5)
        kind = table.column(WRITTEN).type
        value = int(moment.timestamp()) if kind == "epoch_s" else moment
        return {**row, WRITTEN: moment.replace(tzinfo=None) if kind == "timestamp" else value}

    def dated(self, step: Step) -> Step:
        """A step whose rows have the time at which they are written."""
        if isinstance(step, Insert):
            table = self.tables[step.table]
            return replace(step, rows=tuple(self.stamped(table, row) for row in step.rows))
        return replace(step, row=self.stamped(self.tables[step.table], step.row)) if isinstance(step, Change) else step

    def at(self, step: Run) -> datetime:
        """When the book runs: once the day is over, and four hours after the run before."""
        over = end_of_day(step.closed, self.world.book.timezone) + self.world.closing
        return over if self.clock is None else max(over, self.clock + timedelta(hours=4))

    def take(self, step: Step) -> None:
        self.judges = {}
        if isinstance(step, Run):
            self.run(step)
        elif isinstance(step, Rename):
            self.rename(step.metric)
        elif isinstance(step, Forget):
            self.forget(step.metric)
        elif isinstance(step, Import):
            self.import_(step)
        elif isinstance(step, Redefine):
            self.redefine(step.spec)
        elif isinstance(step, Move):
            self.move(step.folder)
        else:
            self.write(self.dated(step))

    def run(self, step: Run) -> None:
        now = self.at(step)
        for name, days in self.believed.items():
            again = self.late(name, step, now)
            due = collected(step, self.world, days, self.older(name))
            days.update(dict.fromkeys([*due, *again], self.tables))
        self.clock, self.closed = now, step.closed
        self.renamed.clear()

    def late(self, name: str, step: Run, now: datetime) -> list[date]:
        """The collected days of which facts were written since the last run looked, less an hour."""
        spec, days = self.specs[name], self.believed[name]
        if not spec.changed or (days and step.from_):
            return []
        since, self.followed[spec] = self.followed.get(spec), now - timedelta(hours=1)
        if not days or since is None:
            return []
        table = self.tables[spec.table]
        written, time_column = table.column(spec.changed), table.column(spec.time or spec.from_)
        moments = [
            time_column.moment(row[time_column.name])
            for row in table.rows
            if row[time_column.name] is not None and written.moment(row[WRITTEN]) >= since
        ]
        found = {oracle.day_of(moment, self.world.book.timezone) for moment in moments}
        if spec.shape == "interval" and found:
            found = set(days_between(min(found), max(days)))
        return sorted(found & set(days))

    def rename(self, name: str) -> None:
        """The numbers stay."""
        self.old.discard(name)
        self.renamed.add(name)

    def forget(self, name: str) -> None:
        self.believed[name] = {}
        self.shelved.pop(name, None)
        self.followed = {spec: since for spec, since in self.followed.items() if spec.name != name}
        self.imported.pop(name, None)
        self.files = {own: values for own, values in self.files.items() if own[0] != name}

    def import_(self, step: Import) -> None:
        """The days of the file take the place of what was imported for them by the same dimensions."""
        days, own = {day for day, *_ in step.values}, (step.metric, step.dims)
        kept = {point: value for point, value in self.files.get(own, {}).items() if point[0] not in days}
        self.files[own] = kept | {(day, key): value for day, key, value in step.values}
        self.imported[step.metric] = oracle.Imported(step.dims, self.files[own])

    def redefine(self, spec: MetricSpec) -> None:
        """The days of the definition of before stay where they are, and answer no more until it is back."""
        name = spec.name
        shelf = [(self.specs[name], self.believed[name]), *self.shelved.get(name, [])]
        self.specs[name] = spec
        self.believed[name] = next((days for other, days in shelf if other == spec), {})
        self.shelved[name] = [(other, days) for other, days in shelf if other != spec]

    def older(self, name: str) -> set[date]:
        """The days that are collected under other definitions alone."""
        return {day for _, days in self.shelved.get(name, []) for day in days} - set(self.believed[name])

    def move(self, folder: str) -> None:
        """The book stays as it is."""
        self.store = folder

    def declared(self, name: str) -> str:
        """The name under which the metric is declared now."""
        return f"was_{name}" if name in self.old else name

    def toml(self, url: str) -> str:
        """The `tallybook.toml` of now."""
        now = replace(self.world, metrics=self.specs)
        return now.toml(url, old=self.old, renamed=self.renamed, store=self.store)

    def write(self, step: Insert | Change | Delete) -> None:
        table = self.tables[step.table]
        rows = list(table.rows)
        if isinstance(step, Insert):
            rows += step.rows
        elif isinstance(step, Change):
            rows = [step.row if row["id"] == step.row["id"] else row for row in rows]
        else:
            rows = [row for row in rows if row["id"] != step.id]
        self.tables = {**self.tables, step.table: replace(table, rows=rows)}

    def judge(self, *, live: bool = False) -> Judge:
        """The judge of what was collected so far; `live`, as if every closed day had just been collected."""
        if live not in self.judges:
            world, closed_days = self.world, set(days_between(self.world.start, self.closed))
            covered: Covered = dict.fromkeys(self.believed, closed_days) if live else self.believed
            imported = {} if live else self.imported
            self.judges[live] = Judge(world.book, dict(self.specs), self.tables, covered, self.closed, imported)
        return self.judges[live]

    def past(self) -> Past:
        """What was collected so far, that stays as it is when more is."""
        known = {(name, self.specs[name]): dict(days) for name, days in self.believed.items()}
        known |= {(name, spec): dict(days) for name, shelf in self.shelved.items() for spec, days in shelf}
        return Past(self.world.book, self.tables, known, self.closed, dict(self.imported))


@dataclass(frozen=True)
class Past:
    """What was collected until a day, under every definition."""

    book: BookSpec
    tables: Tables
    known: dict[tuple[str, MetricSpec], dict[date, Tables]]
    closed: date
    imported: dict[str, oracle.Imported]

    def judge(self, specs: dict[str, MetricSpec]) -> Judge:
        """The judge of then, asked about the definitions of now."""
        bases = [name for name, spec in specs.items() if spec.kind != DERIVED]
        covered: Covered = {name: self.known.get((name, specs[name]), {}) for name in bases}
        return Judge(self.book, dict(specs), self.tables, covered, self.closed, self.imported)

    def without(self, name: str) -> Past:
        """What was collected of other metrics."""
        known = {own: days for own, days in self.known.items() if own[0] != name}
        return replace(self, known=known, imported={n: found for n, found in self.imported.items() if n != name})


def collected(step: Run, world: World, covered: dict[date, Tables], older: Collection[date] = ()) -> list[date]:
    """The days that a run collects: those it is told, or else all closed ones that were never collected, and
    the last `lookback` of the day that closed after the newest of the others: after a pause it looks again as the
    runs would have that were skipped. Of days that are collected under another definition alone (`older`) it
    collects those of the lookback."""
    if step.from_ is not None:
        assert step.to is not None
        return days_between(step.from_, step.to)
    recent = step.closed - DAY * world.lookback
    skipped_first = min(step.closed, max(covered, default=step.closed) + DAY)
    again = skipped_first - DAY * world.lookback
    due = {
        day: day > again if day in covered else day not in older or day > recent
        for day in days_between(world.start, step.closed)
    }
    return [day for day, is_due in due.items() if is_due]


def described(table: Table) -> str:
    columns = ", ".join(f"{c.name} {c.type}{c.scale if c.type == 'decimal' else ''}" for c in table.columns)
    return "\n".join([columns, *(f"  {row_text(row)}" for row in table.rows)])


def row_text(row: Row) -> str:
    """What is not null in a row."""
    return " ".join(f"{name}={value_text(value)}" for name, value in row.items() if value is not None)


def value_text(value: Any) -> str:
    return str(value) if isinstance(value, date | Decimal) else repr(value)


def told(step: Step) -> str:
    """A step of a history in words."""
    if isinstance(step, Insert):
        return f"into {step.table}: " + "; ".join(map(row_text, step.rows))
    if isinstance(step, Change):
        return f"changed in {step.table}: {row_text(step.row)}"
    if isinstance(step, Delete):
        return f"deleted from {step.table}: {step.id}"
    if isinstance(step, Rename):
        return f"was_{step.metric} is now called {step.metric}"
    if isinstance(step, Forget):
        return f"forgotten: {step.metric}"
    if isinstance(step, Redefine):
        where = step.spec.where.sql("duckdb") if step.spec.where else "nothing"
        return f"defined again: {step.metric} is {step.spec.measure.sql('duckdb')} where {where}"
    if isinstance(step, Move):
        return f"moved to {step.folder}"
    if isinstance(step, Import):
        return f"tallybook import {step.metric}: " + step.csv().replace("\r\n", "; ")
    days = f" --from {step.from_} --to {step.to}" if step.from_ else ""
    return f"when {step.closed} has closed: tallybook run{days}"


@st.composite
def with_units(draw: st.DrawFn, metrics: dict[str, MetricSpec], dims: Sequence[str]) -> dict[str, MetricSpec]:
    """Seldom, one dimension holds the units of some of the metrics that have it."""
    if draw(st.integers(0, 5)) < 5 or not dims:
        return metrics
    unit = draw(st.sampled_from(sorted(dims)))
    return {
        name: replace(spec, unit_from=unit) if unit in spec.by and draw(st.booleans()) else spec
        for name, spec in metrics.items()
    }


@st.composite
def with_history(draw: st.DrawFn, metrics: dict[str, MetricSpec]) -> dict[str, MetricSpec]:
    """In a third of all worlds, values of some of the metrics are imported."""
    if draw(st.integers(0, 2)) < 2:
        return metrics
    able = {name for name, spec in metrics.items() if can_be_imported(spec)}
    return {name: replace(spec, history=name in able and draw(st.booleans())) for name, spec in metrics.items()}


def can_be_imported(spec: MetricSpec) -> bool:
    """Whether the words of the documentation say what imported values of a metric answer."""
    try:
        oracle.adds_up(spec)
    except Undecided:
        return False
    return spec.kind in ("flow", "level") and not spec.unit_from


@st.composite
def redefinitions(draw: st.DrawFn, metrics: dict[str, MetricSpec], dialect: Dialect) -> list[MetricSpec]:
    """In half of all worlds: other definitions of some of the metrics, in the order in which they are declared. One that
    was declared before may be back."""
    able = [spec for spec in metrics.values() if spec.kind != DERIVED]
    found: list[MetricSpec] = []
    known = {spec.name: [spec] for spec in able}
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 3]))):
        before = draw(st.sampled_from(able))
        now = next((spec for spec in reversed(found) if spec.name == before.name), before)
        back = [spec for spec in known[before.name] if spec != now]
        if back and draw(st.booleans()):
            found.append(draw(st.sampled_from(back)))
            continue
        taken = [spec.where for spec in known[before.name]]
        where = draw(st.sampled_from([one for one in (None, *PREDICATES) if one not in taken]))
        spec = replace(before, where=where)
        if not (spec.history or spec.unit_from or spec.kind == "uniques") and draw(st.integers(0, 2)) == 2:
            by_time = spec.shape in ("facts", "daily")
            spec = replace(spec, measure=draw(measures(dialect, by_time=by_time)))
        known[before.name].append(spec)
        found.append(spec)
    return found


@st.composite
def with_joins(draw: st.DrawFn, metrics: dict[str, MetricSpec]) -> dict[str, MetricSpec]:
    """Some of the metrics have dimensions of the joined accounts, and conditions on them."""
    found = dict(metrics)
    for name, spec in metrics.items():
        if spec.shape != "daily_aggregate" and draw(st.integers(0, 2)) > 0:
            where = draw(st.sampled_from([spec.where, spec.where, Pred("region", "is not null")]))
            found[name] = replace(spec, join=ACCOUNTS_TABLE, by=(*spec.by, "tier"), where=where)
    return found


@st.composite
def worlds(draw: st.DrawFn, dialect: Dialect, *, whole: bool = True) -> World:
    """`whole`: also with joins, `changed`, goals, renamed and forgotten metrics, and books that move."""
    timezone = draw(st.sampled_from(ZONES))
    place = Place(dialect, timezone, *draw(ranges(timezone)))
    kinds = draw(values())
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=2, unique=True))
    found = [draw(sources(shape, place, kinds, whole=whole)) for shape in shapes]
    dims = draw(st.sampled_from(DIMS))
    chosen: dict[str, MetricSpec] = {}
    for number in range(1, draw(st.integers(1, 7)) + 1):
        spec = draw(metrics(draw(st.sampled_from(found)), f"m{number}", dims))
        chosen[spec.name] = spec
    chosen = draw(with_units(chosen, dims))
    if whole and draw(st.integers(0, 3)) == 3:
        chosen = draw(with_joins(chosen))
        found += [accounts_source(place, kinds)] if any(spec.join for spec in chosen.values()) else []
    chosen = draw(with_history(chosen)) if whole else chosen
    imported = [spec for spec in chosen.values() if spec.history]
    later = draw(redefinitions(chosen, dialect)) if whole else []
    used = {name for spec in (*chosen.values(), *later) for name in columns_shown(spec)} | {"account_id"}
    tables = {source.table.name: draw(source.filled(used)) for source in found}
    steps = draw(histories(place, found, tables, used, list(chosen) if whole else [], imported, later))
    last = chosen | {step.metric: step.spec for step in steps if isinstance(step, Redefine)}
    closed = max(step.closed for step in steps if isinstance(step, Run))
    if draw(st.integers(0, 2)) == 2:
        last["made"] = chosen["made"] = draw(derived("made", list(chosen.values())))
    week_starts = draw(st.sampled_from(["monday", "sunday", "saturday"]))
    question = asks(place, closed, last, kinds.pools["plan"])
    return World(
        dialect=dialect,
        book=BookSpec(timezone, week_starts, draw(fiscals(week_starts))),
        start=place.first,
        lookback=draw(st.sampled_from([3, 3, 0, 1, 400])),
        tables=tables,
        metrics=chosen,
        steps=steps,
        asks=tuple(draw(st.lists(question, min_size=8, max_size=18))),
        closing=draw(st.sampled_from([timedelta(seconds=1), timedelta(0), timedelta(hours=5)])),
        goals=draw(goals(of_one_measure(last, (*chosen.values(), *later)), kinds.pools["plan"])) if whole else (),
    )


# ------------------------------------------------------------------------------------- smaller worlds


def smaller(world: World) -> Iterator[World]:
    """Worlds that are a little less than `world`, boldest first."""
    yield from (replace(world, asks=(ask,)) for ask in world.asks if len(world.asks) > 1)
    yield from (replace(world, goals=tuple(fewer)) for fewer in shorter(world.goals))
    yield from fewer_metrics(world)
    yield from fewer_steps(world)
    for table in world.tables.values():
        for rows in shorter(table.rows):
            yield with_table(world, replace(table, rows=rows))
    yield from simpler_asks(world)
    yield from simpler_metrics(world)
    for table in world.tables.values():
        for column in columns_that_can_go(world, table):
            yield with_table(world, replace(table, rows=[{**row, column: None} for row in table.rows]))


def shorter(items: Sequence[Any]) -> Iterator[list[Any]]:
    """`items` without a half, a quarter, … one of them."""
    size = len(items)
    while size:
        for begin in range(0, len(items), size):
            yield [*items[:begin], *items[begin + size :]]
        size //= 2


def fewer_metrics(world: World) -> Iterator[World]:
    asked = {name for ask in world.asks for name in ask.metrics}
    asked |= {goal.metric for goal in world.goals}
    used = asked | {ref.metric for name in asked for ref in leaves_of(world.metrics[name].measure, Ref)}
    if used < set(world.metrics):
        own = tuple(step for step in world.steps if getattr(step, "metric", min(used)) in used)
        yield replace(world, metrics={name: spec for name, spec in world.metrics.items() if name in used}, steps=own)
    tables = {table for name in used for table in (world.metrics[name].table, world.metrics[name].join)} - {""}
    if tables < set(world.tables):
        kept = {name: table for name, table in world.tables.items() if name in tables}
        written = (Insert, Change, Delete)
        steps = tuple(step for step in world.steps if not isinstance(step, written) or step.table in tables)
        if all(spec.table in tables or spec.kind == DERIVED for spec in world.metrics.values()):
            yield replace(world, tables=kept, steps=steps)


def fewer_steps(world: World) -> Iterator[World]:
    for number, step in enumerate(world.steps):
        steps = world.steps[:number] + world.steps[number + 1 :]
        if any(isinstance(step, Run) for step in steps):
            yield replace(world, steps=steps)
        if isinstance(step, Import):
            for values in shorter(step.values):
                part = replace(step, values=tuple(values))
                if values:
                    yield replace(world, steps=(*world.steps[:number], part, *world.steps[number + 1 :]))
        if isinstance(step, Insert):
            for rows in shorter(step.rows):
                fewer = replace(step, rows=tuple(rows))
                yield replace(world, steps=(*world.steps[:number], fewer, *world.steps[number + 1 :]))


def simpler_asks(world: World) -> Iterator[World]:
    """Of a world with one question."""
    if len(world.asks) != 1:
        return
    (ask,) = world.asks
    simpler = [replace(ask, metrics=(name,)) for name in ask.metrics if len(ask.metrics) > 1]
    simpler += [replace(ask, by=tuple(by)) for by in shorter(ask.by)]
    simpler += [replace(ask, where=tuple(where)) for where in shorter(ask.where)]
    simpler += [replace(ask, having=tuple(having)) for having in shorter(ask.having)]
    simpler += [replace(ask, **{switch: False}) for switch in ("fill", "totals") if getattr(ask, switch)]
    words = ("compare", "window", "top", "week_starts", "show")
    simpler += [replace(ask, **{word: None}) for word in words if getattr(ask, word) is not None]
    if ask.from_ < ask.to:
        half = (ask.to - ask.from_) // 2
        simpler += [replace(ask, to=ask.from_ + half), replace(ask, from_=ask.from_ + half + DAY)]
        simpler += [replace(ask, to=ask.to - DAY), replace(ask, from_=ask.from_ + DAY)]
    yield from (replace(world, asks=(one,)) for one in simpler)


def simpler_metrics(world: World) -> Iterator[World]:
    for name, spec in world.metrics.items():
        simpler = [replace(spec, measure=part) for part in parts_of(spec.measure) if spec.kind != DERIVED]
        simpler += [replace(spec, where=None)] if spec.where else []
        simpler += [replace(spec, per="", then="")] if spec.per else []
        simpler += [replace(spec, changed="")] if spec.changed else []
        simpler += [replace(spec, carry=None)] if spec.carry else []
        if spec.join:
            where = None if spec.where == Pred("region", "is not null") else spec.where
            simpler.append(replace(spec, join="", by=tuple(dim for dim in spec.by if dim != "tier"), where=where))
        simpler += [replace(spec, by=tuple(by)) for by in shorter(spec.by)]
        if isinstance(spec.measure, Agg) and spec.measure.where:
            simpler.append(replace(spec, measure=replace(spec.measure, where=None)))
        for one in simpler:
            if leaves_of(one.measure, Agg) or spec.kind == DERIVED:
                yield replace(world, metrics={**world.metrics, name: one})


def with_table(world: World, table: Table) -> World:
    return replace(world, tables={**world.tables, table.name: table})


def columns_that_can_go(world: World, table: Table) -> list[str]:
    """The columns without which rows still mean something."""
    kept = {"id", "received"} | {column.name for column in table.columns if column.is_time}
    return [
        column.name
        for column in table.columns
        if column.name not in kept and any(row[column.name] is not None for row in table.rows)
    ]
