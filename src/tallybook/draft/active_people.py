"""Finds the table that best shows who was active: the one with the most different people recently, not the one with the
most rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import log10

from tallybook.collect import Source
from tallybook.core import SourceError, SourceUnavailable, isolated
from tallybook.draft.evidence import instants
from tallybook.draft.seen import Seen, SeenTable
from tallybook.draft.table_guesses import Idea, Topic
from tallybook.draft.table_words import USAGE
from tallybook.draft.words import head, plural

RECENT_DAYS = 28
MAX_COUNTED = 5
"""Maximum number of tables in which the people of one kind are counted."""
MAX_UNINDEXED_ROWS = 3_000_000
"""A larger table without an index on the time is not read for this purpose."""
POINTS_OF_PEOPLE = 4.0
"""Points for ten times as many people."""
POINTS_OF_USE = 0.25
"""Points for a noun of use: as much as for 15 % more people."""


def rank_by_people(ideas: Sequence[Idea], people_of: Callable[[Idea, datetime], int | None], seen: Seen) -> None:
    """Score metrics of active people by how many people they show.

    `people_of`: the number of people in a metric since an instant. If one of these numbers is unknown, the scores stay
    unchanged."""
    active = [idea for idea in ideas if idea.topic == Topic.ACTIVE and idea.score > 0]
    for entity in dict.fromkeys(idea.entity for idea in active):
        rivals = sorted((i for i in active if i.entity == entity), key=lambda i: -i.score)[:MAX_COUNTED]
        since = _recent(rivals, seen)
        if len(rivals) < 2 or since is None:
            continue
        numbers = [people_of(idea, since) for idea in rivals]
        if None not in numbers and any(numbers):
            _rank(rivals, [number or 0 for number in numbers], seen)


def _rank(rivals: Sequence[Idea], numbers: Sequence[int], seen: Seen) -> None:
    found = sorted(zip(numbers, rivals, strict=True), key=lambda pair: -pair[0])
    for number, idea in found:
        table = seen.table(idea.of)
        rows = log10(max(1, table.total if table else 1))
        idea.score = 0.1 * (1 + rows) + POINTS_OF_PEOPLE * log10(max(1, number))
        idea.score += POINTS_OF_USE * (table is not None and head(table.bare) in USAGE)
        others = ", ".join(f"{other.of} {n}" for n, other in found if other is not idea)
        idea.why["measure"] = f"{number} {plural(idea.entity)} in {RECENT_DAYS} days; {others}"


def _recent(rivals: Sequence[Idea], seen: Seen) -> datetime | None:
    """The beginning of the latest days with rows, the same for all rivals."""
    newest = [time for idea in rivals if (table := seen.table(idea.of)) for time in _times(table, idea)]
    if not newest:
        return None
    return datetime.fromtimestamp(max(newest), UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(
        days=RECENT_DAYS - 1
    )


def _times(table: SeenTable, idea: Idea) -> list[float]:
    column = table.column(idea.keys["time"])
    known = [] if column is None else [time for time in instants(column) if time is not None]
    return [time for time in known if table.now is None or time <= table.now]


def people_since(source: Source, seen: Seen, idea: Idea, since: datetime) -> int | None:
    """The number of different people in a metric since an instant. None if the source does not answer in time."""
    table = seen.table(idea.of)
    time = table.column(idea.keys["time"]) if table else None
    if table is None or time is None or time.time is None:
        return None
    relation, name = source.table_name(table.name), source.time_value(source.quote(time.name), time.time)
    try:
        with isolated():
            if table.total > MAX_UNINDEXED_ROWS and time.name not in source.indexed_columns(table.name):
                return None
            conditions = [f"{name} >= {source.bound(time.time, since, since.date())}"]
            if where := idea.keys.get("where"):
                conditions.append(f"({where})")
            people = f"COUNT(DISTINCT {source.quote(idea.actor)})"
            with source.snapshot() as reader:
                found = reader.rows(f"SELECT {people} FROM {relation} WHERE {' AND '.join(conditions)}")
            return int(found[0][0])
    except SourceUnavailable:
        raise
    except SourceError:
        return None
