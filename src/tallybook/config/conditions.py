"""The conditions of lists, rules and pages: boolean SQL over attributes, with the operators of a measure's shell. Pure.

    plan = 'trial' and api_calls_7d < 10 and age(created_at) > '30 days'

A null value is known to be empty, and follows SQL. Unknown is a third state: only `is known` and `is unknown` turn
it into true or false."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tallybook.config.condition_parsing import (
    BEFORE,
    CHANGED,
    CROSSED,
    KNOWN,
    SINCE_LAST,
    UNKNOWN,
    parsed,
    wrong_condition,
)
from tallybook.config.outcomes import TRUE, Outcomes, Truth, joined, listed_open, negated, outcomes_of
from tallybook.core import (
    FLAG_VALUE,
    INSTANT_VALUE,
    INTEGER_VALUE,
    NUMBER_VALUE,
    TEXT_VALUE,
    QueryError,
    did_you_mean,
)
from tallybook.storage import literal

if TYPE_CHECKING:
    from sqlglot import exp

INTERVAL = "interval"
NULL = "null"
ANY = "any"
"""The type of an attribute before its first value. It can be compared with every type."""
NUMBERS = (INTEGER_VALUE, NUMBER_VALUE)
UP, DOWN, EITHER = "up", "down", "either"
MAX_SPAN_YEARS = 1000
_SPAN = re.compile(r"\s*(\d+)(\.\d+)?\s*(second|minute|hour|day|week|month|year)s?\s*", re.IGNORECASE)
_IN_A_YEAR = {"second": 31_557_600, "minute": 525_960, "hour": 8766, "day": 365, "week": 52, "month": 12, "year": 1}


@dataclass(frozen=True, kw_only=True)
class ConditionColumn:
    """An attribute in a condition: its SQL and type. `known`: SQL that tests whether its value is known; None if it
    always is."""

    sql: str
    type: str
    known: str | None = None


Earlier = Callable[[str, str], ConditionColumn]
"""(attribute as spelled, span) → the column with the attribute's value that long ago."""


@dataclass(frozen=True)
class Condition:
    """A condition as SQL. `unknown`: SQL that tests whether its outcome is unknown; None if the outcome is always
    known."""

    true: str
    """SQL that is true or false, never null."""
    where: str
    """The condition for a WHERE clause, where null counts as false. The engine can then skip data that it need not
    read."""
    unknown: str | None = None


def compile_condition(
    text: str, columns: Mapping[str, ConditionColumn], *, now: str, earlier: Earlier | None = None
) -> Condition:
    """Compile a condition over `columns`. Names match in any case. `now` is the instant of now(), as SQL.

    Raises QueryError for text that is not a condition, for unknown names, and for types that cannot be compared."""
    folded = {name.casefold(): column for name, column in columns.items()}
    truth = _Compiler(text, folded, columns, now, earlier).compiled()
    if isinstance(truth, Outcomes):
        true = f"({truth.sql} = {TRUE})"
        return Condition(true=true, where=true, unknown=f"({truth.sql} IN ({listed_open()}))")
    return Condition(true=f"coalesce({truth}, FALSE)", where=truth)


@dataclass(frozen=True)
class _Value:
    sql: str
    type: str
    known: tuple[str, ...] = ()
    """SQL that must be true for the value to be known."""
    ends: tuple[str, str] | None = None
    """For the span between two times, SQL of (the later, the earlier)."""


@dataclass(frozen=True)
class _Compiler:
    text: str
    columns: Mapping[str, ConditionColumn]
    spelled: Mapping[str, ConditionColumn]
    now: str
    earlier: Earlier | None

    def compiled(self) -> Truth:
        return self.truth(parsed(self.text))

    def wrong(self, why: str, hint: str = "") -> QueryError:
        return wrong_condition(self.text, why, hint)

    # -- true, false, null, unknown ------------------------------------------------------------------

    def truth(self, node: Any) -> Truth:
        from sqlglot import exp

        match node:
            case exp.Paren():
                return self.truth(node.this)
            case exp.And():
                return joined(self.truth(node.left), self.truth(node.right), "AND")
            case exp.Or():
                return joined(self.truth(node.left), self.truth(node.right), "OR")
            case exp.Not():
                return negated(self.truth(node.this))
            case exp.EQ() if isinstance(node.right, exp.Literal) and node.right.name in (KNOWN, UNKNOWN):
                return self.is_known(node.left, wanted=node.right.name == KNOWN)
        return self.leaf(node)

    def is_known(self, node: Any, *, wanted: bool) -> str:
        known = " AND ".join(self.value(node).known) or "TRUE"
        return f"({known})" if wanted else f"(NOT ({known}))"

    def leaf(self, node: Any) -> Truth:
        from sqlglot import exp

        signs = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
        if type(node) in signs:
            left, right = self.alike(node.left, node.right)
            one, other = _spans_as_times(left, right)
            return _where_known(f"({one} {signs[type(node)]} {other})", left, right)
        match node:
            case exp.Between() if not node.args.get("symmetric"):
                value, low = self.alike(node.this, node.args["low"])
                _, high = self.alike(node.this, node.args["high"])
                above = " >= ".join(_spans_as_times(value, low))
                below = " <= ".join(_spans_as_times(value, high))
                return _where_known(f"({above} AND {below})", value, low, high)
            case exp.In() if node.expressions:
                pairs = [self.alike(node.this, one) for one in node.expressions]
                sql = f"{pairs[0][0].sql} IN ({', '.join(one.sql for _, one in pairs)})"
                if pairs[0][0].ends:
                    sql = " OR ".join(" = ".join(_spans_as_times(*pair)) for pair in pairs)
                return _where_known(f"({sql})", *(v for pair in pairs for v in pair))
            case exp.Like() | exp.ILike():
                value, pattern = self.value(node.this), self.value(node.expression)
                self.needs(node.this, value, TEXT_VALUE)
                word = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
                return _where_known(f"({value.sql} {word} {pattern.sql})", value, pattern)
            case exp.Is() if isinstance(node.expression, exp.Null):
                value = self.value(node.this)
                return _where_known(f"({value.sql} IS NULL)", value)
            case exp.Is() if isinstance(node.expression, exp.Boolean):
                value = self.value(node.this)
                self.needs(node.this, value, FLAG_VALUE)
                return _where_known(f"({value.sql} IS {node.expression.sql()})", value)
            case exp.Anonymous() if node.name.lower() in (CHANGED, CROSSED):
                return self.changed(node) if node.name.lower() == CHANGED else self.crossed(node)
        value = self.value(node)
        self.needs(node, value, FLAG_VALUE)
        return _where_known(value.sql, value)

    def needs(self, node: Any, value: _Value, type_: str) -> None:
        if value.type not in (type_, NULL, ANY):
            raise self.wrong(
                f"needs a value of type {type_} where it has {node.sql(dialect='duckdb')}, of type {value.type}"
            )

    def alike(self, one: Any, other: Any) -> tuple[_Value, _Value]:
        """The two compared values. A text that is compared with a time or a span is read as one."""
        from sqlglot import exp

        if isinstance(one, exp.Null) or isinstance(other, exp.Null):
            named = (one if isinstance(other, exp.Null) else other).sql(dialect="duckdb")
            raise self.wrong(
                f"compares {named} with null, which is never true", hint=f"{named} is null, or {named} is not null"
            )
        left, right = self.value(one), self.value(other)
        left, right = self.read_as(one, left, right.type), self.read_as(other, right, left.type)
        numbers = left.type in NUMBERS and right.type in NUMBERS
        if not (numbers or left.type == right.type or {NULL, ANY} & {left.type, right.type}):
            raise self.wrong(
                f"compares {one.sql(dialect='duckdb')}, of type {left.type}, with {other.sql(dialect='duckdb')}, "
                f"of type {right.type}",
                hint="write text in single quotes and numbers without them",
            )
        return left, right

    def read_as(self, node: Any, value: _Value, type_: str) -> _Value:
        """The value; a literal text is read as a time or a span if `type_` is one."""
        from sqlglot import exp

        if not (isinstance(node, exp.Literal) and node.is_string and type_ in (INSTANT_VALUE, INTERVAL)):
            return value
        if type_ == INTERVAL or (_SPAN.fullmatch(node.name) and not re.match(r"\d{4}-", node.name)):
            return self.span(node.name)
        from datetime import UTC, datetime

        try:
            at = datetime.fromisoformat(node.name)
            at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            raise self.wrong(f"has {node.name!r} beside a time", hint="write it as '2026-03-01'") from None
        return _Value(f"TIMESTAMPTZ {literal(at.isoformat())}", INSTANT_VALUE)

    def span(self, written: str, *, whole: bool = False) -> _Value:
        """A span of time; with `whole`, without a fraction."""
        found = _SPAN.fullmatch(written)
        if not found or (whole and (found[2] or "").strip(".0")):
            raise self.wrong(f"has {written!r} where a span is expected", hint="write it as '7 days'")
        if int(found[1][:20]) > MAX_SPAN_YEARS * _IN_A_YEAR[found[3].lower()]:
            raise self.wrong(f"has {written!r}, a span of more than {MAX_SPAN_YEARS:,} years")
        return _Value(f"INTERVAL {literal(written.strip())}", INTERVAL)

    # -- values --------------------------------------------------------------------------------------

    def value(self, node: Any) -> _Value:
        from sqlglot import exp

        match node:
            case exp.Paren():
                return self.value(node.this)
            case exp.Column():
                return self.column(node.name)
            case exp.Literal() if node.is_string:
                return _Value(literal(node.name), TEXT_VALUE)
            case exp.Literal():
                return _Value(node.name, INTEGER_VALUE if node.name.isdigit() else NUMBER_VALUE)
            case exp.Boolean():
                return _Value("TRUE" if node.this else "FALSE", FLAG_VALUE)
            case exp.Null():
                return _Value("NULL", NULL)
            case exp.Neg():
                inner = self.number(node.this)
                return _Value(_in_range(f"-{_wide(inner)}"), inner.type, inner.known)
            case exp.Interval():
                unit = f" {node.unit}" if node.unit else ""
                return self.span(f"{node.this.name}{unit}")
            case exp.Lower() | exp.Upper():
                inner = self.value(node.this)
                self.needs(node.this, inner, TEXT_VALUE)
                return _Value(f"{type(node).__name__.lower()}({inner.sql})", TEXT_VALUE, inner.known)
            case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
                return self.arithmetic(node)
        return self.call(node)

    def call(self, node: Any) -> _Value:
        from sqlglot import exp

        name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
        if (name == "now" and not node.expressions) or isinstance(node, exp.CurrentTimestamp):
            return _Value(self.now, INSTANT_VALUE)
        if name == BEFORE:
            return self.before(node)
        if name == "age" and len(node.expressions) == 1:
            inner = self.value(node.expressions[0])
            self.needs(node.expressions[0], inner, INSTANT_VALUE)
            return _Value(f"({self.now} - {inner.sql})", INTERVAL, inner.known, (self.now, inner.sql))
        raise self.wrong(f"has {node.sql(dialect='duckdb')}, which no condition has")

    # -- earlier values --------------------------------------------------------------------------------

    def before(self, node: Any) -> _Value:
        """The value of an attribute a span ago."""
        from sqlglot import exp

        given = node.expressions
        if len(given) != 2 or not (isinstance(given[0], exp.Column) and isinstance(given[1], exp.Literal)):
            raise self.wrong(f"has {node.sql(dialect='duckdb')}", hint="write it as before(mrr, '7 days')")
        self.span(given[1].name, whole=True)
        return self.earlier_value(given[0].name, given[1].name)

    def changed(self, node: Any) -> Truth:
        """Whether the value of an attribute differs from the value at the last evaluation."""
        now, then = self.since_last(node, 1, "changed(plan)")
        return _where_known(f"({now.sql} IS DISTINCT FROM {then.sql})", now, then)

    def crossed(self, node: Any) -> Truth:
        """Whether a number has crossed a limit since the last evaluation: upward, unless a direction is given."""
        from sqlglot import exp

        example = "crossed(mrr, 1000), or crossed(mrr, 1000, 'down')"
        given = node.expressions
        direction = given[2].name.lower() if len(given) == 3 and isinstance(given[2], exp.Literal) else UP
        if direction not in (UP, DOWN, EITHER) or len(given) not in (2, 3):
            raise self.wrong(f"has {node.sql(dialect='duckdb')}", hint=f"write it as {example}")
        now, then = self.since_last(node, len(given), example)
        self.number(given[0])
        limit = self.number(given[1])
        up = f"({then.sql} < {limit.sql} AND {now.sql} >= {limit.sql})"
        down = f"({then.sql} >= {limit.sql} AND {now.sql} < {limit.sql})"
        return _where_known({UP: up, DOWN: down, EITHER: f"({up} OR {down})"}[direction], now, then, limit)

    def since_last(self, node: Any, count: int, example: str) -> tuple[_Value, _Value]:
        """The current value of the first argument, and its value at the last evaluation."""
        from sqlglot import exp

        given = node.expressions
        if len(given) != count or not isinstance(given[0], exp.Column):
            raise self.wrong(f"has {node.sql(dialect='duckdb')}", hint=f"write it as {example}")
        return self.column(given[0].name), self.earlier_value(given[0].name, SINCE_LAST)

    def earlier_value(self, name: str, span: str) -> _Value:
        now = self.column(name)
        if self.earlier is None:
            raise self.wrong(f"asks for an earlier value of {name!r}, which is not possible here")
        spelled = next(one for one in self.spelled if one.casefold() == name.casefold())
        found = self.earlier(spelled, span)
        return _Value(found.sql, now.type, (found.known,) if found.known else ())

    def column(self, name: str) -> _Value:
        found = self.columns.get(name.casefold())
        if found is None:
            names = list(self.spelled)
            listed = f"there are: {', '.join(names[:20])}{' …' if len(names) > 20 else ''}"
            raise self.wrong(f"names {name!r}, which is no attribute", f"{did_you_mean(name, names)} {listed}".strip())
        return _Value(found.sql, found.type, (found.known,) if found.known else ())

    def number(self, node: Any) -> _Value:
        value = self.value(node)
        if value.type not in (*NUMBERS, NULL, ANY):
            raise self.wrong(f"calculates with {node.sql(dialect='duckdb')}, of type {value.type}")
        return value

    def arithmetic(self, node: exp.Binary) -> _Value:
        """An operation on numbers, or on a time and a span. Division by zero and results out of range are null."""
        from sqlglot import exp

        sign = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}[type(node)]
        left = self.value(node.left)
        if left.type == INSTANT_VALUE and sign in "+-":
            right = self.read_as(node.right, self.value(node.right), INTERVAL)
            type_ = INTERVAL if right.type == INSTANT_VALUE and sign == "-" else INSTANT_VALUE
            if right.type not in (INTERVAL, INSTANT_VALUE, ANY) or (right.type == INSTANT_VALUE and sign == "+"):
                raise self.wrong(f"calculates {node.sql(dialect='duckdb')}: from a time only a span can be taken")
            ends = (left.sql, right.sql) if type_ == INTERVAL else None
            return _Value(_in_range(f"{left.sql} {sign} {right.sql}"), type_, left.known + right.known, ends)
        if left.type == ANY and (right := self.value(node.right)).type in (INTERVAL, INSTANT_VALUE):
            return _Value(_in_range(f"{left.sql} {sign} {right.sql}"), ANY, left.known + right.known)
        left, right = self.number(node.left), self.number(node.right)
        if sign == "/":
            return _Value(
                f"(CAST({left.sql} AS DOUBLE) / nullif({right.sql}, 0))", NUMBER_VALUE, left.known + right.known
            )
        type_ = INTEGER_VALUE if left.type == right.type == INTEGER_VALUE else NUMBER_VALUE
        return _Value(_in_range(f"{_wide(left)} {sign} {_wide(right)}"), type_, left.known + right.known)


def _spans_as_times(left: _Value, right: _Value) -> tuple[str, str]:
    """The SQL of two compared values. A span between two times that is compared with '1 year' is compared in the
    calendar, as `later - '1 year'` with `earlier`: as spans, the engine would count a year as 360 days."""
    if left.ends and right.type == INTERVAL and not right.ends:
        return _in_range(f"{left.ends[0]} - {right.sql}"), left.ends[1]
    if right.ends and left.type == INTERVAL and not left.ends:
        return right.ends[1], _in_range(f"{right.ends[0]} - {left.sql}")
    return left.sql, right.sql


def _wide(value: _Value) -> str:
    """A number widened so that sums and products of 64-bit values do not overflow."""
    return f"CAST({value.sql} AS HUGEINT)" if value.type == INTEGER_VALUE else value.sql


def _in_range(sql: str) -> str:
    """SQL that is null if the result is out of range: one value must not stop the evaluation of all rules, or a
    list."""
    return f"TRY({sql})"


def _where_known(sql: str, *values: _Value) -> Truth:
    """A comparison. If one of its values is unknown, the outcome can be anything."""
    known = " AND ".join(dict.fromkeys(one for value in values for one in value.known))
    return Outcomes(f"CASE WHEN {known} THEN {outcomes_of(sql).sql} ELSE 7 END") if known else sql
