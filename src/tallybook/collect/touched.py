"""Finds definitions of older books whose parts were read by other rules, because of rows in the source.

Zero dates and empty texts that mean "not ended", days that do not exist, and text in SQLite's numeric columns were
once read differently. Only metrics with such rows get another definition, so that their old and new parts are never
merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tallybook.collect.sources.base import Source
from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.readings import LAST_POSSIBLE
from tallybook.collect.sources.values import ColumnType
from tallybook.core import Metric, StoredDefinition, start_of

MARK = "rows."


def is_marked(bound: StoredDefinition) -> bool:
    """Whether a definition replaced one that was read by other rules."""
    return any(name.startswith(MARK) for name in bound.forms)


def touched(
    source: Source,
    metric: Metric,
    relation: str,
    forms: Mapping[str, TimeForm],
    args: Sequence[Sequence[ColumnType]],
    known: StoredDefinition | None,
) -> dict[str, str]:
    """The additions to the forms of a definition. `known`: the definition collected before. Without it, nothing is
    queried."""
    if known is None:
        return {}
    kept = {name: said for name, said in known.forms.items() if name.startswith(MARK)}
    if known.checked or kept:
        return kept
    conditions = {f"{MARK}{column}": _other_times(source, metric, column, form) for column, form in forms.items()}
    for index, types in enumerate(args):
        conditions[f"{MARK}slot.{index}"] = _other_numbers(source, metric, index, types)
    return {name: "left out" for name, one in conditions.items() if one and _contains(source, relation, one)}


def _other_times(source: Source, metric: Metric, column: str, form: TimeForm) -> str | None:
    """The condition that a time was once read differently."""
    name, real = source.quote(column), source.real_day(source.quote(column), form)
    last = LAST_POSSIBLE
    unreal = f"({name} < {source.bound(form, start_of(last, 'UTC'), last)} AND CASE WHEN {real} THEN 0 ELSE 1 END = 1)"
    several = [unreal] if real and form.name != "text_offset" else []
    if metric.interval and column == metric.until:
        several.append(f"(({source.not_ended(name, form)}) AND NOT ({name} IS NULL))")
    return " OR ".join(several) or None


def _other_numbers(source: Source, metric: Metric, index: int, types: Sequence[ColumnType]) -> str | None:
    assert metric.parsed is not None
    slot = metric.parsed.slots[index]
    if not types or slot.agg in ("count", "count_distinct"):
        return None
    return source.no_numbers(f"({slot.args[0]}\n)", types[0])


def _contains(source: Source, relation: str, condition: str) -> bool:
    key = ("contains", relation, condition)
    if key not in source.remembered:
        with source.snapshot() as reader:
            found = reader.rows(source.limited(f"SELECT 1 FROM {relation} WHERE {condition}", 1))
        source.remembered[key] = bool(found)
    return bool(source.remembered[key])
