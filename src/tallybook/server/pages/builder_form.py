"""The form of the query builder: reads its fields as queries, and writes the same query in other forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from tallybook.core import CHART_FORMS, EVENT_MEASURES, FILTER, Catalog, QueryError
from tallybook.query import DEFAULT_LAST, Question
from tallybook.server.pages.page import PageRequest, address

LETTERS = "ABCD"
WEEKDAY = "weekday"
EVENT = "event:"
"""Prefix of the value of the field `metrics` for a usage event."""
DEFAULT_TOP = 6
LINE = CHART_FORMS[0]
SCOPES = ("day", "week", "month", "quarter", "year", "all")
MEASURE_WORDS = {
    "count": "How many",
    "sum": "Sum of",
    "avg": "Average of",
    "distinct": "Different values of",
    "min": "Smallest",
    "max": "Largest",
    "median": "Median of",
    "p50": "50th percentile of",
    "p75": "75th percentile of",
    "p90": "90th percentile of",
    "p95": "95th percentile of",
    "p99": "99th percentile of",
}


@dataclass(frozen=True, kw_only=True)
class AskedSeries:
    """One series of the form: a metric or an event, with its filters and its show."""

    letter: str
    metric: str
    where: tuple[str, ...] = ()
    show: str = ""
    measure: str = "count"
    of: str = ""
    """The property that is measured."""

    @property
    def event(self) -> str:
        """The event; empty for a metric."""
        return self.metric.removeprefix(EVENT) if self.metric.startswith(EVENT) else ""

    @property
    def suffix(self) -> str:
        """The suffix of its field names."""
        return "" if self.letter == "A" else f"_{self.letter.lower()}"


@dataclass(frozen=True, kw_only=True)
class BuilderForm:
    """All choices of the form."""

    series: tuple[AskedSeries, ...]
    formula: str = ""
    by: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    """Segments such as "paid: plan=pro", including ones that cannot be read."""
    top: str = ""
    scope: str = "week"
    last: str = ""
    from_: str = ""
    to: str = ""
    compare: str = ""
    chart: str = LINE
    units: frozenset[str] = frozenset()
    """The dimensions with the units of its numbers. Series of different units are not ranked and not added up."""
    closed: date | None = None
    """The last closed day."""

    @property
    def first(self) -> AskedSeries:
        return self.series[0]

    @property
    def is_several(self) -> bool:
        """Whether it has several series or a formula."""
        return len(self.series) > 1

    def question(self, one: AskedSeries) -> Question:
        """The query of one series. Raises QueryError for an invalid number."""
        if self.is_several and self.segments:
            raise QueryError(
                "segments divide one series", hint="a filter of each series is a segment too", field="segments"
            )
        options: dict[str, Any] = {
            "scope": self.scope,
            "by": () if self.is_several else self.by,
            "where": one.where,
            "from_": self.from_ or None,
            "to": self.to or None,
            "last": self.last or None,
            "show": one.show or None,
            "segments": self.segments,
        }
        # Segments show all series of each, without top values. Weekdays are always seven, and not ranked.
        is_ranked = not self.segments and WEEKDAY not in self.by and not (self._is_split_by_unit and self.top == "")
        if options["by"] and is_ranked and (top := self.top_number()):
            options["top"] = top
        if not self.is_several and self.compare:
            options["compare"] = self.compare
        if not one.event:
            return Question(metrics=[one.metric], **options)
        measured: dict[str, Any] = {one.measure: True if one.measure == "count" else [one.of]}
        return Question(metrics=(), event=one.event, **(options | measured))

    def with_totals(self, one: AskedSeries) -> Question:
        """The query of one series for pages. If there are several series, it has a row with all of them."""
        question = self.question(one)
        can_total = bool(question.by) and not (question.compare or question.segments or self._is_split_by_unit)
        return replace(question, totals=True) if can_total else question

    @property
    def _is_split_by_unit(self) -> bool:
        return not self.units.isdisjoint(self.by)

    def with_units(self, catalog: Catalog) -> BuilderForm:
        """The form with the units of its metrics."""
        names = [one.metric for one in self.series if one.metric in catalog.metrics]
        return replace(self, units=frozenset(unit for name in names for unit in catalog.unit_dims(name)))

    def top_number(self) -> int | None:
        """The number of series, or None for all. Raises QueryError."""
        if self.top in ("", "all"):
            return DEFAULT_TOP if self.top == "" else None
        if not (self.top.isascii() and self.top.isdigit() and 0 < int(self.top) <= 1000):
            raise QueryError(f"{self.top[:20]!r} is not a number of series", hint="top 6", field="top")
        return int(self.top)

    def fields(self) -> list[tuple[str, str]]:
        """The form as fields of a URL."""
        found: list[tuple[str, str]] = []
        for one in self.series:
            end = one.suffix
            found.append((f"metrics{end}", one.metric))
            found += [(f"where{end}", text) for text in one.where]
            found.append((f"show{end}", one.show))
            if one.event:
                found += [(f"measure{end}", one.measure), (f"property{end}", one.of)]
        rest = {"formula": self.formula, "top": self.top, "scope": self.scope, "last": self.last, "from": self.from_}
        rest |= {"to": self.to, "compare": self.compare, "chart": "" if self.chart == LINE else self.chart}
        found += [("by", dim) for dim in self.by] + [("segments", text) for text in self.segments]
        return [(name, text) for name, text in [*found, *rest.items()] if text]

    def link(self, path: str = "/q", **changes: Any) -> str:
        """The URL of the form with changes."""
        return address(path, replace(self, **changes).fields())

    def with_first(self, **changes: Any) -> BuilderForm:
        """The form with a changed first series."""
        return self.with_series(self.first.letter, **changes)

    def with_series(self, letter: str, **changes: Any) -> BuilderForm:
        """The form with a changed series."""
        series = (replace(one, **changes) if one.letter == letter else one for one in self.series)
        return replace(self, series=tuple(series))


def form_of_request(ask: PageRequest, default_metric: str) -> BuilderForm:
    """The form in a request. Raises QueryError only for values that cannot be put back into the form."""
    scope = ask.one("scope", "week")
    from_, to, last = ask.one("from").strip(), ask.one("to").strip(), ask.one("last").strip()
    if not (from_ or last) and scope in DEFAULT_LAST:
        last = DEFAULT_LAST[scope]
    chart = ask.one("chart", LINE)
    return BuilderForm(
        series=_series_of(ask, default_metric),
        formula=ask.one("formula").strip(),
        by=tuple(dict.fromkeys(dim for dim in ask.every("by") if dim != "–")),
        segments=segments_of_request(ask),
        top=ask.one("top"),
        scope=scope,
        last=last,
        from_=from_,
        to=to,
        compare=ask.one("compare").strip(),
        chart=chart if chart in CHART_FORMS else LINE,
    )


def _series_of(ask: PageRequest, default_metric: str) -> tuple[AskedSeries, ...]:
    first = ask.every("metrics") + [EVENT + name for name in ask.every("event")] or [default_metric]
    measure, prop = _measured(ask, "")
    made = [
        AskedSeries(
            letter=LETTERS[place],
            metric=metric,
            where=filters_of(ask, ""),
            show=ask.one("show"),
            measure=measure,
            of=prop,
        )
        for place, metric in enumerate(first[: len(LETTERS)])
    ]
    for letter in LETTERS[len(made) :]:
        end = f"_{letter.lower()}"
        if (metric := ask.one(f"metrics{end}")) and ask.one("remove") != letter:
            measure, prop = _measured(ask, end)
            where, show = filters_of(ask, end), ask.one(f"show{end}")
            one = AskedSeries(letter=letter, metric=metric, where=where, show=show, measure=measure, of=prop)
            made.append(one)
    if ask.one("add") == "series" and len(made) < len(LETTERS):
        made.append(replace(made[-1], letter=LETTERS[len(made)]))
    return tuple(replace(one, letter=LETTERS[place]) for place, one in enumerate(made))


def _measured(ask: PageRequest, end: str) -> tuple[str, str]:
    """(measure, property) of an event. Also reads the form used in the API: count=true, sum=amount."""
    for name in EVENT_MEASURES:
        if not end and (value := ask.one(name)):
            return name, "" if name == "count" else value
    measure = ask.one(f"measure{end}", "count")
    return (measure if measure in EVENT_MEASURES else "count"), ask.one(f"property{end}").strip()


def filters_of(ask: PageRequest, end: str) -> tuple[str, ...]:
    """The filters, from texts and from rows of dimension, sign and value."""
    found = ask.every(f"where{end}")
    names = [value for key, value in ask.fields if key == f"w{end}"]
    signs = [value for key, value in ask.fields if key == f"o{end}"]
    values = [value for key, value in ask.fields if key == f"v{end}"]
    for name, sign, value in zip(names, signs, values, strict=False):
        if name:
            found.append(f"{name}{'!=' if sign == '!=' else '='}{value}")
    return tuple(dict.fromkeys(found))


def segments_of_request(ask: PageRequest) -> tuple[str, ...]:
    """The segments, from texts and from rows of a name and its conditions. The row being removed is left out."""
    names = [value.strip() for key, value in ask.fields if key == "sn"]
    conditions = [value.strip() for key, value in ask.fields if key == "sc"]
    rows = [f"{name}: {text}" if name or text else "" for name, text in zip(names, conditions, strict=False)]
    gone = ask.one("drop")
    kept = [text for place, text in enumerate(rows) if text and str(place) != gone]
    return tuple(dict.fromkeys([*ask.every("segments"), *ask.every("segment"), *kept]))


def segment_parts(text: str) -> tuple[str, str]:
    """(name, conditions) of a segment, as shown in fields."""
    name, _, conditions = text.partition(":")
    return name.strip(), conditions.strip()


def filter_parts(text: str) -> tuple[str, str, str]:
    """(dimension, sign, value) of a filter."""
    found = FILTER.match(text)
    return (found["dim"], found["sign"], found["value"]) if found else (text, "=", "")


# -- in words -------------------------------------------------------------------------------------


def heading(titles: Sequence[str], form: BuilderForm, show: str) -> str:
    """The query as a heading, such as `API calls: daily average by week and apiType`."""
    over = "" if form.scope == "all" else f" by {form.scope}"
    if form.is_several:
        return f"{several_title(titles, form)}{over}{', ' + form.formula if form.formula else ''}"
    split = f" and {', '.join(form.by)}" if form.by and over else f" by {', '.join(form.by)}" if form.by else ""
    segments = ", ".join(segment_parts(text)[0] for text in form.segments)
    return f"{titles[0]}{': ' + show if show else ''}{over}{split}{f' ({segments})' if segments else ''}"


def several_title(titles: Sequence[str], form: BuilderForm) -> str:
    """The common title of several series, such as `Signups and API calls`, or `Signups: plan=pro and plan=free`."""
    names = list(dict.fromkeys(titles))
    filters = [", ".join(one.where) for one in form.series if one.where]
    segments = f": {' and '.join(filters)}" if filters and len(names) == 1 else ""
    return f"{' and '.join(names)}{segments}"
