"""The output of `plan`: the statements of a run, with reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.cli.terminal import count, day_range, indented, listed
from tallybook.core import ONE_DAY, calendar, utc_text

if TYPE_CHECKING:
    from tallybook.collect import Group, KeyedPlan, RunPlan, Work

Stretches = Sequence[tuple[date, date]]
SUMS = "counts and sums"
SHOWN_DAYS = 2
"""Maximum number of days whose bounds are shown for a statement over many days, without --all."""


def described(plan: RunPlan, *, every: bool) -> list[dict[str, Any]]:
    """A dict for each group: metrics, days, the plan and its reason, and the statements (of the first day unless
    `every`).

    Runs EXPLAIN for one day in the sources, and closes them."""
    groups = []
    for work in plan.works:
        try:
            groups.append(_described(work, every=every))
        finally:
            if work.horizon.source is not None:
                work.horizon.source.close()
    return groups


def _described(work: Work, *, every: bool) -> dict[str, Any]:
    how, why, indexed = _how(work)
    stretches = work.stretches if every else _first(work, indexed=indexed)
    statements = _statements(work, stretches, indexed=indexed)
    return {
        "metrics": [facts.metric.name for facts in work.facts],
        "source": work.facts[0].metric.source,
        "facts": work.group.relation if work.group else work.facts[0].metric.function,
        "days": work.days,
        "days_again": len(frozenset().union(*work.again.values())),
        "changed": work.late,
        "stretches": [[str(first), str(last)] for first, last in work.stretches],
        "plan": how,
        "why": why,
        "statements": [
            {"what": what, "from": str(first), "to": str(last), "sql": sql} for what, first, last, sql in statements
        ],
        "all_statements": every or indexed is None or work.days == 1,
    }


def searches(plan: RunPlan, *, every: bool) -> list[dict[str, Any]]:
    """The searches for days with changed facts: the statement (with the bounds of two days unless `every`), and the
    days."""
    return [
        {
            "metrics": list(search.metrics),
            "source": search.source,
            "column": search.column,
            "since": utc_text(search.since),
            "sql": search.sql if every else search.brief,
            "all_bounds": every or search.sql == search.brief,
            "days": list(map(str, search.days)),
        }
        for search in plan.searches
    ]


def _how(work: Work) -> tuple[str, str, bool | None]:
    """The plan, the reason, and whether an index serves single days (None if that does not matter)."""
    from tallybook.collect import INTERVAL_PLAN, by_index

    group = work.group
    if group is None:
        return "a call a day", "it is a Python function", None
    if work.snapshot_day is not None:
        return "as it is now", f"only its present is visible; it is stored for {work.snapshot_day}", None
    if group.key.plan == INTERVAL_PLAN:
        return "interval", "the rows that are valid when the days begin, and those that begin and end in them", False
    column = group.metric.time
    if by_index(group, work.stretches[-1][1]):
        return "a statement a day", f"it uses an index on {column}", True
    return "one scan", f"no index on {column} is used: all days in one pass over the facts", False


def _first(work: Work, *, indexed: bool | None) -> Stretches:
    first, last = work.stretches[0]
    return [(first, first if indexed else min(last, first + (SHOWN_DAYS - 1) * ONE_DAY))]


def _statements(work: Work, stretches: Stretches, *, indexed: bool | None) -> Iterator[tuple[str, date, date, str]]:
    """(what it reads, first day, last day, SQL) for each statement, in the order in which a run sends them."""
    from tallybook.collect import INTERVAL_PLAN

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
    yield SUMS, group.select(group.additive().columns.expressions, first, last, split=split)
    for scan in group.scans(split=split):
        yield ", ".join(map(_what, scan.plans)), group.scan(scan, first, last, split=split)


def _now(group: Group) -> Iterator[tuple[str, str]]:
    yield SUMS, group.select_now(group.additive().columns.expressions)
    for keyed in group.keyed():
        yield _what(keyed), group.select_now(keyed.counts, condition=keyed.condition, keys=keyed.keys)


def _intervals(group: Group, first: date, last: date) -> Iterator[tuple[str, str]]:
    selects = group.interval_selects(group.additive().columns.expressions, first, last)
    yield from _parts(SUMS, selects)
    for keyed in group.keyed():
        only, keys = keyed.condition, keyed.keys
        selects = group.interval_selects(keyed.counts, first, last, condition=only, keys=keys)
        yield from _parts(_what(keyed), selects)


def _parts(what: str, selects: Sequence[tuple[int, str, bool]]) -> Iterator[tuple[str, str]]:
    parts = ("valid at the beginning", "beginning", "ending")
    return ((f"{what}: {part}", sql) for part, (_, sql, _) in zip(parts, selects, strict=False))


def _what(keyed: KeyedPlan) -> str:
    names = dict.fromkeys(facts.metric.name for facts, _ in keyed.takers)
    return f"{'values' if keyed.shape in ('values', 'buckets') else 'ids'} of {', '.join(names)}"


# --- words


def in_words(groups: Sequence[dict[str, Any]], searched: Sequence[dict[str, Any]] = ()) -> str:
    """The plan as text."""
    found = [_search_in_words(search) for search in searched]
    if not groups:
        return "\n\n".join([*found, "Nothing to collect."])
    days = sum(group["days"] * len(group["metrics"]) for group in groups)
    text = "\n\n".join([*found, *(_group_in_words(group) for group in groups)])
    size = f"{count(len(groups), 'group')}, {count(days, 'metric day')}"
    return f"{text}\n\n{size}; `tallybook run` collects them."


def _search_in_words(search: dict[str, Any]) -> str:
    days = listed(search["days"], max_named=8) if search["days"] else "none"
    since = search["since"].replace("T", " ").removesuffix("Z")
    lines = [
        f"{', '.join(search['metrics'])}: days whose facts changed, by {search['column']} since {since} UTC",
        indented(search["sql"] + ";"),
        *([] if search["all_bounds"] else ["  -- --all shows the bounds of all days"]),
        f"  days  {days}",
    ]
    return "\n".join(lines)


def _group_in_words(group: dict[str, Any]) -> str:
    again = f", {group['days_again']:,} of them again" if group["days_again"] else ""
    again = ", whose facts changed" if group["changed"] else again
    stretches = [day_range(first, last) for first, last in group["stretches"]]
    place = group["facts"] + (f" in {group['source']}" if group["source"] else "")
    lines = [
        f"{', '.join(group['metrics'])}",
        f"  from  {place}",
        f"  days  {group['days']:,}{again}: {listed(stretches, max_named=4)}",
        f"  plan  {group['plan']}: {group['why']}",
    ]
    for statement in group["statements"]:
        lines.append(f"  -- {day_range(statement['from'], statement['to'])}, {statement['what']}")
        lines.append(indented(statement["sql"] + ";"))
    if not group["all_statements"]:
        lines.append(f"  -- --all shows the statements of all {group['days']:,} days")
    return "\n".join(lines)
