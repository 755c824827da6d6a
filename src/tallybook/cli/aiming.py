"""The verb that compares metrics with their goals: `goals`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tallybook.cli.completions import of_goals
from tallybook.cli.options import form, named, verb
from tallybook.cli.terminal import Terminal, listed, table
from tallybook.core import DONE

if TYPE_CHECKING:
    from tallybook.core import Goal, Number
    from tallybook.query import Standing

STYLES = {
    "reached": ("bold", "green"),
    "ahead": ("green",),
    "behind": ("yellow",),
    "missed": ("bold", "red"),
    "open": ("dim",),
    "unknown": ("dim",),
}
HEADER = ("goal", "period", "value", "target", "share", "days", "expected", "difference", "projection", "status")
NUMBERS = ("value", "target", "share", "days", "expected", "difference", "projection")
DROPPED_FIRST = ("difference", "share", "days", "projection")
"""Columns that are left out, in this order, if the screen is too narrow."""


@verb(
    named("names", "[NAME…]", of_goals),
    click.option("--on", metavar="DAY", help="The period that contains this day, with the days up to it."),
    click.option("--last", metavar="SPAN", help='Also earlier periods, for example "3 months"; whole periods.'),
    form("table", "json", "ndjson", "csv"),
    click.option("--exact", is_flag=True, help="Print decimals in JSON as strings, with all digits."),
)
def goals(terminal: Terminal, names: tuple[str, ...], on: str | None, last: str | None, form: str, exact: bool) -> int:
    """Compare metrics with the [goals] of tallybook.toml: the value so far, the value expected by now, and the pace.

    \b
      tallybook goals                               each in its current period
      tallybook goals signups --last "6 months"     and in earlier periods
      tallybook goals --on 2026-02-28               as of that day

    A period appears once its first day is over. For metrics that add up over days, `expected` is the target's share
    of the collected days, and `projection` the value at the end at this rate. For levels, `expected` is the straight
    path to the target. Other metrics have neither; the reason is printed. Status: reached, ahead, behind, missed,
    open (decided at the end) or unknown."""
    found = terminal.book().goals(*names, on=on, last=last)
    if form == "table":
        _print(terminal, found)
    else:
        terminal.data(_for_programs(found, form, exact))
    return DONE


def goal_in_words(goal: Goal) -> str:
    """One sentence on the target of a goal."""
    aim = "at most" if goal.at_most else "at least"
    shown = f"the {goal.show} of {goal.metric}" if goal.show else goal.metric
    only = f" where {' and '.join(goal.where)}" if goal.where else ""
    targets = [f"{target} in the {goal.scope} of {start}" for start, target in goal.targets.items()]
    number = f"{goal.target} in every {goal.scope}" if goal.target is not None else listed(targets, max_named=3)
    return f"{goal.name}: {shown}{only} should be {aim} {number}."


def _for_programs(found: Sequence[Standing], form: str, exact: bool) -> str:
    from tallybook.core import as_json, csv_field

    rows = [standing.to_dict() for standing in found]
    if form == "json":
        return as_json({"goals": rows}, exact) + "\n"
    if form == "ndjson":
        return "".join(as_json(row, exact) + "\n" for row in rows)
    for row in rows:
        row.update(where=" ".join(row["where"]), notes="; ".join(row["notes"]))
    names = list(rows[0]) if rows else []
    lines = [names, *([csv_field(row[name], True) for name in names] for row in rows)]
    return "\n".join(",".join(line) for line in lines) + "\n"


def _print(terminal: Terminal, found: Sequence[Standing]) -> None:
    if not found:
        terminal.out("No goals are declared: [goals.NAME] in tallybook.toml.")
        return
    (head, *lines), spared = _fitting([_cells(standing) for standing in found], terminal.width)
    terminal.show(terminal.styled(head, "bold"))
    for standing, line in zip(found, lines, strict=True):
        status = terminal.styled(standing.status, *STYLES[standing.status])
        terminal.show(line.removesuffix(standing.status) + status)
    for remark in [f"… {listed(spared)}"] * bool(spared) + _remarks(found):
        terminal.show(terminal.styled(terminal.wrapped(remark), "dim"))


def _fitting(rows: Sequence[Sequence[str]], width: int | None) -> tuple[list[str], Sequence[str]]:
    """The lines of the table, and the names of the columns that do not fit."""
    for n in range(len(DROPPED_FIRST) + 1):
        kept = [i for i, name in enumerate(HEADER) if name not in DROPPED_FIRST[:n]]
        lines = table([HEADER[i] for i in kept], [[row[i] for i in kept] for row in rows], NUMBERS)
        if width is None or max(map(len, lines)) <= width:
            break
    return lines, DROPPED_FIRST[:n]


def _cells(s: Standing) -> list[str]:
    beyond = f"{_written(s, s.difference, sign=True)}" if s.difference is not None else "–"
    beyond += f" ({s.difference_share:+.1%})" if s.difference_share is not None else ""
    target = _written(s, s.target)
    return [
        s.title or s.goal,
        s.label,
        _written(s, s.value) + "≈" * (s.approximate and s.value is not None),
        f"≤ {target}" if s.at_most and s.target is not None else target,
        "–" if s.share is None else f"{s.share:.1%}",
        f"{s.days} of {s.days_expected}",
        _written(s, s.expected),
        beyond,
        _written(s, s.projection),
        s.status,
    ]


def _written(s: Standing, number: Number | None, *, sign: bool = False) -> str:
    """The number in the format of the metric's values. A pace may have decimals even if the values have none."""
    import msgspec

    from tallybook.core import format_number

    kind = s.column.type if isinstance(number, int) else "float" if isinstance(number, float) else "decimal"
    text = format_number(number, msgspec.structs.replace(s.column, type=kind))
    return f"+{text}" if sign and number is not None and number > 0 else text


def _remarks(found: Sequence[Standing]) -> list[str]:
    """Reasons and notes, each once, with its goal and periods."""
    remarks: dict[tuple[str, str], list[str]] = {}
    for s in found:
        for text in ([s.why] if s.why else []) + list(s.notes):
            remarks.setdefault((s.title or s.goal, text), []).append(s.label)
    return [f"– {name}: {text} ({listed(periods, max_named=3)})" for (name, text), periods in remarks.items()]
