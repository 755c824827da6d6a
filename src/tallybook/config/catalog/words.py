"""What was meant by a word that cannot be, and how a value is written in the file."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping

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


def closest(word: object, valid: Iterable[str], cutoff: float = 0.6) -> str | None:
    """What of `valid`, which is all that may stand there, was probably meant by `word`."""
    folded = {v.casefold(): v for v in valid}
    if not isinstance(word, str):
        return None
    if SYNONYMS.get(word.casefold(), word) in folded:
        return folded.get(SYNONYMS.get(word.casefold(), word))
    near = difflib.get_close_matches(word.casefold(), folded, n=3, cutoff=cutoff)
    return folded[max(near, key=lambda other: _likeness(word.casefold(), other))] if near else None


def _likeness(word: str, other: str) -> tuple[float, bool]:
    """munday is as near to sunday as to monday, but people seldom miss the first letter."""
    ratio = difflib.SequenceMatcher(None, other, word).ratio()
    return ratio, word[:1] == other[:1]


def toml(value: object) -> str:
    """`value` as it is written in a toml file."""
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


def shown(value: object) -> str:
    written = toml(value)
    return written if len(written) <= 100 else written[:97] + "…"
