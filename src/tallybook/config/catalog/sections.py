"""The top-level tables of the file."""

from __future__ import annotations

from collections.abc import Mapping

from tallybook.config.catalog.words import closest_key
from tallybook.core import Problems

SECTIONS = (
    "book",
    "sources",
    "metrics",
    "goals",
    "boards",
    "notes",
    "deliveries",
    "schedule",
    "alerts",
    "serve",
    "events",
    "accounts",
    "users",
    "rules",
    "messages",
)
SINGLE = ("book", "schedule", "alerts", "serve", "accounts", "users")
"""Sections that are one table without a name."""


def check_sections(raw: Mapping[str, object], problems: Problems) -> None:
    """Report unknown top-level tables."""
    for name in raw:
        if name in SECTIONS:
            continue
        meant, inside = closest_key(name, SECTIONS), raw[name]
        first = next(iter(inside), "NAME") if isinstance(inside, Mapping) else "NAME"
        hint = f"did you mean {meant!r}?" if meant else ""
        paste = f"[{meant}{'' if meant in SINGLE else f'.{first}'}]" if meant else ""
        message, expected = f"there is no section {name!r}", ", ".join(SECTIONS)
        problems.add(name, message, seen=f"[{name}]", expected=expected, hint=hint, paste=paste)
