"""Relations of points and of periods, in SQL of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from tallybook.core import MONTHS, BookCalendar

TOTALS = "totals"
"""Additive points without dimensions, for questions without dimensions."""


@dataclass(frozen=True)
class Points:
    """A relation with a points schema, and known facts about it that make conditions unnecessary.

    `one_metric`: it contains points of only one metric. `days`: the first and last day of its points."""

    sql: str
    one_metric: bool = False
    days: tuple[date, date] | None = None

    def covering(self, first: date, last: date) -> Points:
        """The points, with `days` narrowed; valid if the requested definition has no covered day before `first` or
        after `last`."""
        if self.days is None:
            return self
        return replace(self, days=(max(self.days[0], first), min(self.days[1], last)))

    def within(self, first: date, last: date) -> bool:
        return self.days is not None and first <= self.days[0] and self.days[1] <= last


def period_sql(scope: str, calendar: BookCalendar, first: date, column: str = "day") -> str:
    """SQL for the first day of a day's period. Uses plain dates, without time zones.

    Not for periods of whole fiscal weeks, which are listed as values instead."""
    week_start = calendar.week_start
    if calendar.moves(scope) and calendar.fiscal is not None:
        months = (calendar.fiscal.first_month - 1) % MONTHS[scope]
        back = f"date_trunc('{scope}', {column} - INTERVAL {months} MONTH)"
        return f"CAST({back} + INTERVAL {months} MONTH AS DATE)"
    match scope:
        case "day":
            return column
        case "week":
            return f"({column} - CAST((isodow({column}) + 6 - {week_start}) % 7 AS INTEGER))"
        case "all":
            return f"DATE '{first}'"
        case "month" | "year":  # a third faster than date_trunc
            return f"({column} - CAST(dayof{scope}({column}) - 1 AS INTEGER))"
    return f"CAST(date_trunc('{scope}', {column}) AS DATE)"


def values_relation(targets: Sequence[tuple[date, date, date]]) -> str:
    """A relation of the given (period, first day, last day) tuples."""
    if not targets:
        return "SELECT NULL::DATE AS period, NULL::DATE AS first, NULL::DATE AS last WHERE FALSE"
    listed = ", ".join(f"(DATE '{period}', DATE '{first}', DATE '{last}')" for period, first, last in targets)
    return f"SELECT * FROM (VALUES {listed}) AS v(period, first, last)"
