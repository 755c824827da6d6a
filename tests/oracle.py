"""The independent judge of our numbers: what a question's right answer is, from the raw rows.

Nothing of `tallybook` is imported here, and nothing clever is done: days are gone through one by one, numbers
are exact fractions, nothing is merged. It follows DESIGN.md §4 and §11; `test_oracle.py` checks it against
small examples worked out by hand.

    rows = answer(BookSpec("Europe/Berlin"), metrics, tables, ask, covered, closed_until=date(2026, 3, 31))
    print("\\n".join(differences(rows, book.query(...).rows(), ask)))

Three ways not to answer: `Refusal` (the question has no right answer, and the book must refuse it too),
`Undecided` (neither DESIGN nor its owner says what is right: tests leave such a question out), and a `Value`
that is `free` (the answer hangs on the last bit of a float: anything goes).
"""

from __future__ import annotations

import operator
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache, cached_property
from itertools import pairwise, product
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tests.oracle_days import (
    Days,
    Fiscal,
    compared_days,
    days_before,
    fiscal_compared,
    fiscal_start,
    meets,
    of_weekdays,
    window_start,
)

Dialect = Literal["sqlite", "duckdb", "postgresql", "mysql"]
Scope = Literal["day", "week", "month", "quarter", "year", "all"]
Show = Literal["total", "average", "last", "first", "min", "max", "change"]
Row = dict[str, Any]
Key = tuple[Any, ...]

DAY = timedelta(days=1)
SCOPES: tuple[Scope, ...] = ("day", "week", "month", "quarter", "year", "all")
SHOWS: tuple[Show, ...] = ("total", "average", "last", "first", "min", "max", "change")
DERIVED = "derived"

FLOAT = Fraction(1, 10**12)
"""How far a float may be off, of Σ|x|."""
ROUNDING = Fraction(1, 10**14)
"""What a few roundings of an exact number to the nearest float may cost, of its size."""
TINY = Fraction(1, 10**290)
"""Below it floats lose digits, and in the end are 0."""
EXACT_VALUES = 1000
"""A (day, series) cell with more different values answers percentiles from buckets."""
BUCKET = Fraction(1, 100)
EXACT_LIMIT = 10**28
"""Exact numbers from here on do not fit DECIMAL(38,10) and are null."""
PRODUCT = Fraction(1, 10**10)
"""Exact products are rounded to so many digits after the point."""
GAP_DAYS = 366
"""Days so far outside of what is collected are shown as gaps; a bound further away is an open end."""


class Refusal(Exception):
    """The question has no right answer: the book must refuse it."""


class Undecided(Exception):
    """Nobody has said what the right answer is: nothing can be judged."""


# ------------------------------------------------------------------------------------------------ rows


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column. `type` is what it means:

    int, bigint, decimal (with precision and scale), float, text, bool
    timestamp        a naive datetime in UTC               timestamptz  an aware datetime
    timestamp_local  a naive datetime by the book's clock  date         a plain date
    epoch_s, epoch_ms  whole seconds or milliseconds since 1970
    """

    name: str
    type: str
    precision: int = 18
    scale: int = 0
    real: bool = False
    """A decimal that its database keeps as a float (SQLite): its sums are exact, single values nearly so."""
    form: str = " "
    """What stands between date and time where times are text: ' ' or 'T'."""

    @property
    def is_time(self) -> bool:
        return self.type in STORED

    def moment(self, value: Any) -> Any:
        """`value` as an instant, or as a naive local datetime, or as a date."""
        if self.type == "timestamp":
            return value.replace(tzinfo=UTC)
        if self.type == "epoch_s":
            return datetime.fromtimestamp(value, UTC)
        if self.type == "epoch_ms":
            return datetime.fromtimestamp(value // 1000, UTC) + timedelta(milliseconds=value % 1000)
        return value


STORED = {
    "timestamp": None,
    "timestamptz": None,
    "timestamp_local": "local",
    "date": None,
    "epoch_s": "epoch_s",
    "epoch_ms": "epoch_ms",
}
"""Column types that hold times, and the `stored` that is declared for them where databases have the type."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows as they are in the database. Each has an `id`, which no other row has or had."""

    name: str
    columns: tuple[Column, ...]
    rows: list[Row]

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


Tables = Mapping[str, Table]

# --------------------------------------------------------------------------- what stands in the measure

Expression = str | tuple[str, Any, Any]
"""A column's name, or (op, left, right) with op one of + - * and numbers as ints."""

RESERVED = {"group", "order", "select", "from", "until", "to", "at", "day", "key", "values"}


def quoted(name: str, dialect: Dialect) -> str:
    """`name` as an identifier."""
    if name not in RESERVED and re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return name
    mark = "`" if dialect == "mysql" else '"'
    return f"{mark}{name}{mark}"


def literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def columns_of(expression: Expression) -> set[str]:
    """The columns that `expression` reads."""
    if isinstance(expression, str):
        return {expression}
    return {name for side in expression[1:] if not isinstance(side, int) for name in columns_of(side)}


def expression_sql(expression: Expression | int, dialect: Dialect) -> str:
    if isinstance(expression, int):
        return str(expression)
    if isinstance(expression, str):
        return quoted(expression, dialect)
    op, left, right = expression
    return f"{expression_sql(left, dialect)} {op} {expression_sql(right, dialect)}"


def evaluated(expression: Expression | int, row: Row) -> Any:
    """The expression's value in `row`; None when any of its columns is null."""
    if isinstance(expression, int):
        return Fraction(expression)
    if isinstance(expression, str):
        return row[expression]
    op, *sides = expression
    left, right = (evaluated(side, row) for side in sides)
    if left is None or right is None:
        return None
    return OPERATORS[op](Fraction(left), Fraction(right))


COMPARISONS = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Pred:
    """`column op const`, or `column is [not] null`."""

    column: str
    op: str
    const: Any = None

    def sql(self, dialect: Dialect) -> str:
        end = "" if self.op.startswith("is ") else f" {literal(self.const)}"
        return f"{quoted(self.column, dialect)} {self.op}{end}"

    def holds(self, row: Row) -> bool | None:
        """True, False, or None where SQL does not know."""
        value = row[self.column]
        if self.op == "is null":
            return value is None
        if self.op == "is not null":
            return value is not None
        if value is None:
            return None
        return bool(COMPARISONS[self.op](value, self.const))


@dataclass(frozen=True)
class And:
    left: Pred
    right: Pred

    def sql(self, dialect: Dialect) -> str:
        return f"({self.left.sql(dialect)} and {self.right.sql(dialect)})"

    def holds(self, row: Row) -> bool | None:
        known = (self.left.holds(row), self.right.holds(row))
        return False if False in known else None if None in known else True


@dataclass(frozen=True)
class Or:
    left: Pred
    right: Pred

    def sql(self, dialect: Dialect) -> str:
        return f"({self.left.sql(dialect)} or {self.right.sql(dialect)})"

    def holds(self, row: Row) -> bool | None:
        known = (self.left.holds(row), self.right.holds(row))
        return True if True in known else None if None in known else False


Predicate = Pred | And | Or


SAMP = {"stddev": "stddev_samp", "variance": "var_samp"}


@dataclass(frozen=True)
class Agg:
    """One aggregate. `fn` is count, sum, avg, min, max, first, last, stddev, variance, count_distinct,
    sum_distinct, avg_distinct or quantile; `args` are empty for count(*); `q` is text, as it is written."""

    fn: str
    args: tuple[Expression, ...] = ()
    where: Predicate | None = None
    q: str = "0.5"
    spelling: str = ""
    """Another way to write the same: 'case' for the filter; 'median', 'p', 'percentile_cont' for quantiles;
    'desc' for the one in descending order; 'disc' for the discrete one; 'samp' for stddev_samp and var_samp."""

    def sql(self, dialect: Dialect) -> str:
        if self.where is not None and self.spelling == "case":
            then = expression_sql(self.args[0], dialect) if self.args else "1"
            inner = f"case when {self.where.sql(dialect)} then {then} end"
            return self.call(inner)
        inner = ", ".join(expression_sql(argument, dialect) for argument in self.args)
        end = f" filter (where {self.where.sql(dialect)})" if self.where is not None else ""
        return self.call(inner) + end

    def call(self, inner: str) -> str:
        if self.fn == "quantile":
            return self.quantile_call(inner)
        if self.fn.endswith("_distinct"):
            return f"{self.fn.removesuffix('_distinct')}(distinct {inner})"
        if self.spelling == "samp":
            return f"{SAMP[self.fn]}({inner})"
        return f"{self.fn}({inner or '*'})"

    def quantile_call(self, inner: str) -> str:
        if self.spelling == "median":
            return f"median({inner})"
        if self.spelling == "disc":
            return f"quantile_disc({inner}, {self.q})"
        if self.spelling in ("percentile_cont", "desc"):
            return f"percentile_cont({self.q}) within group (order by {inner}{' desc' * (self.spelling == 'desc')})"
        if self.spelling == "p":
            hundredths = f"{Decimal(self.q) * 100:f}".rstrip("0").rstrip(".").replace(".", "_")
            return f"p{hundredths}({inner})"
        return f"quantile({inner}, {self.q})"


@dataclass(frozen=True)
class Num:
    text: str

    def sql(self, dialect: Dialect) -> str:
        return self.text


@dataclass(frozen=True)
class Op:
    op: str
    left: Measure
    right: Measure

    def sql(self, dialect: Dialect) -> str:
        return f"({self.left.sql(dialect)} {self.op} {self.right.sql(dialect)})"


@dataclass(frozen=True)
class Call:
    """coalesce(a, b), nullif(a, number), round(a), round(a, digits), abs(a)."""

    fn: str
    args: tuple[Measure, ...]

    def sql(self, dialect: Dialect) -> str:
        return f"{self.fn}({', '.join(argument.sql(dialect) for argument in self.args)})"


@dataclass(frozen=True)
class Case:
    """`case when left > number then … [else …] end`."""

    left: Measure
    number: Num
    then: Measure
    otherwise: Measure | None = None

    def sql(self, dialect: Dialect) -> str:
        end = f" else {self.otherwise.sql(dialect)}" if self.otherwise else ""
        return f"case when {self.left.sql(dialect)} > {self.number.text} then {self.then.sql(dialect)}{end} end"


@dataclass(frozen=True)
class Ref:
    """Another metric, in a derived one: `revenue`, or with a spelled show `average(mrr)`."""

    metric: str
    show: Show | None = None

    def sql(self, dialect: Dialect) -> str:
        return f"{self.show}({self.metric})" if self.show else self.metric


Measure = Agg | Num | Op | Call | Case | Ref


def parts_of(measure: Measure) -> list[Measure]:
    """What stands directly inside `measure`."""
    if isinstance(measure, Op):
        return [measure.left, measure.right]
    if isinstance(measure, Call):
        return list(measure.args)
    if isinstance(measure, Case):
        return [measure.left, measure.then, *([measure.otherwise] if measure.otherwise else [])]
    return []


def leaves_of(measure: Measure, kind: type) -> list[Any]:
    """Every `kind` (Agg or Ref) in `measure`."""
    own = [measure] if isinstance(measure, kind) else []
    return own + [leaf for part in parts_of(measure) for leaf in leaves_of(part, kind)]


ADDABLE = {"count", "sum", "count_distinct", "sum_distinct"}


def is_linear(measure: Measure) -> bool:
    """Whether a mean of daily values of `measure` means something: a sum of counts, sums and distincts."""
    if isinstance(measure, Agg):
        return measure.fn in ADDABLE
    if isinstance(measure, Call) and measure.fn == "coalesce" and measure.args[1] == Num("0"):
        return is_linear(measure.args[0])
    if not isinstance(measure, Op):
        return False
    left, right = measure.left, measure.right
    if measure.op in "+-":
        if isinstance(left, Num) or isinstance(right, Num):
            raise Undecided(f"the mean of daily values of {measure.sql('duckdb')}: a sum with a constant")
        return is_linear(left) and is_linear(right)
    if measure.op == "*" and isinstance(left, Num):
        return is_linear(right)
    return isinstance(right, Num) and is_linear(left)


# --------------------------------------------------------------------------------------------- metrics


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """A metric. `shape` says how its facts lie in time:

    facts            each row at its `time`
    interval         each row from `from_` until `until`
    daily            a level's own rows, one or more a day and series (`by`, and `series` where given),
                     perhaps carried
    daily_aggregate  of the rows of one day and `series`, the one received last
    derived          no rows: made of other metrics
    """

    name: str
    measure: Measure
    shape: str = "facts"
    kind: str = "flow"
    table: str = ""
    time: str = ""
    from_: str = ""
    until: str = ""
    until_inclusive: bool = False
    where: Predicate | None = None
    by: tuple[str, ...] = ()
    carry: int | None = None
    over_time: Show | None = None
    series: tuple[str, ...] = ()
    received: str = ""
    per: str = ""
    then: str = ""
    unit_from: str = ""
    changed: str = ""
    """The column that every write sets."""
    join: str = ""
    """The table whose row with the id `account_id` each fact has beside its own columns."""

    @property
    def linear(self) -> bool:
        """Whether the mean of its daily values means something."""
        return is_linear(self.measure) and (not self.per or self.then in ("sum", "count"))

    @property
    def default_show(self) -> Show:
        return (self.over_time or "last") if self.kind == "level" else "total"

    def toml(self, table: Table | None, dialect: Dialect) -> str:
        """The `[metrics.NAME]` text."""
        said: dict[str, Any] = {}
        if self.kind in ("level", "uniques"):
            said["kind"] = self.kind
        if table is not None:
            said["table"] = table.name
            said |= {"time": self.time, "from": self.from_, "until": self.until}
            said["stored"] = stored(table.column(self.time or self.from_), dialect)
            said["until_inclusive"] = self.until_inclusive
            said["join"] = f"{self.join} on {self.join}.id = account_id" if self.join else ""
            said["changed"] = self.changed
            said["changed_stored"] = written_as(table.column(self.changed), dialect) if self.changed else ""
            said["where"] = self.where.sql(dialect) if self.where is not None else ""
        said["measure"] = self.measure.sql(dialect)
        said["by"] = list(self.by) if self.shape != DERIVED else []
        said["carry"] = f"{self.carry}d" if self.carry else ""
        said["over_time"] = self.over_time
        said |= {"daily_aggregate": self.shape == "daily_aggregate", "series": list(self.series)}
        said |= {"received": self.received, "per": self.per, "then": self.then, "unit_from": self.unit_from}
        lines = [f"{key} = {toml_value(value)}" for key, value in said.items() if value]
        return "\n".join([f"[metrics.{self.name}]", *lines, ""])


def stored(column: Column, dialect: Dialect) -> str | None:
    """What to declare as `stored` for a time column."""
    if dialect == "sqlite":
        return {"timestamptz": "offset", "date": "date"}.get(column.type, STORED[column.type])
    return STORED[column.type]


def written_as(column: Column, dialect: Dialect) -> str | None:
    """What to declare as `changed_stored` for the column that every write sets."""
    return "utc" if column.type == "timestamp" else stored(column, dialect)


def toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True)
class BookSpec:
    timezone: str
    week_starts: str = "monday"
    fiscal: Fiscal | None = None


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A question. `where` holds (dimension, '=' or '!=', text or None for null); both days are included."""

    metrics: tuple[str, ...]
    from_: date
    to: date
    scope: Scope = "day"
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, str, str | None], ...] = ()
    show: Show | None = None
    fill: bool = False
    totals: bool = False
    compare: str | None = None
    window: str | None = None
    top: int | None = None
    week_starts: str | None = None
    having: tuple[tuple[str, str, str], ...] = ()
    """(column, sign, number as it is typed)."""
    only: frozenset[int] | None = None
    """Of a part of a question by weekday: the weekdays that it is about."""

    @property
    def where_texts(self) -> list[str]:
        return [dim + op + ('""' if value == "" else value or "") for dim, op, value in self.where]

    @property
    def weekdays(self) -> frozenset[int] | None:
        """The weekdays whose days take part; None for all."""
        equal = {WEEKDAYS.index(str(value)) for dim, op, value in self.where if (dim, op) == ("weekday", "=")}
        unlike = {WEEKDAYS.index(str(value)) for dim, op, value in self.where if (dim, op) == ("weekday", "!=")}
        if not (equal or unlike):
            return self.only
        return frozenset((equal or set(range(7))) - unlike) & (frozenset(range(7)) if self.only is None else self.only)

    def keywords(self) -> dict[str, Any]:
        """The keywords of `Book.query`."""
        return {
            "scope": self.scope,
            "by": list(self.by),
            "where": self.where_texts,
            "from_": self.from_,
            "to": self.to,
            "show": self.show,
            "fill": self.fill,
            "totals": self.totals,
            "compare": self.compare,
            "window": self.window,
            "top": self.top,
            "week_starts": self.week_starts,
            "having": [" ".join(one) for one in self.having],
        }

    def command(self) -> str:
        """As it is typed."""
        said = ["tallybook query", *self.metrics, f"--scope {self.scope}"]
        said += [f"--by {','.join(self.by)}"] if self.by else []
        said += [f"--where {text!r}" for text in self.where_texts]
        said += [f"--from {self.from_} --to {self.to}"]
        said += [f"--show {self.show}"] if self.show else []
        said += ["--fill"] * self.fill + ["--totals"] * self.totals
        said += [f"--compare {self.compare!r}"] if self.compare else []
        said += [f"--window {self.window!r}"] if self.window else []
        said += [f"--top {self.top}"] if self.top else []
        said += [f"--week-starts {self.week_starts}"] if self.week_starts else []
        said += [f"--having {' '.join(one)!r}" for one in self.having]
        return " ".join(said)


# ------------------------------------------------------------------------------------------- the calendar

WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def days_between(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included."""
    return [first + DAY * i for i in range((last - first).days + 1)]


def start_of_day(day: date, timezone: str) -> datetime:
    """The first instant of `day`: its midnight, the earlier one where the clock shows it twice."""
    return datetime.combine(day, time(0), ZoneInfo(timezone)).astimezone(UTC)


@cache
def end_of_day(day: date, timezone: str) -> datetime:
    return start_of_day(day + DAY, timezone)


def day_of(moment: datetime | date, timezone: str) -> date:
    """The book's day that `moment` (see `Column.moment`) belongs to."""
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        return moment.date()
    day = moment.astimezone(ZoneInfo(timezone)).date()
    # A clock put back over midnight shows yesterday's date again; that hour is still today's.
    return day + DAY if moment >= end_of_day(day, timezone) else day


def period_start(day: date, scope: Scope, week_starts: str, fiscal: Fiscal | None = None) -> date:
    """The first day of the calendar period that `day` lies in."""
    if fiscal is not None and fiscal.moves(scope):
        start = fiscal_start(day, scope, fiscal)
        if start is None:
            raise Undecided("a fiscal period so far away")
        return start
    if scope == "week":
        back = (day.weekday() - WEEKDAYS.index(week_starts)) % 7
        if day.toordinal() <= back:
            raise Undecided("a week that begins before the calendar")
        return day - DAY * back
    if scope == "month":
        return day.replace(day=1)
    if scope == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    if scope == "year":
        return day.replace(month=1, day=1)
    return day


@dataclass(frozen=True)
class Span:
    """The days behind one row: the calendar days of its period, and those of them that were asked for.

    Of a window or a comparison `first` to `last` are its own days, and all are asked for."""

    period: date | None
    first: date
    last: date
    asked: Days
    ends: date
    """The last day of the calendar period; while it has not closed, the period runs."""
    weekdays: frozenset[int] | None = None
    """The weekdays of the days that count."""

    @property
    def length(self) -> int:
        if self.weekdays is not None:
            return len(of_weekdays(Days(self.first, self.last), self.weekdays) or ())
        return (self.last - self.first).days + 1

    @property
    def before(self) -> date:
        return days_before(self.first, 1)


def whole(ask: Ask, period: date | None) -> Span:
    """The whole asked range as one span."""
    return Span(period, ask.from_, ask.to, Days(ask.from_, ask.to), ask.to)


def spans(book: BookSpec, ask: Ask) -> list[Span]:
    """The periods of the asked range, in order."""
    if ask.scope == "all":
        return [whole(ask, ask.from_)]
    week_starts = ask.week_starts or book.week_starts
    starts: dict[date, list[date]] = {}
    for day in days_between(ask.from_, ask.to):
        starts.setdefault(period_start(day, ask.scope, week_starts, book.fiscal), []).append(day)
    found = []
    for first, asked in starts.items():
        last = first
        while period_start(last + DAY, ask.scope, week_starts, book.fiscal) == first:
            last += DAY
        found.append(Span(first, first, last, Days(asked[0], asked[-1]), last))
    return found


# --------------------------------------------------------------------------------------------- numbers


@dataclass(frozen=True)
class Value:
    """A number and the interval that an answer may lie in; `middle` None is null, `free` is anything."""

    middle: Fraction | None
    low: Fraction | None = None
    high: Fraction | None = None
    approximate: bool = False
    free: bool = False
    real: bool = False
    """A float of the machine: exact as it is, but what is computed from it is rounded."""

    @property
    def exact(self) -> bool:
        return not self.free and self.low == self.high

    @property
    def interval(self) -> tuple[Fraction, Fraction, Fraction]:
        """Middle, low and high of what is neither null nor free."""
        assert self.middle is not None, self
        return self.middle, self.low or Fraction(0), self.high or Fraction(0)

    @property
    def number(self) -> int | Decimal | float | None:
        """As a test would write it: int or Decimal when exact, else the nearest float."""
        if self.middle is None:
            return None
        if self.exact and self.middle.denominator == 1:
            return int(self.middle)
        if self.exact and is_decimal(self.middle):
            with localcontext() as context:
                context.prec = 200
                written = Decimal(self.middle.numerator) / Decimal(self.middle.denominator)
            # A tiny float has more digits than that.
            return written if Fraction(written) == self.middle else float(self.middle)
        return float(self.middle)

    def accepts(self, got: Any) -> bool:
        """Whether `got` (int, Decimal, float or None) is a right answer."""
        if self.free:
            return True
        if got is None and self.middle is not None:
            return abs(self.middle) >= EXACT_LIMIT
        if self.middle is None or got is None:
            return self.middle is None and got is None
        if isinstance(got, bool) or not isinstance(got, int | float | Decimal):
            return False
        if isinstance(got, float | Decimal) and (got != got or abs(got) == float("inf")):
            return False
        _, low, high = self.interval
        return low <= Fraction(got) <= high

    def __str__(self) -> str:
        if self.free:
            return "anything"
        if self.middle is None:
            return "null"
        if self.exact:
            return f"{self.number} exactly"
        middle, low, high = self.interval
        return f"{self.number!r} ± {float(max(high - middle, middle - low)):.3g}"


NULL = Value(None)
FREE = Value(None, free=True)


def is_decimal(x: Fraction) -> bool:
    rest = x.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def near(x: Fraction | int, slack: Fraction | int = 0, *, approximate: bool = False) -> Value:
    x = Fraction(x)
    return Value(x, x - slack, x + slack, approximate=approximate)


def widened(value: Value, share: Fraction = ROUNDING, least: Fraction = Fraction(0)) -> Value:
    """`value` after a rounding to the nearest float, which is 0 for what is nearer to it than any other float."""
    if value.free or value.middle is None:
        return value
    _, low, high = value.interval
    slack = max(least, share * max(abs(low), abs(high)))
    return replace(value, low=low - slack, high=high + slack)


def root(x: Fraction) -> Fraction:
    with localcontext() as context:
        context.prec = 60
        return Fraction((Decimal(x.numerator) / Decimal(x.denominator)).sqrt())


def rounded(x: Fraction, digits: int) -> Fraction:
    """Half away from zero."""
    scaled = abs(x) * 10**digits
    whole_number = int(scaled + Fraction(1, 2))
    return Fraction(whole_number if x >= 0 else -whole_number) / 10**digits


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def arithmetic(op: str, left: Value, right: Value) -> Value:
    """`left op right` on intervals; by zero is null, and null stays null."""
    if any(side.middle is None and not side.free for side in (left, right)):
        return NULL
    if op == "/" and right.exact and right.middle == 0:
        return NULL
    if left.free or right.free:
        return FREE
    left_middle, *left_ends = left.interval
    right_middle, *right_ends = right.interval
    if op == "/" and right_ends[0] <= 0 <= right_ends[1]:
        return FREE
    corners = [OPERATORS[op](a, b) for a in left_ends for b in right_ends]
    if max(map(abs, corners)) > sys.float_info.max:
        return FREE
    approximate = left.approximate or right.approximate
    real = left.real or right.real
    result = Value(OPERATORS[op](left_middle, right_middle), min(corners), max(corners), approximate, real=real)
    keeps = left.exact and right.exact and not real and (op in "+-" or (op == "*" and is_integer(right, left)))
    least = TINY if any(0 < abs(c) < TINY for c in corners) else Fraction(0)
    return result if keeps else widened(result, least=max(least, PRODUCT / 2) if op == "*" else least)


def is_integer(*values: Value) -> bool:
    return any(value.middle is not None and value.middle.denominator == 1 for value in values)


def mean(values: Sequence[Value], n: int) -> Value:
    """Σ values / n, a float even where it is 0. The slack is a share of Σ|values|: they may be added as floats."""
    if any(value.free for value in values):
        return FREE
    middles = [value.middle for value in values if value.middle is not None]
    lows = [value.low for value in values if value.low is not None]
    highs = [value.high for value in values if value.high is not None]
    slack = ROUNDING * sum(map(abs, middles))
    approximate = any(value.approximate for value in values)
    ends = (sum(lows) - slack) / n, (sum(highs) + slack) / n
    return Value(sum(middles) / Fraction(n), *ends, approximate, real=True)


def extreme(values: Sequence[Value], choose: Callable[..., Any]) -> Value:
    """The smallest or largest (`choose` is min or max) of values that are not null."""
    if any(value.free for value in values):
        return FREE
    known = [value for value in values if value.middle is not None]
    if not known:
        return NULL
    return Value(
        choose(value.middle for value in known),
        choose(value.low for value in known),
        choose(value.high for value in known),
        any(value.approximate for value in known),
        real=any(value.real for value in known),
    )


# ------------------------------------------------------------------------------------------- aggregates


@dataclass(frozen=True)
class Fact:
    """A row that counts for `day`. `series`: its values of the metric's `by`; `whole` of its `series` too."""

    day: date
    series: Key
    whole: Key
    row: Row
    carried_from: date | None = None


@dataclass(frozen=True)
class Aggregator:
    """Computes one metric's aggregates over facts. `around`: rows whose floats may have passed through the
    sum that answers, because a level is kept by additions and removals."""

    table: Table
    around: list[Row] | None = None
    time: str = ""
    """The column by which a fact is first or last."""

    def aggregate(self, agg: Agg, facts: Sequence[Fact]) -> Value:
        if agg.where is not None:
            facts = [fact for fact in facts if agg.where.holds(fact.row) is True]
        if not agg.args:
            return near(len(facts))
        if agg.fn == "count_distinct":
            seen = {tuple(evaluated(argument, fact.row) for argument in agg.args) for fact in facts}
            return near(sum(None not in values for values in seen))
        found = [(fact, evaluated(agg.args[0], fact.row)) for fact in facts]
        found = [(fact, value) for fact, value in found if value is not None]
        if agg.fn == "count":
            return near(len(found))
        numbers = [Fraction(value) for _, value in found]
        if agg.fn.endswith("_distinct"):
            numbers = sorted(set(numbers))
        if agg.fn.startswith("sum"):
            return near(sum(numbers), self.slack(agg, numbers))
        if not numbers:
            return NULL
        if agg.fn.startswith("avg"):
            average = near(sum(numbers) / len(numbers), self.slack(agg, numbers) / len(numbers))
            return widened(average)
        if agg.fn in ("first", "last"):
            return self.at_the_end(agg, found)
        return self.statistic(agg, found, numbers)

    def at_the_end(self, agg: Agg, found: list[tuple[Fact, Any]]) -> Value:
        """The value of the first or last fact; of several at the very same time the least or the greatest."""
        column = self.table.column(self.time)
        choose = min if agg.fn == "first" else max
        _, value = choose((column.moment(fact.row[self.time]), Fraction(value)) for fact, value in found)
        return widened(near(value)) if self.any_column(agg, lambda column: column.real) else near(value)

    def statistic(self, agg: Agg, found: list[tuple[Fact, Any]], numbers: list[Fraction]) -> Value:
        if agg.fn in ("min", "max"):
            value = near(min(numbers) if agg.fn == "min" else max(numbers))
            return widened(value) if self.any_column(agg, lambda column: column.real) else value
        if agg.fn == "quantile":
            cells: dict[Any, set[Any]] = {}
            for fact, value in found:
                cells.setdefault((fact.day, fact.series), set()).add(value)
            wide = any(len(values) > EXACT_VALUES for values in cells.values())
            how = discrete_percentile if agg.spelling == "disc" else percentile
            q = 1 - Fraction(agg.q) if agg.spelling == "desc" else Fraction(agg.q)
            return how(sorted(value for _, value in found), q, approximate=wide)
        if len(numbers) < 2:
            return NULL
        return self.spread(agg, numbers)

    def spread(self, agg: Agg, numbers: list[Fraction]) -> Value:
        """The sample variance or its root."""
        variance, slack = variance_of(numbers)
        if agg.fn == "variance":
            return near(variance, slack)
        low, high = root(max(variance - slack, Fraction(0))), root(variance + slack)
        return widened(Value(root(variance), low, high))

    def slack(self, agg: Agg, numbers: list[Fraction]) -> Fraction:
        """How far the sum of `numbers` may be off."""
        if self.any_column(agg, lambda column: column.type == "float"):
            return FLOAT * sum(map(abs, [*numbers, *self.values_around(agg)])) + TINY
        if agg.fn.endswith("_distinct") and self.any_column(agg, lambda column: column.real):
            return ROUNDING * sum(map(abs, numbers))
        return Fraction(0)

    def values_around(self, agg: Agg) -> list[Fraction]:
        values = [evaluated(agg.args[0], row) for row in self.around or []]
        return [Fraction(value) for value in values if value is not None]

    def any_column(self, agg: Agg, test: Callable[[Column], bool]) -> bool:
        names = {name for argument in agg.args for name in columns_of(argument)}
        return any(test(self.table.column(name)) for name in names)

    def measured(self, measure: Measure, facts: Sequence[Fact]) -> Value:
        value = outer(measure, lambda leaf: replace(self.aggregate(leaf, facts), real=self.is_float(leaf)))
        # A CASE has one type: when one of its branches is a float, so are the others.
        mixed = leaves_of(measure, Case) and any(map(self.is_float, leaves_of(measure, Agg)))
        return widened(value) if mixed else value

    def is_float(self, agg: Agg) -> bool:
        inexact = agg.fn.startswith("avg") or agg.fn in ("stddev", "variance", "quantile")
        return inexact or self.any_column(agg, lambda column: column.type == "float" or column.real)


def of_all(then: str, values: Sequence[Value]) -> Value:
    """The second step: one number of the values of all entities."""
    if any(value.free for value in values):
        return FREE
    known = [value for value in values if value.middle is not None]
    if then == "count":
        return replace(near(len(known)), approximate=any(value.approximate for value in known))
    if then == "sum":
        total = near(0)
        for value in known:
            total = replace(arithmetic("+", total, value), approximate=total.approximate or value.approximate)
        return total
    if not known:
        return NULL
    if then in ("min", "max"):
        return extreme(known, min if then == "min" else max)
    if then == "avg":
        return widened(mean(known, len(known)))
    approximate = any(value.approximate for value in known)
    if then == "stddev":
        return spread_of(known, approximate=approximate)
    q = Fraction("0.5") if then == "median" else Fraction(int(then[1:]), 100)
    ends = [percentile(sorted(side), q, approximate=False) for side in zip(*(v.interval for v in known), strict=True)]
    return Value(ends[0].middle, ends[1].low, ends[2].high, approximate)


def variance_of(numbers: Sequence[Fraction]) -> tuple[Fraction, Fraction]:
    """The sample variance, and how far a good algorithm may be off, whatever other values there are in the table: a share
    of the deviations times the size of the numbers themselves (Chan, Golub and LeVeque 1983)."""
    count = len(numbers)
    middle = sum(numbers) / count
    squares, size = sum((x - middle) ** 2 for x in numbers), sum(x * x for x in numbers)
    rounding = (ROUNDING**2) * size
    return Fraction(squares, count - 1), (FLOAT * root(squares * size) + rounding) / (count - 1) + TINY


def spread_of(known: Sequence[Value], *, approximate: bool) -> Value:
    """The sample's standard deviation, as far as floats can tell."""
    count = len(known)
    if count < 2:
        return NULL
    variance, slack = variance_of([value.interval[0] for value in known])
    unsure = max(high - low for _, low, high in (value.interval for value in known))
    near_root = root(variance)
    low, high = root(max(variance - slack, Fraction(0))) - unsure, root(variance + slack) + unsure
    return widened(Value(near_root, low, high, approximate))


def percentile(ordered: Sequence[Any], q: Fraction, *, approximate: bool) -> Value:
    """percentile_cont: the two neighbouring ranks, interpolated."""
    place = q * (len(ordered) - 1)
    below = place.numerator // place.denominator
    low, high = Fraction(ordered[below]), Fraction(ordered[min(below + 1, len(ordered) - 1)])
    slack = (BUCKET + FLOAT if approximate else FLOAT) * max(abs(low), abs(high))
    return near(low + (high - low) * (place - below), slack, approximate=approximate)


def discrete_percentile(ordered: Sequence[Any], q: Fraction, *, approximate: bool) -> Value:
    """percentile_disc: the first value that at least the share `q` of all do not exceed."""
    found = next(Fraction(x) for i, x in enumerate(ordered, 1) if Fraction(i, len(ordered)) >= q)
    slack = (BUCKET + FLOAT if approximate else FLOAT) * abs(found)
    return near(found, slack, approximate=approximate)


def outer(measure: Measure, leaf: Callable[[Any], Value]) -> Value:
    """`measure` with the values of its aggregates (or, in a derived metric, its metrics) from `leaf`."""
    if isinstance(measure, Num):
        return near(Fraction(measure.text))
    if isinstance(measure, Op):
        return arithmetic(measure.op, outer(measure.left, leaf), outer(measure.right, leaf))
    if isinstance(measure, Case):
        return case(measure, leaf)
    if isinstance(measure, Call):
        return CALLS[measure.fn](*(outer(argument, leaf) for argument in measure.args))
    return leaf(measure)


def case(measure: Case, leaf: Callable[[Any], Value]) -> Value:
    left, number = outer(measure.left, leaf), Fraction(measure.number.text)
    if left.free:
        return FREE
    otherwise = outer(measure.otherwise, leaf) if measure.otherwise else NULL
    if left.middle is None:
        return otherwise
    middle, low, high = left.interval
    if (low > number) != (high > number):
        return FREE
    return outer(measure.then, leaf) if middle > number else otherwise


def coalesce(*values: Value) -> Value:
    for value in values:
        if value.free or value.middle is not None:
            return value
    return NULL


def nullif(value: Value, number: Value) -> Value:
    if value.free or value.middle is None:
        return value
    middle, low, high = value.interval
    if value.exact:
        return NULL if middle == number.middle else value
    return FREE if low <= number.interval[0] <= high else value


def rounded_value(value: Value, digits: Value | None = None) -> Value:
    if value.free or value.middle is None:
        return value
    places = int(digits.interval[0]) if digits else 0
    return widened(Value(*(rounded(x, places) for x in value.interval), value.approximate))


def absolute(value: Value) -> Value:
    if value.free or value.middle is None:
        return value
    middle, low, high = value.interval
    nearest = Fraction(0) if low < 0 < high else min(abs(low), abs(high))
    return Value(abs(middle), nearest, max(abs(low), abs(high)), value.approximate)


CALLS: dict[str, Callable[..., Value]] = {
    "coalesce": coalesce,
    "nullif": nullif,
    "round": rounded_value,
    "abs": absolute,
}

# --------------------------------------------------------------------------------------------- the judge

Covered = Mapping[str, Collection[date] | Mapping[date, Tables]]
"""For each metric with rows of its own its covered days: a set, or each day with the tables as they were when
it was collected last."""


@dataclass
class Judge:
    """Everything an answer depends on but the question."""

    book: BookSpec
    metrics: Mapping[str, MetricSpec]
    tables: Tables
    covered: Covered
    closed_until: date
    remembered: dict[Any, Any] = field(default_factory=dict, repr=False)

    def without(self, name: str) -> Judge:
        """A judge who knows nothing of the metric's days."""
        return replace(self, covered={**self.covered, name: {}}, remembered={})

    # ---- which days

    def days(self, name: str) -> set[date]:
        """The covered days; of a derived metric those that all it is made of cover."""
        refs = leaves_of(self.metrics[name].measure, Ref)
        if refs:
            return set.intersection(*(self.days(ref.metric) for ref in refs))
        return set(self.covered[name])

    def dims(self, name: str) -> set[str]:
        refs = leaves_of(self.metrics[name].measure, Ref)
        if refs:
            return set.intersection(*(self.dims(ref.metric) for ref in refs))
        return set(self.metrics[name].by)

    def table(self, name: str, day: date) -> Table:
        """The metric's table as it was when `day` was collected last."""
        days = self.covered[name]
        seen = days[day] if isinstance(days, Mapping) and day in days else self.tables
        return self.facts_of(name, seen)

    def facts_of(self, name: str, tables: Tables) -> Table:
        """The metric's table, each row with the columns of the row that it is joined to."""
        spec = self.metrics[name]
        facts, other = tables[spec.table], tables.get(spec.join)
        if other is None:
            return facts
        key = ("joined", id(facts), id(other))
        if key not in self.remembered:
            self.remembered[key] = (joined(facts, other), facts, other)
        table: Table = self.remembered[key][0]
        return table

    # ---- which rows count for a day

    def facts(self, name: str, day: date) -> list[Fact]:
        """What counts for `day`: of a day that is not covered, what is carried into it."""
        known = self.remembered.get((name, day))
        if known is None:
            known = self.remembered[name, day] = self.find_facts(self.metrics[name], day)
        return known

    def find_facts(self, spec: MetricSpec, day: date) -> list[Fact]:
        covered = day in self.covered[spec.name]
        facts = self.own_facts(spec, day) if covered else []
        if spec.carry is None or day > self.closed_until:
            return facts
        present = {fact.whole for fact in facts}
        for back in range(1, spec.carry + 1):
            before = days_before(day, back)
            if before in self.covered[spec.name]:
                found = [fact for fact in self.own_facts(spec, before) if fact.whole not in present]
                facts += [replace(fact, day=day, carried_from=before) for fact in found]
                present |= {fact.whole for fact in found}
        return facts

    def own_facts(self, spec: MetricSpec, day: date) -> list[Fact]:
        table = self.table(spec.name, day)
        if spec.shape == "interval":
            rows = [row for row in self.admitted(spec, table) if self.holds(spec, table, row, day)]
        else:
            rows = self.rows_by_day(spec, table).get(day, [])
        if spec.shape == "daily_aggregate":
            rows = latest(rows, spec)
        dims = [*spec.by, *spec.series, *([spec.per] if spec.per else [])]
        return [Fact(day, tuple(row[d] for d in spec.by), tuple(row[d] for d in dims), row) for row in rows]

    def admitted(self, spec: MetricSpec, table: Table) -> list[Row]:
        """The rows that meet the metric's `where`."""
        key = ("admitted", spec.name, id(table))
        if key not in self.remembered:
            rows = [row for row in table.rows if spec.where is None or spec.where.holds(row) is True]
            self.remembered[key] = (rows, table)
        return self.remembered[key][0]

    def rows_by_day(self, spec: MetricSpec, table: Table) -> dict[date, list[Row]]:
        key = ("by day", spec.name, id(table))
        if key not in self.remembered:
            column = table.column(spec.time)
            found: dict[date, list[Row]] = {}
            for row in self.admitted(spec, table):
                if row[spec.time] is not None:
                    day = day_of(column.moment(row[spec.time]), self.book.timezone)
                    found.setdefault(day, []).append(row)
            self.remembered[key] = (found, table)
        return self.remembered[key][0]

    def holds(self, spec: MetricSpec, table: Table, row: Row, day: date) -> bool:
        """Whether the interval `row` holds at the end of `day`."""
        since, until = row[spec.from_], row[spec.until]
        if since is None:
            return False
        column = table.column(spec.from_)
        if column.type == "date":
            ends = date.max if until is None else until + DAY if spec.until_inclusive else until
            return since <= day < ends
        if spec.until_inclusive:
            raise Undecided("until_inclusive on a column of times")
        end: datetime = datetime.combine(day + DAY, time(0))
        if column.type != "timestamp_local":
            end = end_of_day(day, self.book.timezone)
        return column.moment(since) < end and (until is None or column.moment(until) >= end)

    # ---- what they come to

    def measured(self, name: str, facts: Sequence[Fact], day: date) -> Value:
        """The metric's measure over facts; `day` is any day that they were collected on."""
        spec = self.metrics[name]
        table = self.table(name, day)
        around = self.admitted(spec, table) if spec.shape == "interval" else None
        aggregator = Aggregator(table, around, spec.time)
        if not spec.per:
            return aggregator.measured(spec.measure, facts)
        entities = {fact.row[spec.per] for fact in facts} - {None}
        own = ([fact for fact in facts if fact.row[spec.per] == entity] for entity in sorted(entities))
        return of_all(spec.then, [aggregator.measured(spec.measure, those) for those in own])

    # ---- how far a question reaches

    def collected(self, names: Iterable[str]) -> tuple[date, date]:
        """The first collected day of `names`, and the last day of the book."""
        bases = base_metrics(self, names)
        days = [day for name in bases for day in self.covered[name]]
        return min(days, default=self.closed_until), max([*days, self.closed_until])

    def reached(self, ask: Ask) -> Ask:
        """`ask` without days more than a year outside of what is collected. Raises Refusal for a first day to come."""
        first, last = self.collected(ask.metrics)
        if (ask.from_ - last).days > 1:
            raise Refusal(f"--from {ask.from_} is after the last day of the book, {last}")
        to = max(last, ask.from_) if (ask.to - last).days > GAP_DAYS else ask.to
        from_ = min(first, to) if (first - ask.from_).days > GAP_DAYS else ask.from_
        return replace(ask, from_=from_, to=to)

    def answer(self, ask: Ask) -> list[Row]:
        return Answer(self, self.reached(ask)).rows()


def joined(facts: Table, other: Table) -> Table:
    """Every fact, with the columns of the other table's row of its account; null where there is none."""
    columns = tuple(column for column in other.columns if column.name != "id")
    rows = {row["id"]: {column.name: row[column.name] for column in columns} for row in other.rows}
    nothing = dict.fromkeys(column.name for column in columns)
    found = [{**fact, **rows.get(fact["account_id"], nothing)} for fact in facts.rows]
    return Table(name=facts.name, columns=(*facts.columns, *columns), rows=found)


def latest(rows: Iterable[Row], spec: MetricSpec) -> list[Row]:
    """For each series the row received last."""
    newest: dict[Key, Row] = {}
    for row in sorted(rows, key=lambda row: row[spec.received]):
        newest[tuple(row[name] for name in spec.series)] = row
    return list(newest.values())


@dataclass(frozen=True)
class Others:
    """All series but the best ones, together."""

    best: frozenset[Key]


@dataclass(frozen=True)
class Stretch:
    """The days behind the rows of one period, by metric: now, and those that are compared with."""

    now: dict[str, Span]
    then: dict[str, Span]

    @property
    def both(self) -> list[tuple[str, Span]]:
        return [*self.now.items(), *self.then.items()]


def rank(value: Value) -> tuple[bool, Fraction]:
    """The largest first, null last."""
    return value.middle is None, -(value.middle or Fraction(0))


def text_of(key: Key) -> tuple[tuple[bool, str], ...]:
    """Ties go by text, null last."""
    return tuple((value is None, "" if value is None else str(value)) for value in key)


SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


def holds(value: Value, sign: str, number: Fraction) -> bool | None:
    """Whether `value sign number`; None where the last bit of a float decides. Null meets nothing."""
    if value.free:
        return None
    if value.middle is None:
        return False
    ends = [SIGNS[sign](end, number) for end in value.interval[1:]]
    inside = value.interval[1] <= number <= value.interval[2] and not value.exact
    return None if inside or ends[0] != ends[1] else ends[0]


@dataclass
class Answer:
    """One question to a judge. A `key` is a combination of the asked dimensions, or None for all of them."""

    judge: Judge
    ask: Ask
    grouped: dict[tuple[str, date], dict[Key | None, list[Fact]]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.ask.compare and not meets(self.ask.compare, self.ask.scope):
            raise Refusal(f"{self.ask.compare} before a {self.ask.scope} begins no other {self.ask.scope}")
        for name in self.ask.metrics:
            self.check(name, self.ask.show)
            unknown = {*self.ask.by, *(dim for dim, *_ in self.ask.where)} - self.judge.dims(name) - {"weekday"}
            if unknown:
                raise Refusal(f"{name} has no dimension {', '.join(sorted(unknown))}")

        self.check_weekdays()
        self.check_units()

    def check_weekdays(self) -> None:
        """Raise Refusal or Undecided for what has no right answer by weekday."""
        if "weekday" not in self.ask.by and self.ask.weekdays is None:
            return
        shows = [self.ask.show or self.judge.metrics[name].default_show for name in self.ask.metrics]
        if "weekday" in self.ask.by and self.ask.top:
            raise Refusal("weekdays are not ranked")
        if "change" in shows or self.ask.weekdays == frozenset():
            raise Refusal("no such days, or the day before a period is another weekday")
        if self.ask.compare or any(self.judge.metrics[name].kind == DERIVED for name in self.ask.metrics):
            raise Undecided("a comparison or formula by weekday")

    def check_units(self) -> None:
        """Raise Refusal for an answer that adds or compares values of different units."""
        equal: dict[str, set[str | None]] = {}
        for dim, op, value in self.ask.where:
            if op == "=":
                equal.setdefault(dim, set()).add(value)
        single = {dim for dim, values in equal.items() if len(values) == 1}
        for name in self.ask.metrics:
            units = {self.judge.metrics[one].unit_from for one in base_metrics(self.judge, [name])} - {"", *single}
            compared = any(column in (name, f"{name}_previous") for column, *_ in self.ask.having)
            if units and (units - set(self.ask.by) or self.ask.totals or self.ask.top or compared):
                raise Refusal(f"{name} would add or compare units")

    def check(self, name: str, show: Show | None) -> None:
        """Raise Refusal or Undecided where `show` of this metric has no right answer."""
        spec = self.judge.metrics[name]
        if spec.kind == DERIVED:
            if show is not None:
                raise Undecided("--show on a derived metric")
            for ref in leaves_of(spec.measure, Ref):
                self.check(ref.metric, ref.show)
            return
        show = show or spec.default_show
        if spec.kind == "uniques" and show != "total":
            raise Undecided("--show on uniques")
        if spec.kind == "level" and show == "total":
            raise Refusal(f"{name} is a level: its total over time means nothing")
        if spec.kind == "flow" and show == "change":
            raise Refusal(f"{name} is a flow: it has no change")
        if spec.kind == "flow" and show == "average" and not spec.linear:
            raise Refusal(f"{name}: a mean of daily values of {spec.measure.sql('duckdb')} means nothing")

    # ---- rows

    def rows(self) -> list[Row]:
        return self.rows_by_weekday() if "weekday" in self.ask.by else self.plain_rows()

    def rows_by_weekday(self) -> list[Row]:
        """The rows of a question for each weekday, and totals over all of them."""
        by = tuple(dim for dim in self.ask.by if dim != "weekday")
        found = []
        for number, weekday in enumerate(WEEKDAYS):
            part = replace(self.ask, by=by, only=frozenset([number]), totals=False)
            if part.weekdays:
                found += [{**row, "weekday": weekday} for row in Answer(self.judge, part).plain_rows()]
        found.sort(key=self.place_by_weekday)
        if not self.ask.totals:
            return found
        whole_ask = replace(self.ask, by=("weekday",), having=())
        totals = Answer(self.judge, replace(whole_ask, by=(), totals=True)).plain_rows()
        return found + [{**dict.fromkeys(self.ask.by), **row, "total": True} for row in totals]

    def place_by_weekday(self, row: Row) -> tuple[object, ...]:
        """The place of a row in an answer by weekday: its period, then its dimensions, weekdays in their own order."""
        values = ((dim, row[dim]) for dim in self.ask.by)
        keys = (
            (False, WEEKDAYS.index(value)) if dim == "weekday" else (value is None, "" if value is None else value)
            for dim, value in values
        )
        return (row["period"], *keys)

    def plain_rows(self) -> list[Row]:
        periods = self.periods()
        rows = []
        for period in periods:
            kept = self.kept(period, periods)
            rows += [self.row(period, key) for key in sorted(kept, key=sortable)] if kept is not None else []
            if kept is None:
                rows.append(self.unknown_row(period))
            if self.best is not None and self.everyone(periods) - self.best:
                rows.append(self.row(period, Others(frozenset(self.best))))
            if self.ask.totals and self.ask.by:
                rows.append(self.row(period, None, total=True))
        if self.ask.totals and not (self.ask.window or self.ask.compare):
            everything, only = whole(self.ask, None), self.ask.weekdays
            span = everything if only is None else on_weekdays(everything, only)
            rows += [self.row(self.alike(span), None, total=True)] if span is not None else []
        return [row for row in rows if row["total"] or self.admitted(row)]

    def alike(self, span: Span) -> Stretch:
        return Stretch(dict.fromkeys(self.ask.metrics, span), {})

    def periods(self) -> list[Stretch]:
        """What each row is made of, in order."""
        found = []
        for span in spans(self.judge.book, self.ask):
            now = {name: self.moved(span, name, self.ask.window, None) for name in self.ask.metrics}
            if (only := self.ask.weekdays) is not None:
                now = {name: on_weekdays(one, only) for name, one in now.items()}
                if None in now.values():
                    continue
            then = {name: self.moved(span, name, self.ask.window, self.ask.compare) for name in self.ask.metrics}
            found.append(Stretch(now, then if self.ask.compare else {}))
        return found

    def moved(self, span: Span, name: str, window: str | None, compare: str | None) -> Span:
        """The days of a window that ends with a period, of what a period is compared with, or of both."""
        if not (window or compare):
            return span
        closed, first, last = self.judge.closed_until, span.asked.first, span.asked.last
        last = min(last, closed) if first <= closed else last
        if compare:
            first, last = self.compared(compare, first, last)
        if window:
            weekday = WEEKDAYS.index(self.ask.week_starts or self.judge.book.week_starts)
            earliest = min(self.judge.days(name), default=None)
            first = window_start(window, last, weekday, earliest, self.judge.book.fiscal)
        return Span(span.period, first, last, Days(first, last), last if compare else span.ends)

    def compared(self, compare: str, first: date, last: date) -> tuple[date, date]:
        """The days that a period is compared with."""
        fiscal, book, scope = self.judge.book.fiscal, self.judge.book, self.ask.scope
        own_weeks = scope == "week" and self.ask.week_starts not in (None, book.week_starts)
        if fiscal is None or not fiscal.weeks or own_weeks:
            return compared_days(compare, scope, first, last)
        if compare == "2100 years" or not 1910 < first.year < 2190:
            raise Undecided("a fiscal period so far away")
        found = fiscal_compared(compare, scope, first, last, fiscal)
        if found is None:
            raise Undecided("a week 53")
        return found if isinstance(found, tuple) else compared_days(compare, scope, first, last)

    def kept(self, period: Stretch, periods: Sequence[Stretch]) -> set[Key] | None:
        """The series that have a row; None when nothing at all is known of the period."""
        if not self.ask.by:
            return {()}
        own = self.series(period)
        blank = [not self.known_days(name, span) and not self.seen(name, span) for name, span in period.now.items()]
        if all(blank) and not any(self.seen(name, span) for name, span in period.then.items()):
            return None
        if self.ask.fill:
            own = set().union(*(self.series(other) for other in periods))
        return None if not own and any(blank) else own

    def series(self, period: Stretch) -> set[Key]:
        """The series with a fact now or then, of those that are shown."""
        found = set().union(*(self.seen(name, span) for name, span in period.both))
        return found if self.best is None else found & self.best

    def everyone(self, periods: Sequence[Stretch]) -> set[Key]:
        return set().union(*(self.seen(name, span) for period in periods for name, span in period.both))

    def seen(self, name: str, span: Span) -> set[Key]:
        return self.keys(name, self.ask.show, span, self.judge.days(name))

    def known_days(self, name: str, span: Span) -> int:
        return len(self.listed(span, self.judge.days(name)))

    def row(self, period: Stretch, key: Key | Others | None, *, total: bool = False) -> Row:
        cells, bounds = {}, {}
        for name, span in period.now.items():
            days = self.judge.days(name)
            cells[name] = self.value(name, self.ask.show, key, span, days)
            limits = self.bounds(name, key, span, days)
            if limits:
                bounds[name] = limits
        approximate = any(cell.approximate for cell in cells.values())
        for name, then in period.then.items():
            was = self.value(name, self.ask.show, key, then, self.judge.days(name))
            cells[f"{name}_previous"] = was
            cells[f"{name}_change"] = self.change(name, cells[name], was, period.now[name], then)
        row = self.unknown_row(period, total=total)
        values = key if isinstance(key, tuple) else (None,) * len(self.ask.by)
        row |= dict(zip(self.ask.by, values, strict=True))
        row |= {name: cell.number for name, cell in cells.items()}
        row |= {"cells": cells, "bounds": bounds, "approximate": approximate}
        row |= {"others": isinstance(key, Others), "no_series": False}
        return row

    def unknown_row(self, period: Stretch, *, total: bool = False) -> Row:
        """A row without a value; its days are those of the metric that lacks the most."""
        counted = [(span.length, self.known_days(name, span)) for name, span in period.now.items()]
        length, days = max(counted, key=lambda one: one[0] - one[1])
        columns = [*self.ask.metrics, *(f"{name}_{what}" for name in period.then for what in ("previous", "change"))]
        return {
            "period": next(iter(period.now.values())).period,
            **dict.fromkeys([*self.ask.by, *columns]),
            "complete": days == length,
            "days": days,
            "days_expected": length,
            "approximate": False,
            "total": total,
            "others": False,
            "no_series": bool(self.ask.by),
            "cells": dict.fromkeys(columns, NULL),
            "bounds": {},
        }

    # ---- comparisons

    def change(self, name: str, now: Value, was: Value, here: Span, then: Span) -> Value:
        """The change as a fraction of what it was; null where not the same days are known, or of 0 or less."""
        if any(value.middle is None and not value.free for value in (now, was)):
            return NULL
        if not self.same_days(name, here, then):
            return NULL
        if now.free or was.free:
            return FREE
        _, low, high = was.interval
        if low <= 0 < high:
            return FREE
        if high <= 0:
            return NULL
        return widened(replace(arithmetic("/", arithmetic("-", now, was), was), real=True))

    def same_days(self, name: str, here: Span, then: Span) -> bool:
        """Whether the closed days of both are collected; of shows of one day: whether the days correspond."""
        spec, days = self.judge.metrics[name], self.judge.days(name)
        show = "" if spec.kind == DERIVED else self.ask.show or spec.default_show
        if show not in ("first", "last", "change"):
            return all(self.all_closed_known(span, days) for span in (here, then))
        left = []
        for span in (here, then):
            day = self.day_shown(name, show, span, days)
            left.append((min(span.asked.last, max(self.judge.closed_until, span.asked.first)) - day).days)
        return left[0] == left[1] if show != "first" else True

    def all_closed_known(self, span: Span, days: set[date]) -> bool:
        last = min(span.asked.last, self.judge.closed_until)
        return len(self.listed(span, days)) == max(0, (last - span.asked.first).days + 1)

    def day_shown(self, name: str, show: str, span: Span, days: set[date]) -> date:
        """The day whose value is that of the period."""
        if self.judge.metrics[name].kind != "level":
            return self.listed(span, days)[0 if show == "first" else -1]
        return span.asked.first if show == "first" else self.last_day(name, span, days)

    # ---- which rows

    @cached_property
    def best(self) -> set[Key] | None:
        """The series with the most of the first metric over the whole range; None where all are asked for."""
        if self.ask.top is None:
            return None
        name = self.ask.metrics[0]
        span = whole(self.ask, self.ask.from_)
        if (only := self.ask.weekdays) is not None:
            if (restricted := on_weekdays(span, only)) is None:
                return set()
            span = restricted
        days = self.judge.days(name)
        found = {key: self.value(name, self.ask.show, key, span, days) for key in self.seen(name, span)}
        if any(value.free for value in found.values()):
            raise Undecided("the rank of a value that may be anything")
        ranked = sorted(found, key=lambda key: (*rank(found[key]), text_of(key)))
        for before, after in product(ranked[: self.ask.top], ranked[self.ask.top :]):
            left, right = found[before], found[after]
            if left.middle is None or right.middle is None or (left.exact and right.exact):
                continue
            if left.interval[1] <= right.interval[2]:
                raise Undecided("which of two series is larger, in the last bit of a float")
        return set(ranked[: self.ask.top])

    def admitted(self, row: Row) -> bool:
        """Whether a row meets `having`. What floats do not decide is `optional`."""
        met = [holds(row["cells"][column], sign, Fraction(text)) for column, sign, text in self.ask.having]
        row["optional"] = None in met and False not in met
        return False not in met

    # ---- which series

    def admits(self, series: tuple[tuple[str, Any], ...]) -> bool:
        """Whether these dimension values meet the asked `where`."""
        values = {dim: None if value is None else str(value) for dim, value in series}
        for dim in {dim for dim, *_ in self.ask.where if dim != "weekday"}:
            wanted = {value for name, op, value in self.ask.where if (name, op) == (dim, "=")}
            unwanted = {value for name, op, value in self.ask.where if (name, op) == (dim, "!=")}
            if (wanted and values[dim] not in wanted) or values[dim] in unwanted:
                return False
        return True

    def chosen(self, name: str, day: date, key: Key | Others | None) -> list[Fact]:
        """The facts of one day and series that meet the asked `where`."""
        if (name, day) not in self.grouped:
            by = self.judge.metrics[name].by
            groups: dict[Key | None, list[Fact]] = {}
            for fact in self.judge.facts(name, day):
                if self.admits(tuple(zip(by, fact.series, strict=True))):
                    groups.setdefault(self.key(fact), []).append(fact)
                    groups.setdefault(None, []).append(fact)
            self.grouped[name, day] = groups
        if isinstance(key, Others):
            groups = self.grouped[name, day]
            return [fact for one, facts in groups.items() if one is not None and one not in key.best for fact in facts]
        return self.grouped[name, day].get(key, [])

    def key(self, fact: Fact) -> Key:
        return tuple(fact.row[dim] for dim in self.ask.by)

    def listed(self, span: Span, days: set[date]) -> list[date]:
        return sorted(day for day in days if day in span.asked)

    def keys(self, name: str, show: Show | None, span: Span, days: set[date]) -> set[Key]:
        spec = self.judge.metrics[name]
        if spec.kind == DERIVED:
            refs = leaves_of(spec.measure, Ref)
            return set().union(*(self.keys(ref.metric, ref.show, span, days) for ref in refs))
        show = show or spec.default_show
        looked_at = self.listed(span, days)
        if spec.kind == "level" and show in ("last", "change"):
            looked_at += self.carried_into(name, self.last_closed(span), days)
        if spec.kind == "level" and show == "first":
            looked_at += self.carried_into(name, span.asked.first, days)
        if spec.kind == "level" and show == "change" and looked_at:
            looked_at += [span.before] if span.before in days else self.carried_into(name, span.before, days)
        return {self.key(fact) for day in looked_at for fact in self.chosen(name, day, None)}

    def carried_into(self, name: str, day: date, days: set[date]) -> list[date]:
        """[day] if it is not covered but something is carried into it."""
        own = day in days or day in self.judge.covered[name]
        return [day] if not own and self.judge.facts(name, day) else []

    # ---- values

    def value(self, name: str, show: Show | None, key: Key | Others | None, span: Span, days: set[date]) -> Value:
        spec = self.judge.metrics[name]
        if spec.kind == DERIVED:
            if any(self.unknown(ref.metric, ref.show, key, span, days) for ref in leaves_of(spec.measure, Ref)):
                return NULL
            return outer(spec.measure, lambda ref: self.value(ref.metric, ref.show, key, span, days))
        show = show or spec.default_show
        if spec.kind == "level":
            return self.level_value(name, show, key, span, days)
        listed = self.listed(span, days)
        if not listed:
            return NULL
        if spec.kind == "uniques":
            return self.daily(name, listed[0], key) if len(span.asked) == 1 else NULL
        if show == "total":
            facts = [fact for day in listed for fact in self.chosen(name, day, key)]
            return self.judge.measured(name, facts, listed[0])
        return over_days([self.daily(name, day, key) for day in listed], show)

    def unknown(self, name: str, show: Show | None, key: Key | Others | None, span: Span, days: set[date]) -> bool:
        """Not collected is not zero: no coalesce of a formula makes a number of an operand nobody knows."""
        spec = self.judge.metrics[name]
        if spec.kind == DERIVED:
            refs = leaves_of(spec.measure, Ref)
            return any(self.unknown(ref.metric, ref.show, key, span, days) for ref in refs)
        listed = self.listed(span, days)
        show = show or spec.default_show
        if spec.kind == "uniques" and show == "total" and len(span.asked) > 1:
            return True
        if spec.kind != "level" or show in ("average", "min", "max"):
            return not listed
        if show == "first":
            return not self.known(name, span.asked.first, key, days)
        last = self.last_day(name, span, days)
        gone = show == "change" and not self.known(name, span.before, key, days)
        return gone or not self.known(name, last, key, days)

    def daily(self, name: str, day: date, key: Key | Others | None) -> Value:
        asked = ("daily", name, day, key, self.ask.by, self.ask.where)
        if asked not in self.judge.remembered:
            self.judge.remembered[asked] = self.judge.measured(name, self.chosen(name, day, key), day)
        value: Value = self.judge.remembered[asked]
        return value

    def level_value(self, name: str, show: Show, key: Key | Others | None, span: Span, days: set[date]) -> Value:
        listed = self.listed(span, days)
        if show in ("average", "min", "max"):
            return over_days([self.daily(name, day, key) for day in listed], show)
        if show == "first":
            return self.value_at(name, span.asked.first, key, days)
        value = self.value_at(name, self.last_day(name, span, days), key, days)
        if show != "change":
            return value
        change = arithmetic("-", value, self.value_at(name, span.before, key, days))
        real = change.middle is not None and (change.middle * 10**10).denominator != 1
        return widened(change) if real else change

    def last_day(self, name: str, span: Span, days: set[date]) -> date:
        """The day whose value is the period's last one, for all of its series, so that parts add up: its last
        closed day; while the period runs and that day is neither covered nor carried into, the last covered."""
        last = self.last_closed(span)
        listed = self.listed(span, days)
        runs = span.ends > self.judge.closed_until
        if runs and listed and last not in days and not self.carried_into(name, last, days):
            return listed[-1]
        return last

    def last_closed(self, span: Span) -> date:
        """The last closed one of the asked days; the first of them where none has closed."""
        last = max(span.asked.first, min(span.asked.last, self.judge.closed_until))
        while span.weekdays is not None and last.weekday() not in span.weekdays and last > span.asked.first:
            last -= DAY
        return last

    def known(self, name: str, day: date, key: Key | Others | None, days: set[date]) -> bool:
        """Whether the level is known at the end of `day`: collected, or carried."""
        if day in days:
            return True
        return bool(self.carried_into(name, day, days) and self.chosen(name, day, key))

    def value_at(self, name: str, day: date, key: Key | Others | None, days: set[date]) -> Value:
        return self.daily(name, day, key) if self.known(name, day, key, days) else NULL

    def bounds(self, name: str, key: Key | Others | None, span: Span, days: set[date]) -> tuple[Value, Value] | None:
        """Between what a count of unique things must lie: the largest day and the sum of days."""
        listed = self.listed(span, days)
        if self.judge.metrics[name].kind != "uniques" or len(span.asked) == 1 or not listed:
            return None
        daily = [self.daily(name, day, key) for day in listed]
        added = near(0)
        for value in daily:
            added = arithmetic("+", added, value)
        return extreme(daily, max), added


def on_weekdays(span: Span, weekdays: frozenset[int]) -> Span | None:
    """The span without days of other weekdays; None where none is left."""
    asked = of_weekdays(span.asked, weekdays)
    return None if asked is None else replace(span, asked=asked, weekdays=weekdays)


def over_days(daily: Sequence[Value], show: Show) -> Value:
    """Daily values as one: their mean, smallest, largest, first or last."""
    known = [value for value in daily if value.free or value.middle is not None]
    if show == "average":
        return mean(known, len(known)) if known else NULL
    if show in ("min", "max"):
        return extreme(known, min if show == "min" else max)
    return daily[0 if show == "first" else -1]


def sortable(key: Key) -> tuple[Any, ...]:
    """Text by code point, numbers by size, null last."""
    return tuple((value is None, isinstance(value, str), 0 if value is None else value) for value in key)


def answer(
    book: BookSpec,
    metrics: Mapping[str, MetricSpec],
    tables: Tables,
    ask: Ask,
    covered: Covered,
    closed_until: date,
) -> list[Row]:
    """The right rows for `ask`, by period, then dimensions; `closed_until` is the last day that has closed.

    A row is a dict: period (None on the grand total), the dimensions, a number per metric (int or Decimal
    when exact, float, None), complete, days, days_expected, approximate, total; and for `differences` the
    `cells` (a `Value` per metric, which knows its tolerance) and `bounds` (of uniques).

    Raises Refusal when the question has no right answer, Undecided when nobody said what it is.
    """
    return Judge(book, metrics, tables, covered, closed_until).answer(ask)


# --------------------------------------------------------------------------------------------- comparing


def differences(expected: Sequence[Row], got: Sequence[Row], ask: Ask) -> list[str]:
    """What is wrong with `got`, a sentence each; empty when it is right."""
    wanted = {identity(row, ask): row for row in expected}
    given = [identity(row, ask) for row in got]
    found = [f"{title(key, ask)} is there {n} times" for key, n in Counter(given).items() if n > 1]
    found += [
        f"{title(key, ask)} is missing{hint(row, ask)}"
        for key, row in wanted.items()
        if key not in given and not row.get("optional")
    ]
    for key, row in zip(given, got, strict=True):
        if key in wanted:
            found += [f"{title(key, ask)}: {what}" for what in row_differences(wanted[key], row, ask)]
        else:
            values = ", ".join(f"{name} = {row.get(name)!r}" for name in ask.metrics)
            found.append(f"{title(key, ask)} should not be there; it says {values}")
    plain_rows = [key for key in given if not key[1]]
    for before, after in pairwise(plain_rows):
        if out_of_order(before, after):
            found.append(f"{title(after, ask)} comes after {title(before, ask)}")
    return found


def out_of_order(before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    """Rows come by period, then dimensions. Where null and numbers stand among texts is left open."""
    if before[0] != after[0]:
        return before[0] is None or after[0] is None or before[0] > after[0]
    for left, right in zip(before[2], after[2], strict=True):
        if left != right:
            if left in WEEKDAYS and right in WEEKDAYS:
                return WEEKDAYS.index(left) > WEEKDAYS.index(right)
            return left is not None and right is not None and not is_number(left + right) and left > right
    return False


def is_number(text: str) -> bool:
    return re.fullmatch(r"[-0-9]+", text) is not None


def row_differences(expected: Row, got: Row, ask: Ask) -> list[str]:
    found = []
    for name in expected["cells"]:
        cell: Value = expected["cells"][name]
        if name not in got:
            found.append(f"{name} is not in the row")
        elif not cell.accepts(got[name]):
            found.append(f"{name} should be {cell}, the book says {got[name]!r}")
        limits = expected["bounds"].get(name)
        if limits and not bounds_agree(limits, got, name):
            found.append(f"{name} should have bounds {limits[0]} to {limits[1]}, its notes are {notes(got, name)!r}")
    for name in ("days", "days_expected", "complete"):
        if got.get(name) != expected[name]:
            found.append(f"{name} should be {expected[name]}, the book says {got.get(name)!r}")
    exactly_known = not any(expected["cells"][name].free for name in ask.metrics)
    if exactly_known and bool(got.get("approximate")) != expected["approximate"]:
        found.append(f"approximate should be {expected['approximate']}, the book says {got.get('approximate')!r}")
    return found


def identity(row: Row, ask: Ask) -> tuple[date | None, str, Key]:
    """Period, what it is if not a series (total, others, no series), and the dimensions as text."""
    period = row.get("period")
    if isinstance(period, str):
        period = date.fromisoformat(period)
    dims = tuple(None if row.get(dim) is None else str(row[dim]) for dim in ask.by)
    return period, next((what for what in ("total", "others", "no_series") if row.get(what)), ""), dims


def title(key: tuple[date | None, str, Key], ask: Ask) -> str:
    period, what, dims = key
    if what:
        return f"[{what} of {period or 'all'}]"
    return f"[{', '.join([str(period), *(f'{d}={v!r}' for d, v in zip(ask.by, dims, strict=True))])}]"


def hint(row: Row, ask: Ask) -> str:
    return "; it says " + ", ".join(f"{name} = {row['cells'][name]}" for name in ask.metrics)


def notes(row: Row, name: str) -> Any:
    return (row.get("notes") or {}).get(name)


def bounds_agree(limits: tuple[Value, Value], got: Row, name: str) -> bool:
    said = (notes(got, name) or {}).get("bounds")
    if isinstance(said, Mapping):
        said = [said.get("low"), said.get("high")]
    return said is not None and len(said) == 2 and all(v.accepts(x) for v, x in zip(limits, said, strict=True))


def evidence(judge: Judge, ask: Ask, most: int = 40) -> str:
    """The raw rows that count in the asked days, for a failure's message."""
    lines = []
    try:
        ask = judge.reached(ask)
    except Refusal as why:
        return str(why)
    first = spans(judge.book, ask)[0].before if ask.show == "change" else ask.from_
    for name in base_metrics(judge, ask.metrics):
        spec = judge.metrics[name]
        days = judge.days(name)
        looked_at = days_between(first, ask.to)
        gaps = [str(day) for day in looked_at if day not in days]
        lines.append(f"{name}, day by day ({judge.book.timezone}); not covered: {shortened(gaps, 8) or 'no day'}")
        # As if only its own rows were asked for: a derived metric's answer may not exist, they do.
        by = tuple(dim for dim in ask.by if dim != "weekday")
        asked = Answer(judge, replace(ask, metrics=(name,), show=None, by=by))
        facts = [fact for day in looked_at for fact in asked.chosen(name, day, None)]
        shown = columns_shown(spec)
        lines += [fact_line(fact, shown) for fact in facts[:most]]
        if len(facts) > most:
            lines.append(f"  … and {len(facts) - most} more")
    return "\n".join(lines)


def base_metrics(judge: Judge, names: Iterable[str]) -> list[str]:
    """The metrics with rows of their own behind `names`."""
    found: list[str] = []
    for name in names:
        refs = [ref.metric for ref in leaves_of(judge.metrics[name].measure, Ref)]
        found += base_metrics(judge, refs) if refs else [name]
    return list(dict.fromkeys(found))


def columns_shown(spec: MetricSpec) -> list[str]:
    """The columns that matter to a metric."""
    names = {"id", *spec.by, *spec.series, spec.time, spec.from_, spec.until, spec.received, spec.per, spec.changed} - {
        ""
    }
    predicates = [spec.where, *(agg.where for agg in leaves_of(spec.measure, Agg))]
    for predicate in predicates:
        sides = [predicate] if isinstance(predicate, Pred) else [predicate.left, predicate.right] if predicate else []
        names |= {side.column for side in sides}
    for agg in leaves_of(spec.measure, Agg):
        names |= {name for argument in agg.args for name in columns_of(argument)}
    return sorted(names, key=lambda name: (name != "id", name))


def fact_line(fact: Fact, shown: Sequence[str]) -> str:
    carried = f" carried from {fact.carried_from}" if fact.carried_from else ""
    values = " ".join(f"{name}={plain(fact.row[name])}" for name in shown)
    return f"  {fact.day}{carried}: {values}"


def plain(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    return "null" if value is None else str(value)


def shortened(items: Sequence[str], most: int) -> str:
    end = f" … ({len(items)})" if len(items) > most else ""
    return ", ".join(items[:most]) + end
