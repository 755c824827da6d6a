"""Explains the number of one day: its definition, the run that collected it, and its earlier values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec import field

from tallybook.config import dialect_of
from tallybook.core import ADDITIVE, Metric, Result, SourceError, StoredDefinition, isolated
from tallybook.query.behind.lineage import Lineage, lineage, used_by
from tallybook.query.filter_texts import Filter, parse_filter
from tallybook.query.question import BoundedQuestion, Question
from tallybook.query.questions import known_metric
from tallybook.query.reader import BookReader
from tallybook.query.records import BookRecord
from tallybook.query.service import QueryService
from tallybook.storage import CoveredDay, Definition, Revision, VersionSnapshot


class DefinitionEvidence(BookRecord, frozen=True, kw_only=True):
    """The definition that was used: since when the book has it, and the declared values that it hashes."""

    id: str
    since: str
    hashes: dict[str, Any]
    others: list[str]


class CoverageEvidence(BookRecord, frozen=True, kw_only=True):
    """Whether a day is collected. If not: the command to `collect` it, or `why` that is not possible."""

    covered: bool
    since_version: int | None
    snapshot_taken: str | None
    under_other_definitions: list[str]
    collect: str | None = None
    why: str | None = None


class PointsEvidence(BookRecord, frozen=True, kw_only=True):
    """The number of facts and series of a day in the book."""

    facts: int
    series: int


class RunEvidence(BookRecord, frozen=True, kw_only=True, omit_defaults=True):
    """The run that collected a day, and its report on the metric. Only its number if the ledger no longer has the
    run."""

    run: int
    what: str | None = None
    started: str | None = None
    finished: str | msgspec.UnsetType | None = msgspec.UNSET
    status: str | None = None
    seconds: float | msgspec.UnsetType | None = msgspec.UNSET
    metric: dict[str, Any] | None = None


class RevisionEvidence(BookRecord, frozen=True, kw_only=True):
    """A value that changed after it was collected."""

    series: dict[str, str | None]
    old: str | None
    new: str | None
    at: str
    run: int | None
    definition: str


class Evidence(BookRecord, frozen=True, kw_only=True):
    """The data in the book about one collected metric on one day.

    `kept_as`: the key of its points. `definition`: None if the current declaration was never collected. `error`: why
    nothing can be read."""

    metric: str
    kept_as: str = ""
    definition: DefinitionEvidence | None = None
    coverage: CoverageEvidence | None = None
    points: PointsEvidence | None = None
    run: RunEvidence | None = None
    revisions: list[RevisionEvidence] = field(default_factory=list)
    error: str | None = None
    hint: str = ""

    def to_dict(self) -> dict[str, Any]:
        if self.error is not None:
            return {"metric": self.metric, "error": self.error, "hint": self.hint}
        plain = super().to_dict()
        del plain["error"], plain["hint"]
        if self.coverage is not None:
            coverage = plain["coverage"]
            plain["coverage"] = {k: v for k, v in coverage.items() if v is not None or k not in ("collect", "why")}
        return plain


class Explanation(BookRecord, frozen=True, kw_only=True):
    """The explanation of one day's number: the answer, and the evidence for each metric in it.

    Without a day: only the lineage to tables and columns, and the derived metrics that use it."""

    metric: str
    lineage: Lineage
    used_by: list[str]
    day: str | None = None
    result: Result | None = None
    behind: list[Evidence] = field(default_factory=list)

    def to_dict(self, exact: bool = False) -> dict[str, Any]:
        """The documented JSON as plain values. With `exact`, decimals are texts."""
        plain = {"metric": self.metric, "lineage": self.lineage.to_dict(), "used_by": self.used_by}
        if self.result is None:
            return plain
        behind = [one.to_dict() for one in self.behind]
        return plain | {"day": self.day, "behind": behind, **self.result.to_dict(exact)}


def explain(
    service: QueryService,
    metric: str,
    day: date | None,
    by: Sequence[str],
    where: Sequence[str],
    *,
    within: tuple[tuple[str, ...], ...] = (),
) -> Explanation:
    """Explain the number of one day. `within`: see `BoundedQuestion`.

    Raises QueryError for undeclared names, and Refused for a question that has no correct answer."""
    catalog = service.catalog
    known_metric(catalog, metric)
    dialects = {name: dialect_of(source.url) or "duckdb" for name, source in catalog.sources.items()}
    found = Explanation(metric=metric, lineage=lineage(catalog, metric, dialects), used_by=used_by(catalog, metric))
    if day is None:
        return found
    question = Question(metrics=[metric], from_=day, to=day, by=by, where=where)
    question = BoundedQuestion.bounded(question, within) if within else question
    return msgspec.structs.replace(
        found,
        day=str(day),
        result=service.answer(question),
        behind=_behind(service.reader, catalog.operands(metric), day, [parse_filter(text) for text in where]),
    )


def _behind(reader: BookReader, names: Sequence[str], day: date, filters: Sequence[Filter]) -> list[Evidence]:
    with reader.only_reading():
        keys = reader.keys(names)
        known = reader.snapshot(keys, None)
        metrics = [reader.project.catalog.metrics[name] for name in names]
        return [_evidence_or_error(reader, metric, keys[metric.name], known, day, filters) for metric in metrics]


def _evidence_or_error(
    reader: BookReader, metric: Metric, key: str, known: VersionSnapshot, day: date, filters: Sequence[Filter]
) -> Evidence:
    try:
        with isolated():
            return _evidence(reader, metric, key, known, day, filters)
    except SourceError as error:
        return Evidence(metric=metric.name, error=error.message, hint=error.hint)


def _evidence(
    reader: BookReader, metric: Metric, key: str, known: VersionSnapshot, day: date, filters: Sequence[Filter]
) -> Evidence:
    """`filters` select the revisions of some series. A revision is kept if its series does not have the filter's
    dimension."""
    ledger, bound = reader.store.ledger, reader.bound(metric, key, known, None)
    covered = ledger.covered_days(key, day, day)
    own = next((c for c in covered if bound and c.definition == bound.definition), None)
    definitions = {d.id: d for d in known.definitions.get(key, ())}
    revisions = [r for r in ledger.revisions(key, day=day) if _chosen(r, filters)]
    return Evidence(
        metric=metric.name,
        kept_as=key,
        definition=_definition(bound, definitions) if bound else None,
        coverage=_coverage(metric, day, reader.today, own, covered),
        points=_points(reader, known, bound, day) if bound and own else None,
        run=_run(ledger.run, own.run, metric.name) if own and own.run else None,
        revisions=[_revision(r) for r in revisions],
    )


def _definition(bound: StoredDefinition, definitions: dict[str, Definition]) -> DefinitionEvidence:
    meaning = bound.metric.meaning(bound.zone, bound.forms)
    return DefinitionEvidence(
        id=bound.definition,
        since=definitions[bound.definition].created,
        hashes=_declared(meaning, bound.metric.measure),
        others=[d.id for d in definitions.values() if d.id != bound.definition],
    )


def _declared(meaning: dict[str, Any], measure: str | None) -> dict[str, Any]:
    """The declared values of this metric, by the keys of the declaration."""
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


def _coverage(
    metric: Metric, day: date, today: date, own: CoveredDay | None, covered: Sequence[CoveredDay]
) -> CoverageEvidence:
    return CoverageEvidence(
        covered=own is not None,
        since_version=own.version if own else None,
        snapshot_taken=own.instant if own else None,
        under_other_definitions=[c.definition for c in covered if own is None or c.definition != own.definition],
        **_collecting(metric, day, today, own),
    )


def _collecting(metric: Metric, day: date, today: date, own: CoveredDay | None) -> dict[str, str]:
    """The command that collects an uncovered day, or why that is not possible."""
    if own is not None:
        return {}
    if day >= today:
        return {"why": "the day is not over yet"}
    if metric.snapshot:
        return {"why": "of a snapshot only the present can be seen: it cannot be collected any more"}
    return {"collect": f"tallybook run {metric.name} --from {day} --to {day}"}


def _points(reader: BookReader, known: VersionSnapshot, bound: StoredDefinition, day: date) -> PointsEvidence:
    files = [f for f in known.files if f.kind == ADDITIVE and f.first <= day <= f.last]
    if not files:
        return PointsEvidence(facts=0, series=0)
    own = ", ".join(bound.column(d) for d in bound.metric.series_dims)
    number = f"count(DISTINCT ({own},))" if own else "least(count(*), 1)"
    sql = (
        f"SELECT {number}, coalesce(sum(rows), 0)::BIGINT FROM {reader.store.scan(files)} "
        "WHERE metric = ? AND definition = ? AND day = ? AND slot = 0 AND rows > 0"
    )
    with reader.reading() as reading:
        series, facts = reading.engine.execute(sql, [bound.key, bound.definition, day]).fetchall()[0]
    return PointsEvidence(facts=int(facts), series=int(series))


def _run(run_of: Callable[[int], dict[str, Any] | None], number: int, metric: str) -> RunEvidence:
    run = run_of(number)
    if run is None:
        return RunEvidence(run=number)
    own: dict[str, Any] = next((m for m in run["report"].get("metrics", ()) if m["metric"] == metric), {})
    took = None
    if run["finished"]:
        took = (datetime.fromisoformat(run["finished"]) - datetime.fromisoformat(run["started"])).total_seconds()
    kept = {key: run[key] for key in ("run", "what", "started", "finished", "status")}
    report: dict[str, Any] = {k: own[k] for k in ("days", "points", "seconds", "plan") if k in own}
    return RunEvidence(**kept, seconds=took, metric=report)


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


def _revision(revision: Revision) -> RevisionEvidence:
    return RevisionEvidence(
        series=json.loads(revision.series),
        old=revision.old,
        new=revision.new,
        at=revision.at,
        run=revision.run or None,
        definition=revision.definition,
    )
