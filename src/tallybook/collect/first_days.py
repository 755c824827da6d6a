"""Finds the first day for which a metric is collected."""

from __future__ import annotations

from datetime import date

from tallybook.collect.binding import BoundMetric
from tallybook.collect.report import MetricReport
from tallybook.collect.statements import Group
from tallybook.collect.time_forms import day_of_value
from tallybook.collect.work import Horizon
from tallybook.core import ONE_DAY, Catalog, SourceError, calendar
from tallybook.query import MAX_GAP_DAYS, TWO_YEARS


class FirstDays:
    """Finds the first day to collect of a metric: declared, covered, requested, or the day of its first fact."""

    catalog: Catalog
    zone: str

    def _first_asked(
        self,
        day: date,
        facts: BoundMetric,
        group: Group | None,
        found: Horizon,
        covered: set[date],
        report: MetricReport,
    ) -> date:
        """The first day to collect among the requested days. If `day` is long before the first fact, the day of that
        fact is used, because 0001-01-01 means "all" and not 740,000 days."""
        declared = facts.metric.start or self.catalog.book.start
        begin = min([*([declared] if declared else []), *covered], default=found.last_closed)
        if day >= calendar.plus_days(begin, -MAX_GAP_DAYS):
            return day
        earliest = self._earliest(facts, group, found) if group is not None else None
        first = max(day, min(earliest or begin, begin))
        if first > day:
            report.notes.append(f"asked from {day}, but its facts begin later: collected from {first}")
        return first

    def _start(
        self, facts: BoundMetric, group: Group | None, found: Horizon, covered: set[date], report: MetricReport
    ) -> date:
        declared = facts.metric.start or self.catalog.book.start
        if declared:
            return declared
        if covered:
            return min(covered)
        if group is None:
            report.notes.append(
                f'no start is declared: collected from {found.last_closed}; start = "2024-01-01" reaches back'
            )
            return found.last_closed
        earliest = self._earliest(facts, group, found)
        if earliest is None:
            return found.last_closed
        floor = found.last_closed - TWO_YEARS + ONE_DAY
        if earliest < floor:
            report.notes.append(
                f'its first fact is of {earliest}; collected from {floor}, two years back; start = "{earliest}" '
                "reaches all"
            )
        return max(earliest, floor)

    def _earliest(self, facts: BoundMetric, group: Group, found: Horizon) -> date | None:
        """The day of the first fact, or None if there are no facts or they cannot be read as a whole."""
        form = facts.time or facts.since
        assert form is not None
        if "{{" in group.relation:
            return found.last_closed - TWO_YEARS + ONE_DAY
        with group.source.snapshot() as reader:
            value = reader.rows(group.earliest())[0][0]
        if value is None:
            return None
        try:
            return min(day_of_value(value, form, self.zone), found.last_closed + ONE_DAY)
        except SourceError:  # a text such as 2026-02-30 is not a day, and does not show when the facts begin
            return found.last_closed - TWO_YEARS + ONE_DAY
