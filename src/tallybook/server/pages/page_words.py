"""Explains refused and invalid queries in the words of the pages: `Split by plan` instead of `--by plan`."""

from __future__ import annotations

import re
import shlex

from tallybook.core import SHOWS
from tallybook.server.pages.builder_form import MEASURE_WORDS
from tallybook.server.pages.words import SHOW_NAMES

LABELS = {
    "scope": "Scope",
    "by": "Split by",
    "where": "Filter",
    "from": "From",
    "to": "To",
    "last": "Last",
    "compare": "Compare with",
    "top": "Values",
    "segment": "Segments",
    "segments": "Segments",
    "event": "the event",
    "show": "Shows",
}
"""The labels of the query builder's fields, by option."""
SHOWN = SHOW_NAMES | {"last": "The last day", "first": "The first day", "change": "Change"}
_QUOTED = r"""'[^']*'|"[^"]*\""""
_DAY = r"\d{4}-\d\d-\d\d|today|yesterday"
_VALUE = (
    rf"{_QUOTED}|{_DAY}|[\w.@]+!?=[^\s,;:`]*|{'|'.join(SHOWS)}"
    r"|day|week|month|quarter|year|all|[A-Z]+\b|\d+\b|previous"
)
_OPTION = rf"--({'|'.join([*LABELS, *MEASURE_WORDS])})\b"
_IN_A_SENTENCE = re.compile(rf"{_OPTION}(?:[ =](?P<value>{_VALUE})(?![\w-]))?")
_MEASURED = re.compile(rf"--({'|'.join(MEASURE_WORDS)}) (?!needs|is|gives|and|or|does)(?P<value>[\w.]+)")
_COMMAND = re.compile(
    rf"tallybook (?P<verb>[a-z]+)(?P<metrics>(?: (?!-|or\b|and\b)[^\s`;]+?)*)"
    rf"(?P<options>(?: --[a-z-]+(?: (?:{_QUOTED}|(?!-|or\b)[^\s`;]+?))?)*)(?=[,;:.)`]*(?:\s|`|$))"
)


def page_words(text: str) -> str:
    """A text with options replaced by the names of fields in the query builder. Commands other than queries stay
    unchanged."""
    parts, end = [], 0
    for found in _COMMAND.finditer(text):
        parts += [_plain(text[end : found.start()]), _command(found)]
        end = found.end()
    return "".join([*parts, _plain(text[end:])])


def _command(found: re.Match[str]) -> str:
    if found["verb"] != "query":
        return found[0]
    words = shlex.split(found["options"])
    options = [
        f"{word} {shlex.quote(words[place + 1])}"
        if words[place + 1 : place + 2] and words[place + 1][:2] != "--"
        else word
        for place, word in enumerate(words)
        if word.startswith("--")
    ]
    names = " ".join(found["metrics"].split())
    return ", ".join(_plain(one) for one in options) or names


def _plain(text: str) -> str:
    measured = _MEASURED.sub(lambda found: f"“{MEASURE_WORDS[found[1]]}” {found['value']}", text)
    return _IN_A_SENTENCE.sub(_field, measured)


def _field(found: re.Match[str]) -> str:
    name, value = found[1], found["value"]
    if name in MEASURE_WORDS:
        return f"“{MEASURE_WORDS[name]}”" + (f" {value}" if value else "")
    if value is None:
        return LABELS[name]
    bare = value[1:-1] if value[0] in "'\"" else value
    if name == "show":
        return f"“{SHOWN.get(bare, bare)}”"
    if name in ("segment", "segments"):
        label, _, conditions = bare.partition(":")
        return f"Segments: name “{label.strip()}”, conditions “{conditions.strip()}”"
    return f"{LABELS[name]} {bare if value[0] != chr(39) else value}"
