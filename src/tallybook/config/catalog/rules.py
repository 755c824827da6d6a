"""What must not be declared together in one metric: a table of rules, checked by `among`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tallybook.core import FLOW, LEVEL, MAX_DIMENSIONS, THEN_WORDS, UNIQUES, Metric


@dataclass
class DeclaredMetric:
    """A metric on its way: what could be read of it, the keys as given, and those with a problem."""

    metric: Metric
    path: str
    given: Mapping[str, object]
    bad: set[str]
    refused: bool = False
    """It cannot be checked further: of an unknown kind, or made of events."""

    @property
    def shape(self) -> str:
        """What it is made of: facts, function, or (derived) other metrics."""
        if {"table", "sql"} & self.mentioned:
            return "facts"
        return "function" if "function" in self.mentioned else "derived"

    @property
    def mentioned(self) -> set[str]:
        return {*self.given, *self.bad}

    @property
    def level(self) -> bool:
        return self.metric.kind == LEVEL

    def has(self, *keys: str) -> bool:
        """One of them was given."""
        return any(key in self.given for key in keys)


class KeyRule(NamedTuple):
    """A combination of keys that cannot be; told at `key`, silent where a key it looks at is wrong itself.

    {series} in `expected` and `paste` stands for the columns of series and by."""

    key: str
    looks_at: tuple[str, ...]
    broken: Callable[[DeclaredMetric], bool]
    message: str
    expected: str
    paste: str = ""


def _undated(d: DeclaredMetric) -> bool:
    return not d.has("time", "from", "until")


def _rows_by_day(d: DeclaredMetric) -> bool:
    """A level of which the source has one row a day and series."""
    return d.level and d.has("time") and not d.has("from")


def _once_a_day(d: DeclaredMetric) -> bool:
    return d.metric.daily_aggregate and d.metric.kind == FLOW


FACT_RULES = (
    KeyRule(
        "sql",
        ("table",),
        lambda d: d.has("table") and d.has("sql"),
        "table and sql are both given",
        "one of them: facts come from one place",
    ),
    KeyRule(
        "join",
        ("table", "sql"),
        lambda d: d.has("join") and not d.has("table"),
        "join adds columns to a table; a query joins in its own SQL",
        "table, or the join inside sql",
        'table = "invoices"',
    ),
    KeyRule(
        "function",
        (),
        lambda d: d.has("function"),
        "a metric is read from a table or sql, or by a function, not both",
        "one of them",
    ),
    KeyRule(
        "measure",
        ("function",),
        lambda d: not d.has("measure"),
        "a metric needs a measure: what is counted or added",
        "an SQL aggregate",
        'measure = "count(*)"',
    ),
    KeyRule(
        "time",
        ("from", "until"),
        lambda d: d.metric.kind == FLOW and _undated(d),
        "a flow needs the column that says when a fact happened",
        "a column",
        'time = "created_at"',
    ),
    KeyRule(
        "time",
        (),
        lambda d: d.metric.kind == UNIQUES and not d.has("time"),
        "daily counts of distinct things need the column of their day",
        "a column",
        'time = "day"',
    ),
    KeyRule(
        "from",
        (),
        lambda d: not d.level and d.has("from"),
        "from says since when a row holds: that is a level",
        'kind = "level"',
        'kind = "level"',
    ),
    KeyRule(
        "until",
        ("from",),
        lambda d: not d.level and d.has("until"),
        "until says how long a row holds: that is a level",
        'kind = "level"',
        'kind = "level"',
    ),
    KeyRule(
        "from",
        ("time",),
        lambda d: d.level and d.has("time") and d.has("from"),
        "a level has one row a day (time) or rows that hold for a while (from, until), not both",
        "time, or from and until",
    ),
    KeyRule(
        "until",
        ("from",),
        lambda d: d.level and d.has("until") and not d.has("from"),
        "until needs from: since when does a row hold?",
        "from",
        'from = "started_at"',
    ),
    KeyRule(
        "until_inclusive",
        ("until",),
        lambda d: d.has("until_inclusive") and not d.has("until"),
        "until_inclusive says how until is read, and there is no until",
        "until",
        'until = "cancelled_at"',
    ),
    KeyRule(
        "carry",
        ("time", "from"),
        lambda d: d.has("carry") and not _rows_by_day(d),
        "carry is for levels with one row a day: only there can a row be missing",
        "a level with time",
        'kind = "level"\ntime = "day"',
    ),
    KeyRule(
        "snapshot_grace",
        ("time", "from"),
        lambda d: d.has("snapshot_grace") and not (d.level and _undated(d)),
        "snapshot_grace is for snapshots, levels with neither time nor from",
        "a snapshot",
    ),
    KeyRule(
        "daily_aggregate",
        (),
        lambda d: d.metric.daily_aggregate and d.metric.kind != FLOW,
        "daily_aggregate is for flows: values of a day that may be sent again",
        'kind = "flow"',
    ),
    KeyRule(
        "series",
        ("daily_aggregate",),
        lambda d: _once_a_day(d) and not d.has("series"),
        "daily_aggregate needs series: of which rows of a day does only the latest count?",
        "a list of columns",
        'series = ["account_id"]',
    ),
    KeyRule(
        "series",
        ("daily_aggregate", "by"),
        lambda d: _once_a_day(d) and not set(d.metric.by) <= set(d.metric.series),
        "series must hold every column of by",
        "series = [{series}]",
        "series = [{series}]",
    ),
    KeyRule(
        "series",
        ("daily_aggregate", "time", "from"),
        lambda d: d.has("series") and not d.metric.daily_aggregate and not _rows_by_day(d),
        "series is for daily_aggregate and for levels with one row a day",
        "by alone",
    ),
    KeyRule(
        "received",
        ("daily_aggregate",),
        lambda d: d.has("received") and not d.metric.daily_aggregate,
        "received tells the latest of several values of a day: that is a daily_aggregate",
        "daily_aggregate",
        "daily_aggregate = true",
    ),
    KeyRule(
        "changed",
        ("time", "from"),
        lambda d: d.has("changed") and d.level and _undated(d),
        "changed finds days of the past, and of a snapshot only the present can be seen",
        "a level with time or from",
    ),
    KeyRule(
        "changed",
        ("time", "from", "until"),
        lambda d: d.has("changed") and d.metric.changed in (d.metric.time, d.metric.from_, d.metric.until),
        "changed is the time itself, which does not say when a fact was written",
        "a column that every write sets",
        'changed = "updated_at"',
    ),
    KeyRule(
        "changed_stored",
        ("changed",),
        lambda d: d.has("changed_stored") and not d.has("changed"),
        "changed_stored says how changed is stored, and there is no changed",
        "changed",
        'changed = "updated_at"',
    ),
    KeyRule(
        "changed",
        ("sql",),
        lambda d: d.has("changed") and "{{" in (d.metric.sql or ""),
        "changed looks at the facts of all days at once, and those of a query with {{from}} are made day by day",
        "a query without {{from}} and {{to}}, or without this line",
    ),
    KeyRule(
        "stored",
        ("time", "from", "until"),
        lambda d: d.has("stored") and _undated(d),
        "stored says how time or from is stored, and there is neither",
        "time",
        'time = "created_at"',
    ),
    KeyRule(
        "stored_zone",
        ("stored",),
        lambda d: d.has("stored_zone") and d.metric.stored != "local",
        "stored_zone is the zone of times stored as local",
        'stored = "local"',
        'stored = "local"',
    ),
    KeyRule(
        "per",
        ("then",),
        lambda d: d.has("per") and not d.has("then"),
        "one value for each entity: what becomes of them all?",
        THEN_WORDS,
        'then = "p90"',
    ),
    KeyRule(
        "then",
        ("per",),
        lambda d: d.has("then") and not d.has("per"),
        "then aggregates one value for each entity, and no entity is named",
        "a column",
        'per = "user_id"',
    ),
    KeyRule(
        "per",
        ("by", "series"),
        lambda d: d.metric.per in (*d.metric.by, *d.metric.series),
        "per names the column by which the answer is split: each series would have one entity",
        "another column, or by without it",
    ),
    KeyRule(
        "per",
        ("daily_aggregate",),
        lambda d: d.has("per") and d.metric.daily_aggregate,
        "per is not for daily_aggregate, whose series says what a value belongs to",
        "one of them",
    ),
    KeyRule(
        "per",
        (),
        lambda d: d.has("per") and d.metric.kind == UNIQUES,
        "per needs facts of each entity, and only daily counts are known here",
        'kind = "flow"',
    ),
    KeyRule(
        "by",
        ("series",),
        lambda d: len(d.metric.dims) > MAX_DIMENSIONS,
        "there are more dimensions than are kept",
        f"at most {MAX_DIMENSIONS}, with series and per",
    ),
)
FUNCTION_RULES = (
    KeyRule(
        "measure",
        (),
        lambda d: d.has("measure"),
        "the function gives the number; there is nothing left to measure",
        "no measure",
    ),
    KeyRule(
        "by",
        (),
        lambda d: len(d.metric.dims) > MAX_DIMENSIONS,
        "there are more dimensions than are kept",
        f"at most {MAX_DIMENSIONS}",
    ),
)

_TITLES = ("unit", "title", "description", "format", "decimals", "renamed_from")
FUNCTION_KEYS = frozenset(
    ("function", "measure", "kind", "source", "by", "over_time", "max_series", "start", "lookback", "history", *_TITLES)
)
DERIVED_KEYS = frozenset(("measure", *_TITLES))
FACT_KEYS = frozenset(("time", "from", "until", "where", "by", "stored", "series", "source", "carry"))
"""Keys that make one think that facts were meant, where there is neither table nor sql."""
WHY_NOT_DERIVED = {
    "by": "its dimensions are those that all of its metrics have",
    "where": "filter the metrics it is made of, or ask with --where",
    "over_time": "each of its metrics is rolled up by its own show, or a spelled one: average(mrr)",
    "history": "import the metrics it is made of",
    "kind": "it is neither flow nor level, but computed from them",
}


def wrong_show(metric: Metric, show: str) -> tuple[str, tuple[str, ...]] | None:
    """Why `show` has no meaning for the metric, and what to ask instead; None when it has."""
    if show in metric.shows:
        return None
    if metric.derived:
        return "it is computed from other metrics, and each of these has its own show", ("",)
    if show == "total":
        return "adding a level over days counts the same thing once a day", ("average", "last")
    if show == "change":
        return "change is for levels: what a flow adds up to is its total", ("total",)
    return "the mean of daily values has a meaning for counts, sums and distincts only", ("total",)
