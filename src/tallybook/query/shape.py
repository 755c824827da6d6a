"""Changes finished rows: adds comparisons, separates the top series from the rest, sorts and limits."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from tallybook.core import WEEKDAYS, count_of
from tallybook.query.cells import Cell, Key, MetricPeriod, Solved
from tallybook.query.context import QueryContext
from tallybook.query.filter_texts import Having
from tallybook.query.past import refuse_top, solve_with_past
from tallybook.query.questions import Query, compared
from tallybook.query.several import merge_together
from tallybook.query.weekdays import WEEKDAY

Row = dict[str, Any]


# --- compared with ----------------------------------------------------------------------------------------


def compare(context: QueryContext, query: Query) -> dict[str, Solved]:
    """The values of every metric on the comparison days of each period, under that period's first day."""
    if query.compare is None:
        return {}
    before = replace(query, compare=None, shift=query.compare)
    totals = merge_together(context, before)
    return {name: solve_with_past(context, before, name, totals) for name in query.metrics}


def add_comparison(
    query: Query, row: Row, name: str, key: Key, now: Solved, then: Solved, cell: Cell, *, known: bool
) -> dict[str, Any]:
    """Add the earlier value, and the change as a fraction of it, to a row. Returns the notes of both."""
    was = then.at(key) if known else Cell()
    here, there = now.periods[key[0]], then.periods[key[0]]
    previous, change = compared(name)
    row[previous] = was.value
    row[change], why = _change(cell, was, here, there)
    notes: dict[str, Any] = {}
    said = was.why or there.why
    if was.value is None and said:
        notes[previous] = {"why": said}
    elif was.value is not None and (note := _earlier_days(query, now.show, here, there)):
        notes[previous] = note
    if was.value is not None and (marks := _earlier_marks(was, there)):
        notes[previous] = {**notes.get(previous, {}), **marks}
    if row[change] is not None and here.imported != there.imported:
        why = f"{_origin(there)} then, {_origin(here)} now"
    if why:
        notes[change] = {"why": why}
    return notes


def _earlier_marks(was: Cell, there: MetricPeriod) -> dict[str, Any]:
    """Notes that mark an earlier value as carried or imported."""
    return {mark: True for mark, is_so in (("carried", was.carried), ("imported", there.imported)) if is_so}


def _origin(period: MetricPeriod) -> str:
    return "imported" if period.imported else "collected"


def _earlier_days(query: Query, show: str, here: MetricPeriod, there: MetricPeriod) -> dict[str, Any]:
    """The notes of an earlier value with missing days, or with another number of days than the current value.

    Whole months of different lengths are compared on purpose; only their days are noted."""
    note: dict[str, Any] = {} if _whole(there) else {"days": there.days, "complete": False}
    if show in ("first", "last") or not here.days or _length(here) == _length(there):
        return note
    note |= {"days": there.days, "days_expected": _length(there), "complete": _whole(there)}
    if query.window or not (_is_a_period(query, here) and _is_a_period(query, there)):
        note["why"] = (
            f"{there.first} to {there.last} has {count_of(_length(there), 'day')}, beside {_length(here)}: "
            "not as many days are compared"
        )
    return note


def _is_a_period(query: Query, period: MetricPeriod) -> bool:
    """Whether the days are exactly one period of the calendar."""
    if query.scope == "all" or period.last_closed:
        return False
    start = query.calendar.period_start(period.first, query.scope)
    return start == period.first and query.calendar.period_end(start, query.scope) == period.last


def _change(now: Cell, was: Cell, here: MetricPeriod, there: MetricPeriod) -> tuple[float | None, str]:
    if now.value is None or was.value is None:
        return None, "one of the two is not known"
    if why := _unlike(here, there):
        return None, why
    if was.value <= 0:
        return None, f"there is no percentage of {'zero' if was.value == 0 else 'a negative number'}"
    return float((Decimal(now.value) - Decimal(was.value)) / Decimal(was.value)), ""


def _unlike(here: MetricPeriod, there: MetricPeriod) -> str:
    """Why the two values are not comparable; empty if they are."""
    if here.target is not None and there.target is not None:
        if here.beyond_target == there.beyond_target:
            return ""
        return f"{here.target} and {there.target} do not correspond: not all days are collected"
    if _whole(there) and _whole(here):
        return ""
    return (
        f"{here.days} of {_length(here)} days are collected, then {there.days} of {_length(there)}: not the same days"
        if (here.days, _length(here)) != (there.days, _length(there)) or here.days == 0
        else f"{_length(here) - here.days} of {_length(here)} days are not collected, now and then"
    )


def _length(period: MetricPeriod) -> int:
    """The number of days that should be covered; in a running period only ended days."""
    last = min(period.last, period.last_closed) if period.last_closed else period.last
    return (last - period.first).days + 1 - period.unexpected


def _whole(period: MetricPeriod) -> bool:
    return period.days == _length(period)


# --- the top and the rest ------------------------------------------------------------------------------------


def top(context: QueryContext, query: Query) -> tuple[tuple[str | None, ...], ...]:
    """The `query.top` series with the largest value of the first metric over the whole range. Ties are broken by
    name."""
    assert query.top is not None
    refuse_top(context, query)
    whole = replace(query, scope="all", window=None, compare=None, metrics=query.metrics[:1], fill=False)
    solved = solve_with_past(context, whole, query.metrics[0])
    found = {key[1]: cell.value for key, cell in solved.cells.items()}
    ranked = sorted(found, key=lambda series: (found[series] is None, -(found[series] or 0), _names(series)))
    return tuple(ranked[: query.top])


def _names(series: Sequence[str | None]) -> list[tuple[bool, str]]:
    return [(value is None, value or "") for value in series]


# --- which rows, in which order ---------------------------------------------------------------------------------

_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


def arranged(query: Query, rows: list[Row]) -> list[Row]:
    """The requested rows in the requested order. Rows of totals are not sorted: they come last."""
    if not (query.having or query.sort or query.limit):
        return rows
    plain = [row for row in rows if not row.get("total") and all(_meets(row, one) for one in query.having)]
    for key in reversed(query.sort):
        plain = _sorted(plain, key, by_weekday=query.is_split_by_weekday)
    kept = plain[: query.limit]
    if query.sort or query.limit:
        return kept + [row for row in rows if row.get("total")]
    there = {id(row) for row in kept}
    return [row for row in rows if row.get("total") or id(row) in there]


def _meets(row: Row, one: Having) -> bool:
    value = row[one.column]
    return value is not None and _SIGNS[one.sign](Decimal(value), one.value)


def _sorted(rows: list[Row], key: str, *, by_weekday: bool) -> list[Row]:
    """The rows sorted by one column, with unknown values last in both directions."""
    name = key.removeprefix("-")
    known = [row for row in rows if row[name] is not None]
    order = WEEKDAYS.index if by_weekday and name == WEEKDAY else _comparable
    known.sort(key=lambda row: order(row[name]), reverse=key.startswith("-"))
    return known + [row for row in rows if row[name] is None]


def _comparable(value: Any) -> Any:
    return value if isinstance(value, date | str) else Decimal(value)
