"""The values of a dimension as people see them in tables, charts and messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence

TOTAL, OTHER, NONE, GAP = "total", "other", "(none)", "–"
"""The labels of the row of totals, of the row of all other series, of null, and of a period without a series."""
MAX_WIDTH = 40
"""The letters of a value that a table in a terminal shows."""


def agreed(count: int, one: str, several: str) -> str:
    """A count with its noun and verb: `agreed(1, "row has", "rows have")` is "1 row has"."""
    return f"{count} {one if count == 1 else several}"


def value_label(value: str | None) -> str:
    """The text of a dimension value, `(none)` for null. No two values have the same text.

    A value that could be taken for another one, or for the label of a row, is in double quotes with escapes:
    the empty text, `total`, texts with a line break or with spaces at an end."""
    if value is None:
        return NONE
    misread = value in ("", TOTAL, OTHER, NONE, GAP) or value != value.strip() or value.startswith('"')
    if value.isprintable() and not misread:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in escaped) + '"'


def shortened(labels: Sequence[str]) -> list[str]:
    """The labels, long ones cut where that leaves them different from all others."""
    cuts = {label: label if len(label) <= MAX_WIDTH else label[: MAX_WIDTH - 1] + "…" for label in labels}
    taken: dict[str, int] = {}
    for cut in cuts.values():
        taken[cut] = taken.get(cut, 0) + 1
    return [cuts[label] if taken[cuts[label]] == 1 else label for label in labels]
