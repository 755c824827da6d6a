"""Values by period of questions that are asked again at each version: those of days that did not change are kept.

A run changes few days. Alerts and the overview ask for the values of months, so all but the latest are known from the
version before. Whoever wants to know why a value is missing asks the question itself: the reason may depend on days
of other periods, such as `tallybook run --from … --to …` for several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from tallybook.core import (
    LEVEL,
    Catalog,
    Column,
    Metric,
    StoredDefinition,
    TallybookError,
    calendar,
    isolated,
    plus_days,
)
from tallybook.query.answers import answer
from tallybook.query.context import Coverage, QueryContext
from tallybook.query.question import Question
from tallybook.query.questions import Query
from tallybook.query.ranges import ALL
from tallybook.query.reach import ranged
from tallybook.storage import PointsFile

Stretch = tuple[date, date]
Row = dict[str, Any]
MAX_QUESTIONS = 16
"""The values of so many questions are kept; then all are forgotten."""
OPTIONS = frozenset({"metrics", "scope", "first", "last", "show", "fill", "week_starts", "fiscal"})
"""The options of a question whose values are kept: each value then depends only on the days of its period."""
NEIGHBORS = "change"
"""The show that reads the day before a period."""


@dataclass(frozen=True, kw_only=True)
class PeriodRows:
    """A row for each period, without the reasons why values are missing. Rows are shared: nobody changes them."""

    columns: Sequence[Column]
    rows: Sequence[Row]


def rows_by_metric(ask: Callable[[Question], PeriodRows], question: Question) -> dict[str, PeriodRows]:
    """The answer to a question about several metrics, by metric. If it fails, each half is asked, so that only metrics
    that fail by themselves are left out."""
    with suppress(TallybookError), isolated():
        return dict.fromkeys(question.metrics, ask(question))
    half = len(question.metrics) // 2
    halves = [question.metrics[:half], question.metrics[half:]] if half else []
    return {
        name: rows for names in halves for name, rows in rows_by_metric(ask, replace(question, metrics=names)).items()
    }


@dataclass(frozen=True, kw_only=True)
class RowBasis:
    """All that the rows of a question are made of."""

    definitions: Mapping[str, StoredDefinition]
    coverage: Mapping[str, Coverage]
    hidden: Mapping[tuple[str, str], Coverage]
    files: Mapping[str, PointsFile]
    last_closed: date

    @classmethod
    def of(cls, context: QueryContext) -> RowBasis:
        return cls(
            definitions=context.bounds,
            coverage=context.coverage,
            hidden=context.hidden,
            files={one.path: one for one in context.files},
            last_closed=context.last_closed,
        )

    def changed_since(self, before: RowBasis) -> list[Stretch] | None:
        """The days of which values may differ from those before; None for all days."""
        is_same = (self.definitions, self.hidden) == (before.definitions, before.hidden)
        if not is_same or self.last_closed < before.last_closed:
            return None
        found: list[Stretch] = [(plus_days(before.last_closed, 1), date.max)]
        for path in self.files.keys() ^ before.files.keys():
            one = self.files.get(path) or before.files[path]
            found.append((one.first, one.last))
        for name, own in self.coverage.items():
            found += _differing_days(before.coverage[name], own)
        return list(dict.fromkeys(found))


@dataclass(frozen=True, kw_only=True)
class KeptAnswer:
    """The rows of one question between two days, and what they were made of."""

    basis: RowBasis
    first: date
    last: date
    found: PeriodRows


@dataclass
class KeptRows:
    """The values of the latest questions. Safe in several threads: each operation is one step of a dict."""

    _known: dict[Query, KeptAnswer] = field(default_factory=dict)

    def clear(self) -> None:
        """Keep nothing that was read until now; also not what is being read."""
        self._known = {}

    def rows(self, query: Query, context: QueryContext) -> PeriodRows:
        """The values of a question that `is_kept`, from those of the version before where days are the same."""
        known = self._known
        whole = ranged(query, context).query
        assert whole.first is not None
        assert whole.last is not None
        key, basis = replace(query, first=None, last=None), RowBasis.of(context)
        # What was imported answers for periods before the first collected day of its metric.
        before = known.get(key) if not context.past else None
        stays = _unchanged(before, whole, basis.changed_since(before.basis)) if before is not None else {}
        starts = [start for start, _ in periods_of(whole)]
        unknown = next((start for start in starts if start not in stays), None)
        if before is not None and unknown is None:
            found = PeriodRows(columns=before.found.columns, rows=[stays[start] for start in starts])
        else:
            unknown = unknown or whole.first
            made = answer(replace(whole, first=max(unknown, whole.first)), context)
            old = [stays[start] for start in starts if start < unknown]
            rows = [*old, *(without_reasons(row) for row in made.data)]
            found = PeriodRows(columns=made.columns, rows=rows)
        if context.past:
            known.pop(key, None)
            return found
        if len(known) >= MAX_QUESTIONS and key not in known:
            known.clear()
        known[key] = KeptAnswer(basis=basis, first=whole.first, last=whole.last, found=found)
        return found


def is_kept(catalog: Catalog, query: Query) -> bool:
    """Whether each value of a question depends only on the days of its period."""
    nothing = Query(metrics=())
    if query.scope == ALL or any(getattr(query, name) != getattr(nothing, name) for name in _OTHER_OPTIONS):
        return False
    return all(_is_of_its_days(catalog, query, name) for name in query.metrics)


_OTHER_OPTIONS = [name for name in Query.__dataclass_fields__ if name not in OPTIONS]


def _is_of_its_days(catalog: Catalog, query: Query, name: str) -> bool:
    metric = catalog.metrics[name]
    if not metric.derived:
        return (query.show or metric.default_show) != NEIGHBORS and not _reads_back(metric)
    assert metric.parsed is not None
    operands = [(one.show or query.show, catalog.metrics[one.metric]) for one in metric.parsed.operands]
    # A formula of formulas is rare, and is asked for as a whole.
    return all(
        not one.derived and (show or one.default_show) != NEIGHBORS and not _reads_back(one) for show, one in operands
    )


def _reads_back(metric: Metric) -> bool:
    """Whether a value may be one of a day before its period: carried into it, or of the last day that has one."""
    expects = metric.kind == LEVEL and metric.expected_weekdays is not None
    return bool(metric.carry or expects)


def periods_of(query: Query) -> Iterator[Stretch]:
    """The first and the last day of each period of a question that has both its days."""
    assert query.first is not None
    assert query.last is not None
    start = query.calendar.period_start(query.first, query.scope)
    while start <= query.last:
        end = query.calendar.period_end(start, query.scope)
        yield start, end
        start = plus_days(end, 1)


def _unchanged(before: KeptAnswer, query: Query, changed: Sequence[Stretch] | None) -> dict[date, Row]:
    """The rows, by period, that are the same now: of whole periods without a changed day."""
    if changed is None or query.first is None or query.last is None:
        return {}
    rows = {row["period"]: row for row in before.found.rows}
    first, last = max(before.first, query.first), min(before.last, query.last)
    return {
        start: rows[start]
        for start, end in periods_of(query)
        if start in rows and first <= start and end <= last and not any(a <= end and b >= start for a, b in changed)
    }


def _differing_days(before: Coverage, now: Coverage) -> list[Stretch]:
    """Days that only one of two coverages has, or has of another instant."""
    if before == now and before.instants == now.instants:
        return []
    days = {day for day, _ in before.instants.items() ^ now.instants.items()}
    gone = calendar.subtract_stretches(before.stretches, now.stretches)
    return [*gone, *calendar.subtract_stretches(now.stretches, before.stretches), *((day, day) for day in days)]


def without_reasons(row: Row) -> Row:
    if "notes" not in row:
        return row
    notes = {name: {key: value for key, value in note.items() if key != "why"} for name, note in row["notes"].items()}
    kept = {name: note for name, note in notes.items() if note}
    rest = {key: value for key, value in row.items() if key != "notes"}
    return {**rest, "notes": kept} if kept else rest
