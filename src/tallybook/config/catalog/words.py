"""Corrections of unknown keys and words, and values in TOML syntax."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from tallybook.core import closest_match

SYNONYMS = {
    "aggregate": "measure",
    "alias": "renamed_from",
    "column": "time",
    "database": "url",
    "date": "time",
    "dialect": "url",
    "dimensions": "by",
    "document": "spreadsheet",
    "dims": "by",
    "dsn": "url",
    "destination": "to",
    "end": "until",
    "expression": "measure",
    "file": "path",
    "filter": "where",
    "goal": "target",
    "grace": "snapshot_grace",
    "group_by": "by",
    "label": "title",
    "period": "scope",
    "query": "sql",
    "sheet": "tab",
    "since": "start",
    "timeout": "statement_timeout",
    "timestamp": "time",
    "to": "until",
    "type": "kind",
    "tz": "timezone",
    "valid_from": "from",
    "valid_to": "until",
    "value": "measure",
    "view": "table",
    "week_start": "week_starts",
    "zone": "timezone",
}


def closest_key(word: object, valid: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The word in `valid` that `word` probably means: a synonym from other tools, or a similar word."""
    folded = {v.casefold(): v for v in valid}
    if not isinstance(word, str):
        return None
    if SYNONYMS.get(word.casefold(), word) in folded:
        return folded.get(SYNONYMS.get(word.casefold(), word))
    return closest_match(word, folded.values(), cutoff)


def toml(value: object) -> str:
    """A value in TOML syntax."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return "[" + ", ".join(map(toml, value)) + "]"
        case Mapping():
            return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    return str(value)


def shorten_toml(value: object) -> str:
    """A value in TOML syntax, cut to 100 characters."""
    written = toml(value)
    return written if len(written) <= 100 else written[:97] + "…"
