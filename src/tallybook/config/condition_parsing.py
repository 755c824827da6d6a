"""Parses conditions, and finds the attributes that they name. Pure."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from tallybook.core import QueryError, unnegated

KNOWN, UNKNOWN = "\x01known", "\x01unknown"
"""Texts that replace `is known` and `is unknown` while a condition is parsed."""
BEFORE, CHANGED, CROSSED = "before", "changed", "crossed"
MAX_PARSED = 512
"""Number of conditions whose trees are cached, because rules are evaluated repeatedly."""
SINCE_LAST = ""
"""Used in place of a span: the value at the last evaluation of a rule; in a list, the value a day ago."""
FORMS = (
    "comparisons, and, or, not, in, between, like, is null, is known, is unknown, + - * /, now(), age(time), "
    "interval '7 days', lower(text), upper(text), before(attribute, '7 days'), changed(attribute), "
    "crossed(attribute, number)"
)

QUOTED = 'an attribute whose name has a space or is a word of SQL is written in double quotes: "first name" > 1'


@dataclass(frozen=True, kw_only=True)
class ConditionNames:
    """The names in a condition, in lower case and without repetitions.

    `attributes`: all attributes. `earlier`: (attribute, span) of each earlier value; with `SINCE_LAST`, the value at
    the last evaluation."""

    attributes: tuple[str, ...] = ()
    earlier: tuple[tuple[str, str], ...] = ()
    lasts: bool = True
    """False if the condition uses `changed` or `crossed`, which are true for one evaluation only."""
    is_momentary: bool = False
    """Whether the condition is true only when one of these is true."""


def parsed(text: str) -> Any:
    """The tree of a condition. It is cached: do not modify it. Raises QueryError for a condition that cannot be
    parsed."""
    return _tree(text)


@functools.lru_cache(MAX_PARSED)
def _tree(text: str) -> Any:
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        return sqlglot.parse_one(_marked(text), read="duckdb").transform(_with_dots).transform(_with_not)
    except SqlglotError as error:
        why = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split("\n")[0].split(". Line")[0]
        if why.startswith("Required keyword"):
            why = "a part of it is missing"
        raise wrong_condition(text, f"cannot be read: {why}", f"{QUOTED}; conditions have {FORMS}") from None


def _with_dots(node: Any) -> Any:
    """`address.city` is the attribute with this name, not a column of a table."""
    from sqlglot import exp

    parts = node.parts if isinstance(node, exp.Column | exp.Dot) else []
    if len(parts) < 2 or not all(isinstance(one, exp.Identifier) for one in parts):
        return node
    return exp.column(exp.to_identifier(".".join(one.name for one in parts), quoted=True))


def _with_not(node: Any) -> Any:
    """`not like` as NOT around LIKE."""
    from sqlglot import exp

    plain = unnegated(node)
    return node if plain is None else exp.Paren(this=exp.Not(this=plain))


def wrong_condition(text: str, why: str, hint: str = "") -> QueryError:
    """The error for a condition. Without a specific hint, it lists the supported forms."""
    return QueryError(f"the condition {text!r} {why}", hint=hint or f"conditions have {FORMS}")


@functools.lru_cache(MAX_PARSED)
def names_in(text: str) -> ConditionNames:
    """The names in a condition. Raises QueryError for a condition that cannot be parsed."""
    from sqlglot import exp

    tree = _tree(text)
    attributes = dict.fromkeys(node.name.casefold() for node in tree.find_all(exp.Column))
    earlier: dict[tuple[str, str], None] = {}
    lasts = True
    for node in tree.find_all(exp.Anonymous):
        name, given = node.name.lower(), node.expressions
        if name in (BEFORE, CHANGED, CROSSED) and given and isinstance(given[0], exp.Column):
            span = given[1].name if name == BEFORE and len(given) > 1 else SINCE_LAST
            earlier[given[0].name.casefold(), span] = None
            lasts = lasts and name == BEFORE
    return ConditionNames(
        attributes=tuple(attributes), earlier=tuple(earlier), lasts=lasts, is_momentary=_is_momentary(tree)
    )


def _is_momentary(node: Any) -> bool:
    from sqlglot import exp

    match node:
        case exp.Paren():
            return _is_momentary(node.this)
        case exp.And():
            return _is_momentary(node.left) or _is_momentary(node.right)
        case exp.Or():
            return _is_momentary(node.left) and _is_momentary(node.right)
        case exp.Anonymous():
            return node.name.lower() in (CHANGED, CROSSED)
    return False


def _marked(text: str) -> str:
    """The text with `is known` and `is unknown` rewritten as comparisons with a text that nobody types."""
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
