"""The conditions of lists, rules and pages: the boolean SQL of a measure's shell over attributes. Pure.

    plan = 'trial' and api_calls_7d < 10 and age(created_at) > '30 days'

Null, which is known to be empty, follows SQL. Unknown is a third value: only `is known` and `is unknown` turn it into
true or false."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
NUMBERS = (INTEGER_VALUE, NUMBER_VALUE)
KNOWN, UNKNOWN = "\x01known", "\x01unknown"
"""Texts that stand for `is known` and `is unknown` while a condition is parsed."""
FORMS = (
    "comparisons, and, or, not, in, between, like, is null, is known, is unknown, + - * /, now(), age(time), "
    "interval '7 days', lower(text), upper(text)"
)
_SPAN = re.compile(r"\s*\d+(\.\d+)?\s*(second|minute|hour|day|week|month|year)s?\s*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ConditionColumn:
    """An attribute in a condition: its SQL and type. `known`: SQL that says whether its value is known, where it may
    not be."""

    sql: str
    type: str
    known: str | None = None


@dataclass(frozen=True)
class Condition:
    """A condition as SQL. `unknown` is the condition that its outcome is not known; None where it always is."""

    true: str
    unknown: str | None = None


def compile_condition(text: str, columns: Mapping[str, ConditionColumn], *, now: str) -> Condition:
    """The condition over `columns`, by name, in any case. `now` is the instant of now(), as SQL.

    Raises QueryError for what is not a condition, for names that are not there, and for types that do not compare."""
    truth = _Compiler(text, {name.casefold(): column for name, column in columns.items()}, columns, now).compiled()
    if isinstance(truth, _Outcomes):
        return Condition(true=f"({truth.sql} = {TRUE})", unknown=f"({truth.sql} IN ({_listed_open()}))")
    return Condition(true=f"coalesce({truth}, FALSE)")


@dataclass(frozen=True)
class _Value:
    sql: str
    type: str
    known: tuple[str, ...] = ()
    """SQL that must be true for the value to be known."""


TRUE, FALSE, NULL_OUTCOME = 1, 2, 4
"""What a condition can be, as the sum of these: 7 where it is not known at all."""


@dataclass(frozen=True)
class _Outcomes:
    """SQL of the sum of what a condition can be."""

    sql: str


_Truth = str | _Outcomes
"""SQL of what is true, false or null; or of what it can be, where something is not known."""


@dataclass(frozen=True)
class _Compiler:
    text: str
    columns: Mapping[str, ConditionColumn]
    spelled: Mapping[str, ConditionColumn]
    now: str

    def compiled(self) -> _Truth:
        import sqlglot
        from sqlglot.errors import SqlglotError

        try:
            tree = sqlglot.parse_one(_marked(self.text), read="duckdb")
        except SqlglotError as error:
            why = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split("\n")[0].split(". Line")[0]
            raise self.wrong(f"cannot be read: {why}") from None
        return self.truth(tree)

    def wrong(self, why: str, hint: str = "") -> QueryError:
        return QueryError(f"the condition {self.text!r} {why}", hint=hint or f"conditions have {FORMS}")

    # -- true, false, null, unknown ------------------------------------------------------------------

    def truth(self, node: Any) -> _Truth:
        from sqlglot import exp

        match node:
            case exp.Paren():
                return self.truth(node.this)
            case exp.And():
                return _joined(self.truth(node.left), self.truth(node.right), "AND")
            case exp.Or():
                return _joined(self.truth(node.left), self.truth(node.right), "OR")
            case exp.Not():
                return _negated(self.truth(node.this))
            case exp.EQ() if isinstance(node.right, exp.Literal) and node.right.name in (KNOWN, UNKNOWN):
                return self.is_known(node.left, wanted=node.right.name == KNOWN)
        return self.leaf(node)

    def is_known(self, node: Any, *, wanted: bool) -> str:
        known = " AND ".join(self.value(node).known) or "TRUE"
        return f"({known})" if wanted else f"(NOT ({known}))"

    def leaf(self, node: Any) -> _Truth:
        from sqlglot import exp

        signs = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
        if type(node) in signs:
            left, right = self.alike(node.left, node.right)
            return _where_known(f"({left.sql} {signs[type(node)]} {right.sql})", left, right)
        match node:
            case exp.Between():
                value, low = self.alike(node.this, node.args["low"])
                _, high = self.alike(node.this, node.args["high"])
                return _where_known(f"({value.sql} BETWEEN {low.sql} AND {high.sql})", value, low, high)
            case exp.In() if node.expressions:
                pairs = [self.alike(node.this, one) for one in node.expressions]
                listed = ", ".join(one.sql for _, one in pairs)
                return _where_known(f"({pairs[0][0].sql} IN ({listed}))", *(v for pair in pairs for v in pair))
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
        value = self.value(node)
        self.needs(node, value, FLAG_VALUE)
        return _where_known(value.sql, value)

    def needs(self, node: Any, value: _Value, type_: str) -> None:
        if value.type not in (type_, NULL):
            raise self.wrong(
                f"needs a value of type {type_} where it has {node.sql(dialect='duckdb')}, of type {value.type}"
            )

    def alike(self, one: Any, other: Any) -> tuple[_Value, _Value]:
        """Two values that are compared. A text beside a time or a span is read as one."""
        left, right = self.value(one), self.value(other)
        left, right = self.read_as(one, left, right.type), self.read_as(other, right, left.type)
        numbers = left.type in NUMBERS and right.type in NUMBERS
        if not (numbers or left.type == right.type or NULL in (left.type, right.type)):
            raise self.wrong(
                f"compares {one.sql(dialect='duckdb')}, of type {left.type}, with {other.sql(dialect='duckdb')}, "
                f"of type {right.type}",
                hint="write text in single quotes and numbers without them",
            )
        return left, right

    def read_as(self, node: Any, value: _Value, type_: str) -> _Value:
        """A literal text as a time or a span, where it is beside one."""
        from sqlglot import exp

        if not (isinstance(node, exp.Literal) and node.is_string and type_ in (INSTANT_VALUE, INTERVAL)):
            return value
        if type_ == INTERVAL or (_SPAN.fullmatch(node.name) and not re.match(r"\d{4}-", node.name)):
            return self.span(node.name)
        from datetime import UTC, datetime

        try:
            at = datetime.fromisoformat(node.name)
        except ValueError:
            raise self.wrong(f"has {node.name!r} beside a time", hint="write it as '2026-03-01'") from None
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        return _Value(f"TIMESTAMPTZ {literal(at.isoformat())}", INSTANT_VALUE)

    def span(self, written: str) -> _Value:
        if not _SPAN.fullmatch(written):
            raise self.wrong(f"has {written!r} where a span is expected", hint="write it as '7 days'")
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
                return _Value(f"(-{inner.sql})", inner.type, inner.known)
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
        if name == "age" and len(node.expressions) == 1:
            inner = self.value(node.expressions[0])
            self.needs(node.expressions[0], inner, INSTANT_VALUE)
            return _Value(f"({self.now} - {inner.sql})", INTERVAL, inner.known)
        raise self.wrong(f"has {node.sql(dialect='duckdb')}, which no condition has")

    def column(self, name: str) -> _Value:
        found = self.columns.get(name.casefold())
        if found is None:
            names = list(self.spelled)
            listed = f"there are: {', '.join(names[:20])}{' …' if len(names) > 20 else ''}"
            raise self.wrong(f"names {name!r}, which is no attribute", f"{did_you_mean(name, names)} {listed}".strip())
        return _Value(found.sql, found.type, (found.known,) if found.known else ())

    def number(self, node: Any) -> _Value:
        value = self.value(node)
        if value.type not in (*NUMBERS, NULL):
            raise self.wrong(f"calculates with {node.sql(dialect='duckdb')}, of type {value.type}")
        return value

    def arithmetic(self, node: exp.Binary) -> _Value:
        """Numbers, or a time and a span. Division by zero is null."""
        from sqlglot import exp

        sign = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}[type(node)]
        left = self.value(node.left)
        if left.type == INSTANT_VALUE and sign in "+-":
            right = self.read_as(node.right, self.value(node.right), INTERVAL)
            type_ = INTERVAL if right.type == INSTANT_VALUE and sign == "-" else INSTANT_VALUE
            if right.type not in (INTERVAL, INSTANT_VALUE) or (right.type == INSTANT_VALUE and sign == "+"):
                raise self.wrong(f"calculates {node.sql(dialect='duckdb')}: from a time only a span can be taken")
            return _Value(f"({left.sql} {sign} {right.sql})", type_, left.known + right.known)
        left, right = self.number(node.left), self.number(node.right)
        if sign == "/":
            return _Value(
                f"(CAST({left.sql} AS DOUBLE) / nullif({right.sql}, 0))", NUMBER_VALUE, left.known + right.known
            )
        type_ = INTEGER_VALUE if left.type == right.type == INTEGER_VALUE else NUMBER_VALUE
        return _Value(f"({left.sql} {sign} {right.sql})", type_, left.known + right.known)


def _marked(text: str) -> str:
    """The text with `is known` and `is unknown` as comparisons with a text that nobody types."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        tokens = sqlglot.tokenize(text, read="duckdb")
    except SqlglotError:
        return text
    found: list[tuple[int, int, str]] = []
    for place, token in enumerate(tokens):
        words = [one.text.lower() for one in tokens[place : place + 3]]
        if words[0] != "is":
            continue
        negated = words[1:2] == ["not"]
        word = words[1 + negated] if len(words) > 1 + negated else ""
        if word in ("known", "unknown"):
            marker = KNOWN if (word == "known") != negated else UNKNOWN
            found.append((token.start, tokens[place + 1 + negated].end + 1, f"= '{marker}'"))
    for start, end, instead in reversed(found):
        text = text[:start] + instead + text[end:]
    return text


def _where_known(sql: str, *values: _Value) -> _Truth:
    """A comparison: where one of its values is unknown, it can be anything."""
    known = " AND ".join(dict.fromkeys(one for value in values for one in value.known))
    return _Outcomes(f"CASE WHEN {known} THEN {_outcomes(sql).sql} ELSE 7 END") if known else sql


def _outcomes(truth: _Truth) -> _Outcomes:
    if isinstance(truth, _Outcomes):
        return truth
    return _Outcomes(f"CASE {truth} WHEN TRUE THEN {TRUE} WHEN FALSE THEN {FALSE} ELSE {NULL_OUTCOME} END")


def _negated(truth: _Truth) -> _Truth:
    if isinstance(truth, str):
        return f"(NOT {truth})"
    return _Outcomes(f"{_table([_not(one) for one in range(8)])}[1 + {truth.sql}]")


def _joined(one: _Truth, other: _Truth, word: str) -> _Truth:
    """AND, or OR, of two conditions. A table says what comes of what they can be: so each is in the SQL once."""
    if isinstance(one, str) and isinstance(other, str):
        return f"({one} {word} {other})"
    joined = _and if word == "AND" else lambda a, b: _not(_and(_not(a), _not(b)))
    table = _table([joined(a, b) for a in range(8) for b in range(8)])
    return _Outcomes(f"{table}[1 + 8 * ({_outcomes(one).sql}) + ({_outcomes(other).sql})]")


def _table(numbers: list[int]) -> str:
    return f"[{', '.join(map(str, numbers))}]"


def _not(one: int) -> int:
    return (FALSE if one & TRUE else 0) + (TRUE if one & FALSE else 0) + (one & NULL_OUTCOME)


def _and(one: int, other: int) -> int:
    """What a AND b can be."""
    outcomes = 0
    for a in (TRUE, FALSE, NULL_OUTCOME):
        for b in (TRUE, FALSE, NULL_OUTCOME):
            if one & a and other & b:
                outcomes |= FALSE if FALSE in (a, b) else NULL_OUTCOME if NULL_OUTCOME in (a, b) else TRUE
    return outcomes


def _listed_open() -> str:
    """The outcomes that are not known: true among others."""
    return ", ".join(str(one) for one in range(8) if one & TRUE and one != TRUE)
