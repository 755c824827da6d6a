"""Forgets metrics and ids by the names that people use. Finds the key under which the book stores a metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec

from tallybook.collect.forget import days_of_series, forget_metric, forget_person
from tallybook.collect.sources.events import EVENTS
from tallybook.core import USERS, EntitySettings, StoredDefinition, json_decoder
from tallybook.query import BookReader, BookRecord


class ForgottenMetric(BookRecord, frozen=True, kw_only=True):
    """A deleted metric: how many `days` (`from_` … `to`) and `points` were deleted, which is none if it was already
    forgotten."""

    metric: str
    days: int
    points: int
    from_: str | None
    to: str | None


class ForgottenPerson(BookRecord, frozen=True, kw_only=True):
    """A metric from which an id was removed: `days` and `points` that contained it, and how many values changed
    (`revisions`)."""

    metric: str
    days: int
    points: int
    revisions: int


def forget_named(reader: BookReader, name: str, clock: Callable[[], datetime]) -> ForgottenMetric:
    """Delete a metric from every version of the book. A metric that was already forgotten has no days and points left.

    Raises QueryError if the book contains nothing under this name."""
    if reader.is_forgotten(name):
        return ForgottenMetric(metric=name, days=0, points=0, from_=None, to=None)
    name, key = reader.kept(name)
    with reader.reading() as reading:
        gone = forget_metric(reader.store, reading.engine, name, key, clock)
    return msgspec.convert(gone, ForgottenMetric)


def forget_person_in(
    reader: BookReader, metrics: Sequence[str], person: Sequence[str], clock: Callable[[], datetime]
) -> list[ForgottenPerson]:
    """Remove an id from `metrics` in every version. Raises QueryError for a metric that the book does not contain."""
    kept = [reader.kept(name) for name in metrics]
    with reader.reading() as reading:
        changed = forget_person(reader.store, reading.engine, kept, person, clock)
    return msgspec.convert(changed, list[ForgottenPerson])


def forget_entity_in(
    reader: BookReader, settings: EntitySettings, entity_id: str, within: Sequence[str], clock: Callable[[], datetime]
) -> tuple[list[ForgottenPerson], list[str]]:
    """Remove a user or an account from the distinct counts of its kind, and from the metrics in `within`.

    For events, these are counts of `user` and `account`; for other facts, of the columns in `dimension` of `[users]` or
    `[accounts]`. The second result has the names of metrics that still contain the id as a value of a dimension."""
    counted, kept = [], []
    with reader.reading() as reading:
        for name, key in _every(reader):
            bounds = [
                json_decoder(StoredDefinition).decode(one.body)
                for one in reader.store.snapshot([key]).definitions.get(key, ())
            ]
            if any(_counts(bound, settings) for bound in bounds):
                counted.append(name)
            dims = [(bound, d) for bound in bounds for d in bound.metric.dims if d in _columns(bound, settings)]
            if any(days_of_series(reader.store, reading.engine, bound, d, entity_id) for bound, d in dims):
                kept.append(name)
    metrics = list(dict.fromkeys((*counted, *within)))
    found = forget_person_in(reader, metrics, [entity_id], clock) if metrics else []
    return found, kept


def _every(reader: BookReader) -> Iterator[tuple[str, str]]:
    """(name, key) of every metric in the book, including metrics that are no longer declared."""
    if not reader.has_book:
        return
    names = {key: name for name, key in reader.keys(list(reader.project.catalog.metrics)).items()}
    for key in sorted(reader.store.ledger.snapshot().definitions):
        yield names.get(key, key), key


def _columns(bound: StoredDefinition, settings: EntitySettings) -> set[str]:
    """The columns of a metric's facts that contain ids of a kind."""
    own = {"user" if settings.kind == USERS else "account"} if bound.metric.source == EVENTS else set()
    return own | set(settings.dimension)


def _counts(bound: StoredDefinition, settings: EntitySettings) -> bool:
    columns = _columns(bound, settings)
    if bound.metric.per in columns:
        return True
    slots = (slot for slot in bound.measure.slots if slot.agg == "count_distinct")
    return any(len(slot.args) == 1 and slot.args[0].strip('"`[]') in columns for slot in slots)
