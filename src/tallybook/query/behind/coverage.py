"""Which days of a metric the book holds, as a calendar, and what collects those that are missing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from tallybook.core import Metric, calendar
from tallybook.query.context import Coverage

COVERED, OLDER, MISSING, OUTSIDE = "■", "o", "·", " "
"""A day that is collected, one known only under an older definition, a gap, one that is not asked about."""


def calendar_of(
    metric: Metric, own: Coverage, older: Mapping[str, Coverage], first: date | None, last: date
) -> dict[str, Any]:
    """The days first … last of one metric: `months` of one sign a day, `gaps` with the line that collects them.

    `first` None: there is nothing to begin with, and no day is expected."""
    if first is None or last < first:
        return {"metric": metric.name, "from": None, "to": None, "days": 0, "expected": 0, "months": [], "gaps": []}
    signs = {day: _sign(day, own, older) for day in calendar.days(first, last)}
    return {
        "metric": metric.name,
        "from": str(first),
        "to": str(last),
        "days": sum(sign == COVERED for sign in signs.values()),
        "expected": len(signs),
        "months": [_month(month, signs) for month in dict.fromkeys(day.replace(day=1) for day in signs)],
        "gaps": [_gap(metric, days, older) for days in _stretches(signs)],
    }


def together(
    parts: Sequence[tuple[Coverage, Mapping[str, Coverage]]],
) -> tuple[Coverage, Mapping[str, Coverage]]:
    """The coverage of a metric made of several: days that all of them have. Older definitions of one alone."""
    own, older = parts[0]
    for other, _ in parts[1:]:
        own = own & other
    return own, older if len(parts) == 1 else {}


def _sign(day: date, own: Coverage, older: Mapping[str, Coverage]) -> str:
    if own.holds(day):
        return COVERED
    return OLDER if any(coverage.holds(day) for coverage in older.values()) else MISSING


def _month(first: date, signs: Mapping[date, str]) -> dict[str, Any]:
    last = calendar.next_period(first, "month") - calendar.ONE_DAY
    days = "".join(signs.get(day, OUTSIDE) for day in calendar.days(first, last))
    return {"month": f"{first:%Y-%m}", "days": days}


def _stretches(signs: Mapping[date, str]) -> list[list[date]]:
    """Neighbouring days that are missing in the same way."""
    several = groupby(signs, key=lambda day: signs[day])
    return [list(days) for sign, days in several if sign != COVERED]


def _gap(metric: Metric, days: Sequence[date], older: Mapping[str, Coverage]) -> dict[str, Any]:
    first, last = days[0], days[-1]
    under = [definition for definition, coverage in older.items() if coverage.holds(first)]
    gap: dict[str, Any] = {"from": str(first), "to": str(last), "days": len(days)}
    if metric.snapshot:
        gap["why"] = "of a snapshot only the present can be seen: these days cannot be collected any more"
    else:
        gap["collect"] = f"tallybook run {metric.name} --from {first} --to {last}"
    return gap | ({"known_under": under} if under else {})
