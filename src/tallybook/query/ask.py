"""A question as a value, checked against what is declared; a question with no right answer is refused here."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from tallybook import calendar
from tallybook.errors import QueryError, Refused
from tallybook.metrics import FILTER, FLOW, LEVEL, SHOWS, UNIQUES, WEEKDAYS, Catalog, Delivery, Metric


@dataclass(frozen=True, kw_only=True)
class Filter:
    """`dimension = value` or `dimension != value`; value None is null."""

    dimension: str
    equal: bool
    value: str | None


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked. Days are both included; `first`/`last` None: as far as is collected."""

    metrics: tuple[str, ...]
    scope: str = "day"
    by: tuple[str, ...] = ()
    where: tuple[Filter, ...] = ()
    first: date | None = None
    last: date | None = None
    show: str | None = None
    fill: bool = False
    totals: bool = False
    definition: str | None = None
    week_starts: str = "monday"

    @property
    def week_start(self) -> int:
        return WEEKDAYS.index(self.week_starts)


def ask(
    catalog: Catalog,
    metrics: Sequence[str],
    *,
    scope: str = "day",
    by: Sequence[str] = (),
    where: Sequence[str] = (),
    first: date | None = None,
    last: date | None = None,
    span: str | None = None,
    show: str | None = None,
    fill: bool = False,
    totals: bool = False,
    definition: str | None = None,
    today: date,
) -> Query:
    """A checked Query. `span` is "12 weeks" up to `last` or the last closed day.

    Raises QueryError for what is not declared, Refused for what has no right answer."""
    names = tuple(dict.fromkeys(part.strip() for m in metrics for part in m.split(",") if part.strip()))
    dims = tuple(dict.fromkeys(part.strip() for b in by for part in b.split(",") if part.strip()))
    if not names:
        raise QueryError("no metric is asked for", hint="`tallybook metrics` lists them")
    for name in names:
        _known(name, catalog.metrics, "metric", "`tallybook metrics` lists them")
    _known(scope, calendar.SCOPES, "scope", f"one of {', '.join(calendar.SCOPES)}")
    if show is not None:
        _known(show, SHOWS, "show", f"one of {', '.join(SHOWS)}")
    filters = tuple(parse_filter(text) for text in where)
    range_ = {"--from": first, "--to": last, "--last": span}
    asked = _arguments(names, {"--scope": scope, "--by": ",".join(dims) or None, "--where": tuple(where), **range_})
    for name in names:
        _check_dimensions(catalog, name, dims, [f.dimension for f in filters])
        _check_show(catalog, name, show, asked)
    if span is not None:
        if first is not None:
            raise QueryError("--from and --last cannot both say where to begin", hint="take one of them away")
        last = last or today - calendar.ONE_DAY
        try:
            first, last = calendar.last_span(span, last, WEEKDAYS.index(catalog.book.week_starts))
        except ValueError as error:
            raise QueryError(str(error)) from None
    if first and last and last < first:
        raise QueryError(f"--to {last} is before --from {first}", hint=f"--from {last} --to {first}")
    if definition is not None and len(names) > 1:
        raise QueryError(
            "--definition goes with one metric", hint=f"tallybook query {names[0]} --definition {definition}"
        )
    return Query(
        metrics=names, scope=scope, by=dims, where=filters, first=first, last=last, show=show, fill=fill,
        totals=totals, definition=definition, week_starts=catalog.book.week_starts,
    )  # fmt: skip


def parse_filter(text: str) -> Filter:
    """`plan=pro`, `plan!=pro`, `plan=` (null). Raises QueryError with the forms there are."""
    found = FILTER.match(text)
    if not found:
        raise QueryError(f"--where {text!r} is not understood", hint="write dim=value, dim!=value, or dim= for null")
    value = found["value"]
    return Filter(dimension=found["dim"], equal=found["sign"] == "=", value=value if value != "" else None)


def known_metric(catalog: Catalog, name: str) -> Metric:
    """The metric called `name`. Raises QueryError with the nearest name there is."""
    _known(name, catalog.metrics, "metric", "`tallybook metrics` lists them")
    return catalog.metrics[name]


def known_delivery(catalog: Catalog, name: str) -> Delivery:
    """The delivery called `name`. Raises QueryError with the nearest name there is."""
    _known(name, catalog.deliveries, "delivery", f"there are: {', '.join(catalog.deliveries) or 'none'}")
    return catalog.deliveries[name]


def _known(name: str, known: Iterable[str], what: str, hint: str) -> None:
    names = list(known)
    if name in names:
        return
    close = difflib.get_close_matches(name, names, 1)
    raise QueryError(f"there is no {what} {name!r}", hint=f"did you mean {close[0]!r}? {hint}" if close else hint)


def _check_dimensions(catalog: Catalog, name: str, by: Sequence[str], where: Sequence[str]) -> None:
    has = catalog.queryable_dims(name)
    for asked in dict.fromkeys([*by, *where]):
        if asked in has:
            continue
        metric = catalog.metrics[name]
        if metric.derived:
            lacking = [o for o in catalog.operands(name) if asked not in catalog.queryable_dims(o)]
            if len(lacking) < len(catalog.operands(name)):
                raise Refused(
                    f"metric {name!r} cannot be split or filtered by {asked!r}: {', '.join(lacking)} lack{'s' * (len(lacking) == 1)} it",
                    ask=f'add "{asked}" to by of {", ".join(f"[metrics.{o}]" for o in lacking)}',
                )
        close = difflib.get_close_matches(asked, has, 1)
        listed = f"its dimensions: {', '.join(has) or 'none'}"
        raise QueryError(
            f"metric {name!r} has no dimension {asked!r}",
            hint=f"did you mean {close[0]!r}? {listed}" if close else f'{listed}; declare it: by = ["{asked}"]',
        )


def _arguments(metrics: Sequence[str], options: Mapping[str, object]) -> str:
    """A question as one types it, so that what to ask instead can be pasted."""
    words = [",".join(metrics)]
    for name, value in options.items():
        for one in value if isinstance(value, tuple) else (value,):
            words += [name, shlex.quote(str(one))] if one is not None else []
    return " ".join(words)


def _check_show(catalog: Catalog, name: str, show: str | None, asked: str) -> None:
    metric = catalog.metrics[name]
    if metric.derived:
        if show is not None:
            raise Refused(
                f"{name!r} is made of other metrics, each rolled up in its own way; --show {show} has no one meaning for it",
                ask=f'tallybook query {name}, or spell it in the formula: measure = "{show}(…) / …"',
            )
        return
    refused = refusal(metric, show or metric.default_show)
    if refused:
        why, instead = refused
        raise Refused(why, ask=f"tallybook query {asked} --show {' or --show '.join(instead)}")


def refusal(metric: Metric, show: str) -> tuple[str, tuple[str, ...]] | None:
    """Why `show` has no right answer for a metric, and the shows that have; None when it has one."""
    name = metric.name
    if metric.kind == LEVEL:
        if show == "total":
            why = f"{name!r} is a level: it holds at the end of a day and does not add up over time; its daily values "
            why += "summed over a week are 7 times too much, over a month 30 times"
            return why, ("last", "average")
        return None
    if show == "change":
        return (
            f"{name!r} is a {metric.kind}: `change` is the last value minus the one before, of a level",
            ("total",),
        )
    if metric.kind == UNIQUES or metric.kind != FLOW:
        return None
    if show == "average" and metric.parsed is not None and not metric.parsed.linear:
        return (
            f"the daily values of {name!r} ({metric.measure or metric.parsed.text}) cannot be averaged: days with many facts and days with few would count the same",
            ("total",),
        )
    return None


def with_range(query: Query, first: date, last: date) -> Query:
    return replace(query, first=first, last=last)
