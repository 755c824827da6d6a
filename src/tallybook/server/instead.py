"""Finds queries to use instead of a refused one. Each was tried and has an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tallybook.core import QueryError, Refused, RequestError
from tallybook.query import Question, question_options, read_question
from tallybook.server.answers import Refusal
from tallybook.server.problems import query_link

if TYPE_CHECKING:
    from tallybook.book import Book
    from tallybook.server.readers import AnswerReader

MAX_TRIED = 12
"""Maximum number of queries tried for one refusal."""
MAX_SUGGESTED = 4
REMOVABLE = ("having", "sort", "top", "compare", "totals")
"""Options that are removed from a suggested query if they conflict with it."""
SAYS = {
    "total": "the total",
    "average": "the average day",
    "last": "the last day of each period",
    "first": "the first day of each period",
    "min": "the smallest day",
    "max": "the largest day",
    "change": "the change since the period before",
}


def questions_to_ask(
    refused: Refused, question: Question, try_out: Callable[[Question], object]
) -> list[dict[str, Any]]:
    """The queries to use instead: the text `say`, the `query`, and the `link` that answers it.

    `try_out` runs a query and raises like `Book.ask`. If a suggested query is refused too, its own suggestions are
    tried."""
    found: list[dict[str, Any]] = []
    waiting = [dict(one) for one in refused.changes]
    tried: set[str] = set()
    while waiting and len(tried) < MAX_TRIED and len(found) < MAX_SUGGESTED:
        change = waiting.pop(0)
        options = {**question_options(question), **change}
        asked = read_question({name: value for name, value in options.items() if value is not None})
        known = json.dumps(question_options(asked), sort_keys=True)
        if known in tried:
            continue
        tried.add(known)
        try:
            try_out(asked)
        except Refused as again:
            waiting += [{**change, **one} for one in again.changes]
        except QueryError as wrong:
            if wrong.field in REMOVABLE and wrong.field not in change:
                waiting.append({**change, wrong.field: None})
        except Refusal:
            continue  # the reader may not see it
        else:
            query = question_options(asked)
            found.append({"say": _in_words(change), "query": query, "link": query_link(query)})
    return found


def tried_in(book: Book, reader: AnswerReader) -> Callable[[Question], None]:
    """A function that tries a query for a reader. A query that would read a company's database is only checked."""

    def try_out(question: Question) -> None:
        bounded = reader.bounded(book.project.catalog, question)
        if question.live and question.event is None:
            book.check(bounded)
        else:
            book.ask(bounded)

    return try_out


def refused_in_words(refused: Refused, asks: list[dict[str, Any]]) -> Refusal:
    """A refused query as a problem document: 422 with `refused` and `ask`."""
    more = {"refused": refused.why, "ask": asks, **({"hint": refused.ask} if refused.ask else {})}
    return Refusal(RequestError(status=422, code="refused", message=refused.why, more=more))


def _in_words(change: Mapping[str, object]) -> str:
    """The difference of a suggested query, in words."""
    parts = []
    for name, value in change.items():
        if name == "show" and value in SAYS:
            parts.append(SAYS[str(value)])
        elif value is None:
            parts.append(f"without {name.replace('_', ' ')}")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            parts.append(f"{name.replace('_', ' ')} {text}")
    return " and ".join(parts)
