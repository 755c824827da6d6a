"""The last seven complete days of each drafted metric, as the source answers them now, beside plain SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallybook.core import SourceSettings, SourceUnavailable, TallybookError
from tallybook.draft.plain_sql import plain_sql
from tallybook.draft.seen import STATEMENT_SECONDS
from tallybook.draft.write import draft_text

if TYPE_CHECKING:
    from tallybook.collect import Source
    from tallybook.draft.drafting import Draft
    from tallybook.draft.table_guesses import Idea

DAYS = 7
MAX_ROWS_TOGETHER = 200_000
"""Metrics of larger tables are asked one by one, so that the time for all of them is bounded."""
MAX_SECONDS = 20.0
"""The time for all metrics. Those that are left are named and not asked."""


@dataclass
class Preview:
    """The days of one metric, newest last; or why there are none."""

    metric: str
    days: list[date] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    problem: str = ""
    sql: str = ""
    """Plain SQL for the whole range: for a level, of its last day."""
    answer: Any = None
    """The value of the whole range by Tallybook."""
    plain: Any = None
    """The value of the whole range by `sql`."""

    @property
    def agrees(self) -> bool:
        """Whether both values are the same, but for the order in which floats are added."""
        if self.answer is None or self.plain is None:
            return (self.answer or 0) == (self.plain or 0)
        left, right = float(self.answer), float(self.plain)
        return abs(left - right) <= 1e-4 + 1e-9 * abs(left)


def preview(
    made: Draft, url: str, now: datetime, *, check: bool = False, clock: Callable[[], float] = time.monotonic
) -> list[Preview]:
    """The last complete days of each metric that is on. With `check` also plain SQL and its answer.

    The source is asked by the same code as `query --live`, in a project of its own, which is gone afterwards."""
    from tallybook.collect import open_source
    from tallybook.config import resolved

    full, until = resolved(url, Path.cwd()), clock() + MAX_SECONDS
    settings = SourceSettings(name=made.source, url=full, statement_timeout=STATEMENT_SECONDS)
    source = open_source(settings) if check else None
    try:
        with _drafted_book(made, full, now) as book:
            return _previews(book, made, source, lambda: clock() > until)
    finally:
        if source is not None:
            source.close()


@contextmanager
def _drafted_book(made: Draft, url: str, now: datetime) -> Iterator[Any]:
    """The draft as an empty book in a folder of its own, which is gone afterwards."""
    import tempfile

    from tallybook.book import open_book

    with tempfile.TemporaryDirectory(prefix="tallybook-init-") as place:
        folder = Path(place)
        text = draft_text(replace(made, url="${TALLYBOOK_INIT_URL}", variable=""))
        (folder / "tallybook.toml").write_text(text, encoding="utf-8")
        with open_book(folder, now=lambda: now, env={"TALLYBOOK_INIT_URL": url}) as book:
            _ = book.store  # an empty book, so that each question need not make one
            yield book


def _previews(book: Any, made: Draft, source: Source | None, late: Callable[[], bool]) -> list[Preview]:
    """The days of all metrics by one question; one question each where a metric cannot be asked."""
    first, last = book.today - timedelta(days=DAYS), book.today - timedelta(days=1)
    days = [first + timedelta(days=n) for n in range(DAYS)]
    found = [Preview(idea.name, days=days) for idea in made.metrics]
    if not _ask_together(book, made, found, first, last):
        for one in found:
            _ask_alone(book, one, first, last, late)
    if source is not None:
        for one, idea in zip(found, made.metrics, strict=True):
            if not one.problem:
                _compare(book, idea, made, source, one)
    return found


def _ask_together(book: Any, made: Draft, found: Sequence[Preview], first: date, last: date) -> bool:
    """Ask for all metrics at once; False if tables are large, or if a metric cannot be asked."""
    if made.rows > MAX_ROWS_TOGETHER:
        return False
    try:
        _ask(book, found, first, last)
    except SourceUnavailable:
        raise
    except TallybookError:
        return False
    return True


def _ask(book: Any, found: Sequence[Preview], first: date, last: date) -> None:
    names = [one.metric for one in found]
    rows = book.query(*names, scope="day", from_=first, to=last, live=True).rows()
    by_day = {row["period"]: row for row in rows}
    for one in found:
        one.values = [by_day[day][one.metric] if day in by_day else None for day in one.days]


def _ask_alone(book: Any, one: Preview, first: date, last: date, late: Callable[[], bool]) -> None:
    if late():
        one.problem = f"not asked: the preview ends after {MAX_SECONDS:.0f} s"
        return
    try:
        _ask(book, [one], first, last)
    except SourceUnavailable:
        raise
    except TallybookError as error:
        one.problem = " ".join(str(error).split())


def _compare(book: Any, idea: Idea, made: Draft, source: Source, found: Preview) -> None:
    """Add the plain SQL of the range and both answers."""
    first, last = found.days[0], found.days[-1]
    try:
        statement = plain_sql(source, idea, made.timezone, first, last)
        if statement is None:
            return
        found.sql = statement
        rows = book.query(idea.name, scope="all", from_=first, to=last, live=True).rows()
        found.answer = rows[-1][idea.name] if rows else None
        with source.snapshot() as reader:
            found.plain = reader.rows(statement)[0][0]
    except SourceUnavailable:
        raise
    except TallybookError as error:
        found.problem = " ".join(str(error).split())


def totals(previews: Sequence[Preview]) -> tuple[int, int]:
    """(metrics with plain SQL, those of them that agree)."""
    compared = [p for p in previews if p.sql and not p.problem]
    return len(compared), sum(p.agrees for p in compared)
