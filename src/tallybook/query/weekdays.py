"""The weekday as a dimension that no metric stores: the same question for the days of each weekday.

Days are selected, not points: an average by weekday covers the collected days of that weekday, and the last value of
a month is that of its last Monday. If the metrics have a dimension of that name, it is used instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tallybook.core import WEEKDAYS, Catalog, QueryError, Refused, did_you_mean

if TYPE_CHECKING:
    from tallybook.query.cells import Solved
    from tallybook.query.filter_texts import Filter
    from tallybook.query.questions import Query

WEEKDAY = "weekday"
Row = dict[str, Any]


@dataclass(frozen=True)
class WeekdaysAsked:
    """The weekdays of a question; 0 is Monday. `only`: the filtered ones. `is_split`: whether the question is split by
    weekday."""

    only: frozenset[int] | None = None
    is_split: bool = False


def weekdays_asked(catalog: Catalog, names: Sequence[str], by: Sequence[str], where: Sequence[Filter]) -> WeekdaysAsked:
    """The use of weekdays in a question. Raises Refused if only some of its metrics have a dimension `weekday`."""
    if WEEKDAY not in by and all(one.dimension != WEEKDAY for one in where):
        return WeekdaysAsked()
    operands = {name: catalog.operands(name) for name in names}
    having = [o for several in operands.values() for o in several if WEEKDAY in catalog.queryable_dims(o)]
    if having:
        lacking = [o for several in operands.values() for o in several if o not in having]
        if lacking and len(names) > 1:
            raise Refused(
                f"{', '.join(having)} has a dimension {WEEKDAY!r}, and {', '.join(lacking)} has none: not alike",
                ask=f"each metric for itself: tallybook query {names[0]} --by {WEEKDAY}",
                changes=[{"metrics": [names[0]]}],
            )
        return WeekdaysAsked()
    return WeekdaysAsked(_only([one for one in where if one.dimension == WEEKDAY]), WEEKDAY in by)


def _only(filters: Sequence[Filter]) -> frozenset[int] | None:
    """The weekdays that the filters select: one of the values with =, none of the values with !=."""
    if not filters:
        return None
    chosen = set(range(7))
    for group in {one.group for one in filters if one.equal}:
        chosen &= {_number(one.value) for one in filters if one.equal and one.group == group}
    return frozenset(chosen - {_number(one.value) for one in filters if not one.equal})


def _number(value: str | None) -> int:
    name = (value or "").strip().lower()
    if name not in WEEKDAYS:
        hint = f"{did_you_mean(name, WEEKDAYS)} one of {', '.join(WEEKDAYS)}".strip()
        raise QueryError(f"there is no weekday {value!r}", hint=hint)
    return WEEKDAYS.index(name)


def check_weekdays(query: Query, shows: Sequence[str]) -> None:
    """Raise Refused for a question that has no correct answer by weekday."""
    if query.weekdays is None and not query.is_split_by_weekday:
        return
    if query.weekdays is not None and not query.weekdays:
        raise Refused("no weekday is left by --where", ask="the same question with fewer filters of weekday")
    if "change" in shows:
        raise Refused(
            "change is a value minus that of the day before the period, which is another weekday",
            ask="the same question with --show last",
            changes=[{"show": "last"}],
        )
    if query.is_split_by_weekday and query.top:
        raise Refused(
            "--top picks series by their values, and weekdays are not ranked",
            ask="the same without --top",
            changes=[{"top": None}],
        )


def days_of_each(query: Query) -> list[Query]:
    """The question for each weekday, Monday first, without the weekday column."""
    by, only = tuple(name for name in query.by if name != WEEKDAY), query.weekdays
    each = [number for number in range(7) if only is None or number in only]
    return [replace(query, by=by, weekdays=frozenset([number]), is_split_by_weekday=False) for number in each]


def rows_by_weekday(
    query: Query,
    solve: Callable[[Query], Mapping[str, Solved]],
    rows_of: Callable[[Query, Mapping[str, Solved]], list[Row]],
) -> tuple[dict[str, Solved], list[Row]]:
    """(one of the solved questions, the rows of all, sorted by period, then by dimension).

    A period without a day of some weekday has no row for that weekday."""
    found: list[tuple[tuple[Any, ...], Row]] = []
    known: dict[str, Solved] = {}
    for one in days_of_each(query):
        solved = dict(solve(one))
        known |= {name: each for name, each in solved.items() if name not in known or each.cells}
        number = min(one.weekdays or ())
        for row in rows_of(one, solved):
            if row["days_expected"] or row["days"]:
                found.append((_order(query, row, number), _with_weekday(query, row, WEEKDAYS[number])))
    return known, [row for _, row in sorted(found, key=lambda pair: pair[0])]


def _order(query: Query, row: Row, number: int) -> tuple[Any, ...]:
    keys = ((False, number) if name == WEEKDAY else (row[name] is None, row[name] or "") for name in query.by)
    return (row["period"], row.get("no_series", False), *keys)


def _with_weekday(query: Query, row: Row, weekday: str) -> Row:
    head = {"period": row["period"], **{name: weekday if name == WEEKDAY else row[name] for name in query.by}}
    return head | {key: value for key, value in row.items() if key not in head}
