"""Previews the last seven complete days of each drafted metric, as the source answers them now, next to plain SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallybook.core import SourceSettings, SourceUnavailable, TallybookError
from tallybook.draft.amounts import MAX_CURRENCIES
from tallybook.draft.plain_sql import plain_sql
from tallybook.draft.seen import STATEMENT_SECONDS
from tallybook.draft.write import draft_text

if TYPE_CHECKING:
    from tallybook.collect import Source
    from tallybook.draft.drafting import Draft
    from tallybook.draft.table_guesses import Idea

DAYS = 7
MAX_ROWS_TOGETHER = 200_000
"""Metrics of larger tables are queried one by one, so that the total time stays bounded."""
_URL, _LIMIT = "${TALLYBOOK_INIT_URL}", 'statement_timeout = "5s"'
MAX_SECONDS = 20.0
"""The time limit for all metrics in seconds. The remaining metrics are named and not queried."""


@dataclass
class Preview:
    """The days of one metric, newest last, or the reason why it has no days."""

    metric: str
    days: list[date] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    problem: str = ""
    currency: str = ""
    """The currency of the values, in a metric with several."""
    where: str = ""
    """The filter of the question, as in `--where`."""
    snapshot: bool = False
    """Whether only its present value exists, so that it is collected from the first run on."""
    sql: str = ""
    """Plain SQL for the whole range: for a level, of its last day."""
    answer: Any = None
    """The value of the whole range by Tallybook."""
    plain: Any = None
    """The value of the whole range by `sql`."""

    @property
    def label(self) -> str:
        """The metric, with the currency of its values if it has several."""
        return f"{self.metric} {self.currency}".strip()

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

    The source is queried by the same code as `query --live`, in a temporary project."""
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
    """The draft as an empty book in a temporary folder."""
    import tempfile

    from tallybook.book import open_book

    with tempfile.TemporaryDirectory(prefix="tallybook-init-") as place:
        folder = Path(place)
        text = draft_text(replace(made, url=_URL, variable="")).replace(f'"{_URL}"', f'"{_URL}"\n{_LIMIT}', 1)
        (folder / "tallybook.toml").write_text(text, encoding="utf-8")
        with open_book(folder, now=lambda: now, env={"TALLYBOOK_INIT_URL": url}) as book:
            _ = book.store  # creates an empty book once, instead of in each query
            yield book


def _previews(book: Any, made: Draft, source: Source | None, late: Callable[[], bool]) -> list[Preview]:
    """The days of all metrics with few queries. If a metric cannot be queried, each metric of its group gets a query of
    its own."""
    first = book.today - timedelta(days=DAYS)
    found = [one for idea in made.metrics for one in _of_idea(idea, first)]
    for where in dict.fromkeys(one.where for one in found):
        group = [one for one in found if one.where == where and not one.snapshot]
        if made.rows > MAX_ROWS_TOGETHER or not _ask_together(book, group, check=source is not None):
            for one in group:
                _ask_one(book, one, late, check=source is not None)
    if source is not None:
        ideas = {idea.name: idea for idea in made.metrics}
        for one in found:
            if not one.problem and not one.snapshot:
                _add_plain(source, ideas[one.metric], made.timezone, one)
    return found


def _of_idea(idea: Idea, first: date) -> list[Preview]:
    """An empty preview of a metric; one for each of the most frequent currencies if it has several."""
    days = [first + timedelta(days=n) for n in range(DAYS)]
    snapshot = idea.keys.get("kind") == "level" and not idea.keys.keys() & {"from", "time"}
    unit = idea.keys.get("unit_from")
    if not unit:
        return [Preview(idea.name, days=days, snapshot=snapshot)]
    return [
        Preview(idea.name, days=days, snapshot=snapshot, currency=code, where=f"{unit}={code}")
        for code in idea.currencies[:MAX_CURRENCIES]
    ]


def _ask_together(book: Any, group: Sequence[Preview], *, check: bool) -> bool:
    """Query all metrics at once. Returns False if one of them cannot be queried."""
    try:
        _ask(book, group, check=check)
    except SourceUnavailable:
        raise
    except TallybookError:
        return False
    return True


def _ask(book: Any, group: Sequence[Preview], *, check: bool) -> None:
    if not group:
        return
    names, days = [one.metric for one in group], group[0].days
    asked = {"from_": days[0], "to": days[-1], "live": True, "where": [w for w in (group[0].where,) if w]}
    by_day = {row["period"]: row for row in book.query(*names, scope="day", **asked).rows()}
    whole = book.query(*names, scope="all", **asked).rows() if check else []
    for one in group:
        one.values = [by_day[day][one.metric] if day in by_day else None for day in one.days]
        one.problem = _why_unread(one, list(by_day.values()))
        one.answer = whole[-1][one.metric] if whole else None


def _why_unread(one: Preview, rows: Sequence[dict[str, Any]]) -> str:
    """The reason why no day has a value, if each day has a reason. Empty if a day has a value, or simply has no
    facts."""
    reasons = [row.get("notes", {}).get(one.metric, {}).get("why", "") for row in rows]
    unread = bool(reasons) and all(reasons) and all(value is None for value in one.values)
    return str(reasons[-1]) if unread else ""


def _ask_one(book: Any, one: Preview, late: Callable[[], bool], *, check: bool) -> None:
    if late():
        one.problem = f"not asked: the preview ends after {MAX_SECONDS:.0f} s"
        return
    try:
        _ask(book, [one], check=check)
    except SourceUnavailable:
        raise
    except TallybookError as error:
        one.problem = " ".join(str(error).split())


def _add_plain(source: Source, idea: Idea, zone: str, found: Preview) -> None:
    """Add the plain SQL of the range and its answer."""
    try:
        statement = plain_sql(source, idea, zone, found.days[0], found.days[-1], found.currency)
        if statement is not None:
            with source.snapshot() as reader:
                found.plain = reader.rows(statement)[0][0]
            found.sql = statement
    except SourceUnavailable:
        raise
    except TallybookError as error:
        found.problem = " ".join(str(error).split())


def totals(previews: Sequence[Preview]) -> tuple[int, int]:
    """The number of metrics with plain SQL, and how many of them agree."""
    compared = [p for p in previews if p.sql and not p.problem]
    return len(compared), sum(p.agrees for p in compared)
