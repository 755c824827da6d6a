"""The subjects of rules as a relation of the engine.

Subjects are all users or accounts, including deleted ones, with the current and earlier values of the attributes in
conditions; or the book, whose attributes are its metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.config import ANY, SINCE_LAST, ConditionColumn
from tallybook.core import (
    BOOK_ENTITY,
    EVENT_TYPES,
    ONE_DAY,
    SUBJECT_BOOK,
    TEXT_VALUE,
    EntitySettings,
    QueryError,
    calendar,
    plus_days,
)
from tallybook.query.entity_past import check_begun
from tallybook.query.entity_snapshots import EntitySnapshots
from tallybook.query.entity_table import IS_KNOWN, EntityTable, with_metrics
from tallybook.query.metric_attributes import MetricValues, book_values, metric_values
from tallybook.query.snapshot_subjects import snapshot_subjects
from tallybook.storage import (
    AttributeType,
    Entity,
    EntityHistory,
    EntityLedger,
    entities_at,
    identifier,
    literal,
    load_rows,
    stamp_of,
)

if TYPE_CHECKING:
    import duckdb

    from tallybook.query.service import QueryService

IS_GONE = "is gone"
"""The column that says whether an entity is deleted."""
_SPAN = re.compile(r"\s*(\d+)(?:\.0+)?\s*(second|minute|hour|day|week|month|year)s?\s*", re.IGNORECASE)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400}


@dataclass(frozen=True, kw_only=True)
class SubjectsQuestion:
    """The attributes to load for a kind of subject at an instant. Names are in lower case; `earlier` has (name, span)
    pairs."""

    kind: str
    names: Sequence[str]
    earlier: Sequence[tuple[str, str]]
    now: datetime
    ids: Sequence[str] | None = None
    """Load only these entities; None: all."""
    as_of: bool = False
    """Whether entities are loaded as they were at `now` instead of in their current state."""


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """The loaded relation, with the columns `id`, `is gone` and the attributes."""

    kind: str
    sql: str
    columns: Mapping[str, ConditionColumn]
    earlier: Mapping[tuple[str, str], ConditionColumn]
    """Columns of earlier values, by (name in lower case, span)."""
    metrics: frozenset[str]
    """Attributes that are metrics, in lower case."""
    day: date
    """The last day of the metrics."""
    whys: Mapping[str, str] = field(default_factory=dict)
    """Why an attribute is unknown for every entity, by attribute."""
    commit: int = 0

    def earlier_column(self, name: str, span: str) -> ConditionColumn:
        """The column of an earlier value. Raises QueryError if it was not requested."""
        try:
            return self.earlier[name.casefold(), span]
        except KeyError:
            raise QueryError(f"no earlier value of {name!r} is known here") from None


def load_subjects(service: QueryService, engine: duckdb.DuckDBPyConnection, question: SubjectsQuestion) -> Subjects:
    """Load the subjects of a question into temporary tables of the engine."""
    zone = service.reader.project.catalog.book.timezone
    day = calendar.day_of(question.now, zone) - ONE_DAY
    if question.kind == SUBJECT_BOOK:
        return _Book(service, question, day).load(engine)
    settings = service.catalog.entities[question.kind]
    return _Entities(service, settings, question, day).load(engine)


def earlier_instant(now: datetime, span: str, zone: str) -> datetime:
    """`now` minus a span. Spans of months and years keep the time of day."""
    found = _SPAN.fullmatch(span)
    if found is None:
        raise QueryError(f"{span!r} is not a span", hint="write it as '7 days'")
    number, unit = int(found[1]), found[2].lower()
    if unit in _SECONDS:
        return now - timedelta(seconds=number * _SECONDS[unit])
    day = calendar.day_of(now, zone)
    months = number * (12 if unit == "year" else 1)
    return now - (day - calendar.months_before(day, months))


def earlier_day(day: date, span: str, zone: str) -> date:
    """The last day of metrics a span ago. Spans shorter than a day count as one day."""
    now = calendar.end_of(day, zone)
    return min(calendar.day_of(earlier_instant(now, span, zone), zone) - ONE_DAY, plus_days(day, -1))


@dataclass(frozen=True)
class _Entities:
    """Loads users or accounts."""

    service: QueryService
    settings: EntitySettings
    question: SubjectsQuestion
    day: date

    @property
    def zone(self) -> str:
        return self.service.catalog.book.timezone

    @property
    def declared(self) -> frozenset[str]:
        """Attributes that are read from a table, in lower case."""
        return frozenset(name.casefold() for name in self.settings.attributes)

    @property
    def ledger(self) -> EntityLedger:
        return EntityLedger(self.service.reader.store.ledger, self.service.reader.store.files)

    @property
    def history(self) -> EntityHistory:
        store = self.service.reader.store
        return EntityHistory(store.ledger, store.files)

    def load(self, engine: duckdb.DuckDBPyConnection) -> Subjects:
        metrics = self.metrics()
        number, table, whys = self.table(engine)
        table = with_metrics(engine, table, metrics)
        own = {name.casefold() for name in self.settings.metrics}
        named = {f"{name}@{span}": (name, span) for name, span in self.question.earlier}
        whys |= {name: one.why for name, one in metrics.items() if one.why is not None and name not in named}
        earlier = {pair: table.columns[name] for name, pair in named.items() if name in table.columns}
        columns = {name: column for name, column in table.columns.items() if name not in named}
        return Subjects(
            kind=self.settings.kind,
            sql=table.sql,
            columns=columns,
            earlier=earlier,
            metrics=frozenset(own),
            day=self.day,
            whys=whys,
            commit=number,
        )

    def table(self, engine: duckdb.DuckDBPyConnection) -> tuple[int, EntityTable, dict[str, str]]:
        """(commit, the table of the attributes that are not metrics, why attributes are unknown for every entity)."""
        own = {name.casefold() for name in self.settings.metrics}
        if self.question.ids is not None or self.question.as_of or self.has_past_attributes(own):
            types = self.ledger.types(self.settings.kind)
            number, entities = self.entities()
            table, whys = self.base(engine, types, entities)
            return number, table, whys
        snapshots = EntitySnapshots.of(self.service.reader.project.place, self.ledger)
        names = [name for name in self.question.names if name not in own]
        now = snapshot_subjects(engine, snapshots, self.settings.kind, names, self.settings.attributes, IS_GONE)
        columns = dict(now.table.columns)
        whys = self.add_missing(columns, now.types, own)
        return now.number, EntityTable(sql=now.table.sql, columns=columns), whys

    def has_past_attributes(self, metrics: set[str]) -> bool:
        """Whether earlier values of attributes that are not metrics were requested."""
        return any(name not in metrics and span != SINCE_LAST for name, span in self.question.earlier)

    def metrics(self) -> dict[str, MetricValues]:
        """The requested metrics, current and earlier. Earlier ones are named name@span."""
        catalog, folded = self.service.catalog, {name.casefold(): name for name in self.settings.metrics}
        wanted = [folded[name] for name in self.question.names if name in folded]
        found = dict(metric_values(self.service, catalog, self.settings, self.day, wanted)) if wanted else {}
        for name, span in self.question.earlier:
            if name in folded and span != SINCE_LAST:
                then = earlier_day(self.day, span, self.zone)
                one = metric_values(self.service, catalog, self.settings, then, [folded[name]])
                found[f"{name}@{span}"] = one[folded[name]]
        return found

    def entities(self) -> tuple[int, Iterable[Entity]]:
        """(commit, the requested entities)."""
        asked, kind = self.question, self.settings.kind
        if asked.as_of:
            # Changes received at exactly this instant are included.
            until = stamp_of(asked.now + timedelta(microseconds=1))
            check_begun(self.history, kind, until, f"{asked.now:%Y-%m-%d}", self.zone)
            found = entities_at(self.history.rows(kind), until)
            return self.ledger.number(), [found[id_] for id_ in sorted(found)]
        if asked.ids is not None:
            return self.ledger.number(), self.ledger.some(kind, asked.ids)
        return self.ledger.every(kind)

    def base(
        self, engine: duckdb.DuckDBPyConnection, types: Mapping[str, AttributeType], entities: Iterable[Entity]
    ) -> tuple[EntityTable, dict[str, str]]:
        """The table of the attributes that are not metrics, and why attributes are unknown for every entity."""
        own = {name.casefold() for name in self.settings.metrics}
        names = [types[name] for name in self.question.names if name in types and name not in own]
        past = [
            (types[name], span)
            for name, span in self.question.earlier
            if name in types and name not in own and span != SINCE_LAST
        ]
        spec = {"id": "VARCHAR", IS_GONE: "BOOLEAN"} | {one.spelled: EVENT_TYPES[one.type] for one in names}
        spec |= {f"{one.spelled} {IS_KNOWN}": "BOOLEAN" for one in names if one.name in self.declared}
        for type_, span in past:
            column = f"{type_.name}@{span}"
            spec |= {column: EVENT_TYPES[type_.type], f"{column} {IS_KNOWN}": "BOOLEAN"}
        table = f"{self.settings.kind}_of_rules"
        empty = [one for one in self.settings.attributes if one.casefold() in {*self.question.names} - {*types} - own]
        spec |= {f"{one} {IS_KNOWN}": "BOOLEAN" for one in empty}
        load_rows(engine, table, spec, self.rows(entities, names, past, empty))
        columns = {"id": ConditionColumn(sql="id", type=TEXT_VALUE)}
        loaded = [*((one, one.spelled) for one in names), *((t, f"{t.name}@{span}") for t, span in past)]
        flags = {column: identifier(f"{column} {IS_KNOWN}") for _, column in loaded if f"{column} {IS_KNOWN}" in spec}
        unknown = _unknown_for_somebody(engine, table, flags)
        for type_, column in loaded:
            known = flags[column] if column in unknown else None
            columns[column] = ConditionColumn(sql=identifier(column), type=type_.type, known=known)
        for one in empty:
            # It has no type yet. Wherever it was read, it is empty.
            flag = identifier(f"{one} {IS_KNOWN}")
            if engine.execute(f"SELECT bool_or({flag} AND NOT {identifier(IS_GONE)}) FROM {table}").fetchall()[0][0]:
                columns[one] = ConditionColumn(sql="NULL", type=ANY, known=flag)
        whys = self.add_missing(columns, types, own)
        return EntityTable(sql=table, columns=columns), whys

    def add_missing(
        self, columns: dict[str, ConditionColumn], types: Mapping[str, AttributeType], own: set[str]
    ) -> dict[str, str]:
        """Add attributes that have no value yet.

        Attributes of a table are unknown for every entity until it is read. Attributes that may be pushed are empty."""
        whys: dict[str, str] = {}
        nothing = ConditionColumn(sql="NULL", type=ANY, known="FALSE")
        declared = {name.casefold(): name for name in self.settings.attributes}
        for name in self.question.names:
            if name not in types and name not in own and name != "id" and declared.get(name) not in columns:
                spelled = declared.get(name, name)
                columns[spelled] = nothing if name in declared else ConditionColumn(sql="NULL", type=ANY)
                whys |= {spelled: "it was not read yet: tallybook run"} if name in declared else {}
        for name, span in self.question.earlier:
            if name not in types and name not in own and span != SINCE_LAST:
                columns[f"{name}@{span}"] = nothing
        return whys

    def rows(
        self,
        entities: Iterable[Entity],
        names: Sequence[AttributeType],
        past: Sequence[tuple[AttributeType, str]],
        empty: Sequence[str],
    ) -> Iterator[dict[str, Any]]:
        """The rows to load. `empty`: attributes of the table that have no value, and so no type, yet."""
        then = self.then({span for _, span in past})
        declared = self.declared

        def was_read(entity: Entity, type_: AttributeType) -> bool:
            """Whether the value of an attribute is known. An attribute of a table is known once it was read."""
            return type_.name not in declared or type_.spelled in entity.record.values

        spelled = [type_.spelled for type_ in names]
        flags = [(f"{type_.spelled} {IS_KNOWN}", type_) for type_ in names if type_.name in declared]
        for one in entities:
            values = one.record.effective()
            row: dict[str, Any] = {name: values[name] for name in spelled if name in values}
            row["id"], row[IS_GONE] = one.id, one.deleted is not None
            for flag, type_ in flags:
                row[flag] = was_read(one, type_)
            row |= {f"{name} {IS_KNOWN}": name in one.record.values for name in empty}
            for type_, span in past:
                before = then[span].get(one.id)
                is_known = before is not None and before.deleted is None and was_read(before, type_)
                row[f"{type_.name}@{span}"] = before.record.effective().get(type_.spelled) if before else None
                row[f"{type_.name}@{span} {IS_KNOWN}"] = is_known
            yield row

    def then(self, spans: Iterable[str]) -> dict[str, dict[str, Entity]]:
        """The entities as they were a span ago, for each span."""
        spans = list(spans)
        history = list(self.history.rows(self.settings.kind)) if spans else []
        return {
            span: entities_at(history, stamp_of(earlier_instant(self.question.now, span, self.zone))) for span in spans
        }


def _unknown_for_somebody(engine: duckdb.DuckDBPyConnection, table: str, flags: Mapping[str, str]) -> set[str]:
    """The columns, given with their flags, that are unknown for some entity that is not deleted."""
    if not flags:
        return set()
    asked = ", ".join(f"coalesce(bool_and({flag} OR {identifier(IS_GONE)}), TRUE)" for flag in flags.values())
    (row,) = engine.execute(f"SELECT {asked} FROM {table}").fetchall()
    return {column for column, is_known in zip(flags, row, strict=True) if not is_known}


@dataclass(frozen=True)
class _Book:
    """The book as the only subject: its metrics on the last closed day."""

    service: QueryService
    question: SubjectsQuestion
    day: date

    def load(self, engine: duckdb.DuckDBPyConnection) -> Subjects:
        catalog = self.service.catalog
        folded = {name.casefold(): name for name in catalog.metrics}
        wanted = [folded[name] for name in self.question.names if name in folded]
        now = book_values(self.service, catalog, wanted, self.day)
        then: dict[tuple[str, str], MetricValues] = {}
        for name, span in self.question.earlier:
            if name in folded and span != SINCE_LAST:
                day = earlier_day(self.day, span, catalog.book.timezone)
                then[name, span] = book_values(self.service, catalog, [folded[name]], day)[folded[name]]
        columns = {"id": ConditionColumn(sql="id", type=TEXT_VALUE)}
        shown = [f"{literal(BOOK_ENTITY)} AS id", f"FALSE AS {identifier(IS_GONE)}"]
        for name, one in now.items():
            columns[name] = self._add(shown, name, one)
        earlier = {key: self._add(shown, f"{key[0]}@{key[1]}", one) for key, one in then.items()}
        nobody = " WHERE FALSE" if self.question.ids is not None and BOOK_ENTITY not in self.question.ids else ""
        engine.execute(f"CREATE OR REPLACE TEMP TABLE book_of_rules AS SELECT {', '.join(shown)}{nobody}").fetchall()
        return Subjects(
            kind=SUBJECT_BOOK,
            sql="book_of_rules",
            columns=columns,
            earlier=earlier,
            metrics=frozenset(folded),
            day=self.day,
            whys={name: one.why for name, one in now.items() if one.why is not None},
        )

    def _add(self, shown: list[str], name: str, one: MetricValues) -> ConditionColumn:
        value, why = one.of(BOOK_ENTITY)
        type_ = EVENT_TYPES[one.type]
        shown.append(f"CAST({'NULL' if value is None else repr(value)} AS {type_}) AS {identifier(name)}")
        flag = identifier(f"{name} {IS_KNOWN}")
        shown.append(f"{'FALSE' if why else 'TRUE'} AS {flag}")
        return ConditionColumn(sql=identifier(name), type=one.type, known=flag if why else None)
