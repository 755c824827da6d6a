"""What can be known of a declared `sql`, `where` or `fresh` without its database. Lenient: what we cannot
read may still be right, and is left to the database."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tallybook.catalog.values import Wrong
from tallybook.catalog.words import closest
from tallybook.errors import MeasureError
from tallybook.measure import parse_measure

if TYPE_CHECKING:
    from sqlglot import expressions as exp

_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_OPENING = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\()*", re.DOTALL)
_BOUNDS = "put {{from}} and {{to}} where the bounds of the days asked for belong: called_at >= {{from}}"


def wrong_in_all(check: Callable[[str, str], Wrong | None], text: str, dialects: Sequence[str]) -> Wrong | None:
    """What is wrong with the text, if it is wrong in every dialect it may be in."""
    found = [check(text, dialect) for dialect in dialects]
    return found[0] if all(found) else None


def wrong_where(text: str, dialect: str) -> Wrong | None:
    """Only what would break out of the brackets it is put into."""
    from sqlglot import tokenize
    from sqlglot.errors import SqlglotError

    try:
        tokens = tokenize(text, dialect=dialect)
    except SqlglotError:
        return Wrong("cannot be read: a quote is not closed", expected="a condition")
    words = [text[t.start : t.end + 1] for t in tokens]
    if words and words[0].lower() == "where":
        return Wrong("begins with where", expected="the condition alone", instead=text[5:].strip() or None)
    if any(token.comments for token in tokens):
        return Wrong("holds a comment", expected="the condition alone; toml has # for comments")
    if ";" in words:
        return Wrong("holds a ;", expected="one condition")
    if {"from", "to"} & set(_PLACEHOLDER.findall(text)):
        return Wrong("holds {{from}} or {{to}}", expected="bounds stand in sql alone")
    return None if _balanced(words) else Wrong("has a bracket too many or too few", expected="a condition")


def _balanced(words: Sequence[str]) -> bool:
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth < 0:
            return False
    return depth == 0


def wrong_placeholder(text: str, *, timed: bool) -> Wrong | None:
    for name in _PLACEHOLDER.findall(text):
        if name not in ("from", "to"):
            meant = closest(name, ("from", "to"))
            hint = f"did you mean {{{{{meant}}}}}?" if meant else ""
            return Wrong(f"holds {{{{{name}}}}}", expected="{{from}} and {{to}}", hint=hint)
        if not timed:
            why = f"holds {{{{{name}}}}}, but without time no days are asked for"
            return Wrong(why, expected="all rows")
    return None


def wrong_query(text: str, dialect: str) -> Wrong | None:
    """Why a text is not one query that only reads, as far as that can be known."""
    opening = _OPENING.match(text)
    word = re.match(r"\w*", text[opening.end() if opening else 0 :])
    first = word[0].lower() if word else ""
    if first not in ("select", "with", "from", "table"):
        seen = first.upper() or "something else"
        return Wrong(f"begins with {seen}", expected="a query: select … or with … select …")
    statements = _statements(text, dialect)
    if statements is None:
        return None
    if len(statements) != 1:
        return Wrong(f"holds {len(statements)} statements", expected="one query, without ;")
    return _wrong_write(statements[0])


@functools.lru_cache(maxsize=8)
def _statements(text: str, dialect: str) -> list[exp.Expression] | None:
    """What sqlglot reads; None where it cannot, which does not mean that the database cannot."""
    from sqlglot import parse
    from sqlglot.errors import SqlglotError

    try:
        found = parse(_PLACEHOLDER.sub("0", text), dialect=dialect)
    except (SqlglotError, RecursionError):
        return None
    return [statement for statement in found if statement is not None]  # type: ignore[misc]


def _wrong_write(statement: exp.Expression) -> Wrong | None:
    from sqlglot import expressions as exp

    writes = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Into, exp.Lock)
    found = statement.find(*writes)
    if found is None:
        return None
    return Wrong(f"writes or locks ({found.key.upper()})", expected="a query that only reads")


def wrong_cut(text: str, dialect: str, *, timed: bool) -> Wrong | None:
    """LIMIT of the outer select, and windows where days are asked for one by one."""
    from sqlglot import expressions as exp

    statements = _statements(text, dialect)
    if not statements or {"from", "to"} <= set(_PLACEHOLDER.findall(text)):
        return None
    if _outer_limit(statements[0]):
        why = "ends with LIMIT: which facts are left depends on all the others, the rest is lost in silence"
        return Wrong(why, expected="all facts", hint=_BOUNDS if timed else "take the LIMIT away")
    if timed and statements[0].find(exp.Window):
        why = "has a window (over …): each day reads all rows, and changes when rows of other days come"
        return Wrong(why, expected="no window, or the bounds inside", hint=_BOUNDS)
    return None


def _outer_limit(statement: exp.Expression) -> bool:
    from sqlglot import expressions as exp

    node: exp.Expression | None = statement
    while node is not None:
        if node.args.get("limit") or node.args.get("offset"):
            return True
        node = node.this if isinstance(node, exp.Subquery) else None
    return False


def output_columns(text: str, dialect: str) -> list[str] | None:
    """The names of the columns a query gives; None where it does not say (`*`, unnamed expressions)."""
    from sqlglot import expressions as exp

    statements = _statements(text, dialect)
    if not statements or not isinstance(statements[0], exp.Query):
        return None
    names = []
    for column in statements[0].selects:
        named = isinstance(column, exp.Alias) or (isinstance(column, exp.Column) and not column.is_star)
        if not named or not column.alias_or_name:
            return None
        names.append(column.alias_or_name)
    return names or None


def reads_as_aggregate(text: str, dialects: Sequence[str]) -> bool:
    """A formula that is a measure of facts in one of the dialects."""
    for dialect in dialects:
        try:
            parse_measure(text, dialect)
        except (MeasureError, RecursionError):
            continue
        return True
    return False
