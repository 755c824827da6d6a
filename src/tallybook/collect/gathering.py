"""Runs a group's statements in a sequence of snapshots, and stages the results."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

from tallybook.collect.additive_rows import AdditiveRows
from tallybook.collect.binding import BoundMetric
from tallybook.collect.fused import MAX_VALUES, FusedRows
from tallybook.collect.keyed_values import KeyedRows, opening_day
from tallybook.collect.plans import AdditivePlan, KeyedPlan, Scan
from tallybook.collect.returned import rows_of
from tallybook.collect.sources.base import Reader
from tallybook.collect.sources.values import DEC, INT, TEXT, as_integer
from tallybook.collect.staging import Staging
from tallybook.collect.statements import Group
from tallybook.core import (
    ADDITIVE,
    FLOAT,
    ONE_DAY,
    ArrowTable,
    Inseparable,
    NotFinite,
    Period,
    SourceError,
    isolated,
    next_period,
)

T = TypeVar("T")
SNAPSHOT_SECONDS = 60.0
"""Maximum age of a snapshot in seconds. A longer one would keep the source from cleaning up."""
QUICK_SECONDS = 0.2
"""Days that take no longer than this are queried a month at a time."""
Say = Callable[[str], None]
"""Called with notes for the reports of the group's metrics."""


@dataclass(frozen=True)
class Step:
    """Days that are staged and can be published."""

    first: date
    last: date


def by_index(group: Group, day: date) -> bool:
    """Whether to query one day at a time. True if the source would reach the facts through an index, or if the facts
    are computed from the day's own bounds, which must then be the bounds of a single day whatever else is collected."""
    if "{{" in group.relation:
        return True
    sql = group.reaching(day)
    with group.source.snapshot() as reader:
        return group.source.index_reached(reader, sql)


def gather_days(
    group: Group,
    stretches: Sequence[tuple[date, date]],
    staging: Staging,
    indexed: bool,
    seconds: float = 0.0,
    say: Say = lambda note: None,
) -> Iterator[Step]:
    """Gather flows and one-row-a-day levels, with one statement per day if an index helps, or else one over the whole
    range.

    A step has whole months, as many as can be read within `seconds`."""
    with _naming(group):
        for first, last in stretches:
            if not indexed:
                yield from _whole_stretch(group, first, last, staging, say)
                continue
            day = first
            while day <= last:
                day = yield from _one_by_one(group, day, last, staging, min(seconds, SNAPSHOT_SECONDS))


@contextmanager
def _naming(group: Group) -> Iterator[None]:
    """Report numbers that are not finite with the metric and the column, and how to leave them out."""
    try:
        yield
    except NotFinite as error:
        facts = next((f for f in group.members if f.bound.key == error.metric), group.members[0])
        slot = facts.bound.measure.slots[error.slot]
        column = " ".join(slot.args[0].split())
        aggregate = slot.agg.partition("_")[0]
        raise SourceError(
            f"metric {facts.metric.name!r}: {column} is {error.value} in some rows, or its {aggregate} is",
            hint=f"leave such rows out: add filter (where {group.source.finite(column)}) after the aggregate",
        ) from None


def _one_by_one(group: Group, first: date, last: date, staging: Staging, seconds: float) -> Generator[Step, None, date]:
    """Gather whole months in one snapshot, or fewer days if it gets too old. Returns the day to continue with."""
    additives, scans = group.additives(), group.scans(split=False)
    rows = FusedRows(staging, "new_additive", len(group.dims))
    found: list[list[tuple[timedelta, Future[ArrowTable]]]] = [[] for _ in scans]
    began, day, quick = time.monotonic(), first, False
    with group.source.snapshot() as reader, ThreadPoolExecutor(1) as parsing:
        while day <= last:
            age = time.monotonic() - began
            if day > first and (age > SNAPSHOT_SECONDS or (day.day == 1 and age > seconds)):
                break
            # While days are quick, a month is queried at once, except for statements that must be run day by day.
            asked = _days(
                day, min(last, next_period(day.replace(day=1), "month") - ONE_DAY) if quick and not scans else day
            )
            for additive in additives:
                selects = [group.select(additive.columns.expressions, d, d, split=False) for d in asked]
                for one, answer in zip(asked, reader.several(selects), strict=True):
                    rows.take(additive, answer, one, split=False)
            for scan, tables in zip(scans, found, strict=True):
                sql, kinds = group.scan(scan, day, day, split=False), _kinds(group, scan, split=False)
                fetched = _naming_slot(scan, functools.partial(reader.fetched, sql, kinds))
                tables.append((day - first, parsing.submit(_naming_slot, scan, fetched)))
            day = asked[-1] + ONE_DAY
            quick = time.monotonic() - began - age < QUICK_SECONDS * len(asked)
    rows.stage()
    for scan, several in zip(scans, found, strict=True):
        _stage_keyed(group, scan, staging, _with_days([(after, t.result()) for after, t in several]), first, split=True)
    staging.bucket()
    yield Step(first, day - ONE_DAY)
    return day


def _whole_stretch(group: Group, first: date, last: date, staging: Staging, say: Say) -> Iterator[Step]:
    """Gather all days with one scan per shape, in one snapshot. If a shape takes longer than the source allows, it is
    read some days at a time. Results of the earlier shapes are kept."""
    shapes = _shapes(group, staging)
    try:
        with group.source.snapshot() as reader:
            while shapes:
                shapes[0].read(reader, first, last)
                shapes.pop(0)
    except SourceError as error:
        if not _too_long(error) or first == last:
            raise
        shapes[0].forget(first, last)
        most = _fewer((last - first).days + 1)
        for shape in shapes:
            most = _in_pieces(group, shape, first, last, most)
        say(
            f"{(last - first).days + 1} days at once take longer than statement_timeout = "
            f"{group.source.settings.statement_timeout:g} s: read {most} at a time; {_index_hint(group)}"
        )
    staging.bucket()
    yield Step(first, last)


def _in_pieces(group: Group, shape: _Shape, first: date, last: date, most: int) -> int:
    """Read a shape at most `most` days at a time, and fewer while that takes too long. Returns the number of days that
    worked."""
    day = first
    while day <= last:
        end = min(last, day + (most - 1) * ONE_DAY)
        try:
            with group.source.snapshot() as reader:
                shape.read(reader, day, end)
        except SourceError as error:
            if not _too_long(error) or day == end:
                raise
            shape.forget(day, end)
            most = _fewer((end - day).days + 1)
        else:
            day = end + ONE_DAY
    return most


def _too_long(error: SourceError) -> bool:
    return "took longer" in error.message


def _fewer(number: int) -> int:
    """The number of days to try after `number` took too long. A quarter, because each failed attempt costs a whole
    timeout."""
    return max(1, number // 4)


def _index_hint(group: Group) -> str:
    reach = group.members[0].reach
    table, column = reach or (group.metric.table, group.metric.time)
    if not table:
        return f"an index on the column behind {column} would help"
    return f"an index would help: CREATE INDEX {table.rpartition('.')[2]}_{column} ON {table} ({column})"


@dataclass(frozen=True)
class _Shape:
    """One statement of a group over some days: how to read and stage it, and how to discard the rows of a failed
    attempt."""

    read: Callable[[Reader, date, date], None]
    forget: Callable[[date, date], None]


def _shapes(group: Group, staging: Staging) -> list[_Shape]:
    additive = [_additive_shape(group, plan, staging) for plan in group.additives()]
    return [*additive, *(_keyed_shape(group, scan, staging) for scan in group.scans(split=True))]


def _additive_shape(group: Group, plan: AdditivePlan, staging: Staging) -> _Shape:
    def read(reader: Reader, first: date, last: date) -> None:
        rows = FusedRows(staging, "new_additive", len(group.dims))
        _read_additive(group, plan, reader, rows, first, last)
        rows.stage()

    def forget(first: date, last: date) -> None:
        for facts, _ in plan.rows:
            staging.drop(facts.bound.key, facts.bound.definition, [(first, last)], kinds=(ADDITIVE,))

    return _Shape(read, forget)


def _keyed_shape(group: Group, scan: Scan, staging: Staging) -> _Shape:
    def read(reader: Reader, first: date, last: date) -> None:
        table = _table(reader, group, scan, group.scan(scan, first, last, split=True), split=True)
        _stage_keyed(group, scan, staging, table, first, split=True)

    # A keyed statement is staged only after all of it has been read.
    return _Shape(read, lambda first, last: None)


def _days(first: date, last: date) -> list[date]:
    return [first + i * ONE_DAY for i in range((last - first).days + 1)]


# --- intervals ------------------------------------------------------------------------------------------


def gather_intervals(group: Group, first: date, last: date, staging: Staging) -> Iterator[Step]:
    """Gather the opening balance, the beginnings and the ends of one window, from one snapshot."""
    try:
        with _naming(group):
            _stage_window(group, first, last, staging)
    except SourceError:
        staging.abandon()  # otherwise another attempt would find the opening balance twice
        raise
    yield Step(first, last)


def _stage_window(group: Group, first: date, last: date, staging: Staging) -> None:
    rows = FusedRows(staging, "delta_additive", len(group.dims))
    with group.source.snapshot() as reader:
        for additive in group.additives():
            for sign, sql, split in group.interval_selects(additive.columns.expressions, first, last):
                start = first if split else opening_day(first)
                for batch in reader.batches(sql, _batch(additive)):
                    rows.take(additive, batch, start, split=split, sign=sign)
        for plan in group.keyed():
            for sign, sql, split in group.interval_selects(
                plan.columns, first, last, condition=plan.condition, keys=plan.keys
            ):
                start = first if split else opening_day(first)
                _take_keyed(group, plan, reader, sql, staging, start, split=split, sign=sign)
    rows.stage()
    staging.accumulate(group.members, first, last)


def gather_now(group: Group, day: date, staging: Staging) -> None:
    """Gather a level of which only the present is visible, and store it under `day`."""
    rows = FusedRows(staging, "new_additive", len(group.dims))
    with _naming(group), group.source.snapshot() as reader:
        for additive in group.additives():
            for batch in reader.batches(group.select_now(additive.columns.expressions), _batch(additive)):
                rows.take(additive, batch, day, split=False)
        for plan in group.keyed():
            sql = group.select_now(plan.columns, condition=plan.condition, keys=plan.keys)
            _take_keyed(group, plan, reader, sql, staging, day, split=False)
    with _naming(group):
        rows.stage()
        staging.bucket()


# --- reading rows ------------------------------------------------------------------------------------------


def _read_additive(group: Group, plan: AdditivePlan, reader: Reader, rows: FusedRows, first: date, last: date) -> None:
    sql = group.select(plan.columns.expressions, first, last, split=True)
    for batch in reader.batches(sql, _batch(plan)):
        rows.take(plan, batch, first, split=True)


def _batch(plan: AdditivePlan) -> int:
    """The number of rows of a statement to fetch at once. Smaller for statements with many columns."""
    return max(100, min(50_000, MAX_VALUES // max(1, len(plan.columns.expressions))))


def _take_keyed(
    group: Group,
    plan: KeyedPlan,
    reader: Reader,
    sql: str,
    staging: Staging,
    first: date,
    *,
    split: bool,
    sign: int = 1,
) -> None:
    scan = Scan((plan,))
    table = _table(reader, group, scan, sql, split=split)
    _stage_keyed(group, scan, staging, table, first, split=split, sign=sign)


def _table(reader: Reader, group: Group, scan: Scan, sql: str, *, split: bool) -> ArrowTable:
    return _naming_slot(scan, lambda: reader.table(sql, _kinds(group, scan, split=split)))


def _naming_slot(scan: Scan, read: Callable[[], T]) -> T:
    """The result of `read` for a scan. Raises NotFinite with the slot that the number belongs to."""
    try:
        return read()
    except NotFinite as error:
        plan = next((plan for plan in scan.plans if {FLOAT, DEC} & set(plan.kinds)), scan.plans[0])
        facts, index = plan.takers[0]
        raise NotFinite(error.value, facts.bound.key, index) from None


def _kinds(group: Group, scan: Scan, *, split: bool) -> list[str]:
    """The types of a keyed statement's columns: day?, dimensions, then those of the scan."""
    return [*([INT] if split else []), *([TEXT] * len(group.dims)), *scan.kinds]


def _with_days(tables: list[tuple[timedelta, ArrowTable]]) -> ArrowTable:
    """Tables of single days joined into one, with the day as the first column, counted from the first day."""
    return ArrowTable.numbered([(after.days, table) for after, table in tables])


def _stage_keyed(
    group: Group,
    scan: Scan,
    staging: Staging,
    table: ArrowTable,
    first: date,
    *,
    split: bool,
    sign: int = 1,
) -> None:
    if not table.num_rows:
        return
    at = len(group.dims) + (1 if split else 0)
    counts = {count: f"c{at + len(scan.keys) + place}" for place, count in enumerate(scan.counts)}
    mark = f"c{at + len(scan.keys) + len(counts)}"
    if len(scan.plans) > 1 and not staging.distinct(table, mark) <= set(scan.marks):
        # To the source, two keys, or a key and a dimension, are the same column.
        raise Inseparable(f"{group.relation} cannot be grouped by {' and '.join(scan.keys)} at once")
    for plan, own in zip(scan.plans, scan.marks, strict=True):
        keys = [f"c{at + i}" for i in range(len(plan.keys))]
        at += len(keys)
        for (facts, index), count in zip(plan.takers, plan.counts, strict=True):
            rows = KeyedRows(
                facts=facts,
                index=index,
                shape=plan.shape,
                first=first,
                split=split,
                sign=sign,
                count=counts[count],
                keys=keys,
                unit=plan.unit,
                only=f"{mark} = {own} AND {keys[0]} IS NOT NULL" if len(scan.plans) > 1 else "",
            )
            staging.keyed(rows, table)


# --- Python metrics ---------------------------------------------------------------------------------------


def gather_function(
    facts: BoundMetric, function: Callable[..., Any], connection: Any, day: date, zone: str, staging: Staging
) -> None:
    """Call a Python metric for one day and stage the numbers it returns."""
    name = facts.metric.name
    with isolated(f"metric {name!r} raised on {day}"):
        # A generator or a result of SQLAlchemy may read the database only now.
        returned = rows_of(facts.metric, day, function(Period(start=day, end=day + ONE_DAY, zone=zone), connection))
    rows = AdditiveRows()
    for dims, number in returned:
        rows.add(facts, 0, day, dims, 1, {"total": number, "n": as_integer(1)})
    staging.additive("new_additive", rows)
