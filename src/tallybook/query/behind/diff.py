"""The effect of a changed definition: the numbers of the old and the new definition side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import field

from tallybook.core import (
    PLAIN,
    BookCalendar,
    Metric,
    Refused,
    Result,
    Row,
    SourceError,
    StoredDefinition,
    is_close,
    isolated,
)
from tallybook.query.question import Question, QuestionAnswers
from tallybook.query.questions import known_metric
from tallybook.query.reader import BookReader
from tallybook.query.records import BookRecord
from tallybook.storage import VersionSnapshot

DiffNumber = int | float | Decimal


class DiffRow(BookRecord, frozen=True, kw_only=True):
    """One period and series: the number in the book, the number from the source, and their `difference` if both are
    known.

    `why`: by side (old or new), the reason why its number is missing."""

    period: date | None
    series: dict[str, str | None]
    old: DiffNumber | None
    new: DiffNumber | None
    difference: DiffNumber | None = None
    change: float | None = None
    same: bool = False
    why: dict[str, str] = field(default_factory=dict)


class DefinitionDiff(BookRecord, frozen=True, kw_only=True):
    """The effect of a changed declaration on the numbers of a metric.

    `why`: the reason why there is nothing to compare. Otherwise: the collected `definition`, its `changed` keys as
    (old, new), and `rows` at `scope`, or the `error`."""

    metric: str
    unit: str | None
    why: str | None = None
    definition: str | None = None
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    error: str | None = None
    hint: str = ""
    scope: str | None = None
    rows: list[DiffRow] = field(default_factory=list)
    calendar: BookCalendar = PLAIN

    @property
    def is_compared(self) -> bool:
        """Whether the two definitions were to be compared."""
        return self.why is None

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON as plain values: days as ISO texts, decimals as numbers."""
        names: tuple[str, ...] = ("metric", "unit", "why")
        if self.is_compared:
            end = ("error", "hint") if self.error is not None else ("scope", "rows")
            names = ("metric", "unit", "definition", "changed", *end)
        return {name: _plain(getattr(self, name)) for name in names}


def definition_diffs(
    reader: BookReader, answers: QuestionAnswers, question: Question, definition: str | None
) -> list[DefinitionDiff]:
    """The diff of each metric in `question`, or of every metric whose definition changed.

    `answers` must also support live questions. `definition`: the definition to compare with; the default is the last
    collected one."""
    catalog = reader.project.catalog
    names = [known_metric(catalog, name).name for name in question.metrics] or list(catalog.metrics)
    keys = reader.keys(names)
    known = reader.snapshot(keys, None)
    found = []
    for name in names:
        asked = replace(question, metrics=[name])
        found.append(_diff(reader, answers, asked, catalog.metrics[name], keys[name], known, definition))
    return found if question.metrics else [one for one in found if one.is_compared]


def _diff(
    reader: BookReader,
    answers: QuestionAnswers,
    question: Question,
    metric: Metric,
    key: str,
    known: VersionSnapshot,
    definition: str | None,
) -> DefinitionDiff:
    if why := _why_not_compared(reader, metric, key, known, definition):
        return DefinitionDiff(metric=metric.name, unit=metric.unit, why=why)
    old = reader.bound(metric, key, known, definition or reader.collected(key, known)[0].id)
    assert old is not None
    changed = changed_keys(old, metric, reader.project.catalog.book.timezone)
    diff = DefinitionDiff(metric=metric.name, unit=metric.unit, definition=old.definition, changed=changed)
    try:
        with isolated():
            before = answers.answer(replace(question, definition=old.definition))
            after = answers.answer(replace(question, live=True))
    except (Refused, SourceError) as error:
        return msgspec.structs.replace(diff, error=error.message, hint=error.hint)
    rows = side_by_side(metric.name, before, after)
    return msgspec.structs.replace(diff, scope=after.scope, rows=rows, calendar=after.calendar)


def _why_not_compared(
    reader: BookReader, metric: Metric, key: str, known: VersionSnapshot, definition: str | None
) -> str:
    """Why a metric has nothing to compare; empty if it has."""
    catalog = reader.project.catalog
    if metric.derived:
        made_of = ", ".join(catalog.operands(metric.name))
        return f"a formula, computed from other metrics in each answer; compare those: {made_of}"
    latest = next(iter(reader.collected(key, known)), None)
    if latest is None:
        return "never collected: there is nothing to compare with"
    if definition is None and latest.declared == metric.fingerprint(catalog.book.timezone, {}):
        return f"unchanged: its definition is {latest.id}, the one collected last"
    return ""


def changed_keys(old: StoredDefinition, new: Metric, zone: str) -> dict[str, tuple[Any, Any]]:
    """{key of the declaration: (old value, new value)} for the keys that changed among those that the definition
    hashes."""
    before, after = _keys(old.metric, old.zone), _keys(new, zone)
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


def _keys(metric: Metric, zone: str) -> dict[str, Any]:
    names = ("kind", "source", "table", "sql", "where", "function", "time", "stored_zone", "until", "until_inclusive")
    found = {name: getattr(metric, name) for name in names}
    found |= {
        "from": metric.from_,
        "decimals": metric.decimals,
        "by": list(metric.series_dims),
        "per": metric.per,
        "then": metric.then,
        "timezone": zone,
    }
    found["measure"] = metric.parsed.text if metric.parsed else metric.measure
    found["join"] = [join.text for join in metric.join]
    found["function's text"] = metric.function_hash
    if metric.keeps_latest:
        found |= {"series": sorted(metric.series), "received": metric.received}
    return {"series": None, "received": None} | found


def side_by_side(metric: str, old: Result, new: Result) -> list[DiffRow]:
    """A row for each period and series that is in either answer."""
    dims = [c.name for c in new.dimension_columns]
    before = {_place(row, dims): row for row in old.data}
    after = {_place(row, dims): row for row in new.data}
    places = sorted({*before, *after}, key=lambda place: tuple((part is None, str(part)) for part in place))
    return [_row(metric, dims, place, before.get(place), after.get(place)) for place in places]


def _place(row: Row, dims: list[str]) -> tuple[Any, ...]:
    return (row["period"], *(row[d] for d in dims))


def _row(metric: str, dims: list[str], place: tuple[Any, ...], old: Row | None, new: Row | None) -> DiffRow:
    before: Any = old[metric] if old else None
    after: Any = new[metric] if new else None
    known = before is not None and after is not None
    difference = _minus(after, before) if known else None
    return DiffRow(
        period=place[0],
        series=dict(zip(dims, place[1:], strict=True)),
        old=before,
        new=after,
        difference=difference,
        change=None if difference is None or not before else float(difference) / abs(float(before)),
        same=_close(before, after) if known else before is after,
        why={name: why for name, side in (("old", old), ("new", new)) if (why := _why(metric, side))},
    )


def _minus(a: DiffNumber, b: DiffNumber) -> DiffNumber:
    """The difference, exact unless one of them is a float."""
    if isinstance(a, float) or isinstance(b, float):
        return float(a) - float(b)
    return a - b


def _close(a: DiffNumber, b: DiffNumber) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        return is_close(a, b)
    return a == b


def _why(metric: str, row: Row | None) -> str | None:
    """Why a value is null. A missing row means that there are no facts of its series."""
    if row is None:
        return "no facts"
    notes: Mapping[str, Any] = (row.get("notes") or {}).get(metric) or {}
    return notes.get("why") if row[metric] is None else None


def _plain(value: Any) -> Any:
    if isinstance(value, DiffRow):
        row = {name: _plain(item) for name, item in msgspec.structs.asdict(value).items()}
        return row if value.why else {name: item for name, item in row.items() if name != "why"}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date) else value
