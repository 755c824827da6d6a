"""Reads the expression around the aggregates of a measure, the shell, into a `Tree`.

Tallybook evaluates it after merging, so the functions that may occur there are a closed list: `SHELL_WORDS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tallybook.core.errors import MeasureError
from tallybook.core.logs import quiet
from tallybook.core.measure.model import Tree
from tallybook.core.measure.tokens import unnegated

if TYPE_CHECKING:
    from sqlglot import Expr

SHELL_WORDS = "+ - * / %, case, coalesce, nullif, round, abs, least, greatest, cast to a number"


@dataclass(frozen=True)
class Casts:
    """Cast rules of a dialect. `truncates`: a cast to integer cuts the decimals off. `scale`: the decimals of DECIMAL
    without digits."""

    truncates: bool = False
    scale: int | None = None


_CASTS = {"sqlite": Casts(truncates=True), "mysql": Casts(scale=0), "duckdb": Casts(scale=3)}


class ShellReader:
    """Reads the expression around the leaves into a Tree; refuses everything that is not in SHELL_WORDS."""

    def __init__(self, text: str, dialect: str) -> None:
        self.text, self.dialect = text, dialect

    def read(self, rest: str) -> Tree:
        """The tree of `rest`, whose leaves are the placeholders __s0__, __s1__, …"""
        from sqlglot import parse_one
        from sqlglot.errors import ParseError

        quiet("sqlglot")
        try:
            return self.tree(parse_one(rest, dialect=self.dialect))
        except ParseError as error:
            reason = error.errors[0].get("description", str(error)) if error.errors else str(error)
            raise MeasureError(f"{self.text!r} is not valid SQL: {reason}") from None

    def refuse(self, node: Expr) -> MeasureError:
        """The error for an expression that cannot be evaluated after merging."""
        seen = re.sub(r"__s\d+__", "…", node.sql(dialect=self.dialect))
        return MeasureError(
            f"in {self.text!r}: {seen!r} is outside the aggregates; only {SHELL_WORDS} are supported there",
            hint="put it inside the aggregate, or into `sql` as a column",
        )

    def tree(self, node: Expr) -> Tree:
        """The tree of a value."""
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
        """The tree of a CASE, with or without a subject."""
        from sqlglot import expressions as exp

        subject = node.this
        branches = []
        for branch in node.args["ifs"]:
            condition = exp.EQ(this=subject.copy(), expression=branch.this) if subject else branch.this
            branches.append([self.condition(condition), self.tree(branch.args["true"])])
        default = node.args.get("default")
        return ["case", branches, self.tree(default) if default else ["null"]]

    def condition(self, node: Expr) -> Tree:
        """The tree of a condition."""
        from sqlglot import expressions as exp

        compare: dict[type, str] = {
            exp.EQ: "=",
            exp.NEQ: "<>",
            exp.LT: "<",
            exp.LTE: "<=",
            exp.GT: ">",
            exp.GTE: ">=",
        }
        if (plain := unnegated(node)) is not None:
            return ["not", self.condition(plain)]
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
            case exp.Between() if not node.args.get("symmetric"):
                low = ["cmp", ">=", self.tree(node.this), self.tree(node.args["low"])]
                return ["and", low, ["cmp", "<=", self.tree(node.this), self.tree(node.args["high"])]]
        raise self.refuse(node)

    def round(self, node: Expr) -> Tree:
        """The tree of ROUND with a literal number of digits."""
        digits = node.args.get("decimals")
        written = 0 if digits is None else _whole(digits)
        if written is None:
            raise self.refuse(node)
        return ["round", self.tree(node.this), written]

    def cast(self, node: Expr) -> Tree:
        """The tree of a CAST to a number."""
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
