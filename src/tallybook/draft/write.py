"""Writes a draft as the text of a `tallybook.toml`, with the reason for each choice in a comment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tallybook.config import toml

if TYPE_CHECKING:
    from tallybook.draft.drafting import Draft
    from tallybook.draft.table_guesses import Idea

COMMENT_COLUMN = 45
"""The column of comments, unless the line before them is longer."""
MAX_LINE_CHARACTERS = 120
MAX_NAMED_TABLES = 5
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
    "unit_from",
    "minor_units",
    "decimals",
    "series",
    "carry",
    "by",
    "start",
)
HEAD = """\
# Drafted by `tallybook init` from the names, types and some values of {tables}.
# Check each metric, correct it, and delete what you do not need; then:
#   tallybook check --source     explains each metric, and checks it against the database
#   tallybook run                collects it
"""


def draft_text(draft: Draft) -> str:
    """The text of the whole file."""
    count = counted(draft.tables, "table")
    parts = [HEAD.format(tables=count), *_tables(draft)]
    parts += [_metric(idea) for idea in draft.metrics]
    if draft.spare:
        parts.append("# More possible metrics:\n\n" + "\n".join(_commented(_metric(idea)) for idea in draft.spare))
    if draft.empty:
        parts.append(f"# {_empty(draft)}\n")
    if draft.skipped:
        lines = "\n".join(f"#   {name} {_line(why)}" for name, why in sorted(draft.skipped.items()))
        parts.append(f"# Tables without a metric:\n{lines}\n")
    return "\n".join(parts)


def _empty(draft: Draft) -> str:
    named = ", ".join(draft.empty[:MAX_NAMED_TABLES]) + (", …" if len(draft.empty) > MAX_NAMED_TABLES else "")
    return _line(f"{counted(len(draft.empty), 'table')} without rows: {named}")


def counted(number: int, noun: str) -> str:
    """1 table, 2 tables."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tables(draft: Draft) -> Iterator[str]:
    lines = ["[book]", _noted("id", draft.id, "identifies the book of this project")]
    lines += [_noted("timezone", draft.timezone, 'the time zone of its days, such as "Europe/Berlin"')]
    if draft.start:
        lines.append(_noted("start", str(draft.start), f"the earliest fact, of {draft.first}"))
    lines += [f"# unsure: {_line(why)}" for why in draft.clocks]
    yield "\n".join(lines) + "\n"
    note = "set in .env or in the environment" if draft.variable else ""
    yield "\n".join([f"[sources.{draft.source}]", _noted("url", draft.url, note)]) + "\n"


def _metric(idea: Idea) -> str:
    lines = [f"# {_line(idea.about)}", *(f"# unsure: {_line(why)}" for why in idea.unsure)]
    if idea.doubt:
        lines.append(f"# off: {_line(idea.doubt)}")
    lines.append(f"[metrics.{idea.name}]")
    for key in sorted(idea.keys, key=ORDER.index):
        lines.append(_noted(key, idea.keys[key], idea.why.get(key, "")))
    return "\n".join([*lines, *map(_line, idea.other)]) + "\n"


def _noted(key: str, value: object, note: str) -> str:
    text = f"{key} = {_value(value)}"
    if not note:
        return text
    beside = f"{text.ljust(COMMENT_COLUMN)} # {_line(note)}"
    return beside if len(beside) <= MAX_LINE_CHARACTERS and "\n" not in beside else f"# {key}: {_line(note)}\n{text}"


def _value(value: object) -> str:
    """A value in toml: in single quotes if that avoids escapes, in triple quotes if it has several lines."""
    if isinstance(value, str) and "\n" in value and "'''" not in value:
        return f"'''\n{value}\n'''"
    if isinstance(value, str) and '"' in value and "'" not in value and "\n" not in value:
        return f"'{value}'"
    return toml(value)


def _line(text: str) -> str:
    """The text on one line without control characters, because text from a database must not end the comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split(" ")).rstrip()


def _commented(text: str) -> str:
    return "\n".join(f"# {line}" if line and not line.startswith("#") else line for line in text.splitlines()) + "\n"
