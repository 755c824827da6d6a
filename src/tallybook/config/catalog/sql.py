"""What can be known of a declared `sql`, `where` or `fresh` without its database.

What a text means may be left to the database; that it is one query which stays within its brackets may not.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tallybook.config.catalog.lexis import Bare, UnclosedText, bare, lexis_of
from tallybook.config.catalog.values import Wrong
from tallybook.config.catalog.words import closest
from tallybook.core import MeasureError, parse_measure, quiet

if TYPE_CHECKING:
    from sqlglot import expressions as exp

_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_BOUNDS = "put {{from}} and {{to}} where the bounds of the days asked for belong: called_at >= {{from}}"


def wrong_in_all(check: Callable[[str, str], Wrong | None], text: str, dialects: Sequence[str]) -> Wrong | None:
    """What is wrong with the text, if it is wrong in every dialect it may be in."""
    found = [check(text, dialect) for dialect in dialects]
    return found[0] if all(found) else None


def wrong_where(text: str, dialect: str) -> Wrong | None:
    """Only what would break out of the brackets it is put into."""
    try:
        found = bare(text, dialect)
    except UnclosedText as unreadable:
        return Wrong(str(unreadable), expected="a condition")
    if re.match(r"\s*where\b", found.text, re.IGNORECASE):
        return Wrong("begins with where", expected="the condition alone", instead=text.strip()[5:].strip() or None)
    if found.commented:
        return Wrong("has a comment", expected="the condition alone; toml has # for comments")
    if ";" in found.text:
        return Wrong("has a ;", expected="one condition")
    if {"from", "to"} & set(_PLACEHOLDER.findall(text)):
        return Wrong("has {{from}} or {{to}}", expected="bounds belong in sql alone")
    return None if found.balanced else Wrong("has a bracket too many or too few", expected="a condition")


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
    """Why a text is not one query that only reads: by its words, and where sqlglot can read it by what they mean."""
    try:
        found = bare(text, dialect)
    except UnclosedText as unreadable:
        return Wrong(str(unreadable), expected="one query")
    opening = re.match(r"[\s(]*(\w*)", found.text)
    first = opening[1].lower() if opening else ""
    if first not in ("select", "with", "from", "table"):
        seen = first.upper() or "something else"
        return Wrong(f"begins with {seen}", expected="a query: select … or with … select …")
    if ";" in found.text:
        return Wrong("has a ;", expected="one query, without ;")
    if not found.balanced:
        return Wrong("has a bracket too many or too few", expected="one query")
    if word := _writing_word(found, dialect):
        return Wrong(f"writes or locks ({word.upper()})", expected="a query that only reads", hint=_QUOTE_NAMES)
    statements = _statements(text, dialect)
    if statements is None:
        return _wrong_with(found) if first == "with" else None
    if len(statements) != 1:
        return Wrong(f"has {len(statements)} statements", expected="one query, without ;")
    return _wrong_write(statements[0])


_QUOTE_NAMES = "a column of this name is written in quotes"
_BATCH_WORDS = frozenset(
    [
        "alter",
        "backup",
        "begin",
        "break",
        "bulk",
        "checkpoint",
        "commit",
        "create",
        "dbcc",
        "deallocate",
        "declare",
        "delete",
        "deny",
        "drop",
        "dump",
        "exec",
        "execute",
        "goto",
        "grant",
        "if",
        "insert",
        "into",
        "kill",
        "print",
        "proc",
        "procedure",
        "raiserror",
        "readtext",
        "reconfigure",
        "restore",
        "return",
        "revert",
        "revoke",
        "rollback",
        "save",
        "set",
        "shutdown",
        "truncate",
        "update",
        "updatetext",
        "use",
        "waitfor",
        "while",
        "writetext",
    ]
)
"""Reserved words that begin a statement: SQL Server needs no ; between two of them."""


_LOCKS = re.compile(r"\bfor\s+(?:no\s+key\s+update|update|key\s+share|share)\b|\block\s+in\s+share\s+mode\b")


def _writing_word(found: Bare, dialect: str) -> str | None:
    """Words outside of quotes that no reading query has in this dialect."""
    if locks := _LOCKS.search(found.text.lower()):
        return " ".join(locks[0].split())
    words = _BATCH_WORDS if lexis_of(dialect).batches else {"into"}
    return next((w for w in re.findall(r"(?<![\w.@#$])[a-z]+(?![\w$])", found.text.lower()) if w in words), None)


def _wrong_with(found: Bare) -> Wrong | None:
    """WITH … INSERT, where sqlglot cannot read it."""
    outer = _without_brackets(found.text)
    writes = re.search(r"\b(insert|update|delete|merge)\s+\w", outer, re.IGNORECASE)
    return Wrong(f"writes ({writes[1].upper()})", expected="a query that only reads") if writes else None


def _without_brackets(text: str) -> str:
    """What is not within brackets."""
    while (shorter := re.sub(r"\([^()]*\)", " ", text)) != text:
        text = shorter
    return text


@functools.lru_cache(maxsize=8)
def _statements(text: str, dialect: str) -> list[exp.Expression] | None:
    """What sqlglot reads; None where it cannot, which does not mean that the database cannot."""
    from sqlglot import parse
    from sqlglot.errors import SqlglotError

    quiet("sqlglot")
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
