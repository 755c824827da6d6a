"""Turns errors of queries into problem documents of RFC 9457. They contain no SQL, path or address of this machine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tallybook.core import (
    BookUnavailable,
    Busy,
    DeclarationError,
    QueryError,
    Refused,
    RequestError,
    SourceUnavailable,
    TallybookError,
)
from tallybook.server.answers import Refusal

if TYPE_CHECKING:
    from tallybook.book import Book
    from tallybook.query import Question

QUERY_PATH = "/v1/query"


def query_link(options: Mapping[str, Any], **more: str) -> str:
    """The path and query string for a query. `options` are those of `question_options`."""
    pairs: list[tuple[str, str]] = []
    for name, value in {**options, **more}.items():
        if isinstance(value, list | tuple):
            pairs += [(name, str(one)) for one in value]
        else:
            pairs.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    return f"{QUERY_PATH}?{urlencode(pairs)}"


def as_refusal(error: Exception, on_error: Callable[[Exception], None]) -> Refusal:
    """The refusal for an error of a query. An internal error is passed to `on_error`, with a reference."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Refused):
        more = {"refused": error.why, "ask": [], **({"hint": error.ask} if error.ask else {})}
        return Refusal(RequestError(status=422, code="refused", message=error.why, more=more))
    if isinstance(error, QueryError):
        return bad_question(error.message, error.hint, error.field)
    if isinstance(error, Busy | BookUnavailable | SourceUnavailable):
        message = "the book or its source cannot be read now"
        return Refusal(RequestError(status=503, code="unavailable", message=message))
    return fault(error, on_error)


def bad_question(message: str, hint: str = "", field: str = "") -> Refusal:
    """The refusal of an invalid query: 400, naming the field."""
    more = {name: text for name, text in (("field", field), ("hint", hint)) if text}
    return Refusal(RequestError(status=400, code="bad_question", message=message, more=more))


def certain_rows(book: Book, question: Question, most: int) -> int:
    """The number of rows that the answer is known to have, if that is more than `most`; else 0. It is cheaper than the
    answer."""
    from tallybook.query import rows_at_least

    if not question.by or question.live or question.event is not None:
        return 0
    count = book.answers.read(question, lambda query, context: rows_at_least(query, context, most))
    return count if count > most else 0


def too_many_rows(count: int, most: int, by: Iterable[str]) -> Refusal:
    """The refusal of an answer that is too large: 422, with ways to narrow it."""
    hint = "a shorter range, a wider scope, a filter"
    hint += f", fewer dimensions than {', '.join(by)}, or top" if [*by] else ""
    error = RequestError(
        status=422,
        code="too_many_rows",
        message=f"the answer has {count:,} rows, and this server gives at most {most:,}",
        seen=f"{count:,} rows",
        expected=f"at most {most:,}",
        more={"refused": f"the answer has {count:,} rows", "ask": [], "hint": f"{hint}; or limit"},
    )
    return Refusal(error)


class Referenced(TallybookError):
    """An internal error, with the reference that the reader was given."""


def fault(error: Exception, on_error: Callable[[Exception], None]) -> Refusal:
    """The refusal for an internal error: 500 with a reference number, under which the log has the details."""
    reference = secrets.token_hex(4)
    what = error.message if isinstance(error, TallybookError) else f"{type(error).__name__}: {error}"
    logged = Referenced(f"reference {reference}: {what}", hint=getattr(error, "hint", ""))
    logged.__cause__ = error
    on_error(logged)
    declared = isinstance(error, DeclarationError)
    message = "the declarations of this book cannot be read" if declared else "this server could not compute the answer"
    hint = f"reference {reference}: the log of `tallybook serve` has the details"
    return Refusal(
        RequestError(status=500, code="engine", message=message, more={"reference": reference, "hint": hint})
    )
