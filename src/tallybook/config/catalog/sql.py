"""Checks of `sql`, `where` and `fresh` that need no database: each must be one statement that only reads.

The database checks the rest."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tallybook.config.catalog.lexis import Bare, ExecutedComment, UnclosedText, bare, lexis_of
from tallybook.config.catalog.values import Wrong
from tallybook.config.catalog.words import closest_key
from tallybook.core import MeasureError, parse_measure, quiet

if TYPE_CHECKING:
    from sqlglot import expressions as exp

_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_NULL_COMPARED = re.compile(r"(?<![<>!=:])\s*(?P<sign>==?|<>|!=)\s*null\b(?!\s*\()", re.IGNORECASE)
_NULL_LISTED = re.compile(r"\b(?:not\s+)?in\s*\((?:(?!\bselect\b)[^()])*?(?<![\w.])null\s*[,)][^()]*\)?", re.IGNORECASE)
_BOUNDS = "add the bounds of the requested days with {{from}} and {{to}}: called_at >= {{from}}"


def wrong_in_all(check: Callable[[str, str], Wrong | None], text: str, dialects: Sequence[str]) -> Wrong | None:
    """The problem of a text, if it has one in every given dialect."""
    mistakes = [check(text, dialect) for dialect in dialects]
    return mistakes[0] if all(mistakes) else None


def wrong_where(text: str, dialect: str) -> Wrong | None:
    """Why a text cannot be a condition in parentheses; None if it can."""
    try:
        found = bare(text, dialect)
    except UnclosedText as unreadable:
        return Wrong(str(unreadable), expected="a condition")
    if re.match(r"\s*where\b", found.text, re.IGNORECASE):
        return Wrong("begins with where", expected="only the condition", instead=text.strip()[5:].strip() or None)
    if found.commented:
        return Wrong("has a comment", expected="only the condition; toml has # for comments")
    if ";" in found.text:
        return Wrong("has a ;", expected="one condition")
    if {"from", "to"} & set(_PLACEHOLDER.findall(text)):
        return Wrong("has {{from}} or {{to}}", expected="bounds only in sql")
    if never := _never_true(found, text):
        return never
    return None if found.balanced else Wrong("has an unmatched bracket", expected="a condition")


def wrong_measure(text: str, dialect: str) -> str:
    """Why a text cannot be a measure, even if it parses as one; '' if it can."""
    try:
        never = _never_true(bare(text, dialect), text)
    except ExecutedComment as wrong:
        return str(wrong)  # the parser skips the comment
    except UnclosedText:
        return ""  # the parser reports it
    return f"the measure {never.why}; expected {never.expected}" if never else ""


def _never_true(found: Bare, text: str) -> Wrong | None:
    """The comparison with null in a condition, which is never true; None if it has no such comparison."""
    if compared := _NULL_COMPARED.search(found.text):
        word = "is" if compared["sign"] in ("=", "==") else "is not"
        meant = f"{text[: compared.start()].rstrip()} {word} null{text[compared.end() :]}"
        return Wrong(f"has {compared[0].strip()}, which is never true", expected=f"{word} null", instead=meant)
    if listed := _NULL_LISTED.search(found.text):
        why = f"has {' '.join(text[listed.start() : listed.end()].split())}, in which null is never equal to a value"
        return Wrong(why, expected="values in the list, and `or … is null` beside it")
    return None


def wrong_placeholder(text: str, *, timed: bool) -> Wrong | None:
    """The problem with the placeholders of a query; None if they are correct."""
    for name in _PLACEHOLDER.findall(text):
        if name not in ("from", "to"):
            meant = closest_key(name, ("from", "to"))
            hint = f"did you mean {{{{{meant}}}}}?" if meant else ""
            return Wrong(f"contains {{{{{name}}}}}", expected="{{from}} and {{to}}", hint=hint)
        if not timed:
            why = f"contains {{{{{name}}}}}, but without time there are no bounds"
            return Wrong(why, expected="all rows")
    return None


def wrong_query(text: str, dialect: str) -> Wrong | None:
    """Why a text is not one query that only reads; None if it is.

    Checks its words and, if sqlglot can parse it, its statements."""
    try:
        found = bare(text, dialect)
    except UnclosedText as unreadable:
        return Wrong(str(unreadable), expected="one query")
    opening = re.match(r"[\s(]*(\w*)", found.text)
    first = opening[1].lower() if opening else ""
    if first not in ("select", "with", "from", "table"):
        return Wrong(f"begins with {first.upper() or 'another sign'}", expected="a query: select … or with … select …")
    if ";" in found.text:
        return Wrong("has a ;", expected="one query, without ;")
    if not found.balanced:
        return Wrong("has an unmatched bracket", expected="one query")
    if word := _writing_word(found, dialect):
        return Wrong(f"writes or locks ({word.upper()})", expected="a query that only reads", hint=_QUOTE_NAMES)
    statements = _statements(text, dialect)
    if statements is None:
        return _wrong_with(found) if first == "with" else None
    if len(statements) != 1:
        return Wrong(f"has {len(statements)} statements", expected="one query, without ;")
    return _wrong_write(statements[0])


_QUOTE_NAMES = "quote a column of this name"
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
"""Reserved words that begin a statement. SQL Server needs no ; between statements."""


_LOCKS = re.compile(r"\bfor\s+(?:no\s+key\s+update|update|key\s+share|share)\b|\block\s+in\s+share\s+mode\b")


def _writing_word(found: Bare, dialect: str) -> str | None:
    """The first unquoted word that a query of this dialect cannot contain if it only reads."""
    if locks := _LOCKS.search(found.text.lower()):
        return " ".join(locks[0].split())
    words = _BATCH_WORDS if lexis_of(dialect).batches else {"into"}
    return next((w for w in re.findall(r"(?<![\w.@#$])[a-z]+(?![\w$])", found.text.lower()) if w in words), None)


def _wrong_with(found: Bare) -> Wrong | None:
    """The problem of a WITH … INSERT that sqlglot cannot parse, or None."""
    outer = _without_brackets(found.text)
    writes = re.search(r"\b(insert|update|delete|merge)\s+\w", outer, re.IGNORECASE)
    return Wrong(f"writes ({writes[1].upper()})", expected="a query that only reads") if writes else None


def _without_brackets(text: str) -> str:
    """The text outside of parentheses."""
    while (shorter := re.sub(r"\([^()]*\)", " ", text)) != text:
        text = shorter
    return text


@functools.lru_cache(maxsize=8)
def _statements(text: str, dialect: str) -> list[exp.Expression] | None:
    """The statements that sqlglot parses; None if it cannot parse them. The database might."""
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
    """The problem of a LIMIT in the outer select, or of window functions in facts read day by day; None if there is
    none."""
    from sqlglot import expressions as exp

    statements = _statements(text, dialect)
    if not statements or {"from", "to"} <= set(_PLACEHOLDER.findall(text)):
        return None
    if _outer_limit(statements[0]):
        why = "ends with LIMIT, which silently drops facts"
        return Wrong(why, expected="all facts", hint=_BOUNDS if timed else "remove the LIMIT")
    if timed and statements[0].find(exp.Window):
        why = "has a window function (over …): each day depends on rows of other days"
        return Wrong(why, expected="no window function, or the bounds inside", hint=_BOUNDS)
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
    """The column names that a query returns; None if they are unknown (`*`, unnamed expressions)."""
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
    """Whether a formula is a valid measure of facts in one of the dialects."""
    for dialect in dialects:
        try:
            parse_measure(text, dialect)
        except (MeasureError, RecursionError):
            continue
        return True
    return False
