"""Checks the parameters of source URLs. An unknown parameter would be a setting that silently does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from tallybook.core import UrlRules, kind_of


def wrong_parameter(scheme: str, driver: str, query: str, rules: UrlRules | None = None) -> dict[str, str] | None:
    """The first unknown parameter of a URL, as details of a Problem without its value; None if all are known.

    Drivers of warehouses do not list their parameters; they report unknown ones themselves."""
    if rules is None:
        kind = kind_of(scheme)
        rules = kind.rules if kind else UrlRules(dialect="")
    if rules.parameters is None or driver not in ("", *rules.drivers):
        return None
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if name in rules.parameter_hints or (name not in rules.parameters and not _newer(scheme, name)):
            return _unknown(scheme, name, rules.parameters, rules.parameter_hints.get(name, ""))
    return None


def _newer(scheme: str, name: str) -> bool:
    """Whether the installed driver supports a parameter that its descriptor lacks."""
    kind = kind_of(scheme)
    return kind is not None and kind.newer_parameter(name)


def _unknown(scheme: str, name: str, known: Sequence[str], instead: str) -> dict[str, str]:
    from tallybook.config.catalog.words import closest_key

    meant = closest_key(name, known)
    return {
        "message": f"has a parameter {name!r}, which {scheme} URLs do not support",
        "expected": ", ".join(known) or "no parameters",
        "hint": instead
        or (f"did you mean {meant!r}?" if meant else f"remove {name!r} from the url: it belongs to another tool"),
    }
