"""Detects times without a zone that are read in the wrong one: the newest row is ahead of the clock, or it is hours
behind on a busy table, or rows are changed before they happened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tallybook.collect.sources.base import Source
from tallybook.collect.sources.dialect import TimeForm
from tallybook.core import SourceError, SourceUnavailable, calendar, isolated

WITHOUT_ZONE = ("naive", "text_space", "text_t")
"""Forms of times whose values name no zone."""
MAX_CLOCK_ERROR = timedelta(minutes=10)
MAX_OFFSET = timedelta(hours=14)
"""The largest offset of a zone from UTC."""
NEWEST_ROWS = 50
MIN_ROWS_OF_ONE_PLANNED = 20
MIN_AHEAD_OF_ONE = timedelta(hours=2)
"""If a single row is ahead by less than this, it is a planned row and not a sign of local times."""
MIN_CHANGED_ROWS = 5
MIN_ZONE_OFFSET = timedelta(minutes=50)
"""A smaller difference may be a delay between the time of a row and its first writing."""
_BUSY_FACTOR = 10
"""A table is late if its newest row is older than this many usual gaps between rows."""


def clock_skew(newest: Sequence[datetime], clock: datetime, column: str) -> str:
    """A warning if the newest times (newest first, all read as UTC) contradict UTC, with the line to paste. Otherwise
    empty."""
    if not newest:
        return ""
    ahead = newest[0] - clock
    in_future = sum(time - clock > MAX_CLOCK_ERROR for time in newest)
    planned = in_future == 1 and len(newest) >= MIN_ROWS_OF_ONE_PLANNED and ahead < MIN_AHEAD_OF_ONE
    if MAX_CLOCK_ERROR < ahead <= MAX_OFFSET and not planned:
        return f'{column} reaches {_hours(ahead)} into the future: local times? stored = "local"'
    gaps = [a - b for a, b in pairwise(newest)]
    if len(gaps) < 10:
        return ""
    gap, behind = sorted(gaps)[len(gaps) // 2], -ahead
    if timedelta(minutes=50) <= behind <= MAX_OFFSET and gap <= timedelta(minutes=10) and behind > _BUSY_FACTOR * gap:
        return (
            f"the newest {column} is {_hours(behind)} old, although a row comes every {_minutes(gap)}: "
            'local times west of UTC? stored = "local"; or nothing was written since'
        )
    return ""


def changed_skew(pairs: Sequence[tuple[datetime, datetime]], zones: tuple[str, str], column: str) -> str:
    """A warning if rows seem to be changed before they happened, and do not if `column` is read in the other zone, with
    the line to paste. Otherwise empty.

    `pairs`: when each row happened, as an instant, and when it was changed, without a zone. `zones`: the zone in which
    `column` is read, and the other zone."""
    if len(pairs) < MIN_CHANGED_ROWS:
        return ""
    apart = _usual([changed.replace(tzinfo=calendar.zone(zones[0])) - happened for happened, changed in pairs])
    otherwise = _usual([changed.replace(tzinfo=calendar.zone(zones[1])) - happened for happened, changed in pairs])
    if -MAX_OFFSET <= apart <= -MIN_ZONE_OFFSET and abs(otherwise) <= MAX_CLOCK_ERROR:
        stored = "utc" if zones[1] == "UTC" else "local"
        return (
            f"{column} is usually {_hours(-apart)} earlier than the time of its row, so changes may be missed; "
            f'to read it in the other time zone: changed_stored = "{stored}"'
        )
    return ""


def _usual(spans: Sequence[timedelta]) -> timedelta:
    """The median."""
    return sorted(spans)[len(spans) // 2]


def _hours(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    if hours < 1:
        return f"{round(hours * 60)} minutes"
    rounded = round(hours * 2) / 2
    return f"{rounded:g} hour{'' if rounded == 1 else 's'}"


def _minutes(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{max(1, round(seconds))} seconds"


def skew_of(source: Source, relation: str, column: str, form: TimeForm, now: datetime) -> str:
    """The warning of `clock_skew` for a column of a source, based on its newest rows and the source's own clock."""
    newest = newest_times(source, relation, column, form)
    if not newest:
        return ""
    try:
        with isolated():
            return clock_skew(newest, source.known_until(now), column)
    except SourceUnavailable:
        raise
    except SourceError:
        return ""


def skew_of_changed(
    source: Source, relation: str, columns: tuple[str, str], forms: tuple[TimeForm, TimeForm], zone: str
) -> str:
    """The warning of `changed_skew` for a relation of a source, based on its newest rows. `columns` and `forms`: when a
    row happened, and when it was changed."""
    happened, changed = forms
    if happened.name not in (*WITHOUT_ZONE, "instant") or changed.name not in WITHOUT_ZONE:
        return ""
    zones = (changed.zone, zone if changed.zone == "UTC" else "UTC")
    time, upd = (source.quote(column) for column in columns)
    where = " AND ".join([*source.possible(time, happened), *source.possible(upd, changed)])
    select = f"SELECT {time} AS t, {upd} AS u FROM {relation} WHERE {where} ORDER BY {time} DESC"
    try:
        with isolated(), source.snapshot() as reader:
            rows = reader.rows(source.limited(select, NEWEST_ROWS))
    except SourceUnavailable:
        raise
    except SourceError:
        return ""
    found = [(_as_utc(time, happened.zone), _as_utc(upd)) for time, upd in rows]
    pairs = [(time, upd.replace(tzinfo=None)) for time, upd in found if time is not None and upd is not None]
    return changed_skew(pairs, zones, columns[1])


def newest_times(source: Source, relation: str, column: str, form: TimeForm) -> list[datetime]:
    """The newest times of a column without a zone that is read as UTC, newest first. Empty for other columns."""
    if form.name not in WITHOUT_ZONE or form.zone != "UTC":
        return []
    name = source.quote(column)
    where = " AND ".join(source.possible(name, form))
    select = f"SELECT {name} FROM {relation} WHERE {where} ORDER BY {name} DESC"
    key = ("newest", relation, column)
    try:
        with isolated():
            if key not in source.remembered:
                source.remembered[key] = []
                with source.snapshot() as reader:
                    source.remembered[key] = reader.rows(source.limited(select, NEWEST_ROWS))
    except SourceUnavailable:
        raise
    except SourceError:
        return []
    return [found for (value,) in source.remembered[key] if (found := _as_utc(value)) is not None]


def _as_utc(value: Any, zone: str = "UTC") -> datetime | None:
    """The instant of a value from a source, which is in `zone` if the value has none. None for values that are no
    times."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if not isinstance(found, datetime):
        return None
    return found if found.tzinfo else found.replace(tzinfo=calendar.zone(zone))


def fits_zone(newest: datetime, clock: datetime, zone: str) -> bool:
    """Whether times ahead of the clock fit a zone: read in that zone, the newest time is neither ahead nor long ago."""
    local = newest.replace(tzinfo=calendar.zone(zone))
    return -MAX_CLOCK_ERROR <= clock - local <= timedelta(hours=1)
