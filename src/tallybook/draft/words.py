"""Splits names of tables and columns into words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from tallybook.draft.foreign_words import in_english, in_english_order
from tallybook.draft.glued_words import unglued
from tallybook.draft.table_words import CATALOGS, CONTRACTS, LINES, MONEY, PEOPLE, USAGE, WORK

_TIME_BEFORE = re.compile(
    r"(?<![a-z])(time|date|last|first)(created|modified|updated|added|started|start|ended|end|finished|finish|"
    r"completed|enrolled|access|login|sent|read|opened|open|closed|close|due|paid|joined|registered)(?![a-z])"
)
"""Names without a separator whose first part is about time: timecreated, lastaccess."""


_NOT_STUCK = frozenset(
    (
        "update",
        "paid",
        "unpaid",
        "prepaid",
        "valid",
        "invalid",
        "void",
        "avoid",
        "lifetime",
        "downtime",
        "overtime",
        "runtime",
        "realtime",
        "candidate",
        "validate",
        "mandate",
        "hybrid",
        "android",
    )
)
"""Words that end like date, time or id, and are one word."""


@lru_cache(maxsize=20_000)
def words(name: str) -> tuple[str, ...]:
    """The words of a name in English: `InvoiceDate`, `invoice_date` and `rechnungsdatum` are (invoice, date)."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    found: list[str] = []
    for word in re.split(r"[\W_]+", _TIME_BEFORE.sub(r"\1_\2", apart.lower())):
        stuck = re.fullmatch(r"(\w{3,})(date|time|id)", word) if word not in _NOT_STUCK else None
        found += [stuck[1], stuck[2]] if stuck else unglued(word) if word else []
    return tuple(in_english_order([english for word in found for english in in_english(word)], found))


@lru_cache(maxsize=20_000)
def singular(word: str) -> str:
    """The singular of a word."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(ss|x|ch|sh)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is", "news")) else word


def plural(word: str) -> str:
    """The plural of a word."""
    if word in ("people", "feedback", "staff", "inventory", "equipment", "usage", "data"):
        return word
    if word.endswith("s") and not word.endswith("ss"):
        return word
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search(r"(ss|x|ch|sh)$", word) else "s")


def head(name: str) -> str:
    """The noun of a table name, in the singular: what one row is."""
    found = words(name)
    return singular(found[-1]) if found else name


def plainly(name: str) -> str:
    """The name of a metric for a table: invoice_lines for `InvoiceLine`."""
    found = words(name) or ("table",)
    made = "_".join((*found[:-1], plural(found[-1])))
    return f"_{made}" if made[0].isdigit() else made


def rank(name: str, wanted: Sequence[tuple[str, ...]]) -> int | None:
    """The index of the first entry of `wanted` whose words are all in the name; None if no entry matches."""
    found = set(words(name))
    return next((place for place, all_of in enumerate(wanted) if set(all_of) <= found), None)


# --- comparing -------------------------------------------------------------------------------------------------

UNIT_SUFFIXES = frozenset(
    ("cent", "minor", "pence", "micro", "usd", "eur", "gbp", "chf", "inr", "jpy", "cad", "aud", "m", "local")
)
"""Words that name the unit of an amount, and not which amount it is."""
MINOR_UNITS = frozenset(("cent", "minor", "pence"))
LAYERS = ("fct", "fact", "dim", "stg", "int", "mart", "marts", "rpt", "src", "raw", "base", "agg", "obt", "f", "d")
"""First words of table names in warehouses."""
RAW_LAYERS = frozenset(("stg", "int", "src", "raw", "base"))
"""Layers whose rows later layers contain too."""
KNOWN_PREFIXES = frozenset(
    ("wp", "ps", "oc", "tbl", "tb", "wc", "woocommerce", "spree", "auth", "mdl", "phpbb", "civicrm", "solidus", "res")
)
"""First words of table names that name an application instead of the rows."""
_KNOWN_NOUNS = frozenset((*PEOPLE, *MONEY, *USAGE, *CONTRACTS, *WORK, *LINES)) | CATALOGS
VERSIONS = frozenset(
    ("latest", "current", "final", "new", "table", "tbl", "entity", "record", "datum", "info", "v1", "v2")
)
"""Last words of table names that do not name the rows."""


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The word without plural and verb endings: created, creation and create are the same."""
    found = singular(word)
    if len(found) < 5:
        return found
    return re.sub(r"(ions?|ings?|ed|e|ment)$", "", found)


def stems(words_: Sequence[str]) -> frozenset[str]:
    """The stems of several words."""
    return frozenset(map(stem, words_))


def terms(name: str, table: str = "") -> tuple[str, ...]:
    """The words of a column name, singular, without units and without the noun of its table: `post_date` of posts."""
    found = [singular(word) for word in words(name)]
    kept = [word for word in found if word not in UNIT_SUFFIXES] or found
    noun = head(table) if table else ""
    if len(kept) > 1 and kept[0] == noun and kept[1:] != ["id"]:
        kept = kept[1:]
    return tuple(kept)


_JOINED = re.compile(
    r"(\w{4,})(line|item|event|enrollment|user|profile|module|certificate|payment|transaction|subscription|membership|"
    r"message|session|status|order|member|account|customer|request|response|activity|ticket|entry|history)(s?)"
)
"""Model names of Django are written as one word: orderline, courseenrollment."""
_ONE_WORD = frozenset(
    ("pipeline", "timeline", "deadline", "headline", "underline", "baseline", "guideline", "superuser")
)


def _split_model_name(word: str) -> list[str]:
    """The words of a model name that is written as one word."""
    found = _JOINED.fullmatch(word)
    if found is None or singular(word) in _ONE_WORD:
        return [word]
    return [found[1], found[2] + found[3]]


def bare_name(table: str, prefix: str = "") -> str:
    """The table name without the prefix of the application, the layer of a warehouse and the version at its end."""
    found = [part for word in words(table) for part in _split_model_name(word)]
    while len(found) > 1 and (found[0] == prefix or found[0] in KNOWN_PREFIXES or stem(found[0]) == stem(found[1])):
        found = found[1:]
    if len(found) > 1 and found[0] in LAYERS:
        found = found[1:]
    while len(found) > 1 and singular(found[-1]) in VERSIONS:
        found = found[:-1]
    return "_".join(found)


def layer(table: str) -> str:
    """The layer of a warehouse that a table name begins with; empty for other tables."""
    found = words(table)
    return found[0] if len(found) > 1 and found[0] in LAYERS[:-2] else ""


def shared_prefix(tables: Sequence[str]) -> str:
    """The first word shared by more than two thirds of the table names, which says nothing about the rows. Otherwise
    empty. A word that is a table of its own, or a known noun, needs more than 80 %."""
    firsts = [found[0] for found in map(words, tables) if len(found) > 1]
    best = max(set(firsts), key=firsts.count, default="")
    noun = singular(best) in _KNOWN_NOUNS or any(tuple(map(singular, words(t))) == (singular(best),) for t in tables)
    return best if len(tables) >= 4 and firsts.count(best) > (0.8 if noun else 2 / 3) * len(tables) else ""
