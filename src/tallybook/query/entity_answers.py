"""Questions about users and accounts: lists by a condition, and the details of one entity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.config import compile_condition
from tallybook.core import (
    NUMBER_VALUE,
    ONE_DAY,
    TEXT_VALUE,
    EntitySettings,
    QueryError,
    calendar,
    did_you_mean,
)
from tallybook.query.entity_export import ChosenEntities
from tallybook.query.entity_past import check_begun
from tallybook.query.entity_snapshots import EntitySnapshots
from tallybook.query.entity_table import EntityTable, current_table, entity_table, with_metrics
from tallybook.query.metric_attributes import MetricValues, metric_values
from tallybook.query.question import Day, as_day
from tallybook.query.service import QueryService
from tallybook.storage import Entity, EntityHistory, EntityLedger, entities_at, literal, stamp_of

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, kw_only=True)
class EntityList:
    """The users or accounts selected by a condition. `unknown`: the number for which the condition's outcome is
    unknown."""

    kind: str
    columns: list[str]
    rows: list[tuple[Any, ...]]
    unknown: int
    number: int
    """The commit of users and accounts that was read."""
    whys: dict[str, str] = field(default_factory=dict)
    """Why the values of an attribute are unknown, by attribute."""

    def to_dict(self) -> dict[str, Any]:
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {self.kind: rows, "unknown": self.unknown, "commit": self.number, "why": self.whys}


@dataclass(frozen=True, kw_only=True)
class AttributeValue:
    """A value with its times and its origin. `beside`: a pushed value that does not count, because the attribute is
    read.

    `other`: the last value of a wrong type."""

    value: Any
    time: str
    received: str
    origin: str
    beside: Any = None
    other: Any = None

    def to_dict(self) -> dict[str, Any]:
        found = {"value": self.value, "time": self.time, "received": self.received, "from": self.origin}
        more = {"pushed": self.beside, "other_type": self.other}
        return found | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class MetricValue:
    """The value of an attribute that is a metric. `why`: why it is unknown. `until`: the last day for which it is
    known."""

    value: Any
    why: str | None = None
    until: date | None = None

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"value": self.value}
        return found | ({"why": self.why, "until": self.until and str(self.until)} if self.why else {})


@dataclass(frozen=True, kw_only=True)
class EntityDetails:
    """The details of one user or account."""

    kind: str
    id: str
    attributes: dict[str, AttributeValue]
    metrics: dict[str, MetricValue]
    deleted: str | None = None

    def to_dict(self) -> dict[str, Any]:
        found = {name: one.to_dict() for name, one in self.attributes.items()}
        metrics = {name: one.to_dict() for name, one in self.metrics.items()}
        return {"id": self.id, "attributes": found, "metrics": metrics, "deleted": self.deleted}


class EntityAnswers:
    """The users or the accounts of a book."""

    def __init__(self, settings: EntitySettings, service: QueryService) -> None:
        self.settings, self.service, self.reader = settings, service, service.reader

    @property
    def kind(self) -> str:
        return self.settings.kind

    @property
    def ledger(self) -> EntityLedger:
        return EntityLedger(self.reader.store.ledger, self.reader.store.files)

    # -- lists -----------------------------------------------------------------------------------------

    def list(
        self,
        where: str = "",
        *,
        columns: Sequence[str] = (),
        sort: str = "id",
        limit: int | None = None,
        as_of: Day | None = None,
    ) -> EntityList:
        """The entities for which a condition is true, sorted by a column (`-mrr`: descending).

        Raises QueryError for an invalid condition or an unknown attribute."""
        with self.chosen(where, columns=columns, sort=sort, limit=limit, as_of=as_of) as found:
            return EntityList(
                kind=self.kind,
                columns=[*found.columns],
                rows=found.cursor().fetchall(),
                unknown=found.unknown,
                number=found.number,
                whys=found.whys,
            )

    @contextmanager
    def chosen(
        self,
        where: str = "",
        *,
        columns: Sequence[str] = (),
        sort: str = "id",
        limit: int | None = None,
        as_of: Day | None = None,
    ) -> Iterator[ChosenEntities]:
        """The result of `list` before its rows are fetched. It must be read inside the block.

        Raises QueryError for an invalid condition or an unknown attribute."""
        metrics = self._metrics(as_of, self._named(where, sort, columns))
        with self.reader.reading() as reading:
            number, table = self._table(reading.engine, as_of)
            types = {name.casefold() for name in table.columns}
            table = with_metrics(reading.engine, table, metrics)
            condition = compile_condition(where, table.columns, now=self._now(as_of)) if where else None
            named = columns or [one for one in self.settings.attributes if one.casefold() in types]
            wanted = ["id", *(self._column(table, name) for name in named), *(() if columns else table.columns)]
            chosen = f" WHERE {condition.where}" if condition else ""
            order = self._order(table, sort)
            unknown = 0
            if condition and condition.unknown:
                counted = f"SELECT count(*) FROM {table.sql} WHERE {condition.unknown}"
                unknown = reading.engine.execute(counted).fetchall()[0][0]
            yield ChosenEntities(
                engine=reading.engine,
                columns={name: table.columns[name] for name in dict.fromkeys(wanted)},
                relation=f"{table.sql}{chosen}{order}" + _limit(limit),
                matching=f"{table.sql}{chosen}",
                order=order,
                everybody=table.sql,
                unknown=unknown,
                number=number,
                whys={name: one.why for name, one in metrics.items() if one.why is not None and name in wanted},
            )

    def _named(self, where: str, sort: str, columns: Sequence[str]) -> Sequence[str] | None:
        """The metric attributes that are needed; None means all, if no columns are named."""
        words = {one.casefold() for one in (*columns, *re.findall(r"\w+", f"{where} {sort}"))}
        return [name for name in self.settings.metrics if name.casefold() in words] if columns else None

    def _metrics(
        self, as_of: Day | None, names: Sequence[str] | None = None, only: str | None = None
    ) -> dict[str, MetricValues]:
        """The metric attributes, up to a day; by default up to the last closed day."""
        day = as_day(as_of, self.reader.today) or self.reader.today - ONE_DAY
        return metric_values(self.service, self.reader.project.catalog, self.settings, day, names, only=only)

    def _table(self, engine: duckdb.DuckDBPyConnection, as_of: Day | None) -> tuple[int, EntityTable]:
        """(commit, table of the entities now or at the end of a day)."""
        if not self.reader.has_book:
            return 0, entity_table(engine, self.kind, {}, ())
        if as_of is None:
            return current_table(engine, self.kind, EntitySnapshots.of(self.reader.project.place, self.ledger))
        return self.ledger.number(), entity_table(
            engine, self.kind, self.ledger.types(self.kind), self._at(as_of).values()
        )

    def _at(self, as_of: Day, entity_id: str | None = None) -> dict[str, Entity]:
        day = as_day(as_of, self.reader.today)
        assert day is not None
        if day > self.reader.today:
            raise QueryError(
                f"--as-of {day} is in the future", hint=f"the latest possible: --as-of {self.reader.today}"
            )
        store, end = self.reader.store, self._end_of(day)
        history = EntityHistory(store.ledger, store.files)
        check_begun(history, self.kind, end, f"--as-of {day}", self.reader.project.catalog.book.timezone)
        return entities_at(history.rows(self.kind, entity_id), end)

    def _end_of(self, day: date) -> str:
        return stamp_of(calendar.end_of(day, self.reader.project.catalog.book.timezone))

    def _now(self, as_of: Day | None) -> str:
        day = as_day(as_of, self.reader.today)
        return f"TIMESTAMPTZ {literal(self._end_of(day) if day else self.reader.now.isoformat())}"

    def _column(self, table: EntityTable, name: str) -> str:
        """The attribute in its declared spelling. Raises QueryError with the closest name."""
        folded = {one.casefold(): one for one in table.columns}
        if name.casefold() in folded:
            return folded[name.casefold()]
        listed = ", ".join(table.columns)
        raise QueryError(
            f"{self.kind} have no attribute {name!r}",
            hint=f"{did_you_mean(name, list(table.columns))} there are: {listed}".strip(),
        )

    def _order(self, table: EntityTable, sort: str) -> str:
        name = self._column(table, sort.removeprefix("-"))
        direction = "DESC NULLS LAST" if sort.startswith("-") else "ASC NULLS LAST"
        return f" ORDER BY {table.columns[name].sql} {direction}, id"

    def type_of(self, name: str) -> str:
        """The type of an attribute; text if it has no value yet."""
        if name in self.settings.metrics:
            return NUMBER_VALUE
        known = self.ledger.types(self.kind).get(name.casefold()) if self.reader.has_book else None
        return known.type if known else TEXT_VALUE

    def attributes(self) -> Sequence[str]:
        """The attributes that any entity has, without metric attributes."""
        return [one.spelled for one in self.ledger.types(self.kind).values()] if self.reader.has_book else []

    def has(self, name: str) -> bool:
        """Whether any entity has an attribute."""
        return self.reader.has_book and name.casefold() in self.ledger.types(self.kind)

    def latest(self, names: Sequence[str], also: str | None = None) -> Iterator[tuple[str, Sequence[Any], Any]]:
        """(id, values of the attributes, value of one more) for every entity, in order of id. Unknown values are None.

        If no table is declared, ids that only appear in metrics are included."""
        asked = [*names, *([also] if also else [])]
        for entity, *values in self.list(columns=asked).rows:
            yield entity, values[: len(names)], values[-1] if also else None
        metrics = {name: one for name, one in self._metrics(None).items() if name in names and one.why is None}
        if self.settings.table is not None or not metrics:
            return
        known = {one.id for one in self.ledger.every(self.kind)[1]}
        for entity in sorted({id_ for one in metrics.values() for id_ in one.values} - known):
            yield entity, [metrics[name].of(entity)[0] if name in metrics else None for name in names], None

    # -- one -------------------------------------------------------------------------------------------

    def show(self, entity_id: str, *, as_of: Day | None = None) -> EntityDetails:
        """The details of one user or account, now or at the end of a day. Raises QueryError if it does not exist."""
        found = None
        if self.reader.has_book:
            found = (
                self.ledger.get(self.kind, entity_id) if as_of is None else self._at(as_of, entity_id).get(entity_id)
            )
        if found is None:
            when = f" as of {as_of}" if as_of else ""
            raise QueryError(
                f"there is no {self.kind.removesuffix('s')} {entity_id!r}{when}",
                hint=f"`tallybook {self.kind} list` shows their ids",
            )
        metrics = {}
        for name, one in self._metrics(as_of, only=entity_id).items():
            value, why = one.of(entity_id)
            metrics[name] = MetricValue(value=value, why=why, until=one.until)
        return entity_details(self.kind, found, metrics)


def entities_of(service: QueryService, kind: str) -> EntityAnswers:
    """The users or the accounts of a book. Raises QueryError if they are not declared."""
    found = service.catalog.entities.get(kind)
    if found is None:
        paste = f'[{kind}]\ntable = "{kind}"\nattributes = ["name"]'
        raise QueryError(
            f"tallybook.toml declares no [{kind}]", hint=f"add to it, or [{kind}] alone to push them:\n{paste}"
        )
    return EntityAnswers(found, service)


def entity_details(kind: str, entity: Entity, metrics: dict[str, MetricValue] | None = None) -> EntityDetails:
    """The details of one entity."""
    return EntityDetails(
        kind=kind, id=entity.id, attributes=_attributes(entity), metrics=metrics or {}, deleted=entity.deleted
    )


def _attributes(entity: Entity) -> dict[str, AttributeValue]:
    record = entity.record
    found = {}
    for name, value in record.values.items():
        time, received = record.since.get(name, record.read)
        pushed = record.attribute(name).value if name in record.pushed else None
        found[name] = AttributeValue(
            value=value, time=time, received=received, origin=record.source, beside=pushed, other=record.other.get(name)
        )
    for name in record.pushed:
        attribute = record.attribute(name)
        last = attribute.last
        if name not in found and last is not None:
            found[name] = AttributeValue(
                value=attribute.value,
                time=last.time,
                received=last.received,
                origin=last.origin,
                other=record.other.get(name),
            )
    return found


def _limit(limit: int | None) -> str:
    if limit is None:
        return ""
    if limit < 1:
        raise QueryError(f"--limit {limit} leaves nothing", hint="--limit 10")
    return f" LIMIT {limit}"
