"""An SQL aggregate expression taken apart: slots (the aggregates) and a shell (what stands around them).

    100.0 * sum(case when ok then 1 end) / count(*)
    └──────────── shell: (100.0 * s0) / s1 ────────┘   slots: s0 = sum(…), s1 = count(*)

What stands *inside* an aggregate is the source's own SQL and passes through letter for letter. What stands
*around* the aggregates is evaluated by us after merging, so it is a closed list (`SHELL_WORDS`). The
names of the aggregates are ours on every database: `stddev` is the sample's, also on MySQL.

Parsing needs sqlglot, which is imported only then; a parsed `Measure` is a plain value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core.errors import MeasureError
from tallybook.core.logs import quiet

if TYPE_CHECKING:
    from sqlglot import Expr, Token

ADDITIVE, IDS, BUCKETS = "additive", "ids", "buckets"
INTEGER, DECIMAL, FLOAT = "integer", "decimal", "float"

Tree = list[Any]
"""A shell: ["slot", 0], ["num", "1.5"], ["null"], [operator, tree, …]; rendered by `render`."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One aggregate of a measure: what is aggregated, of which rows."""

    agg: str
    args: tuple[str, ...] = ()
    filter: str | None = None
    q: float | None = None
    """The quantile, between 0 and 1."""
    counts_null: bool = False
    """`count(distinct (a, b))`: a row of nulls is a value too."""

    @property
    def shape(self) -> str:
        """Which kind of points it needs: additive parts, a row per id, or a row per bucket."""
        return AGGREGATES[self.agg]

    @property
    def zero(self) -> bool:
        """Over no values it is 0; otherwise it is null."""
        return self.agg in ("count", "sum", "count_distinct", "sum_distinct")

    @property
    def spread(self) -> bool:
        """It is a variance or the root of one."""
        return self.agg in SPREADS


class Then(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the values of all entities: the second of two steps."""

    agg: str
    q: float | None = None

    @property
    def zero(self) -> bool:
        """Over no entities it is 0; otherwise it is null."""
        return self.agg in ("count", "sum")


class Operand(msgspec.Struct, frozen=True, kw_only=True):
    """A metric inside a derived one, with the show it is rolled up by (None: its own default)."""

    metric: str
    show: str | None = None


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is normalised; `slots` (or, derived, `operands`) fill the leaves of `shell`."""

    text: str
    shell: Tree
    slots: tuple[Slot, ...] = ()
    operands: tuple[Operand, ...] = ()

    @property
    def linear(self) -> bool:
        """A sum of counts, sums and distincts, each times a number: its daily mean has a meaning."""
        return linear(self.shell, lambda index: self.slots[index].zero)


AGGREGATES = {
    "count": ADDITIVE,
    "sum": ADDITIVE,
    "avg": ADDITIVE,
    "min": ADDITIVE,
    "max": ADDITIVE,
    "stddev_samp": ADDITIVE,
    "stddev_pop": ADDITIVE,
    "var_samp": ADDITIVE,
    "var_pop": ADDITIVE,
    "count_distinct": IDS,
    "sum_distinct": IDS,
    "avg_distinct": IDS,
    "first": IDS,
    "last": IDS,
    "quantile": BUCKETS,
    "quantile_disc": BUCKETS,
}
SPREADS = ("stddev_samp", "stddev_pop", "var_samp", "var_pop")
"""Aggregates of squares: each of their parts has a K of its own."""
BY_TIME = ("first", "last")
"""Aggregates that take the value of one fact, by its time."""
SPELLINGS = {
    "count": "count",
    "sum": "sum",
    "avg": "avg",
    "mean": "avg",
    "min": "min",
    "max": "max",
    "stddev": "stddev_samp",
    "stddev_samp": "stddev_samp",
    "stddev_pop": "stddev_pop",
    "variance": "var_samp",
    "var_samp": "var_samp",
    "var_pop": "var_pop",
    "median": "quantile",
    "quantile": "quantile",
    "quantile_cont": "quantile",
    "percentile_cont": "quantile",
    "quantile_disc": "quantile_disc",
    "percentile_disc": "quantile_disc",
    "first": "first",
    "last": "last",
}
_PERCENTILE = re.compile(r"^p(\d{1,2})(?:_(\d+))?$")
AGGREGATE_WORDS = (
    "count(*), count(x), count(distinct x), count(distinct a, b), sum(x), avg(x), min(x), max(x), "
    "sum(distinct x), avg(distinct x), first(x), last(x), stddev(x), variance(x), median(x), p50(x) … p99_9(x), quantile(x, q), "
    "quantile_disc(x, q), percentile_cont(q) or percentile_disc(q) within group (order by x); each with filter (where …)"
)
SHELL_WORDS = "+ - * / %, case, coalesce, nullif, round, abs, least, greatest, cast to a number"
_SHELL_FUNCTIONS = {"coalesce", "nullif", "round", "abs", "least", "greatest"}
SHOW_WORDS = ("total", "average", "last", "first", "min", "max", "change")


def parse_measure(text: str, dialect: str) -> Measure:
    """Take the measure of a metric with facts apart. `dialect` is sqlglot's name for the source's SQL.

    Raises MeasureError, with the closed list, for everything else."""
    return _parse(text, dialect, _cut_aggregate, "aggregates: " + AGGREGATE_WORDS)


def parse_derived(text: str) -> Measure:
    """Take a formula of other metrics apart: `revenue / active_users`, `average(mrr) / active_users`."""
    return _parse(text, "duckdb", _cut_operand, "metric names and total|average|last|first|min|max|change(metric)")


Leaf = Slot | Operand
Cut = Callable[[str, "list[Token]", int], "tuple[Leaf, int] | None"]


def _parse(text: str, dialect: str, cut: Cut, leaves: str) -> Measure:
    """Cut the leaves out of the text, leaving placeholders, and read what remains as the shell."""
    tokens = _tokens(text, dialect)
    found: list[Leaf] = []
    rest, position, after = "", 0, 0
    while position < len(tokens):
        taken = cut(text, tokens, position)
        if taken is None:
            position += 1
            continue
        leaf, end = taken
        if leaf not in found:
            found.append(leaf)
        rest += f"{text[after : tokens[position].start]} __s{found.index(leaf)}__ "
        after = tokens[end].end + 1
        position = end + 1
    rest += text[after:]
    if not found:
        raise MeasureError(f"measure {text!r} holds none of the {leaves}")
    shell = _Shell(text, dialect).read(rest)
    slots = tuple(leaf for leaf in found if isinstance(leaf, Slot))
    operands = tuple(leaf for leaf in found if isinstance(leaf, Operand))
    return Measure(text=normalised(text, dialect), shell=shell, slots=slots, operands=operands)


def normalised(text: str, dialect: str) -> str:
    """The words of an SQL text with one space between them, unquoted ones in lower case, without comments."""
    words = []
    for token in _tokens(text, dialect):
        raw = text[token.start : token.end + 1]
        words.append(raw if raw[:1] in "'\"`[" or "'" in raw else raw.lower())
    return " ".join(words)


def _tokens(text: str, dialect: str) -> list[Token]:
    from sqlglot import tokenize
    from sqlglot.errors import TokenError

    try:
        return tokenize(text, dialect=dialect)
    except TokenError as error:
        raise MeasureError(f"{text!r} is not SQL: {error}") from None


THEN_WORDS = "avg, median, p50 … p99_9, min, max, sum, count, stddev, stddev_pop, variance, var_pop"


def parse_then(text: str) -> Then:
    """`p90`, `avg`: the aggregate of one value for each entity. Raises MeasureError with those there are."""
    name = text.strip().lower()
    if name == "median":
        return Then(agg="quantile", q=0.5)
    if named := _PERCENTILE.match(name):
        return Then(agg="quantile", q=_percentile(named))
    agg = SPELLINGS.get(name)
    if agg is None or agg in (*BY_TIME, "quantile", "quantile_disc"):
        raise MeasureError(f"{text!r} is no aggregate of the values of all entities", hint=f"one of {THEN_WORDS}")
    return Then(agg=agg)


def _percentile(named: re.Match[str]) -> float:
    return float(f"0.{int(named[1]):02d}{named[2] or ''}")


# --- cutting aggregates out ---------------------------------------------------------------------


def _cut_aggregate(text: str, tokens: list[Token], at: int) -> tuple[Slot, int] | None:
    """The aggregate call that begins at token `at`, and the place of its last token."""
    name = tokens[at].text.lower()
    if not _opens(tokens, at + 1) or _is_quoted(text, tokens[at]):
        return None
    agg, q = SPELLINGS.get(name), None
    if agg is None:
        named = _PERCENTILE.match(name)
        if not named:
            return None
        agg, q = "quantile", _percentile(named)
    close = _closing(tokens, at + 1, text)
    inside = tokens[at + 2 : close]
    distinct = bool(inside) and inside[0].text.lower() == "distinct"
    args = _arguments(text, inside[1:] if distinct else inside)
    if name == "median":
        q = 0.5
    end = close
    order: tuple[str, bool] | None = None
    while end + 1 < len(tokens) and tokens[end + 1].text.lower() == "within":
        order, end = _within_group(text, tokens, end + 1)
    where = None
    if end + 2 < len(tokens) and tokens[end + 1].text.lower() == "filter" and _opens(tokens, end + 2):
        last = _closing(tokens, end + 2, text)
        if tokens[end + 3].text.lower() != "where":
            raise MeasureError(f"in {text!r}: filter ( must go on with where")
        where, end = text[tokens[end + 3].end + 1 : tokens[last].start].strip(), last
    if end + 1 < len(tokens) and tokens[end + 1].text.lower() == "over":
        raise MeasureError(f"in {text!r}: a window (over …) is not an aggregate of facts", hint="take `over (…)` away")
    slot = _slot(text, name, agg, q, args, distinct, order)
    _refuse_nested(text, tokens[at + 2 : end])
    return msgspec.structs.replace(slot, filter=where), end


def _slot(
    text: str,
    name: str,
    agg: str,
    q: float | None,
    args: list[str],
    distinct: bool,
    order: tuple[str, bool] | None,
) -> Slot:
    if agg in ("quantile", "quantile_disc"):
        return msgspec.structs.replace(_quantile(text, name, q, args, distinct, order), agg=agg)
    if order:
        raise MeasureError(f"in {text!r}: within group goes with percentile_cont(q) and percentile_disc(q) only")
    if distinct:
        if agg not in ("count", "sum", "avg", "min", "max"):
            raise MeasureError(f"in {text!r}: {name}(distinct …) is not a measure; count, sum and avg are")
        if agg in ("min", "max"):
            return Slot(agg=agg, args=_exactly(text, name, args, 1))
        return _distinct(text, name, agg, args)
    if agg == "count" and args == ["*"]:
        return Slot(agg="count")
    return Slot(agg=agg, args=_exactly(text, name, args, 1))


def _distinct(text: str, name: str, agg: str, args: list[str]) -> Slot:
    if agg != "count":
        return Slot(agg=f"{agg}_distinct", args=_exactly(text, name, args, 1))
    if not args or args == ["*"]:
        raise MeasureError(f"in {text!r}: count(distinct …) needs the column or columns that tell one from another")
    row = re.fullmatch(r"(?:row\s*)?\((.*)\)", args[0], re.IGNORECASE | re.DOTALL) if len(args) == 1 else None
    if row and _balanced(row[1]):
        inner = _tokens(row[1], "duckdb")
        parts = _arguments(row[1], inner)
        if len(parts) > 1:
            return Slot(agg="count_distinct", args=tuple(parts), counts_null=True)
    return Slot(agg="count_distinct", args=tuple(args))


def _quantile(
    text: str, name: str, q: float | None, args: list[str], distinct: bool, order: tuple[str, bool] | None
) -> Slot:
    if distinct:
        raise MeasureError(f"in {text!r}: a percentile of distinct values is not a measure")
    if name in ("percentile_cont", "percentile_disc"):
        if order is None:
            raise MeasureError(f"in {text!r}: expected {name}(q) within group (order by x)")
        value, descending = order
        if descending and name == "percentile_disc":
            raise MeasureError(
                f"in {text!r}: percentile_disc goes up", hint=f"percentile_disc(…) within group (order by {value})"
            )
        q = _fraction(text, _exactly(text, name, args, 1)[0])
        return Slot(agg="quantile", args=(value,), q=float(1 - Decimal(str(q))) if descending else q)
    if q is None:
        value, fraction = _exactly(text, name, args, 2)
        return Slot(agg="quantile", args=(value,), q=_fraction(text, fraction))
    return Slot(agg="quantile", args=_exactly(text, name, args, 1), q=q)


def _fraction(text: str, written: str) -> float:
    try:
        q = float(written)
    except ValueError:
        q = -1.0
    if not 0 <= q <= 1:
        raise MeasureError(f"in {text!r}: the quantile is {written!r}; expected a number from 0 to 1, as 0.95")
    return q


def _within_group(text: str, tokens: list[Token], at: int) -> tuple[tuple[str, bool], int]:
    """`within group (order by x desc)` → ((x, True), place of its last token)."""
    words = [t.text.lower() for t in tokens[at : at + 5]]
    if words[:3] != ["within", "group", "("]:
        raise MeasureError(f"in {text!r}: expected within group (order by x)")
    close = _closing(tokens, at + 2, text)
    inside = tokens[at + 3 : close]
    if inside and inside[0].text.lower() in ("order by", "order"):
        inside = inside[1:]
        if inside and inside[0].text.lower() == "by":
            inside = inside[1:]
    if not inside:
        raise MeasureError(f"in {text!r}: expected within group (order by x)")
    descending = inside[-1].text.lower() == "desc"
    if inside[-1].text.lower() in ("asc", "desc"):
        inside = inside[:-1]
    return (text[inside[0].start : inside[-1].end + 1], descending), close


def _refuse_nested(text: str, inside: list[Token]) -> None:
    for here, token in enumerate(inside):
        word = token.text.lower()
        if word == "select" and not _is_quoted(text, token):
            raise MeasureError(
                f"in {text!r}: a query inside a measure", hint="put it into `sql`, and measure its column"
            )
        aggregate = word in SPELLINGS or _PERCENTILE.match(word)
        # min(a, b) and max(a, b) of two values are SQLite's least and greatest
        if aggregate and _opens(inside, here + 1) and not _is_quoted(text, token) and word not in ("min", "max"):
            raise MeasureError(f"in {text!r}: {word}(…) stands inside another aggregate")


def _exactly(text: str, name: str, args: list[str], number: int) -> tuple[str, ...]:
    if len(args) != number or "*" in args:
        raise MeasureError(f"in {text!r}: {name} takes {number} value{'s' if number > 1 else ''}, seen {len(args)}")
    return tuple(args)


def _arguments(text: str, inside: list[Token]) -> list[str]:
    """The texts between the commas of the outermost level."""
    found, depth, start = [], 0, 0
    for here, token in enumerate(inside):
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        if token.text == "," and depth == 0:
            found.append(inside[start:here])
            start = here + 1
    found.append(inside[start:])
    return [text[part[0].start : part[-1].end + 1] for part in found if part]


def _opens(tokens: list[Token], at: int) -> bool:
    return at < len(tokens) and tokens[at].text == "("


def _closing(tokens: list[Token], at: int, text: str) -> int:
    depth = 0
    for here in range(at, len(tokens)):
        word = tokens[here].text
        raw = text[tokens[here].start : tokens[here].end + 1]
        depth += (raw == "(") - (raw == ")") if word in ("(", ")") else 0
        if depth == 0:
            return here
    raise MeasureError(f"in {text!r}: a bracket is not closed")


def _balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return depth == 0


def _is_quoted(text: str, token: Token) -> bool:
    return text[token.start] in "'\"`["


# --- cutting other metrics out ------------------------------------------------------------------


def _cut_operand(text: str, tokens: list[Token], at: int) -> tuple[Operand, int] | None:
    """`mrr` or `average(mrr)` at token `at`."""
    word = text[tokens[at].start : tokens[at].end + 1]
    if word.lower() in SHOW_WORDS and _opens(tokens, at + 1):
        close = _closing(tokens, at + 1, text)
        inside = _arguments(text, tokens[at + 2 : close])
        if len(inside) != 1 or not inside[0].isidentifier():
            raise MeasureError(f"in {text!r}: {word}(…) takes one metric's name, seen {', '.join(inside) or 'none'}")
        return Operand(metric=inside[0], show=word.lower()), close
    if not word.isidentifier() or _opens(tokens, at + 1) or word.lower() in _SHELL_KEYWORDS:
        return None
    if at and tokens[at - 1].text.lower() == "as":
        return None
    return Operand(metric=word), at


_SHELL_KEYWORDS = {
    "case",
    "when",
    "then",
    "else",
    "end",
    "and",
    "or",
    "not",
    "is",
    "null",
    "between",
    "true",
    "false",
    "as",
    "double",
    "precision",
    "float",
    "real",
    "decimal",
    "numeric",
    "integer",
    "bigint",
}


# --- the shell ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Casts:
    """How a dialect casts: to whole numbers by cutting digits off, and to DECIMAL without digits with so many."""

    truncates: bool = False
    scale: int | None = None


_CASTS = {"sqlite": Casts(truncates=True), "mysql": Casts(scale=0), "duckdb": Casts(scale=3)}


class _Shell:
    """Reads what stands around the leaves into a Tree; refuses everything that is not on the list."""

    def __init__(self, text: str, dialect: str) -> None:
        self.text, self.dialect = text, dialect

    def read(self, rest: str) -> Tree:
        from sqlglot import parse_one
        from sqlglot.errors import ParseError

        quiet("sqlglot")
        try:
            return self.tree(parse_one(rest, dialect=self.dialect))
        except ParseError as error:
            said = error.errors[0].get("description", str(error)) if error.errors else str(error)
            raise MeasureError(f"{self.text!r} cannot be read: {said}") from None

    def refuse(self, node: Expr) -> MeasureError:
        seen = re.sub(r"__s\d+__", "…", node.sql(dialect=self.dialect))
        return MeasureError(
            f"in {self.text!r}: {seen!r} stands outside the aggregates; there only {SHELL_WORDS} may stand",
            hint="put it inside the aggregate, or into `sql` as a column",
        )

    def tree(self, node: Expr) -> Tree:
        from sqlglot import expressions as exp

        simple: dict[type, str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
        if type(node) in simple:
            return [simple[type(node)], self.tree(node.this), self.tree(node.expression)]
        match node:
            case exp.Paren():
                return self.tree(node.this)
            case exp.Neg():
                return ["neg", self.tree(node.this)]
            case exp.Column() if (slot := re.fullmatch(r"__s(\d+)__", node.name)) and not node.table:
                return ["slot", int(slot[1])]
            case exp.Literal() if not node.is_string:
                return ["num", str(node.this)]
            case exp.Null():
                return ["null"]
            case exp.Case():
                return self.case(node)
            case exp.If():
                otherwise = node.args.get("false")
                branch = [self.condition(node.this), self.tree(node.args["true"])]
                return ["case", [branch], self.tree(otherwise) if otherwise else ["null"]]
            case exp.Coalesce() | exp.Least() | exp.Greatest():
                name = type(node).__name__.lower()
                return ["fn", name, *(self.tree(a) for a in [node.this, *node.expressions] if a is not None)]
            case exp.Nullif():
                return ["fn", "nullif", self.tree(node.this), self.tree(node.expression)]
            case exp.Abs():
                return ["fn", "abs", self.tree(node.this)]
            case exp.Round():
                return self.round(node)
            case exp.Cast() | exp.TryCast():
                return self.cast(node)
        raise self.refuse(node)

    def case(self, node: Expr) -> Tree:
        from sqlglot import expressions as exp

        subject = node.this
        branches = []
        for branch in node.args["ifs"]:
            asked = exp.EQ(this=subject.copy(), expression=branch.this) if subject else branch.this
            branches.append([self.condition(asked), self.tree(branch.args["true"])])
        default = node.args.get("default")
        return ["case", branches, self.tree(default) if default else ["null"]]

    def condition(self, node: Expr) -> Tree:
        from sqlglot import expressions as exp

        compare: dict[type, str] = {
            exp.EQ: "=",
            exp.NEQ: "<>",
            exp.LT: "<",
            exp.LTE: "<=",
            exp.GT: ">",
            exp.GTE: ">=",
        }
        if type(node) in compare:
            return ["cmp", compare[type(node)], self.tree(node.this), self.tree(node.expression)]
        match node:
            case exp.Paren():
                return self.condition(node.this)
            case exp.And() | exp.Or():
                word = "and" if isinstance(node, exp.And) else "or"
                return [word, self.condition(node.this), self.condition(node.expression)]
            case exp.Not():
                return ["not", self.condition(node.this)]
            case exp.Is() if isinstance(node.expression, exp.Null):
                return ["isnull", self.tree(node.this)]
            case exp.Between():
                low = ["cmp", ">=", self.tree(node.this), self.tree(node.args["low"])]
                return ["and", low, ["cmp", "<=", self.tree(node.this), self.tree(node.args["high"])]]
        raise self.refuse(node)

    def round(self, node: Expr) -> Tree:
        digits = node.args.get("decimals")
        written = 0 if digits is None else _whole(digits)
        if written is None:
            raise self.refuse(node)
        return ["round", self.tree(node.this), written]

    def cast(self, node: Expr) -> Tree:
        kind = node.args["to"].this.value.upper()
        inner = self.tree(node.this)
        if kind in ("DOUBLE", "FLOAT", "REAL"):
            return ["float", inner]
        if kind in ("INT", "BIGINT", "SMALLINT", "UBIGINT"):
            return ["trunc", inner] if _CASTS.get(self.dialect, Casts()).truncates else ["round", inner, 0]
        if kind == "DECIMAL":
            given = [_whole(p.this) for p in node.args["to"].expressions]
            scale = given[1] if len(given) > 1 else 0 if given else _CASTS.get(self.dialect, Casts()).scale
            return inner if scale is None else ["round", inner, scale]
        raise self.refuse(node)


def _whole(node: Expr) -> int | None:
    text = node.sql()
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def linear(tree: Tree, leaf: Callable[[int], bool]) -> bool:
    """Whether a shell adds up leaves, each times a number, and every one of them is such a `leaf`."""
    match tree:
        case ["slot", index]:
            return leaf(index)
        case ["+" | "-", left, right]:
            return linear(left, leaf) and linear(right, leaf)
        case ["neg", inner]:
            return linear(inner, leaf)
        case ["*", left, right] if is_written(left) or is_written(right):
            return linear(right if is_written(left) else left, leaf)
        case ["/", inner, divisor] if is_written(divisor):
            return linear(inner, leaf)
        case ["float", inner] | ["fn", "coalesce", inner, ["num", "0"]]:
            return linear(inner, leaf)
    return False


def is_written(tree: Tree) -> bool:
    """A number as it stands in the measure, with or without a sign."""
    return bool(tree[0] == "num" or (tree[0] == "neg" and is_written(tree[1])))
