"""Runs tests of metrics in scratch databases with a temporary book, and compares the answers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from difflib import ndiff
from pathlib import Path
from typing import Any

import msgspec

from tallybook.book import Book
from tallybook.config import load
from tallybook.core import (
    Catalog,
    DeclarationError,
    QueryError,
    Refused,
    Result,
    SourceKind,
    SourceSettings,
    TallybookError,
    is_close,
    kind_of,
    plain_number,
)
from tallybook.metric_tests.declared import Trial
from tallybook.metric_tests.scratch import file_kinds, scratch_of
from tallybook.query import Question, known_metric
from tallybook.storage import scratch_folder

NULL = "–"
"""How a test file writes a value that cannot be known, because toml has no null."""


@dataclass(frozen=True, kw_only=True)
class TestOutcome:
    """The outcome of a test: `why` it failed (empty if it passed), and the difference of the rows."""

    trial: Trial
    why: str = ""
    difference: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.why


def run_trials(
    folder: Path, env: Mapping[str, str], trials: Sequence[Trial], urls: Mapping[str, str]
) -> Iterator[TestOutcome]:
    """Run each test in its own scratch database. `urls`: empty databases of servers, by source.

    No declared source is opened, because every source is replaced before anything is read."""
    catalog = load(folder, env).catalog
    _refuse_declared_sources(catalog, urls)
    for trial in trials:
        began = time.monotonic()
        try:
            why, difference = _tried(folder, env, trial, catalog, urls)
        except TallybookError as error:
            why, difference = str(error), ()
        yield TestOutcome(trial=trial, why=why, difference=tuple(difference), seconds=time.monotonic() - began)


def _refuse_declared_sources(catalog: Catalog, urls: Mapping[str, str]) -> None:
    for name, url in urls.items():
        if url in {source.url for source in catalog.sources.values()}:
            raise DeclarationError(
                f"--source {name} is a declared source itself", hint="tests write: give them an empty scratch database"
            )


def _operands(catalog: Catalog, name: str) -> tuple[str, ...]:
    return catalog.operands(known_metric(catalog, name).name)


def _tried(
    folder: Path, env: Mapping[str, str], trial: Trial, catalog: Catalog, urls: Mapping[str, str]
) -> tuple[str, Sequence[str]]:
    needed = {catalog.metrics[operand].source for name in trial.metrics for operand in _operands(catalog, name)}
    with scratch_folder() as made, ExitStack() as stack:
        kinds = {name: _kind(source) for name, source in catalog.sources.items()}
        instead = {name: _nowhere(kind) for name, kind in kinds.items()}
        for name, kind in kinds.items():
            if name not in needed:
                continue
            by_test = trial.dialect if name not in urls else None
            scratch = scratch_of(name, file_kinds()[by_test] if by_test else kind, urls.get(name), made)
            stack.callback(scratch.empty, [*trial.given, *trial.types])
            scratch.fill(trial.given, trial.types)
            instead[name] = scratch.url
        return _asked(_book(folder, env, trial, instead, made), trial)


def _kind(source: SourceSettings) -> SourceKind:
    kind = kind_of(source.url)
    assert kind is not None  # the project was checked before
    return kind


def _nowhere(kind: SourceKind) -> str:
    """A URL that leads nowhere, for a source that a test does not use."""
    return f"{kind.schemes[0]}://" + ("//nowhere/tests" if kind.names_path else "nobody@127.0.0.1:1/nowhere")


def _book(folder: Path, env: Mapping[str, str], trial: Trial, instead: Mapping[str, str], made: Path) -> Book:
    """The book of a test: the project with scratch databases as its sources, and a book next to them."""
    project = load(folder, env, instead=instead)
    settings = msgspec.structs.replace(project.catalog.book, store=str(made / "book"), ledger="")
    catalog = msgspec.structs.replace(project.catalog, book=settings)
    return Book(replace(project, catalog=catalog), now=lambda: trial.now)


def _asked(book: Book, trial: Trial) -> tuple[str, Sequence[str]]:
    """The reason for a failure and the difference of the rows; both empty if the answer is as expected."""
    with book:
        if trial.refused is not None:
            return _refused(book, trial, trial.refused), ()
        try:
            report = book.run(*trial.metrics)
            if report.failed:
                failed = report.failed[0]
                return f"{failed.metric} cannot be collected: {failed.error}\n  {failed.hint}".rstrip(), ()
            return compared(trial, book.ask(Question(metrics=trial.metrics, **trial.question)))
        except Refused as error:
            return f"refused: {error.message}", ()


def _refused(book: Book, trial: Trial, wanted: str) -> str:
    """The reason why a query was not refused as expected. A refusal needs no rows, so nothing is collected."""
    try:
        book.ask(Question(metrics=trial.metrics, **trial.question))
    except Refused as error:
        return "" if wanted in error.message else f"refused, but not for that: {error.message}"
    except QueryError as error:
        if not error.message.startswith("nothing of"):
            raise
    return f"it was to be refused ({wanted}) and is answered"


def compared(trial: Trial, result: Result) -> tuple[str, Sequence[str]]:
    """Compares the expected rows with the answer. Only the named columns are compared, in the order of the answer."""
    expected = trial.expect
    if not isinstance(expected, list):
        expected = [{trial.metrics[0]: expected}]
    named = list(dict.fromkeys(name for row in expected for name in row))
    known = {c.name for c in result.columns} | {"complete", "days", "days_expected", "approximate", "total"}
    if unknown := [name for name in named if name not in known]:
        return f"the answer has no {unknown[0]!r}; it has {', '.join(c.name for c in result.columns)}", ()
    # Written as in the test file, so that a line of the difference can be pasted.
    none = {c.name: "" for c in result.dimension_columns}
    came = [{n: none.get(n) if row.get(n) is None else row[n] for n in named} for row in result.rows()]
    same = len(came) == len(expected) and all(
        _same(wanted.get(name), row[name]) for wanted, row in zip(expected, came, strict=True) for name in wanted
    )
    if same:
        return "", ()
    rows = "row" if len(expected) == 1 else "rows"
    why = f"expected {len(expected)} {rows}, {len(came)} came" if len(came) != len(expected) else "other values came"
    difference = ndiff(_lines(expected), _lines(came))
    return why, [line.rstrip() for line in difference if not line.startswith("?")]


def _same(wanted: Any, came: Any) -> bool:
    if wanted == NULL or came is None:
        return came is None and wanted in (NULL, None)
    if isinstance(came, float) and isinstance(wanted, int | float | Decimal):
        return is_close(came, wanted)
    if isinstance(came, date):
        return str(came) == str(wanted)
    return bool(came == wanted)


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per row, in the notation of the test file."""
    shown = [", ".join(f"{name} = {_text(value)}" for name, value in row.items() if name != "notes") for row in rows]
    return [f"{{ {row} }}" for row in shown]


def _text(value: Any) -> str:
    if value is None:
        return f'"{NULL}"'
    if isinstance(value, bool):
        return str(value).lower()
    return plain_number(value) if isinstance(value, int | float | Decimal) else f'"{value}"'
