"""Compares two answers to one question: notes where the facts now differ from the book."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import msgspec

from tallybook.core import RELATIVE_TOLERANCE, Result, is_close, shorten_list


def with_stored(live: Result, stored: Result, snapshots: Collection[str] = ()) -> Result:
    """The answer `live` with a note at every value that differs in the book.

    `snapshots`: metrics whose source shows only the present, so that no run collects their days again."""
    known = {_key(live, row): row for row in stored.rows()}
    rows: list[dict[str, Any]] = []
    different: list[str] = []
    for row in live.rows():
        before = known.get(_key(live, row))
        notes = dict(row.get("notes", {}))
        for name in live.metrics:
            if before is None or before.get(name) is None or _same(row[name], before[name], row):
                continue
            if name in snapshots:
                taken = before.get("notes", {}).get(name, {}).get("as_of")
                when = f"seen at {taken}" if taken else f"of {before['period']}"
                why = f"the book holds {before[name]}, {when}; what the source shows now is stored by the next run"
                notes[name] = {**notes.get(name, {}), "stored": before[name], "why": why}
                continue
            if before.get("notes", {}).get(name, {}).get("imported"):
                why = f"the book holds {before[name]}, which was imported"
                notes[name] = {**notes.get(name, {}), "stored": before[name], "why": why}
                continue
            seen, held = _days(row, name), _days(before, name)
            if not seen and "why" in notes.get(name, {}):
                notes[name] = {**notes[name], "stored": before[name]}
                continue
            if seen != held:
                why = (
                    f"the book holds {before[name]} of {held} of these {seen} days: tallybook run {name} collects them"
                )
                notes[name] = {**notes.get(name, {}), "stored": before[name], "why": why}
                continue
            series = [str(row[c.name]) for c in live.dimension_columns]
            different.append(f"{' '.join([name, str(row['period']), *series])} ({before[name]} in the book)")
            notes[name] = {**notes.get(name, {}), "stored": before[name], "why": _why(before[name])}
        rows.append({**row, "notes": notes} if notes else row)
    said = (
        f" The book has other values for {shorten_list(different, 5)}: rows changed after they were collected."
        if different
        else ""
    )
    return msgspec.structs.replace(live, data=rows, explain=f"Live: {live.explain}{said}")


def _key(result: Result, row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row["period"],
        row.get("total", False),
        row.get("others", False),
        *(row[c.name] for c in result.dimension_columns),
    )


def _days(row: dict[str, Any], name: str) -> int:
    """The number of days that a value covers."""
    return int(row.get("notes", {}).get(name, {}).get("days", row["days"]))


def _same(a: Any, b: Any, row: dict[str, Any]) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        tolerance = 0.021 if row.get("approximate") else RELATIVE_TOLERANCE
        return a is not None and is_close(a, b, tolerance)
    return a is not None and Decimal(a) == Decimal(b)


def _why(stored: Any) -> str:
    return f"the book holds {stored}: rows changed after they were collected; tallybook run --from restates them"
