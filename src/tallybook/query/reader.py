"""Reads a book: its store, if it exists, and the definitions and covered days of each metric. Changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec

from tallybook.config import Project, check_owner
from tallybook.core import (
    IMPORTED,
    ONE_DAY,
    Catalog,
    DeclarationError,
    Metric,
    QueryError,
    StoredDefinition,
    calendar,
    forks,
    json_decoder,
)
from tallybook.query.attribute_dimensions import attribute_dimensions, parse_attribute
from tallybook.query.computed_dimensions import Computed
from tallybook.query.context import Coverage, QueryContext
from tallybook.query.entity_snapshots import EntitySnapshots
from tallybook.query.event_days import known_event_days
from tallybook.query.older_history import older_of
from tallybook.query.questions import Query
from tallybook.query.records import RunRecord
from tallybook.query.shared_engine import ReadSession, SharedEngine
from tallybook.query.weekdays import WEEKDAY
from tallybook.storage import (
    EntityHistory,
    EntityLedger,
    TakenBack,
    VersionSnapshot,
    find_store,
    kept_under,
    open_store,
    taken_back,
)

if TYPE_CHECKING:
    import duckdb

    from tallybook.storage import Definition, PointsFile, Store


class BookReader:
    """Reads the book of a project."""

    def __init__(self, project: Project, clock: Callable[[], datetime]) -> None:
        self.project, self._clock = project, clock
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._elsewhere = threading.local()
        self._engine = SharedEngine(self._scan)
        forks.watch(self)

    @property
    def now(self) -> datetime:
        """The current instant by the book's clock."""
        return self._clock()

    @property
    def today(self) -> date:
        """The running day in the book's zone."""
        return calendar.day_of(self.now, self.project.catalog.book.timezone)

    def close(self) -> None:
        self._engine.close()
        with self._lock:
            if self._store is not None:
                self._store.ledger.close()
            self._store = None

    def forget_points(self) -> None:
        """Discard cached points, because files that were read may have changed."""
        self._engine.forget_points()

    def reading(self) -> AbstractContextManager[ReadSession]:
        """Open the read session of one question."""
        return self._engine.reading()

    @property
    def store(self) -> Store:
        """The store of the book. It is created if it does not exist."""
        if (elsewhere := self._empty_store) is not None:
            return elsewhere
        with self._lock:
            if self._store is None:
                self._store = self._ours(open_store(self.project.place))
                self._store.last_closed = self._last_closed
            return self._store

    def _last_closed(self) -> date:
        return self.today - ONE_DAY

    def _scan(self, files: Sequence[PointsFile]) -> str:
        return self.store.scan(files)

    @property
    def _empty_store(self) -> Store | None:
        """An empty store in a temporary folder, if the calling thread only reads and there is no book yet; else
        None."""
        found: Store | None = getattr(self._elsewhere, "store", None)
        return found

    @contextmanager
    def only_reading(self) -> Iterator[None]:
        """Use an empty temporary book inside the block if no book exists yet, so that reading does not create one."""
        from tallybook.storage import scratch_folder

        if self.has_book:
            yield
            return
        with scratch_folder() as elsewhere:
            self._elsewhere.store = open_store(elsewhere)
            try:
                yield
            finally:
                self._elsewhere.store.ledger.close()
                self._elsewhere.store = None

    @property
    def has_book(self) -> bool:
        """Whether the book exists. Does not create it."""
        if self._empty_store is not None:
            return True
        with self._lock:
            if self._store is None:
                found = find_store(self.project.place)
                if found is not None:
                    self._store = self._ours(found)
                    self._store.last_closed = self._last_closed
            return self._store is not None

    def _ours(self, store: Store) -> Store:
        """Check that an opened store belongs to this project, and return it. Raises DeclarationError if it does not."""
        try:
            check_owner(store, self.project.catalog.book)
        except DeclarationError:
            store.ledger.close()
            raise
        return store

    # -- forks

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()

    @property
    def version(self) -> int:
        """The newest version of the book; 0 if there is no book."""
        return self.store.ledger.version() if self.has_book else 0

    def version_at(self, day: date | None) -> int | None:
        if day is None or not self.has_book:
            return None
        return self.store.ledger.version_at(calendar.end_of(day, self.project.catalog.book.timezone))

    def keys(self, names: Sequence[str]) -> dict[str, str]:
        """The key under which the points of each metric are stored."""
        if not self.has_book:
            return {name: name for name in names}
        kept, catalog = self.store.ledger.metric_keys(), self.project.catalog
        return {name: kept_under(kept, name, catalog.metrics[name].renamed_from) for name in names}

    def snapshot(self, keys: Mapping[str, str], version: int | None) -> VersionSnapshot:
        """The ledger's data about these metrics, at a version or now."""
        if not self.has_book:
            return VersionSnapshot(version=0, files=(), coverage={}, definitions={})
        known = self.store.snapshot(keys.values(), version=version)
        return self.taken_back.without(known) if version is None else known

    @property
    def taken_back(self) -> TakenBack:
        """Days that were collected while a clock was ahead, until a run removes them."""
        if not self.has_book:
            return TakenBack()
        return taken_back(self.store.ledger, now=self.now, zone=self.project.catalog.book.timezone)

    def bound(self, metric: Metric, key: str, known: VersionSnapshot, asked: str | None) -> StoredDefinition | None:
        """The last collected definition that equals the current declaration, or the requested definition. None if the
        current declaration was never collected."""
        declared = metric.fingerprint(self.project.catalog.book.timezone, {})
        for definition in known.definitions.get(key, ()):
            if definition.id == asked or (asked is None and definition.declared == declared):
                bound = json_decoder(StoredDefinition).decode(definition.body)
                if asked is not None:
                    return bound
                return msgspec.structs.replace(
                    bound, metric=msgspec.structs.replace(metric, parsed=bound.metric.parsed)
                )
        if asked is not None:
            there = ", ".join(f"{d.id} (since {d.created[:10]})" for d in known.definitions.get(key, ()))
            raise QueryError(
                f"metric {metric.name!r} has no definition {asked!r}", hint=f"there are: {there or 'none'}"
            )
        return None

    def imported(self, key: str, known: VersionSnapshot) -> tuple[StoredDefinition, Coverage] | None:
        """The last imported definition of a metric and its days; None if nothing was imported."""
        for definition in known.definitions.get(key, ()):
            if definition.declared == IMPORTED:
                bound = json_decoder(StoredDefinition).decode(definition.body)
                return bound, Coverage(self.covered(key, definition.id, known))
        return None

    def collected(self, key: str, known: VersionSnapshot) -> list[Definition]:
        """The definitions under which a metric was collected, newest first, without imported ones."""
        return [d for d in known.definitions.get(key, ()) if d.declared != IMPORTED]

    def why_unknown(self, name: str, key: str, known: VersionSnapshot) -> str:
        older = self.collected(key, known)
        if older:
            return (
                f"not collected under today's definition; known under {older[0].id}: "
                f"tallybook query {name} --definition {older[0].id}, or collect again: tallybook run {name}"
            )
        return f"{name} was never collected: tallybook run"

    def context_of(
        self, question: Query, version: int | None, as_of: date | None, reading: ReadSession
    ) -> QueryContext:
        """The context of a question: the definitions and covered days of its metrics, and their points."""
        catalog = self.project.catalog
        names = list(dict.fromkeys(o for name in question.metrics for o in catalog.operands(name)))
        keys = self.keys(names)
        known = self.snapshot(keys, version)
        bounds: dict[str, StoredDefinition] = {}
        coverage: dict[str, Coverage] = {}
        whys: dict[str, str] = {}
        units = {unit for name in question.metrics for unit in catalog.unit_dims(name)} - set(question.by)
        for name in names:
            bound = self.bound(catalog.metrics[name], keys[name], known, question.definition)
            if bound is None:
                whys[name] = self.why_unknown(name, keys[name], known)
                continue
            computed = {WEEKDAY} if question.is_split_by_weekday else set()
            _has_dimensions(bound, question, computed | units.difference(catalog.queryable_dims(name)))
            bounds[name] = bound
            own = known.coverage.get((bound.key, bound.definition), ())
            instants = {s.first: s.instant for s in own if s.instant}
            days = self.covered(bound.key, bound.definition, known)
            coverage[name] = Coverage(days, instants, catalog.metrics[name].expected_weekdays)
        past = {
            name: found
            for name in names
            if catalog.metrics[name].history and (found := self.imported(keys[name], known)) is not None
        }
        return QueryContext(
            catalog=catalog,
            engine=reading.engine,
            relation=reading.relation(known.version, known.files),
            files=known.files,
            bounds=bounds,
            coverage=coverage,
            last_closed=min(self.today, as_of or self.today) - ONE_DAY,
            version=known.version,
            whys=whys,
            past=past,
            events=known_event_days(catalog, names, self.store.ledger, keys) if self.has_book else {},
            hidden={own: Coverage(stretches) for own, stretches in known.hidden.items()},
            older=[] if question.definition else [one.sentence for one in older_of(self, keys, known)],
            computed=self.computed(question, as_of, reading.engine),
        )

    def computed(self, question: Query, as_of: date | None, engine: duckdb.DuckDBPyConnection) -> Computed:
        """The dimensions of a question that are computed instead of stored."""
        if not (names := attributes_of(self.project.catalog, question)) or not self.has_book:
            return {}
        ledger = EntityLedger(self.store.ledger, self.store.files)
        history = EntityHistory(self.store.ledger, self.store.files)
        snapshots = EntitySnapshots.of(self.project.place, ledger)
        return attribute_dimensions(
            engine, ledger, history, self.project.catalog, names, as_of=as_of, now=self.now, snapshots=snapshots
        )

    def entity_commit(self, question: Query) -> int:
        """The commit of users and accounts that an answer depends on; 0 if it depends on none."""
        if not (attributes_of(self.project.catalog, question) and self.has_book):
            return 0
        return EntityLedger(self.store.ledger).number()

    def covered(self, key: str, definition: str | None, known: VersionSnapshot) -> tuple[tuple[date, date], ...]:
        """The collected days of a definition as stretches (first, last); adjacent stretches are merged."""
        several = known.coverage.get((key, definition or ""), ())
        return tuple(calendar.merge_stretches((one.first, one.last) for one in several))

    def coverages(self, metric: Metric, key: str, known: VersionSnapshot) -> tuple[Coverage, dict[str, Coverage]]:
        """(the days covered under the current definition, the days covered under each other one)."""
        bound = self.bound(metric, key, known, None)
        every = {
            definition: Coverage(self.covered(key, definition, known))
            for name, definition in known.coverage
            if name == key
        }
        own = every.pop(bound.definition, Coverage()) if bound else Coverage()
        own = replace(own, expect=metric.expected_weekdays)
        return own, every

    def expected_from(self, metric: Metric, own: Coverage) -> date | None:
        """The first day on which the metric is expected to be covered, or None."""
        begun = own.stretches[0][0] if own.stretches else None
        return begun if metric.snapshot else metric.start or self.project.catalog.book.start or begun

    def runs(self, limit: int) -> list[RunRecord]:
        """The latest runs, newest first."""
        return [RunRecord(**run) for run in self.store.ledger.runs(limit)] if self.has_book else []

    def is_forgotten(self, name: str) -> bool:
        """Whether the book contains nothing of a metric that is declared or was forgotten before."""
        declared, ledger = self.project.catalog.metrics.get(name), self.store.ledger if self.has_book else None
        if ledger is None or (declared is not None and declared.derived):
            return False
        key = self.keys([name])[name] if declared else ledger.metric_keys().get(name, name)
        return key not in ledger.snapshot().definitions and (declared is not None or name in ledger.forgotten())

    def kept(self, name: str) -> tuple[str, str]:
        """(the metric, the key of its points). Raises QueryError if the book contains nothing of it."""
        catalog, ledger = self.project.catalog, self.store.ledger if self.has_book else None
        declared = catalog.metrics.get(name)
        if declared is not None and declared.derived:
            made_of = ", ".join(catalog.operands(name))
            raise QueryError(f"{name!r} is a formula; the book keeps nothing of it", hint=f"it is made of {made_of}")
        known = set(ledger.snapshot().definitions) if ledger else set()
        owners = {key: other for other, key in self.keys(list(catalog.metrics)).items()}
        if declared is None and name in owners:
            raise QueryError(f"what was {name!r} is {owners[name]!r} now", hint=f"tallybook forget {owners[name]}")
        key = self.keys([name])[name] if declared else (ledger.metric_keys() if ledger else {}).get(name, name)
        if key not in known:
            there = ", ".join(sorted(owners.get(k, k) for k in known))
            raise QueryError(f"the book holds nothing of {name!r}", hint=f"it holds {there or 'nothing at all'}")
        return name, key


def attributes_of(catalog: Catalog, question: Query) -> list[str]:
    """The dimensions of a question that are attributes of users or accounts and that its metrics do not store."""
    stored = {d for name in question.metrics for o in catalog.operands(name) for d in catalog.metrics[o].series_dims}
    asked = dict.fromkeys([*question.by, *(one.dimension for one in question.filters)])
    return [name for name in asked if name not in stored and parse_attribute(name) is not None]


def _has_dimensions(bound: StoredDefinition, question: Query, ignored: set[str]) -> None:
    """Raise QueryError if an old definition lacks a requested dimension, except those in `ignored`."""
    asked = [d for d in (*question.by, *(f.dimension for f in question.filters)) if d not in ignored]
    lacking = [d for d in asked if d not in bound.metric.series_dims and parse_attribute(d) is None]
    if lacking:
        raise QueryError(
            f"definition {bound.definition} of {bound.metric.name!r} has no dimension {lacking[0]!r}",
            hint=f"its dimensions: {', '.join(bound.metric.series_dims) or 'none'}",
        )
