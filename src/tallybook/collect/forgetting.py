"""Forgets by the names that people use: finds under which key the book keeps a metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from tallybook.collect.forget import forget_metric, forget_person
from tallybook.query import BookReader, BookRecord


class ForgottenMetric(BookRecord, frozen=True, kw_only=True):
    """A metric that was dropped: how many `days` (`from_` … `to`) and `points` went, none if it was forgotten
    before."""

    metric: str
    days: int
    points: int
    from_: str | None
    to: str | None


class ForgottenPerson(BookRecord, frozen=True, kw_only=True):
    """A metric out of which an id was taken: `days` and `points` with it, and how many values changed (`revisions`)."""

    metric: str
    days: int
    points: int
    revisions: int


def forget_named(reader: BookReader, name: str, clock: Callable[[], datetime]) -> ForgottenMetric:
    """Drop a metric from every version of the book; one that was forgotten before has no days and points left.

    Raises QueryError where the book contains nothing under this name."""
    if reader.is_forgotten(name):
        return ForgottenMetric(metric=name, days=0, points=0, from_=None, to=None)
    name, key = reader.kept(name)
    with reader.reading() as reading:
        gone = forget_metric(reader.store, reading.engine, name, key, clock)
    return msgspec.convert(gone, ForgottenMetric)


def forget_person_in(
    reader: BookReader, metrics: Sequence[str], person: Sequence[str], clock: Callable[[], datetime]
) -> list[ForgottenPerson]:
    """Take an id out of `metrics` in every version. Raises QueryError for a metric that the book does not contain."""
    kept = [reader.kept(name) for name in metrics]
    with reader.reading() as reading:
        changed = forget_person(reader.store, reading.engine, kept, person, clock)
    return msgspec.convert(changed, list[ForgottenPerson])
