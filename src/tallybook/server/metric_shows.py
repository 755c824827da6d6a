"""Every show of a metric for one period: its number, or the reason why it has none and the number it would give."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tallybook.core import SHOWS, QueryError, Refused, Result, calendar
from tallybook.query import Question

if TYPE_CHECKING:
    from tallybook.book import Book

Answers = Callable[[Question], Result]
ADDED, MEAN = "total", "average"
"""The shows whose wrong number can be computed: daily values added up, or their mean."""
_FORMS = {
    "year": re.compile(r"\d{4}"),
    "quarter": re.compile(r"(\d{4})-[Qq]([1-4])"),
    "month": re.compile(r"\d{4}-\d\d"),
    "week": re.compile(r"\d{4}-[Ww]\d\d"),
    "day": re.compile(r"\d{4}-\d\d-\d\d"),
}


def period_of(book: Book, text: str, scope: str | None) -> tuple[date, date, str]:
    """(first day, last day, scope) of 2024, 2024-Q1, 2024-01, 2024-W05 or a day. With `scope`, of the period that
    contains the day. Raises QueryError."""
    named = next((name for name, form in _FORMS.items() if form.fullmatch(text)), None)
    try:
        if named is None:
            raise ValueError
        if named == "quarter":
            day = date(int(text[:4]), 3 * int(text[-1]) - 2, 1)
        elif named == "week":
            day = date.fromisoformat(text.upper())
        else:
            day = date.fromisoformat(text + "-01-01"[len(text) - 4 :] if len(text) < 10 else text)
    except ValueError:
        hint = "2024, 2024-Q1, 2024-01, 2024-W05 or 2024-01-31"
        raise QueryError(f"{text[:40]!r} is not a period", hint=hint, field="period") from None
    found = scope or named or "day"
    if found not in calendar.SCOPES or found == "all":
        scopes = ", ".join(one for one in calendar.SCOPES if one != "all")
        raise QueryError(f"a period is no {found[:40]!r}", hint=f"one of {scopes}", field="scope")
    periods = book.project.catalog.book.periods()
    first = periods.period_start(day, found)
    return first, periods.period_end(first, found), found


def metric_shows(book: Book, name: str, period: tuple[date, date, str], where: Sequence[str], ask: Answers) -> Any:
    """The document of `/v1/metrics/{name}/shows`. `ask` runs a query for the reader."""
    first, last, scope = period
    metric = book.project.catalog.metrics[name]
    plain = Question(metrics=(name,), scope=scope, from_=first, to=last, where=tuple(where))
    shows = [None] if metric.derived else list(SHOWS)
    found = [_shown(name, show, plain, ask) for show in shows]
    default = None if metric.derived else metric.default_show
    return {
        "metric": name,
        "period": str(first),
        "until": str(last),
        "scope": scope,
        "unit": metric.unit,
        "default": default,
        "shows": found,
    }


def _shown(name: str, show: str | None, plain: Question, ask: Answers) -> dict[str, Any]:
    from dataclasses import replace

    try:
        result = ask(replace(plain, show=show))
    except Refused as refused:
        return {"show": show, "value": None, "refused": refused.why, "would_be": _would_be(name, show, plain, ask)}
    row = result.data[-1] if result.data else None
    found: dict[str, Any] = {"show": show, "value": row[name] if row else None}
    if row is not None:
        found |= {key: row[key] for key in ("complete", "days", "days_expected", "approximate")}
        if (why := row.get("notes", {}).get(name, {}).get("why")) is not None:
            found["why"] = why
    return found


def _would_be(name: str, show: str | None, plain: Question, ask: Answers) -> Any:
    """The number that a refused show would give: the sum of the daily values, or their mean. None for other shows."""
    from dataclasses import replace

    if show not in (ADDED, MEAN):
        return None
    try:
        daily = ask(replace(plain, scope="day", show=None))
    except Refused:
        return None
    known = [row[name] for row in daily.data if row[name] is not None]
    if not known:
        return None
    return added_up(known) if show == ADDED else mean_of(known)


# -- the numbers of shows that are refused ---------------------------------------------------------


def added_up(values: Sequence[Any]) -> int | Decimal | float:
    """The sum of daily values, in their type."""
    total = sum((Decimal(str(value)) for value in values), Decimal())
    if all(isinstance(value, int) for value in values):
        return int(total)
    return total if isinstance(values[0], Decimal) else float(total)


def mean_of(values: Sequence[Any]) -> float:
    """The mean of daily values."""
    return float(sum((Decimal(str(value)) for value in values), Decimal()) / len(values))
