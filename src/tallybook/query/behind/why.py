"""Everything behind the number of one day: its definition, the run that collected it, what it was before."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tallybook.core import ADDITIVE, Metric, StoredDefinition
from tallybook.query.questions import Filter
from tallybook.storage import CoveredDay, Definition, Revision

if TYPE_CHECKING:
    import duckdb

    from tallybook.storage import Store, VersionSnapshot


def evidence(
    store: Store,
    engine: duckdb.DuckDBPyConnection,
    known: VersionSnapshot,
    metric: Metric,
    key: str,
    bound: StoredDefinition | None,
    day: date,
    today: date,
    filters: Sequence[Filter],
) -> dict[str, Any]:
    """What the book holds about one collected metric on one day: `definition`, `coverage`, `run`, `revisions`.

    `bound` is the definition that is asked, None where today's declaration was never collected. `filters`
    choose the revisions of some series; a revision whose series does not tell is kept."""
    covered = store.ledger.covered_days(key, day, day)
    own = next((c for c in covered if bound and c.definition == bound.definition), None)
    definitions = {d.id: d for d in known.definitions.get(key, ())}
    told = [r for r in store.ledger.revisions(key, day=day) if _chosen(r, filters)]
    return {
        "metric": metric.name,
        "kept_as": key,
        "definition": _definition(bound, definitions) if bound else None,
        "coverage": _coverage(own, covered) | _collecting(metric, day, today, own),
        "points": _points(store, engine, known, bound, day) if bound and own else None,
        "run": _run(store.ledger.run, own.run, metric.name) if own and own.run else None,
        "revisions": [_revision(r) for r in told],
    }


def _definition(bound: StoredDefinition, definitions: dict[str, Definition]) -> dict[str, Any]:
    kept = definitions[bound.definition]
    meaning = bound.metric.meaning(bound.zone, bound.forms)
    older = [d.id for d in definitions.values() if d.id != bound.definition]
    return {
        "id": bound.definition,
        "since": kept.created,
        "hashes": _said(meaning, bound.metric.measure),
        "others": older,
    }


def _said(meaning: dict[str, Any], measure: str | None) -> dict[str, Any]:
    """Only what is said of this metric, each under the name it is declared by."""
    names = ("table", "sql", "where", "function", "function_hash")
    facts = dict(zip(names, meaning["facts"][: len(names)], strict=True)) | {"join": meaning["facts"][len(names) :]}
    time = dict(zip(("time", "stored_zone", "from", "until", "until_inclusive"), meaning["time"], strict=True))
    whole = {"kind": meaning["kind"], "source": meaning["source"], **facts, **time, "measure": measure}
    per, then = meaning.get("per", (None, None))
    whole |= {
        "by": [d for d in meaning["dims"] if d != per],
        "per": per,
        "then": then,
        "decimals": meaning["decimals"],
        "timezone": meaning["zone"],
    }
    if meaning["series"]:
        whole |= {"series": meaning["series"][0], "received": meaning["series"][1]}
    whole["source says"] = dict(meaning["forms"])
    return {name: value for name, value in whole.items() if value not in (None, False, [], {})}


def _coverage(own: CoveredDay | None, covered: Sequence[CoveredDay]) -> dict[str, Any]:
    return {
        "covered": own is not None,
        "since_version": own.version if own else None,
        "snapshot_taken": own.instant if own else None,
        "under_other_definitions": [c.definition for c in covered if own is None or c.definition != own.definition],
    }


def _collecting(metric: Metric, day: date, today: date, own: CoveredDay | None) -> dict[str, str]:
    """What collects a day that is not covered, or why nothing does."""
    if own is not None:
        return {}
    if day >= today:
        return {"why": "the day is not over yet"}
    if metric.snapshot:
        return {"why": "of a snapshot only the present can be seen: it cannot be collected any more"}
    return {"collect": f"tallybook run {metric.name} --from {day} --to {day}"}


def _points(
    store: Store, engine: duckdb.DuckDBPyConnection, known: VersionSnapshot, bound: StoredDefinition, day: date
) -> dict[str, int]:
    files = [f for f in known.files if f.kind == ADDITIVE and f.first <= day <= f.last]
    if not files:
        return {"facts": 0, "series": 0}
    own = ", ".join(bound.column(d) for d in bound.metric.series_dims)
    number = f"count(DISTINCT ({own},))" if own else "least(count(*), 1)"
    series, facts = engine.execute(
        f"SELECT {number}, coalesce(sum(rows), 0)::BIGINT FROM {store.scan(files)} "
        "WHERE metric = ? AND definition = ? AND day = ? AND slot = 0 AND rows > 0",
        [bound.key, bound.definition, day],
    ).fetchall()[0]
    return {"facts": int(facts), "series": int(series)}


def _run(run_of: Callable[[int], dict[str, Any] | None], number: int, metric: str) -> dict[str, Any]:
    run = run_of(number)
    if run is None:
        return {"run": number}
    own: dict[str, Any] = next((m for m in run["report"].get("metrics", ()) if m["metric"] == metric), {})
    took = None
    if run["finished"]:
        took = (datetime.fromisoformat(run["finished"]) - datetime.fromisoformat(run["started"])).total_seconds()
    kept = {key: run[key] for key in ("run", "what", "started", "finished", "status")}
    return kept | {"seconds": took, "metric": {k: own[k] for k in ("days", "points", "seconds", "plan") if k in own}}


def _chosen(revision: Revision, filters: Sequence[Filter]) -> bool:
    series = json.loads(revision.series)
    wanted: dict[str, set[str | None]] = {}
    for one in filters:
        if one.dimension not in series:
            continue
        if one.equal:
            wanted.setdefault(one.dimension, set()).add(one.value)
        elif series[one.dimension] == one.value:
            return False
    return all(series[dimension] in values for dimension, values in wanted.items())


def _revision(revision: Revision) -> dict[str, Any]:
    return {
        "series": json.loads(revision.series),
        "old": revision.old,
        "new": revision.new,
        "at": revision.at,
        "run": revision.run or None,
        "definition": revision.definition,
    }
