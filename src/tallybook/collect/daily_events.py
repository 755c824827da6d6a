"""Whether an event is a daily aggregate, so that a sum over several days has two meanings.

A declaration decides. Where there is none, an event looks like one if nearly every day has one event of each series,
and a series has several events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from tallybook.collect.sources.events import EventsSource
from tallybook.core import FLAG_VALUE, SERIES_COLUMN, TEXT_VALUE, written_table

MIN_DAILY_DAYS = 14
"""An event looks like a daily aggregate from so many days on."""
DAILY_SHARE = 0.95
"""The share of its days on which every series has one event."""
MIN_EVENTS_OF_A_SERIES = 2
"""Mean events of a series: where each comes once, as one signup of each user, nothing is sent every day."""
PART = 16
"""Of usage, the events of every so many users are enough to see that a series has several on a day."""
CERTAIN = 1.5
"""An approximate number of distinct values is at most so many times the right one."""


class DailyLook(NamedTuple):
    """Whether an event is a daily aggregate. `silent`: the days between the first and the last without an event, where
    no declaration decides."""

    is_daily: bool
    silent: int = 0


def days_of_event(source: EventsSource, event: str, declared: bool | None) -> DailyLook:
    """Read the days of an event where no declaration decides."""
    if declared is not None:
        return DailyLook(is_daily=declared)
    busiest_first = ask_events(source, event, "SELECT day FROM {relation} GROUP BY day ORDER BY count(*) DESC, day")
    days = [day for (day,) in busiest_first]
    silent = (max(days) - min(days)).days + 1 - len(days)
    return DailyLook(is_daily=_looks_daily(source, event, days), silent=silent)


def ask_events(source: EventsSource, event: str, sql: str, where: str = "") -> list[tuple[Any, ...]]:
    """The rows of a query over the relation of an event."""
    relation = source.table_name(written_table(event))
    return source.connection().execute(sql.format(relation=relation, where=where)).fetchall()


def _looks_daily(source: EventsSource, event: str, days: Sequence[date]) -> bool:
    """Whether an event looks like a daily aggregate. `days`: all its days, the busiest first.

    To tell the series of every event is slow. Of usage, a few of the busiest days have several events of a series; of
    orders, nearly every event is a series of its own. Then nothing else is read."""
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
    """Whether there are so many series that each has too few events, by their approximate number."""
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
"""The days on which a series has several events."""
_SERIES_SQL = f"""{_BY_SERIES}
SELECT count(DISTINCT day) FILTER (WHERE events > 1), sum(events), count(DISTINCT series) FROM by_series
"""
"""These days; all events; the series."""
