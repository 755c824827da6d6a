"""The coverage of a metric as a calendar, with the commands that collect missing days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
from msgspec import field

from tallybook.core import ONE_DAY, Metric, calendar
from tallybook.query.context import Coverage
from tallybook.query.event_days import next_push
from tallybook.query.questions import known_metric
from tallybook.query.reader import BookReader
from tallybook.query.records import BookRecord

COVERED, OLDER, MISSING, OUTSIDE = "■", "o", "·", " "
"""Signs of a day: collected, collected only under an older definition, missing, not part of the question."""


class CoverageMonth(BookRecord, frozen=True, kw_only=True):
    """A month (YYYY-MM), with one sign for each day."""

    month: str
    days: str


class CoverageGap(BookRecord, frozen=True, kw_only=True, omit_defaults=True):
    """Consecutive missing days, with the command that collects them, or `why` they cannot be collected.

    `known_under`: older definitions that have these days."""

    from_: str
    to: str
    days: int
    why: str | None = None
    collect: str | None = None
    known_under: list[str] = field(default_factory=list)


class CoverageCalendar(BookRecord, frozen=True, kw_only=True):
    """The expected days of one metric: how many are collected, the calendar by month, and the gaps.

    No day is expected if the metric has neither a declared start nor a collected day."""

    metric: str
    from_: str | None = None
    to: str | None = None
    days: int = 0
    expected: int = 0
    months: list[CoverageMonth] = field(default_factory=list)
    gaps: list[CoverageGap] = field(default_factory=list)


def coverage_calendars(
    reader: BookReader, names: Sequence[str], first: date | None, last: date | None
) -> list[CoverageCalendar]:
    """The calendars of these metrics, or of all.

    Expected days run from the declared start, or else the first collected day, to yesterday. Raises QueryError for
    an undeclared metric."""
    catalog = reader.project.catalog
    chosen = [known_metric(catalog, name) for name in names or catalog.metrics]
    operands = {o for metric in chosen for o in catalog.operands(metric.name)}
    keys = reader.keys(sorted(operands))
    known = reader.snapshot(keys, None)
    parts = {name: reader.coverages(catalog.metrics[name], keys[name], known) for name in operands}
    last = min(last or reader.today, reader.today - ONE_DAY)
    found = []
    for metric in chosen:
        own, older = _together([parts[o] for o in catalog.operands(metric.name)])
        starts = [reader.expected_from(catalog.metrics[o], parts[o][0]) for o in catalog.operands(metric.name)]
        start = max((s for s in starts if s), default=None)
        found.append(calendar_of(metric, own, older, max(first, start) if first and start else start, last))
    return found


def calendar_of(
    metric: Metric, own: Coverage, older: Mapping[str, Coverage], first: date | None, last: date
) -> CoverageCalendar:
    """The calendar of one metric from `first` to `last`. `first` is None if no day is expected."""
    if first is None or last < first:
        return CoverageCalendar(metric=metric.name)
    # Nearly all days are collected, so only the others are processed one by one.
    signs = {day: _sign(day, own, older) for day in _not_covered(own, first, last)}
    length = (last - first).days + 1
    return CoverageCalendar(
        metric=metric.name,
        from_=str(first),
        to=str(last),
        days=length - len(signs),
        expected=length - sum(sign == OUTSIDE for sign in signs.values()),
        months=[_month(max(start, first), min(end, last), signs) for start, end in _months(first, last)],
        gaps=[_gap(metric, days, older) for days in _stretches(signs)],
    )


def _not_covered(own: Coverage, first: date, last: date) -> Iterator[date]:
    """The days from `first` to `last` that are not covered, in order."""
    if own.only is not None:
        yield from (day for day in calendar.days(first, last) if not own.holds(day))
        return
    for begin, end in own.stretches:
        if end >= first:
            if begin > first:
                yield from calendar.days(first, min(begin - ONE_DAY, last))
            if end >= last:
                return
            first = end + ONE_DAY
    yield from calendar.days(first, last)


def _months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """The first and last day of each month that overlaps first..last."""
    start = first.replace(day=1)
    while start <= last:
        after = calendar.next_period(start, "month")
        yield start, after - ONE_DAY
        start = after


def _together(
    parts: Sequence[tuple[Coverage, Mapping[str, Coverage]]],
) -> tuple[Coverage, Mapping[str, Coverage]]:
    """The coverage of a metric computed from several: the days that all of them cover. Older definitions only for a
    single metric."""
    own, older = parts[0]
    for other, _ in parts[1:]:
        own = own & other
    return own, older if len(parts) == 1 else {}


def _sign(day: date, own: Coverage, older: Mapping[str, Coverage]) -> str:
    if own.holds(day):
        return COVERED
    if any(coverage.holds(day) for coverage in older.values()):
        return OLDER
    return MISSING if own.is_gap(day) else OUTSIDE


def _month(first: date, last: date, signs: Mapping[date, str]) -> CoverageMonth:
    """The calendar month of the days first..last. `signs`: the signs of the days that are not covered."""
    end = calendar.next_period(first.replace(day=1), "month") - ONE_DAY
    days = COVERED * ((last - first).days + 1)
    if signs:
        days = "".join(signs.get(day, COVERED) for day in calendar.days(first, last))
    return CoverageMonth(month=f"{first:%Y-%m}", days=OUTSIDE * (first.day - 1) + days + OUTSIDE * (end - last).days)


def _stretches(signs: Mapping[date, str]) -> list[list[date]]:
    """Stretches of consecutive days that are missing for the same reason."""
    found: list[list[date]] = []
    for day, sign in signs.items():
        before = found[-1][-1] if found else None
        if before is not None and before == day - ONE_DAY and signs[before] == sign:
            found[-1].append(day)
        elif sign != OUTSIDE:
            found.append([day])
    return found


def _gap(metric: Metric, days: Sequence[date], older: Mapping[str, Coverage]) -> CoverageGap:
    first, last = days[0], days[-1]
    gap = CoverageGap(
        from_=str(first),
        to=str(last),
        days=len(days),
        known_under=[definition for definition, coverage in older.items() if coverage.holds(first)],
    )
    how: dict[str, Any] = {"collect": f"tallybook run {metric.name} --from {first} --to {last}"}
    if metric.snapshot:
        how = {"why": "of a snapshot only the present can be seen: these days cannot be collected any more"}
    elif metric.expect is not None and metric.event:
        how["why"] = f"where no value was pushed for a day, {next_push(metric, first)}"
    return msgspec.structs.replace(gap, **how)
