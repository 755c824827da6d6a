"""Rules for keys that cannot be combined in one metric. `among` checks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tallybook.core import FLOW, LEVEL, MAX_DIMENSIONS, THEN_WORDS, UNIQUES, Metric

EVENTS = "events"
"""The source of usage events. It needs no declaration: it exists if a metric reads an event."""


@dataclass
class DeclaredMetric:
    """A metric while it is read: its valid values, its keys as given, and the keys with a problem."""

    metric: Metric
    path: str
    given: Mapping[str, object]
    bad: set[str]
    refused: bool = False
    """It cannot be checked further, because its kind is unknown."""

    @property
    def shape(self) -> str:
        """The origin of its values: facts, function, or derived (other metrics)."""
        if {"table", "sql", "event"} & self.mentioned:
            return "facts"
        return "function" if "function" in self.mentioned else "derived"

    @property
    def mentioned(self) -> set[str]:
        """All its keys, valid or not."""
        return {*self.given, *self.bad}

    @property
    def level(self) -> bool:
        """Whether it is a level."""
        return self.metric.kind == LEVEL

    def has(self, *keys: str) -> bool:
        """Whether at least one of the keys was given."""
        return any(key in self.given for key in keys)


class KeyRule(NamedTuple):
    """An invalid combination of keys. It is reported at `key`, unless a key in `looks_at` is itself invalid.

    `expected` and `paste` may contain {series}, which is replaced by the columns of series and by."""

    key: str
    looks_at: tuple[str, ...]
    broken: Callable[[DeclaredMetric], bool]
    message: str
    expected: str
    paste: str = ""


def _undated(d: DeclaredMetric) -> bool:
    return not d.has("time", "from", "until")


def _rows_by_day(d: DeclaredMetric) -> bool:
    """Whether it is a level with one row per day and series."""
    return d.level and d.has("time") and not d.has("from")


def _latest_level(d: DeclaredMetric) -> bool:
    """Whether it is a level that counts only the row received last for each day and series."""
    return _rows_by_day(d) and d.has("received")


def _once_a_day(d: DeclaredMetric) -> bool:
    return d.metric.daily_aggregate and d.metric.kind == FLOW


FACT_RULES = (
    KeyRule(
        "event",
        ("table", "sql"),
        lambda d: d.has("event") and d.has("table", "sql"),
        "event and table or sql are both given",
        "one of them: facts come from one place",
    ),
    KeyRule(
        "event",
        ("source",),
        lambda d: d.has("event") and d.metric.source != EVENTS,
        "events are in the book itself, not in another source",
        'source = "events", or without source',
        'source = "events"',
    ),
    KeyRule(
        "sql",
        ("table",),
        lambda d: d.has("table") and d.has("sql"),
        "table and sql are both given",
        "one of them",
    ),
    KeyRule(
        "join",
        ("table", "sql"),
        lambda d: d.has("join") and not d.has("table"),
        "join needs table; a query joins in its own SQL",
        "table, or the join inside sql",
        'table = "invoices"',
    ),
    KeyRule(
        "function",
        (),
        lambda d: d.has("function"),
        "table or sql and function are both given",
        "one of them",
    ),
    KeyRule(
        "measure",
        ("function",),
        lambda d: not d.has("measure"),
        "a metric needs a measure",
        "an SQL aggregate",
        'measure = "count(*)"',
    ),
    KeyRule(
        "time",
        ("from", "until"),
        lambda d: d.metric.kind == FLOW and _undated(d),
        "a flow needs the column with the time of its facts",
        "a column",
        'time = "created_at"',
    ),
    KeyRule(
        "time",
        (),
        lambda d: d.metric.kind == UNIQUES and not d.has("time"),
        "uniques need the column of their day",
        "a column",
        'time = "day"',
    ),
    KeyRule(
        "from",
        (),
        lambda d: not d.level and d.has("from"),
        "from is only for levels",
        'kind = "level"',
        'kind = "level"',
    ),
    KeyRule(
        "until",
        ("from",),
        lambda d: not d.level and d.has("until"),
        "until is only for levels",
        'kind = "level"',
        'kind = "level"',
    ),
    KeyRule(
        "from",
        ("time",),
        lambda d: d.level and d.has("time") and d.has("from"),
        "a level has one row a day (time) or validity periods (from, until), not both",
        "time, or from and until",
    ),
    KeyRule(
        "until",
        ("from",),
        lambda d: d.level and d.has("until") and not d.has("from"),
        "until needs from",
        "from",
        'from = "started_at"',
    ),
    KeyRule(
        "until_inclusive",
        ("until",),
        lambda d: d.has("until_inclusive") and not d.has("until"),
        "until_inclusive needs until",
        "until",
        'until = "cancelled_at"',
    ),
    KeyRule(
        "carry",
        ("time", "from"),
        lambda d: d.has("carry") and not _rows_by_day(d),
        "carry is only for levels with one row a day",
        "a level with time",
        'kind = "level"\ntime = "day"',
    ),
    KeyRule(
        "snapshot_grace",
        ("time", "from"),
        lambda d: d.has("snapshot_grace") and not (d.level and _undated(d)),
        "snapshot_grace is only for snapshots: levels with neither time nor from",
        "a snapshot",
    ),
    KeyRule(
        "daily_aggregate",
        (),
        lambda d: d.metric.daily_aggregate and d.metric.kind != FLOW,
        "daily_aggregate is only for flows",
        'kind = "flow"',
    ),
    KeyRule(
        "series",
        ("daily_aggregate",),
        lambda d: _once_a_day(d) and not d.has("series"),
        "daily_aggregate needs series: the columns by which the latest row of a day counts",
        "a list of columns",
        'series = ["account_id"]',
    ),
    KeyRule(
        "series",
        ("daily_aggregate", "by"),
        lambda d: _once_a_day(d) and not set(d.metric.by) <= set(d.metric.series),
        "series must contain every column of by",
        "series = [{series}]",
        "series = [{series}]",
    ),
    KeyRule(
        "series",
        ("daily_aggregate", "time", "from"),
        lambda d: d.has("series") and not d.metric.daily_aggregate and not _rows_by_day(d),
        "series is only for daily_aggregate and for levels with one row a day",
        "only by",
    ),
    KeyRule(
        "received",
        ("daily_aggregate",),
        lambda d: d.has("received") and not d.metric.daily_aggregate and not _rows_by_day(d),
        "received is only for daily_aggregate and for levels with one row a day",
        "daily_aggregate",
        "daily_aggregate = true",
    ),
    KeyRule(
        "series",
        ("received", "time", "from"),
        lambda d: _latest_level(d) and not d.has("series"),
        "received needs series: the columns by which the latest row of a day counts",
        "a list of columns",
        'series = ["account_id"]',
    ),
    KeyRule(
        "series",
        ("received", "by", "time", "from"),
        lambda d: _latest_level(d) and not set(d.metric.by) <= set(d.metric.series),
        "series must contain every column of by",
        "series = [{series}]",
        "series = [{series}]",
    ),
    KeyRule(
        "carry",
        ("received", "series", "by", "time", "from"),
        lambda d: d.has("carry") and _latest_level(d) and not set(d.metric.series) <= set(d.metric.by),
        "carry needs every column of series in by: only the series of by are stored, and carried",
        "by = [{series}]",
        "by = [{series}]",
    ),
    KeyRule(
        "changed",
        ("time", "from"),
        lambda d: d.has("changed") and d.level and _undated(d),
        "changed is not for snapshots, which have no past days",
        "a level with time or from",
    ),
    KeyRule(
        "changed",
        ("time", "from", "until"),
        lambda d: d.has("changed") and d.metric.changed in (d.metric.time, d.metric.from_, d.metric.until),
        "changed names the time of the fact, not the time it was written",
        "a column that every write sets",
        'changed = "updated_at"',
    ),
    KeyRule(
        "changed_stored",
        ("changed",),
        lambda d: d.has("changed_stored") and not d.has("changed", "received"),
        "changed_stored needs changed",
        "changed",
        'changed = "updated_at"',
    ),
    KeyRule(
        "changed",
        ("sql",),
        lambda d: d.has("changed") and "{{" in (d.metric.sql or ""),
        "changed reads facts of all days at once, which a query with {{from}} does not support",
        "a query without {{from}} and {{to}}, or without this line",
    ),
    KeyRule(
        "stored",
        ("time", "from", "until"),
        lambda d: d.has("stored") and _undated(d),
        "stored needs time or from",
        "time",
        'time = "created_at"',
    ),
    KeyRule(
        "stored_zone",
        ("stored",),
        lambda d: d.has("stored_zone") and d.metric.stored != "local",
        "stored_zone is only for times stored as local",
        'stored = "local"',
        'stored = "local"',
    ),
    KeyRule(
        "per",
        ("then",),
        lambda d: d.has("per") and not d.has("then"),
        "per needs then, the aggregate over entities",
        THEN_WORDS,
        'then = "p90"',
    ),
    KeyRule(
        "then",
        ("per",),
        lambda d: d.has("then") and not d.has("per"),
        "then needs per, the column of the entity",
        "a column",
        'per = "user_id"',
    ),
    KeyRule(
        "per",
        ("by", "series"),
        lambda d: d.metric.per in (*d.metric.by, *d.metric.series),
        "per is also a dimension: each series would have one entity",
        "another column, or by without it",
    ),
    KeyRule(
        "per",
        ("daily_aggregate",),
        lambda d: d.has("per") and d.metric.daily_aggregate,
        "per and daily_aggregate are both given",
        "one of them",
    ),
    KeyRule(
        "per",
        (),
        lambda d: d.has("per") and d.metric.kind == UNIQUES,
        "per is not for uniques, which have no facts per entity",
        'kind = "flow"',
    ),
    KeyRule(
        "by",
        ("series",),
        lambda d: len(d.metric.dims) > MAX_DIMENSIONS,
        "too many dimensions",
        f"at most {MAX_DIMENSIONS}, with series and per",
    ),
)
FUNCTION_RULES = (
    KeyRule(
        "measure",
        (),
        lambda d: d.has("measure"),
        "a function has no measure",
        "without this line",
    ),
    KeyRule(
        "by",
        (),
        lambda d: len(d.metric.dims) > MAX_DIMENSIONS,
        "too many dimensions",
        f"at most {MAX_DIMENSIONS}",
    ),
)

_PAGES = ("group", "pinned", "better")
_TITLES = ("unit", "title", "description", "format", "decimals", "renamed_from", *_PAGES)
_FUNCTIONS = ("function", "measure", "kind", "source", "by", "over_time", "max_series", "start", "lookback", "history")
FUNCTION_KEYS = frozenset((*_FUNCTIONS, "unit_from", "minor_units", *_TITLES))
DERIVED_KEYS = frozenset(("measure", *_TITLES))
FACT_KEYS = frozenset(("time", "from", "until", "where", "by", "stored", "series", "source", "carry"))
"""Keys that suggest facts when both table and sql are missing."""
WHY_NOT_DERIVED = {
    "by": "it has the dimensions that all of its metrics have",
    "where": "filter its metrics, or query with --where",
    "over_time": "each of its metrics has its own, or one in the formula: average(mrr)",
    "history": "import its metrics",
    "kind": "it is computed from flows and levels",
    "unit_from": "the metrics of its formula have it",
    "minor_units": "the metrics of its formula have it",
}


def wrong_show(metric: Metric, show: str) -> tuple[str, tuple[str, ...]] | None:
    """Why `show` is not valid for the metric, and what to use instead; None if it is valid."""
    if show in metric.shows:
        return None
    if metric.derived:
        return "each of its metrics has its own show", ("",)
    if show == "total":
        return "adding a level over days counts the same items once a day", ("average", "last")
    if show == "change":
        return "change is only for levels; a flow has a total", ("total",)
    return "average is only for counts, sums and distinct counts", ("total",)
