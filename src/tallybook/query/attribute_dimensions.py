"""Attributes as dimensions, such as `--by accounts.plan`: of the account or user whose id a metric stores.

`accounts.plan` is the current value (with --as-of: at the end of that day), `accounts.plan@day` the value at the end
of each day, and `accounts.mrr[0,100,1000]` groups numbers into bins."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tallybook.core import (
    ATTRIBUTE_DIMENSION,
    INSTANT_VALUE,
    ONE_DAY,
    Catalog,
    EntitySettings,
    QueryError,
    Refused,
    calendar,
    did_you_mean,
)
from tallybook.query.computed_dimensions import Computed, ComputedDimension
from tallybook.query.entity_past import check_begun
from tallybook.storage import EntityHistory, EntityLedger, entities_at, entity_states, identifier, load_rows, stamp_of

if TYPE_CHECKING:
    import duckdb

    from tallybook.query.entity_snapshots import EntitySnapshots
    from tallybook.storage import AttributeType

NOT_KNOWN = "(not known)"
"""The value for ids without an account or user, and for days before the first value in the history."""
_VALUE = f"CASE WHEN {{stored}} IS NULL OR {{alias}}.id IS NOT NULL THEN {{alias}}.v ELSE '{NOT_KNOWN}' END"


@dataclass(frozen=True, kw_only=True)
class AttributeDimension:
    """An attribute as written in a question."""

    written: str
    kind: str
    name: str
    by_day: bool
    bins: tuple[float, ...]

    def label(self, value: Any) -> str | None:
        """The value as a dimension value: text, with numbers replaced by their bin."""
        if value is None:
            return None
        if self.bins and isinstance(value, (int, float)) and not isinstance(value, bool):
            place = bisect_right(self.bins, value)
            if place == 0:
                return f"< {self.bins[0]:g}"
            if place == len(self.bins):
                return f">= {self.bins[-1]:g}"
            return f"{self.bins[place - 1]:g} to < {self.bins[place]:g}"
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)


def parse_attribute(written: str) -> AttributeDimension | None:
    """The attribute that a dimension names; None for other dimensions. Raises QueryError for invalid bins."""
    found = ATTRIBUTE_DIMENSION.fullmatch(written)
    if found is None:
        return None
    bins: tuple[float, ...] = ()
    if found["bins"] is not None:
        try:
            bins = tuple(float(edge) for edge in found["bins"].split(","))
        except ValueError:
            bins = ()
        if not bins or list(bins) != sorted(set(bins)):
            raise QueryError(
                f"the bins of {written!r} are not numbers in rising order",
                hint=f"write {found['kind']}.{found['name']}[0,100,1000]",
            )
    return AttributeDimension(
        written=written, kind=found["kind"], name=found["name"], by_day=bool(found["day"]), bins=bins
    )


def check_attribute(catalog: Catalog, metric: str, asked: AttributeDimension) -> None:
    """Raise QueryError if accounts or users are not declared, Refused if the metric does not store their ids."""
    settings = catalog.entities.get(asked.kind)
    if settings is None:
        raise QueryError(
            f"{asked.written!r} needs the table of {asked.kind}, and tallybook.toml declares no [{asked.kind}]",
            hint=f'[{asked.kind}]\ntable = "{asked.kind}"\nattributes = ["{asked.name}"]',
        )
    lacking = [
        one for one in catalog.operands(metric) if not set(settings.dimension) & set(catalog.metrics[one].series_dims)
    ]
    if lacking:
        dimension = settings.dimension[0]
        raise Refused(
            f"{', '.join(lacking)} cannot be split by {asked.written!r}: the ids of {asked.kind} are not stored",
            ask=f'add "{dimension}" to by of {", ".join(f"[metrics.{one}]" for one in lacking)}',
        )


def attribute_dimensions(
    engine: duckdb.DuckDBPyConnection,
    ledger: EntityLedger,
    history: EntityHistory,
    catalog: Catalog,
    names: Sequence[str],
    *,
    as_of: date | None,
    now: datetime,
    snapshots: EntitySnapshots,
) -> Computed:
    """The attributes among a question's dimensions, each loaded into a temporary table of the engine."""
    asked = [one for name in dict.fromkeys(names) if (one := parse_attribute(name)) is not None]
    zone = catalog.book.timezone
    until = stamp_of(calendar.end_of(as_of, zone)) if as_of else stamp_of(now)
    found = {}
    for place, one in enumerate(asked):
        settings = catalog.entities[one.kind]
        known = ledger.types(one.kind)
        if one.name.casefold() not in known and one.name not in settings.attributes:
            spelled = [type_.spelled for type_ in known.values()]
            listed = f"there are: {', '.join(spelled) or 'none'}"
            raise QueryError(
                f"{one.kind} have no attribute {one.name!r}",
                hint=f"{did_you_mean(one.name, spelled)} {listed}".strip(),
            )
        name = known[one.name.casefold()].spelled if one.name.casefold() in known else one.name
        table = f"attribute_{place}"
        if as_of is not None:
            check_begun(history, one.kind, until, f"{one.written} --as-of {as_of}", zone)
        if one.by_day:
            days = _by_day(history, one, name, until, zone)
            found[one.written] = _of_each_day(engine, table, one, settings, days)
        else:
            at = as_of or calendar.day_of(now, zone)
            if as_of is None:
                _load_current(engine, table, one, known.get(one.name.casefold()), snapshots)
            else:
                types = {"id": "VARCHAR", "v": "VARCHAR"}
                load_rows(engine, table, types, _values_at(history, one, name, until))
            found[one.written] = _of_now(table, one, settings, at)
    return found


def _load_current(
    engine: duckdb.DuckDBPyConnection,
    table: str,
    one: AttributeDimension,
    known: AttributeType | None,
    snapshots: EntitySnapshots,
) -> None:
    """Create a table of (id, v) with the current dimension values, including deleted entities."""
    relation = snapshots.current(engine, one.kind).sql
    column = "NULL" if known is None else identifier(known.spelled)
    if known is not None and known.type == INSTANT_VALUE:
        column = f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    distinct = f"{table}_values"
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE {distinct} AS SELECT *, row_number() OVER () AS place "
        f"FROM (SELECT DISTINCT {column} AS value FROM {relation})"
    )
    found = engine.execute(f"SELECT place, value FROM {distinct}").fetchall()
    labels = f"{table}_labels"
    load_rows(
        engine, labels, {"place": "BIGINT", "v": "VARCHAR"}, ({"place": at, "v": one.label(v)} for at, v in found)
    )
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT e.id, l.v "
        f"FROM (SELECT id, {column} AS value FROM {relation}) e "
        f"JOIN {distinct} d ON d.value IS NOT DISTINCT FROM e.value JOIN {labels} l ON l.place = d.place"
    ).fetchall()


def _values_at(
    history: EntityHistory, one: AttributeDimension, name: str, until: str
) -> Iterator[dict[str, str | None]]:
    for entity in entities_at(history.rows(one.kind), until).values():
        yield {"id": entity.id, "v": one.label(entity.record.effective().get(name))}


def _of_now(table: str, one: AttributeDimension, settings: EntitySettings, at: date) -> ComputedDimension:
    return ComputedDimension(
        name=one.written,
        value=_VALUE,
        join=f"{table} {{alias}} ON {{alias}}.id = {{stored}}",
        stored=settings.dimension,
        said=f"{one.written} as of {at}",
    )


def _of_each_day(
    engine: duckdb.DuckDBPyConnection,
    table: str,
    one: AttributeDimension,
    settings: EntitySettings,
    days: Sequence[tuple[str, date, date, str | None]],
) -> ComputedDimension:
    types = {"id": "VARCHAR", "first": "DATE", "last": "DATE", "v": "VARCHAR"}
    load_rows(engine, table, types, (dict(zip(types, stretch, strict=True)) for stretch in days))
    first = min((day for _, day, _, _ in days), default=None)
    return ComputedDimension(
        name=one.written,
        value=_VALUE,
        join=f"{table} {{alias}} ON {{alias}}.id = {{stored}} AND p.day BETWEEN {{alias}}.first AND {{alias}}.last",
        stored=settings.dimension,
        said=f"{one.written} at the end of each day, known from {first or 'no day'} on",
    )


def _by_day(
    history: EntityHistory, one: AttributeDimension, name: str, until: str, zone: str
) -> list[tuple[str, date, date, str | None]]:
    """(id, first day, last day, value) of each stretch of days. Days before the first value are in no stretch."""
    changes: dict[str, dict[date, str | None]] = {}
    begins: dict[str, date] = {}
    for row, entity in entity_states(history.rows(one.kind), until):
        day = calendar.day_of(datetime.fromisoformat(row.time), zone)
        begins.setdefault(row.id, day)
        record = entity.record
        if name in record.values or name in record.pushed:
            changes.setdefault(row.id, {})[day] = one.label(record.effective().get(name))
    found = []
    for entity_id, begin in begins.items():
        values = changes.get(entity_id) or {begin: None}
        days = sorted(values)
        for place, day in enumerate(days):
            last = days[place + 1] - ONE_DAY if place + 1 < len(days) else date.max
            found.append((entity_id, day, last, values[day]))
    return found
