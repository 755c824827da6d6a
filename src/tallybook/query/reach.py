"""The days of a question: all collected days by default, and none far outside of them.

People and BI tools type 9999-12-31 for an open end. Days near the collected ones are gaps that can perhaps be
filled. A bound far away is clipped, and the answer says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from tallybook.core import QueryError, Refused, plus_days, shorten_list
from tallybook.query.context import QueryContext
from tallybook.query.questions import Query
from tallybook.query.ranges import MAX_GAP_DAYS

NOTHING_BEFORE = "nothing is collected before"


@dataclass(frozen=True)
class QuestionRange:
    """A question with both bounds set, and why they differ from the requested ones (empty if they do not)."""

    query: Query
    before: str = ""
    after: str = ""


def ranged(query: Query, context: QueryContext) -> QuestionRange:
    """The question over its requested days, limited to the collected ones.

    Raises QueryError if nothing is collected and no first day is given, Refused if all days are in the future."""
    operands = [o for name in query.metrics for o in context.catalog.operands(name)]
    covered = [
        context.coverage[o].stretches for o in operands if o in context.coverage and context.coverage[o].stretches
    ]
    covered += [
        c.stretches for name in query.metrics if name in context.past and (c := context.past[name][1]).stretches
    ]
    begin = min((s[0][0] for s in covered), default=None)
    only_today = begin is not None and begin > context.last_closed
    last_covered = max((s[-1][1] for s in covered), default=context.last_closed)
    last = query.last or context.running or (last_covered if only_today else context.last_closed)
    first = query.first or begin
    if first is None:
        raise QueryError(
            f"nothing of {shorten_list(query.metrics, 5)} is collected yet",
            hint="\n".join(dict.fromkeys(context.whys.values())) or "tallybook run",
        )
    end = max(last_covered, context.last_closed, context.running or context.last_closed)
    first = first if query.first else min(first, last)
    return clipped(replace(query, first=first, last=max(first, last)), begin or context.last_closed, end)


def clipped(query: Query, begin: date, end: date) -> QuestionRange:
    """The question without days far outside of `begin` … `end`, the collected days. Both bounds are set.

    Raises Refused if its first day is later than the running day."""
    assert query.first is not None
    assert query.last is not None
    first, last, before, after = query.first, query.last, "", ""
    if first > plus_days(end, 1):
        raise Refused(
            f"--from {first} is after the last day of the book, {end}: there is nothing to be known of yet",
            ask=f"the same question with --from {end}, or without --from",
            changes=[{"from": str(end)}, {"from": None}],
        )
    if last > plus_days(end, MAX_GAP_DAYS):
        after, last = f"asked to {last}, but the last day is {end}", max(end, first)
    if first < plus_days(begin, -MAX_GAP_DAYS):
        before, first = f"asked from {first}, but {NOTHING_BEFORE} {begin}", min(begin, last)
    return QuestionRange(replace(query, first=first, last=last), before, after)


def with_reasons(reach: QuestionRange, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows. The first and the last period get the reason why no other periods come before or after them."""
    if not rows or not (reach.before or reach.after):
        return list(rows)
    first, last = rows[0]["period"], rows[-1]["period"]
    found = []
    for row in rows:
        whys = [why for why, day in ((reach.before, first), (reach.after, last)) if why and row["period"] == day]
        found.append(_noted(row, reach.query.metrics, whys) if whys else row)
    return found


def _noted(row: dict[str, Any], metrics: Sequence[str], whys: Sequence[str]) -> dict[str, Any]:
    notes = dict(row.get("notes") or {})
    for name in metrics:
        own = notes.get(name, {}).get("why", "")
        more = [why for why in whys if NOTHING_BEFORE not in own or NOTHING_BEFORE not in why]
        notes[name] = {**notes.get(name, {}), "why": "; ".join([*([own] if own else []), *more])}
    return {**row, "notes": notes}
