"""Binds a declared metric to its source: how its times are stored, and which of its sums are exact.

Both are part of the metric's definition, because numbers collected with another answer do not merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from tallybook.collect.joins import joined
from tallybook.collect.relations import placeholders_filled, relation_of
from tallybook.collect.slots import OWN_K, RAW_TYPES, bound_slot, is_read_otherwise, with_decimals
from tallybook.collect.sources.base import Source
from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.values import ColumnType
from tallybook.collect.time_forms import TimeColumn, changed_form, time_form
from tallybook.collect.touched import touched
from tallybook.core import (
    AS_STORED,
    BoundSlot,
    Metric,
    Slot,
    SourceError,
    SourceUnavailable,
    StoredDefinition,
)


@dataclass(frozen=True, kw_only=True)
class BoundMetric:
    """A metric bound to its source, with everything needed to write its statements.

    `dims`: the types of `metric.dims`. `series`: the types of `metric.latest_series`. `args`: the types of every slot's
    arguments, in order."""

    bound: StoredDefinition
    relation: str
    time: TimeForm | None
    since: TimeForm | None
    until: TimeForm | None
    dims: tuple[ColumnType, ...]
    args: tuple[tuple[ColumnType, ...], ...]
    series: tuple[ColumnType, ...] = ()
    reach: tuple[str, str] | None = None
    """With `join`, the table and the column through which a day's facts are found."""
    changed: TimeForm | None = None
    """How the column that marks changed facts stores times, or None if there is no such column."""

    @property
    def changed_column(self) -> str | None:
        """The column that marks changed facts: `changed`, or `received` if it is a time."""
        if self.changed is None:
            return None
        return self.metric.changed or self.metric.received_columns[0]

    @property
    def metric(self) -> Metric:
        return self.bound.metric


@dataclass(frozen=True)
class ProbedTypes:
    """The types that a source reports for the columns of a metric, and for the arguments of its aggregates."""

    times: Mapping[str, ColumnType]
    dims: tuple[ColumnType, ...]
    series: tuple[ColumnType, ...]
    args: tuple[tuple[ColumnType, ...], ...]
    changed: ColumnType


def bind(source: Source, metric: Metric, zone: str, key: str, known: StoredDefinition | None = None) -> BoundMetric:
    """Bind a metric: determine its types, times and definition from its source. `known`: the definition collected
    before.

    Raises SourceError, which names what does not exist or cannot be summed."""
    declared, reach = metric, None
    if metric.join:
        over = joined(source, metric)
        metric, relation, reach = over.metric, over.relation, over.reach
    else:
        relation = relation_of(source, metric)
    source.check_policies(relation)
    measure, whole = metric.parsed, placeholders_filled(source, metric, relation, zone)
    assert measure is not None
    types = _probed(source, metric, measure.slots, whole)
    forms = {
        name: time_form(TimeColumn(source, metric, relation, name, type_, zone)) for name, type_ in types.times.items()
    }
    slots = tuple(bound_slot(source, metric, *pair) for pair in zip(measure.slots, types.args, strict=True))
    facts = _definition_facts(metric, forms, slots, types)
    facts |= touched(source, metric, whole, forms, types.args, known)
    bound = StoredDefinition(
        metric=metric,
        definition=declared.fingerprint(zone, facts),
        key=key,
        zone=zone,
        forms=facts,
        slots=slots,
        checked=True,
    )
    return BoundMetric(
        bound=bound,
        relation=relation,
        time=forms.get(metric.time or ""),
        since=forms.get(metric.from_ or ""),
        until=forms.get(metric.until or ""),
        dims=types.dims,
        args=types.args,
        series=types.series,
        reach=reach,
        changed=_changed(source, metric, relation, types.changed, zone),
    )


def _probed(source: Source, metric: Metric, slots: Sequence[Slot], relation: str) -> ProbedTypes:
    """The types of everything a metric reads, found with one statement. Conditions are included, so that they are
    checked."""
    times = [c for c in (metric.time, metric.from_, metric.until) if c is not None]
    extra = dict.fromkeys(c for c in (*metric.latest_series, *metric.received_columns) if c not in metric.dims)
    args = [f"({arg}\n)" for slot in slots for arg in slot.args]
    conditions = [source.as_value(f"({c}\n)") for c in (metric.where, *(slot.filter for slot in slots)) if c]
    written = metric.changed or next(iter(metric.received_columns), None)
    changed = [source.quote(written)] if written else []
    columns = [source.quote(c) for c in (*times, *metric.dims, *extra)]
    found = iter(types := source.probe(relation, [*columns, *args, *conditions, *changed] or ["1"]))
    by_time = {name: next(found) for name in times}
    by_name = {name: next(found) for name in (*metric.dims, *extra)}
    of_slots = [tuple(with_decimals(next(found), metric, slot) for _ in slot.args) for slot in slots]
    return ProbedTypes(
        times=by_time,
        dims=tuple(by_name[name] for name in metric.dims),
        series=tuple(by_name[name] for name in metric.latest_series),
        args=tuple(of_slots),
        changed=types[-1],
    )


def _changed(source: Source, metric: Metric, relation: str, type_: ColumnType, zone: str) -> TimeForm | None:
    """How the column that marks changed facts stores times.

    A row that is received late changes a fact. `received` may also be a number that only orders rows. Then late rows
    are found only within the lookback."""
    if metric.changed:
        return changed_form(source, metric, relation, type_, zone)
    if not metric.received or source.finds_changes or "{{" in relation:
        return None
    try:
        return changed_form(source, replace(metric, changed=metric.received_columns[0]), relation, type_, zone)
    except SourceUnavailable:
        raise
    except SourceError:
        return None


def _definition_facts(
    metric: Metric, forms: Mapping[str, TimeForm], slots: Sequence[BoundSlot], types: ProbedTypes
) -> dict[str, str]:
    """The facts about a source that are part of a metric's definition."""
    assert metric.parsed is not None
    facts = {f"time.{name}": form.meaning for name, form in forms.items()}
    for index, (slot, bound, args) in enumerate(zip(metric.parsed.slots, slots, types.args, strict=True)):
        facts[f"slot.{index}"] = f"{bound.type} {bound.ids or (OWN_K if slot.spread else '')}".strip()
        if is_read_otherwise(slot, args, interval=metric.interval):
            facts[f"slot.{index}"] += f" {AS_STORED}"
    raw = [name for name, type_ in zip(metric.dims, types.dims, strict=True) if type_.declared in RAW_TYPES]
    return facts | {f"dim.{name}": AS_STORED for name in raw}


def describe_time(facts: BoundMetric) -> str:
    """A description of how the metric's times are read."""
    said: list[Any] = []
    for column, form in (
        (facts.metric.time, facts.time),
        (facts.metric.from_, facts.since),
        (facts.metric.until, facts.until),
    ):
        if column and form:
            said.append(f"{column} {form.says}")
    return ", ".join(said)
