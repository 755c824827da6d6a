"""Checks the parameters of source URLs. An unknown parameter would be a setting that silently has no effect."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from tallybook.core import UrlRules, kind_of

_WORDS_OF_OTHERS = re.compile(
    r"pool|limit|pgbouncer|prepare|cache|reconnect|parsetime|zone|unicode|encoding|multi|retriev"
)
"""Parts of parameter names that ORMs and other drivers use."""


def wrong_parameter(scheme: str, driver: str, query: str, rules: UrlRules | None = None) -> dict[str, str] | None:
    """The unknown parameters of a URL, as details of a Problem without their values; None if all are known.

    Drivers of warehouses do not list their parameters. They report unknown ones themselves."""
    if rules is None:
        kind = kind_of(scheme)
        rules = kind.rules if kind else UrlRules(dialect="")
    if rules.parameters is None or driver not in ("", *rules.drivers):
        return None
    known = [name for name in rules.parameters if name not in rules.parameter_hints]
    unknown = [
        name
        for name in dict.fromkeys(name for name, _ in parse_qsl(query, keep_blank_values=True))
        if name not in known and (name in rules.parameter_hints or not _newer(scheme, name))
    ]
    return _unknown(scheme, unknown, known, rules.parameter_hints) if unknown else None


def _newer(scheme: str, name: str) -> bool:
    """Whether the installed driver supports a parameter that its descriptor lacks."""
    kind = kind_of(scheme)
    return kind is not None and kind.newer_parameter(name)


def _unknown(scheme: str, unknown: Sequence[str], known: Sequence[str], hints: Mapping[str, str]) -> dict[str, str]:
    several = len(unknown) > 1
    named = ", ".join(map(repr, unknown))
    instead = {name: hints.get(name) or _correction(name, known) for name in unknown}
    advice = dict.fromkeys(filter(None, instead.values()))
    others = ", ".join(repr(name) for name, hint in instead.items() if not hint)
    removed = [
        f"remove {others} from the url: {'it belongs' if others.count(',') == 0 else 'they belong'} to another tool"
    ]
    return {
        "message": f"has {'parameters' if several else 'a parameter'} {named}, which {scheme} URLs do not support",
        "expected": ", ".join(known) or "no parameters",
        "hint": "; ".join([*advice, *(removed if others else ())]),
    }


def _correction(name: str, known: Sequence[str]) -> str:
    """A hint with a known parameter of almost the same name; empty for a parameter of another tool."""
    from tallybook.config.catalog.words import closest_key

    if _WORDS_OF_OTHERS.search(name.lower()):
        return ""
    meant = closest_key(name, known)
    return f"did you mean {meant!r}?" if meant else ""
