"""The checks of a database for `check --source`: whether everything exists, how time is stored, and whether it is
indexed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from tallybook.collect.binding import BoundMetric, bind, describe_time
from tallybook.collect.clock_skew import skew_of, skew_of_changed
from tallybook.collect.column_checks import check_columns
from tallybook.collect.grouping import group_key
from tallybook.collect.relations import placeholders_filled
from tallybook.collect.sources.base import Source
from tallybook.collect.statements import Group
from tallybook.config import toml
from tallybook.core import (
    APPLY,
    Metric,
    Problem,
    SourceError,
    SourceUnavailable,
    closest_match,
    schema_and_table,
    shorten_list,
    written_table,
)

MIN_ROWS_TO_INDEX = 5_000
"""Tables with fewer rows are read as fast without an index."""


@dataclass
class Inspection:
    """The result for one metric.

    `said`: assumptions that a person should confirm. `warned`: things that cost time. `doubts`: rows that may mean
    something else than how they are read."""

    metric: str
    source: str = ""
    unreachable: bool = False
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass
class SourceInspection:
    """The result for one source, in sentences that a person should confirm."""

    source: str
    said: list[str] = field(default_factory=list)


def inspect_source(source: Source, folder: Path) -> SourceInspection:
    """Inspect a source of the project in `folder` as a whole. Raises SourceError if it cannot be queried."""
    found = SourceInspection(source.settings.name)
    if source.kind.experimental:
        found.said.append(source.kind.experimental_notice)
    identity = source.identity(folder)
    found.said.append(f"it is recognized by {identity}; {identity.cannot}")
    policies = source.policies()
    if policies is None:
        found.said.append("whether policies filter its rows cannot be seen with the rights of this user")
    elif policies:
        found.said.append(_policies_in_words(policies, source.settings.policies == APPLY))
    return found


def _policies_in_words(policies: list[tuple[str, bool]], apply: bool) -> str:
    filtered = [table for table, filters in policies if filters]
    said = f"tables with policies on their rows: {_some([table for table, _ in policies])}"
    if not filtered:
        return f"{said}; none of them filters what this user sees"
    if apply:
        return f'{said}; only the rows that this user may see are counted of {_some(filtered)} (policies = "apply")'
    return f"{said}; metrics of {_some(filtered)} fail, because a policy filters what this user sees"


def _some(names: list[str]) -> str:
    return shorten_list(names, 20)


def inspect_metric(source: Source, metric: Metric, zone: str, now: datetime) -> Inspection:
    """Compare one metric with its source. Raises SourceUnavailable if the source cannot be queried."""
    found = Inspection(metric.name, source=source.settings.name)
    if metric.function:
        return found
    if metric.table and not _table_there(source, metric, found):
        return found
    try:
        facts = bind(source, metric, zone, metric.name)
    except SourceUnavailable:
        raise
    except SourceError as error:
        found.problems.append(Problem(path=f"metrics.{metric.name}", message=error.message, hint=error.hint))
        return found
    if time := describe_time(facts):
        found.said.append(time)
    if facts.changed is not None:
        word = "changed" if metric.changed else "received"
        found.said.append(f"{facts.changed_column} {facts.changed.says}, as when a row was {word}")
    exact = {slot.type for slot in facts.bound.slots}
    if "float" in exact and any(s.agg in ("sum", "avg") for s in facts.bound.measure.slots):
        found.said.append("sums floating-point numbers; `decimals = 2` would make them exact")
    if metric.table:
        _warn_of_scan(source, metric, found)
    if metric.table and facts.changed_column:
        _warn_of_search(source, metric, facts.changed_column, found)
    _doubt_clock(source, facts, found, now)
    _doubt_changed(source, facts, zone, found)
    group = Group(source, group_key(facts), [facts], zone)
    if metric.interval:
        _warn_of_reversed(group, found)
    _doubt(group, found)
    return found


def _doubt_clock(source: Source, facts: BoundMetric, found: Inspection, now: datetime) -> None:
    """Add warnings about times that cannot be UTC, once per column."""
    form, column = facts.time or facts.since, facts.metric.time or facts.metric.from_
    relation = placeholders_filled(source, facts.metric, facts.relation, "UTC")
    key = ("clock doubted", facts.metric.table or relation, column or "")
    if form is None or column is None or key in source.remembered:
        return
    source.remembered[key] = True
    if skew := skew_of(source, relation, column, form, now):
        found.doubts.append(skew)


def _doubt_changed(source: Source, facts: BoundMetric, zone: str, found: Inspection) -> None:
    """Add a warning about a `changed` column that seems to be in another zone than the declared one, once per pair of
    columns."""
    metric, time, changed = facts.metric, facts.metric.time or facts.metric.from_, facts.changed_column
    happened, form = facts.time or facts.since, facts.changed
    if metric.table is None or metric.join or time is None or changed is None or happened is None or form is None:
        return
    key = ("changed doubted", metric.table, time, changed)
    if key in source.remembered:
        return
    source.remembered[key] = True
    if skew := skew_of_changed(source, source.table_name(metric.table), (time, changed), (happened, form), zone):
        found.doubts.append(skew)


def _doubt(group: Group, found: Inspection) -> None:
    """Add doubts about all rows, before and after 1971."""
    day = date(1971, 1, 3)
    seen = check_columns(group, day, day, day, {})
    found.said += seen.notes()
    for misfits in seen.misfits:
        error = misfits.error(found.metric)
        found.problems.append(Problem(path=f"metrics.{found.metric}", message=error.message, hint=error.hint))


def _warn_of_reversed(group: Group, found: Inspection) -> None:
    """Warn of rows that end before they begin. They never count: an end in the distant past is not read as "not
    ended"."""
    sql = group.reversed_rows()
    if sql is None:
        return
    with group.source.snapshot() as reader:
        number = int(reader.rows(sql)[0][0])
    if number:
        said = (
            "rows end before they begin and never hold" if number > 1 else "row ends before it begins and never holds"
        )
        until = group.metric.until
        found.doubts.append(
            f"{number} {said}; where such an end means 'not ended', make it null in `sql`: nullif({until}, …)"
        )


def _table_there(source: Source, metric: Metric, found: Inspection) -> bool:
    """Whether the table and the named columns exist. A missing one is reported with the nearest existing name."""
    assert metric.table is not None
    columns = source.columns(metric.table)
    if not columns:
        word = "event" if metric.event else "table"
        spell: Callable[[str], str] = str if metric.event else written_table
        path, there = f"metrics.{metric.name}.{word}", lambda: [*map(spell, source.tables())]
        found.problems.append(_missing(path, word, metric.event or metric.table, there))
        return False
    named: dict[str, list[str | None]] = {
        "time": [metric.time],
        "from": [metric.from_],
        "until": [metric.until],
        "by": list(metric.by),
        "series": list(metric.series),
        "received": list(metric.received_columns),
        "changed": [metric.changed],
    }
    for key, names in named.items():
        for name in names:
            if name and name not in columns and not metric.join:  # `bind` checks the columns of joined tables
                found.problems.append(_missing(f"metrics.{metric.name}.{key}", "column", name, lambda: columns))
    return not found.problems


def _missing(path: str, what: str, name: str, there: Callable[[], list[str]]) -> Problem:
    names = there()
    match = closest_match(name, names)
    listed = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
    return Problem(
        path=path,
        message=f"there is no {what} {name!r}",
        seen=repr(name),
        expected=f"one of {listed}",
        hint=f"did you mean {match!r}?" if match else "",
        paste=f"{path.rpartition('.')[2]} = {toml(match)}" if match and not path.endswith((".by", ".series")) else "",
    )


def _has_many_rows(source: Source, table: str) -> bool:
    """Whether a table is large enough for an index to matter. Checked once per table."""
    key = ("many rows", table)
    if key not in source.remembered:
        first = source.limited(f"SELECT 1 AS one FROM {source.table_name(table)}", MIN_ROWS_TO_INDEX)
        with source.snapshot() as reader:
            number = int(reader.rows(f"SELECT COUNT(*) FROM ({first}) f")[0][0])
        source.remembered[key] = number >= MIN_ROWS_TO_INDEX
    return bool(source.remembered[key])


def _warn_of_scan(source: Source, metric: Metric, found: Inspection) -> None:
    table = metric.table or ""
    if metric.time and metric.time not in source.indexed_columns(table) and _has_many_rows(source, table):
        found.warned.append(_unindexed(source, metric.table or "", metric.time, ""))


def _warn_of_search(source: Source, metric: Metric, changed: str, found: Inspection) -> None:
    """Warn about the search for changed rows that each run makes in a joined table, if `changed` is a column of it."""
    name, _, column = changed.rpartition(".")
    table = next((join.table for join in metric.join if join.name.casefold() == name.casefold()), metric.table or "")
    if column not in source.indexed_columns(table) and _has_many_rows(source, table):
        found.warned.append(_unindexed(source, table, column, " to find what changed"))


def _unindexed(source: Source, table: str, column: str, why: str) -> str:
    name = re.sub(r"\W+", "_", f"{schema_and_table(table)[1]}_{column}").strip("_").lower()
    how = source.indexing(name, table, column)
    return f"{table}.{column} is not indexed: every run reads the whole table{why} ({how})"
