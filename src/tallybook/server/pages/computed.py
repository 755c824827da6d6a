"""How a number is computed: the sentence, the SQL, the definition, the collected days, revisions, and one day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.core import ONE_DAY, QueryError, Refused, Result
from tallybook.server.pages.page import PageWork
from tallybook.server.pages.page_words import page_words
from tallybook.server.pages.templates import markup
from tallybook.server.pages.words import begins_sentence, number

if TYPE_CHECKING:
    from tallybook.query import CoverageCalendar, Explanation
    from tallybook.server.pages.breakdown import MetricView

SHOWN_MONTHS = 6
COVERED, OLDER, MISSING = "■", "o", "·"
MAX_REVISIONS = 12


@dataclass(frozen=True, kw_only=True)
class CalendarMonth:
    name: str
    days: Any
    """The month as SVG."""
    words: str
    """The month in words, for screen readers."""


@dataclass(frozen=True, kw_only=True)
class RevisionLine:
    day: str
    series: str
    old: str
    new: str
    run: str


@dataclass(frozen=True, kw_only=True)
class ExplainedDay:
    """The origin of the number of one day."""

    day: str
    value: str
    facts: Sequence[tuple[str, str]]
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class ComputedFacts:
    """Everything below "How is this computed?"."""

    sentence: str
    sql: str
    facts: Sequence[tuple[str, str]]
    months: Sequence[CalendarMonth]
    days: int
    expected: int
    since: str
    gaps: Sequence[tuple[str, str]]
    """(words, command) for each gap."""
    revisions: Sequence[RevisionLine]
    day: ExplainedDay | None
    asked_day: str
    wrong_day: str


def computed(work: PageWork, view: MetricView, result: Result) -> ComputedFacts:
    """How the numbers of a metric are computed."""
    metric = view.metric
    explained = work.book.why(metric.name)
    covered = next(iter(work.book.coverage(metric.name)), None) if work.book.reader.has_book else None
    asked = work.ask.one("day")
    day, wrong = _explained_day(work, view, asked) if asked else (None, "")
    shown_day = asked or str(work.book.today - ONE_DAY)
    revisions = _revisions(work, metric.name)
    return ComputedFacts(
        sentence=result.explain,
        sql=_sql(work, explained),
        facts=_facts(work, metric.name, explained),
        months=_months(work, covered, revisions) if covered else [],
        days=covered.days if covered else 0,
        expected=covered.expected if covered else 0,
        since=(covered.from_ or "") if covered else "",
        gaps=_gaps(covered) if covered else [],
        revisions=revisions,
        day=day,
        asked_day=shown_day,
        wrong_day=wrong,
    )


def _sql(work: PageWork, explained: Explanation) -> str:
    """The SQL that queries a metric's source, for one day with its bounds in UTC."""
    metric = work.catalog.metrics[explained.metric]
    if metric.derived or metric.function:
        return metric.measure or metric.function or ""
    if metric.snapshot:
        return f"select {metric.measure}\nfrom {metric.table or '(…)'}"
    day = work.book.today - ONE_DAY
    facts = metric.table or f"(\n{metric.sql}\n) f"
    joins = "".join(f"\n  left join {one.text}" for one in metric.join)
    by = ", ".join([*metric.by, metric.measure or ""])
    lines = [f"select {by}", f"from {facts}{joins}"]
    if metric.interval:
        lines.append(f"where {metric.from_} < end of {day}")
        lines.append(f"  and ({metric.until} is null or {metric.until} >= end of {day})" if metric.until else "")
    else:
        lines.append(f"where {metric.time} within {day}, {work.catalog.book.timezone}")
    if metric.where:
        lines.append(f"  and {metric.where}")
    if metric.by:
        lines.append(f"group by {', '.join(metric.by)}")
    return "\n".join(line for line in lines if line)


def _facts(work: PageWork, name: str, explained: Explanation) -> list[tuple[str, str]]:
    described = work.book.metric(name)
    metric = work.catalog.metrics[name]
    goals = [f"goal {goal.name}" for goal in work.catalog.goals.values() if goal.metric == name]
    sent = [f"delivery {one.name}" for one in work.catalog.deliveries.values() if name in one.metrics]
    used = [*(f"metric {one}" for one in explained.used_by), *goals, *sent]
    definitions = described.definitions
    since = f", in use since {definitions[0].created[:10]}" if definitions else ""
    older = f"; {len(definitions) - 1} earlier" if len(definitions) > 1 else "; no earlier one" if definitions else ""
    found = {
        "Definition": f"{described.definition}{since}{older}" if described.definition else "",
        "Measure": metric.steps,
        "Source": metric.source or "",
        "Split by": ", ".join(work.catalog.queryable_dims(name)),
        "Made of": ", ".join(described.operands) if metric.derived else "",
        "Used by": ", ".join(used),
        "Description": metric.description or "",
    }
    return [(label, text) for label, text in found.items() if text]


# -- days ------------------------------------------------------------------------------------------


def _gaps(covered: CoverageCalendar) -> list[tuple[str, str]]:
    found = []
    for gap in covered.gaps[-6:]:
        days = f"{gap.days:,} day{'' if gap.days == 1 else 's'}"
        found.append((f"{days}, {gap.from_} to {gap.to}" + (f": {gap.why}" if gap.why else ""), gap.collect or ""))
    return found


def _months(work: PageWork, covered: CoverageCalendar, revisions: Sequence[RevisionLine]) -> list[CalendarMonth]:
    signs = {}
    for month in covered.months:
        for number_, sign in enumerate(month.days, 1):
            signs[f"{month.month}-{number_:02d}"] = sign
    revised = {one.day for one in revisions}
    last = work.book.today.replace(day=1)
    names = []
    for _ in range(SHOWN_MONTHS):
        names.append(last)
        last = (last - ONE_DAY).replace(day=1)
    return [_month(first, signs, revised) for first in reversed(names)]


def _month(first: date, signs: Mapping[str, str], revised: set[str]) -> CalendarMonth:
    following = (first + timedelta(days=32)).replace(day=1)
    parts, missing = [], 0
    for place in range((following - first).days):
        day = str(first + timedelta(days=place))
        x, sign = place * 16, signs.get(day, "")
        if sign == COVERED:
            parts.append(f'<rect class="has" x="{x + 1}" y="1" width="13" height="13" rx="2"/>')
        elif sign in (MISSING, OLDER):
            missing += 1
            parts.append(f'<rect class="lacks" x="{x + 1.5}" y="1.5" width="12" height="12" rx="2"/>')
            parts.append(f'<path class="slash" d="M{x + 3} 12L{x + 12} 3"/>')
        elif not sign:
            parts.append(f'<rect class="coming" x="{x + 1.5}" y="1.5" width="12" height="12" rx="2"/>')
        if day in revised:
            parts.append(f'<path class="revised" d="M{x + 2} 16H{x + 13}"/>')
    name = f"{first:%Y-%m}"
    words = f"{missing} missing" if missing else "none missing"
    svg = f'<svg viewBox="0 0 496 17" aria-hidden="true" focusable="false">{"".join(parts)}</svg>'
    return CalendarMonth(name=name, days=markup(svg), words=words)


def _revisions(work: PageWork, name: str) -> list[RevisionLine]:
    """The latest values that changed after they were collected."""
    reader = work.book.reader
    if not reader.has_book or work.catalog.metrics[name].derived or work.reader.is_filtered:
        return []
    import json

    found = reader.store.ledger.revisions(reader.keys([name])[name])
    return [
        RevisionLine(
            day=str(one.day),
            series=", ".join(str(value) for value in json.loads(one.series).values()) or "all",
            old=one.old or "–",
            new=one.new or "–",
            run=str(one.run or ""),
        )
        for one in list(found)[-MAX_REVISIONS:][::-1]
    ]


def _explained_day(work: PageWork, view: MetricView, asked: str) -> tuple[ExplainedDay | None, str]:
    """The explanation of a day, or the problem with the day that was typed."""
    name = view.metric.name
    try:
        day = work.book.day(asked)
        if work.reader.is_filtered:
            return None, "This key sees some series only; the facts behind a day are about all of them."
        explained = work.book.why(name, day, where=view.where)
    except (QueryError, Refused) as error:
        hint = getattr(error, "hint", "")
        return None, page_words(f"{begins_sentence(error.message)}. {begins_sentence(hint)}")
    result = explained.result
    rows = result.rows() if result else []
    value = str(number(rows[-1][name], result.metric_columns[0])) if result and rows else "–"
    note = ((rows[-1].get("notes") or {}).get(name) or {}).get("why", "") if rows else ""
    return ExplainedDay(day=str(day), value=value, facts=_behind(explained), problem=note), ""


def _behind(explained: Explanation) -> list[tuple[str, str]]:
    several = len(explained.behind) > 1
    found = []
    for one in explained.behind:
        begin = f"{one.metric}: " if several else ""
        if one.error:
            found.append((f"{begin}Error", one.error))
            continue
        if one.points is not None:
            found.append((f"{begin}Facts", f"{one.points.facts:,} in {one.points.series:,} series"))
        if one.run is not None and one.run.started:
            found.append((f"{begin}Collected", f"by run {one.run.run} at {one.run.started[:16].replace('T', ' ')} UTC"))
        if one.coverage is not None and not one.coverage.covered:
            found.append((f"{begin}Not collected", one.coverage.collect or one.coverage.why or ""))
        if one.definition is not None:
            found.append((f"{begin}Definition", one.definition.id))
        found += [
            (f"{begin}Revised", f"{r.old or '–'} → {r.new or '–'} at {r.at[:16].replace('T', ' ')} UTC")
            for r in one.revisions
        ]
    return found
