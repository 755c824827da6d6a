"""Deletes data from every version of the book: a metric, or one person from distinct counts and two-step measures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tallybook.collect.revise import revisions
from tallybook.collect.run_lease import exclusive_run
from tallybook.core import ADDITIVE, IDS, Refused, StoredDefinition, ddl, hashed_id, json_decoder
from tallybook.storage import Commit, PointsFile, Revision, VersionSnapshot, literal

if TYPE_CHECKING:
    import duckdb

    from tallybook.storage import Store

WHAT = "forget"
Rows = dict[str, str]
"""By kind of points, the condition that a row of a metric belongs to the person."""


def forget_metric(
    store: Store, engine: duckdb.DuckDBPyConnection, name: str, key: str, clock: Callable[[], datetime]
) -> dict[str, Any]:
    """Delete everything about the metric stored under `key`, in every version. Returns how many `days` and `points`
    were deleted."""
    known = store.snapshot([key])
    days = {d for (_, _), stretches in known.coverage.items() for s in stretches for d in (s.first, s.last)}
    number = sum((s.last - s.first).days + 1 for stretches in known.coverage.values() for s in stretches)

    def gone(file: PointsFile) -> str | None:
        return f"metric = '{key}'" if file.metric in ("", key) else None

    with exclusive_run(store, clock, WHAT) as (lease, run, report):
        points = store.rewrite(
            engine, Commit(what=f"{WHAT} {name}", forgotten=[key]), gone, lease=lease, run=run, now=clock()
        )
        told = {"metric": name, "days": number, "points": points}
        report["metrics"].append(told)
    return told | {"from": str(min(days)) if days else None, "to": str(max(days)) if days else None}


def forget_person(
    store: Store,
    engine: duckdb.DuckDBPyConnection,
    metrics: Sequence[tuple[str, str]],
    person: Sequence[str],
    clock: Callable[[], datetime],
) -> list[dict[str, Any]]:
    """Remove an id from `metrics`, given as (name, key), that count it or measure it separately (`per`). All days and
    versions are changed.

    `person` is the id, or its parts if several columns are counted together. Returns for each metric how many `days`
    and `points` contained it, and how many values (`revisions`) changed. Raises Refused for a metric that stores no
    such ids."""
    conditions = {key: _conditions(store, engine, name, key, person) for name, key in metrics}
    names = {key: name for name, key in metrics}
    told = []
    with exclusive_run(store, clock, WHAT) as (lease, run, report):
        for key, by_definition in conditions.items():
            known = store.snapshot([key])
            change = Commit(what=WHAT)
            days: set[date] = set()
            for bound, rows in by_definition:
                found = _days(store, engine, known, key, rows)
                days |= set(found)
                change.revisions += _revised(store, engine, known, bound, found, rows)
            gone = _somebodys(key, [rows for _, rows in by_definition])
            points = store.rewrite(engine, change, gone, lease=lease, run=run, now=clock())
            told.append({"metric": names[key], "days": len(days), "points": points, "revisions": len(change.revisions)})
        report["metrics"] = told
    return told


def _somebodys(key: str, several: Sequence[Rows]) -> Callable[[PointsFile], str | None]:
    """A function that gives the condition for the rows to delete from a file, or None."""

    def gone(file: PointsFile) -> str | None:
        conditions = [f"({rows[file.kind]})" for rows in several if file.kind in rows]
        if not conditions or file.metric not in ("", key):
            return None
        return f"metric = {literal(key)} AND ({' OR '.join(conditions)})"

    return gone


def _conditions(
    store: Store, engine: duckdb.DuckDBPyConnection, name: str, key: str, person: Sequence[str]
) -> list[tuple[StoredDefinition, Rows]]:
    """Under each definition of a metric, the condition for the person's rows."""
    found = []
    for definition in store.snapshot([key]).definitions.get(key, ()):
        bound = json_decoder(StoredDefinition).decode(definition.body)
        own = f"definition = '{definition.id}' AND "
        rows: Rows = {}
        theirs = ""
        if bound.metric.per and len(person) == 1:
            theirs = f"{bound.column(bound.metric.per)} = {literal(person[0])}"
            rows = dict.fromkeys((ADDITIVE, *(slot.shape for slot in bound.measure.slots)), own + theirs)
        slots = [theirs] if rows else []
        slots += [
            f"(slot = {index} AND id = {stored})"
            for index, slot in enumerate(bound.measure.slots)
            if slot.agg == "count_distinct"
            and len(slot.args) == len(person)
            and (stored := _stored(engine, bound.slots[index].ids, person, counts_null=slot.counts_null)) is not None
        ]
        if slots:
            rows |= {IDS: f"{own}({' OR '.join(slots)})"}
        if rows:
            found.append((bound, rows))
    if not found:
        what = "such id" if len(person) == 1 else f"ids of {len(person)} parts"
        raise Refused(
            f"{name!r} keeps no {what}: only count(distinct …) keeps the ids it counts, and `per` those it measures",
            ask=f"tallybook metrics {name} shows its measure; tallybook forget {name} drops all of it",
        )
    return found


def _stored(engine: duckdb.DuckDBPyConnection, ids: str, person: Sequence[str], *, counts_null: bool) -> int | None:
    """The number under which an id is stored, or None for a text if ids are numbers."""
    if ids == "int":
        return int(person[0]) if re.fullmatch(r"[+-]?\d{1,19}", person[0]) else None
    texts = ["CAST(? AS VARCHAR)"] * len(person)
    given = [text for text in person for _ in range(2)] if len(person) > 1 or counts_null else list(person)
    value = engine.execute(f"SELECT {hashed_id(texts, counts_null=counts_null)}", given).fetchall()[0][0]
    return int(value)


def _files(known: VersionSnapshot, kind: str, key: str) -> list[PointsFile]:
    return [file for file in known.files if file.kind == kind and file.metric in ("", key)]


def _days(store: Store, engine: duckdb.DuckDBPyConnection, known: VersionSnapshot, key: str, rows: Rows) -> list[date]:
    """The days of the current version on which the person was counted."""
    found: set[date] = set()
    for kind, condition in rows.items():
        if files := _files(known, kind, key):
            sql = f"SELECT DISTINCT day FROM {store.scan(files)} WHERE metric = {literal(key)} AND {condition}"
            found |= {day for (day,) in engine.execute(sql).fetchall()}
    return sorted(found)


def days_of_series(
    store: Store, engine: duckdb.DuckDBPyConnection, bound: StoredDefinition, dimension: str, value: str
) -> list[date]:
    """The days of the current version on which a dimension of a metric has a value."""
    known = store.snapshot([bound.key])
    theirs = f"definition = {literal(bound.definition)} AND {bound.column(dimension)} = {literal(value)}"
    kinds = {ADDITIVE, *(slot.shape for slot in bound.measure.slots)}
    return _days(store, engine, known, bound.key, dict.fromkeys(kinds, theirs))


def _revised(
    store: Store,
    engine: duckdb.DuckDBPyConnection,
    known: VersionSnapshot,
    bound: StoredDefinition,
    days: Sequence[date],
    rows: Rows,
) -> list[Revision]:
    """The values that change when the person is removed."""
    if not days:
        return []
    kinds = {ADDITIVE, *(slot.shape for slot in bound.measure.slots)}
    own = f"metric = '{bound.key}' AND definition = '{bound.definition}' AND day BETWEEN '{days[0]}' AND '{days[-1]}'"
    for kind in kinds:
        files = _files(known, kind, bound.key)
        engine.execute(f"DROP TABLE IF EXISTS new_{kind}")
        engine.execute(ddl(kind, f"new_{kind}").replace("CREATE TABLE", "CREATE TEMP TABLE"))
        if files:
            gone = f" AND NOT coalesce({rows[kind]}, FALSE)" if kind in rows else ""
            engine.execute(f"INSERT INTO new_{kind} BY NAME SELECT * FROM {store.scan(files)} WHERE {own}{gone}")

    def old(kind: str) -> str | None:
        files = _files(known, kind, bound.key)
        return f"(SELECT * FROM {store.scan(files)} WHERE {own})" if files else None

    try:
        return revisions(engine, bound, days, old)
    finally:
        for kind in kinds:
            engine.execute(f"DROP TABLE IF EXISTS new_{kind}")
