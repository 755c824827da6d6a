"""The tokens of an SQL expression, with functions that find brackets and arguments in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallybook.core.errors import MeasureError

if TYPE_CHECKING:
    from sqlglot import Token
    from sqlglot.expressions import Expr


def unnegated(node: Expr) -> Expr | None:
    """The condition that a node negates by a flag; None for other nodes. For sqlglot, `not like` and PostgreSQL's
    `is not null` are such nodes, and not NOT around a condition."""
    if not node.args.get("negate"):
        return None
    plain = node.copy()
    plain.set("negate", None)
    return plain


def normalize_sql(text: str, dialect: str) -> str:
    """An SQL text as words separated by one space, without comments. Unquoted words are in lower case."""
    words = []
    for token in tokenize_sql(text, dialect):
        raw = text[token.start : token.end + 1]
        words.append(raw if raw[:1] in "'\"`[" or "'" in raw else raw.lower())
    return " ".join(words)


def tokenize_sql(text: str, dialect: str) -> list[Token]:
    """The tokens of an SQL text. Raises MeasureError for text that cannot be tokenized."""
    from sqlglot import tokenize
    from sqlglot.errors import TokenError

    try:
        return tokenize(text, dialect=dialect)
    except TokenError as error:
        raise MeasureError(f"{text!r} is not SQL: {error}") from None
    except ValueError as error:  # the descriptor of a source of another package names the dialect
        raise MeasureError(f"the source has the dialect {dialect!r}, which sqlglot lacks: {error}") from None


def split_arguments(text: str, inside: list[Token]) -> list[str]:
    """The texts between the commas of the outermost level."""
    arguments, depth, start = [], 0, 0
    for here, token in enumerate(inside):
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        if token.text == "," and depth == 0:
            arguments.append(inside[start:here])
            start = here + 1
    arguments.append(inside[start:])
    return [text[part[0].start : part[-1].end + 1] for part in arguments if part]


def opens_bracket(tokens: list[Token], at: int) -> bool:
    """Whether the token at `at` is an opening bracket."""
    return at < len(tokens) and tokens[at].text == "("


def closing_bracket(tokens: list[Token], at: int, text: str) -> int:
    """The index of the token that closes the bracket at `at`."""
    depth = 0
    for here in range(at, len(tokens)):
        word = tokens[here].text
        raw = text[tokens[here].start : tokens[here].end + 1]
        depth += (raw == "(") - (raw == ")") if word in ("(", ")") else 0
        if depth == 0:
            return here
    raise MeasureError(f"in {text!r}: a bracket is not closed")


def is_balanced(text: str) -> bool:
    """Whether all brackets of `text` are balanced."""
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return depth == 0


def is_quoted(text: str, token: Token) -> bool:
    """Whether `token` is a quoted name or a string."""
    return text[token.start] in "'\"`["
