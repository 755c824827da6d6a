"""Parses a measure: cuts its aggregates (or, in a derived metric, other metrics) out, and reads the rest as the shell.

Parsing needs sqlglot, which is imported only then. A parsed `Measure` is a plain value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tallybook.core.errors import MeasureError
from tallybook.core.measure.aggregates import AGGREGATE_WORDS, PERCENTILE, cut_aggregate, percentile_fraction
from tallybook.core.measure.model import BY_TIME, SHOWS, SPELLINGS, Measure, Operand, Slot, Then
from tallybook.core.measure.shell import ShellReader
from tallybook.core.measure.tokens import closing_bracket, normalize_sql, opens_bracket, split_arguments, tokenize_sql

if TYPE_CHECKING:
    from sqlglot import Token


def parse_measure(text: str, dialect: str) -> Measure:
    """Parse the measure of a metric with facts. `dialect` is sqlglot's name for the source's SQL.

    Raises MeasureError, with the closed list of supported forms, for everything else."""
    return _parse(text, dialect, cut_aggregate, "aggregates: " + AGGREGATE_WORDS)


def parse_derived(text: str) -> Measure:
    """Parse a formula of other metrics: `revenue / active_users`, `average(mrr) / active_users`."""
    return _parse(text, "duckdb", _cut_operand, "metric names and total|average|last|first|min|max|change(metric)")


Leaf = Slot | Operand
Cut = Callable[[str, "list[Token]", int], "tuple[Leaf, int] | None"]


def _parse(text: str, dialect: str, cut: Cut, supported: str) -> Measure:
    """Replace the leaves in the text by placeholders, and read the rest as the shell."""
    tokens = tokenize_sql(text, dialect)
    leaves: list[Leaf] = []
    rest, position, after = "", 0, 0
    while position < len(tokens):
        taken = cut(text, tokens, position)
        if taken is None:
            position += 1
            continue
        leaf, end = taken
        if leaf not in leaves:
            leaves.append(leaf)
        rest += f"{text[after : tokens[position].start]} __s{leaves.index(leaf)}__ "
        after = tokens[end].end + 1
        position = end + 1
    rest += text[after:]
    if not leaves:
        raise MeasureError(f"measure {text!r} contains none of the {supported}")
    shell = ShellReader(text, dialect).read(rest)
    slots = tuple(leaf for leaf in leaves if isinstance(leaf, Slot))
    operands = tuple(leaf for leaf in leaves if isinstance(leaf, Operand))
    return Measure(text=normalize_sql(text, dialect), shell=shell, slots=slots, operands=operands)


THEN_WORDS = "avg, median, p50 … p99_9, min, max, sum, count, stddev, stddev_pop, variance, var_pop"


def parse_then(text: str) -> Then:
    """Parse the aggregate over entities: `p90`, `avg`. Raises MeasureError with the list of aggregates."""
    name = text.strip().lower()
    if name == "median":
        return Then(agg="quantile", q=0.5)
    if named := PERCENTILE.match(name):
        return Then(agg="quantile", q=percentile_fraction(named))
    agg = SPELLINGS.get(name)
    if agg is None or agg in (*BY_TIME, "quantile", "quantile_disc"):
        raise MeasureError(f"{text!r} is not an aggregate over entities", hint=f"one of {THEN_WORDS}")
    return Then(agg=agg)


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


def _cut_operand(text: str, tokens: list[Token], at: int) -> tuple[Operand, int] | None:
    """The operand at token `at`, `mrr` or `average(mrr)`, and the index of its last token; None for anything else."""
    word = text[tokens[at].start : tokens[at].end + 1]
    if word.lower() in SHOWS and opens_bracket(tokens, at + 1):
        close = closing_bracket(tokens, at + 1, text)
        inside = split_arguments(text, tokens[at + 2 : close])
        if len(inside) != 1 or not inside[0].isidentifier():
            raise MeasureError(f"in {text!r}: {word}(…) takes one metric's name, seen {', '.join(inside) or 'none'}")
        return Operand(metric=inside[0], show=word.lower()), close
    if not word.isidentifier() or opens_bracket(tokens, at + 1) or word.lower() in _SHELL_KEYWORDS:
        return None
    if at and tokens[at - 1].text.lower() == "as":
        return None
    return Operand(metric=word), at
