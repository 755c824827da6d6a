"""Splits names of tables and columns into words."""

from __future__ import annotations

import re
from collections.abc import Sequence


def words(name: str) -> tuple[str, ...]:
    """The words of a name: `InvoiceDate`, `invoice_date` and `invoicedate` are (invoice, date)."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    found: list[str] = []
    for word in re.split(r"[\W_]+", apart.lower()):
        stuck = (
            re.fullmatch(r"(\w{3,})(date|time|id)", word) if word not in ("update", "paid", "valid", "void") else None
        )
        found += [stuck[1], stuck[2]] if stuck else [word] if word else []
    return tuple(found)


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
    """The index of the first entry of `wanted` whose words are all in the name; None if there is none."""
    found = set(words(name))
    return next((place for place, all_of in enumerate(wanted) if set(all_of) <= found), None)
