"""Imports finished daily values: from reading the file to the change of the book."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime

from tallybook.collect.history.across import unpivoted
from tallybook.collect.history.imported import Imported, differences, store_history
from tallybook.collect.history.points import History, ImportColumns, chosen_dims, history_points
from tallybook.collect.history.read import Layout, read_table
from tallybook.collect.history.request import ImportRequest
from tallybook.core import ONE_DAY, Metric, QueryError, calendar
from tallybook.query import QueryService, Question, known_metric


def import_history(asked: ImportRequest, service: QueryService, clock: Callable[[], datetime]) -> Imported:
    """Store the values of a file as imported history, or compare them with collected values (`check`).

    Raises QueryError for a formula, and DeclarationError with all problems of the file, each with its line."""
    reader = service.reader
    metric = known_metric(service.catalog, asked.metric)
    if metric.derived:
        made_of = ", ".join(service.catalog.operands(metric.name))
        raise QueryError(f"{metric.name!r} is a formula; nothing of it is kept", hint=f"import {made_of} instead")
    key = reader.keys([metric.name])[metric.name]
    history = _history(asked, service, metric, key)
    only_looks = asked.check or asked.dry_run
    with reader.only_reading() if only_looks else nullcontext():
        done = store_history(reader.store, history, clock, dry_run=only_looks)
        if asked.check:
            _compare(service, metric, key, history, done)
    return done


def _history(asked: ImportRequest, service: QueryService, metric: Metric, key: str) -> History:
    """The values of the file."""
    reader = service.reader
    columns = ImportColumns(
        day=asked.day, value=asked.value, dims=chosen_dims(asked.dims), order=asked.dates, point=asked.decimal
    )
    layout = Layout(skip=asked.skip, headings=asked.headings, ignore=asked.ignore)
    table = read_table(asked.file, asked.tab, reader.project.variables, layout)
    if asked.across:
        texts = metric.by if columns.dims is None else [head for _, head in columns.dims]
        table = unpivoted(table, metric, texts, asked.dates, asked.file)
    zone = service.catalog.book.timezone
    return history_points(metric, key, zone, table, columns, asked.file, reader.today - ONE_DAY)


def _compare(service: QueryService, metric: Metric, key: str, history: History, done: Imported) -> None:
    """Record in `done` where the book has other values for the same days."""
    reader = service.reader
    known = reader.snapshot({metric.name: key}, None)
    bound = reader.bound(metric, key, known, None)
    own = reader.covered(key, bound.definition, known) if bound else ()
    covered = {day for first, last in own for day in calendar.days(first, last)}
    both = sorted(covered & set(history.days))
    if bound is None or not both:
        last = history.days[-1]
        done.notes.append(
            f"no day of it is collected; to compare some: tallybook run {metric.name} --from {last} --to {last}"
        )
        return
    question = Question(
        metrics=[metric.name],
        from_=both[0],
        to=both[-1],
        by=history.bound.metric.dims,
        definition=bound.definition,
    )
    done.compared, done.differences = differences(history, service.answer(question).rows(), covered)
