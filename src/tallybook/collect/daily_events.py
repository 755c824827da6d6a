"""Detects whether an event is a daily aggregate, so that a sum over several days has two meanings.

A declaration decides. Without one, an event looks like a daily aggregate if nearly every day has one event per series,
and a series has several events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from tallybook.collect.sources.events import EventsSource
from tallybook.core import FLAG_VALUE, SERIES_COLUMN, TEXT_VALUE, written_table

MIN_DAILY_DAYS = 14
"""Minimum number of days for an event to look like a daily aggregate."""
DAILY_SHARE = 0.95
"""Minimum share of days on which every series has only one event."""
MIN_EVENTS_OF_A_SERIES = 2
"""Minimum mean number of events per series. If each series occurs once, as one signup per user, nothing is sent
daily."""
PART = 16
"""For usage events, it is enough to check the events of one in this many users."""
CERTAIN = 1.5
"""An approximate distinct count is at most this many times the true count."""


class DailyLook(NamedTuple):
    """Whether an event is a daily aggregate. `silent`: the days without an event between the first and the last day, if
    no declaration decides."""

    is_daily: bool
    silent: int = 0


def days_of_event(source: EventsSource, event: str, declared: bool | None) -> DailyLook:
    """Read the days of an event, if no declaration decides."""
    if declared is not None:
        return DailyLook(is_daily=declared)
    busiest_first = ask_events(source, event, "SELECT day FROM {relation} GROUP BY day ORDER BY count(*) DESC, day")
    days = [day for (day,) in busiest_first]
    silent = (max(days) - min(days)).days + 1 - len(days)
    return DailyLook(is_daily=_looks_daily(source, event, days), silent=silent)


def ask_events(source: EventsSource, event: str, sql: str, where: str = "") -> list[tuple[Any, ...]]:
    """The result rows of a query on the relation of an event."""
    relation = source.table_name(written_table(event))
    return source.connection().execute(sql.format(relation=relation, where=where)).fetchall()


def _looks_daily(source: EventsSource, event: str, days: Sequence[date]) -> bool:
    """Whether an event looks like a daily aggregate. `days`: all its days, the busiest first.

    Determining the series of every event is slow. For usage events, a few of the busiest days already have several
    events of a series. For orders, nearly every event is a series of its own. In both cases nothing else is read."""
    if len(days) < MIN_DAILY_DAYS:
        return False
    spare = len(days) - math.ceil(DAILY_SHARE * len(days))
    some = ", ".join(f"DATE '{day}'" for day in days[: spare + 1])
    for part in (f' AND hash("user", account) % {PART} = 0', ""):
        ((several,),) = ask_events(source, event, _SEVERAL_SQL, f"WHERE day IN ({some}){part}")
        if several > spare:
            return False
    if _comes_once(source, event):
        return False
    ((several, events, series),) = ask_events(source, event, _SERIES_SQL)
    return bool(several <= spare and events >= MIN_EVENTS_OF_A_SERIES * series)


def _comes_once(source: EventsSource, event: str) -> bool:
    """Whether there are so many series that each has too few events, based on an approximate count."""
    own = [one.column for one in source.snapshot_of_events().properties[event] if one.type in (TEXT_VALUE, FLAG_VALUE)]
    series = ", ".join(source.quote(column) for column in ("user", "account", "rest", *own))
    asked = f"SELECT count(*), approx_count_distinct(hash({series})) FROM {{relation}}"
    ((events, about),) = ask_events(source, event, asked)
    return bool(about > CERTAIN * events / MIN_EVENTS_OF_A_SERIES)


_BY_SERIES = f"""
WITH by_series AS (
    SELECT day, {SERIES_COLUMN} AS series, count(*) AS events FROM {{relation}} {{where}} GROUP BY ALL
)
"""
_SEVERAL_SQL = f"{_BY_SERIES}SELECT count(DISTINCT day) FROM by_series WHERE events > 1"
"""SQL of the number of days on which a series has several events."""
_SERIES_SQL = f"""{_BY_SERIES}
SELECT count(DISTINCT day) FILTER (WHERE events > 1), sum(events), count(DISTINCT series) FROM by_series
"""
"""SQL of that number of days, the number of events, and the number of series."""
