"""Reads users and accounts from the tables that `[users]` and `[accounts]` name, before each run of all metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tallybook.collect.identity import check_identity
from tallybook.collect.report import EntityReport
from tallybook.collect.run_context import RunContext
from tallybook.collect.sources.base import Reader, Source
from tallybook.collect.sources.entities import EntitiesSource
from tallybook.collect.sources.values import TEXT, TIMESTAMP, ColumnType, as_instant, as_text
from tallybook.core import (
    MAX_ID,
    EntitySettings,
    SourceError,
    isolated,
    plain_attribute,
    shorten_list,
)
from tallybook.storage import EntityLedger, stamp_of

BATCH = 5_000
"""Number of rows stored in one transaction, so that other processes do not wait too long for the ledger."""
ACCOUNT_ATTRIBUTE = "account"
"""The attribute of a user that has the id of the account."""


def collect_entities(context: RunContext, run: int) -> list[EntityReport]:
    """Read every kind of entity that has a table. If one fails, the failure is reported and the others are still
    read."""
    reports = []
    for settings in context.catalog.entities.values():
        if settings.table is None or settings.source is None:
            continue
        report, began = EntityReport(kind=settings.kind, source=settings.source), time.monotonic()
        try:
            if (unopened := context.unopened.get(settings.source)) is not None:
                raise unopened
            with isolated():
                check_identity(context, settings.source)
                _Reading(context, settings, run, report).work()
            if isinstance(own := context.sources.get(settings.kind), EntitiesSource):
                own.note_read(context.clock())
        except SourceError as error:
            report.error, report.hint = context.mask(error.message), context.mask(error.hint)
        report.seconds = time.monotonic() - began
        reports.append(report)
    return reports


@dataclass
class _Reading:
    """Reads one table of entities."""

    context: RunContext
    settings: EntitySettings
    run: int
    report: EntityReport
    seen: set[str] = field(default_factory=set)

    def work(self) -> None:
        """Read the table and store what has changed. Raises SourceError; then the stored attributes stay as they
        were."""
        settings, source = self.settings, self.source
        self.types = self._types()
        with source.snapshot() as reader:
            self._check_unique(reader)
            for batch in reader.batches(self._select(), BATCH):
                self._keep(batch)
        gone = [one for one in self.entities.ids(settings.kind, self.report.source) if one not in self.seen]
        done = self.entities.delete(
            settings.kind, gone, origin=self.report.source, run=self.run, now=self.context.clock()
        )
        self.report.rows, self.report.deleted = len(self.seen), done.changed

    @property
    def source(self) -> Source:
        return self.context.sources[self.report.source]

    @property
    def entities(self) -> EntityLedger:
        return EntityLedger(self.context.store.ledger, self.context.store.files)

    @property
    def columns(self) -> list[str]:
        """The columns to read besides those with ids, without duplicates."""
        changed = [self.settings.changed] if self.settings.changed else []
        return list(dict.fromkeys([*self.settings.attributes, *changed]))

    @property
    def ids(self) -> list[str]:
        """The columns with ids: the key, and of users the account."""
        return [self.settings.key, *([self.settings.account] if self.settings.account else [])]

    @property
    def relation(self) -> str:
        return self.source.table_name(self.settings.table or "")

    def _select(self) -> str:
        """The ids, then the other columns. Ids and texts have the form that dimensions of metrics have: CHAR is not
        padded, and the id 1.50 is 1.5."""
        ids = [self._text(name) for name in self.ids]
        others = [self._text(name) if self._kind(name) == TEXT else self.source.quote(name) for name in self.columns]
        named = [f"{sql} AS tallybook_{place}" for place, sql in enumerate([*ids, *others])]
        return f"SELECT {', '.join(named)} FROM {self.relation}"

    def _text(self, name: str) -> str:
        return self.source.text(self.source.quote(name), self.types[name])

    def _types(self) -> dict[str, ColumnType]:
        """The type of each column, by name."""
        names = list(dict.fromkeys([*self.ids, *self.columns]))
        return dict(zip(names, self.source.probe(self.relation, [self.source.quote(n) for n in names]), strict=True))

    def _kind(self, name: str) -> str:
        """The kind of a column. Columns in which the database stores times as text count as times."""
        type_ = self.types[name]
        return TIMESTAMP if type_.declared.lower().startswith(("date", "timestamp")) else type_.kind

    def _check_unique(self, reader: Reader) -> None:
        """Raise SourceError if two rows have the same key. Then nothing is stored."""
        key = self.source.quote(self.settings.key)
        counted = f"SELECT {key} FROM {self.relation} WHERE {key} IS NOT NULL GROUP BY {key} HAVING COUNT(*) > 1"
        twice = reader.rows(self.source.limited(counted, 1))
        if not twice:
            return
        value = twice[0][0]
        shown = self.source.limited(f"{self._select()} WHERE {key} = {_literal(value)}", 2)
        names = [*self.ids, *self.columns]
        texts = [[as_text(v) if isinstance(v, bytes) else v for v in row] for row in reader.rows(shown)]
        rows = [shorten_list([f"{n}={v}" for n, v in zip(names, row, strict=True)], 6) for row in texts]
        raise SourceError(
            f"[{self.settings.kind}] key = {self.settings.key!r} is not unique: {self.settings.table} has "
            f"{' and '.join(f'({row})' for row in rows)}; nothing was read",
            hint='name the column that is unique, as key = "id", or a view with one row for each',
        )

    def _keep(self, batch: Sequence[tuple[Any, ...]]) -> None:
        rows: dict[str, Mapping[str, Any]] = {}
        times: dict[str, str] = {}
        for row in batch:
            key, account, values = row[0], row[len(self.ids) - 1], row[len(self.ids) :]
            if key is None:
                self.report.skipped += 1
                continue
            entity = as_text(key) or ""
            if len(entity) > MAX_ID:
                raise SourceError(
                    f"[{self.settings.kind}] an id of {self.settings.table} has {len(entity)} characters: "
                    f"{entity[:40]}…; the limit is {MAX_ID}",
                    hint="name a column with shorter ids: key = …",
                )
            self.seen.add(entity)
            found = dict(zip(self.columns, values, strict=True))
            if (changed := self._changed_at(found)) is not None:
                times[entity] = changed
            rows[entity] = dict(self._attributes(found, account))
        done = self.entities.collect(
            self.settings.kind, self.report.source, rows, times=times, run=self.run, now=self.context.clock()
        )
        self.report.changed += done.changed
        for name, count in done.conflicts.items():
            self.report.conflicts[name] = self.report.conflicts.get(name, 0) + count

    def _attributes(self, found: Mapping[str, Any], account: Any) -> Iterator[tuple[str, Any]]:
        for name in self.settings.attributes:
            yield name, self._value(name, found[name])
        if self.settings.account:
            yield ACCOUNT_ATTRIBUTE, as_text(account)

    def _value(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        match self._kind(name):
            case "timestamp" | "timestamptz" | "date":
                return as_instant(value, f"[{self.settings.kind}] {name} of {self.settings.table} is").astimezone(UTC)
            case "bool" if value in (0, 1):
                return bool(value)
            case "decimal" | "float":
                return float(value)
            case "text" if isinstance(value, bytes):
                return as_text(value)
        return plain_attribute(value)

    def _changed_at(self, found: Mapping[str, Any]) -> str | None:
        """Since when the row is valid, by its own column. None if the column has no value or a time in the future."""
        name = self.settings.changed
        if name is None or found[name] is None:
            return None
        at: datetime = as_instant(found[name], f"[{self.settings.kind}] {name} of {self.settings.table} is")
        return stamp_of(at) if at <= self.context.clock() else None


def _literal(value: Any) -> str:
    """A key as an SQL literal for the source."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"
