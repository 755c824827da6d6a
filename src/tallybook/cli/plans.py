"""A `Plan` in words and statements: what `run` would ask, and why that way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook import calendar
from tallybook.calendar import ONE_DAY
from tallybook.cli.terminal import count, indented

if TYPE_CHECKING:
    from tallybook.collect.plan import Plan, Work
    from tallybook.collect.statements import Group, KeyedPlan

Stretches = Sequence[tuple[date, date]]
SHOWN_DAYS = 2
"""Days whose bounds are written out where one statement serves many, unless all are asked for."""


def described(plan: Plan, *, every: bool) -> list[dict[str, Any]]:
    """A dict per group: metrics, days, the plan and its why, statements (of the first day unless `every`).

    Asks the sources for their own plan of one day; closes them."""
    groups = []
    for work in plan.works:
        with closing(work.horizon.source):
            groups.append(_described(work, every=every))
    return groups


def _described(work: Work, *, every: bool) -> dict[str, Any]:
    how, why, indexed = _how(work)
    shown = list(_statements(work, work.stretches if every else _first(work, indexed=indexed), indexed=indexed))
    return {
        "metrics": [facts.metric.name for facts in work.facts],
        "source": work.horizon.source.settings.name,
        "facts": work.group.relation if work.group else work.facts[0].metric.function,
        "days": work.days,
        "days_again": len(work.again),
        "stretches": [[str(first), str(last)] for first, last in work.stretches],
        "plan": how,
        "why": why,
        "statements": [{"what": what, "from": str(first), "to": str(last), "sql": sql} for what, first, last, sql in shown],
        "all_statements": every or indexed is None or work.days == 1,
    }  # fmt: skip


def _how(work: Work) -> tuple[str, str, bool | None]:
    """(plan, why, whether an index serves single days; None where that is not the question)."""
    from tallybook.collect.gather import by_index
    from tallybook.collect.statements import INTERVAL_PLAN

    group = work.group
    if group is None:
        return "a call a day", "it is a Python function", None
    if work.snapshot_day is not None:
        return "as it is now", f"only its present can be seen; it is put down under {work.snapshot_day}", None
    if group.key.plan == INTERVAL_PLAN:
        return "interval", "what held when the days begin, then what begins and ends in them, of one snapshot", False
    column = group.metric.time
    if by_index(group, work.stretches[-1][1]):
        return "a statement a day", f"an index on {column} is reached", True
    return "one scan", f"no index on {column} is reached: all days in one pass over the facts", False


def _first(work: Work, *, indexed: bool | None) -> Stretches:
    first, last = work.stretches[0]
    return [(first, first if indexed else min(last, first + (SHOWN_DAYS - 1) * ONE_DAY))]


def _statements(work: Work, stretches: Stretches, *, indexed: bool | None) -> Iterator[tuple[str, date, date, str]]:
    """(what it fetches, first day, last day, SQL), as `collect.gather` sends them."""
    from tallybook.collect.statements import INTERVAL_PLAN

    group = work.group
    if group is None:
        return
    if indexed:
        stretches = [(day, day) for first, last in stretches for day in calendar.days(first, last)]
    for first, last in stretches:
        if work.snapshot_day is not None:
            found = _now(group)
        elif group.key.plan == INTERVAL_PLAN:
            found = _intervals(group, first, last)
        else:
            found = _days(group, first, last, split=not indexed)
        yield from ((what, first, last, sql) for what, sql in found)


def _days(group: Group, first: date, last: date, *, split: bool) -> Iterator[tuple[str, str]]:
    yield "counts and sums", group.select(group.additive().columns.expressions, first, last, split=split)
    for keyed in group.keyed():
        yield _what(keyed), group.select(keyed.counts, first, last, split=split, condition=keyed.condition, keys=keyed.keys)


def _now(group: Group) -> Iterator[tuple[str, str]]:
    yield "counts and sums", group.select_now(group.additive().columns.expressions)
    for keyed in group.keyed():
        yield _what(keyed), group.select_now(keyed.counts, condition=keyed.condition, keys=keyed.keys)


def _intervals(group: Group, first: date, last: date) -> Iterator[tuple[str, str]]:
    parts = ("what holds at the start", "what begins", "what ends")
    selects = group.interval_selects(group.additive().columns.expressions, first, last)
    yield from ((f"counts and sums: {part}", sql) for part, (_, sql, _) in zip(parts, selects, strict=False))
    for keyed in group.keyed():
        selects = group.interval_selects(keyed.counts, first, last, condition=keyed.condition, keys=keyed.keys)
        yield from ((f"{_what(keyed)}: {part}", sql) for part, (_, sql, _) in zip(parts, selects, strict=False))


def _what(keyed: KeyedPlan) -> str:
    names = dict.fromkeys(facts.metric.name for facts, _ in keyed.takers)
    return f"{'values' if keyed.shape in ('values', 'buckets') else 'ids'} of {', '.join(names)}"


# --- words


def told(groups: Sequence[dict[str, Any]]) -> str:
    if not groups:
        return "Nothing to collect."
    days = sum(group["days"] * len(group["metrics"]) for group in groups)
    listed = "\n\n".join(_told(group) for group in groups)
    return f"{listed}\n\n{count(len(groups), 'group')}, {count(days, 'day')} of metrics. `tallybook run` collects them."


def _told(group: dict[str, Any]) -> str:
    again = f", {group['days_again']:,} of them again" if group["days_again"] else ""
    stretches = [first if first == last else f"{first} to {last}" for first, last in group["stretches"]]
    listed = ", ".join(stretches[:4]) + (f" and {len(stretches) - 4} more stretches" if len(stretches) > 4 else "")
    lines = [
        f"{', '.join(group['metrics'])}",
        f"  from  {group['facts']} in {group['source']}",
        f"  days  {group['days']:,}{again}: {listed}",
        f"  plan  {group['plan']}: {group['why']}",
    ]
    for statement in group["statements"]:
        lines.append(f"  -- {statement['from']} to {statement['to']}, {statement['what']}" if statement["from"] != statement["to"] else f"  -- {statement['from']}, {statement['what']}")
        lines.append(indented(statement["sql"] + ";"))
    if not group["all_statements"]:
        lines.append(f"  -- and so for all {group['days']:,} days: --all")
    return "\n".join(lines)
