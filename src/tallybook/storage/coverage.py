"""The covered days of a ledger as stretches: reading them, and changing them in a commit.

A row is one stretch of days that one run last collected. It became part of the book with one version (`added`) and
left it with another, if any (`removed`). At each version, the rows of a metric and definition do not overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol

from tallybook.core import days, merge_stretches, subtract_stretches
from tallybook.storage.ledger import Covered, CoveredDay, Stretch

Own = tuple[str, str]
"""(metric, definition)."""
_ROW = "first_day, last_day, run, instant, added, removed"


class CoverageTransaction(Protocol):
    """The methods needed from a transaction: see `storage.transaction.Transaction`."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Any: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object: ...


@dataclass(frozen=True)
class _CoverageRow:
    first: date
    last: date
    run: int | None
    instant: str | None
    added: int
    removed: int | None


# -- reading -----------------------------------------------------------------------------------------------------


def stretches_of(
    db: CoverageTransaction,
    at: str,
    among: Callable[[str, list[str] | None], str],
    wanted: list[str] | None,
    island: str,
) -> dict[Own, tuple[Stretch, ...]]:
    """The covered days of some metrics, in the rows that meet the condition `at`.

    The ledger merges adjacent stretches itself: a metric without gaps is one row of the result, not one per stretch."""
    whole: dict[Own, tuple[Stretch, ...]] = {}
    broken: list[str] = []
    for metric, definition, number, instants, first, last in db.execute(
        "SELECT metric, definition, sum(day_count), count(instant), min(first_day), max(last_day) FROM coverage "
        f"WHERE {at}{among('AND', wanted)} GROUP BY metric, definition",
        wanted or [],
    ):
        stretch = Stretch(date.fromisoformat(first), date.fromisoformat(last))
        if instants == 0 and number == (stretch.last - stretch.first).days + 1:
            whole[(metric, definition)] = (stretch,)
        else:
            broken.append(metric)
    metrics = list(dict.fromkeys(broken))
    return whole | (_broken(db, f"{at}{among('AND', metrics)}", metrics, island) if metrics else {})


def _broken(db: CoverageTransaction, where: str, metrics: list[str], island: str) -> dict[Own, tuple[Stretch, ...]]:
    """The covered days of metrics with gaps or instants. This query takes the ledger ten times as long."""
    earlier = "sum(day_count) OVER (PARTITION BY metric, definition, instant ORDER BY first_day) - day_count"
    found: dict[Own, list[Stretch]] = {}
    for metric, definition, instant, first, last in db.execute(
        "SELECT metric, definition, instant, min(first_day), max(last_day) FROM ("
        f"  SELECT metric, definition, instant, first_day, last_day, {island.format(count=earlier)} AS island "
        f"  FROM coverage WHERE {where}) AS islands "
        "GROUP BY metric, definition, instant, island ORDER BY 1, 2, 4",
        metrics,
    ):
        stretch = Stretch(date.fromisoformat(first), date.fromisoformat(last), instant)
        found.setdefault((metric, definition), []).append(stretch)
    return {key: tuple(stretches) for key, stretches in found.items()}


def covered_days(db: CoverageTransaction, metric: str, first: date, last: date) -> list[CoveredDay]:
    """The days of a range that the current version covers, under any definition, in order."""
    rows = db.execute(
        f"SELECT definition, {_ROW} FROM coverage "
        "WHERE metric = ? AND first_day <= ? AND last_day >= ? AND removed IS NULL",
        [metric, str(last), str(first)],
    ).fetchall()
    found = [
        CoveredDay(definition=definition, day=day, run=row.run, instant=row.instant, version=row.added)
        for definition, row in ((r[0], _row(r[1:])) for r in rows)
        for day in days(max(first, row.first), min(last, row.last))
    ]
    return sorted(found, key=lambda one: (one.day, one.definition))


# -- writing -----------------------------------------------------------------------------------------------------


def cover(db: CoverageTransaction, covered: Covered, version: int, run: int | None) -> None:
    """Mark days as covered by a version.

    Days that are already covered keep the version that first covered them. A new snapshot of a day replaces the old
    one, which older versions still contain."""
    own, kept = (covered.metric, covered.definition), []
    for row, inside in _current(db, own, covered.stretches):
        if row.instant != covered.instant:
            _change(db, own, row, inside, replace(row, removed=version))
        else:
            kept += inside
            _change(db, own, row, inside, replace(row, run=run))
    fresh = subtract_stretches(covered.stretches, kept)
    _insert(db, own, [_CoverageRow(first, last, run, covered.instant, version, None) for first, last in fresh])


def uncover(db: CoverageTransaction, covered: Covered, version: int) -> None:
    """Remove days from a version. Older versions still contain them."""
    own = (covered.metric, covered.definition)
    for row, inside in _current(db, own, covered.stretches):
        _change(db, own, row, inside, replace(row, removed=version))


def _current(
    db: CoverageTransaction, own: Own, among: Sequence[tuple[date, date]]
) -> Iterator[tuple[_CoverageRow, list[tuple[date, date]]]]:
    """The rows of the current version that overlap some stretches, each with the overlap."""
    if not among:
        return
    rows = db.execute(
        f"SELECT {_ROW} FROM coverage WHERE metric = ? AND definition = ? AND removed IS NULL "
        "AND first_day <= ? AND last_day >= ?",
        [*own, str(among[-1][1]), str(among[0][0])],
    ).fetchall()
    for row in map(_row, rows):
        inside = [(max(a, row.first), min(b, row.last)) for a, b in among if a <= row.last and b >= row.first]
        if inside:
            yield row, inside


def _change(
    db: CoverageTransaction, own: Own, row: _CoverageRow, inside: Sequence[tuple[date, date]], changed: _CoverageRow
) -> None:
    """Change some days of a row to `changed`, and keep the others."""
    if changed == row:
        return
    db.execute(
        "DELETE FROM coverage WHERE metric = ? AND definition = ? AND first_day = ? AND added = ?",
        [*own, str(row.first), row.added],
    )
    outside = subtract_stretches([(row.first, row.last)], inside)
    pieces = [replace(row, first=a, last=b) for a, b in outside]
    _insert(db, own, [*pieces, *(replace(changed, first=a, last=b) for a, b in merge_stretches(inside))])


def _insert(db: CoverageTransaction, own: Own, rows: Sequence[_CoverageRow]) -> None:
    db.executemany(
        f"INSERT INTO coverage (metric, definition, day_count, {_ROW}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (*own, (r.last - r.first).days + 1, str(r.first), str(r.last), r.run, r.instant, r.added, r.removed)
            for r in rows
        ],
    )


def _row(values: Sequence[Any]) -> _CoverageRow:
    return _CoverageRow(date.fromisoformat(values[0]), date.fromisoformat(values[1]), *values[2:])
