"""What a measure and a condition are made of: SQL for a database, and a value for a row."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.oracle.terms import Dialect, Row, Show, Undecided
from tests.oracle.values import OPERATORS

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
