"""Converts a table with a column for each day into a table with a line for each value. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tallybook.collect.history.cells import Cell, days_of, is_blank
from tallybook.collect.history.read import ImportedTable
from tallybook.core import Metric, Problems

METRIC = "metric"
"""The heading of a column that names the metric of a line, as in a delivery with layout across."""


def unpivoted(
    table: ImportedTable, metric: Metric, texts: Collection[str], order: str | None, file: str
) -> ImportedTable:
    """A table with a line for each value: the columns of `texts` (for dimensions), `day` and the metric.

    Empty cells are unknown days. Raises DeclarationError for a column of numbers whose heading is not a day."""
    problems, wanted = Problems(), {text.casefold() for text in texts}
    kept = [i for i, head in enumerate(table.heads) if head.casefold() in wanted]
    which = next((i for i, head in enumerate(table.heads) if head.casefold() == METRIC and i not in kept), None)
    others = {i: cell for i, cell in enumerate(table.head_cells) if i not in kept and i != which}
    days = days_of(others, order, from_1904=table.from_1904)
    for i, why in days.wrong.items():
        if any(isinstance(cell, float) or _has_digits(cell) for cell in table.column(i).values()):
            head = table.heads[i] or "(no name)"
            hint = f'a column that is not wanted: --ignore "{head}"'
            problems.add(f"column {head}", f"the head of a column with numbers is no day: {why}", expected=hint)
    if not days.values:
        problems.add(
            "--across", "no column has a day as its head", seen=", ".join(table.heads), expected="2024-01-31, …"
        )
    problems.raise_if_any(file)
    lines: dict[int, list[Cell]] = {}
    places: dict[int, str] = {}
    for number, line in table.lines.items():
        if which is not None and not _is_of(metric, _at(line, which)):
            continue
        for i, day in days.values.items():
            if not is_blank(_at(line, i)):
                key = len(lines) + 1
                lines[key] = [*(_at(line, at) for at in kept), day.isoformat(), _at(line, i)]
                places[key] = f"{table.place(number)}, {day}"
    heads = (*(table.heads[i] for i in kept), "day", metric.name)
    return ImportedTable(heads, dict(lines), head_cells=heads, places=places)


def _at(line: Any, place: int) -> Cell:
    return line[place] if place < len(line) else None


def _has_digits(cell: Cell) -> bool:
    return isinstance(cell, str) and any(sign.isdigit() for sign in cell)


def _is_of(metric: Metric, cell: Cell) -> bool:
    return isinstance(cell, str) and cell.strip().casefold() in {
        metric.name.casefold(),
        (metric.title or metric.name).casefold(),
    }
