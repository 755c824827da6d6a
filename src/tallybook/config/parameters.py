"""Which parameters a source URL may have. One that nobody reads would be a setting that somebody believes in."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from tallybook.core import UrlRules, kind_of


def wrong_parameter(scheme: str, driver: str, query: str, rules: UrlRules | None = None) -> dict[str, str] | None:
    """Which parameter of a URL is not known, as the details of a Problem that repeats no value, or None.

    The drivers of warehouses have parameters that we cannot see; they report themselves what they do not know."""
    if rules is None:
        kind = kind_of(scheme)
        rules = kind.rules if kind else UrlRules(dialect="")
    if rules.parameters is None or driver not in ("", *rules.drivers):
        return None
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if name not in rules.parameters and not _newer(scheme, name):
            return _unknown(scheme, name, rules.parameters, rules.parameter_hints.get(name, ""))
    return None


def _newer(scheme: str, name: str) -> bool:
    """Whether the installed driver knows a word that its descriptor does not."""
    kind = kind_of(scheme)
    return kind is not None and kind.newer_parameter(name)


def _unknown(scheme: str, name: str, known: Sequence[str], instead: str) -> dict[str, str]:
    from tallybook.config.catalog.words import closest

    meant = closest(name, known)
    return {
        "message": f"has a parameter {name!r} that {scheme} URLs do not have",
        "expected": ", ".join(known) or "no parameters",
        "hint": instead or (f"did you mean {meant!r}?" if meant else ""),
    }
