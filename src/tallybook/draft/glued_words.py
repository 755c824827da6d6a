"""Splits names that are written without a separator: createat, lastpostat, idvisitor, docstatus."""

from __future__ import annotations

import re
from functools import lru_cache

from tallybook.draft.column_words import ACTORS, AMOUNT_WORDS, DIMENSIONS
from tallybook.draft.private_words import PRIVATE
from tallybook.draft.table_words import ACCOUNTS, CATALOGS, CONTRACTS, MONEY, PEOPLE, USAGE, WORK
from tallybook.draft.time_words import BEGUN, BORN, DONE, ENDED, LATER, PAID

_TIMES = frozenset(word for group in (*BORN, *PAID, *DONE, *BEGUN, *ENDED) for word in group) | LATER
_VERBS = frozenset(
    [
        "create",
        "update",
        "delete",
        "modify",
        "edit",
        "start",
        "end",
        "close",
        "open",
        "post",
        "view",
        "send",
        "read",
        "expire",
        "expires",
        "archive",
        "cancel",
        "complete",
        "remove",
        "register",
        "login",
        "approve",
        "publish",
        "pay",
        "order",
        "edited",
        "reject",
        "rejected",
        "withdraw",
        "withdrawn",
    ]
)
_TIME_WORDS = frozenset(word for word in _TIMES | _VERBS if len(word) > 2)
_NOUNS = frozenset((*ACTORS, *ACCOUNTS, *CATALOGS, *CONTRACTS, *MONEY, *PEOPLE, *USAGE, *WORK, "site", "goal", "link"))
_WHOLE = _TIME_WORDS | _NOUNS | PRIVATE | AMOUNT_WORDS | frozenset(DIMENSIONS)
_LAST_WORDS = "status|amount|count|total|number|price"
_ENGLISH = frozenset(("discount", "account", "subtotal", "amount", "identity"))


@lru_cache(maxsize=20_000)
def unglued(word: str) -> tuple[str, ...]:
    """The parts of a word of known words without a separator; only the word itself if they are not known."""
    if word in _WHOLE or word in _ENGLISH or len(word) < 6:
        return (word,)
    if (found := re.fullmatch(r"(\w{3,})(at|on|by)", word)) and (parts := _about_time(found[1])):
        return (*parts, found[2])
    if (found := re.fullmatch(r"id(\w{4,})", word)) and found[1] in _NOUNS:
        return ("id", found[1])
    if found := re.fullmatch(rf"(\w{{3,}})({_LAST_WORDS})", word):
        return (*unglued(found[1]), found[2])
    return (word,)


def _about_time(text: str) -> tuple[str, ...]:
    """The words of a text that ends with what happens at a time: post, lastpost, lastactivity; empty for others."""
    if text in _TIME_WORDS:
        return (text,)
    if (found := re.fullmatch(r"(last|first)(\w{4,})", text)) and found[2] in _TIME_WORDS | _NOUNS:
        return (found[1], found[2])
    return ()
