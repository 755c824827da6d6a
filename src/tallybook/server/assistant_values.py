"""Types for assistants: the arguments of tools with their descriptions, and the answers.

The SDK generates the schemas of the tools from these types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import Field

from tallybook.core import EVENT_MEASURES, calendar

Metrics = Annotated[list[str], Field(description="Names of metrics, as list_metrics gives them.")]
SomeMetrics = Annotated[list[str], Field(description="Names of metrics; all of them unless given.")]
Scope = Annotated[str, Field(description=f"The length of the periods: {', '.join(calendar.SCOPES)}.")]
By = Annotated[list[str], Field(description="Dimensions to split by, as list_metrics gives them.")]
Where = Annotated[
    list[str],
    Field(description='Filters: "plan=pro", "plan!=pro", "plan=" for null. Repeated, one dimension means or.'),
]
FromDay = Annotated[str | None, Field(description='The first day, as 2026-03-01, "yesterday" or "today".')]
ToDay = Annotated[str | None, Field(description="The last day, which is included.")]
Last = Annotated[str | None, Field(description='How far back instead of from_day: "12 weeks". Whole periods.')]
Show = Annotated[
    str | None,
    Field(
        description="How days become one number: total, average, last, first, min, max, change. Default: the metric's."
    ),
]
Compare = Annotated[
    str | None, Field(description='Adds the earlier number over as many days, and the change: "previous", "year".')
]
Top = Annotated[int | None, Field(description="Only the N largest series, and all others together as one.")]
Totals = Annotated[bool, Field(description="Adds rows over all series, computed and not added up.")]
Window = Annotated[str | None, Field(description='Each row over the days up to its end: "28 days", "month to date".')]
Segments = Annotated[
    list[str], Field(description='A series for each named filter: "paid: plan=pro". Several conditions with commas.')
]

Fill = Annotated[bool, Field(description="A row for every series in every period, also where it has nothing.")]
Having = Annotated[list[str], Field(description='Only rows like "revenue < 0" or "mrr_change <= -10%".')]
Sort = Annotated[list[str], Field(description="The order of the rows: columns, -column for the largest first.")]
Limit = Annotated[int | None, Field(description="Only the first N rows of the answer.")]
WeekStarts = Annotated[str | None, Field(description="The first day of weeks, when it is not the book's.")]
AsOf = Annotated[str | None, Field(description="What the book knew at the end of this day.")]
Event = Annotated[str | None, Field(description="A usage event to ask, in place of metrics, for the next measures.")]
Count = Annotated[bool, Field(description="Of an event: how many there are.")]
Properties = Annotated[list[str], Field(description="Of an event: this measure of these properties.")]
NO_TEXTS: list[str] = []
ARGUMENTS: Mapping[str, tuple[Any, Any]] = {
    "metrics": (Metrics, NO_TEXTS),
    "scope": (Scope, "month"),
    "by": (By, NO_TEXTS),
    "where": (Where, NO_TEXTS),
    "from_day": (FromDay, None),
    "to_day": (ToDay, None),
    "last": (Last, None),
    "show": (Show, None),
    "compare": (Compare, None),
    "top": (Top, None),
    "totals": (Totals, False),
    "window": (Window, None),
    "segments": (Segments, NO_TEXTS),
    "fill": (Fill, False),
    "having": (Having, NO_TEXTS),
    "sort": (Sort, NO_TEXTS),
    "limit": (Limit, None),
    "week_starts": (WeekStarts, None),
    "as_of": (AsOf, None),
    "event": (Event, None),
    "count": (Count, False),
    **{name: (Properties, NO_TEXTS) for name in EVENT_MEASURES if name != "count"},
}
"""The arguments of tools that take a query: the type and default of each."""
MAX_EXACT = 2**53
"""The largest whole number up to which every JSON client is exact."""
Tool = TypeVar("Tool", bound=Callable[..., Any])


def asked_by_tool(answer: type) -> Callable[[Tool], Tool]:
    """A decorator that shows `ARGUMENTS` as the parameters of a method that returns an `answer`."""

    def shown(method: Tool) -> Tool:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        own = [inspect.Parameter("self", kind)]
        for name, (type_, default) in ARGUMENTS.items():
            own.append(inspect.Parameter(name, kind, default=default, annotation=type_))
        method.__signature__ = inspect.Signature(own, return_annotation=answer)  # type: ignore[attr-defined]
        return method

    return shown


def with_all_digits(row: Mapping[str, Any], exact: Mapping[str, Any]) -> dict[str, Any]:
    """A row in which numbers that a client would round become texts. `exact` is the same row with decimals as texts."""
    return {name: _kept(value, exact[name]) for name, value in row.items()}


def _kept(value: Any, exact: Any) -> Any:
    if isinstance(value, float) and isinstance(exact, str):
        return value if Decimal(repr(value)) == Decimal(exact) else exact
    return str(value) if isinstance(value, int) and abs(value) > MAX_EXACT else value


@dataclass(frozen=True, kw_only=True)
class ListedMetric:
    """A metric: what it measures, its dimensions, and which days are collected."""

    name: str
    title: str | None
    description: str | None
    kind: str
    unit: str | None
    dimensions: list[str]
    shows: list[str]
    """The possible values of `show`, the default first. Empty for a metric that is computed from others."""
    collected_from: str | None
    collected_to: str | None
    missing_days: int


@dataclass(frozen=True, kw_only=True)
class ListedMetrics:
    """The metrics that the reader may query."""

    metrics: list[ListedMetric]
    today: str
    timezone: str


@dataclass(frozen=True, kw_only=True)
class DescribedForAssistant:
    """One metric, with how it is computed, and the ranges of days that are collected and missing."""

    metric: ListedMetric
    measure: str | None
    made_of: list[str]
    collected: list[list[str]]
    missing: list[list[str]]


@dataclass(frozen=True, kw_only=True)
class AnswerForAssistant:
    """An answer. An unknown value is null, with its reason in `notes` of the row."""

    explain: str
    columns: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    version: int
    question: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class QuestionToAsk:
    """A query that has an answer, and how it differs from the refused one."""

    say: str
    query: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class CheckedForAssistant:
    """Whether a query has a correct answer. If not, the reason, and queries to use instead."""

    can_be_answered: bool
    why_not: str = ""
    hint: str = ""
    ask_instead: list[QuestionToAsk] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class WhyForAssistant:
    """Everything behind the number of one day: the answer, and the definition and run of each metric that it is
    computed from."""

    metric: str
    day: str | None
    explain: str
    rows: list[dict[str, Any]]
    behind: list[dict[str, Any]]
    lineage: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class CoverageForAssistant:
    """Which days of each metric are collected, and the commands that collect the missing ones."""

    metrics: list[dict[str, Any]]
