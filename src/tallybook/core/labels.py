"""Labels of dimension values, and counts and lists in words, for tables, charts and messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence

TOTAL, OTHER, NONE, GAP = "total", "other", "(none)", "–"
"""The labels of the totals row, of the row of all other series, of null, and of a period without a series."""
MAX_WIDTH = 40
"""Characters of a value that a table in a terminal shows."""


def count_phrase(count: int, singular: str, plural: str) -> str:
    """A count with its noun and verb: `count_phrase(1, "row has", "rows have")` is "1 row has"."""
    return f"{count} {singular if count == 1 else plural}"


def shorten_list(texts: Sequence[str], most: int) -> str:
    """The first `most` texts, separated by commas, and the number of the rest: `a, b and 3 more`."""
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def value_label(value: str | None) -> str:
    """The label of a dimension value, `(none)` for null. No two values have the same label.

    A value that could be mistaken for another value or for the label of a row is in double quotes with escapes:
    the empty text, `total`, texts with a line break or with leading or trailing spaces."""
    if value is None:
        return NONE
    is_ambiguous = value in ("", TOTAL, OTHER, NONE, GAP) or value != value.strip() or value.startswith('"')
    if value.isprintable() and not is_ambiguous:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in escaped) + '"'


def shortened(labels: Sequence[str]) -> list[str]:
    """The labels, with long ones cut, except where a cut would make two labels equal."""
    cuts = {label: label if len(label) <= MAX_WIDTH else label[: MAX_WIDTH - 1] + "…" for label in labels}
    taken: dict[str, int] = {}
    for cut in cuts.values():
        taken[cut] = taken.get(cut, 0) + 1
    return [cuts[label] if taken[cuts[label]] == 1 else label for label in labels]
