"""The verb that holds metrics against their goals: `goals`."""

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
SPARED = ("difference", "share", "days", "projection")
"""What is left out first where the screen is too narrow."""


@verb(
    named("names", "[NAME…]", of_goals),
    click.option("--on", metavar="DAY", help="The period that holds this day, with the days up to it."),
    click.option("--last", metavar="SPAN", help='Also the periods before, as "3 months"; whole periods.'),
    form("table", "json", "ndjson", "csv"),
    click.option("--exact", is_flag=True, help="Decimals in JSON as texts, to the last digit."),
)
def goals(terminal: Terminal, names: tuple[str, ...], on: str | None, last: str | None, form: str, exact: bool) -> int:
    """Hold metrics against the [goals] of tallybook.toml: the value so far, where it should be by now, the pace.

    \b
      tallybook goals                               each in its running period
      tallybook goals signups --last "6 months"     and how it went before
      tallybook goals --on 2026-02-28               as the days up to then had it

    A period is told of from when its first day is over. `expected` is the target's share of the days that are
    collected, `projection` the end at this rate: of what adds up over days. Of levels `expected` is the straight
    path to the target; of the rest there is neither, with the reason. Status: reached, ahead, behind, missed, open
    (not decided before the end) or unknown."""
    found = terminal.book().goals(*names, on=on, last=last)
    if form == "table":
        _tell(terminal, found)
    else:
        terminal.data(_for_programs(found, form, exact))
    return DONE


def goal_in_words(goal: Goal) -> str:
    """One sentence on what a goal asks for."""
    aim = "at most" if goal.at_most else "at least"
    shown = f"the {goal.show} of {goal.metric}" if goal.show else goal.metric
    only = f" where {' and '.join(goal.where)}" if goal.where else ""
    targets = [f"{target} in the {goal.scope} of {start}" for start, target in goal.targets.items()]
    number = f"{goal.target} in every {goal.scope}" if goal.target is not None else listed(targets, most=3)
    return f"{goal.name}: {shown}{only} shall come to {aim} {number}."


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


def _tell(terminal: Terminal, found: Sequence[Standing]) -> None:
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
    """The table, and the names of the columns for which there is no room."""
    for n in range(len(SPARED) + 1):
        kept = [i for i, name in enumerate(HEADER) if name not in SPARED[:n]]
        lines = table([HEADER[i] for i in kept], [[row[i] for i in kept] for row in rows], NUMBERS)
        if width is None or max(map(len, lines)) <= width:
            break
    return lines, SPARED[:n]


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
    """As the metric's values are written; a pace is seldom whole where they are."""
    import msgspec

    from tallybook.core import format_number

    kind = s.column.type if isinstance(number, int) else "float" if isinstance(number, float) else "decimal"
    text = format_number(number, msgspec.structs.replace(s.column, type=kind))
    return f"+{text}" if sign and number is not None and number > 0 else text


def _remarks(found: Sequence[Standing]) -> list[str]:
    """What is to be said of a goal, each once, with its periods."""
    told: dict[tuple[str, str], list[str]] = {}
    for s in found:
        for text in ([s.why] if s.why else []) + list(s.notes):
            told.setdefault((s.title or s.goal, text), []).append(s.label)
    return [f"– {name}: {text} ({listed(periods, most=3)})" for (name, text), periods in told.items()]
