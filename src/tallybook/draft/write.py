"""A draft as the text of a `tallybook.toml`: each choice with the reason in a comment beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tallybook.config import toml

if TYPE_CHECKING:
    from tallybook.draft.drafting import Draft
    from tallybook.draft.guess import Idea

WIDE = 45
"""Comments begin there, where the line before them is not longer."""
LONGEST = 120
ORDER = (
    "kind",
    "source",
    "table",
    "sql",
    "join",
    "time",
    "from",
    "until",
    "stored",
    "where",
    "measure",
    "unit",
    "decimals",
    "series",
    "by",
    "start",
)
HEAD = """\
# Drafted by `tallybook init` from what the names, types and some values of {tables} suggest.
# Read it, change what is meant otherwise, take away what nobody asks for; then:
#   tallybook check --source     what each metric is taken to mean, and whether the database agrees
#   tallybook run                collect it
"""


def written(draft: Draft) -> str:
    """The whole file."""
    count = f"{draft.tables} table{'' if draft.tables == 1 else 's'}"
    parts = [HEAD.format(tables=count), *_tables(draft)]
    parts += [_metric(idea) for idea in draft.metrics]
    if draft.spare:
        parts.append("# More could be counted:\n\n" + "\n".join(_commented(_metric(idea)) for idea in draft.spare))
    if draft.skipped:
        told = "\n".join(f"#   {name} {_line(why)}" for name, why in sorted(draft.skipped.items()))
        parts.append(f"# Nothing was made of:\n{told}\n")
    return "\n".join(parts)


def _tables(draft: Draft) -> Iterator[str]:
    lines = ["[book]", _noted("id", draft.id, "tells this book from that of any other project")]
    lines += [_noted("timezone", draft.timezone, 'whose days are counted, as "Europe/Berlin"')]
    if draft.start:
        lines.append(_noted("start", str(draft.start), f"the first fact there is, of {draft.first}"))
    yield "\n".join(lines) + "\n"
    note = "stands in .env or in the environment" if draft.variable else ""
    yield "\n".join([f"[sources.{draft.source}]", _noted("url", draft.url, note)]) + "\n"


def _metric(idea: Idea) -> str:
    lines = [f"# {_line(idea.about)}", f"[metrics.{idea.name}]"]
    for key in sorted(idea.keys, key=ORDER.index):
        lines.append(_noted(key, idea.keys[key], idea.why.get(key, "")))
    return "\n".join([*lines, *map(_line, idea.other)]) + "\n"


def _noted(key: str, value: object, note: str) -> str:
    text = f"{key} = {_value(value)}"
    if not note:
        return text
    beside = f"{text.ljust(WIDE)} # {_line(note)}"
    return beside if len(beside) <= LONGEST and "\n" not in beside else f"# {key}: {_line(note)}\n{text}"


def _value(value: object) -> str:
    """In single quotes where that saves escapes; several lines as they are."""
    if isinstance(value, str) and "\n" in value and "'''" not in value:
        return f"'''\n{value}\n'''"
    if isinstance(value, str) and '"' in value and "'" not in value and "\n" not in value:
        return f"'{value}'"
    return toml(value)


def _line(text: str) -> str:
    """One line without control characters: what stands in a database may not end a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split(" ")).rstrip()


def _commented(text: str) -> str:
    return "\n".join(f"# {line}" if line and not line.startswith("#") else line for line in text.splitlines()) + "\n"
